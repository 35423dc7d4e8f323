//! `qdemo bench`: its cases, its report and its picture. No test checks a speed.
//!
//! Local: `qdemo bench` measures queues on this machine.

use std::fs;
use std::thread;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Sandbox, children_of, wait_for_end};

const SMALL: [&str; 7] = ["bench", "--rounds", "1", "--size", "16", "--workers", "1x1"];

fn measured(sandbox: &Sandbox, more: &[&str]) -> Value {
    let outcome = sandbox.run(&[&SMALL[..], &["--format", "json"], more].concat());
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    serde_json::from_slice(&outcome.stdout).unwrap()
}

fn names(report: &Value) -> Vec<String> {
    let cases = report["cases"].as_array().unwrap();
    let name = |case: &Value| {
        let [subject, size, p, c] =
            ["subject", "size", "producers", "consumers"].map(|key| &case[key]);
        format!("{} {size} {p}x{c}", subject.as_str().unwrap())
    };
    cases.iter().map(name).collect()
}

#[test]
fn bench_measures_the_queue_beside_a_relay() {
    let sandbox = Sandbox::new();
    let report = measured(&sandbox, &["--size", "5000", "--workers", "2x3"]);
    let relay_and_queue = |size| {
        [format!("relay {size} 1x1"), format!("qdemo {size} 1x1"), format!("qdemo {size} 2x3")]
    };
    assert_eq!(names(&report), [relay_and_queue(16), relay_and_queue(5000)].concat());
    for case in report["cases"].as_array().unwrap() {
        let of = |name: &str, what: &str| case[name][what].as_f64().unwrap();
        for name in ["items_per_s", "p50_s", "p99_s"] {
            let median = of(name, "median");
            assert!(median > 0.0, "{case}");
            assert_eq!([of(name, "least"), of(name, "most")], [median; 2], "one round: {case}");
        }
        assert!(of("p50_s", "median") <= of("p99_s", "median"), "{case}");
        let bytes = of("items_per_s", "median") * case["size"].as_f64().unwrap();
        let reported = case["bytes_per_s"].as_f64().unwrap();
        assert!((reported / bytes - 1.0).abs() < 1e-9, "{case}");
    }
    assert_eq!((&report["rounds"], &report["left_out"]), (&Value::from(1), &serde_json::json!([])));
    let cores = thread::available_parallelism().unwrap().get();
    assert_eq!(report["machine"]["cores"], cores);
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    sandbox.assert_nothing_left();
}

#[test]
fn bench_measures_five_sizes_by_default() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.run(&["bench", "--rounds", "1", "--workers", "1x1", "--format", "json"]);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    let report = serde_json::from_slice(&outcome.stdout).unwrap();
    let sizes = [16, 256, 4096, 65536, 1_048_576];
    let expected = sizes.map(|size| [format!("relay {size} 1x1"), format!("qdemo {size} 1x1")]);
    assert_eq!(names(&report), expected.concat());
    sandbox.assert_nothing_left();
}

#[test]
fn bench_measures_a_pair_alone_and_beside_idle_clients() {
    let sandbox = Sandbox::new();
    let report = measured(&sandbox, &["--idle", "100"]);
    assert_eq!(names(&report), ["relay 16 1x1", "qdemo 16 1x1", "qdemo 16 1x1"]);
    let idle = [0, 1, 2].map(|at| report["cases"][at]["idle"].as_u64());
    assert_eq!(idle, [None, None, Some(100)]);
    let table = sandbox.run(&[&SMALL[..], &["--idle", "3"]].concat());
    assert!(table.text().contains(" 1 × 1 + 3 "), "{}", table.text());
    // The idle clients are connected: they need more files than there may be.
    let script = "ulimit -n 60; qdemo bench --rounds 1 --size 16 --workers 1x1 --idle 100";
    let outcome = sandbox.script(script);
    assert_eq!(outcome.code(), Some(0));
    outcome.assert_one_line_of_error(&["left out: 16 B, 1 × 1 and 100 idle: ", "`ulimit -n`"]);
    sandbox.assert_nothing_left();
}

#[test]
fn bench_prints_a_table_and_draws_a_picture() {
    let sandbox = Sandbox::new();
    let plot = ["--workers", "4x4", "--plot", "bench.svg"];
    let outcome = sandbox.run(&[&SMALL[..], &plot].concat());
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    let lines = outcome.lines();
    assert!(lines[0].contains("core") && lines[1].starts_with("qdemo "), "{lines:#?}");
    assert!(lines[1].ends_with(", 1 round"), "{lines:#?}");
    let rows: Vec<_> = lines.iter().filter(|line| line.contains(" 16 B ")).collect();
    assert_eq!(rows.len(), 2, "{lines:#?}");
    assert!(rows[0].contains(" 1 × 1 ") && rows[1].contains(" 4 × 4 "), "{lines:#?}");
    // Only the spread is missing: one round has no spread.
    assert!(rows.iter().all(|row| row.matches('–').count() == 1), "{lines:#?}");
    assert!(lines.iter().all(|line| line.chars().count() <= 90), "{lines:#?}");
    let picture = fs::read_to_string(sandbox.path("bench.svg")).unwrap();
    let svg = roxmltree::Document::parse(&picture).unwrap();
    let bars = |class: &str| {
        svg.descendants().filter(|node| node.attribute("class") == Some(class)).count()
    };
    // One bar is in the legend, one shows items a second, one shows the median. A paler bar shows the part
    // beyond the median.
    assert_eq!(["bar qdemo-0", "bar qdemo-1", "bar relay"].map(bars), [3; 3]);
    assert_eq!(bars("bar qdemo-0 beyond"), 1);
    sandbox.assert_nothing_left();
}

