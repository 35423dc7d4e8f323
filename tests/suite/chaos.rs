//! Kills real processes at random with SIGKILL, half of the time the keeper. Every accepted item is done:
//! the test counts the items itself.
//!
//! `QDEMO_CHAOS_KILLS` is the number of kills (60). `QDEMO_CHAOS_SEED` repeats the random choices of another
//! run.
//!
//! Local: keepers are killed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::{Running, Sandbox, wait_for_end};

/// The test fails after this time without a line.
const LINE_TIMEOUT: Duration = Duration::from_secs(20);

/// The capacity of the channel of lines. A full channel makes the processes wait. Without this limit, the
/// test would never catch up with the processes on a busy machine.
const MAX_PENDING_LINES: usize = 1000;

/// The running processes, and a record of all lines that the processes have printed.
pub struct Chaos<'a> {
    sandbox: &'a Sandbox,
    pub rng: Xoshiro256PlusPlus,
    pub processes: Vec<(Kind, Running)>,
    /// Options of every consumer and producer.
    more: &'a [&'a str],
    /// The number of processes so far. The number makes the item names of each producer unique.
    started: u32,
    sender: SyncSender<String>,
    lines: Receiver<String>,
    /// The accepted items by item id, as their producers print them.
    accepted: BTreeMap<u64, String>,
    /// The id of each delivered item: no item is put twice.
    ids: BTreeMap<String, u64>,
    /// The attempts of each delivered item.
    delivered: BTreeMap<u64, BTreeSet<u64>>,
}

#[derive(Clone, Copy)]
pub enum Kind {
    Producer,
    Consumer,
    /// A consumer that runs a command for each item.
    CommandConsumer,
}

