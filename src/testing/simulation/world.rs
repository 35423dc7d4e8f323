//! Who does what when: one step after another, as the seed has it.

use std::cell::RefCell;
use std::rc::Rc;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::actor::{Script, SimClient, hello};
use super::disk::Disk;
use super::ledger::SimModel;
use super::pipes::{Mailboxes, PIPE_CAPACITY, SharedPipe, SimHost, SimPipe};
use crate::clock::{Epoch, ProcessBirth};
use crate::journal::Journal;
use crate::keeper::daemon;
use crate::keeper::persistence::{JournalRecovery, PersistedState, Persistence, RecoveredQueue};
use crate::keeper::{Keeper, KeeperConfig};
use crate::role::Role;
use crate::wire::Request;

/// After so many steps without a fault everybody must be home.
const MAX_DRAIN_STEPS: u32 = 30_000;

/// Chance.
pub(super) struct SimRng(Xoshiro256PlusPlus);

impl SimRng {
    /// Something below `n`, which is not 0.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0.random_range(0..n)
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// What may go wrong with this seed.
struct Faults {
    keeper_dies: bool,
    clients_die: bool,
    disk_fills: bool,
    power_fails: bool,
    /// Consumers are up to all sorts of things.
    has_rough_consumers: bool,
    has_leases: bool,
    /// The keeper is stopped for a while, and clients give up waiting for it.
    keeper_stops: bool,
    /// Somebody sets the wall's clock.
    clock_jumps: bool,
}

/// A keeper that lives.
struct RunningKeeper {
    keeper: Keeper,
    host: SimHost,
    inbox: Vec<u8>,
    /// By which time it counts.
    epoch: Epoch,
}

/// Everything.
pub(super) struct Simulation {
    rng: SimRng,
    faults: Faults,
    disk: Disk,
    mailboxes: Mailboxes,
    running_keeper: Option<RunningKeeper>,
    /// How many keepers there have been.
    generation: u64,
    clients: Vec<SimClient>,
    last_key: u64,
    model: SimModel,
    /// The machine's boot clock.
    now: u64,
    /// The wall's clock.
    wall: u64,
    /// The keeper is stopped for so many steps.
    stopped_steps: u64,
    /// How many of a hundred steps are the keeper's.
    keeper_percent: u64,
    /// One in so many steps is a misfortune.
    steps_per_fault: u64,
    is_verbose: bool,
    /// Nothing goes wrong any more.
    is_fault_free: bool,
}

impl Simulation {
    pub(super) fn new(seed: u64, tells: bool) -> Self {
        let mut dice = SimRng(Xoshiro256PlusPlus::seed_from_u64(seed));
        let diligence = 3 + dice.below(38);
        let calm = [15, 40, 100, 300][dice.below(4) as usize];
        let power_fails = dice.one_in(4);
        let faults = Faults {
            keeper_dies: !dice.one_in(4),
            clients_die: dice.one_in(2),
            disk_fills: dice.one_in(4),
            power_fails,
            has_rough_consumers: dice.one_in(3),
            has_leases: dice.one_in(6),
            keeper_stops: dice.one_in(4),
            clock_jumps: dice.one_in(3),
        };
        let mut world = Self {
            rng: dice,
            model: SimModel::default(),
            disk: Disk::default(),
            mailboxes: Mailboxes::default(),
            running_keeper: None,
            generation: 0,
            clients: Vec::new(),
            last_key: 0,
            now: 1_000,
            wall: 1_000_000,
            stopped_steps: 0,
            keeper_percent: diligence,
            steps_per_fault: calm,
            is_verbose: tells,
            is_fault_free: false,
            faults,
        };
        world.model.may_redeliver = world.faults.clients_die
            || world.faults.power_fails
            || world.faults.keeper_stops
            || world.faults.has_leases
            || world.faults.has_rough_consumers;
        world.model.has_exclusive_leases = world.faults.has_leases
            && !(world.faults.clients_die
                || world.faults.power_fails
                || world.faults.has_rough_consumers)
            && !(world.faults.keeper_stops || world.faults.disk_fills);
        let keepers_live = !world.faults.keeper_dies && !world.faults.disk_fills;
        world.model.has_no_requeues = !world.model.may_redeliver && keepers_live;
        world.add_initial_clients();
        world
    }

