//! Files that a command writes when all is over, and opens before anything starts.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;

use super::eprint_line;

/// Opens or makes the file at `path`, and empties it if that is wanted. A named pipe without a reader is
/// waited for, as a shell's `>` would, but not without a word.
pub(crate) fn open(path: &Path, truncate: bool) -> io::Result<File> {
    // Opened anew, a file would be written from its beginning, and a socket could not be opened.
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
            eprint_line(&format!("waiting for a reader of the pipe {}", path.display()));
            options.custom_flags(0).open(path)
        }
        Err(error) => Err(error),
    }
}

/// Whether there is a named pipe.
pub(crate) fn is_named_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|is| is.file_type().is_fifo())
}
