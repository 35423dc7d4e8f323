//! Standard output and notices on standard error. Neither mixes with the progress on a terminal.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

use super::colors::error_style;
use super::progress::Progress;
use crate::catalogue::message;
use crate::clock::Nanos;
use crate::item::{escape_for_terminal, escape_json_for_terminal};
use crate::os::{Blocking, Interest, Meanwhile, NarrowPipe, Waker, wait_ready};
use crate::pipe::PIPE_BUF;

/// The last text of a command on standard error has no newline at its end.
static IS_STDERR_LINE_OPEN: AtomicBool = AtomicBool::new(false);

/// A buffer of lines for standard output. [`Output::flush`] writes whole lines.
#[derive(Debug)]
pub(crate) struct Output {
    buffer: Vec<u8>,
    /// Whether standard output is a terminal: then foreign text is escaped.
    pub(crate) is_terminal: bool,
    pub(crate) progress: Progress,
    /// A signal to leave wakes this waker.
    interrupt: Option<Arc<Waker>>,
    /// A signal has interrupted a write: later writes do not wait for the reader.
    is_interrupted: bool,
    /// Standard output, if it is a pipe and the progress of its reader matters.
    pub(crate) tracked_pipe: Option<NarrowPipe>,
    /// Bytes written since [`Output::start_counting`].
    bytes_written: usize,
    /// The ends of items among these bytes.
    item_ends: Vec<usize>,
}

/// Writes in chunks that never block when the pipe has any room. Returns the number of written bytes. A
/// `timeout` ends the wait for room, and so does `interrupt`. `meanwhile` runs before each wait.
fn write_interruptible(
    out: impl AsFd,
    lines: &[u8],
    interrupt: &Option<Arc<Waker>>,
    timeout: Option<Nanos>,
    meanwhile: &mut Meanwhile<'_>,
) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < lines.len() {
        let mut pipes = vec![(out.as_fd(), Interest::Write)];
        pipes.extend(interrupt.iter().map(|waker| (waker.as_fd(), Interest::Read)));
        let wait = [timeout, meanwhile()].into_iter().flatten().min();
        let states = match wait_ready(&pipes, wait) {
            Ok(states) => states,
            Err(error) => return (written, Err(error)),
        };
        if states[0].is_ready || states[0].is_hung_up {
            let end = written + atomic_chunk_len(&lines[written..]);
            match rustix::io::write(out.as_fd(), &lines[written..end]) {
                Ok(bytes) => written += bytes,
                // Another writer has filled the pipe, or a signal came.
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return (written, Err(error.into())),
            }
        } else if timeout.is_some() || states.get(1).is_some_and(|woken| woken.is_ready) {
            return (written, Err(io::ErrorKind::Interrupted.into()));
        }
    }
    (written, Ok(()))
}

/// The length of the next write: whole lines, because the kernel does not mix writes of several processes up to
/// `PIPE_BUF` bytes. A longer line takes several writes.
fn atomic_chunk_len(lines: &[u8]) -> usize {
    if lines.len() <= PIPE_BUF {
        return lines.len();
    }
    memchr::memrchr(b'\n', &lines[..PIPE_BUF]).map_or(PIPE_BUF, |end| end + 1)
}

impl Output {
    /// Standard output beside this progress. A write waits for a slow reader until `interrupt` wakes.
    pub(crate) fn new(progress: Progress, interrupt: Option<Arc<Waker>>) -> Self {
        Self {
            buffer: Vec::new(),
            is_terminal: io::stdout().is_terminal(),
            progress,
            interrupt,
            is_interrupted: false,
            tracked_pipe: None,
            bytes_written: 0,
            item_ends: Vec::new(),
        }
    }

    /// Tracks the reader of standard output, if standard output is a pipe and the system supports it.
    pub(crate) fn track_reader(&mut self) {
        self.tracked_pipe = NarrowPipe::new();
    }

    /// Counts bytes and items from now on.
    pub(crate) fn start_counting(&mut self) {
        self.bytes_written = 0;
        self.item_ends.clear();
    }

    /// An item ends at the end of the buffer.
    pub(super) fn mark_item_end(&mut self) {
        if self.tracked_pipe.is_some() {
            self.item_ends.push(self.bytes_written + self.buffer.len());
        }
    }

    /// Items since [`Output::start_counting`] that the reader has read completely; 0 without a tracked reader.
    pub(crate) fn items_read(&self) -> u64 {
        let Some(Ok(unread)) = self.tracked_pipe.as_ref().map(NarrowPipe::unread_bytes) else {
            return 0;
        };
        let read = self.bytes_written.saturating_sub(usize::try_from(unread).unwrap_or(usize::MAX));
        self.item_ends.partition_point(|&end| end <= read) as u64
    }

