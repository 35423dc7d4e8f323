//! The file of a queue's journal: append, truncate, replace. This file knows no record.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Read, Write};
use std::path::Path;

use crate::os::{none_if_not_found, open_private_file, remove_file_if_exists, with_remedy};
use crate::pipe::{JOURNAL, QueueDir, sync_dir_entries};

/// The kernel takes at most this many slices with one write (`IOV_MAX`).
const MAX_SLICES: usize = 1024;

/// The storage of a journal.
pub(crate) trait Store {
    /// Appends the slices to the journal, in their order. A failed call may have appended a part of the bytes.
    fn append(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()>;
    /// Cuts the journal to `length` bytes.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    /// Reserves disk space so that the journal can grow to `length` bytes on a full disk. The journal keeps its
    /// length; [`Store::truncate`] frees the space. On a file system without reservations the call does
    /// nothing.
    fn reserve(&mut self, length: u64) -> io::Result<()>;
    /// Writes all appended bytes to the disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Replaces the journal by the slices, or fails and keeps the old journal. With `sync` the new journal is on the disk
    /// before it replaces the old one.
    fn replace(&mut self, slices: &[IoSlice<'_>], sync: bool) -> io::Result<()>;
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
    fn append(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        write_slices(&mut self.file, slices).map_err(with_remedy)
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

    fn replace(&mut self, slices: &[IoSlice<'_>], sync: bool) -> io::Result<()> {
        // The path of the new journal until it replaces the old one.
        let temp_path = self.dir.temp_path(JOURNAL);
        let mut file = open_for_append(&temp_path).map_err(with_remedy)?;
        let mut replace = || {
            file.set_len(0)?;
            write_slices(&mut file, slices)?;
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

/// Writes all bytes of the slices.
fn write_slices(file: &mut impl Write, slices: &[IoSlice<'_>]) -> io::Result<()> {
    if let [one] = slices {
        return file.write_all(one);
    }
    let mut all = slices.to_vec();
    let mut unwritten = &mut all[..];
    // Removes empty slices at the beginning: a write of no bytes would count as a failure.
    IoSlice::advance_slices(&mut unwritten, 0);
    while !unwritten.is_empty() {
        let count = unwritten.len().min(MAX_SLICES);
        match file.write_vectored(&unwritten[..count]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut unwritten, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The bytes of the slices, for stores in memory.
#[cfg(test)]
pub(crate) fn concat(slices: &[IoSlice<'_>]) -> Vec<u8> {
    slices.iter().flat_map(|slice| slice.iter().copied()).collect()
}

fn open_for_append(path: &Path) -> io::Result<File> {
    open_private_file(path, OpenOptions::new().read(true).append(true).create(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes at most `max_bytes` bytes with one write, and fails now and then.
    struct SlowFile {
        taken: Vec<u8>,
        max_bytes: usize,
        writes: usize,
        fails_at: Option<usize>,
    }

    impl Write for SlowFile {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.write_vectored(&[IoSlice::new(bytes)])
        }

        fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            assert!(slices.len() <= 1024, "{} slices", slices.len());
            self.writes += 1;
            if self.writes.is_multiple_of(3) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if self.fails_at.is_some_and(|length| self.taken.len() >= length) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let bytes = concat(slices);
            let length = bytes.len().min(self.max_bytes);
            self.taken.extend_from_slice(&bytes[..length]);
            Ok(length)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn write(lines: &[Vec<u8>], max_bytes: usize, fails_at: Option<usize>) -> (Vec<u8>, bool) {
        let mut file = SlowFile { taken: Vec::new(), max_bytes, writes: 0, fails_at };
        let slices: Vec<_> = lines.iter().map(|line| IoSlice::new(line)).collect();
        let is_written = write_slices(&mut file, &slices).is_ok();
        (file.taken, is_written)
    }

    #[test]
    fn all_slices_are_written_however_few_bytes_a_write_takes() {
        let lines: Vec<_> = (0..2500_usize).map(|n| vec![n as u8; n % 7]).collect();
        for max_bytes in [1, 2, 5, 1000, usize::MAX] {
            assert_eq!(write(&lines, max_bytes, None), (lines.concat(), true), "{max_bytes}");
            let (taken, is_written) = write(&lines, max_bytes, Some(100));
            assert!(!is_written && taken.len() >= 100 && lines.concat().starts_with(&taken));
        }
        assert_eq!(write(&[], 1, None), (Vec::new(), true));
        assert_eq!(write(&[vec![], vec![]], 1, None), (Vec::new(), true));
        assert_eq!(write(&lines[..1], 1, None), (Vec::new(), true));
        assert_eq!(write(&lines[5..6], 2, None), (lines[5].clone(), true));
        assert_eq!(write(&lines[5..6], 0, None), (Vec::new(), false));
    }
}
