//! A cluster of three primaries: queues spread over them, each command works from each of them, and a queue follows its
//! slot to another primary.

use redis::FromRedisValue;

use crate::harness::{Backend, OwnServer, Sandbox, wait_while};

/// The first slot of each server, and the end.
const BOUNDS: [u16; 4] = [0, 5461, 10923, 16384];

struct Cluster {
    servers: Vec<OwnServer>,
}

impl Cluster {
    fn start() -> Self {
        let servers: Vec<_> = (0..3).map(|_| OwnServer::start_in_cluster()).collect();
        for (at, server) in servers.iter().enumerate() {
            let (first, last) = (BOUNDS[at].to_string(), (BOUNDS[at + 1] - 1).to_string());
            let () = server.ask(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
            let () = server.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(at + 1).to_string()]);
        }
        for other in &servers[1..] {
            let (port, bus) = (other.port().to_string(), other.bus_port().to_string());
            let () = servers[0].ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        for server in &servers {
            server.wait_until(&["CLUSTER", "INFO"], "cluster_state:ok");
            server.wait_until(&["CLUSTER", "INFO"], "cluster_known_nodes:3");
        }
        Self { servers }
    }

    fn sandboxes(&self) -> Vec<Sandbox> {
        self.servers.iter().map(|server| Sandbox::at_server(&server.tcp_url())).collect()
    }

    fn slot_of(&self, queue: &str) -> u16 {
        self.servers[0].ask(&["CLUSTER", "KEYSLOT", &format!("qdemo:{{{queue}}}:meta")])
    }

    /// The index of the server that has a queue at first.
    fn place_of(&self, queue: &str) -> usize {
        let slot = self.slot_of(queue);
        (0..3).find(|&at| slot < BOUNDS[at + 1]).unwrap()
    }

    /// Moves a slot with all its keys while clients work.
    fn move_slot(&self, slot: u16, from: usize, to: usize) {
        let slot = slot.to_string();
        let (source, target) = (&self.servers[from], &self.servers[to]);
        let [source_id, target_id]: [String; 2] =
            [source, target].map(|server| server.ask(&["CLUSTER", "MYID"]));
        let () = target.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id]);
        let () = source.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id]);
        let port = target.port().to_string();
        loop {
            let keys: Vec<String> = source.ask(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]);
            if keys.is_empty() {
                break;
            }
            let start = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            let keys: Vec<_> = keys.iter().map(String::as_str).collect();
            let _: redis::Value = source.ask(&[&start[..], &keys].concat());
        }
        for server in [target, source] {
            let () = server.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &target_id]);
        }
        // The third server learns of it from the others.
        for server in &self.servers {
            wait_while(|| owner_port(server, &slot) != target.port());
        }
    }
}

/// The port of the server that has a slot, as `server` knows.
fn owner_port(server: &OwnServer, slot: &str) -> u16 {
    let slot: u16 = slot.parse().unwrap();
    let ranges: Vec<(u16, u16, redis::Value)> = server.ask(&["CLUSTER", "SLOTS"]);
    let range = ranges.into_iter().find(|(first, last, _)| (*first..=*last).contains(&slot));
    let (_, port, ..): (String, u16, String, redis::Value) =
        FromRedisValue::from_redis_value(range.unwrap().2).unwrap();
    port
}

#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn queues_spread_over_a_cluster_and_each_command_works_from_each_server() {
    Backend::Server.check(|_| {
        let cluster = Cluster::start();
        let sandboxes = cluster.sandboxes();
        let queues: Vec<_> = (0..12).map(|number| format!("queue-{number}")).collect();
        let mut counts = [0; 3];
        for (number, queue) in queues.iter().enumerate() {
            counts[cluster.place_of(queue)] += 1;
            sandboxes[number % 3].run(&["put", "-q", queue, "x", "y"]).assert_prints("");
            sandboxes[(number + 1) % 3].run(&["get", "-q", queue]).assert_prints("x\n");
        }
        assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
        let mut expected: Vec<_> = queues.clone();
        expected.sort();
        for (sandbox, server) in sandboxes.iter().zip(&cluster.servers) {
            let status = sandbox.run(&["status"]);
            status.assert_done();
            let lines = status.lines();
            let start = format!("server {}: a cluster of 3 primaries, ", server.tcp_url());
            assert!(lines[0].starts_with(&start), "{}", lines[0]);
            let names: Vec<_> =
                lines[1..].iter().filter_map(|line| line.split_once(": 1 ready")).collect();
            assert_eq!(names.iter().map(|(name, _)| *name).collect::<Vec<_>>(), expected);
        }
        let outcome = sandboxes[0].run(&["status", "-q", "queue-1", "--format", "json"]);
        assert!(outcome.text().contains(r#""primaries":3"#), "{}", outcome.text());
        for (number, queue) in queues.iter().enumerate() {
            let removed = sandboxes[(number + 2) % 3].run(&["rm", "--force", "-q", queue]);
            removed.assert_prints("removed 1 item\n");
        }
        assert_eq!(sandboxes[1].run(&["status"]).lines().len(), 1);
    });
}

#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn a_queue_follows_its_slot_in_the_middle_of_the_work() {
    Backend::Server.check(|_| {
        let cluster = Cluster::start();
        let sandboxes = cluster.sandboxes();
        let from = cluster.place_of("default");
        let (slot, to) = (cluster.slot_of("default"), (from + 1) % 3);
        let put = ["producer", "--keep-open", "--lang", "en", "-"];
        let mut producer = sandboxes[0].start(&put);
        let mut consumer = sandboxes[2].start(&["consumer", "--format", "raw"]);
        let mut pass = |items: std::ops::Range<u32>| {
            for item in items {
                producer.feed(&format!("{item}\n"));
                assert!(producer.line().contains(&item.to_string()));
                assert_eq!(consumer.line(), item.to_string());
            }
        };
        pass(0..50);
        cluster.move_slot(slot, from, to);
        pass(50..100);
        // And back.
        cluster.move_slot(slot, to, from);
        pass(100..150);
        let outcome = producer.end();
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        sandboxes[1].run(&["close"]).assert_done();
        let outcome = consumer.end();
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        assert_eq!(sandboxes[1].status()["done"], 150);
    });
}
