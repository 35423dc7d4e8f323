//! The rules, one by one and against a model of what must always hold.

mod in_flight;
mod model;
mod visitors;

use super::model::{batch_items, batch_ref, settings};
use super::*;

/// A queue with its effects told in short words, as in `ok 1 a`.
struct TestQueue {
    queue: Queue,
    /// The time.
    now: Nanos,
}

impl TestQueue {
    fn new(capacity: u64) -> Self {
        let state =
            QueueState { capacity: Some(NonZeroU64::new(capacity)), ..QueueState::default() };
        Self::with_queue(Queue::new(state, true))
    }

    fn with_queue(queue: Queue) -> Self {
        Self { queue, now: 0 }
    }

    fn with_clients(mut self, clients: &[(ClientId, Role)]) -> Self {
        for &(client, role) in clients {
            self.apply(client, Request::Connect(settings(role)));
        }
        self
    }

    fn apply(&mut self, client: ClientId, request: Request) -> Vec<String> {
        let mut effects = Vec::new();
        self.queue.apply(client, request, &mut effects).unwrap();
        effects.iter().map(describe).collect()
    }

    fn refusal(&mut self, client: ClientId, request: Request) -> String {
        let refusal = self.queue.apply(client, request, &mut Vec::new());
        refusal.unwrap_err().to_string()
    }

    fn put(&mut self, client: ClientId, seq: u64, items: &[&str]) -> Vec<String> {
        let lines = batch_items(items);
        self.apply(client, Request::Put { seq, items: lines })
    }

    fn get(&mut self, client: ClientId) {
        assert!(self.apply(client, Request::Get { max: 1 }).is_empty());
    }

    fn done(&mut self, client: ClientId, first: u64) -> Vec<String> {
        self.apply(client, Request::Done(batch_ref(first, 1)))
    }

    /// All that can happen now, the end of the queue (at `end`) included.
    fn steps_until(&mut self, end: ProcessBirth) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            if self.queue.is_end_due() {
                self.queue.end(end);
            }
            match self.queue.step(self.now) {
                Some(effect) => told.push(describe(&effect)),
                None => return told,
            }
        }
    }

    fn steps(&mut self) -> Vec<String> {
        self.steps_until(ProcessBirth::new(100, 1))
    }
}

fn describe(effect: &Effect) -> String {
    let text = |batch: &Batch| {
        let text = String::from_utf8(batch.items.bytes.to_vec()).unwrap();
        format!("{} try {}", text.trim().replace('\n', " "), batch.attempt)
    };
    match effect {
        Effect::Accepted { client, seq, batch } => {
            format!("{client} put up to {seq}: {}", text(batch))
        }
        Effect::Refused { client, seq, reason: PutRefusal::Closed } => {
            format!("{client} refused up to {seq}")
        }
        Effect::Refused { client, seq, reason: PutRefusal::Full } => {
            format!("{client} no room up to {seq}")
        }
        Effect::Delivered { client, batch } => format!("{client} got {}", text(batch)),
        Effect::Done { client, batch } => format!("{client} did {}", text(batch)),
        Effect::Requeued { client, batch } => format!("{client} gave back {}", text(batch)),
        Effect::Failed { client, batch, .. } => format!("{client} failed {}", text(batch)),
        Effect::AttemptBegun { client, batch } => format!("{client} begins {}", text(batch)),
        Effect::Ended { client } => format!("{client} ended"),
        Effect::Empty { client } => format!("{client} empty"),
        Effect::Joined { client, failed } => format!("{client} joined, {failed} failed"),
        Effect::Unfinished { client, items } => format!("{client} unfinished {items}"),
        Effect::Cancelled { client } => format!("{client} cancelled"),
        Effect::Affected { client, items } => format!("{client} counted {items}"),
    }
}

const PRODUCER: ClientId = 1;
const OTHER: ClientId = 2;
const CONSUMER: ClientId = 8;
const LATE: ClientId = 9;
const ALL: [(ClientId, Role); 4] = [
    (PRODUCER, Role::Producer),
    (OTHER, Role::Producer),
    (CONSUMER, Role::Consumer),
    (LATE, Role::Consumer),
];

#[test]
fn items_come_out_in_the_order_of_the_inbox() {
    let mut queue = TestQueue::new(0).with_clients(&ALL);
    queue.put(PRODUCER, 1, &["a"]);
    queue.put(OTHER, 2, &["x", "y"]);
    queue.put(PRODUCER, 2, &["b"]);
    assert_eq!(
        queue.steps(),
        ["1 put up to 1: a try 1", "2 put up to 2: x y try 1", "1 put up to 2: b try 1"]
    );
    for item in ["a", "x", "y", "b"] {
        queue.get(CONSUMER);
        assert_eq!(queue.steps(), [format!("8 got {item} try 1")]);
    }
}

