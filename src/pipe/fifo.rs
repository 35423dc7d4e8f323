//! The ends of named pipes.
//!
//! ```text
//!  client: InboxWriter   ──►  inbox   ──► ReadEnd       :keeper
//!  client: RequestSender ──► requests ──► ReadEnd       :keeper
//!  client: ReadEnd       ◄── mailbox  ◄── MailboxWriter :keeper
//! ```
//!
//! All clients write to the inbox. The other two pipes have one writer and one reader each. No end blocks.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use interprocess::os::unix::fifo_file::create_fifo;
use rustix::buffer::spare_capacity;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::pipe::PIPE_BUF;

use super::dir::QueueDir;
use super::names::INBOX;
use super::write_buffer::WriteBuffer;
use crate::catalogue::message;
use crate::os::private_file::{
    self, FILE_MODE, UnsafeFile, is_same_file, none_if_not_found, remove_file_if_exists,
    with_remedy,
};
use crate::os::{is_transient, widen_pipe};

/// The reading end of a pipe. A drop removes the name, if this process has made the pipe.
#[derive(Debug)]
pub(crate) struct ReadEnd {
    /// None when the name is gone, or is not this process's to remove.
    path: Option<PathBuf>,
    reader: File,
    /// Without a writer of its own the reader would see the end of the pipe between two writers.
    _writer: Option<File>,
    is_widened: bool,
}

impl ReadEnd {
    /// Creates the inbox, or replaces the inbox of a dead keeper. The inbox gets its name when it is ready, so
    /// every visible inbox can be written to.
    pub(crate) fn create_inbox(dir: &QueueDir) -> io::Result<Self> {
        let temp_path = dir.temp_path(INBOX);
        let path = dir.join(INBOX);
        let create = || {
            remove_file_if_exists(&temp_path)?;
            make_fifo(&temp_path)?;
            let (mut end, writer) = open_both_ends(&temp_path, path.clone())?;
            fs::rename(&temp_path, &path)?;
            end._writer = Some(writer);
            Ok(end)
        };
        create().map_err(|error| {
            let _ = fs::remove_file(&temp_path);
            let describe = |path: &Path, error| {
                message!("folder-no-inbox", path = &path.display(), error = error)
            };
            private_file::with_action(describe, &path, error)
        })
    }

    /// Creates and opens a mailbox.
    pub(crate) fn create_mailbox(dir: &QueueDir, name: &str) -> io::Result<Self> {
        let (mut end, writer) = create(dir, name)?;
        end._writer = Some(writer);
        Ok(end)
    }

    /// Makes a mailbox without a name. Also returns the end of its writer.
    pub(crate) fn unnamed_mailbox() -> io::Result<(Self, OwnedFd)> {
        let (reader, writer) = unnamed_pipe()?;
        let end = Self { path: None, reader: reader.into(), _writer: None, is_widened: false };
        Ok((end, writer))
    }

    /// Opens the pipe for a client's requests, and removes its name: from now on nobody else can open the pipe.
    pub(crate) fn open_requests(dir: &QueueDir, name: &str) -> io::Result<Self> {
        let path = dir.join(name);
        let reader = open_end(&path, true)?;
        // Only one of the keeper and a client that gives up can remove the name: see `RequestSender::withdraw`.
        fs::remove_file(&path)?;
        Ok(Self { path: None, reader, _writer: None, is_widened: false })
    }

