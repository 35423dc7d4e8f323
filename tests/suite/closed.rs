//! Standard streams that are closed or have the wrong direction. A command that needs such a stream fails
//! before it takes or puts an item. Every other command works.

use crate::harness::{Outcome, Sandbox, assert_same};

/// Puts the items a, b and c into the queue `q`.
fn put_three_items(sandbox: &Sandbox) {
    sandbox.run(&["put", "-q", "q", "a", "b", "c"]).assert_prints("");
}

/// Asserts that the queue `q` still holds a, b and c.
#[track_caller]
fn assert_untouched(sandbox: &Sandbox) {
    sandbox.run(&["peek", "-q", "q", "--count", "9"]).assert_prints("a\nb\nc\n");
    sandbox.assert_nothing_left();
}

#[track_caller]
fn refuses(sandbox: &Sandbox, script: &str, words: &[&str]) {
    let outcome = sandbox.script(script);
    assert_same("", &outcome.text());
    assert_eq!(outcome.code(), Some(1), "{script}: {}", outcome.stderr);
    outcome.assert_one_line_of_error(words);
}

fn works(sandbox: &Sandbox, script: &str) -> Outcome {
    let outcome = sandbox.script(script);
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""), "{script}");
    outcome
}

both!(a_command_with_a_closed_standard_output_takes_no_item, |backend| {
    let sandbox = Sandbox::on(backend);
    put_three_items(&sandbox);
    for command in [
        "get -q q",
        "get -q q --count 2 --format json",
        "peek -q q",
        "status",
        "status -q q --format json",
        "failed -q q",
        "failed -q q --retry",
        "consumer -q q --no-wait",
        "consumer -q q --no-wait --format raw",
        "consumer -q q --no-wait --format raw --delay 1ms",
        "consumer -q q --no-wait --format raw --fast",
        "consumer -q q --no-wait -- echo {}",
        "consumer -q q --no-wait --quiet -- echo {}",
        "consumer -q q --no-wait --format json -- echo {}",
        "producer -q q d",
        "close -q q --now",
        "rm -q q --force",
        "run --items 1 --speed max",
        "run --items 1 --speed max --format json",
        "bench --size 16 --workers 1x1 --rounds 1",
        "man",
        "man put",
        "completions bash",
        "--help",
        "get --help",
        "--version",
    ] {
        refuses(&sandbox, &format!("qdemo {command} >&-"), &["standard output is closed: "]);
    }
    assert_untouched(&sandbox);
});

both!(the_error_for_a_closed_standard_output_names_a_remedy, |backend| {
    let sandbox = Sandbox::on(backend);
    put_three_items(&sandbox);
    let words = ["qdemo: standard output is closed: send it ", ">/dev/null"];
    refuses(&sandbox, "qdemo get -q q >&-", &words);
    assert_untouched(&sandbox);
});

both!(a_command_that_prints_nothing_works_with_a_closed_standard_output, |backend| {
    let sandbox = Sandbox::on(backend);
    works(&sandbox, "qdemo put -q q a b c d >&-");
    works(&sandbox, "echo e | qdemo put -q q - >&-");
    works(&sandbox, "qdemo producer -q q --quiet --keep-open f >&-");
    works(&sandbox, "qdemo consumer -q q --quiet --max 6 >&-");
    works(&sandbox, "qdemo join -q q >&-");
    works(&sandbox, "qdemo close -q q >&-");
    works(&sandbox, "qdemo rm -q q >&-");
    works(&sandbox, "qdemo put -q q a && qdemo get -q q >/dev/null && qdemo rm -q q --force >&-");
    works(&sandbox, "qdemo run --quiet --items 2 --speed max >&-");
    works(&sandbox, "qdemo run --quiet --items 2 --speed max --timeline run.svg >&-");
    works(&sandbox, "qdemo run --items 2 --speed max --format json >run.jsonl");
    works(&sandbox, "qdemo timeline run.jsonl --output again.svg >&-");
    refuses(&sandbox, "qdemo timeline run.jsonl >&-", &["standard output is closed: "]);
    sandbox.assert_nothing_left();
});

