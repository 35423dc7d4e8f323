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

/// A queue's journal.
#[derive(Debug)]
pub(crate) struct Journal<S> {
    store: S,
    /// How long it is; it ends with a whole record.
    length: u64,
    /// It is looked whether most of it is of the past when it is as long as this.
    look: u64,
    /// What is to be written.
    unwritten: Vec<u8>,
}

/// What was found in a journal.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Recovered {
    /// Where records were damaged: the line, from 1.
    pub(crate) damaged: Vec<u64>,
}

/// Why a journal is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// Not ours, or from the future.
    #[error("{0} is not a journal of this version of qdemo: use the one that wrote it")]
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
        take: impl FnMut(Fact<'_>),
    ) -> io::Result<Option<(Self, Recovered)>> {
        let Some((recovered, at)) = read(text, take) else {
            return Ok(None);
        };
        let length = at as u64;
        if at < text.len() {
            store.cut(length)?;
        }
        let look = SMALL.max(length);
        Ok(Some((Self { store, length, look, unwritten: Vec::new() }, recovered)))
    }

    /// Where it is written.
    pub(crate) fn store(&mut self) -> &mut S {
        &mut self.store
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
        fact.write(&mut self.unwritten);
    }

    /// Writes what has been added: it survives this process, and if it is to be in `sync` with the
    /// disk, the machine.
    ///
    /// # Errors
    /// When there is no room; what stood in the file before still does, and nothing else.
    pub(crate) fn commit(&mut self, sync: bool) -> io::Result<()> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let written = self.store.append(&self.unwritten).and_then(|()| match sync {
            true => self.store.sync(),
            false => Ok(()),
        });
        if let Err(error) = written {
            self.store.cut(self.length)?;
            return Err(error);
        }
        self.length += self.unwritten.len() as u64;
        self.unwritten.clear();
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

    /// Forgets everything: an empty file stays, or, if that is to be `gone`, none.
    pub(crate) fn clear(&mut self, gone: bool) -> io::Result<()> {
        if gone {
            return self.store.remove();
        }
        self.store.cut(0)?;
        self.length = 0;
        self.unwritten.clear();
        Ok(())
    }

    /// Begins anew with these facts.
    pub(crate) fn rewrite<'a>(
        &mut self,
        facts: impl IntoIterator<Item = Fact<'a>>,
    ) -> io::Result<()> {
        let mut text = Vec::new();
        for fact in facts {
            if text.is_empty() {
                text.extend_from_slice(HEADER);
            }
            fact.write(&mut text);
        }
        self.store.replace(&text)?;
        self.length = text.len() as u64;
        self.look = SMALL.max(self.length.saturating_mul(2));
        self.unwritten.clear();
        Ok(())
    }
}

/// What is in a journal, and where its last whole record ends; none if it is not of this version.
fn read(text: &[u8], mut take: impl FnMut(Fact<'_>)) -> Option<(Recovered, usize)> {
    let mut recovered = Recovered::default();
    let mut at = 0;
    if text.starts_with(HEADER) {
        at = HEADER.len();
    } else if !HEADER.starts_with(text) {
        return None;
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
