//! An upgrade removes or replaces the file of a running program: the running program starts further processes
//! from its own executable, not from the new file. A keeper carries the journal of an earlier version over.
//!
//! Local: keepers and journals outlive a program.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::harness::{QDEMO, Running, Sandbox, assert_same, signal_to, wait_for_end, wait_while};

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

/// The words and keys of version 2 of the journal, each with the one of version 1.
const RENAMED: [(&str, &str); 14] = [
    ("\nready ", "\nitem "),
    ("\ndisconnected ", "\nleft "),
    ("\ndelivered ", "\nout "),
    ("\nrequeued ", "\nback "),
    ("{\"version\":2,", "{\"version\":1,"),
    ("\"has_begun\":", "\"begun\":"),
    ("\"last_id\":", "\"last_number\":"),
    ("\"done_count\":", "\"done\":"),
    ("\"ended_at\":", "\"ended\":"),
    ("\"birth\":", "\"stamp\":"),
    ("\"boot_id\":", "\"boot\":"),
    ("\"offset\":", "\"ahead\":"),
    ("\"deliveries\":", "\"runs\":"),
    ("\"last_delivery_first_id\":", "\"last_run\":"),
];

/// Turns the journal of the queue into one of version 1, and returns its text. No item may look like a head.
fn turn_into_version_1(journal: &Path) -> String {
    let text = fs::read_to_string(journal).unwrap();
    let mut old = String::from("qdemo-journal 1\n");
    for record in text.split("\n\n").skip(1) {
        let (line, items) = record.split_once('\n').unwrap_or((record, ""));
        let items = items.strip_suffix('\n').unwrap_or(items);
        let items = if items.is_empty() { String::new() } else { format!("{items}\n") };
        let (head, _) = line.rsplit_once(" #").unwrap();
        let old_words = |head: String, (new, old): &(&str, &str)| head.replace(new, old);
        let head = RENAMED.iter().fold(format!("\n{head}"), old_words);
        let mut fields: Vec<_> = head[1..].split(' ').collect();
        match fields[0] {
            "put" => drop(fields.remove(5)),
            "item" => drop(fields.remove(3)),
            _ => {}
        }
        let head = fields.join(" ");
        let sum = crc32fast::hash(format!("{head}{items}").as_bytes());
        old += &format!("\n{head} ~{sum:08x}\n{items}");
    }
    // The file keeps its permissions.
    fs::write(journal, &old).unwrap();
    old
}

/// Kills the keeper while this client cannot start the next one, and lets `change` happen meanwhile.
fn without_keeper<T>(sandbox: &Sandbox, client: &Running, change: impl FnOnce() -> T) -> T {
    client.signal(Signal::STOP);
    wait_while(|| !is_stopped(client.pid()));
    kill_keeper(sandbox);
    let changed = change();
    client.signal(Signal::CONT);
    changed
}

fn is_stopped(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.starts_with('T')
}

