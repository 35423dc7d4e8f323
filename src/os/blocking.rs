//! Reading and writing what may be in non-blocking mode.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;

use super::poll::{Interest, wait_ready};

/// A reader or writer that waits until something can be read or written, whatever mode its file is in. The
/// mode of a standard stream belongs to all processes that share it, and any of them may have changed it.
#[derive(Debug)]
pub(crate) struct Blocking<T>(pub(crate) T);

impl<T: AsFd> Blocking<T> {
    fn retry_when_ready<R>(
        &mut self,
        ready: Interest,
        mut attempt: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            match attempt(&mut self.0) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    wait_ready(&[(self.0.as_fd(), ready)], None)?;
                }
                other => return other,
            }
        }
    }
}

impl<T: Read + AsFd> Read for Blocking<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.retry_when_ready(Interest::Read, |reader| reader.read(buffer))
    }
}

impl<T: Write + AsFd> Write for Blocking<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.retry_when_ready(Interest::Write, |writer| writer.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.retry_when_ready(Interest::Write, Write::flush)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use rustix::fs::{OFlags, fcntl_setfl};

    use super::*;

    #[test]
    fn everything_goes_through_a_pipe_whose_ends_do_not_block() {
        let (reader, writer) = io::pipe().unwrap();
        fcntl_setfl(&reader, OFlags::NONBLOCK).unwrap();
        fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
        let text = b"far more than a pipe holds\n".repeat(100_000);
        let expected = text.clone();
        let written = thread::spawn(move || Blocking(writer).write_all(&text));
        let mut read = Vec::new();
        Blocking(reader).read_to_end(&mut read).unwrap();
        written.join().unwrap().unwrap();
        assert!(read == expected);
    }
}
