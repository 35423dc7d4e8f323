//! Commands that inspect and manage queues, and the documentation that the program prints.

use crate::harness::{Sandbox, assert_same};

both!(commands_that_need_a_queue_refuse_an_unknown_one, |backend| {
    let sandbox = Sandbox::on(backend);
    for command in [
        &["join"][..],
        &["close"],
        &["close", "--now"],
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
    assert_eq!(sandbox.status_text(&[]), "");
    sandbox.run(&["status", "--format", "json"]).assert_prints("");
    sandbox.assert_nothing_left();
    sandbox.assert_no_queue();
});

both!(peek_shows_the_first_ready_items_and_leaves_them_in_the_queue, |backend| {
    let sandbox = Sandbox::on(backend);
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
    sandbox.run(&["peek"]).assert_refused(3, &["no item is ready"]);
    sandbox.assert_nothing_left();
});

both!(rm_removes_a_queue_with_items_or_clients_only_by_force, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "a", "b"]).assert_prints("");
    let rm = sandbox.run(&["rm"]);
    rm.assert_refused(1, &["`default`", "2 items (2 ready, 0 in flight, 0 failed)", "--force"]);
    sandbox.run(&["rm", "--force"]).assert_prints("removed 2 items\n");
    sandbox.assert_no_queue();
    let consumer = sandbox.start(&["consumer"]);
    sandbox.wait_for_consumer();
    sandbox.run(&["rm"]).assert_refused(1, &["1 process that uses it", "--force"]);
    sandbox.run(&["rm", "--force"]).assert_prints("");
    consumer.end().assert_refused(1, &["the queue has been removed"]);
    sandbox.assert_nothing_left();
    sandbox.assert_no_queue();
});

both!(status_lists_the_clients_and_what_each_client_waits_for, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "--capacity", "1", "a"]).assert_prints("");
    let producer = sandbox.start(&["producer", "--quiet", "--keep-open", "b"]);
    let put = sandbox.start(&["put", "c"]);
    sandbox.wait_for_status(|s| s["producers"].as_array().unwrap().len() == 2);
    let consumer = sandbox.start(&["consumer", "--delay", "1h", "--format", "raw"]);
    // The consumer holds `a`, `b` is ready, and the put of `c` is blocked.
    sandbox.wait_for_status(|s| s["consumers"][0]["in_flight"] == 1 && s["producers"][1].is_null());
    let status = sandbox.status();
    assert_eq!((&status["ready"], &status["in_flight"]), (&1.into(), &1.into()));
    assert!(status["oldest_s"].as_f64().unwrap() > 0.0);
    assert_eq!(status["consumers"][0]["pid"], consumer.pid());
    assert!(status["consumers"][0]["held_s"].as_f64().unwrap() > 0.0);
    assert_eq!(status["producers"][0]["waits_for"], "room");
    let text = sandbox.status_text(&[]);
    let lines: Vec<_> = text.lines().collect();
    assert!(
        lines[0].starts_with("default: 1 of 1 ready, 1 in flight, 0 done, 0 failed, the oldest ")
    );
    assert!(lines[1].ends_with(": 0 put, waits for room"), "{lines:?}");
    let holds = format!("  consumer {}: 0 done, has 1 item for ", consumer.pid());
    assert!(lines[2].starts_with(&holds), "{lines:?}");
    for running in [consumer, producer, put] {
        running.signal(rustix::process::Signal::KILL);
        running.end();
    }
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
});

both!(status_without_a_name_shows_all_queues_and_starts_no_keeper, |backend| {
    let sandbox = Sandbox::on(backend);
    for (queue, items) in [("b", "2"), ("a", "1"), ("キュー", "3")] {
        sandbox.run(&["put", "-q", queue, items]).assert_prints("");
        sandbox.run(&["get", "-q", queue]).assert_prints(&format!("{items}\n"));
        sandbox.wait_for_keeper_to_go(queue);
    }
    let expected: String = ["a", "b", "キュー"]
        .map(|queue| format!("{queue}: 0 ready, 0 in flight, 1 done, 0 failed\n"))
        .concat();
    assert_same(&expected, &sandbox.status_text(&[]));
    assert!(sandbox.processes_of("qdemo keeper").is_empty());
    let b = sandbox.status_text(&["-q", "b"]);
    assert_same("b: 0 ready, 0 in flight, 1 done, 0 failed\n", &b);
    sandbox.assert_nothing_left();
});

