//! A simulated run equals the run with worker processes to the byte: lines, statistics, errors and exit code.
//!
//! The number of a case determines its parameters. `QDEMO_RUN_CASES=FROM..TO` chooses the cases of the
//! first test.
//!
//! Local: a run has its queue on this machine.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::harness::{Outcome, Sandbox, assert_same};

/// Constants make ties: several events are due at the same time. The last delays go beyond the end of paced time.
const DELAYS: &[&str] = &[
    "0",
    "1ns",
    "1s",
    "1s",
    "2s",
    "500ms",
    "exp:1s",
    "exp:1s",
    "exp:2ns",
    "exp:0.3s",
    "uniform:0s..2s",
    "uniform:1s..1s",
    "uniform:0ns..3ns",
    "uniform:0ns..0ns",
    "erlang:2,1s",
    "hyper:0.5,200ms,2s",
    "normal:1s,1s",
    "lognormal:1s,500ms",
    "exp:876000h",
    "1752000h",
];
/// A run without delays is not paced: no two such runs are the same.
const ZERO_DELAYS: &[&str] = &["0", "uniform:0ns..0ns"];
const CHAOS: &[&str] = &["1ns", "200ms", "1s", "3s", "10s"];
const SEEDS: &[u64] = &[0, 1, 2, u32::MAX as u64, u64::MAX];
const ITEM_NAMES: &[&str] = &["x", "アイテム", "a \"b\" \\", ""];

/// The arguments of `qdemo run` in this case, without its way to run.
fn arguments(case: u64) -> Vec<String> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(case);
    let mut pick = |of: &[&str]| (*of.choose(&mut random).unwrap()).to_owned();
    let producer_delay = pick(DELAYS);
    let mut consumer_delay = pick(DELAYS);
    while [&producer_delay, &consumer_delay].iter().all(|d| ZERO_DELAYS.contains(&d.as_str())) {
        consumer_delay = pick(DELAYS);
    }
    let (name, chaos) = (pick(ITEM_NAMES), pick(CHAOS));
    // Most runs are small: a process for each worker is most of the cost.
    let few = |random: &mut Xoshiro256PlusPlus| match random.random_range(0..10) {
        0..5 => 1,
        5..8 => 2,
        8 => 3,
        _ => 4,
    };
    let most_items = if random.random_bool(0.1) { 40 } else { 12 };
    let items = random.random_range(0..=most_items);
    let (producers, consumers) = (few(&mut random), few(&mut random));
    let capacity = random.random_range(0..=5);
    let seed = if random.random_bool(0.5) {
        *SEEDS.choose(&mut random).unwrap()
    } else {
        random.random_range(0..1_000_000)
    };
    let mut arguments = vec![
        "run".to_owned(),
        format!("--items={items}"),
        format!("--item-name={name}"),
        format!("--producers={producers}"),
        format!("--consumers={consumers}"),
        format!("--producer-delay={producer_delay}"),
        format!("--consumer-delay={consumer_delay}"),
        format!("--capacity={capacity}"),
        format!("--seed={seed}"),
    ];
    // Each kill starts another process.
    if random.random_bool(0.25) {
        arguments.push(format!("--chaos={chaos}"));
    }
    arguments.push(format!("--format={}", if random.random_bool(0.8) { "json" } else { "text" }));
    if random.random_bool(0.5) {
        arguments.push("--stats=json".to_owned());
        arguments.push(format!("--warmup={}", random.random_range(0..=items.min(3))));
    }
    arguments
}

fn run(sandbox: &Sandbox, arguments: &[String], way: &str) -> Outcome {
    sandbox.run(&[arguments, &[way.to_owned()]].concat())
}

/// Panics with the command if the two ways to run it differ.
fn check(sandbox: &Sandbox, case: u64) {
    let arguments = arguments(case);
    let real = run(sandbox, &arguments, "--speed=max");
    let simulated = run(sandbox, &arguments, "--simulate");
    if (&real.stdout, &real.stderr, real.code())
        != (&simulated.stdout, &simulated.stderr, simulated.code())
    {
        let quoted: Vec<_> = arguments.iter().map(|argument| format!("'{argument}'")).collect();
        let command = format!("qdemo {}", quoted.join(" "));
        eprintln!("case {case}: diff <({command} --speed=max 2>&1) <({command} --simulate 2>&1)");
        let whole = |o: &Outcome| format!("{}{}exit code {:?}\n", o.text(), o.stderr, o.code());
        assert_same(&whole(&real), &whole(&simulated));
    }
}

/// Checks these cases, on all cores.
fn check_all(cases: std::ops::Range<u64>) {
    let next = AtomicU64::new(cases.start);
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get());
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                let sandbox = Sandbox::new();
                loop {
                    let case = next.fetch_add(1, Ordering::Relaxed);
                    if case >= cases.end {
                        break;
                    }
                    check(&sandbox, case);
                }
            });
        }
    });
}

#[test]
fn a_simulated_run_equals_the_run_with_processes() {
    let chosen = std::env::var("QDEMO_RUN_CASES").ok();
    let bounds = chosen.as_deref().and_then(|chosen| chosen.split_once(".."));
    let number = |text: &str| text.parse().expect("QDEMO_RUN_CASES=FROM..TO");
    check_all(bounds.map_or(0..200, |(from, to)| number(from)..number(to)));
}

#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn thousands_of_simulated_runs_equal_the_runs_with_processes() {
    check_all(200..10_000);
}
