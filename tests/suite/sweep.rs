//! Sweeps: their table, their forms for programs, their picture, and how they end.
//!
//! Local: a sweep has its queues in its own process.

use std::fs;

use roxmltree::Document;
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Sandbox, wait_while};

/// A sweep that takes little time, and has all that a table can show but bounds and overload.
const SMALL: [&str; 13] = [
    "sweep",
    "--vary",
    "consumers=1,2",
    "--items",
    "300",
    "--replications",
    "2",
    "--consumer-delay",
    "exp:1500ms",
    "--capacity",
    "4",
    "--seed",
    "7",
];

fn small(sandbox: &Sandbox, more: &[&str]) -> String {
    let outcome = sandbox.run(&[&SMALL[..], more].concat());
    outcome.assert_done();
    outcome.text()
}

/// Whether the process has a handler for the signal.
fn catches(pid: i32, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t")).unwrap();
    let caught = u64::from_str_radix(caught, 16).unwrap();
    caught >> (signal.as_raw() - 1) & 1 == 1
}

/// The reader of JSON in the tests is not exact in the last digit.
#[track_caller]
fn assert_close(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-12 * b.abs(), "{a} is not {b}");
}

#[test]
fn the_table_of_a_seed_is_the_same_to_the_byte() {
    let sandbox = Sandbox::new();
    let english = "\
consumers  throughput     wait  sojourn  utilization  blocked
        1        0.59    5.5 s    7.1 s       96.1 %     41 %
        ±        0.20    4.9 s    5.4 s        7.8 %     33 %
   theory      0.6459  4.818 s  6.318 s      96.89 %  35.41 %
        2        0.94    1.1 s    2.6 s         74 %      5 %
        ±        0.15    3.4 s    4.2 s         28 %     27 %
   theory      0.9569  1.016 s  2.516 s      71.77 %  4.307 %

--producer-delay exp:1s --consumer-delay exp:1500ms --producers 1 --capacity 4
2 runs of 300 items at each point, the first 30 not counted; seed 7.
±: half of the 95 % confidence interval, by Student's t from the runs of the point.
";
    sandbox.run(&SMALL).assert_prints(english);
    let japanese = "\
consumers  毎秒の個数  待ち時間  滞在時間   稼働率  空き待ち
        1        0.59     5.5 s     7.1 s   96.1 %      41 %
        ±        0.20     4.9 s     5.4 s    7.8 %      33 %
   理論値      0.6459   4.818 s   6.318 s  96.89 %   35.41 %
        2        0.94     1.1 s     2.6 s     74 %       5 %
        ±        0.15     3.4 s     4.2 s     28 %      27 %
   理論値      0.9569   1.016 s   2.516 s  71.77 %   4.307 %

--producer-delay exp:1s --consumer-delay exp:1500ms --producers 1 --capacity 4
各点で 300 個のアイテムを 2 回シミュレーション（最初の 30 個は除外）、乱数の種 7
±: 95% 信頼区間の半幅（各点の実行を標本とする Student の t 分布による）
";
    assert_eq!(small(&sandbox, &["--lang", "ja"]), japanese);
    sandbox.assert_nothing_left();
}

#[test]
fn json_and_csv_are_the_same_numbers_as_those_of_simulated_runs() {
    let sandbox = Sandbox::new();
    let json = small(&sandbox, &["--format", "json"]);
    assert_eq!(json, small(&sandbox, &["--format", "json", "--lang", "ja"]));
    let report: Value = serde_json::from_str(&json).unwrap();
    let csv = small(&sandbox, &["--format", "csv"]);
    let lines: Vec<Vec<_>> = csv.lines().map(|line| line.split(',').collect()).collect();
    let column = |name: &str| lines[0].iter().position(|field| *field == name).unwrap();
    let points = report["points"].as_array().unwrap();
    assert_eq!(lines.len(), points.len() + 1);
    for (fields, point) in lines[1..].iter().zip(points) {
        assert_eq!(fields[column("consumers")], point["consumers"].to_string());
        for metric in ["throughput_per_s", "wait_s", "sojourn_s", "utilization", "blocked"] {
            let field = |part| fields[column(&format!("{metric}{part}"))].parse().unwrap();
            let estimate = &point[metric];
            let ends = [&estimate["interval"][0], &estimate["interval"][1]];
            let values = [&estimate["mean"], ends[0], ends[1], &estimate["theory"]];
            for (part, value) in ["", "_low", "_high", "_theory"].into_iter().zip(values) {
                assert_close(field(part), value.as_f64().unwrap());
            }
        }
    }
    let sojourn = |seed| {
        let more = ["--producer-delay=exp:1s", "--warmup=30", "--stats=json", "--quiet"];
        let run = ["run", "--simulate", "--consumers=2", "--items=300", "--seed", seed];
        let rest = ["--consumer-delay=exp:1500ms", "--capacity=4"];
        let outcome = sandbox.run(&[&run[..], &rest, &more].concat());
        let statistics: Value = serde_json::from_str(&outcome.stderr).unwrap();
        statistics["sojourn_s"]["mean"].as_f64().unwrap()
    };
    let mean = (sojourn("7") + sojourn("8")) / 2.0;
    assert_close(points[1]["sojourn_s"]["mean"].as_f64().unwrap(), mean);
    sandbox.assert_nothing_left();
}