    /// Who is there at first.
    fn add_initial_clients(&mut self) {
        let capacity = [None, Some(0), Some(1), Some(3), Some(10)][self.rng.below(5) as usize];
        for _ in 0..=self.rng.below(3) {
            let (role, keep_open) = match self.rng.below(4) {
                0 => (Role::Visitor, false),
                1 => (Role::Producer, true),
                _ => (Role::Producer, false),
            };
            let patient = role != Role::Visitor || self.rng.one_in(2);
            let left = 1 + self.rng.below(20);
            let script = Script::Put {
                remaining: left,
                waits_for_room: patient,
                sent: Vec::new(),
                answered: 0,
            };
            let hello = hello(self.last_key + 1, role);
            let sync = self.faults.power_fails;
            self.add_client(crate::wire::Hello { capacity, keep_open, sync, ..hello }, script);
        }
        for _ in 0..=self.rng.below(3) {
            self.add_consumer();
        }
        if self.rng.one_in(4) {
            let hello = hello(self.last_key + 1, Role::Visitor);
            self.add_client(hello, Script::Join);
        }
        if self.faults.has_rough_consumers {
            self.add_query(Request::Retry(None));
        }
    }

    fn add_consumer(&mut self) {
        let lease = self.faults.has_leases.then(|| 5_000 + self.rng.below(20_000));
        let hello = hello(self.last_key + 1, Role::Consumer);
        let batches =
            if self.rng.one_in(3) && !self.is_fault_free { 1 + self.rng.below(4) } else { 9999 };
        let gently = !self.faults.has_rough_consumers;
        let (held, trying, said, before) = Default::default();
        let script = Script::Get {
            batches_left: batches,
            always_done: gently,
            in_flight: held,
            attempting: trying,
            done_sent: said,
            done_before_get: before,
        };
        self.add_client(crate::wire::Hello { lease, max_attempts: 0, ..hello }, script);
    }

    fn add_query(&mut self, request: Request<'static>) {
        let hello = hello(self.last_key + 1, Role::Visitor);
        self.add_client(hello, Script::Ask(request));
    }

    fn add_client(&mut self, hello: crate::wire::Hello, script: Script) {
        self.last_key += 1;
        // All of these count as there before the end, which is at tick 100: some are of another PID
        // namespace, or of none that is known, and were made in the same tick.
        let namespace = self.rng.below(4);
        let born = match self.rng.below(3) {
            0 => ProcessBirth::default(),
            1 => ProcessBirth::new(99, 7).in_namespace(namespace),
            _ if namespace == 1 => ProcessBirth::new(100, 1),
            _ => ProcessBirth::new(100, 7).in_namespace(namespace),
        };
        let hello = crate::wire::Hello { birth: born, ..hello };
        let actor = SimClient::new(self.last_key, hello, SharedPipe::default(), script);
        self.mailboxes.borrow_mut().insert(actor.mailbox_name(), Rc::clone(&actor.mailbox));
        self.clients.push(actor);
    }

    /// The disk, which sees all that goes to it and through the pipes.
    pub(super) fn disk(&self) -> Disk {
        self.disk.clone()
    }

    /// All of it.
    pub(super) fn run(mut self) -> Result<(), String> {
        for _ in 0..500 + self.rng.below(1500) {
            self.step()?;
        }
        self.finish_without_faults()
    }

    fn log(&self, what: impl FnOnce() -> String) {
        if self.is_verbose {
            eprintln!("{:>6} {}", self.now, what());
        }
    }

    /// Time goes on.
    fn advance_time(&mut self) {
        let time = self.rng.below(50);
        self.now += time;
        self.wall = self.wall.saturating_add(time);
    }

