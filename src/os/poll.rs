//! Waiting for several pipes at once, and waking such a wait.

use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;

use crate::clock::Nanos;

/// The longest wait: 24 days in nanoseconds. 25 days overflow a `poll` that counts milliseconds.
const MAX_WAIT: Nanos = 24 * 86_400_000_000_000;

/// What a wait expects of a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Bytes to read.
    Read,
    /// Room to write.
    Write,
    /// Only the death of the other end.
    Hangup,
}

/// The state of a pipe after a wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Readiness {
    /// The pipe can be read or written, as [`Interest`] says.
    pub(crate) is_ready: bool,
    /// The other end is closed.
    pub(crate) is_hung_up: bool,
}

/// Waits until one of these pipes is ready or hung up, or for `timeout` nanoseconds. A signal may end the wait
/// early, and 24 days do.
pub(crate) fn wait_ready(
    pipes: &[(BorrowedFd<'_>, Interest)],
    timeout: Option<Nanos>,
) -> io::Result<Vec<Readiness>> {
    let mut fds: Vec<PollFd<'_>> = pipes
        .iter()
        .map(|&(fd, interest)| {
            let events = match interest {
                Interest::Read => PollFlags::IN,
                Interest::Write => PollFlags::OUT,
                Interest::Hangup => PollFlags::empty(),
            };
            PollFd::from_borrowed_fd(fd, events)
        })
        .collect();
    let timeout = timeout.map(|nanos| nanos.min(MAX_WAIT)).map(|nanos| Timespec {
        tv_sec: (nanos / 1_000_000_000).cast_signed(),
        tv_nsec: (nanos % 1_000_000_000) as _,
    });
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let hung_up = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
    let states = fds.iter().map(|fd| Readiness {
        is_ready: fd.revents().intersects(PollFlags::IN | PollFlags::OUT),
        is_hung_up: fd.revents().intersects(hung_up),
    });
    Ok(states.collect())
}

/// A pipe from this process to itself. A signal handler or another thread ends a wait by writing to the pipe.
#[derive(Debug)]
pub(crate) struct Waker {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        fcntl_setfl(&reader, OFlags::NONBLOCK)?;
        fcntl_setfl(&writer, OFlags::NONBLOCK)?;
        Ok(Self { reader, writer })
    }

    /// The writing end: each byte wakes.
    pub(crate) fn writer(&self) -> io::Result<PipeWriter> {
        self.writer.try_clone()
    }

    /// Ends the present or next wait.
    pub(crate) fn wake(&self) {
        // A full pipe ends a wait too.
        let _ = (&self.writer).write(&[0]);
    }

    /// Forgets all earlier calls of [`Waker::wake`]. Returns whether there was one.
    pub(crate) fn drain(&self) -> bool {
        let mut bytes = [0; 64];
        let mut was_woken = false;
        loop {
            match (&self.reader).read(&mut bytes) {
                Ok(0) => return was_woken,
                Ok(read) => {
                    was_woken = true;
                    if read < bytes.len() {
                        return true;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return was_woken,
            }
        }
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

/// Whether a pipe is only empty, full or interrupted for now.
pub(crate) fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
