//! Folders that others use too: the temporary folder, and the one in which queues lie. What lies there and
//! is not ours stays as it is; what a killed process has left there goes. What takes namespaces, mounts or
//! another user (root) says so where it cannot be tried, and does nothing.

use std::fs::Permissions;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::faults::Mount;
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

/// A place for queues that is as `/tmp` is, and a user who is not the one that made it. None, with a word
/// about it, if this process cannot act as another user.
fn shared_place() -> Option<Sandbox> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can act as another user");
        return None;
    }
    let sandbox = Sandbox::unprivileged();
    let place = sandbox.path("queues");
    chown(&place, Some(0), Some(0)).unwrap();
    fs::set_permissions(&place, Permissions::from_mode(0o1777)).unwrap();
    Some(sandbox)
}

/// Puts an item into each of these, and waits until nobody keeps them.
fn put(sandbox: &Sandbox, queues: &[&str]) {
    for queue in queues {
        sandbox.run(&["put", "-q", queue, "a"]).assert_prints("");
        sandbox.wait_for_keeper_to_go(queue);
    }
}

fn assert_shows(text: &str, queues: &[&str]) {
    let names: Vec<_> = text.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(names, queues);
    assert!(text.lines().all(|line| line.contains(": 1 in line")), "{text}");
}

#[test]
fn the_list_of_a_shared_place_passes_over_what_others_have_there() {
    let Some(sandbox) = shared_place() else { return };
    put(&sandbox, &["mine"]);
    for (name, mode) in [("closed", 0o700), ("open", 0o755), ("wide", 0o777)] {
        let theirs = sandbox.make_queue(name);
        fs::write(theirs.join("journal"), "").unwrap();
        fs::set_permissions(theirs, Permissions::from_mode(mode)).unwrap();
    }
    symlink(sandbox.queue("mine"), sandbox.queue("link")).unwrap();
    symlink(sandbox.queue("closed"), sandbox.queue("other-link")).unwrap();
    symlink("loop", sandbox.queue("loop")).unwrap();
    fs::write(sandbox.queue("file"), "").unwrap();
    let outcome = sandbox.run(&["status"]);
    outcome.assert_done();
    assert_shows(&outcome.text(), &["mine"]);
    // Asked by name, they are refused as ever.
    for queue in ["closed", "open", "wide"] {
        for command in [&["status"][..], &["put", "x"], &["get", "--no-wait"], &["rm"]] {
            let outcome = sandbox.run(&[command, &["-q", queue]].concat());
            outcome.assert_refused(2, &[queue, "is owned by user 0, not by you"]);
        }
    }
    let words = &["link is a symbolic link: name the real directory instead"];
    sandbox.run(&["status", "-q", "link"]).assert_refused(2, words);
    sandbox.assert_nothing_left();
}

