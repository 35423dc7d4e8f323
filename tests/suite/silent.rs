//! A stopped keeper does not answer: limits hold, signals work, and no request is half executed when the
//! keeper continues.
//!
//! Local: the keeper is stopped.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use qdemo::{Error, Queue, QueueBuilder, TryGetError, TryPutError};
use rustix::process::Signal;

use crate::harness::{QDEMO, Running, Sandbox, signal_to, wait_while};

/// A stopped process: a keeper, or a client that starts one.
struct Stopped {
    pid: i32,
}

impl Stopped {
    fn keeper(sandbox: &Sandbox, queue: &str) -> Self {
        let keepers = sandbox.processes_of(&format!("qdemo keeper --queue {queue}"));
        assert_eq!(keepers.len(), 1, "{keepers:?}");
        Self::process(keepers[0].pid)
    }

    fn process(pid: i32) -> Self {
        signal_to(pid, Signal::STOP);
        while state(pid) != "T" {
            std::thread::yield_now();
        }
        Self { pid }
    }

    fn goes_on(self) {
        signal_to(self.pid, Signal::CONT);
    }

    /// The parts of the error message about this keeper.
    fn message(&self, queue: &str) -> [String; 3] {
        let pid = self.pid;
        [
            format!("the keeper of the queue `{queue}` (process {pid}) does not answer: "),
            format!("continue it with `kill -CONT {pid}`, or end it with `kill -9 {pid}`"),
            "the next command starts another, and nothing accepted is lost".to_owned(),
        ]
    }
}

fn state(pid: i32) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.chars().take(1).collect()
}

#[track_caller]
fn assert_silent(running: Running, keeper: &Stopped, queue: &str) -> String {
    let outcome = running.end();
    let words = keeper.message(queue);
    outcome.assert_refused(3, &words.each_ref().map(String::as_str));
    outcome.stderr
}

/// How many pipes of clients have names. The pipe for requests of a connected client has none.
fn pipe_count(dir: &Path) -> usize {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let is_pipe = |name: &str| name.starts_with("mailbox.") || name.starts_with("requests.");
    names.filter(|name| is_pipe(&name.to_string_lossy())).count()
}

#[test]
fn a_limit_holds_when_the_keeper_does_not_answer_a_hello() {
    let sandbox = Sandbox::new();
    let mut consumer = sandbox.start_consumer(&["--format", "raw"]);
    let keeper = Stopped::keeper(&sandbox, "default");
    let commands: &[&[&str]] = &[
        &["get", "--timeout", "10ms"],
        &["get", "--no-wait", "--quiet"],
        &["put", "--timeout", "10ms", "not this"],
        &["put", "--no-wait", "nor that"],
        &["put", "--no-wait", "-"],
        &["join", "--timeout", "10ms"],
        &["consumer", "--timeout", "10ms"],
        &["consumer", "--no-wait"],
        &["consumer", "--no-wait", "--", "cat"],
        &["consumer", "--timeout", "10ms", "-j", "2", "--", "cat"],
    ];
    let started: Vec<_> = commands.iter().map(|args| sandbox.start(args)).collect();
    for running in started {
        assert_silent(running, &keeper, "default");
    }
    assert_eq!(pipe_count(&sandbox.queue("default")), 1, "a refused command has left its pipes");
    keeper.goes_on();
    sandbox.run(&["put", "this"]).assert_prints("");
    assert_eq!(consumer.line(), "this");
    consumer.signal(Signal::TERM);
    assert_eq!(consumer.end().signal(), Some(15));
    sandbox.assert_nothing_left();
}

#[test]
fn put_names_its_items_when_the_keeper_does_not_answer() {
    let sandbox = Sandbox::new();
    let consumer = sandbox.start_consumer(&[]);
    let keeper = Stopped::keeper(&sandbox, "default");
    let put = sandbox.start(&["put", "--no-wait", "first", "second"]);
    let error = assert_silent(put, &keeper, "default");
    assert!(error.ends_with("; not put: first, second\n"), "{error}");
    keeper.goes_on();
    sandbox.wait_for_consumer();
    assert_eq!(sandbox.status()["done"], 1, "an item was put");
    consumer.signal(Signal::TERM);
    consumer.end();
    sandbox.assert_nothing_left();
}

