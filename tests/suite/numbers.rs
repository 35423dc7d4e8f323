//! Compares times and numbers at the limits of their types with exact arithmetic.
//!
//! The tests that are not of `both!` are of runs, whose queues are on this machine.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Sandbox, assert_same};

/// The latest time of an event, in nanoseconds.
const LATEST: u128 = (1 << 64) - 2;
const DAY: u128 = 86_400_000_000_000;

/// An event of a run: its time in nanoseconds, its kind and its item id.
type Event = (u128, String, u64);

/// The events up to the latest time in a run of one producer and one consumer with constant delays. The flag
/// tells whether the run has no later event.
fn predict(items: u64, [pause, service]: [u128; 2]) -> (Vec<Event>, bool) {
    let mut events = Vec::new();
    let (mut free, mut end) = (0, 0);
    for id in 1..=items {
        let put = u128::from(id - 1) * pause;
        let start = put.max(free);
        free = start + service;
        end = free.max(put + pause);
        // A producer goes first at the same time.
        for (at, kind) in [(put, "put"), (start, "get"), (free, "done")] {
            events.push((at, kind.to_owned(), id));
        }
    }
    let order = |kind: &str| ["put", "done", "get"].iter().position(|&k| k == kind);
    events.sort_by_key(|(at, kind, id)| (*at, order(kind), *id));
    let all = events.len();
    events.retain(|event| event.0 <= LATEST);
    (events, all > 0 && end <= LATEST)
}

/// The item events in the output of a run.
fn events(lines: &[String]) -> Vec<Event> {
    let events = lines.iter().filter_map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        let kind = event["event"].as_str().unwrap().to_owned();
        Some((exact_time(line), kind, event["id"].as_u64()?))
    });
    events.collect()
}

