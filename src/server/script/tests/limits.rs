//! Limits: of memory, of a call, of a delivery, of rights; and queues that somebody else has touched.

use redis::Value;

use super::driver::{TestServer, VirtualQueue};
use super::{QueueKeys, SCRIPT, name};
use crate::wire::ClientKey;

const P: ClientKey = ClientKey(0xa1);
const C: ClientKey = ClientKey(0xc1);
const V: ClientKey = ClientKey(0xf1);

macro_rules! queue {
    ($queue:ident) => {
        let Some(server) = TestServer::start(&[]) else { return };
        let mut $queue = VirtualQueue::new(&server);
    };
}

/// `put` of `count` items of `bytes` bytes each, with their newlines.
fn put(seq: usize, count: usize, bytes: usize) -> String {
    let item = format!("{}\n", "1".repeat(bytes - 1));
    format!("put {seq} {count} {}\n{}", count * bytes, item.repeat(count))
}

/// All keys with their values.
fn dump(queue: &mut VirtualQueue) -> Vec<(String, Value)> {
    let keys = queue.keys.keys();
    keys.into_iter().map(|key| (key.clone(), queue.run(&["DUMP", &key]).unwrap())).collect()
}

#[test]
fn a_newer_layout_is_refused_and_left_alone() {
    queue!(queue);
    queue.connect(P, "producer");
    let meta = queue.keys.keys()[0].clone();
    queue.run(&["SETRANGE", &meta, "5", "\u{2}"]).unwrap();
    let before = dump(&mut queue);
    for requests in ["size\n", "hello {\"version\":2,\"role\":\"producer\",\"pid\":7}\n"] {
        assert_eq!(queue.refused(P, requests).trim(), "QDEMO_LAYOUT 2");
    }
    assert_eq!(dump(&mut queue), before);
}

#[test]
fn a_queue_with_a_foreign_key_is_refused_and_left_alone() {
    queue!(queue);
    let keys = queue.keys.keys();
    let hello = "hello {\"version\":2,\"role\":\"producer\",\"pid\":7}\n";
    let key = |part: usize| keys[part].as_str();
    // A part without a queue, a part of another type, a queue of another type, a text that is no queue.
    for (setup, part) in [
        (vec!["RPUSH", key(2), "x"], "ready"),
        (vec!["HSET", key(13), "x", "y"], "ends_told"),
        (vec!["RPUSH", key(0), "x"], "meta"),
        (vec!["SET", key(0), "something"], "meta"),
        (vec!["SET", key(0), ""], "meta"),
    ] {
        queue.run(&setup).unwrap();
        let before = dump(&mut queue);
        assert_eq!(
            queue.refused(P, hello).trim(),
            format!("QDEMO_FOREIGN qdemo:{{jobs}}:{part}"),
            "{setup:?}"
        );
        assert_eq!(dump(&mut queue), before);
        queue.reset();
    }
    for part in 1..14 {
        queue.connect(P, "producer");
        queue.run(&["DEL", key(part)]).unwrap();
        queue.run(&["SET", key(part), "x"]).unwrap();
        let expected = format!("QDEMO_FOREIGN {}", key(part));
        assert_eq!(queue.refused(C, hello).trim(), expected);
        queue.reset();
    }
}

#[test]
fn what_is_no_hello_is_refused() {
    queue!(queue);
    for hello in [
        "hello {}",
        "hello x",
        "hello {\"version\":2,\"role\":\"king\",\"pid\":7}",
        "hello {\"version\":\"2\",\"role\":\"producer\",\"pid\":7}",
        "hello [2]",
    ] {
        assert!(queue.refused(P, &format!("{hello}\n")).starts_with("QDEMO_MALFORMED "), "{hello}");
    }
    assert_eq!(queue.run(&["DBSIZE"]).unwrap(), Value::Int(0));
}