// Local: no command reaches a queue.
#[test]
fn wrong_arguments_are_refused_before_any_change() {
    let sandbox = Sandbox::new();
    for (args, words) in [
        (&["put"][..], &["there is nothing to put"][..]),
        (&["put", "x", "--timeout", "-1s"], &["--timeout", "cannot be negative"]),
        (&["get", "--timeout", "-0.5"], &["--timeout", "cannot be negative"]),
        (&["join", "--timeout", "-1s"], &["--timeout", "cannot be negative"]),
        (&["put", "x", "--timeout", "soon"], &["not a time", "write 1s"]),
        (&["put", "x", "--timeout", "1s", "--no-wait"], &["cannot be used with"]),
        (&["put", "x", "--max-item-size", "huge"], &["write 16MiB"]),
        (&["put", "-", "x"], &["stands alone"]),
        (&["get", "--count", "0"], &["at least one"]),
        (&["get", "--count", "-1"], &["whole number"]),
        (&["peek", "--count", "0"], &["at least one"]),
        (&["get", "x"], &["unexpected argument 'x'"]),
        (&["failed", "7"], &["--retry or --drop"]),
        (&["failed", "0", "--drop"], &["not an item id"]),
        (&["failed", "--retry", "--drop"], &["cannot be used with"]),
        (&["status", "--every", "1s"], &["--watch"]),
        (&["rm", "-q", "../x"], &["no `/`"]),
        (&["completions", "tcl"], &["tcl"]),
        (&["man", "nothing"], &["no command `nothing`"]),
        (&["consumer", "--lease", "0"], &["--lease", "the time cannot be 0"]),
        (&["status", "--watch", "--every", "0"], &["--every", "the time cannot be 0"]),
        (&["consumer", "--"], &["no command after --"]),
        (&["failed", "--drop", "x"], &["not an item id"]),
        (&["consumer", "--max-attempts", "-1"], &["whole number"]),
        (&["consumer", "-j", "0", "--", "true"], &["at least one"]),
        (&["consumer", "-j", "2"], &["COMMAND"]),
        (&["consumer", "--halt"], &["COMMAND"]),
        (&["consumer", "--retries", "-1", "--", "true"], &["--retries"]),
    ] {
        sandbox.run(args).assert_refused(2, words);
    }
    sandbox.assert_no_queue();
    sandbox.assert_nothing_left();
}

// Local: no command reaches a queue.
#[test]
fn completions_and_manual_pages_cover_the_commands() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = sandbox.run(&["completions", shell]);
        script.assert_done();
        // The script asks this program: `tests/suite/completions.rs` has the answers.
        assert!(script.text().contains("QDEMO_COMPLETE"), "{shell}");
    }
    let page = sandbox.run(&["man"]);
    page.assert_done();
    assert!(page.text().starts_with(".ie") && page.text().contains(".TH qdemo 1"));
    let page = sandbox.run(&["man", "put"]);
    page.assert_done();
    for part in [
        "no\\-wait",
        ".SH EXAMPLES\n.nf\n",
        "qdemo put \\-q jobs first",
        ".SH EXIT STATUS",
        "QDEMO_DIR",
    ] {
        assert!(page.text().contains(part), "no {part} in {}", page.text());
    }
}

// Local: no command reaches a queue.
#[test]
fn the_help_overview_fits_a_screen() {
    let sandbox = Sandbox::new();
    let help = sandbox.run(&["-h"]);
    help.assert_done();
    let lines = help.lines();
    assert!(lines.len() < 24, "{} lines", lines.len());
    assert!(lines.iter().all(|line| line.chars().count() < 80), "{lines:#?}");

    // The long help also says what qdemo is, and has examples and the environment.
    let long = sandbox.run(&["--help"]).text();
    let has = |part: &str| assert!(long.contains(part), "no {part} in {long}");
    lines.iter().for_each(|line| has(line));
    for variable in ["DIR", "QUEUE", "SERVER", "SERVER_PASSWORD", "SERVER_CA", "LANG"] {
        has(&format!("\n  QDEMO_{variable}  "));
    }
    for part in
        ["goes to one consumer", "\n  qdemo run\n", "-- gzip", "Exit codes: see `qdemo man`"]
    {
        has(part);
        assert!(!help.text().contains(part), "{part} in the short help");
    }
}

