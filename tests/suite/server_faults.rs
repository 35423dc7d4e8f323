//! A server that is away, that hangs, or that does not do what was asked: each command ends within its limits, says
//! the cause and the remedy in a line, and loses nothing that was accepted.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{
    Backend, Limit, Outcome, OwnServer, Proxy, Running, Sandbox, Way, wait_while,
};

/// Settings of a server that clients do not warn of.
const SAVES: [&str; 2] = ["--save", "31536000 1"];

/// What a person reads after a second without an answer.
const NOTICE: &str = "; trying again";

/// A place that treats each connection alike. Returns its URL.
fn place(serve: fn(TcpStream)) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            thread::spawn(move || serve(client));
        }
    });
    format!("redis://127.0.0.1:{port}")
}

/// Reads until the other side ends, and says nothing.
fn say_nothing(mut client: TcpStream) {
    let _ = client.read_to_end(&mut Vec::new());
}

fn speak_http(mut client: TcpStream) {
    let _ = client.read(&mut [0; 1000]);
    let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html>\r\n");
}

fn speak_ssh(mut client: TcpStream) {
    let _ = client.write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
    say_nothing(client);
}

/// A sandbox for a server, with the queue's three items `one`, `two` and `three`.
fn sandbox_with_items(url: &str) -> Sandbox {
    let sandbox = Sandbox::at_server(url);
    sandbox.run(&["put", "one", "two", "three"]).assert_done();
    sandbox
}

#[track_caller]
fn assert_has_items(sandbox: &Sandbox, items: &[&str]) {
    let outcome = sandbox.run(&["get", "--count", "1000", "--timeout", "0"]);
    assert_eq!(outcome.lines(), items, "{}", outcome.stderr);
}

/// Asserts that a command failed with exit code 1. Its last line has all words.
#[track_caller]
fn assert_failed(outcome: &Outcome, words: &[&str]) {
    assert_eq!(outcome.code(), Some(1), "{}", outcome.stderr);
    let line = outcome.stderr.lines().last().unwrap();
    assert!(line.starts_with("qdemo: "), "{}", outcome.stderr);
    for word in words {
        assert!(line.contains(word), "no {word:?} in: {}", outcome.stderr);
    }
}

/// Commands of every kind.
const COMMANDS: [&[&str]; 10] = [
    &["put", "x"],
    &["producer", "x"],
    &["consumer"],
    &["consumer", "--", "true"],
    &["get"],
    &["peek"],
    &["join"],
    &["close"],
    &["status"],
    &["rm"],
];

#[test]
fn every_command_ends_when_nobody_answers() {
    let silent = place(say_nothing);
    let nobody = "redis://127.0.0.1:1".to_owned();
    let closing = place(drop);
    for (url, cause) in [(&silent, "no answer in time"), (&nobody, "refused"), (&closing, "")] {
        let sandbox = Sandbox::at_server(url);
        for command in COMMANDS {
            let limit = Limit::of_seconds(4);
            let outcome =
                sandbox.run(&[&command[..1], &["--server-timeout", "1s"], &command[1..]].concat());
            assert!(!limit.is_over(), "{command:?} at {url} takes too long");
            assert_failed(&outcome, &[url, cause]);
            assert!(outcome.text().is_empty(), "{}", outcome.text());
        }
        let outcome = sandbox.run(&["get", "--timeout", "0"]);
        assert_eq!(outcome.code(), Some(3), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(url), "{}", outcome.stderr);
    }
}

#[test]
fn another_kind_of_server_is_named_at_once() {
    for url in [place(speak_http), place(speak_ssh)] {
        let sandbox = Sandbox::at_server(&url);
        for command in COMMANDS {
            let outcome = sandbox.run(command);
            outcome.assert_refused(1, &[&url, "is no Redis or Valkey server", "check the address"]);
        }
    }
}

/// A producer that reads items from standard input.
fn start_producer(sandbox: &Sandbox, more: &[&str]) -> Running {
    let args = ["producer", "--keep-open", "--lang", "en", "-"];
    let mut producer = sandbox.start(&[&args[..4], more, &args[4..]].concat());
    producer.feed("first\n");
    assert!(producer.line().contains("first"));
    producer
}

