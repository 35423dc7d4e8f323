//! A command for each item.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Sandbox, assert_same, children_of, wait_for_end};

/// The records of `--format json`.
fn records(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_thousand_items_end_as_they_do_with_xargs() {
    let sandbox = Sandbox::new();
    let script = r#"
        seq 1000 | xargs -P4 -I{} sh -c 'echo {}; exit $(( {} % 7 == 3 ))' > xargs.txt
        echo "xargs: $?"
        seq 1000 | qdemo put -
        qdemo close
        qdemo consumer -j 4 -- sh -c 'echo {}; exit $(( {} % 7 == 3 ))' > qdemo.txt
        echo "qdemo: $?"
        sort -n xargs.txt | cksum
        sort -n qdemo.txt | cksum
        qdemo failed | cut -f 4 | sort -n | cksum
        seq 3 7 1000 | cksum
    "#;
    let outcome = sandbox.script(script);
    let lines = outcome.lines();
    // xargs says 123 when commands failed.
    assert_eq!(lines[..2], ["xargs: 123", "qdemo: 1"]);
    assert_eq!(lines[2], lines[3], "every item was printed once");
    assert_eq!(lines[4], lines[5], "those that failed are kept");
    outcome.assert_one_line_of_error(&["143 items have failed", "qdemo failed"]);
    sandbox.run(&["failed", "--drop"]).assert_prints("dropped 143 items\n");
    sandbox.assert_nothing_left();
}

#[test]
fn an_item_arrives_as_it_is_whatever_is_in_it() {
    let sandbox = Sandbox::new();
    let items = [
        "plain",
        "two words",
        "  spaces  ",
        "\"quoted\" and 'single'",
        "$(touch hacked) `touch hacked`",
        "; touch hacked; | & > < * ? ~",
        "a\nnewline",
        "back\\slash \\n",
        "-n",
        "--help",
        "アイテム",
        "",
        "{}",
    ];
    let input = items.map(|item| format!("{item}\0")).concat();
    let fed = |args: &[&str]| {
        sandbox.run_with_input(&["put", "-0", "-"], input.as_bytes()).assert_prints("");
        sandbox.run(&["close"]).assert_prints("");
        sandbox.run(&[&["consumer", "--"], args].concat())
    };
    let expected = items.map(|item| format!("<{item}>")).concat();
    fed(&["printf", "<%s>", "{}"]).assert_prints(&expected);
    fed(&["sh", "-c", "printf '<%s>' \"$1\"", "sh", "{}"]).assert_prints(&expected);
    fed(&["sh", "-c", "printf '<%s>' \"$QDEMO_ITEM\""]).assert_prints(&expected);
    let lines = items.map(|item| format!("{item}\n")).concat();
    fed(&["cat"]).assert_prints(&lines);
    let twice = items.map(|item| format!("<a{item}b{item}>")).concat();
    fed(&["printf", "<%s>", "a{}b{}"]).assert_prints(&twice);
    assert!(!sandbox.path("hacked").exists());
    sandbox.assert_nothing_left();
}

#[test]
fn the_environment_tells_the_command_what_it_is_about() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "-q", "some jobs", "a"]).assert_prints("");
    sandbox.run(&["put", "-q", "some jobs", "--json", "{\"n\": 1}"]).assert_prints("");
    sandbox.run(&["close", "-q", "some jobs"]).assert_prints("");
    let show = "echo \"$QDEMO_QUEUE/$QDEMO_ID/$QDEMO_ATTEMPT/$QDEMO_ITEM\"";
    let outcome = sandbox.run(&["consumer", "-q", "some jobs", "--", "sh", "-c", show]);
    outcome.assert_prints("some jobs/1/1/a\nsome jobs/2/1/{\"n\": 1}\n");
    sandbox.assert_nothing_left();
}