#[test]
fn a_limit_holds_when_the_keeper_stops_during_a_get() {
    let sandbox = Sandbox::new();
    let mut producer = sandbox.start(&["producer", "--keep-open", "--format", "json", "-"]);
    producer.feed("first of all\n");
    producer.line();
    sandbox.run(&["get"]).assert_prints("first of all\n");
    let get = sandbox.start(&["get", "--timeout", "2s"]);
    sandbox.wait_for_consumer();
    let keeper = Stopped::keeper(&sandbox, "default");
    // The keeper reads this put before the keeper notices that the get has ended.
    producer.feed("second\n");
    assert_silent(get, &keeper, "default");
    assert_eq!(pipe_count(&sandbox.queue("default")), 1, "the refused `get` has left its pipes");
    keeper.goes_on();
    assert!(producer.line().contains("second"));
    let get = sandbox.run(&["get", "--no-wait", "--format", "json"]);
    get.assert_prints("{\"id\":2,\"item\":\"second\",\"attempt\":1}\n");
    producer.end().assert_done();
    sandbox.assert_nothing_left();
}

#[test]
fn a_consumer_with_commands_ends_at_its_limit() {
    let sandbox = Sandbox::new();
    let args = ["consumer", "--timeout", "2s", "--", "echo", "{}"];
    sandbox.run(&["put", "first"]).assert_done();
    let mut consumer = sandbox.start(&args);
    assert_eq!(consumer.line(), "first");
    sandbox.wait_for_consumer();
    let keeper = Stopped::keeper(&sandbox, "default");
    assert_silent(consumer, &keeper, "default");
    keeper.goes_on();
    sandbox.wait_for_keeper_to_go("default");
    let status = sandbox.status();
    assert_eq!((&status["done"], &status["in_flight"]), (&1.into(), &0.into()));
    sandbox.assert_nothing_left();
}

#[test]
fn put_names_the_items_that_may_or_may_not_be_in_the_queue() {
    let sandbox = Sandbox::new();
    let mut put = sandbox.start(&["put", "--timeout", "10ms", "-"]);
    put.feed("first\n");
    sandbox.wait_for_status(|status| status["ready"] == 1);
    let keeper = Stopped::keeper(&sandbox, "default");
    put.feed("second\n");
    let said = assert_silent(put, &keeper, "default");
    assert!(said.contains("; these items may or may not be in the queue: second"), "{said}");
    keeper.goes_on();
    sandbox.wait_for_keeper_to_go("default");
    let left = sandbox.run(&["peek", "--count", "9"]).text();
    assert!(["first\n", "first\nsecond\n"].contains(&left.as_str()), "{left}");
    sandbox.assert_nothing_left();
}

#[test]
fn an_unanswered_put_does_not_happen_when_the_keeper_continues() {
    let sandbox = Sandbox::new();
    let mut put = sandbox.start(&["put", "--no-wait", "-"]);
    put.feed("first\n");
    sandbox.wait_for_status(|status| status["ready"] == 1);
    let keeper = Stopped::keeper(&sandbox, "default");
    put.feed("second\n");
    assert_silent(put, &keeper, "default");
    keeper.goes_on();
    sandbox.wait_for_keeper_to_go("default");
    sandbox.run(&["peek", "--count", "9"]).assert_prints("first\n");
    sandbox.assert_nothing_left();
}

/// The unread bytes of the pipe for requests that no keeper has opened yet.
fn waiting_requests(dir: &Path) -> Option<u64> {
    let mut names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let path = names.find(|path| path.to_string_lossy().contains("/requests."))?;
    let pipe = fs::OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .ok()?;
    rustix::io::ioctl_fionread(pipe).ok()
}

