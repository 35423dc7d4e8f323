//! A directory of one process for as long as it lives, in a place that other processes and other users
//! write to as well: `TMPDIR`.
//!
//! The process holds the directory's lock until the directory is gone, so a directory that nobody has
//! locked is one that a killed process has left. Process numbers would not tell: a container has its own.
//! Between `mkdir` and the lock another process may take the new directory for such a one, and remove it.
//! The owner sees that when it has the lock, and makes another.

use std::ffi::CString;
use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat, unlinkat};
use rustix::process::geteuid;

use super::private_file::{is_accessible_to_others, is_same_file};

const DIR_MODE: u32 = 0o700;
/// How often others may remove what has just been made, before that is taken for a fault.
const MAX_CREATE_TRIES: usize = 100;
/// The random part of a name, in hexadecimal digits.
const RANDOM_DIGITS: usize = 16;
/// Directories that killed processes have left are not deeper than this.
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
    /// Locked.
    dir: File,
}

/// Whether the file of this name and kind may be in a directory that a killed process has left.
pub(crate) type FileFilter = fn(&str, FileType) -> bool;

impl PrivateDir {
    /// Makes a directory in `place`, named `prefix` and something random, for files that are `known`.
    /// Those that killed processes have left are removed first.
    pub(crate) fn create(
        place: &Path,
        prefix: &'static str,
        known: FileFilter,
    ) -> io::Result<Self> {
        let place = std::path::absolute(place)?;
        remove_stale_dirs(&place, prefix, known);
        let now = Mutex::new(LockedDir::new(&place, prefix)?);
        Ok(Self { parent: place, prefix, is_expected: known, current: now })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> PathBuf {
        self.current().path.clone()
    }

    /// Makes another directory if this one is gone.
    pub(crate) fn recreate_if_gone(&self) -> io::Result<()> {
        let mut now = self.current();
        if !is_same_file(&now.dir, &now.path)? {
            *now = LockedDir::new(&self.parent, self.prefix)?;
        }
        Ok(())
    }

    /// Removes it with all that is in it. That it is gone already is what is wanted.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let now = self.current();
        remove_contents(&now.dir).and_then(|()| remove_dir(&now.dir, &now.path))?;
        // If a cleaner has removed it, a child may have made it again.
        let _ = remove_stale_dir(&now.path, self.is_expected);
        Ok(())
    }

    fn current(&self) -> MutexGuard<'_, LockedDir> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LockedDir {
    fn new(place: &Path, prefix: &str) -> io::Result<Self> {
        for _ in 0..MAX_CREATE_TRIES {
            let random = getrandom::u64().map_err(io::Error::other)?;
            let path = place.join(format!("{prefix}{random:0RANDOM_DIGITS$x}"));
            DirBuilder::new().mode(DIR_MODE).create(&path)?;
            match lock_new(&path) {
                Ok(Some(dir)) => return Ok(Self { path, dir }),
                Ok(None) => {}
                Err(error) => {
                    // Nothing is in it yet.
                    let _ = fs::remove_dir(&path);
                    return Err(error);
                }
            }
        }
        Err(io::Error::other("other processes have removed each one at once"))
    }
}

/// Locks a new directory; none if another process has it, or has removed it.
fn lock_new(path: &Path) -> io::Result<Option<File>> {
    let dir = match open_dir(CWD, path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    if dir.metadata()?.uid() != geteuid().as_raw() {
        // Where another user may rename what is ours.
        return Ok(None);
    }
    // Whatever the umask says.
    dir.set_permissions(Permissions::from_mode(DIR_MODE))?;
    match dir.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
        Ok(()) => Ok(is_same_file(&dir, path)?.then_some(dir)),
    }
}

/// Removes the directories in `place` that killed processes have left there under such names, if there is
/// nothing in them but what is known. Looking after others is no reason to fail: the rest stays.
fn remove_stale_dirs(place: &Path, prefix: &str, known: FileFilter) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let random = name.to_str().and_then(|name| name.strip_prefix(prefix));
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if random
            .is_some_and(|random| random.len() == RANDOM_DIGITS && random.bytes().all(is_digit))
        {
            let _ = remove_stale_dir(&entry.path(), known);
        }
    }
}

fn remove_stale_dir(path: &Path, known: FileFilter) -> io::Result<()> {
    let dir = open_dir(CWD, path)?;
    let is = dir.metadata()?;
    let is_ours = is.uid() == geteuid().as_raw() && !is_accessible_to_others(&is);
    if !is_ours || dir.try_lock().is_err() || !has_only_expected(&dir, known, MAX_DEPTH)? {
        return Ok(());
    }
    remove_contents(&dir)?;
    remove_dir(&dir, path)
}

/// Whether there is nothing in this directory, nor in those below, but what is known.
fn has_only_expected(dir: &File, known: FileFilter, deepest: usize) -> io::Result<bool> {
    for name in entry_names(dir)? {
        let kind = file_type(dir, &name)?;
        if !name.to_str().is_ok_and(|name| known(name, kind)) {
            return Ok(false);
        }
        if kind == FileType::Directory
            && (deepest == 0 || !has_only_expected(&open_dir(dir, &name)?, known, deepest - 1)?)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes all that is in this directory, wherever it is by now.
fn remove_contents(dir: &File) -> io::Result<()> {
    for name in entry_names(dir)? {
        let removed = file_type(dir, &name).and_then(|kind| match kind {
            FileType::Directory => {
                remove_contents(&open_dir(dir, &name)?)?;
                Ok(unlinkat(dir, &name, AtFlags::REMOVEDIR)?)
            }
            _ => Ok(unlinkat(dir, &name, AtFlags::empty())?),
        });
        ignore_not_found(removed)?;
    }
    Ok(())
}

/// Removes the name of this directory, if it still leads there. Should another one take its place at this
/// moment: only an empty one can be removed.
fn remove_dir(dir: &File, path: &Path) -> io::Result<()> {
    match is_same_file(dir, path)? {
        true => ignore_not_found(fs::remove_dir(path)),
        false => Ok(()),
    }
}

fn ignore_not_found(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn file_type(dir: &File, name: &CString) -> io::Result<FileType> {
    let is = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(is.st_mode))
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

/// Opens a directory, but not one behind a symbolic link.
fn open_dir<P: rustix::path::Arg>(at: impl std::os::fd::AsFd, path: P) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(openat(at, path, flags, Mode::empty())?))
}