#[test]
fn output_of_commands_that_run_at_the_same_time_is_not_mixed() {
    let sandbox = Sandbox::new();
    // Each prints many small pieces to both ends.
    let script = r#"
        seq 40 | qdemo put -
        qdemo close
        qdemo consumer -j 8 -- bash -c \
            'for n in {1..300}; do printf "{}"; printf " "; printf "{}\n" >&2; done; echo' 2> err.txt
    "#;
    let outcome = sandbox.script(&script.replace("{1..300}", "$(seq 300)"));
    assert_eq!(outcome.code(), Some(0));
    let lines = outcome.lines();
    assert_eq!(lines.len(), 40);
    for line in &lines {
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(words.len(), 300);
        assert!(words.iter().all(|word| *word == words[0]), "{line}");
    }
    let errors = fs::read_to_string(sandbox.path("err.txt")).unwrap();
    let errors: Vec<_> = errors.lines().collect();
    assert_eq!(errors.len(), 40 * 300);
    for piece in errors.chunks(300) {
        assert!(piece.iter().all(|line| *line == piece[0]));
    }
    sandbox.assert_nothing_left();
}

#[test]
fn a_command_that_fails_is_tried_again_and_then_its_item_is_kept() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "good", "late", "bad"]).assert_prints("");
    sandbox.run(&["close"]).assert_prints("");
    let command = r#"
        echo "$1 $QDEMO_ATTEMPT"
        case $1 in good) ;; late) [ "$QDEMO_ATTEMPT" = 3 ] ;; *) exit 9 ;; esac
    "#;
    let args = ["--retries", "2", "--backoff", "1ms", "--", "sh", "-c", command, "sh", "{}"];
    let outcome = sandbox.run(&[&["consumer"][..], &args].concat());
    assert_eq!(outcome.code(), Some(1));
    outcome.assert_one_line_of_error(&["1 item has failed"]);
    for who in ["good", "late", "bad"] {
        let tries: Vec<_> = outcome.lines().into_iter().filter(|l| l.starts_with(who)).collect();
        let expected: Vec<_> =
            (1..=if who == "good" { 1 } else { 3 }).map(|n| format!("{who} {n}")).collect();
        assert_eq!(tries, expected);
    }
    let failed = "3\t1\texit code 9, at the last of 3 tries\tbad\n";
    sandbox.run(&["failed"]).assert_prints(failed);
    sandbox.run(&["join"]).assert_refused(1, &["1 item", "failed", "`qdemo failed` lists them"]);
    // What failed can be tried again, and counts on.
    sandbox.run(&["failed", "--retry", "9"]).assert_refused(1, &["no item 9 has failed"]);
    sandbox.run(&["failed", "--retry", "3"]).assert_prints("1 item back in line\n");
    let outcome = sandbox.run(&["consumer", "--max", "1", "--", "sh", "-c", "echo $QDEMO_ATTEMPT"]);
    outcome.assert_prints("2\n");
    sandbox.run(&["failed"]).assert_prints("");
    sandbox.assert_nothing_left();
}

#[test]
fn the_pause_before_another_try_doubles() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "x"]).assert_prints("");
    let args = ["--max", "1", "--format", "json", "--retries", "3", "--backoff", "20ms"];
    let outcome = sandbox.run(&[&["consumer"][..], &args, &["--", "false"]].concat());
    let records = records(&outcome.text());
    let end = |r: &Value| r["start"].as_f64().unwrap() + r["duration"].as_f64().unwrap();
    assert_eq!(records.len(), 4);
    for (n, pair) in records.windows(2).enumerate() {
        let pause = pair[1]["start"].as_f64().unwrap() - end(&pair[0]);
        assert!(pause >= 0.02 * f64::from(1 << n), "pause {n} was {pause}");
    }
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
}

#[test]
fn a_record_tells_all_of_a_command() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "--json", "[1, 2]", "\"die\""]).assert_prints("");
    sandbox.run(&["close"]).assert_prints("");
    let command = "echo out; echo err >&2; [ \"$QDEMO_ITEM\" != die ] || kill -9 $$; exit 3";
    let outcome = sandbox.run(&["consumer", "--format", "json", "--", "sh", "-c", command]);
    assert_eq!(outcome.code(), Some(1));
    let records = records(&outcome.text());
    assert_eq!(records.len(), 2);
    for (record, (id, item, exit, signal)) in records.iter().zip([
        (1, serde_json::json!([1, 2]), Value::from(3), Value::Null),
        (2, "die".into(), Value::Null, 9.into()),
    ]) {
        assert_eq!((&record["id"], &record["item"]), (&id.into(), &item));
        assert_eq!((&record["exit"], &record["signal"]), (&exit, &signal));
        assert_eq!((&record["stdout"], &record["stderr"]), (&"out\n".into(), &"err\n".into()));
        assert_eq!((&record["attempt"], &record["timed_out"]), (&1.into(), &false.into()));
        assert!(record["duration"].as_f64().unwrap() > 0.0);
    }
    sandbox.run(&["failed", "--drop"]);
    sandbox.assert_nothing_left();
}

