//! The keeper's end of a mailbox.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use rustix::io::Errno;

use super::dir::QueueDir;
use super::fifo::open_end;
use super::write_buffer::WriteBuffer;
use crate::os::private_file::{self, none_if_not_found, remove_file_if_exists};

/// The keeper's end of a mailbox, with a buffer for replies that the pipe has no room for.
#[derive(Debug)]
pub(crate) struct MailboxWriter {
    path: PathBuf,
    writer: File,
    /// The client does not know this keeper yet, and may still read the replies of an earlier keeper.
    pub(crate) is_paused: bool,
    pub(crate) unsent: WriteBuffer,
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
        let unsent = WriteBuffer::default();
        Ok(Self { path, writer, is_paused: false, unsent, has_overflowed: false })
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

    /// Whether the buffer takes another reply. After the first refusal a reply is missing, so the buffer takes no
    /// reply any more. The buffer refuses a reply if more than `max_unsent` bytes are unsent: a client that does
    /// not read is as good as dead. A single reply may be longer than `max_unsent`.
    pub(crate) fn accepts_more(&mut self, max_unsent: usize) -> bool {
        self.has_overflowed |= self.unsent.unsent_bytes() > max_unsent;
        !self.has_overflowed
    }

    /// Writes all replies so far, as far as the pipe has room for them. Returns whether that is all.
    ///
    /// # Errors
    /// `BrokenPipe` if the client is gone.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        self.unsent.commit();
        self.unsent.write_to(&self.writer)
    }
}

impl AsFd for MailboxWriter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.writer.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipe::ReadEnd;

    fn mailbox() -> (tempfile::TempDir, ReadEnd, MailboxWriter) {
        let base = tempfile::tempdir().unwrap();
        let dir = QueueDir::open_or_create(base.path(), "q").unwrap();
        let reader = ReadEnd::create_mailbox(&dir, "mailbox.1.x").unwrap();
        let writer = MailboxWriter::open(&dir, "mailbox.1.x").unwrap();
        (base, reader, writer)
    }

    #[test]
    fn one_large_reply_is_no_overflow() {
        let (_base, reader, mut writer) = mailbox();
        let large = vec![b'x'; 1 << 21];
        writer.unsent.text_mut().extend_from_slice(&large);
        assert!(!writer.flush().unwrap(), "no pipe holds that many bytes");
        assert!(writer.accepts_more(large.len()));
        let mut read = Vec::with_capacity(large.len());
        while !writer.flush().unwrap() {
            reader.read(&mut read).unwrap();
        }
        while read.len() < large.len() && reader.read(&mut read).unwrap().is_some() {}
        assert!(read == large && writer.accepts_more(0));
    }

    #[test]
    fn the_buffer_for_unread_replies_is_limited() {
        let (_base, reader, mut writer) = mailbox();
        let reply = vec![b'x'; 1000];
        let mut replies = 0;
        while writer.accepts_more(500_000) {
            writer.unsent.text_mut().extend_from_slice(&reply);
            replies += 1;
            writer.flush().unwrap();
            assert!(writer.unsent.unsent_bytes() <= 501_000);
        }
        assert!(replies > 500 && writer.has_overflowed);
        while reader.read(&mut Vec::with_capacity(4096)).unwrap().is_some() {
            writer.flush().unwrap();
        }
        assert!(!writer.accepts_more(500_000), "late reads do not restore a lost reply");
    }
}
