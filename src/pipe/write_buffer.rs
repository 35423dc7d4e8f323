//! Bytes on their way into a pipe, or into the journal's file.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::os::fd::AsFd;

use bytes::{Buf, Bytes};
use rustix::io::{Errno, writev};

/// Bytes of at least this length are shared with their owner; shorter ones are copied.
const MIN_SHARED_BYTES: usize = 4 * 1024;
/// One write passes at most this many pieces to the kernel.
const MAX_PIECES: usize = 64;
/// The capacity in bytes that the emptied text keeps.
const MAX_IDLE_TEXT_BYTES: usize = 1 << 16;

/// The bytes of a write: text, and shared pieces that are written from where they lie. The bytes for a pipe wait
/// here for room.
#[derive(Debug, Default)]
pub(crate) struct WriteBuffer {
    /// The bytes before `text`.
    pieces: VecDeque<Bytes>,
    /// The bytes in `pieces`.
    piece_bytes: usize,
    text: Vec<u8>,
    /// How many bytes at the beginning of `text` are in the pipe.
    sent_text_bytes: usize,
    /// How many of the unsent bytes may go to the pipe.
    committed_bytes: usize,
}

impl WriteBuffer {
    /// The end of the buffer, to append text to.
    pub(crate) fn text_mut(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    /// Appends bytes. Long bytes are not copied.
    pub(crate) fn push(&mut self, bytes: &Bytes) {
        if bytes.len() < MIN_SHARED_BYTES {
            return self.text.extend_from_slice(bytes);
        }
        if !self.text.is_empty() {
            let mut text = Bytes::from(std::mem::take(&mut self.text));
            text.advance(std::mem::take(&mut self.sent_text_bytes));
            self.piece_bytes += text.len();
            self.pieces.push_back(text);
        }
        self.piece_bytes += bytes.len();
        self.pieces.push_back(bytes.clone());
    }

    /// The number of bytes that are not in the pipe yet.
    pub(crate) fn unsent_bytes(&self) -> usize {
        self.piece_bytes + self.text.len() - self.sent_text_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.unsent_bytes() == 0
    }

    /// All unsent bytes.
    pub(crate) fn slices(&self) -> Vec<IoSlice<'_>> {
        self.first_pieces(self.unsent_bytes(), usize::MAX)
    }

    /// Removes all bytes.
    pub(crate) fn clear(&mut self) {
        self.pieces.clear();
        self.text.clear();
        (self.piece_bytes, self.sent_text_bytes, self.committed_bytes) = (0, 0, 0);
    }

    /// Permits all bytes so far to go to the pipe.
    pub(crate) fn commit(&mut self) {
        self.committed_bytes = self.unsent_bytes();
    }

    /// Removes the bytes that are not committed.
    pub(crate) fn discard_uncommitted(&mut self) {
        let mut excess = self.unsent_bytes() - self.committed_bytes;
        let in_text = excess.min(self.text.len() - self.sent_text_bytes);
        self.text.truncate(self.text.len() - in_text);
        excess -= in_text;
        self.piece_bytes -= excess;
        while excess > 0
            && let Some(mut last) = self.pieces.pop_back()
        {
            let kept = last.len().saturating_sub(excess);
            excess -= last.len() - kept;
            if kept > 0 {
                last.truncate(kept);
                self.pieces.push_back(last);
            }
        }
    }

