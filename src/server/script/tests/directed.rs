//! Moves that random clients rarely make: on a keeper and on a server, which must answer alike.

use super::driver::{TestServer, VirtualQueue};
use super::pair::QueuePair;
use super::property::MALFORMED;
use crate::wire::{ClientKey, Reply};

const P: ClientKey = ClientKey(0xa1);
const C: ClientKey = ClientKey(0xc1);
const D: ClientKey = ClientKey(0xd1);
const V: ClientKey = ClientKey(0xf1);

/// A queue twice.
macro_rules! pair {
    ($pair:ident) => {
        let Some(server) = TestServer::start(&[]) else { return };
        let mut script = VirtualQueue::with_absence(&server, 0);
        let mut $pair = QueuePair::new(&mut script);
    };
}

/// The settings of a client whose process was there before the last end.
fn settings(pair: &QueuePair<'_>, role: &str, more: &str) -> String {
    format!(r#""role":"{role}","pid":7,"birth":{}{more}"#, pair.birth(false))
}

fn connect(pair: &mut QueuePair<'_>, key: ClientKey, role: &str, more: &str) {
    let settings = settings(pair, role, more);
    let mail = pair.hello(key, &format!(r#""version":2,{settings}"#), "");
    assert!(matches!(mail[&key][..], [Reply::Welcome(_)]));
}

/// Makes a call, and returns what the caller received as words without texts.
fn call(pair: &mut QueuePair<'_>, key: ClientKey, requests: &str) -> String {
    let mail = pair.call(key, requests);
    pair.compare_status();
    let words = mail[&key].iter().map(|reply| match reply {
        Reply::Batch(batch) => {
            format!("batch {} {} {}", batch.first_id, batch.count(), batch.attempt)
        }
        Reply::Ok { seq, id, .. } => format!("ok {seq} {id}"),
        Reply::Ended => "ended".to_owned(),
        Reply::Bye { .. } => "bye".to_owned(),
        Reply::Count { items } => format!("count {items}"),
        other => format!("{other:?}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

/// Ends the round, with consumer D.
fn end_round(pair: &mut QueuePair<'_>) {
    connect(pair, P, "producer", "");
    pair.call(P, "bye\n");
    let hello = format!(r#""version":2,"role":"consumer","pid":7,"birth":{}"#, pair.birth(true));
    let mail = pair.hello(D, &hello, "get 1\n");
    assert!(mail[&D].contains(&Reply::Ended));
    pair.call(D, "bye\n");
}

/// Loses the keeper. C and D come back, with these numbers of received batches.
fn lose_keeper(pair: &mut QueuePair<'_>, received: [u64; 2]) {
    let settings = settings(pair, "consumer", "");
    pair.lose_keeper(&[(C, settings.clone(), received[0]), (D, settings, received[1])]);
    pair.compare_status();
}

#[test]
fn a_get_of_a_visitor_that_is_older_than_a_round_is_answered_with_the_end() {
    pair!(pair);
    end_round(&mut pair);
    connect(&mut pair, V, "visitor", "");
    assert_eq!(call(&mut pair, V, "get 1\n"), "ended");
    assert_eq!(call(&mut pair, V, "get 1\nput 1 1 2\n1\n"), "ok 1 1, ended");
    assert_eq!(call(&mut pair, V, "get 1\n"), "batch 1 1 1");
}

#[test]
fn a_visitor_that_follows_is_told_only_the_end_it_comes_after() {
    pair!(pair);
    end_round(&mut pair);
    connect(&mut pair, V, "visitor", r#","follow":true"#);
    assert_eq!(call(&mut pair, V, "get 1\n"), "ended");
    end_round(&mut pair);
    assert_eq!(call(&mut pair, V, "get 1\n"), "");
    // One that comes in a round.
    connect(&mut pair, P, "producer", "");
    connect(&mut pair, C, "visitor", r#","follow":true"#);
    pair.call(P, "bye\n");
    let hello = format!(r#""version":2,"role":"consumer","pid":7,"birth":{}"#, pair.birth(true));
    assert!(pair.hello(D, &hello, "get 1\n")[&D].contains(&Reply::Ended));
    assert_eq!(call(&mut pair, C, "get 1\n"), "");
}

#[test]
fn a_follower_that_was_served_does_not_hide_the_end_from_others() {
    pair!(pair);
    connect(&mut pair, P, "producer", "");
    connect(&mut pair, C, "consumer", r#","follow":true"#);
    connect(&mut pair, D, "consumer", "");
    assert_eq!(call(&mut pair, C, "get 1\n"), "");
    assert_eq!(call(&mut pair, P, "put 1 1 2\n1\n"), "ok 1 1");
    assert_eq!(call(&mut pair, C, "done 1 1\n"), "");
    assert_eq!(call(&mut pair, D, "get 1\n"), "");
    let mail = pair.call(P, "bye\n");
    assert_eq!(mail[&D], [Reply::Ended]);
}

#[test]
fn an_unread_item_gets_another_attempt_behind_items_that_were_dropped() {
    pair!(pair);
    connect(&mut pair, P, "producer", r#","keep_open":true"#);
    connect(&mut pair, C, "consumer", "");
    connect(&mut pair, D, "consumer", "");
    assert_eq!(call(&mut pair, P, "put 3 3 6\n1\n2\n3\n"), "ok 3 3");
    assert_eq!(call(&mut pair, C, "get 1\n"), "batch 1 1 1");
    assert_eq!(call(&mut pair, P, "close now\nbye\n"), "count 2, bye");
    lose_keeper(&mut pair, [0, 0]);
    assert_eq!(call(&mut pair, D, "get 1\n"), "batch 1 1 2");
}

#[test]
fn an_unread_item_gets_another_attempt_behind_a_delivery() {
    pair!(pair);
    connect(&mut pair, P, "producer", "");
    connect(&mut pair, C, "consumer", "");
    connect(&mut pair, D, "consumer", "");
    assert_eq!(call(&mut pair, P, "put 2 2 4\n1\n2\nbye\n"), "ok 2 2, bye");
    assert_eq!(call(&mut pair, C, "get 1\n"), "batch 1 1 1");
    assert_eq!(call(&mut pair, D, "get 1\n"), "batch 2 1 1");
    lose_keeper(&mut pair, [0, 1]);
    assert_eq!(call(&mut pair, D, "get 1\n"), "batch 1 1 2");
}

#[test]
fn a_batch_that_was_unread_once_does_not_count_at_the_next_loss() {
    pair!(pair);
    connect(&mut pair, P, "producer", "");
    connect(&mut pair, C, "consumer", "");
    connect(&mut pair, D, "consumer", "");
    assert_eq!(call(&mut pair, P, "put 2 2 4\n1\n2\nbye\n"), "ok 2 2, bye");
    assert_eq!(call(&mut pair, C, "get 1\n"), "batch 1 1 1");
    lose_keeper(&mut pair, [0, 0]);
    assert_eq!(call(&mut pair, C, "get 1\n"), "batch 1 1 1");
    lose_keeper(&mut pair, [1, 0]);
    assert_eq!(call(&mut pair, C, "done 1 1 1\nget 1\n"), "batch 2 1 1");
}

#[test]
fn a_retried_item_begins_without_delivery_failures() {
    pair!(pair);
    connect(&mut pair, P, "producer", r#","keep_open":true"#);
    assert_eq!(call(&mut pair, P, "put 1 1 2\n1\n"), "ok 1 1");
    for death in 1..=2 {
        connect(&mut pair, C, "consumer", r#","max_delivery_failures":2"#);
        assert_eq!(call(&mut pair, C, "get 1\n"), format!("batch 1 1 {death}"));
        pair.die(C);
    }
    assert_eq!(call(&mut pair, P, "retry 0\n"), "count 1");
    for death in 3..=4 {
        connect(&mut pair, C, "consumer", r#","max_delivery_failures":2"#);
        assert_eq!(call(&mut pair, C, "get 1\n"), format!("batch 1 1 {death}"));
        pair.die(C);
    }
    assert_eq!(call(&mut pair, P, "drop 1\n"), "count 1");
}

#[test]
fn both_tell_when_an_item_failed_by_its_consumers() {
    pair!(pair);
    let (kept_open, leased) =
        (r#","keep_open":true"#, r#","lease":10000000,"max_delivery_failures":1"#);
    connect(&mut pair, P, "producer", kept_open);
    assert_eq!(call(&mut pair, P, "put 2 2 4\n1\n2\n"), "ok 2 2");
    connect(&mut pair, C, "consumer", r#","max_delivery_failures":1"#);
    assert_eq!(call(&mut pair, C, "get 1\n"), "batch 1 1 1");
    pair.pass_time(1_999);
    pair.die(C);
    connect(&mut pair, D, "consumer", leased);
    assert_eq!(call(&mut pair, D, "get 1\n"), "batch 2 1 1");
    pair.pass_time(1_500);
    let [first, second] = [1001, 1003].map(|at| format!(r#"{{"delivery_failures":1,"at":{at}}}"#));
    let assert_reasons = |pair: &mut QueuePair<'_>| {
        let mail = pair.call(P, "failed 1\nfailed 2\n");
        let reasons = mail[&P].iter().map(|reply| match reply {
            Reply::Failed { reason, .. } => reason.as_str(),
            other => panic!("{other:?}"),
        });
        assert_eq!(reasons.collect::<Vec<_>>(), [first.as_str(), second.as_str()]);
    };
    assert_reasons(&mut pair);
    let producer = settings(&pair, "producer", kept_open);
    let consumer = settings(&pair, "consumer", leased);
    pair.lose_keeper(&[(P, producer, 0), (D, consumer, 1)]);
    assert_reasons(&mut pair);
}

#[test]
fn a_lease_runs_out_before_a_get_of_the_same_moment_is_answered() {
    pair!(pair);
    connect(&mut pair, P, "producer", "");
    connect(&mut pair, C, "consumer", r#","lease":10000000"#);
    connect(&mut pair, D, "consumer", "");
    assert_eq!(call(&mut pair, P, "put 2 2 4\n1\n2\n"), "ok 2 2");
    assert_eq!(call(&mut pair, C, "get 1\n"), "batch 1 1 1");
    pair.pass_time_unheard(10);
    let mail = pair.call(D, "get 1\n");
    assert!(matches!(&mail[&D][..], [Reply::Batch(batch)] if batch.batch_ref().attempt == Some(2)));
}

#[test]
fn a_renewed_lease_begins_anew_whole_or_in_parts() {
    pair!(pair);
    connect(&mut pair, P, "producer", "");
    connect(&mut pair, C, "consumer", r#","lease":10000000"#);
    assert_eq!(call(&mut pair, P, "put 4 4 8\n1\n2\n3\n4\n"), "ok 4 4");
    assert_eq!(call(&mut pair, C, "get 4\n"), "batch 1 4 1");
    pair.pass_time(6);
    assert_eq!(call(&mut pair, C, "renew 1 4 1\n"), "");
    pair.pass_time(6);
    // The other parts of the batch keep their lease, and so does another attempt.
    assert_eq!(call(&mut pair, C, "renew 2 1 1\nattempt 3 2\ndone 4 1 1\n"), "count 1");
    pair.pass_time(4);
    assert!(call(&mut pair, P, "size\n").contains("ready: 2, in_flight: 1, done: 1"));
    assert!(call(&mut pair, C, "renew 1 1 1\nrenew 3 1 2\n").matches("NotInFlight").count() == 2);
    pair.pass_time(5);
    assert_eq!(
        call(&mut pair, C, "renew 02 001 01\nrenew 2 1 2\n").matches("NotInFlight").count(),
        1
    );
    pair.pass_time(9);
    assert_eq!(call(&mut pair, C, "done 2 1 1\n"), "");
}

#[test]
fn a_lease_that_ran_out_unnoticed_ends_before_the_queue_is_removed() {
    pair!(pair);
    connect(&mut pair, P, "producer", "");
    connect(&mut pair, C, "consumer", r#","lease":10000000"#);
    connect(&mut pair, D, "consumer", "");
    assert_eq!(call(&mut pair, P, "put 1 1 2\n1\n"), "ok 1 1");
    assert_eq!(call(&mut pair, C, "get 1\n"), "batch 1 1 1");
    assert_eq!(call(&mut pair, D, "get 1\n"), "");
    pair.pass_time_unheard(10);
    let mail = pair.call(P, "remove force\n");
    assert!(matches!(&mail[&D][..], [Reply::Batch(_), ..]));
}

#[test]
fn a_resumed_client_is_told_the_last_64_ranges_of_its_items() {
    pair!(pair);
    for key in [C, D] {
        connect(&mut pair, key, "consumer", "");
    }
    for seq in 1..=70 {
        for key in [C, D] {
            pair.call(key, &format!("put {seq} 1 2\n1\n"));
        }
    }
    pair.call(C, "put 71 1 2\n1\n");
    lose_keeper(&mut pair, [0, 0]);
    assert_eq!(call(&mut pair, C, "put 72 3 6\n1\n2\n3\n"), "ok 72 142");
    assert_eq!(call(&mut pair, C, "put 72 3 6\n1\n2\n3\n"), "ok 72 142");
}

#[test]
fn each_malformed_request_is_refused_alike() {
    pair!(pair);
    connect(&mut pair, P, "producer", r#","keep_open":true"#);
    for (key, line) in (1..).zip(MALFORMED) {
        let key = ClientKey(key);
        connect(&mut pair, key, "visitor", "");
        pair.call(key, &format!("{line}\nsize\n"));
        pair.compare_status();
    }
    for length in [4096, 4097] {
        connect(&mut pair, V, "visitor", "");
        pair.call(V, &format!("fail 9 1 1 {}\nsize\n", "x".repeat(length - 11)));
        pair.compare_status();
        if pair.is_connected(V) {
            pair.call(V, "bye\n");
        }
    }
}

#[test]
fn a_welcome_comes_before_what_is_due() {
    pair!(pair);
    connect(&mut pair, P, "producer", r#","capacity":3,"lease":10000000"#);
    assert_eq!(call(&mut pair, P, "get 2\nput 1 1 2\n1\n"), "ok 1 1, batch 1 1 1");
    pair.pass_time_unheard(10);
    connect(&mut pair, C, "consumer", "");
    pair.compare_status();
}
