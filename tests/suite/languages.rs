//! Every text is in the language of its reader: no Japanese in English, and no English sentence in Japanese.
//!
//! Local: the texts of a queue on a server are those of a queue on this machine.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::thread;

use crate::harness::{Outcome, Running, Sandbox};

const COMMANDS: [&str; 18] = [
    "run",
    "timeline",
    "sweep",
    "bench",
    "learn",
    "producer",
    "consumer",
    "put",
    "get",
    "peek",
    "join",
    "close",
    "status",
    "failed",
    "rm",
    "completions",
    "man",
    "help",
];

/// Runs a command in both languages at the same time. `check` gets the arguments and the outcome.
fn in_both(run: impl Fn(&str) + Sync) {
    thread::scope(|scope| {
        let handles = ["en", "ja"].map(|lang| {
            scope.spawn({
                let run = &run;
                move || run(lang)
            })
        });
        for handle in handles {
            if let Err(panic) = handle.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

fn run_in(sandbox: &Sandbox, lang: &str, args: &[&str]) -> Outcome {
    let mut command = sandbox.qdemo(args);
    command.env("QDEMO_LANG", lang);
    Running::start(command).end()
}

fn is_japanese(c: char) -> bool {
    matches!(c, '\u{3000}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' | '\u{ff00}'..='\u{ffef}')
}

/// The text without code in backticks, which is the same in both languages.
fn prose(text: &str) -> String {
    let mut prose = String::new();
    for (n, part) in text.split('`').enumerate() {
        prose.push_str(if n % 2 == 0 { part } else { "…" });
    }
    prose
}

/// Three or more English words in a row. Options and names in capitals are no words.
fn english_run(line: &str) -> Option<String> {
    let is_word = |word: &&str| {
        let mut letters = word.trim_end_matches(['.', ':', ';']).chars();
        letters.all(|c| c.is_ascii_alphabetic() || c == '\'')
            && word.chars().any(|c| c.is_ascii_lowercase())
    };
    let words: Vec<_> = line.split_whitespace().collect();
    let run = words.windows(3).find(|three| three.iter().all(is_word));
    run.map(|three| three.join(" "))
}

#[track_caller]
fn assert_language(lang: &str, args: &[&str], text: &str) {
    let text = prose(text);
    if lang == "en" {
        // The name of generated items is Japanese unless the language is chosen, and help says so.
        let text = text.replace("アイテム", "");
        let line = text.lines().find(|line| line.contains(is_japanese));
        assert_eq!(line, None, "Japanese in English: {args:?}");
    } else {
        assert!(text.contains(is_japanese), "no Japanese: {args:?}: {text}");
        for line in text.lines() {
            assert_eq!(english_run(line), None, "English in Japanese: {args:?}: {line}");
        }
    }
}

/// A help without its examples and its usage, which are commands.
fn without_commands(help: &str) -> String {
    let (text, _) =
        help.split_once("\nExamples:\n").or(help.split_once("\n例:\n")).unwrap_or((help, ""));
    let is_usage = |line: &&str| !line.starts_with("Usage:") && !line.starts_with("使い方:");
    text.lines().filter(is_usage).collect::<Vec<_>>().join("\n")
}

/// A manual page without its markup, its examples and its synopsis.
fn without_markup(page: &str) -> String {
    let mut lines = Vec::new();
    let mut is_left_out = false;
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix(".SH ") {
            is_left_out =
                ["SYNOPSIS", "EXAMPLES", "書式", "例"].contains(&heading.trim_matches('"'));
        }
        if !is_left_out && !line.starts_with(['.', '\'']) {
            let marks = ["\\fB", "\\fI", "\\fR"];
            lines.push(marks.iter().fold(line.to_owned(), |line, mark| line.replace(mark, "")));
        }
    }
    lines.join("\n").replace("\\-", "-")
}

#[test]
fn help_and_manual_pages_are_in_one_language() {
    let sandbox = Sandbox::new();
    in_both(|lang| {
        for args in [&["--help"][..], &["-h"], &["help"]] {
            let help = run_in(&sandbox, lang, args);
            help.assert_done();
            assert_language(lang, args, &without_commands(&help.text()));
        }
        for command in COMMANDS {
            for args in [[command, "-h"], [command, "--help"]] {
                let help = run_in(&sandbox, lang, &args);
                help.assert_done();
                assert_language(lang, &args, &without_commands(&help.text()));
            }
        }
        for args in COMMANDS.iter().map(|command| vec!["man", command]).chain([vec!["man"]]) {
            let page = run_in(&sandbox, lang, &args);
            page.assert_done();
            assert_language(lang, &args, &without_markup(&page.text()));
        }
    });
}

/// Values of `qdemo sweep --vary` with an error each.
const BAD_RANGES: [&str; 12] = [
    "consumers",
    "speed=1..3",
    "consumer=1..3",
    "consumers=3..1",
    "consumers=3,1",
    "consumers=1..3:0",
    "consumers=1..3:1",
    "consumers=1..3:4",
    "capacity=0,1",
    "capacity=1..1000000",
    "consumer-delay=1s..2s",
    "consumer-delay=0,1s",
];

#[test]
fn errors_in_arguments_are_in_one_language() {
    let sandbox = Sandbox::new();
    let errors: &[&[&str]] = &[
        &["list"],
        &["frobnicate"],
        &["rum"],
        &["run", "--items", "-1"],
        &["run", "--speed", "0"],
        &["run", "--timeline", "run.png"],
        &["timeline"],
        &["timeline", "missing.jsonl"],
        &["timeline", "x", "--server", "redis://h"],
        &["bench", "--size", "1"],
        &["bench", "--workers", "4"],
        &["bench", "--format", "raw"],
        &["producer"],
        &["producer", "a", "-"],
        &["producer", "--items", "3", "a"],
        &["producer", "--delay", "exp:0", "a"],
        &["consumer", "--delay", "banana"],
        &["consumer", "--delay", "uniform:2s..1s"],
        &["consumer", "--"],
        &["consumer", "grep", "foo"],
        &["consumer", "--tty", "-j", "2", "--", "true"],
        &["consumer", "--dead-after", "1s"],
        &["put"],
        &["put", "x", "--timeout", "-1s"],
        &["put", "x", "--max-item-size", "huge"],
        &["put", "x", "--allow-eviction"],
        &["get", "--timeout", "soon"],
        &["get", "--count", "0"],
        &["get", "--timout", "1s"],
        &["peek", "--count", "-1"],
        &["peek"],
        &["peek", "--queue"],
        &["join", "--timeout", "99999999999d"],
        &["join"],
        &["join", "--server-timeout", "1s"],
        &["close"],
        &["close", "extra"],
        &["close", "--now", "--now"],
        &["status", "-q", "missing"],
        &["status", "--every", "1s"],
        &["status", "--watch", "--every", "0"],
        &["failed", "7"],
        &["failed", "0", "--drop"],
        &["failed", "--retry", "--drop"],
        &["rm"],
        &["rm", "-q", "../x"],
        &["rm", "--ended", "--force"],
        &["completions"],
        &["completions", "tcl"],
        &["completions", "--bogus"],
        &["man", "nothing"],
        &["man", "--bogus"],
        &["man", "put", "get"],
        &["help", "nothing"],
        &["help", "--bogus"],
        &["help", "put", "get"],
    ];
    let sweeps = BAD_RANGES.each_ref().map(|range| ["sweep", "--vary", range]);
    in_both(|lang| {
        for args in errors.iter().copied().chain(sweeps.iter().map(|sweep| &sweep[..])) {
            let outcome = run_in(&sandbox, lang, args);
            outcome.assert_one_line_of_error(&[]);
            assert!(matches!(outcome.code(), Some(1 | 2)), "{args:?}: {outcome:?}");
            assert_language(lang, args, &outcome.stderr);
        }
    });
    sandbox.assert_nothing_left();
}

#[test]
fn status_results_and_errors_of_a_queue_are_in_one_language() {
    in_both(|lang| {
        let sandbox = Sandbox::new();
        let steps: &[(&[&str], i32)] = &[
            (&["rm", "--ended"], 0),
            (&["put", "--capacity", "1", "x"], 0),
            (&["put", "--no-wait", "y", "z"], 3),
            (&["put", "--capacity", "2", "y"], 1),
            (&["put", "--max-item-size", "1", "long"], 1),
            (&["put", "--json", "{"], 1),
            (&["join", "--timeout", "0"], 3),
            (&["rm"], 1),
            (&["close", "-q", "defualt"], 1),
            (&["close"], 0),
            (&["put", "y"], 4),
            (&["status"], 0),
            (&["consumer", "--", "false"], 1),
            (&["status"], 0),
            (&["join"], 1),
            (&["peek"], 3),
            (&["get", "--no-wait"], 4),
            (&["rm", "--ended"], 1),
            (&["failed", "--drop", "99"], 1),
            (&["failed", "--retry"], 0),
            (&["close", "--now"], 0),
            (&["rm", "--force"], 0),
        ];
        for &(args, code) in steps {
            let outcome = run_in(&sandbox, lang, args);
            assert_eq!(outcome.code(), Some(code), "{args:?}: {outcome:?}");
            let text = outcome.text() + &outcome.stderr;
            if !text.is_empty() {
                assert_language(lang, args, &text);
            }
        }
        sandbox.assert_nothing_left();
    });
}

#[test]
fn statistics_pictures_and_bench_are_in_one_language() {
    let run: &[&str] = &[
        "run",
        "--items=30",
        "--producer-delay=exp:1s",
        "--consumer-delay=exp:800ms",
        "--capacity=4",
        "--seed=7",
        "--speed=max",
        "--stats=text",
        "--timeline=run.svg",
    ];
    in_both(|lang| {
        let sandbox = Sandbox::new();
        let outcome = run_in(&sandbox, lang, run);
        assert_eq!(outcome.code(), Some(0));
        assert_language(lang, run, &(outcome.text() + &outcome.stderr));
        let picture = std::fs::read_to_string(sandbox.path("run.svg")).unwrap();
        let document = roxmltree::Document::parse(&picture).unwrap();
        let texts = document.descendants().filter(|node| node.has_tag_name("text"));
        let texts: Vec<_> = texts.filter_map(|node| node.text()).collect();
        assert_language(lang, run, &texts.join("\n"));
        // The second run is too short for an interval, and the queue of its first point is overloaded.
        for more in [&["--replications=2"][..], &["--replications=1"]] {
            let sweep = ["sweep", "--vary=consumers=1,2", "--items=60", "--plot=sweep.svg"];
            let sweep = [&sweep[..], &["--consumer-delay=exp:1500ms"], more].concat();
            let outcome = run_in(&sandbox, lang, &sweep);
            outcome.assert_done();
            assert_language(lang, &sweep, &outcome.text());
            let picture = std::fs::read_to_string(sandbox.path("sweep.svg")).unwrap();
            let document = roxmltree::Document::parse(&picture).unwrap();
            let texts = document.descendants().filter_map(|node| node.text());
            let texts = texts.filter(|text| !text.contains('{')).collect::<Vec<_>>().join("\n");
            assert_language(lang, &sweep, &texts);
        }
        let bench = ["bench", "--size=16", "--workers=1x1", "--rounds=2", "--plot=bench.svg"];
        let outcome = run_in(&sandbox, lang, &bench);
        assert_eq!(outcome.code(), Some(0), "{outcome:?}");
        // The first line is the machine's own description.
        let text = outcome.text() + &outcome.stderr;
        assert_language(lang, &bench, text.split_once('\n').unwrap().1);
        sandbox.assert_nothing_left();
    });
}

#[test]
fn a_locale_that_is_broken_or_unset_is_english() {
    let sandbox = Sandbox::new();
    let error_with = |variables: &[(&str, &[u8])]| {
        let mut command = sandbox.qdemo(&["rm"]);
        command.env_remove("LC_ALL");
        for (name, value) in variables {
            command.env(name, OsStr::from_bytes(value));
        }
        Running::start(command).end()
    };
    for variables in [
        &[][..],
        &[("LC_ALL", &b""[..]), ("LANG", b"")],
        &[("LC_ALL", b"xx_YY.nonsense")],
        &[("LC_ALL", b"\xff\xfe")],
        &[("LANG", b"ja\xff")],
        &[("LANG", b"C")],
        &[("LC_ALL", b"POSIX"), ("LANG", b"ja_JP.UTF-8")],
    ] {
        error_with(variables).assert_refused(1, &["there is no queue `default`"]);
    }
    for variables in [
        &[("LANG", &b"ja_JP.UTF-8"[..])][..],
        &[("LC_MESSAGES", b"ja"), ("LANG", b"C")],
        &[("LC_ALL", b"ja_\xff.UTF-8")],
    ] {
        error_with(variables).assert_refused(1, &["キュー「default」がありません"]);
    }
    for (variables, words) in [
        (&[("QDEMO_LANG", &b"fr"[..])][..], ["'fr' of QDEMO_LANG", "ja or en"]),
        (&[("QDEMO_LANG", b"\xff")], ["of QDEMO_LANG", "ja or en"]),
        (&[("QDEMO_LANG", b"fr"), ("LANG", b"ja")], ["QDEMO_LANG", "ja か en"]),
    ] {
        error_with(variables).assert_refused(2, &words);
    }
    let chosen = sandbox.run(&["rm", "--lang", "fr"]);
    chosen.assert_refused(2, &["'fr' for '--lang", "ja or en"]);
    sandbox.assert_nothing_left();
}

#[test]
fn the_workers_of_a_run_speak_the_language_of_the_run() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.start(&["run", "--lang", "ja", "--consumer-delay", "1h"]);
    assert!(run.line().contains("追加"));
    let workers = sandbox.processes_of("qdemo consumer");
    assert!(!workers.is_empty());
    for worker in workers {
        let environment = std::fs::read(format!("/proc/{}/environ", worker.pid)).unwrap();
        assert!(memchr::memmem::find(&environment, b"QDEMO_LANG=ja").is_some());
    }
    run.signal(rustix::process::Signal::KILL);
    run.end();
}
