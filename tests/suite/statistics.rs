//! Statistics of a run: Little's law, the comparison with queueing theory, and the place of the output.
//!
//! Local: a run has its queue on this machine.

use std::fs;

use serde_json::Value;

use crate::harness::{Sandbox, assert_same};

fn statistics(sandbox: &Sandbox, args: &[&str]) -> Value {
    let always = ["run", "--quiet", "--speed", "max", "--stats", "json"];
    let outcome = sandbox.run(&[&always[..], args].concat());
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    serde_json::from_str(&outcome.stderr).unwrap_or_else(|e| panic!("{e}: {}", outcome.stderr))
}

fn delays<'a>(producer: &'a str, consumer: &'a str) -> [&'a str; 4] {
    ["--producer-delay", producer, "--consumer-delay", consumer]
}

#[test]
fn statistics_of_the_classic_example_match_a_calculation_by_hand() {
    let sandbox = Sandbox::new();
    let found = statistics(&sandbox, &[]);
    // Item n is put at n, delivered at 2n and done at 2n + 2 seconds.
    let expected = serde_json::json!({
        "items": 5,
        "elapsed_s": 10.0,
        "throughput_per_s": 0.5,
        "depth": { "mean": 1.0, "max": 3, "final": 0 },
        "wait_s": { "mean": 2.0, "p50": 2.0, "p90": 4.0, "p99": 4.0, "max": 4.0 },
        "sojourn_s": { "mean": 4.0, "p50": 4.0, "p90": 6.0, "p99": 6.0, "max": 6.0 },
        "in_system": { "mean": 2.0 },
        "blocked_s": [0.0],
        "consumers": [{ "items": 5, "busy_s": 10.0, "utilization": 1.0 }],
        "utilization": 1.0,
        "wait_probability": 0.8,
        "little": {
            "arrival_rate": 0.5,
            "mean_in_system": 2.0,
            "mean_sojourn": 4.0,
            "difference": 0,
        },
        "seed": null,
        "warmup": 0,
        "simulated": false,
        "theory": {
            "model": "D/D/1",
            "rho": 2.0,
            "unstable": true,
            "assumes_independence": false,
            "intervals": null,
            "throughput_per_s": null,
            "depth": null,
            "in_system": null,
            "wait_s": null,
            "sojourn_s": null,
            "utilization": null,
            "wait_probability": null,
            "blocked": null,
        },
    });
    let percentiles = ["wait_s", "sojourn_s"].map(|times| {
        let (found, expected) = (&found[times], &expected[times]);
        ["p50", "p90", "p99"].map(|p| (found[p].as_f64().unwrap(), expected[p].as_f64().unwrap()))
    });
    for (found, expected) in percentiles.into_iter().flatten() {
        assert!((found - expected).abs() <= 1e-4 * expected, "{found} is not {expected}");
    }
    let without = |mut value: Value| {
        for times in ["wait_s", "sojourn_s"] {
            for percentile in ["p50", "p90", "p99"] {
                value[times][percentile] = Value::Null;
            }
        }
        serde_json::to_string_pretty(&value).unwrap()
    };
    assert_same(&without(expected), &without(found));
}

#[test]
fn blocked_time_is_the_time_that_a_producer_waits_for_room() {
    let sandbox = Sandbox::new();
    // Item n is delivered at 3n seconds, which frees the slot for item n + 1. The producer has items 2 and 3
    // at 2 and 4 seconds, and puts them at 3 and 6 seconds.
    let args = ["--items", "4", "--capacity", "1"];
    let found = statistics(&sandbox, &[&args[..], &delays("1s", "3s")].concat());
    assert_eq!(found["blocked_s"], serde_json::json!([3.0]));
    assert_eq!(found["depth"]["max"], 1);
    assert_eq!(found["theory"], Value::Null, "there is no formula for D/D/1 with a capacity");
}

