//! `rm` reports the truth, even if the keeper is killed meanwhile: exit code 0 means that the queue is gone, and any other
//! code means that the queue exists.
//!
//! Local: the keeper is killed, or lacks descriptors.

use rustix::process::Signal;

use crate::harness::{Sandbox, signal_to};

/// Checks that the queue is gone after exit code 0, and complete after any other code.
fn assert_exit_code_is_true(sandbox: &Sandbox, code: Option<i32>) {
    let status = sandbox.run(&["status", "-q", "default"]);
    match code {
        Some(0) => status.assert_refused(1, &["there is no queue `default`"]),
        _ => assert!(status.text().starts_with("default: 3 ready"), "{status:?}"),
    }
}

#[test]
fn rm_reports_the_truth_whenever_the_keeper_is_killed() {
    let sandbox = Sandbox::new();
    let mut removed = 0;
    for _ in 0..40 {
        sandbox.run(&["put", "a", "b", "c"]).assert_prints("");
        sandbox.wait_for_keeper_to_go("default");
        let rm = sandbox.start(&["rm", "--force"]);
        // Kill the first keeper as soon as it exists, and then its successors.
        let mut killed = 0;
        while killed < 2 {
            let keepers = sandbox.processes_of("qdemo keeper");
            for keeper in &keepers {
                signal_to(keeper.pid, Signal::KILL);
                killed += 1;
            }
            if keepers.is_empty() && sandbox.processes_of("qdemo rm").is_empty() {
                break;
            }
        }
        let outcome = rm.end();
        assert_exit_code_is_true(&sandbox, outcome.code());
        if outcome.code() == Some(0) {
            removed += 1;
            outcome.assert_prints("removed 3 items\n");
        } else {
            sandbox.run(&["rm", "--force"]);
        }
    }
    assert!(removed > 0);
    sandbox.assert_nothing_left();
}

#[test]
fn rm_reports_the_truth_when_the_keeper_has_few_descriptors() {
    for limit in 9..20 {
        let sandbox = Sandbox::new();
        // `ulimit -n` sets the hard limit too: the keeper, which raises its soft limit, gets no more descriptors.
        let outcome = sandbox.script(&format!(
            "(ulimit -n {limit}; qdemo put a b c 2> /dev/null) || exit 9
             (ulimit -n {limit}; qdemo rm --force > output 2>&1); echo $?"
        ));
        match outcome.text().trim() {
            "" => assert_eq!(outcome.code(), Some(9), "neither `put` nor `rm` ran"),
            code => assert_exit_code_is_true(&sandbox, code.parse().ok()),
        }
        sandbox.assert_nothing_left();
    }
}
