//! Appends to the journal, recovers it, and rewrites it when most of it is obsolete.

use std::io;
use std::path::Path;

use anyhow::Context;

use super::record::records;
use super::store::read_if_exists;
use super::version::Version;
use super::{FileStore, Record, Store};
use crate::catalogue::message;
use crate::pipe::{JOURNAL, QueueDir, WriteBuffer};

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
    /// The file has an earlier version, so only a rewrite may change it.
    is_outdated: bool,
    /// The last reservation failed.
    is_out_of_room: bool,
    unwritten: WriteBuffer,
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

/// A record is to be written to a journal of an earlier version.
#[derive(Debug, thiserror::Error)]
#[error("{}", message!("folder-journal-outdated"))]
struct OutdatedJournal;

fn unusable(path: &Path) -> String {
    message!("folder-journal-unusable", path = &path.display())
}

/// The file is no journal, or a journal of a later version.
fn wrong_version(path: &Path) -> String {
    message!("folder-journal-version", path = &path.display())
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
        let Some(Contents { version, damaged_lines, end }) = read else {
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
            is_outdated: end > 0 && version != Version::PRESENT,
            is_out_of_room: false,
            unwritten: WriteBuffer::default(),
        };
        Ok(Some((journal, damaged_lines)))
    }

    /// Whether the file has an earlier version. Such a journal must be rewritten before a record is written.
    pub(crate) fn is_outdated(&self) -> bool {
        self.is_outdated
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0 && self.unwritten.is_empty()
    }

    /// Adds a record. [`Journal::commit`] writes the record.
    ///
    /// Without room on the disk a renewed lease is not recorded: `done` needs the reserve more.
    pub(crate) fn append(&mut self, record: &Record<'_>) {
        if self.is_out_of_room && matches!(record, Record::Renewed { .. }) {
            return;
        }
        if self.is_empty() {
            self.unwritten.text_mut().extend_from_slice(Version::PRESENT.header());
        }
        self.has_only_queue_record = false;
        self.has_new_items |= matches!(record, Record::Put { .. } | Record::Ready(_));
        record.write(&mut self.unwritten);
    }

    /// Writes the added records: the records survive this process. With `sync` the records survive the machine's
    /// failure too.
    ///
    /// # Errors
    /// If the disk has no room; the file keeps its earlier records then, and contains no other. Records that add
    /// no items have room as long as the reserve lasts. Nor does a file of an earlier version take a record.
    pub(crate) fn commit(&mut self, sync: bool) -> io::Result<()> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        if self.is_outdated {
            return Err(io::Error::other(OutdatedJournal));
        }
        let reserved = self.ensure_reserve();
        self.is_out_of_room = reserved.is_err();
        if std::mem::take(&mut self.has_new_items) {
            reserved?;
        }
        let written = self
            .store
            .append(&self.unwritten.slices())
            .and_then(|()| if sync { self.store.sync() } else { Ok(()) });
        if let Err(error) = written {
            self.release_reserve()?;
            return Err(error);
        }
        self.length += self.unwritten.unsent_bytes() as u64;
        self.unwritten.clear();
        Ok(())
    }

    /// Ensures that the reserve follows the unwritten records.
    fn ensure_reserve(&mut self) -> io::Result<()> {
        let end = self.length + self.unwritten.unsent_bytes() as u64;
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
        let mut text = WriteBuffer::default();
        let mut has_only_queue_record = true;
        for record in records {
            has_only_queue_record &= text.is_empty() && matches!(record, Record::Queue(_));
            if text.is_empty() {
                text.text_mut().extend_from_slice(Version::PRESENT.header());
            }
            record.write(&mut text);
        }
        if self.store.replace(&text.slices(), sync).is_err() {
            self.release_reserve()?;
            self.store.replace(&text.slices(), sync)?;
        }
        self.length = text.unsent_bytes() as u64;
        self.is_outdated = false;
        self.reserved_length = self.length;
        self.has_new_items = false;
        self.has_only_queue_record = has_only_queue_record;
        self.rewrite_check_length = MIN_REWRITE_BYTES.max(self.length.saturating_mul(2));
        self.unwritten.clear();
        Ok(())
    }
}

/// What [`read_records`] tells of a text, beside its records.
struct Contents {
    version: Version,
    /// The 1-based lines of damaged records, and of a damaged header.
    damaged_lines: Vec<u64>,
    /// The end of the last complete record.
    end: usize,
}

