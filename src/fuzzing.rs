//! What a fuzzer tries: bytes from anywhere, and what must hold of them. Each function panics when it
//! doesn't. The inputs that have been worth keeping are in `fuzz/corpus`, and are ordinary tests too.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::io;

use crate::clock::Stamp;
use crate::journal::{Fact, Found, find, sealed};
use crate::keeper::notes::{Memory, Past};
use crate::keeper::{Event, Host, Keeper, Plan};
use crate::queue::ledger::{Kind, Move, play};
use crate::queue::{Census, ClientId, Queue, Remains, Which};
use crate::wire::{Framer, Reply, ReplyReader};

/// No more clients can come to a keeper on paper.
const MOST_CLIENTS: usize = 100;
/// How much mail a client on paper is sent.
const MOST_MAIL: usize = 1 << 20;

/// What stands in an inbox: requests are the same however they are split, little is remembered of what
/// is none, and a keeper that reads them says nothing that a client doesn't understand, and writes
/// down what its queue is. The first two bytes say where the rest is split.
pub fn request(data: &[u8]) {
    answers(data);
}

/// The same, and what a keeper answers and writes down.
fn answers(data: &[u8]) -> Vec<u8> {
    let Some((at, text)) = data.split_first_chunk::<2>() else {
        return Vec::new();
    };
    let at = usize::from(u16::from_le_bytes(*at)) % (text.len() + 1);
    let (head, tail) = text.split_at(at);
    let whole = requests(&[text]);
    assert_eq!(requests(&[head, tail]), whole);
    assert_eq!(requests(&text.chunks(1).collect::<Vec<_>>()), whole);
    keep(&[head, tail])
}

fn requests(pieces: &[&[u8]]) -> Vec<String> {
    let mut framer = Framer::default();
    let mut found = Vec::new();
    for piece in pieces {
        framer.feed(piece);
        while let Some(message) = framer.next() {
            found.push(format!("{message:?}"));
        }
        framer.assert_small();
    }
    found
}

/// The world of a keeper on paper.
#[derive(Default)]
struct Paper {
    mail: BTreeMap<ClientId, Vec<u8>>,
    journal: Vec<u8>,
}

impl Host for Paper {
    fn open(&mut self, client: ClientId, _: &str) -> io::Result<()> {
        if client >= MOST_CLIENTS {
            return Err(io::Error::other("no room"));
        }
        self.mail.insert(client, Vec::new());
        Ok(())
    }

    fn find(&mut self, client: ClientId, mailbox: &str) -> io::Result<bool> {
        self.open(client, mailbox).map(|()| true)
    }

    fn resume(&mut self, _: ClientId) {}

    fn turn_away(&mut self, _: &str, _: &[u8]) {}

    fn mail(&mut self, client: ClientId) -> Option<&mut Vec<u8>> {
        self.mail.get_mut(&client).filter(|mail| mail.len() < MOST_MAIL)
    }

    fn close(&mut self, _: ClientId) {}

    fn end(&mut self) -> io::Result<Stamp> {
        Ok(Stamp::new(100, 1))
    }

