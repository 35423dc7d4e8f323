//! Who does what when: one step after another, as the seed has it.

use std::cell::RefCell;
use std::rc::Rc;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use super::actor::{Actor, Script, hello};
use super::disk::Disk;
use super::ledger::Ledger;
use super::pipes::{CAPACITY, Mailboxes, Office, Open, Pipe};
use crate::clock::{Epoch, Stamp};
use crate::journal::Journal;
use crate::keeper::notes::{Left, Memory, Notes, Past};
use crate::keeper::{Keeper, Plan, shared};
use crate::queue::Role;

/// After so many steps without a fault everybody must be home.
const ENOUGH: u32 = 30_000;

/// Chance.
pub(super) struct Dice(Xoshiro256PlusPlus);

impl Dice {
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
    roughly: bool,
    lease: bool,
    /// The keeper is stopped for a while, and clients give up waiting for it.
    keeper_stops: bool,
    /// Somebody sets the wall's clock.
    clock_jumps: bool,
}

/// A keeper that lives.
struct Life {
    keeper: Keeper,
    office: Office,
    inbox: Vec<u8>,
    /// By which time it counts.
    epoch: Epoch,
}

/// Everything.
pub(super) struct World {
    dice: Dice,
    faults: Faults,
    disk: Disk,
    mailboxes: Mailboxes,
    life: Option<Life>,
    /// How many keepers there have been.
    generation: u64,
    actors: Vec<Actor>,
    names: u64,
    ledger: Ledger,
    /// The machine's boot clock.
    now: u64,
    /// The wall's clock.
    wall: u64,
    /// The keeper is stopped for so many steps.
    stopped: u64,
    /// How many of a hundred steps are the keeper's.
    diligence: u64,
    /// One in so many steps is a misfortune.
    calm: u64,
    tells: bool,
    /// Nothing goes wrong any more.
    settled: bool,
}

impl World {
    pub(super) fn new(seed: u64, tells: bool) -> Self {
        let mut dice = Dice(Xoshiro256PlusPlus::seed_from_u64(seed));
        let diligence = 3 + dice.below(38);
        let calm = [15, 40, 100, 300][dice.below(4) as usize];
        let power_fails = dice.one_in(4);
        let faults = Faults {
            keeper_dies: !dice.one_in(4),
            clients_die: dice.one_in(2),
            disk_fills: dice.one_in(4),
            power_fails,
            roughly: dice.one_in(3),
            lease: dice.one_in(6),
            keeper_stops: dice.one_in(4),
            clock_jumps: dice.one_in(3),
        };
        let mut world = Self {
            dice,
            ledger: Ledger::default(),
            disk: Disk::default(),
            mailboxes: Mailboxes::default(),
            life: None,
            generation: 0,
            actors: Vec::new(),
            names: 0,
            now: 1_000,
            wall: 1_000_000,
            stopped: 0,
            diligence,
            calm,
            tells,
            settled: false,
            faults,
        };
        world.ledger.repeats = world.faults.clients_die
            || world.faults.power_fails
            || world.faults.keeper_stops
            || world.faults.lease
            || world.faults.roughly;
        world.ledger.leases_hold = world.faults.lease
            && !(world.faults.clients_die || world.faults.power_fails || world.faults.roughly)
            && !(world.faults.keeper_stops || world.faults.disk_fills);
        let keepers_live = !world.faults.keeper_dies && !world.faults.disk_fills;
        world.ledger.nothing_returns = !world.ledger.repeats && keepers_live;
        world.people();
        world
    }

    /// Who is there at first.
    fn people(&mut self) {
        let capacity = [None, Some(0), Some(1), Some(3), Some(10)][self.dice.below(5) as usize];
        for _ in 0..=self.dice.below(3) {
            let (role, keep_open) = match self.dice.below(4) {
                0 => (Role::Visitor, false),
                1 => (Role::Producer, true),
                _ => (Role::Producer, false),
            };
            let patient = role != Role::Visitor || self.dice.one_in(2);
            let left = 1 + self.dice.below(20);
            let script = Script::Put { left, patient, sent: Vec::new(), answered: 0 };
            let hello = hello(self.names + 1, role);
            let sync = self.faults.power_fails;
            self.add(crate::wire::Hello { capacity, keep_open, sync, ..hello }, script);
        }
        for _ in 0..=self.dice.below(3) {
            self.consumer();
        }
        if self.dice.one_in(4) {
            let hello = hello(self.names + 1, Role::Visitor);
            self.add(hello, Script::Join);
        }
        if self.faults.roughly {
            self.ask("retry", Some("0"));
        }
    }

