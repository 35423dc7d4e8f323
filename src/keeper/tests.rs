//! The whole keeper without a process: clients that live in this file, time that only moves when it
//! is told to.

use proptest::prelude::*;

use super::Speed;
use super::*;
use crate::os::ExitCause;
use crate::testing::FakeHost;
use crate::wire::ReplyReader;

/// A keeper of a stand-alone queue, and what it says.
pub(super) struct TestKeeper {
    pub(super) keeper: Keeper,
    pub(super) host: FakeHost,
}

const A: &str = "00000000000000a1";
const C: &str = "00000000000000c1";
const D: &str = "00000000000000d1";

impl TestKeeper {
    pub(super) fn new() -> Self {
        let plan = KeeperConfig {
            queue: Queue::new(QueueState::default(), true),
            workers: None,
            pacer: None,
        };
        Self { keeper: Keeper::new(plan), host: FakeHost::default() }
    }

    /// Writes to the inbox, and lets the keeper answer.
    pub(super) fn send_and_process(&mut self, text: &str) {
        self.keeper.receive(0, format!("\n\n{text}\n").as_bytes(), &mut self.host);
        self.keeper.process_pending(0, &mut self.host).unwrap();
    }

    /// What a client finds in its mailbox.
    pub(super) fn take_mail(&mut self, client: ClientId) -> String {
        let mail = self.host.mailboxes.get_mut(&client).map(std::mem::take).unwrap_or_default();
        String::from_utf8(mail).unwrap().trim_end().to_owned()
    }

