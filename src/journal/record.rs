//! Facts to and from text: a head, its checksum, and the items that it is about, a line each.
//!
//! ```text
//!            (an empty line, so that the next record is found behind a damaged one)
//! put 00000000000000a1 2 1 2 1795383000000000000 ~5b3c1d9e
//! "first"
//! "second"
//! ```

use std::io::Write;

use bytes::Bytes;

use crate::queue::{Batch, Items};
use crate::wire::{ClientKey, parse_number, split_word};

/// Something that has become so.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Record<'a> {
    /// `queue {…}`: what is to be known of the queue itself, as JSON.
    Queue(&'a str),
    /// `put KEY SEQ FIRST COUNT SINCE` and items: this client's, up to its own number `seq`, are in
    /// line, since so many nanoseconds after 1970 began.
    Put { key: ClientKey, seq: u64, batch: Batch },
    /// `item FIRST COUNT ATTEMPT STRIKES SINCE` and items: these are in line, as they were.
    Items(Batch),
    /// `client KEY {…}`: this client is here; what is known of it, as JSON.
    Client { key: ClientKey, json: &'a str },
    /// `left KEY`: it is no longer.
    Disconnected(ClientKey),
    /// `out KEY FIRST COUNT SINCE`: no longer in line, but with this client.
    Delivered { key: ClientKey, first_id: u64, count: u64, delivered_at: u64 },
    /// `done FIRST COUNT`
    Done { first_id: u64, count: u64 },
    /// `attempt ID ATTEMPT`: still with its client, in another attempt.
    Attempt { id: u64, attempt: u32 },
    /// `back FIRST COUNT ATTEMPT STRIKES`: in line again.
    Requeued { first_id: u64, count: u64, attempt: u32, delivery_failures: u32 },
    /// `failed FIRST COUNT ATTEMPT STRIKES WHY`: put aside.
    Failed { first_id: u64, count: u64, attempt: u32, delivery_failures: u32, reason: &'a str },
    /// `retry ID`: in line again; 0 for all.
    Retry(u64),
    /// `drop ID`: forgotten; 0 for all.
    Drop(u64),
    /// `clear`: all that was in line is dropped.
    Clear,
}

impl Record<'_> {
    /// Adds the record to what is to be written.
    pub(crate) fn write(&self, text: &mut Vec<u8>) {
        text.push(b'\n');
        let start = text.len();
        // Writing to a Vec cannot fail.
        let _ = match self {
            Self::Queue(json) => write!(text, "queue {json}"),
            Self::Put { key, seq, batch } => {
                write!(
                    text,
                    "put {key} {seq} {} {} {}",
                    batch.first_id,
                    batch.count(),
                    batch.accepted_at
                )
            }
            Self::Items(batch) => {
                let Batch {
                    first_id: first, attempt, delivery_failures, accepted_at: since, ..
                } = batch;
                write!(text, "item {first} {} {attempt} {delivery_failures} {since}", batch.count())
            }
            Self::Client { key, json } => write!(text, "client {key} {json}"),
            Self::Disconnected(key) => write!(text, "left {key}"),
            Self::Delivered { key, first_id: first, count, delivered_at: since } => {
                write!(text, "out {key} {first} {count} {since}")
            }
            Self::Done { first_id: first, count } => write!(text, "done {first} {count}"),
            Self::Attempt { id, attempt } => write!(text, "attempt {id} {attempt}"),
            Self::Requeued { first_id: first, count, attempt, delivery_failures } => {
                write!(text, "back {first} {count} {attempt} {delivery_failures}")
            }
            Self::Failed { first_id: first, count, attempt, delivery_failures, reason } => {
                write!(text, "failed {first} {count} {attempt} {delivery_failures} {reason}")
            }
            Self::Retry(id) => write!(text, "retry {id}"),
            Self::Drop(id) => write!(text, "drop {id}"),
            Self::Clear => write!(text, "clear"),
        };
        let items = match self {
            Self::Put { batch, .. } | Self::Items(batch) => batch.items.bytes.as_ref(),
            _ => &[],
        };
        let sum = checksum(&text[start..], items);
        let _ = writeln!(text, " ~{sum:08x}");
        text.extend_from_slice(items);
    }
}

fn checksum(head: &[u8], items: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(head);
    sum.update(items);
    sum.finalize()
}

/// What stands at the beginning of a text.
#[derive(Debug, PartialEq)]
pub(crate) enum ReadOutcome<'a> {
    /// A fact, and how many bytes it takes.
    Record(Record<'a>, usize),
    /// Something that is no record, up to where the next one may begin.
    Damaged(usize),
    /// The beginning of a record, whose end was never written.
    Torn,
    /// Nothing.
    End,
}

/// The first record of this text.
pub(crate) fn read_first(text: &[u8]) -> ReadOutcome<'_> {
    let blank = text.iter().take_while(|&&byte| byte == b'\n').count();
    let rest = &text[blank..];
    if rest.is_empty() {
        return ReadOutcome::End;
    }
    let next = || memchr::memmem::find(rest, b"\n\n").map(|at| blank + at + 1);
    match read_record(rest) {
        Some(Ok((record, length))) => ReadOutcome::Record(record, blank + length),
        // Whatever stands behind it is another record, or this was the last one.
        Some(Err(())) => next().map_or(ReadOutcome::Damaged(text.len()), ReadOutcome::Damaged),
        None => next().map_or(ReadOutcome::Torn, ReadOutcome::Damaged),
    }
}

