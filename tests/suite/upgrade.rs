//! An upgrade removes or replaces the file of a running program: the running program starts further processes
//! from its own executable, not from the new file.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::harness::{QDEMO, Running, Sandbox, signal_to, wait_for_end, wait_while};

/// Makes a copy of the program for a test to remove or replace.
fn copy_of_the_program(sandbox: &Sandbox) -> PathBuf {
    let copy = sandbox.path("copy");
    fs::create_dir(&copy).unwrap();
    // `cp` writes the copy. If this process wrote the copy, a child that another test forks meanwhile would
    // inherit the writable descriptor, and execution would fail.
    let copied = sandbox.command("cp").arg(QDEMO).arg(copy.join("qdemo")).status().unwrap();
    assert!(copied.success());
    copy.join("qdemo")
}

fn start_copy(sandbox: &Sandbox, program: &Path, args: &[&str]) -> Running {
    let mut command = sandbox.command(program.to_str().unwrap());
    command.args(args);
    Running::start(command)
}

fn kill_keeper(sandbox: &Sandbox) {
    let keepers = sandbox.processes_of("qdemo keeper");
    assert_eq!(keepers.len(), 1, "{keepers:?}");
    signal_to(keepers[0].pid, Signal::KILL);
    wait_for_end(keepers[0].pid);
}

/// Changes that an upgrade may make to the file of a running program.
const UPGRADES: [fn(&Path); 4] = [
    |program| fs::remove_file(program).unwrap(),
    |program| fs::remove_dir_all(program.parent().unwrap()).unwrap(),
    // For a script without its interpreter, the system reports "No such file or directory".
    |program| {
        fs::remove_file(program).unwrap();
        fs::write(program, "#!/nowhere/sh\n").unwrap();
        fs::set_permissions(program, Permissions::from_mode(0o755)).unwrap();
    },
    |program| {
        fs::remove_file(program).unwrap();
        fs::create_dir(program).unwrap();
    },
];

#[test]
fn clients_whose_program_is_gone_start_the_next_keeper() {
    for upgrade in UPGRADES {
        let sandbox = Sandbox::new();
        let program = copy_of_the_program(&sandbox);
        let args = ["producer", "--quiet", "--keep-open", "-"];
        let mut producer = start_copy(&sandbox, &program, &args);
        let mut consumer = start_copy(&sandbox, &program, &["consumer", "--format", "raw"]);
        producer.feed("before\n");
        assert_eq!(consumer.line(), "before");
        upgrade(&program);
        kill_keeper(&sandbox);
        producer.feed("after\n");
        assert_eq!(consumer.line(), "after");
        producer.end().assert_done();
        consumer.signal(Signal::TERM);
        consumer.end();
        sandbox.assert_nothing_left();
    }
}

#[test]
fn a_visitor_whose_program_is_gone_starts_the_next_keeper() {
    let sandbox = Sandbox::new();
    let program = copy_of_the_program(&sandbox);
    let get = start_copy(&sandbox, &program, &["get"]);
    sandbox.wait_for_consumer();
    fs::remove_file(program).unwrap();
    kill_keeper(&sandbox);
    sandbox.run(&["put", "x"]).assert_prints("");
    get.end().assert_prints("x\n");
    sandbox.assert_nothing_left();
}

#[test]
fn a_consumer_whose_program_is_gone_runs_its_commands() {
    let sandbox = Sandbox::new();
    let program = copy_of_the_program(&sandbox);
    let args = ["consumer", "--quiet", "--", "echo", "{}"];
    let mut consumer = start_copy(&sandbox, &program, &args);
    sandbox.wait_for_consumer();
    fs::remove_file(program).unwrap();
    sandbox.run(&["put", "x"]).assert_prints("");
    assert_eq!(consumer.line(), "x");
    consumer.signal(Signal::TERM);
    consumer.end();
    sandbox.assert_nothing_left();
}

#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn a_run_whose_program_is_gone_replaces_its_dead_workers() {
    for upgrade in UPGRADES {
        let sandbox = Sandbox::new();
        let program = copy_of_the_program(&sandbox);
        let args = ["run", "--items", "2", "--consumer-delay", "1s", "--lang", "en", "--quiet"];
        let run = start_copy(&sandbox, &program, &args);
        wait_while(|| sandbox.processes_of("qdemo consumer").is_empty());
        upgrade(&program);
        signal_to(sandbox.processes_of("qdemo consumer")[0].pid, Signal::KILL);
        let outcome = run.end();
        assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
        sandbox.assert_nothing_left();
    }
}

#[test]
fn a_bench_whose_program_is_gone_continues() {
    let sandbox = Sandbox::new();
    let program = copy_of_the_program(&sandbox);
    let args = ["bench", "--size", "16", "--workers", "1x1", "--rounds", "2"];
    let bench = start_copy(&sandbox, &program, &args);
    wait_while(|| sandbox.processes_of("qdemo bench-task").is_empty());
    UPGRADES[2](&program);
    let outcome = bench.end();
    assert!(!outcome.stderr.contains("left out"), "{}", outcome.stderr);
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    sandbox.assert_nothing_left();
}