#[test]
fn a_command_that_takes_too_long_is_ended_with_all_that_it_has_started() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "x"]).assert_prints("");
    let args =
        ["--max", "1", "--timeout-each", "200ms", "--", "sh", "-c", "sleep 1000 & sleep 1000"];
    let outcome = sandbox.run(&[&["consumer"][..], &args].concat());
    outcome.assert_refused(1, &["1 item has failed"]);
    let failed = "1\t1\ttook longer than --timeout-each (killed by signal 15)\tx\n";
    sandbox.run(&["failed"]).assert_prints(failed);
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
}

#[test]
fn a_command_that_does_not_want_to_end_is_killed() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "x"]).assert_prints("");
    let stubborn = "trap 'echo no' TERM; while :; do sleep 0.05; done";
    let args = ["--max", "1", "--timeout-each", "100ms", "--", "bash", "-c", stubborn];
    let outcome = sandbox.run(&[&["consumer"][..], &args].concat());
    assert_eq!(outcome.text(), "no\n");
    // The shell itself says `Terminated` of what it was waiting for.
    assert!(outcome.stderr.contains("qdemo: 1 item has failed"), "{}", outcome.stderr);
    let failed = sandbox.run(&["failed"]).text();
    assert!(failed.contains("took longer than --timeout-each (killed by signal 9)"), "{failed}");
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
}

#[test]
fn halt_stops_at_the_first_failure_and_what_is_out_goes_back() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "slow", "bad", "never"]).assert_prints("");
    let command = "case {} in slow) sleep 1000;; bad) exit 1;; *) echo {};; esac";
    let outcome = sandbox.run(&["consumer", "-j", "2", "--halt", "--", "sh", "-c", command]);
    assert_eq!(outcome.code(), Some(1));
    let failed = sandbox.run(&["failed"]);
    failed.assert_prints("2\t1\texit code 1\tbad\n");
    let left = sandbox.run(&["peek", "--count", "9", "--format", "json"]).text();
    assert!(left.starts_with("{\"id\":1,\"item\":\"slow\",\"attempt\":2}\n"), "{left}");
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
}

#[test]
fn a_command_that_is_not_there_is_found_missing_before_any_item_is_taken() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "x"]).assert_prints("");
    let text = sandbox.path("text");
    fs::write(&text, "no program\n").unwrap();
    let text = text.to_str().unwrap();
    let not_there = sandbox.run(&["consumer", "--", "no-such-command", "{}"]);
    not_there.assert_refused(127, &["there is no command `no-such-command`", "PATH"]);
    sandbox.run(&["consumer", "--", text]).assert_refused(126, &["cannot be executed", "chmod +x"]);
    sandbox.run(&["consumer", "--", "/"]).assert_refused(126, &["cannot be executed"]);
    sandbox
        .run(&["peek", "--format", "json"])
        .assert_prints("{\"id\":1,\"item\":\"x\",\"attempt\":1}\n");
    // This one looks like a program, and only the system can tell that it is none.
    fs::write(sandbox.path("text"), "\u{1}no program\n").unwrap();
    fs::set_permissions(sandbox.path("text"), fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.run(&["consumer", "--", text]).assert_refused(126, &["cannot be executed"]);
    sandbox.run(&["get"]).assert_prints("x\n");
    sandbox.assert_nothing_left();
}