/// None when it has no end.
fn read_record(text: &[u8]) -> Option<Result<(Record<'_>, usize), ()>> {
    let end = memchr::memchr(b'\n', text)?;
    let line = &text[..end];
    let Some((head, sum)) = split_checksum(line) else {
        return Some(Err(()));
    };
    let (verb, _) = split_word(head);
    let count = match verb {
        b"put" => number_field(head, 4),
        b"item" => number_field(head, 2),
        _ => Some(0),
    };
    let Some(count) = count else {
        return Some(Err(()));
    };
    let items = take_lines(&text[end + 1..], count)?;
    if checksum(head, items) != sum {
        return Some(Err(()));
    }
    let lines = Items { count, bytes: Bytes::copy_from_slice(items) };
    Some(parse_record(head, lines).map(|record| (record, end + 1 + items.len())).ok_or(()))
}

/// So many lines; none if there are fewer before the text, or an empty line, ends them.
fn take_lines(text: &[u8], count: u64) -> Option<&[u8]> {
    let mut end = 0;
    let mut newlines = memchr::memchr_iter(b'\n', text);
    for _ in 0..count {
        let newline = newlines.next().filter(|&newline| newline > end)?;
        end = newline + 1;
    }
    Some(&text[..end])
}

fn split_checksum(line: &[u8]) -> Option<(&[u8], u32)> {
    let at = line.len().checked_sub(10)?;
    let (head, sum) = line.split_at(at);
    let sum = std::str::from_utf8(sum.strip_prefix(b" ~")?).ok()?;
    Some((head, u32::from_str_radix(sum, 16).ok()?))
}

fn number_field(head: &[u8], n: usize) -> Option<u64> {
    parse_number(head.split(|&byte| byte == b' ').nth(n)?)
}

fn parse_record(head: &[u8], lines: Items) -> Option<Record<'_>> {
    let (verb, rest) = split_word(head);
    let one = |n| number_field(head, n);
    let small = |n| u32::try_from(one(n)?).ok();
    Some(match verb {
        b"queue" => Record::Queue(std::str::from_utf8(rest).ok()?),
        b"put" => {
            let (first, since) = (one(3)?, one(5)?);
            let batch = validated(Batch {
                first_id: first,
                attempt: 1,
                delivery_failures: 0,
                accepted_at: since,
                items: lines,
            })?;
            Record::Put { key: ClientKey::parse(split_word(rest).0)?, seq: one(2)?, batch }
        }
        b"item" => {
            let (first, since) = (one(1)?, one(5)?);
            Record::Items(validated(Batch {
                first_id: first,
                attempt: small(3)?,
                delivery_failures: small(4)?,
                accepted_at: since,
                items: lines,
            })?)
        }
        b"client" => {
            let (key, json) = split_word(rest);
            Record::Client { key: ClientKey::parse(key)?, json: std::str::from_utf8(json).ok()? }
        }
        b"left" => Record::Disconnected(ClientKey::parse(rest)?),
        b"out" => {
            let key = ClientKey::parse(split_word(rest).0)?;
            Record::Delivered { key, first_id: one(2)?, count: one(3)?, delivered_at: one(4)? }
        }
        b"done" => Record::Done { first_id: one(1)?, count: one(2)? },
        b"attempt" => Record::Attempt { id: one(1)?, attempt: small(2)? },
        b"back" => {
            let (attempt, delivery_failures) = (small(3)?, small(4)?);
            Record::Requeued { first_id: one(1)?, count: one(2)?, attempt, delivery_failures }
        }
        b"failed" => {
            let reason = head.splitn(6, |&byte| byte == b' ').nth(5)?;
            let reason = std::str::from_utf8(reason).ok()?;
            let (attempt, delivery_failures) = (small(3)?, small(4)?);
            Record::Failed { first_id: one(1)?, count: one(2)?, attempt, delivery_failures, reason }
        }
        b"retry" => Record::Retry(one(1)?),
        b"drop" => Record::Drop(one(1)?),
        b"clear" => Record::Clear,
        _ => return None,
    })
}

