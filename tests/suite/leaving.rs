//! A command leaves no process, pipe or folder behind, however the command ends.
//!
//! The tests that are not of `both!` are of runs and keepers.

use std::fs;

use rustix::process::Signal;

use crate::harness::{Running, Sandbox, assert_same, children_of, wait_for_end};

/// Starts a run and waits until the consumer holds the first item. Paced time goes on.
fn busy_run(sandbox: &Sandbox, more: &[&str]) -> Running {
    let args = ["run", "--items", "1000", "--speed", "20"];
    let mut run = sandbox.start(&[&args[..], more].concat());
    assert_eq!(run.line(), "生産者: アイテム0 を追加しました");
    assert_eq!(run.line(), "消費者: アイテム0 を取得しました");
    run
}

#[test]
fn consumers_finish_after_a_signal_and_the_run_dies_by_the_signal() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let sandbox = Sandbox::new().in_japanese();
        let run = busy_run(&sandbox, &["--format", "log"]);
        run.signal(signal);
        let outcome = run.end();
        assert_eq!(outcome.signal(), Some(signal.as_raw()));
        assert_eq!(outcome.lines().last().unwrap(), "すべてのプロセスが終了しました");
        let notices = "\
消費者が手元のアイテムを処理し終えるのを待っています（もう一度 Ctrl-C を押すと直ちに終了します）
中断しました: 999 個のアイテムは処理されていません
";
        assert_same(notices, &outcome.stderr);
        sandbox.assert_nothing_left();
    }
}

