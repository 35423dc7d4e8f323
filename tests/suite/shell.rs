//! Each operation of the queue as a command. Many of these are CPython's own tests of
//! `multiprocessing.Queue`, restated.

use std::time::{Duration, Instant};

use crate::harness::{Running, Sandbox, assert_same};

/// A queue of capacity 6 in which six items are, put in every way that there is.
fn full(sandbox: &Sandbox) {
    for put in [
        &["put", "--capacity", "6", "1"][..],
        &["put", "2"],
        &["put", "--timeout", "10s", "3"],
        &["put", "--no-wait", "4"],
        &["put", "--json", "5"],
    ] {
        sandbox.run(put).assert_prints("");
    }
    sandbox.run_with_input(&["put", "-"], b"6\n").assert_prints("");
}

fn status(sandbox: &Sandbox) -> serde_json::Value {
    let outcome = sandbox.run(&["status", "-q", "default", "--format", "json"]);
    outcome.assert_done();
    serde_json::from_str(&outcome.text()).unwrap()
}

/// Waits until the status of the default queue is as it should be: asks again and again, since
/// only the queue knows.
#[track_caller]
fn wait_for_status(sandbox: &Sandbox, is: impl Fn(&serde_json::Value) -> bool) {
    let mut watch = sandbox
        .start(&["status", "-q", "default", "--format", "json", "--watch", "--every", "10ms"]);
    loop {
        let line = watch.line();
        let status: serde_json::Value = serde_json::from_str(&line).expect("the status");
        if is(&status) {
            break;
        }
    }
    watch.signal(rustix::process::Signal::TERM);
    watch.end();
}

fn in_line(sandbox: &Sandbox) -> u64 {
    status(sandbox)["in_line"].as_u64().unwrap()
}

#[test]
fn the_seventh_put_into_a_queue_of_six_says_full_at_once_or_after_its_timeout() {
    let sandbox = Sandbox::new();
    full(&sandbox);
    let refused = |args: &[&str]| {
        sandbox.run(args).assert_refused(3, &["`default` is full (capacity 6)", "not put: seven"]);
    };
    refused(&["put", "--no-wait", "seven"]);
    let start = Instant::now();
    refused(&["put", "--timeout", "200ms", "seven"]);
    assert!(start.elapsed() >= Duration::from_millis(200), "it did not wait");
    assert_eq!(in_line(&sandbox), 6);
    // The mirror: six gets in every way, and the seventh.
    for (get, item) in [
        (&["get"][..], "1\n"),
        (&["get", "--timeout", "10s"], "2\n"),
        (&["get", "--no-wait"], "3\n"),
        (&["get", "--count", "2"], "4\n5\n"),
        (&["get", "--format", "json"], "{\"id\":6,\"item\":\"6\",\"attempt\":1}\n"),
    ] {
        sandbox.run(get).assert_prints(item);
    }
    sandbox.run(&["get", "--no-wait"]).assert_refused(3, &["`default` is empty"]);
    let start = Instant::now();
    sandbox.run(&["get", "--timeout", "200ms"]).assert_refused(3, &["`default` is empty"]);
    assert!(start.elapsed() >= Duration::from_millis(200), "it did not wait");
    sandbox.assert_nothing_left();
}

#[test]
fn what_was_not_put_is_named_and_what_was_is_in_the_queue() {
    let sandbox = Sandbox::new();
    let put = sandbox.run(&["put", "--capacity", "2", "--no-wait", "a", "b", "c", "d e"]);
    put.assert_refused(3, &["not put: c, d e"]);
    sandbox.run(&["get", "--count", "2"]).assert_prints("a\nb\n");
    let lines: String = (0..1000).map(|n| format!("line {n}\n")).collect();
    let put = sandbox.run_with_input(&["put", "--no-wait", "-"], lines.as_bytes());
    assert_eq!(put.code(), Some(3));
    put.assert_one_line_of_error(&["not put: line 2, line 3,"]);
    sandbox.run(&["get", "--count", "2"]).assert_prints("line 0\nline 1\n");
    sandbox.assert_nothing_left();
}