#[test]
fn a_server_that_hangs_is_told_and_given_up() {
    Backend::Server.check(|_| {
        let server = OwnServer::start(&SAVES);
        let sandbox = Sandbox::at_server(&server.url());
        let mut producer = start_producer(&sandbox, &["--server-timeout", "2s"]);
        server.signal(Signal::STOP);
        let limit = Limit::of_seconds(8);
        producer.feed("second\n");
        let outcome = producer.end();
        assert!(!limit.is_over(), "the producer takes too long");
        assert_failed(&outcome, &["what has no answer may have been done or not", "second"]);
        assert_eq!(outcome.stderr.lines().count(), 2, "{}", outcome.stderr);
        assert!(outcome.stderr.lines().next().unwrap().ends_with(NOTICE), "{}", outcome.stderr);
        server.signal(Signal::CONT);
        assert_has_items(&sandbox, &["first", "second"]);
    });
}

#[test]
fn a_client_waits_for_a_server_that_is_away() {
    Backend::Server.check(|_| {
        let mut server = OwnServer::start(&["--appendonly", "yes", "--appendfsync", "always"]);
        let sandbox = Sandbox::at_server(&server.url());
        let mut producer = start_producer(&sandbox, &[]);
        let consumer = sandbox.start(&["consumer", "--max", "2", "--format", "raw"]);
        let hanging = sandbox.start(&["consumer", "-q", "other"]);
        sandbox.wait_for_consumer();
        server.signal(Signal::STOP);
        producer.feed("second\n");
        let_pass(Duration::from_secs(3));
        hanging.signal(Signal::TERM);
        // The notice of a call without an answer.
        let told = hanging.end().stderr;
        assert!(told.contains("does not answer"), "{told}");
        server.kill();
        server.restart();
        assert!(producer.line().contains("second"));
        assert_eq!(consumer.end().lines(), ["first", "second"]);
        let outcome = producer.end();
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        let lines: Vec<_> = outcome.stderr.lines().collect();
        assert!(lines[0].ends_with(NOTICE), "{}", outcome.stderr);
        assert_eq!(lines[1..], ["qdemo: the server answers again"]);
    });
}

/// The time that a fault lasts.
fn let_pass(time: Duration) {
    let (_sender, receiver) = mpsc::channel::<()>();
    let _ = receiver.recv_timeout(time);
}

#[test]
fn a_server_that_is_loading_is_waited_for() {
    Backend::Server.check(|_| {
        let mut server = OwnServer::start(&SAVES);
        let sandbox = sandbox_with_items(&server.url());
        let fill = "for i = 1, 2000 do redis.call('SET', 'other:' .. i, '') end";
        let _: Option<i64> = server.ask(&["EVAL", fill, "0"]);
        let () = server.ask(&["SAVE"]);
        server.kill();
        let slowly =
            ["--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"];
        server.restart_until("Loading RDB", &slowly);
        let outcome = sandbox.run(&["put", "four"]);
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("is loading the dataset"), "{}", outcome.stderr);
        assert_has_items(&sandbox, &["one", "two", "three", "four"]);
    });
}

