//! What only a server has: clients that are known without a connection.

use super::driver::{TestServer, VirtualQueue};
use crate::wire::ClientKey;

const P: ClientKey = ClientKey(0xa1);
const C: ClientKey = ClientKey(0xc1);
const D: ClientKey = ClientKey(0xd1);
const V: ClientKey = ClientKey(0xf1);

const HOUR: u64 = 3_600_000;

/// Starts a test's own queue.
macro_rules! queue {
    ($queue:ident) => {
        let Some(server) = TestServer::start(&[]) else { return };
        let mut $queue = VirtualQueue::new(&server);
    };
}

/// A producer that has put two items, and a consumer that has the first one in flight and waits for nothing.
fn put_two_and_get_one(queue: &mut VirtualQueue, more: &str) {
    queue.connect(P, "producer");
    queue.hello(C, "consumer", more);
    assert_eq!(queue.ask(P, "put 2 2 4\n1\n2\n"), "ok 2 2 65536");
    assert_eq!(queue.ask(C, "get 1\n"), "batch 1 1 1 2\n1");
}

/// Lets this time pass in steps of a second, in which these clients make a beat.
fn live(queue: &mut VirtualQueue, milliseconds: u64, clients: &[ClientKey]) {
    for _ in 0..milliseconds / 1000 {
        queue.now += 1000;
        clients.iter().for_each(|&client| queue.call(client, b""));
    }
}

fn size(queue: &mut VirtualQueue) -> String {
    queue.ask(V, "size\n")
}

#[test]
fn an_unknown_client_is_told_so_and_changes_nothing() {
    queue!(queue);
    for requests in ["", "put 1 1 2\n1\n", "get 1\n", "bye\n"] {
        assert!(queue.refused(P, requests).starts_with("QDEMO_UNKNOWN "), "{requests}");
    }
    queue.connect(P, "producer");
    assert!(queue.refused(C, "put 1 1 2\n1\n").starts_with("QDEMO_UNKNOWN "));
    queue.connect(V, "visitor");
    assert_eq!(size(&mut queue), "size 0 0 0 0 0");
}

#[test]
fn a_client_is_dead_when_it_is_absent_and_silent_for_two_seconds() {
    queue!(queue);
    queue.connect(V, "visitor");
    put_two_and_get_one(&mut queue, "");
    live(&mut queue, 5000, &[V, P, C]);
    queue.absent.insert(C);
    queue.now += 999;
    queue.call(V, b"");
    queue.now += 1000;
    queue.call(P, b"");
    assert_eq!(size(&mut queue), "size 1 1 0 0 0", "1999 ms");
    queue.now += 1;
    assert_eq!(size(&mut queue), "size 1 1 0 0 0", "requests come before what is due");
    assert_eq!(size(&mut queue), "size 2 0 0 0 0");
    assert!(queue.refused(C, "done 1 1\n").starts_with("QDEMO_UNKNOWN "));
    assert_eq!(queue.ask(V, "get 1\n"), "batch 1 1 2 2\n1", "the next attempt");
}

#[test]
fn a_client_that_is_heard_or_subscribed_is_not_dead() {
    queue!(queue);
    queue.connect(V, "visitor");
    put_two_and_get_one(&mut queue, "");
    live(&mut queue, 10_000, &[V, C]);
    assert_eq!(size(&mut queue), "size 1 1 0 0 0");
    live(&mut queue, 10_000, &[V]);
    assert_eq!(size(&mut queue), "size 1 1 0 0 0", "silent, but subscribed");
    // The beats of an absent client count too.
    queue.absent.insert(C);
    queue.call(C, b"");
    live(&mut queue, 10_000, &[V, C]);
    assert_eq!(size(&mut queue), "size 1 1 0 0 0");
}

