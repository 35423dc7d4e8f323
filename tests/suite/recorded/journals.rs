//! The bytes of the keeper's journal. The program also reads each recorded journal, and must recover the same
//! queue. `journal/version-1` has the recordings of version 1, which never change: the program reads them too.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::wire::Session;
use super::{Transcript, blank, compare, path, records};

/// The journal with a fixed time, a fixed boot id and a fixed process id. The function checks the old checksums and
/// computes those of the new text.
fn at_a_fixed_time(journal: &[u8]) -> String {
    let text = std::str::from_utf8(journal).unwrap();
    let (header, rest) = text.split_once("\n\n").unwrap();
    let records = rest.split("\n\n").map(|record| {
        let (head, items) = record.split_once('\n').unwrap_or((record, ""));
        // The split removed the newline of every record but the last.
        let items = items.strip_suffix('\n').unwrap_or(items);
        let items = if items.is_empty() { String::new() } else { format!("{items}\n") };
        let (head, sum) = head.trim_end().rsplit_once(" #").unwrap();
        assert_eq!(sum, checksum(head, &items), "{head}");
        let head = without_boot(&without_since(&without_own_number(head)));
        format!("\n{head} #{}\n{items}", checksum(&head, &items))
    });
    format!("{header}\n{}", records.collect::<String>())
}

fn checksum(head: &str, items: &str) -> String {
    let mut sum = crc32fast::Hasher::new();
    sum.update(head.as_bytes());
    sum.update(b" #");
    sum.update(items.as_bytes());
    format!("{:08x}", sum.finalize())
}

/// The process id of the test differs between two runs.
fn without_own_number(head: &str) -> String {
    head.replace(&format!("\"pid\":{},", std::process::id()), "\"pid\":4711,")
}

/// The times of puts, deliveries and failures differ between two runs.
fn without_since(head: &str) -> String {
    match head.split(' ').next() {
        Some("failed") => blank(head, "\"at\":", &[',', '}'], "1500000000"),
        Some("put" | "ready" | "delivered") => {
            let (before, since) = head.rsplit_once(' ').unwrap();
            // A failed item has no holder, and its time is 0.
            let since = if since.parse::<u64>().unwrap() == 0 { 0 } else { 1_500_000_000 };
            format!("{before} {since}")
        }
        _ => head.to_owned(),
    }
}