both!(clients_that_connect_during_a_removal_reach_the_next_queue, |backend| {
    let sandbox = Sandbox::on(backend);
    let script = r#"
        for n in $(seq 150); do qdemo put x || echo "put: $?"; done &
        putter=$!
        while kill -0 $putter 2>/dev/null; do qdemo rm --force >/dev/null 2>&1; done
        qdemo rm --force >/dev/null 2>&1
        :
    "#;
    let outcome = sandbox.script(script);
    // A client may report the removal, but no death.
    assert!(!outcome.stderr.contains("has died"), "{}", outcome.stderr);
    sandbox.assert_nothing_left();
});

both!(a_queue_name_may_look_like_an_option, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "-q", "-x", "a"]).assert_prints("");
    sandbox.run(&["get", "--queue=-x"]).assert_prints("a\n");
    sandbox.assert_nothing_left();
});

both!(failed_changes_all_named_items_or_none, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "a", "b"]).assert_prints("");
    sandbox.run(&["close"]).assert_prints("");
    assert_eq!(sandbox.run(&["consumer", "--", "false"]).code(), Some(1));
    let wrong = sandbox.run(&["failed", "--drop", "1", "99"]);
    wrong.assert_refused(1, &["item 99 is not a failed item", "qdemo failed -q default"]);
    sandbox.run(&["failed", "--retry", "1", "2"]).assert_prints("2 items are ready again\n");
    // The ended queue ends again after the retried items.
    let consumer = sandbox.run(&["consumer", "--", "echo", "{}"]);
    consumer.assert_prints("a\nb\n");
    sandbox.assert_nothing_left();
});

// Local: a server has no directories.
#[test]
fn a_directory_that_is_not_a_queue_is_left_alone() {
    let sandbox = Sandbox::new();
    for name in ["docs", "private"] {
        std::fs::create_dir(sandbox.queue(name)).unwrap();
    }
    std::fs::write(sandbox.queue("docs").join("a.txt"), "hi").unwrap();
    sandbox.run(&["status"]).assert_prints("");
    for name in ["docs", "private"] {
        sandbox.run(&["rm", "-q", name, "--force"]).assert_refused(1, &["there is no queue"]);
        assert!(sandbox.queue(name).exists());
    }
}

both!(a_missing_queue_is_told_with_the_names_that_exist, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "-q", "jobs", "x"]).assert_prints("");
    sandbox.run(&["put", "-q", "images", "x"]).assert_prints("");
    for command in ["close", "join", "peek", "failed", "rm", "status"] {
        let near = sandbox.run(&[command, "-q", "jbos"]);
        near.assert_refused(1, &["there is no queue `jbos`: did you mean `jobs`?"]);
    }
    let far = sandbox.run(&["close"]);
    far.assert_refused(1, &["there is no queue `default`: the queues are `images`, `jobs`"]);
    let near = sandbox.run(&["join", "-q", "image", "--lang", "ja"]);
    near.assert_refused(1, &["キュー「image」がありません: もしかして「images」ですか"]);
    sandbox.assert_nothing_left();
});

both!(a_get_at_its_limit_tells_that_nothing_was_ever_put, |backend| {
    let sandbox = Sandbox::on(backend);
    let unused = ["the queue `default` is empty: nothing has ever been put into it"];
    sandbox.run(&["get", "--timeout", "10ms"]).assert_refused(3, &unused);
    let quick = sandbox.run(&["get", "--no-wait"]);
    assert_eq!(quick.stderr, "qdemo: the queue `default` is empty\n");
    sandbox.run(&["put", "a"]).assert_prints("");
    sandbox.run(&["get"]).assert_prints("a\n");
    let used = sandbox.run(&["get", "--timeout", "10ms"]);
    assert_eq!(used.stderr, "qdemo: the queue `default` is empty\n");
    sandbox.assert_nothing_left();
});

