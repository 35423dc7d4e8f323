//! A queue at rest is a file. Accepted items survive every end of the keeper.
//!
//! The tests that are not of `both!` are of the file and its keeper.

use std::fs::{self, OpenOptions};
use std::io::Write;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Running, Sandbox, assert_same, signal_to, wait_for_end};

fn journal(sandbox: &Sandbox) -> std::path::PathBuf {
    sandbox.queue("default").join("journal")
}

both!(a_queue_without_a_process_keeps_its_state, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "--capacity", "5", "a", "b", "c", "d"]).assert_prints("");
    // The first item is done, the second fails, the third is requeued.
    assert_eq!(sandbox.run(&["consumer", "--max", "1", "--", "true"]).code(), Some(0));
    assert_eq!(sandbox.run(&["consumer", "--max", "1", "--", "false"]).code(), Some(1));
    let mut consumer = sandbox.start(&["consumer", "--delay", "1h", "--format", "raw"]);
    assert_eq!(consumer.line(), "c");
    consumer.signal(Signal::TERM);
    consumer.end();
    sandbox.wait_for_keeper_to_go("default");
    assert!(sandbox.processes().is_empty());
    let status = sandbox.status_text(&[]);
    assert!(
        status.starts_with("default: 2 of 5 ready, 0 in flight, 1 done, 1 failed, the oldest ")
    );
    assert!(sandbox.processes().is_empty(), "a status query has started a process");
    sandbox.run(&["failed"]).assert_prints("2\t1\texit code 1\tb\n");
    sandbox.run(&["put", "--capacity", "6", "x"]).assert_refused(1, &["capacity 5, not 6"]);
    sandbox.run(&["peek", "--count", "9", "--format", "json"]).assert_prints(
        "{\"id\":3,\"item\":\"c\",\"attempt\":2}\n{\"id\":4,\"item\":\"d\",\"attempt\":1}\n",
    );
    sandbox.run(&["failed", "--retry"]).assert_prints("1 item is ready again\n");
    sandbox.run(&["put", "e"]).assert_prints("");
    sandbox.run(&["close"]).assert_prints("");
    sandbox.run(&["consumer", "--format", "raw"]).assert_prints("b\nc\nd\ne\n");
    sandbox.assert_nothing_left();
    if backend.is_server() {
        return;
    }
    let left = fs::read_to_string(journal(&sandbox)).unwrap();
    assert_eq!(left.lines().count(), 3, "not a head and one record: {left}");
    assert_eq!(fs::read_dir(sandbox.queue("default")).unwrap().count(), 1, "another file is left");
});

