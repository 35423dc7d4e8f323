//! What the system allows: how many files may be open, and how much a pipe holds.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files, of which a keeper needs one for each client, as far as the
/// system lets us. Returns it; none for "any number".
pub(crate) fn raise_open_file_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => wanted.current,
        // macOS has a lower limit of its own.
        Err(_) => limit.current,
    }
}

/// How many bytes a pipe holds.
#[cfg(target_os = "linux")]
fn pipe_size(pipe: impl AsFd) -> Result<usize, Errno> {
    rustix::pipe::fcntl_getpipe_size(pipe)
}

/// Lets it hold so many, or a few more, and tells how many.
#[cfg(target_os = "linux")]
fn set_pipe_size(pipe: impl AsFd, bytes: usize) -> Result<usize, Errno> {
    rustix::pipe::fcntl_setpipe_size(pipe, bytes)
}

/// Other systems don't tell.
#[cfg(not(target_os = "linux"))]
fn pipe_size(_pipe: impl AsFd) -> Result<usize, Errno> {
    Err(Errno::NOSYS)
}

/// Other systems choose by themselves.
#[cfg(not(target_os = "linux"))]
fn set_pipe_size(_pipe: impl AsFd, _bytes: usize) -> Result<usize, Errno> {
    Err(Errno::NOSYS)
}

/// Lets a pipe hold this many bytes, or as many of them as the user may still have in pipes. Where the
/// system has no such call, it stays as it is.
pub(crate) fn widen_pipe(pipe: impl AsFd, bytes: usize) {
    let now = pipe_size(&pipe).unwrap_or(bytes);
    let smaller = std::iter::successors(Some(bytes), |bytes| Some(bytes / 2));
    let mut sizes = smaller.take_while(|&bytes| bytes > now);
    sizes.find(|&bytes| set_pipe_size(&pipe, bytes).is_ok());
}

/// A pipe that is written to, made so narrow that it has room only when its reader has read everything. It
/// becomes as wide again as it was when this is dropped.
#[derive(Debug)]
pub(crate) struct NarrowPipe<P: AsFd> {
    pipe: P,
    /// How many bytes it holds when it is narrow: a page. 0 as long as that isn't known.
    narrow_size: usize,
    /// How many it held before; 0 if it has not been changed.
    original_size: usize,
}

impl<P: AsFd> NarrowPipe<P> {
    /// None if that is no pipe, or if the system doesn't let its size be changed.
    pub(crate) fn new(pipe: P) -> Option<Self> {
        let mut narrow = Self { pipe, narrow_size: 0, original_size: 0 };
        narrow.narrow().is_ok().then_some(narrow)
    }

    /// Makes the pipe narrow if it isn't, and tells whether it is: it cannot be as long as there is more in
    /// it than a narrow one holds. Other programs that have the pipe may change it at any time, and another
    /// consumer that leaves does.
    pub(crate) fn narrow(&mut self) -> io::Result<bool> {
        let now = pipe_size(&self.pipe)?;
        if now == self.narrow_size {
            return Ok(true);
        }
        // A pipe of a page has a single slot, and what is in a slot takes it until all of it has been read.
        match set_pipe_size(&self.pipe, 1) {
            Ok(page) => {
                self.narrow_size = page;
                if now > page {
                    self.original_size = now;
                }
                Ok(true)
            }
            Err(Errno::BUSY) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether it is narrow now.
    pub(crate) fn is_narrow(&self) -> io::Result<bool> {
        Ok(pipe_size(&self.pipe)? == self.narrow_size)
    }

    /// How many bytes in it have not been read.
    pub(crate) fn unread_bytes(&self) -> io::Result<u64> {
        Ok(rustix::io::ioctl_fionread(&self.pipe)?)
    }
}

impl<P: AsFd> AsFd for NarrowPipe<P> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl<P: AsFd> Drop for NarrowPipe<P> {
    fn drop(&mut self) {
        if self.original_size > 0 {
            // Its user may have too much in pipes by now; then it stays narrow.
            let _ = set_pipe_size(&self.pipe, self.original_size);
        }
    }
}

/// How much an inbox and so many mailboxes would hold now, made one after another, as a part of what
/// they are meant to: less than 1 when their user has much in pipes already. None where the system
/// doesn't tell.
#[cfg(target_os = "linux")]
pub(crate) fn pipe_size_ratio(mailboxes: u32) -> io::Result<Option<f64>> {
    let (mut pipes, mut least) = (Vec::new(), f64::MAX);
    for _ in 0..=mailboxes {
        let (reader, writer) = io::pipe()?;
        widen_pipe(&reader, crate::pipe::WIDE_PIPE_BYTES);
        least = least.min(pipe_size(&reader)? as f64 / crate::pipe::WIDE_PIPE_BYTES as f64);
        pipes.push((reader, writer));
    }
    Ok(Some(least))
}

/// The same.
#[cfg(not(target_os = "linux"))]
pub(crate) fn pipe_size_ratio(_mailboxes: u32) -> io::Result<Option<f64>> {
    Ok(None)
}
