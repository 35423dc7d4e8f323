//! Each operation of the queue as a command. Many of these tests restate CPython's tests of `multiprocessing.Queue`.

use std::time::{Duration, Instant};

use crate::harness::{Running, Sandbox, assert_same, wait_while};

/// Fills a queue of capacity 6, with every form of `put`.
fn fill(sandbox: &Sandbox) {
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

fn ready_count(sandbox: &Sandbox) -> u64 {
    sandbox.status()["ready"].as_u64().unwrap()
}

both!(a_put_on_a_full_queue_and_a_get_on_an_empty_queue_keep_to_their_timeouts, |backend| {
    let sandbox = Sandbox::on(backend);
    fill(&sandbox);
    let refused = |args: &[&str]| {
        sandbox.run(args).assert_refused(3, &["`default` is full (capacity 6)", "not put: seven"]);
    };
    refused(&["put", "--no-wait", "seven"]);
    let start = Instant::now();
    refused(&["put", "--timeout", "200ms", "seven"]);
    assert!(start.elapsed() >= Duration::from_millis(200), "the put did not wait");
    assert_eq!(ready_count(&sandbox), 6);
    // The mirror image: six gets, with every form of `get`, and a seventh.
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
    assert!(start.elapsed() >= Duration::from_millis(200), "the get did not wait");
    sandbox.assert_nothing_left();
});

both!(put_names_the_items_that_do_not_fit_into_the_queue, |backend| {
    let sandbox = Sandbox::on(backend);
    let put = sandbox.run(&["put", "--capacity", "2", "--no-wait", "a", "b", "c", "d e"]);
    put.assert_refused(3, &["not put: c, d e"]);
    sandbox.run(&["get", "--count", "2"]).assert_prints("a\nb\n");
    let lines: String = (0..1000).map(|n| format!("line {n}\n")).collect();
    let put = sandbox.run_with_input(&["put", "--no-wait", "-"], lines.as_bytes());
    assert_eq!(put.code(), Some(3));
    put.assert_one_line_of_error(&["not put: line 2, line 3,"]);
    sandbox.run(&["get", "--count", "2"]).assert_prints("line 0\nline 1\n");
    sandbox.assert_nothing_left();
});

both!(status_counts_the_ready_items_after_each_put_and_get, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "--capacity", "9", "x"]).assert_prints("");
    sandbox.run(&["get"]).assert_prints("x\n");
    let mut sizes = vec![ready_count(&sandbox)];
    for command in [&["put", "a"], &["put", "b"], &["get", "--no-wait"], &["get", "--no-wait"]] {
        assert_eq!(sandbox.run(command).code(), Some(0));
        sizes.push(ready_count(&sandbox));
    }
    assert_eq!(sizes, [0, 1, 2, 1, 0]);
    let status = sandbox.status();
    assert_eq!((&status["done"], &status["capacity"]), (&3.into(), &9.into()));
    sandbox.assert_nothing_left();
});

both!(join_returns_after_four_consumers_have_done_all_ten_items, |backend| {
    let sandbox = Sandbox::on(backend);
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
});

both!(join_fails_after_its_timeout_and_counts_the_remaining_items, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "a", "b", "c"]).assert_prints("");
    let join = sandbox.run(&["join", "--timeout", "50ms"]);
    join.assert_refused(3, &["3 items", "not done within the timeout"]);
    sandbox.run(&["rm", "--force"]).assert_prints("removed 3 items\n");
    sandbox.assert_nothing_left();
});

both!(after_one_or_two_closes_a_put_fails_and_a_get_drains_the_queue, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "last"]).assert_prints("");
    for _ in 0..2 {
        sandbox.run(&["close"]).assert_prints("");
    }
    assert_eq!(sandbox.status()["state"], "closed");
    for put in [&["put", "x"][..], &["put", "--no-wait", "x"], &["producer", "x"]] {
        sandbox.run(put).assert_refused(4, &["closed"]);
    }
    sandbox.run(&["get"]).assert_prints("last\n");
    sandbox.run(&["get"]).assert_refused(4, &["`default` has ended"]);
    // The name is free again: the next put begins a new queue.
    sandbox.run(&["put", "first"]).assert_prints("");
    sandbox.run(&["get"]).assert_prints("first\n");
    sandbox.run(&["get", "--no-wait"]).assert_refused(3, &["empty"]);
    sandbox.assert_nothing_left();
});

both!(close_now_drops_the_ready_items_and_counts_them, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "a", "b", "c"]).assert_prints("");
    sandbox.run(&["close", "--now"]).assert_prints("dropped 3 items\n");
    sandbox.run(&["get"]).assert_refused(4, &["has ended"]);
    sandbox.run(&["close", "--now"]).assert_prints("dropped 0 items\n");
    sandbox.run(&["get"]).assert_refused(4, &["has ended"]);
    sandbox.assert_nothing_left();
});