#[test]
fn the_size_goes_zero_one_two_one_zero() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "--capacity", "9", "x"]).assert_prints("");
    sandbox.run(&["get"]).assert_prints("x\n");
    let mut sizes = vec![in_line(&sandbox)];
    for command in [&["put", "a"], &["put", "b"], &["get", "--no-wait"], &["get", "--no-wait"]] {
        assert_eq!(sandbox.run(command).code(), Some(0));
        sizes.push(in_line(&sandbox));
    }
    assert_eq!(sizes, [0, 1, 2, 1, 0]);
    let status = status(&sandbox);
    assert_eq!((&status["done"], &status["capacity"]), (&3.into(), &9.into()));
    sandbox.assert_nothing_left();
}

#[test]
fn four_consumers_and_ten_items_and_join_is_back_after_the_tenth() {
    let sandbox = Sandbox::new();
    let script = r#"
        seq 10 | qdemo put -
        for worker in 1 2 3 4; do
            qdemo consumer -- sh -c 'echo "done {}" >> done' &
        done
        qdemo join
        echo "joined with $(wc -l < done)"
        qdemo join --timeout 10s && echo "nothing is left to wait for"
        qdemo close
        wait
    "#;
    let outcome = sandbox.script(script);
    outcome.assert_prints("joined with 10\nnothing is left to wait for\n");
    sandbox.assert_nothing_left();
}

#[test]
fn a_join_gives_up_after_its_timeout_and_tells_how_many_are_left() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a", "b", "c"]).assert_prints("");
    let join = sandbox.run(&["join", "--timeout", "50ms"]);
    join.assert_refused(3, &["3 items", "not done in time"]);
    sandbox.run(&["rm", "--force"]).assert_prints("removed 3 items\n");
    sandbox.assert_nothing_left();
}

#[test]
fn closing_twice_is_closing_and_after_it_put_fails_and_get_drains() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "last"]).assert_prints("");
    for _ in 0..2 {
        sandbox.run(&["close"]).assert_prints("");
    }
    assert_eq!(status(&sandbox)["state"], "closed");
    for put in [&["put", "x"][..], &["put", "--no-wait", "x"], &["producer", "x"]] {
        sandbox.run(put).assert_refused(4, &["closed"]);
    }
    sandbox.run(&["get"]).assert_prints("last\n");
    sandbox.run(&["get"]).assert_refused(4, &["`default` has ended"]);
    // The name is free, and what comes now is new.
    sandbox.run(&["put", "first"]).assert_prints("");
    sandbox.run(&["get"]).assert_prints("first\n");
    sandbox.run(&["get", "--no-wait"]).assert_refused(3, &["empty"]);
    sandbox.assert_nothing_left();
}

#[test]
fn closing_now_drops_what_is_in_line_and_says_how_many() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a", "b", "c"]).assert_prints("");
    sandbox.run(&["close", "--now"]).assert_prints("dropped 3 items\n");
    sandbox.run(&["get"]).assert_refused(4, &["has ended"]);
    sandbox.run(&["close", "--now"]).assert_prints("dropped 0 items\n");
    sandbox.run(&["get"]).assert_refused(4, &["has ended"]);
    sandbox.assert_nothing_left();
}

#[test]
fn a_get_that_waits_comes_back_at_once_when_the_queue_is_closed() {
    let sandbox = Sandbox::new();
    let gets: Vec<_> = (0..3).map(|_| sandbox.start(&["get"])).collect();
    wait_for_status(&sandbox, |status| status["consumers"].as_array().unwrap().len() == 3);
    sandbox.run(&["close"]).assert_prints("");
    for get in gets {
        get.end().assert_refused(4, &["has ended"]);
    }
    sandbox.assert_nothing_left();
}

#[test]
fn a_put_that_waits_is_let_through_by_a_get() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "--capacity", "1", "a"]).assert_prints("");
    let put = sandbox.start(&["put", "b", "--timeout", "30s"]);
    wait_for_status(&sandbox, |status| status["producers"][0]["waits_for"] == "room");
    sandbox.run(&["get"]).assert_prints("a\n");
    put.end().assert_prints("");
    sandbox.run(&["get"]).assert_prints("b\n");
    sandbox.assert_nothing_left();
}

