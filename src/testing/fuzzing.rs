//! What a fuzzer tries: bytes from anywhere, and what must hold of them. Each function panics when it
//! doesn't. The inputs that have been worth keeping are in `fuzz/corpus`, and are ordinary tests too.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::io;

use crate::clock::ProcessBirth;
use crate::journal::{ReadOutcome, Record, read_first, with_checksums};
use crate::keeper::persistence::{JournalRecovery, PersistedState};
use crate::keeper::{Event, Host, Keeper, KeeperConfig};
use crate::queue::model::{ClientKind, Operation, run_model_test};
use crate::queue::{BatchRef, ClientId, Counts, Queue, QueueState};
use crate::wire::{Framer, Reply, ReplyReader};

/// No more clients can come to a keeper on paper.
const MAX_CLIENTS: usize = 100;
/// How much mail a client on paper is sent.
const MAX_MAIL_BYTES: usize = 1 << 20;

/// What stands in an inbox: requests are the same however they are split, little is remembered of what
/// is none, and a keeper that reads them says nothing that a client doesn't understand, and writes
/// down what its queue is. The first two bytes say where the rest is split.
pub fn request(data: &[u8]) {
    let Some((at, text)) = data.split_first_chunk::<2>() else {
        return;
    };
    let at = usize::from(u16::from_le_bytes(*at)) % (text.len() + 1);
    let (head, tail) = text.split_at(at);
    let whole = parse_requests(&[text]);
    assert_eq!(parse_requests(&[head, tail]), whole);
    assert_eq!(parse_requests(&text.chunks(1).collect::<Vec<_>>()), whole);
    check_keeper(&[head, tail]);
}

fn parse_requests(pieces: &[&[u8]]) -> Vec<String> {
    let mut framer = Framer::default();
    let mut found = Vec::new();
    for piece in pieces {
        framer.push_bytes(piece);
        while let Some(message) = framer.next_request() {
            found.push(format!("{message:?}"));
        }
        framer.assert_bounded();
    }
    found
}

/// The world of a keeper on paper.
#[derive(Default)]
struct FakeHost {
    mail: BTreeMap<ClientId, Vec<u8>>,
    journal: Vec<u8>,
}

impl Host for FakeHost {
    fn open_mailbox(&mut self, client: ClientId, _: &str) -> io::Result<()> {
        if client >= MAX_CLIENTS {
            return Err(io::Error::other("no room"));
        }
        self.mail.insert(client, Vec::new());
        Ok(())
    }

    fn reopen_mailbox(&mut self, client: ClientId, mailbox: &str) -> io::Result<bool> {
        self.open_mailbox(client, mailbox).map(|()| true)
    }

    fn resume_mailbox(&mut self, _: ClientId) {}

    fn reject_connection(&mut self, _: &str, _: &[u8]) {}

    fn output_buffer(&mut self, client: ClientId) -> Option<&mut Vec<u8>> {
        self.mail.get_mut(&client).filter(|mail| mail.len() < MAX_MAIL_BYTES)
    }

    fn close_mailbox(&mut self, _: ClientId) {}

    fn record_end(&mut self) -> io::Result<ProcessBirth> {
        Ok(ProcessBirth::new(100, 1))
    }

