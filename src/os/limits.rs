//! System limits: the number of open files, and the size of pipes.

use std::io;
use std::os::fd::AsFd;

use rustix::io::Errno;
#[cfg(target_os = "linux")]
use rustix::pipe::{fcntl_getpipe_size as pipe_size, fcntl_setpipe_size as set_pipe_size};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files as far as the system permits, and returns the limit; none for "any
/// number". A keeper needs one open file for each client.
pub(crate) fn raise_open_file_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => wanted.current,
        // macOS enforces a lower limit of its own.
        Err(_) => limit.current,
    }
}

/// Other systems do not report the capacity of a pipe.
#[cfg(not(target_os = "linux"))]
fn pipe_size(_pipe: impl AsFd) -> Result<usize, Errno> {
    Err(Errno::NOSYS)
}

/// Other systems choose the capacity of a pipe themselves.
#[cfg(not(target_os = "linux"))]
fn set_pipe_size(_pipe: impl AsFd, _bytes: usize) -> Result<usize, Errno> {
    Err(Errno::NOSYS)
}

/// Widens a pipe to `bytes`, or to as many bytes as the system still grants to the user. Without such a
/// system call the pipe keeps its size.
pub(crate) fn widen_pipe(pipe: impl AsFd, bytes: usize) {
    let now = pipe_size(&pipe).unwrap_or(bytes);
    let smaller = std::iter::successors(Some(bytes), |bytes| Some(bytes / 2));
    let mut sizes = smaller.take_while(|&bytes| bytes > now);
    sizes.find(|&bytes| set_pipe_size(&pipe, bytes).is_ok());
}

/// Standard output as a pipe, narrowed so that the pipe has room only when its reader has read everything.
/// Dropping the value restores the original size.
#[derive(Debug)]
pub(crate) struct NarrowPipe {
    pub(crate) pipe: io::Stdout,
    /// The size of the narrow pipe in bytes: a page. None until the pipe has been narrowed once.
    narrow_size: Option<usize>,
    /// The size in bytes before the change; none without a change.
    original_size: Option<usize>,
}

impl NarrowPipe {
    /// None if standard output is no pipe, or if the system cannot change the size of a pipe.
    pub(crate) fn new() -> Option<Self> {
        let mut narrow = Self { pipe: io::stdout(), narrow_size: None, original_size: None };
        narrow.narrow().is_ok().then_some(narrow)
    }

    /// Narrows the pipe if it is wide, and returns whether the pipe is narrow. A pipe that contains more than
    /// a narrow one holds stays wide. Another program that has the pipe may change the size at any time;
    /// another consumer does on its exit.
    pub(crate) fn narrow(&mut self) -> io::Result<bool> {
        let now = pipe_size(&self.pipe)?;
        if Some(now) == self.narrow_size {
            return Ok(true);
        }
        // A pipe of one page has a single slot, and a slot is taken until all of its bytes are read.
        match set_pipe_size(&self.pipe, 1) {
            Ok(page) => {
                self.narrow_size = Some(page);
                if now > page {
                    self.original_size = Some(now);
                }
                Ok(true)
            }
            Err(Errno::BUSY) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the pipe is narrow now.
    pub(crate) fn is_narrow(&self) -> io::Result<bool> {
        Ok(Some(pipe_size(&self.pipe)?) == self.narrow_size)
    }

    /// The number of unread bytes in the pipe.
    pub(crate) fn unread_bytes(&self) -> io::Result<u64> {
        Ok(rustix::io::ioctl_fionread(&self.pipe)?)
    }
}

impl Drop for NarrowPipe {
    fn drop(&mut self) {
        if let Some(size) = self.original_size {
            // The user's pipes may have reached the system's limit; the pipe stays narrow then.
            let _ = set_pipe_size(&self.pipe, size);
        }
    }
}

/// The smallest ratio of granted to `wanted` bytes that this many pipes would get now.
/// The ratio is below 1 if the user's pipes have nearly reached the system's limit. None where the system
/// does not report the size of a pipe.
pub(crate) fn pipe_size_ratio(count: u32, wanted: usize) -> io::Result<Option<f64>> {
    let (mut pipes, mut min) = (Vec::new(), f64::MAX);
    for _ in 0..count {
        let (reader, writer) = io::pipe()?;
        widen_pipe(&reader, wanted);
        let Ok(size) = pipe_size(&reader) else { return Ok(None) };
        min = min.min(size as f64 / wanted as f64);
        pipes.push((reader, writer));
    }
    Ok(Some(min))
}
