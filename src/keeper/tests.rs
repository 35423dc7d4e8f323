//! The whole keeper in one process, with clients in this file and a wall clock that stands still.

use proptest::prelude::*;

use super::Speed;
use super::*;
use crate::os::ExitCause;
use crate::queue::QueueState;
use crate::testing::{FakeHost, FakeObserver};
use crate::wire::ReplyReader;

/// A keeper with a fake host; of a stand-alone queue unless [`Self::for_run`] makes it.
pub(super) struct TestKeeper {
    pub(super) keeper: Keeper,
    pub(super) host: FakeHost,
}

impl TestKeeper {
    pub(super) fn new() -> Self {
        let queue = Queue::new(QueueState::default(), true);
        Self { keeper: Keeper::new(queue, None, None), host: FakeHost::default() }
    }

    /// Writes to a client's pipe.
    pub(super) fn receive(&mut self, client: ClientId, text: &str) {
        self.host.write(&mut self.keeper, 0, client, text.as_bytes());
    }

    /// Writes to a client's pipe, and lets the keeper answer.
    pub(super) fn send_and_process(&mut self, client: ClientId, text: &str) {
        self.receive(client, text);
        self.keeper.process_pending(0, &mut self.host).unwrap();
    }

    /// Puts one item.
    fn put(&mut self, client: ClientId, seq: u64, item: &str) {
        self.send_and_process(client, &put(seq, item));
    }

    /// Takes the contents of a client's mailbox.
    pub(super) fn take_mail(&mut self, client: ClientId) -> String {
        String::from_utf8(self.host.take_mail(client)).unwrap().trim_end().to_owned()
    }

    /// Writes to the inbox, and lets the keeper answer.
    fn announce(&mut self, line: &str) {
        let text = format!("\n{line}\n");
        self.keeper.receive_announcements(0, text.as_bytes(), &mut self.host);
        self.keeper.process_pending(0, &mut self.host).unwrap();
    }

