//! `qdemo run --simulate`: its options, its end, and what it leaves. That its events equal those of processes is the
//! subject of the property test.
//!
//! Local: a run has its queue on this machine.

use crate::harness::{CLASSIC, Running, Sandbox, signal_to};
use rustix::process::Signal;

#[test]
fn a_simulated_run_makes_no_files_and_prints_the_log() {
    let sandbox = Sandbox::new();
    for (option, code) in [("--simulate", Some(0)), ("--speed=max", Some(1))] {
        let mut command = sandbox.qdemo(&["run", option]);
        // A run with processes has its pipes there.
        command.env("TMPDIR", "/nowhere");
        let outcome = Running::start(command).end();
        assert_eq!(outcome.code(), code, "{option}: {}", outcome.stderr);
        if code == Some(0) {
            outcome.assert_prints(CLASSIC);
        }
    }
    sandbox.assert_nothing_left();
}

#[test]
fn a_simulated_run_has_the_speed_max_and_no_other() {
    let sandbox = Sandbox::new();
    sandbox.run(&["run", "--simulate", "--speed", "max"]).assert_prints(CLASSIC);
    let words = ["leave --speed out"];
    sandbox.run(&["run", "--simulate", "--speed", "2"]).assert_refused(2, &words);
}

#[test]
fn the_first_signal_ends_a_simulated_run_with_what_it_has() {
    let sandbox = Sandbox::new();
    let args = ["run", "--simulate", "--items", "1000000000", "--stats"];
    let mut run = sandbox.start(&args);
    assert_eq!(run.line(), "生産者: アイテム0 を追加しました");
    signal_to(run.pid(), Signal::INT);
    let outcome = run.end();
    assert_eq!(outcome.signal(), Some(Signal::INT.as_raw()));
    assert!(outcome.stderr.contains("items are not done"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("holds exactly"), "{}", outcome.stderr);
}

#[test]
fn a_simulated_run_beyond_the_latest_time_is_an_error() {
    let sandbox = Sandbox::new();
    let args = ["run", "--simulate", "--quiet", "--items", "100", "--consumer-delay", "300000h"];
    sandbox.run(&args).assert_refused(1, &["584 years"]);
}

#[test]
fn kills_of_a_simulated_run_come_by_the_seed() {
    let sandbox = Sandbox::new();
    let run = |how: &[&str]| {
        let args = ["run", "--items", "12", "--consumers", "2", "--chaos", "1500ms", "--seed", "7"];
        sandbox.run(&[&args[..], how].concat())
    };
    let simulated = run(&["--simulate"]);
    let real = run(&["--speed", "max"]);
    assert!(simulated.text().contains("異常終了"), "{}", simulated.text());
    assert_eq!(simulated.text(), real.text());
    assert_eq!(simulated.stderr, real.stderr);
    sandbox.assert_nothing_left();
}

#[test]
fn the_statistics_say_whether_processes_were_started() {
    let sandbox = Sandbox::new();
    let run = |more: &[&str]| {
        sandbox.run(&[&["run", "--quiet", "--items", "1", "--lang", "en"], more].concat()).stderr
    };
    let text = "simulated       no processes were started\n";
    assert!(run(&["--simulate", "--stats"]).contains(text));
    assert!(!run(&["--speed", "max", "--stats"]).contains("simulated"));
    assert!(run(&["--simulate", "--stats", "json"]).contains(r#","simulated":true,"#));
    assert!(run(&["--speed", "max", "--stats", "json"]).contains(r#","simulated":false,"#));
    let page = |how: &str| {
        let file = sandbox.path("run.html");
        run(&[how, "--timeline", file.to_str().unwrap()]);
        std::fs::read_to_string(file).unwrap()
    };
    assert!(page("--simulate").contains("no processes were started"));
    assert!(!page("--speed=max").contains("no processes were started"));
}