    fn connect(&mut self, key: &str, role: &str) {
        self.connect_with(key, role, r#""born":{"tick":200,"pid":5}"#);
    }

    pub(super) fn connect_with(&mut self, key: &str, role: &str, more: &str) {
        self.send_and_process(&format!(
            r#"hello {key} {{"version":1,"role":"{role}","pid":5,{more}}}"#
        ));
    }
}

#[test]
fn a_client_is_welcomed_in_the_mailbox_that_bears_its_name() {
    let mut host = TestKeeper::new();
    host.connect(A, "producer");
    assert_eq!(host.host.opened_mailboxes, ["mailbox.5.00000000000000a1"]);
    assert_eq!(host.take_mail(0), r#"welcome {"version":1,"paced":false,"window":65536}"#);
    host.connect(A, "producer");
    assert_eq!(host.host.opened_mailboxes.len(), 1, "whoever is there already cannot come again");
}

#[test]
fn nobody_can_speak_with_a_number_that_nobody_here_has() {
    let mut host = TestKeeper::new();
    host.connect(A, "producer");
    host.send_and_process(&format!("put {A} 1 1\n1"));
    host.take_mail(0);
    for words in [format!("put {C} 1 1\n2"), format!("get {C} 1"), format!("bye {C}")] {
        host.send_and_process(&words);
    }
    assert_eq!(host.take_mail(0), "");
    assert_eq!(host.keeper.counts().ready, 1);
}

#[test]
fn what_a_client_put_before_it_left_in_the_same_breath_is_in_the_queue() {
    let mut host = TestKeeper::new();
    host.connect(A, "producer");
    host.take_mail(0);
    host.send_and_process(&format!("put {A} 2 2\n1\n2\nbye {A}"));
    assert_eq!(host.take_mail(0), "ok 2 2 65536\nbye 2 0");
    assert_eq!(host.host.closed_clients, [0]);
}

#[test]
fn the_parts_of_a_client_that_dies_are_discarded() {
    let mut host = TestKeeper::new();
    host.connect(A, "producer");
    host.send_and_process(&format!("part {A}\n[1,"));
    host.keeper.client_died(0, 0, &mut host.host);
    host.connect(A, "producer");
    host.send_and_process(&format!("put {A} 1 1\n2]"));
    host.connect(C, "consumer");
    host.send_and_process(&format!("get {C} 1"));
    assert!(host.take_mail(2).ends_with("run 1 1 1\n2]"));
}

#[test]
fn a_consumer_that_dies_gives_back_what_it_had() {
    let mut host = TestKeeper::new();
    host.connect(A, "producer");
    host.connect(C, "consumer");
    host.connect(D, "consumer");
    host.send_and_process(&format!("put {A} 1 1\n\"x\""));
    host.send_and_process(&format!("get {C} 1"));
    host.send_and_process(&format!("get {D} 1"));
    host.take_mail(2);
    host.keeper.client_died(0, 1, &mut host.host);
    host.keeper.process_pending(0, &mut host.host).unwrap();
    assert_eq!(host.take_mail(2), "run 1 1 2\n\"x\"");
}

const PRODUCER: WorkerId = WorkerId { role: Role::Producer, index: 1 };
const CONSUMER: WorkerId = WorkerId { role: Role::Consumer, index: 1 };
const KILLED: Option<ExitCause> = Some(ExitCause::Signal(9));

impl TestKeeper {
    /// The keeper of a run with one producer and one consumer.
    fn for_run(capacity: u64, speed: Option<Speed>) -> Self {
        let workers = BTreeSet::from([PRODUCER, CONSUMER]);
        let capacity = Some(std::num::NonZeroU64::new(capacity));
        let plan = KeeperConfig {
            queue: Queue::new(QueueState { capacity, ..QueueState::default() }, false),
            pacer: speed.map(|speed| Pacer::new(speed, workers.iter().copied())),
            workers: Some(workers),
        };
        Self { keeper: Keeper::new(plan), host: FakeHost::default() }
    }

    fn connect_worker(&mut self, key: &str, worker: WorkerId) {
        let role = serde_json::to_string(&worker.role).unwrap();
        self.send_and_process(&format!(
            r#"hello {key} {{"version":1,"role":{role},"pid":5,"worker":1}}"#
        ));
    }

    /// Both signs of a death: the end of the mailbox, and that of the process.
    fn kill_worker(&mut self, client: ClientId, worker: WorkerId) {
        self.keeper.client_died(0, client, &mut self.host);
        self.keeper.worker_exited(0, worker, KILLED, &mut self.host);
        self.keeper.process_pending(0, &mut self.host).unwrap();
    }

    /// What happened since the last time.
    fn take_events(&mut self) -> Vec<(&'static str, u64)> {
        self.host.observer.events.drain(..).map(|(_, what, _, id)| (what, id)).collect()
    }
}

#[test]
fn of_the_dead_and_of_those_who_leave_it_is_told_for_how_long_they_had_waited_in_vain() {
    let mut host = TestKeeper::for_run(1, None);
    host.connect_worker(A, PRODUCER);
    host.connect_worker(C, CONSUMER);
    host.send_and_process(&format!("put {A} 2 2\n1\n2"));
    host.keeper.worker_exited(7, PRODUCER, KILLED, &mut host.host);
    assert_eq!(
        host.take_events(),
        [("put", 1), ("died", 7)],
        "there was no room for the second one"
    );
    host.send_and_process(&format!("get {C} 1"));
    host.send_and_process(&format!("done {C} 1 1\n\nget {C} 1"));
    host.keeper.receive(9, format!("\n\nbye {C}\n").as_bytes(), &mut host.host);
    assert_eq!(host.take_events(), [("get", 1), ("done", 1), ("left", 9)]);
}

#[test]
fn a_run_does_not_end_while_its_last_producer_is_to_come_again() {
    let mut host = TestKeeper::for_run(0, None);
    host.connect_worker(A, PRODUCER);
    host.connect_worker(C, CONSUMER);
    host.send_and_process(&format!("put {A} 1 1\n1"));
    host.send_and_process(&format!("get {C} 1"));
    host.kill_worker(0, PRODUCER);
    assert_eq!(host.take_events(), [("put", 1), ("get", 1), ("died", 0)]);
    host.take_mail(1);
    host.send_and_process(&format!("done {C} 1 1\n\nget {C} 1"));
    assert_eq!(host.take_mail(1), "", "not the end");
    host.connect_worker(D, PRODUCER);
    assert!(host.take_mail(2).starts_with("welcome"));
    host.send_and_process(&format!("put {D} 1 1\n2\n\nbye {D}"));
    assert_eq!(host.take_mail(1), "run 2 1 1\n2");
    host.send_and_process(&format!("done {C} 2 1\n\nget {C} 1"));
    assert_eq!(host.take_mail(1), "ended");
}

#[test]
fn a_run_ends_when_its_last_producer_is_given_up() {
    for has_come in [true, false] {
        let mut host = TestKeeper::for_run(0, None);
        host.connect_worker(C, CONSUMER);
        if has_come {
            host.connect_worker(A, PRODUCER);
        }
        host.send_and_process(&format!("get {C} 1"));
        host.take_mail(0);
        host.kill_worker(1, PRODUCER);
        assert_eq!(host.take_mail(0), "");
        host.keeper.give_up_worker(PRODUCER);
        host.keeper.process_pending(0, &mut host.host).unwrap();
        assert_eq!(host.take_mail(0), "ended");
        assert!(
            !host.keeper.is_worker_expected(PRODUCER) && host.keeper.is_worker_expected(CONSUMER)
        );
    }
}

#[test]
fn what_a_dead_producer_had_no_room_for_is_for_the_next_one_to_put() {
    for speed in [None, Some(Speed::Max)] {
        let mut host = TestKeeper::for_run(1, speed);
        host.connect_worker(A, PRODUCER);
        host.connect_worker(C, CONSUMER);
        host.send_and_process(&format!("get {C} 1"));
        host.send_and_process(&format!("put {A} 1 1\n1"));
        host.send_and_process(&format!("sleep {C} 9"));
        host.send_and_process(&format!("put {A} 2 1\n2"));
        host.send_and_process(&format!("put {A} 3 1\n3"));
        assert_eq!(host.take_events(), [("put", 1), ("get", 1), ("put", 2)]);
        host.kill_worker(0, PRODUCER);
        host.connect_worker(D, PRODUCER);
        host.send_and_process(&format!("put {D} 1 1\n33"));
        host.send_and_process(&format!("done {C} 1 1\n\nget {C} 1"));
        host.send_and_process(&format!("sleep {C} 9"));
        // Paced time has gone on to when the consumer wakes.
        let waited = if speed.is_some() { 9 } else { 0 };
        assert_eq!(host.take_events(), [("died", waited), ("done", 1), ("get", 2), ("put", 3)]);
        host.send_and_process(&format!("sleep {D} 20"));
        host.send_and_process(&format!("done {C} 2 1\n\nget {C} 1"));
        assert!(host.take_mail(1).ends_with("run 3 1 1\n33"), "speed {speed:?}");
    }
}

#[test]
fn what_a_worker_wrote_before_it_died_counts_and_comes_before_its_death() {
    let mut host = TestKeeper::for_run(0, None);
    host.connect_worker(A, PRODUCER);
    let puts = format!("\n\nput {A} 2 2\n1\n2\n\nput {A} 3 1\n3\n");
    host.keeper.receive(0, puts.as_bytes(), &mut host.host);
    host.kill_worker(0, PRODUCER);
    assert_eq!(host.take_events(), [("put", 1), ("put", 2), ("put", 3), ("died", 0)]);
}

#[test]
fn a_dead_workers_mailbox_alone_changes_nothing_yet() {
    let mut host = TestKeeper::for_run(0, None);
    host.connect_worker(A, PRODUCER);
    host.connect_worker(C, CONSUMER);
    host.send_and_process(&format!("put {A} 1 1\n1"));
    host.send_and_process(&format!("get {C} 1"));
    host.keeper.client_died(0, 1, &mut host.host);
    assert_eq!(host.keeper.counts().in_flight, 1);
    assert_eq!(host.take_events(), [("put", 1), ("get", 1)]);
    host.kill_worker(1, CONSUMER);
    assert_eq!(host.take_events(), [("died", 0), ("back", 1)]);
    assert_eq!(host.host.closed_clients, [1]);
    host.connect_worker(D, CONSUMER);
    host.send_and_process(&format!("get {D} 1"));
    assert!(host.take_mail(2).ends_with("run 1 1 2\n1"));
}

#[test]
fn in_a_paced_run_nothing_happens_between_a_death_and_the_return() {
    let mut host = TestKeeper::for_run(0, Some(Speed::Max));
    host.connect_worker(A, PRODUCER);
    host.connect_worker(C, CONSUMER);
    host.send_and_process(&format!("get {C} 1"));
    host.send_and_process(&format!("put {A} 1 1\n1"));
    host.send_and_process(&format!("sleep {A} 5"));
    host.send_and_process(&format!("sleep {C} 20"));
    host.take_mail(0);
    host.send_and_process(&format!("put {A} 2 1\n2\n\nsleep {A} 5"));
    host.take_events();
    host.take_mail(0);
    host.kill_worker(1, CONSUMER);
    assert_eq!(host.take_events(), [("died", 0), ("back", 1)]);
    host.send_and_process(&format!("put {A} 3 1\n3\n\nsleep {A} 5"));
    assert_eq!((host.take_mail(0).as_str(), host.keeper.now()), ("", 10), "nothing happens");
    host.connect_worker(D, CONSUMER);
    host.send_and_process(&format!("get {D} 1"));
    assert_eq!(host.take_events(), [("put", 3), ("get", 1)]);
    host.send_and_process(&format!("sleep {D} 20"));
    assert_eq!((host.take_mail(0).as_str(), host.keeper.now()), ("ok 3 3 0\nwake", 15));
}

/// A worker of a run, as simple as it can be.
struct ScriptedWorker {
    worker: WorkerId,
    delay: Nanos,
    remaining_puts: u64,
    sent: u64,
    in_flight_id: Option<u64>,
    replies: ReplyReader,
}

impl ScriptedWorker {
    fn key(&self) -> String {
        format!("{:08x}{:08x}", self.worker.role as u32, self.worker.index)
    }

    fn hello(&self) -> String {
        let (role, number) = (self.worker.role, self.worker.index);
        let role = serde_json::to_string(&role).unwrap();
        let key = self.key();
        format!(r#"hello {key} {{"version":1,"role":{role},"pid":5,"worker":{number}}}"#)
    }

    /// What it says to a reply.
    fn answer(&mut self, reply: &Reply) -> Option<String> {
        let key = self.key();
        let ask = match (self.worker.role, reply) {
            (_, Reply::Bye { .. }) => return None,
            (_, Reply::Ok { .. } | Reply::Batch(_)) if self.delay > 0 => {
                if let Reply::Batch(batch) = reply {
                    self.in_flight_id = Some(batch.first_id);
                }
                return Some(format!("sleep {key} {}", self.delay));
            }
            (Role::Producer, _) if self.remaining_puts == 0 => format!("bye {key}"),
            (Role::Producer, _) => {
                self.remaining_puts -= 1;
                self.sent += 1;
                format!("put {key} {} 1\n{}", self.sent, self.sent)
            }
            (_, Reply::Ended) => format!("bye {key}"),
            (_, reply) => {
                if let Reply::Batch(batch) = reply {
                    self.in_flight_id = Some(batch.first_id);
                }
                let done = self.in_flight_id.take().map(|id| format!("done {key} {id} 1\n"));
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
) -> Vec<(Nanos, &'static str, Option<WorkerId>, u64)> {
    let hand = |role, number: usize, delay, left| ScriptedWorker {
        worker: WorkerId { role, index: u32::try_from(number).unwrap() + 1 },
        delay,
        remaining_puts: left,
        sent: 0,
        in_flight_id: None,
        replies: ReplyReader::default(),
    };
    let producers = producers.iter().enumerate();
    let mut hands: Vec<_> = producers.map(|(n, p)| hand(Role::Producer, n, p.1, p.0)).collect();
    let consumers = consumers.iter().enumerate();
    hands.extend(consumers.map(|(n, delay)| hand(Role::Consumer, n, *delay, 0)));
    let workers: BTreeSet<_> = hands.iter().map(|hand| hand.worker).collect();
    let mut keeper = Keeper::new(KeeperConfig {
        queue: Queue::new(
            QueueState {
                capacity: Some(std::num::NonZeroU64::new(capacity)),
                ..QueueState::default()
            },
            false,
        ),
        pacer: Some(Pacer::new(Speed::Max, workers.iter().copied())),
        workers: Some(workers),
    });
    let mut paper = FakeHost::default();
    let mut order: Vec<usize> = (0..hands.len()).collect();
    order.sort_by_key(|&n| arrival[n % arrival.len()]);
    for &n in &order {
        keeper.receive(0, format!("\n\n{}\n", hands[n].hello()).as_bytes(), &mut paper);
    }
    loop {
        keeper.process_pending(0, &mut paper).unwrap();
        let mut said = false;
        for (&client, mail) in &mut paper.mailboxes.clone() {
            paper.mailboxes.get_mut(&client).unwrap().clear();
            let hand = &mut hands[order[client]];
            hand.replies.push_bytes(mail);
            while let Some(reply) = hand.replies.next_reply() {
                if let Some(words) = hand.answer(&reply.unwrap()) {
                    keeper.receive(0, format!("\n\n{words}\n").as_bytes(), &mut paper);
                    said = true;
                }
            }
        }
        if !said {
            assert_eq!(paper.closed_clients.len(), hands.len(), "everybody comes home");
            return paper.observer.events;
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
