//! Those who come for one thing: to put and leave, to get without waiting, to wait for the others.

use super::*;

const VISITOR: ClientId = 30;

/// A visitor that was born then, and started by those who were born at these ticks.
fn visitor_settings(tick: u64, callers: &[u64]) -> ClientSettings {
    let callers = callers.iter().map(|&tick| ProcessBirth::new(tick, 1)).collect();
    ClientSettings {
        birth: ProcessBirth::new(tick, 1),
        ancestors: callers,
        ..settings(Role::Visitor)
    }
}

/// A queue of this capacity with a visitor.
fn queue_with_visitor(capacity: u64) -> TestQueue {
    let mut queue = TestQueue::new(capacity).with_clients(&ALL);
    queue.apply(VISITOR, Request::Connect(visitor_settings(10, &[9])));
    queue
}

#[test]
fn who_does_not_wait_for_room_is_told_what_was_not_put() {
    let mut queue = queue_with_visitor(2);
    queue.put(VISITOR, 3, &["a", "b", "c"]);
    assert_eq!(queue.steps(), ["30 put up to 2: a b try 1"]);
    assert_eq!(queue.apply(VISITOR, Request::Cancel), ["30 no room up to 3", "30 cancelled"]);
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 1"], "c is not in the queue");
    assert_eq!(queue.apply(VISITOR, Request::Cancel), ["30 cancelled"], "there is nothing");
}

#[test]
fn who_does_not_wait_for_an_item_is_told_that_there_is_none() {
    let mut queue = queue_with_visitor(0);
    queue.get(VISITOR);
    assert!(queue.steps().is_empty());
    assert_eq!(queue.apply(VISITOR, Request::Cancel), ["30 empty", "30 cancelled"]);
    queue.put(PRODUCER, 1, &["a"]);
    assert_eq!(queue.steps(), ["1 put up to 1: a try 1"], "nobody waits for it");
    queue.get(VISITOR);
    assert_eq!(queue.steps(), ["30 got a try 1"]);
}

#[test]
fn a_join_is_over_when_the_last_item_is_done_and_not_before() {
    let mut queue = queue_with_visitor(0);
    queue.put(PRODUCER, 2, &["a", "b"]);
    queue.steps();
    queue.apply(VISITOR, Request::Join);
    for (id, item) in [(1, "a"), (2, "b")] {
        queue.get(CONSUMER);
        assert_eq!(queue.steps(), [format!("8 got {item} try 1")]);
        queue.done(CONSUMER, id);
    }
    assert_eq!(queue.steps(), ["30 joined, 0 failed"]);
    queue.apply(VISITOR, Request::Join);
    assert_eq!(queue.steps(), ["30 joined, 0 failed"], "there is nothing to wait for");
}

#[test]
fn a_join_that_is_given_up_tells_how_many_are_left_and_failed_ones_hold_up_nobody() {
    let mut queue = queue_with_visitor(0);
    queue.put(PRODUCER, 2, &["a", "b"]);
    queue.get(CONSUMER);
    queue.steps();
    queue.apply(VISITOR, Request::Join);
    assert_eq!(queue.apply(VISITOR, Request::Cancel), ["30 unfinished 2", "30 cancelled"]);
    queue.apply(VISITOR, Request::Join);
    queue.apply(
        CONSUMER,
        Request::Fail { batch: batch_ref(1, 1), try_count: 1, reason: String::new() },
    );
    queue.get(CONSUMER);
    queue.steps();
    queue.done(CONSUMER, 2);
    assert_eq!(queue.steps(), ["30 joined, 1 failed"]);
}

#[test]
fn a_visitor_ends_nothing_and_puts_before_the_sentinel_of_the_last_producer() {
    let mut queue = TestQueue::new(0).with_clients(&ALL[..1]);
    queue.apply(CONSUMER, Request::Connect(settings(Role::Consumer)));
    queue.apply(VISITOR, Request::Connect(visitor_settings(10, &[9])));
    queue.apply(PRODUCER, Request::Disconnect);
    queue.put(VISITOR, 1, &["late"]);
    assert_eq!(queue.steps(), ["30 put up to 1: late try 1"]);
    queue.apply(VISITOR, Request::Disconnect);
    queue.get(CONSUMER);
    queue.steps();
    queue.done(CONSUMER, 1);
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 ended"]);
}