    /// Connects a client, and returns its number.
    fn connect(&mut self, role: &str) -> ClientId {
        self.connect_with(role, r#","birth":{"tick":200,"pid":5}"#)
    }

    pub(super) fn connect_with(&mut self, role: &str, more: &str) -> ClientId {
        let client = self.keeper.next_client_id;
        self.announce(&format!(
            r#"hello {client:016x} {{"version":2,"role":"{role}","pid":5{more}}}"#
        ));
        client
    }
}

fn put(seq: u64, item: &str) -> String {
    format!("put {seq} 1 {}\n{item}\n", item.len() + 1)
}

#[test]
fn a_client_is_welcomed_in_the_mailbox_of_its_key() {
    let mut test = TestKeeper::new();
    test.connect("producer");
    assert_eq!(test.host.opened_pipes, ["5.0000000000000000"]);
    assert_eq!(test.take_mail(0), r#"welcome {"version":2,"paced":false,"window":65536}"#);
    test.announce(r#"hello 0000000000000000 {"version":2,"role":"producer","pid":5}"#);
    assert_eq!(test.host.opened_pipes.len(), 1, "a connected client cannot connect again");
}

#[test]
fn a_client_of_another_version_is_told_so() {
    let mut test = TestKeeper::new();
    test.announce(
        r#"hello 00000000000000a1 {"version":1,"role":"visitor","pid":5,"mailbox":"00000000000000b1"}"#,
    );
    let error = "error version the keeper speaks protocol version 2, the client version 1\n";
    assert_eq!(test.host.rejections, [error]);
    assert!(test.host.opened_pipes.is_empty());
}

#[test]
fn items_that_come_together_with_bye_are_in_the_queue() {
    let mut test = TestKeeper::new();
    test.connect("producer");
    test.take_mail(0);
    test.send_and_process(0, "put 2 2 4\n1\n2\nbye\n");
    assert_eq!(test.take_mail(0), "ok 2 2 65536\nbye 2 0");
    assert_eq!(test.host.closed_clients, [0]);
}

#[test]
fn the_incomplete_item_of_a_dead_client_is_dropped() {
    let mut test = TestKeeper::new();
    test.connect("producer");
    test.send_and_process(0, "put 1 1 5\n[1,");
    test.keeper.client_died(0, 0, &mut test.host);
    assert_eq!(test.keeper.incomplete_bytes, 0);
    test.connect("producer");
    test.put(1, 1, "2");
    test.connect("consumer");
    test.send_and_process(2, "get 1\n");
    assert!(test.take_mail(2).ends_with("batch 1 1 1 2\n2"));
}

#[test]
fn requests_behind_the_removal_of_the_queue_wait_for_the_next_keeper() {
    let mut test = TestKeeper::new();
    test.connect("visitor");
    test.connect("producer");
    (0..2).for_each(|client| drop(test.take_mail(client)));
    test.send_and_process(0, "remove force\nput 1 1 2\n1\n");
    test.send_and_process(1, "put 1 1 2\n2\n");
    assert!(test.keeper.is_removal_requested());
    assert_eq!(test.keeper.queue.counts().ready, 0);
    assert_eq!([test.take_mail(0), test.take_mail(1)], [""; 2]);
}

#[test]
fn a_client_resumes_at_a_keeper_only_once() {
    let mut test = TestKeeper::new();
    let record = ClientRecord::new(wire::Hello { pid: 5, ..wire::Hello::new(Role::Visitor) });
    test.keeper.adopt_clients([(3, ClientKey(0xa1), record)], &mut test.host).unwrap();
    let hello =
        r#"hello 00000000000000a1 {"version":2,"role":"visitor","pid":5,"batches_received":0}"#;
    test.announce(hello);
    assert!(test.take_mail(3).contains(r#""resumed":{"accepted":[],"in_flight":[]}"#));
    test.announce(hello);
    assert_eq!(test.take_mail(3), "");
}

#[test]
fn the_items_of_a_dead_consumer_are_requeued() {
    let mut test = TestKeeper::new();
    test.connect("producer");
    test.connect("consumer");
    test.connect("consumer");
    test.put(0, 1, "\"x\"");
    test.send_and_process(1, "get 1\n");
    test.send_and_process(2, "get 1\n");
    test.take_mail(2);
    test.keeper.client_died(0, 1, &mut test.host);
    test.keeper.process_pending(0, &mut test.host).unwrap();
    assert_eq!(test.take_mail(2), "batch 1 1 2 4\n\"x\"");
}

pub(super) const PRODUCER: WorkerId = WorkerId { role: Role::Producer, index: 1 };
pub(super) const CONSUMER: WorkerId = WorkerId { role: Role::Consumer, index: 1 };
const KILLED: Option<ExitCause> = Some(ExitCause::Signal(9));

impl TestKeeper {
    /// The keeper of a run with one producer and one consumer.
    pub(super) fn for_run(capacity: u64, speed: Option<Speed>) -> Self {
        let workers = BTreeSet::from([PRODUCER, CONSUMER]);
        let capacity = Some(capacity.into());
        let queue = Queue::new(QueueState { capacity, ..QueueState::default() }, false);
        Self { keeper: Keeper::new(queue, Some(workers), speed), host: FakeHost::default() }
    }

    pub(super) fn connect_worker(&mut self, worker: WorkerId) -> ClientId {
        let role = serde_json::to_value(worker.role).unwrap();
        self.connect_with(role.as_str().unwrap(), r#","worker_index":1"#)
    }

    /// Both signs of a death: the end of its pipe, and the exit of its process.
    pub(super) fn kill_worker(&mut self, client: ClientId, worker: WorkerId) {
        self.keeper.client_died(0, client, &mut self.host);
        self.keeper.worker_exited(0, worker, KILLED, &mut self.host);
        self.keeper.process_pending(0, &mut self.host).unwrap();
    }

    /// The events since the last call.
    fn take_events(&mut self) -> Vec<(&'static str, u64)> {
        self.host.observer.events.drain(..).map(|(_, kind, _, id)| (kind, id)).collect()
    }
}

#[test]
fn the_events_of_a_death_and_a_bye_have_the_time_of_the_last_wait() {
    let mut test = TestKeeper::for_run(1, None);
    test.connect_worker(PRODUCER);
    test.connect_worker(CONSUMER);
    test.send_and_process(0, "put 2 2 4\n1\n2\n");
    test.keeper.worker_exited(7, PRODUCER, KILLED, &mut test.host);
    assert_eq!(test.take_events(), [("put", 1), ("died", 7)], "item 2 was blocked");
    test.send_and_process(1, "get 1\n");
    test.send_and_process(1, "done 1 1\nget 1\n");
    test.host.write(&mut test.keeper, 9, 1, b"bye\n");
    assert_eq!(test.take_events(), [("get", 1), ("done", 1), ("left", 9)]);
}

#[test]
fn a_run_does_not_end_while_a_dead_producer_is_expected_again() {
    let mut test = TestKeeper::for_run(0, None);
    test.connect_worker(PRODUCER);
    test.connect_worker(CONSUMER);
    test.send_and_process(0, "put 1 1 2\n1\n");
    test.send_and_process(1, "get 1\n");
    test.kill_worker(0, PRODUCER);
    assert_eq!(test.take_events(), [("put", 1), ("get", 1), ("died", 0)]);
    test.take_mail(1);
    test.send_and_process(1, "done 1 1\nget 1\n");
    assert_eq!(test.take_mail(1), "", "the queue has not ended");
    test.connect_worker(PRODUCER);
    assert!(test.take_mail(2).starts_with("welcome"));
    test.send_and_process(2, "put 1 1 2\n2\nbye\n");
    assert_eq!(test.take_mail(1), "batch 2 1 1 2\n2");
    test.send_and_process(1, "done 2 1\nget 1\n");
    assert_eq!(test.take_mail(1), "ended");
}

#[test]
fn a_run_ends_when_its_last_producer_is_given_up() {
    for has_connected in [true, false] {
        let mut test = TestKeeper::for_run(0, None);
        test.connect_worker(CONSUMER);
        if has_connected {
            test.connect_worker(PRODUCER);
        }
        test.send_and_process(0, "get 1\n");
        test.take_mail(0);
        test.kill_worker(1, PRODUCER);
        assert_eq!(test.take_mail(0), "");
        test.keeper.give_up_worker(PRODUCER, &mut test.host);
        test.keeper.process_pending(0, &mut test.host).unwrap();
        assert_eq!(test.take_mail(0), "ended");
        assert!(
            !test.keeper.is_worker_expected(PRODUCER) && test.keeper.is_worker_expected(CONSUMER)
        );
    }
}

#[test]
fn the_replacement_of_a_dead_producer_repeats_its_blocked_puts() {
    for speed in [None, Some(Speed::Max)] {
        let mut test = TestKeeper::for_run(1, speed);
        test.connect_worker(PRODUCER);
        test.connect_worker(CONSUMER);
        test.send_and_process(1, "get 1\n");
        test.send_and_process(0, "put 1 1 2\n1\n");
        test.send_and_process(1, "sleep 9\n");
        test.send_and_process(0, "put 2 1 2\n2\n");
        test.send_and_process(0, "put 3 1 2\n3\n");
        assert_eq!(test.take_events(), [("put", 1), ("get", 1), ("put", 2)]);
        test.kill_worker(0, PRODUCER);
        test.connect_worker(PRODUCER);
        test.send_and_process(2, "put 1 1 3\n33\n");
        test.send_and_process(1, "done 1 1\nget 1\n");
        test.send_and_process(1, "sleep 9\n");
        // Paced time has moved to the consumer's wake time.
        let waited = if speed.is_some() { 9 } else { 0 };
        assert_eq!(test.take_events(), [("died", waited), ("done", 1), ("get", 2), ("put", 3)]);
        test.send_and_process(2, "sleep 20\n");
        test.send_and_process(1, "done 2 1\nget 1\n");
        assert!(test.take_mail(1).ends_with("batch 3 1 1 3\n33"), "speed {speed:?}");
    }
}

#[test]
fn the_last_puts_of_a_dead_worker_count_and_precede_its_death() {
    let mut test = TestKeeper::for_run(0, None);
    test.connect_worker(PRODUCER);
    test.receive(0, "put 2 2 4\n1\n2\nput 3 1 2\n3\n");
    test.kill_worker(0, PRODUCER);
    assert_eq!(test.take_events(), [("put", 1), ("put", 2), ("put", 3), ("died", 0)]);
}

#[test]
fn a_workers_death_counts_only_when_its_process_has_exited() {
    let mut test = TestKeeper::for_run(0, None);
    test.connect_worker(PRODUCER);
    test.connect_worker(CONSUMER);
    test.send_and_process(0, "put 1 1 2\n1\n");
    test.send_and_process(1, "get 1\n");
    test.keeper.client_died(0, 1, &mut test.host);
    assert_eq!(test.keeper.queue().counts().in_flight, 1);
    assert_eq!(test.take_events(), [("put", 1), ("get", 1)]);
    test.kill_worker(1, CONSUMER);
    assert_eq!(test.take_events(), [("died", 0), ("back", 1)]);
    assert_eq!(test.host.closed_clients, [1]);
    test.connect_worker(CONSUMER);
    test.send_and_process(2, "get 1\n");
    assert!(test.take_mail(2).ends_with("batch 1 1 2 2\n1"));
}

#[test]
fn a_paced_run_stands_still_from_a_death_to_the_replacement() {
    let mut test = TestKeeper::for_run(0, Some(Speed::Max));
    test.connect_worker(PRODUCER);
    test.connect_worker(CONSUMER);
    test.send_and_process(1, "get 1\n");
    test.send_and_process(0, "put 1 1 2\n1\n");
    test.send_and_process(0, "sleep 5\n");
    test.send_and_process(1, "sleep 20\n");
    test.take_mail(0);
    test.send_and_process(0, "put 2 1 2\n2\nsleep 5\n");
    test.take_events();
    test.take_mail(0);
    test.kill_worker(1, CONSUMER);
    assert_eq!(test.take_events(), [("died", 0), ("back", 1)]);
    test.send_and_process(0, "put 3 1 2\n3\nsleep 5\n");
    assert_eq!((test.take_mail(0).as_str(), test.keeper.now()), ("", 10), "no step is taken");
    test.connect_worker(CONSUMER);
    test.send_and_process(2, "get 1\n");
    assert_eq!(test.take_events(), [("put", 3), ("get", 1)]);
    test.send_and_process(2, "sleep 20\n");
    assert_eq!((test.take_mail(0).as_str(), test.keeper.now()), ("ok 3 3 0\nwake", 15));
}

/// A worker that repeats one request after each reply.
struct ScriptedWorker {
    worker: WorkerId,
    delay: Nanos,
    remaining_puts: u64,
    sent: u64,
    in_flight_id: Option<u64>,
    replies: ReplyReader,
}

impl ScriptedWorker {
    fn key(&self) -> ClientKey {
        ClientKey(u64::from(self.worker.role as u32) << 32 | u64::from(self.worker.index))
    }

    fn announcement(&self) -> Vec<u8> {
        let WorkerId { role, index } = self.worker;
        let hello = wire::Hello { worker_index: Some(index), ..wire::Hello::new(role) };
        wire::announcement(self.key(), &hello)
    }

    /// The next request after a reply.
    fn answer(&mut self, reply: &Reply) -> Option<String> {
        let request = match (self.worker.role, reply) {
            (_, Reply::Bye { .. }) => return None,
            (_, Reply::Ok { .. } | Reply::Batch(_)) if self.delay > 0 => {
                if let Reply::Batch(batch) = reply {
                    self.in_flight_id = Some(batch.first_id);
                }
                return Some(format!("sleep {}\n", self.delay));
            }
            (Role::Producer, _) if self.remaining_puts == 0 => "bye\n".to_owned(),
            (Role::Producer, _) => {
                self.remaining_puts -= 1;
                self.sent += 1;
                put(self.sent, &self.sent.to_string())
            }
            (_, Reply::Ended) => "bye\n".to_owned(),
            (_, reply) => {
                if let Reply::Batch(batch) = reply {
                    self.in_flight_id = Some(batch.first_id);
                }
                let done = self.in_flight_id.take().map(|id| format!("done {id} 1\n"));
                format!("{}get 1\n", done.unwrap_or_default())
            }
        };
        Some(request)
    }
}

/// Runs a paced run at full speed. `producers` has the item count and the delay of each producer,
/// `consumers` the delay of each consumer, and `arrival` the order of the connects. Returns what has happened.
fn paced_run(
    capacity: u64,
    producers: &[(u64, Nanos)],
    consumers: &[Nanos],
    arrival: &[usize],
) -> FakeObserver {
    let scripted = |role, n: usize, delay, remaining_puts| ScriptedWorker {
        worker: WorkerId { role, index: u32::try_from(n).unwrap() + 1 },
        delay,
        remaining_puts,
        sent: 0,
        in_flight_id: None,
        replies: ReplyReader::default(),
    };
    let producers = producers.iter().enumerate();
    let mut workers: Vec<_> =
        producers.map(|(n, p)| scripted(Role::Producer, n, p.1, p.0)).collect();
    let consumers = consumers.iter().enumerate();
    workers.extend(consumers.map(|(n, delay)| scripted(Role::Consumer, n, *delay, 0)));
    let worker_ids = workers.iter().map(|worker| worker.worker).collect();
    let state = QueueState { capacity: Some(capacity.into()), ..QueueState::default() };
    let mut keeper = Keeper::new(Queue::new(state, false), Some(worker_ids), Some(Speed::Max));
    let mut host = FakeHost::default();
    let mut order: Vec<usize> = (0..workers.len()).collect();
    order.sort_by_key(|&n| arrival[n % arrival.len()]);
    for &n in &order {
        keeper.receive_announcements(0, &workers[n].announcement(), &mut host);
    }
    loop {
        keeper.process_pending(0, &mut host).unwrap();
        let mut has_new_request = false;
        for client in 0..order.len() {
            let worker = &mut workers[order[client]];
            worker.replies.buffer.push_bytes(&host.take_mail(client));
            while let Some(reply) = worker.replies.next_reply() {
                if let Some(request) = worker.answer(&reply.unwrap()) {
                    host.write(&mut keeper, 0, client, request.as_bytes());
                    has_new_request = true;
                }
            }
        }
        if !has_new_request {
            assert_eq!(host.closed_clients.len(), workers.len(), "every worker disconnects");
            return host.observer;
        }
    }
}

proptest! {
    /// Lindley's recursion for one producer, one consumer and room for `capacity` items. A delivery makes
    /// room for one item. All times are exact, in nanoseconds.
    #[test]
    fn one_producer_and_one_consumer_follow_the_recursion(
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
        let events = paced_run(capacity as u64, &[(items as u64, produce)], &[consume], &[0]).events;
        for (kind, expected) in [("put", put), ("get", start), ("done", done)] {
            let times: Vec<_> = events.iter().filter(|e| e.1 == kind).map(|e| e.0).collect();
            prop_assert_eq!(times, expected, "{}", kind);
        }
    }

    /// The order of the connects does not matter.
    #[test]
    fn the_events_of_a_run_depend_on_the_delays_alone(
        capacity in 0..4u64,
        producers in proptest::collection::vec((1..6u64, 0..5u64), 1..4),
        consumers in proptest::collection::vec(1..5u64, 1..4),
        arrival in proptest::collection::vec(0..100usize, 1..7),
    ) {
        let FakeObserver { events, trace, .. } = paced_run(capacity, &producers, &consumers, &[0]);
        let again = paced_run(capacity, &producers, &consumers, &arrival);
        prop_assert_eq!(&events, &again.events);
        prop_assert_eq!(&trace, &again.trace);
        let items: u64 = producers.iter().map(|p| p.0).sum();
        for kind in ["put", "get", "done"] {
            let count = events.iter().filter(|e| e.1 == kind).count() as u64;
            prop_assert_eq!(count, items, "{}", kind);
        }
        prop_assert!(events.is_sorted_by_key(|event| event.0), "time does not go back");
    }
}