    /// Reads into the spare capacity of `buffer`, which is not 0. `Some(0)` at the end of the pipe; none if the
    /// pipe is only empty.
    pub(crate) fn read(&self, buffer: &mut Vec<u8>) -> io::Result<Option<usize>> {
        match rustix::io::read(&self.reader, spare_capacity(buffer)) {
            Ok(count) => Ok(Some(count)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The number of unread bytes.
    pub(crate) fn unread_bytes(&self) -> io::Result<u64> {
        Ok(rustix::io::ioctl_fionread(&self.reader)?)
    }

    /// Whether the name still leads to this pipe. Without its name an inbox gets no new client, and no other
    /// keeper can find a mailbox.
    pub(crate) fn is_linked(&self) -> io::Result<bool> {
        self.path.as_ref().map_or(Ok(false), |path| is_same_file(&self.reader, path))
    }

    /// Removes the name, so that no client connects any more.
    pub(crate) fn unlink(&self) -> io::Result<()> {
        self.path.as_deref().map_or(Ok(()), remove_file_if_exists)
    }

    /// Widens the pipe once to `capacity` bytes where the system permits that size, so that the pipe holds a whole
    /// batch. Otherwise one batch needs several turns of the keeper. Not every pipe is wide, since the system
    /// limits the size of a user's pipes.
    pub(crate) fn widen(&mut self, capacity: usize) {
        if !std::mem::replace(&mut self.is_widened, true) {
            widen_pipe(&self.reader, capacity);
        }
    }
}

impl AsFd for ReadEnd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

impl Drop for ReadEnd {
    fn drop(&mut self) {
        // Another pipe may have the name by now. The keeper removes the pipes of a killed client.
        if self.is_linked().unwrap_or(false) {
            let _ = self.unlink();
        }
    }
}

/// Creates a pipe for the user alone, and opens both ends.
fn create(dir: &QueueDir, name: &str) -> io::Result<(ReadEnd, File)> {
    let path = dir.join(name);
    make_fifo(&path).map_err(with_remedy)?;
    open_both_ends(&path, path.clone()).inspect_err(|_| {
        let _ = fs::remove_file(&path);
    })
}

/// Opens both ends of the pipe at `opened`. The pipe's final name is `path`.
fn open_both_ends(opened: &Path, path: PathBuf) -> io::Result<(ReadEnd, File)> {
    let (reader, writer) = (open_end(opened, true)?, open_end(opened, false)?);
    Ok((ReadEnd { path: Some(path), reader, _writer: None, is_widened: false }, writer))
}

/// A client's end of the inbox.
#[derive(Debug)]
pub(crate) struct InboxWriter {
    writer: File,
}

impl InboxWriter {
    /// Opens the inbox. None if no keeper reads the inbox.
    pub(crate) fn open(dir: &QueueDir) -> io::Result<Option<Self>> {
        match open_end(&dir.join(INBOX), false) {
            // The inbox has no reader.
            Err(error) if private_file::is_errno(&error, Errno::NXIO) => Ok(None),
            opened => Ok(none_if_not_found(opened)?.map(|writer| Self { writer })),
        }
    }

    /// Writes all bytes of a message, or none if there is no room yet (false). The kernel does not mix the message
    /// with the writes of other clients.
    ///
    /// # Errors
    /// `BrokenPipe` if the keeper is gone; `InvalidInput` if the message has more than `PIPE_BUF` bytes.
    pub(crate) fn write(&self, message: &[u8]) -> io::Result<bool> {
        if message.len() > PIPE_BUF {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        match (&self.writer).write(message) {
            Ok(written) if written == message.len() => Ok(true),
            Ok(_) => Err(io::Error::other(message!("folder-write-split"))),
            Err(error) if is_transient(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl AsFd for InboxWriter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.writer.as_fd()
    }
}

/// A client's end of the pipe for its requests.
#[derive(Debug)]
pub(crate) struct RequestSender {
    writer: File,
    /// The other end, until the keeper has opened it. A drop removes the name, unless the keeper has.
    own_reader: Option<ReadEnd>,
}

impl RequestSender {
    /// Creates the pipe, or replaces a pipe that an earlier keeper has not opened.
    pub(crate) fn create(dir: &QueueDir, name: &str) -> io::Result<Self> {
        remove_file_if_exists(&dir.join(name))?;
        let (end, writer) = create(dir, name)?;
        Ok(Self { writer, own_reader: Some(end) })
    }

    /// Makes a pipe without a name. Also returns the end of its reader.
    pub(crate) fn unnamed() -> io::Result<(Self, OwnedFd)> {
        let (reader, writer) = unnamed_pipe()?;
        Ok((Self { writer: writer.into(), own_reader: None }, reader))
    }

    /// The keeper has opened its end: from now on the pipe shows the keeper's death.
    pub(crate) fn keeper_has_connected(&mut self) {
        if let Some(mut end) = self.own_reader.take() {
            // The keeper has removed the name.
            end.path = None;
        }
    }

    /// Removes the name. Returns whether the keeper has not opened the pipe before, and so never reads the requests.
    pub(crate) fn withdraw(&mut self) -> bool {
        let path = self.own_reader.as_mut().and_then(|end| end.path.take());
        path.is_some_and(|path| fs::remove_file(path).is_ok())
    }

    /// Writes as much as the pipe has room for. Returns whether that is all.
    ///
    /// # Errors
    /// `BrokenPipe` if the keeper is gone.
    pub(crate) fn write(&self, requests: &mut WriteBuffer) -> io::Result<bool> {
        requests.write_to(&self.writer)
    }
}

impl AsFd for RequestSender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.writer.as_fd()
    }
}

/// Both ends of a pipe inside this process, for reading and for writing. Neither blocks.
fn unnamed_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = io::pipe()?;
    for end in [reader.as_fd(), writer.as_fd()] {
        fcntl_setfl(end, OFlags::NONBLOCK)?;
    }
    Ok((reader.into(), writer.into()))
}

/// Creates a named pipe for the user alone under any umask.
pub(crate) fn make_fifo(path: &Path) -> io::Result<()> {
    create_fifo(path, FILE_MODE as _)?;
    fs::set_permissions(path, Permissions::from_mode(FILE_MODE))
}

/// A pipe that is not opened.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", .path.display(), .error)]
struct UnsafePipe {
    path: PathBuf,
    error: UnsafeFile,
}

/// Opens one end of a named pipe that belongs to the user alone, without blocking.
pub(super) fn open_end(path: &Path, read: bool) -> io::Result<File> {
    let unsafe_pipe =
        |error: UnsafeFile| io::Error::other(UnsafePipe { path: path.to_owned(), error });
    let opened = private_file::open_no_follow(path, OpenOptions::new().read(read).write(!read));
    let file = opened.map_err(|error| match error.downcast() {
        Ok(error) => unsafe_pipe(error),
        Err(error) => with_remedy(error),
    })?;
    let metadata = file.metadata()?;
    if !metadata.file_type().is_fifo() {
        return Err(unsafe_pipe(UnsafeFile::NotAPipe));
    }
    private_file::check_private(&metadata).map_err(unsafe_pipe)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "requests.1.x";

    fn dir() -> (tempfile::TempDir, QueueDir) {
        let base = tempfile::tempdir().unwrap();
        let dir = QueueDir::open_or_create(base.path(), "q").unwrap();
        (base, dir)
    }

    #[test]
    fn either_the_keeper_or_a_client_that_withdraws_has_the_requests() {
        let (_base, dir) = dir();
        let mut sender = RequestSender::create(&dir, NAME).unwrap();
        let receiver = ReadEnd::open_requests(&dir, NAME).unwrap();
        assert!(!dir.join(NAME).exists(), "another process could open the pipe");
        assert!(!sender.withdraw(), "the keeper reads the requests");
        drop((sender, receiver));
        let mut sender = RequestSender::create(&dir, NAME).unwrap();
        assert!(sender.withdraw());
        let error = ReadEnd::open_requests(&dir, NAME).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(!sender.withdraw(), "the name is gone already");
    }

    #[test]
    fn the_pipe_of_another_client_keeps_its_name_when_this_client_leaves() {
        let (_base, dir) = dir();
        let mailbox = ReadEnd::create_mailbox(&dir, NAME).unwrap();
        fs::remove_file(dir.join(NAME)).unwrap();
        let other = ReadEnd::create_mailbox(&dir, NAME).unwrap();
        assert!(!mailbox.is_linked().unwrap());
        drop(mailbox);
        assert!(other.is_linked().unwrap());
        drop(other);
        assert!(!dir.join(NAME).exists());
    }

    #[test]
    fn a_client_sees_the_death_of_a_keeper_that_has_connected() {
        use crate::os::{Interest, wait_ready};
        let (_base, dir) = dir();
        let mut sender = RequestSender::create(&dir, NAME).unwrap();
        let receiver = ReadEnd::open_requests(&dir, NAME).unwrap();
        sender.keeper_has_connected();
        let is_keeper_dead = |sender: &RequestSender| {
            wait_ready(&[(sender.as_fd(), Interest::Hangup)], Some(0)).unwrap()[0].is_hung_up
        };
        assert!(!is_keeper_dead(&sender));
        drop(receiver);
        assert!(is_keeper_dead(&sender));
    }

    #[test]
    fn an_announcement_that_the_kernel_could_split_is_not_written() {
        let (_base, dir) = dir();
        let inbox = ReadEnd::create_inbox(&dir).unwrap();
        let writer = InboxWriter::open(&dir).unwrap().unwrap();
        let error = writer.write(&vec![b'x'; PIPE_BUF + 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(inbox.unread_bytes().unwrap(), 0);
        assert!(writer.write(&vec![b'x'; PIPE_BUF]).unwrap());
    }
}
