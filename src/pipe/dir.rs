//! The directory of a queue: who may have it, who starts its keeper, and what lies about in it.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, PipeReader};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use super::fifo::{INBOX, MailboxWriter};
use rustix::fs::{OFlags, fsync};
use rustix::process::{Pid, geteuid, test_kill_process};

use crate::os::private_file::{is_accessible_to_others, is_same_file, with_action, with_remedy};
use crate::proc;

/// What a directory has in it that is a queue: one of these.
const QUEUE_FILES: [&str; 3] = [INBOX, "journal", "memory.json"];
/// Of every directory that is made: for the user alone.
const DIR_MODE: u32 = 0o700;
const STICKY_BIT: u32 = 0o1000;
const OTHERS_WRITE_BITS: u32 = 0o022;

/// Why a directory is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DirError {
    /// It is not safe to keep a queue there.
    #[error(transparent)]
    Unsafe(#[from] UnsafeDir),
    /// The system said no.
    #[error("cannot use the directory {path}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: io::Error,
    },
}

impl DirError {
    fn from_io(path: &Path, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), error: with_remedy(error) }
    }
}

/// Somebody else could reach into the directory.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnsafeDir {
    #[error("{0} is a symbolic link: name the real directory instead")]
    Symlink(PathBuf),
    #[error("{0} is not a directory: move it away, or choose another with QDEMO_DIR")]
    NotADirectory(PathBuf),
    #[error("{0} is owned by user {1}, not by you: choose another directory with QDEMO_DIR")]
    WrongOwner(PathBuf, u32),
    #[error("others can write to {0}: run `chmod go-w` on it, or choose another with QDEMO_DIR")]
    WritableByOthers(PathBuf),
    #[error("others have access to {0} (mode {1:03o}): run `chmod 700` on it")]
    AccessibleToOthers(PathBuf, u32),
}

/// A directory that is the user's alone.
#[derive(Clone, Debug)]
pub(crate) struct QueueDir {
    path: PathBuf,
}

/// The right to start a keeper in a directory, as long as it, or a child that was given it, lives.
#[derive(Debug)]
pub(crate) struct StartLock {
    dir: File,
}

/// A lock that another process holds, and that this one waits for: to be polled for reading.
#[derive(Debug)]
pub(crate) struct PendingLock {
    ready_pipe: PipeReader,
    lock_result: mpsc::Receiver<io::Result<File>>,
}

