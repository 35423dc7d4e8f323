//! Foreign bytes and announcements in the inbox, and foreign files in the place of a queue's files.
//!
//! Local: these are files of a queue on this machine.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use rustix::process::Signal;

use crate::harness::{Running, Sandbox};
use crate::protocol::{RawClient, announce, hello, make_pipe, pipe_name};

/// A keeper that must survive a test with less than `max_mib` of memory at its peak.
pub struct Keeper<'a> {
    sandbox: &'a Sandbox,
    pid: i32,
    max_mib: u64,
}

impl<'a> Keeper<'a> {
    pub fn of(sandbox: &'a Sandbox, max_mib: u64) -> Self {
        let keepers = sandbox.processes_of("qdemo keeper");
        assert_eq!(keepers.len(), 1, "{keepers:?}");
        Self { sandbox, pid: keepers[0].pid, max_mib }
    }

    #[track_caller]
    pub fn assert_sound(&self) {
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

/// A queue with a producer and a consumer that nothing may disturb.
pub struct Neighbours<'a> {
    producer: Running,
    consumer: Running,
    pub keeper: Keeper<'a>,
    passed: usize,
}

impl<'a> Neighbours<'a> {
    /// The memory of the keeper stays below `max_mib` at its peak.
    pub fn new(sandbox: &'a Sandbox, max_mib: u64) -> Self {
        let producer = sandbox.start(&["producer", "--quiet", "--keep-open", "-"]);
        let consumer = sandbox.start(&["consumer", "--format", "raw"]);
        sandbox.wait_for_consumer();
        Self { producer, consumer, keeper: Keeper::of(sandbox, max_mib), passed: 0 }
    }

    /// Passes items from the producer to the consumer, one after another.
    #[track_caller]
    pub fn pass(&mut self, count: usize) {
        for _ in 0..count {
            self.passed += 1;
            self.producer.feed(&format!("item {}\n", self.passed));
            assert_eq!(self.consumer.line(), format!("item {}", self.passed));
        }
    }

    /// Lets a new client put an item, and the consumer get it.
    #[track_caller]
    pub fn pass_from_a_new_client(&mut self) {
        self.passed += 1;
        let item = format!("item {}", self.passed);
        self.keeper.sandbox.run(&["put", &item]).assert_prints("");
        assert_eq!(self.consumer.line(), item);
    }

    /// Ends both clients. The consumer has got nothing but the items that were passed.
    #[track_caller]
    pub fn end(mut self) {
        self.pass(1);
        self.keeper.assert_sound();
        self.producer.end().assert_done();
        self.keeper.sandbox.run(&["close"]).assert_prints("");
        self.consumer.end().assert_prints("");
        self.keeper.sandbox.assert_nothing_left();
    }
}

/// Sets the flag when it is dropped.
pub struct OnDrop<'a>(pub &'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Calls `write` `times` times, and then until items have passed from clients to a consumer.
fn with_a_stranger(
    sandbox: &Sandbox,
    times: usize,
    mut write: impl FnMut(&mut File, &mut Noise) + Send,
) {
    let mut neighbours = Neighbours::new(sandbox, 24);
    neighbours.pass(1);
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
        // The stranger also stops when an assertion fails.
        let _stop = OnDrop(passed);
        all_written.recv().unwrap();
        for _ in 0..3 {
            neighbours.pass(5);
            neighbours.pass_from_a_new_client();
        }
    });
    drop(file);
    neighbours.end();
}

fn assert_disturbs_no_client(times: usize, write: impl FnMut(&mut File, &mut Noise) + Send) {
    with_a_stranger(&Sandbox::new(), times, write);
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
fn requests_in_the_inbox_disturb_no_client(rounds: 150, all: 2000) {
    assert_disturbs_no_client(rounds, |inbox, noise| {
        let key = noise.next();
        let text: String = (0..200)
            .map(|n| match n % 8 {
                0 => format!("done {n} 1\n"),
                1 => "get 1000\n".to_owned(),
                2 => format!("put {n} 1 11\n\"not yours\"\n"),
                3 => "close now\n".to_owned(),
                4 => "remove force\n".to_owned(),
                // Version 1.
                5 => format!("put {key:016x} {n} 1\n\"not yours\"\n"),
                6 => format!("remove {key:016x} force\n"),
                _ => format!("bye {key:016x}\n"),
            })
            .collect();
        inbox.write_all(text.as_bytes()).unwrap();
    });
}
}

share! {
fn half_lines_disturb_no_client(rounds: 2000, all: 20_000) {
    let halves: [&[u8]; 7] = [
        b"half",
        b"put 1 1 1000000\n",
        b"hello ",
        b"hello 00000000000000b2 {",
        b"hello 00000000000000b2 {}",
        b"\n\n\n",
        b"\xff\0",
    ];
    assert_disturbs_no_client(rounds, |inbox, noise| {
        inbox.write_all(halves[(noise.next() % 7) as usize]).unwrap();
    });
}
}