#[test]
fn a_get_on_a_queue_that_nobody_has_made_waits_for_it() {
    let sandbox = Sandbox::new();
    let get = sandbox.start(&["get", "-q", "new"]);
    let mut watch = sandbox.start(&["status", "--format", "json", "--watch", "--every", "10ms"]);
    while !watch.line().contains(r#""waits_for":"item""#) {}
    watch.signal(rustix::process::Signal::TERM);
    watch.end();
    sandbox.run(&["put", "-q", "new", "here"]).assert_prints("");
    get.end().assert_prints("here\n");
    sandbox.assert_nothing_left();
}

#[test]
fn what_there_is_not_cannot_be_joined_or_looked_at_or_removed() {
    let sandbox = Sandbox::new();
    for command in [
        &["join"][..],
        &["peek"],
        &["failed"],
        &["failed", "--retry"],
        &["rm"],
        &["rm", "--force"],
        &["status", "-q", "default"],
    ] {
        let outcome = sandbox.run(command);
        outcome.assert_refused(1, &["there is no queue `default`", "`qdemo put` makes one"]);
    }
    sandbox.run(&["status"]).assert_prints("");
    sandbox.run(&["status", "--format", "json"]).assert_prints("");
    sandbox.assert_nothing_left();
    assert_eq!(std::fs::read_dir(sandbox.path("queues")).unwrap().count(), 0);
}

#[test]
fn a_put_never_ends_a_queue_and_numbers_go_on() {
    let sandbox = Sandbox::new();
    let mut consumer = sandbox.start(&["consumer", "--format", "json"]);
    for (id, item) in [(1, "a"), (2, "b")] {
        sandbox.run(&["put", item]).assert_prints("");
        let line = consumer.line();
        assert!(line.contains(&format!(r#""id":{id},"item":"{item}""#)), "{line}");
    }
    sandbox.run(&["close"]).assert_prints("");
    consumer.end().assert_prints("");
    sandbox.run(&["put", "c"]).assert_prints("");
    sandbox
        .run(&["peek", "--format", "json"])
        .assert_prints("{\"id\":3,\"item\":\"c\",\"attempt\":1}\n");
    sandbox.run(&["get"]).assert_prints("c\n");
    sandbox.assert_nothing_left();
}

#[test]
fn what_the_commands_of_the_items_put_comes_before_the_end() {
    let sandbox = Sandbox::new();
    // A tree of depth three: each item puts two more, while the last producer has left long ago.
    let script = r#"
        qdemo producer --quiet x 2>/dev/null
        qdemo consumer -j 3 -- sh -c '[ ${#1} -ge 4 ] || qdemo put "$1"l "$1"r; echo "$1"' sh {}
    "#;
    let outcome = sandbox.script(script);
    outcome.assert_done();
    assert_eq!(outcome.lines().len(), 15);
    sandbox.assert_nothing_left();
}

#[test]
fn workers_that_call_get_in_a_loop_all_come_home() {
    let sandbox = Sandbox::new();
    // Each get is a new process; the slowest loop may begin after the end.
    let script = r#"
        for worker in 1 2 3 4; do
            (while item=$(qdemo get 2>/dev/null); do echo "$item"; done; echo home) &
        done
        seq 20 | qdemo put -
        qdemo close
        wait
        (while item=$(qdemo get 2>/dev/null); do echo "late $item"; done; echo late home)
    "#;
    for _ in 0..10 {
        let outcome = sandbox.script(script);
        assert_eq!(outcome.code(), Some(0));
        let lines = outcome.lines();
        for item in 1..=20 {
            let times = lines.iter().filter(|line| **line == item.to_string()).count();
            assert_eq!(times, 1, "item {item} in {lines:?}");
        }
        assert_eq!(lines.iter().filter(|line| *line == "home").count(), 4);
        assert_eq!(lines.last().unwrap(), "late home");
    }
    sandbox.assert_nothing_left();
}

#[test]
fn peek_shows_the_first_in_line_and_leaves_them_there() {
    let sandbox = Sandbox::new();
    let items: String = (1..=5000).map(|n| format!("{n}\n")).collect();
    sandbox.run_with_input(&["put", "-"], items.as_bytes()).assert_prints("");
    sandbox.run(&["peek"]).assert_prints("1\n");
    sandbox.run(&["peek", "--count", "3"]).assert_prints("1\n2\n3\n");
    sandbox.run(&["peek", "--count", "9999"]).assert_prints(&items);
    sandbox.run(&["get", "--count", "4999"]).assert_done();
    sandbox
        .run(&["peek", "--format", "json"])
        .assert_prints("{\"id\":5000,\"item\":\"5000\",\"attempt\":1}\n");
    sandbox.run(&["get"]).assert_prints("5000\n");
    sandbox.run(&["peek"]).assert_refused(3, &["nothing is in line"]);
    sandbox.assert_nothing_left();
}

#[test]
fn items_are_lines_or_what_stands_between_nuls_and_come_out_that_way() {
    let sandbox = Sandbox::new();
    sandbox.run_with_input(&["put", "-0", "-"], b"two\nlines\0\0last").assert_prints("");
    sandbox.run(&["peek", "-0", "--count", "3"]).assert_prints("two\nlines\0\0last\0");
    let consumer = sandbox.run(&["consumer", "--format", "raw", "-0", "--max", "3"]);
    consumer.assert_prints("two\nlines\0\0last\0");
    sandbox.run_with_input(&["put", "-"], b"no newline at the end").assert_prints("");
    sandbox.run(&["get"]).assert_prints("no newline at the end\n");
    sandbox.assert_nothing_left();
}

#[test]
fn json_is_kept_as_it_is_written() {
    let sandbox = Sandbox::new();
    let lines = "\
12345678901234567890123
{\"b\": 1, \"a\":  [1.50, 1e3]}
null
\"text with \\u00e9 and \\n\"
  true  
";
    sandbox.run_with_input(&["put", "--json", "-"], lines.as_bytes()).assert_prints("");
    let shown = sandbox.run(&["peek", "--count", "9", "--format", "json"]);
    let expected = [
        "12345678901234567890123",
        "{\"b\": 1, \"a\":  [1.50, 1e3]}",
        "null",
        "\"text with \\u00e9 and \\n\"",
        "true",
    ];
    let expected: String = (1..)
        .zip(expected)
        .map(|(id, item)| format!("{{\"id\":{id},\"item\":{item},\"attempt\":1}}\n"))
        .collect();
    shown.assert_prints(&expected);
    let bare = "12345678901234567890123\n{\"b\": 1, \"a\":  [1.50, 1e3]}\nnull\n\
                text with é and \n\ntrue\n";
    sandbox.run(&["get", "--count", "5"]).assert_prints(bare);
    sandbox.run_with_input(&["put", "--json", "-0", "-"], b"[1,\n2]\0").assert_prints("");
    sandbox.run(&["get"]).assert_prints("[1, 2]\n");
    sandbox.assert_nothing_left();
}

#[test]
fn a_line_that_is_not_json_names_its_number_and_is_not_put() {
    let sandbox = Sandbox::new();
    for bad in ["{\"a\":1", "word", "", "1 2", "\"\t\"", "nul"] {
        let input = format!("1\n{bad}\n3\n");
        let put = sandbox.run_with_input(&["put", "--json", "-"], input.as_bytes());
        put.assert_refused(1, &["line 2 of standard input is not JSON", "items before it are in"]);
        assert_same("1\n", &sandbox.run(&["get", "--count", "9", "--no-wait"]).text());
    }
    sandbox.run(&["put", "--json", "1", "x"]).assert_refused(1, &["item 2 is not JSON"]);
    sandbox.run(&["get"]).assert_prints("1\n");
    sandbox.assert_nothing_left();
}

#[test]
fn an_item_may_be_as_large_as_is_said() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "--max-item-size", "3", "abc"]).assert_prints("");
    let refused = sandbox.run(&["put", "--max-item-size", "3", "ok", "abcd"]);
    refused.assert_refused(1, &["item 2 has 4 bytes", "at most 3", "--max-item-size"]);
    sandbox.run(&["get", "--count", "2"]).assert_prints("abc\nok\n");
    // Every byte of it takes six as JSON, which makes more than the keeper's own limit.
    let control = format!("{}\n", "\u{1}".repeat(3 << 20));
    let large = format!("{}\n", "x".repeat(17 << 20));
    sandbox.run_with_input(&["put", "-"], control.as_bytes()).assert_prints("");
    let put = sandbox.run_with_input(&["put", "-"], large.as_bytes());
    put.assert_refused(1, &["line 1 of standard input has 17825792 bytes", "16777216"]);
    let put = ["put", "--max-item-size", "17MiB", "-"];
    sandbox.run_with_input(&put, large.as_bytes()).assert_prints("");
    for item in [control, large] {
        let got = sandbox.run(&["get"]);
        assert_eq!(got.code(), Some(0));
        assert!(got.stdout == item.as_bytes(), "what came out is not what went in");
    }
    sandbox.assert_nothing_left();
}

#[test]
fn a_different_capacity_is_an_error_that_names_both_and_stays_known_at_rest() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "--capacity", "3", "a"]).assert_prints("");
    sandbox.run(&["get"]).assert_prints("a\n");
    sandbox.wait_for_keeper_to_go("default");
    for command in [&["put", "--capacity", "5", "x"][..], &["producer", "--capacity", "5", "x"]] {
        sandbox.run(command).assert_refused(1, &["capacity 3, not 5"]);
    }
    sandbox.run(&["put", "--capacity", "3", "b"]).assert_prints("");
    sandbox.run(&["get"]).assert_prints("b\n");
    sandbox.run(&["rm"]).assert_prints("");
    sandbox.run(&["put", "--capacity", "5", "c"]).assert_prints("");
    sandbox.run(&["get"]).assert_prints("c\n");
    sandbox.assert_nothing_left();
}