#[test]
fn a_random_seed_is_printed_and_repeats_the_sweep() {
    let sandbox = Sandbox::new();
    let sweep = ["sweep", "--vary=consumer-delay=100ms,200ms", "--items=50", "--format=json"];
    let first = sandbox.run(&sweep);
    first.assert_done();
    let report: Value = serde_json::from_str(&first.text()).unwrap();
    let seed = report["seed"].to_string();
    sandbox.run(&[&sweep[..], &["--seed", &seed]].concat()).assert_prints(&first.text());
    assert_eq!(report["warmup"], 5, "a tenth of the items");
}

#[test]
fn a_sweep_draws_its_picture_before_its_table() {
    let sandbox = Sandbox::new();
    for (name, metric) in [("a.svg", "sojourn"), ("b.html", "blocked")] {
        small(&sandbox, &["--plot", name, "--metric", metric]);
        let text = fs::read_to_string(sandbox.path(name)).unwrap();
        let svg = match text.find("<svg") {
            Some(from) => &text[from..text.find("</svg>").unwrap() + "</svg>".len()],
            None => panic!("no picture in {text}"),
        };
        let picture = Document::parse(svg).unwrap();
        let texts: Vec<_> = picture.descendants().filter_map(|node| node.text()).collect();
        assert!(texts.iter().any(|text| text.contains(metric)), "{texts:?}");
    }
    // A reader that leaves at once still has its picture.
    let args = SMALL.join(" ");
    let script = format!("set +o pipefail; qdemo {args} --plot c.svg | true; test -s c.svg");
    sandbox.script(&script).assert_prints("");
}

#[test]
fn an_interrupted_sweep_leaves_no_part_of_its_results() {
    let sandbox = Sandbox::new();
    let endless = ["sweep", "--vary", "consumers=1..3", "--items", "1000000000", "--plot", "x.svg"];
    for signal in [Signal::INT, Signal::TERM] {
        let mut sweep = sandbox.start(&endless);
        // The picture's file is there when the arguments are found valid; the handlers come next.
        wait_while(|| !sandbox.path("x.svg").exists() && !sweep.has_ended());
        wait_while(|| !catches(sweep.pid(), signal));
        sweep.signal(signal);
        let outcome = sweep.end();
        assert_eq!(outcome.signal(), Some(signal.as_raw()), "{outcome:?}");
        assert_eq!((outcome.text(), &outcome.stderr[..]), (String::new(), ""));
        assert!(!sandbox.path("x.svg").exists());
    }
    sandbox.assert_nothing_left();
}

#[test]
fn a_sweep_of_nothing_is_refused_before_it_starts() {
    let sandbox = Sandbox::new();
    let vary = ["--vary", "consumers=1,2"];
    let cases: &[(&[&str], &[&str])] = &[
        (&[], &["--vary <NAME=RANGE>", "qdemo sweep --help"]),
        (&["--vary", "consumers=10..10:0"], &["0 points", "write 2 or more"]),
        (&["--vary", "consumer-delay=950ms..100ms:10"], &["smaller end first"]),
        (&["--vary", "capacity=1..1000000"], &["write 1000 points or fewer"]),
        (&["--vary", "consumer=1..3"], &["'consumer'", "write consumers"]),
        (&["--vary", "consumers=0..3"], &["write 1 or more"]),
        (&["--vary", "consumers=1..1001"], &["write 1000 or less"]),
        (&["--vary", "consumer-delay=0..1s:3"], &["cannot be 0", "above 0"]),
        (&["--vary", "consumers=1,2", "--vary", "producers=1,2"], &["--vary", "multiple times"]),
        (&[vary[0], vary[1], "--items", "0"], &["--items", "write 1 or more"]),
        (&[vary[0], vary[1], "--items", "9", "--warmup", "9"], &["--warmup 9", "more --items"]),
        (&[vary[0], vary[1], "--replications", "0"], &["--replications", "write 1 or more"]),
        (&[vary[0], vary[1], "--plot", "x.png"], &["--plot", ".svg or .html"]),
        (&[vary[0], vary[1], "--plot", "no/x.svg"], &["no/x.svg", "existing folder"]),
        (&[vary[0], vary[1], "--metric", "wait"], &["--plot <FILE>"]),
        (&[vary[0], vary[1], "--server", "redis://h"], &["never on a server"]),
    ];
    let files = || fs::read_dir(sandbox.path(".")).unwrap().count();
    let before = files();
    for (args, words) in cases {
        sandbox.run(&[&["sweep"][..], args].concat()).assert_refused(2, words);
    }
    assert_eq!(files(), before, "a file is left");
    // A run that exceeds the range of times fails when it has started.
    let long = ["--producer-delay=9999999999", "--items=9", "--warmup=0"];
    let outcome = sandbox.run(&[&["sweep", vary[0], vary[1]][..], &long].concat());
    outcome.assert_refused(1, &["consumers=1", "584 years", "shorter delays"]);
}