#[test]
fn the_consumer_of_an_interrupted_run_finishes_its_item() {
    let sandbox = Sandbox::new();
    let args = ["run", "--items", "100", "--consumer-delay", "20s", "--speed", "20"];
    let mut run = sandbox.start(&[&args[..], &["--format", "json"]].concat());
    let (put, get) = (run.line(), run.line());
    assert!(put.contains(r#""event":"put""#) && get.contains(r#""event":"get""#));
    run.signal(Signal::INT);
    let outcome = run.end();
    let events: Vec<serde_json::Value> =
        outcome.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let done = events.iter().find(|event| event["event"] == "done").unwrap();
    assert_eq!((&done["id"], &done["t"]), (&1.into(), &20.0.into()));
    assert_eq!(events.last().unwrap()["event"], "end");
    assert_eq!(events.last().unwrap()["t"], 20.0);
}

#[test]
fn producers_with_blocked_puts_stop_after_a_signal() {
    let sandbox = Sandbox::new();
    let more = ["--capacity", "1", "--producer-delay", "0", "--producers", "1"];
    let run = busy_run(&sandbox, &more);
    run.signal(Signal::INT);
    assert_eq!(run.end().signal(), Some(2));
    sandbox.assert_nothing_left();
}

#[test]
fn producers_put_nothing_after_a_signal() {
    let sandbox = Sandbox::new().in_japanese();
    let args = ["run", "--items", "9", "--producer-delay", "1h", "--consumer-delay", "1ms"];
    let mut run = sandbox.start(&[&args[..], &["--format", "json"]].concat());
    for kind in ["put", "get", "done"] {
        assert!(run.line().contains(kind));
    }
    run.signal(Signal::TERM);
    let outcome = run.end();
    assert_eq!(outcome.signal(), Some(15));
    let lines = outcome.lines();
    assert_eq!(lines.len(), 3, "{lines:?}");
    for (line, kind) in lines.iter().zip(["left", "left", "end"]) {
        assert!(line.contains(&format!(r#""event":"{kind}""#)), "{line}");
    }
    assert_eq!(outcome.stderr, "中断しました: 8 個のアイテムは処理されていません\n");
}

both!(commands_whose_reader_does_not_read_end_at_a_signal, |backend| {
    let sandbox = Sandbox::on(backend);
    // The output is larger than the pipe, and the test reads only the first line.
    let name = "x".repeat(1000);
    let endless = ["--items", "1000000", "--item-name", &name, "--capacity", "1000"];
    let delays = ["--producer-delay", "0", "--consumer-delay", "0"];
    let mut run = sandbox.start(&[&["run"][..], &endless, &delays].concat());
    let producer = sandbox.start(&[&["producer", "--quiet"][..], &endless].concat());
    let mut consumer = sandbox.start(&["consumer"]);
    for started in [&mut run, &mut consumer] {
        assert!(started.line().contains("x0 を"));
        started.signal(Signal::TERM);
        wait_for_end(started.pid());
    }
    producer.signal(Signal::TERM);
    for ended in [run, consumer, producer] {
        assert_eq!(ended.end().signal(), Some(15));
    }
    for keeper in sandbox.processes_of("qdemo keeper") {
        crate::harness::signal_to(keeper.pid, Signal::TERM);
    }
    sandbox.assert_nothing_left();
});

#[test]
fn a_run_without_delays_can_be_interrupted() {
    let sandbox = Sandbox::new();
    let delays = ["--producer-delay", "0", "--consumer-delay", "0"];
    let args = ["run", "--items", "18446744073709551615", "--capacity", "1000"];
    let mut run = sandbox.start(&[&args[..], &delays].concat());
    assert_eq!(run.line(), "生産者: アイテム0 を追加しました");
    run.signal(Signal::INT);
    let outcome = run.end();
    assert_eq!(outcome.signal(), Some(2));
    assert_eq!(outcome.lines().last().unwrap(), "すべてのプロセスが終了しました");
    sandbox.assert_nothing_left();
}

#[test]
fn a_second_signal_ends_a_run_at_once() {
    let sandbox = Sandbox::new();
    // The consumer needs an hour for its item.
    let args = ["run", "--consumer-delay", "1h", "--lang", "en"];
    let mut run = sandbox.start(&args);
    assert_eq!(run.line(), "producer: added item0");
    assert_eq!(run.line(), "consumer: got item0");
    let consumer = children_of(run.pid());
    let consumer = consumer.iter().find(|child| child.args.starts_with("qdemo consumer")).unwrap();
    let producer = sandbox.processes_of("qdemo producer");
    run.signal(Signal::INT);
    // The end of the producer shows that the run has got the first signal.
    wait_for_end(producer[0].pid);
    run.signal(Signal::TERM);
    let pid = consumer.pid;
    let outcome = run.end();
    assert_eq!(outcome.signal(), Some(15));
    assert!(sandbox.processes().iter().all(|process| process.pid != pid));
    sandbox.assert_nothing_left();
}

#[test]
fn a_run_ends_quietly_when_its_reader_leaves() {
    let sandbox = Sandbox::new();
    let script = "qdemo run --speed 20 | head -3; echo ${PIPESTATUS[0]}";
    let expected = "\
生産者: アイテム0 を追加しました
消費者: アイテム0 を取得しました
生産者: アイテム1 を追加しました
141
";
    sandbox.script(script).assert_prints(expected);
    sandbox.assert_nothing_left();
    let mut run = sandbox.start(&["run", "--speed", "20", "--consumer-delay", "1h"]);
    assert_eq!(run.line(), "生産者: アイテム0 を追加しました");
    run.stop_reading();
    let outcome = run.end();
    assert_eq!((outcome.signal(), outcome.stderr.as_str()), (Some(13), ""));
    sandbox.assert_nothing_left();
}

#[test]
fn a_killed_parent_leaves_no_workers_and_the_next_run_removes_its_folder() {
    let sandbox = Sandbox::new();
    let run = busy_run(&sandbox, &[]);
    let children = children_of(run.pid());
    assert_eq!(children.len(), 2);
    run.signal(Signal::KILL);
    let outcome = run.end();
    assert_eq!((outcome.signal(), outcome.stderr.as_str()), (Some(9), ""));
    for child in children {
        wait_for_end(child.pid);
    }
    assert_eq!(fs::read_dir(sandbox.path("tmp")).unwrap().count(), 1);
    sandbox.run(&["run", "--speed", "max", "--quiet"]).assert_done();
    sandbox.assert_nothing_left();
}

#[test]
fn a_run_leaves_foreign_folders_alone() {
    let sandbox = Sandbox::new();
    let live = busy_run(&sandbox, &[]);
    let foreign = sandbox.path("tmp").join("qdemo-run.mine");
    fs::create_dir(&foreign).unwrap();
    sandbox.run(&["run", "--speed", "max", "--quiet"]).assert_done();
    assert!(foreign.exists());
    fs::remove_dir(foreign).unwrap();
    assert_eq!(fs::read_dir(sandbox.path("tmp")).unwrap().count(), 1, "not only the live folder");
    live.signal(Signal::INT);
    assert_eq!(live.end().signal(), Some(2));
    sandbox.assert_nothing_left();
}

#[test]
fn a_killed_consumer_is_reported_and_its_item_goes_to_the_other_consumer() {
    let sandbox = Sandbox::new().in_japanese();
    let args = ["run", "--items", "3", "--consumers", "2", "--consumer-delay", "5s"];
    let more = ["--producer-delay", "2s", "--speed", "20", "--respawn", "0"];
    let args = [&args[..], &more].concat();
    let mut run = sandbox.start(&args);
    assert_eq!(run.line(), "生産者: アイテム0 を追加しました");
    assert_eq!(run.line(), "消費者1: アイテム0 を取得しました");
    let first = sandbox.processes_of("qdemo consumer").remove(0);
    assert!(first.args.contains("--worker=1/2"), "{first:?}");
    crate::harness::signal_to(first.pid, Signal::KILL);
    let outcome = run.end();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    let summary = "3 個中 3 個のアイテムを処理しました\
                （異常終了 1 回、再起動 0 回、再配信したアイテム 1 個）\n";
    assert_same(summary, &outcome.stderr);
    let lines = outcome.lines();
    let died = lines.iter().position(|line| line == "消費者1: 異常終了しました（シグナル 9）");
    let back = lines
        .iter()
        .position(|line| line == "消費者1: アイテム0 がキューに戻りました（次は 2 回目）");
    assert!(died.is_some() && back == died.map(|died| died + 1), "{lines:?}");
    let gets: Vec<_> = outcome.lines().into_iter().filter(|line| line.contains("取得")).collect();
    let expected = ["消費者2: アイテム0 を取得しました（2 回目）"];
    assert_eq!(gets[..1], expected);
    assert_eq!(gets.len(), 3);
    sandbox.assert_nothing_left();
}

#[test]
fn a_run_without_live_consumers_fails_and_counts_the_items_not_done() {
    let sandbox = Sandbox::new();
    let run = busy_run(&sandbox, &["--respawn", "0"]);
    let consumer = sandbox.processes_of("qdemo consumer").remove(0);
    crate::harness::signal_to(consumer.pid, Signal::KILL);
    let outcome = run.end();
    assert_eq!(outcome.code(), Some(1));
    let last = outcome.stderr.lines().last().unwrap();
    assert_eq!(last, "qdemo: 1000 of 1000 items were not done, since workers have died");
    sandbox.assert_nothing_left();
}

#[test]
fn a_stopped_consumer_does_not_hold_up_the_other_consumer() {
    let sandbox = Sandbox::new();
    let args = ["run", "--items", "4", "--consumers", "2", "--speed", "20", "--lang", "en"];
    let mut run = sandbox.start(&args);
    assert_eq!(run.line(), "producer: added item0");
    assert_eq!(run.line(), "consumer 1: got item0");
    let first = sandbox.processes_of("qdemo consumer").remove(0);
    crate::harness::signal_to(first.pid, Signal::STOP);
    let mut seen = Vec::new();
    while !seen.contains(&"consumer 2: got item3".to_owned()) {
        let line = run.line();
        assert!(!line.is_empty(), "{seen:?}");
        seen.push(line);
    }
    crate::harness::signal_to(first.pid, Signal::CONT);
    let outcome = run.end();
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), ""));
    sandbox.assert_nothing_left();
}

both!(an_interrupted_consumer_requeues_its_item_and_dies_by_the_signal, |backend| {
    for signal in [Signal::INT, Signal::TERM] {
        let sandbox = Sandbox::on(backend);
        let mut consumer = sandbox.start(&["consumer", "--delay", "1h", "--format", "raw"]);
        sandbox.run(&["producer", "--quiet", "a"]);
        assert_eq!(consumer.line(), "a");
        consumer.signal(signal);
        let outcome = consumer.end();
        assert_eq!((outcome.signal(), outcome.stderr.as_str()), (Some(signal.as_raw()), ""));
        sandbox.run(&["consumer", "--format", "raw"]).assert_prints("a\n");
        sandbox.assert_nothing_left();
    }
});

both!(accepted_items_of_an_interrupted_producer_stay_in_the_queue, |backend| {
    let sandbox = Sandbox::on(backend);
    let mut producer = sandbox.start(&["producer", "-"]);
    producer.feed("a\n");
    assert_eq!(producer.line(), "生産者: a を追加しました");
    producer.signal(Signal::INT);
    // Standard input of the producer is still open.
    wait_for_end(producer.pid());
    assert_eq!(producer.end().signal(), Some(2));
    sandbox.run(&["consumer", "--format", "raw"]).assert_prints("a\n");
    sandbox.assert_nothing_left();
});

both!(a_consumer_whose_reader_has_left_requeues_the_item_it_could_not_print, |backend| {
    let sandbox = Sandbox::on(backend);
    let mut consumer = sandbox.start(&["consumer", "--format", "raw"]);
    sandbox.run(&["producer", "--quiet", "--keep-open", "a"]);
    assert_eq!(consumer.line(), "a");
    consumer.stop_reading();
    sandbox.run(&["producer", "--quiet", "b"]);
    let outcome = consumer.end();
    assert_eq!((outcome.signal(), outcome.stderr.as_str()), (Some(13), ""));
    sandbox.run(&["consumer", "--format", "raw"]).assert_prints("b\n");
    sandbox.assert_nothing_left();
});

#[test]
fn a_run_under_nohup_ignores_a_hangup() {
    let sandbox = Sandbox::new();
    let mut nohup = sandbox.command("nohup");
    nohup.args([crate::harness::QDEMO, "run", "--speed", "20"]);
    let mut run = Running::start(nohup);
    assert_eq!(run.line(), "生産者: アイテム0 を追加しました");
    run.signal(Signal::HUP);
    let outcome = run.end();
    assert_eq!(outcome.code(), Some(0));
    assert_eq!(outcome.lines().len(), 10);
}

#[test]
fn a_terminated_keeper_removes_its_inbox() {
    let sandbox = Sandbox::new();
    let mut producer = sandbox.start(&["producer", "--format", "json", "-"]);
    producer.feed("a\n");
    producer.line();
    let keeper = sandbox.processes_of("qdemo keeper").remove(0);
    crate::harness::signal_to(keeper.pid, Signal::TERM);
    wait_for_end(keeper.pid);
    // The producer still needs a keeper, and starts another one.
    producer.feed("b\n");
    assert!(producer.line().contains(r#""id":2,"item":"b""#));
    assert_eq!(producer.end().code(), Some(0));
    sandbox.assert_nothing_left();
    sandbox.run(&["get", "--count", "2"]).assert_prints("a\nb\n");
}
