//! `qdemo run`: its transcripts, its options and its processes.
//!
//! Local: a run has its queue on this machine.

use crate::harness::{CLASSIC, Sandbox, assert_same, children_of};
use rustix::process::Signal;

share! {
fn the_classic_example_prints_the_same_transcript_every_time(rounds: 8, all: 100) {
    let sandbox = Sandbox::new();
    for _ in 0..rounds {
        let args = ["run", "--items", "5", "--producer-delay", "1s"];
        let args = [&args[..], &["--consumer-delay", "2s", "--speed", "max"]].concat();
        sandbox.run(&args).assert_prints(CLASSIC);
    }
    sandbox.assert_nothing_left();
}
}

#[test]
fn the_classic_example_prints_the_same_transcript_at_speed_20() {
    let sandbox = Sandbox::new();
    sandbox.run(&["run", "--speed", "20"]).assert_prints(CLASSIC);
}

#[test]
fn the_defaults_are_the_classic_example() {
    let sandbox = Sandbox::new();
    sandbox.run(&["run", "--speed", "max"]).assert_prints(CLASSIC);
}

#[test]
fn option_and_environment_select_english() {
    let expected = "\
producer: added item0
consumer: got item0
producer: added item1
consumer: got item1
all processes have finished
";
    let sandbox = Sandbox::new();
    let args = ["run", "--items", "2", "--speed", "max", "--consumer-delay", "1s"];
    sandbox.run(&[&args[..], &["--lang", "en"]].concat()).assert_prints(expected);
    let mut command = sandbox.qdemo(&args);
    command.env("QDEMO_LANG", "en");
    crate::harness::Running::start(command).end().assert_prints(expected);
}

#[test]
fn several_workers_are_numbered_and_take_turns_in_a_fixed_order() {
    let expected = "\
生産者1: アイテム0 を追加しました
生産者2: アイテム1 を追加しました
消費者1: アイテム0 を取得しました
消費者2: アイテム1 を取得しました
生産者1: アイテム2 を追加しました
生産者2: アイテム3 を追加しました
消費者3: アイテム2 を取得しました
生産者1: アイテム4 を追加しました
生産者2: アイテム5 を追加しました
消費者1: アイテム3 を取得しました
消費者2: アイテム4 を取得しました
生産者1: アイテム6 を追加しました
消費者3: アイテム5 を取得しました
消費者1: アイテム6 を取得しました
すべてのプロセスが終了しました
";
    let sandbox = Sandbox::new();
    for speed in ["max", "max", "max", "max", "40"] {
        let args = ["run", "--items", "7", "--producers", "2", "--consumers", "3"];
        sandbox.run(&[&args[..], &["--speed", speed]].concat()).assert_prints(expected);
    }
}

#[test]
fn a_run_is_paced_when_only_one_role_has_a_delay() {
    let sandbox = Sandbox::new();
    let args = ["run", "--items", "40", "--producers", "3", "--consumers", "2", "--speed", "max"];
    for delays in [["0", "7ms"], ["3ms", "0"]] {
        let delays = ["--producer-delay", delays[0], "--consumer-delay", delays[1]];
        let args = [&args[..], &delays].concat();
        let first = sandbox.run(&args);
        assert_eq!(first.lines().len(), 81);
        for _ in 0..10 {
            sandbox.run(&args).assert_prints(&first.text());
        }
    }
}

#[test]
fn with_capacity_1_a_put_waits_until_the_item_before_is_delivered() {
    let events = events_of(&["--items", "4", "--capacity", "1", "--producer-delay", "0"]);
    let puts = times(&events, "put");
    let gets = times(&events, "get");
    // Item n is delivered at 2n. From item 2 on, item n is put when the delivery of item n − 1 frees the slot.
    assert_eq!(gets, [0.0, 2.0, 4.0, 6.0]);
    assert_eq!(puts, [0.0, 0.0, 2.0, 4.0]);
    let order: Vec<_> = events.iter().map(|e| e["event"].as_str().unwrap()).collect();
    assert_eq!(order[..3], ["put", "get", "put"]);
}

