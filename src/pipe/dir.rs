//! The directory of a queue: its permissions, and the lock that permits starting its keeper.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind, PipeReader};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use rustix::fs::{OFlags, fsync};
use rustix::process::geteuid;

use super::names::QUEUE_FILES;
use crate::catalogue::message;
use crate::os::private_file::{
    DIR_MODE, is_accessible_to_others, is_same_file, none_if_not_found, with_remedy,
};

const STICKY_BIT: u32 = 0o1000;
const OTHERS_WRITE_BITS: u32 = 0o022;

/// Why a directory cannot be used: the system refused, or other users could reach the directory's contents.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DirError {
    #[error("{}", message!("folder-io", path = &.path.display()))]
    Io {
        path: PathBuf,
        #[source]
        error: io::Error,
    },
    #[error("{}", message!("folder-symlink", path = &.0.display()))]
    Symlink(PathBuf),
    #[error("{}", message!("folder-not-a-directory", path = &.0.display()))]
    NotADirectory(PathBuf),
    #[error("{}", message!("folder-wrong-owner", path = &.0.display(), user = .1))]
    WrongOwner(PathBuf, u32),
    #[error("{}", message!("folder-writable", path = &.0.display()))]
    WritableByOthers(PathBuf),
    #[error("{}", message!("folder-accessible", path = &.0.display(), mode = format!("{:03o}", .1)))]
    AccessibleToOthers(PathBuf, u32),
}

impl DirError {
    fn from_io(path: &Path, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), error: with_remedy(error) }
    }
}

/// A directory that belongs to the user alone.
#[derive(Clone, Debug)]
pub(crate) struct QueueDir {
    path: PathBuf,
}

/// The lock on a directory that permits starting a keeper there. The lock lasts as long as this value, or a
/// child that inherited the lock, lives.
#[derive(Debug)]
pub(crate) struct StartLock {
    dir: File,
}

/// A lock that this process waits for.
#[derive(Debug)]
pub(crate) struct PendingLock {
    /// A poll for reading shows when the lock is ready.
    pub(crate) ready_pipe: PipeReader,
    thread: JoinHandle<io::Result<File>>,
}

impl QueueDir {
    /// Opens the directory `name` in `base`. Missing directories are created, for the user alone.
    pub(crate) fn open_or_create(base: &Path, name: &str) -> Result<Self, DirError> {
        let base = std::path::absolute(base).map_err(|error| DirError::from_io(base, error))?;
        // If a file of another kind is in the way, the check below gives the better error.
        if let Some(parent) = base.parent()
            && let Err(error) = DirBuilder::new().mode(DIR_MODE).recursive(true).create(parent)
            && fs::symlink_metadata(&base).is_err()
        {
            return Err(DirError::from_io(&base, error));
        }
        create_private_dir(&base).map_err(|error| DirError::from_io(&base, error))?;
        check_dir(&base, true)?;
        let path = base.join(name);
        loop {
            create_private_dir(&path).map_err(|error| DirError::from_io(&path, error))?;
            match Self::open(path.clone()) {
                // An ending keeper has removed the directory at this very moment.
                Err(DirError::Io { error, .. }) if error.kind() == ErrorKind::NotFound => {}
                other => return other,
            }
        }
    }

    /// Whether `base` contains a queue called `name`.
    pub(crate) fn exists(base: &Path, name: &str) -> Result<bool, DirError> {
        let path = base.join(name);
        for file in QUEUE_FILES {
            match fs::symlink_metadata(path.join(file)) {
                Ok(_) => return Ok(true),
                Err(error)
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
                Err(error) => {
                    // The error of a foreign directory is clearer than a refused access.
                    check_dir(&path, false)?;
                    return Err(DirError::from_io(&path, error));
                }
            }
        }
        Ok(false)
    }

