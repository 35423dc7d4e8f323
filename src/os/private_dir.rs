//! A directory that belongs to one process for the process's lifetime, inside a directory that other processes
//! and other users write to as well: `TMPDIR`.
//!
//! The process holds the directory's lock until the directory is gone, so an unlocked directory is stale: a
//! killed process has left it. Process numbers would not show staleness, since a container has numbers of
//! its own. Between `mkdir` and the lock another process may take the new directory for a stale one, and
//! remove it. The owner notices the removal after locking, and creates another directory.

use std::ffi::CString;
use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat, unlinkat};
use rustix::process::geteuid;

use super::lenient::lock;
use super::private_file::{DIR_MODE, is_accessible_to_others, is_same_file, none_if_not_found};
use crate::catalogue::message;

/// Other processes may remove a new directory this many times before creation fails.
const MAX_CREATE_TRIES: usize = 100;
/// The length of a name's random part in hexadecimal digits.
const RANDOM_DIGITS: usize = 16;
/// The maximum depth of a stale directory.
const MAX_DEPTH: usize = 4;

/// A locked directory for the user alone.
#[derive(Debug)]
pub(crate) struct PrivateDir {
    parent: PathBuf,
    prefix: &'static str,
    is_expected: FileFilter,
    current: Mutex<LockedDir>,
}

#[derive(Debug)]
struct LockedDir {
    path: PathBuf,
    dir: File,
}

/// Whether a file of this name and type may be in a stale directory.
pub(crate) type FileFilter = fn(&str, FileType) -> bool;

impl PrivateDir {
    /// Removes stale directories from `parent`, and creates a directory there, named `prefix` and random
    /// digits, for files that are `is_expected`.
    pub(crate) fn create(
        parent: &Path,
        prefix: &'static str,
        is_expected: FileFilter,
    ) -> io::Result<Self> {
        let parent = std::path::absolute(parent)?;
        remove_stale_dirs(&parent, prefix, is_expected);
        let current = Mutex::new(LockedDir::new(&parent, prefix)?);
        Ok(Self { parent, prefix, is_expected, current })
    }

    pub(crate) fn path(&self) -> PathBuf {
        lock(&self.current).path.clone()
    }

    /// Creates another directory if this one is gone.
    pub(crate) fn recreate_if_gone(&self) -> io::Result<()> {
        let mut current = lock(&self.current);
        if !is_same_file(&current.dir, &current.path)? {
            *current = LockedDir::new(&self.parent, self.prefix)?;
        }
        Ok(())
    }

    /// Removes the directory and its contents. A missing directory is no error.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let current = lock(&self.current);
        remove_dir(&current.dir, &current.path)?;
        // If a cleaner removed the directory, a child may have created another one at the path.
        let _ = remove_stale_dir(&current.path, self.is_expected);
        Ok(())
    }
}

impl LockedDir {
    fn new(parent: &Path, prefix: &str) -> io::Result<Self> {
        for _ in 0..MAX_CREATE_TRIES {
            let random = getrandom::u64().map_err(io::Error::other)?;
            let path = parent.join(format!("{prefix}{random:0RANDOM_DIGITS$x}"));
            DirBuilder::new().mode(DIR_MODE).create(&path)?;
            let locked = lock_new(&path).inspect_err(|_| {
                // The directory is still empty.
                let _ = fs::remove_dir(&path);
            });
            if let Some(dir) = locked? {
                return Ok(Self { path, dir });
            }
        }
        Err(io::Error::other(message!("os-new-directory-removed")))
    }
}

/// Locks a new directory. None if another process has locked or removed the directory.
fn lock_new(path: &Path) -> io::Result<Option<File>> {
    let Some(dir) = none_if_not_found(open_dir(CWD, path))? else {
        return Ok(None);
    };
    if dir.metadata()?.uid() != geteuid().as_raw() {
        // Another user has put a directory at this path.
        return Ok(None);
    }
    // The umask may have removed permissions. Changing the mode by path would follow a foreign link.
    dir.set_permissions(Permissions::from_mode(DIR_MODE))?;
    match dir.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
        Ok(()) => Ok(is_same_file(&dir, path)?.then_some(dir)),
    }
}

/// Removes the stale directories in `parent` whose files are all expected. An error leaves a directory where it
/// is: stale directories of other processes are no reason to fail.
fn remove_stale_dirs(parent: &Path, prefix: &str, is_expected: FileFilter) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let random = name.to_str().and_then(|name| name.strip_prefix(prefix));
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if random
            .is_some_and(|random| random.len() == RANDOM_DIGITS && random.bytes().all(is_digit))
        {
            let _ = remove_stale_dir(&entry.path(), is_expected);
        }
    }
}

fn remove_stale_dir(path: &Path, is_expected: FileFilter) -> io::Result<()> {
    let dir = open_dir(CWD, path)?;
    let metadata = dir.metadata()?;
    let is_private = metadata.uid() == geteuid().as_raw() && !is_accessible_to_others(&metadata);
    if !is_private || dir.try_lock().is_err() || !has_only_expected(&dir, is_expected, MAX_DEPTH)? {
        return Ok(());
    }
    remove_dir(&dir, path)
}

/// Whether all files in this directory, and in at most `max_depth` levels below, are expected.
fn has_only_expected(dir: &File, is_expected: FileFilter, max_depth: usize) -> io::Result<bool> {
    for name in entry_names(dir)? {
        let kind = file_type(dir, &name)?;
        if !name.to_str().is_ok_and(|name| is_expected(name, kind)) {
            return Ok(false);
        }
        if kind == FileType::Directory
            && (max_depth == 0
                || !has_only_expected(&open_dir(dir, &name)?, is_expected, max_depth - 1)?)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes the contents of this directory, even if the directory has been moved.
fn remove_contents(dir: &File) -> io::Result<()> {
    for name in entry_names(dir)? {
        let removed = file_type(dir, &name).and_then(|kind| match kind {
            FileType::Directory => {
                remove_contents(&open_dir(dir, &name)?)?;
                Ok(unlinkat(dir, &name, AtFlags::REMOVEDIR)?)
            }
            _ => Ok(unlinkat(dir, &name, AtFlags::empty())?),
        });
        none_if_not_found(removed)?;
    }
    Ok(())
}

/// Removes the contents of this directory, and the directory if `path` still leads to it. Another directory may
/// take its place at this very moment, but only an empty one can be removed.
fn remove_dir(dir: &File, path: &Path) -> io::Result<()> {
    remove_contents(dir)?;
    if is_same_file(dir, path)? {
        none_if_not_found(fs::remove_dir(path))?;
    }
    Ok(())
}

fn file_type(dir: &File, name: &CString) -> io::Result<FileType> {
    let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode))
}

fn entry_names(dir: &File) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name);
        }
    }
    Ok(names)
}

/// Opens a directory, and follows no symbolic link.
fn open_dir<P: rustix::path::Arg>(at: impl std::os::fd::AsFd, path: P) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(openat(at, path, flags, Mode::empty())?))
}
