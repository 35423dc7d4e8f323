//! The file of a queue's journal, as far as it is written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use crate::os::{open_private_file, with_remedy};
use crate::pipe::{QueueDir, remove_file_if_exists, sync_dir_entries};

/// Where a journal is written to.
pub(crate) trait Store {
    /// Adds to the journal. When that fails, some of it may stand there.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the journal back to so many bytes.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    /// Makes sure that the journal can grow to so many bytes, even if the disk is full by then. Its
    /// length stays as it is; [`Store::cut`] gives the room back. Where the file system cannot do that,
    /// nothing happens.
    fn reserve(&mut self, length: u64) -> io::Result<()>;
    /// All that has been written is on the disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Puts another journal in the place of this one, or leaves this one as it is. With `sync` the other
    /// one is on the disk before it takes the place.
    fn replace(&mut self, bytes: &[u8], sync: bool) -> io::Result<()>;
    /// Removes the journal.
    fn remove(&mut self) -> io::Result<()>;
}

/// Files in a queue's directory.
#[derive(Debug)]
pub(crate) struct FileStore {
    journal_path: PathBuf,
    /// Under which name it is written anew.
    temp_path: PathBuf,
    dir_path: PathBuf,
    file: File,
    /// The directory's entry of the journal is on the disk.
    is_entry_synced: bool,
    /// So is that of the directory, and what was made with it.
    is_dir_synced: bool,
}

/// The name of the file.
const JOURNAL_NAME: &str = "journal";
/// A file of earlier versions, which had in it what a `queue` record of the journal tells today.
const LEGACY_STATE_NAME: &str = "memory.json";

impl FileStore {
    /// Opens the journal in this directory, which is made if need be, and gives what is in it.
    pub(crate) fn open(dir: &QueueDir) -> io::Result<(Self, Vec<u8>)> {
        let journal = dir.join(JOURNAL_NAME);
        let mut file = open_for_append(&journal)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let hidden = dir.temp_path(JOURNAL_NAME);
        let dir = dir.path().to_owned();
        Ok((
            Self {
                journal_path: journal,
                temp_path: hidden,
                dir_path: dir,
                file,
                is_entry_synced: false,
                is_dir_synced: false,
            },
            text,
        ))
    }

    /// What is in the journal in this directory; nothing if there is none.
    pub(crate) fn read_journal(dir: &QueueDir) -> io::Result<Vec<u8>> {
        read_if_exists(&dir.join(JOURNAL_NAME)).map(Option::unwrap_or_default)
    }

    /// What an earlier version has left beside the journal in this directory.
    pub(crate) fn read_legacy_state(dir: &QueueDir) -> io::Result<Option<Vec<u8>>> {
        read_if_exists(&dir.join(LEGACY_STATE_NAME))
    }

    /// Removes that, once the journal has it.
    pub(crate) fn remove_legacy_state(dir: &QueueDir) -> io::Result<()> {
        remove_file_if_exists(&dir.join(LEGACY_STATE_NAME))
    }

    /// Whether there is a journal in this directory.
    pub(crate) fn has_journal(dir: &QueueDir) -> io::Result<bool> {
        match fs::symlink_metadata(dir.join(JOURNAL_NAME)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            other => other.map(|_| true),
        }
    }

    /// Removes the journal in this directory, if nothing is in it.
    pub(crate) fn remove_empty(dir: &QueueDir) -> io::Result<()> {
        match fs::symlink_metadata(dir.join(JOURNAL_NAME)) {
            Ok(is) if is.is_file() && is.len() == 0 => {
                remove_file_if_exists(&dir.join(JOURNAL_NAME))
            }
            _ => Ok(()),
        }
    }

    /// Where a journal in this directory is.
    pub(crate) fn journal_path(dir: &QueueDir) -> PathBuf {
        dir.join(JOURNAL_NAME)
    }

    /// Where that is.
    pub(crate) fn legacy_state_path(dir: &QueueDir) -> PathBuf {
        dir.join(LEGACY_STATE_NAME)
    }
}

impl Store for FileStore {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).map_err(with_remedy)
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    #[cfg(target_os = "linux")]
    fn reserve(&mut self, length: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        let from = self.file.metadata()?.len();
        let more = length.saturating_sub(from);
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, from, more.max(1)) {
            Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => {
                Err(with_remedy(error.into()))
            }
            // A file system that cannot do this is as good as any while there is room.
            _ => Ok(()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn reserve(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        // `fdatasync`; on macOS the standard library has the drive flushed too.
        self.file.sync_data().map_err(with_remedy)?;
        if !self.is_entry_synced {
            File::open(&self.dir_path)?.sync_all()?;
            self.is_entry_synced = true;
        }
        if !self.is_dir_synced {
            sync_dir_entries(&self.dir_path)?;
            self.is_dir_synced = true;
        }
        Ok(())
    }

    fn replace(&mut self, bytes: &[u8], sync: bool) -> io::Result<()> {
        self.file =
            replace_file(&self.temp_path, &self.journal_path, bytes, sync).map_err(with_remedy)?;
        self.is_entry_synced = false;
        Ok(())
    }

    fn remove(&mut self) -> io::Result<()> {
        remove_file_if_exists(&self.journal_path)
    }
}

/// Writes a file under a name that nobody looks at, and gives it its own when it is whole.
fn replace_file(hidden: &Path, path: &Path, bytes: &[u8], sync: bool) -> io::Result<File> {
    let mut file = open_for_append(hidden)?;
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
fn read_if_exists(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut text = Vec::new();
    match open_private_file(path, OpenOptions::new().read(true)) {
        Ok(mut file) => file.read_to_end(&mut text).map(|_| Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn open_for_append(path: &Path) -> io::Result<File> {
    open_private_file(path, OpenOptions::new().read(true).append(true).create(true))
}
