//! The four ends of named pipes.
//!
//! ```text
//!  client: Door    ──►  inbox  ──►  Inbox  :keeper
//!  client: Mailbox ◄── mailbox ◄──  Slot   :keeper
//! ```
//!
//! None of them blocks; [`super::wait`] does.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use interprocess::os::unix::fifo_file::create_fifo;
use rustix::io::Errno;

use super::dir::{QueueDir, remove_file_if_exists};
use crate::os::private_file::{self, FILE_MODE, is_same_file, with_remedy};
use crate::os::{is_transient, widen_pipe};

pub(super) const INBOX: &str = "inbox";
/// How much the inbox holds, where the system lets it, and the mailbox of whoever gets many items at a time.
/// Many writers that find the inbox full are all woken when it is read, so that each should have room for
/// several writes then. With more, `done` and `get` would wait longer behind what is in it.
pub(crate) const WIDE_PIPE_BYTES: usize = 512 * 1024;

/// The keeper's end of the inbox.
#[derive(Debug)]
pub(crate) struct Inbox {
    path: PathBuf,
    reader: File,
    /// Held open so that the inbox doesn't end when the last client leaves.
    _writer: File,
}

impl Inbox {
    /// Makes the inbox. It gets its name when it can be written to: to see it is to be able to
    /// use it. Takes the place of one that a dead keeper left.
    pub(crate) fn create(dir: &QueueDir) -> io::Result<Self> {
        let hidden = dir.temp_path(INBOX);
        let path = dir.join(INBOX);
        let ends = || {
            remove_file_if_exists(&hidden)?;
            make_fifo(&hidden)?;
            let ends = (open_end(&hidden, true)?, open_end(&hidden, false)?);
            widen_pipe(&ends.0, WIDE_PIPE_BYTES);
            fs::rename(&hidden, &path)?;
            Ok(ends)
        };
        match ends() {
            Ok((reader, writer)) => Ok(Self { path, reader, _writer: writer }),
            Err(error) => {
                let _ = fs::remove_file(&hidden);
                Err(private_file::with_action("make the inbox", &path, error))
            }
        }
    }

    /// Reads what is there; 0 when that is nothing.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match (&self.reader).read(buffer) {
            Err(error) if is_transient(&error) => Ok(0),
            other => other,
        }
    }

    /// How many bytes are there to be read.
    pub(crate) fn unread_bytes(&self) -> io::Result<u64> {
        Ok(rustix::io::ioctl_fionread(&self.reader)?)
    }

    /// Whether the name still leads here. If not, nobody will ever come.
    pub(crate) fn is_linked(&self) -> io::Result<bool> {
        is_same_file(&self.reader, &self.path)
    }

    /// Takes the name away: no client comes any more.
    pub(crate) fn unlink(&self) -> io::Result<()> {
        remove_file_if_exists(&self.path)
    }
}

impl AsFd for Inbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

/// A client's end of the inbox.
#[derive(Debug)]
pub(crate) struct InboxWriter {
    writer: File,
}

