//! Random delays of producers and consumers.
//!
//! The tests that are not of `both!` are of runs, whose queues are on this machine.

use serde_json::Value;

use crate::harness::{Outcome, Sandbox, assert_same};

const RANDOM: [&str; 7] = [
    "run",
    "--speed=max",
    "--format=json",
    "--items=60",
    "--producers=2",
    "--producer-delay=exp:1s",
    "--consumer-delay=uniform:500ms..3s",
];

fn run(more: &[&str]) -> Outcome {
    run_with("--consumers=3", more)
}

fn run_with(consumers: &str, more: &[&str]) -> Outcome {
    let sandbox = Sandbox::new();
    let outcome = sandbox.run(&[&RANDOM[..], &[consumers], more].concat());
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    sandbox.assert_nothing_left();
    outcome
}

/// The time and the producer of each put.
fn puts(outcome: &Outcome) -> Vec<(Value, Value)> {
    let events = outcome.lines().into_iter().map(|line| serde_json::from_str::<Value>(&line));
    let puts = events.map(Result::unwrap).filter(|event| event["event"] == "put");
    puts.map(|event| (event["t"].clone(), event["worker"].clone())).collect()
}

#[test]
fn runs_with_the_same_seed_print_the_same_bytes() {
    let one = run(&["--seed=5"]);
    assert_same("", &one.stderr);
    for _ in 0..3 {
        assert_same(&one.text(), &run(&["--seed=5"]).text());
    }
    assert_ne!(one.text(), run(&["--seed=6"]).text());
}

#[test]
fn another_consumer_does_not_change_the_times_of_the_puts() {
    let before = puts(&run(&["--seed=5"]));
    assert_eq!(before.len(), 60);
    assert_eq!(puts(&run_with("--consumers=4", &["--seed=5"])), before);
}

#[test]
fn the_printed_random_seed_repeats_the_run() {
    let drawn = run(&["--lang=en"]);
    let (seed, rest) = drawn.stderr.strip_prefix("seed ").unwrap().split_once(": ").unwrap();
    assert_same(&format!("the same run again with --seed {seed}\n"), rest);
    let again = run(&["--lang=en", &format!("--seed={seed}")]);
    assert_same(&drawn.text(), &again.text());
    assert_same("", &again.stderr);
    assert_ne!(drawn.text(), run(&["--lang=en"]).text(), "two runs have the same random seed");
}

both!(a_consumer_outside_a_run_draws_random_delays_too, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "a", "b"]).assert_prints("");
    sandbox.run(&["close"]).assert_done();
    let args = ["consumer", "--delay", "exp:1us", "--seed", "3", "--format", "raw"];
    sandbox.run(&args).assert_prints("a\nb\n");
});

#[test]
fn a_run_refuses_an_invalid_distribution_of_delays() {
    let sandbox = Sandbox::new();
    for (delay, words) in [
        ("exp:-1s", "negative"),
        ("exp:0", "write 0 for no delay, or exp:1s"),
        ("exp:", "not a time"),
        ("uniform:2s..1s", "ends before it begins"),
        ("uniform:1s", "two ends"),
        ("uniform:-1s..1s", "negative"),
        ("normal:1s", "exp:1s, or uniform:500ms..1.5s"),
    ] {
        for option in ["--producer-delay", "--consumer-delay"] {
            let outcome = sandbox.run(&["run", option, delay]);
            outcome.assert_refused(2, &[option, delay, words]);
        }
    }
}