both!(status_shows_the_end_of_a_queue_until_the_next_put, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "a"]).assert_prints("");
    sandbox.run(&["close"]).assert_prints("");
    sandbox.run(&["consumer", "--format", "raw"]).assert_prints("a\n");
    let status = sandbox.status_text(&[]);
    assert_same("ended:\n  default: 0 ready, 0 in flight, 1 done, 0 failed\n", &status);
    let named = sandbox.status_text(&["-q", "default"]);
    assert_same("default (ended): 0 ready, 0 in flight, 1 done, 0 failed\n", &named);
    let late = sandbox.start(&["consumer", "--format", "raw"]);
    sandbox.wait_for_consumer();
    sandbox.run(&["put", "b"]).assert_prints("");
    assert_eq!(sandbox.status()["state"], "open");
    sandbox.run(&["close"]).assert_prints("");
    // In a script, consumers often start first: a consumer reports only on a terminal that it waits.
    late.end().assert_prints("b\n");
    sandbox.assert_nothing_left();
});

both!(ended_queues_are_listed_apart_and_removed_together, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["rm", "--ended"]).assert_prints("there is no ended queue to remove\n");
    let end = |queue: &str, command: &[&str]| {
        sandbox.run(&["put", "-q", queue, "x"]).assert_prints("");
        sandbox.run(&["close", "-q", queue]).assert_prints("");
        sandbox.run(&[&["consumer", "-q", queue, "--quiet"], command].concat());
    };
    for queue in ["a", "c"] {
        end(queue, &[]);
    }
    end("failing", &["--", "false"]);
    // A queue that is closed or empty has not ended.
    sandbox.run(&["put", "-q", "b", "x"]).assert_prints("");
    sandbox.run(&["put", "-q", "closed", "x"]).assert_prints("");
    sandbox.run(&["close", "-q", "closed"]).assert_prints("");
    sandbox.run(&["get", "-q", "closed"]).assert_prints("x\n");
    let names = || {
        let text = sandbox.status_text(&[]);
        let names = text.lines().map(|line| line.split([':', '(']).next().unwrap().trim_end());
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["b", "closed", "ended", "  a", "  c", "  failing"]);

    let mut waiting = sandbox.start(&["consumer", "-q", "c", "--follow", "--format", "raw"]);
    sandbox.wait_for_consumer();
    let removal = sandbox.run(&["rm", "--ended"]);
    assert_same("removed 1 ended queue\n", &removal.text());
    let kept: Vec<_> = removal.stderr.lines().collect();
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(kept[0].starts_with("qdemo: the ended queue `c` stays, as items or clients"));
    assert!(kept[1].contains("`failing` stays, as 1 item has failed: `qdemo failed"), "{kept:?}");
    assert_eq!(removal.code(), Some(1));
    let consumer = format!("    consumer {}", waiting.pid());
    assert_eq!(names(), ["b", "closed", "ended", "  c", &consumer, "  failing"]);

    // The next round of a queue has begun with a put.
    sandbox.run(&["put", "-q", "c", "y"]).assert_prints("");
    assert_eq!(waiting.line(), "y");
    waiting.signal(rustix::process::Signal::TERM);
    waiting.end();
    sandbox.run(&["failed", "-q", "failing", "--drop"]).assert_prints("dropped 1 item\n");
    sandbox
        .run(&["rm", "--ended", "--lang", "ja"])
        .assert_prints("終了したキューを 1 個削除しました\n");
    assert_eq!(names(), ["b", "c", "closed"]);
    for args in [["-q", "b"], ["--queue", "b"]] {
        let conflict = sandbox.run(&[&["rm", "--ended"][..], &args].concat());
        conflict.assert_refused(2, &["'--ended' cannot be used with '--queue"]);
    }
    sandbox.assert_nothing_left();
});

both!(failed_prints_one_line_for_each_item_with_control_characters_escaped, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run_with_input(&["put", "-0", "-"], b"a\nb\tc\x1b[31m").assert_prints("");
    assert_eq!(sandbox.run(&["consumer", "--max", "1", "--", "false"]).code(), Some(1));
    sandbox.run(&["failed"]).assert_prints("1\t1\texit code 1\ta\\nb\\tc\\u{1b}[31m\n");
    sandbox.run(&["failed", "--drop"]).assert_prints("dropped 1 item\n");
    sandbox.assert_nothing_left();
});
