//! Standard output, and what is drawn on standard error that must not get into its way.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::io::Errno;

use super::progress::Progress;
use crate::clock::Nanos;
use crate::item::{escape_for_terminal, escape_json_for_terminal};
use crate::os::{Blocking, Interest, NarrowPipe, Waker, wait_ready};
use crate::pipe::PIPE_BUF;

/// Lines on their way to standard output. They are written when they are flushed, whole.
#[derive(Debug)]
pub(crate) struct Output {
    buffer: Vec<u8>,
    /// Text of others is made harmless for a terminal, and left alone in a pipe.
    is_terminal: bool,
    progress: Progress,
    /// Woken by the signal to leave.
    interrupt: Option<Arc<Waker>>,
    /// It has come: what the reader does not take at once is not worth waiting for.
    is_interrupted: bool,
    /// The pipe that standard output is, if what its reader has read is to be known.
    tracked_pipe: Option<NarrowPipe<io::Stdout>>,
    /// How much has been written to it since [`Output::begin`].
    bytes_written: usize,
    /// Where in that the items end.
    item_ends: Vec<usize>,
}

/// Writes in pieces that never block once there is room at all, and tells how much was written.
fn write_interruptible(
    out: impl AsFd,
    lines: &[u8],
    interrupt: &Option<Arc<Waker>>,
    most: Option<Nanos>,
) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < lines.len() {
        let mut pipes = vec![(out.as_fd(), Interest::Write)];
        pipes.extend(interrupt.iter().map(|waker| (waker.as_fd(), Interest::Read)));
        let states = match wait_ready(&pipes, most) {
            Ok(states) => states,
            Err(error) => return (written, Err(error)),
        };
        if states[0].is_ready || states[0].is_hung_up {
            let end = written + atomic_chunk_len(&lines[written..]);
            match rustix::io::write(out.as_fd(), &lines[written..end]) {
                Ok(bytes) => written += bytes,
                // Others may write there too, and have filled it; or a signal came.
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return (written, Err(error.into())),
            }
        } else if most.is_some() || states.get(1).is_some_and(|woken| woken.is_ready) {
            return (written, Err(io::ErrorKind::Interrupted.into()));
        }
    }
    (written, Ok(()))
}

/// How much of this to write at once: whole lines, so that those of several writers to one pipe are not
/// mixed, unless a line is longer than a write that the kernel keeps in one piece.
fn atomic_chunk_len(lines: &[u8]) -> usize {
    if lines.len() <= PIPE_BUF {
        return lines.len();
    }
    memchr::memrchr(b'\n', &lines[..PIPE_BUF]).map_or(PIPE_BUF, |end| end + 1)
}

impl Output {
    /// Standard output, beside this progress. A reader that doesn't read is waited for, but
    /// not when `interrupt` is woken.
    pub(crate) fn new(progress: Progress, interrupt: Option<Arc<Waker>>) -> Self {
        let terminal = io::stdout().is_terminal();
        let (lines, ends) = (Vec::new(), Vec::new());
        Self {
            buffer: lines,
            is_terminal: terminal,
            progress,
            interrupt,
            is_interrupted: false,
            tracked_pipe: None,
            bytes_written: 0,
            item_ends: ends,
        }
    }

    /// From now on it is known what the reader of standard output has read, if that is a pipe, and the
    /// system tells.
    pub(crate) fn track_reader(&mut self) {
        self.tracked_pipe = NarrowPipe::new(io::stdout());
    }

    /// The pipe of a reader that is followed.
    pub(crate) fn tracked_pipe(&mut self) -> Option<&mut NarrowPipe<io::Stdout>> {
        self.tracked_pipe.as_mut()
    }

    /// What is shown from now on is counted.
    pub(crate) fn start_counting(&mut self) {
        self.bytes_written = 0;
        self.item_ends.clear();
    }

    /// An item ends here.
    pub(super) fn mark_item_end(&mut self) {
        if self.tracked_pipe.is_some() {
            self.item_ends.push(self.bytes_written + self.buffer.len());
        }
    }

    /// How many items since [`Output::begin`] the reader has read to their end; 0 if it is not followed.
    pub(crate) fn items_read(&self) -> u64 {
        let Some(Ok(unread)) = self.tracked_pipe.as_ref().map(NarrowPipe::unread_bytes) else {
            return 0;
        };
        let read = self.bytes_written.saturating_sub(usize::try_from(unread).unwrap_or(usize::MAX));
        self.item_ends.partition_point(|&end| end <= read) as u64
    }

    /// What is drawn on standard error.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Text that others have chosen.
    pub(super) fn push_text(&mut self, text: &str) {
        if self.is_terminal {
            self.buffer.extend_from_slice(escape_for_terminal(text).as_bytes());
        } else {
            self.buffer.extend_from_slice(text.as_bytes());
        }
    }

    /// JSON text, in which others have chosen strings.
    pub(crate) fn push_json(&mut self, json: &str) {
        let json = if self.is_terminal { escape_json_for_terminal(json) } else { json.into() };
        self.buffer.extend_from_slice(json.as_bytes());
    }

    /// Lines in which there is text that others have chosen.
    pub(crate) fn push_lines(&mut self, lines: &str) {
        for line in lines.lines() {
            self.push_text(line);
            self.push_raw(b"\n");
        }
    }

    /// What is passed on as it is, and our own.
    pub(crate) fn push_raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Writes what has been gathered. `Interrupted` when the signal's waker was woken before there
    /// was room for it all; what is not written then is kept, and from then on not waited for.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let Self { buffer: lines, progress, interrupt, is_interrupted: hurried, .. } = self;
        let most = if *hurried { Some(0) } else { None };
        let write = || write_interruptible(io::stdout().lock(), lines, interrupt, most);
        // What goes into a pipe is in nobody's way.
        let (written, ended) = if self.is_terminal { progress.suspend(write) } else { write() };
        self.buffer.drain(..written);
        self.bytes_written += written;
        *hurried |= ended.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::Interrupted);
        ended
    }

    /// Passes on to standard error what a command wrote there; as [`Output::flush`].
    pub(crate) fn forward_stderr(&self, text: &[u8]) -> io::Result<()> {
        let ended = self
            .progress
            .suspend(|| write_interruptible(io::stderr().lock(), text, &self.interrupt, None).1);
        match ended {
            // There is nobody to tell that nobody listens.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// Tells people something on standard error.
    pub(crate) fn print_notice(&self, text: &str) {
        self.progress.suspend(|| {
            // There is nobody to tell that nobody listens.
            let _ = Blocking(io::stderr())
                .write_all(format!("{}\n", escape_for_terminal(text)).as_bytes());
        });
    }
}

/// Standard output takes no more.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub(crate) struct StdoutError(#[source] pub(crate) io::Error);

/// Prints one line on standard error, behind the program's name.
pub(crate) fn eprint_line(line: &str) {
    let line = line.replace('\n', " ");
    let line = format!("qdemo: {}\n", escape_for_terminal(&line));
    // There is nobody to tell that nobody listens.
    let _ = Blocking(io::stderr()).write_all(line.as_bytes());
}
