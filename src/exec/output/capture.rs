//! Captures one output stream of a command.

use std::io::{self, PipeReader, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::Stdio;

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::ioctl_fionread;

use super::OutputConfig;
use super::store::{KeptOutput, OutputStore};

/// The capture reads at most this many bytes at a time: other commands and the queue have their turn then.
const MAX_TURN_LEN: usize = 64 * 1024;
/// At least this many bytes of the end are kept of an output that is not kept whole.
const TAIL_LEN: usize = 16 * 1024;

/// Takes complete lines, or the rest of the output without a newline.
pub(crate) type PassOn<'a> = dyn FnMut(&mut dyn Read) -> anyhow::Result<()> + 'a;

/// Why the output of a command is not captured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaptureError {
    /// The output cannot be read, or not be kept.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The lines cannot be passed on.
    #[error(transparent)]
    PassOn(anyhow::Error),
}

/// Captures one output stream of a command.
#[derive(Debug)]
pub(crate) struct OutputCapture {
    /// None after the end of the stream, and with a terminal.
    pipe: Option<PipeReader>,
    /// The whole output. None if only its end is kept.
    kept: Option<KeptOutput>,
    tail: Vec<u8>,
    /// The last line as long as it has no end. None if lines are not passed on.
    line: Option<KeptOutput>,
}

impl OutputCapture {
    /// Also returns the command's end.
    pub(crate) fn new(store: &OutputStore, config: OutputConfig) -> io::Result<(Self, Stdio)> {
        let (reader, writer) = io::pipe()?;
        fcntl_setfl(&reader, OFlags::NONBLOCK)?;
        let is_kept = config.is_kept || !config.is_live;
        let capture = Self {
            pipe: Some(reader),
            kept: is_kept.then(|| store.new_output()),
            tail: Vec::new(),
            line: config.is_live.then(|| store.new_output()),
        };
        Ok((capture, writer.into()))
    }

    /// The capture of a command that shares this process's output.
    pub(crate) fn nothing() -> Self {
        Self { pipe: None, kept: None, tail: Vec::new(), line: None }
    }

    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Reads what the pipe has, in one turn. Complete lines go to `pass_on`.
    pub(crate) fn read_available(&mut self, pass_on: &mut PassOn<'_>) -> Result<(), CaptureError> {
        self.read(MAX_TURN_LEN, Some(pass_on))
    }

    /// Reads the last bytes of an ended command. Children of the command may write on: what they write now is not its
    /// output.
    pub(crate) fn read_rest(&mut self, pass_on: &mut PassOn<'_>) -> Result<(), CaptureError> {
        let rest = self.pipe.as_ref().map(ioctl_fionread).transpose().map_err(io::Error::from)?;
        let rest = usize::try_from(rest.unwrap_or(0)).unwrap_or(usize::MAX);
        self.read(rest, Some(pass_on))?;
        self.pipe = None;
        if let Some(line) = self.line.as_mut().filter(|line| !line.is_empty()) {
            line.rewind()?;
            pass_on(line).map_err(CaptureError::PassOn)?;
        }
        self.line = None;
        Ok(())
    }

    /// Reads what the pipe has, and forgets it, so that the command can go on to its end.
    pub(crate) fn discard(&mut self) {
        // A stream that cannot be read has nothing to forget.
        let _ = self.read(MAX_TURN_LEN, None);
    }

    /// Reads at most `max` bytes. Forgets them without `pass_on`.
    fn read(
        &mut self,
        max: usize,
        mut pass_on: Option<&mut PassOn<'_>>,
    ) -> Result<(), CaptureError> {
        let mut buffer = [0; 16 * 1024];
        let mut left = max;
        while left > 0
            && let Some(pipe) = &mut self.pipe
        {
            let end = left.min(buffer.len());
            match pipe.read(&mut buffer[..end]) {
                Ok(0) => self.pipe = None,
                Ok(read) => {
                    left -= read;
                    if let Some(pass_on) = &mut pass_on {
                        self.take(&buffer[..read], pass_on)?;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8], pass_on: &mut PassOn<'_>) -> Result<(), CaptureError> {
        match &mut self.kept {
            Some(kept) => kept.write_all(bytes)?,
            None => self.take_tail(bytes),
        }
        let Some(line) = &mut self.line else { return Ok(()) };
        let mut rest = bytes;
        if let Some(end) = memchr::memrchr(b'\n', bytes) {
            let (complete, begun) = bytes.split_at(end + 1);
            line.rewind()?;
            let mut lines = Read::by_ref(line).chain(complete);
            pass_on(&mut lines).map_err(CaptureError::PassOn)?;
            line.clear();
            rest = begun;
        }
        Ok(line.write_all(rest)?)
    }

    fn take_tail(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        if self.tail.len() > 2 * TAIL_LEN {
            self.tail.drain(..self.tail.len() - TAIL_LEN);
        }
    }

    /// The output, or its end if the output is not kept.
    pub(crate) fn into_output(self, store: &OutputStore) -> io::Result<KeptOutput> {
        if let Some(kept) = self.kept {
            return Ok(kept);
        }
        let mut output = store.new_output();
        output.write_all(&self.tail)?;
        Ok(output)
    }
}
