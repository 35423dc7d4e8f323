//! The library as another program uses it: a queue of values.

use std::time::Duration;

use qdemo::{Error, GetError, PutError, Queue, QueueBuilder, TryGetError, TryPutError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::harness::Sandbox;

fn builder(sandbox: &Sandbox) -> QueueBuilder {
    sandbox.builder("q")
}

fn open<T: Serialize + DeserializeOwned>(sandbox: &Sandbox) -> Queue<T> {
    builder(sandbox).open().unwrap()
}

fn open_small(sandbox: &Sandbox) -> Queue<u32> {
    builder(sandbox).capacity(2).open().unwrap()
}

const SHORT: Duration = Duration::from_millis(20);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Job {
    name: String,
    sizes: Vec<f64>,
    next: Option<Box<Job>>,
}

both!(values_of_any_type_come_out_as_they_went_in, |backend| {
    let sandbox = Sandbox::on(backend);
    let queue = open(&sandbox);
    let job = |name: &str, next| Job { name: name.to_owned(), sizes: vec![0.1, -1e300], next };
    queue.put(job("アイテム\n\"", Some(Box::new(job("", None))))).unwrap();
    let item = queue.get().unwrap();
    assert_eq!((item.id(), item.attempt(), item.name.as_str()), (1, 1, "アイテム\n\""));
    assert_eq!(item.done().unwrap(), job("アイテム\n\"", Some(Box::new(job("", None)))));
    drop(queue);
    sandbox.assert_nothing_left();
});

both!(a_value_whose_json_has_a_line_break_is_refused, |backend| {
    let sandbox = Sandbox::on(backend);
    let queue: Queue<Box<serde_json::value::RawValue>> = open(&sandbox);
    let raw = |text: &str| serde_json::value::RawValue::from_string(text.to_owned()).unwrap();
    assert!(queue.put(raw("[1,\n2]")).is_err());
    queue.put(raw("[3, 4]")).unwrap();
    assert_eq!(queue.get().unwrap().done().unwrap().get(), "[3, 4]");
    drop(queue);
    sandbox.assert_nothing_left();
});

both!(a_put_to_a_full_queue_returns_the_item_and_an_empty_queue_has_none, |backend| {
    let sandbox = Sandbox::on(backend);
    let queue = open_small(&sandbox);
    assert!(queue.is_empty().unwrap() && !queue.is_full().unwrap());
    queue.put(1).unwrap();
    queue.try_put(2).unwrap();
    assert_eq!(queue.len().unwrap(), 2);
    assert!(queue.is_full().unwrap());
    assert!(matches!(queue.try_put(3), Err(TryPutError::Full(3))));
    assert!(matches!(queue.put_timeout(4, SHORT), Err(TryPutError::Full(4))));
    assert_eq!(queue.try_get().unwrap().done().unwrap(), 1);
    assert_eq!(queue.get_timeout(SHORT).unwrap().done().unwrap(), 2);
    assert!(matches!(queue.try_get(), Err(TryGetError::Empty)));
    assert!(matches!(queue.get_timeout(SHORT), Err(TryGetError::Empty)));
    queue.put_timeout(5, SHORT).unwrap();
    assert_eq!(queue.get().unwrap().done().unwrap(), 5, "the refused items are not there");
    drop(queue);
    sandbox.assert_nothing_left();
});

both!(several_items_may_be_in_flight_and_a_dropped_item_keeps_its_place, |backend| {
    let sandbox = Sandbox::on(backend);
    let queue = open::<u32>(&sandbox);
    (1..=3).for_each(|n| queue.put(n).unwrap());
    let (one, two) = (queue.get().unwrap(), queue.get().unwrap());
    queue.put(4).unwrap();
    drop(one);
    let again = queue.get().unwrap();
    assert_eq!((*again, again.attempt()), (1, 2));
    two.done().unwrap();
    again.done().unwrap();
    assert_eq!(queue.get().unwrap().done().unwrap(), 3);
    assert_eq!(queue.len().unwrap(), 1);
    queue.close().unwrap();
    assert!(matches!(queue.put(5), Err(PutError::Closed(5))));
    assert!(matches!(queue.try_put(6), Err(TryPutError::Closed(6))));
    queue.close().unwrap();
    assert_eq!(queue.get().unwrap().done().unwrap(), 4);
    assert!(matches!(queue.get(), Err(GetError::Closed)));
    drop(queue);
    sandbox.assert_nothing_left();
});

both!(a_join_returns_when_every_item_is_done_or_failed, |backend| {
    let sandbox = Sandbox::on(backend);
    let (queue, other) = (open::<u32>(&sandbox), open::<u32>(&sandbox));
    assert_eq!(queue.join().unwrap(), 0);
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    let item = other.get().unwrap();
    assert!(matches!(queue.join_timeout(SHORT), Err(Error::Unfinished(2))));
    item.done().unwrap();
    other.get().unwrap().fail("it is\nodd").unwrap();
    assert_eq!(queue.join().unwrap(), 1);
    sandbox.run(&["failed", "-q", "q"]).assert_prints("2\t1\tit is odd\t2\n");
    sandbox.run(&["rm", "-q", "q", "--force"]);
    assert!(matches!(queue.put(3), Err(PutError::Failed(Error::Refused { .. }))));
    drop((queue, other));
    sandbox.assert_nothing_left();
});

both!(an_item_of_another_type_fails_and_the_next_get_gets_the_next_item, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "-q", "q", "word"]).assert_prints("");
    sandbox.run(&["put", "-q", "q", "--json", "7"]).assert_prints("");
    let queue = open::<u32>(&sandbox);
    assert!(matches!(queue.get(), Err(GetError::Failed(Error::Decode { id: 1, .. }))));
    assert_eq!(queue.get().unwrap().done().unwrap(), 7);
    let failed = sandbox.run(&["failed", "-q", "q", "--format", "json"]).text();
    assert!(failed.contains(r#""item":"word","attempt":1,"why":"it is not what was expected"#));
    sandbox.run(&["failed", "-q", "q", "--drop"]);
    drop(queue);
    sandbox.assert_nothing_left();
});

