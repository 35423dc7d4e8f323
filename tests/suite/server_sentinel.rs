//! A primary that Sentinels watch over: commands find it, and what was acknowledged survives its end.

use std::collections::{BTreeSet, HashMap};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use serde_json::Value;

use crate::harness::{Backend, LOSES_NOTHING, Outcome, OwnServer, Running, Sandbox, wait_while};

/// A primary with a replica, and their Sentinel.
struct Watched {
    primary: OwnServer,
    replica: OwnServer,
    sentinel: OwnServer,
}

impl Watched {
    fn start() -> Self {
        let primary = OwnServer::start_on_port(&LOSES_NOTHING);
        let port = primary.port().to_string();
        let follow = ["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"];
        let replica = OwnServer::start_on_port(&[&LOSES_NOTHING[..], &follow].concat());
        replica.wait_until(&["INFO", "replication"], "master_link_status:up");
        let sentinel = OwnServer::start_sentinel(primary.port(), "");
        Self { primary, replica, sentinel }
    }

    /// Waits until the Sentinel can make the replica the primary.
    fn wait_until_replica_is_known(&self) {
        let port = self.replica.port().to_string();
        wait_while(|| {
            let replicas: Vec<HashMap<String, String>> =
                self.sentinel.ask(&["SENTINEL", "REPLICAS", "queues"]);
            let is_ready = |replica: &HashMap<String, String>| {
                replica["port"] == port && replica["master-link-status"] == "ok"
            };
            !replicas.iter().any(is_ready)
        });
    }
}

fn url(sentinels: &[u16]) -> String {
    let hosts: Vec<_> = sentinels.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    format!("redis+sentinel://{}/queues", hosts.join(","))
}

#[test]
fn every_command_finds_the_primary_and_status_names_it() {
    Backend::Server.check(|_| {
        let primary = OwnServer::start_on_port(&LOSES_NOTHING);
        let sentinel = OwnServer::start_sentinel(primary.port(), "");
        let url = url(&[sentinel.port()]);
        let sandbox = Sandbox::at_server(&url);
        sandbox.run(&["put", "x", "y"]).assert_prints("");
        sandbox.run(&["get"]).assert_prints("x\n");
        let place = format!("127.0.0.1:{}", primary.port());
        let text = sandbox.status_text(&[]);
        assert!(text.starts_with("default: 1 ready"), "{text}");
        let about = sandbox.run(&["status"]).lines().remove(0);
        let (start, _) =
            about.split_once(", Redis ").unwrap_or_else(|| about.split_once(", Valkey ").unwrap());
        assert_eq!(start, format!("server {url}: primary {place}"));
        assert_eq!(sandbox.status()["server"]["primary"], *place);
        sandbox.run(&["rm", "--force"]).assert_prints("removed 1 item\n");
    });
}

#[test]
fn a_mute_sentinel_does_not_hold_up_a_command() {
    Backend::Server.check(|_| {
        let primary = OwnServer::start_on_port(&LOSES_NOTHING);
        let sentinel = OwnServer::start_sentinel(primary.port(), "");
        // They accept connections and say nothing.
        let mute = [(); 3].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
        let mute_ports = mute.each_ref().map(|mute| mute.local_addr().unwrap().port());
        let nobody = 1;
        let sandbox =
            Sandbox::at_server(&url(&[&mute_ports[..], &[nobody, sentinel.port()]].concat()));
        // With this limit there is no time to wait for one mute Sentinel after another.
        for (command, output) in [("put x", ""), ("get", "x\n"), ("status -q default", "server")] {
            let words = command.split(' ').chain(["--server-timeout", "5s"]);
            let outcome = sandbox.run(&words.collect::<Vec<_>>());
            assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
            assert!(outcome.text().starts_with(output), "{}", outcome.text());
        }
        // If none answers, the limit holds.
        let url = url(&[mute_ports[0], nobody]);
        let sandbox = Sandbox::at_server(&url);
        let commands = ["put x", "get", "status", "failed", "rm"].map(|command| {
            let words = command.split(' ').chain(["--server-timeout", "1s"]);
            sandbox.start(&words.collect::<Vec<_>>())
        });
        for command in commands {
            command.end().assert_refused_at_last(1, &[&url]);
        }
    });
}

/// Runs a command with a password for the Sentinels.
fn run_with_password(sandbox: &Sandbox, password: &str, args: &[&str]) -> Outcome {
    let mut command = sandbox.qdemo(args);
    command.env("QDEMO_SERVER_SENTINEL_PASSWORD", password);
    Running::start(command).end()
}

