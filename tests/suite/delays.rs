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
        ("exp:", "parameters are missing: write exp:1s"),
        ("uniform:2s..1s", "ends before it begins"),
        ("uniform:1s", "two ends"),
        ("uniform:-1s..1s", "negative"),
        ("normal:1s", "2 parameters with commas between them: write normal:1s,200ms"),
        ("weibull:1s", "erlang:3,1s, hyper:0.9,500ms,5s, normal:1s,200ms, lognormal:1s,500ms"),
        ("erlang:0,1s", "write erlang:3,1s"),
        ("hyper:2,1s,1s", "from 0 to 1"),
        ("file:", "write file:delays.txt"),
        ("file:/nowhere/at/all", "name a file with one delay a line"),
    ] {
        for option in ["--producer-delay", "--consumer-delay"] {
            let outcome = sandbox.run(&["run", option, delay]);
            outcome.assert_refused(2, &[option, delay, words]);
        }
    }
}

#[test]
fn runs_draw_from_each_distribution() {
    let sandbox = Sandbox::new();
    for delay in
        ["const:2s", "erlang:3,1s", "hyper:0.9,500ms,5s", "normal:1s,2s", "lognormal:1s,500ms"]
    {
        let args = ["run", "--speed=max", "--items=4", "--seed=1", "--format=json"];
        let delays = [&format!("--producer-delay={delay}")[..], "--consumer-delay=1ms"];
        let outcome = sandbox.run(&[&args[..], &delays].concat());
        assert_eq!(outcome.code(), Some(0), "{delay}: {}", outcome.stderr);
        let times: Vec<_> = puts(&outcome).into_iter().map(|(time, _)| time.as_f64()).collect();
        assert_eq!(times.len(), 4);
        assert!(times.is_sorted() && times[0] != times[3], "{delay}: {times:?}");
        let simulated = sandbox.run(&[&args[..], &delays, &["--simulate"]].concat());
        assert_same(&outcome.text(), &simulated.text());
    }
}

#[test]
fn a_run_reads_a_file_of_delays_once_and_each_worker_starts_at_its_own_place() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("delays"), "# seconds\n1\n2s # slow\n#\n4s\n").unwrap();
    // The workers have another standard input. After its items the first producer waits 1, 2 and 4 s, the second
    // one 2 and 4 s.
    let script = "qdemo run --speed max --items 7 --producers 2 --format json \
        --producer-delay file:/dev/stdin --consumer-delay file:delays <delays";
    let outcome = sandbox.script(script);
    assert_same(&outcome.text(), &sandbox.script(&script.replace("run", "run --simulate")).text());
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    let found: Vec<_> = puts(&outcome)
        .into_iter()
        .map(|(time, worker)| (time.as_f64().unwrap(), worker.as_u64().unwrap()))
        .collect();
    assert_eq!(found, [(0.0, 1), (0.0, 2), (1.0, 1), (2.0, 2), (3.0, 1), (6.0, 2), (7.0, 1)]);
    sandbox.assert_nothing_left();
}

#[test]
fn a_successor_goes_on_in_the_file_where_its_predecessor_was() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("delays"), "1s\n2s\n4s\n").unwrap();
    let script = "qdemo run --speed max --items 60 --format json --seed 1 --chaos 5s \
        --producer-delay file:delays --consumer-delay 1ms 2>/dev/null";
    let outcome = sandbox.script(script);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    let events = outcome.lines().into_iter().map(|line| serde_json::from_str::<Value>(&line));
    let died = |event: &Value| event["event"] == "died" && event["role"] == "producer";
    assert!(events.map(Result::unwrap).any(|event| died(&event)), "no producer died");
    let times = puts(&outcome).into_iter().map(|(time, _)| time.as_f64().unwrap());
    let times: Vec<_> = times.collect();
    // A death cuts a delay short, and the successor puts at once.
    let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (gap, delay) in gaps.iter().zip([1.0, 2.0, 4.0].iter().cycle()) {
        assert!(*gap <= delay + 1e-6, "{gap} is more than {delay} in {gaps:?}");
    }
    sandbox.assert_nothing_left();
}
