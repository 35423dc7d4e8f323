//! The ends of named pipes.
//!
//! ```text
//!  client: InboxWriter ──►  inbox  ──►  ReadEnd       :keeper
//!  client: ReadEnd     ◄── mailbox ◄──  MailboxWriter :keeper
//! ```
//!
//! No end blocks.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use interprocess::os::unix::fifo_file::create_fifo;
use rustix::io::Errno;

use super::dir::QueueDir;
use super::names::INBOX;
use crate::os::private_file::{
    self, FILE_MODE, UnsafeFile, is_same_file, none_if_not_found, remove_file_if_exists,
    with_remedy,
};
use crate::os::{is_transient, widen_pipe};

/// The reading end of a named pipe: the keeper's end of the inbox, or a client's end of its mailbox. A drop
/// removes the name.
#[derive(Debug)]
pub(crate) struct ReadEnd {
    path: PathBuf,
    reader: File,
    /// Without a writer of its own the reader would see the end of the pipe between two writers.
    _writer: File,
    is_widened: bool,
}

impl ReadEnd {
    /// Creates the inbox, or replaces the inbox of a dead keeper. The inbox gets its name when it is ready, so
    /// every visible inbox can be written to. The inbox holds `capacity` bytes where the system permits that size.
    pub(crate) fn create_inbox(dir: &QueueDir, capacity: usize) -> io::Result<Self> {
        let temp_path = dir.temp_path(INBOX);
        let path = dir.join(INBOX);
        let create = || {
            remove_file_if_exists(&temp_path)?;
            make_fifo(&temp_path)?;
            let mut end = Self::open(&temp_path, path.clone())?;
            end.widen(capacity);
            fs::rename(&temp_path, &path)?;
            Ok(end)
        };
        create().map_err(|error| {
            let _ = fs::remove_file(&temp_path);
            private_file::with_action("make the inbox", &path, error)
        })
    }

    /// Creates and opens a mailbox.
    pub(crate) fn create_mailbox(dir: &QueueDir, name: &str) -> io::Result<Self> {
        let path = dir.join(name);
        make_fifo(&path).map_err(with_remedy)?;
        Self::open(&path, path.clone()).inspect_err(|_| {
            let _ = fs::remove_file(&path);
        })
    }

    /// Opens both ends of the pipe at `opened`. The pipe's final name is `path`.
    fn open(opened: &Path, path: PathBuf) -> io::Result<Self> {
        let (reader, writer) = (open_end(opened, true)?, open_end(opened, false)?);
        Ok(Self { path, reader, _writer: writer, is_widened: false })
    }

    /// Reads the available bytes; returns 0 if there are none.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match (&self.reader).read(buffer) {
            Err(error) if is_transient(&error) => Ok(0),
            other => other,
        }
    }

    /// The number of unread bytes.
    pub(crate) fn unread_bytes(&self) -> io::Result<u64> {
        Ok(rustix::io::ioctl_fionread(&self.reader)?)
    }

    /// Whether the name still leads to this pipe. Without its name an inbox gets no new client, and no other
    /// keeper can find a mailbox.
    pub(crate) fn is_linked(&self) -> io::Result<bool> {
        is_same_file(&self.reader, &self.path)
    }

    /// Widens the pipe to `capacity` bytes where the system permits that size, so that a mailbox holds a whole batch.
    /// Otherwise the keeper needs several turns to write one batch, which delays other clients. Not every mailbox
    /// is wide, since the system limits the size of a user's pipes.
    pub(crate) fn widen(&mut self, capacity: usize) {
        if !std::mem::replace(&mut self.is_widened, true) {
            widen_pipe(&self.reader, capacity);
        }
    }

    /// Removes the name, so that no client connects any more.
    pub(crate) fn unlink(&self) -> io::Result<()> {
        remove_file_if_exists(&self.path)
    }
}

impl AsFd for ReadEnd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

impl Drop for ReadEnd {
    fn drop(&mut self) {
        // Another pipe may have the name by now. The keeper removes the mailbox of a killed client.
        if self.is_linked().unwrap_or(false) {
            let _ = fs::remove_file(&self.path);
        }
    }
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

