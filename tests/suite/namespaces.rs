//! Processes in separate PID and time namespaces share a queue. These tests need the right to make
//! namespaces (root). Without this right, each test prints a notice and passes.
//!
//! Local: the processes share a file system and not a server.

use crate::harness::{Running, Sandbox, assert_same};
use crate::pools::assert_codes;

/// Whether `unshare` with these options works here. Prints a notice if not.
pub fn can_unshare(options: &str) -> bool {
    let can = std::process::Command::new("sh")
        .args(["-c", &format!("unshare {options} true 2> /dev/null")])
        .status()
        .is_ok_and(|status| status.success());
    if !can {
        eprintln!("SKIPPED: `unshare {options}` is not allowed here");
    }
    can
}

/// Commands that start another command in a container: with the `/proc` of the host, with a `/proc` of its
/// own, and with a boot clock that shows another time.
const CONTAINERS: [&str; 5] = [
    "unshare --pid --fork",
    "unshare --pid --fork --mount-proc",
    "unshare --time --boottime 86400 --fork",
    "unshare --time --boottime -1 --fork",
    "unshare --pid --time --boottime 1000000 --fork --mount-proc",
];

/// The end of a PID namespace kills its keeper. Another keeper removes the leftovers.
fn assert_nothing_left(sandbox: &Sandbox) {
    sandbox.run(&["rm"]).assert_done();
    sandbox.assert_nothing_left();
}

fn containers() -> impl Iterator<Item = &'static str> {
    CONTAINERS.into_iter().filter(|unshare| can_unshare(unshare.trim_start_matches("unshare")))
}

#[test]
fn a_namespaced_consumer_started_after_an_end_gets_the_next_items() {
    for unshare in containers() {
        let sandbox = Sandbox::new();
        let first =
            sandbox.script("qdemo producer --quiet old & qdemo consumer --format raw; wait");
        first.assert_prints("old\n");
        // More than one tick of the kernel's clock must lie between the end and the start of the consumer.
        // Within one tick, the order of the two is unknown.
        let script = format!("sleep 0.02; exec {unshare} qdemo consumer --format raw");
        let mut command = sandbox.command("bash");
        command.args(["-c", &script]);
        let consumer = Running::start(command);
        sandbox.wait_for_consumer();
        sandbox.run(&["producer", "--quiet", "new"]).assert_done();
        consumer.end().assert_prints("new\n");
        assert_nothing_left(&sandbox);
    }
}

#[test]
fn a_namespaced_process_older_than_the_end_learns_of_the_end_on_connecting() {
    for unshare in containers() {
        let sandbox = Sandbox::new();
        let script = "echo made; read go; exec qdemo consumer --format raw";
        let mut command = sandbox.command("sh");
        command.args(["-c", &format!("exec {unshare} sh -c '{script}'")]);
        let mut late = Running::start(command);
        assert_eq!(late.line(), "made");
        let first =
            sandbox.script("qdemo producer --quiet old & qdemo consumer --format raw; wait");
        first.assert_prints("old\n");
        late.feed("go\n");
        late.end().assert_prints("");
        assert_nothing_left(&sandbox);
    }
}

#[test]
fn the_gets_of_a_namespaced_pool_learn_of_the_end() {
    for unshare in containers() {
        let sandbox = Sandbox::new();
        let pool = r#"seq 5 | xargs -P2 -n1 sh -c "qdemo get --quiet > /dev/null; echo \$?""#;
        let script = format!("qdemo put a b; qdemo close; {unshare} sh -c '{pool}'");
        let outcome = sandbox.script(&script);
        assert_same("", &outcome.stderr);
        assert_codes(&outcome.lines(), 2, 3);
        assert_nothing_left(&sandbox);
    }
}

#[test]
fn many_namespaced_consumers_all_learn_of_the_end() {
    for unshare in containers() {
        let sandbox = Sandbox::new();
        // Each process is there before the queue can end. A process that comes later waits for the next round.
        let consumer = "sh -c 'echo made > made; exec qdemo consumer --format raw'";
        let script = format!(
            "mkfifo made; exec 3<> made
             for n in $(seq 10); do {unshare} {consumer} 3>&- & done
             for n in $(seq 10); do read -r line <&3; done
             qdemo producer --quiet 1 2 3; wait"
        );
        let outcome = sandbox.script(&script);
        assert_same("", &outcome.stderr);
        assert_eq!(outcome.lines().len(), 3);
        assert_nothing_left(&sandbox);
    }
}
