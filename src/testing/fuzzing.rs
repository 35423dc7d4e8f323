//! The fuzz targets. Each function takes arbitrary bytes and panics if an invariant fails. The interesting
//! inputs are in `fuzz/corpus`, and are ordinary tests too.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::Write;

use super::FakeHost;
use super::fake_host::take_all;
use crate::journal::{Version, records};
use crate::keeper::Keeper;
use crate::keeper::persistence::{JournalRecovery, PersistedState};
use crate::pipe::WriteBuffer;
use crate::queue::model::{ClientKind, Operation, run_model_test};
use crate::queue::{BatchRef, Queue, QueueState};
use crate::wire::{
    AnnouncementReader, DEFAULT_MAX_ITEM_BYTES, MalformedRequest, Reply, ReplyReader, RequestReader,
};

/// The largest number of clients of a fuzzed keeper.
const MAX_CLIENTS: usize = 100;
/// A client of a fuzzed keeper gets about this many bytes of replies.
const MAX_MAIL_BYTES: usize = 1 << 20;

/// Fuzzes a client's pipe and the inbox. The requests do not depend on the splits between reads. A keeper that
/// reads the bytes sends only replies that a client can read, and its journal restores its queue. The first two
/// bytes choose the place of a split.
pub fn request(data: &[u8]) {
    keeper_output(data);
}

/// The replies of the keeper in [`request`], and its journal.
fn keeper_output(data: &[u8]) -> Vec<u8> {
    let Some((text, [head, tail])) = split_input(data) else {
        return Vec::new();
    };
    let whole = parse_requests(&[text]);
    assert_eq!(parse_requests(&[head, tail]), whole);
    assert_eq!(parse_requests(&text.chunks(1).collect::<Vec<_>>()), whole);
    check_keeper(&[head, tail])
}

/// The text behind the first two bytes, and its two parts.
fn split_input(data: &[u8]) -> Option<(&[u8], [&[u8]; 2])> {
    let (at, text) = data.split_first_chunk::<2>()?;
    let at = usize::from(u16::from_le_bytes(*at)) % (text.len() + 1);
    let (head, tail) = text.split_at(at);
    Some((text, [head, tail]))
}

/// What the pieces are as requests, up to the first one without an end, and as announcements.
fn parse_requests(pieces: &[&[u8]]) -> Vec<String> {
    let (mut reader, mut announcements) = (RequestReader::default(), AnnouncementReader::default());
    let (mut requests, mut announced) = (Vec::new(), Vec::new());
    let mut has_ended = false;
    for piece in pieces {
        announced.extend(announcements.push_bytes(piece).iter().map(|hello| format!("{hello:?}")));
        reader.buffer.push_bytes(piece);
        while !has_ended && let Some(message) = reader.next(DEFAULT_MAX_ITEM_BYTES) {
            has_ended = message.as_ref().is_err_and(MalformedRequest::is_fatal);
            requests.push(format!("{message:?}"));
        }
    }
    requests.extend(announced);
    requests
}

/// Passes the pieces to a keeper with three clients: a producer, a visitor, and a consumer with a lease of one
/// nanosecond. One nanosecond passes with each piece. The inbox gets each piece, and so do the clients' pipes.
fn check_keeper(pieces: &[&[u8]]) -> Vec<u8> {
    let mut keeper = Keeper::new(Queue::new(QueueState::default(), true), None, None);
    let mut host = FakeHost::default();
    (host.max_client_id, host.max_mail_bytes) = (MAX_CLIENTS - 1, MAX_MAIL_BYTES);
    for hello in [
        r#"hello 00000000000000a1 {"version":2,"role":"producer","pid":1}"#,
        r#"hello 00000000000000b1 {"version":2,"role":"visitor","pid":2}"#,
        r#"hello 00000000000000c1 {"version":2,"role":"consumer","pid":3,"lease":1}"#,
    ] {
        keeper.receive_announcements(0, format!("\n{hello}\n").as_bytes(), &mut host);
    }
    for (wall, piece) in (1..).zip(pieces) {
        keeper.receive_announcements(wall, piece, &mut host);
        // A byte above 127 in front of a line chooses the client that the rest goes to.
        let mut client = 0;
        for part in piece.chunk_by(|before, _| *before != b'\n') {
            let (chosen, text) = match part.split_first() {
                Some((&first, text)) if first > 127 => (usize::from(first) % 3, text),
                _ => (client, part),
            };
            client = chosen;
            host.write(&mut keeper, wall, client, text);
        }
        let _ = keeper.process_pending(wall, &mut host);
        check_journal(&keeper, &host);
    }
    let mail: Vec<_> = host.mailboxes.values_mut().map(take_all).collect();
    for mail in &mail {
        parse_replies(&[mail]).unwrap();
    }
    for client in 0..MAX_CLIENTS {
        keeper.client_died(9, client, &mut host);
    }
    assert_eq!(keeper.queue().counts().in_flight, 0);
    check_journal(&keeper, &host);
    mail.into_iter().chain([host.observer.journal]).flatten().collect()
}