#[test]
fn littles_law_holds_exactly_in_every_run() {
    let sandbox = Sandbox::new();
    for args in [
        &["--items", "500", "--producer-delay", "exp:1ms", "--consumer-delay", "uniform:0..2ms"][..],
        &["--items", "500", "--producer-delay", "0", "--consumer-delay", "exp:1ms"],
        &["--items", "3000", "--producer-delay", "0", "--consumer-delay", "0"],
        &[
            "--items",
            "300",
            "--producer-delay",
            "1ms",
            "--consumer-delay",
            "7ms",
            "--chaos",
            "200ms",
        ],
    ] {
        for workers in [["1", "1", "0"], ["3", "2", "0"], ["2", "5", "4"]] {
            let [producers, consumers, capacity] = workers;
            let workers = ["--producers", producers, "--consumers", consumers];
            let args = [args, &workers, &["--capacity", capacity]].concat();
            // A run with deaths prints a summary too: let the statistics go to a file.
            let file = sandbox.path("statistics");
            let to = ["run", "--quiet", "--speed", "max", "--stats-file", file.to_str().unwrap()];
            assert_eq!(sandbox.run(&[&to[..], &args].concat()).code(), Some(0), "{args:?}");
            let found: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
            assert_eq!(found["little"]["difference"], 0, "{args:?}: {found}");
            assert_eq!(found["items"].to_string(), args[1]);
            let done = found["consumers"].as_array().unwrap().iter();
            let done: u64 = done.map(|consumer| consumer["items"].as_u64().unwrap()).sum();
            assert_eq!(done.to_string(), args[1]);
            assert_eq!(found["depth"]["final"], 0);
        }
    }
    sandbox.assert_nothing_left();
}

/// Compares a run of 20,000 items with its model. The seed fixes all delays, and so the measurement too.
fn assert_agrees(model: &str, delays: [&str; 4], consumers: &str, capacity: &str) {
    let sandbox = Sandbox::new();
    let args = ["--items", "20000", "--seed", "1", "--consumers", consumers];
    let args = [&args[..], &["--capacity", capacity], &delays].concat();
    let found = statistics(&sandbox, &args);
    assert_eq!(found["seed"], 1);
    let theory = &found["theory"];
    assert_eq!(theory["model"], model);
    for key in [
        "throughput_per_s",
        "depth",
        "in_system",
        "wait_s",
        "sojourn_s",
        "utilization",
        "wait_probability",
        "blocked",
    ] {
        let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{key}: {theory}"));
        let compared = &theory[key];
        let formula = number(&compared["formula"]);
        let (low, high) = (number(&compared["interval"][0]), number(&compared["interval"][1]));
        assert!(low <= formula && formula <= high, "{key}: {compared}");
        // A very wide interval would prove nothing.
        assert!(high - low <= 0.7 * formula, "{key}: {compared}");
    }
}

share! {
fn one_consumer_with_exponential_delays_agrees_with_m_m_1(rounds: 1, all: 3) {
    for service in ["exp:800ms", "exp:500ms", "exp:900ms"].into_iter().take(rounds) {
        assert_agrees("M/M/1", delays("exp:1s", service), "1", "0");
    }
}
}

#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn several_consumers_agree_with_erlangs_c() {
    assert_agrees("M/M/2", delays("exp:1s", "exp:1.6s"), "2", "0");
    assert_agrees("M/M/5", delays("exp:1s", "exp:4s"), "5", "0");
}

#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn other_service_times_agree_with_pollaczek_and_khinchine() {
    assert_agrees("M/D/1", delays("exp:1s", "800ms"), "1", "0");
    assert_agrees("M/G/1", delays("exp:1s", "uniform:0..1.6s"), "1", "0");
}

#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn a_bounded_queue_agrees_with_its_birth_death_chain() {
    let one = "M/M/1, capacity 3, producers block";
    assert_agrees(one, delays("exp:1s", "exp:1s"), "1", "3");
    let two = "M/M/2, capacity 2, producers block";
    assert_agrees(two, delays("exp:1s", "exp:1.8s"), "2", "2");
}

#[test]
fn statistics_leave_out_the_warm_up() {
    let sandbox = Sandbox::new();
    let found = statistics(&sandbox, &["--warmup", "2"]);
    // The third item is put at 2 s: the statistics begin there, with waits of 2, 3 and 4 s.
    assert_eq!((&found["items"], &found["warmup"]), (&3.into(), &2.into()));
    assert_eq!(found["elapsed_s"], 8.0);
    assert_eq!(found["wait_s"]["mean"], 3.0);
    let all = statistics(&sandbox, &["--warmup", "5"]);
    assert_eq!((&all["items"], &all["wait_s"]["mean"]), (&0.into(), &Value::Null));
}