impl QueueDir {
    /// Opens the directory `name` in `base`; both are made, for the user alone, where missing.
    pub(crate) fn open_or_create(base: &Path, name: &str) -> Result<Self, DirError> {
        let failed = DirError::from_io;
        let base = std::path::absolute(base).map_err(|error| failed(base, error))?;
        // Where it fails because something else is in that place, the check tells.
        if let Some(above) = base.parent()
            && let Err(error) = DirBuilder::new().mode(DIR_MODE).recursive(true).create(above)
            && fs::symlink_metadata(&base).is_err()
        {
            return Err(failed(&base, error));
        }
        create_private_dir(&base).map_err(|error| failed(&base, error))?;
        check_dir(&base, true)?;
        let path = base.join(name);
        loop {
            create_private_dir(&path).map_err(|error| failed(&path, error))?;
            match Self::open(path.clone()) {
                // A keeper that goes has removed it at this very moment.
                Err(DirError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {}
                other => return other,
            }
        }
    }

    /// Whether there is a queue called `name` in `base`.
    pub(crate) fn exists(base: &Path, name: &str) -> Result<bool, DirError> {
        let path = base.join(name);
        for file in QUEUE_FILES {
            match fs::symlink_metadata(path.join(file)) {
                Ok(_) => return Ok(true),
                Err(error)
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
                Err(error) => {
                    // That it is somebody else's says more.
                    check_dir(&path, false)?;
                    return Err(DirError::from_io(&path, error));
                }
            }
        }
        Ok(false)
    }

    /// The names of the user's queues in `base`, in alphabetical order; none if that is not there. What
    /// other users have there is passed over.
    pub(crate) fn queue_names(base: &Path) -> Result<Vec<String>, DirError> {
        let failed = |error| DirError::from_io(base, error);
        let entries = match fs::read_dir(base) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(failed)?,
        };
        check_dir(base, true)?;
        let mut names = Vec::new();
        let me = geteuid().as_raw();
        for entry in entries {
            let Ok(name) = entry.map_err(failed)?.file_name().into_string() else { continue };
            // One that cannot be looked at is gone by now, or lies on somebody else's file system.
            let Ok(is) = fs::symlink_metadata(base.join(&name)) else { continue };
            // A directory of the user's own that cannot be looked into may be a queue: its name is told.
            if is.uid() == me && Self::exists(base, &name).unwrap_or(is.is_dir()) {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Opens the directory `path`, which must be the user's alone.
    pub(crate) fn open(path: PathBuf) -> Result<Self, DirError> {
        check_dir(&path, false)?;
        Ok(Self { path })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Waits for the right to start a keeper here. None when the directory has been removed
    /// meanwhile, and the right is worth nothing.
    pub(crate) fn lock(&self) -> io::Result<Option<StartLock>> {
        let dir = File::open(&self.path)?;
        dir.lock()?;
        self.lock_if_current(dir)
    }

    /// Begins to wait for the right to start a keeper here, with a thread of its own, as a lock cannot
    /// be polled. If the [`Wanted`] lock is dropped, the thread gives the lock back as soon as it
    /// gets it. None when the system refuses a thread.
    pub(crate) fn request_lock(&self) -> io::Result<Option<PendingLock>> {
        let dir = File::open(&self.path)?;
        let (ready, writer) = io::pipe()?;
        let (send, locked) = mpsc::channel();
        let take = move || {
            let taken = loop {
                match dir.lock() {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    other => break other,
                }
            };
            // Where nobody wants it any more, it is dropped, and the lock with it.
            let _ = send.send(taken.map(|()| dir));
            drop(writer);
        };
        let thread = thread::Builder::new().name("lock".to_owned()).spawn(take);
        Ok(thread.is_ok().then_some(PendingLock { ready_pipe: ready, lock_result: locked }))
    }

    /// The lock that was wanted, once it is ready. None when the directory has been removed meanwhile,
    /// and the right is worth nothing.
    pub(crate) fn finish_lock(&self, wanted: &PendingLock) -> io::Result<Option<StartLock>> {
        let locked = wanted.lock_result.recv().map_err(io::Error::other)?;
        self.lock_if_current(locked?)
    }

    /// The same without waiting: none when somebody else has it.
    pub(crate) fn try_lock(&self) -> io::Result<Option<StartLock>> {
        let dir = File::open(&self.path)?;
        match dir.try_lock() {
            Ok(()) => self.lock_if_current(dir),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// The right that a parent holds and has passed on as `file`; none if it is something else.
    pub(crate) fn inherit_lock(&self, file: File) -> io::Result<Option<StartLock>> {
        match is_same_file(&file, &self.path)? {
            true => Ok(Some(StartLock { dir: file })),
            false => Ok(None),
        }
    }

    fn lock_if_current(&self, dir: File) -> io::Result<Option<StartLock>> {
        Ok(is_same_file(&dir, &self.path)?.then_some(StartLock { dir }))
    }

    /// A name for a file that is not ready to be seen.
    pub(crate) fn temp_path(&self, name: &str) -> PathBuf {
        self.path.join(format!(".{name}.{}", std::process::id()))
    }

    /// Removes what killed processes have left here: mailboxes that nobody reads, and unfinished files.
    /// A client may have made its mailbox, and not opened it yet. Then the client has come to a keeper that
    /// has gone since, finds that its mailbox is gone too, and comes again. Unfinished files are a keeper's:
    /// with the lock there is no other one.
    pub(crate) fn remove_stale_files(&self, lock: Option<&StartLock>) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_left = match name.strip_prefix('.').and_then(|hidden| hidden.rsplit_once('.')) {
                Some((file, pid))
                    if QUEUE_FILES.contains(&file) && is_decimal(pid) && lock.is_some() =>
                {
                    true
                }
                Some((_, pid)) => is_process_dead(pid),
                None => match name.strip_prefix("mailbox.") {
                    None => false,
                    Some(_) if MailboxWriter::is_mailbox_without_reader(self, &name) => true,
                    // Processes of another system (a container's) have numbers of their own.
                    Some(rest) => {
                        rest.split('.').next().is_some_and(is_process_dead)
                            && !MailboxWriter::has_reader(self, &name)
                    }
                },
            };
            if is_left {
                let path = entry.path();
                remove_file_if_exists(&path)
                    .map_err(|error| with_action("remove", &path, error))?;
            }
        }
        Ok(())
    }

    /// Removes all files and pipes of a queue, whatever is in them. The caller holds the lock.
    pub(crate) fn remove_queue_files(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if QUEUE_FILES.contains(&&*name)
                || name.starts_with("mailbox.")
                || name.starts_with('.')
            {
                let path = entry.path();
                remove_file_if_exists(&path)
                    .map_err(|error| with_action("remove", &path, error))?;
            }
        }
        Ok(())
    }

    /// Removes the directory, if nothing is in it.
    pub(crate) fn remove_if_empty(&self) {
        // Not being empty is what it may well be.
        let _ = fs::remove_dir(&self.path);
    }
}

impl AsFd for PendingLock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready_pipe.as_fd()
    }
}

impl StartLock {
    /// The same right, for a child.
    pub(crate) fn duplicate_for_child(&self) -> io::Result<OwnedFd> {
        self.dir.try_clone().map(OwnedFd::from)
    }

