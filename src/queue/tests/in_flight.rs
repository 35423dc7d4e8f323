//! What becomes of items that are out: leases, failures, deaths.

use super::*;

/// A consumer with a lease of 10, and items that are put aside at the `most`th strike.
fn leased(most: u32) -> ClientSettings {
    ClientSettings { lease: Some(10), max_attempts: most, ..settings(Role::Consumer) }
}

/// Items a and b are in line, and these two consumers are there.
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
        let mut effects = Vec::new();
        self.queue.expire_leases(self.now, &mut effects);
        effects.iter().map(describe).collect()
    }

    fn failed_items(&self) -> Vec<(u64, u32, String)> {
        let (mut all, mut from) = (Vec::new(), 1);
        while let Some(FailedItem { batch, reason }) = self.queue.next_failed(from) {
            from = batch.end_id();
            all.push((batch.first_id, batch.attempt, reason.clone()));
        }
        all
    }
}

#[test]
fn an_item_that_is_held_for_longer_than_its_lease_goes_back_in_line() {
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
    assert!(reason.contains("1 items from 1 on are not out with this client"), "{reason}");
    queue.get(LATE);
    assert_eq!(queue.steps(), ["9 got a try 2"]);
}

#[test]
fn a_lease_ends_with_what_it_was_for() {
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
fn what_is_done_of_a_run_in_time_does_not_come_back_with_the_rest() {
    let mut queue = with_consumers(leased(0), settings(Role::Consumer));
    queue.apply(LATE, Request::Disconnect);
    queue.apply(CONSUMER, Request::Get { max: 2 });
    assert_eq!(queue.steps(), ["8 got a b try 1"]);
    queue.done(CONSUMER, 1);
    queue.now = 10;
    assert_eq!(queue.expire_leases(), ["8 gave back b try 2"]);
}

#[test]
fn an_item_that_so_many_died_of_is_put_aside() {
    let mut queue = with_consumers(leased(3), settings(Role::Consumer));
    for client in [20, 21] {
        queue.apply(client, Request::Connect(leased(3)));
        queue.get(client);
        queue.steps();
        queue.apply(client, Request::ClientDied);
    }
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 3"]);
    assert_eq!(queue.apply(CONSUMER, Request::ClientDied), ["8 failed a try 3"]);
    let reason = "3 consumers died of it, or held it for longer than their lease";
    assert_eq!(queue.failed_items(), [(1, 3, reason.to_owned())]);
    let counts = queue.queue.counts();
    assert_eq!((counts.ready, counts.in_flight, counts.done, counts.failed), (1, 0, 0, 1));
}

#[test]
fn a_lease_that_runs_out_counts_like_a_death_and_leaving_does_not() {
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
    assert_eq!(queue.apply(LATE, Request::ClientDied), ["9 failed a try 7"]);
}

#[test]
fn an_item_that_is_given_back_is_the_next_one_again() {
    let mut queue = with_consumers(settings(Role::Consumer), settings(Role::Consumer));
    queue.get(CONSUMER);
    queue.steps();
    let back = Request::Requeue(batch_ref(1, 1));
    assert_eq!(queue.apply(CONSUMER, back.clone()), ["8 gave back a try 2"]);
    assert!(queue.refusal(CONSUMER, back).contains("not out"));
    queue.get(LATE);
    assert_eq!(queue.steps(), ["9 got a try 2"]);
}

#[test]
fn what_is_said_of_an_earlier_attempt_is_not_taken_for_the_next_one() {
    let mut queue = with_consumers(leased(0), settings(Role::Consumer));
    queue.apply(LATE, Request::Disconnect);
    queue.get(CONSUMER);
    queue.steps();
    queue.now = 10;
    queue.expire_leases();
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 2"]);
    let of = |attempt| BatchRef { attempt: Some(attempt), ..batch_ref(1, 1) };
    for late in [
        Request::Done(of(1)),
        Request::Requeue(of(1)),
        Request::Fail { batch: of(1), try_count: 1, reason: String::new() },
    ] {
        assert!(queue.refusal(CONSUMER, late).contains("not any more"));
    }
    assert_eq!(queue.apply(CONSUMER, Request::Done(of(2))), ["8 did a try 2"]);
}

#[test]
fn tries_of_one_attempt_count_like_attempts() {
    let mut queue = with_consumers(leased(0), settings(Role::Consumer));
    queue.get(CONSUMER);
    queue.steps();
    let fail = Request::Fail { batch: batch_ref(1, 1), try_count: 3, reason: String::new() };
    assert_eq!(queue.apply(CONSUMER, fail), ["8 failed a try 3"]);
    queue.apply(LATE, Request::Retry { id: None });
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 4"]);
}

#[test]
fn what_is_retried_after_the_end_ends_again() {
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
    queue.apply(LATE, Request::Retry { id: None });
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
fn what_failed_waits_aside_until_it_is_retried_or_dropped() {
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
    assert_eq!(queue.apply(LATE, Request::Retry { id: Some(2) }), ["9 counted 1"]);
    assert!(queue.refusal(LATE, Request::Retry { id: Some(2) }).contains("no item 2 has failed"));
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got b try 2"], "at its old place");
    assert_eq!(queue.apply(LATE, Request::Drop { id: None }), ["9 counted 1"]);
    assert!(queue.failed_items().is_empty());
    assert_eq!(queue.apply(LATE, Request::Drop { id: None }), ["9 counted 0"]);
}

#[test]
fn a_retried_item_has_all_its_attempts_before_it_again() {
    let mut queue = with_consumers(leased(2), leased(2));
    for try_ in [1, 2] {
        queue.get(CONSUMER);
        assert_eq!(queue.steps(), [format!("8 got a try {try_}")]);
        queue.now += 10;
        queue.expire_leases();
    }
    assert_eq!(queue.queue.counts().failed, 1);
    queue.apply(LATE, Request::Retry { id: None });
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 3"]);
    queue.now += 10;
    assert_eq!(queue.expire_leases(), ["8 gave back a try 4"]);
}

#[test]
fn an_item_is_as_old_as_it_has_been_here() {
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
    assert_eq!(queue.queue.oldest_accepted_at(), Some(5), "it is out, and not done");
    queue.done(CONSUMER, 1);
    assert_eq!(queue.queue.oldest_accepted_at(), Some(20_000_000));
}

#[test]
fn each_try_is_an_attempt_of_its_own_and_the_next_consumer_has_another_one() {
    let mut queue = TestQueue::new(0).with_clients(&ALL);
    queue.put(PRODUCER, 3, &["a", "b", "c"]);
    queue.apply(CONSUMER, Request::Get { max: 3 });
    queue.steps();
    queue.get(LATE);
    queue.steps();
    let mut again = |id, attempt| queue.apply(CONSUMER, Request::Attempt { id, attempt });
    assert_eq!(again(1, 2), ["8 begins a try 2", "8 counted 1"]);
    assert_eq!(again(1, 2), ["8 counted 1"], "it has been said before");
    assert_eq!(again(1, 4), ["8 counted 0"], "there is none between");
    assert_eq!(again(1, 1), ["8 counted 0"]);
    assert_eq!(again(9, 2), ["8 counted 0"], "this one is not there");
    assert_eq!(again(1, 3), ["8 begins a try 3", "8 counted 1"]);
    // It gives the item back, and is handed it again: that is not the attempt that it could have begun.
    queue.apply(CONSUMER, Request::Requeue(batch_ref(1, 1)));
    queue.get(CONSUMER);
    queue.steps();
    let mut again = |id, attempt| queue.apply(CONSUMER, Request::Attempt { id, attempt });
    assert_eq!(again(1, 4), ["8 counted 0"]);
    assert_eq!(again(1, 5), ["8 begins a try 5", "8 counted 1"]);
    let told = queue.apply(CONSUMER, Request::ClientDied);
    assert!(told.contains(&"8 gave back a try 6".to_owned()), "{told:?}");
}
