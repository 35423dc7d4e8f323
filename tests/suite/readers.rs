//! Readers of a consumer's output: what one has not read is not done, and nothing is taken far ahead of it.

use std::io::{BufRead, BufReader, PipeWriter, Read, Write, pipe};
use std::process::{Child, Stdio};

use rustix::process::Signal;

use crate::harness::{Running, Sandbox, assert_same, signal_to, wait_for_end};

const RAW: [&str; 3] = ["consumer", "--format", "raw"];

/// The numbers from `first` to `last`, a line each.
fn numbers(first: u32, last: u32) -> String {
    (first..=last).map(|n| format!("{n}\n")).collect()
}

/// The default queue with the items 1 to `last`, after which it ends.
fn fill(sandbox: &Sandbox, last: u32) {
    sandbox.run_with_input(&["put", "-"], numbers(1, last).as_bytes()).assert_prints("");
    sandbox.run(&["close"]).assert_prints("");
}

/// Waits until so many items are in line, out and done.
fn wait_for(sandbox: &Sandbox, in_line: u64, out: u64, done: u64) {
    sandbox.wait_for_status(|status| {
        status["in_line"] == in_line && status["out"] == out && status["done"] == done
    });
}

/// A consumer whose reader has read the first item, and reads no further.
fn stalled(sandbox: &Sandbox, last: u32, more: &[&str]) -> Running {
    fill(sandbox, last);
    let mut consumer = sandbox.start(&[&RAW, more].concat());
    assert_eq!(consumer.line(), "1");
    wait_for(sandbox, u64::from(last) - 2, 1, 1);
    consumer
}

/// A consumer that writes to this pipe, of which nobody else has the writing end then.
fn consumer_to(sandbox: &Sandbox, writer: PipeWriter) -> Child {
    sandbox.qdemo(&RAW).stdin(Stdio::null()).stdout(writer).spawn().unwrap()
}

#[test]
fn a_reader_that_stops_holds_one_item_and_others_get_the_rest() {
    let sandbox = Sandbox::new();
    let slow = stalled(&sandbox, 100, &[]);
    sandbox.run(&[&RAW[..], &["--max", "98"]].concat()).assert_prints(&numbers(3, 100));
    slow.end().assert_prints("2\n");
    sandbox.run(&["join"]).assert_prints("");
    sandbox.assert_nothing_left();
}

#[test]
fn a_reader_that_never_reads_holds_one_item() {
    let sandbox = Sandbox::new();
    fill(&sandbox, 100);
    let idle = sandbox.start(&["consumer", "--format", "json"]);
    wait_for(&sandbox, 99, 1, 0);
    sandbox.run(&[&RAW[..], &["--max", "99"]].concat()).assert_prints(&numbers(2, 100));
    let outcome = idle.end();
    outcome.assert_done();
    assert_eq!(outcome.lines().len(), 1);
    sandbox.assert_nothing_left();
}

#[test]
fn what_the_reader_of_a_killed_consumer_has_not_read_comes_back() {
    let sandbox = Sandbox::new();
    let consumer = stalled(&sandbox, 100, &[]);
    consumer.signal(Signal::KILL);
    wait_for_end(consumer.pid());
    assert_same("2\n", &consumer.end().text());
    wait_for(&sandbox, 99, 0, 1);
    sandbox
        .run(&["get", "--format", "json"])
        .assert_prints("{\"id\":2,\"item\":\"2\",\"attempt\":2}\n");
    sandbox.run(&RAW).assert_prints(&numbers(3, 100));
    sandbox.assert_nothing_left();
}

#[test]
fn what_the_reader_has_not_read_comes_back_when_a_signal_ends_the_consumer() {
    let sandbox = Sandbox::new();
    let consumer = stalled(&sandbox, 100, &[]);
    consumer.signal(Signal::TERM);
    wait_for_end(consumer.pid());
    let outcome = consumer.end();
    // The reader can still read it, so it comes twice, but it is not lost.
    assert_same("2\n", &outcome.text());
    assert_eq!(outcome.signal(), Some(Signal::TERM.as_raw()));
    sandbox.run(&RAW).assert_prints(&numbers(2, 100));
    sandbox.assert_nothing_left();
}

