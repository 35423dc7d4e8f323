//! Records to and from text: a head, the checksum of the whole record, and the record's items, a line each.
//!
//! ```text
//!            (an empty line: a reader finds the next record behind a damaged one)
//! put 00000000000000a1 2 1 2 1795383000000000000 ~5b3c1d9e
//! "first"
//! "second"
//! ```

use std::io::Write;
use std::num::NonZeroU64;
use std::ops::Range;

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
    /// `item FIRST COUNT ATTEMPT DELIVERY_FAILURES SINCE` and items: these items are ready; a rewrite keeps them.
    Items(Batch),
    /// `client KEY {…}`: this client connected, with these settings as JSON.
    Client { key: ClientKey, json: &'a str },
    /// `left KEY`: this client disconnected.
    Disconnected(ClientKey),
    /// `out KEY FIRST COUNT SINCE`: these items are in flight at this client.
    Delivered { key: ClientKey, ids: Range<u64>, delivered_at: u64 },
    /// `done FIRST COUNT`: these items are done.
    Done { ids: Range<u64> },
    /// `attempt ID ATTEMPT`: this item is still in flight, in another attempt.
    Attempt { id: u64, attempt: u32 },
    /// `back FIRST COUNT ATTEMPT DELIVERY_FAILURES`: these items are ready again.
    Requeued { ids: Range<u64>, attempt: u32, delivery_failures: u32 },
    /// `failed FIRST COUNT ATTEMPT DELIVERY_FAILURES WHY`: these items have failed.
    Failed { ids: Range<u64>, attempt: u32, delivery_failures: u32, reason: &'a str },
    /// `retry ID`: this failed item is ready again; 0 stands for all.
    Retry(Option<NonZeroU64>),
    /// `drop ID`: this failed item is gone; 0 stands for all.
    Drop(Option<NonZeroU64>),
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
            Self::Delivered { key, ids, delivered_at } => {
                write!(text, "out {key} {} {} {delivered_at}", ids.start, ids.end - ids.start)
            }
            Self::Done { ids } => write!(text, "done {} {}", ids.start, ids.end - ids.start),
            Self::Attempt { id, attempt } => write!(text, "attempt {id} {attempt}"),
            Self::Requeued { ids: Range { start, end }, attempt, delivery_failures } => {
                write!(text, "back {start} {} {attempt} {delivery_failures}", end - start)
            }
            Self::Failed { ids: Range { start, end }, attempt, delivery_failures, reason } => {
                write!(
                    text,
                    "failed {start} {} {attempt} {delivery_failures} {reason}",
                    end - start
                )
            }
            Self::Retry(id) => write!(text, "retry {}", id.map_or(0, NonZeroU64::get)),
            Self::Drop(id) => write!(text, "drop {}", id.map_or(0, NonZeroU64::get)),
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

/// Why a text does not begin with a record.
enum Defect {
    Damaged,
    /// The record may have no end.
    Torn,
}

/// The records of a text, and their places in the text. A damaged record is None, and its place ends at the
/// next possible record. The places end before an incomplete last record.
pub(crate) fn records(text: &[u8]) -> impl Iterator<Item = (Range<usize>, Option<Record<'_>>)> {
    let mut end = 0;
    std::iter::from_fn(move || {
        let start = end;
        let (record, length) = read_first(&text[start..])?;
        end += length;
        Some((start..end, record))
    })
}

/// The first item of [`records`], with the length of its place.
fn read_first(text: &[u8]) -> Option<(Option<Record<'_>>, usize)> {
    let blank = text.iter().take_while(|&&byte| byte == b'\n').count();
    let rest = &text[blank..];
    if rest.is_empty() {
        return None;
    }
    let next = || memchr::memmem::find(rest, b"\n\n").map(|at| blank + at + 1);
    match read_record(rest) {
        Ok((record, length)) => Some((Some(record), blank + length)),
        // Another record follows, or the damaged record is the last one.
        Err(Defect::Damaged) => Some((None, next().unwrap_or(text.len()))),
        Err(Defect::Torn) => Some((None, next()?)),
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
    let ids = |n| Some(number(n)?..number(n)?.saturating_add(number(n + 1)?));
    Some(match verb {
        b"queue" => Record::Queue(std::str::from_utf8(rest).ok()?),
        b"put" => {
            let batch = validated(Batch::new(number(3)?, number(5)?, items))?;
            Record::Put { key: ClientKey::parse(split_word(rest).0)?, seq: number(2)?, batch }
        }
        b"item" => Record::Items(validated(Batch {
            attempt: small(3)?,
            delivery_failures: small(4)?,
            ..Batch::new(number(1)?, number(5)?, items)
        })?),
        b"client" => {
            let (key, json) = split_word(rest);
            Record::Client { key: ClientKey::parse(key)?, json: std::str::from_utf8(json).ok()? }
        }
        b"left" => Record::Disconnected(ClientKey::parse(rest)?),
        b"out" => {
            let key = ClientKey::parse(split_word(rest).0)?;
            Record::Delivered { key, ids: ids(2)?, delivered_at: number(4)? }
        }
        b"done" => Record::Done { ids: ids(1)? },
        b"attempt" => Record::Attempt { id: number(1)?, attempt: small(2)? },
        b"back" => {
            Record::Requeued { ids: ids(1)?, attempt: small(3)?, delivery_failures: small(4)? }
        }
        b"failed" => {
            let reason = head.splitn(6, |&byte| byte == b' ').nth(5)?;
            let reason = std::str::from_utf8(reason).ok()?;
            let (attempt, delivery_failures) = (small(3)?, small(4)?);
            Record::Failed { ids: ids(1)?, attempt, delivery_failures, reason }
        }
        b"retry" => Record::Retry(NonZeroU64::new(number(1)?)),
        b"drop" => Record::Drop(NonZeroU64::new(number(1)?)),
        b"clear" => Record::Clear,
        _ => return None,
    })
}

/// The batch, if it has an item, and if no item id overflows.
fn validated(batch: Batch) -> Option<Batch> {
    (batch.count() > 0 && batch.first_id.checked_add(batch.count()).is_some()).then_some(batch)
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
            Record::Delivered { key: ClientKey(0xc1), ids: 1..3, delivered_at: 9 },
            Record::Disconnected(ClientKey(0xc1)),
            Record::Attempt { id: 2, attempt: 3 },
            Record::Done { ids: 1..2 },
            Record::Requeued { ids: 2..3, attempt: 3, delivery_failures: 1 },
            Record::Failed {
                ids: 2..3,
                attempt: 3,
                delivery_failures: 5,
                reason: "exit code 1 ~x",
            },
            Record::Failed { ids: 3..4, attempt: 1, delivery_failures: 0, reason: "" },
            Record::Retry(NonZeroU64::new(2)),
            Record::Drop(None),
            Record::Clear,
        ]
    }

    fn written() -> Vec<u8> {
        let mut text = Vec::new();
        all().iter().for_each(|record| record.write(&mut text));
        text
    }

    /// The records in this text, the number of damaged places, and whether the end is torn.
    fn read(text: &[u8]) -> (Vec<Record<'_>>, usize, bool) {
        let (places, read): (Vec<_>, Vec<_>) = records(text).unzip();
        let damaged = read.iter().filter(|record| record.is_none()).count();
        let end = places.last().map_or(0, |place| place.end);
        (read.into_iter().flatten().collect(), damaged, end < text.len())
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
