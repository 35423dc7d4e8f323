//! The journal: appended to, recovered, rewritten when most of it is of the past.

use std::io;
use std::path::PathBuf;

use super::record::{ReadOutcome, read_first};
use super::{FileStore, Record, Store};
use crate::pipe::QueueDir;

/// What the file begins with.
const HEADER: &[u8] = b"qdemo-journal 1\n";
/// A smaller file is not rewritten. (The simulation is to see it done.)
const MIN_REWRITE_BYTES: u64 = if cfg!(test) { 1 << 11 } else { 1 << 20 };
/// So many bytes are kept in reserve behind the end of the journal, and an eighth of its length. Records
/// that add items leave the reserve alone, so on a full disk there is room for those that take items
/// away. (The simulation is to see it used up.)
const MIN_RESERVE_BYTES: u64 = if cfg!(test) { 1 << 9 } else { 1 << 16 };

/// A queue's journal.
#[derive(Debug)]
pub(crate) struct Journal<S> {
    store: S,
    /// How long it is; it ends with a whole record.
    length: u64,
    /// How long it can become in any case.
    reserved_length: u64,
    /// What is to be written adds items to the queue.
    has_new_items: bool,
    /// There is nothing in it but one record of the queue itself.
    has_only_queue_record: bool,
    /// It is looked whether most of it is of the past when it is as long as this.
    rewrite_check_length: u64,
    /// What is to be written.
    unwritten: Vec<u8>,
}

/// What was found in a journal.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct RecoveryReport {
    /// Where records, or the head, were damaged: the line, from 1.
    pub(crate) damaged_lines: Vec<u64>,
}

/// Why a journal is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// Not ours, or from the future.
    #[error(
        "{0} is not a journal of this version of qdemo: use the one that wrote it, or remove the queue \
         with `qdemo rm --force`"
    )]
    Version(PathBuf),
    /// The system said no.
    #[error("cannot use the journal {path}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
}

