//! Records to and from text: a head, the checksum of the whole record, and the record's items, a line each.
//!
//! ```text
//!            (an empty line: a reader finds the next record behind a damaged one)
//! put 00000000000000a1 2 1 2 1795383000000000000 ~5b3c1d9e
//! "first"
//! "second"
//! ```

use std::io::Write;

use bytes::Bytes;

use crate::queue::{Batch, Items};
use crate::wire::{ClientKey, parse_number, split_word};

/// An event in the life of a queue. The first word of each description is the word in the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Record<'a> {
    /// `queue {…}`: the state of the queue itself, as JSON.
    Queue(&'a str),
    /// `put KEY SEQ FIRST COUNT SINCE` and items: the queue accepted the items of this client, up to the client's
    /// own item number `seq`, at `SINCE` nanoseconds after 1970 began.
    Put { key: ClientKey, seq: u64, batch: Batch },
    /// `item FIRST COUNT ATTEMPT STRIKES SINCE` and items: these items are ready; a rewrite keeps them.
    Items(Batch),
    /// `client KEY {…}`: this client connected, with these settings as JSON.
    Client { key: ClientKey, json: &'a str },
    /// `left KEY`: this client disconnected.
    Disconnected(ClientKey),
    /// `out KEY FIRST COUNT SINCE`: these items are in flight at this client.
    Delivered { key: ClientKey, first_id: u64, count: u64, delivered_at: u64 },
    /// `done FIRST COUNT`: these items are done.
    Done { first_id: u64, count: u64 },
    /// `attempt ID ATTEMPT`: this item is still in flight, in another attempt.
    Attempt { id: u64, attempt: u32 },
    /// `back FIRST COUNT ATTEMPT STRIKES`: these items are ready again.
    Requeued { first_id: u64, count: u64, attempt: u32, delivery_failures: u32 },
    /// `failed FIRST COUNT ATTEMPT STRIKES WHY`: these items are dead-lettered.
    Failed { first_id: u64, count: u64, attempt: u32, delivery_failures: u32, reason: &'a str },
    /// `retry ID`: this failed item is ready again; 0 stands for all.
    Retry(u64),
    /// `drop ID`: this failed item is gone; 0 stands for all.
    Drop(u64),
    /// `clear`: all ready items are gone.
    Clear,
}

impl Record<'_> {
    /// Appends the record to `text`.
    pub(crate) fn write(&self, text: &mut Vec<u8>) {
        text.push(b'\n');
        let start = text.len();
        // A write to a Vec cannot fail.
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
                let Batch { first_id, attempt, delivery_failures, accepted_at, .. } = batch;
                let count = batch.count();
                write!(text, "item {first_id} {count} {attempt} {delivery_failures} {accepted_at}")
            }
            Self::Client { key, json } => write!(text, "client {key} {json}"),
            Self::Disconnected(key) => write!(text, "left {key}"),
            Self::Delivered { key, first_id, count, delivered_at } => {
                write!(text, "out {key} {first_id} {count} {delivered_at}")
            }
            Self::Done { first_id, count } => write!(text, "done {first_id} {count}"),
            Self::Attempt { id, attempt } => write!(text, "attempt {id} {attempt}"),
            Self::Requeued { first_id, count, attempt, delivery_failures } => {
                write!(text, "back {first_id} {count} {attempt} {delivery_failures}")
            }
            Self::Failed { first_id, count, attempt, delivery_failures, reason } => {
                write!(text, "failed {first_id} {count} {attempt} {delivery_failures} {reason}")
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

/// The beginning of a text.
#[derive(Debug, PartialEq)]
pub(crate) enum ReadOutcome<'a> {
    /// A record, and its length in bytes.
    Record(Record<'a>, usize),
    /// A damaged record, with the length in bytes up to the next possible record.
    Damaged(usize),
    /// The beginning of a record without an end.
    Torn,
    /// The text is empty.
    End,
}

/// Why a text does not begin with a record.
enum Defect {
    Damaged,
    /// The record may have no end.
    Torn,
}

/// Reads the first record of this text.
pub(crate) fn read_first(text: &[u8]) -> ReadOutcome<'_> {
    let blank = text.iter().take_while(|&&byte| byte == b'\n').count();
    let rest = &text[blank..];
    if rest.is_empty() {
        return ReadOutcome::End;
    }
    let next = || memchr::memmem::find(rest, b"\n\n").map(|at| blank + at + 1);
    match read_record(rest) {
        Ok((record, length)) => ReadOutcome::Record(record, blank + length),
        // Another record follows, or the damaged record is the last one.
        Err(Defect::Damaged) => ReadOutcome::Damaged(next().unwrap_or(text.len())),
        Err(Defect::Torn) => next().map_or(ReadOutcome::Torn, ReadOutcome::Damaged),
    }
}

/// Reads a record, and returns the record's length in bytes too.
fn read_record(text: &[u8]) -> Result<(Record<'_>, usize), Defect> {
    let end = memchr::memchr(b'\n', text).ok_or(Defect::Torn)?;
    let (head, sum) = split_checksum(&text[..end]).ok_or(Defect::Damaged)?;
    let (verb, _) = split_word(head);
    let count = match verb {
        b"put" => number_field(head, 4),
        b"item" => number_field(head, 2),
        _ => Some(0),
    };
    let count = count.ok_or(Defect::Damaged)?;
    let lines = take_lines(&text[end + 1..], count).ok_or(Defect::Torn)?;
    if checksum(head, lines) != sum {
        return Err(Defect::Damaged);
    }
    let items = Items { count, bytes: Bytes::copy_from_slice(lines) };
    let record = parse_record(head, items).ok_or(Defect::Damaged)?;
    Ok((record, end + 1 + lines.len()))
}

/// The first `count` lines. None if the text, or an empty line, ends earlier.
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
    let (head, sum) = line.split_at(line.len().checked_sub(10)?);
    let sum = std::str::from_utf8(sum.strip_prefix(b" ~")?).ok()?;
    Some((head, u32::from_str_radix(sum, 16).ok()?))
}

fn number_field(head: &[u8], n: usize) -> Option<u64> {
    parse_number(head.split(|&byte| byte == b' ').nth(n)?)
}

fn parse_record(head: &[u8], items: Items) -> Option<Record<'_>> {
    let (verb, rest) = split_word(head);
    let number = |n| number_field(head, n);
    let small = |n| u32::try_from(number(n)?).ok();
    Some(match verb {
        b"queue" => Record::Queue(std::str::from_utf8(rest).ok()?),
        b"put" => {
            let batch = validated(Batch {
                first_id: number(3)?,
                attempt: 1,
                delivery_failures: 0,
                accepted_at: number(5)?,
                items,
            })?;
            Record::Put { key: ClientKey::parse(split_word(rest).0)?, seq: number(2)?, batch }
        }
        b"item" => Record::Items(validated(Batch {
            first_id: number(1)?,
            attempt: small(3)?,
            delivery_failures: small(4)?,
            accepted_at: number(5)?,
            items,
        })?),
        b"client" => {
            let (key, json) = split_word(rest);
            Record::Client { key: ClientKey::parse(key)?, json: std::str::from_utf8(json).ok()? }
        }
        b"left" => Record::Disconnected(ClientKey::parse(rest)?),
        b"out" => {
            let key = ClientKey::parse(split_word(rest).0)?;
            let (first_id, count, delivered_at) = (number(2)?, number(3)?, number(4)?);
            Record::Delivered { key, first_id, count, delivered_at }
        }
        b"done" => Record::Done { first_id: number(1)?, count: number(2)? },
        b"attempt" => Record::Attempt { id: number(1)?, attempt: small(2)? },
        b"back" => {
            let (first_id, count) = (number(1)?, number(2)?);
            let (attempt, delivery_failures) = (small(3)?, small(4)?);
            Record::Requeued { first_id, count, attempt, delivery_failures }
        }
        b"failed" => {
            let reason = head.splitn(6, |&byte| byte == b' ').nth(5)?;
            let reason = std::str::from_utf8(reason).ok()?;
            let (first_id, count) = (number(1)?, number(2)?);
            let (attempt, delivery_failures) = (small(3)?, small(4)?);
            Record::Failed { first_id, count, attempt, delivery_failures, reason }
        }
        b"retry" => Record::Retry(number(1)?),
        b"drop" => Record::Drop(number(1)?),
        b"clear" => Record::Clear,
        _ => return None,
    })
}