    fn consumer(&mut self) {
        let lease = self.faults.lease.then(|| 5_000 + self.dice.below(20_000));
        let hello = hello(self.names + 1, Role::Consumer);
        let runs = if self.dice.one_in(3) && !self.settled { 1 + self.dice.below(4) } else { 9999 };
        let gently = !self.faults.roughly;
        let (held, trying, said, before) = Default::default();
        let script = Script::Get { runs, gently, held, trying, said, before };
        self.add(crate::wire::Hello { lease, max_attempts: 0, ..hello }, script);
    }

    fn ask(&mut self, verb: &'static str, what: Option<&'static str>) {
        let hello = hello(self.names + 1, Role::Visitor);
        self.add(hello, Script::Ask { verb, what });
    }

    fn add(&mut self, hello: crate::wire::Hello, script: Script) {
        self.names += 1;
        // All of these count as there before the end, which is at tick 100: some are of another PID
        // namespace, or of none that is known, and were made in the same tick.
        let namespace = self.dice.below(4);
        let born = match self.dice.below(3) {
            0 => Stamp::default(),
            1 => Stamp::new(99, 7).in_namespace(namespace),
            _ if namespace == 1 => Stamp::new(100, 1),
            _ => Stamp::new(100, 7).in_namespace(namespace),
        };
        let hello = crate::wire::Hello { born, ..hello };
        let actor = Actor::new(self.names, hello, Open::default(), script);
        self.mailboxes.borrow_mut().insert(actor.mailbox_name(), Rc::clone(&actor.mailbox));
        self.actors.push(actor);
    }

    /// The disk, which sees all that goes to it and through the pipes.
    pub(super) fn disk(&self) -> Disk {
        self.disk.clone()
    }

    /// All of it.
    pub(super) fn run(mut self) -> Result<(), String> {
        for _ in 0..500 + self.dice.below(1500) {
            self.step()?;
        }
        self.settle()
    }

    fn tell(&self, what: impl FnOnce() -> String) {
        if self.tells {
            eprintln!("{:>6} {}", self.now, what());
        }
    }

    /// Time goes on.
    fn pass(&mut self) {
        let time = self.dice.below(50);
        self.now += time;
        self.wall = self.wall.saturating_add(time);
    }

    fn step(&mut self) -> Result<(), String> {
        self.pass();
        if self.dice.one_in(self.calm) {
            return self.misfortune();
        }
        match self.dice.below(100) < self.diligence {
            true => self.keeper(),
            false => self.somebody(),
        }
    }

    fn misfortune(&mut self) -> Result<(), String> {
        let somebody = match self.actors.len() as u64 {
            0 => return Ok(()),
            count => self.dice.below(count) as usize,
        };
        match self.dice.below(11) {
            0 | 1 if self.faults.keeper_dies => self.kill_keeper(),
            2 if self.faults.clients_die => self.kill(somebody),
            3 if self.faults.clients_die && self.actors.len() < 8 => self.consumer(),
            4 | 5 => {
                let stopped = self.actors[somebody].stopped;
                self.actors[somebody].stopped = !stopped && self.dice.one_in(4);
            }
            6 if self.faults.disk_fills => {
                let room = self.dice.below(300) as usize;
                let room = (!self.dice.one_in(2)).then_some(room);
                self.tell(|| format!("the disk has room for {room:?}"));
                self.disk.limit(room);
            }
            7 if self.faults.power_fails && self.dice.one_in(3) => self.lose_power(),
            8 if self.faults.keeper_stops => {
                self.stopped = self.dice.below(100);
                self.tell(|| format!("the keeper is stopped for {} steps", self.stopped));
            }
            9 if self.faults.keeper_stops && self.stopped > 0 => self.give_up(somebody),
            10 if self.faults.clock_jumps => {
                self.wall = self.dice.below(10_000_000);
                self.tell(|| format!("the wall's clock is set to {}", self.wall));
            }
            _ => {}
        }
        Ok(())
    }

    /// At once, or when it has written or sent so many bytes more.
    fn kill_keeper(&mut self) {
        let (how, bytes) = (self.dice.below(3), self.dice.below(300) as usize);
        match (&mut self.life, how) {
            (Some(_), 0) => self.disk.kill_after(Some(bytes)),
            (Some(life), 1) => life.office.dies_after = Some(bytes),
            _ => {
                self.tell(|| "the keeper is killed".to_owned());
                self.disk.kill_after(None);
                self.life = None;
            }
        }
    }