impl InboxWriter {
    /// Opens the inbox; none when no keeper reads it.
    pub(crate) fn open(dir: &QueueDir) -> io::Result<Option<Self>> {
        match open_end(&dir.join(INBOX), false) {
            Ok(writer) => Ok(Some(Self { writer })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            // Nobody reads it.
            Err(error) if private_file::is_errno(&error, Errno::NXIO) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes at most `PIPE_BUF` bytes, all of them or, when there is no room yet, none: then
    /// false. `BrokenPipe` when the keeper is gone.
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

/// A client's end of its mailbox.
#[derive(Debug)]
pub(crate) struct Mailbox {
    path: PathBuf,
    reader: File,
    /// Held open so that the mailbox doesn't end before the keeper has opened it.
    _writer: File,
    /// It holds as much as it may.
    is_widened: bool,
}

impl Mailbox {
    /// Makes a mailbox and opens it.
    pub(crate) fn create(dir: &QueueDir, name: &str) -> io::Result<Self> {
        let path = dir.join(name);
        make_fifo(&path).map_err(with_remedy)?;
        let ends = || Ok((open_end(&path, true)?, open_end(&path, false)?));
        match ends() {
            Ok((reader, writer)) => Ok(Self { path, reader, _writer: writer, is_widened: false }),
            Err(error) => {
                let _ = fs::remove_file(&path);
                Err(error)
            }
        }
    }

    /// Reads what is there; 0 when that is nothing.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match (&self.reader).read(buffer) {
            Err(error) if is_transient(&error) => Ok(0),
            other => other,
        }
    }
}

impl Mailbox {
    /// Lets it hold a whole run, where it may: its keeper is in the way of others for as long as it has to
    /// come back with the rest. Not for everybody, as what a user may have in pipes is limited.
    pub(crate) fn widen(&mut self) {
        if !std::mem::replace(&mut self.is_widened, true) {
            widen_pipe(&self.reader, WIDE_PIPE_BYTES);
        }
    }

    /// Whether its name leads here, so that another keeper can find it.
    pub(crate) fn is_linked(&self) -> bool {
        is_same_file(&self.reader, &self.path).unwrap_or(false)
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        // The keeper does so too, for a client that is killed. Another of the same name may be there.
        if self.is_linked() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// What a mailbox that had a large letter keeps for the next one.
const MAX_IDLE_BUFFER_BYTES: usize = 1 << 20;

/// The keeper's end of a mailbox, with what the pipe had no room for.
#[derive(Debug)]
pub(crate) struct MailboxWriter {
    path: PathBuf,
    writer: File,
    /// Its client doesn't know us yet, and may still be reading what another has written.
    is_paused: bool,
    buffer: Vec<u8>,
    /// How much of that has been written, and how much may be.
    written_bytes: usize,
    committed_bytes: usize,
    /// There was more unread than was borne, and mail has been lost.
    has_overflowed: bool,
}

impl MailboxWriter {
    /// Opens a client's mailbox. Its name stays, for another keeper. Fails when nobody reads it; then
    /// the name goes when its process is known to be dead.
    pub(crate) fn open(dir: &QueueDir, name: &str) -> io::Result<Self> {
        let path = dir.join(name);
        let writer = open_end(&path, false)?;
        let unsent = Vec::new();
        Ok(Self {
            path,
            writer,
            is_paused: false,
            buffer: unsent,
            written_bytes: 0,
            committed_bytes: 0,
            has_overflowed: false,
        })
    }

    /// The same for a mailbox that another has written to, which gets no mail before
    /// [`Slot::resume`]; none when nobody reads it any more.
    pub(crate) fn open_paused(dir: &QueueDir, name: &str) -> io::Result<Option<Self>> {
        match Self::open(dir, name) {
            Ok(slot) => Ok(Some(Self { is_paused: true, ..slot })),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) if private_file::is_errno(&error, Errno::NXIO) => {
                remove_file_if_exists(&dir.join(name)).map(|()| None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether it may not be written to yet.
    pub(crate) fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Whether somebody reads the mailbox of this name.
    pub(crate) fn has_reader(dir: &QueueDir, name: &str) -> bool {
        open_end(&dir.join(name), false).is_ok()
    }

    /// Whether this is a mailbox, and nobody reads it.
    pub(super) fn is_mailbox_without_reader(dir: &QueueDir, name: &str) -> bool {
        let path = dir.join(name);
        // A socket is opened with the same error.
        fs::symlink_metadata(&path).is_ok_and(|is| is.file_type().is_fifo())
            && open_end(&path, false)
                .is_err_and(|error| private_file::is_errno(&error, Errno::NXIO))
    }

    /// From now on it may be written to.
    pub(crate) fn resume(&mut self) {
        self.is_paused = false;
    }

    /// Takes the name away, as the client is gone.
    pub(crate) fn unlink(self) {
        // The client may have done so itself.
        let _ = fs::remove_file(&self.path);
    }

    /// Where to add what is to be written.
    pub(crate) fn buffer_mut(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Whether there may be more mail: not when more than `most` bytes have been left unread already,
    /// and never after, as something is missing then. A client that doesn't read is as good as dead.
    /// A single letter may be longer than that.
    pub(crate) fn accepts_more(&mut self, most: usize) -> bool {
        self.has_overflowed |= self.unsent_bytes() > most;
        !self.has_overflowed
    }

    /// Whether mail has been lost, since the client doesn't read.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.has_overflowed
    }

    /// How much is not written yet.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.buffer.len() - self.written_bytes
    }

    /// All mail so far may be written.
    pub(crate) fn commit(&mut self) {
        self.committed_bytes = self.buffer.len();
    }

    /// What may not be written yet never will be.
    pub(crate) fn discard_uncommitted(&mut self) {
        self.buffer.truncate(self.committed_bytes);
    }

    /// Writes what may be written, and as much as there is room for. `BrokenPipe` when the client is
    /// gone.
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

    /// Lets go of what has been written: all that is kept is at most as long again as what is still
    /// to be, for a client that reads slowly, and never quite everything.
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

/// Makes a named pipe for the user alone, whatever the umask says.
pub(crate) fn make_fifo(path: &Path) -> io::Result<()> {
    create_fifo(path, FILE_MODE as _)?;
    fs::set_permissions(path, Permissions::from_mode(FILE_MODE))
}

/// Opens one end of a named pipe that is the user's own, without blocking.
fn open_end(path: &Path, read: bool) -> io::Result<File> {
    let wrong = |error| io::Error::other(format!("{}: {error}", path.display()));
    let file = match private_file::open_no_follow(path, OpenOptions::new().read(read).write(!read))
    {
        Err(error) if error.raw_os_error().is_none() => return Err(wrong(error)),
        other => other.map_err(with_remedy)?,
    };
    let is = file.metadata()?;
    if !is.file_type().is_fifo() {
        return Err(wrong(io::Error::other("it is not a named pipe: remove it")));
    }
    private_file::check_private(&is).map_err(wrong)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_is_written_when_it_is_agreed_and_one_large_letter_is_not_being_behind() {
        let base = tempfile::tempdir().unwrap();
        let dir = QueueDir::open_or_create(base.path(), "q").unwrap();
        let mailbox = Mailbox::create(&dir, "mailbox.1.x").unwrap();
        let mut slot = MailboxWriter::open(&dir, "mailbox.1.x").unwrap();
        let read = |slot: &mut MailboxWriter| {
            let (mut all, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
            loop {
                slot.flush().unwrap();
                match mailbox.read(&mut buffer).unwrap() {
                    0 => return all,
                    read => all.extend_from_slice(&buffer[..read]),
                }
            }
        };
        let large = vec![b'x'; 1 << 21];
        slot.buffer_mut().extend_from_slice(&large);
        slot.commit();
        slot.flush().unwrap();
        assert!(slot.unsent_bytes() > 0, "no pipe holds that much");
        assert!(slot.accepts_more(large.len()) && !slot.has_overflowed());
        slot.buffer_mut().extend_from_slice(b"more");
        slot.discard_uncommitted();
        slot.buffer_mut().extend_from_slice(b"other");
        assert_eq!(read(&mut slot), large, "what has not been agreed is not written");
        slot.commit();
        assert_eq!(read(&mut slot), b"other");
        assert_eq!((slot.unsent_bytes(), slot.has_overflowed()), (0, false));
        assert!(slot.buffer.capacity() <= MAX_IDLE_BUFFER_BYTES, "what is not used is given back");
    }

    #[test]
    fn what_is_left_unread_is_not_kept_without_end() {
        let base = tempfile::tempdir().unwrap();
        let dir = QueueDir::open_or_create(base.path(), "q").unwrap();
        let mailbox = Mailbox::create(&dir, "mailbox.1.x").unwrap();
        let mut slot = MailboxWriter::open(&dir, "mailbox.1.x").unwrap();
        let letter = vec![b'x'; 1000];
        let mut letters = 0;
        while slot.accepts_more(500_000) {
            slot.buffer_mut().extend_from_slice(&letter);
            letters += 1;
            slot.commit();
            slot.flush().unwrap();
            assert!(slot.unsent_bytes() <= 501_000);
        }
        assert!(letters > 500 && slot.has_overflowed());
        while mailbox.read(&mut [0; 4096]).unwrap() > 0 {
            slot.flush().unwrap();
        }
        assert!(!slot.accepts_more(500_000), "what was lost is not made good by reading late");
    }

    #[test]
    fn a_client_that_is_always_a_little_behind_costs_no_more_than_that() {
        let base = tempfile::tempdir().unwrap();
        let dir = QueueDir::open_or_create(base.path(), "q").unwrap();
        let mailbox = Mailbox::create(&dir, "mailbox.1.x").unwrap();
        let mut slot = MailboxWriter::open(&dir, "mailbox.1.x").unwrap();
        slot.buffer_mut().extend_from_slice(&[b'x'; 200_000]);
        for _ in 0..1000 {
            slot.buffer_mut().extend_from_slice(&[b'x'; 4096]);
            slot.commit();
            mailbox.read(&mut [0; 4096]).unwrap();
            slot.flush().unwrap();
            assert!(slot.unsent_bytes() > 0);
            assert!(slot.buffer.len() <= 2 * slot.unsent_bytes() + 4096);
        }
    }
}