#[test]
fn a_full_server_refuses_and_keeps_what_it_accepted() {
    Backend::Server.check(|_| {
        let server = OwnServer::start(&SAVES);
        let sandbox = Sandbox::at_server(&server.url());
        sandbox.run(&["put", "0"]).assert_done();
        let () = server.ask(&["CONFIG", "SET", "maxmemory", "3mb"]);
        let filler = "x".repeat(10_000);
        let items: Vec<_> = (0..1000).map(|n| format!("{n}{filler}\n")).collect();
        let args = ["producer", "--keep-open", "--format", "json", "-"];
        let outcome = sandbox.run_with_input(&args, items.concat().as_bytes());
        assert_failed(&outcome, &["has no memory left", "`get` makes room"]);
        let accepted = outcome.lines().len();
        assert!((10..900).contains(&accepted), "{accepted} items accepted");
        // So is the put of a command, which comes together with its hello.
        let () = server.ask(&["CONFIG", "SET", "maxmemory", "1kb"]);
        assert_failed(&sandbox.run(&["put", "alone"]), &["has no memory left", "not put: alone"]);
        let () = server.ask(&["CONFIG", "SET", "maxmemory", "3mb"]);
        // A get makes room, and the items that were told are there, once and in order.
        let outcome = sandbox.run(&["get", "--count", "1000", "--timeout", "0"]);
        assert_eq!(outcome.code(), Some(3), "{}", outcome.stderr);
        let got = outcome.lines();
        assert_eq!(got[0], "0");
        for (n, item) in got[1..].iter().enumerate() {
            assert_eq!(*item, items[n].trim_end());
        }
        assert!(got.len() > accepted, "{accepted} accepted, {} there", got.len() - 1);
        sandbox.run(&["put", "after"]).assert_done();
    });
}

#[test]
fn a_server_that_cannot_save_takes_nothing_and_loses_nothing() {
    Backend::Server.check(|_| {
        let server = OwnServer::start(&SAVES);
        let sandbox = sandbox_with_items(&server.url());
        // No file can be written in the place of a folder.
        fs::create_dir_all(server.file("dump.rdb/folder")).unwrap();
        let () = server.ask(&["BGSAVE"]);
        server.wait_until(&["INFO", "persistence"], "rdb_last_bgsave_status:err");
        for command in [&["put", "x"][..], &["get"], &["producer", "x"], &["consumer"]] {
            let outcome = sandbox.run(command);
            outcome.assert_refused(1, &["cannot save", "mend its disk"]);
            assert!(!outcome.stderr.contains("script"), "{}", outcome.stderr);
        }
        fs::remove_dir_all(server.file("dump.rdb")).unwrap();
        let () = server.ask(&["BGSAVE"]);
        server.wait_until(&["INFO", "persistence"], "rdb_last_bgsave_status:ok");
        assert_has_items(&sandbox, &["one", "two", "three"]);
    });
}

#[test]
fn a_replica_is_refused_at_first_and_waited_for_in_a_failover() {
    Backend::Server.check(|_| {
        let server = OwnServer::start(&SAVES);
        let sandbox = Sandbox::at_server(&server.url());
        let mut producer = start_producer(&sandbox, &[]);
        let () = server.ask(&["REPLICAOF", "127.0.0.1", "1"]);
        for command in [&["put", "x"][..], &["get"], &["producer", "x"], &["consumer"]] {
            let outcome = sandbox.run(command);
            outcome.assert_refused(1, &["is a read-only replica", "address of its primary"]);
        }
        producer.feed("second\n");
        let connections = || -> u64 {
            let info: String = server.ask(&["INFO", "stats"]);
            let count =
                info.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
            count.unwrap().parse().unwrap()
        };
        let before = connections();
        let_pass(Duration::from_secs(3));
        let attempts = connections() - before;
        assert!(attempts < 30, "{attempts} connections in three seconds");
        let () = server.ask(&["REPLICAOF", "NO", "ONE"]);
        assert!(producer.line().contains("second"));
        let outcome = producer.end();
        assert!(outcome.stderr.contains("is a read-only replica"), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("the server answers again\n"), "{}", outcome.stderr);
        assert_has_items(&sandbox, &["first", "second"]);
    });
}

#[test]
fn keys_of_another_program_are_left_alone() {
    Backend::Server.check(|_| {
        let server = OwnServer::start(&SAVES);
        let sandbox = Sandbox::at_server(&server.url());
        for (queue, part, words) in [
            ("a", "ready", &["SET", "", "text"][..]),
            ("b", "meta", &["SET", "", "text"]),
            ("c", "meta", &["RPUSH", "", "text"]),
            ("d", "ends_told", &["ZADD", "", "1", "text"]),
        ] {
            let key = format!("test:{{{queue}}}:{part}");
            let words = [words[0], &key].iter().chain(&words[2..]).copied().collect::<Vec<_>>();
            let _: redis::Value = server.ask(&words);
            for command in [&["put", "x"][..], &["get"], &["producer", "x"], &["consumer"], &["rm"]]
            {
                let outcome = sandbox.run(&[command, &["-q", queue]].concat());
                outcome.assert_refused(1, &[part, "is not qdemo's", "take another queue name"]);
                assert!(!outcome.stderr.contains("may or may not"), "{}", outcome.stderr);
            }
            let keys: Vec<String> = server.ask(&["KEYS", &format!("test:{{{queue}}}*")]);
            assert_eq!(keys, [key]);
        }
    });
}

