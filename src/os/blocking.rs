//! Blocking reads and writes on files in non-blocking mode.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;

use super::poll::{Interest, wait_ready};
use crate::clock::Nanos;

/// What a process does between two waits for a slow reader. Returns how long the next wait may last at most; none for as
/// long as the reader needs.
pub(crate) type Meanwhile<'a> = dyn FnMut() -> Option<Nanos> + 'a;

/// A reader or writer that waits for its file in blocking and in non-blocking mode. All processes that share
/// a standard stream share the stream's mode, and any of these processes may change the mode.
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
    fn all_bytes_pass_through_a_pipe_with_non_blocking_ends() {
        let (reader, writer) = io::pipe().unwrap();
        fcntl_setfl(&reader, OFlags::NONBLOCK).unwrap();
        fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
        let text = b"more than a pipe holds\n".repeat(100_000);
        let expected = text.clone();
        let written = thread::spawn(move || Blocking(writer).write_all(&text));
        let mut read = Vec::new();
        Blocking(reader).read_to_end(&mut read).unwrap();
        written.join().unwrap().unwrap();
        assert!(read == expected);
    }
}
