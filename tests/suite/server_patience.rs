//! The limits of time of a client of a server: a slow server or a slow network is waited for, and one that does not do
//! what was asked is not waited for for ever.

use std::sync::mpsc;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Backend, LOSES_NOTHING, Limit, OwnServer, Proxy, Running, Sandbox};

/// Settings of a server that clients do not warn of.
const SAVES: [&str; 2] = ["--save", "31536000 1"];

/// The time that a fault lasts.
fn let_pass(time: Duration) {
    let (_sender, receiver) = mpsc::channel::<()>();
    let _ = receiver.recv_timeout(time);
}

/// A producer that reads items from standard input, and has put `first`.
fn start_producer(sandbox: &Sandbox, more: &[&str]) -> Running {
    let mut producer =
        sandbox.start(&[&["producer", "--keep-open", "--lang", "en"], more, &["-"]].concat());
    producer.feed("first\n");
    assert!(producer.line().contains("first"));
    producer
}

/// A queue's client in this process.
fn open(url: &str) -> qdemo::Queue<String> {
    let builder = qdemo::QueueBuilder::new("default".parse().unwrap());
    builder.server(url).unwrap().open().unwrap()
}

/// A replica of a server, which has everything that the server has.
fn replica_of(primary: &OwnServer) -> OwnServer {
    let port = primary.port().to_string();
    let follow = ["--replicaof", "127.0.0.1", &port];
    let replica = OwnServer::start(&[&LOSES_NOTHING[..], &follow].concat());
    replica.wait_until(&["INFO", "replication"], "master_link_status:up");
    primary.wait_until(&["INFO", "replication"], "state=online");
    replica
}

/// A primary, which does not wait for more replicas before it sends its data to one.
fn primary() -> OwnServer {
    OwnServer::start_on_port(&[&LOSES_NOTHING[..], &["--repl-diskless-sync-delay", "0"]].concat())
}

#[test]
fn a_server_that_welcomes_and_takes_no_call_is_given_up() {
    Backend::Server.check(|_| {
        let server = OwnServer::start(&SAVES);
        let proxy = Proxy::to(&server.socket());
        let sandbox = Sandbox::at_server(&proxy.url());
        let mut producer = start_producer(&sandbox, &["--server-timeout", "1s"]);
        proxy.stall_at("\nput ");
        let limit = Limit::of_seconds(20);
        producer.feed("second\n");
        let outcome = producer.end();
        assert!(!limit.is_over(), "the producer takes too long");
        assert_eq!(outcome.code(), Some(1), "{}", outcome.stderr);
        let last = outcome.stderr.lines().last().unwrap();
        assert!(last.contains("does not answer (no answer in time)"), "{}", outcome.stderr);
        assert!(last.contains("may or may not be in the queue: second"), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("answers again"), "{}", outcome.stderr);
        assert!(proxy.accepted() > 1, "the producer has tried once only");
    });
}

#[test]
fn a_server_that_tells_nothing_of_itself_is_tried_again_and_given_up() {
    Backend::Server.check(|_| {
        let server = OwnServer::start(&SAVES);
        let proxy = Proxy::to(&server.socket());
        let sandbox = Sandbox::at_server(&proxy.url());
        proxy.stall_at("\r\nINFO\r\n");
        let outcome = sandbox.run(&["put", "x", "--server-timeout", "2s"]);
        assert_eq!(outcome.code(), Some(1), "{}", outcome.stderr);
        let last = outcome.stderr.lines().last().unwrap();
        assert!(last.ends_with("; not put: x"), "{}", outcome.stderr);
        assert!(proxy.accepted() > 1, "the command has tried once only");
    });
}

#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn an_item_on_a_slow_network_is_sent_once() {
    Backend::Server.check(|_| {
        let server = OwnServer::start(&SAVES);
        let proxy = Proxy::to(&server.socket());
        let sandbox = Sandbox::at_server(&proxy.url());
        // Each way takes longer than a call without any sign of life may, and than a silent client lives.
        proxy.delay(Duration::from_millis(50));
        let item = "x".repeat(6 << 20);
        let stays = ["--server-timeout", "4s", "--dead-after", "3s"];
        let put = [&["producer", "--keep-open", "--format", "json"], &stays[..], &["-"]].concat();
        let outcome = sandbox.run_with_input(&put, format!("{item}\n").as_bytes());
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("does not answer"), "{}", outcome.stderr);
        // One connection of the producer, and one for its beats.
        assert_eq!(proxy.accepted(), 2);
        let get = [&["consumer", "--max", "1", "--format", "json"], &stays[..]].concat();
        let outcome = sandbox.run(&get);
        assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""));
        assert_eq!(proxy.accepted(), 4);
        let got: serde_json::Value = serde_json::from_str(&outcome.lines()[0]).unwrap();
        assert_eq!(
            (got["attempt"].as_u64(), got["item"].as_str().unwrap() == item),
            (Some(1), true)
        );
    });
}

