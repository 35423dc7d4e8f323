//! Records to and from text: a head, the checksum of the whole record, and the record's items, a line each.
//!
//! ```text
//!            (an empty line: a reader finds the next record behind a damaged one)
//! put 00000000000000a1 2 1 2 17 1795383000000000000 #5b3c1d9e
//! "first"
//! "second"
//! ```
//!
//! The checksum is the CRC-32 of the line before it, up to its mark `#`, and of the items.

use std::io::Write;
use std::num::NonZeroU64;
use std::ops::Range;

use bytes::Bytes;

use super::version::Version;
use crate::pipe::WriteBuffer;
use crate::queue::{Batch, Items};
use crate::wire::{ClientKey, parse_number, split_word};

/// An event in the life of a queue. The first word of each description is the word in the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Record<'a> {
    /// `queue {…}`: the state of the queue itself, as JSON.
    Queue(&'a str),
    /// `put KEY SEQ FIRST COUNT BYTES SINCE` and items: the queue accepted the items of this client, up to the
    /// client's own item number `seq`, at `SINCE` nanoseconds after 1970 began.
    Put { key: ClientKey, seq: u64, batch: Batch },
    /// `ready FIRST COUNT BYTES ATTEMPT DELIVERY_FAILURES SINCE` and items: these items are ready; a rewrite keeps
    /// them.
    Ready(Batch),
    /// `client KEY {…}`: this client connected, with these settings as JSON.
    Client { key: ClientKey, json: &'a str },
    /// `disconnected KEY`: this client disconnected.
    Disconnected(ClientKey),
    /// `delivered KEY FIRST COUNT SINCE`: these items are in flight at this client.
    Delivered { key: ClientKey, ids: Range<u64>, delivered_at: u64 },
    /// `done FIRST COUNT`: these items are done.
    Done { ids: Range<u64> },
    /// `attempt ID ATTEMPT`: this item is still in flight, in another attempt.
    Attempt { id: u64, attempt: u32 },
    /// `renewed FIRST COUNT SINCE`: the lease of these items, which are in flight, began anew.
    Renewed { ids: Range<u64>, leased_at: u64 },
    /// `requeued FIRST COUNT ATTEMPT DELIVERY_FAILURES`: these items are ready again.
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
    /// Appends the record to the bytes for the file.
    pub(crate) fn write(&self, out: &mut WriteBuffer) {
        self.write_head(out.text_mut());
        if let Some(items) = self.items() {
            out.push(items);
        }
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = WriteBuffer::default();
        self.write(&mut out);
        out.commit();
        out.take(usize::MAX)
    }

    /// The items, which follow the head.
    fn items(&self) -> Option<&Bytes> {
        match self {
            Self::Put { batch, .. } | Self::Ready(batch) => Some(&batch.items.bytes),
            _ => None,
        }
    }

    /// Appends the record without its items to `text`.
    fn write_head(&self, text: &mut Vec<u8>) {
        text.push(b'\n');
        let start = text.len();
        // A write to a Vec cannot fail.
        let _ = match self {
            Self::Queue(json) => write!(text, "queue {json}"),
            Self::Put { key, seq, batch } => {
                let Batch { first_id, accepted_at, items, .. } = batch;
                let (count, bytes) = (items.count, items.bytes.len());
                write!(text, "put {key} {seq} {first_id} {count} {bytes} {accepted_at}")
            }
            Self::Ready(batch) => {
                let Batch { first_id, attempt, delivery_failures, accepted_at, items } = batch;
                let (count, bytes) = (items.count, items.bytes.len());
                write!(
                    text,
                    "ready {first_id} {count} {bytes} {attempt} {delivery_failures} {accepted_at}"
                )
            }
            Self::Client { key, json } => write!(text, "client {key} {json}"),
            Self::Disconnected(key) => write!(text, "disconnected {key}"),
            Self::Delivered { key, ids: Range { start, end }, delivered_at } => {
                write!(text, "delivered {key} {start} {} {delivered_at}", end - start)
            }
            Self::Done { ids } => write!(text, "done {} {}", ids.start, ids.end - ids.start),
            Self::Attempt { id, attempt } => write!(text, "attempt {id} {attempt}"),
            Self::Renewed { ids: Range { start, end }, leased_at } => {
                write!(text, "renewed {start} {} {leased_at}", end - start)
            }
            Self::Requeued { ids: Range { start, end }, attempt, delivery_failures } => {
                write!(text, "requeued {start} {} {attempt} {delivery_failures}", end - start)
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
        text.extend_from_slice(Version::PRESENT.checksum_mark());
        let sum = checksum(&text[start..], self.items().map_or(&[], |items| items));
        let _ = writeln!(text, "{sum:08x}");
    }
}

/// The checksum of the line before it, and of the items.
fn checksum(line: &[u8], items: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(line);
    sum.update(items);
    sum.finalize()
}

/// Why a text does not begin with a record.
enum Defect {
    Damaged,
    /// The record may have no end.
    Torn,
}

/// The records of a text of this version, and their places in the text. A damaged record is None, and its place
/// ends at the next possible record. The places end before an incomplete last record.
pub(crate) fn records(
    text: &[u8],
    version: Version,
) -> impl Iterator<Item = (Range<usize>, Option<Record<'_>>)> {
    let mut end = 0;
    std::iter::from_fn(move || {
        let start = end;
        let (record, length) = read_first(&text[start..], version)?;
        end += length;
        Some((start..end, record))
    })
}

/// The first item of [`records`], with the length of its place.
fn read_first(text: &[u8], version: Version) -> Option<(Option<Record<'_>>, usize)> {
    let blank = text.iter().take_while(|&&byte| byte == b'\n').count();
    let rest = &text[blank..];
    if rest.is_empty() {
        return None;
    }
    let next = || memchr::memmem::find(rest, b"\n\n").map(|at| blank + at + 1);
    match read_record(rest, version) {
        Ok((record, length)) => Some((Some(record), blank + length)),
        // Another record follows, or the damaged record is the last one.
        Err(Defect::Damaged) => Some((None, next().unwrap_or(text.len()))),
        Err(Defect::Torn) => Some((None, next()?)),
    }
}

/// Reads a record, and returns the record's length in bytes too.
fn read_record(text: &[u8], version: Version) -> Result<(Record<'_>, usize), Defect> {
    let end = memchr::memchr(b'\n', text).ok_or(Defect::Torn)?;
    let (line, text) = (&text[..end], &text[end + 1..]);
    let (head, covered, sum) = split_checksum(line, version).ok_or(Defect::Damaged)?;
    let fields = Fields { rest: head, version };
    let size = fields.clone().items_size().ok_or(Defect::Damaged)?;
    let items = take_items(text, &size)?;
    if checksum(covered, items) != sum {
        return Err(Defect::Damaged);
    }
    let length = end + 1 + items.len();
    let items = Items { count: size.count, bytes: Bytes::copy_from_slice(items) };
    if items.count > 0 && !items.is_well_formed() {
        return Err(Defect::Damaged);
    }
    let record = parse_record(fields, items).ok_or(Defect::Damaged)?;
    Ok((record, length))
}

/// The head of a record with this last line, what the checksum covers of the line, and the checksum.
fn split_checksum(line: &[u8], version: Version) -> Option<(&[u8], &[u8], u32)> {
    let (covered, sum) = line.split_at(line.len().checked_sub(8)?);
    let head = covered.strip_suffix(version.checksum_mark())?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    Some((head, if version.covers_mark() { covered } else { head }, sum))
}

/// The size of a record's items.
struct ItemsSize {
    count: u64,
    /// None: version 1, whose reader looks for the lines.
    bytes: Option<u64>,
}

/// The text of a record's items at the beginning of this text.
fn take_items<'a>(text: &'a [u8], size: &ItemsSize) -> Result<&'a [u8], Defect> {
    let Some(bytes) = size.bytes else {
        return take_lines(text, size.count).ok_or(Defect::Torn);
    };
    let items = usize::try_from(bytes).ok().and_then(|bytes| text.get(..bytes));
    let items = items.ok_or(Defect::Torn)?;
    // The file system may have lengthened the file before it lost the bytes.
    let is_complete = items.last().is_none_or(|&byte| byte == b'\n');
    is_complete.then_some(items).ok_or(Defect::Torn)
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

/// The fields of a head, from its first one.
#[derive(Clone)]
struct Fields<'a> {
    rest: &'a [u8],
    version: Version,
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> &'a [u8] {
        let (field, rest) = split_word(self.rest);
        self.rest = rest;
        field
    }

    /// The first field of a head, as a word of the present version.
    fn word(&mut self) -> &'a [u8] {
        let word = self.field();
        self.version.present_word(word)
    }

    fn number(&mut self) -> Option<u64> {
        parse_number(self.field())
    }

    fn small(&mut self) -> Option<u32> {
        parse_number(self.field())
    }

    fn key(&mut self) -> Option<ClientKey> {
        ClientKey::parse(self.field())
    }

    fn ids(&mut self) -> Option<Range<u64>> {
        let (first, count) = (self.number()?, self.number()?);
        Some(first..first.saturating_add(count))
    }

    /// All fields that are left, as one text.
    fn text(&self) -> Option<&'a str> {
        std::str::from_utf8(self.rest).ok()
    }

    /// COUNT and BYTES.
    fn size(&mut self) -> Option<ItemsSize> {
        let count = self.number()?;
        let bytes = if self.version.has_byte_count() { Some(self.number()?) } else { None };
        Some(ItemsSize { count, bytes })
    }

    /// The size of the items that follow this head.
    fn items_size(mut self) -> Option<ItemsSize> {
        let fields_before = match self.word() {
            b"put" => 3,
            b"ready" => 1,
            _ => return Some(ItemsSize { count: 0, bytes: Some(0) }),
        };
        for _ in 0..fields_before {
            self.field();
        }
        self.size()
    }
}