#[test]
fn of_large_items_too_what_has_not_been_read_to_its_end_comes_back() {
    let sandbox = Sandbox::new();
    // Longer than any pipe is wide.
    let large = "x".repeat(3 << 20);
    let input = format!("1\n{large}\n3\n");
    sandbox.run_with_input(&["put", "-"], input.as_bytes()).assert_prints("");
    sandbox.run(&["close"]).assert_prints("");
    let mut consumer = sandbox.start(&RAW);
    assert_eq!(consumer.line(), "1");
    wait_for(&sandbox, 1, 1, 1);
    consumer.signal(Signal::TERM);
    wait_for_end(consumer.pid());
    let outcome = consumer.end();
    assert!(large.starts_with(&outcome.text()), "a part of it");
    sandbox.run(&RAW).assert_prints(&format!("{large}\n3\n"));
    sandbox.assert_nothing_left();
}

#[test]
fn a_reader_that_leaves_after_three_items_has_had_three() {
    for reader in ["head -n 3", "for i in 1 2 3; do read -r item; echo \"$item\"; done"] {
        for format in ["--format raw", "--format raw --delay 1us", "--lang en"] {
            let sandbox = Sandbox::new();
            fill(&sandbox, 100);
            let script = format!("qdemo consumer {format} | {{ {reader}; }}");
            let outcome = sandbox.script(&script);
            assert_same("", &outcome.stderr);
            assert_eq!(outcome.lines().len(), 3, "{script}");
            sandbox.run(&["peek", "--count", "200"]).assert_prints(&numbers(4, 100));
            assert_eq!(sandbox.status()["done"], 3, "{script}");
            sandbox.assert_nothing_left();
        }
    }
}

