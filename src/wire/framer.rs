//! Finds requests in the bytes of the inbox, however reads split them.
//!
//! The framer finds the next request again after any foreign bytes: each write of a client starts
//! with two newlines, and no item is an empty line, so an empty line always ends a message.

use super::request::{MalformedRequest, Request};
use super::{ClientKey, parse_number, split_word};
use crate::queue;

/// No client writes a longer line or message: a write has at most `PIPE_BUF` bytes, which is 4096
/// where `PIPE_BUF` is largest. The limit also bounds the bytes that a stranger can make the keeper
/// hold and scan.
const MAX_MESSAGE_BYTES: usize = 4096;

/// Finds requests in the bytes of the inbox.
#[derive(Debug, Default)]
pub(crate) struct Framer {
    buffer: Vec<u8>,
    /// The bytes before this offset are finished.
    consumed: usize,
    /// The rest of the line belongs to a line that is too long.
    is_skipping_line: bool,
    /// Every line up to the next empty line belongs to a message that is too long.
    is_skipping_message: bool,
}

/// Where the body of a message ends.
enum BodyEnd {
    /// The body is complete and ends at this offset.
    End(usize),
    /// An empty line at this offset cuts the body off.
    Truncated(usize),
    /// Lines are missing so far.
    Incomplete,
    /// The body does not end within [`MAX_MESSAGE_BYTES`] of the message.
    TooLong,
}