#[test]
fn event_times_are_exact_at_every_speed() {
    for speed in ["max", "50"] {
        let delays = ["--producer-delay", "0.1", "--consumer-delay", "300ms"];
        let events = events_of(&[&["--items", "3", "--speed", speed][..], &delays].concat());
        assert_eq!(times(&events, "put"), [0.0, 0.1, 0.2], "speed {speed}");
        assert_eq!(times(&events, "get"), [0.0, 0.3, 0.6], "speed {speed}");
        assert_eq!(times(&events, "done"), [0.3, 0.6, 0.9], "speed {speed}");
        assert_eq!(times(&events, "end"), [0.9], "speed {speed}");
    }
}

#[test]
fn events_are_json_objects_with_all_keys() {
    let expected = r#"{"t":0.0,"event":"put","role":"producer","worker":1,"id":1,"item":"部品0","attempt":1,"waited":0.0}
{"t":0.0,"event":"left","role":"producer","worker":1,"id":null,"item":null,"attempt":null,"waited":null}
{"t":0.0,"event":"get","role":"consumer","worker":1,"id":1,"item":"部品0","attempt":1,"waited":0.0}
{"t":1.5,"event":"done","role":"consumer","worker":1,"id":1,"item":"部品0","attempt":1,"waited":null}
{"t":1.5,"event":"left","role":"consumer","worker":1,"id":null,"item":null,"attempt":null,"waited":0.0}
{"t":1.5,"event":"end","role":null,"worker":null,"id":null,"item":null,"attempt":null,"waited":null}
"#;
    let sandbox = Sandbox::new();
    let args = ["run", "--items", "1", "--item-name", "部品", "--producer-delay", "0"];
    let more = ["--consumer-delay", "1.5s", "--speed", "max", "--format", "json"];
    sandbox.run(&[&args[..], &more].concat()).assert_prints(expected);
}

#[test]
fn without_delays_each_item_is_put_then_delivered_once_then_done() {
    let sandbox = Sandbox::new();
    let delays = ["--producer-delay", "0", "--consumer-delay", "0"];
    let args =
        ["run", "--items", "5000", "--producers", "3", "--consumers", "4", "--format", "json"];
    let outcome = sandbox.run(&[&args[..], &delays].concat());
    outcome.assert_done();
    let mut stage = std::collections::HashMap::new();
    let mut next_item_of = std::collections::HashMap::new();
    for line in outcome.lines() {
        let event: serde_json::Value = serde_json::from_str(&line).unwrap();
        let kind = event["event"].as_str().unwrap();
        let item = event["item"].as_str().unwrap_or_default().to_owned();
        let expected = match kind {
            "put" => None,
            "get" => Some("put"),
            "done" => Some("get"),
            "left" | "end" => continue,
            other => panic!("{other}?"),
        };
        assert_eq!(stage.insert(item.clone(), kind.to_owned()).as_deref(), expected, "{line}");
        if kind == "put" {
            // Each producer puts every third item, in order.
            let worker = event["worker"].as_u64().unwrap();
            let next = next_item_of.entry(worker).or_insert(worker - 1);
            assert_eq!(item, format!("アイテム{next}"));
            *next += 3;
        }
    }
    assert_eq!(stage.len(), 5000);
    assert!(stage.values().all(|kind| kind == "done"));
    sandbox.assert_nothing_left();
}

#[test]
fn a_run_with_few_or_no_items_works() {
    let sandbox = Sandbox::new();
    let end = "すべてのプロセスが終了しました\n";
    sandbox.run(&["run", "--items", "0"]).assert_prints(end);
    let none = ["run", "--items", "0", "--producer-delay", "0", "--consumer-delay", "0"];
    sandbox.run(&none).assert_prints(end);
    sandbox.run(&["run", "--items", "2", "--producers", "5", "--speed", "max"]).assert_done();
}

