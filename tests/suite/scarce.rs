//! Few processes (`ulimit -u`) and few descriptors (`ulimit -n`): each command does its whole task, or fails with one
//! line that names the remedy. No item is lost, and no process or pipe is left behind.
//!
//! Local: keepers lack processes and descriptors.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use qdemo::{QueueBuilder, Role};
use rustix::process::Signal;

use crate::harness::{
    Limit, Outcome, QDEMO, Running, Sandbox, children_of, signal_to, wait_for_end,
};

/// Commands that need only themselves and the keeper, for a queue with the items `a`, `b` and `c`.
const ONE_SHOT: [&str; 13] = [
    "qdemo put d",
    "qdemo get --count 3",
    "qdemo get --no-wait --format json",
    "qdemo peek",
    "qdemo close",
    "qdemo status",
    "qdemo status -q default",
    "qdemo failed",
    "qdemo failed --retry",
    "qdemo rm --force",
    "qdemo completions bash",
    "qdemo man",
    "qdemo producer d --quiet",
];

/// Commands that start further processes.
const WITH_PROCESSES: [&str; 5] = [
    "qdemo consumer --max 3 -- echo {}",
    "qdemo consumer --max 3 -- cat",
    "qdemo run --speed 40",
    "qdemo run --producers 2 --speed max",
    "qdemo run --respawn 3 --quiet --speed 40",
];
const BENCH: &str = "qdemo bench --rounds 1 --size 16 --workers 1x1";

impl Sandbox {
    /// Runs a command under this limit. With `exec`, the shell does not count as another process.
    fn limited(&self, limit: &str, command: &str) -> Outcome {
        self.script(&format!("{limit}; exec {command}"))
    }

    /// Removes both queues, and puts `a`, `b` and `c` into each.
    fn refill(&self) {
        for queue in ["default", "other"] {
            self.run(&["rm", "--force", "-q", queue]);
            self.run(&["put", "-q", queue, "a", "b", "c"]).assert_done();
        }
        self.wait_for_no_process();
    }

    /// Waits until the user has no process. An exited process counts until its parent has reaped it.
    fn wait_for_no_process(&self) {
        self.processes().iter().for_each(|process| wait_for_end(process.pid));
        let limit = Limit::start();
        while let Some(user) = self.user() {
            let mut processes = fs::read_dir("/proc").unwrap().flatten();
            if !processes.any(|entry| entry.metadata().is_ok_and(|is| is.uid() == user)) {
                return;
            }
            assert!(!limit.is_over(), "an exited process is not reaped");
        }
    }

    fn ready_items(&self) -> Vec<String> {
        self.run(&["peek", "--count", "9"]).lines()
    }
}

impl Outcome {
    /// The command succeeded, or printed one line with the remedy.
    #[track_caller]
    fn assert_done_or_refused(&self, command: &str, remedy: &str) {
        match self.code() {
            Some(0) => assert_eq!(self.stderr, "", "{command}"),
            code => {
                assert_eq!(code, Some(1), "{command}: {}", self.stderr);
                self.assert_one_line_of_error(&[remedy]);
            }
        }
    }
}

#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn a_one_shot_command_needs_only_itself_and_the_keeper() {
    let Some(sandbox) = Sandbox::of_a_user_alone() else { return };
    let recording = sandbox.run(&["run", "--speed", "max", "--format", "json"]).stdout;
    fs::write(sandbox.path("run.jsonl"), recording).unwrap();
    for command in ONE_SHOT.iter().chain(&["qdemo timeline run.jsonl", "qdemo consumer --max 3"]) {
        sandbox.refill();
        let outcome = sandbox.limited("ulimit -u 2", command);
        assert_eq!((outcome.code(), &*outcome.stderr), (Some(0), ""), "{command}");
    }
    sandbox.wait_for_no_process();
    sandbox.refill();
    sandbox.run(&["get", "--count", "3"]).assert_prints("a\nb\nc\n");
    sandbox.wait_for_no_process();
    sandbox.limited("ulimit -u 2", "qdemo join").assert_done();
    sandbox.assert_nothing_left();
}

#[test]
fn a_command_that_cannot_start_a_keeper_names_the_remedy_and_changes_nothing() {
    let Some(sandbox) = Sandbox::of_a_user_alone() else { return };
    sandbox.refill();
    for command in ONE_SHOT.iter().chain(&WITH_PROCESSES).chain([&BENCH]) {
        let outcome = sandbox.limited("ulimit -u 1", command);
        if command.contains("status") || command.contains(" man") || command.contains("bash") {
            assert_eq!((outcome.code(), &*outcome.stderr), (Some(0), ""), "{command}");
        } else {
            outcome.assert_refused(1, &["raise `ulimit -u`"]);
        }
    }
    assert_eq!(sandbox.ready_items(), ["a", "b", "c"]);
    sandbox.assert_nothing_left();
}

