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

use super::private_file::{is_at, is_open_to_others};

const MODE: u32 = 0o700;
/// How often others may remove what has just been made, before that is taken for a fault.
const TRIES: usize = 100;
/// The random part of a name, in hexadecimal digits.
const DIGITS: usize = 16;
/// Directories that killed processes have left are not deeper than this.
const DEEPEST: usize = 4;

/// A locked directory for the user alone.
#[derive(Debug)]
pub(crate) struct PrivateDir {
    place: PathBuf,
    prefix: &'static str,
    known: Known,
    now: Mutex<Made>,
}

#[derive(Debug)]
struct Made {
    path: PathBuf,
    /// Locked.
    dir: File,
}

/// Whether the file of this name and kind may be in a directory that a killed process has left.
pub(crate) type Known = fn(&str, FileType) -> bool;

impl PrivateDir {
    /// Makes a directory in `place`, named `prefix` and something random, for files that are `known`.
    /// Those that killed processes have left are removed first.
    pub(crate) fn make(place: &Path, prefix: &'static str, known: Known) -> io::Result<Self> {
        let place = std::path::absolute(place)?;
        sweep(&place, prefix, known);
        let now = Mutex::new(Made::new(&place, prefix)?);
        Ok(Self { place, prefix, known, now })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> PathBuf {
        self.now().path.clone()
    }

    /// Makes another directory if this one is gone.
    pub(crate) fn renew(&self) -> io::Result<()> {
        let mut now = self.now();
        if !is_at(&now.dir, &now.path)? {
            *now = Made::new(&self.place, self.prefix)?;
        }
        Ok(())
    }

    /// Removes it with all that is in it. That it is gone already is what is wanted.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let now = self.now();
        clear(&now.dir).and_then(|()| remove_dir(&now.dir, &now.path))?;
        // If a cleaner has removed it, a child may have made it again.
        let _ = sweep_one(&now.path, self.known);
        Ok(())
    }

    fn now(&self) -> MutexGuard<'_, Made> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Made {
    fn new(place: &Path, prefix: &str) -> io::Result<Self> {
        for _ in 0..TRIES {
            let random = getrandom::u64().map_err(io::Error::other)?;
            let path = place.join(format!("{prefix}{random:0DIGITS$x}"));
            DirBuilder::new().mode(MODE).create(&path)?;
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
    dir.set_permissions(Permissions::from_mode(MODE))?;
    match dir.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
        Ok(()) => Ok(is_at(&dir, path)?.then_some(dir)),
    }
}

/// Removes the directories in `place` that killed processes have left there under such names, if there is
/// nothing in them but what is known. Looking after others is no reason to fail: the rest stays.
fn sweep(place: &Path, prefix: &str, known: Known) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let random = name.to_str().and_then(|name| name.strip_prefix(prefix));
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if random.is_some_and(|random| random.len() == DIGITS && random.bytes().all(is_digit)) {
            let _ = sweep_one(&entry.path(), known);
        }
    }
}

fn sweep_one(path: &Path, known: Known) -> io::Result<()> {
    let dir = open_dir(CWD, path)?;
    let is = dir.metadata()?;
    let is_ours = is.uid() == geteuid().as_raw() && !is_open_to_others(&is);
    if !is_ours || dir.try_lock().is_err() || !has_only(&dir, known, DEEPEST)? {
        return Ok(());
    }
    clear(&dir)?;
    remove_dir(&dir, path)
}

/// Whether there is nothing in this directory, nor in those below, but what is known.
fn has_only(dir: &File, known: Known, deepest: usize) -> io::Result<bool> {
    for name in names(dir)? {
        let kind = kind(dir, &name)?;
        if !name.to_str().is_ok_and(|name| known(name, kind)) {
            return Ok(false);
        }
        if kind == FileType::Directory
            && (deepest == 0 || !has_only(&open_dir(dir, &name)?, known, deepest - 1)?)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes all that is in this directory, wherever it is by now.
fn clear(dir: &File) -> io::Result<()> {
    for name in names(dir)? {
        let removed = kind(dir, &name).and_then(|kind| match kind {
            FileType::Directory => {
                clear(&open_dir(dir, &name)?)?;
                Ok(unlinkat(dir, &name, AtFlags::REMOVEDIR)?)
            }
            _ => Ok(unlinkat(dir, &name, AtFlags::empty())?),
        });
        fine_if_gone(removed)?;
    }
    Ok(())
}

/// Removes the name of this directory, if it still leads there. Should another one take its place at this
/// moment: only an empty one can be removed.
fn remove_dir(dir: &File, path: &Path) -> io::Result<()> {
    match is_at(dir, path)? {
        true => fine_if_gone(fs::remove_dir(path)),
        false => Ok(()),
    }
}

fn fine_if_gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn kind(dir: &File, name: &CString) -> io::Result<FileType> {
    let is = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(is.st_mode))
}

fn names(dir: &File) -> io::Result<Vec<CString>> {
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