#[test]
fn a_sentinel_has_a_password_of_its_own() {
    Backend::Server.check(|_| {
        let primary = OwnServer::start_on_port(&LOSES_NOTHING);
        let sentinel = OwnServer::start_sentinel(primary.port(), "requirepass hunter2");
        let sandbox = Sandbox::at_server(&url(&[sentinel.port()]));
        let run = |args: &[&str]| run_with_password(&sandbox, "hunter2", args);
        run(&["put", "x"]).assert_prints("");
        run(&["status"]).assert_done();
        // The command for an item gets it too.
        run(&["close"]).assert_done();
        run(&["consumer", "--quiet", "--", "qdemo", "put", "-q", "more", "{}"]).assert_done();
        run(&["get", "-q", "more"]).assert_prints("x\n");
        let words = ["Sentinel", "refuses the password", "QDEMO_SERVER_SENTINEL_PASSWORD"];
        for command in [&["put", "x"][..], &["status"]] {
            sandbox.run(command).assert_refused_at_last(1, &words);
            let wrong = run_with_password(&sandbox, "letmein", command);
            wrong.assert_refused_at_last(1, &words);
            assert!(!wrong.stderr.contains("letmein"), "{}", wrong.stderr);
        }
    });
}

#[test]
fn a_primary_that_no_sentinel_knows_is_told_at_once() {
    Backend::Server.check(|_| {
        let primary = OwnServer::start_on_port(&LOSES_NOTHING);
        let sentinel = OwnServer::start_sentinel(primary.port(), "");
        let sandbox = Sandbox::at_server(&url(&[sentinel.port()]).replace("queues", "others"));
        for command in [&["put", "x"][..], &["status"]] {
            sandbox
                .run(command)
                .assert_refused_at_last(1, &["know no primary", "sentinel monitor"]);
        }
    });
}

/// A Sentinel that names each of these ports once, and the last one for ever. Returns its port.
fn start_sentinel_that_names(ports: Vec<u16>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let own_port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut ports = ports.into_iter();
        let mut port = 0;
        while let Ok((mut client, _)) = listener.accept() {
            if client.read(&mut [0; 1000]).is_err() {
                continue;
            }
            port = ports.next().unwrap_or(port);
            let answer =
                format!("*2\r\n$9\r\n127.0.0.1\r\n${}\r\n{port}\r\n", port.to_string().len());
            let _ = client.write_all(answer.as_bytes());
        }
    });
    own_port
}

#[test]
fn a_command_waits_while_a_sentinel_names_the_old_primary() {
    Backend::Server.check(|_| {
        let primary = OwnServer::start_on_port(&LOSES_NOTHING);
        let follow = ["--replicaof", "127.0.0.1", "1"];
        let replica = OwnServer::start_on_port(&[&LOSES_NOTHING[..], &follow].concat());
        for command in [&["put", "x"][..], &["status"]] {
            // A replica that has taken the place of the old primary, then nobody, and then the new primary.
            let ports = vec![replica.port(), 1, replica.port(), primary.port()];
            let sandbox = Sandbox::at_server(&url(&[start_sentinel_that_names(ports)]));
            let outcome = sandbox.run(command);
            assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        }
        let sandbox = Sandbox::at_server(&url(&[start_sentinel_that_names(vec![primary.port()])]));
        sandbox.run(&["get"]).assert_prints("x\n");
    });
}

#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn a_failover_loses_nothing_that_sync_has_acknowledged() {
    Backend::Server.check(|_| {
        let mut watched = Watched::start();
        watched.wait_until_replica_is_known();
        let sandbox = Sandbox::at_server(&url(&[watched.sentinel.port()]));
        let put = ["producer", "--sync", "--format", "json", "--items", "300", "--capacity", "50"];
        let mut producer = sandbox.start(&put);
        let mut consumer = sandbox.start(&["consumer", "--format", "json"]);
        let item = |line: &str| -> String {
            let line: Value = serde_json::from_str(line).unwrap();
            line["item"].as_str().unwrap().to_owned()
        };
        // The primary dies in the middle of the work of both.
        let mut accepted = vec![item(&producer.line())];
        let mut done = BTreeSet::from([item(&consumer.line())]);
        watched.primary.kill();
        // An item that is not read from the consumer's pipe is not done.
        let reader = thread::spawn(|| consumer.end());
        let (producer, consumer) = (producer.end(), reader.join().unwrap());
        assert_eq!(producer.code(), Some(0), "{}", producer.stderr);
        assert!(producer.stderr.contains("the server answers again"), "{}", producer.stderr);
        accepted.extend(producer.lines().iter().map(|line| item(line)));
        done.extend(consumer.lines().iter().map(|line| item(line)));
        let expected: Vec<_> = (0..300).map(|number| format!("アイテム{number}")).collect();
        assert_eq!(accepted, expected);
        assert_eq!(done, expected.into_iter().collect());
        // An item that was put twice would count twice.
        let status = sandbox.status();
        assert_eq!((&status["done"], &status["ready"]), (&300.into(), &0.into()), "{status}");
        let place = format!("127.0.0.1:{}", watched.replica.port());
        assert_eq!(status["server"]["primary"], *place);
    });
}