share! {
fn announcements_of_clients_that_are_there_disturb_no_client(rounds: 30, all: 300) {
    let sandbox = Sandbox::new();
    let mut neighbours = Neighbours::new(&sandbox, 24);
    let dir = sandbox.queue("default");
    // The names in the directory show the keys.
    let names = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    let clients: Vec<_> = names.iter().filter_map(|name| name.strip_prefix("mailbox.")).collect();
    assert_eq!(clients.len(), 2);
    let mut inbox = inbox(&dir);
    for round in 0..rounds {
        for client in &clients {
            let (pid, key) = client.split_once('.').unwrap();
            let version = round % 3 + 1;
            for (role, more) in [("producer", ""), ("visitor", r#","batches_received":7"#)] {
                let hello = format!(r#"{{"version":{version},"role":"{role}","pid":{pid}{more}}}"#);
                inbox.write_all(format!("\nhello {key} {hello}\n").as_bytes()).unwrap();
            }
        }
        neighbours.pass(2);
    }
    drop(inbox);
    neighbours.end();
}
}

/// Things that stand in the place of one of a client's pipes. Each has a number as its key.
struct Unusable {
    what: &'static str,
    make: fn(&Path),
    /// Whether only root can make it.
    needs_root: bool,
}

const UNUSABLE: [Unusable; 9] = [
    Unusable { what: "nothing", make: |_| {}, needs_root: false },
    Unusable { what: "a file", make: |path| fs::write(path, "").unwrap(), needs_root: false },
    Unusable { what: "a directory", make: |path| fs::create_dir(path).unwrap(), needs_root: false },
    Unusable {
        what: "a link to a device",
        make: |path| symlink("/dev/null", path).unwrap(),
        needs_root: false,
    },
    Unusable {
        what: "a link to a pipe",
        make: |path| {
            let target = path.with_extension("target");
            make_pipe(&target);
            symlink(target, path).unwrap();
        },
        needs_root: false,
    },
    Unusable {
        what: "a socket",
        make: |path| drop(UnixListener::bind(path).unwrap()),
        needs_root: false,
    },
    Unusable {
        what: "a pipe for a group",
        make: |path| pipe_of_mode(path, 0o620),
        needs_root: false,
    },
    Unusable { what: "a pipe for all", make: |path| pipe_of_mode(path, 0o602), needs_root: false },
    Unusable {
        what: "a pipe of another user",
        make: |path| {
            make_pipe(path);
            chown(path, Some(65_534), Some(65_534)).unwrap();
        },
        needs_root: true,
    },
];

fn pipe_of_mode(path: &Path, mode: u32) {
    make_pipe(path);
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn unusable() -> impl Iterator<Item = (String, &'static Unusable)> {
    let is_root = rustix::process::geteuid().is_root();
    let all = UNUSABLE.iter().filter(move |unusable| is_root || !unusable.needs_root);
    (0..).map(|number| format!("{number:016x}")).zip(all)
}

#[test]
fn a_client_with_unusable_requests_is_refused() {
    let sandbox = Sandbox::new();
    let dir = sandbox.make_queue("default");
    let mut neighbours = Neighbours::new(&sandbox, 24);
    for (key, Unusable { what, make, .. }) in unusable() {
        let requests = dir.join(pipe_name("requests", &key));
        let mut client = RawClient::new(&dir, &key);
        fs::remove_file(&requests).unwrap();
        make(&requests);
        client.announce(&hello("visitor"));
        let reply = client.receive();
        assert!(reply.starts_with("error internal "), "{what}: {reply}");
        assert_eq!(fs::symlink_metadata(&requests).is_ok(), *what != "nothing", "{what}");
        client.leave();
        if *what == "a directory" {
            fs::remove_dir(&requests).unwrap();
        }
        let _ = fs::remove_file(requests.with_extension("target"));
        neighbours.pass(2);
    }
    neighbours.end();
}

share! {
fn announcements_with_unusable_mailboxes_disturb_no_client(rounds: 8, all: 100) {
    let sandbox = Sandbox::new();
    let dir = sandbox.make_queue("default");
    let mut keys: Vec<_> = unusable().map(|(key, unusable)| (key, unusable.make)).collect();
    // Nobody reads this one.
    keys.push(("00000000000000ff".to_owned(), make_pipe));
    keys.iter().for_each(|(key, make)| make(&dir.join(pipe_name("mailbox", key))));
    with_a_stranger(&sandbox, rounds, |inbox, noise| {
        for _ in 0..50 {
            let (key, _) = &keys[noise.next() as usize % keys.len()];
            inbox.write_all(format!("\nhello {key} {}\n", hello("consumer")).as_bytes()).unwrap();
        }
    });
    // Pipes without a reader are removed. Anything else is not the keeper's.
    for ((key, _), unusable) in keys.iter().zip(&UNUSABLE).take(6).skip(1) {
        let mailbox = dir.join(pipe_name("mailbox", key));
        assert!(fs::symlink_metadata(mailbox).is_ok(), "{} has been removed", unusable.what);
    }
}
}

#[test]
fn a_client_that_is_announced_again_and_again_is_one_client() {
    let sandbox = Sandbox::new();
    let mut neighbours = Neighbours::new(&sandbox, 24);
    let dir = sandbox.queue("default");
    let mut client = RawClient::welcomed(&dir, "00000000000000b2", &hello("visitor"));
    for _ in 0..1000 {
        announce(&dir, "00000000000000b2", &hello("visitor"));
    }
    neighbours.pass(2);
    client.send("bye\n");
    assert_eq!(client.receive(), "bye 0 1");
    assert_eq!(client.unread_bytes(), 0);
    neighbours.end();
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