#[test]
fn bench_measures_multiprocessing_or_says_why_not() {
    let sandbox = Sandbox::new();
    let report = measured(&sandbox, &["--against", "python"]);
    assert_eq!(names(&report), ["relay 16 1x1", "qdemo 16 1x1", "python 16 1x1"]);
    let mut without = sandbox.qdemo(&[&SMALL[..], &["--against", "python"]].concat());
    without.env("PATH", "/nowhere");
    let outcome = crate::harness::Running::start(without).end();
    assert_eq!(outcome.code(), Some(0));
    outcome.assert_one_line_of_error(&["left out: multiprocessing.Queue", "install it"]);
    assert!(!outcome.text().contains("mp.Queue"), "{}", outcome.text());
    sandbox.assert_nothing_left();
}

#[test]
fn bench_leaves_out_cases_that_lack_descriptors() {
    let sandbox = Sandbox::new();
    let script = "ulimit -n 48; qdemo bench --rounds 1 --size 16 --workers 1x1 --workers 20x20 \
                  --format json; echo \" $?\"";
    let outcome = sandbox.script(script);
    let text = outcome.text();
    let (report, code) = text.rsplit_once(' ').unwrap();
    let report: Value = serde_json::from_str(report).unwrap();
    assert_eq!((code, names(&report).len()), ("0\n", 2), "{report}");
    assert_eq!(report["left_out"][0]["what"], "16 B, 20 × 20");
    outcome.assert_one_line_of_error(&["left out: 16 B, 20 × 20: ", "raise `ulimit -n`"]);
    // Bench fails if it can measure no case, and leaves no picture.
    let all = sandbox.script("ulimit -n 12; qdemo bench --rounds 1 --size 16 --plot no.svg");
    assert_eq!((all.code(), all.text().as_str()), (Some(1), ""));
    assert!(all.stderr.contains("raise `ulimit -n`"), "{}", all.stderr);
    assert!(!sandbox.path("no.svg").exists());
    sandbox.assert_nothing_left();
}

#[test]
fn an_interrupted_bench_leaves_nothing_behind() {
    for more in [&[][..], &["--against", "python"], &["--workers", "1x1", "--idle", "50"]] {
        let sandbox = Sandbox::new();
        let args = ["bench", "--rounds", "1000", "--size", "16", "--plot", "no.svg"];
        let bench = sandbox.start(&[&args[..], more].concat());
        while children_of(bench.pid()).is_empty() {
            thread::yield_now();
        }
        bench.signal(Signal::INT);
        let outcome = bench.end();
        assert_eq!(outcome.signal(), Some(2), "{}", outcome.stderr);
        assert_eq!((outcome.text(), outcome.stderr), (String::new(), String::new()));
        assert!(!sandbox.path("no.svg").exists());
        sandbox.assert_nothing_left();
    }
}

#[test]
fn bench_leaves_out_a_case_whose_process_dies() {
    let sandbox = Sandbox::new();
    let bench = sandbox.start(&["bench", "--rounds", "1", "--size", "16", "--workers", "3x3"]);
    let mut victim = None;
    while victim.is_none() {
        let workers = sandbox.processes_of("qdemo bench-task");
        victim = workers.into_iter().find(|worker| worker.args.contains("\"Consumer\""));
    }
    let pid = victim.unwrap().pid;
    // The process may already have ended.
    let _ =
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), Signal::KILL);
    let outcome = bench.end();
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    outcome.assert_one_line_of_error(&["left out: 16 B, 3 × 3: a process has died"]);
    sandbox.assert_nothing_left();
}

#[test]
fn the_processes_of_a_killed_bench_end() {
    let sandbox = Sandbox::new();
    let bench = sandbox.start(&["bench", "--rounds", "1000", "--size", "16", "--workers", "3x3"]);
    let mut workers = Vec::new();
    while workers.len() < 5 {
        workers = sandbox.processes_of("qdemo bench-task");
    }
    bench.signal(Signal::KILL);
    bench.end();
    workers.iter().for_each(|worker| wait_for_end(worker.pid));
    // The next run removes the folder of the killed bench.
    sandbox.run(&["run", "--speed", "max", "--quiet"]).assert_done();
    sandbox.assert_nothing_left();
}

#[test]
fn bench_refuses_invalid_options() {
    let sandbox = Sandbox::new();
    for (args, words) in [
        (["--size", "99999999999999999999"], ["too large", "write 16MiB"]),
        (["--size", "15"], ["15", "16 or more"]),
        (["--size", "17MiB"], ["17MiB", "or less"]),
        (["--workers", "4"], ["'4'", "write 4x2"]),
        (["--workers", "0x1"], ["0x1", "at least one"]),
        (["--workers", "1x99999999999999999999"], ["too large", "write"]),
        (["--rounds", "0"], ["'0'", "at least one"]),
        (["--rounds", "4294967296"], ["too many", "4294967295"]),
        (["--against", "ruby"], ["ruby", "python"]),
        (["--plot", "bench.html"], ["bench.html", ".svg"]),
        (["--plot", "nowhere/bench.svg"], ["nowhere", "an existing folder"]),
    ] {
        sandbox.run(&[&["bench"], &args[..]].concat()).assert_refused(2, &words);
    }
    assert!(fs::read_dir(sandbox.path("home")).unwrap().next().is_none());
    sandbox.assert_nothing_left();
}
