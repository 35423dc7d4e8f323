//! `qdemo run --format trace`: its lines in both languages, and their agreement with the computed run.
//!
//! Local: a run has its queue on this machine.

use crate::harness::{Sandbox, assert_same};
use rustix::process::Signal;

/// A trace at full speed.
fn trace(sandbox: &Sandbox, args: &[&str]) -> String {
    let outcome = sandbox.run(&[&["run", "--format", "trace", "--speed", "max"], args].concat());
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    outcome.text()
}

/// The trace in English, and in Japanese, which is the language of the log unless a person chooses another one.
fn assert_traces(args: &str, expected: [&str; 2]) {
    let sandbox = Sandbox::new();
    let args: Vec<_> = args.split_whitespace().collect();
    for (lang, expected) in [&["--lang", "en"][..], &[]].into_iter().zip(expected) {
        assert_same(expected, &trace(&sandbox, &[&args[..], lang].concat()));
    }
}

#[test]
fn the_trace_of_the_classic_example_has_the_time_and_the_depth_of_each_event() {
    let expected = "\
[  0.000s]  生産者      アイテム0 を追加                      深さ 1 #
[  0.000s]  消費者      アイテム0 を取得                      深さ 0
[  1.000s]  生産者      アイテム1 を追加                      深さ 1 #
[  2.000s]  生産者      アイテム2 を追加                      深さ 2 ##
[  2.000s]  消費者      アイテム0 の処理を完了
[  2.000s]  消費者      アイテム1 を取得                      深さ 1 #
[  3.000s]  生産者      アイテム3 を追加                      深さ 2 ##
[  4.000s]  生産者      アイテム4 を追加                      深さ 3 ###
[  4.000s]  消費者      アイテム1 の処理を完了
[  4.000s]  消費者      アイテム2 を取得                      深さ 2 ##
[  5.000s]  生産者      終了
[  5.000s]  親プロセス  番兵を追加
[  6.000s]  消費者      アイテム2 の処理を完了
[  6.000s]  消費者      アイテム3 を取得                      深さ 1 #
[  8.000s]  消費者      アイテム3 の処理を完了
[  8.000s]  消費者      アイテム4 を取得                      深さ 0
[ 10.000s]  消費者      アイテム4 の処理を完了
[ 10.000s]  消費者      番兵を取得
[ 10.000s]  親プロセス  全プロセスが終了
";
    let sandbox = Sandbox::new();
    assert_same(expected, &trace(&sandbox, &[]));
    sandbox.assert_nothing_left();
}

