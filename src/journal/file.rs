//! Appends to the journal, recovers it, and rewrites it when most of it is obsolete.

use std::io;
use std::path::Path;

use anyhow::Context;

use super::record::records;
use super::store::read_if_exists;
use super::{FileStore, Record, Store};
use crate::pipe::{JOURNAL, QueueDir};

/// The first line of the file.
const HEADER: &[u8] = b"qdemo-journal 1\n";
/// A smaller file is not rewritten. (The small test value lets the simulation reach a rewrite.)
const MIN_REWRITE_BYTES: u64 = if cfg!(test) { 1 << 11 } else { 1 << 20 };
/// The journal reserve is this many bytes behind the end of the journal, plus an eighth of the journal's length.
/// Records that add items do not use the reserve, so records that remove items find room on a full disk. (The
/// small test value lets the simulation exhaust the reserve.)
const MIN_RESERVE_BYTES: u64 = if cfg!(test) { 1 << 9 } else { 1 << 16 };

/// A queue's journal.
#[derive(Debug)]
pub(crate) struct Journal<S> {
    store: S,
    /// The length in bytes, which ends with a complete record.
    length: u64,
    /// The length in bytes that the disk can hold in any case.
    reserved_length: u64,
    /// The unwritten records add items to the queue.
    has_new_items: bool,
    /// The journal contains a single record, a `queue` record.
    has_only_queue_record: bool,
    /// The length in bytes at which the next check for obsolete records is due.
    rewrite_check_length: u64,
    /// Records that are not in the store yet.
    unwritten: Vec<u8>,
}