impl<'a> Chaos<'a> {
    /// Starts two producers and three consumers. `more` are options of each of them.
    pub fn start(sandbox: &'a Sandbox, more: &'a [&'a str]) -> Self {
        let seed = env_number("QDEMO_CHAOS_SEED", rand::random_range(0..1_000_000));
        eprintln!("QDEMO_CHAOS_SEED={seed}");
        let mut chaos = Self::new(sandbox, seed, more);
        for kind in
            [Kind::Producer, Kind::Producer, Kind::Consumer, Kind::Consumer, Kind::CommandConsumer]
        {
            chaos.start_process(kind);
        }
        chaos
    }

    fn new(sandbox: &'a Sandbox, seed: u64, more: &'a [&'a str]) -> Self {
        let (sender, lines) = mpsc::sync_channel(MAX_PENDING_LINES);
        let rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let (accepted, delivered, ids) = Default::default();
        let processes = Vec::new();
        Self { sandbox, rng, processes, more, started: 0, sender, lines, accepted, ids, delivered }
    }

    fn start_process(&mut self, kind: Kind) {
        self.started += 1;
        let name = format!("process {} item ", self.started);
        let keep = ["producer", "--keep-open", "--capacity", "50", "--format", "json"];
        let get = ["consumer", "--max-attempts", "0", "--format", "json"];
        let items = ["--items", "1000000000", "--item-name", &name];
        let args = match kind {
            Kind::Producer => [&keep[..], self.more, &items].concat(),
            Kind::Consumer => [&get[..], self.more].concat(),
            Kind::CommandConsumer => [&get[..], self.more, &["-j", "2", "--", "true"]].concat(),
        };
        let mut running = self.sandbox.start(&args);
        running.forward(self.sender.clone());
        self.processes.push((kind, running));
    }

    /// Records a line of a process. The last line of a killed process may be cut off.
    fn record(&mut self, line: &str) {
        let Ok(line) = serde_json::from_str::<Value>(line) else {
            return;
        };
        let id = line["id"].as_u64().unwrap();
        let item = line["item"].as_str().unwrap().to_owned();
        if line["event"] == "put" {
            let before = self.accepted.insert(id, item);
            assert!(before.is_none(), "two items have id {id}");
            return;
        }
        let attempt = line["attempt"].as_u64().unwrap();
        let new = self.delivered.entry(id).or_default().insert(attempt);
        assert!(new, "attempt {attempt} of item {id} was delivered twice");
        let first = *self.ids.entry(item.clone()).or_insert(id);
        assert_eq!(first, id, "{item} was put twice");
        if let Some(accepted) = self.accepted.get(&id) {
            assert_eq!(*accepted, item, "item {id}");
        }
    }

    /// Waits for a few lines. The next kill then hits a process in the middle of its work.
    pub fn wait_for_progress(&mut self) {
        let count = self.rng.random_range(1..60);
        for _ in 0..count {
            let Ok(line) = self.lines.recv_timeout(LINE_TIMEOUT) else {
                self.fail_without_progress();
            };
            self.record(&line);
        }
        for _ in 0..MAX_PENDING_LINES {
            let Ok(line) = self.lines.try_recv() else { return };
            self.record(&line);
        }
    }

    /// Fails because no process prints a line. Prints the outcome of each process.
    fn fail_without_progress(&mut self) -> ! {
        for (_, running) in std::mem::take(&mut self.processes) {
            running.signal(Signal::TERM);
            eprintln!("{:?}", running.end());
        }
        panic!("no process prints a line: {}", self.sandbox.status());
    }

    /// Kills the keeper or another process, with equal probability. Returns whether a process was killed.
    fn kill_one(&mut self) -> bool {
        if self.rng.random_range(0..2) == 0 {
            let keepers = self.sandbox.processes_of("qdemo keeper");
            // The keeper may already have ended.
            return keepers.iter().any(|keeper| {
                kill_process(Pid::from_raw(keeper.pid).unwrap(), Signal::KILL).is_ok()
            });
        }
        self.replace_process();
        true
    }

    /// Kills a process, and starts another one like it.
    pub fn replace_process(&mut self) {
        let at = self.rng.random_range(0..self.processes.len());
        let (kind, running) = self.processes.swap_remove(at);
        running.signal(Signal::KILL);
        running.end();
        self.start_process(kind);
    }

    /// Stops the producers and closes the queue. The consumers do the remaining items and end.
    fn finish(&mut self) {
        let processes = std::mem::take(&mut self.processes);
        drop(std::mem::replace(&mut self.sender, mpsc::sync_channel(0).0));
        let sandbox = self.sandbox;
        thread::scope(|scope| {
            let stopping = scope.spawn(|| stop_and_drain(sandbox, processes));
            // The channel ends when the last process has ended.
            while let Ok(line) = self.lines.recv() {
                self.record(&line);
            }
            stopping.join().unwrap();
        });
    }

    /// Stops the producers, closes the queue, waits for the end of the consumers, and compares the record with the
    /// queue.
    pub fn check(mut self) {
        self.finish();
        let Self { accepted, delivered, sandbox, .. } = self;
        eprintln!("{} items accepted, {} delivered", accepted.len(), delivered.len());
        for (id, item) in &accepted {
            let is_done = delivered.contains_key(id);
            assert!(is_done, "item {id}, {item}, was accepted but never delivered");
        }
        // A killed producer may leave accepted items that it did not print. Consumers have got those items too.
        let last = delivered.last_key_value().map_or(0, |(id, _)| *id);
        assert_eq!(delivered.len() as u64, last, "an item was never delivered");
        for keeper in sandbox.processes_of("qdemo keeper") {
            wait_for_end(keeper.pid);
        }
        let status = sandbox.status();
        let counts =
            ["ready", "in_flight", "failed", "done"].map(|key| status[key].as_u64().unwrap());
        assert_eq!(counts, [0, 0, 0, last], "{status}");
        sandbox.assert_nothing_left();
    }
}

fn stop_and_drain(sandbox: &Sandbox, processes: Vec<(Kind, Running)>) {
    let (producers, consumers): (Vec<_>, Vec<_>) =
        processes.into_iter().partition(|(kind, _)| matches!(kind, Kind::Producer));
    for (_, producer) in producers {
        producer.signal(Signal::TERM);
        let outcome = producer.end();
        assert_eq!(outcome.signal(), Some(15), "{}", outcome.stderr);
    }
    sandbox.run(&["close"]).assert_done();
    for (_, consumer) in consumers {
        let outcome = consumer.end();
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    }
}

fn env_number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// How many times the test makes trouble.
pub fn troubles(default: u64) -> u64 {
    env_number("QDEMO_CHAOS_KILLS", default)
}

#[test]
fn every_accepted_item_is_done_despite_random_kills() {
    let sandbox = Sandbox::new();
    let mut chaos = Chaos::start(&sandbox, &[]);
    let (kills, mut killed) = (troubles(60), 0);
    while killed < kills {
        chaos.wait_for_progress();
        killed += u64::from(chaos.kill_one());
    }
    chaos.check();
}
