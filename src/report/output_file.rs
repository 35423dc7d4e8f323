//! Files that a command opens before it starts and writes at its end.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use super::eprint_line;
use crate::catalogue::message;

/// Opens or creates the file at `path`, and empties the file if `truncate`. Waits for the reader of a named
/// pipe as a shell's `>` does, after a notice.
pub(crate) fn open(path: &Path, truncate: bool) -> io::Result<File> {
    // A second open would write a file from its start, and would fail for a socket.
    let stream = match path.to_str() {
        Some("/dev/stdout" | "/dev/fd/1") => Some(io::stdout().as_fd().try_clone_to_owned()),
        Some("/dev/stderr" | "/dev/fd/2") => Some(io::stderr().as_fd().try_clone_to_owned()),
        _ => None,
    };
    if let Some(stream) = stream {
        return stream.map(File::from);
    }
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(truncate);
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    match options.custom_flags(nonblocking).open(path) {
        Ok(file) => {
            fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
            Ok(file)
        }
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NXIO) && is_named_pipe(path) => {
            eprint_line(&message!("output-waiting-for-reader", path = &path.display()));
            options.custom_flags(0).open(path)
        }
        Err(error) => Err(error),
    }
}

pub(crate) fn is_named_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
}
