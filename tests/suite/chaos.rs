//! Real processes, killed at random with SIGKILL, the keeper most of all: whatever was accepted is done,
//! by a count kept outside.
//!
//! `QDEMO_CHAOS_KILLS` says how many kills (60), `QDEMO_CHAOS_SEED` begins the same choices again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::{Running, Sandbox, wait_for_end};

/// After so long without a line something is wrong.
const STUCK: Duration = Duration::from_secs(20);

/// So many lines are on their way at most: beyond that whoever prints must wait, or this test would
/// run after them for ever on a busy machine.
const BEHIND: usize = 1000;

/// What the processes have printed, and how they are started again.
struct Town<'a> {
    sandbox: &'a Sandbox,
    dice: Xoshiro256PlusPlus,
    people: Vec<(Kind, Running)>,
    /// How many there have been: each producer's items have names of their own.
    lives: u32,
    say: SyncSender<String>,
    said: Receiver<String>,
    /// Items by number, as their producers were told.
    accepted: BTreeMap<u64, String>,
    /// The attempts in which each number was had.
    had: BTreeMap<u64, BTreeSet<u64>>,
}

#[derive(Clone, Copy)]
enum Kind {
    Producer,
    Consumer,
    /// A consumer that runs a command for each item.
    Worker,
}

impl<'a> Town<'a> {
    fn new(sandbox: &'a Sandbox, seed: u64) -> Self {
        let (say, said) = mpsc::sync_channel(BEHIND);
        let dice = Xoshiro256PlusPlus::seed_from_u64(seed);
        let (accepted, had) = (BTreeMap::new(), BTreeMap::new());
        Self { sandbox, dice, people: Vec::new(), lives: 0, say, said, accepted, had }
    }

    fn start(&mut self, kind: Kind) {
        self.lives += 1;
        let name = format!("life {} item ", self.lives);
        let keep = ["producer", "--keep-open", "--capacity", "50", "--format", "json"];
        let mut running = match kind {
            Kind::Producer => {
                let what = ["--items", "1000000000", "--item-name", &name];
                self.sandbox.start(&[&keep[..], &what].concat())
            }
            Kind::Consumer => {
                self.sandbox.start(&["consumer", "--max-attempts", "0", "--format", "json"])
            }
            Kind::Worker => {
                let args = ["consumer", "--max-attempts", "0", "--format", "json", "-j", "2"];
                self.sandbox.start(&[&args[..], &["--", "true"]].concat())
            }
        };
        running.forward(self.say.clone());
        self.people.push((kind, running));
    }

    /// Takes note of a line that somebody has printed. The last one of somebody who was killed may be
    /// cut off.
    fn note(&mut self, line: &str) {
        let Ok(line) = serde_json::from_str::<Value>(line) else {
            return;
        };
        let id = line["id"].as_u64().unwrap();
        let item = line["item"].as_str().unwrap().to_owned();
        if line["event"] == "put" {
            let before = self.accepted.insert(id, item);
            assert!(before.is_none(), "two items have number {id}");
            return;
        }
        let attempt = line["attempt"].as_u64().unwrap();
        let new = self.had.entry(id).or_default().insert(attempt);
        assert!(new, "item {id} came twice in attempt {attempt}");
        if let Some(accepted) = self.accepted.get(&id) {
            assert_eq!(*accepted, item, "number {id}");
        }
    }

    /// Waits until something has been had since, so that the next one is killed in the middle of work.
    fn let_them_work(&mut self) {
        let lines = self.dice.random_range(1..60);
        for _ in 0..lines {
            let Ok(line) = self.said.recv_timeout(STUCK) else {
                self.tell_who_has_ended();
            };
            self.note(&line);
        }
        for _ in 0..BEHIND {
            let Ok(line) = self.said.try_recv() else { return };
            self.note(&line);
        }
    }

    /// Nobody has anything to say any more.
    fn tell_who_has_ended(&mut self) -> ! {
        for (_, running) in std::mem::take(&mut self.people) {
            running.signal(Signal::TERM);
            eprintln!("{:?}", running.end());
        }
        panic!("nothing happens any more: {}", self.sandbox.status());
    }

    /// Kills somebody: every other time the keeper. Tells whether somebody was met.
    fn kill_somebody(&mut self) -> bool {
        if self.dice.random_range(0..2) == 0 {
            let keepers = self.sandbox.processes_of("qdemo keeper");
            // It may have gone by itself meanwhile.
            return keepers.iter().any(|keeper| {
                kill_process(Pid::from_raw(keeper.pid).unwrap(), Signal::KILL).is_ok()
            });
        }
        let at = self.dice.random_range(0..self.people.len());
        let (kind, running) = self.people.swap_remove(at);
        running.signal(Signal::KILL);
        running.end();
        self.start(kind);
        true
    }

    /// Everybody is told to stop, and what is there is done.
    fn come_home(mut self) -> (BTreeMap<u64, String>, BTreeMap<u64, BTreeSet<u64>>) {
        let people = std::mem::take(&mut self.people);
        drop(std::mem::replace(&mut self.say, mpsc::sync_channel(0).0));
        let sandbox = self.sandbox;
        thread::scope(|scope| {
            let home = scope.spawn(|| bring_home(sandbox, people));
            // Until nobody prints any more.
            while let Ok(line) = self.said.recv() {
                self.note(&line);
            }
            home.join().unwrap();
        });
        (self.accepted, self.had)
    }
}

fn bring_home(sandbox: &Sandbox, people: Vec<(Kind, Running)>) {
    let (producers, consumers): (Vec<_>, Vec<_>) =
        people.into_iter().partition(|(kind, _)| matches!(kind, Kind::Producer));
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

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn whoever_is_killed_every_accepted_item_is_done() {
    let kills = number("QDEMO_CHAOS_KILLS", 60);
    let seed = number("QDEMO_CHAOS_SEED", rand::random_range(0..1_000_000));
    eprintln!("QDEMO_CHAOS_SEED={seed}");
    let sandbox = Sandbox::new();
    let mut town = Town::new(&sandbox, seed);
    for kind in [Kind::Producer, Kind::Producer, Kind::Consumer, Kind::Consumer, Kind::Worker] {
        town.start(kind);
    }
    let mut killed = 0;
    while killed < kills {
        town.let_them_work();
        killed += u64::from(town.kill_somebody());
    }
    let (accepted, had) = town.come_home();
    eprintln!("{killed} kills, {} items accepted, {} had", accepted.len(), had.len());
    for (id, item) in &accepted {
        assert!(had.contains_key(id), "{item}, number {id}, was accepted, and nobody had it");
    }
    // Of what was accepted, as its producer was killed before it could say so, nothing is missing either.
    let last = had.last_key_value().map_or(0, |(id, _)| *id);
    assert_eq!(had.len() as u64, last, "every number was had");
    for keeper in sandbox.processes_of("qdemo keeper") {
        wait_for_end(keeper.pid);
    }
    let status = sandbox.status();
    let counts = ["in_line", "out", "failed", "done"].map(|key| status[key].as_u64().unwrap());
    assert_eq!(counts, [0, 0, 0, last], "{status}");
    sandbox.assert_nothing_left();
}