impl Journal<FileStore> {
    /// Tells `take` what is in the journal in this directory, if there is one, and leaves it alone.
    pub(crate) fn read(
        dir: &QueueDir,
        take: impl FnMut(Record<'_>),
    ) -> Result<RecoveryReport, JournalError> {
        let path = FileStore::journal_path(dir);
        match FileStore::read_journal(dir) {
            Ok(text) => match read_records(&text, take) {
                Some((recovered, _)) => Ok(recovered),
                None => Err(JournalError::Version(path)),
            },
            Err(error) => Err(JournalError::Io { path, error }),
        }
    }

    /// Opens the journal in this directory, and tells `take` what is in it. A record that was not
    /// written to its end is cut off.
    pub(crate) fn open(
        dir: &QueueDir,
        take: impl FnMut(Record<'_>),
    ) -> Result<(Self, RecoveryReport), JournalError> {
        let failed = |error| JournalError::Io { path: FileStore::journal_path(dir), error };
        let (files, text) = FileStore::open(dir).map_err(failed)?;
        let recovered = Self::recover(files, &text, take).map_err(failed)?;
        recovered.ok_or_else(|| JournalError::Version(FileStore::journal_path(dir)))
    }
}

impl<S: Store> Journal<S> {
    /// Goes on with a journal that has this `text`, and tells `take` what is in it. None if it is not
    /// of this version.
    pub(crate) fn recover(
        mut store: S,
        text: &[u8],
        mut take: impl FnMut(Record<'_>),
    ) -> io::Result<Option<(Self, RecoveryReport)>> {
        let (mut facts, mut of_queue) = (0, 0);
        let read = read_records(text, |record| {
            facts += 1;
            of_queue += u64::from(matches!(record, Record::Queue(_)));
            take(record);
        });
        let Some((recovered, at)) = read else {
            return Ok(None);
        };
        let bare = (facts, of_queue) == (1, 1) && recovered.damaged_lines.is_empty();
        let length = at as u64;
        if at < text.len() {
            store.truncate(length)?;
        }
        let (reserved, look) = (length, MIN_REWRITE_BYTES.max(length));
        let (adds, unwritten) = (false, Vec::new());
        Ok(Some((
            Self {
                store,
                length,
                reserved_length: reserved,
                has_new_items: adds,
                has_only_queue_record: bare,
                rewrite_check_length: look,
                unwritten,
            },
            recovered,
        )))
    }

    /// Whether nothing has been added since it was begun.
    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0 && self.unwritten.is_empty()
    }

    /// Adds a fact to what is to be written.
    pub(crate) fn append(&mut self, record: &Record<'_>) {
        if self.is_empty() {
            self.unwritten.extend_from_slice(HEADER);
        }
        self.has_only_queue_record = false;
        self.has_new_items |= matches!(record, Record::Put { .. } | Record::Items(_));
        record.write(&mut self.unwritten);
    }

    /// Writes what has been added: it survives this process, and if it is to be in `sync` with the
    /// disk, the machine.
    ///
    /// # Errors
    /// When there is no room; what stood in the file before still does, and nothing else. What adds no
    /// items has room for as long as the reserve lasts.
    pub(crate) fn commit(&mut self, sync: bool) -> io::Result<()> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let reserved = self.ensure_reserve();
        if std::mem::take(&mut self.has_new_items) {
            reserved?;
        }
        let written = self.store.append(&self.unwritten).and_then(|()| match sync {
            true => self.store.sync(),
            false => Ok(()),
        });
        if let Err(error) = written {
            self.release_reserve()?;
            return Err(error);
        }
        self.length += self.unwritten.len() as u64;
        self.unwritten.clear();
        Ok(())
    }

    /// Sees to it that there is a reserve behind what is to be written.
    fn ensure_reserve(&mut self) -> io::Result<()> {
        let end = self.length + self.unwritten.len() as u64;
        let reserve = MIN_RESERVE_BYTES + end / 8;
        if self.reserved_length < end + reserve {
            // Some more, so that this is seldom done.
            self.store.reserve(end + reserve * 2)?;
            self.reserved_length = end + reserve * 2;
        }
        Ok(())
    }

    /// Cuts the file to what has been written, and the reserve with it.
    fn release_reserve(&mut self) -> io::Result<()> {
        self.store.truncate(self.length)?;
        self.reserved_length = self.length;
        Ok(())
    }

    /// Whether it is time to look if most of the file is of the past.
    pub(crate) fn is_rewrite_check_due(&self) -> bool {
        self.length > self.rewrite_check_length
    }

    /// Whether most of the file is of the past, when `live` bytes of items are not. If not, it is not
    /// looked again before it is twice as long.
    pub(crate) fn is_mostly_obsolete(&mut self, live: u64) -> bool {
        self.rewrite_check_length = MIN_REWRITE_BYTES.max(self.length.saturating_mul(2));
        self.length > live.saturating_mul(4)
    }

    /// Whether one record of the queue itself is all that is in it.
    pub(crate) fn has_only_queue_record(&self) -> bool {
        self.has_only_queue_record
    }

    /// Removes the file.
    pub(crate) fn remove(&mut self) -> io::Result<()> {
        self.store.remove()
    }

    /// Begins anew with these facts; with `sync` they are on the disk before the old ones are gone. On a
    /// full disk the reserve makes room for them.
    pub(crate) fn rewrite<'a>(
        &mut self,
        facts: impl IntoIterator<Item = Record<'a>>,
        sync: bool,
    ) -> io::Result<()> {
        let mut text = Vec::new();
        let mut bare = true;
        for record in facts {
            bare &= text.is_empty() && matches!(record, Record::Queue(_));
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
        self.has_only_queue_record = bare;
        self.rewrite_check_length = MIN_REWRITE_BYTES.max(self.length.saturating_mul(2));
        self.unwritten.clear();
        Ok(())
    }
}

/// What is in a journal, and where its last whole record ends; none if it is not of this version. One
/// that has another head, and a record of this version behind it, is ours with a damaged head: a later
/// version must not write records that this one takes for its own.
fn read_records(text: &[u8], mut take: impl FnMut(Record<'_>)) -> Option<(RecoveryReport, usize)> {
    let mut recovered = RecoveryReport::default();
    let mut at = HEADER.len().min(text.len());
    if !text.starts_with(HEADER) {
        if HEADER.starts_with(text) {
            at = 0;
        } else if has_record(&text[at..]) {
            recovered.damaged_lines.push(1);
        } else {
            return None;
        }
    }
    loop {
        match read_first(&text[at..]) {
            ReadOutcome::Record(record, length) => {
                take(record);
                at += length;
            }
            ReadOutcome::Damaged(length) => {
                let line = memchr::memchr_iter(b'\n', &text[..at]).count() as u64;
                recovered.damaged_lines.push(line + 2);
                at += length;
            }
            ReadOutcome::Torn | ReadOutcome::End => return Some((recovered, at)),
        }
    }
}

fn has_record(mut text: &[u8]) -> bool {
    loop {
        match read_first(text) {
            ReadOutcome::Record(..) => return true,
            ReadOutcome::Damaged(length) => text = &text[length..],
            ReadOutcome::Torn | ReadOutcome::End => return false,
        }
    }
}
