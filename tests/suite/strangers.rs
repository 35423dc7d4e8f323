//! Foreign bytes in the inbox, clients that stop reading, and foreign files in the place of a queue's files.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use rustix::process::Signal;

use crate::harness::Sandbox;
use crate::protocol::{RawClient, hello};

/// A keeper that must survive a test with less than `max_mib` of memory at its peak.
struct Keeper<'a> {
    sandbox: &'a Sandbox,
    pid: i32,
    max_mib: u64,
}

impl<'a> Keeper<'a> {
    fn of(sandbox: &'a Sandbox, max_mib: u64) -> Self {
        let keepers = sandbox.processes_of("qdemo keeper");
        assert_eq!(keepers.len(), 1, "{keepers:?}");
        Self { sandbox, pid: keepers[0].pid, max_mib }
    }

    #[track_caller]
    fn assert_sound(&self) {
        assert_eq!(Self::of(self.sandbox, 0).pid, self.pid, "another keeper has taken its place");
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak: u64 = peak.trim().strip_suffix(" kB").unwrap().parse().unwrap();
        assert!(peak < self.max_mib << 10, "the keeper's peak is {peak} KiB");
    }
}

/// Pseudo-random numbers, the same in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Opens the inbox for blocking writes.
fn inbox(dir: &Path) -> File {
    OpenOptions::new().write(true).open(dir.join("inbox")).unwrap()
}

/// Calls `write` `times` times, and then until 25 items have passed from a producer to a consumer.
fn with_a_stranger(
    sandbox: &Sandbox,
    times: usize,
    mut write: impl FnMut(&mut File, &mut Noise) + Send,
) {
    let mut producer = sandbox.start(&["producer", "--quiet", "--keep-open", "-"]);
    let mut consumer = sandbox.start(&["consumer", "--format", "raw"]);
    producer.feed("before\n");
    assert_eq!(consumer.line(), "before");
    let keeper = Keeper::of(sandbox, 24);
    let passed = AtomicBool::new(false);
    let (written, all_written) = mpsc::channel();
    let mut file = inbox(&sandbox.queue("default"));
    thread::scope(|scope| {
        let (file, passed) = (&mut file, &passed);
        // The thread owns `written`: if the thread panics, `recv` fails instead of waiting for ever.
        scope.spawn(move || {
            let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
            (0..times).for_each(|_| write(file, &mut noise));
            written.send(()).unwrap();
            while !passed.load(Ordering::Relaxed) {
                write(file, &mut noise);
            }
        });
        all_written.recv().unwrap();
        // Each put waits behind all bytes that the stranger has written.
        for n in 0..25 {
            producer.feed(&format!("item {n}\n"));
            assert_eq!(consumer.line(), format!("item {n}"));
        }
        passed.store(true, Ordering::Relaxed);
    });
    drop(file);
    producer.feed("after\n");
    assert_eq!(consumer.line(), "after");
    keeper.assert_sound();
    producer.end().assert_done();
    sandbox.run(&["close"]).assert_prints("");
    consumer.end().assert_prints("");
}

fn assert_disturbs_no_client(times: usize, write: impl FnMut(&mut File, &mut Noise) + Send) {
    let sandbox = Sandbox::new();
    with_a_stranger(&sandbox, times, write);
    sandbox.assert_nothing_left();
}

#[test]
fn random_bytes_disturb_no_client() {
    assert_disturbs_no_client(200, |inbox, noise| {
        let bytes: Vec<u8> = (0..4096).flat_map(|_| noise.next().to_ne_bytes()).collect();
        inbox.write_all(&bytes).unwrap();
    });
}

#[test]
fn lines_without_an_end_disturb_no_client() {
    assert_disturbs_no_client(32, |inbox, _| {
        inbox.write_all(&vec![b'x'; 1 << 20]).unwrap();
    });
}

