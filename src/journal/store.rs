//! The file of a queue's journal: append, truncate, replace. This file knows no record.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::os::{none_if_not_found, open_private_file, remove_file_if_exists, with_remedy};
use crate::pipe::{JOURNAL, QueueDir, sync_dir_entries};

/// The storage of a journal.
pub(crate) trait Store {
    /// Appends to the journal. A failed call may have appended a part of the bytes.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the journal to `length` bytes.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    /// Reserves disk space so that the journal can grow to `length` bytes on a full disk. The journal keeps its
    /// length; [`Store::truncate`] frees the space. On a file system without reservations the call does
    /// nothing.
    fn reserve(&mut self, length: u64) -> io::Result<()>;
    /// Writes all appended bytes to the disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Replaces the journal, or fails and keeps the old journal. With `sync` the new journal is on the disk
    /// before it replaces the old one.
    fn replace(&mut self, bytes: &[u8], sync: bool) -> io::Result<()>;
    /// Removes the journal.
    fn remove(&mut self) -> io::Result<()>;
}

/// Stores the journal in a queue's directory.
#[derive(Debug)]
pub(crate) struct FileStore {
    dir: QueueDir,
    file: File,
    /// The journal's directory entry is on the disk.
    is_entry_synced: bool,
    /// The directory's own entry is on the disk, and the entries of its new parents.
    is_dir_synced: bool,
}

impl FileStore {
    /// Opens or creates the journal in this directory, and returns its contents.
    pub(crate) fn open(dir: &QueueDir) -> io::Result<(Self, Vec<u8>)> {
        let mut file = open_for_append(&dir.join(JOURNAL))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let dir = dir.clone();
        Ok((Self { dir, file, is_entry_synced: false, is_dir_synced: false }, text))
    }

    /// Whether this directory contains a journal.
    pub(crate) fn has_journal(dir: &QueueDir) -> io::Result<bool> {
        Ok(none_if_not_found(fs::symlink_metadata(dir.join(JOURNAL)))?.is_some())
    }

    /// Removes the journal in this directory if the journal is empty.
    pub(crate) fn remove_empty(dir: &QueueDir) -> io::Result<()> {
        let path = dir.join(JOURNAL);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() && metadata.len() == 0 => {
                remove_file_if_exists(&path)
            }
            _ => Ok(()),
        }
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
        let added = length.saturating_sub(from);
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, from, added.max(1)) {
            Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => {
                Err(with_remedy(error.into()))
            }
            // Without reservations the journal still works while the disk has room.
            _ => Ok(()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn reserve(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        // `fdatasync`; on macOS the standard library also flushes the drive.
        self.file.sync_data().map_err(with_remedy)?;
        if !self.is_entry_synced {
            File::open(self.dir.path())?.sync_all()?;
            self.is_entry_synced = true;
        }
        if !self.is_dir_synced {
            sync_dir_entries(self.dir.path())?;
            self.is_dir_synced = true;
        }
        Ok(())
    }

    fn replace(&mut self, bytes: &[u8], sync: bool) -> io::Result<()> {
        // The path of the new journal until it replaces the old one.
        let temp_path = self.dir.temp_path(JOURNAL);
        let mut file = open_for_append(&temp_path).map_err(with_remedy)?;
        let mut replace = || {
            file.set_len(0)?;
            file.write_all(bytes)?;
            if sync {
                file.sync_all()?;
            }
            fs::rename(&temp_path, self.dir.join(JOURNAL))
        };
        if let Err(error) = replace() {
            let _ = fs::remove_file(&temp_path);
            return Err(with_remedy(error));
        }
        self.file = file;
        self.is_entry_synced = false;
        Ok(())
    }

    fn remove(&mut self) -> io::Result<()> {
        remove_file_if_exists(&self.dir.join(JOURNAL))
    }
}

/// The contents of this private file. None if the file is missing.
pub(crate) fn read_if_exists(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let opened = open_private_file(path, OpenOptions::new().read(true));
    let Some(mut file) = none_if_not_found(opened)? else {
        return Ok(None);
    };
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(Some(text))
}

fn open_for_append(path: &Path) -> io::Result<File> {
    open_private_file(path, OpenOptions::new().read(true).append(true).create(true))
}