#[test]
fn a_quiet_run_prints_nothing() {
    Sandbox::new().run(&["run", "--speed", "max", "--quiet"]).assert_prints("");
}

#[test]
fn a_run_with_a_hundred_producers_and_a_hundred_consumers_works() {
    let sandbox = Sandbox::new();
    let args = ["run", "--items", "300", "--producers", "100", "--consumers", "100"];
    let first = sandbox.run(&[&args[..], &["--speed", "max"]].concat());
    first.assert_done();
    assert_eq!(first.lines().len(), 601);
    let again = sandbox.run(&[&args[..], &["--speed", "max"]].concat());
    assert_same(&first.text(), &again.text());
    let delays = ["--producer-delay", "0", "--consumer-delay", "0"];
    let unpaced = sandbox.run(&[&args[..], &delays].concat());
    unpaced.assert_done();
    assert_eq!(unpaced.lines().len(), 601);
    sandbox.assert_nothing_left();
}

#[test]
fn workers_run_the_same_program_and_have_two_named_pipes_each() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.start(&["run", "--items", "50", "--producers", "2"]);
    assert_eq!(run.line(), "生産者1: アイテム0 を追加しました");
    let children = children_of(run.pid());
    let args: Vec<_> = children.iter().map(|child| child.args.as_str()).collect();
    assert_eq!(args.iter().filter(|args| args.starts_with("qdemo producer ")).count(), 2);
    assert_eq!(args.iter().filter(|args| args.starts_with("qdemo consumer ")).count(), 1);
    assert_eq!(args.len(), 3);
    for child in &children {
        let executable = std::fs::read_link(format!("/proc/{}/exe", child.pid)).unwrap();
        let expected = std::fs::canonicalize(crate::harness::QDEMO).unwrap();
        assert_eq!(executable, expected);
        let name = std::fs::read_to_string(format!("/proc/{}/comm", child.pid)).unwrap();
        assert_eq!(name, "qdemo\n", "top and pkill show another name");
        let fds = std::fs::read_dir(format!("/proc/{}/fd", child.pid)).unwrap().flatten();
        let paths: Vec<_> = fds.filter_map(|fd| std::fs::read_link(fd.path()).ok()).collect();
        let ends = |pipe: &str| {
            let name = format!("/run/{pipe}.{}.", child.pid);
            paths.iter().filter(|path| path.to_string_lossy().contains(&name)).count()
        };
        // The worker keeps a writing end of its mailbox, which so never ends.
        assert_eq!((ends("requests"), ends("mailbox")), (1, 2), "in {}", child.args);
    }
    run.signal(Signal::INT);
    run.end();
    sandbox.assert_nothing_left();
}

/// The events of a run, at speed max unless `args` name another speed.
fn events_of(args: &[&str]) -> Vec<serde_json::Value> {
    let speed = if args.contains(&"--speed") { vec![] } else { vec!["--speed", "max"] };
    let args = [&["run", "--format", "json"], args, &speed].concat();
    let outcome = Sandbox::new().run(&args);
    outcome.assert_done();
    outcome.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn times(events: &[serde_json::Value], kind: &str) -> Vec<f64> {
    let of_kind = events.iter().filter(|event| event["event"] == kind);
    of_kind.map(|event| event["t"].as_f64().unwrap()).collect()
}

#[test]
fn a_slow_reader_gets_every_line_of_a_fast_run() {
    let sandbox = Sandbox::new();
    // A shell reads byte by byte: the pipe is full most of the time, even when the workers exit.
    let script = "qdemo run --items 1000 --producers 3 --consumers 3 --producer-delay 0 \
        --consumer-delay 0 --format json |
        { n=0; while read -r line; do n=$((n + 1)); done; echo \"$n lines, the last: $line\"; }";
    sandbox.script(script).assert_prints("3007 lines, the last: \n");
    sandbox.assert_nothing_left();
}