/// Passes the records of a journal to `take`. None if the text is no journal of a known version.
fn read_records(text: &[u8], mut take: impl FnMut(Record<'_>)) -> Option<Contents> {
    let (version, start) = version_of(text)?;
    let is_header_damaged = start > 0 && !text.starts_with(version.header());
    let mut damaged_lines: Vec<_> = is_header_damaged.then_some(1).into_iter().collect();
    let mut end = start;
    for (place, record) in records(&text[start..], version) {
        match record {
            Some(record) => take(record),
            None => {
                let line = memchr::memchr_iter(b'\n', &text[..start + place.start]).count() as u64;
                damaged_lines.push(line + 2);
            }
        }
        end = start + place.end;
    }
    Some(Contents { version, damaged_lines, end })
}

/// The version of a journal, and the end of its header. None if the text is no journal of a known version.
///
/// The header may be damaged, so a record of a version counts for more than the header. A later version must not
/// write records that this version can parse.
fn version_of(text: &[u8]) -> Option<(Version, usize)> {
    let headers = || Version::ALL.into_iter().map(|version| (version, version.header()));
    if headers().any(|(_, header)| header.starts_with(text) && header != text) {
        // The end of the header is not written, and no record.
        return Some((Version::PRESENT, 0));
    }
    let has_header =
        |(version, header): (Version, &[u8])| text.starts_with(header).then_some(version);
    let named = headers().find_map(has_header);
    let start = Version::PRESENT.header().len().min(text.len());
    let has_record =
        |version: &Version| records(&text[start..], *version).any(|(_, record)| record.is_some());
    let version = named.into_iter().chain(Version::ALL).find(has_record).or(named)?;
    Some((version, start))
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::*;
    use crate::journal::concat;
    use crate::queue::{Batch, Items};
    use crate::wire::ClientKey;

    const VERSION_1: &[u8] = b"qdemo-journal 1\n\nclear ~e5b1f106\n\ndone 1 1 ~6e90df32\n";

    /// A journal in memory, on a disk with this many bytes.
    #[derive(Debug)]
    struct MemoryStore {
        text: Vec<u8>,
        size: usize,
        /// Whether a reservation succeeds.
        has_room: bool,
    }

    impl Store for MemoryStore {
        fn append(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()> {
            self.text.extend_from_slice(&concat(slices));
            let length = self.text.len();
            self.text.truncate(self.size);
            if length > self.size { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn truncate(&mut self, length: u64) -> io::Result<()> {
            self.text.truncate(usize::try_from(length).unwrap());
            Ok(())
        }

        fn reserve(&mut self, _: u64) -> io::Result<()> {
            if self.has_room { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
        }

        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn replace(&mut self, slices: &[IoSlice<'_>], _: bool) -> io::Result<()> {
            if concat(slices).len() > self.size {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.text = concat(slices);
            Ok(())
        }

        fn remove(&mut self) -> io::Result<()> {
            self.text.clear();
            Ok(())
        }
    }

    /// The journal with this text, the number of its records, and its damaged lines.
    fn open(text: &[u8], size: usize) -> Option<(Journal<MemoryStore>, u64, Vec<u64>)> {
        let store = MemoryStore { text: text.to_vec(), size, has_room: true };
        let mut count = 0;
        let (journal, damaged) = Journal::recover(store, text, |_| count += 1).unwrap()?;
        Some((journal, count, damaged))
    }

    fn put(items: Vec<u8>) -> Record<'static> {
        let items = Items { count: 1, bytes: items.into() };
        Record::Put { key: ClientKey(1), seq: 1, batch: Batch::new(1, 5, items) }
    }

    fn version_2() -> Vec<u8> {
        let (mut journal, ..) = open(b"", 1 << 20).unwrap();
        journal.append(&Record::Clear);
        journal.append(&Record::Done { ids: 1..2 });
        journal.commit(false).unwrap();
        journal.store.text
    }

    #[test]
    fn a_journal_of_version_1_takes_no_record_before_its_rewrite() {
        let (mut journal, count, damaged) = open(VERSION_1, 1 << 20).unwrap();
        assert_eq!((count, &damaged[..], journal.is_outdated()), (2, &[][..], true));
        journal.append(&Record::Clear);
        assert!(journal.commit(false).is_err());
        assert_eq!(journal.store.text, VERSION_1);
        journal.rewrite([Record::Clear, Record::Done { ids: 1..2 }], false).unwrap();
        assert!(!journal.is_outdated());
        assert_eq!(journal.store.text, version_2());
        journal.append(&Record::Clear);
        journal.commit(false).unwrap();
        assert_eq!(open(&journal.store.text, 1 << 20).unwrap().1, 3);
    }

    #[test]
    fn a_journal_of_version_1_that_cannot_be_rewritten_stays_as_it_is() {
        let (mut journal, ..) = open(VERSION_1, VERSION_1.len()).unwrap();
        assert!(journal.rewrite([put(vec![b'7'; 100])], false).is_err());
        journal.append(&Record::Clear);
        assert!(journal.commit(false).is_err());
        assert!(journal.is_outdated());
        assert_eq!(journal.store.text, VERSION_1);
    }

    #[test]
    fn a_header_with_a_wrong_byte_is_damaged_whatever_version_it_names() {
        for (text, is_outdated) in [(VERSION_1, true), (&version_2(), false)] {
            for at in 0..16 {
                for wrong in [b'\0', b'1', b'2', b'3', b'\n', text[at] ^ 0x80] {
                    let mut text = text.to_vec();
                    let is_damaged = std::mem::replace(&mut text[at], wrong) != wrong;
                    let (journal, count, damaged) = open(&text, 1 << 20).unwrap();
                    assert_eq!((count, journal.is_outdated()), (2, is_outdated), "{at} as {wrong}");
                    assert_eq!(
                        damaged,
                        if is_damaged { vec![1] } else { vec![] },
                        "{at} as {wrong}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_text_without_a_known_record_is_no_journal_unless_it_has_a_known_header() {
        let later = String::from_utf8(version_2()).unwrap().replace(" #", " %");
        for text in ["something else\n", &later.replace("journal 2", "journal 3")] {
            assert!(open(text.as_bytes(), 1 << 20).is_none(), "{text}");
        }
        let (_, count, damaged) = open(later.as_bytes(), 1 << 20).unwrap();
        assert_eq!((count, damaged), (0, vec![3, 5]));
    }

    #[test]
    fn a_header_that_was_not_written_to_its_end_is_an_empty_journal() {
        for header in Version::ALL.map(Version::header) {
            for end in 0..header.len() {
                let (journal, count, damaged) = open(&header[..end], 1 << 20).unwrap();
                assert!(journal.is_empty() && !journal.is_outdated());
                assert_eq!((count, damaged.len(), journal.store.text.len()), (0, 0, 0));
            }
        }
        assert!(open(Version::One.header(), 1 << 20).unwrap().0.is_outdated());
    }

    #[test]
    fn without_room_for_a_reserve_renewals_are_not_recorded() {
        let (mut journal, ..) = open(b"", usize::MAX).unwrap();
        let renewed = Record::Renewed { ids: 1..2, leased_at: 9 };
        let words = |journal: &Journal<MemoryStore>| {
            let text = String::from_utf8(journal.store.text.clone()).unwrap();
            let lines = text.lines().filter_map(|line| line.split(' ').next());
            lines.filter(|word| !word.is_empty()).skip(1).collect::<Vec<_>>().join(" ")
        };
        let mut append = |record: &Record<'_>, has_room: bool| {
            journal.store.has_room = has_room;
            journal.append(record);
            journal.commit(false).unwrap();
            words(&journal)
        };
        assert_eq!(append(&renewed, true), "renewed");
        let json = "x".repeat(100_000);
        // The journal notices the lack of room here.
        let large = Record::Client { key: ClientKey(7), json: &json };
        assert_eq!(append(&large, false), "renewed client");
        assert_eq!(append(&renewed, false), "renewed client");
        assert_eq!(append(&Record::Done { ids: 8..9 }, true), "renewed client done");
        assert_eq!(append(&renewed, true), "renewed client done renewed");
    }

    #[test]
    fn an_append_that_fails_leaves_the_file_as_before() {
        for length in [10, 4096, 100_000] {
            for room in [0, 1, 30, length, length + 30] {
                let text = version_2();
                let (mut journal, ..) = open(&text, text.len() + room).unwrap();
                journal.append(&put([&vec![b'7'; length][..], b"\n"].concat()));
                assert!(journal.commit(false).is_err());
                assert_eq!(journal.store.text, text, "{room} bytes for {length}");
            }
        }
    }
}
