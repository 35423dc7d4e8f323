//! What `rm` says is so: a queue that is said to be removed is gone, and one that could not be removed is
//! there, whatever becomes of the keeper meanwhile.

use rustix::process::Signal;

use crate::harness::{Sandbox, signal_to};

/// Exit code 0 and a queue that is there, or another one and a queue that is gone, are lies.
fn assert_told_the_truth(sandbox: &Sandbox, code: Option<i32>) {
    let status = sandbox.run(&["status", "-q", "default"]);
    match code {
        Some(0) => status.assert_refused(1, &["there is no queue `default`"]),
        _ => assert!(status.text().starts_with("default: 3 in line"), "{status:?}"),
    }
}

#[test]
fn a_queue_is_removed_when_rm_says_so_whenever_its_keeper_is_killed() {
    let sandbox = Sandbox::new();
    let mut removed = 0;
    for _ in 0..40 {
        sandbox.run(&["put", "a", "b", "c"]).assert_prints("");
        sandbox.wait_for_keeper_to_go("default");
        let rm = sandbox.start(&["rm", "--force"]);
        // As soon as there is one, and then its successors.
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
        assert_told_the_truth(&sandbox, outcome.code());
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
fn a_keeper_without_descriptors_removes_the_queue_or_says_that_it_cannot() {
    for limit in 9..20 {
        let sandbox = Sandbox::new();
        // The keeper, which raises its limit as far as it may, has this one.
        let outcome = sandbox.script(&format!(
            "(ulimit -n {limit}; qdemo put a b c 2> /dev/null) || exit 9
             (ulimit -n {limit}; qdemo rm --force > said 2>&1); echo $?"
        ));
        match outcome.text().trim() {
            "" => assert_eq!(outcome.code(), Some(9), "so few that nothing can be put"),
            code => assert_told_the_truth(&sandbox, code.parse().ok()),
        }
        sandbox.assert_nothing_left();
    }
}
