//! What the system allows: how many files may be open, and how much a pipe holds.

use std::io;
use std::os::fd::AsFd;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files, of which a keeper needs one for each client, as far as the
/// system lets us. Returns it; none for "any number".
pub(crate) fn raise_open_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => wanted.current,
        // macOS has a lower limit of its own.
        Err(_) => limit.current,
    }
}

/// Lets a pipe hold this many bytes, or as many of them as the user may still have in pipes. Where the
/// system has no such call, it stays as it is.
#[cfg(target_os = "linux")]
pub(crate) fn widen(pipe: impl AsFd, bytes: usize) {
    use rustix::pipe::{fcntl_getpipe_size, fcntl_setpipe_size};
    let now = fcntl_getpipe_size(&pipe).unwrap_or(bytes);
    let smaller = std::iter::successors(Some(bytes), |bytes| Some(bytes / 2));
    let mut sizes = smaller.take_while(|&bytes| bytes > now);
    sizes.find(|&bytes| fcntl_setpipe_size(&pipe, bytes).is_ok());
}

/// The same.
#[cfg(not(target_os = "linux"))]
pub(crate) fn widen(_pipe: impl AsFd, _bytes: usize) {}

/// How much an inbox and so many mailboxes would hold now, made one after another, as a part of what
/// they are meant to: less than 1 when their user has much in pipes already. None where the system
/// doesn't tell.
#[cfg(target_os = "linux")]
pub(crate) fn width(mailboxes: u32) -> io::Result<Option<f64>> {
    let (mut pipes, mut least) = (Vec::new(), f64::MAX);
    for _ in 0..=mailboxes {
        let (reader, writer) = io::pipe()?;
        widen(&reader, super::WIDE);
        least = least.min(rustix::pipe::fcntl_getpipe_size(&reader)? as f64 / super::WIDE as f64);
        pipes.push((reader, writer));
    }
    Ok(Some(least))
}

/// The same.
#[cfg(not(target_os = "linux"))]
pub(crate) fn width(_mailboxes: u32) -> io::Result<Option<f64>> {
    Ok(None)
}
