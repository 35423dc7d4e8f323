//! How often the 95 % confidence interval of a simulated run contains the value of a textbook.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::report::textbook::{TextbookValue, values};
use crate::run::{Config, simulate};

const SEEDS: usize = 10;
/// A twentieth of the items, one batch, is many times as long as the items of these queues depend on each other.
const ITEMS: u64 = 100_000;
/// The queue begins empty.
const WARMUP: u64 = 5_000;

fn config(value: &TextbookValue) -> Config {
    Config::silent_simulation(ITEMS, value.workers, value.delays.clone(), value.capacity)
}

/// Whether the interval of the run with this seed contains the value.
fn is_covered(value: &TextbookValue, seed: u64) -> bool {
    let summary = simulate(&config(value), seed, WARMUP, || false).unwrap();
    let (measured, width) = ((value.average)(&summary.averages()), summary.half_widths().unwrap());
    let (width, tolerance) = ((value.average)(&width), value.tolerance * value.value.max(1.0));
    // A wide interval would prove nothing.
    assert!(width <= 0.35 * value.value, "{}: {measured} ± {width}", value.name);
    (measured - value.value).abs() <= width + tolerance
}

/// Of how many seeds the interval contains each value.
fn coverage(values: &[TextbookValue]) -> Vec<usize> {
    let covered: Vec<_> = values.iter().map(|_| AtomicUsize::new(0)).collect();
    let next = AtomicUsize::new(0);
    let count = || loop {
        let run = next.fetch_add(1, Ordering::Relaxed);
        let Some(value) = values.get(run / SEEDS) else { break };
        // Each run has its own seed: values of the same queue are independent too.
        covered[run / SEEDS]
            .fetch_add(usize::from(is_covered(value, run as u64)), Ordering::Relaxed);
    };
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(count))));
    covered.into_iter().map(AtomicUsize::into_inner).collect()
}

#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn nineteen_of_twenty_intervals_contain_the_values_of_textbooks() {
    let values = values();
    let counts = coverage(&values);
    for (value, count) in values.iter().zip(&counts) {
        println!("{count} of {SEEDS}: {} ({})", value.name, value.source);
    }
    let is_random = |value: &TextbookValue| value.delays.iter().any(|delay| delay.is_random());
    let (mut runs, mut covered) = (0, 0);
    for (value, count) in values.iter().zip(counts) {
        if is_random(value) {
            (runs, covered) = (runs + SEEDS, covered + count);
        } else {
            assert_eq!(count, SEEDS, "{}", value.name);
        }
    }
    println!("{covered} of {runs} intervals contain their value");
    // Of 140 intervals that each contain their value with probability 0.95, at most 121 do so with probability 0.000076
    // (binomial distribution). All 140 do so with probability 0.0008: there is no upper limit.
    assert_eq!(runs, 140, "the limit is that of 140 runs");
    assert!(covered >= 122, "{covered} of {runs}");
}