#[test]
fn the_capacity_is_exact_and_a_slot_is_free_when_its_item_is_handed_out() {
    let mut queue = TestQueue::new(2).with_clients(&ALL);
    queue.put(PRODUCER, 3, &["a", "b", "c"]);
    assert_eq!(queue.steps(), ["1 put up to 2: a b try 1"]);
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 1", "1 put up to 3: c try 1"]);
    assert_eq!(queue.queue.counts().ready, 2);
    assert_eq!(queue.done(CONSUMER, 1), ["8 did a try 1"]);
    assert!(queue.steps().is_empty(), "being done frees no slot: there was none taken");
}

#[test]
fn blocked_puts_are_let_in_in_the_order_in_which_they_were_made() {
    let mut queue = TestQueue::new(1).with_clients(&ALL);
    queue.put(PRODUCER, 1, &["a"]);
    queue.put(OTHER, 1, &["x"]);
    queue.put(PRODUCER, 2, &["b"]);
    assert_eq!(queue.steps(), ["1 put up to 1: a try 1"]);
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 1", "2 put up to 1: x try 1"]);
    queue.get(LATE);
    assert_eq!(queue.steps(), ["9 got x try 1", "1 put up to 2: b try 1"]);
}

#[test]
fn one_sentinel_ends_every_consumer_and_only_after_everything_is_done() {
    let mut queue = TestQueue::new(0).with_clients(&ALL);
    queue.put(PRODUCER, 1, &["a"]);
    queue.get(CONSUMER);
    queue.get(LATE);
    assert_eq!(queue.steps(), ["1 put up to 1: a try 1", "8 got a try 1"]);
    queue.apply(PRODUCER, Request::Disconnect);
    queue.apply(OTHER, Request::Disconnect);
    assert!(queue.steps().is_empty(), "a is still out");
    queue.done(CONSUMER, 1);
    assert_eq!(queue.steps(), ["9 ended"]);
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 ended"]);
}

#[test]
fn what_a_dead_consumer_had_comes_back_to_its_place_before_the_end() {
    let mut queue = TestQueue::new(0).with_clients(&ALL);
    queue.put(PRODUCER, 3, &["a", "b", "c"]);
    queue.get(CONSUMER);
    queue.steps();
    queue.apply(PRODUCER, Request::Disconnect);
    queue.apply(OTHER, Request::Disconnect);
    assert_eq!(queue.apply(CONSUMER, Request::Disconnect), ["8 gave back a try 2"]);
    for (number, item) in [(1, "a try 2"), (2, "b try 1"), (3, "c try 1")] {
        queue.get(LATE);
        assert_eq!(queue.steps(), [format!("9 got {item}")]);
        queue.done(LATE, number);
    }
    queue.get(LATE);
    assert_eq!(queue.steps(), ["9 ended"]);
}

#[test]
fn an_item_given_back_may_exceed_the_capacity_but_nothing_is_accepted_meanwhile() {
    let mut queue = TestQueue::new(1).with_clients(&ALL);
    queue.put(PRODUCER, 2, &["a", "b"]);
    queue.get(CONSUMER);
    queue.steps();
    queue.apply(CONSUMER, Request::Disconnect);
    assert_eq!(queue.queue.counts().ready, 2);
    queue.put(OTHER, 1, &["x"]);
    queue.get(LATE);
    assert_eq!(queue.steps(), ["9 got a try 2"]);
    queue.get(LATE);
    assert_eq!(queue.steps(), ["9 got b try 1", "2 put up to 1: x try 1"]);
}

#[test]
fn a_producer_that_comes_in_time_takes_the_sentinel_back() {
    let mut queue = TestQueue::new(0).with_clients(&[(PRODUCER, Role::Producer)]);
    queue.put(PRODUCER, 1, &["a"]);
    queue.steps();
    queue.apply(PRODUCER, Request::Disconnect);
    queue.apply(OTHER, Request::Connect(settings(Role::Producer)));
    queue.apply(CONSUMER, Request::Connect(settings(Role::Consumer)));
    queue.get(CONSUMER);
    queue.steps();
    queue.done(CONSUMER, 1);
    queue.get(CONSUMER);
    assert!(queue.steps().is_empty());
    queue.apply(OTHER, Request::Disconnect);
    assert_eq!(queue.steps(), ["8 ended"]);
}

