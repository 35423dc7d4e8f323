//! Finds messages in the bytes of a pipe, however reads split them. A message is a line, and perhaps a body:
//! as many bytes as the line says.

use bytes::Bytes;

use crate::pipe::{return_buffer, share_buffer, take_buffer};
use crate::queue::MAX_DELIVERY_BYTES;

/// The size of the first read of a pipe: the size of a pipe on Linux, as long as nobody widens the pipe.
const MIN_READ_BYTES: usize = 64 * 1024;
/// Bodies of at least this length share the memory of the read, instead of being copied.
const MIN_SHARED_BYTES: usize = 4 * 1024;

/// The bytes that were read from a pipe and are not taken yet.
#[derive(Debug, Default)]
pub(crate) struct MessageBuffer {
    bytes: Storage,
    /// The bytes before this offset are taken.
    taken: usize,
    /// How many bytes the next read asks for at least, beyond those that are there.
    missing_bytes: usize,
    /// How many bytes the next read asks for. Grows with the reads.
    read_bytes: usize,
}

#[derive(Debug)]
enum Storage {
    /// The bytes belong to this buffer alone.
    Owned(Vec<u8>),
    /// Bodies that were taken share the bytes.
    Shared(Bytes),
}

impl Default for Storage {
    fn default() -> Self {
        Self::Owned(Vec::new())
    }
}

impl MessageBuffer {
    /// The buffer for the next read, which appends to it.
    pub(crate) fn read_buffer(&mut self) -> &mut Vec<u8> {
        let wanted = self.read_bytes.max(MIN_READ_BYTES).max(self.missing_bytes);
        let unread = self.unread().len();
        match &mut self.bytes {
            Storage::Owned(bytes) if self.taken == 0 && unread > 0 => bytes.reserve_exact(wanted),
            _ => {
                let mut bytes = take_buffer(unread + wanted);
                bytes.extend_from_slice(self.unread());
                self.release();
                self.bytes = Storage::Owned(bytes);
            }
        }
        self.owned()
    }

    /// Notes that a read has appended `count` bytes. Returns whether the read was as long as it could be.
    pub(crate) fn finish_read(&mut self, count: usize) -> bool {
        let is_full = self.owned().spare_capacity_mut().is_empty();
        if is_full && count >= MIN_READ_BYTES {
            self.read_bytes = MAX_DELIVERY_BYTES;
        }
        is_full
    }

    /// Appends bytes that were read elsewhere.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        self.read_buffer().extend_from_slice(bytes);
    }

    fn owned(&mut self) -> &mut Vec<u8> {
        if let Storage::Shared(bytes) = &self.bytes {
            self.bytes = Storage::Owned(bytes.to_vec());
        }
        match &mut self.bytes {
            Storage::Owned(bytes) => bytes,
            Storage::Shared(_) => unreachable!("the buffer is owned now"),
        }
    }

    /// The bytes that are not taken yet.
    pub(crate) fn unread(&self) -> &[u8] {
        match &self.bytes {
            Storage::Owned(bytes) => &bytes[self.taken..],
            Storage::Shared(bytes) => &bytes[self.taken..],
        }
    }

    /// The next line without its newline. None if the line has no end yet.
    pub(crate) fn line(&self) -> Option<&[u8]> {
        let unread = self.unread();
        memchr::memchr(b'\n', unread).map(|end| &unread[..end])
    }

    /// Takes a line of `line_bytes` bytes, its newline, and the body of `body_bytes` bytes. None if some of these
    /// bytes are missing: the next read asks for them.
    pub(crate) fn take(&mut self, line_bytes: usize, body_bytes: usize) -> Option<Bytes> {
        let head_bytes = line_bytes + 1;
        let unread = self.unread();
        if let Some(missing) = (head_bytes + body_bytes).checked_sub(unread.len() + 1) {
            self.missing_bytes = missing + 1;
            return None;
        }
        self.missing_bytes = 0;
        let start = self.taken + head_bytes;
        self.taken = start + body_bytes;
        let body = self.body(start, body_bytes);
        self.release_if_empty();
        Some(body)
    }

    fn body(&mut self, start: usize, length: usize) -> Bytes {
        if let Storage::Owned(bytes) = &mut self.bytes {
            // A short body must not keep the memory of a long read, nor the unused part of a buffer.
            if length < MIN_SHARED_BYTES || bytes.len() * 2 < bytes.capacity() {
                return Bytes::copy_from_slice(&bytes[start..start + length]);
            }
            self.bytes = Storage::Shared(share_buffer(std::mem::take(bytes)));
        }
        match &self.bytes {
            Storage::Shared(bytes) if length >= MIN_SHARED_BYTES => {
                bytes.slice(start..start + length)
            }
            Storage::Shared(bytes) => Bytes::copy_from_slice(&bytes[start..start + length]),
            Storage::Owned(_) => unreachable!("the buffer is shared now"),
        }
    }

    /// Skips `count` bytes.
    pub(crate) fn skip(&mut self, count: usize) {
        self.taken += count;
        self.release_if_empty();
    }

    /// Gives the memory of a buffer without bytes back: most pipes are idle most of the time.
    fn release_if_empty(&mut self) {
        if self.unread().is_empty() {
            self.release();
        }
    }

    fn release(&mut self) {
        self.taken = 0;
        if let Storage::Owned(bytes) = std::mem::take(&mut self.bytes) {
            return_buffer(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_message_is_taken_as_it_was_written_however_reads_split_it(
            bodies in proptest::collection::vec(0..3 * MIN_SHARED_BYTES, 1..12),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let mut text = Vec::new();
            for (n, length) in (0_u8..).zip(&bodies) {
                text.extend_from_slice(format!("{length}\n").as_bytes());
                text.extend(std::iter::repeat_n(n, *length));
            }
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut buffer = MessageBuffer::default();
            let mut taken = Vec::new();
            for piece in cuts.windows(2).map(|ends| &text[ends[0]..ends[1]]) {
                buffer.push_bytes(piece);
                while let Some(line) = buffer.line() {
                    let (length, body) = (line.len(), std::str::from_utf8(line).unwrap().parse().unwrap());
                    let Some(body) = buffer.take(length, body) else { break };
                    taken.push(body);
                }
            }
            let expected: Vec<_> = (0_u8..).zip(&bodies).map(|(n, length)| vec![n; *length]).collect();
            prop_assert_eq!(taken, expected);
            prop_assert!(buffer.unread().is_empty());
        }
    }

    #[test]
    fn the_read_of_a_long_body_ends_with_the_body() {
        let mut buffer = MessageBuffer::default();
        let length = 10 * MIN_READ_BYTES;
        buffer.push_bytes(format!("{length}\nabc").as_bytes());
        assert_eq!(buffer.take(6, length), None);
        assert_eq!(buffer.read_buffer().spare_capacity_mut().len(), length - 3);
    }
}
