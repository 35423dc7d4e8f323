//! Each rule in its own test, and all rules against the model.

mod in_flight;
mod model;
mod visitors;

use super::model::{batch_items, batch_ref, settings};
use super::*;

/// A queue whose effects are short texts: `8 got a try 1`, with the client first.
struct TestQueue {
    queue: Queue,
    now: Nanos,
}

impl TestQueue {
    fn new(capacity: u64) -> Self {
        let state = QueueState { capacity: Some(capacity.into()), ..QueueState::default() };
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
        self.queue.apply(client, request).unwrap();
        self.take_effects()
    }

    fn take_effects(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.queue.next_effect()).map(|effect| describe(&effect)).collect()
    }

    fn refusal(&mut self, client: ClientId, request: Request) -> String {
        let refusal = self.queue.apply(client, request);
        refusal.unwrap_err().to_string()
    }

    fn put(&mut self, client: ClientId, seq: u64, items: &[&str]) -> Vec<String> {
        self.apply(client, Request::Put { seq, items: batch_items(items) })
    }

    fn get(&mut self, client: ClientId) {
        assert!(self.apply(client, Request::Get { max: 1 }).is_empty());
    }

    fn done(&mut self, client: ClientId, id: u64) -> Vec<String> {
        self.apply(client, Request::Done(batch_ref(id, 1)))
    }

    /// Takes all steps that are possible now. The queue ends at `end`, if the end is due.
    fn steps_until(&mut self, end: ProcessBirth) -> Vec<String> {
        let mut effects = Vec::new();
        loop {
            if self.queue.is_end_due() {
                self.queue.end(end);
            }
            match self.queue.step(self.now) {
                Some(effect) => effects.push(describe(&effect)),
                None => return effects,
            }
        }
    }

    fn steps(&mut self) -> Vec<String> {
        self.steps_until(ProcessBirth::new(100, 1))
    }
}