share! {
fn no_item_is_lost_near_the_limit_of_processes(rounds: 1, all: 4) {
    let Some(sandbox) = Sandbox::of_a_user_alone() else { return };
    for limit in (3..=6).take(rounds) {
        for command in WITH_PROCESSES {
            sandbox.refill();
            let outcome = sandbox.limited(&format!("ulimit -u {limit}"), command);
            outcome.assert_done_or_refused(command, "ulimit -u");
            sandbox.wait_for_no_process();
            if !command.contains("consumer") {
                assert_eq!(sandbox.ready_items(), ["a", "b", "c"], "{limit}: {command}");
            } else if outcome.code() == Some(0) {
                assert_eq!(outcome.lines(), ["a", "b", "c"], "{limit}: {command}");
            } else {
                // The done items come first, and the remaining items are ready.
                let all = [outcome.lines(), sandbox.ready_items()].concat();
                assert_eq!(all, ["a", "b", "c"], "{limit}: {command}");
            }
            sandbox.assert_nothing_left();
        }
    }
}
}

#[test]
fn status_lists_all_queues_without_a_second_thread() {
    let Some(sandbox) = Sandbox::of_a_user_alone() else { return };
    let names: Vec<_> = (10..50).map(|number| format!("q{number}")).collect();
    for name in &names {
        sandbox.run(&["put", "-q", name, "x"]).assert_done();
    }
    sandbox.wait_for_no_process();
    let outcome = sandbox.limited("ulimit -u 1", "qdemo status");
    let expected: Vec<_> = names
        .iter()
        .map(|name| format!("{name}: 1 ready, 0 in flight, 0 done, 0 failed"))
        .collect();
    let lines = outcome.lines();
    let without_age = lines.iter().map(|line| line.split(", the oldest").next().unwrap());
    assert_eq!(without_age.collect::<Vec<_>>(), expected);
    outcome.assert_prints(&outcome.text());
}

#[test]
fn a_client_waits_without_a_thread_while_another_process_starts_the_keeper() {
    let Some(sandbox) = Sandbox::of_a_user_alone() else { return };
    sandbox.refill();
    // This process belongs to root and does not count.
    let lock = File::open(sandbox.queue("default")).unwrap();
    lock.lock().unwrap();
    let put = "exec qdemo put --timeout 100ms d";
    let outcome = sandbox.script(&format!("ulimit -u 1; {put}"));
    outcome.assert_refused(3, &["a keeper of the queue `default` is being started"]);
    // Without a timeout, `put` waits for the lock, and then cannot start a process for the keeper.
    let mut command = sandbox.command("bash");
    command.args(["-c", "ulimit -u 1; exec qdemo put d"]);
    let put = Running::start(command);
    drop(lock);
    put.end().assert_refused(1, &["cannot start a keeper", "raise `ulimit -u`"]);
    assert_eq!(sandbox.ready_items(), ["a", "b", "c"]);
    sandbox.assert_nothing_left();
}

#[test]
fn a_client_reaps_the_killed_keepers_that_it_has_started() {
    let sandbox = Sandbox::new();
    let mut consumer = sandbox.start(&["consumer", "--follow"]);
    for round in 0..6 {
        sandbox.run(&["put", &round.to_string()]).assert_done();
        assert!(consumer.line().contains(&round.to_string()));
        let [keeper] = &sandbox.processes_of("qdemo keeper")[..] else {
            panic!("not exactly one keeper")
        };
        signal_to(keeper.pid, Signal::KILL);
        wait_for_end(keeper.pid);
    }
    // Up to two keepers may be left: the last one, and one that was still alive at the client's latest check.
    let children = children_of(consumer.pid());
    assert!(children.len() <= 2, "{children:?}");
    consumer.signal(Signal::TERM);
    consumer.end();
}

#[test]
fn a_program_that_opens_many_queues_keeps_no_zombies() {
    let sandbox = Sandbox::new();
    let mut before = None;
    for number in 0..20 {
        let name = format!("q{number}");
        let options = QueueBuilder::new(name.parse().unwrap());
        let client =
            options.dir(sandbox.path("queues")).program(QDEMO).connect(Role::Producer).unwrap();
        let [keeper] = &sandbox.processes_of(&format!("qdemo keeper --queue {name}"))[..] else {
            panic!("no keeper of {name}")
        };
        client.leave().unwrap();
        wait_for_end(keeper.pid);
        if let Some(pid) = before.replace(keeper.pid) {
            assert!(
                !Path::new(&format!("/proc/{pid}")).exists(),
                "the previous keeper is a zombie"
            );
        }
    }
}

share! {
fn with_few_descriptors_each_command_works_or_names_the_remedy(rounds: 3, all: 17) {
    let sandbox = Sandbox::new();
    for limit in (4..=20).step_by(17 / rounds) {
        sandbox.refill();
        for command in ONE_SHOT.iter().filter(|command| !command.contains("rm")) {
            let outcome = sandbox.limited(&format!("ulimit -n {limit}"), command);
            let remedy = if outcome.stderr.contains("keeper") { "keeper" } else { "ulimit -n" };
            match outcome.code() {
                // An earlier command has closed the queue.
                Some(4) => outcome.assert_one_line_of_error(&["closed"]),
                _ => outcome.assert_done_or_refused(command, remedy),
            }
            if outcome.code() == Some(1) {
                assert_eq!(outcome.text(), "", "{limit}: {command}");
            }
        }
        sandbox.refill();
        for command in WITH_PROCESSES.iter().chain([&BENCH]) {
            let outcome = sandbox.limited(&format!("ulimit -n {limit}"), command);
            assert!(matches!(outcome.code(), Some(0 | 1)), "{limit}: {command}: {outcome:?}");
            assert!(!outcome.stderr.contains("internal error"), "{limit}: {command}: {outcome:?}");
        }
        sandbox.assert_nothing_left();
    }
}
}