    /// The names of the user's queues in `base`, in alphabetical order. A missing `base` contains no queue.
    /// Queues of other users do not count.
    pub(crate) fn queue_names(base: &Path) -> Result<Vec<String>, DirError> {
        let failed = |error| DirError::from_io(base, error);
        let Some(entries) = none_if_not_found(fs::read_dir(base)).map_err(failed)? else {
            return Ok(Vec::new());
        };
        check_dir(base, true)?;
        let mut names = Vec::new();
        let user = geteuid().as_raw();
        for entry in entries {
            let Ok(name) = entry.map_err(failed)?.file_name().into_string() else { continue };
            // A failure means that the entry is gone, or on the file system of another user.
            let Ok(metadata) = fs::symlink_metadata(base.join(&name)) else { continue };
            // An unreadable directory of the user may be a queue, so its name counts.
            if metadata.uid() == user && Self::exists(base, &name).unwrap_or(metadata.is_dir()) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Opens the directory `path`, which must belong to the user alone.
    pub(crate) fn open(path: PathBuf) -> Result<Self, DirError> {
        check_dir(&path, false)?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in the directory.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Waits for the lock. None if the directory was removed meanwhile, which makes the lock worthless.
    pub(crate) fn lock(&self) -> io::Result<Option<StartLock>> {
        let dir = File::open(&self.path)?;
        dir.lock()?;
        self.lock_if_current(dir)
    }

    /// Starts to wait for the lock in a thread, since a lock cannot be polled. If the [`PendingLock`] is
    /// dropped, the thread gives the lock back at once. None if the system refuses a thread.
    pub(crate) fn request_lock(&self) -> io::Result<Option<PendingLock>> {
        let dir = File::open(&self.path)?;
        let (ready_pipe, writer) = io::pipe()?;
        let acquire = move || {
            // Closed when the thread ends.
            let _writer = writer;
            loop {
                match dir.lock() {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    // Without a `PendingLock` the directory is dropped, and the lock with it.
                    other => return other.map(|()| dir),
                }
            }
        };
        let thread = thread::Builder::new().name("lock".to_owned()).spawn(acquire);
        Ok(thread.ok().map(|thread| PendingLock { ready_pipe, thread }))
    }

    /// The pending lock, when it is ready. None if the directory was removed meanwhile, which makes the lock
    /// worthless.
    pub(crate) fn finish_lock(&self, pending: PendingLock) -> io::Result<Option<StartLock>> {
        let locked =
            pending.thread.join().map_err(|_| io::Error::other(message!("folder-lock-failed")))?;
        self.lock_if_current(locked?)
    }

    /// Takes the lock without waiting. None if another process has the lock.
    pub(crate) fn try_lock(&self) -> io::Result<Option<StartLock>> {
        let dir = File::open(&self.path)?;
        match dir.try_lock() {
            Ok(()) => self.lock_if_current(dir),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The lock that `dir` holds, which this process took or got from its parent. None if `dir` is not this
    /// directory.
    pub(crate) fn lock_if_current(&self, dir: File) -> io::Result<Option<StartLock>> {
        Ok(is_same_file(&dir, &self.path)?.then_some(StartLock { dir }))
    }

    /// The path of a temporary file, which other processes ignore.
    pub(crate) fn temp_path(&self, name: &str) -> PathBuf {
        self.path.join(format!(".{name}.{}", std::process::id()))
    }

    /// Removes the directory if the directory is empty.
    pub(crate) fn remove_if_empty(&self) {
        let _ = fs::remove_dir(&self.path);
    }
}

impl StartLock {
    /// A descriptor of the lock, for a child.
    pub(crate) fn duplicate_for_child(&self) -> io::Result<File> {
        self.dir.try_clone()
    }

    /// Gives the lock up in all processes that share the lock.
    pub(crate) fn unlock(self) -> io::Result<()> {
        self.dir.unlock()
    }
}

/// Writes the directory entry of `dir` to the disk. Each parent that looks as [`create_private_dir`] leaves a
/// directory may be new too: its entry follows, up to the first parent that looks different.
pub(crate) fn sync_dir_entries(dir: &Path) -> io::Result<()> {
    let user = geteuid().as_raw();
    for (dir, parent) in dir.ancestors().zip(dir.ancestors().skip(1)) {
        let metadata = fs::symlink_metadata(dir)?;
        if !metadata.is_dir() || metadata.uid() != user || metadata.mode() & 0o777 != DIR_MODE {
            break;
        }
        match File::open(parent) {
            // This user created no directory in an unreadable parent.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => break,
            parent => fsync(parent?)?,
        }
    }
    Ok(())
}

/// Creates a directory for the user alone under any umask, unless the path exists.
fn create_private_dir(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(DIR_MODE).create(path) {
        // An ending keeper may have removed the directory at this very moment; the caller's open fails then.
        Ok(()) => {
            none_if_not_found(fs::set_permissions(path, Permissions::from_mode(DIR_MODE))).map(drop)
        }
        // A read-only file system refuses creation even if the directory exists.
        Err(_) if fs::symlink_metadata(path).is_ok() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Checks that a directory belongs to the user, and is closed to others. Others may read a directory that
/// `is_base` (contains the queues). A sticky base, as `/tmp` is, may be writable to all: its sticky bit protects
/// each user's files.
fn check_dir(path: &Path, is_base: bool) -> Result<(), DirError> {
    let failed = |error| DirError::from_io(path, error);
    let found = fs::symlink_metadata(path).map_err(failed)?;
    if found.is_symlink() {
        return Err(DirError::Symlink(path.to_owned()));
    }
    if !found.is_dir() {
        return Err(DirError::NotADirectory(path.to_owned()));
    }
    let user = geteuid().as_raw();
    let is_sticky = |metadata: &Metadata| is_base && metadata.mode() & STICKY_BIT != 0;
    let check_owner = |metadata: &Metadata| match metadata.uid() {
        owner if owner == user || (owner == 0 && is_sticky(metadata)) => Ok(()),
        owner => Err(DirError::WrongOwner(path.to_owned(), owner)),
    };
    // Check before the open: the open of a foreign directory usually fails with a less helpful error.
    check_owner(&found)?;
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let dir = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(failed)?;
    let metadata = dir.metadata().map_err(failed)?;
    check_owner(&metadata)?;
    let mode = metadata.mode();
    if !is_base && is_accessible_to_others(&metadata) {
        return Err(DirError::AccessibleToOthers(path.to_owned(), mode & 0o777));
    }
    if mode & OTHERS_WRITE_BITS != 0 && !is_sticky(&metadata) {
        return Err(DirError::WritableByOthers(path.to_owned()));
    }
    Ok(())
}
