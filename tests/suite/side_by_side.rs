//! `qdemo consumer -- COMMAND` beside GNU parallel: a thousand items, and the same outcomes. `exec` has the comparison
//! with xargs.

use std::collections::BTreeSet;
use std::fs;

use crate::harness::{Outcome, Sandbox, assert_same};

/// Runs the script `work` for each number from 1 to 1,000, with the number and the slot as arguments: with GNU parallel,
/// then with qdemo, each in a sandbox of its own.
fn run_both(work: &str, parallel: &str, qdemo: &str) -> [(Sandbox, Outcome); 2] {
    let peer = format!("seq 1000 | parallel {parallel} sh work {{}} {{%}}");
    let ours = format!(
        "seq 1000 | qdemo put - && qdemo close && qdemo consumer {qdemo} -- sh work {{}} {{%}}"
    );
    [peer, ours].map(|script| {
        let sandbox = Sandbox::new();
        fs::write(sandbox.path("work"), work).unwrap();
        let outcome = sandbox.script(&script);
        (sandbox, outcome)
    })
}

/// The lines of a file that the commands have written, without their order: commands run at the same time.
fn lines_of(sandbox: &Sandbox, file: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(sandbox.path(file)).unwrap();
    let lines: BTreeSet<_> = text.lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), text.lines().count(), "a line is there twice: {text}");
    lines
}

#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn output_in_order_and_tags_have_the_same_bytes_as_in_gnu_parallel() {
    // The last of four commands ends first. With tags, qdemo ends a command's last line where GNU parallel puts the next tag
    // into the middle of the line.
    let work = r#"sleep "0.00$((3 - $1 % 4))"; echo "$1 a"; printf "$1 b""#;
    let lines = format!("{work}; echo");
    for (work, options) in [
        (work, "-j4 --keep-order"),
        (&lines, "-j4 --keep-order --tag"),
        ("echo a; echo b", "-j1 --tag"),
    ] {
        let [(_, peer), (sandbox, ours)] = run_both(work, options, options);
        assert_eq!((peer.code(), ours.code()), (Some(0), Some(0)), "{}", ours.stderr);
        assert_same(&peer.text(), &ours.text());
        sandbox.assert_nothing_left();
    }
}

#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn live_lines_are_whole_as_with_gnu_parallel() {
    let work = r#"for part in a b c; do printf "$1 $part "; sleep 0.001; echo "${part}end"; done"#;
    let both = run_both(work, "-j4 --line-buffer", "-j4 --live");
    for (_, outcome) in &both {
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        let lines = outcome.lines();
        assert_eq!(lines.len(), 3000);
        for item in 1..=1000 {
            let start = format!("{item} ");
            let own: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix(&start)).collect();
            assert_eq!(own, ["a aend", "b bend", "c cend"], "item {item}");
        }
    }
}

#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn slots_are_those_of_gnu_parallel_and_no_two_commands_share_one() {
    // A command that finds its slot occupied fails.
    let work = r#"mkdir "slot.$2" && rmdir "slot.$2" && echo "$1" >> ran && echo "$2""#;
    for jobs in ["-j1", "-j4", "-j50%", "-j100%"] {
        let [peer, ours] = run_both(work, jobs, jobs);
        let slots = [&peer, &ours].map(|(sandbox, outcome)| {
            assert_eq!(outcome.code(), Some(0), "{jobs}: {}", outcome.stderr);
            assert_eq!(lines_of(sandbox, "ran").len(), 1000);
            outcome.lines().into_iter().collect::<BTreeSet<_>>()
        });
        assert_eq!(slots[0], slots[1], "{jobs}");
    }
}

#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn a_halt_comes_after_the_same_item_as_in_gnu_parallel() {
    let work = r#"echo "$1" >> ran; test $(($1 % 7)) != 0"#;
    let conditions = [
        "fail=1",
        "fail=3",
        "fail=1%",
        "fail=14%",
        "fail=90%",
        "success=3",
        "success=1%",
        "done=8",
        "done=1%",
    ];
    for when in ["now", "soon"] {
        for condition in conditions {
            let options = format!("-j1 --halt {when},{condition}");
            let [(peer_box, peer), (our_box, ours)] = run_both(work, &options, &options);
            let ran = [&peer_box, &our_box].map(|sandbox| lines_of(sandbox, "ran"));
            let has_failed = ran[1].contains("7");
            assert_eq!(ours.code(), Some(i32::from(has_failed)), "{options}: {}", ours.stderr);
            // GNU parallel tells of failures only if the failures have halted it.
            assert!(peer.code() != Some(0) || !condition.starts_with("fail"), "{options}");
            assert_eq!(ran[0], ran[1], "{options}: {}", ours.stderr);
            // The queue has the items that no command has run for.
            let left = our_box.run(&["get", "--count", "1000", "--no-wait"]).lines().len();
            assert_eq!(ran[1].len() + left, 1000, "{options}");
        }
    }
}

#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn a_halt_ends_the_other_commands_or_lets_them_finish_as_gnu_parallel_does() {
    let now = r#"echo "start $1" >> log
        case $1 in
            3) while [ "$(wc -l < log)" -lt 4 ]; do sleep 0.01; done; exit 1 ;;
            1 | 2 | 4) sleep 1000 ;;
        esac
        echo "end $1" >> log"#;
    let soon = r#"echo "start $1" >> log
        case $1 in
            3) while [ "$(wc -l < log)" -lt 4 ]; do sleep 0.01; done; (sleep 0.2; : > go) > /dev/null 2>&1 & exit 1 ;;
            1 | 2 | 4) while [ ! -e go ]; do sleep 0.01; done ;;
        esac
        echo "end $1" >> log"#;
    for (when, work, ends) in [("now", now, 0), ("soon", soon, 3)] {
        let options = format!("-j4 --halt {when},fail=1");
        let [(peer_box, peer), (our_box, ours)] = run_both(work, &options, &options);
        assert!(peer.code() != Some(0) && ours.code() == Some(1), "{options}: {}", ours.stderr);
        let logs = [&peer_box, &our_box].map(|sandbox| lines_of(sandbox, "log"));
        assert_eq!(
            logs[1].iter().filter(|line| line.starts_with("end")).count(),
            ends,
            "{options}"
        );
        assert_eq!(logs[0], logs[1], "{options}");
    }
}