#[test]
fn what_no_argument_can_hold_fails_by_itself_and_comes_on_standard_input() {
    let sandbox = Sandbox::new();
    let large = "x".repeat(300_000);
    let input = format!("small\0{large}\0nul\0");
    sandbox.run_with_input(&["put", "-0", "-"], input.as_bytes()).assert_prints("");
    sandbox.run(&["put", "--json", "\"a\\u0000b\""]).assert_prints("");
    sandbox.run(&["close"]).assert_prints("");
    let outcome = sandbox.run(&["consumer", "--", "sh", "-c", "echo ${#1}", "sh", "{}"]);
    assert_eq!(outcome.text(), "5\n3\n");
    assert_eq!(outcome.code(), Some(1));
    for id in [2, 4] {
        let why = format!("item {id} has failed: no argument can hold it: leave {{}} out");
        assert!(outcome.stderr.contains(&why), "{}", outcome.stderr);
    }
    sandbox.run(&["failed", "--retry"]).assert_prints("2 items back in line\n");
    sandbox.run(&["consumer", "--max", "2", "--", "wc", "-c"]).assert_prints("300001\n4\n");
    sandbox.assert_nothing_left();
}

#[test]
fn a_command_need_not_read_its_item_or_may_print_more_than_any_pipe_holds() {
    let sandbox = Sandbox::new();
    let large = format!("{}\n", "x".repeat(2_000_000));
    sandbox.run_with_input(&["put", "-"], large.as_bytes()).assert_prints("");
    sandbox.run(&["consumer", "--max", "1", "--", "true"]).assert_prints("");
    sandbox.run_with_input(&["put", "-"], large.as_bytes()).assert_prints("");
    let outcome = sandbox.run(&["consumer", "--max", "1", "--", "sh", "-c", "tee /dev/stderr"]);
    assert_eq!(outcome.code(), Some(0));
    assert_same(&large, &outcome.text());
    assert_same(&large, &outcome.stderr);
    sandbox.assert_nothing_left();
}

#[test]
fn what_a_command_leaves_behind_on_purpose_is_not_waited_for() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "x"]).assert_prints("");
    let command = "sleep 1000 & echo $!";
    let outcome = sandbox.run(&["consumer", "--max", "1", "--", "sh", "-c", command]);
    assert_eq!(outcome.code(), Some(0));
    let pid = outcome.lines()[0].parse().unwrap();
    crate::harness::signal_to(pid, Signal::KILL);
    wait_for_end(pid);
    sandbox.assert_nothing_left();
}

#[test]
fn ctrl_c_ends_the_commands_and_their_items_go_back() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a", "b", "c"]).assert_prints("");
    let command = "echo started > started-{}; sleep 1000";
    let consumer = sandbox.start(&["consumer", "-j", "2", "--", "sh", "-c", command]);
    wait_for_commands(&sandbox, 2);
    consumer.signal(Signal::INT);
    let outcome = consumer.end();
    assert_eq!(outcome.signal(), Some(2));
    assert_same("", &outcome.stderr);
    let lines = sandbox.run(&["peek", "--count", "9", "--format", "json"]).lines();
    let expected: Vec<_> = [("a", 2), ("b", 2), ("c", 1)]
        .iter()
        .zip(1..)
        .map(|((item, attempt), id)| {
            format!("{{\"id\":{id},\"item\":\"{item}\",\"attempt\":{attempt}}}")
        })
        .collect();
    assert_eq!(lines, expected);
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
}

/// Waits until so many `sleep`s run, which only the list of processes tells.
fn wait_for_commands(sandbox: &Sandbox, count: usize) {
    while sandbox.processes_of("sleep 1000").len() < count {
        std::thread::yield_now();
    }
}

#[test]
fn no_command_outlives_a_consumer_that_is_killed() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a", "b", "c"]).assert_prints("");
    let consumer = sandbox.start(&["consumer", "-j", "3", "--", "sh", "-c", "sleep 1000 & wait"]);
    wait_for_commands(&sandbox, 3);
    consumer.signal(Signal::KILL);
    for command in sandbox.processes_of("sleep 1000") {
        wait_for_end(command.pid);
    }
    consumer.end();
    let status = sandbox.run(&["status"]).text();
    assert!(status.starts_with("default: 3 in line, 0 out, 0 done, 0 failed"), "{status}");
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
}