#[test]
fn a_queue_that_is_refused_does_not_hide_the_others() {
    let sandbox = Sandbox::new();
    put(&sandbox, &["a", "open", "other-version", "z"]);
    fs::set_permissions(sandbox.queue("open"), Permissions::from_mode(0o755)).unwrap();
    fs::write(sandbox.queue("other-version").join("journal"), "qdemo journal 99\n").unwrap();
    symlink(sandbox.queue("a"), sandbox.queue("link")).unwrap();
    for format in ["text", "json"] {
        let outcome = sandbox.run(&["status", "--format", format]);
        let told: Vec<_> = outcome.stderr.lines().collect();
        assert_eq!(told.len(), 3, "{outcome:?}");
        assert!(told[0].starts_with("qdemo: link: ") && told[0].contains("is a symbolic link"));
        assert!(told[1].starts_with("qdemo: open: ") && told[1].ends_with("run `chmod 700` on it"));
        assert!(told[2].starts_with("qdemo: other-version: "), "{told:?}");
        assert_eq!(outcome.code(), Some(1));
        match format {
            "text" => assert_shows(&outcome.text(), &["a", "z"]),
            _ => assert_eq!(outcome.lines().len(), 2),
        }
    }
    // Whoever watches is told once.
    let mut watch = sandbox.start(&["status", "--watch", "--every", "10ms", "--format", "json"]);
    assert!((0..6).all(|_| watch.line().contains(r#""in_line":1"#)));
    watch.signal(Signal::TERM);
    assert_eq!(watch.end().stderr.lines().count(), 3);
    sandbox.assert_nothing_left();
}

#[test]
fn a_directory_of_ours_that_cannot_be_looked_into_is_told_and_the_others_are_shown() {
    let sandbox = Sandbox::unprivileged();
    put(&sandbox, &["a", "dark"]);
    fs::set_permissions(sandbox.queue("dark"), Permissions::from_mode(0o000)).unwrap();
    let outcome = sandbox.run(&["status"]);
    assert_shows(&outcome.text(), &["a"]);
    outcome.assert_one_line_of_error(&["dark: ", "Permission denied"]);
    assert_eq!(outcome.code(), Some(1));
    fs::set_permissions(sandbox.queue("dark"), Permissions::from_mode(0o700)).unwrap();
    sandbox.assert_nothing_left();
}

/// A mailbox that nobody reads is left by a killed client, whatever its number: here it is that of a process
/// that lives.
#[test]
fn mailboxes_that_nobody_reads_go_whatever_the_number() {
    let sandbox = Sandbox::new();
    let dir = sandbox.make_queue("default");
    let own = std::process::id();
    let unread = [format!("mailbox.1.{:016x}", 1), format!("mailbox.{own}.{:016x}", 2)];
    let read = [format!("mailbox.1.{:016x}", 3), format!("mailbox.{}.x", i32::MAX)];
    for name in unread.iter().chain(&read) {
        sandbox.command("mkfifo").args(["-m", "600"]).arg(dir.join(name)).status().unwrap();
    }
    let ends = read
        .each_ref()
        .map(|name| fs::OpenOptions::new().read(true).write(true).open(dir.join(name)).unwrap());
    let hidden = [".inbox.1".to_owned(), format!(".journal.{own}"), ".memory.json.1".to_owned()];
    hidden.iter().for_each(|name| fs::write(dir.join(name), "").unwrap());
    let others = ["mailbox.1.socket", "mailbox.1.file", ".notes.1", ".journal.old"];
    let _socket = UnixListener::bind(dir.join(others[0])).unwrap();
    others[1..].iter().for_each(|name| fs::write(dir.join(name), "").unwrap());
    sandbox.run(&["put", "a"]).assert_prints("");
    sandbox.wait_for_keeper_to_go("default");
    let is_there = |name: &str| fs::symlink_metadata(dir.join(name)).is_ok();
    assert!(unread.iter().chain(&hidden).all(|name| !is_there(name)));
    assert!(read.iter().all(|name| is_there(name)));
    assert!(others.iter().all(|name| is_there(name)));
    drop(ends);
    sandbox.run(&["get"]).assert_prints("a\n");
    sandbox.assert_nothing_left();
}

#[test]
fn mailboxes_of_clients_that_were_killed_in_a_container_go() {
    const CONTAINER: &str = "--pid --fork --kill-child";
    if !can_unshare(CONTAINER) {
        return;
    }
    let sandbox = Sandbox::new();
    let mut command = sandbox.command("unshare");
    command.args(CONTAINER.split(' ')).args(["qdemo", "get"]);
    let get = Running::start(command);
    sandbox.wait_for_status(|status| status["queue"] == "default");
    signal_to(children_of(get.pid())[0].pid, Signal::KILL);
    get.end();
    let is_mailbox = |name: &str| name.starts_with("mailbox.");
    let mailboxes = || {
        let entries = fs::read_dir(sandbox.queue("default")).unwrap().flatten();
        entries.filter(|entry| is_mailbox(&entry.file_name().to_string_lossy())).count()
    };
    assert_eq!(mailboxes(), 1);
    sandbox.run(&["put", "a"]).assert_prints("");
    assert_eq!(mailboxes(), 0);
    sandbox.run(&["get"]).assert_prints("a\n");
    sandbox.assert_nothing_left();
}

#[test]
fn a_keeper_that_cannot_start_leaves_no_queue() {
    let Some(mount) = Mount::new() else {
        eprintln!("SKIPPED: nothing can be mounted here");
        return;
    };
    // The folder itself, the queue's directory, the journal, the inbox: each of them lacks room once.
    for files in 1..=4 {
        let sandbox = Sandbox::new();
        let script = r#"qdemo put x; echo "code $?"; qdemo status; ls -A "$QDEMO_DIR""#;
        let outcome = mount.script(&sandbox, &format!("nr_inodes={files}"), script);
        assert_eq!(outcome.text().lines().next(), Some("code 1"), "{files}: {outcome:?}");
        outcome.assert_one_line_of_error(&["make room there"]);
        // With a keeper that has started, the client's mailbox is what there is no room for.
        assert!(files == 4 || outcome.text() == "code 1\n", "{files}: {outcome:?}");
        sandbox.assert_nothing_left();
    }
}

#[test]
fn a_keeper_that_cannot_start_leaves_a_queue_that_was_there() {
    let Some(mount) = Mount::new() else {
        eprintln!("SKIPPED: nothing can be mounted here");
        return;
    };
    for take in ["", "qdemo get"] {
        let sandbox = Sandbox::new();
        let script = format!(
            r#"
            qdemo put --capacity 7 x; {take} > /dev/null
            while [ -e "$QDEMO_DIR/default/inbox" ]; do :; done
            before=$(cat "$QDEMO_DIR/default/journal" | cksum)
            while touch "$QDEMO_DIR/ballast.$((++n))" 2> /dev/null; do :; done
            qdemo put y 2> /dev/null; echo "code $?"
            [ "$before" = "$(cat "$QDEMO_DIR/default/journal" | cksum)" ] && echo same
            "#
        );
        let outcome = mount.script(&sandbox, "nr_inodes=9", &script);
        assert_eq!(outcome.text(), "code 1\nsame\n", "{outcome:?}");
        sandbox.assert_nothing_left();
    }
}

/// What is flushed to the disk, by name, until nobody keeps the queue any more. None where that cannot be
/// seen.
fn flushed(sandbox: &Sandbox, dir: &Path, args: &[&str]) -> Option<Vec<String>> {
    let traced = sandbox
        .command("strace")
        .args(["-f", "-y", "-qq", "-e", "trace=fsync,fdatasync", "-e", "signal=none", "-o"])
        .arg(sandbox.path("trace"))
        .args(["qdemo"])
        .args(args)
        .env("QDEMO_DIR", dir)
        .status();
    if !traced.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: there is no strace, or it may not trace");
        return None;
    }
    let text = fs::read_to_string(sandbox.path("trace")).unwrap();
    let name = |line: &str| Some(line.split_once('<')?.1.split_once('>')?.0.to_owned());
    Some(text.lines().filter_map(name).collect())
}

#[test]
fn with_sync_the_folders_that_were_made_for_a_queue_are_on_the_disk_too() {
    let sandbox = Sandbox::new();
    fs::set_permissions(sandbox.path("queues"), Permissions::from_mode(0o755)).unwrap();
    let below = sandbox.path("queues/new/newer");
    let args = ["producer", "--quiet", "--keep-open", "--sync", "x"];
    let Some(all) = flushed(&sandbox, &below, &args) else { return };
    let root = sandbox.path("queues").canonicalize().unwrap();
    let name = |path: &str| root.join(path).display().to_string();
    let expected = ["new/newer/default/journal", "new/newer/default", "new/newer", "new"].map(name);
    assert_eq!(all[..4], expected);
    assert_eq!(all[4], root.display().to_string(), "the first one that was there");
    assert!(all[5..].iter().all(|name| *name == expected[0]), "{all:?}");
    // Without it nothing is flushed.
    let args = ["producer", "--quiet", "--keep-open", "x"];
    assert_eq!(flushed(&sandbox, &sandbox.path("queues/other"), &args).unwrap(), [""; 0]);
    sandbox.assert_nothing_left();
}

/// A recording of so many workers, each with an event.
fn recording(workers: usize) -> String {
    let event = |n: usize| {
        let (kind, role) = [("put", "producer"), ("get", "consumer")][n % 2];
        let (number, id) = (n / 2 + 1, n / 2 + 1);
        format!(
            r#"{{"t":{n}.5,"event":"{kind}","role":"{role}","worker":{number},"id":{id},"item":"a"}}"#
        ) + "\n"
    };
    (0..workers).map(event).collect()
}

#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn a_recording_of_more_workers_than_a_run_may_have_is_refused_at_once() {
    let sandbox = Sandbox::new();
    let draw = |workers| sandbox.run_with_input(&["timeline", "-"], recording(workers).as_bytes());
    let most = draw(2000);
    most.assert_done();
    assert_eq!(most.text().matches("data-worker").count(), 2000);
    let words = &["line 2001 names one more worker than the 2000 that a run may have"];
    draw(2001).assert_refused(1, words);
    draw(300_000).assert_refused(1, words);
    // Of one role only.
    let consumers = recording(6000).replace("put", "get").replace("producer", "visitor");
    let refused = sandbox.run_with_input(&["timeline", "-"], consumers.as_bytes());
    refused.assert_refused(1, words);
}
