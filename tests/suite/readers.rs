//! Readers of a consumer's output: an item is done when the reader has read its line, and a consumer takes no item far ahead
//! of its reader.

use std::fs;
use std::io::{PipeWriter, Read, Write, pipe};
use std::process::{Child, Stdio};

use rustix::process::Signal;

use crate::harness::{Running, Sandbox, assert_same, signal_to, wait_for_end, wait_while};

const RAW: [&str; 3] = ["consumer", "--format", "raw"];

/// The numbers from `first` to `last`, one per line.
fn numbers(first: u32, last: u32) -> String {
    (first..=last).map(|n| format!("{n}\n")).collect()
}

/// Puts the items 1 to `last` into the default queue and closes the queue.
fn fill(sandbox: &Sandbox, last: u32) {
    sandbox.run_with_input(&["put", "-"], numbers(1, last).as_bytes()).assert_prints("");
    sandbox.run(&["close"]).assert_prints("");
}

/// Waits until the queue has these counts.
fn wait_for(sandbox: &Sandbox, ready: u64, in_flight: u64, done: u64) {
    sandbox.wait_for_status(|status| {
        status["ready"] == ready && status["in_flight"] == in_flight && status["done"] == done
    });
}

/// Starts a consumer whose reader reads the first item and then stops.
fn stalled(sandbox: &Sandbox, last: u32, more: &[&str]) -> Running {
    fill(sandbox, last);
    let mut consumer = sandbox.start(&[&RAW, more].concat());
    assert_eq!(consumer.line(), "1");
    wait_for(sandbox, u64::from(last) - 2, 1, 1);
    consumer
}

/// Starts a consumer that is the only process with the writing end of this pipe.
fn consumer_to(sandbox: &Sandbox, writer: PipeWriter) -> Child {
    sandbox.qdemo(&RAW).stdin(Stdio::null()).stdout(writer).spawn().unwrap()
}

both!(a_reader_that_stops_holds_one_item_and_other_consumers_get_the_rest, |backend| {
    let sandbox = Sandbox::on(backend);
    let slow = stalled(&sandbox, 100, &[]);
    sandbox.run(&[&RAW[..], &["--max", "98"]].concat()).assert_prints(&numbers(3, 100));
    slow.end().assert_prints("2\n");
    sandbox.run(&["join"]).assert_prints("");
    sandbox.assert_nothing_left();
});

both!(a_reader_that_never_reads_holds_one_item, |backend| {
    let sandbox = Sandbox::on(backend);
    fill(&sandbox, 100);
    let idle = sandbox.start(&["consumer", "--format", "json"]);
    wait_for(&sandbox, 99, 1, 0);
    sandbox.run(&[&RAW[..], &["--max", "99"]].concat()).assert_prints(&numbers(2, 100));
    let outcome = idle.end();
    outcome.assert_done();
    assert_eq!(outcome.lines().len(), 1);
    sandbox.assert_nothing_left();
});

both!(unread_items_of_a_killed_consumer_are_requeued, |backend| {
    let sandbox = Sandbox::on(backend);
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
});

both!(unread_items_are_requeued_when_a_signal_ends_the_consumer, |backend| {
    let sandbox = Sandbox::on(backend);
    let consumer = stalled(&sandbox, 100, &[]);
    consumer.signal(Signal::TERM);
    wait_for_end(consumer.pid());
    let outcome = consumer.end();
    // Item 2 is still in the pipe: item 2 is delivered twice, but never lost.
    assert_same("2\n", &outcome.text());
    assert_eq!(outcome.signal(), Some(Signal::TERM.as_raw()));
    sandbox.run(&RAW).assert_prints(&numbers(2, 100));
    sandbox.assert_nothing_left();
});

both!(a_large_item_that_is_read_only_in_part_is_requeued, |backend| {
    let sandbox = Sandbox::on(backend);
    // Larger than the buffer of any pipe.
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
    assert!(large.starts_with(&outcome.text()), "the output is not a part of the large item");
    sandbox.run(&RAW).assert_prints(&format!("{large}\n3\n"));
    sandbox.assert_nothing_left();
});

