//! Folders that qdemo shares with other programs and users: the temporary folder and the folder of the
//! queues. Foreign files stay, and leftovers of killed processes go. A test that needs namespaces, mounts or
//! another user (root) prints a notice and passes where the test lacks the right.
//!
//! Local: these are places of directories and pipes.

use std::fs::Permissions;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::faults::Mount;
use crate::harness::{Running, Sandbox, children_of, signal_to, wait_for_end, wait_while};
use crate::namespaces::can_unshare;

/// Names of the folder of a run, in this version and in earlier versions.
const RUN_FOLDERS: [&str; 2] = ["qdemo-run.0123456789abcdef", "qdemo-run.2147483647.abcdef"];

/// Makes a private folder in the temporary folder.
fn make_folder(sandbox: &Sandbox, name: &str) -> PathBuf {
    let path = sandbox.path("tmp").join(name);
    DirBuilder::new().mode(0o700).create(&path).unwrap();
    path
}

fn short_run(sandbox: &Sandbox) {
    sandbox.run(&["run", "--items", "1", "--speed", "max", "--quiet"]).assert_done();
}

#[test]
fn runs_in_containers_with_a_shared_temporary_folder_leave_each_other_alone() {
    const CONTAINER: &str = "--pid --fork --mount-proc";
    if !can_unshare(CONTAINER) {
        return;
    }
    let sandbox = Sandbox::new();
    // Each run has a process id that no other run has in its own namespace.
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
fn the_folder_of_a_run_killed_in_a_container_is_removed_outside() {
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
    // Outside the container, another process has the process id of the killed run.
    short_run(&sandbox);
    sandbox.assert_nothing_left();
}

#[test]
fn the_folder_of_a_killed_bench_is_removed_by_the_next_run() {
    let sandbox = Sandbox::new();
    let bench = sandbox.start(&["bench", "--size", "16", "--workers", "1x1", "--rounds", "3"]);
    wait_while(|| sandbox.processes_of("qdemo bench-task").is_empty());
    let children = children_of(bench.pid());
    bench.signal(Signal::KILL);
    bench.end();
    children.iter().for_each(|child| wait_for_end(child.pid));
    assert_eq!(fs::read_dir(sandbox.path("tmp")).unwrap().count(), 1);
    short_run(&sandbox);
    sandbox.assert_nothing_left();
}

#[test]
fn the_empty_folder_of_a_killed_run_is_removed() {
    let sandbox = Sandbox::new();
    make_folder(&sandbox, RUN_FOLDERS[0]);
    short_run(&sandbox);
    sandbox.assert_nothing_left();
}

/// In a temporary folder without the sticky bit, another user may give a folder such a name.
#[test]
fn a_folder_with_foreign_files_stays_even_with_the_name_of_a_run() {
    let sandbox = Sandbox::new();
    for run in RUN_FOLDERS {
        let path = make_folder(&sandbox, run);
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
fn the_target_of_a_link_stays_even_if_the_link_has_the_name_of_a_run() {
    let sandbox = Sandbox::new();
    let target = sandbox.path("target");
    DirBuilder::new().mode(0o700).create(&target).unwrap();
    for run in RUN_FOLDERS {
        let link = sandbox.path("tmp").join(run);
        symlink(&target, &link).unwrap();
        short_run(&sandbox);
        assert!(link.is_symlink() && target.exists());
        fs::remove_file(link).unwrap();
    }
    // The link stands in place of the queue directory of a killed run.
    let path = make_folder(&sandbox, RUN_FOLDERS[0]);
    symlink(&target, path.join("run")).unwrap();
    short_run(&sandbox);
    assert!(path.join("run").is_symlink() && target.exists());
    fs::remove_dir_all(path).unwrap();
    sandbox.assert_nothing_left();
}

/// A sandbox whose folder of the queues has the mode of `/tmp` and belongs to root instead of the user.
/// Prints a notice and returns None if this process cannot act as another user.
fn shared_sandbox() -> Option<Sandbox> {
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

/// Puts an item into each queue, and waits until its keeper has ended.
fn put_into_each(sandbox: &Sandbox, queues: &[&str]) {
    for queue in queues {
        sandbox.run(&["put", "-q", queue, "a"]).assert_prints("");
        sandbox.wait_for_keeper_to_go(queue);
    }
}

fn assert_shows(text: &str, queues: &[&str]) {
    let names: Vec<_> = text.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(names, queues);
    assert!(text.lines().all(|line| line.contains(": 1 ready")), "{text}");
}

#[test]
fn the_list_of_a_shared_folder_leaves_out_queues_of_other_users() {
    let Some(sandbox) = shared_sandbox() else { return };
    put_into_each(&sandbox, &["mine"]);
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
    // A command that names such a queue is refused.
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
    put_into_each(&sandbox, &["a", "open", "other-version", "z"]);
    fs::set_permissions(sandbox.queue("open"), Permissions::from_mode(0o755)).unwrap();
    fs::write(sandbox.queue("other-version").join("journal"), "qdemo journal 99\n").unwrap();
    symlink(sandbox.queue("a"), sandbox.queue("link")).unwrap();
    for format in ["text", "json"] {
        let outcome = sandbox.run(&["status", "--format", format]);
        let errors: Vec<_> = outcome.stderr.lines().collect();
        assert_eq!(errors.len(), 3, "{outcome:?}");
        assert!(errors[0].starts_with("qdemo: link: ") && errors[0].contains("is a symbolic link"));
        assert!(
            errors[1].starts_with("qdemo: open: ") && errors[1].ends_with("run `chmod 700` on it")
        );
        assert!(errors[2].starts_with("qdemo: other-version: "), "{errors:?}");
        assert_eq!(outcome.code(), Some(1));
        match format {
            "text" => assert_shows(&outcome.text(), &["a", "z"]),
            _ => assert_eq!(outcome.lines().len(), 2),
        }
    }
    // `status --watch` prints each error once.
    let mut watch = sandbox.start(&["status", "--watch", "--every", "10ms", "--format", "json"]);
    assert!((0..6).all(|_| watch.line().contains(r#""ready":1"#)));
    watch.signal(Signal::TERM);
    assert_eq!(watch.end().stderr.lines().count(), 3);
    sandbox.assert_nothing_left();
}

#[test]
fn an_unreadable_queue_of_the_user_is_reported_and_the_others_are_shown() {
    let sandbox = Sandbox::unprivileged();
    put_into_each(&sandbox, &["a", "dark"]);
    fs::set_permissions(sandbox.queue("dark"), Permissions::from_mode(0o000)).unwrap();
    let outcome = sandbox.run(&["status"]);
    assert_shows(&outcome.text(), &["a"]);
    outcome.assert_one_line_of_error(&["dark: ", "Permission denied"]);
    assert_eq!(outcome.code(), Some(1));
    fs::set_permissions(sandbox.queue("dark"), Permissions::from_mode(0o700)).unwrap();
    sandbox.assert_nothing_left();
}

/// The pipes of a client whose mailbox has no reader are leftovers of a killed client, even if a live process has the
/// process id in their names.
#[test]
fn pipes_without_a_reader_of_the_mailbox_are_removed_for_any_process_id() {
    let sandbox = Sandbox::new();
    let dir = sandbox.make_queue("default");
    let own = std::process::id();
    let unread = [
        format!("mailbox.1.{:016x}", 1),
        format!("mailbox.{own}.{:016x}", 2),
        format!("requests.{own}.{:016x}", 2),
        // Its mailbox is gone.
        format!("requests.{own}.{:016x}", 4),
    ];
    let read = [
        format!("mailbox.1.{:016x}", 3),
        format!("requests.1.{:016x}", 3),
        format!("mailbox.{}.x", i32::MAX),
    ];
    for name in unread.iter().chain(&read) {
        sandbox.command("mkfifo").args(["-m", "600"]).arg(dir.join(name)).status().unwrap();
    }
    let ends = read
        .each_ref()
        .map(|name| fs::OpenOptions::new().read(true).write(true).open(dir.join(name)).unwrap());
    let hidden = [".inbox.1".to_owned(), format!(".journal.{own}"), ".memory.json.1".to_owned()];
    hidden.iter().for_each(|name| fs::write(dir.join(name), "").unwrap());
    let others =
        ["mailbox.1.socket", "mailbox.1.file", "requests.1.file", ".notes.1", ".journal.old"];
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
fn mailboxes_of_clients_killed_in_a_container_are_removed() {
    const CONTAINER: &str = "--pid --fork --kill-child";
    if !can_unshare(CONTAINER) {
        return;
    }
    let sandbox = Sandbox::new();
    let mut command = sandbox.command("unshare");
    command.args(CONTAINER.split(' ')).args(["qdemo", "get"]);
    let get = Running::start(command);
    let is_mailbox = |name: &str| name.starts_with("mailbox.");
    let mailboxes = || {
        let entries = fs::read_dir(sandbox.queue("default")).into_iter().flatten().flatten();
        entries.filter(|entry| is_mailbox(&entry.file_name().to_string_lossy())).count()
    };
    wait_while(|| mailboxes() == 0);
    signal_to(children_of(get.pid())[0].pid, Signal::KILL);
    get.end();
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
    // The folder, the directory of the queue, the journal and the inbox: each lacks an inode once.
    for files in 1..=4 {
        let sandbox = Sandbox::new();
        let script = r#"qdemo put x; echo "code $?"; qdemo status; ls -A "$QDEMO_DIR""#;
        let outcome = mount.script(&sandbox, &format!("nr_inodes={files}"), script);
        assert_eq!(outcome.text().lines().next(), Some("code 1"), "{files}: {outcome:?}");
        outcome.assert_one_line_of_error(&["make room there"]);
        // With four inodes the keeper starts, and the mailbox of the client lacks an inode.
        assert!(files == 4 || outcome.text() == "code 1\n", "{files}: {outcome:?}");
        sandbox.assert_nothing_left();
    }
}

#[test]
fn a_keeper_that_cannot_start_leaves_an_existing_queue_unchanged() {
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

/// The paths that a command and its keeper flush to the disk. None if `strace` does not work here.
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
fn with_sync_the_new_folders_of_a_queue_are_flushed_to_the_disk_too() {
    let sandbox = Sandbox::new();
    fs::set_permissions(sandbox.path("queues"), Permissions::from_mode(0o755)).unwrap();
    let below = sandbox.path("queues/new/newer");
    let args = ["producer", "--quiet", "--keep-open", "--sync", "x"];
    let Some(all) = flushed(&sandbox, &below, &args) else { return };
    let root = sandbox.path("queues").canonicalize().unwrap();
    let name = |path: &str| root.join(path).display().to_string();
    let expected = ["new/newer/default/journal", "new/newer/default", "new/newer", "new"].map(name);
    assert_eq!(all[..4], expected);
    assert_eq!(all[4], root.display().to_string(), "the first existing folder is not flushed");
    assert!(all[5..].iter().all(|name| *name == expected[0]), "{all:?}");
    // Without `--sync`, nothing is flushed.
    let args = ["producer", "--quiet", "--keep-open", "x"];
    assert_eq!(flushed(&sandbox, &sandbox.path("queues/other"), &args).unwrap(), [""; 0]);
    sandbox.assert_nothing_left();
}

/// A recording of `workers` workers with one event each.
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
fn a_recording_with_more_workers_than_a_run_may_have_is_refused() {
    let sandbox = Sandbox::new();
    let draw = |workers| sandbox.run_with_input(&["timeline", "-"], recording(workers).as_bytes());
    let most = draw(2000);
    most.assert_done();
    assert_eq!(most.text().matches("data-worker").count(), 2000);
    let words = &["line 2001 names one more worker than the 2000 that a run may have"];
    draw(2001).assert_refused(1, words);
    draw(300_000).assert_refused(1, words);
    // All workers have one role.
    let consumers = recording(6000).replace("put", "get").replace("producer", "visitor");
    let refused = sandbox.run_with_input(&["timeline", "-"], consumers.as_bytes());
    refused.assert_refused(1, words);
}