#[test]
fn a_user_without_rights_learns_which() {
    Backend::Server.check(|_| {
        let server = OwnServer::start(&SAVES);
        let user = |rights: &[&str]| {
            let _: String = server
                .ask(&[&["ACL", "SETUSER", "worker", "reset", "on", ">secret"], rights].concat());
        };
        let run = |password: &str, command: &[&str]| {
            let url = server.url().replace("unix://", "unix://worker@");
            let sandbox = Sandbox::at_server(&url);
            let mut command = sandbox.qdemo(command);
            command.env("QDEMO_SERVER_PASSWORD", password);
            Running::start(command).end()
        };
        user(&["~test:*", "&test:*", "+@all"]);
        run("secret", &["put", "x"]).assert_done();
        for command in COMMANDS {
            let outcome = run("wrong", command);
            outcome
                .assert_refused(1, &["refuses the password or the user", "QDEMO_SERVER_PASSWORD"]);
            assert!(!outcome.stderr.contains("wrong "), "{}", outcome.stderr);
        }
        for (rights, word) in [
            (&["~other:*", "&test:*", "+@all"][..], "the keys of the queue"),
            (&["~test:*", "&other:*", "+@all"], "the channels of the queue"),
            (&["~test:*", "&test:*", "+@all", "-evalsha"], "`evalsha`"),
            (&["~test:*", "&test:*", "+@all", "-time"], "time"),
            (&["~test:*", "&test:*", "+@all", "-zadd", "-hset"], "hset zadd"),
        ] {
            user(rights);
            for command in [&["put", "x"][..], &["consumer"]] {
                let outcome = run("secret", command);
                outcome.assert_refused(1, &["no right to", word, "`ACL SETUSER` grants it"]);
            }
        }
        // What only a warning needs may be missing.
        user(&["~test:*", "&test:*", "+@all", "-config"]);
        run("secret", &["put", "y"]).assert_done();
        assert_eq!(run("secret", &["get", "--count", "9", "--timeout", "0"]).lines(), ["x", "y"]);
    });
}

#[test]
fn a_server_without_config_takes_items() {
    Backend::Server.check(|_| {
        let server = OwnServer::start(&[&SAVES[..], &["--rename-command", "CONFIG", ""]].concat());
        let sandbox = sandbox_with_items(&server.url());
        assert_has_items(&sandbox, &["one", "two", "three"]);
        sandbox.run(&["put", "--sync", "x"]).assert_refused(1, &["--sync needs `appendonly yes`"]);
    });
}

#[test]
fn a_server_with_too_many_clients_is_waited_for() {
    Backend::Server.check(|_| {
        let server = OwnServer::start(&[&SAVES[..], &["--maxclients", "2"]].concat());
        let sandbox = sandbox_with_items(&server.url());
        let others: Vec<_> = (0..2).map(|_| server.connection()).collect();
        let outcome = sandbox.run(&["put", "--server-timeout", "1500ms", "x"]);
        // The server says so, and closes the connection perhaps before the client has sent anything.
        assert_failed(&outcome, &["cannot be reached", "not put: x"]);
        drop(others);
        assert_has_items(&sandbox, &["one", "two", "three"]);
    });
}

