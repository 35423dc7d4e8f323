//! Kills and stops real processes at random while their queue is on a server, and kills the server. As in the test of
//! local queues, the test counts the items itself, and `QDEMO_CHAOS_KILLS` and `QDEMO_CHAOS_SEED` apply.

use std::time::Duration;

use rand::RngExt;
use rustix::process::Signal;
use serde_json::Value;

use crate::chaos::{Chaos, troubles};
use crate::harness::{Backend, LOSES_NOTHING, OwnServer, Proxy, Running, Sandbox, Way, wait_while};

#[test]
fn every_accepted_item_is_done_despite_kills_and_stops() {
    Backend::Server.check(|backend| {
        let sandbox = Sandbox::on(backend);
        let mut chaos = Chaos::start(&sandbox, &["--dead-after", "3s"]);
        let mut stopped: Option<i32> = None;
        for trouble in 0..troubles(60) {
            chaos.wait_for_progress();
            if let Some(pid) = stopped.take_if(|_| trouble % 50 == 10 || chaos.rng.random_bool(0.3))
            {
                if trouble % 50 == 10 {
                    // Its items go to other consumers, as it counts as dead. Then it comes back.
                    sandbox.wait_for_notice_of_death(pid);
                }
                continue_process(&chaos, pid);
            }
            if stopped.is_none() && (trouble % 50 == 9 || chaos.rng.random_bool(0.3)) {
                let at = chaos.rng.random_range(0..chaos.processes.len());
                let process = &chaos.processes[at].1;
                process.signal(Signal::STOP);
                stopped = Some(process.pid());
            } else {
                chaos.replace_process();
            }
        }
        if let Some(pid) = stopped {
            continue_process(&chaos, pid);
        }
        chaos.check();
    });
}

/// Continues a process, unless it was killed.
fn continue_process(chaos: &Chaos<'_>, pid: i32) {
    if let Some((_, process)) = chaos.processes.iter().find(|(_, process)| process.pid() == pid) {
        process.signal(Signal::CONT);
    }
}

#[test]
fn a_server_that_writes_first_loses_nothing_when_it_is_killed() {
    Backend::Server.check(|_| {
        let mut server = OwnServer::start(&LOSES_NOTHING);
        let url = server.url();
        let sandbox = Sandbox::at_server(&url);
        let mut chaos = Chaos::start(&sandbox, &[]);
        for _ in 0..troubles(60) / 20 {
            chaos.wait_for_progress();
            chaos.replace_process();
            chaos.wait_for_progress();
            server.kill();
            server.restart();
        }
        chaos.check();
    });
}

#[test]
fn every_accepted_item_is_done_despite_a_bad_network() {
    Backend::Server.check(|_| {
        let server = OwnServer::start(&[]);
        let proxy = Proxy::to(&server.socket());
        let sandbox = Sandbox::at_server(&proxy.url());
        let mut chaos = Chaos::start(&sandbox, &[]);
        for _ in 0..troubles(60) {
            chaos.wait_for_progress();
            let way = if chaos.rng.random() { Way::ToServer } else { Way::ToClient };
            match chaos.rng.random_range(0..10) {
                0 => proxy.cut_all(),
                1 => proxy.half_close(way),
                2 => proxy.delay(Duration::from_millis(chaos.rng.random_range(0..3))),
                3 => server.ask(&["SCRIPT", "FLUSH"]),
                4 => {
                    let _: i64 = server.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
                }
                5 => server.ask(&["CLIENT", "PAUSE", "50"]),
                6 => {
                    proxy.refuse(true);
                    proxy.cut_all();
                    let seen = proxy.accepted();
                    wait_while(|| proxy.accepted() < seen + 5);
                    proxy.refuse(false);
                }
                7 => {
                    let seen = proxy.accepted();
                    server.signal(Signal::STOP);
                    proxy.cut_all();
                    wait_while(|| proxy.accepted() < seen + 5);
                    server.signal(Signal::CONT);
                }
                _ => proxy.cut_after(way, chaos.rng.random_range(0..20_000)),
            }
        }
        proxy.heal();
        chaos.check();
    });
}

#[test]
fn what_a_server_has_lost_is_counted_and_told() {
    Backend::Server.check(|_| {
        let mut server = OwnServer::start(&["--save", "31536000 1"]);
        let sandbox = Sandbox::at_server(&server.url());
        let mut producer = sandbox.start(&["producer", "--keep-open", "--format", "json", "-"]);
        let mut consumer = sandbox.start(&["consumer", "--format", "raw"]);
        let mut put = |item: &str| {
            producer.feed(&format!("{item}\n"));
            assert!(producer.line().contains(item));
        };
        put("first");
        assert_eq!(consumer.line(), "first");
        sandbox.wait_for_status(|status| status["done"] == 1);
        let () = server.ask(&["SAVE"]);
        // What comes now is not in the server's copy.
        for item in ["second", "third", "fourth"] {
            put(item);
            assert_eq!(consumer.line(), item);
        }
        server.kill();
        server.restart();
        // The producer puts the item whose put failed, and then learns of the loss.
        put("fifth");
        let outcome = producer.end();
        assert_eq!(outcome.code(), Some(1), "{}", outcome.stderr);
        let told: Vec<_> = outcome.stderr.lines().filter(|line| line.contains("lost")).collect();
        assert_eq!(told.len(), 2, "{}", outcome.stderr);
        assert!(told[0].ends_with("3 items of this client are missing"), "{}", outcome.stderr);
        assert!(told[1].ends_with("put them again"), "{}", outcome.stderr);
        assert_eq!(consumer.line(), "fifth");
        sandbox.run(&["close"]).assert_done();
        let outcome = consumer.end();
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        assert_eq!(sandbox.status()["done"], 2);
    });
}

/// The rest of a command's output. The command succeeds.
fn end(running: Running) -> Vec<String> {
    let outcome = running.end();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    outcome.lines()
}

#[test]
fn a_promoted_replica_has_what_sync_has_acknowledged() {
    Backend::Server.check(|_| {
        let mut primary = OwnServer::start_on_port(&LOSES_NOTHING);
        let port = primary.port().to_string();
        let follow = ["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"];
        let replica = OwnServer::start(&[&LOSES_NOTHING[..], &follow].concat());
        replica.wait_until(&["INFO", "replication"], "master_link_status:up");
        let proxy = Proxy::to(&primary.socket());
        let sandbox = Sandbox::at_server(&proxy.url());
        let put = ["producer", "--keep-open", "--sync", "--format", "json", "--items", "100"];
        let mut producer = sandbox.start(&put);
        // The primary dies in the middle of the work.
        let mut accepted = vec![producer.line()];
        primary.kill();
        proxy.lead_to(&replica.socket());
        let () = replica.ask(&["REPLICAOF", "NO", "ONE"]);
        accepted.extend(end(producer));
        let accepted: Vec<Value> =
            accepted.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let items = |lines: &[Value]| -> Vec<String> {
            lines.iter().map(|line| line["item"].as_str().unwrap().to_owned()).collect()
        };
        let accepted = items(&accepted);
        assert_eq!(accepted.len(), 100);
        let got = sandbox.run(&["get", "--count", "100", "--timeout", "0"]);
        assert_eq!(got.lines(), accepted);
        assert_eq!(sandbox.status()["ready"], 0);
    });
}
