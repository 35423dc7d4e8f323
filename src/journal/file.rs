//! The file: appended to, recovered, rewritten when most of it is of the past.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use rustix::fs::fsync;

use super::Fact;
use super::record::{Found, find};
use crate::pipe::{QueueDir, explain, open_own};

const NAME: &str = "journal";
/// What the file begins with.
const HEADER: &[u8] = b"qdemo-journal 1\n";
/// A smaller file is not rewritten.
const SMALL: u64 = 1 << 20;

/// A queue's journal.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    /// Under which name it is written anew.
    hidden: PathBuf,
    file: File,
    /// How long the file is; it ends with a whole record.
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

impl Journal {
    /// Tells `take` what is in the journal in this directory, if there is one, and leaves it alone.
    pub(crate) fn read(
        dir: &QueueDir,
        take: impl FnMut(Fact<'_>),
    ) -> Result<Recovered, JournalError> {
        let path = dir.join(NAME);
        match text_of(&path) {
            Ok(text) => read(&text, path, take).map(|(recovered, _)| recovered),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Recovered::default()),
            Err(error) => Err(JournalError::Io { path, error }),
        }
    }

    /// Opens the journal in this directory, and tells `take` what is in it. A record that was not
    /// written to its end is cut off.
    pub(crate) fn open(
        dir: &QueueDir,
        take: impl FnMut(Fact<'_>),
    ) -> Result<(Self, Recovered), JournalError> {
        let path = dir.join(NAME);
        let failed = |error| JournalError::Io { path: path.clone(), error };
        let mut file = open(&path).map_err(failed)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed)?;
        let (recovered, at) = read(&text, path.clone(), take)?;
        file.set_len(at as u64).map_err(failed)?;
        let hidden = dir.hidden(NAME);
        let length = at as u64;
        let look = SMALL.max(length);
        let unwritten = Vec::new();
        Ok((Self { path, hidden, file, length, look, unwritten }, recovered))
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

    /// Writes what has been added: it survives this process.
    ///
    /// # Errors
    /// When there is no room; what stood in the file before still does, and nothing else.
    pub(crate) fn commit(&mut self) -> io::Result<()> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.file.write_all(&self.unwritten) {
            self.file.set_len(self.length)?;
            return Err(explain(error));
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
            return fs::remove_file(&self.path);
        }
        self.file.set_len(0)?;
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
        let mut file = open(&self.hidden)?;
        let replaced = file.set_len(0).and_then(|()| {
            file.write_all(&text)?;
            fsync(&file)?;
            fs::rename(&self.hidden, &self.path)
        });
        if let Err(error) = replaced {
            let _ = fs::remove_file(&self.hidden);
            return Err(error);
        }
        self.file = file;
        self.length = text.len() as u64;
        self.look = SMALL.max(self.length.saturating_mul(2));
        self.unwritten.clear();
        Ok(())
    }
}

/// What is in a journal, and where its last whole record ends.
fn read(
    text: &[u8],
    path: PathBuf,
    mut take: impl FnMut(Fact<'_>),
) -> Result<(Recovered, usize), JournalError> {
    let mut recovered = Recovered::default();
    let mut at = 0;
    if text.starts_with(HEADER) {
        at = HEADER.len();
    } else if !HEADER.starts_with(text) {
        return Err(JournalError::Version(path));
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
            Found::Torn | Found::End => return Ok((recovered, at)),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    open_own(path, OpenOptions::new().read(true).append(true).create(true))
}

fn text_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    open_own(path, OpenOptions::new().read(true))?.read_to_end(&mut text)?;
    Ok(text)
}