/// The batch, if it has an item, and if no item id overflows.
fn validated(batch: Batch) -> Option<Batch> {
    (batch.count() > 0 && batch.first_id.checked_add(batch.count()).is_some()).then_some(batch)
}

/// Adds checksums to records whose heads have none. An empty line separates the records.
#[cfg(any(test, fuzzing))]
pub(crate) fn with_checksums(text: &[u8]) -> Vec<u8> {
    let mut records = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = memchr::memmem::find(rest, b"\n\n").map_or(rest.len(), |at| at + 1);
        let (record, next) = rest.split_at(end);
        rest = next.strip_prefix(b"\n").unwrap_or(next);
        let (head, items) = record.split_at(memchr::memchr(b'\n', record).unwrap_or(end));
        let items = items.strip_prefix(b"\n").unwrap_or(items);
        let sum = checksum(head, items);
        records.push(b'\n');
        records.extend_from_slice(head);
        let _ = writeln!(records, " ~{sum:08x}");
        records.extend_from_slice(items);
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(first_id: u64, lines: &str) -> Batch {
        let items = Items { count: lines.lines().count() as u64, bytes: lines.to_owned().into() };
        Batch { first_id, attempt: 2, delivery_failures: 1, accepted_at: 5, items }
    }

    fn all() -> Vec<Record<'static>> {
        let put = Batch { attempt: 1, delivery_failures: 0, ..batch(1, "\"a\"\n\"b\"\n") };
        vec![
            Record::Queue("{\"capacity\":3}"),
            Record::Put { key: ClientKey(0xa1), seq: 2, batch: put },
            Record::Items(batch(7, "[1, 2]\n")),
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

    /// The records in this text, the number of damaged places, and whether the end is torn.
    fn read(mut text: &[u8]) -> (Vec<Record<'_>>, u32, bool) {
        let (mut records, mut damaged) = (Vec::new(), 0);
        loop {
            match read_first(text) {
                ReadOutcome::Record(record, length) => {
                    records.push(record);
                    text = &text[length..];
                }
                ReadOutcome::Damaged(length) => {
                    damaged += 1;
                    text = &text[length..];
                }
                ReadOutcome::Torn => return (records, damaged, true),
                ReadOutcome::End => return (records, damaged, false),
            }
        }
    }

    #[test]
    fn written_records_are_read_back() {
        assert_eq!(read(&written()), (all(), 0, false));
    }

    #[test]
    fn a_truncated_text_gives_all_complete_records() {
        let text = written();
        for end in 0..text.len() {
            let (records, damaged, _) = read(&text[..end]);
            assert_eq!(records, all()[..records.len()], "cut at {end}");
            assert_eq!(damaged, 0, "cut at {end}");
        }
    }

    #[test]
    fn a_wrong_byte_damages_at_most_its_record_and_a_neighbor() {
        let text = written();
        for at in 0..text.len() {
            for wrong in [b'\n', b' ', b'0', text[at] ^ 1] {
                let mut text = text.clone();
                if std::mem::replace(&mut text[at], wrong) == wrong {
                    continue;
                }
                let (records, ..) = read(&text);
                let missing = all().into_iter().filter(|record| !records.contains(record)).count();
                assert!(missing <= 2, "byte {at} as {wrong}: {missing} are missing");
                assert!(
                    records.iter().all(|record| all().contains(record)),
                    "byte {at} as {wrong}"
                );
            }
        }
    }
}