#[test]
fn who_was_born_before_the_end_is_told_of_it_and_who_came_after_waits() {
    let mut queue = TestQueue::new(0).with_clients(&ALL[..3]);
    queue.apply(PRODUCER, Request::Disconnect);
    queue.apply(OTHER, Request::Disconnect);
    queue.get(CONSUMER);
    assert_eq!(queue.steps_until(ProcessBirth::new(20, 7)), ["8 ended"]);
    for (born, told) in [(19, true), (20, true), (21, false)] {
        let born = ProcessBirth::new(born, 7);
        let settings = ClientSettings { birth: born, ..settings(Role::Consumer) };
        queue.apply(LATE, Request::Connect(settings));
        queue.get(LATE);
        assert_eq!(queue.steps() == ["9 ended"], told, "{born:?}");
        queue.apply(LATE, Request::Disconnect);
    }
}

#[test]
fn a_follower_is_not_told_and_gets_what_comes_after() {
    let mut queue = TestQueue::new(0).with_clients(&ALL[..1]);
    let follower = ClientSettings { follow: true, ..settings(Role::Consumer) };
    queue.apply(CONSUMER, Request::Connect(follower));
    queue.get(CONSUMER);
    queue.apply(PRODUCER, Request::Disconnect);
    assert!(queue.steps().is_empty());
    let state = queue.queue.state();
    assert!(
        state.sentinel.is_some() && state.ended_at.is_none(),
        "nobody has been told of the end"
    );
    queue.apply(OTHER, Request::Connect(settings(Role::Producer)));
    queue.put(OTHER, 1, &["x"]);
    assert_eq!(queue.steps(), ["2 put up to 1: x try 1", "8 got x try 1"]);
}

#[test]
fn a_producer_that_keeps_the_queue_open_puts_no_sentinel() {
    let mut queue = TestQueue::new(0);
    let keeps_open = ClientSettings { keep_open: true, ..settings(Role::Producer) };
    queue.apply(PRODUCER, Request::Connect(keeps_open));
    queue.apply(PRODUCER, Request::Disconnect);
    assert!(queue.queue.state().sentinel.is_none());
    queue.apply(OTHER, Request::Connect(settings(Role::Producer)));
    queue.apply(OTHER, Request::Disconnect);
    assert!(queue.queue.state().sentinel.is_some());
}

#[test]
fn after_the_close_puts_are_refused_and_what_is_in_line_drains() {
    let mut queue = TestQueue::new(1).with_clients(&ALL);
    queue.put(PRODUCER, 2, &["a", "b"]);
    queue.steps();
    queue.queue.close();
    assert_eq!(queue.put(OTHER, 1, &["x"]), ["2 refused up to 1"]);
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 1", "1 put up to 2: b try 1"]);
}

#[test]
fn closing_now_refuses_the_blocked_and_drops_the_waiting() {
    let mut queue = TestQueue::new(1).with_clients(&ALL);
    queue.put(PRODUCER, 3, &["a", "b", "c"]);
    queue.put(OTHER, 1, &["x"]);
    queue.steps();
    let mut effects = Vec::new();
    assert_eq!(queue.queue.close_now(&mut effects), 1);
    let told: Vec<_> = effects.iter().map(describe).collect();
    assert_eq!(told, ["1 refused up to 3", "2 refused up to 1"]);
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 ended"]);
}

#[test]
fn a_queue_that_is_not_shared_stays_closed_after_its_end() {
    let mut queue =
        TestQueue::with_queue(Queue::new(QueueState::default(), false)).with_clients(&ALL[..3]);
    queue.get(CONSUMER);
    let mut effects = Vec::new();
    assert_eq!(queue.queue.close_now(&mut effects), 0);
    assert_eq!(queue.steps(), ["8 ended"]);
    assert_eq!(queue.put(PRODUCER, 1, &["a"]), ["1 refused up to 1"]);
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 ended"]);
}

#[test]
fn a_new_queue_may_have_a_new_capacity() {
    let mut queue = TestQueue::new(3);
    let sentinel = Some(Sentinel::LastProducerLeft);
    queue.queue = Queue::new(QueueState { sentinel, ..queue.queue.state() }, true);
    queue.queue.capacity = Some(NonZeroU64::new(3));
    let capacity = Some(NonZeroU64::new(5));
    let wants_five = ClientSettings { capacity, ..settings(Role::Producer) };
    assert!(queue.apply(PRODUCER, Request::Connect(wants_five)).is_empty());
    assert_eq!(queue.queue.capacity, capacity);
}

#[test]
fn a_run_is_no_larger_than_a_fair_share() {
    let mut queue = TestQueue::new(0).with_clients(&ALL);
    queue.put(PRODUCER, 5, &["a", "b", "c", "d", "e"]);
    queue.apply(CONSUMER, Request::Get { max: 100 });
    queue.apply(LATE, Request::Get { max: 100 });
    assert_eq!(queue.steps()[1..], ["8 got a b c try 1", "9 got d try 1"]);
}