    fn on_event(&mut self, _: Event<'_>) {}

    fn append_record(&mut self, record: &Record<'_>) {
        record.write(&mut self.journal);
    }
}

/// Three clients are there already, with the numbers a1 (a producer), b1 (a visitor) and c1 (a
/// consumer with a lease of one nanosecond, which is what passes with each piece).
fn check_keeper(pieces: &[&[u8]]) {
    let plan =
        KeeperConfig { queue: Queue::new(QueueState::default(), true), workers: None, pacer: None };
    let (mut keeper, mut paper) = (Keeper::new(plan), FakeHost::default());
    for hello in [
        r#"hello 00000000000000a1 {"version":1,"role":"producer","pid":1}"#,
        r#"hello 00000000000000b1 {"version":1,"role":"visitor","pid":2}"#,
        r#"hello 00000000000000c1 {"version":1,"role":"consumer","pid":3,"lease":1}"#,
    ] {
        keeper.receive(0, format!("\n\n{hello}\n").as_bytes(), &mut paper);
    }
    for (wall, piece) in (1..).zip(pieces) {
        keeper.receive(wall, piece, &mut paper);
        let _ = keeper.process_pending(wall, &mut paper);
        let Counts { ready: in_line, in_flight: out, failed, .. } = keeper.counts();
        let again = recover_queue(&paper.journal).counts();
        assert_eq!((again.ready, again.in_flight, again.failed), (in_line, out, failed));
    }
    for mail in paper.mail.values() {
        parse_replies(&[mail]).unwrap();
    }
    for client in 0..MAX_CLIENTS {
        keeper.client_died(9, client, &mut paper);
    }
    let Counts { ready: in_line, in_flight: out, failed, .. } = keeper.counts();
    let again = recover_queue(&paper.journal).counts();
    assert_eq!((out, again.ready, again.in_flight, again.failed), (0, in_line, 0, failed));
}

/// The queue that a journal without damage tells of.
fn recover_queue(journal: &[u8]) -> Queue {
    let mut past = JournalRecovery::new(PersistedState::default());
    let mut rest = journal;
    loop {
        match read_first(rest) {
            ReadOutcome::Record(record, length) => {
                past.apply_record(record);
                rest = &rest[length..];
            }
            ReadOutcome::End => return past.finish().queue,
            found => panic!("{found:?}"),
        }
    }
}

/// What stands in a mailbox: replies are the same however they are split, and are written as they were
/// read. The first two bytes say where the rest is split.
pub fn reply(data: &[u8]) {
    let Some((at, text)) = data.split_first_chunk::<2>() else {
        return;
    };
    let at = usize::from(u16::from_le_bytes(*at)) % (text.len() + 1);
    let (head, tail) = text.split_at(at);
    let whole = parse_replies(&[text]);
    let told = |read: &Result<Vec<Reply>, String>| format!("{read:?}");
    assert_eq!(told(&parse_replies(&[head, tail])), told(&whole));
    assert_eq!(told(&parse_replies(&text.chunks(1).collect::<Vec<_>>())), told(&whole));
    let mut written = Vec::new();
    // What is written of a fraction may be another one that is as near.
    let exact = |reply: &&Reply| !matches!(reply, Reply::Status(_));
    let all: Vec<_> = whole.iter().flatten().filter(exact).cloned().collect();
    all.iter().for_each(|reply| reply.write(&mut written));
    assert_eq!(parse_replies(&[&written]), Ok(all));
}

/// All replies, or the first line that is none.
fn parse_replies(pieces: &[&[u8]]) -> Result<Vec<Reply>, String> {
    let mut reader = ReplyReader::default();
    let mut read = Vec::new();
    for piece in pieces {
        reader.push_bytes(piece);
        while let Some(reply) = reader.next_reply() {
            read.push(reply.map_err(|bad| bad.0)?);
        }
    }
    Ok(read)
}

/// A journal: whatever is in it, it is read to its end, and each fact in it is written so that it is
/// read the same. If the first byte is odd, the rest is heads and items without checksums, which are
/// put in.
pub fn journal(data: &[u8]) {
    let Some((first, text)) = data.split_first() else {
        return;
    };
    let text = if first % 2 == 1 { with_checksums(text) } else { text.to_vec() };
    let mut past = JournalRecovery::new(PersistedState::default());
    let mut rest = &text[..];
    loop {
        let length = match read_first(rest) {
            ReadOutcome::Record(record, length) => {
                let mut written = Vec::new();
                record.write(&mut written);
                assert_eq!(
                    read_first(&written),
                    ReadOutcome::Record(record.clone(), written.len())
                );
                past.apply_record(record);
                length
            }
            ReadOutcome::Damaged(length) => length,
            ReadOutcome::Torn | ReadOutcome::End => break,
        };
        assert!(length > 0, "it goes on");
        rest = &rest[length..];
    }
    let _ = past.finish().queue.counts();
}

/// What clients do with a queue, three bytes for each thing. The first byte is the capacity.
pub fn rules(data: &[u8]) {
    let Some((&capacity, moves)) = data.split_first() else {
        return;
    };
    let moves = moves.chunks_exact(3).take(500).map(|bytes| {
        let &[who, what, how] = bytes else { unreachable!() };
        (usize::from(who), decode_operation(what, how))
    });
    run_model_test(u64::from(capacity % 8), moves);
}

fn decode_operation(what: u8, how: u8) -> Operation {
    let pick = usize::from(how);
    match what % 24 {
        0 | 1 => {
            let kinds = [
                ClientKind::Producer,
                ClientKind::KeepOpen,
                ClientKind::Consumer,
                ClientKind::Follower,
                ClientKind::Visitor,
            ];
            Operation::Connect { kind: kinds[pick % kinds.len()], is_late: how >= 128 }
        }
        2..=4 => Operation::Put(u64::from(how % 7) + 1),
        5..=7 => Operation::Get(u64::from(how % 7) + 1),
        8 | 9 => Operation::Done { pick: pick / 4, count: u64::from(how % 4) + 1 },
        10 => {
            let attempt = [None, Some(u32::from(how / 64))][pick % 2];
            let first = [u64::from(how / 8), u64::MAX - u64::from(how / 8)][usize::from(how > 250)];
            Operation::DoneArbitrary(BatchRef {
                first_id: first,
                count: u64::from(how % 4),
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
        20 if how == 0 => Operation::Close,
        20 if how == 1 => Operation::CloseNow,
        21 => Operation::Attempt(pick),
        _ => Operation::Step,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// What has been kept of this target.
    fn run_corpus(target: &str, try_one: fn(&[u8])) {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let mut tried = 0;
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            try_one(&fs::read(path).unwrap());
            tried += 1;
        }
        assert!(tried > 10, "{tried} inputs for {target}");
    }

    #[test]
    fn requests_that_were_worth_keeping() {
        run_corpus("request", super::request);
    }

    #[test]
    fn replies_that_were_worth_keeping() {
        run_corpus("reply", super::reply);
    }

    #[test]
    fn journals_that_were_worth_keeping() {
        run_corpus("journal", super::journal);
    }

    #[test]
    fn moves_that_were_worth_keeping() {
        run_corpus("rules", super::rules);
    }
}
