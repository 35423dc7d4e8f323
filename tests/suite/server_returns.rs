//! What a client says when it comes back to its server after it was away: nothing that was done is called lost, and
//! nothing that is uncertain is kept back.

use qdemo::{Error, Role};
use rustix::process::Signal;

use crate::harness::{Backend, OwnServer, Sandbox};

/// Settings of a server that clients do not warn of.
const SAVES: [&str; 2] = ["--save", "31536000 1"];

#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn a_consumer_that_was_stopped_after_its_report_is_told_nothing() {
    Backend::Server.check(|_| {
        let server = OwnServer::start(&SAVES);
        let sandbox = Sandbox::at_server(&server.url());
        sandbox.run(&["put", "first"]).assert_done();
        let mut consumer = sandbox.start(&["consumer", "--dead-after", "3s", "--format", "raw"]);
        assert_eq!(consumer.line(), "first");
        sandbox.wait_for_status(|status| status["done"] == 1);
        consumer.signal(Signal::STOP);
        sandbox.wait_for_notice_of_death(consumer.pid());
        consumer.signal(Signal::CONT);
        sandbox.run(&["put", "second"]).assert_done();
        assert_eq!(consumer.line(), "second");
        sandbox.run(&["close"]).assert_done();
        let outcome = consumer.end();
        assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""));
        assert_eq!(sandbox.status()["done"], 2);
    });
}

#[test]
fn a_put_that_finds_a_loss_has_its_own_result() {
    Backend::Server.check(|_| {
        let mut server = OwnServer::start(&SAVES);
        let sandbox = Sandbox::at_server(&server.url());
        let connect =
            || sandbox.builder("default").keep_open(true).connect(Role::Producer).unwrap();
        let (mut one, mut other) = (connect(), connect());
        one.put(b"1").unwrap();
        let () = server.ask(&["SAVE"]);
        one.put_all(["2", "3"]).unwrap();
        other.put(b"0").unwrap();
        server.kill();
        server.restart();
        one.put(b"4").unwrap();
        assert!(matches!(one.put(b"5"), Err(Error::ItemsLost(2))));
        one.put(b"6").unwrap();
        one.leave().unwrap();
        // A client that puts nothing more is told when it leaves.
        other.put(b"7").unwrap();
        assert!(matches!(other.leave(), Err(Error::ItemsLost(1))));
        let got = sandbox.run(&["get", "--count", "9", "--timeout", "0"]);
        assert_eq!(got.lines(), ["1", "4", "6", "7"]);
    });
}

#[test]
fn a_queue_that_is_gone_leaves_no_item_unnamed() {
    Backend::Server.check(|_| {
        let mut server = OwnServer::start(&SAVES);
        let sandbox = Sandbox::at_server(&server.url());
        let options = ["--capacity", "1", "-"];
        let mut producer =
            sandbox.start(&[&["producer", "--format", "json"][..], &options].concat());
        let mut put = sandbox.start(&[&["put"][..], &options].concat());
        producer.feed("first\n");
        assert!(producer.line().contains("first"));
        producer.feed("second\n");
        put.feed("third\n");
        sandbox.wait_for_status(|status| {
            let producers = status["producers"].as_array().unwrap();
            producers.iter().filter(|producer| producer["waits_for"] == "room").count() == 2
        });
        // The server has saved nothing.
        server.kill();
        server.restart();
        let gone = "the queue has been removed, or the server has lost it";
        for (outcome, items) in [
            (producer.end(), "these items may or may not have been in the queue: second"),
            (put.end(), "the last 1 item sent may or may not have been in the queue"),
        ] {
            assert_eq!(outcome.code(), Some(1), "{}", outcome.stderr);
            let line = outcome.stderr.lines().last().unwrap();
            assert!(line.contains(&format!("{gone}; {items}")), "{}", outcome.stderr);
        }
    });
}

#[test]
fn a_large_item_makes_its_queue() {
    Backend::Server.check(|backend| {
        let sandbox = Sandbox::on(backend);
        let item = "x".repeat(1_000_000);
        let args = ["put", "-"];
        sandbox.run_with_input(&args, format!("{item}\nsmall\n").as_bytes()).assert_done();
        sandbox.run(&["get", "--count", "2"]).assert_prints(&format!("{item}\nsmall\n"));
    });
}
