//! Items in flight: leases, failures, deaths.

use std::num::NonZeroU64;

use super::*;

/// A consumer with a lease of 10; an item fails at its delivery failure number `max_delivery_failures`.
fn leased(max_delivery_failures: u32) -> ClientSettings {
    ClientSettings { lease: Some(10), max_delivery_failures, ..settings(Role::Consumer) }
}

/// Items a and b are ready, and two consumers are connected.
fn with_consumers(first: ClientSettings, second: ClientSettings) -> TestQueue {
    let mut queue = TestQueue::new(0).with_clients(&ALL[..1]);
    queue.apply(CONSUMER, Request::Connect(first));
    queue.apply(LATE, Request::Connect(second));
    queue.put(PRODUCER, 2, &["a", "b"]);
    queue.steps();
    queue
}

impl TestQueue {
    fn expire_leases(&mut self) -> Vec<String> {
        self.queue.expire_leases(self.now);
        self.take_effects()
    }

    fn failed_items(&self) -> Vec<(u64, u32, String)> {
        let (mut all, mut from_id) = (Vec::new(), 1);
        while let Some(FailedItem { batch, reason }) = self.queue.next_failed(from_id) {
            from_id = batch.end_id();
            all.push((batch.first_id, batch.attempt, reason.clone()));
        }
        all
    }
}

#[test]
fn an_item_is_requeued_when_its_lease_expires() {
    let mut queue = with_consumers(leased(0), settings(Role::Consumer));
    queue.now = 100;
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 1"]);
    assert_eq!(queue.queue.next_lease_expiry(), Some(110));
    queue.now = 109;
    assert!(queue.expire_leases().is_empty());
    queue.now = 110;
    assert_eq!(queue.expire_leases(), ["8 gave back a try 2"]);
    assert_eq!(queue.queue.next_lease_expiry(), None);
    let reason = queue.refusal(CONSUMER, Request::Done(batch_ref(1, 1)));
    assert!(reason.contains("item 1 (count 1) is not in flight with this client"), "{reason}");
    queue.get(LATE);
    assert_eq!(queue.steps(), ["9 got a try 2"]);
}

#[test]
fn a_lease_ends_with_its_delivery() {
    let mut queue = with_consumers(leased(0), settings(Role::Consumer));
    queue.apply(CONSUMER, Request::Get { max: 2 });
    assert_eq!(queue.steps(), ["8 got a try 1"], "a fair share");
    queue.apply(LATE, Request::Disconnect);
    queue.done(CONSUMER, 1);
    assert_eq!(queue.queue.next_lease_expiry(), None);
    queue.now = 5;
    queue.get(CONSUMER);
    queue.steps();
    assert_eq!(queue.queue.next_lease_expiry(), Some(15));
    queue.apply(CONSUMER, Request::Disconnect);
    assert_eq!(queue.queue.next_lease_expiry(), None);
}

#[test]
fn an_expired_lease_requeues_only_the_unfinished_items() {
    let mut queue = with_consumers(leased(0), settings(Role::Consumer));
    queue.apply(LATE, Request::Disconnect);
    queue.apply(CONSUMER, Request::Get { max: 2 });
    assert_eq!(queue.steps(), ["8 got a b try 1"]);
    queue.done(CONSUMER, 1);
    queue.now = 10;
    assert_eq!(queue.expire_leases(), ["8 gave back b try 2"]);
}

#[test]
fn an_item_fails_at_the_maximum_of_delivery_failures() {
    let mut queue = with_consumers(leased(3), settings(Role::Consumer));
    for client in [20, 21] {
        queue.apply(client, Request::Connect(leased(3)));
        queue.get(client);
        queue.steps();
        queue.apply(client, Request::ClientDied { now: 0 });
    }
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 3"]);
    let death = Request::ClientDied { now: 5_999_999_999 };
    assert_eq!(queue.apply(CONSUMER, death), ["8 failed a try 3"]);
    let reason = r#"{"delivery_failures":3,"at":5}"#;
    assert_eq!(queue.failed_items(), [(1, 3, reason.to_owned())]);
    let counts = queue.queue.counts();
    assert_eq!((counts.ready, counts.in_flight, counts.done, counts.failed), (1, 0, 0, 1));
}

#[test]
fn an_expired_lease_is_a_delivery_failure_and_a_disconnect_is_not() {
    let mut queue = with_consumers(leased(2), leased(2));
    for _ in 0..5 {
        queue.get(CONSUMER);
        queue.steps();
        queue.apply(CONSUMER, Request::Disconnect);
        queue.apply(CONSUMER, Request::Connect(leased(2)));
    }
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 6"]);
    queue.now = 10;
    assert_eq!(queue.expire_leases(), ["8 gave back a try 7"]);
    queue.get(LATE);
    queue.steps();
    assert_eq!(queue.apply(LATE, Request::ClientDied { now: 0 }), ["9 failed a try 7"]);
}