#[test]
fn a_loop_that_leaves_in_the_middle_of_a_portion_has_had_what_it_has_read() {
    let sandbox = Sandbox::new();
    fill(&sandbox, 3000);
    // The shell reads a byte at a time, so it reads nothing that it doesn't use.
    let outcome = sandbox.script(
        "qdemo consumer --format raw |
         { for ((n = 0; n < 1000; n++)); do read -r item; echo \"$item\"; done; }",
    );
    outcome.assert_prints(&numbers(1, 1000));
    sandbox.run(&["peek", "--count", "9999"]).assert_prints(&numbers(1001, 3000));
    assert_eq!(sandbox.status()["done"], 1000);
    sandbox.assert_nothing_left();
}

#[test]
fn what_has_not_been_read_when_its_lease_runs_out_goes_to_another() {
    let sandbox = Sandbox::new();
    fill(&sandbox, 10);
    let mut stalled = sandbox.start(&[&RAW[..], &["--lease", "50ms"]].concat());
    assert_eq!(stalled.line(), "1");
    wait_for(&sandbox, 9, 0, 1);
    sandbox.run(&RAW).assert_prints(&numbers(2, 10));
    let outcome = stalled.end();
    assert_same("2\n", &outcome.text());
    outcome.assert_one_line_of_error(&["item 2 came too late", "lease"]);
    assert_eq!(outcome.code(), Some(0));
    sandbox.assert_nothing_left();
}

#[test]
fn what_a_reader_that_leaves_at_once_has_not_read_is_not_done() {
    let sandbox = Sandbox::new();
    fill(&sandbox, 100);
    assert_same("", &sandbox.script("qdemo consumer --format raw | true").text());
    sandbox.run(&["peek", "--count", "200"]).assert_prints(&numbers(1, 100));
    sandbox.assert_nothing_left();
}

#[test]
fn the_queue_ends_when_the_last_item_has_been_read() {
    let sandbox = Sandbox::new();
    let consumer = stalled(&sandbox, 2, &[]);
    sandbox
        .run(&["join", "--timeout", "1ms"])
        .assert_refused(3, &["1 item", "not done within the timeout"]);
    consumer.end().assert_prints("2\n");
    sandbox.run(&["join"]).assert_prints("");
    sandbox.assert_nothing_left();
}

#[test]
fn the_last_of_so_many_items_is_waited_for_too() {
    let sandbox = Sandbox::new();
    let mut consumer = stalled(&sandbox, 9, &["--max", "2"]);
    assert!(!consumer.has_ended());
    consumer.end().assert_prints("2\n");
    assert_eq!(sandbox.status()["done"], 2);
    sandbox.assert_nothing_left();
}

#[test]
fn an_item_is_done_after_its_delay_and_when_it_has_been_read() {
    let sandbox = Sandbox::new();
    let slow = stalled(&sandbox, 10, &["--delay", "1ms"]);
    sandbox.run(&[&RAW[..], &["--max", "8"]].concat()).assert_prints(&numbers(3, 10));
    slow.end().assert_prints("2\n");
    sandbox.assert_nothing_left();
}

#[test]
fn with_fast_what_has_been_written_is_done() {
    let sandbox = Sandbox::new();
    fill(&sandbox, 1000);
    let consumer = sandbox.start(&[&RAW[..], &["--fast"]].concat());
    wait_for(&sandbox, 0, 0, 1000);
    consumer.end().assert_prints(&numbers(1, 1000));
    sandbox.assert_nothing_left();
}

#[test]
fn nobody_is_waited_for_where_output_is_no_pipe() {
    let sandbox = Sandbox::new();
    fill(&sandbox, 1000);
    let outcome = sandbox.script("qdemo consumer --format raw >all && cat all");
    outcome.assert_prints(&numbers(1, 1000));
    sandbox.assert_nothing_left();
}

#[test]
fn a_fast_reader_gets_everything_in_order() {
    let sandbox = Sandbox::new();
    fill(&sandbox, 200_000);
    let outcome =
        sandbox.script("qdemo consumer --format raw | tee first | cat >second; cat first");
    outcome.assert_prints(&numbers(1, 200_000));
    let outcome = sandbox.script("cmp first second && qdemo status --format json");
    assert!(outcome.text().contains("\"done\":200000"), "{}", outcome.text());
    sandbox.assert_nothing_left();
}

#[test]
fn a_reader_that_is_fast_and_then_stops_loses_nothing_to_a_kill() {
    let sandbox = Sandbox::new();
    fill(&sandbox, 12_000);
    let mut consumer = sandbox.start(&RAW);
    // Enough for the consumer to have come to take many at a time.
    let read: String = (1..=9_000).map(|_| consumer.line() + "\n").collect();
    assert_same(&numbers(1, 9_000), &read);
    consumer.signal(Signal::KILL);
    wait_for_end(consumer.pid());
    // What it had written can still be read.
    let rest = consumer.end().text();
    let rest = sandbox.run(&RAW).text() + &rest;
    let mut times = vec![0; 12_001];
    for line in rest.lines() {
        // A line that was cut off is one more copy of an item that came back.
        times[line.parse::<usize>().unwrap_or(0)] += 1;
    }
    assert!(times[9_001..].iter().all(|&times| times >= 1), "nothing is lost");
    sandbox.assert_nothing_left();
}

#[test]
fn a_consumer_waits_for_its_reader_while_its_keeper_is_replaced() {
    let sandbox = Sandbox::new();
    let consumer = stalled(&sandbox, 100, &[]);
    let keeper = sandbox.processes_of("qdemo keeper").pop().unwrap();
    signal_to(keeper.pid, Signal::KILL);
    wait_for(&sandbox, 98, 1, 1);
    consumer.end().assert_prints(&numbers(2, 100));
    sandbox.assert_nothing_left();
}

#[test]
fn several_consumers_may_share_a_pipe() {
    let sandbox = Sandbox::new();
    fill(&sandbox, 30_000);
    let outcome = sandbox.script(
        "for n in 1 2 3; do qdemo consumer --format raw & done | sort -n; qdemo status --format json >&2",
    );
    assert_same(&numbers(1, 30_000), &outcome.text());
    assert!(outcome.stderr.contains("\"done\":30000"), "{}", outcome.stderr);
    sandbox.assert_nothing_left();
}

#[test]
fn what_others_have_written_to_the_pipe_before_is_no_hindrance() {
    let sandbox = Sandbox::new();
    fill(&sandbox, 10);
    let (mut reader, writer) = pipe().unwrap();
    (&writer).write_all(&[0; 50_000]).unwrap();
    let mut consumer = consumer_to(&sandbox, writer);
    wait_for(&sandbox, 9, 1, 0);
    let mut zeros = vec![0; 50_000];
    reader.read_exact(&mut zeros).unwrap();
    let mut lines = String::new();
    reader.read_to_string(&mut lines).unwrap();
    assert_same(&numbers(1, 10), &lines);
    assert!(consumer.wait().unwrap().success());
    sandbox.assert_nothing_left();
}

#[test]
#[cfg(target_os = "linux")]
fn a_pipe_is_as_wide_afterwards_as_it_was_before() {
    use rustix::pipe::fcntl_getpipe_size;
    let sandbox = Sandbox::new();
    fill(&sandbox, 10);
    let (reader, writer) = pipe().unwrap();
    let before = fcntl_getpipe_size(&reader).unwrap();
    let mut consumer = consumer_to(&sandbox, writer);
    let mut lines = BufReader::new(&reader).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "1");
    assert!(fcntl_getpipe_size(&reader).unwrap() < before);
    assert_eq!(lines.last().unwrap().unwrap(), "10");
    assert!(consumer.wait().unwrap().success());
    assert_eq!(fcntl_getpipe_size(&reader).unwrap(), before);
    sandbox.assert_nothing_left();
}
