//! What becomes of items that are out: leases, failures, deaths.

use super::*;

/// A consumer with a lease of 10, and items that are put aside at the `most`th strike.
fn leased(most: u32) -> Member {
    Member { lease: Some(10), max_attempts: most, ..member(Role::Consumer) }
}

/// Items a and b are in line, and these two consumers are there.
fn with(first: Member, second: Member) -> Told {
    let mut queue = Told::new(0).joined(&ALL[..1]);
    queue.apply(CONSUMER, Request::Come(first));
    queue.apply(LATE, Request::Come(second));
    queue.put(PRODUCER, 2, &["a", "b"]);
    queue.steps();
    queue
}

impl Told {
    fn expire(&mut self) -> Vec<String> {
        let mut effects = Vec::new();
        self.queue.expire(self.now, &mut effects);
        effects.iter().map(tell).collect()
    }

    fn failed(&self) -> Vec<(u64, u32, String)> {
        let (mut all, mut from) = (Vec::new(), 1);
        while let Some(Failed { run, why }) = self.queue.failed_from(from) {
            from = run.end();
            all.push((run.first, run.attempt, why.clone()));
        }
        all
    }
}

#[test]
fn an_item_that_is_held_for_longer_than_its_lease_goes_back_in_line() {
    let mut queue = with(leased(0), member(Role::Consumer));
    queue.now = 100;
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 1"]);
    assert_eq!(queue.queue.next_expiry(), Some(110));
    queue.now = 109;
    assert!(queue.expire().is_empty());
    queue.now = 110;
    assert_eq!(queue.expire(), ["8 gave back a try 2"]);
    assert_eq!(queue.queue.next_expiry(), None);
    let why = queue.refused(CONSUMER, Request::Done(which(1, 1)));
    assert!(why.contains("1 items from 1 on are not out with this client"), "{why}");
    queue.get(LATE);
    assert_eq!(queue.steps(), ["9 got a try 2"]);
}

#[test]
fn a_lease_ends_with_what_it_was_for() {
    let mut queue = with(leased(0), member(Role::Consumer));
    queue.apply(CONSUMER, Request::Get { max: 2 });
    assert_eq!(queue.steps(), ["8 got a try 1"], "a fair share");
    queue.apply(LATE, Request::Leave);
    queue.done(CONSUMER, 1);
    assert_eq!(queue.queue.next_expiry(), None);
    queue.now = 5;
    queue.get(CONSUMER);
    queue.steps();
    assert_eq!(queue.queue.next_expiry(), Some(15));
    queue.apply(CONSUMER, Request::Leave);
    assert_eq!(queue.queue.next_expiry(), None);
}

#[test]
fn what_is_done_of_a_run_in_time_does_not_come_back_with_the_rest() {
    let mut queue = with(leased(0), member(Role::Consumer));
    queue.apply(LATE, Request::Leave);
    queue.apply(CONSUMER, Request::Get { max: 2 });
    assert_eq!(queue.steps(), ["8 got a b try 1"]);
    queue.done(CONSUMER, 1);
    queue.now = 10;
    assert_eq!(queue.expire(), ["8 gave back b try 2"]);
}

#[test]
fn an_item_that_so_many_died_of_is_put_aside() {
    let mut queue = with(leased(3), member(Role::Consumer));
    for client in [20, 21] {
        queue.apply(client, Request::Come(leased(3)));
        queue.get(client);
        queue.steps();
        queue.apply(client, Request::Die);
    }
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 3"]);
    assert_eq!(queue.apply(CONSUMER, Request::Die), ["8 failed a try 3"]);
    let why = "3 consumers died of it, or held it for longer than their lease";
    assert_eq!(queue.failed(), [(1, 3, why.to_owned())]);
    let census = queue.queue.census();
    assert_eq!((census.in_line, census.out, census.done, census.failed), (1, 0, 0, 1));
}

#[test]
fn a_lease_that_runs_out_counts_like_a_death_and_leaving_does_not() {
    let mut queue = with(leased(2), leased(2));
    for _ in 0..5 {
        queue.get(CONSUMER);
        queue.steps();
        queue.apply(CONSUMER, Request::Leave);
        queue.apply(CONSUMER, Request::Come(leased(2)));
    }
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 6"]);
    queue.now = 10;
    assert_eq!(queue.expire(), ["8 gave back a try 7"]);
    queue.get(LATE);
    queue.steps();
    assert_eq!(queue.apply(LATE, Request::Die), ["9 failed a try 7"]);
}

#[test]
fn an_item_that_is_given_back_is_the_next_one_again() {
    let mut queue = with(member(Role::Consumer), member(Role::Consumer));
    queue.get(CONSUMER);
    queue.steps();
    let back = Request::GiveBack(which(1, 1));
    assert_eq!(queue.apply(CONSUMER, back.clone()), ["8 gave back a try 2"]);
    assert!(queue.refused(CONSUMER, back).contains("not out"));
    queue.get(LATE);
    assert_eq!(queue.steps(), ["9 got a try 2"]);
}