#[test]
fn a_requeued_item_is_the_next_item_again() {
    let mut queue = with_consumers(settings(Role::Consumer), settings(Role::Consumer));
    queue.get(CONSUMER);
    queue.steps();
    let back = Request::Requeue(batch_ref(1, 1));
    assert_eq!(queue.apply(CONSUMER, back.clone()), ["8 gave back a try 2"]);
    assert!(queue.refusal(CONSUMER, back).contains("not in flight"));
    queue.get(LATE);
    assert_eq!(queue.steps(), ["9 got a try 2"]);
}

#[test]
fn a_renewed_lease_begins_anew_and_only_for_its_items() {
    let mut queue = with_consumers(leased(0), settings(Role::Consumer));
    queue.apply(LATE, Request::Disconnect);
    queue.apply(CONSUMER, Request::Get { max: 2 });
    assert_eq!(queue.steps(), ["8 got a b try 1"]);
    let renew = |first_id, count, attempt, now| Request::Renew {
        batch: BatchRef { first_id, count, attempt: Some(attempt) },
        now,
    };
    assert_eq!(queue.apply(CONSUMER, renew(2, 1, 1, 7)), ["8 renewed b try 1"]);
    assert_eq!(queue.queue.next_lease_expiry(), Some(10), "the lease of a");
    queue.now = 10;
    assert_eq!(queue.expire_leases(), ["8 gave back a try 2"]);
    assert_eq!(queue.queue.next_lease_expiry(), Some(17));
    // Another attempt does not renew the lease.
    queue.apply(CONSUMER, Request::Attempt { id: 2, attempt: 2 });
    assert_eq!(queue.queue.next_lease_expiry(), Some(17));
    assert_eq!(queue.apply(CONSUMER, renew(2, 1, 2, 16)), ["8 renewed b try 2"]);
    assert_eq!(queue.queue.next_lease_expiry(), Some(26));
    for lost in [renew(1, 1, 1, 20), renew(2, 1, 1, 20), renew(1, 2, 2, 20), renew(2, 0, 2, 20)] {
        assert!(queue.refusal(CONSUMER, lost).contains("not in flight"));
    }
    assert_eq!(queue.queue.next_lease_expiry(), Some(26));
    let held_since = queue.queue.client_activities().find_map(|c| c.oldest_delivered_at);
    assert_eq!(held_since, Some(0), "a renewal is no delivery");
    assert_eq!(queue.apply(CONSUMER, Request::Done(batch_ref(2, 1))), ["8 did b try 2"]);
    assert_eq!(queue.queue.next_lease_expiry(), None);
}

#[test]
fn without_a_lease_a_renewal_changes_nothing() {
    let mut queue = with_consumers(settings(Role::Consumer), settings(Role::Consumer));
    queue.get(CONSUMER);
    queue.steps();
    let renew = |first_id| Request::Renew { batch: batch_ref(first_id, 1), now: 5 };
    assert!(queue.apply(CONSUMER, renew(1)).is_empty());
    assert_eq!(queue.queue.next_lease_expiry(), None);
    assert!(queue.refusal(CONSUMER, renew(2)).contains("not in flight"));
}

#[test]
fn a_request_about_an_earlier_attempt_is_refused() {
    let mut queue = with_consumers(leased(0), settings(Role::Consumer));
    queue.apply(LATE, Request::Disconnect);
    queue.get(CONSUMER);
    queue.steps();
    queue.now = 10;
    queue.expire_leases();
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 2"]);
    let in_attempt = |attempt| BatchRef { attempt: Some(attempt), ..batch_ref(1, 1) };
    for late in [
        Request::Done(in_attempt(1)),
        Request::Requeue(in_attempt(1)),
        Request::Fail { batch: in_attempt(1), try_count: 1, reason: String::new() },
    ] {
        assert!(queue.refusal(CONSUMER, late).contains("not in flight"));
    }
    assert_eq!(queue.apply(CONSUMER, Request::Done(in_attempt(2))), ["8 did a try 2"]);
}

#[test]
fn the_tries_of_a_failed_attempt_count_as_attempts() {
    let mut queue = with_consumers(leased(0), settings(Role::Consumer));
    queue.get(CONSUMER);
    queue.steps();
    let fail = Request::Fail { batch: batch_ref(1, 1), try_count: 3, reason: String::new() };
    assert_eq!(queue.apply(CONSUMER, fail), ["8 failed a try 3"]);
    queue.apply(LATE, Request::Retry(None));
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 4"]);
}

