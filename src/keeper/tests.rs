//! The whole keeper without a process: clients that live in this file, time that only moves when it
//! is told to.

use proptest::prelude::*;

use super::Speed;
use super::*;
use crate::clock::Stamp;
use crate::os::Death;
use crate::wire::ReplyReader;

/// Mailboxes that are vectors, and a list of what happened.
#[derive(Default)]
pub(super) struct Paper {
    mail: BTreeMap<ClientId, Vec<u8>>,
    opened: Vec<String>,
    pub(super) closed: Vec<ClientId>,
    journal: Vec<u8>,
    /// When, what, by which worker, to which item.
    events: Vec<(Nanos, &'static str, Option<Worker>, u64)>,
}

impl Host for Paper {
    fn open(&mut self, client: ClientId, mailbox: &str) -> io::Result<()> {
        self.mail.insert(client, Vec::new());
        self.opened.push(mailbox.to_owned());
        Ok(())
    }

    fn find(&mut self, client: ClientId, mailbox: &str) -> io::Result<bool> {
        self.open(client, mailbox).map(|()| true)
    }

    fn resume(&mut self, _: ClientId) {}

    fn turn_away(&mut self, _: &str, _: &[u8]) {}

    fn mail(&mut self, client: ClientId) -> Option<&mut Vec<u8>> {
        self.mail.get_mut(&client)
    }

    fn close(&mut self, client: ClientId) {
        self.closed.push(client);
    }

    fn end(&mut self) -> io::Result<Stamp> {
        Ok(Stamp::new(100, 1))
    }

    fn record(&mut self, fact: &Fact<'_>) {
        fact.write(&mut self.journal);
    }

    fn event(&mut self, event: Event<'_>) {
        let alone =
            |what, waited: Option<Nanos>| (event.at, what, event.worker, waited.unwrap_or(0));
        let (what, run) = match event.what {
            What::Put(run, _) => ("put", run),
            What::Get(run, _) => ("get", run),
            What::Done(run) => ("done", run),
            What::Back(run) => ("back", run),
            // For how long it had waited in vain.
            What::Died(_, waited) => return self.events.push(alone("died", waited)),
            What::Left(waited) => return self.events.push(alone("left", waited)),
        };
        for (id, _) in run.items() {
            self.events.push((event.at, what, event.worker, id));
        }
    }
}

/// A keeper of a stand-alone queue, and what it says.
pub(super) struct Desk {
    pub(super) keeper: Keeper,
    pub(super) paper: Paper,
}

const A: &str = "00000000000000a1";
const C: &str = "00000000000000c1";
const D: &str = "00000000000000d1";

impl Desk {
    pub(super) fn new() -> Self {
        let plan = Plan { queue: Queue::new(Remains::default(), true), workers: None, pacer: None };
        Self { keeper: Keeper::new(plan), paper: Paper::default() }
    }

    /// Writes to the inbox, and lets the keeper answer.
    pub(super) fn say(&mut self, text: &str) {
        self.keeper.receive(0, format!("\n\n{text}\n").as_bytes(), &mut self.paper);
        self.keeper.turn(0, &mut self.paper).unwrap();
    }

    /// What a client finds in its mailbox.
    pub(super) fn heard(&mut self, client: ClientId) -> String {
        let mail = self.paper.mail.get_mut(&client).map(std::mem::take).unwrap_or_default();
        String::from_utf8(mail).unwrap().trim_end().to_owned()
    }