#[test]
fn a_visitor_that_stays_longer_than_the_last_producer_keeps_nothing_open() {
    let mut queue = TestQueue::new(0).with_clients(&ALL[..1]);
    queue.apply(CONSUMER, Request::Connect(settings(Role::Consumer)));
    queue.apply(VISITOR, Request::Connect(visitor_settings(10, &[9])));
    queue.apply(PRODUCER, Request::Disconnect);
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 ended"]);
}

#[test]
fn after_the_close_visitors_are_refused_too_and_closing_twice_is_closing() {
    let mut queue = queue_with_visitor(0);
    for _ in 0..2 {
        let close = Request::Close { now: false };
        assert_eq!(queue.apply(VISITOR, close), ["30 counted 0"]);
    }
    assert_eq!(queue.put(VISITOR, 1, &["a"]), ["30 refused up to 1"]);
    queue.get(VISITOR);
    assert_eq!(queue.steps(), ["30 ended"]);
}

#[test]
fn close_outweighs_the_sentinel_of_the_last_producer() {
    let mut queue = TestQueue::new(0).with_clients(&ALL[..1]);
    queue.apply(PRODUCER, Request::Disconnect);
    queue.queue.close();
    queue.apply(OTHER, Request::Connect(settings(Role::Producer)));
    assert_eq!(queue.put(OTHER, 1, &["a"]), ["2 refused up to 1"]);
}

/// What a visitor is told by a queue that has ended at 50, and when that was not the first one by it.
fn get_sees_end(queue: &mut TestQueue, client: ClientId, visitor: ClientSettings) -> bool {
    queue.apply(client, Request::Connect(visitor));
    queue.get(client);
    let told = queue.steps_until(ProcessBirth::new(50, 1)) == [format!("{client} ended")];
    queue.apply(client, Request::Disconnect);
    told
}

#[test]
fn a_visitor_is_told_of_the_end_if_it_or_a_caller_was_there_before() {
    let mut queue = TestQueue::new(0);
    queue.queue.close();
    // A script that began at 1, with loops that began at 9 and 8; each get is a new process, and may
    // have a wrapper that is as new.
    assert!(get_sees_end(&mut queue, 31, visitor_settings(20, &[9, 1])));
    assert!(
        get_sees_end(&mut queue, 32, visitor_settings(60, &[9, 1])),
        "a pool starts one get after another"
    );
    assert!(get_sees_end(&mut queue, 33, visitor_settings(61, &[61, 8, 1])));
    assert!(
        get_sees_end(&mut queue, 34, visitor_settings(63, &[63, 55, 1])),
        "a worker that the script started late"
    );
    assert!(get_sees_end(&mut queue, 35, visitor_settings(40, &[])), "a get that was there itself");
    assert!(
        !get_sees_end(&mut queue, 36, visitor_settings(65, &[58])),
        "a script that began after the end"
    );
    assert!(!get_sees_end(&mut queue, 37, visitor_settings(66, &[])), "a person, at a prompt");
    queue.apply(38, Request::Connect(visitor_settings(67, &[1])));
    queue.put(38, 1, &["new"]);
    queue.steps();
    assert!(
        !get_sees_end(&mut queue, 39, visitor_settings(68, &[9, 1])),
        "something new has begun"
    );
}

#[test]
fn processes_of_different_pid_namespaces_are_not_compared_by_their_numbers() {
    for (born, is_told) in [
        (ProcessBirth::new(50, 9).in_namespace(2), true),
        (ProcessBirth::new(50, 1).in_namespace(0), true),
        (ProcessBirth::new(51, 1).in_namespace(2), false),
        (ProcessBirth::new(50, 9), false),
        (ProcessBirth::new(50, 1), true),
    ] {
        let mut queue = TestQueue::new(0);
        queue.queue.end(ProcessBirth::new(50, 1));
        queue.apply(
            CONSUMER,
            Request::Connect(ClientSettings { birth: born, ..settings(Role::Consumer) }),
        );
        queue.get(CONSUMER);
        assert_eq!(queue.steps() == ["8 ended"], is_told, "{born:?}");
    }
}