#[test]
fn a_retry_after_the_end_is_followed_by_an_end_again() {
    let mut queue = with_consumers(leased(0), leased(0));
    queue.get(CONSUMER);
    queue.steps();
    queue.apply(
        CONSUMER,
        Request::Fail { batch: batch_ref(1, 1), try_count: 1, reason: String::new() },
    );
    queue.queue.close();
    queue.get(CONSUMER);
    queue.steps();
    queue.done(CONSUMER, 2);
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 ended"]);
    queue.apply(LATE, Request::Retry(None));
    queue.apply(
        20,
        Request::Connect(ClientSettings {
            birth: ProcessBirth::new(200, 1),
            ..settings(Role::Consumer)
        }),
    );
    queue.get(20);
    assert_eq!(queue.steps(), ["20 got a try 2"]);
    queue.done(20, 1);
    queue.get(20);
    assert_eq!(queue.steps(), ["20 ended"]);
}

#[test]
fn a_failed_item_stays_until_a_retry_or_a_drop() {
    let mut queue = with_consumers(settings(Role::Consumer), settings(Role::Consumer));
    for id in [1, 2] {
        queue.get(CONSUMER);
        queue.steps();
        let reason = format!("exit code {id}");
        queue.apply(CONSUMER, Request::Fail { batch: batch_ref(id, 1), try_count: 1, reason });
    }
    assert_eq!(
        queue.failed_items(),
        [(1, 1, "exit code 1".to_owned()), (2, 1, "exit code 2".to_owned())]
    );
    queue.put(PRODUCER, 3, &["c"]);
    queue.steps();
    assert_eq!(queue.apply(LATE, Request::Retry(NonZeroU64::new(2))), ["9 counted 1"]);
    assert!(
        queue.refusal(LATE, Request::Retry(NonZeroU64::new(2))).contains("no item 2 has failed")
    );
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got b try 2"], "at its old position");
    assert_eq!(queue.apply(LATE, Request::Drop(None)), ["9 counted 1"]);
    assert!(queue.failed_items().is_empty());
    assert_eq!(queue.apply(LATE, Request::Drop(None)), ["9 counted 0"]);
}

#[test]
fn a_retry_resets_the_delivery_failures() {
    let mut queue = with_consumers(leased(2), leased(2));
    for attempt in [1, 2] {
        queue.get(CONSUMER);
        assert_eq!(queue.steps(), [format!("8 got a try {attempt}")]);
        queue.now += 10;
        queue.expire_leases();
    }
    assert_eq!(queue.queue.counts().failed, 1);
    queue.apply(LATE, Request::Retry(None));
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 3"]);
    queue.now += 10;
    assert_eq!(queue.expire_leases(), ["8 gave back a try 4"]);
}

#[test]
fn the_age_of_an_item_counts_from_its_acceptance() {
    let mut queue = TestQueue::new(0).with_clients(&ALL);
    assert_eq!(queue.queue.oldest_accepted_at(), None);
    for (now, item) in [(5, "a"), (20_000_000, "b")] {
        queue.now = now;
        queue.put(PRODUCER, 1, &[item]);
        queue.steps();
    }
    assert_eq!(queue.queue.oldest_accepted_at(), Some(5));
    queue.get(CONSUMER);
    queue.steps();
    assert_eq!(queue.queue.oldest_accepted_at(), Some(5), "item a is in flight, not done");
    queue.done(CONSUMER, 1);
    assert_eq!(queue.queue.oldest_accepted_at(), Some(20_000_000));
}

#[test]
fn each_try_and_each_delivery_is_an_attempt_of_its_own() {
    let mut queue = TestQueue::new(0).with_clients(&ALL);
    queue.put(PRODUCER, 3, &["a", "b", "c"]);
    queue.apply(CONSUMER, Request::Get { max: 3 });
    queue.steps();
    queue.get(LATE);
    queue.steps();
    let mut begin = |id, attempt| queue.apply(CONSUMER, Request::Attempt { id, attempt });
    assert_eq!(begin(1, 2), ["8 begins a try 2", "8 counted 1"]);
    assert_eq!(begin(1, 2), ["8 counted 1"], "a repetition");
    assert_eq!(begin(1, 4), ["8 counted 0"], "an attempt is skipped");
    assert_eq!(begin(1, 1), ["8 counted 0"]);
    assert_eq!(begin(9, 2), ["8 counted 0"], "item 9 is not in flight");
    assert_eq!(begin(1, 3), ["8 begins a try 3", "8 counted 1"]);
    // The consumer returns the item and receives it again: it has not begun this attempt itself.
    queue.apply(CONSUMER, Request::Requeue(batch_ref(1, 1)));
    queue.get(CONSUMER);
    queue.steps();
    let mut begin = |id, attempt| queue.apply(CONSUMER, Request::Attempt { id, attempt });
    assert_eq!(begin(1, 4), ["8 counted 0"]);
    assert_eq!(begin(1, 5), ["8 begins a try 5", "8 counted 1"]);
    let effects = queue.apply(CONSUMER, Request::ClientDied { now: 0 });
    assert!(effects.contains(&"8 gave back a try 6".to_owned()), "{effects:?}");
}
