//! Without `/proc`, as in a bare chroot, commands work as they do with `/proc`.
//!
//! Local: a keeper needs the list of processes.

use crate::harness::{CLASSIC, Outcome, QDEMO, Sandbox, assert_same};

/// Runs a script without `/proc`. Returns `None` if this user may not hide `/proc`.
fn without_proc(sandbox: &Sandbox, script: &str) -> Option<Outcome> {
    let hidden = "mount -t tmpfs none /proc && test ! -e /proc/self";
    if sandbox.script(&format!("unshare -m bash -c '{hidden}'")).code() != Some(0) {
        eprintln!("SKIPPED: this user may not hide /proc (unshare -m, mount)");
        return None;
    }
    Some(sandbox.script(&format!("unshare -m bash -euc '{hidden}; {script}'")))
}

#[test]
fn a_run_finds_its_own_program_by_path_and_name() {
    let sandbox = Sandbox::new();
    let (folder, _) = QDEMO.rsplit_once('/').unwrap();
    let path = format!("\"{QDEMO}\"");
    for program in ["qdemo", &path, "./qdemo", "env -u XDG_STATE_HOME qdemo", "exec -a qdemo qdemo"]
    {
        let script = format!("cd \"{folder}\"; {program} run --speed=max");
        let Some(outcome) = without_proc(&sandbox, &script) else { return };
        outcome.assert_prints(CLASSIC);
    }
    let script = format!("exec -a nowhere/qdemo {path} run --speed=max");
    let Some(outcome) = without_proc(&sandbox, &script) else { return };
    outcome.assert_refused(1, &["/proc"]);
    sandbox.assert_nothing_left();
}

#[test]
fn a_shared_queue_works_without_proc() {
    let sandbox = Sandbox::new();
    let script = "
        qdemo put a b c d
        qdemo get
        qdemo peek
        qdemo consumer --max 1 --lang en
        qdemo consumer --max 1 -- sh -c \"echo command had {}\"
        qdemo status | cut -d, -f1-4
        qdemo consumer --max-attempts 1 --max 1 -- false || true
        qdemo failed | cut -f1,4
        qdemo rm --force
        qdemo producer --items 2 --lang en
        qdemo consumer --lang en & wait $!
    ";
    let Some(outcome) = without_proc(&sandbox, script) else { return };
    let expected = "\
a
b
consumer: got b
command had c
default: 1 ready, 0 in flight, 3 done, 0 failed
4\td
removed 1 item
producer: added item0
producer: added item1
consumer: got item0
consumer: got item1
";
    assert_same(expected, &outcome.text());
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    sandbox.assert_nothing_left();
}

#[test]
fn pictures_manual_pages_and_bench_work_without_proc() {
    let sandbox = Sandbox::new();
    let script = "
        qdemo run --speed=max --format=json --stats-file=/dev/stderr > events
        qdemo timeline events | head -c 4; echo
        qdemo man | tail -1
        qdemo bench --size=16 --workers=1x1 --rounds=1 | grep -c items/s
        qdemo run --speed=max --quiet --chaos=1ms --stats=off 2> /dev/null
    ";
    let Some(outcome) = without_proc(&sandbox, script) else { return };
    assert_same(
        "<svg\n\\&The language of a command without \\-\\-lang: ja or en. By default the locale decides (LC_ALL, LC_MESSAGES, LANG), and the log lines of run, producer and consumer are Japanese.\n1\n",
        &outcome.text(),
    );
    assert_eq!(outcome.code(), Some(0), "{}", outcome.stderr);
    assert!(outcome.stderr.starts_with(r#"{"items":5"#), "{}", outcome.stderr);
    sandbox.assert_nothing_left();
}