/// `--items 5 --capacity 1 --producers 2 --producer-delay 500ms` in English and Japanese.
const WAITS_FOR_ROOM: [&str; 2] = [
    "\
[  0.000s]  producer 1  added item0                   depth 1/1 [#]
[  0.000s]  consumer    got item0                     depth 0/1 [.]
[  0.000s]  producer 2  added item1                   depth 1/1 [#]
[  0.500s]  producer 1  waits for room                depth 1/1 [#]
[  0.500s]  producer 2  waits for room                depth 1/1 [#]
[  2.000s]  consumer    done with item0
[  2.000s]  consumer    got item1                     depth 0/1 [.]
[  2.000s]  producer 1  added item2 (waited 1.500s)   depth 1/1 [#]
[  2.500s]  producer 1  waits for room                depth 1/1 [#]
[  4.000s]  consumer    done with item1
[  4.000s]  consumer    got item2                     depth 0/1 [.]
[  4.000s]  producer 1  added item4 (waited 1.500s)   depth 1/1 [#]
[  4.500s]  producer 1  finished
[  6.000s]  consumer    done with item2
[  6.000s]  consumer    got item4                     depth 0/1 [.]
[  6.000s]  producer 2  added item3 (waited 5.500s)   depth 1/1 [#]
[  6.500s]  producer 2  finished
[  6.500s]  parent      added the sentinel
[  8.000s]  consumer    done with item4
[  8.000s]  consumer    got item3                     depth 0/1 [.]
[ 10.000s]  consumer    done with item3
[ 10.000s]  consumer    got the sentinel
[ 10.000s]  parent      all processes have finished
",
    "\
[  0.000s]  生産者1     アイテム0 を追加                      深さ 1/1 [#]
[  0.000s]  消費者      アイテム0 を取得                      深さ 0/1 [.]
[  0.000s]  生産者2     アイテム1 を追加                      深さ 1/1 [#]
[  0.500s]  生産者1     空き待ち                              深さ 1/1 [#]
[  0.500s]  生産者2     空き待ち                              深さ 1/1 [#]
[  2.000s]  消費者      アイテム0 の処理を完了
[  2.000s]  消費者      アイテム1 を取得                      深さ 0/1 [.]
[  2.000s]  生産者1     アイテム2 を追加（空き待ち 1.500s）   深さ 1/1 [#]
[  2.500s]  生産者1     空き待ち                              深さ 1/1 [#]
[  4.000s]  消費者      アイテム1 の処理を完了
[  4.000s]  消費者      アイテム2 を取得                      深さ 0/1 [.]
[  4.000s]  生産者1     アイテム4 を追加（空き待ち 1.500s）   深さ 1/1 [#]
[  4.500s]  生産者1     終了
[  6.000s]  消費者      アイテム2 の処理を完了
[  6.000s]  消費者      アイテム4 を取得                      深さ 0/1 [.]
[  6.000s]  生産者2     アイテム3 を追加（空き待ち 5.500s）   深さ 1/1 [#]
[  6.500s]  生産者2     終了
[  6.500s]  親プロセス  番兵を追加
[  8.000s]  消費者      アイテム4 の処理を完了
[  8.000s]  消費者      アイテム3 を取得                      深さ 0/1 [.]
[ 10.000s]  消費者      アイテム3 の処理を完了
[ 10.000s]  消費者      番兵を取得
[ 10.000s]  親プロセス  全プロセスが終了
",
];

#[test]
fn a_producer_has_a_line_when_it_begins_to_wait_for_room_and_when_it_goes_on() {
    assert_traces("--items 5 --capacity 1 --producers 2 --producer-delay 500ms", WAITS_FOR_ROOM);
}

/// `--items 4 --consumers 3 --producer-delay 1s` in English and Japanese.
const WAITS_FOR_ITEMS: [&str; 2] = [
    "\
[  0.000s]  producer    added item0                   depth 1 #
[  0.000s]  consumer 1  got item0                     depth 0
[  0.000s]  consumer 2  waits for an item             depth 0
[  0.000s]  consumer 3  waits for an item             depth 0
[  1.000s]  producer    added item1                   depth 1 #
[  1.000s]  consumer 2  got item1 (waited 1.000s)     depth 0
[  2.000s]  producer    added item2                   depth 1 #
[  2.000s]  consumer 1  done with item0
[  2.000s]  consumer 1  got item2                     depth 0
[  3.000s]  producer    added item3                   depth 1 #
[  3.000s]  consumer 2  done with item1
[  3.000s]  consumer 2  got item3                     depth 0
[  4.000s]  producer    finished
[  4.000s]  parent      added the sentinel
[  4.000s]  consumer 1  done with item2
[  4.000s]  consumer 1  waits for an item             depth 0
[  5.000s]  consumer 2  done with item3
[  5.000s]  consumer 1  got the sentinel (waited 1.000s)
[  5.000s]  consumer 2  got the sentinel
[  5.000s]  consumer 3  got the sentinel (waited 5.000s)
[  5.000s]  parent      all processes have finished
",
    "\
[  0.000s]  生産者      アイテム0 を追加                      深さ 1 #
[  0.000s]  消費者1     アイテム0 を取得                      深さ 0
[  0.000s]  消費者2     待機中                                深さ 0
[  0.000s]  消費者3     待機中                                深さ 0
[  1.000s]  生産者      アイテム1 を追加                      深さ 1 #
[  1.000s]  消費者2     アイテム1 を取得（待機 1.000s）       深さ 0
[  2.000s]  生産者      アイテム2 を追加                      深さ 1 #
[  2.000s]  消費者1     アイテム0 の処理を完了
[  2.000s]  消費者1     アイテム2 を取得                      深さ 0
[  3.000s]  生産者      アイテム3 を追加                      深さ 1 #
[  3.000s]  消費者2     アイテム1 の処理を完了
[  3.000s]  消費者2     アイテム3 を取得                      深さ 0
[  4.000s]  生産者      終了
[  4.000s]  親プロセス  番兵を追加
[  4.000s]  消費者1     アイテム2 の処理を完了
[  4.000s]  消費者1     待機中                                深さ 0
[  5.000s]  消費者2     アイテム3 の処理を完了
[  5.000s]  消費者1     番兵を取得（待機 1.000s）
[  5.000s]  消費者2     番兵を取得
[  5.000s]  消費者3     番兵を取得（待機 5.000s）
[  5.000s]  親プロセス  全プロセスが終了
",
];

#[test]
fn a_consumer_has_a_line_when_it_begins_to_wait_and_when_it_takes_the_sentinel() {
    assert_traces("--items 4 --consumers 3 --producer-delay 1s", WAITS_FOR_ITEMS);
}

/// `--items 4 --consumers 2 --capacity 1 --producer-delay 500ms --chaos 1s --seed 25` in English and Japanese.
const DEATHS: [&str; 2] = [
    "\
[  0.000s]  producer    added item0                   depth 1/1 [#]
[  0.000s]  consumer 1  got item0                     depth 0/1 [.]
[  0.000s]  consumer 2  waits for an item             depth 0/1 [.]
[  0.500s]  producer    added item1                   depth 1/1 [#]
[  0.500s]  consumer 2  got item1 (waited 0.500s)     depth 0/1 [.]
[  0.591s]  producer    died (signal 9)
[  0.591s]  producer    restarted
[  0.591s]  producer    added item2                   depth 1/1 [#]
[  1.091s]  producer    waits for room                depth 1/1 [#]
[  1.878s]  producer    died (signal 9, waited 0.786s)
[  1.878s]  producer    restarted
[  1.878s]  producer    waits for room                depth 1/1 [#]
[  2.000s]  consumer 1  done with item0
[  2.000s]  consumer 1  got item2                     depth 0/1 [.]
[  2.000s]  producer    added item3 (waited 0.122s)   depth 1/1 [#]
[  2.500s]  producer    finished
[  2.500s]  parent      added the sentinel
[  2.500s]  consumer 2  done with item1
[  2.500s]  consumer 2  got item3                     depth 0/1 [.]
[  2.878s]  consumer 1  died (signal 9)
[  2.878s]  consumer 1  item2 is ready again          depth 1/1 [#]
[  2.878s]  consumer 1  restarted
[  2.878s]  consumer 1  got item2 (attempt 2)         depth 0/1 [.]
[  4.349s]  consumer 2  died (signal 9)
[  4.349s]  consumer 2  item3 is ready again          depth 1/1 [#]
[  4.349s]  consumer 2  restarted
[  4.349s]  consumer 2  got item3 (attempt 2)         depth 0/1 [.]
[  4.878s]  consumer 1  done with item2
[  4.878s]  consumer 1  waits for an item             depth 0/1 [.]
[  5.232s]  consumer 1  died (signal 9, waited 0.354s)
[  5.232s]  consumer 1  restarted
[  5.232s]  consumer 1  waits for an item             depth 0/1 [.]
[  6.349s]  consumer 2  done with item3
[  6.349s]  consumer 1  got the sentinel (waited 1.117s)
[  6.349s]  consumer 2  got the sentinel
[  6.349s]  parent      all processes have finished
",
    "\
[  0.000s]  生産者      アイテム0 を追加                      深さ 1/1 [#]
[  0.000s]  消費者1     アイテム0 を取得                      深さ 0/1 [.]
[  0.000s]  消費者2     待機中                                深さ 0/1 [.]
[  0.500s]  生産者      アイテム1 を追加                      深さ 1/1 [#]
[  0.500s]  消費者2     アイテム1 を取得（待機 0.500s）       深さ 0/1 [.]
[  0.591s]  生産者      異常終了（シグナル 9）
[  0.591s]  生産者      再起動
[  0.591s]  生産者      アイテム2 を追加                      深さ 1/1 [#]
[  1.091s]  生産者      空き待ち                              深さ 1/1 [#]
[  1.878s]  生産者      異常終了（シグナル 9、空き待ち 0.786s）
[  1.878s]  生産者      再起動
[  1.878s]  生産者      空き待ち                              深さ 1/1 [#]
[  2.000s]  消費者1     アイテム0 の処理を完了
[  2.000s]  消費者1     アイテム2 を取得                      深さ 0/1 [.]
[  2.000s]  生産者      アイテム3 を追加（空き待ち 0.122s）   深さ 1/1 [#]
[  2.500s]  生産者      終了
[  2.500s]  親プロセス  番兵を追加
[  2.500s]  消費者2     アイテム1 の処理を完了
[  2.500s]  消費者2     アイテム3 を取得                      深さ 0/1 [.]
[  2.878s]  消費者1     異常終了（シグナル 9）
[  2.878s]  消費者1     アイテム2 がキューに復帰              深さ 1/1 [#]
[  2.878s]  消費者1     再起動
[  2.878s]  消費者1     アイテム2 を取得（2 回目）            深さ 0/1 [.]
[  4.349s]  消費者2     異常終了（シグナル 9）
[  4.349s]  消費者2     アイテム3 がキューに復帰              深さ 1/1 [#]
[  4.349s]  消費者2     再起動
[  4.349s]  消費者2     アイテム3 を取得（2 回目）            深さ 0/1 [.]
[  4.878s]  消費者1     アイテム2 の処理を完了
[  4.878s]  消費者1     待機中                                深さ 0/1 [.]
[  5.232s]  消費者1     異常終了（シグナル 9、待機 0.354s）
[  5.232s]  消費者1     再起動
[  5.232s]  消費者1     待機中                                深さ 0/1 [.]
[  6.349s]  消費者2     アイテム3 の処理を完了
[  6.349s]  消費者1     番兵を取得（待機 1.117s）
[  6.349s]  消費者2     番兵を取得
[  6.349s]  親プロセス  全プロセスが終了
",
];

#[test]
fn a_death_says_how_long_the_worker_had_waited_and_an_item_says_its_attempt() {
    assert_traces(
        "--items 4 --consumers 2 --capacity 1 --producer-delay 500ms --chaos 1s --seed 25",
        DEATHS,
    );
}

#[test]
fn a_run_of_processes_and_a_computed_run_have_the_same_trace() {
    let sandbox = Sandbox::new();
    for args in [
        "",
        "--items 9 --capacity 1 --producers 2 --producer-delay 500ms",
        "--items 9 --consumers 3 --producers 2 --producer-delay 0 --consumer-delay 700ms",
        "--items 60 --producers 3 --consumers 4 --capacity 2 --chaos 1s --seed 5",
        "--items 60 --producers 2 --consumers 2 --capacity 3 --seed 9 --chaos 2s \
         --producer-delay exp:1s --consumer-delay exp:1s",
    ] {
        let args: Vec<_> = args.split_whitespace().collect();
        let computed = trace(&sandbox, &[&args[..], &["--simulate"]].concat());
        assert_same(&computed, &trace(&sandbox, &args));
    }
}

#[test]
fn the_trace_has_the_puts_and_gets_of_the_log_and_the_log_has_no_waits() {
    let sandbox = Sandbox::new();
    let args = ["run", "--items", "6", "--capacity", "1", "--consumers", "2", "--speed", "max"];
    let log = sandbox.run(&[&args[..], &["--lang", "en"]].concat()).text();
    let traced = sandbox.run(&[&args[..], &["--lang", "en", "--format", "trace"]].concat()).text();
    let events = |text: &str| -> Vec<String> {
        let words =
            |line: &str| line.replace(':', "").split_whitespace().collect::<Vec<_>>().join(" ");
        let lines = text.lines().map(words);
        lines.filter(|line| line.contains("added item") || line.contains("got item")).collect()
    };
    let (of_log, of_trace) = (events(&log), events(&traced));
    assert_eq!((of_log.len(), log.lines().count(), of_trace.len()), (12, 13, 12));
    for (log, trace) in of_log.iter().zip(&of_trace) {
        assert!(trace.contains(log.as_str()), "{log}: {trace}");
    }
}

#[test]
fn a_trace_has_colours_if_asked_for_and_each_event_stays_on_one_line() {
    let sandbox = Sandbox::new();
    let args = ["--items", "1", "--item-name", "\x1b[31m\n", "--consumers", "2", "--lang", "en"];
    let colored = trace(&sandbox, &[&args[..], &["--color", "always"]].concat());
    let lines: Vec<_> = colored.lines().collect();
    let item = "\\u{1b}[31m\\n0";
    let expected = [
        format!("[  0.000s]  \x1b[32mproducer\x1b[0m    added {item}                   depth 1 #"),
        format!("[  0.000s]  \x1b[33mconsumer 1\x1b[0m  got {item}                     depth 0"),
        format!(
            "[  0.000s]  \x1b[35mconsumer 2\x1b[0m  \x1b[1mwaits for an item\x1b[0m{}depth 0",
            " ".repeat(21)
        ),
    ];
    assert_eq!(lines[..3], expected);
    assert_eq!(lines.len(), 9, "{colored}");
    // Without colours the columns are the same.
    assert_same(&console::strip_ansi_codes(&colored), &trace(&sandbox, &args));
}

#[test]
fn without_delays_a_wait_has_two_lines_and_an_answer_at_once_has_one() {
    let sandbox = Sandbox::new();
    let args = ["--items", "300", "--producers", "2", "--capacity", "1", "--lang", "en"];
    let delays = ["--producer-delay", "0", "--consumer-delay", "0"];
    let text = trace(&sandbox, &[&args[..], &delays].concat());
    let count = |part: &str| text.lines().filter(|line| line.contains(part)).count();
    assert_eq!(
        (count(" added item"), count(" got item"), count(" done with item")),
        (300, 300, 300)
    );
    assert_eq!((count("added the sentinel"), count("got the sentinel")), (1, 1));
    assert_eq!(count(" waits for "), count("(waited "), "{text}");
    assert!(count("waits for room") > 0, "{text}");
}

#[test]
fn an_interrupted_run_shows_the_sentinel_and_the_dropped_items() {
    let sandbox = Sandbox::new();
    let args = ["run", "--format", "trace", "--items", "9", "--capacity", "2", "--lang", "en"];
    let delays = ["--producer-delay", "0", "--consumer-delay", "1s", "--speed", "10"];
    let mut run = sandbox.start(&[&args[..], &delays].concat());
    while !run.line().contains("waits for room") {}
    run.signal(Signal::INT);
    let rest = run.end().text();
    let texts: Vec<_> = rest.lines().filter_map(|line| line.split_once("]  ")).collect();
    let texts: Vec<_> = texts.iter().map(|(_, text)| text.replace(char::is_numeric, "")).collect();
    let expected = [
        "parent    added the sentinel",
        "parent    dropped the items in the queue  depth / [..]",
        "producer  finished (waited .s)",
        "consumer  done with item",
        "consumer  got the sentinel",
        "parent    all processes have finished",
    ];
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let texts: Vec<_> = texts.iter().map(|text| squeezed(text)).collect();
    assert_eq!(texts, expected.map(squeezed), "{rest}");
    sandbox.assert_nothing_left();
}