both!(dev_null_is_a_valid_standard_output_in_every_mode_that_can_write, |backend| {
    let sandbox = Sandbox::on(backend);
    works(&sandbox, "qdemo put -q q a b c d e && qdemo close -q q");
    works(&sandbox, "qdemo get -q q >/dev/null");
    works(&sandbox, "qdemo get -q q 1<>/dev/null");
    works(&sandbox, "exec 3<>/dev/null; qdemo get -q q >&3 <&3 2>&3");
    works(&sandbox, "exec 0<>/dev/null 1<>/dev/null; qdemo get -q q");
    works(&sandbox, "qdemo consumer -q q --format raw >>/dev/null");
    works(&sandbox, "qdemo rm -q q");
    sandbox.assert_nothing_left();
});

both!(a_command_refuses_a_standard_output_that_is_open_only_for_reading, |backend| {
    let sandbox = Sandbox::on(backend);
    put_three_items(&sandbox);
    let words = ["standard output is not open for writing: "];
    refuses(&sandbox, "qdemo get -q q 1</dev/null", &words);
    refuses(&sandbox, "qdemo consumer -q q --no-wait --format raw 1</dev/null", &words);
    refuses(&sandbox, "qdemo --version 1</dev/null", &words);
    assert_untouched(&sandbox);
});

both!(a_command_that_reads_a_closed_standard_input_fails_and_puts_nothing, |backend| {
    let sandbox = Sandbox::on(backend);
    put_three_items(&sandbox);
    for command in [
        "put -q q -",
        "put -q q -0 -",
        "put -q q --json -",
        "producer -q q -",
        "producer -q q --quiet -",
        "timeline -",
        "timeline - --output run.svg",
    ] {
        refuses(&sandbox, &format!("qdemo {command} <&-"), &["standard input is closed: "]);
        let words = ["standard input is not open for reading: "];
        refuses(&sandbox, &format!("qdemo {command} 0>/dev/null"), &words);
    }
    assert!(!sandbox.path("run.svg").exists());
    assert_untouched(&sandbox);
});

both!(a_command_that_reads_nothing_works_with_a_closed_standard_input, |backend| {
    let sandbox = Sandbox::on(backend);
    works(&sandbox, "qdemo put -q q a b c <&-");
    works(&sandbox, "printf x | qdemo put -q q -");
    let got = works(&sandbox, "qdemo get -q q --count 2 <&-");
    assert_same("a\nb\n", &got.text());
    let got = works(&sandbox, "qdemo consumer -q q --max 1 --format raw <&-");
    assert_same("c\n", &got.text());
    // The command for an item has a standard input of its own.
    let got = works(&sandbox, "qdemo consumer -q q --max 1 -- cat <&-");
    assert_same("x\n", &got.text());
    works(&sandbox, "qdemo put -q q - </dev/null");
    works(&sandbox, "qdemo rm -q q <&-");
    sandbox.assert_nothing_left();
});

both!(a_closed_standard_error_loses_messages_and_nothing_else, |backend| {
    let sandbox = Sandbox::on(backend);
    works(&sandbox, "qdemo put -q q a b c 2>&-");
    let got = works(&sandbox, "qdemo get -q q 2>&-");
    assert_same("a\n", &got.text());
    // Only the standard error of the command is lost.
    let each = "qdemo consumer -q q --max 1 -- sh -c 'echo oh >&2; echo \"$1\"' sh {} 2>&-";
    assert_same("b\n", &works(&sandbox, each).text());
    // A command that cannot print its error still has its exit code.
    assert_eq!(sandbox.script("qdemo rm -q q 2>&-").code(), Some(1));
    assert_eq!(sandbox.script("qdemo get -q q >&- 2>&-").code(), Some(1));
    assert_eq!(sandbox.script("qdemo get --unknown 2>&-").code(), Some(2));
    let run = "qdemo run --items 1 --speed max --stats text --lang en 2>&-";
    let lines = works(&sandbox, run).lines();
    assert_eq!(lines.last().map(String::as_str), Some("all processes have finished"));
    sandbox.run(&["peek", "-q", "q", "--count", "9"]).assert_prints("c\n");
    sandbox.assert_nothing_left();
});

// Local: a server has no keepers.
#[test]
fn a_keeper_started_with_three_closed_streams_holds_its_queue() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.script("qdemo put -q q a b c <&- >&- 2>&-").code(), Some(0));
    assert_eq!(sandbox.script("qdemo join -q q --timeout 1ms <&- >&- 2>&-").code(), Some(3));
    assert_untouched(&sandbox);
}
