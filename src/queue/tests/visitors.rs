//! Visitors: clients that put and leave, get without waiting, or join.

use super::*;

const VISITOR: ClientId = 30;

/// A visitor that was born at `tick`, and its ancestors, which were born at `ancestor_ticks`.
fn visitor_settings(tick: u64, ancestor_ticks: &[u64]) -> ClientSettings {
    let ancestors = ancestor_ticks.iter().map(|&tick| ProcessBirth::new(tick, 1)).collect();
    ClientSettings { birth: ProcessBirth::new(tick, 1), ancestors, ..settings(Role::Visitor) }
}

fn queue_with_visitor(capacity: u64) -> TestQueue {
    let mut queue = TestQueue::new(capacity).with_clients(&ALL);
    queue.apply(VISITOR, Request::Connect(visitor_settings(10, &[9])));
    queue
}

#[test]
fn a_cancelled_put_names_the_items_that_were_not_put() {
    let mut queue = queue_with_visitor(2);
    queue.put(VISITOR, 3, &["a", "b", "c"]);
    assert_eq!(queue.steps(), ["30 put up to 2: a b try 1"]);
    assert_eq!(queue.apply(VISITOR, Request::Cancel), ["30 no room up to 3", "30 cancelled"]);
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 got a try 1"], "item c is not in the queue");
    assert_eq!(queue.apply(VISITOR, Request::Cancel), ["30 cancelled"], "nothing waited");
}

#[test]
fn a_cancelled_get_is_answered_with_empty() {
    let mut queue = queue_with_visitor(0);
    queue.get(VISITOR);
    assert!(queue.steps().is_empty());
    assert_eq!(queue.apply(VISITOR, Request::Cancel), ["30 empty", "30 cancelled"]);
    queue.put(PRODUCER, 1, &["a"]);
    assert_eq!(queue.steps(), ["1 put up to 1: a try 1"], "no get waits for the item");
    queue.get(VISITOR);
    assert_eq!(queue.steps(), ["30 got a try 1"]);
}

#[test]
fn a_join_ends_when_the_last_item_is_done() {
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
    assert_eq!(queue.steps(), ["30 joined, 0 failed"], "all items are done already");
}

#[test]
fn a_cancelled_join_counts_the_rest_and_no_join_waits_for_failed_items() {
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
fn a_visitor_puts_before_the_sentinel_of_the_last_producer() {
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
fn a_connected_visitor_does_not_delay_the_end() {
    let mut queue = TestQueue::new(0).with_clients(&ALL[..1]);
    queue.apply(CONSUMER, Request::Connect(settings(Role::Consumer)));
    queue.apply(VISITOR, Request::Connect(visitor_settings(10, &[9])));
    queue.apply(PRODUCER, Request::Disconnect);
    queue.get(CONSUMER);
    assert_eq!(queue.steps(), ["8 ended"]);
}

#[test]
fn a_close_refuses_visitors_too_and_can_be_repeated() {
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
fn no_producer_takes_back_the_sentinel_of_a_close() {
    let mut queue = TestQueue::new(0).with_clients(&ALL[..1]);
    queue.apply(PRODUCER, Request::Disconnect);
    queue.queue.close();
    queue.apply(OTHER, Request::Connect(settings(Role::Producer)));
    assert_eq!(queue.put(OTHER, 1, &["a"]), ["2 refused up to 1"]);
}

/// Connects the visitor for one get. The queue ends at 50, if its end is due.
fn get_sees_end(queue: &mut TestQueue, client: ClientId, visitor: ClientSettings) -> bool {
    queue.apply(client, Request::Connect(visitor));
    queue.get(client);
    let sees_end = queue.steps_until(ProcessBirth::new(50, 1)) == [format!("{client} ended")];
    queue.apply(client, Request::Disconnect);
    sees_end
}

#[test]
fn a_visitor_sees_the_end_if_it_or_an_ancestor_was_born_before_the_end() {
    let mut queue = TestQueue::new(0);
    queue.queue.close();
    // A script that began at 1 has loops that began at 9 and 8. Each get is a new process, and can
    // have a new wrapper process.
    assert!(get_sees_end(&mut queue, 31, visitor_settings(20, &[9, 1])));
    assert!(
        get_sees_end(&mut queue, 32, visitor_settings(60, &[9, 1])),
        "a pool starts one get after the other"
    );
    assert!(get_sees_end(&mut queue, 33, visitor_settings(61, &[61, 8, 1])));
    assert!(
        get_sees_end(&mut queue, 34, visitor_settings(63, &[63, 55, 1])),
        "a worker that the script started late"
    );
    assert!(
        get_sees_end(&mut queue, 35, visitor_settings(40, &[])),
        "a get that was born before the end"
    );
    assert!(
        !get_sees_end(&mut queue, 36, visitor_settings(65, &[58])),
        "a script that began after the end"
    );
    assert!(!get_sees_end(&mut queue, 37, visitor_settings(66, &[])), "a person, at a prompt");
    queue.apply(38, Request::Connect(visitor_settings(67, &[1])));
    queue.put(38, 1, &["new"]);
    queue.steps();
    assert!(!get_sees_end(&mut queue, 39, visitor_settings(68, &[9, 1])), "a new round has begun");
}

#[test]
fn pids_of_different_namespaces_are_not_compared() {
    for (birth, sees_end) in [
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
            Request::Connect(ClientSettings { birth, ..settings(Role::Consumer) }),
        );
        queue.get(CONSUMER);
        assert_eq!(queue.steps() == ["8 ended"], sees_end, "{birth:?}");
    }
}

#[test]
fn a_loop_that_missed_the_end_gets_items_of_the_next_queue() {
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
fn a_connected_visitor_sees_the_end_until_a_new_queue_begins() {
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
fn a_visitor_without_a_get_at_the_end_belongs_to_the_next_queue() {
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
fn a_get_that_waits_while_a_new_queue_begins_sees_the_end_once() {
    let mut queue = queue_with_visitor(0);
    queue.queue.close();
    queue.get(VISITOR);
    queue.queue.end(ProcessBirth::new(100, 1));
    queue.put(31, 1, &["unknown client"]);
    queue.apply(31, Request::Connect(visitor_settings(10, &[])));
    queue.put(31, 1, &["new"]);
    assert_eq!(queue.steps(), ["31 put up to 1: new try 1", "30 ended"]);
    queue.get(VISITOR);
    assert_eq!(queue.steps(), ["30 got new try 1"]);
}

#[test]
fn visitors_with_waiting_gets_share_the_ready_items() {
    let mut queue = TestQueue::new(0).with_clients(&ALL[..1]);
    for client in [31, 32] {
        queue.apply(client, Request::Connect(visitor_settings(10, &[])));
        queue.apply(client, Request::Get { max: 100 });
    }
    queue.put(PRODUCER, 4, &["a", "b", "c", "d"]);
    assert_eq!(queue.steps()[1..], ["31 got a b try 1", "32 got c d try 1"]);
}

#[test]
fn a_queue_continues_from_its_state() {
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
    assert_eq!(queue.done(CONSUMER, 2), ["8 did b try 1"], "the ids go on");
    assert_eq!(queue.queue.state().capacity, Some(3.into()));
    assert_eq!(queue.queue.counts().done, 2);
}