#[test]
fn the_first_item_of_a_put_goes_ahead_of_the_announcement() {
    let sandbox = Sandbox::new();
    let holder = sandbox.start_consumer(&["--delay", "1h"]);
    let keeper = Stopped::keeper(&sandbox, "default");
    let put = sandbox.start(&["put", "second"]);
    let request = "put 1 1 9\n\"second\"\n";
    wait_while(|| waiting_requests(&sandbox.queue("default")) != Some(request.len() as u64));
    keeper.goes_on();
    put.end().assert_done();
    holder.signal(Signal::TERM);
    holder.end();
}

/// Fills the inbox of a queue whose keeper is stopped: no client can write to the inbox any more.
fn fill_inbox(dir: &Path) {
    use std::io::Write;
    let mut inbox = crate::harness::open_inbox(dir);
    for size in [4096, 1] {
        wait_while(|| inbox.write(&vec![b'\n'; size]).is_ok());
    }
}

#[test]
fn a_limit_holds_when_the_inbox_is_full() {
    let sandbox = Sandbox::new();
    // The system continues a stopped keeper when the client that started the keeper ends: this client stays.
    let mut starter = sandbox.start(&["producer", "--keep-open", "--format", "json", "-"]);
    starter.feed("zeroth\n");
    starter.line();
    let mut put = sandbox.start(&["put", "--timeout", "10ms", "-"]);
    put.feed("first\n");
    sandbox.wait_for_status(|status| status["ready"] == 2);
    let keeper = Stopped::keeper(&sandbox, "default");
    fill_inbox(&sandbox.queue("default"));
    put.feed("second\n");
    let others = [
        &["get", "--timeout", "10ms"][..],
        &["put", "--no-wait", "x"],
        &["status", "-q", "default"],
    ];
    let others = others.map(|args| sandbox.start(args));
    let waits = sandbox.start(&["get"]);
    while pipe_count(&sandbox.queue("default")) < 2 {
        std::thread::yield_now();
    }
    assert_silent(put, &keeper, "default");
    for other in others {
        assert_silent(other, &keeper, "default");
    }
    keeper.goes_on();
    waits.end().assert_prints("zeroth\n");
    assert_eq!(starter.end().code(), Some(0));
    sandbox.wait_for_keeper_to_go("default");
    sandbox.run(&["peek", "--count", "9"]).assert_prints("first\n");
    sandbox.assert_nothing_left();
}