both!(a_waiting_get_ends_when_the_queue_is_closed, |backend| {
    let sandbox = Sandbox::on(backend);
    let gets: Vec<_> = (0..3).map(|_| sandbox.start(&["get"])).collect();
    sandbox.wait_for_status(|status| status["consumers"].as_array().unwrap().len() == 3);
    sandbox.run(&["close"]).assert_prints("");
    for get in gets {
        get.end().assert_refused(4, &["has ended"]);
    }
    sandbox.assert_nothing_left();
});

both!(a_get_unblocks_a_waiting_put, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "--capacity", "1", "a"]).assert_prints("");
    let put = sandbox.start(&["put", "b", "--timeout", "30s"]);
    sandbox.wait_for_status(|status| status["producers"][0]["waits_for"] == "room");
    sandbox.run(&["get"]).assert_prints("a\n");
    put.end().assert_prints("");
    sandbox.run(&["get"]).assert_prints("b\n");
    sandbox.assert_nothing_left();
});

both!(a_get_waits_for_a_queue_that_does_not_exist_yet, |backend| {
    let sandbox = Sandbox::on(backend);
    let get = sandbox.start(&["get", "-q", "new"]);
    let mut watch = sandbox.start(&["status", "--format", "json", "--watch", "--every", "10ms"]);
    wait_while(|| !watch.line().contains(r#""waits_for":"item""#));
    watch.signal(rustix::process::Signal::TERM);
    watch.end();
    sandbox.run(&["put", "-q", "new", "here"]).assert_prints("");
    get.end().assert_prints("here\n");
    sandbox.assert_nothing_left();
});

both!(a_put_never_ends_a_queue_and_ids_continue_after_a_close, |backend| {
    let sandbox = Sandbox::on(backend);
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
});

both!(items_that_commands_put_are_delivered_before_the_end, |backend| {
    let sandbox = Sandbox::on(backend);
    // A tree of depth three: the command for each item puts two more items, long after the last producer has left.
    let script = r#"
        qdemo producer --quiet x 2>/dev/null
        qdemo consumer -j 3 -- sh -c '[ ${#1} -ge 4 ] || qdemo put "$1"l "$1"r; echo "$1"' sh {}
    "#;
    let outcome = sandbox.script(script);
    outcome.assert_done();
    assert_eq!(outcome.lines().len(), 15);
    sandbox.assert_nothing_left();
});

both!(shell_loops_that_call_get_all_learn_of_the_end, |backend| {
    let sandbox = Sandbox::on(backend);
    // Each get is a new process, some below a wrapper, and the slowest loop may begin after the end. The
    // script repeats the round with a queue of the same name and removes the queue after each round.
    let script = r#"
        for round in 1 2 3; do
            for worker in 1 2 3; do
                (while item=$(qdemo get --quiet); do echo "$item"; done; echo ended) &
            done
            (while item=$(timeout 30 qdemo get 2>/dev/null); do echo "$item"; done; echo ended) &
            seq 20 | qdemo put -
            qdemo close
            wait
            qdemo rm
            echo "round $round"
        done
        (item=$(qdemo get --quiet --no-wait); echo "late $? $item")
    "#;
    for _ in 0..3 {
        let outcome = sandbox.script(script);
        assert_eq!(outcome.code(), Some(0), "{outcome:?}");
        let lines = outcome.lines();
        let rounds: Vec<_> = lines.split(|line| line.starts_with("round ")).collect();
        assert_eq!(rounds.len(), 4);
        for round in &rounds[..3] {
            assert_eq!(round.len(), 24, "{round:?}");
            for item in 1..=20 {
                let times = round.iter().filter(|line| **line == item.to_string()).count();
                assert_eq!(times, 1, "item {item} in {round:?}");
            }
            assert_eq!(round.iter().filter(|line| *line == "ended").count(), 4);
        }
        assert_eq!(
            rounds[3],
            ["late 3 "],
            "a get after the last round found a queue that is not empty"
        );
    }
    sandbox.assert_nothing_left();
});

both!(newlines_or_nuls_separate_items_on_input_and_output, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run_with_input(&["put", "-0", "-"], b"two\nlines\0\0last").assert_prints("");
    sandbox.run(&["peek", "-0", "--count", "3"]).assert_prints("two\nlines\0\0last\0");
    let consumer = sandbox.run(&["consumer", "--format", "raw", "-0", "--max", "3"]);
    consumer.assert_prints("two\nlines\0\0last\0");
    sandbox.run_with_input(&["put", "-"], b"no newline at the end").assert_prints("");
    sandbox.run(&["get"]).assert_prints("no newline at the end\n");
    sandbox.assert_nothing_left();
});

both!(json_items_keep_their_text, |backend| {
    let sandbox = Sandbox::on(backend);
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
});

both!(put_refuses_a_line_that_is_not_json_and_names_its_number, |backend| {
    let sandbox = Sandbox::on(backend);
    for bad in ["{\"a\":1", "word", "", "1 2", "\"\t\"", "nul"] {
        let input = format!("1\n{bad}\n3\n");
        let put = sandbox.run_with_input(&["put", "--json", "-"], input.as_bytes());
        put.assert_refused(1, &["line 2 of standard input is not JSON", "items before it are in"]);
        assert_same("1\n", &sandbox.run(&["get", "--count", "9", "--no-wait"]).text());
    }
    sandbox.run(&["put", "--json", "1", "x"]).assert_refused(1, &["item 2 is not JSON"]);
    sandbox.run(&["get"]).assert_prints("1\n");
    sandbox.assert_nothing_left();
});

both!(max_item_size_limits_the_size_of_an_item, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "--max-item-size", "3", "abc"]).assert_prints("");
    let refused = sandbox.run(&["put", "--max-item-size", "3", "ok", "abcd"]);
    refused.assert_refused(1, &["item 2 has 4 bytes", "the limit is 3", "--max-item-size"]);
    sandbox.run(&["get", "--count", "2"]).assert_prints("abc\nok\n");
    sandbox.assert_nothing_left();
});