impl Journal<FileStore> {
    /// Passes the records of the journal in this directory to `take`. A missing journal has none. The journal does
    /// not change.
    pub(crate) fn read(dir: &QueueDir, take: impl FnMut(Record<'_>)) -> anyhow::Result<()> {
        let path = dir.join(JOURNAL);
        let text = read_if_exists(&path).with_context(|| unusable(&path))?.unwrap_or_default();
        read_records(&text, take).with_context(|| wrong_version(&path)).map(drop)
    }

    /// Opens the journal in this directory, and passes its records to `take`. An incomplete last record is cut
    /// off. Returns the damaged lines too.
    pub(crate) fn open(
        dir: &QueueDir,
        take: impl FnMut(Record<'_>),
    ) -> anyhow::Result<(Self, Vec<u64>)> {
        let path = dir.join(JOURNAL);
        let recovered =
            FileStore::open(dir).and_then(|(store, text)| Self::recover(store, &text, take));
        recovered.with_context(|| unusable(&path))?.with_context(|| wrong_version(&path))
    }
}

fn unusable(path: &Path) -> String {
    format!("cannot use the journal {}", path.display())
}

/// The file is no journal, or a journal of a later version.
fn wrong_version(path: &Path) -> String {
    format!(
        "{} is not a journal of this version of qdemo: use the one that wrote it, or remove the queue \
         with `qdemo rm --force`",
        path.display()
    )
}

impl<S: Store> Journal<S> {
    /// Continues a journal with this `text`, and passes its records to `take`. Returns the damaged lines too. None
    /// if the text is no journal of this version.
    pub(crate) fn recover(
        mut store: S,
        text: &[u8],
        mut take: impl FnMut(Record<'_>),
    ) -> io::Result<Option<(Self, Vec<u64>)>> {
        let (mut records, mut queue_records) = (0, 0);
        let read = read_records(text, |record| {
            records += 1;
            queue_records += u64::from(matches!(record, Record::Queue(_)));
            take(record);
        });
        let Some((damaged_lines, end)) = read else {
            return Ok(None);
        };
        let length = end as u64;
        if end < text.len() {
            store.truncate(length)?;
        }
        let journal = Self {
            store,
            length,
            reserved_length: length,
            has_new_items: false,
            has_only_queue_record: (records, queue_records) == (1, 1) && damaged_lines.is_empty(),
            rewrite_check_length: MIN_REWRITE_BYTES.max(length),
            unwritten: Vec::new(),
        };
        Ok(Some((journal, damaged_lines)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0 && self.unwritten.is_empty()
    }

    /// Adds a record. [`Journal::commit`] writes the record.
    pub(crate) fn append(&mut self, record: &Record<'_>) {
        if self.is_empty() {
            self.unwritten.extend_from_slice(HEADER);
        }
        self.has_only_queue_record = false;
        self.has_new_items |= matches!(record, Record::Put { .. } | Record::Items(_));
        record.write(&mut self.unwritten);
    }

    /// Writes the added records: the records survive this process. With `sync` the records survive the machine's
    /// failure too.
    ///
    /// # Errors
    /// If the disk has no room; the file keeps its earlier records then, and contains no other. Records that add
    /// no items have room as long as the reserve lasts.
    pub(crate) fn commit(&mut self, sync: bool) -> io::Result<()> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let reserved = self.ensure_reserve();
        if std::mem::take(&mut self.has_new_items) {
            reserved?;
        }
        let written = self
            .store
            .append(&self.unwritten)
            .and_then(|()| if sync { self.store.sync() } else { Ok(()) });
        if let Err(error) = written {
            self.release_reserve()?;
            return Err(error);
        }
        self.length += self.unwritten.len() as u64;
        self.unwritten.clear();
        Ok(())
    }

    /// Ensures that the reserve follows the unwritten records.
    fn ensure_reserve(&mut self) -> io::Result<()> {
        let end = self.length + self.unwritten.len() as u64;
        let reserve = MIN_RESERVE_BYTES + end / 8;
        if self.reserved_length < end + reserve {
            // Reserve twice as much, so that reservations are rare.
            self.store.reserve(end + reserve * 2)?;
            self.reserved_length = end + reserve * 2;
        }
        Ok(())
    }

    /// Cuts off the reserve and incompletely written records.
    fn release_reserve(&mut self) -> io::Result<()> {
        self.store.truncate(self.length)?;
        self.reserved_length = self.length;
        Ok(())
    }

    /// Whether most of the file is obsolete, if `live` bytes of items are not. The next check comes when the file
    /// is twice as long: until then the answer is no.
    pub(crate) fn is_mostly_obsolete(&mut self, live: impl FnOnce() -> u64) -> bool {
        if self.length <= self.rewrite_check_length {
            return false;
        }
        self.rewrite_check_length = MIN_REWRITE_BYTES.max(self.length.saturating_mul(2));
        self.length > live().saturating_mul(4)
    }

    pub(crate) fn has_only_queue_record(&self) -> bool {
        self.has_only_queue_record
    }

    pub(crate) fn remove(&mut self) -> io::Result<()> {
        self.store.remove()
    }

    /// Replaces the journal by these records. With `sync` the records are on the disk before the old journal is
    /// gone. On a full disk the freed reserve makes room.
    pub(crate) fn rewrite<'a>(
        &mut self,
        records: impl IntoIterator<Item = Record<'a>>,
        sync: bool,
    ) -> io::Result<()> {
        let mut text = Vec::new();
        let mut has_only_queue_record = true;
        for record in records {
            has_only_queue_record &= text.is_empty() && matches!(record, Record::Queue(_));
            if text.is_empty() {
                text.extend_from_slice(HEADER);
            }
            record.write(&mut text);
        }
        if self.store.replace(&text, sync).is_err() {
            self.release_reserve()?;
            self.store.replace(&text, sync)?;
        }
        self.length = text.len() as u64;
        self.reserved_length = self.length;
        self.has_new_items = false;
        self.has_only_queue_record = has_only_queue_record;
        self.rewrite_check_length = MIN_REWRITE_BYTES.max(self.length.saturating_mul(2));
        self.unwritten.clear();
        Ok(())
    }
}

/// Passes the records of a journal to `take`. Returns the 1-based lines of damaged records or of a damaged header,
/// and the end of the last complete record; none if the text is no journal of this version. A text with another
/// header, and with a record of this version, is a journal with a damaged header: so a later version must not
/// write records that this version can parse.
fn read_records(text: &[u8], mut take: impl FnMut(Record<'_>)) -> Option<(Vec<u64>, usize)> {
    let mut damaged_lines = Vec::new();
    let mut start = HEADER.len().min(text.len());
    if !text.starts_with(HEADER) {
        if HEADER.starts_with(text) {
            start = 0;
        } else if records(&text[start..]).any(|(_, record)| record.is_some()) {
            damaged_lines.push(1);
        } else {
            return None;
        }
    }
    let mut end = start;
    for (place, record) in records(&text[start..]) {
        match record {
            Some(record) => take(record),
            None => {
                let line = memchr::memchr_iter(b'\n', &text[..start + place.start]).count() as u64;
                damaged_lines.push(line + 2);
            }
        }
        end = start + place.end;
    }
    Some((damaged_lines, end))
}