    fn kill(&mut self, at: usize) {
        let actor = self.actors.swap_remove(at);
        self.tell(|| format!("{} is killed", actor.name));
        actor.mailbox.borrow_mut().dead = true;
    }

    /// This client's patience with the keeper is over: it says so, and leaves without an answer.
    fn give_up(&mut self, at: usize) {
        let mut actor = self.actors.swap_remove(at);
        self.tell(|| format!("{} gives up", actor.name));
        actor.session.cancel();
        actor.session.ask("bye", None);
        actor.session.close_write();
        self.actors.push(actor);
        let at = self.actors.len() - 1;
        for _ in 0..3 {
            self.write(at);
        }
        self.kill(at);
    }

    /// The machine goes down, and everybody with it.
    fn lose_power(&mut self) {
        self.tell(|| "power fails".to_owned());
        self.disk.kill_after(None);
        self.life = None;
        while !self.actors.is_empty() {
            self.kill(0);
        }
        self.mailboxes.borrow_mut().clear();
        let dice = &mut self.dice;
        self.disk.lose_power(|loose| dice.below(loose as u64 + 1) as usize);
        self.people();
    }

    /// The keeper does a turn of its loop, or dies in the middle of it.
    fn keeper(&mut self) -> Result<(), String> {
        if self.stopped > 0 {
            self.stopped -= 1;
            return Ok(());
        }
        let Some(life) = &mut self.life else {
            return Ok(());
        };
        let now = life.epoch.at(self.now);
        let dead = life.office.dead();
        let most =
            if dead.is_empty() { 1 + self.dice.below(CAPACITY as u64) as usize } else { CAPACITY };
        let bytes: Vec<u8> = life.inbox.drain(..most.min(life.inbox.len())).collect();
        let came = !bytes.is_empty() || !dead.is_empty();
        life.keeper.receive(now, &bytes, &mut life.office);
        for client in dead {
            life.office.bury(client);
            life.keeper.died(now, client, &mut life.office);
        }
        let turned = shared::turn(&mut life.keeper, &mut life.office, now);
        let killed = life.office.is_dead();
        if killed || turned.is_err() {
            let how = if killed { "is killed in the middle" } else { "cannot write" };
            self.tell(|| format!("the keeper {how}"));
            self.disk.kill_after(None);
            self.life = None;
            return Ok(());
        }
        if came {
            self.ledger.check(life.keeper.queue())?;
        }
        let told = self.faults.keeper_dies && !self.settled && self.dice.one_in(200);
        if told || (life.office.is_quiet() && life.inbox.is_empty()) {
            let left = life.office.notes.leave(&life.keeper);
            self.tell(|| format!("the keeper goes: {left:?}"));
            self.life = None;
        }
        Ok(())
    }

    /// Somebody finds no keeper, and starts one.
    fn start(&mut self) -> Result<(), String> {
        let Left { mut memory, queue, clients } = self.left()?;
        self.ledger.check(&queue)?;
        let journal = Journal::recover(self.disk.clone(), &self.disk.journal(), |_| {});
        let (journal, recovered) = match journal {
            Err(_) => return Ok(()),
            Ok(journal) => journal.ok_or("the journal is not one")?,
        };
        if !recovered.damaged.is_empty() {
            return Err(format!("the journal is damaged: {recovered:?}"));
        }
        let mut keeper = Keeper::new(Plan { queue, workers: None, pacer: None });
        let epoch = memory.resume("this uptime", self.now, self.wall);
        let notes = Notes::new(memory, journal);
        let mut office = Office::new(notes, Rc::clone(&self.mailboxes), self.disk.clone());
        keeper.take_over(clients, &mut office).map_err(|error| error.to_string())?;
        self.generation += 1;
        self.tell(|| format!("keeper {} starts", self.generation));
        self.stopped = 0;
        self.life = Some(Life { keeper, office, inbox: Vec::new(), epoch });
        Ok(())
    }

    /// What the disk tells of the queue.
    fn left(&self) -> Result<Left, String> {
        let mut past = Past::new(Memory::default());
        let journal = self.disk.journal();
        Journal::recover(Disk::default(), &journal, |fact| past.take(fact)).ok();
        Ok(past.finish())
    }

    fn somebody(&mut self) -> Result<(), String> {
        if self.actors.is_empty() {
            return Ok(());
        }
        let at = self.dice.below(self.actors.len() as u64) as usize;
        if self.actors[at].stopped {
            return Ok(());
        }
        self.act(at)
    }

