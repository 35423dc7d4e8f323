//! The library as another program uses it: a client and its roles. The keepers are the `qdemo` under test.

use qdemo::{Client, Error, QueueBuilder, Role};

use crate::harness::Sandbox;

fn connect(sandbox: &Sandbox, role: Role) -> Client {
    builder(sandbox).connect(role).unwrap()
}

fn builder(sandbox: &Sandbox) -> QueueBuilder {
    sandbox.builder("q")
}

/// Gets one item and reports it done.
fn take(client: &mut Client) -> Option<String> {
    let delivery = client.get(1).unwrap()?;
    client.done(&delivery).unwrap();
    let (_, json) = delivery.items().next().unwrap();
    Some(String::from_utf8(json.to_vec()).unwrap())
}

both!(a_put_item_is_in_the_queue_when_the_put_returns, |backend| {
    let sandbox = Sandbox::on(backend);
    let mut producer = connect(&sandbox, Role::Producer);
    let mut consumer = connect(&sandbox, Role::Consumer);
    producer.put(b"1").unwrap();
    assert_eq!(take(&mut consumer).as_deref(), Some("1"));
    producer.put_all(["2", "3"]).unwrap();
    assert_eq!(take(&mut consumer).as_deref(), Some("2"));
    producer.leave().unwrap();
    assert_eq!(take(&mut consumer).as_deref(), Some("3"));
    assert_eq!(take(&mut consumer), None);
    consumer.leave().unwrap();
    sandbox.assert_nothing_left();
});

both!(one_client_may_put_and_get, |backend| {
    let sandbox = Sandbox::on(backend);
    let mut crawler = connect(&sandbox, Role::Producer);
    crawler.put(b"\"start\"").unwrap();
    assert_eq!(take(&mut crawler).as_deref(), Some("\"start\""));
    crawler.put(b"\"found\"").unwrap();
    assert_eq!(take(&mut crawler).as_deref(), Some("\"found\""));
});

both!(a_process_that_has_seen_an_end_gets_the_items_of_the_next_queue, |backend| {
    let sandbox = Sandbox::on(backend);
    for round in ["1", "2", "3"] {
        let mut producer = connect(&sandbox, Role::Producer);
        producer.put(round.as_bytes()).unwrap();
        producer.leave().unwrap();
        let mut consumer = connect(&sandbox, Role::Consumer);
        assert_eq!(take(&mut consumer).as_deref(), Some(round));
        assert_eq!(take(&mut consumer), None);
    }
});

both!(an_unreported_item_goes_back_when_its_consumer_is_dropped, |backend| {
    let sandbox = Sandbox::on(backend);
    let mut producer = connect(&sandbox, Role::Producer);
    producer.put_all(["1", "2"]).unwrap();
    let mut first = connect(&sandbox, Role::Consumer);
    assert_eq!(first.get(1).unwrap().unwrap().attempt(), 1);
    drop(first);
    let mut second = connect(&sandbox, Role::Consumer);
    let delivery = second.get(1).unwrap().unwrap();
    let (item, _) = delivery.items().next().unwrap();
    assert_eq!((item.id(), item.attempt(), delivery.attempt()), (1, 2, 2));
});

both!(each_item_of_a_delivery_has_an_outcome_of_its_own, |backend| {
    let sandbox = Sandbox::on(backend);
    let mut client = connect(&sandbox, Role::Visitor);
    client.put_all(["1", "2", "3", "4"]).unwrap();
    let mut items = Vec::new();
    while items.len() < 4 {
        let delivery = client.get(4).unwrap().unwrap();
        items.extend(delivery.items().map(|(item, _)| item));
    }
    client.done_item(items[0]).unwrap();
    client.requeue_item(items[1]).unwrap();
    client.fail(items[2], "it is odd").unwrap();
    let delivery = client.get(4).unwrap().unwrap();
    let [(again, json)] = delivery.items().collect::<Vec<_>>()[..] else { panic!("one item") };
    assert_eq!((again.id(), again.attempt(), json), (2, 2, &b"2"[..]));
    // A report about the old attempt has no effect on the new one.
    client.done_item(items[1]).unwrap();
    client.requeue(&delivery).unwrap();
    assert_eq!(take(&mut client).as_deref(), Some("2"));
    client.done_item(items[3]).unwrap();
    client.leave().unwrap();
    sandbox.run(&["failed", "-q", "q"]).assert_prints("3\t1\tit is odd\t3\n");
    sandbox.run(&["failed", "-q", "q", "--drop"]);
    sandbox.assert_nothing_left();
});

both!(a_get_or_a_put_with_a_timeout_gives_up, |backend| {
    let sandbox = Sandbox::on(backend);
    let mut client = builder(&sandbox).capacity(1).connect(Role::Visitor).unwrap();
    let now = std::time::Duration::ZERO;
    assert!(matches!(client.get_timeout(1, now), Err(Error::Empty)));
    client.put_timeout(b"1", now).unwrap();
    assert!(matches!(client.put_timeout(b"2", now), Err(Error::Full)));
    let delivery = client.get_timeout(1, now).unwrap().unwrap();
    client.done(&delivery).unwrap();
    client.leave().unwrap();
    sandbox.assert_nothing_left();
});

both!(a_text_that_is_no_item_is_refused_before_it_is_sent, |backend| {
    let sandbox = Sandbox::on(backend);
    let mut producer = connect(&sandbox, Role::Producer);
    assert!(matches!(producer.put(b"two\nlines"), Err(Error::NotALine)));
    assert!(matches!(producer.put(b""), Err(Error::NotALine)));
    let large = vec![b'1'; (16 << 20) + 1];
    assert!(matches!(producer.put(&large), Err(Error::TooLarge { size: 16_777_217, .. })));
    producer.put(b"1").unwrap();
    assert_eq!(producer.leave().unwrap().ready, 1);
});

both!(another_capacity_is_refused, |backend| {
    let sandbox = Sandbox::on(backend);
    let _first = builder(&sandbox).capacity(2).connect(Role::Producer).unwrap();
    let second = builder(&sandbox).capacity(3).connect(Role::Producer);
    let Err(Error::Refused { code, .. }) = second else {
        panic!("{second:?}");
    };
    assert_eq!(code, "capacity");
});

// Local: a server has no program to start.
#[test]
fn an_error_keeps_its_cause() {
    use std::error::Error as _;
    let sandbox = Sandbox::new();
    let error = builder(&sandbox).program("no-such-program").connect(Role::Visitor).unwrap_err();
    assert!(matches!(error, Error::Start(_)), "{error:?}");
    let cause = error.source().unwrap();
    assert!(cause.to_string().contains("no-such-program"), "{cause}");
    let cause = cause.source().unwrap().downcast_ref::<std::io::Error>().unwrap();
    assert_eq!(cause.kind(), std::io::ErrorKind::NotFound);
}