#[test]
fn a_run_may_be_done_in_pieces_from_anywhere_but_only_once_and_by_its_holder() {
    let mut queue = TestQueue::new(0).with_clients(&ALL[..3]);
    queue.put(PRODUCER, 4, &["a", "b", "c", "d"]);
    queue.apply(CONSUMER, Request::Get { max: 4 });
    queue.steps();
    let done = |first, count| Request::Done(batch_ref(first, count));
    assert_eq!(queue.apply(CONSUMER, done(2, 2)), ["8 did b c try 1"]);
    for (client, first, count) in [
        (CONSUMER, 2, 1),
        (CONSUMER, 1, 2),
        (PRODUCER, 1, 1),
        (CONSUMER, 4, 2),
        (CONSUMER, 0, 1),
        (CONSUMER, 5, 1),
        (CONSUMER, 4, u64::MAX),
    ] {
        let reason = queue.refusal(client, done(first, count));
        assert!(reason.contains("not out"), "{client} {first} {count}: {reason}");
    }
    assert_eq!(
        queue.apply(CONSUMER, Request::Disconnect),
        ["8 gave back a try 2", "8 gave back d try 2"]
    );
}

#[test]
fn a_capacity_once_set_stays_and_the_other_one_is_named() {
    let mut queue = TestQueue::new(0);
    queue.queue = Queue::new(QueueState::default(), true);
    let wants = |capacity| {
        let capacity = Some(NonZeroU64::new(capacity));
        Request::Connect(ClientSettings { capacity, ..settings(Role::Producer) })
    };
    queue.apply(CONSUMER, Request::Connect(settings(Role::Consumer)));
    queue.apply(PRODUCER, wants(3));
    queue.apply(OTHER, wants(3));
    let reason = queue.refusal(LATE, wants(5));
    assert!(reason.contains("capacity 3, not 5"), "{reason}");
    assert_eq!(queue.queue.client_count(Role::Producer), 2);
}

#[test]
fn whoever_puts_first_without_a_capacity_makes_a_queue_without_a_limit() {
    let mut queue =
        TestQueue::with_queue(Queue::new(QueueState::default(), true)).with_clients(&ALL);
    queue.put(PRODUCER, 1, &["a"]);
    queue.steps();
    let capacity = Some(NonZeroU64::new(5));
    let reason = queue
        .refusal(20, Request::Connect(ClientSettings { capacity, ..settings(Role::Producer) }));
    assert!(reason.contains("capacity 0 (unbounded), not 5"), "{reason}");
}

#[test]
fn who_sends_far_more_than_it_was_granted_is_stopped() {
    let mut queue = TestQueue::new(1).with_clients(&ALL);
    let items = vec!["x"; 1000];
    for seq in 1..=66 {
        assert!(queue.put(PRODUCER, seq * 1000, &items).is_empty());
    }
    let put = Request::Put { seq: 67_000, items: batch_items(&items) };
    let reason = queue.refusal(PRODUCER, put);
    assert!(reason.contains("up to 67000 are not taken"), "{reason}");
    assert!(queue.put(OTHER, 1, &["y"]).is_empty(), "it is in nobody else's way");
}

#[test]
fn what_waits_for_room_is_bounded_in_bytes_and_counted_right() {
    let mut queue = TestQueue::new(1).with_clients(&ALL);
    let large = "x".repeat(9 << 20);
    let put = |queue: &mut TestQueue, seq| {
        let request = Request::Put { seq, items: batch_items(&[&large]) };
        queue.queue.apply(PRODUCER, request, &mut Vec::new()).map_err(|reason| reason.to_string())
    };
    for seq in [1, 2, 3] {
        assert_eq!(put(&mut queue, seq), Ok(()), "the first goes in, and two wait: 18 MiB");
        assert_eq!(queue.steps().len(), usize::from(seq == 1));
    }
    let reason = put(&mut queue, 4).unwrap_err();
    assert!(reason.contains("up to 4 are not taken"), "{reason}");
    // One gets out, and one in: there is room for one more, and no more.
    queue.get(CONSUMER);
    assert_eq!(queue.steps().len(), 2);
    assert_eq!(put(&mut queue, 4), Ok(()));
    assert!(put(&mut queue, 5).is_err());
    assert_eq!(queue.apply(PRODUCER, Request::Cancel).len(), 2);
    assert_eq!(put(&mut queue, 5), Ok(()), "what is forgotten counts no more");
    assert_eq!(put(&mut queue, 6), Ok(()));
    assert!(put(&mut queue, 7).is_err());
}

#[test]
fn one_get_at_a_time() {
    let mut queue = TestQueue::new(0).with_clients(&ALL);
    queue.get(CONSUMER);
    let reason = queue.refusal(CONSUMER, Request::Get { max: 1 });
    assert!(reason.contains("one at a time"), "{reason}");
}