#[test]
fn a_queue_with_items_or_users_is_removed_by_force_only() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a", "b"]).assert_prints("");
    let rm = sandbox.run(&["rm"]);
    rm.assert_refused(1, &["2 items (2 in line, 0 out, 0 failed)", "--force"]);
    sandbox.run(&["rm", "--force"]).assert_prints("removed 2 items\n");
    assert!(!sandbox.queue("default").exists());
    let consumer = sandbox.start(&["consumer"]);
    wait_for_status_if_there(&sandbox);
    sandbox.run(&["rm"]).assert_refused(1, &["1 process that uses it", "--force"]);
    sandbox.run(&["rm", "--force"]).assert_prints("");
    consumer.end().assert_refused(1, &["the queue has been removed"]);
    sandbox.assert_nothing_left();
    assert_eq!(std::fs::read_dir(sandbox.path("queues")).unwrap().count(), 0);
}

fn wait_for_status_if_there(sandbox: &Sandbox) {
    let mut watch = sandbox.start(&["status", "--format", "json", "--watch", "--every", "10ms"]);
    while !watch.line().contains(r#""waits_for":"item""#) {}
    watch.signal(rustix::process::Signal::TERM);
    watch.end();
}

#[test]
fn the_status_tells_who_is_there_and_what_each_waits_for() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "--capacity", "1", "a"]).assert_prints("");
    let producer = sandbox.start(&["producer", "--quiet", "--keep-open", "b"]);
    let put = sandbox.start(&["put", "c"]);
    wait_for_status(&sandbox, |s| s["producers"].as_array().unwrap().len() == 2);
    let consumer = sandbox.start(&["consumer", "--delay", "1h", "--format", "raw"]);
    // It has a now, and b is in line; c waits.
    wait_for_status(&sandbox, |s| s["consumers"][0]["holds"] == 1 && s["producers"][1].is_null());
    let status = status(&sandbox);
    assert_eq!((&status["in_line"], &status["out"]), (&1.into(), &1.into()));
    assert!(status["oldest_s"].as_f64().unwrap() > 0.0);
    assert_eq!(status["consumers"][0]["pid"], consumer.pid());
    assert!(status["consumers"][0]["held_s"].as_f64().unwrap() > 0.0);
    assert_eq!(status["producers"][0]["waits_for"], "room");
    let text = sandbox.run(&["status"]);
    text.assert_done();
    let lines = text.lines();
    assert!(lines[0].starts_with("default: 1 of 1 in line, 1 out, 0 done, 0 failed, the oldest "));
    assert!(lines[1].ends_with(": waits for room"), "{lines:?}");
    let holds = format!("  consumer {}: has 1 item for ", consumer.pid());
    assert!(lines[2].starts_with(&holds), "{lines:?}");
    for running in [consumer, producer, put] {
        running.signal(rustix::process::Signal::KILL);
        running.end();
    }
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
}