/// A run of at least one item, all of which have a number.
fn validated(batch: Batch) -> Option<Batch> {
    (batch.count() > 0 && batch.first_id.checked_add(batch.count()).is_some()).then_some(batch)
}

/// Heads without a checksum, and items, as records, which begin where there is an empty line.
#[cfg(any(test, fuzzing))]
pub(crate) fn with_checksums(text: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = memchr::memmem::find(rest, b"\n\n").map_or(rest.len(), |at| at + 1);
        let (record, next) = rest.split_at(end);
        rest = next.strip_prefix(b"\n").unwrap_or(next);
        let (head, items) = record.split_at(memchr::memchr(b'\n', record).unwrap_or(end));
        let items = items.strip_prefix(b"\n").unwrap_or(items);
        let sum = checksum(head, items);
        sealed.push(b'\n');
        sealed.extend_from_slice(head);
        let _ = writeln!(sealed, " ~{sum:08x}");
        sealed.extend_from_slice(items);
    }
    sealed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(first: u64, items: &str) -> Batch {
        let lines = Items { count: items.lines().count() as u64, bytes: items.to_owned().into() };
        Batch { first_id: first, attempt: 2, delivery_failures: 1, accepted_at: 5, items: lines }
    }

    fn all() -> Vec<Record<'static>> {
        let put = Batch { attempt: 1, delivery_failures: 0, ..run(1, "\"a\"\n\"b\"\n") };
        vec![
            Record::Queue("{\"capacity\":3}"),
            Record::Put { key: ClientKey(0xa1), seq: 2, batch: put },
            Record::Items(run(7, "[1, 2]\n")),
            Record::Client { key: ClientKey(0xc1), json: "{}" },
            Record::Delivered { key: ClientKey(0xc1), first_id: 1, count: 2, delivered_at: 9 },
            Record::Disconnected(ClientKey(0xc1)),
            Record::Attempt { id: 2, attempt: 3 },
            Record::Done { first_id: 1, count: 1 },
            Record::Requeued { first_id: 2, count: 1, attempt: 3, delivery_failures: 1 },
            Record::Failed {
                first_id: 2,
                count: 1,
                attempt: 3,
                delivery_failures: 5,
                reason: "exit code 1 ~x",
            },
            Record::Failed { first_id: 3, count: 1, attempt: 1, delivery_failures: 0, reason: "" },
            Record::Retry(2),
            Record::Drop(0),
            Record::Clear,
        ]
    }

    fn written() -> Vec<u8> {
        let mut text = Vec::new();
        all().iter().for_each(|record| record.write(&mut text));
        text
    }

    /// The facts in this text, and how many places are damaged.
    fn read(mut text: &[u8]) -> (Vec<Record<'_>>, u32, bool) {
        let (mut facts, mut damaged) = (Vec::new(), 0);
        loop {
            match read_first(text) {
                ReadOutcome::Record(record, length) => {
                    facts.push(record);
                    text = &text[length..];
                }
                ReadOutcome::Damaged(length) => {
                    damaged += 1;
                    text = &text[length..];
                }
                ReadOutcome::Torn => return (facts, damaged, true),
                ReadOutcome::End => return (facts, damaged, false),
            }
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(read(&written()), (all(), 0, false));
    }

    #[test]
    fn a_text_that_is_cut_off_anywhere_gives_all_that_is_whole() {
        let text = written();
        for end in 0..text.len() {
            let (facts, damaged, _) = read(&text[..end]);
            assert_eq!(facts, all()[..facts.len()], "cut at {end}");
            assert_eq!(damaged, 0, "cut at {end}");
        }
    }

    #[test]
    fn a_byte_that_is_wrong_costs_its_record_only() {
        let text = written();
        for at in 0..text.len() {
            for wrong in [b'\n', b' ', b'0', text[at] ^ 1] {
                let mut text = text.clone();
                if std::mem::replace(&mut text[at], wrong) == wrong {
                    continue;
                }
                let (facts, ..) = read(&text);
                let missing = all().into_iter().filter(|record| !facts.contains(record)).count();
                assert!(missing <= 2, "byte {at} as {wrong}: {missing} are missing");
                assert!(facts.iter().all(|record| all().contains(record)), "byte {at} as {wrong}");
            }
        }
    }
}