// Local: on a server no item is larger than 16 MiB as JSON.
#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn max_item_size_allows_items_that_are_larger_than_its_default() {
    let sandbox = Sandbox::new();
    // As JSON each control character takes six bytes: 18 MiB in all, more than the default of --max-item-size.
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
        assert!(got.stdout == item.as_bytes(), "the item has changed");
    }
    sandbox.assert_nothing_left();
}

both!(a_different_capacity_is_refused_even_when_the_queue_has_no_keeper, |backend| {
    let sandbox = Sandbox::on(backend);
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
    // The first put sets the capacity: a waiting consumer does not, and a put without --capacity sets none.
    let get = sandbox.start(&["get", "-q", "other"]);
    sandbox.wait_for_consumer();
    sandbox.run(&["put", "-q", "other", "--capacity", "2", "d"]).assert_prints("");
    get.end().assert_prints("d\n");
    sandbox.run(&["put", "-q", "third", "e"]).assert_prints("");
    let put = sandbox.run(&["put", "-q", "third", "--capacity", "2", "f"]);
    put.assert_refused(1, &["capacity 0 (unbounded), not 2"]);
    sandbox.run(&["get", "-q", "third"]).assert_prints("e\n");
    sandbox.assert_nothing_left();
});

both!(put_and_get_pass_a_million_lines_unchanged, |backend| {
    let sandbox = Sandbox::on(backend);
    let script =
        "seq 1000000 | qdemo put - && qdemo get --count 1000000 | cksum; seq 1000000 | cksum";
    let outcome = sandbox.script(script);
    outcome.assert_done();
    let lines = outcome.lines();
    assert_eq!(lines.len(), 2);
    assert_same(&lines[1], &lines[0]);
    sandbox.assert_nothing_left();
});

both!(an_interrupted_get_takes_no_further_item, |backend| {
    let sandbox = Sandbox::on(backend);
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
});

both!(a_get_whose_reader_has_gone_exits_and_takes_no_item, |backend| {
    let sandbox = Sandbox::on(backend);
    let mut get = sandbox.start(&["get"]);
    sandbox.wait_for_consumer();
    get.stop_reading();
    assert_eq!(get.end().signal(), Some(13));
    sandbox.run(&["put", "a"]).assert_prints("");
    sandbox
        .run(&["get", "--format", "json"])
        .assert_prints("{\"id\":1,\"item\":\"a\",\"attempt\":1}\n");
    sandbox.assert_nothing_left();
});

both!(a_timeout_limits_a_whole_get_and_each_line_of_a_put, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "--capacity", "1", "a"]).assert_prints("");
    let start = Instant::now();
    let get = sandbox.run(&["get", "--count", "3", "--timeout", "300ms"]);
    assert_same("a\n", &get.text());
    get.assert_one_line_of_error(&["is empty after 1 of 3 items"]);
    assert!(start.elapsed() >= Duration::from_millis(300));
    let mut put = sandbox.start(&["put", "--timeout", "300ms", "-"]);
    put.feed("b\nc\n");
    let outcome = put.end();
    outcome.assert_refused(3, &["not put: c"]);
    assert!(!outcome.stderr.contains("standard input"), "standard input was not read to its end");
    sandbox.run(&["get"]).assert_prints("b\n");
    sandbox.assert_nothing_left();
});