impl Framer {
    /// Appends bytes that were read from the inbox. The caller has taken all requests before.
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.consumed);
        self.consumed = 0;
        debug_assert!(self.buffer.len() <= MAX_MESSAGE_BYTES, "a part of one message at most");
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next request, or an error for a malformed one. `None` means that the framer needs
    /// more bytes.
    pub(crate) fn next_request(
        &mut self,
    ) -> Option<Result<(ClientKey, Request<'_>), MalformedRequest>> {
        let (start, end) = self.next_line()?;
        let (verb, rest) = split_word(&self.buffer[start..end]);
        let body_line_count = match verb {
            b"part" => Some(1),
            b"put" => Some(parse_number(split_word(split_word(rest).1).1).unwrap_or(0)),
            _ => None,
        };
        let body_start = end + 1;
        let body_end = match body_line_count.map(|n| self.find_body_end(start, body_start, n)) {
            None => body_start,
            Some(BodyEnd::End(at)) => at,
            Some(BodyEnd::Truncated(at)) => {
                self.consumed = at;
                let key = ClientKey::parse(split_word(rest).0);
                let reason = "the message has fewer lines than its first line says";
                return Some(Err(MalformedRequest { key, reason }));
            }
            Some(BodyEnd::Incomplete) => {
                self.consumed = start;
                return None;
            }
            // No client sends so much in one write: a stranger wrote this first line. The framer skips
            // to the next empty line, because otherwise each of many such first lines would cost a
            // scan of the same bytes.
            Some(BodyEnd::TooLong) => {
                self.consumed = body_start;
                self.is_skipping_message = true;
                let reason = "the first line announces more lines than a message holds";
                return Some(Err(MalformedRequest { key: None, reason }));
            }
        };
        self.consumed = body_end;
        Some(Request::parse(&self.buffer[start..end], &self.buffer[body_start..body_end]))
    }

    /// Consumes lines up to the next one that is neither empty nor skipped, and returns the start and
    /// the end of that line.
    fn next_line(&mut self) -> Option<(usize, usize)> {
        loop {
            let rest = &self.buffer[self.consumed..];
            let Some(length) = memchr::memchr(b'\n', rest) else {
                if rest.len() > MAX_MESSAGE_BYTES {
                    self.is_skipping_line = true;
                }
                if self.is_skipping_line {
                    self.consumed = self.buffer.len();
                }
                return None;
            };
            let start = self.consumed;
            self.consumed += length + 1;
            let was_skipping = std::mem::take(&mut self.is_skipping_line);
            self.is_skipping_message &= was_skipping || length > 0;
            // The framer skips a line that is too long, however reads split the line.
            let is_skipped = was_skipping || self.is_skipping_message || length > MAX_MESSAGE_BYTES;
            if !is_skipped && length > 0 {
                return Some((start, start + length));
            }
        }
    }

    /// Finds the end of the `count` lines at `body_start`, which belong to the message at `start`. The
    /// result does not depend on how reads split the message: only its first [`MAX_MESSAGE_BYTES`]
    /// bytes count.
    fn find_body_end(&self, start: usize, body_start: usize, count: u64) -> BodyEnd {
        let limit = self.buffer.len().min(start + MAX_MESSAGE_BYTES);
        let body = self.buffer.get(body_start..limit).unwrap_or_default();
        let end = queue::Items::end_offset(count, body);
        // An empty line before the end cuts the body off.
        let body = &body[..end.unwrap_or(body.len())];
        match (body.first(), memchr::memmem::find(body, b"\n\n")) {
            (Some(b'\n'), _) => return BodyEnd::Truncated(body_start),
            (_, Some(line)) => return BodyEnd::Truncated(body_start + line + 1),
            _ => {}
        }
        match end {
            Ok(end) => BodyEnd::End(body_start + end),
            Err(_) if self.buffer.len() - start > MAX_MESSAGE_BYTES => BodyEnd::TooLong,
            Err(_) => BodyEnd::Incomplete,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;
    use crate::queue::BatchRef;
    use crate::wire::{Hello, WRITE_START, max_put_bytes};
    use proptest::prelude::*;

    const KEY: ClientKey = ClientKey(0xa1);

    /// Describes each message that a new framer finds in these reads.
    fn found(reads: &[&[u8]]) -> Vec<String> {
        let mut framer = Framer::default();
        let mut found = Vec::new();
        for read in reads {
            framer.push_bytes(read);
            while let Some(message) = framer.next_request() {
                found.push(match message {
                    Ok((key, request)) => format!("{key} {request:?}"),
                    Err(malformed) => format!("{:?}", malformed.key),
                });
            }
        }
        found
    }

    fn write(requests: &[Request<'_>]) -> Vec<u8> {
        let mut write = WRITE_START.to_vec();
        requests.iter().for_each(|request| request.write(KEY, &mut write));
        write
    }

    fn put(seq: u64) -> Vec<u8> {
        write(&[Request::Put { seq, count: 2, items: b"\"a\"\n[1,2]\n" }])
    }

    fn fail(reason: &str) -> Request<'_> {
        Request::Fail { id: 8, attempt: 2, try_count: 3, reason: reason.into() }
    }

    #[test]
    fn the_framer_reads_each_request_as_it_was_written() {
        let hello = Hello { follow: true, ..Hello::new(crate::role::Role::Consumer) };
        let requests = [
            Request::Hello(Box::new(hello)),
            Request::ItemPart(b"[1,"),
            Request::Put { seq: 9, count: 2, items: b"2]\nnull\n" },
            Request::Get { max: 100 },
            Request::Done(BatchRef { first_id: 3, count: 4, attempt: None }),
            Request::Requeue(BatchRef { first_id: 7, count: 1, attempt: Some(2) }),
            fail("exit code 3"),
            Request::Cancel,
            Request::Join,
            Request::Size,
            Request::Status,
            Request::Close { now: false },
            Request::Remove { force: false },
            Request::Close { now: true },
            Request::Remove { force: true },
            Request::ListFailed { from_id: 5 },
            Request::Retry(NonZeroU64::new(6)),
            Request::Drop(None),
            Request::Attempt { id: 7, attempt: 2 },
            Request::Peek { from_id: 1, max: 9 },
            Request::Sleep(1_000_000_000),
            Request::Bye,
        ];
        let mut framer = Framer::default();
        framer.push_bytes(&write(&requests));
        for request in requests {
            assert_eq!(framer.next_request(), Some(Ok((KEY, request))));
        }
        assert_eq!(framer.next_request(), None);
    }

    #[test]
    fn requests_have_the_words_of_the_protocol() {
        let text = write(&[
            Request::Requeue(BatchRef { first_id: 7, count: 1, attempt: Some(2) }),
            Request::ListFailed { from_id: 5 },
            Request::Drop(None),
            Request::Remove { force: true },
        ]);
        let lines = ["", "", "back K 7 1 2", "failed K 5", "drop K 0", "remove K force", ""];
        assert_eq!(
            String::from_utf8(text).unwrap(),
            lines.join("\n").replace('K', &KEY.to_string())
        );
    }

    #[test]
    fn a_reason_is_written_short_and_on_one_line() {
        let long = format!("exit\r\n{}", "é".repeat(100));
        let short = format!("exit  {}", "é".repeat(94));
        assert_eq!(found(&[&write(&[fail(&long)])]), found(&[&write(&[fail(&short)])]));
    }

    #[test]
    fn a_put_of_the_full_size_fits_into_a_write() {
        for max_write_bytes in [512, 4096] {
            let mut write = WRITE_START.to_vec();
            let items = vec![b'x'; max_put_bytes(max_write_bytes)];
            let request = Request::Put { seq: u64::MAX, count: u64::MAX, items: &items };
            request.write(ClientKey(u64::MAX), &mut write);
            assert_eq!(write.len(), max_write_bytes);
        }
    }

    #[test]
    fn a_split_at_any_byte_does_not_change_the_requests() {
        let text = [put(2), write(&[Request::Get { max: 1 }]), put(4)].concat();
        let whole = found(&[&text]);
        assert_eq!(whole.len(), 3);
        for at in 0..=text.len() {
            assert_eq!(found(&[&text[..at], &text[at..]]), whole, "split at {at}");
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(found(&bytes), whole);
    }

    #[test]
    fn half_a_line_of_a_stranger_hides_no_request_after_it() {
        let good = found(&[&put(2)]);
        assert_eq!(good.len(), 1);
        let halves: [&[u8]; 8] = [
            b"x",
            b"put 00000000000000b2 1 1000000",
            b"put 00000000000000b2 1 1000000\n",
            b"put 00000000000000b2 1 3\n1\n2",
            b"part 00000000000000b2",
            b"hello 00000000000000b2 {",
            b"\xff\0\xfe",
            b"put 00000000000000b2 18446744073709551616 99999999999999999999999\n",
        ];
        for half in halves {
            let found = found(&[half, &put(2)]);
            assert_eq!(found.last(), good.last(), "after {:?}", half.escape_ascii());
            let ours = found.iter().filter(|one| one.starts_with("00000000000000a1")).count();
            assert_eq!(ours, 1);
        }
    }

    #[test]
    fn a_malformed_request_names_its_client_if_it_has_a_key() {
        for line in [
            "put 00000000000000a1 1 0",
            "put 00000000000000a1 1 2\n1\n2",
            "put 00000000000000a1 x 1\n1",
            "put 00000000000000a1",
            "get 00000000000000a1 0",
            "get 00000000000000a1 -1",
            "get 00000000000000a1 +1",
            "done 00000000000000a1 1",
            "back 00000000000000a1 1 0",
            "done 00000000000000a1 1 1 x",
            "fail 00000000000000a1",
            "fail 00000000000000a1 1 1",
            "attempt 00000000000000a1 1",
            "attempt 00000000000000a1 1 4294967296",
            "cancel 00000000000000a1 1",
            "close 00000000000000a1 later",
            "peek 00000000000000a1 1",
            "failed 00000000000000a1",
            "retry 00000000000000a1 all",
            "remove 00000000000000a1 forced",
            "sleep 00000000000000a1",
            "bye 00000000000000a1 now",
            "hello 00000000000000a1 {}",
            "nothing 00000000000000a1",
        ] {
            let found = found(&[line.as_bytes(), b"\n\n"]);
            assert_eq!(found[0], "Some(Key(00000000000000a1))", "{line}");
        }
        for line in ["get 1 1", "get 00000000000000zz 1", "bye", "get +0000000000000a1 1"] {
            assert_eq!(found(&[line.as_bytes(), b"\n\n"]), ["None"], "{line}");
        }
    }

    #[test]
    fn the_framer_holds_no_more_than_a_message_of_an_endless_line() {
        let mut framer = Framer::default();
        for _ in 0..100 {
            framer.push_bytes(&[b'x'; 10_000]);
            assert!(framer.next_request().is_none());
            assert!(framer.buffer.len() <= MAX_MESSAGE_BYTES + 10_000);
        }
        framer.push_bytes(&put(2));
        assert!(matches!(framer.next_request(), Some(Ok((KEY, Request::Put { seq: 2, .. })))));
    }

    #[test]
    fn the_framer_does_not_wait_for_a_body_that_is_too_long() {
        let mut framer = Framer::default();
        framer.push_bytes(b"put 00000000000000b2 99999999 99999999\n");
        for _ in 0..100 {
            framer.push_bytes(&b"1\n".repeat(5_000));
            while framer.next_request().is_some() {}
            assert!(framer.buffer.len() <= MAX_MESSAGE_BYTES + 10_000);
        }
    }

    #[test]
    fn a_split_does_not_change_what_is_too_long() {
        let head = b"put 00000000000000a1 9 2\n";
        for length in MAX_MESSAGE_BYTES - 2..=MAX_MESSAGE_BYTES + 2 {
            let line = [&vec![b'x'; length][..], b"\n"].concat();
            let lines = [head, &b"1\n"[..], &vec![b'2'; length - head.len() - 3], b"\n"].concat();
            let cut = [head, &vec![b'1'; length - head.len() - 2][..], b"\n"].concat();
            assert_eq!((lines.len(), cut.len()), (length, length - 1));
            for text in [line, lines, cut] {
                let text = [&text, &b"get 00000000000000a1 1\n"[..], &put(2)].concat();
                let whole = found(&[&text]);
                for at in [100, MAX_MESSAGE_BYTES - 1, MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES + 1] {
                    assert_eq!(found(&[&text[..at], &text[at..]]), whole, "{length} split at {at}");
                }
            }
        }
    }

    #[test]
    fn many_first_lines_without_their_bodies_cost_linear_time() {
        let mut framer = Framer::default();
        let text = b"put 00000000000000b2 9999999 9999999\n1\n".repeat(200_000);
        framer.push_bytes(&text);
        let errors =
            std::iter::from_fn(|| framer.next_request().map(|found| found.is_err())).count();
        assert_eq!(errors, 1, "the first one hides the others up to the next empty line");
        framer.push_bytes(&put(2));
        assert!(matches!(framer.next_request(), Some(Ok((KEY, Request::Put { seq: 2, .. })))));
    }

    /// Finds the end of a body as [`Framer::find_body_end`] does, but line by line.
    fn find_body_end_by_lines(buffer: &[u8], count: u64) -> Result<usize, usize> {
        let mut at = 0;
        for _ in 0..count {
            match memchr::memchr(b'\n', &buffer[at..]) {
                Some(0) => return Err(at),
                Some(length) => at += length + 1,
                None => return Err(usize::MAX),
            }
        }
        Ok(at)
    }

    proptest! {
        #[test]
        fn the_body_end_is_the_same_as_line_by_line(
            buffer in proptest::collection::vec(prop_oneof![5 => Just(b'x'), 1 => Just(b'\n')], 0..2000),
            count in 0..300_u64,
        ) {
            let framer = Framer { buffer: buffer.clone(), ..Framer::default() };
            let found = match framer.find_body_end(0, 0, count) {
                BodyEnd::End(at) => Ok(at),
                BodyEnd::Truncated(at) => Err(at),
                BodyEnd::Incomplete | BodyEnd::TooLong => Err(usize::MAX),
            };
            prop_assert_eq!(found, find_body_end_by_lines(&buffer, count));
        }

        #[test]
        fn noise_neither_panics_nor_hides_the_next_request(
            noise in proptest::collection::vec(any::<u8>(), 0..300),
            cut in any::<prop::sample::Index>(),
        ) {
            let text = [&noise[..], &put(2)].concat();
            let at = cut.index(text.len());
            let found = found(&[&text[..at], &text[at..]]);
            let expected = format!("{KEY} {:?}", Request::Put {
                seq: 2, count: 2, items: b"\"a\"\n[1,2]\n",
            });
            prop_assert_eq!(found.last(), Some(&expected));
        }
    }
}