#[test]
fn what_is_said_of_an_earlier_attempt_is_not_taken_for_the_next_one() {
    let mut queue = with(leased(0), member(Role::Consumer));
    queue.apply(LATE, Request::Leave);
    queue.get(CONSUMER);
    queue.steps();
    queue.now = 10;
    queue.expire();
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 2"]);
    let of = |attempt| Which { attempt: Some(attempt), ..which(1, 1) };
    for late in [
        Request::Done(of(1)),
        Request::GiveBack(of(1)),
        Request::Fail { which: of(1), tries: 1, why: String::new() },
    ] {
        assert!(queue.refused(CONSUMER, late).contains("not any more"));
    }
    assert_eq!(queue.apply(CONSUMER, Request::Done(of(2))), ["8 did a try 2"]);
}

#[test]
fn tries_of_one_attempt_count_like_attempts() {
    let mut queue = with(leased(0), member(Role::Consumer));
    queue.get(CONSUMER);
    queue.steps();
    let fail = Request::Fail { which: which(1, 1), tries: 3, why: String::new() };
    assert_eq!(queue.apply(CONSUMER, fail), ["8 failed a try 3"]);
    queue.apply(LATE, Request::Retry { id: None });
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 4"]);
}

#[test]
fn what_is_retried_after_the_end_ends_again() {
    let mut queue = with(leased(0), leased(0));
    queue.get(CONSUMER);
    queue.steps();
    queue.apply(CONSUMER, Request::Fail { which: which(1, 1), tries: 1, why: String::new() });
    queue.queue.close();
    queue.get(CONSUMER);
    queue.steps();
    queue.done(CONSUMER, 2);
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 ended"]);
    queue.apply(LATE, Request::Retry { id: None });
    queue.apply(20, Request::Come(Member { born: Stamp::new(200, 1), ..member(Role::Consumer) }));
    queue.get(20);
    assert_eq!(queue.steps(), ["20 got a try 2"]);
    queue.done(20, 1);
    queue.get(20);
    assert_eq!(queue.steps(), ["20 ended"]);
}

#[test]
fn what_failed_waits_aside_until_it_is_retried_or_dropped() {
    let mut queue = with(member(Role::Consumer), member(Role::Consumer));
    for id in [1, 2] {
        queue.get(CONSUMER);
        queue.steps();
        let why = format!("exit code {id}");
        queue.apply(CONSUMER, Request::Fail { which: which(id, 1), tries: 1, why });
    }
    assert_eq!(
        queue.failed(),
        [(1, 1, "exit code 1".to_owned()), (2, 1, "exit code 2".to_owned())]
    );
    queue.put(PRODUCER, 3, &["c"]);
    queue.steps();
    assert_eq!(queue.apply(LATE, Request::Retry { id: Some(2) }), ["9 counted 1"]);
    assert!(queue.refused(LATE, Request::Retry { id: Some(2) }).contains("no item 2 has failed"));
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got b try 2"], "at its old place");
    assert_eq!(queue.apply(LATE, Request::Drop { id: None }), ["9 counted 1"]);
    assert!(queue.failed().is_empty());
    assert_eq!(queue.apply(LATE, Request::Drop { id: None }), ["9 counted 0"]);
}

#[test]
fn a_retried_item_has_all_its_attempts_before_it_again() {
    let mut queue = with(leased(2), leased(2));
    for try_ in [1, 2] {
        queue.get(CONSUMER);
        assert_eq!(queue.steps(), [format!("8 got a try {try_}")]);
        queue.now += 10;
        queue.expire();
    }
    assert_eq!(queue.queue.census().failed, 1);
    queue.apply(LATE, Request::Retry { id: None });
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 3"]);
    queue.now += 10;
    assert_eq!(queue.expire(), ["8 gave back a try 4"]);
}

#[test]
fn an_item_is_as_old_as_it_has_been_here() {
    let mut queue = Told::new(0).joined(&ALL);
    assert_eq!(queue.queue.oldest(), None);
    for (now, item) in [(5, "a"), (20_000_000, "b")] {
        queue.now = now;
        queue.put(PRODUCER, 1, &[item]);
        queue.steps();
    }
    assert_eq!(queue.queue.oldest(), Some(5));
    queue.get(CONSUMER);
    queue.steps();
    assert_eq!(queue.queue.oldest(), Some(5), "it is out, and not done");
    queue.done(CONSUMER, 1);
    assert_eq!(queue.queue.oldest(), Some(20_000_000));
}

#[test]
fn each_try_is_an_attempt_of_its_own_and_the_next_consumer_has_another_one() {
    let mut queue = Told::new(0).joined(&ALL);
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
    queue.apply(CONSUMER, Request::GiveBack(which(1, 1)));
    queue.get(CONSUMER);
    queue.steps();
    let mut again = |id, attempt| queue.apply(CONSUMER, Request::Attempt { id, attempt });
    assert_eq!(again(1, 4), ["8 counted 0"]);
    assert_eq!(again(1, 5), ["8 begins a try 5", "8 counted 1"]);
    let told = queue.apply(CONSUMER, Request::Die);
    assert!(told.contains(&"8 gave back a try 6".to_owned()), "{told:?}");
}