share! {
fn requests_with_unknown_client_keys_disturb_no_client(rounds: 150, all: 2000) {
    assert_disturbs_no_client(rounds, |inbox, noise| {
        let key = noise.next();
        let text: String = (0..200)
            .map(|n| match n % 12 {
                0 => format!("done {key:016x} {n} 1\n"),
                1 => format!("back {key:016x} {n} 1 1\n"),
                2 => format!("fail {key:016x} {n} 1 1 out of spite\n"),
                3 => format!("get {key:016x} 1000\n"),
                4 => format!("put {key:016x} {n} 1\n\"not yours\"\n"),
                5 => format!("part {key:016x}\n[1,\n"),
                6 => format!("close {key:016x} now\n"),
                7 => format!("drop {key:016x} 0\n"),
                8 => format!("retry {key:016x} 0\n"),
                9 => format!("cancel {key:016x}\n"),
                10 => format!("remove {key:016x} force\n"),
                _ => format!("bye {key:016x}\n"),
            })
            .collect();
        inbox.write_all(text.as_bytes()).unwrap();
    });
}
}

share! {
fn half_lines_disturb_no_client(rounds: 2000, all: 20_000) {
    let halves: [&[u8]; 8] = [
        b"half",
        b"put 00000000000000b2 1 1000000\n",
        b"put 00000000000000b2 9 3\n1\n2",
        b"part 00000000000000b2",
        b"part 00000000000000b2\n[1",
        b"hello 00000000000000b2 {",
        b"\n\n\n",
        b"\xff\0",
    ];
    assert_disturbs_no_client(rounds, |inbox, noise| {
        inbox.write_all(halves[(noise.next() % 8) as usize]).unwrap();
    });
}
}

#[test]
fn puts_that_announce_too_many_items_disturb_no_client() {
    assert_disturbs_no_client(500, |inbox, noise| {
        let key = noise.next();
        let count = u64::MAX >> (noise.next() % 64);
        let text = format!("put {key:016x} {} {count}\n1\n2\n3\n", u64::MAX).repeat(100);
        inbox.write_all(text.as_bytes()).unwrap();
    });
}

share! {
fn hellos_with_unusable_mailboxes_disturb_no_client(rounds: 8, all: 100) {
    let sandbox = Sandbox::new();
    let dir = sandbox.make_queue("default");
    let pid = std::process::id();
    let mailbox = |key: u64| dir.join(format!("mailbox.{pid}.{key:016x}"));
    let unread = format!("mkfifo -m 600 {}", mailbox(1).display());
    sandbox.script(&unread).assert_prints("");
    fs::write(mailbox(2), "").unwrap();
    fs::create_dir(mailbox(3)).unwrap();
    symlink("/dev/null", mailbox(4)).unwrap();
    with_a_stranger(&sandbox, rounds, |inbox, noise| {
        let text: String = (0..50)
            .map(|n| format!("hello {:016x} {}\n", noise.next() % 5 + (n % 5), hello("consumer")))
            .collect();
        inbox.write_all(text.as_bytes()).unwrap();
    });
    assert!((2..=4).all(|key| fs::symlink_metadata(mailbox(key)).is_ok()), "the keeper has removed a foreign file");
    // The keeper removes the unread pipe when the keeper exits, after its inbox.
    sandbox.assert_nothing_left();
}
}

#[test]
fn a_client_cannot_change_the_items_of_another_client() {
    let sandbox = Sandbox::new();
    let mut holder = sandbox.start_consumer(&["--delay", "1h", "--format", "raw"]);
    sandbox.run(&["put", "a", "b"]).assert_prints("");
    let keeper = Keeper::of(&sandbox, 24);
    // Another client uses its own key, and then a key without a client.
    let dir = sandbox.queue("default");
    let key = "00000000000000b2";
    let mut other = RawClient::connect(&dir, key, &hello("visitor"));
    assert!(other.receive().starts_with("welcome "));
    for id in 1..=3 {
        for verb in ["done", "back"] {
            other.send(&format!("{verb} {key} {id} 1 1\n"));
            assert_eq!(other.receive(), format!("lost {id} 1 1"));
            other.send(&format!("{verb} 00000000000000b3 {id} 1\n"));
        }
        other.send(&format!("fail {key} {id} 1 1 out of spite\n"));
        assert_eq!(other.receive(), format!("lost {id} 1 1"));
        other.send(&format!("fail 00000000000000b3 {id} 1 1 out of spite\n"));
    }
    other.send(&format!("size {key}\n"));
    assert_eq!(other.receive(), "size 2 1 0 0 0");
    other.send(&format!("bye {key}\n"));
    assert!(other.receive().starts_with("bye "));
    keeper.assert_sound();
    holder.signal(Signal::TERM);
    assert_eq!(holder.line(), "");
    holder.end();
    sandbox.run(&["get", "--count", "3"]).assert_prints("first of all\na\nb\n");
}