#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn answers_that_a_network_holds_back_cost_nothing() {
    Backend::Server.check(|_| {
        let server = OwnServer::start(&SAVES);
        let proxy = Proxy::to(&server.socket());
        let sandbox = Sandbox::at_server(&proxy.url());
        let mut producer = start_producer(&sandbox, &[]);
        let mut consumer = sandbox.start(&["consumer", "--format", "raw"]);
        assert_eq!(consumer.line(), "first");
        proxy.stall(&[Way::ToClient]);
        producer.feed("second\n");
        // A client that waits no longer for the answer of its call is absent, and counts as dead after two seconds.
        producer.wait_until_told("does not answer");
        proxy.stall(&[]);
        assert!(producer.line().contains("second"));
        assert_eq!(consumer.line(), "second");
        producer.feed("third\n");
        assert!(producer.line().contains("third"));
        assert_eq!(consumer.line(), "third");
        let outcome = producer.end();
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        sandbox.run(&["close"]).assert_done();
        let outcome = consumer.end();
        assert_eq!((outcome.code(), outcome.text().as_str()), (Some(0), ""), "{}", outcome.stderr);
        assert_eq!(sandbox.status()["done"], 3);
    });
}

#[test]
fn a_busy_consumer_is_alive_and_a_stopped_one_learns_what_it_lost() {
    Backend::Server.check(|_| {
        let server = OwnServer::start(&SAVES);
        let sandbox = Sandbox::at_server(&server.url());
        sandbox.run(&["put", "item"]).assert_done();
        sandbox.script("mkfifo gate").assert_done();
        let args = ["consumer", "--dead-after", "3s", "--max", "1", "--", "sh", "-c", "cat gate"];
        let consumer = sandbox.start(&args);
        sandbox.wait_for_status(|status| status["in_flight"] == 1);
        // The command lasts for longer than a silent client lives.
        let_pass(Duration::from_secs(4));
        assert_eq!(sandbox.run(&["get", "--no-wait"]).code(), Some(3), "the item is in flight");
        consumer.signal(Signal::STOP);
        sandbox.run(&["get", "--timeout", "20s"]).assert_prints("item\n");
        consumer.signal(Signal::CONT);
        fs::write(sandbox.path("gate"), "").unwrap();
        let outcome = consumer.end();
        assert_eq!(outcome.code(), Some(1), "{}", outcome.stderr);
        let told: Vec<_> =
            outcome.stderr.lines().filter(|line| line.contains("too late")).collect();
        assert!(told[0].contains("this consumer had counted as dead"), "{}", outcome.stderr);
        assert!(told[1].contains("may be done twice"), "{}", outcome.stderr);
    });
}

#[test]
fn calls_that_arrive_late_change_nothing() {
    Backend::Server.check(|_| {
        let server = OwnServer::start(&SAVES);
        let proxies = [Proxy::to(&server.socket()), Proxy::to(&server.socket())];
        let at_server = Sandbox::at_server(&server.url());
        let [to_producer, to_consumer] = [0, 1].map(|n| Sandbox::at_server(&proxies[n].url()));
        let mut producer = start_producer(&to_producer, &["--server-timeout", "1s"]);
        let consumer = ["consumer", "--format", "raw", "--server-timeout", "1s"];
        let mut consumer = to_consumer.start(&consumer);
        assert_eq!(consumer.line(), "first");
        let mut put = |producer: &mut Running, item: &str| {
            producer.feed(&format!("{item}\n"));
            assert!(producer.line().contains(item));
            assert_eq!(consumer.line(), item);
        };
        for round in 0..4 {
            at_server.wait_for_consumer();
            // The consumer's report and its next get, or the producer's put, wait in the network.
            let stalled = &proxies[1 - round % 2];
            stalled.stall_present(Way::ToServer);
            let before = stalled.accepted();
            put(&mut producer, &format!("item {round}"));
            wait_while(|| stalled.accepted() == before);
            put(&mut producer, &format!("between {round}"));
            // They arrive after the client has connected again and has sent them anew.
            stalled.stall(&[]);
            put(&mut producer, &format!("after {round}"));
            put(&mut producer, &format!("more {round}"));
        }
        let outcome = producer.end();
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        at_server.run(&["close"]).assert_done();
        let outcome = consumer.end();
        assert_eq!((outcome.code(), outcome.text().as_str()), (Some(0), ""), "{}", outcome.stderr);
        assert_eq!(at_server.status()["done"], 17);
    });
}