#[test]
fn a_journal_of_version_1_is_carried_over_with_nothing_lost() {
    let sandbox = Sandbox::new();
    let journal = sandbox.queue("default").join("journal");
    sandbox.run(&["put", "--capacity", "9", "a", "b", "c", "d", "e"]).assert_prints("");
    assert_eq!(sandbox.run(&["consumer", "--max", "1", "--", "true"]).code(), Some(0));
    assert_eq!(sandbox.run(&["consumer", "--max", "1", "--", "false"]).code(), Some(1));
    let mut consumer = sandbox.start(&["consumer", "--delay", "1h", "--format", "raw"]);
    assert_eq!(consumer.line(), "c");
    let before = "2 of 9 ready, 1 in flight, 1 done, 1 failed";
    without_keeper(&sandbox, &consumer, || {
        let version_1 = turn_into_version_1(&journal);
        for word in ["put", "out", "done", "failed", "client", "left", "queue"] {
            assert!(version_1.contains(&format!("\n{word} ")), "no {word}: {version_1}");
        }
        let status = sandbox.run(&["status"]).text();
        assert!(status.contains(before), "{status}");
        assert_same(&version_1, &fs::read_to_string(&journal).unwrap());
        // This command starts a keeper.
        sandbox.run(&["put", "f"]).assert_prints("");
    });
    let text = fs::read_to_string(&journal).unwrap();
    assert!(text.starts_with("qdemo-journal 2\n"), "{text}");
    assert!(!text.contains(" ~"), "records of two versions: {text}");
    let status = sandbox.run(&["status"]).text();
    assert!(status.contains("3 of 9 ready, 1 in flight, 1 done, 1 failed"), "{status}");
    consumer.signal(Signal::TERM);
    consumer.end();
    sandbox.run(&["failed"]).assert_prints("2\t1\texit code 1\tb\n");
    sandbox.run(&["failed", "--retry"]).assert_prints("1 item is ready again\n");
    sandbox.run(&["get", "--count", "5", "--format", "json"]).assert_prints(concat!(
        "{\"id\":2,\"item\":\"b\",\"attempt\":2}\n",
        "{\"id\":3,\"item\":\"c\",\"attempt\":2}\n",
        "{\"id\":4,\"item\":\"d\",\"attempt\":1}\n",
        "{\"id\":5,\"item\":\"e\",\"attempt\":1}\n",
        "{\"id\":6,\"item\":\"f\",\"attempt\":1}\n",
    ));
    assert_eq!(sandbox.status()["done"], 6);
    sandbox.assert_nothing_left();
}

/// The age of the oldest item grows meanwhile.
fn status_without_age(sandbox: &Sandbox) -> serde_json::Value {
    let mut status = sandbox.status();
    status["oldest_s"].take();
    status
}

#[test]
fn the_state_of_a_queue_is_carried_over() {
    let sandbox = Sandbox::new();
    let journal = sandbox.queue("default").join("journal");
    for (commands, state) in [
        (&[&["put", "--sync", "a"][..], &["close"]][..], "closed"),
        (&[&["get"][..], &["get"]], "ended"),
    ] {
        for command in commands {
            sandbox.run(command);
        }
        sandbox.wait_for_keeper_to_go("default");
        let status = status_without_age(&sandbox);
        assert_eq!(status["state"], state);
        let version_1 = turn_into_version_1(&journal);
        assert_eq!(status_without_age(&sandbox), status);
        assert_same(&version_1, &fs::read_to_string(&journal).unwrap());
        // This command starts a keeper.
        sandbox.run(&["peek"]);
        sandbox.wait_for_keeper_to_go("default");
        assert!(fs::read(&journal).unwrap().starts_with(b"qdemo-journal 2\n"));
        assert_eq!(status_without_age(&sandbox), status);
    }
    sandbox.assert_nothing_left();
}

#[test]
fn a_journal_of_version_1_that_cannot_be_rewritten_stays_as_it_is() {
    let sandbox = Sandbox::new();
    let journal = sandbox.queue("default").join("journal");
    let items: String = (0..200).map(|n| format!("{n:0>1000}\n")).collect();
    sandbox.run_with_input(&["put", "-"], items.as_bytes()).assert_prints("");
    sandbox.wait_for_keeper_to_go("default");
    let version_1 = turn_into_version_1(&journal);
    // A limit of 64 KiB for each file stands in for a full disk.
    for command in ["put x", "get", "peek"] {
        let outcome = sandbox.script(&format!("ulimit -f 64; qdemo {command}"));
        outcome.assert_refused(
            1,
            &["cannot rewrite the queue's journal", "ulimit -f", "is still there"],
        );
        assert_same(&version_1, &fs::read_to_string(&journal).unwrap());
        sandbox.assert_nothing_left();
    }
    assert_eq!(sandbox.status()["ready"], 200);
    sandbox.run(&["get", "--count", "200"]).assert_prints(&items);
    sandbox.assert_nothing_left();
}
