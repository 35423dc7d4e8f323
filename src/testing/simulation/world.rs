//! The state of a simulation, and its steps in the order that the seed chooses.

mod faults;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::client::{Script, SimClient, hello};
use super::disk::Disk;
use super::model::SimModel;
use super::pipes::{Directory, PIPE_CAPACITY, SimHost, SimPair, SimPipe};
use crate::clock::{Epoch, ProcessBirth};
use crate::journal::Journal;
use crate::keeper::Keeper;
use crate::keeper::daemon;
use crate::keeper::persistence::{JournalRecovery, PersistedState, Persistence, RecoveredQueue};
use crate::role::Role;
use crate::wire::Request;

/// Without faults every client finishes within this many steps.
const MAX_DRAIN_STEPS: u32 = 30_000;

/// The random choices of a seed.
pub(super) struct SimRng(Xoshiro256PlusPlus);

impl SimRng {
    /// A number below `n`; `n` is not 0.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.0.random_range(0..n)
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// The faults that this seed allows.
struct Faults {
    keeper_dies: bool,
    clients_die: bool,
    disk_fills: bool,
    power_fails: bool,
    /// Consumers requeue and fail items too.
    has_rough_consumers: bool,
    has_leases: bool,
    /// The keeper stops for some steps, and clients give up waiting.
    keeper_stops: bool,
    /// The wall clock is set.
    clock_jumps: bool,
}

struct RunningKeeper {
    keeper: Keeper,
    host: SimHost,
    inbox: Vec<u8>,
    /// The origin of the keeper's time.
    epoch: Epoch,
}

pub(super) struct Simulation {
    rng: SimRng,
    faults: Faults,
    disk: Disk,
    directory: Directory,
    running_keeper: Option<RunningKeeper>,
    /// The number of keepers so far.
    generation: u64,
    clients: Vec<SimClient>,
    last_key: u64,
    model: SimModel,
    /// The boot time.
    now: u64,
    /// The wall time.
    wall: u64,
    /// The keeper is stopped for this many more steps.
    stopped_steps: u64,
    keeper_percent: u64,
    /// On average one in this many steps is a fault.
    steps_per_fault: u64,
    is_verbose: bool,
    /// The faults have stopped.
    is_fault_free: bool,
}

impl Simulation {
    pub(super) fn new(seed: u64, is_verbose: bool) -> Self {
        let mut rng = SimRng(Xoshiro256PlusPlus::seed_from_u64(seed));
        let keeper_percent = 3 + rng.below(38);
        let steps_per_fault = [15, 40, 100, 300][rng.below(4) as usize];
        let power_fails = rng.one_in(4);
        let faults = Faults {
            keeper_dies: !rng.one_in(4),
            clients_die: rng.one_in(2),
            disk_fills: rng.one_in(4),
            power_fails,
            has_rough_consumers: rng.one_in(3),
            has_leases: rng.one_in(6),
            keeper_stops: rng.one_in(4),
            clock_jumps: rng.one_in(3),
        };
        let mut simulation = Self {
            rng,
            model: SimModel::default(),
            disk: Disk::default(),
            directory: Directory::default(),
            running_keeper: None,
            generation: 0,
            clients: Vec::new(),
            last_key: 0,
            now: 1_000,
            wall: 1_000_000,
            stopped_steps: 0,
            keeper_percent,
            steps_per_fault,
            is_verbose,
            is_fault_free: false,
            faults,
        };
        simulation.model.may_redeliver = simulation.faults.clients_die
            || simulation.faults.power_fails
            || simulation.faults.keeper_stops
            || simulation.faults.has_leases
            || simulation.faults.has_rough_consumers;
        simulation.model.has_exclusive_leases = simulation.faults.has_leases
            && !(simulation.faults.clients_die
                || simulation.faults.power_fails
                || simulation.faults.has_rough_consumers)
            && !(simulation.faults.keeper_stops || simulation.faults.disk_fills);
        let keepers_live = !simulation.faults.keeper_dies && !simulation.faults.disk_fills;
        simulation.model.has_no_requeues = !simulation.model.may_redeliver && keepers_live;
        simulation.add_initial_clients();
        simulation
    }

