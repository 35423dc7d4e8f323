//! The journal: appended to, recovered, rewritten when most of it is of the past.

use std::io;
use std::path::PathBuf;

use super::record::{Found, find};
use super::{Fact, Files, Store};
use crate::pipe::QueueDir;

/// What the file begins with.
const HEADER: &[u8] = b"qdemo-journal 1\n";
/// A smaller file is not rewritten. (The simulation is to see it done.)
const SMALL: u64 = if cfg!(test) { 1 << 11 } else { 1 << 20 };
/// So many bytes are kept in reserve behind the end of the journal, and an eighth of its length. Records
/// that add items leave the reserve alone, so on a full disk there is room for those that take items
/// away. (The simulation is to see it used up.)
const RESERVE: u64 = if cfg!(test) { 1 << 9 } else { 1 << 16 };

/// A queue's journal.
#[derive(Debug)]
pub(crate) struct Journal<S> {
    store: S,
    /// How long it is; it ends with a whole record.
    length: u64,
    /// How long it can become in any case.
    reserved: u64,
    /// What is to be written adds items to the queue.
    adds: bool,
    /// There is nothing in it but one record of the queue itself.
    bare: bool,
    /// It is looked whether most of it is of the past when it is as long as this.
    look: u64,
    /// What is to be written.
    unwritten: Vec<u8>,
}

/// What was found in a journal.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// Where records, or the head, were damaged: the line, from 1.
    pub(crate) damaged: Vec<u64>,
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