#[test]
fn an_item_is_done_only_when_its_output_has_been_written() {
    let sandbox = Sandbox::new();
    let script = "seq 100 | qdemo put -; qdemo consumer -- seq {} | head -1; echo ${PIPESTATUS[0]}";
    let outcome = sandbox.script(script);
    // 128 + SIGPIPE.
    assert_eq!(outcome.lines(), ["1", "141"]);
    let status = sandbox.run(&["status", "-q", "default", "--format", "json"]).text();
    let status: Value = serde_json::from_str(&status).unwrap();
    let (in_line, done) = (status["in_line"].as_u64().unwrap(), status["done"].as_u64().unwrap());
    assert!(in_line > 0 && in_line + done == 100, "{status}");
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
}

#[test]
fn a_killed_worker_s_item_goes_to_another_with_attempt_two_and_nothing_is_lost() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "x"]).assert_prints("");
    let first = sandbox.start(&["consumer", "--", "sleep", "1000"]);
    wait_for_commands(&sandbox, 1);
    let second =
        sandbox.start(&["consumer", "--max", "1", "--", "sh", "-c", "echo $QDEMO_ATTEMPT"]);
    first.signal(Signal::KILL);
    first.end();
    second.end().assert_prints("2\n");
    sandbox.assert_nothing_left();
}

#[test]
fn two_hundred_workers_are_killed_at_random_and_every_item_is_done() {
    let sandbox = Sandbox::new();
    const ITEMS: usize = 1000;
    let input: String = (1..=ITEMS).map(|n| format!("{n}\n")).collect();
    sandbox.run_with_input(&["put", "-"], input.as_bytes()).assert_prints("");
    let args = ["consumer", "--quiet", "--max-attempts", "0", "--"];
    let command = ["sh", "-c", "echo {} $QDEMO_ATTEMPT >> done; echo"];
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..200 {
        let mut worker = sandbox.start(&[&args[..], &command].concat());
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // After so many items, and somewhere in the middle of the next one.
        for _ in 0..random % 4 {
            worker.line();
        }
        for _ in 0..random % 3 {
            children_of(worker.pid());
        }
        worker.signal(Signal::KILL);
        worker.end();
    }
    sandbox.run(&["close"]).assert_prints("");
    let last = sandbox.run(&[&args[..], &command].concat());
    assert_eq!(last.code(), Some(0), "{}", last.stderr);
    let done = fs::read_to_string(sandbox.path("done")).unwrap();
    let done: Vec<(usize, u32)> = done
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(item, attempt)| (item.parse().unwrap(), attempt.parse().unwrap()))
        .collect();
    for item in 1..=ITEMS {
        assert!(done.iter().any(|(done, _)| *done == item), "item {item} is lost");
    }
    assert!(done.len() <= ITEMS + 200, "no item is done again but that of a killed worker");
    assert!(done.iter().any(|(_, attempt)| *attempt > 1), "no worker had anything when it died");
    let status = sandbox.run(&["status"]).text();
    assert!(status.contains(&format!("0 in line, 0 out, {ITEMS} done, 0 failed")), "{status}");
    sandbox.assert_nothing_left();
}

#[test]
fn the_pause_after_each_command_is_kept_by_each_place() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a", "b", "c"]).assert_prints("");
    sandbox.run(&["close"]).assert_prints("");
    let args = ["consumer", "--delay", "30ms", "--format", "json", "--", "true"];
    let records = records(&sandbox.run(&args).text());
    assert_eq!(records.len(), 3);
    for pair in records.windows(2) {
        let end = pair[0]["start"].as_f64().unwrap() + pair[0]["duration"].as_f64().unwrap();
        assert!(pair[1]["start"].as_f64().unwrap() - end >= 0.03);
    }
    sandbox.assert_nothing_left();
}

#[test]
fn log_lines_stand_before_what_the_commands_print_if_they_are_wanted() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a"]).assert_prints("");
    let args = ["consumer", "--max", "1", "--format", "log", "--", "echo", "hello", "{}"];
    sandbox.run(&args).assert_prints("消費者: a を取得しました\nhello a\n");
    sandbox.assert_nothing_left();
}