both!(a_report_after_the_lease_is_an_error, |backend| {
    let sandbox = Sandbox::on(backend);
    let leased: Queue<u32> = builder(&sandbox).lease(SHORT).open().unwrap();
    let other = open::<u32>(&sandbox);
    other.put(1).unwrap();
    let item = leased.get().unwrap();
    // Blocks until the lease has run out.
    let again = other.get().unwrap();
    assert_eq!(again.attempt(), 2);
    assert!(matches!(item.done(), Err(Error::LeaseExpired(1))));
    again.done().unwrap();
    // A late report of one item affects neither another item nor a later attempt.
    other.put(2).unwrap();
    let late = leased.get().unwrap();
    let again = other.get().unwrap();
    assert_eq!(*again, 2);
    drop(late);
    drop(again);
    let item = leased.get().unwrap();
    assert_eq!(item.attempt(), 3);
    assert_eq!(item.done().unwrap(), 2);
    drop((leased, other));
    sandbox.assert_nothing_left();
});

both!(a_renewed_lease_keeps_its_item_and_a_late_renewal_is_an_error, |backend| {
    let sandbox = Sandbox::on(backend);
    let leased: Queue<u32> = builder(&sandbox).lease(Duration::from_secs(1)).open().unwrap();
    let other = open::<u32>(&sandbox);
    other.put(1).unwrap();
    let item = leased.get().unwrap();
    for _ in 0..4 {
        assert!(other.get_timeout(Duration::from_millis(400)).is_err());
        item.renew().unwrap();
    }
    assert_eq!(item.attempt(), 1);
    // Blocks until the lease has run out.
    let again = other.get().unwrap();
    assert_eq!(again.attempt(), 2);
    assert!(matches!(item.renew(), Err(Error::LeaseExpired(1))));
    again.renew().unwrap();
    again.done().unwrap();
    drop(item);
    drop((leased, other));
    sandbox.assert_nothing_left();
});

#[test]
fn a_handle_may_move_to_another_thread() {
    fn assert_send<T: Send>() {}
    assert_send::<Queue<u32>>();
    assert_send::<qdemo::Client>();
}

#[test]
fn an_invalid_name_is_refused_before_a_queue_is_made() {
    assert!(matches!(Queue::<u32>::open("a/b"), Err(Error::Name(_))));
}

both!(each_thread_with_a_handle_of_its_own_learns_of_the_end, |backend| {
    let sandbox = Sandbox::on(backend);
    let queue = open::<u32>(&sandbox);
    (1..=3).for_each(|n| queue.put(n).unwrap());
    queue.close().unwrap();
    // Each thread opens its handle after the thread before it has seen the end.
    for expected in [&[1, 2, 3][..], &[], &[]] {
        let builder = builder(&sandbox);
        let worker = std::thread::spawn(move || {
            let queue: Queue<u32> = builder.open().unwrap();
            let mut got = Vec::new();
            loop {
                match queue.get() {
                    Ok(item) => got.push(item.done().unwrap()),
                    Err(GetError::Closed) => return got,
                    Err(error) => panic!("{error}"),
                }
            }
        });
        assert_eq!(worker.join().unwrap(), expected);
    }
    drop(queue);
    sandbox.assert_nothing_left();
});
