//! Compares the times of a paced run, to the nanosecond, with recursions that know nothing of processes or
//! queues.
//!
//! P are the pauses of the producer, S the service times of the consumers, n counts the items, and K is the
//! capacity: put(n) = max(ready(n), start(n − K)), ready(n + 1) = put(n) + P(n), and start(n) = max(put(n),
//! the time when the first consumer is free). For one consumer, this time is done(n − 1). For several
//! consumers, this time follows the recursion of Kiefer and Wolfowitz (Transactions of the AMS 78, 1955).
//!
//! Local: a run has its queue on this machine.

use std::collections::HashMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use crate::harness::Sandbox;

/// The times of the put, the delivery and the end of an item in nanoseconds, and the consumer of the item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Times {
    put: u64,
    start: u64,
    done: u64,
    consumer: usize,
}

#[derive(Clone, Debug)]
struct Case {
    pauses: [String; 2],
    consumers: usize,
    capacity: usize,
    items: usize,
    seed: u32,
}

fn observe(sandbox: &Sandbox, case: &Case, capacity: usize) -> Vec<Times> {
    let outcome = sandbox.run(&[
        "run",
        "--speed=max",
        "--format=json",
        &format!("--items={}", case.items),
        &format!("--producer-delay={}", case.pauses[0]),
        &format!("--consumer-delay={}", case.pauses[1]),
        &format!("--consumers={}", case.consumers),
        &format!("--capacity={capacity}"),
        &format!("--seed={}", case.seed),
    ]);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    let mut items = vec![Times::default(); case.items];
    for line in outcome.lines() {
        let event: Value = serde_json::from_str(&line).unwrap();
        let Some(id) = event["id"].as_u64() else {
            continue;
        };
        let at = (event["t"].as_f64().unwrap() * 1e9).round() as u64;
        let item = &mut items[id as usize - 1];
        match event["event"].as_str().unwrap() {
            "put" => item.put = at,
            "get" => {
                item.start = at;
                item.consumer = event["worker"].as_u64().unwrap() as usize;
            }
            "done" => item.done = at,
            other => panic!("unexpected event {other}"),
        }
    }
    items
}

/// The random draws: the pauses of the producer, and the service times of each consumer. Without blocked
/// puts, a pause is the time between two puts.
fn draws(free: &[Times], served: &[Times]) -> (Vec<u64>, HashMap<usize, Vec<u64>>) {
    let pauses = free.windows(2).map(|two| two[1].put - two[0].put).collect();
    let mut services = HashMap::<_, Vec<_>>::new();
    for item in served {
        services.entry(item.consumer).or_default().push(item.done - item.start);
    }
    (pauses, services)
}

fn predict(case: &Case, pauses: &[u64], services: &HashMap<usize, Vec<u64>>) -> Vec<Times> {
    let mut free = vec![0u64; case.consumers];
    let mut taken = vec![0; case.consumers];
    let mut items: Vec<Times> = Vec::new();
    let mut ready = 0;
    for n in 0..case.items {
        let room = match case.capacity {
            0 => 0,
            capacity => n.checked_sub(capacity).map_or(0, |before| items[before].start),
        };
        let put = ready.max(room);
        let first = *free.iter().min().unwrap();
        let start = put.max(first);
        // The free consumer with the lowest index takes the item.
        let consumer = free.iter().position(|&at| at <= start).unwrap();
        let done = start + services[&(consumer + 1)][taken[consumer]];
        taken[consumer] += 1;
        free[consumer] = done;
        ready = put + pauses.get(n).copied().unwrap_or_default();
        items.push(Times { put, start, done, consumer: consumer + 1 });
    }
    items
}

fn pause() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..40u32).prop_map(|n| format!("{}ns", n * 250)),
        (1..9000u32).prop_map(|n| format!("exp:{n}ns")),
        (0..5000u32, 0..5000u32)
            .prop_map(|(low, more)| format!("uniform:{low}ns..{}ns", low + more)),
    ]
}

fn case(consumers: impl Strategy<Value = usize>) -> impl Strategy<Value = Case> {
    let paced = [pause(), pause()].prop_filter("without a pause, a run is unpaced", |pauses| {
        pauses.iter().any(|pause| pause != "0ns" && pause != "uniform:0ns..0ns")
    });
    (paced, consumers, 0..6usize, 1..40usize, any::<u32>()).prop_map(
        |(pauses, consumers, capacity, items, seed)| Case {
            pauses,
            consumers,
            capacity,
            items,
            seed,
        },
    )
}

fn check_times(rounds: usize, consumers: impl Strategy<Value = usize>) {
    let sandbox = Sandbox::new();
    let config = Config {
        cases: u32::try_from(rounds).unwrap(),
        failure_persistence: None,
        ..Config::default()
    };
    let tried = TestRunner::new(config).run(&case(consumers), |case| {
        let found = observe(&sandbox, &case, case.capacity);
        let (pauses, services) = draws(&observe(&sandbox, &case, 0), &found);
        prop_assert_eq!(found, predict(&case, &pauses, &services));
        Ok(())
    });
    tried.unwrap_or_else(|error| panic!("{error}"));
}

share! {
fn the_times_of_one_consumer_follow_the_recursion(rounds: 8, all: 60) {
    check_times(rounds, Just(1));
}
}

share! {
fn the_times_of_several_consumers_follow_kiefer_and_wolfowitz(rounds: 6, all: 60) {
    check_times(rounds, 2..6usize);
}
}