/// The journal restores the queue of the keeper.
fn check_journal(keeper: &Keeper, host: &FakeHost) {
    let counts = keeper.queue().counts();
    let recovered = recover_queue(&host.observer.journal).counts();
    assert_eq!(
        (recovered.ready, recovered.in_flight, recovered.failed),
        (counts.ready, counts.in_flight, counts.failed)
    );
}

/// The queue of an undamaged journal.
fn recover_queue(journal: &[u8]) -> Queue {
    let mut recovery = JournalRecovery::new(PersistedState::default());
    let mut end = 0;
    for (place, record) in records(journal, Version::PRESENT) {
        recovery.apply_record(record.unwrap());
        end = place.end;
    }
    assert_eq!(end, journal.len());
    recovery.finish().queue
}

/// Fuzzes a mailbox. The replies do not depend on the splits between reads, and a written reply reads back
/// the same. The first two bytes choose the place of a split.
pub fn reply(data: &[u8]) {
    written_replies(data);
}

/// The replies in [`reply`] as they are written, and the first line that is no reply.
fn written_replies(data: &[u8]) -> Vec<u8> {
    let Some((text, [head, tail])) = split_input(data) else {
        return Vec::new();
    };
    let whole = parse_replies(&[text]);
    let debug = |read: &Result<Vec<Reply>, String>| format!("{read:?}");
    assert_eq!(debug(&parse_replies(&[head, tail])), debug(&whole));
    assert_eq!(debug(&parse_replies(&text.chunks(1).collect::<Vec<_>>())), debug(&whole));
    let mut written = WriteBuffer::default();
    // The text of a fraction may read back as a neighboring float.
    let exact = |reply: &&Reply| !matches!(reply, Reply::Status(_));
    let all: Vec<_> = whole.iter().flatten().filter(exact).cloned().collect();
    all.iter().for_each(|reply| reply.write(&mut written));
    let mut written = take_all(&mut written);
    assert_eq!(parse_replies(&[&written]), Ok(all));
    written.extend(whole.err().unwrap_or_default().into_bytes());
    written
}

/// All replies, or the first line that is not a reply.
fn parse_replies(pieces: &[&[u8]]) -> Result<Vec<Reply>, String> {
    let mut reader = ReplyReader::default();
    let mut read = Vec::new();
    for piece in pieces {
        reader.buffer.push_bytes(piece);
        while let Some(reply) = reader.next_reply() {
            read.push(reply.map_err(|bad| bad.0)?);
        }
    }
    Ok(read)
}

/// Fuzzes a journal. The reader reaches its end, and each written record reads back the same. The first byte chooses
/// the version of the text (bit 1: the present one), and whether the text is heads and items without checksums (bit 0),
/// so that the target inserts the checksums.
pub fn journal(data: &[u8]) {
    written_records(data);
}

/// The records in [`journal`] as they are written, and the counts of the queue behind them.
fn written_records(data: &[u8]) -> Vec<u8> {
    let Some((first, text)) = data.split_first() else {
        return Vec::new();
    };
    let version = if first & 2 == 0 { Version::One } else { Version::PRESENT };
    let text = if first & 1 == 0 { text.to_vec() } else { with_checksums(text, version) };
    let mut recovery = JournalRecovery::new(PersistedState::default());
    let mut all = Vec::new();
    for (place, record) in records(&text, version) {
        assert!(!place.is_empty(), "the reader makes progress");
        let Some(record) = record else { continue };
        let mut written = record.to_bytes();
        let read: Vec<_> = records(&written, Version::PRESENT).collect();
        assert_eq!(read, [(0..written.len(), Some(record.clone()))]);
        assert!(records(&written, Version::One).all(|(_, record)| record.is_none()));
        all.append(&mut written);
        recovery.apply_record(record);
    }
    let counts = recovery.finish().queue.counts();
    let counts = [counts.ready, counts.in_flight, counts.done, counts.failed];
    all.extend(counts.into_iter().flat_map(u64::to_le_bytes));
    all
}