#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn a_wait_for_a_replica_is_no_silence() {
    Backend::Server.check(|_| {
        let primary = primary();
        let replica = replica_of(&primary);
        let sandbox = Sandbox::at_server(&primary.url());
        replica.signal(Signal::STOP);
        // Longer than a person waits for a notice, than the patience, and than a silent client lives.
        let limits = ["--server-timeout", "2s", "--dead-after", "3s"];
        let put = sandbox.start(&["put", "--sync", "--server-timeout", "2s", "one"]);
        let produce = ["producer", "--keep-open", "--sync", "--format", "json"];
        let produce = sandbox.start(&[&produce, &limits[..], &["two"]].concat());
        primary.wait_until(&["INFO", "clients"], "blocked_clients:2");
        let_pass(Duration::from_secs(4));
        // The first look finds who is dead, and the second one tells.
        sandbox.status();
        assert_eq!(sandbox.status()["producers"].as_array().unwrap().len(), 1);
        replica.signal(Signal::CONT);
        for running in [put, produce] {
            let outcome = running.end();
            assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
            let told = "--sync: the items are on the server's disk, and on 1 of 1 replica\n";
            assert!(outcome.stderr.contains(told), "{}", outcome.stderr);
            assert!(!outcome.stderr.contains("does not answer"), "{}", outcome.stderr);
        }
        assert_eq!(sandbox.status()["ready"], 2);
    });
}

#[test]
fn a_replica_that_comes_later_is_waited_for() {
    Backend::Server.check(|_| {
        let primary = primary();
        let sandbox = Sandbox::at_server(&primary.url());
        let mut producer = start_producer(&sandbox, &["--sync"]);
        let _replica = replica_of(&primary);
        producer.feed("second\n");
        assert!(producer.line().contains("second"));
        let outcome = producer.end();
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("on 1 of 1 replica"), "{}", outcome.stderr);
    });
}

#[test]
fn a_queue_with_sync_takes_nothing_where_nothing_reaches_the_disk() {
    Backend::Server.check(|_| {
        let server = OwnServer::start(&LOSES_NOTHING);
        let proxy = Proxy::to(&server.socket());
        let sandbox = Sandbox::at_server(&proxy.url());
        assert_eq!(sandbox.run(&["put", "--sync", "one"]).code(), Some(0));
        let queue = open(&proxy.url());
        queue.put("two".to_owned()).unwrap();
        let () = server.ask(&["CONFIG", "SET", "appendonly", "no"]);
        let () = server.ask(&["CONFIG", "SET", "save", "31536000 1"]);
        for command in [&["put", "x"][..], &["producer", "x"], &["put", "--sync", "x"]] {
            let outcome = sandbox.run(command);
            assert_eq!(outcome.code(), Some(1), "{}", outcome.stderr);
            assert!(outcome.stderr.contains("keeps no append-only file"), "{}", outcome.stderr);
        }
        sandbox.run(&["put", "x"]).assert_refused(1, &["; not put: x"]);
        // A client that comes again checks too.
        proxy.cut_all();
        let error = queue.put("x".to_owned()).unwrap_err().to_string();
        assert!(error.contains("keeps no append-only file"), "{error}");
        assert_eq!(sandbox.status()["ready"], 2);
    });
}

#[test]
fn what_a_server_refuses_is_returned_once_and_not_put_later() {
    Backend::Server.check(|_| {
        let server = OwnServer::start(&SAVES);
        let queue = open(&server.url());
        queue.put("one".to_owned()).unwrap();
        let () = server.ask(&["CONFIG", "SET", "maxmemory", "1kb"]);
        for _ in 0..2 {
            let error = queue.put("refused".to_owned()).unwrap_err().to_string();
            assert!(error.contains("has no memory left"), "{error}");
        }
        assert_eq!(queue.get().unwrap().done().unwrap(), "one");
        let () = server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
        queue.put("two".to_owned()).unwrap();
        queue.put("three".to_owned()).unwrap();
        for item in ["two", "three"] {
            assert_eq!(queue.get().unwrap().done().unwrap(), item);
        }
        assert_eq!(queue.len().unwrap(), 0);
    });
}

#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn a_client_that_was_refused_stays_present() {
    Backend::Server.check(|_| {
        let server = OwnServer::start(&SAVES);
        let sandbox = Sandbox::at_server(&server.url());
        let queue = open(&server.url());
        queue.put("item".to_owned()).unwrap();
        let item = queue.get().unwrap();
        let () = server.ask(&["CONFIG", "SET", "maxmemory", "1kb"]);
        queue.put("refused".to_owned()).unwrap_err();
        // Longer than an absent client lives.
        let_pass(Duration::from_secs(5));
        assert_eq!(sandbox.status()["in_flight"], 1);
        item.done().unwrap();
        assert_eq!(queue.len().unwrap(), 0);
        assert_eq!(sandbox.status()["done"], 1);
    });
}