#[test]
fn a_keeper_that_is_killed_loses_no_accepted_item() {
    let sandbox = Sandbox::new();
    let mut producer = sandbox.start(&["producer", "--keep-open", "--format", "json", "-"]);
    let mut consumer = sandbox.start(&["consumer", "--delay", "1h", "--format", "json"]);
    let mut expected = String::new();
    for round in 0..10 {
        for n in 0..5 {
            producer.feed(&format!("{round}-{n}\n"));
            let line = producer.line();
            assert!(line.contains(&format!(r#""id":{},"item":"{round}-{n}""#, round * 5 + n + 1)));
            expected.push_str(&format!("{round}-{n}\n"));
        }
        if round == 0 {
            assert!(consumer.line().contains(r#""item":"0-0","attempt":1"#));
        }
        for keeper in sandbox.processes_of("qdemo keeper") {
            signal_to(keeper.pid, Signal::KILL);
            wait_for_end(keeper.pid);
        }
    }
    // The item goes back to its place only after its consumer has left.
    assert_eq!(sandbox.status()["in_flight"], 1, "the consumer's item is not in flight");
    consumer.signal(Signal::TERM);
    consumer.end();
    assert_eq!(producer.end().code(), Some(0));
    let got = sandbox.run(&["get", "--count", "50"]);
    got.assert_prints(&expected);
    sandbox.assert_nothing_left();
}

#[test]
fn a_record_that_was_not_written_to_its_end_is_cut_off() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a", "b"]).assert_prints("");
    sandbox.wait_for_keeper_to_go("default");
    let whole = fs::read(journal(&sandbox)).unwrap();
    let mut file = OpenOptions::new().append(true).open(journal(&sandbox)).unwrap();
    file.write_all(b"\nput 00000000000000a1 2 3 2 8 5 #0badc0de\n\"x\"\n").unwrap();
    sandbox.run(&["put", "c"]).assert_prints("");
    sandbox.wait_for_keeper_to_go("default");
    assert!(fs::read(journal(&sandbox)).unwrap().starts_with(&whole));
    sandbox.run(&["get", "--count", "3"]).assert_prints("a\nb\nc\n");
    sandbox.assert_nothing_left();
}

#[test]
fn a_damaged_line_is_reported_and_the_other_records_are_kept() {
    let sandbox = Sandbox::new();
    for item in ["first", "second", "third"] {
        sandbox.run(&["put", item]).assert_prints("");
        sandbox.wait_for_keeper_to_go("default");
    }
    let text = fs::read_to_string(journal(&sandbox)).unwrap();
    let line = 1 + text.lines().position(|line| line == "\"second\"").unwrap();
    fs::write(journal(&sandbox), text.replace("\"second\"", "\"sec0nd\"")).unwrap();
    let get = sandbox.run(&["get", "--count", "2"]);
    assert_same("first\nthird\n", &get.text());
    // The record begins in the line before its item.
    let place = format!("damaged in line {}: ", line - 1);
    get.assert_one_line_of_error(&["journal of the queue `default`", &place, "the rest is intact"]);
    assert_eq!(get.code(), Some(0));
    sandbox.assert_nothing_left();
}

#[test]
fn a_journal_of_another_version_is_refused_and_unchanged() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a"]).assert_prints("");
    sandbox.wait_for_keeper_to_go("default");
    let text = fs::read_to_string(journal(&sandbox)).unwrap();
    // A later version has other records too. A foreign head alone could be a damaged head of this version.
    let newer = text.replace("qdemo-journal 2", "qdemo-journal 3").replace(" #", " %");
    fs::write(journal(&sandbox), &newer).unwrap();
    for command in [&["get"][..], &["put", "b"], &["status"], &["rm"]] {
        let outcome = sandbox.run(command);
        outcome.assert_refused(1, &["journal", "not a journal of this version of qdemo"]);
    }
    assert_same(&newer, &fs::read_to_string(journal(&sandbox)).unwrap());
    let removed = sandbox.run(&["rm", "--force"]);
    removed.assert_prints("removed the queue, whose items could not be counted\n");
    sandbox.run(&["put", "c"]).assert_prints("");
    sandbox.run(&["get"]).assert_prints("c\n");
    sandbox.assert_nothing_left();
}

/// Damages each byte of the head in several ways. The queue keeps its state.
#[test]
fn a_damaged_head_is_repaired_and_reported() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "--capacity", "9", "a", "b"]).assert_prints("");
    sandbox.run(&["get"]).assert_prints("a\n");
    sandbox.wait_for_keeper_to_go("default");
    let whole = fs::read(journal(&sandbox)).unwrap();
    for at in 0..16 {
        for wrong in [b'\0', b'1', b'3', b'\n', whole[at] ^ 0x80] {
            let mut text = whole.clone();
            if std::mem::replace(&mut text[at], wrong) == wrong {
                continue;
            }
            fs::write(journal(&sandbox), &text).unwrap();
            let status = sandbox.status();
            assert_eq!((&status["ready"], &status["capacity"]), (&1.into(), &9.into()));
            let peek = sandbox.run(&["peek"]);
            assert_same("b\n", &peek.text());
            peek.assert_one_line_of_error(&["is damaged in line 1", "the rest is intact"]);
            sandbox.wait_for_keeper_to_go("default");
            // The repaired head causes no second report.
            sandbox.run(&["peek"]).assert_prints("b\n");
            sandbox.wait_for_keeper_to_go("default");
            assert!(fs::read(journal(&sandbox)).unwrap().starts_with(b"qdemo-journal 2\n"));
        }
    }
    sandbox.assert_nothing_left();
}