#[test]
fn a_loop_gets_what_has_begun_after_the_end_that_it_was_not_told_of() {
    let mut queue = TestQueue::new(0);
    queue.queue.end(ProcessBirth::new(50, 1));
    queue.apply(31, Request::Connect(visitor_settings(60, &[1])));
    queue.put(31, 1, &["new"]);
    queue.steps();
    queue.apply(VISITOR, Request::Connect(visitor_settings(10, &[9])));
    queue.get(VISITOR);
    assert_eq!(queue.steps(), ["30 got new try 1"]);
    assert_eq!(queue.queue.counts().in_flight, 1);
}

#[test]
fn a_visitor_that_stays_after_the_end_is_told_until_something_new_begins() {
    let mut queue = queue_with_visitor(0);
    queue.queue.close();
    for _ in 0..2 {
        queue.get(VISITOR);
        assert_eq!(queue.steps(), ["30 ended"]);
    }
    queue.put(VISITOR, 1, &["a"]);
    queue.get(VISITOR);
    assert_eq!(queue.steps(), ["30 put up to 1: a try 1", "30 got a try 1"]);
}

#[test]
fn a_visitor_that_has_not_asked_of_an_end_gets_what_begins_after_it() {
    let mut queue = queue_with_visitor(0);
    queue.apply(31, Request::Connect(visitor_settings(10, &[8])));
    queue.queue.close();
    queue.get(31);
    assert_eq!(queue.steps(), ["31 ended"]);
    queue.put(VISITOR, 1, &["new"]);
    queue.get(VISITOR);
    assert_eq!(queue.steps(), ["30 put up to 1: new try 1", "30 got new try 1"]);
}

#[test]
fn a_visitor_that_waits_while_something_new_begins_is_told_of_the_end_once() {
    let mut queue = queue_with_visitor(0);
    queue.queue.close();
    queue.get(VISITOR);
    queue.queue.end(ProcessBirth::new(100, 1));
    queue.put(31, 1, &["nobody"]);
    queue.apply(31, Request::Connect(visitor_settings(10, &[])));
    queue.put(31, 1, &["new"]);
    assert_eq!(queue.steps(), ["31 put up to 1: new try 1", "30 ended"]);
    queue.get(VISITOR);
    assert_eq!(queue.steps(), ["30 got new try 1"]);
}

#[test]
fn visitors_that_ask_at_the_same_time_share_what_there_is() {
    let mut queue = TestQueue::new(0).with_clients(&ALL[..1]);
    for client in [31, 32] {
        queue.apply(client, Request::Connect(visitor_settings(10, &[])));
        queue.apply(client, Request::Get { max: 100 });
    }
    queue.put(PRODUCER, 4, &["a", "b", "c", "d"]);
    assert_eq!(queue.steps()[1..], ["31 got a b try 1", "32 got c d try 1"]);
}

#[test]
fn what_is_remembered_brings_the_queue_back() {
    let mut queue = queue_with_visitor(3);
    queue.put(VISITOR, 1, &["a"]);
    queue.get(CONSUMER);
    queue.steps();
    queue.done(CONSUMER, 1);
    let state = queue.queue.state();
    assert_eq!((state.last_id, state.done_count, state.has_begun), (1, 1, true));
    let mut queue = TestQueue::with_queue(Queue::new(state, true)).with_clients(&ALL);
    queue.put(PRODUCER, 1, &["b"]);
    queue.get(CONSUMER);
    queue.steps();
    assert_eq!(queue.queue.peek(0, 1), None);
    assert_eq!(queue.done(CONSUMER, 2), ["8 did b try 1"], "numbers go on");
    assert_eq!(queue.queue.capacity(), NonZeroU64::new(3));
    assert_eq!(queue.queue.counts().done, 2);
}