    /// Writes as many committed bytes as the pipe has room for. Returns whether the pipe has taken all of
    /// them.
    ///
    /// # Errors
    /// `BrokenPipe` if the pipe has no reader.
    pub(crate) fn write_to(&mut self, pipe: impl AsFd) -> io::Result<bool> {
        while self.committed_bytes > 0 {
            match writev(&pipe, &self.first_pieces(self.committed_bytes, MAX_PIECES)) {
                Ok(sent) => self.advance(sent),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// The first `bytes` unsent bytes, as far as they are in the first `max` pieces.
    fn first_pieces(&self, bytes: usize, max: usize) -> Vec<IoSlice<'_>> {
        let mut left = bytes;
        let pieces = self.pieces.iter().map(|piece| &piece[..]);
        let pieces = pieces.chain([&self.text[self.sent_text_bytes..]]).map(|piece| {
            let piece = &piece[..piece.len().min(left)];
            left -= piece.len();
            piece
        });
        pieces.filter(|piece| !piece.is_empty()).take(max).map(IoSlice::new).collect()
    }

    /// Removes the first `sent` bytes, which are in the pipe.
    fn advance(&mut self, mut sent: usize) {
        self.committed_bytes -= sent;
        while let Some(first) = self.pieces.front_mut() {
            let taken = first.len().min(sent);
            self.piece_bytes -= taken;
            sent -= taken;
            if taken < first.len() {
                return first.advance(taken);
            }
            self.pieces.pop_front();
        }
        self.sent_text_bytes += sent;
        // For a slow reader the text is thus at most twice as long as its unsent part.
        if self.sent_text_bytes * 2 >= self.text.len() {
            self.text.drain(..std::mem::take(&mut self.sent_text_bytes));
            if self.text.is_empty() && self.text.capacity() > MAX_IDLE_TEXT_BYTES {
                self.text = Vec::new();
            }
        }
    }

    /// Takes up to `max` committed bytes, as a pipe would.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn take(&mut self, max: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        while taken.len() < max && self.committed_bytes > 0 {
            let slices = self.first_pieces(self.committed_bytes, 1);
            let left = max - taken.len();
            let length = slices[0].len().min(left);
            taken.extend_from_slice(&slices[0][..length]);
            self.advance(length);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;
    use rustix::fs::{OFlags, fcntl_setfl};

    use super::*;

    #[test]
    fn text_and_shared_bytes_are_written_in_their_order() {
        let (mut reader, writer) = io::pipe().unwrap();
        fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
        let large = Bytes::from(vec![b'x'; 100_000]);
        let mut buffer = WriteBuffer::default();
        let mut expected = Vec::new();
        for n in 0..40_u8 {
            buffer.text_mut().extend_from_slice(&[n; 3]);
            buffer.push(&large);
            buffer.push(&Bytes::from_static(b"short"));
            expected.extend([&[n; 3][..], &large, b"short"].concat());
        }
        buffer.commit();
        assert_eq!(buffer.unsent_bytes(), expected.len());
        let mut read = Vec::new();
        loop {
            let is_all_sent = buffer.write_to(&writer).unwrap();
            if is_all_sent {
                break;
            }
            let mut part = vec![0; 30_000];
            let count = reader.read(&mut part).unwrap();
            read.extend_from_slice(&part[..count]);
        }
        drop(writer);
        reader.read_to_end(&mut read).unwrap();
        assert!(read == expected);
        assert!(buffer.is_empty() && buffer.text.capacity() <= MAX_IDLE_TEXT_BYTES);
    }

    #[test]
    fn a_pipe_without_a_reader_is_an_error() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut buffer = WriteBuffer::default();
        buffer.text_mut().push(b'x');
        assert!(buffer.write_to(&writer).unwrap(), "nothing is committed");
        buffer.commit();
        let error = buffer.write_to(&writer).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Text(usize),
        Push(usize),
        Commit,
        Discard,
        Take(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..50_usize).prop_map(Step::Text),
            (0..2 * MIN_SHARED_BYTES).prop_map(Step::Push),
            Just(Step::Commit),
            Just(Step::Discard),
            (0..3 * MIN_SHARED_BYTES).prop_map(Step::Take),
        ]
    }

    proptest! {
        #[test]
        fn only_committed_bytes_leave_the_buffer(steps in proptest::collection::vec(step(), 0..60)) {
            let mut buffer = WriteBuffer::default();
            // The bytes in the buffer, and how many of them are committed.
            let (mut model, mut committed) = (Vec::new(), 0);
            for (n, step) in (0_u8..).zip(steps) {
                match step {
                    Step::Text(count) => {
                        buffer.text_mut().extend(std::iter::repeat_n(n, count));
                        model.extend(std::iter::repeat_n(n, count));
                    }
                    Step::Push(count) => {
                        buffer.push(&Bytes::from(vec![n; count]));
                        model.extend(std::iter::repeat_n(n, count));
                    }
                    Step::Commit => {
                        buffer.commit();
                        committed = model.len();
                    }
                    Step::Discard => {
                        buffer.discard_uncommitted();
                        model.truncate(committed);
                    }
                    Step::Take(max) => {
                        let expected: Vec<u8> = model.drain(..committed.min(max)).collect();
                        committed -= expected.len();
                        prop_assert_eq!(buffer.take(max), expected);
                    }
                }
                prop_assert_eq!(buffer.unsent_bytes(), model.len());
            }
        }
    }
}
