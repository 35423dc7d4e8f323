//! The library from the view of another program. Its keepers run the `qdemo` of this build.

use qdemo::{Client, Error, Options, Role};

use crate::harness::{QDEMO, Sandbox};

fn connect(sandbox: &Sandbox, queue: &str, role: Role) -> Client {
    options(sandbox, queue, role).connect().unwrap()
}

fn options(sandbox: &Sandbox, queue: &str, role: Role) -> Options {
    // The environment of a keeper names this folder. The sandbox finds its keepers by the folder.
    Options::new(queue.parse().unwrap(), role).dir(sandbox.path("queues")).program(QDEMO)
}

fn take(client: &mut Client) -> Option<String> {
    let batch = client.get(1).unwrap()?;
    client.done(batch.first_id(), batch.count()).unwrap();
    let (_, item) = batch.items().next().unwrap();
    Some(String::from_utf8(item.to_vec()).unwrap())
}

#[test]
fn what_has_been_put_is_in_the_queue() {
    let sandbox = Sandbox::new();
    let mut producer = connect(&sandbox, "q", Role::Producer);
    let mut consumer = connect(&sandbox, "q", Role::Consumer);
    producer.put(b"1").unwrap();
    assert_eq!(take(&mut consumer).as_deref(), Some("1"));
    producer.put_all(["2", "3"]).unwrap();
    assert_eq!(take(&mut consumer).as_deref(), Some("2"));
    producer.leave().unwrap();
    assert_eq!(take(&mut consumer).as_deref(), Some("3"));
    assert_eq!(take(&mut consumer), None);
    consumer.leave().unwrap();
    sandbox.assert_nothing_left();
}

#[test]
fn one_client_may_put_and_get() {
    let sandbox = Sandbox::new();
    let mut crawler = connect(&sandbox, "q", Role::Producer);
    crawler.put(b"\"start\"").unwrap();
    assert_eq!(take(&mut crawler).as_deref(), Some("\"start\""));
    crawler.put(b"\"found\"").unwrap();
    assert_eq!(take(&mut crawler).as_deref(), Some("\"found\""));
}

#[test]
fn a_process_that_was_told_of_an_end_gets_what_comes_after() {
    let sandbox = Sandbox::new();
    for round in ["1", "2", "3"] {
        let mut producer = connect(&sandbox, "q", Role::Producer);
        producer.put(round.as_bytes()).unwrap();
        producer.leave().unwrap();
        let mut consumer = connect(&sandbox, "q", Role::Consumer);
        assert_eq!(take(&mut consumer).as_deref(), Some(round));
        assert_eq!(take(&mut consumer), None);
    }
}

#[test]
fn an_item_that_is_not_done_comes_back_when_its_consumer_is_dropped() {
    let sandbox = Sandbox::new();
    let mut producer = connect(&sandbox, "q", Role::Producer);
    producer.put_all(["1", "2"]).unwrap();
    let mut first = connect(&sandbox, "q", Role::Consumer);
    assert_eq!(first.get(1).unwrap().unwrap().attempt(), 1);
    drop(first);
    let mut second = connect(&sandbox, "q", Role::Consumer);
    let batch = second.get(1).unwrap().unwrap();
    assert_eq!((batch.first_id(), batch.attempt()), (1, 2));
}

#[test]
fn what_is_no_item_is_refused_before_it_is_sent() {
    let sandbox = Sandbox::new();
    let mut producer = connect(&sandbox, "q", Role::Producer);
    assert!(matches!(producer.put(b"two\nlines"), Err(Error::NotALine)));
    assert!(matches!(producer.put(b""), Err(Error::NotALine)));
    let large = vec![b'1'; (16 << 20) + 1];
    assert!(matches!(producer.put(&large), Err(Error::TooLarge { size: 16_777_217, .. })));
    producer.put(b"1").unwrap();
    assert_eq!(producer.leave().unwrap().ready, 1);
}

#[test]
fn another_capacity_is_refused() {
    let sandbox = Sandbox::new();
    let _first = options(&sandbox, "q", Role::Producer).capacity(2).connect().unwrap();
    let second = options(&sandbox, "q", Role::Producer).capacity(3).connect();
    let Err(Error::Refused { code, .. }) = second else {
        panic!("{second:?}");
    };
    assert_eq!(code, "capacity");
}