/// Adds checksums to records whose heads have none. An empty line separates the records.
fn with_checksums(text: &[u8], version: Version) -> Vec<u8> {
    let mut records = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = memchr::memmem::find(rest, b"\n\n").map_or(rest.len(), |at| at + 1);
        let (record, next) = rest.split_at(end);
        rest = next.strip_prefix(b"\n").unwrap_or(next);
        let (head, items) = record.split_at(memchr::memchr(b'\n', record).unwrap_or(end));
        let items = items.strip_prefix(b"\n").unwrap_or(items);
        records.push(b'\n');
        write_head(head, items, version, &mut records);
        records.extend_from_slice(items);
    }
    records
}

/// Appends a head and its checksum, with an own account of what the checksum covers.
fn write_head(head: &[u8], items: &[u8], version: Version, text: &mut Vec<u8>) {
    let (covered, mark) = match version {
        Version::One => (head.to_vec(), &b" ~"[..]),
        Version::Two => ([head, b" #"].concat(), &b""[..]),
    };
    let sum = crc32fast::hash(&[&covered[..], items].concat());
    text.extend_from_slice(&covered);
    text.extend_from_slice(mark);
    let _ = writeln!(text, "{sum:08x}");
}

/// Fuzzes the rules of the queue against the model. Three bytes choose an operation, and the first byte
/// chooses the capacity.
pub fn rules(data: &[u8]) {
    let Some((&capacity, operations)) = data.split_first() else {
        return;
    };
    let operations = operations.chunks_exact(3).take(500).map(|bytes| {
        let &[client, code, argument] = bytes else { unreachable!() };
        (usize::from(client), decode_operation(code, argument))
    });
    run_model_test(u64::from(capacity % 8), operations);
}

fn decode_operation(code: u8, argument: u8) -> Operation {
    let pick = usize::from(argument);
    match code % 24 {
        0 | 1 => {
            let kinds = [
                ClientKind::Producer,
                ClientKind::KeepOpen,
                ClientKind::Consumer,
                ClientKind::Follower,
                ClientKind::Visitor,
            ];
            Operation::Connect { kind: kinds[pick % kinds.len()], is_late: argument >= 128 }
        }
        2..=4 => Operation::Put(u64::from(argument % 7) + 1),
        5..=7 => Operation::Get(u64::from(argument % 7) + 1),
        8 | 9 => Operation::Done { pick: pick / 4, count: u64::from(argument % 4) + 1 },
        10 => {
            let attempt = [None, Some(u32::from(argument / 64))][pick % 2];
            let first = [u64::from(argument / 8), u64::MAX - u64::from(argument / 8)]
                [usize::from(argument > 250)];
            Operation::DoneArbitrary(BatchRef {
                first_id: first,
                count: u64::from(argument % 4),
                attempt,
            })
        }
        11 => Operation::Requeue(pick),
        12 => Operation::Fail(pick),
        13 => Operation::Join,
        14 => Operation::Retry,
        15 => Operation::Drop,
        16 => Operation::Cancel,
        17 => Operation::Disconnect,
        18 => Operation::ClientDied,
        19 => Operation::AdvanceTime,
        20 if argument == 0 => Operation::Close,
        20 if argument == 1 => Operation::CloseNow,
        21 => Operation::Attempt(pick),
        22 => Operation::Renew(pick),
        _ => Operation::Step,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use crate::testing::recorded::{Digest, compare};

    /// Runs the kept inputs of a target.
    fn run_corpus(target: &str, run: fn(&[u8])) {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let mut count = 0;
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            run(&fs::read(path).unwrap());
            count += 1;
        }
        assert!(count > 10, "{count} inputs for {target}");
    }

    /// A digest of the output for each input of the corpus.
    fn digests(target: &str, made_of: fn(&[u8]) -> Vec<u8>) {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let mut names: Vec<_> =
            fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        let one = |name: std::ffi::OsString| {
            let mut digest = Digest::default();
            digest.add(&made_of(&fs::read(dir.join(&name)).unwrap()));
            format!("{} {}\n", name.display(), digest.text())
        };
        compare(&format!("unit/fuzz-{target}"), &names.into_iter().map(one).collect::<String>());
    }

    #[test]
    fn what_comes_of_each_input_is_as_it_was_recorded() {
        digests("request", super::keeper_output);
        digests("reply", super::written_replies);
        digests("journal", super::written_records);
    }

    #[test]
    fn the_corpus_of_requests_passes() {
        run_corpus("request", super::request);
    }

    #[test]
    fn the_corpus_of_replies_passes() {
        run_corpus("reply", super::reply);
    }

    #[test]
    fn the_corpus_of_journals_passes() {
        run_corpus("journal", super::journal);
    }

    #[test]
    fn the_corpus_of_operations_passes() {
        run_corpus("rules", super::rules);
    }
}