fn describe(Effect { client, kind }: &Effect) -> String {
    let text = |batch: &Batch| {
        let text = String::from_utf8(batch.items.bytes.to_vec()).unwrap();
        format!("{} try {}", text.trim().replace('\n', " "), batch.attempt)
    };
    let description = match kind {
        EffectKind::Accepted { seq, batch } => format!("put up to {seq}: {}", text(batch)),
        EffectKind::Closed { seq } => format!("refused up to {seq}"),
        EffectKind::Full { seq } => format!("no room up to {seq}"),
        EffectKind::Delivered(batch) => format!("got {}", text(batch)),
        EffectKind::Done(batch) => format!("did {}", text(batch)),
        EffectKind::Requeued(batch) => format!("gave back {}", text(batch)),
        EffectKind::Failed { batch, .. } => format!("failed {}", text(batch)),
        EffectKind::AttemptBegun(batch) => format!("begins {}", text(batch)),
        EffectKind::Renewed(batch) => format!("renewed {}", text(batch)),
        EffectKind::Ended => "ended".to_owned(),
        EffectKind::Empty => "empty".to_owned(),
        EffectKind::Joined { failed } => format!("joined, {failed} failed"),
        EffectKind::Unfinished { items } => format!("unfinished {items}"),
        EffectKind::Cancelled => "cancelled".to_owned(),
        EffectKind::Affected { items } => format!("counted {items}"),
    };
    format!("{client} {description}")
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
fn items_leave_in_the_order_of_the_puts() {
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
fn the_capacity_is_exact_and_a_delivery_makes_room() {
    let mut queue = TestQueue::new(2).with_clients(&ALL);
    queue.put(PRODUCER, 3, &["a", "b", "c"]);
    assert_eq!(queue.steps(), ["1 put up to 2: a b try 1"]);
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 1", "1 put up to 3: c try 1"]);
    assert_eq!(queue.queue.counts().ready, 2);
    assert_eq!(queue.done(CONSUMER, 1), ["8 did a try 1"]);
    assert!(queue.steps().is_empty(), "an item that is done had no room to free");
}

#[test]
fn blocked_puts_are_accepted_in_the_order_of_the_puts() {
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
fn one_sentinel_ends_every_consumer_after_all_items_are_done() {
    let mut queue = TestQueue::new(0).with_clients(&ALL);
    queue.put(PRODUCER, 1, &["a"]);
    queue.get(CONSUMER);
    queue.get(LATE);
    assert_eq!(queue.steps(), ["1 put up to 1: a try 1", "8 got a try 1"]);
    queue.apply(PRODUCER, Request::Disconnect);
    queue.apply(OTHER, Request::Disconnect);
    assert!(queue.steps().is_empty(), "item a is still in flight");
    queue.done(CONSUMER, 1);
    assert_eq!(queue.steps(), ["9 ended"]);
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 ended"]);
}

#[test]
fn a_requeued_item_returns_to_its_position_before_the_end() {
    let mut queue = TestQueue::new(0).with_clients(&ALL);
    queue.put(PRODUCER, 3, &["a", "b", "c"]);
    queue.get(CONSUMER);
    queue.steps();
    queue.apply(PRODUCER, Request::Disconnect);
    queue.apply(OTHER, Request::Disconnect);
    assert_eq!(queue.apply(CONSUMER, Request::Disconnect), ["8 gave back a try 2"]);
    for (id, item) in [(1, "a try 2"), (2, "b try 1"), (3, "c try 1")] {
        queue.get(LATE);
        assert_eq!(queue.steps(), [format!("9 got {item}")]);
        queue.done(LATE, id);
    }
    queue.get(LATE);
    assert_eq!(queue.steps(), ["9 ended"]);
}

#[test]
fn a_requeued_item_may_exceed_the_capacity_and_blocks_puts() {
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
fn a_producer_that_connects_before_the_end_takes_the_sentinel_back() {
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
fn a_late_consumer_sees_the_end_only_if_its_birth_is_before_the_end() {
    let mut queue = TestQueue::new(0).with_clients(&ALL[..3]);
    queue.apply(PRODUCER, Request::Disconnect);
    queue.apply(OTHER, Request::Disconnect);
    queue.get(CONSUMER);
    assert_eq!(queue.steps_until(ProcessBirth::new(20, 7)), ["8 ended"]);
    for (tick, sees_end) in [(19, true), (20, true), (21, false)] {
        let birth = ProcessBirth::new(tick, 7);
        let settings = ClientSettings { birth, ..settings(Role::Consumer) };
        queue.apply(LATE, Request::Connect(settings));
        queue.get(LATE);
        assert_eq!(queue.steps() == ["9 ended"], sees_end, "{birth:?}");
        queue.apply(LATE, Request::Disconnect);
    }
}

#[test]
fn a_follower_waits_over_the_end_and_gets_the_items_after_it() {
    let mut queue = TestQueue::new(0).with_clients(&ALL[..1]);
    let follower = ClientSettings { follow: true, ..settings(Role::Consumer) };
    queue.apply(CONSUMER, Request::Connect(follower));
    queue.get(CONSUMER);
    queue.apply(PRODUCER, Request::Disconnect);
    assert!(queue.steps().is_empty());
    assert!(
        queue.queue.state().sentinel.is_some() && !queue.queue.has_ended(),
        "the end is not due"
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
fn after_a_close_puts_are_refused_and_earlier_items_are_delivered() {
    let mut queue = TestQueue::new(1).with_clients(&ALL);
    queue.put(PRODUCER, 2, &["a", "b"]);
    queue.steps();
    queue.queue.close();
    assert_eq!(queue.put(OTHER, 1, &["x"]), ["2 refused up to 1"]);
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 1", "1 put up to 2: b try 1"]);
}

#[test]
fn close_now_refuses_blocked_puts_and_drops_ready_items() {
    let mut queue = TestQueue::new(1).with_clients(&ALL);
    queue.put(PRODUCER, 3, &["a", "b", "c"]);
    queue.put(OTHER, 1, &["x"]);
    queue.steps();
    assert_eq!(queue.queue.close_now(), 1);
    assert_eq!(queue.take_effects(), ["1 refused up to 3", "2 refused up to 1"]);
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 ended"]);
}

#[test]
fn a_queue_that_is_not_shared_stays_closed_after_its_end() {
    let mut queue =
        TestQueue::with_queue(Queue::new(QueueState::default(), false)).with_clients(&ALL[..3]);
    queue.get(CONSUMER);
    assert_eq!(queue.queue.close_now(), 0);
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
    queue.queue.state.capacity = Some(3.into());
    let capacity = Some(5.into());
    let wants_five = ClientSettings { capacity, ..settings(Role::Producer) };
    assert!(queue.apply(PRODUCER, Request::Connect(wants_five)).is_empty());
    assert_eq!(queue.queue.state.capacity, capacity);
}

#[test]
fn a_delivery_is_at_most_a_fair_share() {
    let mut queue = TestQueue::new(0).with_clients(&ALL);
    queue.put(PRODUCER, 5, &["a", "b", "c", "d", "e"]);
    queue.apply(CONSUMER, Request::Get { max: 100 });
    queue.apply(LATE, Request::Get { max: 100 });
    assert_eq!(queue.steps()[1..], ["8 got a b c try 1", "9 got d try 1"]);
}

#[test]
fn each_part_of_a_batch_can_be_done_once_by_its_consumer() {
    let mut queue = TestQueue::new(0).with_clients(&ALL[..3]);
    queue.put(PRODUCER, 4, &["a", "b", "c", "d"]);
    queue.apply(CONSUMER, Request::Get { max: 4 });
    queue.steps();
    let done = |id, count| Request::Done(batch_ref(id, count));
    assert_eq!(queue.apply(CONSUMER, done(2, 2)), ["8 did b c try 1"]);
    for (client, id, count) in [
        (CONSUMER, 2, 1),
        (CONSUMER, 1, 2),
        (PRODUCER, 1, 1),
        (CONSUMER, 4, 2),
        (CONSUMER, 0, 1),
        (CONSUMER, 5, 1),
        (CONSUMER, 4, u64::MAX),
    ] {
        let reason = queue.refusal(client, done(id, count));
        assert!(reason.contains("not in flight"), "{client} {id} {count}: {reason}");
    }
    assert_eq!(
        queue.apply(CONSUMER, Request::Disconnect),
        ["8 gave back a try 2", "8 gave back d try 2"]
    );
}

#[test]
fn a_second_capacity_is_refused_with_both_capacities() {
    let mut queue = TestQueue::new(0);
    queue.queue = Queue::new(QueueState::default(), true);
    let wants = |capacity: u64| {
        let capacity = Some(capacity.into());
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
fn a_first_put_without_a_capacity_makes_the_queue_unbounded() {
    let mut queue =
        TestQueue::with_queue(Queue::new(QueueState::default(), true)).with_clients(&ALL);
    queue.put(PRODUCER, 1, &["a"]);
    queue.steps();
    let capacity = Some(5.into());
    let reason = queue
        .refusal(20, Request::Connect(ClientSettings { capacity, ..settings(Role::Producer) }));
    assert!(reason.contains("capacity 0 (unbounded), not 5"), "{reason}");
}

#[test]
fn a_producer_far_beyond_its_window_is_refused() {
    let mut queue = TestQueue::new(1).with_clients(&ALL);
    let items = vec!["x"; 1000];
    for seq in 1..=66 {
        assert!(queue.put(PRODUCER, seq * 1000, &items).is_empty());
    }
    let put = Request::Put { seq: 67_000, items: batch_items(&items) };
    let reason = queue.refusal(PRODUCER, put);
    assert!(reason.contains("up to 67000 are not taken"), "{reason}");
    assert!(queue.put(OTHER, 1, &["y"]).is_empty(), "no other producer is affected");
}

#[test]
fn the_bytes_of_blocked_puts_are_counted_and_bounded() {
    let mut queue = TestQueue::new(1).with_clients(&ALL);
    let large = "x".repeat(9 << 20);
    let put = |queue: &mut TestQueue, seq| {
        let request = Request::Put { seq, items: batch_items(&[&large]) };
        queue.queue.apply(PRODUCER, request).map_err(|reason| reason.to_string())
    };
    for seq in [1, 2, 3] {
        assert_eq!(
            put(&mut queue, seq),
            Ok(()),
            "the first put is accepted, and two are blocked: 18 MiB"
        );
        assert_eq!(queue.steps().len(), usize::from(seq == 1));
    }
    let reason = put(&mut queue, 4).unwrap_err();
    assert!(reason.contains("up to 4 are not taken"), "{reason}");
    // A delivery unblocks one put. Now one more put can be blocked, and not two.
    queue.get(CONSUMER);
    assert_eq!(queue.steps().len(), 2);
    assert_eq!(put(&mut queue, 4), Ok(()));
    assert!(put(&mut queue, 5).is_err());
    assert_eq!(queue.apply(PRODUCER, Request::Cancel).len(), 2);
    assert_eq!(put(&mut queue, 5), Ok(()), "a cancelled put does not count");
    assert_eq!(put(&mut queue, 6), Ok(()));
    assert!(put(&mut queue, 7).is_err());
}

#[test]
fn a_second_get_is_refused_while_the_first_one_waits() {
    let mut queue = TestQueue::new(0).with_clients(&ALL);
    queue.get(CONSUMER);
    let reason = queue.refusal(CONSUMER, Request::Get { max: 1 });
    assert!(reason.contains("one at a time"), "{reason}");
}