#[test]
fn a_run_with_deaths_is_not_compared_with_theory() {
    let sandbox = Sandbox::new();
    let file = sandbox.path("statistics");
    let args = ["run", "--quiet", "--speed", "max", "--chaos", "20s", "--items", "200"];
    let to = ["--stats-file", file.to_str().unwrap(), "--producer-delay", "1s"];
    let outcome = sandbox.run(&[&args[..], &to, &["--consumer-delay", "1s"]].concat());
    assert!(outcome.stderr.contains("died"), "no worker died");
    let found: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(found["theory"], Value::Null);
}

#[test]
fn options_select_the_format_and_the_place_of_the_statistics() {
    let sandbox = Sandbox::new().in_japanese();
    let run = ["run", "--speed", "max", "--quiet"];
    assert_same("", &sandbox.run(&[&run[..], &[]].concat()).stderr);
    assert_same("", &sandbox.run(&["run", "--speed", "max"]).stderr);
    let text = sandbox.run(&[&run[..], &["--stats", "text"]].concat()).stderr;
    assert!(text.starts_with("統計"), "{text}");
    let english = sandbox.run(&[&run[..], &["--stats", "text", "--lang", "en"]].concat()).stderr;
    let words = ["statistics", "sojourn", "the difference is 0 ns", "D/D/1 (ρ = 2): unstable"];
    for word in words {
        assert!(english.contains(word), "no {word} in {english}");
    }
    let file = sandbox.path("as text");
    let to = ["--stats", "text", "--lang", "en", "--stats-file", file.to_str().unwrap()];
    assert_same("", &sandbox.run(&[&run[..], &to].concat()).stderr);
    assert_same(&english, &fs::read_to_string(&file).unwrap());
    let nowhere = ["--stats-file", "/nowhere/at/all"];
    sandbox
        .run(&[&run[..], &nowhere].concat())
        .assert_refused(2, &["/nowhere/at/all", "フォルダー"]);
}

#[test]
fn a_bound_is_no_formula_and_the_intervals_name_their_method() {
    let sandbox = Sandbox::new();
    let args = ["--items", "400", "--seed", "1"];
    let normal = delays("normal:1s,200ms", "lognormal:800ms,400ms");
    let found = statistics(&sandbox, &[&args[..], &normal].concat());
    let theory = &found["theory"];
    assert_eq!(theory["model"], "G/G/1");
    assert_eq!(theory["intervals"]["method"], "batch means");
    assert_eq!(theory["intervals"]["batches"], 20);
    for key in ["wait_s", "sojourn_s", "depth", "in_system"] {
        let (bound, measured) = (theory[key]["bound"].as_f64(), theory[key]["measured"].as_f64());
        assert_eq!(theory[key]["formula"], Value::Null, "{key}");
        assert!(bound > measured && measured.is_some(), "{key}: {theory}");
    }
    assert!(theory["throughput_per_s"]["formula"].is_f64());
    assert_eq!(theory["wait_probability"]["formula"], Value::Null);
    let limit = theory["intervals"]["correlation_limit"].as_f64();
    assert!(
        theory["wait_s"]["correlation"].as_f64() > limit,
        "the test wants a correlation: {theory}"
    );
    let run = ["run", "--quiet", "--speed", "max", "--stats", "text", "--lang", "en"];
    let text = sandbox.run(&[&run[..], &args, &normal].concat()).stderr;
    for words in [
        "wait            ≤ 500 ms",
        "had to wait     –",
        "≤: no formula is known; this is an upper bound",
        "95 % interval: batch means, 20 batches",
        "batches depend on each other (depth, in system, wait, sojourn): the interval may be",
    ] {
        assert!(text.contains(words), "no {words} in {text}");
    }
    std::fs::write(sandbox.path("delays"), "200ms\n1s\n").unwrap();
    let script = "qdemo run --quiet --speed max --stats text --lang en --seed 1 \
        --producer-delay exp:1s --consumer-delay file:delays";
    let text = sandbox.script(script).stderr;
    for words in ["M/G/1 (ρ = 0.6)", "a run replays them in order"] {
        assert!(text.contains(words), "no {words} in {text}");
    }
    assert!(!text.contains("batch means"), "a run of five items has no interval: {text}");
}