    fn add_initial_clients(&mut self) {
        let capacity = [None, Some(0), Some(1), Some(3), Some(10)][self.rng.below(5) as usize];
        let capacity = capacity.map(u64::into);
        for _ in 0..=self.rng.below(3) {
            let (role, keep_open) = match self.rng.below(4) {
                0 => (Role::Visitor, false),
                1 => (Role::Producer, true),
                _ => (Role::Producer, false),
            };
            let waits_for_room = role != Role::Visitor || self.rng.one_in(2);
            let remaining = 1 + self.rng.below(20);
            let script = Script::Put { remaining, waits_for_room, sent: Vec::new(), answered: 0 };
            let hello = hello(role);
            let sync = self.faults.power_fails;
            self.add_client(crate::wire::Hello { capacity, keep_open, sync, ..hello }, script);
        }
        for _ in 0..=self.rng.below(3) {
            self.add_consumer();
        }
        if self.rng.one_in(4) {
            let hello = hello(Role::Visitor);
            self.add_client(hello, Script::Join);
        }
        if self.faults.has_rough_consumers {
            self.add_query(Request::Retry(None));
        }
    }

    fn add_consumer(&mut self) {
        let lease = self.faults.has_leases.then(|| 5_000 + self.rng.below(20_000));
        let hello = hello(Role::Consumer);
        let batches_left =
            if self.rng.one_in(3) && !self.is_fault_free { 1 + self.rng.below(4) } else { 9999 };
        let always_done = !self.faults.has_rough_consumers;
        let script = Script::Get {
            batches_left,
            always_done,
            in_flight: Vec::new(),
            attempting: VecDeque::new(),
            done_sent: Vec::new(),
            done_before_get: Vec::new(),
        };
        self.add_client(crate::wire::Hello { lease, max_delivery_failures: 0, ..hello }, script);
    }

    fn add_query(&mut self, request: Request) {
        let hello = hello(Role::Visitor);
        self.add_client(hello, Script::Ask(request));
    }

    fn add_client(&mut self, hello: crate::wire::Hello, script: Script) {
        self.last_key += 1;
        // All of these clients count as born before the end of the queue, which is at tick 100. Some were born
        // in the same tick, in another PID namespace or in an unknown one.
        let namespace = self.rng.below(4);
        let birth = match self.rng.below(3) {
            0 => ProcessBirth::default(),
            1 => ProcessBirth::new(99, 7).in_namespace(namespace),
            _ if namespace == 1 => ProcessBirth::new(100, 1),
            _ => ProcessBirth::new(100, 7).in_namespace(namespace),
        };
        let hello = crate::wire::Hello { birth, ..hello };
        let client = SimClient::new(self.last_key, hello, SimPair::default(), script);
        self.directory.borrow_mut().insert(client.pair_name(), client.pipes.clone());
        self.clients.push(client);
    }

    /// The disk, which sees all bytes that go to it and through the pipes.
    pub(super) fn disk(&self) -> Disk {
        self.disk.clone()
    }

    pub(super) fn run(mut self) -> Result<(), String> {
        for _ in 0..500 + self.rng.below(1500) {
            self.step()?;
        }
        self.finish_without_faults()
    }

    fn log(&self, text: impl FnOnce() -> String) {
        if self.is_verbose {
            eprintln!("{:>6} {}", self.now, text());
        }
    }

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
        if self.rng.below(100) < self.keeper_percent {
            self.step_keeper()
        } else {
            self.step_random_client()
        }
    }