#[test]
fn status_watch_reports_a_stopped_keeper_until_the_keeper_continues() {
    let sandbox = Sandbox::new();
    let consumer = sandbox.start_consumer(&[]);
    let args = ["status", "-q", "default", "--format", "json", "--watch", "--every", "10ms"];
    let mut watch = sandbox.start(&args);
    assert!(watch.line().contains(r#""ready":0"#));
    let keeper = Stopped::keeper(&sandbox, "default");
    let silent = format!(r#"{{"queue":"default","answers":false,"keeper":{}}}"#, keeper.pid);
    wait_while(|| watch.line() != silent);
    keeper.goes_on();
    wait_while(|| watch.line() == silent);
    watch.signal(Signal::TERM);
    consumer.signal(Signal::TERM);
    assert_eq!((watch.end().signal(), consumer.end().signal()), (Some(15), Some(15)));
    sandbox.assert_nothing_left();
}

#[test]
fn status_shows_the_other_queues_when_two_keepers_do_not_answer() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "-q", "a", "x"]).assert_done();
    sandbox.run(&["put", "-q", "c", "x"]).assert_done();
    let mut puts = ["b", "d"].map(|queue| sandbox.start(&["put", "-q", queue, "-"]));
    for (put, queue) in puts.iter_mut().zip(["b", "d"]) {
        put.feed("x\n");
        let args = ["join", "-q", queue, "--timeout", "0"];
        wait_while(|| !sandbox.run(&args).stderr.contains("1 item"));
    }
    let healthy = |queue: &str| {
        let outcome = sandbox.run(&["status", "-q", queue, "--format", "json"]);
        let mut status: serde_json::Value = serde_json::from_str(&outcome.text()).unwrap();
        status["oldest_s"].take();
        status
    };
    let [a, b, c] = ["a", "b", "c"].map(healthy);
    let keepers = ["b", "d"].map(|queue| Stopped::keeper(&sandbox, queue));
    let all = sandbox.run(&["status"]);
    all.assert_done();
    let lines = all.lines();
    for (line, keeper, queue) in [(&lines[1], &keepers[0], "b"), (&lines[3], &keepers[1], "d")] {
        let pid = keeper.pid;
        let expected = format!(
            "{queue}: its keeper (process {pid}) does not answer: continue it with \
             `kill -CONT {pid}`, or end it with `kill -9 {pid}`"
        );
        assert_eq!(*line, expected);
    }
    assert!(lines[0].starts_with("a: 1 ready") && lines[2].starts_with("c: 1 ready"));
    let json = sandbox.run(&["status", "--format", "json"]);
    json.assert_done();
    let lines = json.lines();
    for (n, queue) in [(1, "b"), (3, "d")] {
        let keeper = keepers[usize::from(n == 3)].pid;
        let expected = format!(r#"{{"queue":"{queue}","answers":false,"keeper":{keeper}}}"#);
        assert_eq!(lines[n], expected);
    }
    for (line, before) in [(&lines[0], &a), (&lines[2], &c)] {
        let mut now: serde_json::Value = serde_json::from_str(line).unwrap();
        now["oldest_s"].take();
        assert_eq!(now, *before);
    }
    let named = sandbox.start(&["status", "-q", "b"]);
    let json = sandbox.start(&["status", "-q", "d", "--format", "json"]);
    assert_silent(named, &keepers[0], "b");
    assert_silent(json, &keepers[1], "d");
    keepers.into_iter().for_each(Stopped::goes_on);
    assert_eq!(healthy("b"), b);
    puts.map(Running::end).iter().for_each(crate::harness::Outcome::assert_done);
    sandbox.assert_nothing_left();
}

#[test]
fn a_signal_ends_a_command_while_the_keeper_does_not_answer() {
    let sandbox = Sandbox::new();
    let consumer = sandbox.start_consumer(&[]);
    let keeper = Stopped::keeper(&sandbox, "default");
    for args in [&["get"][..], &["put", "x"], &["join"], &["peek"], &["consumer"], &["close"]] {
        let running = sandbox.start(args);
        // The command waits for the keeper when the command's first pipe exists.
        while pipe_count(&sandbox.queue("default")) < 2 {
            std::thread::yield_now();
        }
        running.signal(Signal::TERM);
        let outcome = running.end();
        assert_eq!((outcome.signal(), outcome.stderr.as_str()), (Some(15), ""), "{args:?}");
    }
    keeper.goes_on();
    consumer.signal(Signal::TERM);
    consumer.end();
    sandbox.assert_nothing_left();
}

#[test]
fn a_command_without_a_limit_waits_for_a_stopped_keeper() {
    let sandbox = Sandbox::new();
    let mut consumer = sandbox.start_consumer(&["--format", "raw"]);
    let keeper = Stopped::keeper(&sandbox, "default");
    let put = sandbox.start(&["put", "x"]);
    // `put` waits longer than the grace after which `get` gives up.
    assert_silent(sandbox.start(&["get", "--no-wait"]), &keeper, "default");
    keeper.goes_on();
    put.end().assert_prints("");
    assert_eq!(consumer.line(), "x");
    consumer.signal(Signal::TERM);
    consumer.end();
    sandbox.assert_nothing_left();
}

/// Whether this process waits for a file lock.
fn waits_for_a_lock(pid: i32) -> bool {
    let locks = fs::read_to_string("/proc/locks").unwrap();
    let waits = |line: &str| line.contains("->") && line.contains(&format!(" {pid} "));
    locks.lines().any(waits)
}

/// Starts a process that locks the queue's directory, as a client does while it starts a keeper.
fn lock(sandbox: &Sandbox, dir: &Path) -> Running {
    let mut command = sandbox.command("flock");
    command.arg("-x").arg(dir).args(["sh", "-c", "echo locked; read line"]);
    let mut running = Running::start(command);
    assert_eq!(running.line(), "locked");
    running
}

#[test]
fn limits_and_signals_work_while_another_client_starts_a_keeper() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "x"]).assert_done();
    let dir = sandbox.queue("default");
    let starter = Stopped::process(lock(&sandbox, &dir).pid());
    let limited = [&["get", "--timeout", "200ms"][..], &["put", "--no-wait", "y"]];
    let limited = limited.map(|args| sandbox.start(args));
    let waits = sandbox.start(&["get"]);
    while !waits_for_a_lock(waits.pid()) {
        std::thread::yield_now();
    }
    waits.signal(Signal::TERM);
    assert_eq!(waits.end().signal(), Some(15));
    for running in limited {
        let pid = starter.pid.to_string();
        let words = ["a keeper of the queue `default`", "is being started", &pid, "kill -CONT"];
        running.end().assert_refused(3, &words);
    }
    let patient = sandbox.start(&["get"]);
    while !waits_for_a_lock(patient.pid()) {
        std::thread::yield_now();
    }
    signal_to(starter.pid, Signal::KILL);
    patient.end().assert_prints("x\n");
    sandbox.run(&["get", "--no-wait"]).assert_refused(3, &["is empty"]);
    sandbox.assert_nothing_left();
}

