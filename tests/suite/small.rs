//! Regression tests, one for each small fault.
//!
//! The tests that are not of `both!` are of runs and of `qdemo bench`.

use std::fs;

use rustix::process::Signal;

use crate::harness::{Running, Sandbox, children_of, wait_while};

both!(a_dash_after_two_dashes_is_an_item, |backend| {
    let sandbox = Sandbox::on(backend);
    let assert_items = |args: &[&str], input: &str, expected: &str| {
        sandbox.run_with_input(args, input.as_bytes()).assert_done();
        assert_eq!(sandbox.run(&["get", "--count", "9", "--no-wait"]).text(), expected);
    };
    assert_items(&["put", "--", "-"], "no\n", "-\n");
    assert_items(&["put", "--", "a", "-", "b"], "no\n", "a\n-\nb\n");
    assert_items(&["put", "a", "--", "-", "-b", "--"], "no\n", "a\n-\n-b\n--\n");
    assert_items(&["put", "--", "--no-wait"], "no\n", "--no-wait\n");
    assert_items(&["put", "-"], "yes\n-\n", "yes\n-\n");
    assert_items(&["producer", "--quiet", "--keep-open", "--", "-"], "no\n", "-\n");
    assert_items(&["producer", "--quiet", "--keep-open", "x", "--", "-"], "no\n", "x\n-\n");
    assert_items(&["producer", "--quiet", "--keep-open", "-"], "yes\n", "yes\n");
    sandbox.assert_nothing_left();
});

// Local: no command reaches a queue.
#[test]
fn a_dash_for_standard_input_must_be_the_only_item() {
    let sandbox = Sandbox::new();
    for args in [
        &["put", "-", "x"][..],
        &["put", "x", "-"],
        &["put", "-", "--", "-"],
        &["producer", "-", "--", "x"],
    ] {
        sandbox.run(args).assert_refused(2, &["stands alone", "write `-- -`"]);
    }
    sandbox.run(&["put", "--"]).assert_refused(2, &["there is nothing to put"]);
    sandbox.run(&["producer", "--"]).assert_refused(2, &["there is nothing to put"]);
    sandbox.run(&["producer", "--items", "3", "--", "x"]).assert_refused(2, &["--items"]);
    sandbox.assert_nothing_left();
}

/// Removes the run's folder, as a cleaner of temporary folders does.
fn remove_folder(sandbox: &Sandbox) {
    let runs: Vec<_> = fs::read_dir(sandbox.path("tmp")).unwrap().collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    for run in runs {
        fs::remove_dir_all(run.unwrap().path()).unwrap();
    }
}

#[test]
fn a_run_whose_folder_is_removed_does_all_its_items() {
    for more in [&[][..], &["--format", "log", "--consumers", "2"]] {
        let sandbox = Sandbox::new();
        let args = ["run", "--items", "40", "--producer-delay", "10ms", "--lang", "en"];
        let args = [&args[..], &["--consumer-delay", "10ms"], more].concat();
        let mut run = sandbox.start(&args);
        assert!(run.line().starts_with("producer"));
        remove_folder(&sandbox);
        let outcome = run.end();
        outcome.assert_done();
        let lines = outcome.lines();
        assert_eq!(lines.iter().filter(|line| line.contains("got item")).count(), 40);
        assert_eq!(lines.last().unwrap(), "all processes have finished");
        sandbox.assert_nothing_left();
    }
}

/// Starts a run whose consumer takes an hour for its first item, and removes the run's folder.
fn run_without_folder(sandbox: &Sandbox, more: &[&str]) -> Running {
    let args = ["run", "--items", "2", "--consumer-delay", "1h", "--lang", "en"];
    let mut run = sandbox.start(&[&args[..], more].concat());
    assert_eq!(run.line(), "producer: added item0");
    assert_eq!(run.line(), "consumer: got item0");
    remove_folder(sandbox);
    run
}

#[test]
fn a_run_fails_when_a_removed_folder_prevents_a_respawn() {
    let sandbox = Sandbox::new();
    let run = run_without_folder(&sandbox, &["--respawn", "1"]);
    let consumer = sandbox.processes_of("qdemo consumer");
    crate::harness::signal_to(consumer[0].pid, Signal::KILL);
    let outcome = run.end();
    assert_eq!(outcome.code(), Some(1));
    assert!(outcome.stderr.contains("2 of 2 items were not done"), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("another program has removed the run's folder"),
        "{}",
        outcome.stderr
    );
    sandbox.assert_nothing_left();
}

#[test]
fn signals_end_a_run_whose_folder_is_removed() {
    let sandbox = Sandbox::new();
    let run = run_without_folder(&sandbox, &["--speed", "2000"]);
    run.signal(Signal::INT);
    let outcome = run.end();
    assert_eq!(outcome.signal(), Some(2));
    assert!(!outcome.stderr.contains("cannot"), "{}", outcome.stderr);
    sandbox.assert_nothing_left();
    let run = run_without_folder(&sandbox, &[]);
    let producer =
        children_of(run.pid()).into_iter().find(|c| c.args.starts_with("qdemo producer"));
    run.signal(Signal::INT);
    // The producer's exit shows that the run has handled the first signal.
    crate::harness::wait_for_end(producer.unwrap().pid);
    run.signal(Signal::TERM);
    let outcome = run.end();
    assert_eq!(outcome.signal(), Some(15));
    assert!(!outcome.stderr.contains("cannot"), "{}", outcome.stderr);
    sandbox.assert_nothing_left();
}

#[test]
fn a_bench_continues_when_its_folder_is_removed() {
    let sandbox = Sandbox::new();
    let bench = sandbox.start(&["bench", "--size", "16", "--workers", "1x1", "--rounds", "3"]);
    wait_while(|| sandbox.processes_of("qdemo bench-task").is_empty());
    remove_folder(&sandbox);
    let outcome = bench.end();
    assert!(!outcome.stderr.contains("left out"), "{}", outcome.stderr);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    sandbox.assert_nothing_left();
}
