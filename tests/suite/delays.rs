//! Pauses that are not always the same.

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

/// When each item was put, by whom.
fn puts(outcome: &Outcome) -> Vec<(Value, Value)> {
    let events = outcome.lines().into_iter().map(|line| serde_json::from_str::<Value>(&line));
    let puts = events.map(Result::unwrap).filter(|event| event["event"] == "put");
    puts.map(|event| (event["t"].clone(), event["worker"].clone())).collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    let one = run(&["--seed=5"]);
    assert_same("", &one.stderr);
    for _ in 0..3 {
        assert_same(&one.text(), &run(&["--seed=5"]).text());
    }
    assert_ne!(one.text(), run(&["--seed=6"]).text());
}

#[test]
fn one_more_consumer_does_not_change_what_the_producers_do() {
    let before = puts(&run(&["--seed=5"]));
    assert_eq!(before.len(), 60);
    assert_eq!(puts(&run_with("--consumers=4", &["--seed=5"])), before);
}

#[test]
fn a_seed_that_was_drawn_is_told_and_gives_the_same_run_again() {
    let drawn = run(&["--lang=en"]);
    let (seed, rest) = drawn.stderr.strip_prefix("seed ").unwrap().split_once(": ").unwrap();
    assert_same(&format!("the same run again with --seed {seed}\n"), rest);
    let again = run(&["--lang=en", &format!("--seed={seed}")]);
    assert_same(&drawn.text(), &again.text());
    assert_same("", &again.stderr);
    assert_ne!(drawn.text(), run(&["--lang=en"]).text(), "each run has a seed of its own");
}

#[test]
fn a_consumer_by_itself_draws_its_pauses_too() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a", "b"]).assert_prints("");
    sandbox.run(&["close"]).assert_done();
    let args = ["consumer", "--delay", "exp:1us", "--seed", "3", "--format", "raw"];
    sandbox.run(&args).assert_prints("a\nb\n");
}

#[test]
fn a_distribution_that_cannot_be_is_refused_before_anything_starts() {
    let sandbox = Sandbox::new();
    for (delay, words) in [
        ("exp:-1s", "negative"),
        ("exp:0", "write 0 for no pause, or exp:1s"),
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