#[test]
fn all_queues_are_shown_when_none_is_named_and_none_is_woken_for_it() {
    let sandbox = Sandbox::new();
    for (queue, items) in [("b", "2"), ("a", "1"), ("キュー", "3")] {
        sandbox.run(&["put", "-q", queue, items]).assert_prints("");
        sandbox.run(&["get", "-q", queue]).assert_prints(&format!("{items}\n"));
        sandbox.wait_for_keeper_to_go(queue);
    }
    let expected: String = ["a", "b", "キュー"]
        .map(|queue| format!("{queue}: 0 in line, 0 out, 1 done, 0 failed\n"))
        .concat();
    sandbox.run(&["status"]).assert_prints(&expected);
    assert!(sandbox.processes_of("qdemo keeper").is_empty());
    sandbox.run(&["status", "-q", "b"]).assert_prints("b: 0 in line, 0 out, 1 done, 0 failed\n");
    sandbox.assert_nothing_left();
}

#[test]
fn a_million_lines_in_and_out() {
    let sandbox = Sandbox::new();
    let script =
        "seq 1000000 | qdemo put - && qdemo get --count 1000000 | cksum; seq 1000000 | cksum";
    let outcome = sandbox.script(script);
    outcome.assert_done();
    let lines = outcome.lines();
    assert_eq!(lines.len(), 2);
    assert_same(&lines[1], &lines[0]);
    sandbox.assert_nothing_left();
}