    /// Adds foreign text.
    pub(crate) fn push_text(&mut self, text: &str) {
        if self.is_terminal {
            self.buffer.extend_from_slice(escape_for_terminal(text).as_bytes());
        } else {
            self.buffer.extend_from_slice(text.as_bytes());
        }
    }

    /// Adds JSON that contains foreign strings.
    pub(crate) fn push_json(&mut self, json: &str) {
        let json = if self.is_terminal { escape_json_for_terminal(json) } else { json.into() };
        self.buffer.extend_from_slice(json.as_bytes());
    }

    /// Adds lines that contain foreign text.
    pub(crate) fn push_lines(&mut self, lines: &str) {
        for line in lines.lines() {
            self.push_text(line);
            self.push_raw(b"\n");
        }
    }

    /// Adds bytes without a change: qdemo's own text, and output of commands.
    pub(crate) fn push_raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Writes the buffer. The error is `Interrupted` if the signal's waker woke before the reader took all
    /// bytes. The rest stays in the buffer, and later flushes do not wait for the reader.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.flush_and(&mut || None)
    }

    /// The same. `meanwhile` runs before each wait for the reader.
    pub(crate) fn flush_and(&mut self, meanwhile: &mut Meanwhile<'_>) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let Self { buffer: lines, progress, interrupt, is_interrupted, .. } = self;
        let timeout = is_interrupted.then_some(0);
        let mut write =
            || write_interruptible(io::stdout().lock(), lines, interrupt, timeout, meanwhile);
        // A write into a pipe does not disturb the progress.
        let (written, ended) = if self.is_terminal { progress.suspend(write) } else { write() };
        self.buffer.drain(..written);
        self.bytes_written += written;
        *is_interrupted |= ended.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::Interrupted);
        ended
    }

    /// Writes a command's text to standard error, as [`Output::flush_and`] does to standard output. The caller suspends
    /// the progress.
    pub(crate) fn forward_stderr(
        &self,
        text: &[u8],
        meanwhile: &mut Meanwhile<'_>,
    ) -> io::Result<()> {
        if let Some(&last) = text.last() {
            IS_STDERR_LINE_OPEN.store(last != b'\n', Ordering::Relaxed);
        }
        match write_interruptible(io::stderr().lock(), text, &self.interrupt, None, meanwhile).1 {
            // Standard error has no reader, so no error can be reported.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// Writes to standard output without the progress in between: a line may come in pieces. On a terminal the last line
    /// must have its end then, since the progress would replace the line: `write` learns whether.
    pub(crate) fn without_progress<T>(&mut self, write: impl FnOnce(&mut Self, bool) -> T) -> T {
        if !self.is_terminal {
            return write(self, false);
        }
        let progress = std::mem::take(&mut self.progress);
        let written = progress.suspend(|| write(self, progress.is_enabled()));
        self.progress = progress;
        written
    }

    /// Ends the last line of a command's text: the progress would replace the line.
    pub(crate) fn end_line_before_progress(&self) {
        if self.progress.is_enabled() {
            self.end_stderr_line();
        }
    }

    /// Ends the last line of a command's text on standard error, if the line has no end.
    pub(crate) fn end_stderr_line(&self) {
        write_stderr("");
    }

    /// Prints a notice on standard error.
    pub(crate) fn print_notice(&self, text: &str) {
        self.progress.suspend(|| write_stderr_line(text));
    }
}

/// Standard output takes no more bytes.
#[derive(Debug, thiserror::Error)]
#[error("{}", message!("output-unwritable"))]
pub(crate) struct StdoutError(#[source] pub(crate) io::Error);

/// Prints one line on standard error, after the program's name.
pub(crate) fn eprint_line(line: &str) {
    write_stderr_line(&format!("qdemo: {}", line.replace('\n', " ")));
}

/// Prints the error of a command on standard error, in one line after the program's name.
pub(crate) fn eprint_error(line: &str) {
    let name = error_style().for_stderr().apply_to("qdemo:");
    let line = line.replace('\n', " ");
    write_stderr(&format!("{name} {}\n", escape_for_terminal(&line)));
}

fn write_stderr_line(text: &str) {
    write_stderr(&format!("{}\n", escape_for_terminal(text)));
}

/// Writes text that begins on a line of its own.
fn write_stderr(line: &str) {
    let is_open = IS_STDERR_LINE_OPEN.swap(false, Ordering::Relaxed);
    let line = if is_open { format!("\n{line}") } else { line.to_owned() };
    // Standard error has no reader, so no error can be reported.
    let _ = Blocking(io::stderr()).write_all(line.as_bytes());
}