    fn event(&mut self, _: Event<'_>) {}

    fn record(&mut self, fact: &Fact<'_>) {
        fact.write(&mut self.journal);
    }
}

/// Three clients are there already, with the numbers a1 (a producer), b1 (a visitor) and c1 (a
/// consumer with a lease of one nanosecond, which is what passes with each piece). What is in the
/// mailboxes in the end, and in the journal.
fn keep(pieces: &[&[u8]]) -> Vec<u8> {
    let plan = Plan { queue: Queue::new(Remains::default(), true), workers: None, pacer: None };
    let (mut keeper, mut paper) = (Keeper::new(plan), Paper::default());
    for hello in [
        r#"hello 00000000000000a1 {"version":1,"role":"producer","pid":1}"#,
        r#"hello 00000000000000b1 {"version":1,"role":"visitor","pid":2}"#,
        r#"hello 00000000000000c1 {"version":1,"role":"consumer","pid":3,"lease":1}"#,
    ] {
        keeper.receive(0, format!("\n\n{hello}\n").as_bytes(), &mut paper);
    }
    for (wall, piece) in (1..).zip(pieces) {
        keeper.receive(wall, piece, &mut paper);
        let _ = keeper.turn(wall, &mut paper);
        let Census { in_line, out, failed, .. } = keeper.census();
        let again = replayed(&paper.journal).census();
        assert_eq!((again.in_line, again.out, again.failed), (in_line, out, failed));
    }
    for mail in paper.mail.values() {
        replies(&[mail]).unwrap();
    }
    for client in 0..MOST_CLIENTS {
        keeper.died(9, client, &mut paper);
    }
    let Census { in_line, out, failed, .. } = keeper.census();
    let again = replayed(&paper.journal).census();
    assert_eq!((out, again.in_line, again.out, again.failed), (0, in_line, 0, failed));
    let Paper { mail, journal } = paper;
    mail.into_values().chain([journal]).flatten().collect()
}

/// The queue that a journal without damage tells of.
fn replayed(journal: &[u8]) -> Queue {
    let mut past = Past::new(Memory::default());
    let mut rest = journal;
    loop {
        match find(rest) {
            Found::Fact(fact, length) => {
                past.take(fact);
                rest = &rest[length..];
            }
            Found::End => return past.finish().queue,
            found => panic!("{found:?}"),
        }
    }
}

/// What stands in a mailbox: replies are the same however they are split, and are written as they were
/// read. The first two bytes say where the rest is split.
pub fn reply(data: &[u8]) {
    replies_again(data);
}

/// The same, and the replies as they are written, or the line that is none.
fn replies_again(data: &[u8]) -> Vec<u8> {
    let Some((at, text)) = data.split_first_chunk::<2>() else {
        return Vec::new();
    };
    let at = usize::from(u16::from_le_bytes(*at)) % (text.len() + 1);
    let (head, tail) = text.split_at(at);
    let whole = replies(&[text]);
    let told = |read: &Result<Vec<Reply>, String>| format!("{read:?}");
    assert_eq!(told(&replies(&[head, tail])), told(&whole));
    assert_eq!(told(&replies(&text.chunks(1).collect::<Vec<_>>())), told(&whole));
    let mut written = Vec::new();
    // What is written of a fraction may be another one that is as near.
    let exact = |reply: &&Reply| !matches!(reply, Reply::Status(_));
    let all: Vec<_> = whole.iter().flatten().filter(exact).cloned().collect();
    all.iter().for_each(|reply| reply.write(&mut written));
    assert_eq!(replies(&[&written]), Ok(all));
    written.extend(whole.err().unwrap_or_default().into_bytes());
    written
}

/// All replies, or the first line that is none.
fn replies(pieces: &[&[u8]]) -> Result<Vec<Reply>, String> {
    let mut reader = ReplyReader::default();
    let mut read = Vec::new();
    for piece in pieces {
        reader.feed(piece);
        while let Some(reply) = reader.next() {
            read.push(reply.map_err(|bad| bad.0)?);
        }
    }
    Ok(read)
}

/// A journal: whatever is in it, it is read to its end, and each fact in it is written so that it is
/// read the same. If the first byte is odd, the rest is heads and items without checksums, which are
/// put in.
pub fn journal(data: &[u8]) {
    facts_again(data);
}

/// The same, and the facts as they are written, with a queue's census behind them.
fn facts_again(data: &[u8]) -> Vec<u8> {
    let Some((first, text)) = data.split_first() else {
        return Vec::new();
    };
    let text = if first % 2 == 1 { sealed(text) } else { text.to_vec() };
    let mut past = Past::new(Memory::default());
    let mut rest = &text[..];
    let mut all = Vec::new();
    loop {
        let length = match find(rest) {
            Found::Fact(fact, length) => {
                let mut written = Vec::new();
                fact.write(&mut written);
                assert_eq!(find(&written), Found::Fact(fact.clone(), written.len()));
                all.append(&mut written);
                past.take(fact);
                length
            }
            Found::Damaged(length) => length,
            Found::Torn | Found::End => break,
        };
        assert!(length > 0, "it goes on");
        rest = &rest[length..];
    }
    let Census { in_line, out, done, failed } = past.finish().queue.census();
    all.extend([in_line, out, done, failed].into_iter().flat_map(u64::to_le_bytes));
    all
}

/// What clients do with a queue, three bytes for each thing. The first byte is the capacity.
pub fn rules(data: &[u8]) {
    let Some((&capacity, moves)) = data.split_first() else {
        return;
    };
    let moves = moves.chunks_exact(3).take(500).map(|bytes| {
        let &[who, what, how] = bytes else { unreachable!() };
        (usize::from(who), one_move(what, how))
    });
    play(u64::from(capacity % 8), moves);
}

fn one_move(what: u8, how: u8) -> Move {
    let pick = usize::from(how);
    match what % 24 {
        0 | 1 => {
            let kinds =
                [Kind::Producer, Kind::KeepOpen, Kind::Consumer, Kind::Follower, Kind::Visitor];
            Move::Join(kinds[pick % kinds.len()], how >= 128)
        }
        2..=4 => Move::Put(u64::from(how % 7) + 1),
        5..=7 => Move::Get(u64::from(how % 7) + 1),
        8 | 9 => Move::Done { pick: pick / 4, part: u64::from(how % 4) + 1 },
        10 => {
            let attempt = [None, Some(u32::from(how / 64))][pick % 2];
            let first = [u64::from(how / 8), u64::MAX - u64::from(how / 8)][usize::from(how > 250)];
            Move::Claim(Which { first, count: u64::from(how % 4), attempt })
        }
        11 => Move::GiveBack(pick),
        12 => Move::Fail(pick),
        13 => Move::Wait,
        14 => Move::Retry,
        15 => Move::Drop,
        16 => Move::Cancel,
        17 => Move::Leave,
        18 => Move::Die,
        19 => Move::Later,
        20 if how == 0 => Move::Close,
        20 if how == 1 => Move::CloseNow,
        21 => Move::Attempt(pick),
        _ => Move::Step,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use crate::recorded::{Digest, compare};

    /// What has been kept of this target.
    fn corpus(target: &str, try_one: fn(&[u8])) {
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

    /// What comes of each input, by its name.
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
        digests("request", super::answers);
        digests("reply", super::replies_again);
        digests("journal", super::facts_again);
    }

    #[test]
    fn requests_that_were_worth_keeping() {
        corpus("request", super::request);
    }

    #[test]
    fn replies_that_were_worth_keeping() {
        corpus("reply", super::reply);
    }

    #[test]
    fn journals_that_were_worth_keeping() {
        corpus("journal", super::journal);
    }

    #[test]
    fn moves_that_were_worth_keeping() {
        corpus("rules", super::rules);
    }
}