    /// Runs one turn of the keeper's loop. A fault may kill the keeper in the middle.
    fn step_keeper(&mut self) -> Result<(), String> {
        if self.stopped_steps > 0 {
            self.stopped_steps -= 1;
            return Ok(());
        }
        let Some(running) = &mut self.running_keeper else {
            return Ok(());
        };
        let now = running.epoch.offset + self.now;
        let mut has_arrivals = false;
        for (client, is_dead) in running.host.clients() {
            let limit = if is_dead {
                PIPE_CAPACITY
            } else {
                1 + self.rng.below(PIPE_CAPACITY as u64) as usize
            };
            let bytes = running.host.take_requests(client, limit);
            has_arrivals |= is_dead || !bytes.is_empty();
            if let Some(buffer) = running.keeper.read_buffer(client).filter(|_| !bytes.is_empty()) {
                buffer.extend_from_slice(&bytes);
                running.keeper.receive(now, client, bytes.len(), &mut running.host);
            }
            if is_dead {
                running.host.remove_client(client);
                running.keeper.client_died(now, client, &mut running.host);
            }
        }
        let announcements = std::mem::take(&mut running.inbox);
        has_arrivals |= !announcements.is_empty();
        running.keeper.receive_announcements(now, &announcements, &mut running.host);
        let result = daemon::process_and_commit(&mut running.keeper, &mut running.host, now);
        let killed = running.host.is_killed();
        if killed || result.is_err() {
            let how = if killed { "is killed in the middle" } else { "cannot write" };
            self.log(|| format!("the keeper {how}"));
            self.disk.kill_after(None);
            self.running_keeper = None;
            return Ok(());
        }
        if has_arrivals {
            self.model.check(running.keeper.queue())?;
        }
        let is_told_to_exit =
            self.faults.keeper_dies && !self.is_fault_free && self.rng.one_in(200);
        if is_told_to_exit || running.host.has_no_clients() {
            let result = running.host.persistence.finalize_journal(&running.keeper);
            self.log(|| format!("the keeper exits: {result:?}"));
            self.running_keeper = None;
        }
        Ok(())
    }

    /// A client without a keeper starts one.
    fn start_keeper(&mut self) -> Result<(), String> {
        let RecoveredQueue { persisted_state: mut state, queue, clients } = self.recover()?;
        self.model.check(&queue)?;
        let journal = Journal::recover(self.disk.clone(), &self.disk.journal(), |_| {});
        let (journal, damaged_lines) = match journal {
            Err(_) => return Ok(()),
            Ok(journal) => journal.ok_or("the journal is invalid")?,
        };
        if !damaged_lines.is_empty() {
            return Err(format!("the journal is damaged in lines {damaged_lines:?}"));
        }
        let mut keeper = Keeper::new(queue, None, None);
        let boot = "this uptime".to_owned();
        let epoch = Epoch::resume_with(state.epoch.as_ref(), boot, self.now, self.wall);
        state.epoch = Some(epoch.clone());
        let persistence = Persistence::new(state, journal);
        let mut host = SimHost::new(persistence, Rc::clone(&self.directory), self.disk.clone());
        keeper.adopt_clients(clients, &mut host).map_err(|error| error.to_string())?;
        self.generation += 1;
        self.log(|| format!("keeper {} starts", self.generation));
        self.stopped_steps = 0;
        self.running_keeper = Some(RunningKeeper { keeper, host, inbox: Vec::new(), epoch });
        Ok(())
    }

    /// The queue that the journal restores.
    fn recover(&self) -> Result<RecoveredQueue, String> {
        let mut recovery = JournalRecovery::new(PersistedState::default());
        let journal = self.disk.journal();
        Journal::recover(Disk::default(), &journal, |record| recovery.apply_record(record)).ok();
        Ok(recovery.finish())
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
        let has_lost_keeper =
            self.clients[at].keeper != Some(self.generation) || self.running_keeper.is_none();
        if has_lost_keeper {
            self.find_keeper(at)?;
        } else {
            match self.rng.below(4) {
                0 if self.clients[at].is_welcomed => {
                    self.clients[at].send_next(self.now, &mut self.rng, &mut self.model);
                }
                0..=2 => self.write(at),
                _ => self.read(at, false)?,
            }
        }
        if self.clients[at].has_left {
            let client = self.clients.swap_remove(at);
            self.log(|| format!("{} has finished", client.key));
            client.pipes.close();
        }
        Ok(())
    }