    /// Writes at most `PIPE_BUF` bytes: all of them, or none if there is no room yet (false).
    ///
    /// # Errors
    /// `BrokenPipe` if the keeper is gone.
    pub(crate) fn write(&self, message: &[u8]) -> io::Result<bool> {
        debug_assert!(message.len() <= super::PIPE_BUF);
        match (&self.writer).write(message) {
            Ok(written) if written == message.len() => Ok(true),
            Ok(_) => Err(io::Error::other("the kernel split a write of PIPE_BUF bytes")),
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

/// The capacity in bytes that an emptied buffer keeps.
const MAX_IDLE_BUFFER_BYTES: usize = 1 << 20;

/// The keeper's end of a mailbox, with a buffer for replies that the pipe has no room for.
#[derive(Debug)]
pub(crate) struct MailboxWriter {
    path: PathBuf,
    writer: File,
    /// The client does not know this keeper yet, and may still read the replies of an earlier keeper.
    pub(crate) is_paused: bool,
    buffer: Vec<u8>,
    /// The length of the buffer's part that is in the pipe.
    written_bytes: usize,
    /// The length of the buffer's part that may go to the pipe.
    committed_bytes: usize,
    /// Too many bytes were unread, so replies have been lost.
    pub(crate) has_overflowed: bool,
}

impl MailboxWriter {
    /// Opens a client's mailbox. The name stays, for the next keeper.
    ///
    /// # Errors
    /// NXIO if the mailbox has no reader. The mailbox stays; [`QueueDir::remove_stale_files`] removes it.
    pub(crate) fn open(dir: &QueueDir, name: &str) -> io::Result<Self> {
        let path = dir.join(name);
        let writer = open_end(&path, false)?;
        Ok(Self {
            path,
            writer,
            is_paused: false,
            buffer: Vec::new(),
            written_bytes: 0,
            committed_bytes: 0,
            has_overflowed: false,
        })
    }

    /// Opens a mailbox that an earlier keeper has written to. The mailbox gets no reply while the mailbox is
    /// paused. None if the mailbox is missing or has no reader; a mailbox without a reader is removed.
    pub(crate) fn open_paused(dir: &QueueDir, name: &str) -> io::Result<Option<Self>> {
        match Self::open(dir, name) {
            Err(error) if private_file::is_errno(&error, Errno::NXIO) => {
                remove_file_if_exists(&dir.join(name)).map(|()| None)
            }
            opened => Ok(none_if_not_found(opened)?.map(|end| Self { is_paused: true, ..end })),
        }
    }

    /// Removes the name of a client that is gone.
    pub(crate) fn unlink(self) {
        // The client may have removed the name itself.
        let _ = fs::remove_file(&self.path);
    }

    /// The buffer, to append replies to.
    pub(crate) fn buffer_mut(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Whether the buffer takes another reply. After the first refusal a reply is missing, so the buffer takes no
    /// reply any more. The buffer refuses a reply if more than `max_unsent` bytes are unsent: a client that does
    /// not read is as good as dead. A single reply may be longer than `max_unsent`.
    pub(crate) fn accepts_more(&mut self, max_unsent: usize) -> bool {
        self.has_overflowed |= self.unsent_bytes() > max_unsent;
        !self.has_overflowed
    }

    /// The number of bytes that are not in the pipe yet.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.buffer.len() - self.written_bytes
    }

    /// Permits the replies so far to go to the pipe.
    pub(crate) fn commit(&mut self) {
        self.committed_bytes = self.buffer.len();
    }

    /// Removes the replies that are not committed.
    pub(crate) fn discard_uncommitted(&mut self) {
        self.buffer.truncate(self.committed_bytes);
    }

    /// Writes as many committed bytes as the pipe has room for.
    ///
    /// # Errors
    /// `BrokenPipe` if the client is gone.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while self.written_bytes < self.committed_bytes {
            match self.writer.write(&self.buffer[self.written_bytes..self.committed_bytes]) {
                Ok(written) => self.written_bytes += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.compact_buffer();
        Ok(())
    }

    /// Removes written bytes, once the buffer's written part is at least as long as the unsent part. For a client
    /// that reads slowly the buffer is thus at most twice as long as its unsent part.
    fn compact_buffer(&mut self) {
        if self.written_bytes < self.unsent_bytes() {
            return;
        }
        self.buffer.drain(..self.written_bytes);
        self.committed_bytes -= self.written_bytes;
        self.written_bytes = 0;
        if self.buffer.capacity() > MAX_IDLE_BUFFER_BYTES
            && self.buffer.len() < MAX_IDLE_BUFFER_BYTES / 2
        {
            self.buffer.shrink_to(MAX_IDLE_BUFFER_BYTES);
        }
    }
}

impl AsFd for MailboxWriter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.writer.as_fd()
    }
}

/// Creates a named pipe for the user alone under any umask.
pub(crate) fn make_fifo(path: &Path) -> io::Result<()> {
    create_fifo(path, FILE_MODE as _)?;
    fs::set_permissions(path, Permissions::from_mode(FILE_MODE))
}

/// Opens one end of a named pipe that belongs to the user alone, without blocking.
fn open_end(path: &Path, read: bool) -> io::Result<File> {
    let unsafe_pipe = |error: UnsafeFile| io::Error::other(format!("{}: {error}", path.display()));
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

    #[test]
    fn only_committed_replies_are_written_and_one_large_reply_is_no_overflow() {
        let base = tempfile::tempdir().unwrap();
        let dir = QueueDir::open_or_create(base.path(), "q").unwrap();
        let mailbox = ReadEnd::create_mailbox(&dir, "mailbox.1.x").unwrap();
        let mut writer = MailboxWriter::open(&dir, "mailbox.1.x").unwrap();
        let read = |writer: &mut MailboxWriter| {
            let (mut all, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
            loop {
                writer.flush().unwrap();
                match mailbox.read(&mut buffer).unwrap() {
                    0 => return all,
                    read => all.extend_from_slice(&buffer[..read]),
                }
            }
        };
        let large = vec![b'x'; 1 << 21];
        writer.buffer_mut().extend_from_slice(&large);
        writer.commit();
        writer.flush().unwrap();
        assert!(writer.unsent_bytes() > 0, "no pipe holds that many bytes");
        assert!(writer.accepts_more(large.len()) && !writer.has_overflowed);
        writer.buffer_mut().extend_from_slice(b"more");
        writer.discard_uncommitted();
        writer.buffer_mut().extend_from_slice(b"other");
        assert_eq!(read(&mut writer), large, "uncommitted replies are not written");
        writer.commit();
        assert_eq!(read(&mut writer), b"other");
        assert_eq!((writer.unsent_bytes(), writer.has_overflowed), (0, false));
        assert!(writer.buffer.capacity() <= MAX_IDLE_BUFFER_BYTES, "unused capacity is freed");
    }

    #[test]
    fn the_buffer_for_unread_replies_is_limited() {
        let base = tempfile::tempdir().unwrap();
        let dir = QueueDir::open_or_create(base.path(), "q").unwrap();
        let mailbox = ReadEnd::create_mailbox(&dir, "mailbox.1.x").unwrap();
        let mut writer = MailboxWriter::open(&dir, "mailbox.1.x").unwrap();
        let reply = vec![b'x'; 1000];
        let mut replies = 0;
        while writer.accepts_more(500_000) {
            writer.buffer_mut().extend_from_slice(&reply);
            replies += 1;
            writer.commit();
            writer.flush().unwrap();
            assert!(writer.unsent_bytes() <= 501_000);
        }
        assert!(replies > 500 && writer.has_overflowed);
        while mailbox.read(&mut [0; 4096]).unwrap() > 0 {
            writer.flush().unwrap();
        }
        assert!(!writer.accepts_more(500_000), "late reads do not restore a lost reply");
    }

    #[test]
    fn a_client_that_is_always_a_little_behind_keeps_the_buffer_short() {
        let base = tempfile::tempdir().unwrap();
        let dir = QueueDir::open_or_create(base.path(), "q").unwrap();
        let mailbox = ReadEnd::create_mailbox(&dir, "mailbox.1.x").unwrap();
        let mut writer = MailboxWriter::open(&dir, "mailbox.1.x").unwrap();
        writer.buffer_mut().extend_from_slice(&[b'x'; 200_000]);
        for _ in 0..1000 {
            writer.buffer_mut().extend_from_slice(&[b'x'; 4096]);
            writer.commit();
            mailbox.read(&mut [0; 4096]).unwrap();
            writer.flush().unwrap();
            assert!(writer.unsent_bytes() > 0);
            assert!(writer.buffer.len() <= 2 * writer.unsent_bytes() + 4096);
        }
    }
}