    fn step(&mut self) -> Result<(), String> {
        self.advance_time();
        if self.rng.one_in(self.steps_per_fault) {
            return self.inject_fault();
        }
        match self.rng.below(100) < self.keeper_percent {
            true => self.step_keeper(),
            false => self.step_random_client(),
        }
    }

    fn inject_fault(&mut self) -> Result<(), String> {
        let somebody = match self.clients.len() as u64 {
            0 => return Ok(()),
            count => self.rng.below(count) as usize,
        };
        match self.rng.below(11) {
            0 | 1 if self.faults.keeper_dies => self.kill_keeper(),
            2 if self.faults.clients_die => self.kill_client(somebody),
            3 if self.faults.clients_die && self.clients.len() < 8 => self.add_consumer(),
            4 | 5 => {
                let stopped = self.clients[somebody].is_stopped;
                self.clients[somebody].is_stopped = !stopped && self.rng.one_in(4);
            }
            6 if self.faults.disk_fills => {
                let room = self.rng.below(300) as usize;
                let room = (!self.rng.one_in(2)).then_some(room);
                self.log(|| format!("the disk has room for {room:?}"));
                self.disk.set_free_bytes(room);
            }
            7 if self.faults.power_fails && self.rng.one_in(3) => self.lose_power(),
            8 if self.faults.keeper_stops => {
                self.stopped_steps = self.rng.below(100);
                self.log(|| format!("the keeper is stopped for {} steps", self.stopped_steps));
            }
            9 if self.faults.keeper_stops && self.stopped_steps > 0 => {
                self.abandon_keeper(somebody)
            }
            10 if self.faults.clock_jumps => {
                self.wall = self.rng.below(10_000_000);
                self.log(|| format!("the wall's clock is set to {}", self.wall));
            }
            _ => {}
        }
        Ok(())
    }

    /// At once, or when it has written or sent so many bytes more.
    fn kill_keeper(&mut self) {
        let (how, bytes) = (self.rng.below(3), self.rng.below(300) as usize);
        match (&mut self.running_keeper, how) {
            (Some(_), 0) => self.disk.kill_after(Some(bytes)),
            (Some(life), 1) => life.host.kill_after = Some(bytes),
            _ => {
                self.log(|| "the keeper is killed".to_owned());
                self.disk.kill_after(None);
                self.running_keeper = None;
            }
        }
    }

    fn kill_client(&mut self, at: usize) {
        let actor = self.clients.swap_remove(at);
        self.log(|| format!("{} is killed", actor.key));
        actor.mailbox.borrow_mut().is_closed = true;
    }

    /// This client's patience with the keeper is over: it says so, and leaves without an answer.
    fn abandon_keeper(&mut self, at: usize) {
        let mut actor = self.clients.swap_remove(at);
        self.log(|| format!("{} gives up", actor.key));
        actor.session.add_request(Request::Cancel);
        actor.session.add_request(Request::Bye);
        actor.session.finish_write();
        self.clients.push(actor);
        let at = self.clients.len() - 1;
        for _ in 0..3 {
            self.write(at);
        }
        self.kill_client(at);
    }

    /// The machine goes down, and everybody with it.
    fn lose_power(&mut self) {
        self.log(|| "power fails".to_owned());
        self.disk.kill_after(None);
        self.running_keeper = None;
        while !self.clients.is_empty() {
            self.kill_client(0);
        }
        self.mailboxes.borrow_mut().clear();
        let dice = &mut self.rng;
        self.disk.lose_power(|loose| dice.below(loose as u64 + 1) as usize);
        self.add_initial_clients();
    }