impl Journal<Files> {
    /// Tells `take` what is in the journal in this directory, if there is one, and leaves it alone.
    pub(crate) fn read(
        dir: &QueueDir,
        take: impl FnMut(Fact<'_>),
    ) -> Result<Recovered, JournalError> {
        let path = Files::journal_path(dir);
        match Files::journal_in(dir) {
            Ok(text) => match read(&text, take) {
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
        take: impl FnMut(Fact<'_>),
    ) -> Result<(Self, Recovered), JournalError> {
        let failed = |error| JournalError::Io { path: Files::journal_path(dir), error };
        let (files, text) = Files::open(dir).map_err(failed)?;
        let recovered = Self::recover(files, &text, take).map_err(failed)?;
        recovered.ok_or_else(|| JournalError::Version(Files::journal_path(dir)))
    }
}

impl<S: Store> Journal<S> {
    /// Goes on with a journal that has this `text`, and tells `take` what is in it. None if it is not
    /// of this version.
    pub(crate) fn recover(
        mut store: S,
        text: &[u8],
        mut take: impl FnMut(Fact<'_>),
    ) -> io::Result<Option<(Self, Recovered)>> {
        let (mut facts, mut of_queue) = (0, 0);
        let read = read(text, |fact| {
            facts += 1;
            of_queue += u64::from(matches!(fact, Fact::Queue(_)));
            take(fact);
        });
        let Some((recovered, at)) = read else {
            return Ok(None);
        };
        let bare = (facts, of_queue) == (1, 1) && recovered.damaged.is_empty();
        let length = at as u64;
        if at < text.len() {
            store.cut(length)?;
        }
        let (reserved, look) = (length, SMALL.max(length));
        let (adds, unwritten) = (false, Vec::new());
        Ok(Some((Self { store, length, reserved, adds, bare, look, unwritten }, recovered)))
    }

    /// Whether nothing has been added since it was begun.
    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0 && self.unwritten.is_empty()
    }

    /// Adds a fact to what is to be written.
    pub(crate) fn add(&mut self, fact: &Fact<'_>) {
        if self.is_empty() {
            self.unwritten.extend_from_slice(HEADER);
        }
        self.bare = false;
        self.adds |= matches!(fact, Fact::Put { .. } | Fact::Items(_));
        fact.write(&mut self.unwritten);
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
        let reserved = self.reserve();
        if std::mem::take(&mut self.adds) {
            reserved?;
        }
        let written = self.store.append(&self.unwritten).and_then(|()| match sync {
            true => self.store.sync(),
            false => Ok(()),
        });
        if let Err(error) = written {
            self.give_back_the_reserve()?;
            return Err(error);
        }
        self.length += self.unwritten.len() as u64;
        self.unwritten.clear();
        Ok(())
    }

    /// Sees to it that there is a reserve behind what is to be written.
    fn reserve(&mut self) -> io::Result<()> {
        let end = self.length + self.unwritten.len() as u64;
        let reserve = RESERVE + end / 8;
        if self.reserved < end + reserve {
            // Some more, so that this is seldom done.
            self.store.reserve(end + reserve * 2)?;
            self.reserved = end + reserve * 2;
        }
        Ok(())
    }

    /// Cuts the file to what has been written, and the reserve with it.
    fn give_back_the_reserve(&mut self) -> io::Result<()> {
        self.store.cut(self.length)?;
        self.reserved = self.length;
        Ok(())
    }

    /// Whether it is time to look if most of the file is of the past.
    pub(crate) fn is_long(&self) -> bool {
        self.length > self.look
    }

    /// Whether most of the file is of the past, when `live` bytes of items are not. If not, it is not
    /// looked again before it is twice as long.
    pub(crate) fn is_mostly_past(&mut self, live: u64) -> bool {
        self.look = SMALL.max(self.length.saturating_mul(2));
        self.length > live.saturating_mul(4)
    }

    /// Whether one record of the queue itself is all that is in it.
    pub(crate) fn is_bare(&self) -> bool {
        self.bare
    }

    /// Removes the file.
    pub(crate) fn remove(&mut self) -> io::Result<()> {
        self.store.remove()
    }

    /// Begins anew with these facts; with `sync` they are on the disk before the old ones are gone. On a
    /// full disk the reserve makes room for them.
    pub(crate) fn rewrite<'a>(
        &mut self,
        facts: impl IntoIterator<Item = Fact<'a>>,
        sync: bool,
    ) -> io::Result<()> {
        let mut text = Vec::new();
        let mut bare = true;
        for fact in facts {
            bare &= text.is_empty() && matches!(fact, Fact::Queue(_));
            if text.is_empty() {
                text.extend_from_slice(HEADER);
            }
            fact.write(&mut text);
        }
        if self.store.replace(&text, sync).is_err() {
            self.give_back_the_reserve()?;
            self.store.replace(&text, sync)?;
        }
        self.length = text.len() as u64;
        self.reserved = self.length;
        self.adds = false;
        self.bare = bare;
        self.look = SMALL.max(self.length.saturating_mul(2));
        self.unwritten.clear();
        Ok(())
    }
}

/// What is in a journal, and where its last whole record ends; none if it is not of this version. One
/// that has another head, and a record of this version behind it, is ours with a damaged head: a later
/// version must not write records that this one takes for its own.
fn read(text: &[u8], mut take: impl FnMut(Fact<'_>)) -> Option<(Recovered, usize)> {
    let mut recovered = Recovered::default();
    let mut at = HEADER.len().min(text.len());
    if !text.starts_with(HEADER) {
        if HEADER.starts_with(text) {
            at = 0;
        } else if has_a_record(&text[at..]) {
            recovered.damaged.push(1);
        } else {
            return None;
        }
    }
    loop {
        match find(&text[at..]) {
            Found::Fact(fact, length) => {
                take(fact);
                at += length;
            }
            Found::Damaged(length) => {
                let line = memchr::memchr_iter(b'\n', &text[..at]).count() as u64;
                recovered.damaged.push(line + 2);
                at += length;
            }
            Found::Torn | Found::End => return Some((recovered, at)),
        }
    }
}

fn has_a_record(mut text: &[u8]) -> bool {
    loop {
        match find(text) {
            Found::Fact(..) => return true,
            Found::Damaged(length) => text = &text[length..],
            Found::Torn | Found::End => return false,
        }
    }
}