/// The time of an event in nanoseconds. A double cannot hold the exact value.
fn exact_time(line: &str) -> u128 {
    let (time, _) = line.strip_prefix(r#"{"t":"#).unwrap().split_once(',').unwrap();
    let (whole, rest) = time.split_once('.').unwrap();
    format!("{whole}{rest:0<9}").parse().unwrap()
}

fn seconds(nanos: u128) -> f64 {
    nanos as f64 / 1e9
}

#[track_caller]
fn assert_close(found: &Value, expected: f64) {
    let found = found.as_f64().unwrap();
    assert!((found - expected).abs() <= 1e-9 * expected, "{found} is not {expected}");
}

#[test]
fn events_after_584_years_do_not_happen_and_earlier_times_are_exact() {
    for (items, pause, service, not_done) in [
        (5, 109_500 * DAY, DAY, "3 of 5"),
        (3, DAY, 109_500 * DAY, "2 of 3"),
        (1000, 1000 * DAY, 800 * DAY, "787 of 1000"),
        // The last event fits. The last delay of the producer does not fit.
        (2, 213_000 * DAY, 10 * DAY, "all 2 items were done"),
        (1, 0, LATEST + 1, "1 of 1"),
    ] {
        let sandbox = Sandbox::new();
        let outcome = sandbox.run(&[
            "run",
            "--speed=max",
            "--format=json",
            &format!("--items={items}"),
            &format!("--producer-delay={pause}ns"),
            &format!("--consumer-delay={service}ns"),
            "--stats-file=stats.json",
            "--timeline=picture.svg",
        ]);
        outcome.assert_one_line_of_error(&["584 years", not_done, "take shorter delays"]);
        assert_eq!(outcome.code(), Some(1));
        let (expected, is_all) = predict(items, [pause, service]);
        assert!(!is_all);
        let lines = outcome.lines();
        assert_eq!(events(&lines), expected);
        assert!(lines.last().unwrap().contains(r#""event":"end""#));

        // The statistics of the same events, with numbers that cannot overflow.
        let time_of = |id, what| {
            let mut all = expected.iter().filter(|event| event.1 == what && event.2 == id);
            all.next().map(|event| event.0)
        };
        let done: Vec<u64> = (1..=items).filter(|&id| time_of(id, "done").is_some()).collect();
        let sum = |from, to| {
            let time = |&id| time_of(id, to).unwrap() - time_of(id, from).unwrap();
            done.iter().map(time).sum::<u128>() as f64 / 1e9
        };
        let stats = fs::read_to_string(sandbox.path("stats.json")).unwrap();
        let stats: Value = serde_json::from_str(&stats).unwrap();
        assert_eq!(stats["items"], done.len());
        let end = expected.last().unwrap().0;
        assert_close(&stats["elapsed_s"], seconds(end));
        if end > 0 && !done.is_empty() {
            assert_close(&stats["wait_s"]["mean"], sum("put", "get") / done.len() as f64);
            assert_close(&stats["sojourn_s"]["mean"], sum("put", "done") / done.len() as f64);
            assert_close(&stats["throughput_per_s"], done.len() as f64 / seconds(end));
        }
        assert_eq!(stats["theory"], Value::Null);
        let picture = fs::read_to_string(sandbox.path("picture.svg")).unwrap();
        roxmltree::Document::parse(&picture).unwrap();
        sandbox.assert_nothing_left();
    }
}

#[test]
fn an_event_at_exactly_584_years_happens() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.run(&[
        "run",
        "--speed=max",
        "--items=1",
        "--producer-delay=0",
        &format!("--consumer-delay={LATEST}ns"),
        "--quiet",
        "--stats=json",
        "--timeline=picture.html",
    ]);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    let stats: Value = serde_json::from_str(&outcome.stderr).unwrap();
    assert_close(&stats["sojourn_s"]["max"], seconds(LATEST));
    assert_close(&stats["sojourn_s"]["p50"], seconds(LATEST));
    assert_close(&stats["consumers"][0]["busy_s"], seconds(LATEST));
    assert_eq!(stats["little"]["difference"], 0);
}

#[test]
fn random_delays_give_the_same_events_on_every_time_scale() {
    let sandbox = Sandbox::new();
    let run = |unit: &str, items: u64| {
        let outcome = sandbox.run(&[
            "run",
            "--speed=max",
            "--format=json",
            "--seed=7",
            &format!("--items={items}"),
            &format!("--producer-delay=exp:1000{unit}"),
            &format!("--consumer-delay=exp:800{unit}"),
        ]);
        (events(&outcome.lines()), outcome)
    };
    let (minutes, small) = run("m", 400);
    small.assert_done();
    let (days, large) = run("d", 400);
    large.assert_one_line_of_error(&["584 years", "of 400"]);
    assert_eq!(large.code(), Some(1));
    let scaled: Vec<_> = minutes.iter().map(|(t, kind, id)| (t * 1440, kind, id)).collect();
    let expected: Vec<_> = scaled.iter().filter(|event| event.0 <= LATEST).collect();
    assert_eq!(days.len(), expected.len());
    for (found, expected) in days.iter().zip(expected) {
        assert_eq!((&found.1, &found.2), (expected.1, expected.2));
        // Rounding changes each of the 800 delays in minutes by at most half a nanosecond.
        assert!(found.0.abs_diff(expected.0) <= 800 * 1440, "{found:?} is not {expected:?}");
    }
}

#[test]
fn all_workers_stop_before_the_first_event_beyond_584_years() {
    let sandbox = Sandbox::new();
    // All events up to 400 years happen. The next event would be at 600 years.
    let outcome = sandbox.run(&[
        "run",
        "--lang=en",
        "--speed=max",
        "--items=6",
        "--producers=2",
        "--consumers=3",
        "--producer-delay=73000d",
        "--consumer-delay=146000d",
    ]);
    assert_eq!(
        outcome.lines(),
        [
            "producer 1: added item0",
            "producer 2: added item1",
            "consumer 1: got item0",
            "consumer 2: got item1",
            "producer 1: added item2",
            "producer 2: added item3",
            "consumer 3: got item2",
            "producer 1: added item4",
            "producer 2: added item5",
            "consumer 1: got item3",
            "consumer 2: got item4",
            "all processes have finished",
        ]
    );
    outcome.assert_one_line_of_error(&["584 years", "4 of 6 items"]);
    assert_eq!(outcome.code(), Some(1));
    sandbox.assert_nothing_left();
}

#[test]
fn statistics_count_no_item_if_the_warmup_exceeds_the_run() {
    let sandbox = Sandbox::new();
    for warmup in [u64::MAX, 5, 1 << 63] {
        let warmup = format!("--warmup={warmup}");
        let args = ["run", "--speed=max", "--quiet", "--stats=json", &warmup];
        let outcome = sandbox.run(&args);
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        let stats: Value = serde_json::from_str(&outcome.stderr).unwrap();
        assert_eq!(stats["items"], 0);
        assert_eq!(stats["throughput_per_s"], 0.0);
        assert_eq!(stats["wait_s"]["mean"], Value::Null);
    }
}

#[test]
fn a_recording_with_an_impossible_time_or_item_id_is_refused() {
    let sandbox = Sandbox::new();
    let first = r#"{"t":0.0,"event":"put","role":"producer","worker":1,"id":1,"item":"a"}"#;
    for (line, reason) in [
        (r#"{"t":18446744074.0,"event":"put","role":"producer","id":2}"#, "0 to 584 years"),
        (r#"{"t":1e300,"event":"put","role":"producer","id":2}"#, "0 to 584 years"),
        (r#"{"t":-1.0,"event":"put","role":"producer","id":2}"#, "0 to 584 years"),
        (r#"{"t":1.0,"event":"put","role":"producer","id":2,"waited":-1}"#, "the field `waited`"),
        (r#"{"t":1.0,"event":"put","role":"producer","id":18446744073709551615}"#, "no item has"),
    ] {
        let input = format!("{first}\n{line}\n");
        let outcome = sandbox.run_with_input(&["timeline", "-"], input.as_bytes());
        outcome.assert_refused(1, &["line 2", reason]);
    }
    // The largest time and the largest item id of a run.
    let last = r#"{"t":18446744073.709551614,"event":"get","role":"consumer","id":1}
{"t":18446744073.709551614,"event":"put","role":"producer","id":18446744073709551614}"#;
    let input = format!("{first}\n{last}\n");
    let outcome = sandbox.run_with_input(&["timeline", "-"], input.as_bytes());
    outcome.assert_done();
    assert!(outcome.text().contains("18440000000 s"), "the title lacks the end time");
}

#[test]
fn a_recorded_run_of_centuries_has_the_picture_of_the_live_run() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.run(&[
        "run",
        "--speed=max",
        "--format=json",
        "--seed=3",
        "--items=30",
        "--producer-delay=exp:1000d",
        "--consumer-delay=exp:1500d",
        "--timeline=live.svg",
    ]);
    outcome.assert_done();
    let recorded =
        sandbox.run_with_input(&["timeline", "-", "-o", "recorded.svg"], &outcome.stdout);
    recorded.assert_done();
    let [live, recorded] =
        ["live.svg", "recorded.svg"].map(|name| fs::read_to_string(sandbox.path(name)).unwrap());
    assert_same(&live, &recorded);
}

#[test]
fn a_run_refuses_a_speed_out_of_range() {
    let sandbox = Sandbox::new();
    for speed in ["1e-9", "0", "-1", "1e7", "inf", "nan"] {
        sandbox.run(&["run", "--speed", speed]).assert_refused(2, &["a speed is a number from"]);
    }
}

both!(waits_and_leases_of_centuries_do_not_end_at_once, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "one"]).assert_done();
    // The 584 years from 1970 on end in 2554. A wait beyond that year never ends.
    let mut consumer =
        sandbox.start(&["consumer", "--lease=213503d", "--", "sh", "-c", "echo had; cat"]);
    assert_eq!(consumer.line(), "had");
    consumer.signal(Signal::TERM);
    consumer.end();
    let mut get = sandbox.start(&["get", "-q", "other", "--timeout=213503d"]);
    sandbox.wait_for_consumer();
    assert!(!get.has_ended());
    sandbox.run(&["put", "-q", "other", "two"]).assert_done();
    get.end().assert_prints("two\n");
});
