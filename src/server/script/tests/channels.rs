//! The script as it is: the time of the server, and replies on channels.

use std::sync::mpsc::{Receiver, channel};

use redis::{Connection, PushInfo, PushKind, Value};

use super::driver::TestServer;
use super::{QueueKeys, SCRIPT, name, sha1};
use crate::wire::ClientKey;

/// A client with one connection, for its calls and its channel.
struct ChannelClient {
    connection: Connection,
    pushes: Receiver<PushInfo>,
    key: ClientKey,
    keys: QueueKeys,
}

impl ChannelClient {
    fn new(server: &TestServer, keys: &QueueKeys, key: ClientKey) -> Self {
        let mut connection = server.connect_as("?protocol=resp3");
        let (sender, pushes) = channel();
        connection.set_push_sender(sender);
        // The answer is a push too, so nothing waits for it.
        let mut command = redis::cmd("SSUBSCRIBE");
        command.arg(keys.channel(key));
        connection.send_packed_command(&command.get_packed_command()).unwrap();
        Self { connection, pushes, key, keys: keys.clone() }
    }

    fn stop_listening(&mut self) {
        let mut command = redis::cmd("SUNSUBSCRIBE");
        command.arg(self.keys.channel(self.key));
        self.connection.send_packed_command(&command.get_packed_command()).unwrap();
        assert_eq!(self.mail(), "");
    }

    fn call(&mut self, requests: &str) {
        let mut command = redis::cmd("EVALSHA");
        command.arg(sha1()).arg(14).arg(&self.keys.keys()[..]);
        let (seconds, _): (u64, u64) = redis::cmd("TIME").query(&mut self.connection).unwrap();
        command.arg(self.key.to_string()).arg(requests).arg(0).arg(seconds * 1000);
        assert_eq!(command.query(&mut self.connection), Ok(1));
    }

    /// What has come on the channel.
    fn mail(&mut self) -> String {
        // The reply to the ping comes behind all messages.
        redis::cmd("PING").exec(&mut self.connection).unwrap();
        let mut mail = String::new();
        for push in self.pushes.try_iter().filter(|push| push.kind == PushKind::SMessage) {
            let Value::BulkString(message) = &push.data[1] else { panic!("{push:?}") };
            let text = std::str::from_utf8(message).unwrap();
            mail += text.strip_prefix('0').unwrap();
        }
        mail
    }
}

fn hello(role: &str) -> String {
    format!("hello {{\"version\":2,\"role\":\"{role}\",\"pid\":7}}\n")
}

#[test]
fn replies_come_on_the_channel_of_each_client() {
    let Some(server) = TestServer::start(&[]) else { return };
    redis::cmd("SCRIPT").arg("LOAD").arg(SCRIPT).exec(&mut server.connect()).unwrap();
    let keys = QueueKeys::new("other", &name("a}b{c %"));
    let client = |key| ChannelClient::new(&server, &keys, ClientKey(key));
    let (mut producer, mut consumer) = (client(0xa1), client(0xc1));
    consumer.call(&(hello("consumer") + "get 5\n"));
    assert!(consumer.mail().starts_with("welcome {\"version\":2,"));
    producer.call(&(hello("producer") + "put 1 1 2\n1\n"));
    assert!(producer.mail().ends_with("}\nok 1 1 65536\n"));
    assert_eq!(consumer.mail(), "batch 1 1 1 2\n1\n");
    consumer.call("done 1 1\nget 5\n");
    // A client that does not listen gets nothing.
    consumer.stop_listening();
    let mut other = client(0xc2);
    other.call(&hello("consumer"));
    producer.call("put 2 1 2\n2\n");
    other.mail();
    other.call("get 5\n");
    assert_eq!(other.mail(), "batch 2 1 1 2\n2\n");
    producer.call("remove force\n");
    assert_eq!(producer.mail(), "ok 2 2 65536\ncount 1\n");
    assert_eq!(other.mail(), "error removed the queue has been removed\n");
    let left: i64 = redis::cmd("DBSIZE").query(&mut producer.connection).unwrap();
    assert_eq!(left, 0);
}

#[test]
fn all_keys_of_a_queue_are_on_one_node() {
    let Some(server) = TestServer::start(&["--cluster-enabled", "yes"]) else { return };
    let mut connection = server.connect();
    for queue in ["jobs", "a}b{c", "{", "}{", "キュー", "{}"] {
        let keys = QueueKeys::new("qdemo", &name(queue));
        let channel = keys.channel(ClientKey(1));
        let mut slots = keys.keys().into_iter().chain([channel]).map(|key| {
            redis::cmd("CLUSTER").arg("KEYSLOT").arg(key).query::<i64>(&mut connection).unwrap()
        });
        let first = slots.next();
        assert!(slots.all(|slot| Some(slot) == first), "{queue}");
    }
}
