//! Calls that arrive late.

use super::driver::{TestServer, VirtualQueue};
use crate::wire::ClientKey;

const P: ClientKey = ClientKey(0xa1);
const C: ClientKey = ClientKey(0xc1);
const V: ClientKey = ClientKey(0xf1);

#[test]
fn a_hello_that_arrives_late_makes_no_queue() {
    let Some(server) = TestServer::start(&[]) else { return };
    let mut queue = VirtualQueue::new(&server);
    let hello = "hello {\"version\":2,\"role\":\"producer\",\"pid\":7}\nput 1 1 2\n1\n";
    for age in [None, Some(10_001)] {
        queue.hello_age = age;
        assert_eq!(queue.refused(P, hello), "QDEMO_ABSENT 1000000");
        assert_eq!(queue.run(&["DBSIZE"]).unwrap(), redis::Value::Int(0));
    }
    queue.hello_age = Some(10_000);
    assert!(queue.ask(P, hello).ends_with("ok 1 1 65536"));
    // A queue that is there needs no moment.
    queue.hello_age = None;
    queue.connect(C, "consumer");
    assert_eq!(queue.ask(C, "remove force\n"), "count 1");
    assert_eq!(queue.refused(P, hello), "QDEMO_ABSENT 1000000", "it arrives once more");
    // A client that makes no queue needs none either.
    let reply = queue.hello(V, "visitor", r#","only_existing":true"#);
    assert_eq!(reply, "error missing the queue does not exist");
    assert_eq!(queue.run(&["DBSIZE"]).unwrap(), redis::Value::Int(0));
}
