//! Processes in PID and time namespaces of their own that share a queue. This takes the right to make
//! namespaces (root); without it these tests say so and do nothing.

use crate::harness::{Running, Sandbox, assert_same};
use crate::pools::assert_codes;

/// Whether `unshare` with these options works here.
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

/// Ways to run a command in a sandbox: with the host's `/proc`, as many have, with one of its own, and
/// with a boot clock that shows another time.
const SANDBOXES: [&str; 5] = [
    "unshare --pid --fork",
    "unshare --pid --fork --mount-proc",
    "unshare --time --boottime 86400 --fork",
    "unshare --time --boottime -1 --fork",
    "unshare --pid --time --boottime 1000000 --fork --mount-proc",
];

/// A keeper that was started in a PID namespace is killed with it: another one tidies up.
fn assert_nothing_left(sandbox: &Sandbox) {
    sandbox.run(&["rm"]).assert_done();
    sandbox.assert_nothing_left();
}

fn sandboxes() -> impl Iterator<Item = &'static str> {
    SANDBOXES.into_iter().filter(|unshare| can_unshare(unshare.trim_start_matches("unshare")))
}

#[test]
fn a_consumer_in_a_namespace_that_starts_after_an_end_gets_what_comes_next() {
    for unshare in sandboxes() {
        let sandbox = Sandbox::new();
        let first =
            sandbox.script("qdemo producer --quiet old & qdemo consumer --format raw; wait");
        first.assert_prints("old\n");
        // The end must be more than a tick of the kernel's clock ago: within one, this cannot be known.
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
fn a_consumer_in_a_namespace_that_was_there_before_the_end_is_told_however_late_it_arrives() {
    for unshare in sandboxes() {
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
fn the_gets_of_a_pool_in_a_namespace_are_told_of_the_end() {
    for unshare in sandboxes() {
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
fn many_consumers_in_namespaces_all_come_home() {
    for unshare in sandboxes() {
        let sandbox = Sandbox::new();
        let script = format!(
            "for n in $(seq 10); do {unshare} qdemo consumer --format raw & done
             qdemo producer --quiet 1 2 3; wait"
        );
        let outcome = sandbox.script(&script);
        assert_eq!(outcome.stderr, "");
        assert_eq!(outcome.lines().len(), 3);
        assert_nothing_left(&sandbox);
    }
}
