//! Item id and attempt together identify one execution of a command.

use std::collections::BTreeSet;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Sandbox, wait_for_end};

/// The item id and the attempt of each execution, in order.
fn attempts(sandbox: &Sandbox) -> Vec<String> {
    let log = fs::read_to_string(sandbox.path("tries")).unwrap_or_default();
    log.lines().map(str::to_owned).collect()
}

const LOG: &str = r#"echo "$QDEMO_ID $QDEMO_ATTEMPT" >> tries"#;

both!(attempts_count_on_after_a_consumer_dies_between_retries, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "x"]).assert_prints("");
    // The consumer dies during the third attempt.
    let command = format!(r#"{LOG}; [ "$QDEMO_ATTEMPT" -lt 3 ] || kill -9 $PPID; exit 1"#);
    let args = ["consumer", "--retries", "5", "--backoff", "1ms", "--", "sh", "-c", &command];
    assert_eq!(sandbox.run(&args).signal(), Some(9));
    let command = format!(r#"{LOG}; [ "$QDEMO_ATTEMPT" -gt 5 ]"#);
    let args = ["consumer", "--max", "1", "--retries", "5", "--backoff", "1ms"];
    let args = [&args[..], &["--", "sh", "-c", &command]].concat();
    sandbox.run(&args).assert_done();
    assert_eq!(attempts(&sandbox), ["1 1", "1 2", "1 3", "1 4", "1 5", "1 6"]);
    sandbox.assert_nothing_left();
});

// Local: a server has no keepers.
#[test]
fn no_attempt_repeats_when_keepers_die_between_retries() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a", "b", "c"]).assert_prints("");
    let command = format!(r#"{LOG}; echo tried; exit 1"#);
    let args = ["consumer", "-j", "3", "--max", "3", "--retries", "6", "--backoff", "1ms"];
    let args = [&args[..], &["--", "sh", "-c", &command]].concat();
    let mut consumer = sandbox.start(&args);
    for _ in 0..21 {
        assert_eq!(consumer.line(), "tried");
        for keeper in sandbox.processes_of("qdemo keeper") {
            // A keeper that finds another keeper at its start exits by itself.
            let _ = kill_process(Pid::from_raw(keeper.pid).unwrap(), Signal::KILL);
            wait_for_end(keeper.pid);
        }
    }
    assert_eq!(consumer.end().code(), Some(1));
    let all = attempts(&sandbox);
    let keys: BTreeSet<_> = all.iter().collect();
    assert_eq!((all.len(), keys.len()), (21, 21), "{all:?}");
    let failed = sandbox.run(&["failed"]).text();
    let reasons: Vec<_> = failed.lines().map(|line| line.rsplit_once('\t').unwrap().0).collect();
    let reason = "7\texit code 1, at the last of 7 tries";
    assert_eq!(reasons, [format!("1\t{reason}"), format!("2\t{reason}"), format!("3\t{reason}")]);
    sandbox.assert_nothing_left();
}

both!(attempts_of_a_retried_failed_item_count_on, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "x"]).assert_prints("");
    let command = format!("{LOG}; exit 1");
    for _ in 0..2 {
        let args = ["consumer", "--max", "1", "--retries", "1", "--backoff", "1ms"];
        sandbox.run(&[&args[..], &["--", "sh", "-c", &command]].concat());
        sandbox.run(&["failed", "--retry"]).assert_prints("1 item is ready again\n");
    }
    // A plain `get` is an attempt too.
    let printed = sandbox.run(&["get", "--format", "json"]).text();
    assert!(printed.contains(r#""attempt":5"#), "{printed}");
    assert_eq!(attempts(&sandbox), ["1 1", "1 2", "1 3", "1 4"]);
    sandbox.assert_nothing_left();
});