#[test]
fn a_silent_client_is_dead_after_its_own_limit_even_if_subscribed() {
    queue!(queue);
    queue.connect(V, "visitor");
    put_two_and_get_one(&mut queue, r#","dead_after_ms":20000"#);
    live(&mut queue, 19_000, &[V, P]);
    queue.now += 999;
    queue.call(P, b"");
    assert_eq!(size(&mut queue), "size 1 1 0 0 0");
    queue.now += 1;
    queue.call(P, b"");
    assert_eq!(size(&mut queue), "size 2 0 0 0 0");
    // The default is 30 s.
    queue.connect(D, "consumer");
    queue.ask(D, "get 1\n");
    live(&mut queue, 29_000, &[V, P]);
    assert_eq!(size(&mut queue), "size 1 1 0 0 0");
    live(&mut queue, 2_000, &[V, P]);
    assert_eq!(size(&mut queue), "size 2 0 0 0 0");
}

#[test]
fn the_last_producers_death_ends_the_queue() {
    queue!(queue);
    queue.connect(V, "visitor");
    put_two_and_get_one(&mut queue, "");
    queue.absent.insert(P);
    live(&mut queue, 3000, &[V, C]);
    assert_eq!(queue.ask(C, "done 1 1\nget 5\n"), "batch 2 1 1 2\n2");
    assert_eq!(queue.ask(C, "done 2 1\nget 5\n"), "ended");
}

#[test]
fn nobody_is_dead_at_once_after_a_time_in_which_nobody_was_heard() {
    queue!(queue);
    queue.connect(V, "visitor");
    put_two_and_get_one(&mut queue, "");
    live(&mut queue, 3000, &[V, P, C]);
    queue.absent.extend([P, C]);
    queue.now += HOUR;
    queue.call(V, b"");
    queue.now += 1999;
    queue.call(V, b"");
    assert_eq!(size(&mut queue), "size 1 1 0 0 0", "the others had no time to come back");
    queue.now += 1;
    queue.call(V, b"");
    assert_eq!(size(&mut queue), "size 2 0 0 0 0");
}

#[test]
fn nobody_is_dead_within_ten_seconds_of_a_restart_of_the_server() {
    queue!(queue);
    queue.connect(V, "visitor");
    put_two_and_get_one(&mut queue, r#","dead_after_ms":5000"#);
    live(&mut queue, 3000, &[V, P, C]);
    queue.absent.extend([P, C]);
    queue.now += HOUR;
    queue.run_id = "second".to_owned();
    queue.call(V, b"");
    live(&mut queue, 9000, &[V]);
    queue.now += 999;
    queue.call(V, b"");
    assert_eq!(size(&mut queue), "size 1 1 0 0 0");
    queue.now += 1;
    queue.call(V, b"");
    assert_eq!(size(&mut queue), "size 2 0 0 0 0");
}

#[test]
fn a_client_that_connects_notices_a_restart_that_was_short() {
    queue!(queue);
    queue.connect(V, "visitor");
    put_two_and_get_one(&mut queue, "");
    live(&mut queue, 3000, &[V, P, C]);
    queue.absent.extend([P, C]);
    queue.run_id = "second".to_owned();
    queue.now += 1000;
    queue.connect(D, "visitor");
    live(&mut queue, 9000, &[V, D]);
    assert_eq!(size(&mut queue), "size 1 1 0 0 0");
    live(&mut queue, 2000, &[V, D]);
    assert_eq!(size(&mut queue), "size 2 0 0 0 0");
}

#[test]
fn a_dead_client_that_resumes_puts_nothing_twice() {
    queue!(queue);
    queue.connect(V, "visitor");
    queue.hello(P, "producer", r#","keep_open":true"#);
    assert_eq!(queue.ask(P, "put 2 2 4\n1\n2\nget 1\n"), "ok 2 2 65536\nbatch 1 1 1 2\n1");
    queue.absent.insert(P);
    live(&mut queue, 3000, &[V]);
    assert_eq!(size(&mut queue), "size 2 0 0 0 0");
    let status = queue.ask(V, "status\n");
    assert!(status.contains(r#""producers":[]"#), "{status}");
    live(&mut queue, HOUR - 60_000, &[]);
    queue.call(V, b"");
    let welcome = queue.hello(P, "producer", r#","batches_received":1"#);
    let resumed = r#""resumed":{"accepted":[[2,2]],"in_flight":[]}"#;
    assert!(welcome.contains(resumed), "{welcome}");
    assert_eq!(queue.ask(P, "done 1 1 1\n"), "not-in-flight 1 1 1");
    assert_eq!(queue.ask(P, "put 3 3 6\n1\n2\n3\n"), "ok 3 3 65536");
    assert_eq!(size(&mut queue), "size 3 0 0 0 0");
    // It is a client like any other again.
    assert!(queue.ask(V, "status\n").contains(r#""producers":[{"pid":7,"#));
    assert_eq!(queue.ask(P, "bye\n"), "bye 3 0");
}

#[test]
fn a_dead_client_is_forgotten_after_an_hour() {
    queue!(queue);
    queue.connect(V, "visitor");
    put_two_and_get_one(&mut queue, "");
    queue.absent.extend([P, C]);
    live(&mut queue, 3000, &[V]);
    let clients = queue.keys.keys()[1].clone();
    assert_eq!(queue.run(&["HLEN", &clients]).unwrap(), redis::Value::Int(2), "C has put nothing");
    queue.now += HOUR;
    queue.call(V, b"");
    assert_eq!(queue.run(&["HLEN", &clients]).unwrap(), redis::Value::Int(1));
    let timers = queue.keys.keys()[12].clone();
    assert_eq!(queue.run(&["ZCARD", &timers]).unwrap(), redis::Value::Int(1));
    let welcome = queue.hello(P, "producer", r#","batches_received":0"#);
    assert!(!welcome.contains("resumed"), "{welcome}");
}

#[test]
fn a_client_that_resumes_waits_for_nothing() {
    queue!(queue);
    queue.hello(P, "producer", r#","capacity":1"#);
    assert_eq!(queue.ask(P, "put 3 3 6\n1\n2\n3\njoin\n"), "ok 1 1 0");
    let welcome = queue.hello(P, "producer", r#","batches_received":0"#);
    let expected = r#""window":0,"resumed":{"accepted":[[1,1]],"in_flight":[]}"#;
    assert!(welcome.contains(expected), "{welcome}");
    queue.connect(C, "consumer");
    assert_eq!(
        queue.ask(C, "get 5\nget 5\n"),
        "error get-twice a get is waiting already: one at a time\nbatch 1 1 1 2\n1"
    );
    assert_eq!(queue.take_mail(P), b"", "the blocked items are gone");
    // The get of the consumer is gone too.
    assert_eq!(queue.ask(C, "done 1 1\nget 5\n"), "");
    let welcome = queue.hello(C, "consumer", r#","batches_received":1"#);
    assert!(welcome.contains(r#""resumed":{"accepted":[],"in_flight":[]}"#), "{welcome}");
    assert_eq!(queue.ask(P, "put 3 2 4\n2\n3\n"), "ok 2 2 0");
    assert_eq!(queue.take_mail(C), b"");
    assert_eq!(queue.ask(C, "get 1\ncancel\n"), "batch 2 1 1 2\n2\ncancelled");
    assert_eq!(queue.take_mail(P), b"ok 3 3 0\n");
    assert_eq!(queue.ask(P, "cancel\n"), "cancelled");
}

#[test]
fn a_repeated_hello_is_a_client_that_received_nothing() {
    queue!(queue);
    queue.connect(P, "producer");
    assert_eq!(queue.ask(P, "put 1 1 2\n1\n"), "ok 1 1 65536");
    let hello = "hello {\"version\":2,\"role\":\"consumer\",\"pid\":7}\nget 1\n";
    assert!(queue.ask(C, hello).ends_with("batch 1 1 1 2\n1"));
    // The answer was lost.
    let again = queue.ask(C, hello);
    assert!(again.contains(r#""resumed":{"accepted":[],"in_flight":[]}"#), "{again}");
    assert!(again.ends_with("batch 1 1 1 2\n1"), "{again}");
}

#[test]
fn a_resumed_client_must_come_to_the_same_queue() {
    queue!(queue);
    let resume = |id: &str| {
        format!(
            "hello {{\"version\":2,\"role\":\"producer\",\"pid\":7,\"batches_received\":0,\"queue_id\":\"{id}\"}}\n"
        )
    };
    assert!(queue.refused(P, &resume("a queue")).starts_with("QDEMO_GONE "), "there is none");
    let welcome = queue.hello(P, "producer", "");
    let (_, id) = welcome.split_once(r#""queue_id":""#).unwrap();
    let id = &id[..id.find('"').unwrap()];
    assert_eq!(id, format!("{P}{:012x}", 1_000_000));
    assert!(queue.ask(P, &resume(id)).contains("resumed"));
    assert_eq!(queue.ask(P, "remove force\n"), "count 0");
    queue.now += 1;
    queue.connect(P, "producer");
    assert!(queue.refused(P, &resume(id)).starts_with("QDEMO_GONE "), "another one");
    assert!(queue.refused(P, &resume("")).starts_with("QDEMO_GONE "));
}

#[test]
fn a_getter_that_is_absent_gets_nothing() {
    queue!(queue);
    queue.connect(P, "producer");
    queue.connect(C, "consumer");
    queue.connect(D, "consumer");
    assert_eq!([queue.ask(C, "get 1\n"), queue.ask(D, "get 1\n")], ["", ""]);
    queue.absent.insert(C);
    assert_eq!(queue.ask(P, "put 2 2 4\n1\n2\n"), "ok 2 2 65536");
    assert_eq!(queue.take_mail(C), b"");
    assert_eq!(queue.take_mail(D), b"batch 1 1 1 2\n1\n");
    // It asks again when it is back.
    queue.absent.clear();
    assert_eq!(queue.ask(C, "get 1\n"), "batch 2 1 1 2\n2");
}

#[test]
fn a_getter_that_is_absent_has_no_share() {
    queue!(queue);
    queue.connect(P, "producer");
    queue.connect(C, "visitor");
    queue.connect(V, "visitor");
    assert_eq!([queue.ask(C, "get 9\n"), queue.ask(V, "get 9\n")], ["", ""]);
    queue.absent.insert(C);
    assert_eq!(queue.ask(P, "put 2 2 4\n1\n2\n"), "ok 2 2 65536");
    assert_eq!(queue.take_mail(V), b"batch 1 2 1 4\n1\n2\n");
}

#[test]
fn a_getter_that_is_absent_does_not_take_the_end() {
    queue!(queue);
    queue.connect(P, "producer");
    queue.connect(C, "consumer");
    queue.hello(D, "consumer", r#","follow":true"#);
    assert_eq!([queue.ask(C, "get 1\n"), queue.ask(D, "get 1\n")], ["", ""]);
    queue.absent.insert(C);
    assert_eq!(queue.ask(P, "bye\n"), "bye 0 2");
    assert_eq!(queue.take_mail(C), b"");
    queue.connect(V, "visitor");
    assert!(queue.ask(V, "status\n").contains(r#""state":"ending""#));
    queue.absent.clear();
    queue.call(V, b"");
    assert_eq!(queue.take_mail(C), b"ended\n");
    assert_eq!(queue.take_mail(D), b"", "a follower stays");
}

#[test]
fn the_queue_of_a_visitor_that_only_looks_needs_to_exist() {
    queue!(queue);
    let reply = queue.hello(V, "visitor", r#","only_existing":true"#);
    assert_eq!(reply, "error missing the queue does not exist");
    assert_eq!(queue.run(&["DBSIZE"]).unwrap(), redis::Value::Int(0));
    assert!(queue.refused(V, "size\n").starts_with("QDEMO_UNKNOWN "));
    queue.connect(P, "producer");
    assert!(queue.hello(V, "visitor", r#","only_existing":true"#).starts_with("welcome "));
}

#[test]
fn a_queue_without_a_past_leaves_no_keys_behind() {
    queue!(queue);
    queue.connect(C, "consumer");
    queue.connect(V, "visitor");
    queue.call(C, b"get 1\nbye\n");
    assert_eq!(queue.run(&["DBSIZE"]).unwrap(), redis::Value::Int(3));
    queue.call(V, b"bye\n");
    assert_eq!(queue.run(&["DBSIZE"]).unwrap(), redis::Value::Int(0));
    // A queue with a past stays.
    queue.connect(P, "producer");
    queue.call(P, b"put 1 1 2\n1\nget 1\n");
    queue.call(P, b"done 1 1\nbye\n");
    assert_ne!(queue.run(&["DBSIZE"]).unwrap(), redis::Value::Int(0));
    queue.connect(V, "visitor");
    assert_eq!(size(&mut queue), "size 0 0 1 0 0");
}

#[test]
fn the_removal_of_a_queue_is_told_to_all_and_leaves_no_keys() {
    queue!(queue);
    queue.connect(V, "visitor");
    put_two_and_get_one(&mut queue, r#","lease":1000000000"#);
    queue.call(
        C,
        b"fail 1 1 1 odd\nget 1\nget 1\nend-told {\"boot_id\":\"b\",\"tick\":1,\"pid\":2}\n",
    );
    queue.take_mail(C);
    assert_eq!(queue.ask(V, "remove force\nsize\n"), "count 2");
    for client in [P, C] {
        assert_eq!(queue.take_mail(client), b"error removed the queue has been removed\n");
        assert!(queue.refused(client, "").starts_with("QDEMO_UNKNOWN "));
    }
    assert_eq!(queue.run(&["DBSIZE"]).unwrap(), redis::Value::Int(0));
}

/// Ends a round at `queue.now`, without telling when.
fn end_round(queue: &mut VirtualQueue) {
    queue.connect(P, "producer");
    queue.call(P, b"close\nbye\n");
    queue.hello(C, "consumer", r#","birth_age_ms":0"#);
    assert_eq!(queue.ask(C, "get 1\n"), "ended");
    queue.call(C, b"bye\n");
}

fn welcome_waits(queue: &mut VirtualQueue, more: &str) -> bool {
    let welcome = queue.hello(D, "consumer", more);
    queue.call(D, b"bye\n");
    welcome.contains("awaits_next_round")
}

#[test]
fn without_a_moment_of_its_machine_the_age_of_a_process_decides() {
    queue!(queue);
    end_round(&mut queue);
    queue.now += 1000;
    for (age, waits) in [("939", true), ("940", false), ("1000000", false)] {
        let more = format!(r#","boot_id":"b","birth_age_ms":{age}"#);
        assert_eq!(welcome_waits(&mut queue, &more), waits, "{age}");
    }
    assert!(!welcome_waits(&mut queue, ""), "a process without a birth is old");
    // A visitor asks for its ancestors too.
    for (ages, waits) in [("10,20", true), ("10,5000", false)] {
        let more = format!(
            r#","birth_age_ms":1,"ancestors":[{{"tick":1,"pid":1}},{{"tick":1,"pid":1}}],"ancestor_ages_ms":[{ages}]"#
        );
        let welcome = queue.hello(D, "visitor", &more);
        assert_eq!(welcome.contains("awaits_next_round"), waits, "{ages}");
        queue.call(D, b"bye\n");
    }
}

#[test]
fn the_first_moment_that_a_machine_was_told_the_end_decides_there() {
    queue!(queue);
    end_round(&mut queue);
    queue.connect(V, "visitor");
    queue.call(V, b"end-told {\"boot_id\":\"b\",\"tick\":100,\"pid\":500,\"ns\":1}\n");
    queue.call(V, b"end-told {\"boot_id\":\"b\",\"tick\":900,\"pid\":500,\"ns\":1}\n");
    assert_eq!(queue.take_mail(V), b"");
    // As in the tests of `ProcessBirth`.
    for (tick, pid, ns, waits) in [
        (99, 900, 1, false),
        (101, 1, 1, true),
        (100, 500, 1, false),
        (100, 501, 1, true),
        (100, 501, 2, false),
        (100, 501, 0, false),
        (100, 16_884, 1, true),
        (100, 16_885, 1, false),
    ] {
        let birth = format!(r#""birth":{{"tick":{tick},"pid":{pid},"ns":{ns}}},"birth_age_ms":1"#);
        let more = format!(r#","boot_id":"b",{birth}"#);
        assert_eq!(welcome_waits(&mut queue, &more), waits, "{birth}");
        // The age decides for another machine.
        let more = format!(r#","boot_id":"other",{birth}"#);
        assert!(!welcome_waits(&mut queue, &more), "{birth}");
    }
    // Without a namespace nobody knows the order within a tick.
    queue.call(V, b"end-told {\"boot_id\":\"c\",\"tick\":100,\"pid\":500}\n");
    let more = r#","boot_id":"c","birth":{"tick":100,"pid":501},"birth_age_ms":1"#;
    assert!(!welcome_waits(&mut queue, more));
    assert_eq!(queue.ask(V, "end-told {}\n"), "error malformed end-told takes a moment");
    // The next end makes the moments obsolete.
    queue.now += 10_000;
    end_round(&mut queue);
    queue.now += 1000;
    let more = r#","boot_id":"b","birth":{"tick":100,"pid":1,"ns":1},"birth_age_ms":1"#;
    assert!(welcome_waits(&mut queue, more));
}

/// The flags of a message: 1 if it accepts items of a queue with `sync`, and 2 if it tells the end.
#[test]
fn each_message_says_whether_it_accepts_with_sync_and_whether_it_tells_the_end() {
    queue!(queue);
    queue.connect(P, "producer");
    queue.call(P, b"put 1 1 2\n1\n");
    assert_eq!(queue.flag, b'0', "nobody wants sync yet");
    let welcome = queue.hello(C, "consumer", r#","sync":true"#);
    assert!(welcome.contains(r#""sync":true"#), "{welcome}");
    assert_eq!(queue.flag, b'0', "the welcome accepts nothing");
    queue.call(P, b"put 2 1 2\n2\n");
    assert_eq!(queue.flag, b'1', "for every client that puts");
    queue.call(C, b"get 2\n");
    assert_eq!(queue.flag, b'0', "a delivery accepts nothing");
    queue.call(P, b"put 3 1 5\n\"ok\"\nsize\nbye\n");
    assert_eq!(queue.flag, b'1');
    queue.call(C, b"done 1 2\nget 9\n");
    queue.call(C, b"done 3 1\nget 1\n");
    assert_eq!(queue.flag, b'2', "the end");
    queue.connect(V, "visitor");
    queue.call(V, b"put 1 1 2\n4\n");
    assert_eq!(queue.flag, b'1', "the round has ended with a client that wanted sync");
}

#[test]
fn a_client_that_has_gone_without_a_word_is_dead_at_once() {
    queue!(queue);
    queue.connect(P, "producer");
    queue.call(P, b"put 2 2 4\n1\n2\n");
    queue.connect(C, "consumer");
    queue.call(C, b"get 1\n");
    queue.call(C, b"died\n");
    queue.connect(V, "visitor");
    assert_eq!(queue.ask(V, "get 1\n"), "batch 1 1 2 2\n1");
}