    /// The keeper does a turn of its loop, or dies in the middle of it.
    fn step_keeper(&mut self) -> Result<(), String> {
        if self.stopped_steps > 0 {
            self.stopped_steps -= 1;
            return Ok(());
        }
        let Some(life) = &mut self.running_keeper else {
            return Ok(());
        };
        let now = life.epoch.at_boot_time(self.now);
        let dead = life.host.dead_clients();
        let most = if dead.is_empty() {
            1 + self.rng.below(PIPE_CAPACITY as u64) as usize
        } else {
            PIPE_CAPACITY
        };
        let bytes: Vec<u8> = life.inbox.drain(..most.min(life.inbox.len())).collect();
        let came = !bytes.is_empty() || !dead.is_empty();
        life.keeper.receive(now, &bytes, &mut life.host);
        for client in dead {
            life.host.remove_client(client);
            life.keeper.client_died(now, client, &mut life.host);
        }
        let turned = daemon::process_and_commit(&mut life.keeper, &mut life.host, now);
        let killed = life.host.is_killed();
        if killed || turned.is_err() {
            let how = if killed { "is killed in the middle" } else { "cannot write" };
            self.log(|| format!("the keeper {how}"));
            self.disk.kill_after(None);
            self.running_keeper = None;
            return Ok(());
        }
        if came {
            self.model.check(life.keeper.queue())?;
        }
        let told = self.faults.keeper_dies && !self.is_fault_free && self.rng.one_in(200);
        if told || (life.host.has_no_clients() && life.inbox.is_empty()) {
            let left = life.host.persistence.finalize_journal(&life.keeper);
            self.log(|| format!("the keeper goes: {left:?}"));
            self.running_keeper = None;
        }
        Ok(())
    }

    /// Somebody finds no keeper, and starts one.
    fn start_keeper(&mut self) -> Result<(), String> {
        let RecoveredQueue { persisted_state: mut memory, queue, clients } = self.recover()?;
        self.model.check(&queue)?;
        let journal = Journal::recover(self.disk.clone(), &self.disk.journal(), |_| {});
        let (journal, recovered) = match journal {
            Err(_) => return Ok(()),
            Ok(journal) => journal.ok_or("the journal is not one")?,
        };
        if !recovered.damaged_lines.is_empty() {
            return Err(format!("the journal is damaged: {recovered:?}"));
        }
        let mut keeper = Keeper::new(KeeperConfig { queue, workers: None, pacer: None });
        let epoch = memory.resume_epoch("this uptime", self.now, self.wall);
        let notes = Persistence::new(memory, journal);
        let mut office = SimHost::new(notes, Rc::clone(&self.mailboxes), self.disk.clone());
        keeper.adopt_clients(clients, &mut office).map_err(|error| error.to_string())?;
        self.generation += 1;
        self.log(|| format!("keeper {} starts", self.generation));
        self.stopped_steps = 0;
        self.running_keeper =
            Some(RunningKeeper { keeper, host: office, inbox: Vec::new(), epoch });
        Ok(())
    }

    /// What the disk tells of the queue.
    fn recover(&self) -> Result<RecoveredQueue, String> {
        let mut past = JournalRecovery::new(PersistedState::default());
        let journal = self.disk.journal();
        Journal::recover(Disk::default(), &journal, |record| past.apply_record(record)).ok();
        Ok(past.finish())
    }

    fn step_random_client(&mut self) -> Result<(), String> {
        if self.clients.is_empty() {
            return Ok(());
        }
        let at = self.rng.below(self.clients.len() as u64) as usize;
        if self.clients[at].is_stopped {
            return Ok(());
        }
        self.step_client(at)
    }

    fn step_client(&mut self, at: usize) -> Result<(), String> {
        let lost =
            self.clients[at].keeper != Some(self.generation) || self.running_keeper.is_none();
        if lost {
            self.find_keeper(at)?;
        } else {
            match self.rng.below(4) {
                0 => self.clients[at].send_next(self.now, &mut self.rng, &mut self.model),
                1 | 2 => self.write(at),
                _ => self.read(at, false)?,
            }
        }
        if self.clients[at].has_left {
            let actor = self.clients.swap_remove(at);
            self.log(|| format!("{} is home", actor.key));
            actor.mailbox.borrow_mut().is_closed = true;
        }
        Ok(())
    }

