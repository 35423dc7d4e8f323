//! Those who come for one thing: to put and leave, to get without waiting, to wait for the others.

use super::*;

const VISITOR: ClientId = 30;

fn visitor(tick: u64, caller: u64) -> Member {
    let caller = Some(Stamp::new(caller, 1));
    Member { born: Stamp::new(tick, 1), caller, ..member(Role::Visitor) }
}

/// A queue of this capacity with a visitor.
fn visited(capacity: u64) -> Told {
    let mut queue = Told::new(capacity).joined(&ALL);
    queue.apply(VISITOR, Request::Come(visitor(10, 9)));
    queue
}

#[test]
fn who_does_not_wait_for_room_is_told_what_was_not_put() {
    let mut queue = visited(2);
    queue.put(VISITOR, 3, &["a", "b", "c"]);
    assert_eq!(queue.steps(), ["30 put up to 2: a b try 1"]);
    assert_eq!(queue.apply(VISITOR, Request::Cancel), ["30 no room up to 3"]);
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 1"], "c is not in the queue");
    assert!(queue.apply(VISITOR, Request::Cancel).is_empty(), "there is nothing to cancel");
}

#[test]
fn who_does_not_wait_for_an_item_is_told_that_there_is_none() {
    let mut queue = visited(0);
    queue.get(VISITOR);
    assert!(queue.steps().is_empty());
    assert_eq!(queue.apply(VISITOR, Request::Cancel), ["30 empty"]);
    queue.put(PRODUCER, 1, &["a"]);
    assert_eq!(queue.steps(), ["1 put up to 1: a try 1"], "nobody waits for it");
    queue.get(VISITOR);
    assert_eq!(queue.steps(), ["30 got a try 1"]);
}

#[test]
fn a_join_is_over_when_the_last_item_is_done_and_not_before() {
    let mut queue = visited(0);
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
    let mut queue = visited(0);
    queue.put(PRODUCER, 2, &["a", "b"]);
    queue.get(CONSUMER);
    queue.steps();
    queue.apply(VISITOR, Request::Join);
    assert_eq!(queue.apply(VISITOR, Request::Cancel), ["30 unfinished 2"]);
    queue.apply(VISITOR, Request::Join);
    queue.apply(CONSUMER, Request::Fail { id: 1, why: String::new() });
    queue.get(CONSUMER);
    queue.steps();
    queue.done(CONSUMER, 2);
    assert_eq!(queue.steps(), ["30 joined, 1 failed"]);
}

#[test]
fn a_visitor_ends_nothing_and_puts_before_the_sentinel_of_the_last_producer() {
    let mut queue = Told::new(0).joined(&ALL[..1]);
    queue.apply(CONSUMER, Request::Come(member(Role::Consumer)));
    queue.apply(VISITOR, Request::Come(visitor(10, 9)));
    queue.apply(PRODUCER, Request::Leave);
    queue.put(VISITOR, 1, &["late"]);
    assert_eq!(queue.steps(), ["30 put up to 1: late try 1"]);
    queue.apply(VISITOR, Request::Leave);
    queue.get(CONSUMER);
    queue.steps();
    queue.done(CONSUMER, 1);
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 ended"]);
}

#[test]
fn a_visitor_that_stays_longer_than_the_last_producer_keeps_nothing_open() {
    let mut queue = Told::new(0).joined(&ALL[..1]);
    queue.apply(CONSUMER, Request::Come(member(Role::Consumer)));
    queue.apply(VISITOR, Request::Come(visitor(10, 9)));
    queue.apply(PRODUCER, Request::Leave);
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 ended"]);
}

#[test]
fn after_the_close_visitors_are_refused_too_and_closing_twice_is_closing() {
    let mut queue = visited(0);
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
    let mut queue = Told::new(0).joined(&ALL[..1]);
    queue.apply(PRODUCER, Request::Leave);
    queue.queue.close();
    queue.apply(OTHER, Request::Come(member(Role::Producer)));
    assert_eq!(queue.put(OTHER, 1, &["a"]), ["2 refused up to 1"]);
}

#[test]
fn a_job_that_was_there_before_the_end_is_told_once_and_then_waits() {
    let mut queue = Told::new(0);
    queue.queue.close();
    queue.apply(VISITOR, Request::Come(visitor(10, 9)));
    queue.get(VISITOR);
    // Each get of a script is a process of its own, here all of one job, which began at 10.
    assert_eq!(queue.steps_until(Stamp::new(50, 1)), ["30 ended"]);
    queue.apply(VISITOR, Request::Leave);
    for (client, caller, told) in [(31, 9, false), (32, 8, true), (33, 8, false)] {
        queue.apply(client, Request::Come(visitor(10, caller)));
        queue.get(client);
        assert_eq!(!queue.steps().is_empty(), told, "caller {caller}");
        queue.apply(client, Request::Leave);
    }
    queue.apply(34, Request::Come(visitor(51, 7)));
    queue.get(34);
    assert!(queue.steps().is_empty(), "a job that began after the end waits for what comes");
}

#[test]
fn a_job_gets_what_has_begun_after_the_end_that_it_was_not_told_of() {
    let mut queue = Told::new(0);
    queue.queue.end(Stamp::new(50, 1));
    queue.apply(31, Request::Come(visitor(60, 1)));
    queue.put(31, 1, &["new"]);
    queue.steps();
    queue.apply(VISITOR, Request::Come(visitor(10, 9)));
    queue.get(VISITOR);
    assert_eq!(queue.steps(), ["30 got new try 1"]);
    assert_eq!(queue.queue.census().out, 1);
}

#[test]
fn a_visitor_that_stays_after_the_end_is_told_once() {
    let mut queue = visited(0);
    queue.queue.close();
    queue.get(VISITOR);
    assert_eq!(queue.steps(), ["30 ended"]);
    queue.put(VISITOR, 1, &["a"]);
    queue.get(VISITOR);
    assert_eq!(queue.steps(), ["30 put up to 1: a try 1", "30 got a try 1"]);
}

#[test]
fn what_is_remembered_brings_the_queue_back() {
    let mut queue = visited(3);
    queue.put(VISITOR, 1, &["a"]);
    queue.get(CONSUMER);
    queue.steps();
    queue.done(CONSUMER, 1);
    let remains = queue.queue.remains();
    assert_eq!((remains.last_number, remains.done, remains.begun), (1, 1, true));
    let mut queue = Told::of(Queue::new(remains, true)).joined(&ALL);
    queue.put(PRODUCER, 1, &["b"]);
    queue.get(CONSUMER);
    queue.steps();
    assert_eq!(queue.queue.peek(0, 1), None);
    assert_eq!(queue.done(CONSUMER, 2), ["8 did b try 1"], "numbers go on");
    assert_eq!(queue.queue.capacity(), NonZeroU64::new(3));
    assert_eq!(queue.queue.census().done, 2);
}