#[test]
fn a_full_server_refuses_puts_as_a_whole_and_goes_on() {
    queue!(queue);
    queue.connect(V, "visitor");
    queue.connect(P, "producer");
    queue.connect(C, "consumer");
    queue.hello(ClientKey(0xb1), "consumer", r#","lease":1000000000"#);
    assert_eq!(queue.ask(P, &put(3, 3, 8)), "ok 3 3 65536");
    assert_eq!(queue.ask(C, "get 1\n"), "batch 1 1 1 8\n1111111");
    queue.run(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    let before = dump(&mut queue);
    let behind = |first: &str| first.to_owned() + &put(4, 1, 8);
    for requests in [
        put(4, 1, 8),
        put(5, 2, 8) + "get 1\n",
        put(4, 1, 8) + &put(5, 1, 8),
        behind("done 1 1\n"),
        behind("get 1\ncancel\nsize\n"),
        behind("hello {\"version\":2,\"role\":\"producer\",\"pid\":7}\nget 1\n"),
    ] {
        let refusal = queue.refused(P, &requests);
        assert!(refusal.contains("OOM"), "{refusal}");
    }
    assert_eq!(dump(&mut queue), before, "nothing has changed");
    // Everything else goes on, and makes room.
    assert_eq!(queue.ask(C, "done 1 1\nget 1\n"), "batch 2 1 1 8\n1111111");
    assert_eq!(queue.ask(ClientKey(0xb1), "get 1\n"), "batch 3 1 1 8\n1111111");
    assert_eq!(queue.ask(C, "requeue 2 1\n"), "");
    assert_eq!(
        queue.ask(C, "get 1\nfail 2 2 1 odd\n"),
        "not-in-flight 2 1 2\nbatch 2 1 2 8\n1111111"
    );
    assert_eq!(queue.ask(C, "fail 2 2 1 odd\nget 4\n"), "");
    queue.now += 1000;
    queue.call(V, b"");
    assert_eq!(queue.take_mail(C), b"batch 3 1 2 8\n1111111\n", "the lease has run out");
    assert_eq!(queue.ask(V, "size\nretry 0\njoin\n"), "size 0 1 1 1 0\ncount 1");
    queue.connect(ClientKey(0xe1), "visitor");
    // A put behind a hello is refused too: that of a command, and that of a client that resumes.
    let hello = "hello {\"version\":2,\"role\":\"producer\",\"pid\":7,\"batches_received\":0}\n";
    let refusal = queue.refused(P, &(hello.to_owned() + &put(4, 1, 8)));
    assert!(refusal.contains("OOM"), "{refusal}");
    assert_eq!(queue.ask(P, "bye\n"), "bye 1 2");
    queue.run(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    assert_eq!(queue.ask(V, "size\n"), "size 1 1 1 0 0");
}

#[test]
fn a_call_handles_a_bounded_number_of_the_dead_and_of_leases() {
    queue!(queue);
    queue.connect(V, "visitor");
    queue.connect(P, "producer");
    assert_eq!(queue.ask(P, &put(80, 80, 8)), "ok 80 80 65536");
    for n in 0..40 {
        let client = ClientKey(n);
        queue.hello(client, "consumer", "");
        assert!(queue.ask(client, "get 1\n").starts_with("batch "));
        queue.absent.insert(client);
    }
    // The calls of the others keep the silence of all from counting.
    for _ in 0..3 {
        queue.now += 999;
        queue.call(P, b"");
    }
    assert_eq!(queue.ask(V, "size\n"), "size 72 8 0 0 0");
    queue.call(V, b"");
    assert_eq!(queue.ask(V, "size\n"), "size 80 0 0 0 0");
    queue.hello(C, "consumer", r#","lease":1000000000"#);
    for _ in 0..40 {
        assert!(queue.ask(C, "get 1\n").starts_with("batch "));
    }
    queue.now += 1000;
    queue.call(V, b"");
    assert_eq!(queue.ask(V, "size\n"), "size 72 8 0 0 0");
    assert_eq!(queue.ask(V, "size\n"), "size 80 0 0 0 0");
}

#[test]
fn a_delivery_has_at_most_512_kib() {
    queue!(queue);
    queue.connect(P, "producer");
    queue.connect(C, "consumer");
    for n in 1..=10 {
        queue.call(P, put(n, 1, 60_000).as_bytes());
    }
    queue.call(P, put(1010, 1000, 2).as_bytes());
    assert!(queue.ask(C, "get 10000\n").starts_with("batch 1 8 1 480000\n"));
    assert!(queue.ask(C, "get 10000\n").starts_with("batch 9 1002 1 122000\n"));
    for n in 1011..=1018 {
        queue.call(P, put(n, 1, 65_536).as_bytes());
    }
    assert!(queue.ask(C, "get 10000\n").starts_with("batch 1011 8 1 524288\n"));
    // An item that is larger comes alone.
    queue.call(P, put(1019, 1, 600_000).as_bytes());
    queue.call(P, put(1020, 1, 2).as_bytes());
    assert!(queue.ask(C, "get 10000\n").starts_with("batch 1019 1 1 600000\n"));
    assert!(queue.ask(C, "get 10000\n").starts_with("batch 1020 1 1 2\n"));
}

#[test]
fn items_of_different_ages_come_in_different_batches() {
    queue!(queue);
    queue.connect(P, "producer");
    queue.connect(C, "consumer");
    for (seq, pause) in [(1, 9), (2, 1), (3, 9), (4, 0), (5, 0)] {
        queue.call(P, put(seq, 1, 2).as_bytes());
        queue.now += pause;
    }
    assert!(queue.ask(C, "get 10\n").starts_with("batch 1 2 1 4\n"));
    assert!(queue.ask(C, "get 10\n").starts_with("batch 3 3 1 6\n"));
}

#[test]
fn a_long_piece_is_cut_so_that_each_get_copies_little() {
    queue!(queue);
    queue.connect(P, "producer");
    queue.connect(C, "consumer");
    let ready = queue.keys.keys()[2].clone();
    queue.call(P, put(4000, 4000, 16).as_bytes());
    assert!(queue.ask(C, "get 1\n").starts_with("batch 1 1 1 16\n"));
    let Value::BulkString(first) = queue.run(&["LINDEX", &ready, "0"]).unwrap() else { panic!() };
    assert!((8192..9000).contains(&first.len()), "{}", first.len());
    // All come in their order, whatever the cuts.
    let mut next = 2;
    while next <= 4000 {
        let mail = queue.ask(C, "get 7\n");
        let count = 7.min(4001 - next);
        assert!(mail.starts_with(&format!("batch {next} {count} 1 ")), "{next}");
        next += count;
    }
    // A long batch that comes back is cut too.
    assert_eq!(queue.ask(C, "bye\n"), "bye 4000 0");
    queue.connect(C, "consumer");
    assert!(queue.ask(C, "get 10000\n").starts_with("batch 1 4000 2 64000\n"));
    assert_eq!(queue.ask(C, "requeue 1 4000 2\nget 1\n"), "batch 1 1 3 16\n111111111111111");
    let requeued = queue.keys.keys()[3].clone();
    assert_eq!(queue.run(&["ZCARD", &requeued]).unwrap(), Value::Int(2));
    assert!(queue.ask(C, "get 10000\n").starts_with("batch 2 3999 3 63984\n"));
}

/// How many commands the script runs in a call, besides TIME and SPUBLISH.
fn count_commands(queue: &mut VirtualQueue, client: ClientKey, requests: &str) -> u64 {
    queue.run(&["CONFIG", "RESETSTAT"]).unwrap();
    queue.call(client, requests.as_bytes());
    let stats: String =
        redis::cmd("INFO").arg("commandstats").query(&mut queue.connection).unwrap();
    let calls = stats.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let is_own = !matches!(name, "config|resetstat" | "evalsha");
        is_own.then(|| rest.split(',').next()?.parse::<u64>().ok())?
    });
    calls.sum()
}

#[test]
fn a_call_runs_few_commands() {
    queue!(queue);
    queue.connect(P, "producer");
    queue.connect(C, "consumer");
    for _ in 0..5 {
        queue.now += 1500;
        queue.call(P, b"");
        queue.call(C, b"");
    }
    assert_eq!(count_commands(&mut queue, P, ""), 5, "a beat");
    // Silent clients cost something every two seconds.
    queue.connect(V, "visitor");
    for _ in 0..3 {
        queue.now += 1500;
        queue.call(P, b"");
        queue.call(C, b"");
    }
    assert_eq!(count_commands(&mut queue, P, ""), 5, "a beat");
    assert_eq!(count_commands(&mut queue, P, &put(1000, 1000, 16)), 6);
    assert_eq!(count_commands(&mut queue, P, &(put(1001, 1, 16) + &put(1002, 1, 16))), 7);
    assert_eq!(count_commands(&mut queue, C, "get 1000\n"), 8);
    assert_eq!(count_commands(&mut queue, C, "done 1 1000 1\nget 1000\n"), 12);
    // Of long pieces a call takes hardly more than fit in a delivery: 1, 2, 4, 1, and one goes back.
    for seq in 1003..=1022 {
        queue.call(P, put(seq, 1, 60_000).as_bytes());
    }
    assert_eq!(count_commands(&mut queue, C, "get 9\n"), 8 + 4 + 1);
}

#[test]
fn blocked_items_have_a_limit() {
    queue!(queue);
    queue.hello(P, "producer", r#","capacity":1"#);
    assert_eq!(queue.ask(P, &put(30_000, 30_000, 2)), "ok 1 1 0");
    assert_eq!(queue.ask(P, &put(60_000, 30_000, 2)), "");
    assert_eq!(queue.ask(P, &put(90_000, 30_000, 2)), "", "the last put may exceed the limit");
    let refusal = "error too-far too many items wait for room: the items up to 90001 are not taken";
    assert_eq!(queue.ask(P, &put(90_001, 1, 2)), refusal);
    assert_eq!(queue.ask(P, "cancel\n"), "full 90000\ncancelled");
    // Items that were accepted do not count any more.
    queue.connect(C, "consumer");
    for seq in 2..5 {
        assert_eq!(queue.ask(P, &put(seq, 1, 9 << 20)), "");
        assert!(queue.ask(C, "get 1\n").starts_with("batch "));
        assert!(queue.take_mail(P).starts_with(b"ok "));
    }
    let large = put(6, 1, 16 << 20) + &put(7, 1, 2) + &put(8, 1, 2);
    let refusal = "error too-far too many items wait for room: the items up to 8 are not taken";
    assert_eq!(queue.ask(P, &large), refusal);
}

#[test]
fn an_end_reaches_more_waiting_clients_than_a_command_has_arguments() {
    queue!(queue);
    queue.connect(P, "producer");
    for n in 1..=1200 {
        let hello = "hello {\"version\":2,\"role\":\"consumer\",\"pid\":7}\nget 1\n";
        queue.call(ClientKey(n << 32), hello.as_bytes());
        queue.take_mail(ClientKey(n << 32));
    }
    queue.call(P, b"bye\n");
    for n in 1..=1200 {
        assert_eq!(queue.take_mail(ClientKey(n << 32)), b"ended\n", "{n}");
        assert_eq!(queue.ask(ClientKey(n << 32), "get 1\n"), "ended");
    }
}

#[test]
fn a_queue_that_has_lost_a_key_goes_on() {
    queue!(queue);
    queue.hello(P, "producer", r#","capacity":2"#);
    queue.connect(C, "consumer");
    for part in [2, 3, 4, 5, 8, 9, 10, 11] {
        queue.call(P, put(4, 4, 2).as_bytes());
        queue.call(C, b"get 1\nrequeue 1 1\nget 1\njoin\nget 1\n");
        let key = queue.keys.keys()[part].clone();
        queue.run(&["DEL", &key]).unwrap();
        queue.call(C, b"get 5\ndone 1 5\n");
        queue.call(P, b"status\ncancel\n");
        queue.call(C, b"cancel\npeek 0 1\nclose now\nbye\n");
        queue.call(P, b"remove force\n");
        assert_eq!(queue.run(&["DBSIZE"]).unwrap(), Value::Int(0), "part {part}");
        queue.hello(P, "producer", r#","capacity":2"#);
        queue.connect(C, "consumer");
    }
}

#[test]
fn a_get_waits_for_new_items_if_the_server_has_lost_the_ready_ones() {
    queue!(queue);
    queue.connect(P, "producer");
    queue.connect(C, "consumer");
    queue.connect(V, "consumer");
    queue.call(P, put(4, 4, 2).as_bytes());
    let ready = queue.keys.keys()[2].clone();
    queue.run(&["DEL", &ready]).unwrap();
    assert_eq!([queue.ask(C, "get 5\n"), queue.ask(V, "get 1\n")], ["", ""]);
    queue.call(P, put(6, 2, 2).as_bytes());
    assert_eq!(queue.take_mail(C), b"batch 5 1 1 2\n1\n");
    assert_eq!(queue.take_mail(V), b"batch 6 1 1 2\n1\n");
}

/// A call of the script itself, without virtual time.
fn real_call(
    connection: &mut redis::Connection,
    keys: &QueueKeys,
    client: ClientKey,
    requests: &str,
) -> redis::RedisResult<i64> {
    let mut command = redis::cmd("EVAL");
    command.arg(SCRIPT).arg(14).arg(&keys.keys()[..]).arg(client.to_string()).arg(requests);
    // A moment that is never old.
    command.arg(0).arg(u64::MAX);
    command.query(connection)
}

#[test]
fn a_user_without_rights_is_told_all_that_are_missing_and_they_suffice() {
    let Some(server) = TestServer::start(&[]) else { return };
    let mut connection = server.connect();
    let set_user = |connection: &mut redis::Connection, rules: &[&str]| {
        redis::cmd("ACL").arg("SETUSER").arg("qdemo").arg(rules).exec(connection).unwrap();
    };
    set_user(&mut connection, &["on", "nopass", "~qdemo:*", "&qdemo:*", "+eval"]);
    let mut user = server.connect();
    redis::cmd("AUTH").arg("qdemo").arg("").exec(&mut user).unwrap();
    let keys = QueueKeys::new("qdemo", &name("a}b{c"));
    let hello = "hello {\"version\":2,\"role\":\"visitor\",\"pid\":7}\n";
    let refused = real_call(&mut user, &keys, V, hello).unwrap_err();
    assert_eq!(refused.code(), Some("QDEMO_RIGHTS"), "{refused}");
    let missing = refused.detail().unwrap().to_owned();
    assert!(missing.starts_with("time get set "), "{missing}");
    assert!(missing.ends_with(" spublish pubsub|shardnumsub info"), "{missing}");
    let rules: Vec<_> = missing.split(' ').map(|command| format!("+{command}")).collect();
    for rule in &rules {
        set_user(&mut connection, &["-@all", "+eval"]);
        set_user(&mut connection, &rules.iter().map(String::as_str).collect::<Vec<_>>());
        set_user(&mut connection, &[&rule.replace('+', "-")]);
        let refused = real_call(&mut user, &keys, V, hello).unwrap_err();
        assert_eq!(refused.detail(), Some(&rule[1..]), "{refused}");
    }
    set_user(&mut connection, &rules.iter().map(String::as_str).collect::<Vec<_>>());
    // The server itself looks at the keys.
    for (keys_and_channels, code) in
        [(["~other:*", "&qdemo:*"], "NOPERM"), (["~qdemo:*", "&other:*"], "QDEMO_RIGHTS")]
    {
        set_user(&mut connection, &["resetkeys", "resetchannels"]);
        set_user(&mut connection, &keys_and_channels);
        let refused = real_call(&mut user, &keys, V, hello).unwrap_err();
        assert_eq!(refused.code(), Some(code), "{refused}");
    }
    set_user(&mut connection, &["resetkeys", "resetchannels", "~qdemo:*", "&qdemo:*"]);
    // Somebody listens for all clients, so that none of them is dead on a slow machine.
    let mut listener = server.connect_as("?protocol=resp3");
    let mut subscribe = redis::cmd("SSUBSCRIBE");
    subscribe.arg([P, C, V].map(|client| keys.channel(client)).as_slice());
    listener.send_packed_command(&subscribe.get_packed_command()).unwrap();
    redis::cmd("PING").exec(&mut listener).unwrap();
    // Every request, so that every command of the script is run.
    let lease = "hello {\"version\":2,\"role\":\"consumer\",\"pid\":7,\"lease\":9000000000,\"capacity\":2}\n";
    for (client, requests) in [
        (C, lease),
        (P, "hello {\"version\":2,\"role\":\"producer\",\"pid\":7}\n"),
        (P, "put 3 3 6\n1\n2\n3\nput 4 1 2\n4\njoin\n"),
        (C, "get 2\nstatus\nfail 1 1 1 odd\nattempt 2 2\nrequeue 2 1 2\nget 9\nget 1\n"),
        (V, hello),
        (V, "get 1\nsize\npeek 1 1\npeek 4 1\nfailed 1\nretry 1\ndrop 0\ncancel\nstatus\n"),
        (C, "done 2 1\ndone 4 1\nend-told {\"boot_id\":\"b\",\"tick\":1,\"pid\":1}\nget 9\n"),
        (P, "cancel\nput 9 1 2\n9\nput 10 1 2\n9\nput 11 1 2\n9\n"),
        (V, "close now\njoin\nget 1\n"),
        (P, "hello {\"version\":2,\"role\":\"producer\",\"pid\":7,\"batches_received\":0}\nbye\n"),
        (C, "bye\n"),
        (V, "remove force\n"),
    ] {
        assert_eq!(real_call(&mut user, &keys, client, requests), Ok(1), "{requests}");
    }
}