    fn come(&mut self, key: &str, role: &str) {
        self.come_with(key, role, r#""born":{"tick":200,"pid":5}"#);
    }

    pub(super) fn come_with(&mut self, key: &str, role: &str, more: &str) {
        self.say(&format!(r#"hello {key} {{"version":1,"role":"{role}","pid":5,{more}}}"#));
    }
}

#[test]
fn a_client_is_welcomed_in_the_mailbox_that_bears_its_name() {
    let mut desk = Desk::new();
    desk.come(A, "producer");
    assert_eq!(desk.paper.opened, ["mailbox.5.00000000000000a1"]);
    assert_eq!(desk.heard(0), r#"welcome {"version":1,"paced":false,"window":65536}"#);
    desk.come(A, "producer");
    assert_eq!(desk.paper.opened.len(), 1, "whoever is there already cannot come again");
}

#[test]
fn nobody_can_speak_with_a_number_that_nobody_here_has() {
    let mut desk = Desk::new();
    desk.come(A, "producer");
    desk.say(&format!("put {A} 1 1\n1"));
    desk.heard(0);
    for words in [format!("put {C} 1 1\n2"), format!("get {C} 1"), format!("bye {C}")] {
        desk.say(&words);
    }
    assert_eq!(desk.heard(0), "");
    assert_eq!(desk.keeper.census().in_line, 1);
}

#[test]
fn what_a_client_put_before_it_left_in_the_same_breath_is_in_the_queue() {
    let mut desk = Desk::new();
    desk.come(A, "producer");
    desk.heard(0);
    desk.say(&format!("put {A} 2 2\n1\n2\nbye {A}"));
    assert_eq!(desk.heard(0), "ok 2 2 65536\nbye 2 0");
    assert_eq!(desk.paper.closed, [0]);
}

#[test]
fn the_parts_of_a_client_that_dies_are_discarded() {
    let mut desk = Desk::new();
    desk.come(A, "producer");
    desk.say(&format!("part {A}\n[1,"));
    desk.keeper.died(0, 0, &mut desk.paper);
    desk.come(A, "producer");
    desk.say(&format!("put {A} 1 1\n2]"));
    desk.come(C, "consumer");
    desk.say(&format!("get {C} 1"));
    assert!(desk.heard(2).ends_with("run 1 1 1\n2]"));
}

#[test]
fn a_consumer_that_dies_gives_back_what_it_had() {
    let mut desk = Desk::new();
    desk.come(A, "producer");
    desk.come(C, "consumer");
    desk.come(D, "consumer");
    desk.say(&format!("put {A} 1 1\n\"x\""));
    desk.say(&format!("get {C} 1"));
    desk.say(&format!("get {D} 1"));
    desk.heard(2);
    desk.keeper.died(0, 1, &mut desk.paper);
    desk.keeper.turn(0, &mut desk.paper).unwrap();
    assert_eq!(desk.heard(2), "run 1 1 2\n\"x\"");
}

const PRODUCER: Worker = Worker { role: Role::Producer, number: 1 };
const CONSUMER: Worker = Worker { role: Role::Consumer, number: 1 };
const KILLED: Option<Death> = Some(Death::Signal(9));

impl Desk {
    /// The keeper of a run with one producer and one consumer.
    fn of_run(capacity: u64, speed: Option<Speed>) -> Self {
        let workers = BTreeSet::from([PRODUCER, CONSUMER]);
        let capacity = Some(std::num::NonZeroU64::new(capacity));
        let plan = Plan {
            queue: Queue::new(Remains { capacity, ..Remains::default() }, false),
            pacer: speed.map(|speed| Pacer::new(speed, workers.iter().copied())),
            workers: Some(workers),
        };
        Self { keeper: Keeper::new(plan), paper: Paper::default() }
    }

    fn worker_comes(&mut self, key: &str, worker: Worker) {
        let role = serde_json::to_string(&worker.role).unwrap();
        self.say(&format!(r#"hello {key} {{"version":1,"role":{role},"pid":5,"worker":1}}"#));
    }

    /// Both signs of a death: the end of the mailbox, and that of the process.
    fn worker_dies(&mut self, client: ClientId, worker: Worker) {
        self.keeper.died(0, client, &mut self.paper);
        self.keeper.worker_gone(0, worker, KILLED, &mut self.paper);
        self.keeper.turn(0, &mut self.paper).unwrap();
    }

    /// What happened since the last time.
    fn happened(&mut self) -> Vec<(&'static str, u64)> {
        self.paper.events.drain(..).map(|(_, what, _, id)| (what, id)).collect()
    }
}

#[test]
fn of_the_dead_and_of_those_who_leave_it_is_told_for_how_long_they_had_waited_in_vain() {
    let mut desk = Desk::of_run(1, None);
    desk.worker_comes(A, PRODUCER);
    desk.worker_comes(C, CONSUMER);
    desk.say(&format!("put {A} 2 2\n1\n2"));
    desk.keeper.worker_gone(7, PRODUCER, KILLED, &mut desk.paper);
    assert_eq!(desk.happened(), [("put", 1), ("died", 7)], "there was no room for the second one");
    desk.say(&format!("get {C} 1"));
    desk.say(&format!("done {C} 1 1\n\nget {C} 1"));
    desk.keeper.receive(9, format!("\n\nbye {C}\n").as_bytes(), &mut desk.paper);
    assert_eq!(desk.happened(), [("get", 1), ("done", 1), ("left", 9)]);
}

#[test]
fn a_run_does_not_end_while_its_last_producer_is_to_come_again() {
    let mut desk = Desk::of_run(0, None);
    desk.worker_comes(A, PRODUCER);
    desk.worker_comes(C, CONSUMER);
    desk.say(&format!("put {A} 1 1\n1"));
    desk.say(&format!("get {C} 1"));
    desk.worker_dies(0, PRODUCER);
    assert_eq!(desk.happened(), [("put", 1), ("get", 1), ("died", 0)]);
    desk.heard(1);
    desk.say(&format!("done {C} 1 1\n\nget {C} 1"));
    assert_eq!(desk.heard(1), "", "not the end");
    desk.worker_comes(D, PRODUCER);
    assert!(desk.heard(2).starts_with("welcome"));
    desk.say(&format!("put {D} 1 1\n2\n\nbye {D}"));
    assert_eq!(desk.heard(1), "run 2 1 1\n2");
    desk.say(&format!("done {C} 2 1\n\nget {C} 1"));
    assert_eq!(desk.heard(1), "ended");
}

#[test]
fn a_run_ends_when_its_last_producer_is_given_up() {
    for has_come in [true, false] {
        let mut desk = Desk::of_run(0, None);
        desk.worker_comes(C, CONSUMER);
        if has_come {
            desk.worker_comes(A, PRODUCER);
        }
        desk.say(&format!("get {C} 1"));
        desk.heard(0);
        desk.worker_dies(1, PRODUCER);
        assert_eq!(desk.heard(0), "");
        desk.keeper.will_not_come(PRODUCER);
        desk.keeper.turn(0, &mut desk.paper).unwrap();
        assert_eq!(desk.heard(0), "ended");
        assert!(!desk.keeper.expects(PRODUCER) && desk.keeper.expects(CONSUMER));
    }
}

#[test]
fn what_a_dead_producer_had_no_room_for_is_for_the_next_one_to_put() {
    for speed in [None, Some(Speed::Max)] {
        let mut desk = Desk::of_run(1, speed);
        desk.worker_comes(A, PRODUCER);
        desk.worker_comes(C, CONSUMER);
        desk.say(&format!("get {C} 1"));
        desk.say(&format!("put {A} 1 1\n1"));
        desk.say(&format!("sleep {C} 9"));
        desk.say(&format!("put {A} 2 1\n2"));
        desk.say(&format!("put {A} 3 1\n3"));
        assert_eq!(desk.happened(), [("put", 1), ("get", 1), ("put", 2)]);
        desk.worker_dies(0, PRODUCER);
        desk.worker_comes(D, PRODUCER);
        desk.say(&format!("put {D} 1 1\n33"));
        desk.say(&format!("done {C} 1 1\n\nget {C} 1"));
        desk.say(&format!("sleep {C} 9"));
        // Paced time has gone on to when the consumer wakes.
        let waited = if speed.is_some() { 9 } else { 0 };
        assert_eq!(desk.happened(), [("died", waited), ("done", 1), ("get", 2), ("put", 3)]);
        desk.say(&format!("sleep {D} 20"));
        desk.say(&format!("done {C} 2 1\n\nget {C} 1"));
        assert!(desk.heard(1).ends_with("run 3 1 1\n33"), "speed {speed:?}");
    }
}

#[test]
fn what_a_worker_wrote_before_it_died_counts_and_comes_before_its_death() {
    let mut desk = Desk::of_run(0, None);
    desk.worker_comes(A, PRODUCER);
    let puts = format!("\n\nput {A} 2 2\n1\n2\n\nput {A} 3 1\n3\n");
    desk.keeper.receive(0, puts.as_bytes(), &mut desk.paper);
    desk.worker_dies(0, PRODUCER);
    assert_eq!(desk.happened(), [("put", 1), ("put", 2), ("put", 3), ("died", 0)]);
}

#[test]
fn a_dead_workers_mailbox_alone_changes_nothing_yet() {
    let mut desk = Desk::of_run(0, None);
    desk.worker_comes(A, PRODUCER);
    desk.worker_comes(C, CONSUMER);
    desk.say(&format!("put {A} 1 1\n1"));
    desk.say(&format!("get {C} 1"));
    desk.keeper.died(0, 1, &mut desk.paper);
    assert_eq!(desk.keeper.census().out, 1);
    assert_eq!(desk.happened(), [("put", 1), ("get", 1)]);
    desk.worker_dies(1, CONSUMER);
    assert_eq!(desk.happened(), [("died", 0), ("back", 1)]);
    assert_eq!(desk.paper.closed, [1]);
    desk.worker_comes(D, CONSUMER);
    desk.say(&format!("get {D} 1"));
    assert!(desk.heard(2).ends_with("run 1 1 2\n1"));
}

#[test]
fn in_a_paced_run_nothing_happens_between_a_death_and_the_return() {
    let mut desk = Desk::of_run(0, Some(Speed::Max));
    desk.worker_comes(A, PRODUCER);
    desk.worker_comes(C, CONSUMER);
    desk.say(&format!("get {C} 1"));
    desk.say(&format!("put {A} 1 1\n1"));
    desk.say(&format!("sleep {A} 5"));
    desk.say(&format!("sleep {C} 20"));
    desk.heard(0);
    desk.say(&format!("put {A} 2 1\n2\n\nsleep {A} 5"));
    desk.happened();
    desk.heard(0);
    desk.worker_dies(1, CONSUMER);
    assert_eq!(desk.happened(), [("died", 0), ("back", 1)]);
    desk.say(&format!("put {A} 3 1\n3\n\nsleep {A} 5"));
    assert_eq!((desk.heard(0).as_str(), desk.keeper.now()), ("", 10), "nothing happens");
    desk.worker_comes(D, CONSUMER);
    desk.say(&format!("get {D} 1"));
    assert_eq!(desk.happened(), [("put", 3), ("get", 1)]);
    desk.say(&format!("sleep {D} 20"));
    assert_eq!((desk.heard(0).as_str(), desk.keeper.now()), ("ok 3 3 0\nwake", 15));
}

/// A worker of a run, as simple as it can be.
struct Hand {
    worker: Worker,
    delay: Nanos,
    left: u64,
    sent: u64,
    holds: Option<u64>,
    replies: ReplyReader,
}

impl Hand {
    fn key(&self) -> String {
        format!("{:08x}{:08x}", self.worker.role as u32, self.worker.number)
    }

    fn hello(&self) -> String {
        let (role, number) = (self.worker.role, self.worker.number);
        let role = serde_json::to_string(&role).unwrap();
        let key = self.key();
        format!(r#"hello {key} {{"version":1,"role":{role},"pid":5,"worker":{number}}}"#)
    }

    /// What it says to a reply.
    fn answer(&mut self, reply: &Reply) -> Option<String> {
        let key = self.key();
        let ask = match (self.worker.role, reply) {
            (_, Reply::Bye { .. }) => return None,
            (_, Reply::Ok { .. } | Reply::Run(_)) if self.delay > 0 => {
                if let Reply::Run(run) = reply {
                    self.holds = Some(run.first);
                }
                return Some(format!("sleep {key} {}", self.delay));
            }
            (Role::Producer, _) if self.left == 0 => format!("bye {key}"),
            (Role::Producer, _) => {
                self.left -= 1;
                self.sent += 1;
                format!("put {key} {} 1\n{}", self.sent, self.sent)
            }
            (_, Reply::Ended) => format!("bye {key}"),
            (_, reply) => {
                if let Reply::Run(run) = reply {
                    self.holds = Some(run.first);
                }
                let done = self.holds.take().map(|id| format!("done {key} {id} 1\n"));
                format!("{}get {key} 1", done.unwrap_or_default())
            }
        };
        Some(ask)
    }
}

/// A paced run at full speed; the workers come in the order of `arrival`. Returns its events.
fn paced_run(
    capacity: u64,
    producers: &[(u64, Nanos)],
    consumers: &[Nanos],
    arrival: &[usize],
) -> Vec<(Nanos, &'static str, Option<Worker>, u64)> {
    let hand = |role, number: usize, delay, left| Hand {
        worker: Worker { role, number: u32::try_from(number).unwrap() + 1 },
        delay,
        left,
        sent: 0,
        holds: None,
        replies: ReplyReader::default(),
    };
    let producers = producers.iter().enumerate();
    let mut hands: Vec<_> = producers.map(|(n, p)| hand(Role::Producer, n, p.1, p.0)).collect();
    let consumers = consumers.iter().enumerate();
    hands.extend(consumers.map(|(n, delay)| hand(Role::Consumer, n, *delay, 0)));
    let workers: BTreeSet<_> = hands.iter().map(|hand| hand.worker).collect();
    let mut keeper = Keeper::new(Plan {
        queue: Queue::new(
            Remains { capacity: Some(std::num::NonZeroU64::new(capacity)), ..Remains::default() },
            false,
        ),
        pacer: Some(Pacer::new(Speed::Max, workers.iter().copied())),
        workers: Some(workers),
    });
    let mut paper = Paper::default();
    let mut order: Vec<usize> = (0..hands.len()).collect();
    order.sort_by_key(|&n| arrival[n % arrival.len()]);
    for &n in &order {
        keeper.receive(0, format!("\n\n{}\n", hands[n].hello()).as_bytes(), &mut paper);
    }
    loop {
        keeper.turn(0, &mut paper).unwrap();
        let mut said = false;
        for (&client, mail) in &mut paper.mail.clone() {
            paper.mail.get_mut(&client).unwrap().clear();
            let hand = &mut hands[order[client]];
            hand.replies.feed(mail);
            while let Some(reply) = hand.replies.next() {
                if let Some(words) = hand.answer(&reply.unwrap()) {
                    keeper.receive(0, format!("\n\n{words}\n").as_bytes(), &mut paper);
                    said = true;
                }
            }
        }
        if !said {
            assert_eq!(paper.closed.len(), hands.len(), "everybody comes home");
            return paper.events;
        }
    }
}

proptest! {
    /// Lindley's recursion for one producer, one consumer and room for `capacity` items, of which one
    /// is free again when its item is handed out. In nanoseconds, exactly.
    #[test]
    fn one_producer_and_one_consumer_keep_to_the_recursion(
        items in 1..40usize,
        capacity in 0..5usize,
        produce in prop_oneof![Just(0), 1..2000u64],
        consume in prop_oneof![Just(0), 1..2000u64],
    ) {
        prop_assume!(produce + consume > 0);
        let (mut put, mut start, mut done) = (vec![], vec![], vec![]);
        for n in 0..items {
            let ready = if n == 0 { 0 } else { put[n - 1] + produce };
            let room = if capacity > 0 && n >= capacity { start[n - capacity] } else { 0 };
            put.push(ready.max(room));
            start.push(put[n].max(if n == 0 { 0 } else { done[n - 1] }));
            done.push(start[n] + consume);
        }
        let events = paced_run(capacity as u64, &[(items as u64, produce)], &[consume], &[0]);
        for (kind, expected) in [("put", put), ("get", start), ("done", done)] {
            let times: Vec<_> = events.iter().filter(|e| e.1 == kind).map(|e| e.0).collect();
            prop_assert_eq!(times, expected, "{}", kind);
        }
    }

    /// Who came when is forgotten as soon as all are there.
    #[test]
    fn the_events_of_a_run_depend_on_the_delays_alone(
        capacity in 0..4u64,
        producers in proptest::collection::vec((1..6u64, 0..5u64), 1..4),
        consumers in proptest::collection::vec(1..5u64, 1..4),
        arrival in proptest::collection::vec(0..100usize, 1..7),
    ) {
        let events = paced_run(capacity, &producers, &consumers, &[0]);
        let again = paced_run(capacity, &producers, &consumers, &arrival);
        prop_assert_eq!(&events, &again);
        let items: u64 = producers.iter().map(|p| p.0).sum();
        for kind in ["put", "get", "done"] {
            let count = events.iter().filter(|e| e.1 == kind).count() as u64;
            prop_assert_eq!(count, items, "{}", kind);
        }
        prop_assert!(events.is_sorted_by_key(|event| event.0), "time does not go back");
    }
}
