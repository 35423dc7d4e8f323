//! Times and numbers at the limit of what can be counted, against exact arithmetic.

use std::fs;

use serde_json::Value;

use crate::harness::Sandbox;

/// The latest time of an event, in nanoseconds.
const LATEST: u128 = (1 << 64) - 2;
const DAY: u128 = 86_400_000_000_000;

/// An event as a run prints it: when, what, and which item.
type Event = (u128, String, u64);

/// What happens in a run of one producer and one consumer whose delays are constant, up to the latest time;
/// and whether that is all.
fn foretell(items: u64, [pause, service]: [u128; 2]) -> (Vec<Event>, bool) {
    let mut events = Vec::new();
    let (mut free, mut end) = (0, 0);
    for id in 1..=items {
        let put = u128::from(id - 1) * pause;
        let start = put.max(free);
        free = start + service;
        end = free.max(put + pause);
        // At the same moment a producer goes first.
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

/// The events on items that a run has printed; their times are compared as far as a double goes.
fn events(lines: &[String]) -> Vec<(f64, String, u64)> {
    let events = lines.iter().filter_map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        let kind = event["event"].as_str().unwrap().to_owned();
        Some((event["t"].as_f64().unwrap(), kind, event["id"].as_u64()?))
    });
    events.collect()
}

fn seconds(nanos: u128) -> f64 {
    nanos as f64 / 1e9
}

#[track_caller]
fn close(found: &Value, expected: f64) {
    let found = found.as_f64().unwrap();
    assert!((found - expected).abs() <= 1e-9 * expected, "{found} is not {expected}");
}

#[test]
fn an_event_later_than_584_years_does_not_happen_and_what_came_before_is_told_exactly() {
    for (items, pause, service, not_done) in [
        (5, 109_500 * DAY, DAY, "3 of 5"),
        (3, DAY, 109_500 * DAY, "2 of 3"),
        (1000, 1000 * DAY, 800 * DAY, "787 of 1000"),
        // The last event fits, the producer's last pause doesn't.
        (2, 213_000 * DAY, 10 * DAY, "0 of 2"),
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
        let (expected, is_all) = foretell(items, [pause, service]);
        assert!(!is_all);
        let lines = outcome.lines();
        let doubles = expected.iter().map(|(at, kind, id)| (seconds(*at), kind.clone(), *id));
        assert_eq!(events(&lines), doubles.collect::<Vec<_>>());
        assert!(lines.last().unwrap().contains(r#""event":"end""#));

        // Figures of the same events, in numbers that cannot overflow.
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
        close(&stats["elapsed_s"], seconds(end));
        if end > 0 && !done.is_empty() {
            close(&stats["wait_s"]["mean"], sum("put", "get") / done.len() as f64);
            close(&stats["sojourn_s"]["mean"], sum("put", "done") / done.len() as f64);
            close(&stats["throughput_per_s"], done.len() as f64 / seconds(end));
        }
        assert_eq!(stats["theory"], Value::Null);
        let picture = fs::read_to_string(sandbox.path("picture.svg")).unwrap();
        roxmltree::Document::parse(&picture).unwrap();
        sandbox.assert_nothing_left();
    }
}

#[test]
fn an_event_at_584_years_sharp_happens() {
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
    close(&stats["sojourn_s"]["max"], seconds(LATEST));
    close(&stats["sojourn_s"]["p50"], seconds(LATEST));
    close(&stats["consumers"][0]["busy_s"], seconds(LATEST));
    assert_eq!(stats["little"]["difference"], 0);
}

#[test]
fn random_delays_give_the_same_figures_on_every_scale_up_to_the_limit() {
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
    let scaled: Vec<_> = minutes.iter().map(|(t, kind, id)| (t * 1440.0, kind, id)).collect();
    let limit = seconds(LATEST);
    let expected: Vec<_> = scaled.iter().filter(|event| event.0 < limit).collect();
    assert_eq!(days.len(), expected.len());
    for (found, expected) in days.iter().zip(expected) {
        assert_eq!((&found.1, &found.2), (expected.1, expected.2));
        // A nanosecond is rounded for each pause.
        assert!((found.0 - expected.0).abs() < 1e-3, "{found:?} is not {expected:?}");
    }
}

#[test]
fn several_workers_stop_together_where_the_first_event_does_not_fit() {
    let sandbox = Sandbox::new();
    // All that happens at 200 years happens; the next would be at 600.
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