#[test]
fn a_zeroed_first_sector_costs_only_its_own_records() {
    let sandbox = Sandbox::new();
    for n in 0..20 {
        sandbox.run(&["put", &format!("item {n}")]).assert_prints("");
        sandbox.wait_for_keeper_to_go("default");
    }
    let mut text = fs::read(journal(&sandbox)).unwrap();
    assert!(text.len() > 2048, "{}", text.len());
    text[..512].fill(0);
    fs::write(journal(&sandbox), &text).unwrap();
    let got = sandbox.run(&["get", "--count", "100", "--no-wait"]);
    assert!(got.stderr.contains("is damaged in lines 1, "), "{}", got.stderr);
    let lines = got.lines();
    let expected: Vec<_> = (20 - lines.len()..20).map(|n| format!("item {n}")).collect();
    assert_eq!(lines, expected, "the items after the damage are not all there");
    assert!(lines.len() > 10);
    sandbox.assert_nothing_left();
}

/// An earlier version had a second file. A crash could cut this file off anywhere.
#[test]
#[ignore = "slow: `make test-slow` runs it"]
fn a_second_file_of_an_earlier_version_is_imported_or_discarded() {
    let sandbox = Sandbox::new();
    let memory = sandbox.queue("default").join("memory.json");
    let text = r#"{"version":1,"capacity":7,"begun":true,"last_number":41,"done":41}"#;
    for end in (0..=text.len()).rev() {
        sandbox.make_queue("default");
        fs::write(&memory, &text[..end]).unwrap();
        fs::set_permissions(&memory, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let put = sandbox.run(&["put", "x"]);
        assert_eq!((put.code(), put.text().as_str()), (Some(0), ""));
        sandbox.wait_for_keeper_to_go("default");
        let status = sandbox.status();
        assert_eq!(status["ready"], 1);
        if end == text.len() {
            put.assert_prints("");
            assert_eq!((&status["capacity"], &status["done"]), (&7.into(), &41.into()));
        } else {
            put.assert_one_line_of_error(&["memory.json", "damaged", "all items are intact"]);
        }
        assert!(!memory.exists());
        sandbox.run(&["rm", "--force"]).assert_prints("removed 1 item\n");
    }
    sandbox.assert_nothing_left();
}

both!(durable, a_queue_with_sync_keeps_the_setting_until_its_end, |backend| {
    let sandbox = Sandbox::on(backend);
    // Only a server tells how far the items have come.
    let told = "qdemo: --sync: the items are on the server's disk\n";
    let told = if backend.is_server() { told } else { "" };
    let put = |args: &[&str], input: &[u8], told: &str| {
        let put = sandbox.run_with_input(args, input);
        assert_same(told, &put.stderr);
        assert_eq!(put.code(), Some(0));
    };
    put(&["put", "--sync", "a", "b"], b"", told);
    assert_eq!(sandbox.status()["sync"], true);
    sandbox.wait_for_keeper_to_go("default");
    // The setting belongs to the queue, not to a producer or a keeper.
    put(&["put", "-"], b"c\nd\n", "");
    assert_eq!(sandbox.status()["sync"], true);
    sandbox.run(&["get", "--count", "4"]).assert_prints("a\nb\nc\nd\n");
    sandbox.run(&["close"]).assert_done();
    assert_eq!(sandbox.run(&["get"]).code(), Some(4));
    sandbox.run(&["producer", "--quiet", "--keep-open", "e"]);
    assert_eq!(sandbox.status()["sync"], false, "the next queue inherited the setting");
    sandbox.assert_nothing_left();
});

share! {
fn the_journal_of_a_queue_in_steady_use_stays_small(rounds: 5, all: 10) {
    let sandbox = Sandbox::new();
    let _stays = sandbox.start_consumer(&["--max", "1", "--delay", "1h", "--format", "raw"]);
    // 2 MB go through the queue in each round.
    let input = format!("{}\n", "x".repeat(10_000)).repeat(200);
    for _ in 0..rounds {
        sandbox.run_with_input(&["put", "-"], input.as_bytes()).assert_prints("");
        let got = sandbox.run(&["get", "--count", "200"]);
        assert!(got.stdout == input.as_bytes());
    }
    let length = fs::metadata(journal(&sandbox)).unwrap().len();
    assert!(length < 8_000_000, "the journal has {length} bytes");
}
}

#[test]
fn without_room_for_the_journal_accepted_items_stay_and_puts_fail() {
    let sandbox = Sandbox::new();
    // A limit of 256 KiB for each file stands in for a full disk. One write is smaller than the limit.
    let script = r#"
        ulimit -f 256
        seq -f 'item %g' 40000 | qdemo put -
        echo "code $?"
    "#;
    let outcome = sandbox.script(script);
    assert_eq!(outcome.text(), "code 1\n", "{outcome:?}");
    outcome.assert_one_line_of_error(&["cannot write the queue's journal", "is still there"]);
    sandbox.assert_nothing_left();
    let status = sandbox.status();
    let in_line = status["ready"].as_u64().unwrap();
    assert!(in_line > 100 && in_line < 40_000, "{status}");
    let expected: String = (1..=in_line).map(|n| format!("item {n}\n")).collect();
    // With room again, the queue accepts items.
    sandbox.run(&["put", "more"]).assert_prints("");
    let got = sandbox.run(&["get", "--count", &(in_line + 1).to_string()]);
    got.assert_prints(&format!("{expected}more\n"));
    sandbox.assert_nothing_left();
}

#[test]
fn keepers_are_killed_at_random_and_no_accepted_item_is_lost_or_doubled() {
    let sandbox = Sandbox::new();
    // Each loop writes down the items that `qdemo put` has accepted.
    let script = r#"
        for loop in 1 2 3; do
            (for n in $(seq 60); do qdemo put "$loop-$n" 2> /dev/null && echo "$loop-$n" >> accepted; done) &
        done
        wait
    "#;
    let mut command = sandbox.command("bash");
    command.args(["-c", script]);
    let mut loops = Running::start(command);
    let (mut killed, mut seen) = (0, 0);
    while !loops.has_ended() {
        // At least one item is accepted between two kills, so the loops end.
        let accepted = fs::metadata(sandbox.path("accepted")).map_or(0, |is| is.len());
        if killed > 0 && accepted == seen {
            continue;
        }
        seen = accepted;
        for keeper in sandbox.processes_of("qdemo keeper") {
            // The keeper may already have ended.
            killed +=
                u32::from(kill_process(Pid::from_raw(keeper.pid).unwrap(), Signal::KILL).is_ok());
        }
    }
    loops.end();
    assert!(killed > 0, "no keeper was killed");
    let accepted = fs::read_to_string(sandbox.path("accepted")).unwrap();
    let got = sandbox.run(&["get", "--count", "1000", "--no-wait"]).lines();
    for item in accepted.lines() {
        assert!(got.iter().any(|line| line == item), "{item} is lost, after {killed} kills");
    }
    for item in &got {
        assert_eq!(got.iter().filter(|line| *line == item).count(), 1, "{item}");
    }
    // The queue may also hold items that a killed keeper did not confirm.
    assert!(got.len() <= 180);
    sandbox.assert_nothing_left();
}