#[test]
fn what_is_asked_in_a_wrong_way_is_refused_before_anything_happens() {
    let sandbox = Sandbox::new();
    for (args, words) in [
        (&["put"][..], &["ITEM"][..]),
        (&["put", "x", "--timeout", "-1s"], &["--timeout", "cannot be negative"]),
        (&["get", "--timeout", "-0.5"], &["--timeout", "cannot be negative"]),
        (&["join", "--timeout", "-1s"], &["--timeout", "cannot be negative"]),
        (&["put", "x", "--timeout", "soon"], &["not a delay", "write 1s"]),
        (&["put", "x", "--timeout", "1s", "--no-wait"], &["cannot be used with"]),
        (&["put", "x", "--max-item-size", "huge"], &["write 16MiB"]),
        (&["put", "-", "x"], &["stands alone"]),
        (&["get", "--count", "0"], &["--count 0 asks for nothing"]),
        (&["get", "--count", "-1"], &["whole number"]),
        (&["peek", "--count", "0"], &["--count 0 asks for nothing"]),
        (&["get", "x"], &["unexpected argument 'x'"]),
        (&["failed", "7"], &["--retry or --drop"]),
        (&["failed", "0", "--drop"], &["0"]),
        (&["failed", "--retry", "--drop"], &["cannot be used with"]),
        (&["status", "--every", "1s"], &["--watch"]),
        (&["rm", "-q", "../x"], &["no `/`"]),
        (&["completions", "tcl"], &["tcl"]),
        (&["man", "nothing"], &["no command `nothing`"]),
        (&["consumer", "--lease", "0"], &["lease of nothing"]),
        (&["consumer", "-j", "0", "--", "true"], &["at least one"]),
        (&["consumer", "-j", "2"], &["COMMAND"]),
        (&["consumer", "--halt"], &["COMMAND"]),
        (&["consumer", "--retries", "-1", "--", "true"], &["--retries"]),
    ] {
        sandbox.run(args).assert_refused(2, words);
    }
    assert_eq!(std::fs::read_dir(sandbox.path("queues")).unwrap().count(), 0);
    sandbox.assert_nothing_left();
}

#[test]
fn completions_and_manual_pages_are_made_of_the_commands() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = sandbox.run(&["completions", shell]);
        script.assert_done();
        assert!(script.text().contains("timeout-each"), "{shell}");
        assert!(!script.text().contains("keeper"), "what is hidden is not completed in {shell}");
    }
    let page = sandbox.run(&["man"]);
    page.assert_done();
    assert!(page.text().starts_with(".ie") && page.text().contains(".TH qdemo 1"));
    let page = sandbox.run(&["man", "put"]);
    page.assert_done();
    assert!(page.text().contains("no\\-wait"), "{}", page.text());
}

#[test]
fn the_overview_fits_a_screen() {
    let help = Sandbox::new().run(&["--help"]);
    help.assert_done();
    let lines = help.lines();
    assert!(lines.len() < 24, "{} lines", lines.len());
    assert!(lines.iter().all(|line| line.chars().count() < 80), "{lines:#?}");
}

#[test]
fn an_interrupted_get_gives_nothing_away() {
    let sandbox = Sandbox::new();
    let get = sandbox.start(&["get", "--count", "3"]);
    sandbox.run(&["put", "a"]).assert_prints("");
    let mut get: Running = get;
    assert_eq!(get.line(), "a");
    get.signal(rustix::process::Signal::INT);
    let outcome = get.end();
    assert_eq!(outcome.signal(), Some(2));
    sandbox.run(&["put", "b"]).assert_prints("");
    sandbox.run(&["get"]).assert_prints("b\n");
    sandbox.assert_nothing_left();
}