fn parse_record<'a>(mut fields: Fields<'a>, items: Items) -> Option<Record<'a>> {
    Some(match fields.word() {
        b"queue" => Record::Queue(fields.text()?),
        b"put" => {
            let (key, seq, first_id) = (fields.key()?, fields.number()?, fields.number()?);
            fields.size()?;
            let batch = validated(Batch::new(first_id, fields.number()?, items))?;
            Record::Put { key, seq, batch }
        }
        b"ready" => {
            let first_id = fields.number()?;
            fields.size()?;
            let (attempt, delivery_failures) = (fields.small()?, fields.small()?);
            let new = Batch::new(first_id, fields.number()?, items);
            Record::Ready(validated(Batch { attempt, delivery_failures, ..new })?)
        }
        b"client" => Record::Client { key: fields.key()?, json: fields.text()? },
        b"disconnected" => Record::Disconnected(fields.key()?),
        b"delivered" => {
            let (key, ids) = (fields.key()?, fields.ids()?);
            Record::Delivered { key, ids, delivered_at: fields.number()? }
        }
        b"done" => Record::Done { ids: fields.ids()? },
        b"attempt" => Record::Attempt { id: fields.number()?, attempt: fields.small()? },
        b"renewed" => Record::Renewed { ids: fields.ids()?, leased_at: fields.number()? },
        b"requeued" => {
            let (ids, attempt) = (fields.ids()?, fields.small()?);
            Record::Requeued { ids, attempt, delivery_failures: fields.small()? }
        }
        b"failed" => {
            let (ids, attempt) = (fields.ids()?, fields.small()?);
            let (delivery_failures, reason) = (fields.small()?, fields.text()?);
            Record::Failed { ids, attempt, delivery_failures, reason }
        }
        b"retry" => Record::Retry(NonZeroU64::new(fields.number()?)),
        b"drop" => Record::Drop(NonZeroU64::new(fields.number()?)),
        b"clear" => Record::Clear,
        _ => return None,
    })
}

/// The batch, if it has an item, and if no item id overflows.
fn validated(batch: Batch) -> Option<Batch> {
    (batch.count() > 0 && batch.first_id.checked_add(batch.count()).is_some()).then_some(batch)
}

#[cfg(test)]
mod tests;