    /// As a client does whose keeper is gone, or that has none yet.
    fn find_keeper(&mut self, at: usize) -> Result<(), String> {
        self.read(at, true)?;
        if self.clients[at].has_left {
            return Ok(());
        }
        if self.running_keeper.is_none() {
            self.start_keeper()?;
        }
        if self.running_keeper.is_none() {
            return Ok(());
        }
        let actor = &mut self.clients[at];
        if actor.was_welcomed {
            actor.is_welcomed = false;
            actor.session.resume();
        } else if actor.keeper.is_some() {
            actor.mailbox.borrow_mut().is_closed = true;
            self.last_key += 1;
            actor.restart_as_new(self.last_key, Rc::new(RefCell::new(SimPipe::default())));
            let name = actor.mailbox_name();
            self.mailboxes.borrow_mut().insert(name, Rc::clone(&actor.mailbox));
        }
        actor.keeper = Some(self.generation);
        self.write(at);
        Ok(())
    }

    /// One write, if there is room for it.
    fn write(&mut self, at: usize) {
        let actor = &mut self.clients[at];
        let Some(life) = &mut self.running_keeper else {
            return;
        };
        let fits = |write: &&[u8]| life.inbox.len() + write.len() <= PIPE_CAPACITY;
        if let Some(write) = actor.session.next_write().filter(fits) {
            life.inbox.extend_from_slice(write);
            self.disk.note(b"inbox", write);
            if self.is_verbose {
                let text = String::from_utf8_lossy(write).trim().replace('\n', " | ");
                eprintln!("{:>6} {} writes {text}", self.now, actor.key);
            }
            actor.session.pop_written();
        }
    }

    /// Reads some of what there is to read, or all.
    fn read(&mut self, at: usize, all: bool) -> Result<(), String> {
        let actor = &mut self.clients[at];
        let bytes: Vec<u8> = {
            let mut pipe = actor.mailbox.borrow_mut();
            let there = pipe.bytes.len();
            let count = if all { there } else { self.rng.below(there as u64 + 1) as usize };
            pipe.bytes.drain(..count).collect()
        };
        self.disk.note(actor.mailbox_name().as_bytes(), &bytes);
        actor.session.feed(&bytes);
        if actor.session.take_welcome().is_some() {
            (actor.is_welcomed, actor.was_welcomed) = (true, true);
        }
        while let Some(reply) = actor.session.next() {
            let reply = reply.map_err(|error| format!("{}: {error}", actor.key))?;
            if self.is_verbose {
                eprintln!("{:>6} {} hears {reply:?}", self.now, actor.key);
            }
            actor.handle_reply(self.now, reply, &mut self.model)?;
        }
        Ok(())
    }

    /// Nothing goes wrong any more: everybody comes home, and nothing is left undone.
    fn finish_without_faults(&mut self) -> Result<(), String> {
        self.log(|| "now all is well".to_owned());
        self.is_fault_free = true;
        self.stopped_steps = 0;
        self.disk.set_free_bytes(None);
        self.disk.kill_after(None);
        if let Some(life) = &mut self.running_keeper {
            life.host.kill_after = None;
        }
        self.clients.iter_mut().for_each(|actor| actor.is_stopped = false);
        self.add_consumer();
        let mut closing = false;
        for _ in 0..MAX_DRAIN_STEPS {
            if self.clients.is_empty() && self.running_keeper.is_none() {
                let RecoveredQueue { queue, .. } = self.recover()?;
                if queue.counts().ready == 0 {
                    return self.model.check_drained(&queue);
                }
            }
            if !self.clients.iter().any(SimClient::is_consumer) {
                // Whatever was put after the end: somebody comes for that.
                closing = false;
                self.add_consumer();
                self.clients.iter_mut().for_each(|actor| {
                    actor.set_late_birth(ProcessBirth::new(200, 1).in_namespace(2))
                });
            }
            if !closing && self.clients.iter().all(SimClient::is_consumer) {
                // They have nothing more to come, and wait to be told.
                closing = true;
                self.add_query(Request::Close { now: false });
            }
            self.advance_time();
            match self.rng.one_in(3) {
                true => self.step_keeper()?,
                false => self.step_random_client()?,
            }
        }
        let who: Vec<_> = self.clients.iter().map(|actor| actor.key).collect();
        Err(format!("these wait for ever: {who:?}"))
    }
}