both!(three_items_are_done_when_a_reader_leaves_after_three_items, |backend| {
    for reader in ["head -n 3", "for i in 1 2 3; do read -r item; echo \"$item\"; done"] {
        for format in ["--format raw", "--format raw --delay 1us", "--lang en"] {
            let sandbox = Sandbox::on(backend);
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
});

both!(items_are_done_up_to_the_line_where_a_shell_loop_stops_reading, |backend| {
    let sandbox = Sandbox::on(backend);
    fill(&sandbox, 3000);
    // The shell reads byte by byte, and so takes no byte after the last line that it uses.
    let outcome = sandbox.script(
        "qdemo consumer --format raw |
         { for ((n = 0; n < 1000; n++)); do read -r item; echo \"$item\"; done; }",
    );
    outcome.assert_prints(&numbers(1, 1000));
    sandbox.run(&["peek", "--count", "9999"]).assert_prints(&numbers(1001, 3000));
    assert_eq!(sandbox.status()["done"], 1000);
    sandbox.assert_nothing_left();
});

both!(an_unread_item_goes_to_another_consumer_when_its_lease_runs_out, |backend| {
    let sandbox = Sandbox::on(backend);
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
});

both!(no_item_is_done_when_the_reader_leaves_at_once, |backend| {
    let sandbox = Sandbox::on(backend);
    fill(&sandbox, 100);
    assert_same("", &sandbox.script("qdemo consumer --format raw | true").text());
    sandbox.run(&["peek", "--count", "200"]).assert_prints(&numbers(1, 100));
    sandbox.assert_nothing_left();
});

both!(the_queue_ends_when_the_last_item_has_been_read, |backend| {
    let sandbox = Sandbox::on(backend);
    let consumer = stalled(&sandbox, 2, &[]);
    sandbox
        .run(&["join", "--timeout", "1ms"])
        .assert_refused(3, &["1 item", "not done within the timeout"]);
    consumer.end().assert_prints("2\n");
    sandbox.run(&["join"]).assert_prints("");
    sandbox.assert_nothing_left();
});

both!(a_consumer_with_max_waits_until_its_last_item_is_read, |backend| {
    let sandbox = Sandbox::on(backend);
    let mut consumer = stalled(&sandbox, 9, &["--max", "2"]);
    assert!(!consumer.has_ended());
    consumer.end().assert_prints("2\n");
    assert_eq!(sandbox.status()["done"], 2);
    sandbox.assert_nothing_left();
});

both!(an_item_is_done_when_its_delay_is_over_and_its_line_is_read, |backend| {
    let sandbox = Sandbox::on(backend);
    let slow = stalled(&sandbox, 10, &["--delay", "1ms"]);
    sandbox.run(&[&RAW[..], &["--max", "8"]].concat()).assert_prints(&numbers(3, 10));
    slow.end().assert_prints("2\n");
    sandbox.assert_nothing_left();
});

both!(with_fast_an_item_is_done_as_soon_as_its_line_is_written, |backend| {
    let sandbox = Sandbox::on(backend);
    fill(&sandbox, 1000);
    let consumer = sandbox.start(&[&RAW[..], &["--fast"]].concat());
    wait_for(&sandbox, 0, 0, 1000);
    consumer.end().assert_prints(&numbers(1, 1000));
    sandbox.assert_nothing_left();
});

both!(a_consumer_does_not_wait_for_a_reader_when_its_output_is_a_file, |backend| {
    let sandbox = Sandbox::on(backend);
    fill(&sandbox, 1000);
    let outcome = sandbox.script("qdemo consumer --format raw >all && cat all");
    outcome.assert_prints(&numbers(1, 1000));
    sandbox.assert_nothing_left();
});

both!(a_fast_reader_gets_all_items_in_order, |backend| {
    let sandbox = Sandbox::on(backend);
    fill(&sandbox, 200_000);
    let outcome =
        sandbox.script("qdemo consumer --format raw | tee first | cat >second; cat first");
    outcome.assert_prints(&numbers(1, 200_000));
    let outcome = sandbox.script("cmp first second && qdemo status --format json");
    assert!(outcome.text().contains("\"done\":200000"), "{}", outcome.text());
    sandbox.assert_nothing_left();
});

both!(no_item_is_lost_when_a_consumer_is_killed_after_its_fast_reader_stops, |backend| {
    let sandbox = Sandbox::on(backend);
    fill(&sandbox, 12_000);
    let mut consumer = sandbox.start(&RAW);
    // After so many fast reads, the consumer takes many items at a time.
    let read: String = (1..=9_000).map(|_| consumer.line() + "\n").collect();
    assert_same(&numbers(1, 9_000), &read);
    consumer.signal(Signal::KILL);
    wait_for_end(consumer.pid());
    // The killed consumer's output is still in the pipe.
    let rest = consumer.end().text();
    let rest = sandbox.run(&RAW).text() + &rest;
    let mut times = vec![0; 12_001];
    for line in rest.lines() {
        // A truncated line is an extra copy of a requeued item.
        times[line.parse::<usize>().unwrap_or(0)] += 1;
    }
    assert!(times[9_001..].iter().all(|&times| times >= 1), "an item is lost");
    sandbox.assert_nothing_left();
});

// Local: a server has no keepers.
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

both!(several_consumers_can_share_one_pipe, |backend| {
    let sandbox = Sandbox::on(backend);
    fill(&sandbox, 30_000);
    let outcome = sandbox.script(
        "for n in 1 2 3; do qdemo consumer --format raw & done | sort -n; qdemo status --format json >&2",
    );
    assert_same(&numbers(1, 30_000), &outcome.text());
    assert!(outcome.stderr.contains("\"done\":30000"), "{}", outcome.stderr);
    sandbox.assert_nothing_left();
});

both!(a_consumer_works_when_its_pipe_holds_bytes_of_another_writer, |backend| {
    let sandbox = Sandbox::on(backend);
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
});

both!(an_output_that_nobody_reads_does_not_hold_back_the_report_before_it, |backend| {
    let sandbox = Sandbox::on(backend);
    fill(&sandbox, 2);
    let (mut reader, writer) = pipe().unwrap();
    (&writer).write_all(&[0; 50_000]).unwrap();
    let command = "until [ -e go ]; do sleep 0.05; done; [ {} = 1 ] || head -c 20000 /dev/zero";
    let args = ["consumer", "--quiet", "-j", "2", "--", "sh", "-c", command];
    let mut consumer = sandbox.qdemo(&args).stdin(Stdio::null()).stdout(writer).spawn().unwrap();
    let pid = i32::try_from(consumer.id()).unwrap();
    wait_while(|| sandbox.processes_of("sh -c until").len() < 2);
    // The consumer finds both commands ended at the same time.
    signal_to(pid, Signal::STOP);
    fs::write(sandbox.path("go"), "").unwrap();
    wait_while(|| !sandbox.processes_of("sh -c until").is_empty());
    signal_to(pid, Signal::CONT);
    wait_for(&sandbox, 0, 1, 1);
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len(), 70_000);
    assert!(consumer.wait().unwrap().success());
    sandbox.assert_nothing_left();
});

// Local: the pipe is that of the reader.
#[test]
#[cfg(target_os = "linux")]
fn a_consumer_restores_the_size_of_its_pipe() {
    use std::io::{BufRead, BufReader};

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
