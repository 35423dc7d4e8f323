//! Waiting for several pipes at once, and being woken.

use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;

use crate::clock::Nanos;

/// No wait is longer, in nanoseconds: 24 days. Where `poll` counts milliseconds, 25 days don't fit.
const MAX_WAIT: Nanos = 24 * 86_400_000_000_000;

/// What a pipe is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Something to read.
    Read,
    /// Room to write.
    Write,
    /// Nothing but the death of the other end.
    Hangup,
}

/// What is the matter with a pipe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Readiness {
    /// It can be read or written, as was asked.
    pub(crate) is_ready: bool,
    /// Nobody is at the other end.
    pub(crate) is_hung_up: bool,
}

/// Waits until something is the matter with one of these pipes, or for `most` nanoseconds.
/// A signal may end the wait early, and 24 days do.
pub(crate) fn wait_ready(
    pipes: &[(BorrowedFd<'_>, Interest)],
    most: Option<Nanos>,
) -> io::Result<Vec<Readiness>> {
    let mut fds: Vec<PollFd<'_>> = pipes
        .iter()
        .map(|&(fd, ready)| {
            let events = match ready {
                Interest::Read => PollFlags::IN,
                Interest::Write => PollFlags::OUT,
                Interest::Hangup => PollFlags::empty(),
            };
            PollFd::from_borrowed_fd(fd, events)
        })
        .collect();
    let timeout = most.map(|nanos| nanos.min(MAX_WAIT)).map(|nanos| Timespec {
        tv_sec: (nanos / 1_000_000_000).cast_signed(),
        tv_nsec: (nanos % 1_000_000_000) as _,
    });
    match poll(&mut fds, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let gone = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
    let states = fds.iter().map(|fd| Readiness {
        is_ready: fd.revents().intersects(PollFlags::IN | PollFlags::OUT),
        is_hung_up: fd.revents().intersects(gone),
    });
    Ok(states.collect())
}

/// A pipe to oneself: lets a signal's thread end a wait.
#[derive(Debug)]
pub(crate) struct Waker {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Waker {
    /// A new one.
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        fcntl_setfl(&reader, OFlags::NONBLOCK)?;
        fcntl_setfl(&writer, OFlags::NONBLOCK)?;
        Ok(Self { reader, writer })
    }

    /// The end that wakes: each byte written to it does.
    pub(crate) fn writer(&self) -> io::Result<PipeWriter> {
        self.writer.try_clone()
    }

    /// Wakes whoever waits.
    pub(crate) fn wake(&self) {
        // A full pipe wakes too.
        let _ = (&self.writer).write(&[0]);
    }

    /// Forgets all wakings so far.
    pub(crate) fn drain(&self) {
        let mut bytes = [0; 64];
        while matches!((&self.reader).read(&mut bytes), Ok(n) if n > 0) {}
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

/// Nothing there, or no room, for now.
pub(crate) fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