    /// The step of a client without a keeper: starts a keeper if there is none, and connects or resumes.
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
        // A client may write its first requests before it announces itself.
        let writes_early = self.clients[at].keeper.is_none() && self.rng.one_in(3);
        let client = &mut self.clients[at];
        if client.may_be_known {
            client.is_welcomed = false;
            client.resume();
            client.pipes.requests = Rc::new(RefCell::new(SimPipe::default()));
        } else if client.keeper.is_some() {
            client.pipes.close();
            self.last_key += 1;
            client.restart_as_new(self.last_key);
        } else if writes_early {
            client.may_be_known = true;
            client.send_next(self.now, &mut self.rng, &mut self.model);
        }
        client.keeper = Some(self.generation);
        let (name, pipes) = (client.pair_name(), client.pipes.clone());
        self.directory.borrow_mut().insert(name, pipes);
        self.write(at);
        self.announce(at);
        Ok(())
    }

    /// Writes the announcement to the inbox. The keeper reads the inbox often, so it has room.
    fn announce(&mut self, at: usize) {
        let announcement = self.clients[at].session.announcement();
        if let Some(running) = &mut self.running_keeper {
            running.inbox.extend_from_slice(&announcement);
            self.disk.note(b"inbox", &announcement);
        }
    }

    /// Does one write, as far as the pipe has room.
    fn write(&mut self, at: usize) {
        let client = &mut self.clients[at];
        let mut requests = client.pipes.requests.borrow_mut();
        let written = client.session.unsent().take(requests.room());
        requests.bytes.extend_from_slice(&written);
        if !written.is_empty() {
            self.disk.note(b"requests", &written);
        }
        if self.is_verbose {
            let text = String::from_utf8_lossy(&written).trim().replace('\n', " | ");
            eprintln!("{:>6} {} writes {text}", self.now, client.key);
        }
    }

    /// Reads some bytes of the mailbox, or all.
    fn read(&mut self, at: usize, all: bool) -> Result<(), String> {
        let client = &mut self.clients[at];
        let bytes: Vec<u8> = {
            let mut pipe = client.pipes.mailbox.borrow_mut();
            let unread = pipe.bytes.len();
            let count = if all { unread } else { self.rng.below(unread as u64 + 1) as usize };
            pipe.bytes.drain(..count).collect()
        };
        self.disk.note(client.pair_name().as_bytes(), &bytes);
        client.session.feed(&bytes);
        if client.session.take_welcome().is_some() {
            (client.is_welcomed, client.may_be_known) = (true, true);
        }
        while let Some(reply) = client.session.next() {
            let reply = reply.map_err(|error| format!("{}: {error}", client.key))?;
            if self.is_verbose {
                eprintln!("{:>6} {} reads {reply:?}", self.now, client.key);
            }
            client.handle_reply(self.now, reply, &mut self.model)?;
        }
        Ok(())
    }

    /// Runs without faults until every client has finished and every item is done or failed.
    fn finish_without_faults(&mut self) -> Result<(), String> {
        self.log(|| "the faults stop".to_owned());
        self.is_fault_free = true;
        self.stopped_steps = 0;
        self.disk.set_free_bytes(None);
        self.disk.kill_after(None);
        if let Some(running) = &mut self.running_keeper {
            running.host.kill_after = None;
        }
        self.clients.iter_mut().for_each(|client| client.is_stopped = false);
        self.add_consumer();
        let mut is_closing = false;
        for _ in 0..MAX_DRAIN_STEPS {
            if self.clients.is_empty() && self.running_keeper.is_none() {
                let RecoveredQueue { queue, .. } = self.recover()?;
                if queue.counts().ready == 0 {
                    return self.model.check_drained(&queue);
                }
            }
            if !self.clients.iter().any(SimClient::is_consumer) {
                // A new consumer gets the items that were put after the end.
                is_closing = false;
                self.add_consumer();
                self.clients.iter_mut().for_each(|client| {
                    client.set_late_birth(ProcessBirth::new(200, 1).in_namespace(2))
                });
            }
            if !is_closing && self.clients.iter().all(SimClient::is_consumer) {
                // The consumers get no more items, and wait for the end of the queue.
                is_closing = true;
                self.add_query(Request::Close { now: false });
            }
            self.advance_time();
            if self.rng.one_in(3) {
                self.step_keeper()?;
            } else {
                self.step_random_client()?;
            }
        }
        let keys: Vec<_> = self.clients.iter().map(|client| client.key).collect();
        Err(format!("these clients wait for ever: {keys:?}"))
    }
}
