//! What a message tells the bridge of a client.

use super::driver::{TestServer, VirtualQueue};
use crate::wire::ClientKey;

const P: ClientKey = ClientKey(0xa1);
const C: ClientKey = ClientKey(0xc1);
const V: ClientKey = ClientKey(0xf1);

/// The flags of a message: 1 if it accepts items of a queue with `sync`, and 2 if it tells the end.
#[test]
fn each_message_says_whether_it_accepts_with_sync_and_whether_it_tells_the_end() {
    let Some(server) = TestServer::start(&[]) else { return };
    let mut queue = VirtualQueue::new(&server);
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
fn no_item_looks_like_a_reply() {
    let Some(server) = TestServer::start(&[]) else { return };
    let mut queue = VirtualQueue::new(&server);
    queue.connect(P, "producer");
    queue.hello(C, "consumer", r#","sync":true"#);
    queue.call(P, b"put 2 2 15\nended\nok 1 1 1\n");
    assert_eq!(queue.flag, b'1');
    for requests in ["peek 1 1\n", "get 1\n", "peek 2 1\n", "get 1\n"] {
        assert!(queue.ask(C, requests).starts_with("batch "));
        assert_eq!(queue.flag, b'0', "{requests}");
    }
    // A put that is repeated is accepted once more.
    queue.call(P, b"put 2 2 15\nended\nok 1 1 1\n");
    assert_eq!(queue.flag, b'1');
}