fn options(sandbox: &Sandbox) -> QueueBuilder {
    let options = QueueBuilder::new("q".parse().unwrap());
    options.dir(sandbox.path("queues")).program(QDEMO)
}

const SHORT: Duration = Duration::from_millis(20);

#[test]
fn limits_of_the_library_hold_when_the_keeper_does_not_answer() {
    let sandbox = Sandbox::new();
    let queue: Queue<u32> = options(&sandbox).open().unwrap();
    queue.put(1).unwrap();
    let keeper = Stopped::keeper(&sandbox, "q");
    let pid = u32::try_from(keeper.pid).unwrap();
    let silent = |error: &Error| {
        matches!(error, Error::NoAnswer { queue, process, starting: false, .. }
            if queue == "q" && *process == Some(pid))
    };
    let Err(TryGetError::Failed(error)) = queue.get_timeout(SHORT) else { panic!("no answer") };
    assert!(silent(&error), "{error}");
    let Err(TryGetError::Failed(error)) = queue.try_get() else { panic!("no answer") };
    assert!(silent(&error), "{error}");
    let Err(TryPutError::Failed(error)) = queue.try_put(2) else { panic!("no answer") };
    assert!(silent(&error), "{error}");
    let error = queue.join_timeout(SHORT).unwrap_err();
    assert!(silent(&error), "{error}");
    let other = options(&sandbox).timeout(SHORT).open::<u32>().unwrap_err();
    assert!(silent(&other), "{other}");
    keeper.goes_on();
    // The queue settles the requests that timed out before it sends the next request.
    queue.put(3).unwrap();
    let item = queue.get_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(*item, 1, "item 1 was not requeued at its place");
    item.done().unwrap();
    let rest: Vec<u32> =
        std::iter::from_fn(|| queue.try_get().ok()).map(|item| item.done().unwrap()).collect();
    assert!([&[3][..], &[2, 3]].contains(&&rest[..]), "{rest:?}");
    assert!(matches!(queue.try_get(), Err(TryGetError::Empty)));
    queue.join_timeout(Duration::from_secs(30)).unwrap();
    drop(queue);
    sandbox.assert_nothing_left();
}

#[test]
fn a_limit_holds_while_a_new_keeper_does_not_become_ready() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    let program = sandbox.path("stops");
    fs::write(&program, "#!/bin/sh\nkill -STOP $$\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let options = options(&sandbox).program(&program).timeout(SHORT);
    let error = options.open::<u32>().unwrap_err();
    let Error::NoAnswer { process: Some(process), starting: true, .. } = error else {
        panic!("{error}")
    };
    let process = i32::try_from(process).unwrap();
    assert_eq!(state(process), "T");
    signal_to(process, Signal::KILL);
    sandbox.run(&["put", "-q", "q", "x"]).assert_done();
    sandbox.assert_nothing_left();
}
