//! The files of a queue, as far as they are written: the journal, and the memory beside it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::pipe::{QueueDir, explain, open_own, remove_if_there};

/// Where a journal and a memory are written to.
pub(crate) trait Store {
    /// Adds to the journal. When that fails, some of it may stand there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the journal back to so many bytes.
    fn cut(&mut self, length: u64) -> io::Result<()>;
    /// All that has been written is on the disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Puts another journal in the place of this one, or leaves this one as it is.
    fn replace(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Puts another memory in the place of the one that there is; none for none. With `sync` it is on
    /// the disk.
    fn remember(&mut self, memory: Option<&[u8]>, sync: bool) -> io::Result<()>;
    /// Removes the journal, if nothing is in it.
    fn remove(&mut self) -> io::Result<()>;
}

/// Files in a queue's directory.
#[derive(Debug)]
pub(crate) struct Files {
    journal: PathBuf,
    memory: PathBuf,
    /// Under which names these are written anew.
    hidden: [PathBuf; 2],
    dir: PathBuf,
    file: File,
    /// The directory's entry of the journal is on the disk.
    entered: bool,
}

/// The names of the files.
const JOURNAL: &str = "journal";
const MEMORY: &str = "memory.json";

impl Files {
    /// Opens the journal in this directory, which is made if need be, and gives what is in it.
    pub(crate) fn open(dir: &QueueDir) -> io::Result<(Self, Vec<u8>)> {
        let journal = dir.join(JOURNAL);
        let mut file = open(&journal)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let memory = dir.join(MEMORY);
        let hidden = [JOURNAL, MEMORY].map(|name| dir.hidden(name));
        let dir = dir.path().to_owned();
        Ok((Self { journal, memory, hidden, dir, file, entered: false }, text))
    }

    /// What is in the journal in this directory; nothing if there is none.
    pub(crate) fn journal_in(dir: &QueueDir) -> io::Result<Vec<u8>> {
        read(&dir.join(JOURNAL)).map(Option::unwrap_or_default)
    }

    /// What is remembered in this directory.
    pub(crate) fn memory_in(dir: &QueueDir) -> io::Result<Option<Vec<u8>>> {
        read(&dir.join(MEMORY))
    }

    /// Where a journal in this directory is.
    pub(crate) fn journal_path(dir: &QueueDir) -> PathBuf {
        dir.join(JOURNAL)
    }

    /// Where a memory in this directory is.
    pub(crate) fn memory_path(dir: &QueueDir) -> PathBuf {
        dir.join(MEMORY)
    }
}

impl Store for Files {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).map_err(explain)
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        // `fdatasync`; on macOS the standard library has the drive flushed too.
        self.file.sync_data().map_err(explain)?;
        if !self.entered {
            File::open(&self.dir)?.sync_all()?;
            self.entered = true;
        }
        Ok(())
    }

    fn replace(&mut self, bytes: &[u8]) -> io::Result<()> {
        let [hidden, _] = &self.hidden;
        self.file = write_anew(hidden, &self.journal, bytes, true)?;
        self.entered = false;
        Ok(())
    }

    fn remember(&mut self, memory: Option<&[u8]>, sync: bool) -> io::Result<()> {
        let [_, hidden] = &self.hidden;
        let Some(bytes) = memory else {
            return remove_if_there(&self.memory);
        };
        write_anew(hidden, &self.memory, bytes, sync)?;
        match sync {
            true => File::open(&self.dir)?.sync_all(),
            false => Ok(()),
        }
    }

    fn remove(&mut self) -> io::Result<()> {
        fs::remove_file(&self.journal)
    }
}

/// Writes a file under a name that nobody looks at, and gives it its own when it is whole.
fn write_anew(hidden: &Path, path: &Path, bytes: &[u8], sync: bool) -> io::Result<File> {
    let mut file = open(hidden)?;
    let written = file.set_len(0).and_then(|()| {
        file.write_all(bytes)?;
        if sync {
            file.sync_all()?;
        }
        fs::rename(hidden, path)
    });
    if let Err(error) = written {
        let _ = fs::remove_file(hidden);
        return Err(error);
    }
    Ok(file)
}

/// None if there is no such file.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut text = Vec::new();
    match open_own(path, OpenOptions::new().read(true)) {
        Ok(mut file) => file.read_to_end(&mut text).map(|_| Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn open(path: &Path) -> io::Result<File> {
    open_own(path, OpenOptions::new().read(true).append(true).create(true))
}