    /// Gives it up for all who share it.
    pub(crate) fn unlock(self) -> io::Result<()> {
        self.dir.unlock()
    }
}

/// Makes sure that the entry of this directory is on the disk, and those of the directories above that may
/// have been made with it: of each that is as [`make`] leaves it, up to the first one that is not.
pub(crate) fn sync_dir_entries(dir: &Path) -> io::Result<()> {
    let me = geteuid().as_raw();
    for (dir, above) in dir.ancestors().zip(dir.ancestors().skip(1)) {
        let is = fs::symlink_metadata(dir)?;
        if !is.is_dir() || is.uid() != me || is.mode() & 0o777 != DIR_MODE {
            break;
        }
        match File::open(above) {
            // Nothing was made in a directory that may not be read.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => break,
            above => fsync(above?)?,
        }
    }
    Ok(())
}

/// Whether a queue's named pipes have such a name.
pub(crate) fn is_queue_pipe_name(name: &str) -> bool {
    let hidden = name.strip_prefix(".inbox.");
    name == INBOX || name.starts_with("mailbox.") || hidden.is_some_and(is_decimal)
}

fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Removes a file; that it is not there is fine.
pub(crate) fn remove_file_if_exists(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes a directory for the user alone, whatever the umask says, unless something is there.
fn create_private_dir(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(DIR_MODE).create(path) {
        Ok(()) => match fs::set_permissions(path, Permissions::from_mode(DIR_MODE)) {
            // A keeper that goes has removed it at this very moment; whoever opens it sees that.
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
        // A file system that lets nothing be made says so even of what is there.
        Err(_) if fs::symlink_metadata(path).is_ok() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether there is no process of this number. One whose parent has not taken note of its death (as in a
/// container whose first process doesn't care) is dead too, where that can be known.
fn is_process_dead(pid: &str) -> bool {
    // The name may be anybody's. A negative number is a group's.
    let pid = pid.parse().ok().filter(|&pid| pid > 0);
    let Some((pid, process)) = pid.and_then(|pid| Some((pid, Pid::from_raw(pid)?))) else {
        return false;
    };
    let stat = proc::read(&format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    matches!(state, Some('Z' | 'X'))
        || test_kill_process(process).is_err_and(|error| error == rustix::io::Errno::SRCH)
}

/// Checks that a directory is the user's and closed to everybody else. The `shared_place` that queues
/// lie in may be seen by others, and may, as `/tmp` is, be writable to all if it lets nobody touch
/// what belongs to others.
fn check_dir(path: &Path, shared_place: bool) -> Result<(), DirError> {
    let unreadable = |error| DirError::from_io(path, error);
    let found = fs::symlink_metadata(path).map_err(unreadable)?;
    if found.is_symlink() {
        return Err(UnsafeDir::Symlink(path.to_owned()).into());
    }
    if !found.is_dir() {
        return Err(UnsafeDir::NotADirectory(path.to_owned()).into());
    }
    let me = geteuid().as_raw();
    let is_sticky = |is: &Metadata| shared_place && is.mode() & STICKY_BIT != 0;
    let must_be_ours = |is: &Metadata| match is.uid() {
        owner if owner == me || (owner == 0 && is_sticky(is)) => Ok(()),
        owner => Err(UnsafeDir::WrongOwner(path.to_owned(), owner)),
    };
    // What belongs to somebody else cannot be opened, as a rule.
    must_be_ours(&found)?;
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
    let dir = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
        .map_err(unreadable)?;
    let is = dir.metadata().map_err(unreadable)?;
    must_be_ours(&is)?;
    let sticky = is_sticky(&is);
    if !shared_place && is_accessible_to_others(&is) {
        return Err(UnsafeDir::AccessibleToOthers(path.to_owned(), is.mode() & 0o777).into());
    }
    if is.mode() & OTHERS_WRITE_BITS != 0 && !sticky {
        return Err(UnsafeDir::WritableByOthers(path.to_owned()).into());
    }
    Ok(())
}
