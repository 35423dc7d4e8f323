//! Folders that others use too: the temporary folder, and the one in which queues lie. What lies there and
//! is not ours stays as it is; what a killed process has left there goes. What takes namespaces, mounts or
//! another user (root) says so where it cannot be tried, and does nothing.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::PathBuf;

use rustix::process::Signal;

use crate::harness::{Running, Sandbox, children_of, signal_to, wait_for_end};
use crate::namespaces::can_unshare;

/// What the folder of a run is called, today and in earlier versions.
const RUNS: [&str; 2] = ["qdemo-run.0123456789abcdef", "qdemo-run.2147483647.abcdef"];

/// A folder for the user alone in the temporary folder.
fn folder(sandbox: &Sandbox, name: &str) -> PathBuf {
    let path = sandbox.path("tmp").join(name);
    DirBuilder::new().mode(0o700).create(&path).unwrap();
    path
}

fn short_run(sandbox: &Sandbox) {
    sandbox.run(&["run", "--items", "1", "--speed", "max", "--quiet"]).assert_done();
}

#[test]
fn runs_in_containers_that_share_a_temporary_folder_leave_each_other_alone() {
    const CONTAINER: &str = "--pid --fork --mount-proc";
    if !can_unshare(CONTAINER) {
        return;
    }
    let sandbox = Sandbox::new();
    // Each has another process number, which none of the others has in its own namespace.
    let script = format!(
        r#"
        run='for n in $(seq $0); do /bin/true; done
             qdemo run --items 2 --speed max --lang en --format json; exit $?'
        for round in 1 2 3; do
            for n in $(seq 30); do
                unshare {CONTAINER} sh -c "$run" $n > out.$n 2>&1 \
                    || echo "exit code $?: $(cat out.$n)" &
            done
            wait
            grep -c '"event":"done"' out.* | grep -v ':2$'
        done
        true
        "#
    );
    sandbox.script(&script).assert_prints("");
    sandbox.assert_nothing_left();
}

#[test]
fn a_run_that_was_killed_in_a_container_is_cleared_away_outside() {
    const CONTAINER: &str = "--pid --fork --kill-child";
    if !can_unshare(CONTAINER) {
        return;
    }
    let sandbox = Sandbox::new();
    let mut command = sandbox.command("unshare");
    command.args(CONTAINER.split(' ')).args(["qdemo", "run", "--lang", "en"]);
    let mut run = Running::start(command);
    assert_eq!(run.line(), "producer: added item0");
    let first = children_of(run.pid());
    signal_to(first[0].pid, Signal::KILL);
    run.end();
    assert_eq!(fs::read_dir(sandbox.path("tmp")).unwrap().count(), 1);
    // The number of its process is that of another one here.
    short_run(&sandbox);
    sandbox.assert_nothing_left();
}

#[test]
fn a_measurement_that_was_killed_is_cleared_away_by_the_next_one() {
    let sandbox = Sandbox::new();
    let bench = sandbox.start(&["bench", "--size", "16", "--workers", "1x1", "--rounds", "3"]);
    while sandbox.processes_of("qdemo bench-task").is_empty() {}
    let children = children_of(bench.pid());
    bench.signal(Signal::KILL);
    bench.end();
    children.iter().for_each(|child| wait_for_end(child.pid));
    assert_eq!(fs::read_dir(sandbox.path("tmp")).unwrap().count(), 1);
    short_run(&sandbox);
    sandbox.assert_nothing_left();
}

#[test]
fn a_folder_that_a_run_had_no_time_to_use_is_cleared_away() {
    let sandbox = Sandbox::new();
    folder(&sandbox, RUNS[0]);
    short_run(&sandbox);
    sandbox.assert_nothing_left();
}

/// Somebody else may give such a name to it, where the temporary folder has no sticky bit.
#[test]
fn a_folder_with_something_else_in_it_stays_whatever_it_is_called() {
    let sandbox = Sandbox::new();
    for run in RUNS {
        let path = folder(&sandbox, run);
        DirBuilder::new().mode(0o700).create(path.join("run")).unwrap();
        fs::write(path.join("run/notes"), "precious").unwrap();
        short_run(&sandbox);
        sandbox.run(&["bench", "--size", "16", "--workers", "1x1", "--rounds", "1"]);
        assert_eq!(fs::read_to_string(path.join("run/notes")).unwrap(), "precious");
        fs::remove_dir_all(path).unwrap();
    }
    sandbox.assert_nothing_left();
}

#[test]
fn what_a_link_leads_to_stays_whatever_the_link_is_called() {
    let sandbox = Sandbox::new();
    let aim = sandbox.path("aim");
    DirBuilder::new().mode(0o700).create(&aim).unwrap();
    for run in RUNS {
        let link = sandbox.path("tmp").join(run);
        symlink(&aim, &link).unwrap();
        short_run(&sandbox);
        assert!(link.is_symlink() && aim.exists());
        fs::remove_file(link).unwrap();
    }
    // In the place of a folder of a run that was killed.
    let path = folder(&sandbox, RUNS[0]);
    symlink(&aim, path.join("run")).unwrap();
    short_run(&sandbox);
    assert!(path.join("run").is_symlink() && aim.exists());
    fs::remove_dir_all(path).unwrap();
    sandbox.assert_nothing_left();
}