/// The boot id, the clock and the time of the end differ between two runs.
fn without_boot(head: &str) -> String {
    let boot = "\"boot_id\":\"";
    let head = blank(head, boot, &['"'], "00000000-0000-4000-8000-000000000000");
    let head = blank(&head, "\"offset\":", &['}'], "1");
    blank(&head, "\"birth\":{", &['}'], r#""tick":100,"pid":4711,"ns":1"#)
}

/// Lets the program read the recorded journal of this name, and compares the recovered queue.
#[track_caller]
fn read_back(name: &str) {
    let (mut one, _) = sandbox_with(&format!("journal/{name}.journal"));
    what_is_there(&mut one);
    one.compare(&format!("journal/{name}.txt"));
}

/// A sandbox whose queue has this recording as its journal, and the path of that journal.
fn sandbox_with(recording: &str) -> (Transcript, PathBuf) {
    let one = Transcript::with_times();
    let file = one.sandbox.make_queue("default").join("journal");
    fs::copy(path(recording), &file).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    (one, file)
}

/// The program recovers the same queue as from the present version, and carries the journal over.
#[test]
fn each_journal_of_version_1_is_read_and_carried_over() {
    for name in ["items", "restart", "leases", "closed", "ended", "at-rest", "rewritten"] {
        let recording = format!("journal/version-1/{name}.journal");
        let (mut one, file) = sandbox_with(&recording);
        let version_1 = fs::read(path(&recording)).unwrap();
        assert!(version_1.starts_with(b"qdemo-journal 1\n"));
        one.sandbox.run(&["status", "-q", "default"]).assert_done();
        assert!(fs::read(&file).unwrap() == version_1, "{name}: a status has changed the journal");
        what_is_there(&mut one);
        assert!(fs::read(&file).unwrap().starts_with(b"qdemo-journal 2\n"), "{name}");
        // Version 1 told of delivery failures in words alone.
        match name {
            "leases" => one.compare("journal/version-1/leases.txt"),
            _ if records() => {}
            _ => one.compare(&format!("journal/{name}.txt")),
        }
    }
}

/// Shows the queue without and with a keeper, then gets all its items.
fn what_is_there(one: &mut Transcript) {
    one.run("status -q default --format json");
    one.run("peek --count 99 --format json");
    one.run("failed --format json");
    one.run("status -q default --format json");
    one.run("put one-more");
    one.run("get --count 99 --no-wait --format json");
    one.run("failed --retry");
    one.run("get --count 99 --no-wait --format json");
    one.run("status -q default --format json");
}

/// Plays the session of this name, compares the journal, and lets the program read the journal.
#[track_caller]
fn replay(name: &str) {
    let script = format!("journal/{name}.session");
    let text = fs::read_to_string(path(&script)).unwrap();
    let mut session = Session::new();
    compare(&script, &session.play(&text));
    compare(&format!("journal/{name}.journal"), &at_a_fixed_time(&session.journal()));
    session.end().assert_nothing_left();
    read_back(name);
}

#[test]
fn all_that_becomes_of_items_is_written_down_and_read() {
    replay("items");
}

#[test]
fn the_clients_of_a_killed_keeper_are_written_down_and_read() {
    replay("restart");
}

#[test]
fn leases_and_deaths_are_written_down_and_read() {
    replay("leases");
}

#[test]
fn a_queue_that_is_closed_is_written_down_and_read() {
    replay("closed");
}

#[test]
fn a_queue_that_has_ended_is_written_down_and_read() {
    replay("ended");
    // Without clients and items the journal becomes one record.
    let script = fs::read_to_string(path("journal/ended.session")).unwrap();
    let mut session = Session::new();
    session.play(&script);
    session.play("C> bye\nC<\n");
    let sandbox = session.end();
    let left = fs::read(sandbox.queue("default").join("journal")).unwrap();
    compare("journal/at-rest.journal", &at_a_fixed_time(&left));
    read_back("at-rest");
}

/// Puts an item of this many bytes, and reports it done. `seq` is the client's number of the item.
fn pass(session: &mut Session, seq: u64, length: usize) {
    let item = format!("\"{}\"", "x".repeat(length - 2));
    session.say('P', &format!("put {seq} 1 {}\n{item}\n", length + 1));
    assert!(session.hear('P').starts_with("ok "));
    session.say('C', "get 1\n");
    assert!(session.hear('C').starts_with("batch "));
    assert_eq!(session.hear('C'), item);
    session.say('C', &format!("done {seq} 1\nsize\n"));
    assert!(session.hear('C').starts_with("size "));
}

#[test]
fn a_journal_is_rewritten_when_most_of_it_is_of_the_past() {
    let script = fs::read_to_string(path("journal/rewritten.session")).unwrap();
    let mut session = Session::new();
    compare("journal/rewritten.session", &session.play(&script));
    for seq in 7..7 + 43 {
        pass(&mut session, seq, 23_990);
    }
    let mut seq = 50;
    loop {
        let long = session.journal().len();
        pass(&mut session, seq, 500);
        if session.journal().len() < long {
            // The same item exceeds the limit with process ids of any length.
            let missing = (1 << 20) - long;
            assert!((100..450).contains(&missing), "{missing} bytes to one MiB");
            break;
        }
        assert!(seq < 100, "{long} bytes");
        seq += 1;
    }
    compare("journal/rewritten.journal", &at_a_fixed_time(&session.journal()));
    session.end().assert_nothing_left();
    read_back("rewritten");
}

/// An earlier version wrote a second file.
#[test]
fn a_file_beside_the_journal_is_read() {
    let mut one = Transcript::with_times();
    let file = one.sandbox.make_queue("default").join("memory.json");
    let memory =
        r#"{"version":1,"sentinel":"closed","capacity":7,"begun":true,"last_number":41,"done":41}"#;
    fs::write(&file, memory).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    one.run("status -q default --format json");
    one.run("put x");
    one.run("status -q default --format json");
    one.run("get --no-wait");
    one.compare("journal/memory.txt");
}