#[test]
fn a_client_that_asks_and_never_reads_counts_as_dead() {
    let sandbox = Sandbox::new();
    let stays = sandbox.start_consumer(&["--delay", "1h"]);
    let large = format!("{}\n", "x".repeat(4 << 20));
    sandbox.run_with_input(&["put", "-"], large.as_bytes()).assert_prints("");
    let keeper = Keeper::of(&sandbox, 300);
    let key = "00000000000000b2";
    let mut deaf = RawClient::connect(&sandbox.queue("default"), key, &hello("visitor"));
    // 400 MiB, asked for with a single write.
    deaf.send(&format!("peek {key} 2 1\n").repeat(100));
    sandbox.run(&["peek"]).assert_done();
    keeper.assert_sound();
    sandbox.run(&["get"]).assert_done();
    stays.signal(Signal::TERM);
    stays.end();
    // The keeper has closed the unread mailbox.
    sandbox.run(&["get"]).assert_prints("first of all\n");
    sandbox.assert_nothing_left();
}

#[test]
fn consumers_that_are_stopped_slow_no_other_client_and_can_continue() {
    let sandbox = Sandbox::new();
    // `holds` has an item in flight. `full` gets more than its mailbox can store.
    let holds = sandbox.start_consumer(&["--delay", "1h", "--format", "raw"]);
    holds.signal(Signal::STOP);
    let mut full = sandbox.start(&["consumer", "--format", "raw"]);
    sandbox.wait_for_consumer();
    full.signal(Signal::STOP);
    let keeper = Keeper::of(&sandbox, 64);
    let large = "x".repeat(2 << 20);
    sandbox.run_with_input(&["put", "-"], format!("{large}\n").as_bytes()).assert_prints("");
    sandbox.wait_for_status(|status| status["in_flight"] == 2 && status["ready"] == 0);
    let mut producer = sandbox.start(&["producer", "--quiet", "-"]);
    let mut consumer = sandbox.start(&["consumer", "--format", "raw"]);
    for n in 0..300 {
        producer.feed(&format!("{n}\n"));
        assert_eq!(consumer.line(), n.to_string());
    }
    keeper.assert_sound();
    full.signal(Signal::CONT);
    assert!(full.line() == large, "`full` has not got the large item");
    holds.signal(Signal::CONT);
    holds.signal(Signal::TERM);
    assert_eq!(holds.end().signal(), Some(15));
    producer.end();
    // An item is done when the consumer's reader has read its line: read both outputs at the same time.
    let ends = [full, consumer].map(|ends| thread::spawn(move || ends.end().lines()));
    let rest: Vec<String> = ends.into_iter().flat_map(|ends| ends.join().unwrap()).collect();
    assert_eq!(rest, ["first of all"], "the item of `holds` has gone to no other consumer");
    sandbox.assert_nothing_left();
}

/// Puts an item, waits until the keeper has exited, and returns the queue's directory.
fn queue_at_rest(sandbox: &Sandbox) -> std::path::PathBuf {
    sandbox.run(&["put", "--capacity", "9", "a"]).assert_prints("");
    sandbox.wait_for_keeper_to_go("default");
    sandbox.queue("default")
}