    fn act(&mut self, at: usize) -> Result<(), String> {
        let lost = self.actors[at].keeper != Some(self.generation) || self.life.is_none();
        if lost {
            self.find_keeper(at)?;
        } else {
            match self.dice.below(4) {
                0 => self.actors[at].go_on(self.now, &mut self.dice, &mut self.ledger),
                1 | 2 => self.write(at),
                _ => self.read(at, false)?,
            }
        }
        if self.actors[at].home {
            let actor = self.actors.swap_remove(at);
            self.tell(|| format!("{} is home", actor.name));
            actor.mailbox.borrow_mut().dead = true;
        }
        Ok(())
    }

    /// As a client does whose keeper is gone, or that has none yet.
    fn find_keeper(&mut self, at: usize) -> Result<(), String> {
        self.read(at, true)?;
        if self.actors[at].home {
            return Ok(());
        }
        if self.life.is_none() {
            self.start()?;
        }
        if self.life.is_none() {
            return Ok(());
        }
        let actor = &mut self.actors[at];
        if actor.known {
            actor.welcomed = false;
            actor.session.resume().map_err(|error| error.to_string())?;
        } else if actor.keeper.is_some() {
            actor.mailbox.borrow_mut().dead = true;
            self.names += 1;
            actor.begin_anew(self.names, Rc::new(RefCell::new(Pipe::default())));
            let name = actor.mailbox_name();
            self.mailboxes.borrow_mut().insert(name, Rc::clone(&actor.mailbox));
        }
        actor.keeper = Some(self.generation);
        self.write(at);
        Ok(())
    }

    /// One write, if there is room for it.
    fn write(&mut self, at: usize) {
        let actor = &mut self.actors[at];
        let Some(life) = &mut self.life else {
            return;
        };
        let fits = |write: &&[u8]| life.inbox.len() + write.len() <= CAPACITY;
        if let Some(write) = actor.session.next_write().filter(fits) {
            life.inbox.extend_from_slice(write);
            self.disk.note(b"inbox", write);
            if self.tells {
                let text = String::from_utf8_lossy(write).trim().replace('\n', " | ");
                eprintln!("{:>6} {} writes {text}", self.now, actor.name);
            }
            actor.session.written();
        }
    }

    /// Reads some of what there is to read, or all.
    fn read(&mut self, at: usize, all: bool) -> Result<(), String> {
        let actor = &mut self.actors[at];
        let bytes: Vec<u8> = {
            let mut pipe = actor.mailbox.borrow_mut();
            let there = pipe.bytes.len();
            let count = if all { there } else { self.dice.below(there as u64 + 1) as usize };
            pipe.bytes.drain(..count).collect()
        };
        self.disk.note(actor.mailbox_name().as_bytes(), &bytes);
        actor.session.feed(&bytes);
        if actor.session.take_welcome().is_some() {
            (actor.welcomed, actor.known) = (true, true);
        }
        while let Some(reply) = actor.session.next() {
            let reply = reply.map_err(|error| format!("{}: {error}", actor.name))?;
            if self.tells {
                eprintln!("{:>6} {} hears {reply:?}", self.now, actor.name);
            }
            actor.hear(self.now, reply, &mut self.ledger)?;
        }
        Ok(())
    }

    /// Nothing goes wrong any more: everybody comes home, and nothing is left undone.
    fn settle(&mut self) -> Result<(), String> {
        self.tell(|| "now all is well".to_owned());
        self.settled = true;
        self.stopped = 0;
        self.disk.limit(None);
        self.disk.kill_after(None);
        if let Some(life) = &mut self.life {
            life.office.dies_after = None;
        }
        self.actors.iter_mut().for_each(|actor| actor.stopped = false);
        self.consumer();
        let mut closing = false;
        for _ in 0..ENOUGH {
            if self.actors.is_empty() && self.life.is_none() {
                let Left { queue, .. } = self.left()?;
                if queue.census().in_line == 0 {
                    return self.ledger.check_end(&queue);
                }
            }
            if !self.actors.iter().any(Actor::consumes) {
                // Whatever was put after the end: somebody comes for that.
                closing = false;
                self.consumer();
                self.actors
                    .iter_mut()
                    .for_each(|actor| actor.came_late(Stamp::new(200, 1).in_namespace(2)));
            }
            if !closing && self.actors.iter().all(Actor::consumes) {
                // They have nothing more to come, and wait to be told.
                closing = true;
                self.ask("close", None);
            }
            self.pass();
            match self.dice.one_in(3) {
                true => self.keeper()?,
                false => self.somebody()?,
            }
        }
        let who: Vec<_> = self.actors.iter().map(|actor| actor.name).collect();
        Err(format!("these wait for ever: {who:?}"))
    }
}