fn assert_refused_when_spoiled(name: &str) {
    let sandbox = Sandbox::new();
    let path = queue_at_rest(&sandbox).join(name);
    if name == "memory.json" {
        // The format of an earlier version.
        fs::write(&path, r#"{"version":1,"capacity":9,"last_number":1}"#).unwrap();
    }
    let away = sandbox.path("away");
    let mode = |mode| fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    let assert_refused = |reason: &str| {
        for command in [&["put", "b"][..], &["status"], &["get"]] {
            sandbox.run(command).assert_refused(1, &["default", name, reason]);
        }
    };
    mode(0o644);
    assert_refused("(mode 644): run `chmod 600` on it");
    mode(0o602);
    assert_refused("(mode 602): run `chmod 600` on it");
    mode(0o600);
    fs::rename(&path, &away).unwrap();
    symlink(&away, &path).unwrap();
    assert_refused("symbolic link: remove it");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_refused("move it away");
    fs::remove_dir(&path).unwrap();
    fs::rename(&away, &path).unwrap();
    sandbox.run(&["put", "b"]).assert_prints("");
    sandbox.run(&["get", "--count", "2"]).assert_prints("a\nb\n");
    sandbox.assert_nothing_left();
}

#[test]
fn a_journal_that_other_users_can_access_is_refused_and_left_alone() {
    assert_refused_when_spoiled("journal");
}

#[test]
fn a_memory_file_that_other_users_can_access_is_refused_and_left_alone() {
    assert_refused_when_spoiled("memory.json");
}

#[test]
fn an_inbox_that_other_users_can_access_is_refused() {
    let sandbox = Sandbox::new();
    let mut consumer = sandbox.start_consumer(&["--format", "raw"]);
    let inbox = sandbox.queue("default").join("inbox");
    let away = sandbox.queue("default").join("away");
    fs::set_permissions(&inbox, Permissions::from_mode(0o622)).unwrap();
    let words = &["inbox: others have access to it (mode 622): run `chmod 600` on it"];
    sandbox.run(&["put", "x"]).assert_refused(1, words);
    fs::set_permissions(&inbox, Permissions::from_mode(0o600)).unwrap();
    fs::rename(&inbox, &away).unwrap();
    symlink(&away, &inbox).unwrap();
    let words = &["inbox: it is a symbolic link: remove it"];
    sandbox.run(&["put", "x"]).assert_refused(1, words);
    fs::rename(&away, &inbox).unwrap();
    sandbox.run(&["put", "x"]).assert_prints("");
    assert_eq!(consumer.line(), "x");
    consumer.signal(Signal::TERM);
    consumer.end();
    sandbox.assert_nothing_left();
}

#[test]
fn queue_files_are_private_to_the_user_under_every_umask() {
    for umask in ["0", "022", "0777"] {
        let sandbox = Sandbox::new();
        let script = format!(
            r#"
            umask {umask}
            export QDEMO_DIR="$QDEMO_DIR/below"
            qdemo producer --keep-open --quiet first -- 2> /dev/null
            qdemo consumer --format raw | {{
                read -r item
                cd "$QDEMO_DIR"
                stat -c '%a %n' . default default/inbox default/journal
                qdemo close
            }}
            "#
        );
        let outcome = sandbox.script(&script);
        let expected = "700 .\n700 default\n600 default/inbox\n600 default/journal\n";
        assert!(outcome.text().starts_with(expected), "umask {umask}: {outcome:?}");
    }
}

#[test]
fn foreign_files_in_a_queues_directory_are_left_alone() {
    let sandbox = Sandbox::new();
    let dir = sandbox.make_queue("default");
    let names = ["mailbox.-5.x", "mailbox.0.x", "mailbox..", ".journal.-1", "notes"];
    for name in names {
        fs::write(dir.join(name), "").unwrap();
    }
    sandbox.run(&["put", "a"]).assert_prints("");
    sandbox.run(&["get"]).assert_prints("a\n");
    assert!(names.iter().all(|name| dir.join(name).exists()));
    // The keeper reports a dead process's mailbox that it cannot remove.
    let odd = dir.join(format!("mailbox.{}.x", i32::MAX));
    fs::create_dir(&odd).unwrap();
    sandbox.wait_for_keeper_to_go("default");
    sandbox.run(&["put", "a"]).assert_refused(1, &["cannot remove", &odd.display().to_string()]);
    fs::remove_dir(odd).unwrap();
    sandbox.assert_nothing_left();
}
