//! Finds requests in what the inbox gives.

use super::request::parse_request;
use super::{ClientKey, MalformedRequest, ParsedRequest, parse_number, split_word};
use crate::queue;

/// What is longer than this, a line or a message, is nobody's: every client's write is at most
/// `PIPE_BUF` bytes, and this is where that is largest. Also bounds what a stranger can make the
/// keeper remember, and look at again and again.
const MAX_MESSAGE_BYTES: usize = 4096;

/// Finds requests in what the inbox gave, however it was split.
///
/// Self-synchronising: items are never empty lines, and each client's write starts with two
/// newlines, so that an empty line is always the end of whatever came before.
#[derive(Debug, Default)]
pub(crate) struct Framer {
    buffer: Vec<u8>,
    /// What stands before this has been dealt with.
    consumed: usize,
    /// In the middle of a line that is too long.
    is_skipping_line: bool,
    /// In the middle of a message that is too long: nothing counts before an empty line.
    is_skipping_message: bool,
}

enum BodyEnd {
    /// They end here.
    End(usize),
    /// An empty line came first, here.
    Truncated(usize),
    /// Some are yet to come.
    Incomplete,
    /// They end too late, wherever that is.
    TooLong,
}

impl Framer {
    /// Takes in what was read.
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.consumed);
        self.consumed = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next request, or what stood in its place; none when more is to be read first.
    pub(crate) fn next_request(
        &mut self,
    ) -> Option<Result<(ClientKey, ParsedRequest<'_>), MalformedRequest>> {
        let (start, end) = self.next_line()?;
        let (verb, rest) = split_word(&self.buffer[start..end]);
        let follow = match verb {
            b"part" => Some(1),
            b"put" => Some(parse_number(split_word(split_word(rest).1).1).unwrap_or(0)),
            _ => None,
        };
        let (body, body_end) = match follow.map(|n| self.find_body_end(start, end + 1, n)) {
            None => (end + 1, end + 1),
            Some(BodyEnd::End(at)) => (end + 1, at),
            Some(BodyEnd::Truncated(at)) => {
                self.consumed = at;
                let key = ClientKey::parse(split_word(rest).0);
                let reason = "there are fewer lines than were announced";
                return Some(Err(MalformedRequest { key, why: reason }));
            }
            Some(BodyEnd::Incomplete) => {
                self.consumed = start;
                return None;
            }
            // Nobody sends that much at once: the head was a stranger's. If it were looked on right
            // behind it, many such heads would each cost a look at the same lines.
            Some(BodyEnd::TooLong) => {
                self.consumed = end + 1;
                self.is_skipping_message = true;
                let key = None;
                let reason = "more lines are announced than a message holds";
                return Some(Err(MalformedRequest { key, why: reason }));
            }
        };
        self.consumed = body_end;
        let head = &self.buffer[start..end];
        Some(parse_request(head, &self.buffer[body..body_end]))
    }

    /// Once all that can be found has been.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn assert_bounded(&self) {
        assert!(
            self.buffer.len() - self.consumed <= MAX_MESSAGE_BYTES,
            "{} bytes are kept",
            self.buffer.len()
        );
    }

    /// Where the next line that isn't empty starts and ends.
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
            let skipped = std::mem::take(&mut self.is_skipping_line);
            self.is_skipping_message &= skipped || length > 0;
            // However it was split, a line that is too long is passed over.
            if !(skipped || self.is_skipping_message || length == 0 || length > MAX_MESSAGE_BYTES) {
                return Some((start, start + length));
            }
        }
    }

    /// Where the `count` lines from `from` on end, of the message that begins at `start`. However it
    /// was split, it is too long if that is not to be seen in its first [`LONGEST`] bytes.
    fn find_body_end(&self, start: usize, from: usize, count: u64) -> BodyEnd {
        let seen = self.buffer.len().min(start + MAX_MESSAGE_BYTES);
        let body = self.buffer.get(from..seen).unwrap_or_default();
        let end = queue::Items::end_offset(count, body);
        // An empty line ends everything, wherever it stands before that.
        let body = &body[..end.unwrap_or(body.len())];
        match (body.first(), memchr::memmem::find(body, b"\n\n")) {
            (Some(b'\n'), _) => return BodyEnd::Truncated(from),
            (_, Some(line)) => return BodyEnd::Truncated(from + line + 1),
            _ => {}
        }
        if let Ok(end) = end {
            return BodyEnd::End(from + end);
        }
        match self.buffer.len() - start > MAX_MESSAGE_BYTES {
            true => BodyEnd::TooLong,
            false => BodyEnd::Incomplete,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::BatchRef;
    use crate::wire::{Hello, RequestWriter};
    use proptest::prelude::*;

    const KEY: ClientKey = ClientKey(0xa1);

    /// What the framer finds in these pieces, in short words.
    fn found(pieces: &[&[u8]]) -> Vec<String> {
        let mut framer = Framer::default();
        let mut found = Vec::new();
        for piece in pieces {
            framer.push_bytes(piece);
            while let Some(message) = framer.next_request() {
                found.push(match message {
                    Ok((key, request)) => format!("{key} {request:?}"),
                    Err(malformed) => format!("{:?}", malformed.key),
                });
            }
        }
        found
    }

    fn write(fill: impl FnOnce(&RequestWriter, &mut Vec<u8>)) -> Vec<u8> {
        let writer = RequestWriter::new(KEY, 512);
        let mut write = Vec::new();
        writer.begin_write(&mut write);
        fill(&writer, &mut write);
        write
    }

    fn put(seq: u64) -> Vec<u8> {
        write(|writer, write| writer.write_put(write, seq, 2, b"\"a\"\n[1,2]\n"))
    }

    #[test]
    fn what_is_written_is_read() {
        let hello = Hello { follow: true, ..Hello::new(crate::role::Role::Consumer) };
        let text = write(|writer, write| {
            assert!(writer.write_hello(write, &hello).is_ok());
            writer.write_item_part(write, b"[1,");
            writer.write_put(write, 9, 2, b"2]\nnull\n");
            writer.write_get(write, 100);
            writer.write_batch_request(
                write,
                "done",
                BatchRef { first_id: 3, count: 4, attempt: None },
            );
            writer.write_batch_request(
                write,
                "back",
                BatchRef { first_id: 7, count: 1, attempt: Some(2) },
            );
            writer.write_fail(write, 8, 2, 3, "exit\ncode 3");
            for verb in ["cancel", "join", "size", "status", "close", "remove"] {
                writer.write_plain(write, verb);
            }
            writer.write_with_argument(write, "close", "now");
            writer.write_with_argument(write, "remove", "force");
            writer.write_with_argument(write, "failed", 5);
            writer.write_with_argument(write, "retry", 6);
            writer.write_with_argument(write, "drop", 0);
            writer.write_with_argument(write, "attempt", "7 2");
            writer.write_with_argument(write, "peek", "1 9");
            writer.write_sleep(write, 1_000_000_000);
            writer.write_plain(write, "bye");
        });
        let mut framer = Framer::default();
        framer.push_bytes(&text);
        let expected = [
            ParsedRequest::Hello(hello),
            ParsedRequest::ItemPart(b"[1,"),
            ParsedRequest::Put { seq: 9, count: 2, items: b"2]\nnull\n" },
            ParsedRequest::Get { max: 100 },
            ParsedRequest::Done(BatchRef { first_id: 3, count: 4, attempt: None }),
            ParsedRequest::Requeue(BatchRef { first_id: 7, count: 1, attempt: Some(2) }),
            ParsedRequest::Fail {
                batch: BatchRef { first_id: 8, count: 1, attempt: Some(2) },
                try_count: 3,
                reason: b"exit code 3",
            },
            ParsedRequest::Cancel,
            ParsedRequest::Join,
            ParsedRequest::Size,
            ParsedRequest::Status,
            ParsedRequest::Close { now: false },
            ParsedRequest::Remove { force: false },
            ParsedRequest::Close { now: true },
            ParsedRequest::Remove { force: true },
            ParsedRequest::ListFailed { from_id: 5 },
            ParsedRequest::Retry { id: 6 },
            ParsedRequest::Drop { id: 0 },
            ParsedRequest::Attempt { id: 7, attempt: 2 },
            ParsedRequest::Peek { from_id: 1, max: 9 },
            ParsedRequest::Sleep(1_000_000_000),
            ParsedRequest::Bye,
        ];
        for request in expected {
            assert_eq!(framer.next_request(), Some(Ok((KEY, request))));
        }
        assert_eq!(framer.next_request(), None);
    }

    #[test]
    fn a_put_of_the_full_size_fits_into_a_write() {
        for most in [512, 4096] {
            let writer = RequestWriter::new(ClientKey(u64::MAX), most);
            let mut write = Vec::new();
            writer.begin_write(&mut write);
            writer.write_put(&mut write, u64::MAX, u64::MAX, &vec![b'x'; writer.max_put_bytes()]);
            assert!(write.len() <= most, "{} > {most}", write.len());
        }
    }

    #[test]
    fn writes_split_at_any_byte_are_read_the_same() {
        let text = [put(2), write(|writer, write| writer.write_get(write, 1)), put(4)].concat();
        let whole = found(&[&text]);
        assert_eq!(whole.len(), 3);
        for at in 0..=text.len() {
            assert_eq!(found(&[&text[..at], &text[at..]]), whole, "split at {at}");
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(found(&bytes), whole);
    }

    #[test]
    fn half_a_line_of_a_stranger_costs_that_line_only() {
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
            assert_eq!(found.last(), good.last(), "behind {:?}", half.escape_ascii());
            let ours = found.iter().filter(|one| one.starts_with("00000000000000a1")).count();
            assert_eq!(ours, 1);
        }
    }

    #[test]
    fn what_is_no_request_is_told_to_whom_it_names() {
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
    fn a_line_without_an_end_is_not_remembered() {
        let mut framer = Framer::default();
        for _ in 0..100 {
            framer.push_bytes(&[b'x'; 10_000]);
            assert!(framer.next_request().is_none());
            assert!(framer.buffer.len() <= MAX_MESSAGE_BYTES + 10_000);
        }
        framer.push_bytes(&put(2));
        assert!(matches!(
            framer.next_request(),
            Some(Ok((KEY, ParsedRequest::Put { seq: 2, .. })))
        ));
    }

    #[test]
    fn lines_that_never_come_are_not_waited_for_without_end() {
        let mut framer = Framer::default();
        framer.push_bytes(b"put 00000000000000b2 99999999 99999999\n");
        for _ in 0..100 {
            framer.push_bytes(&b"1\n".repeat(5_000));
            while framer.next_request().is_some() {}
            assert!(framer.buffer.len() <= MAX_MESSAGE_BYTES + 10_000);
        }
    }

    #[test]
    fn what_is_too_long_is_so_however_it_was_split() {
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
    fn heads_of_what_never_comes_cost_no_more_than_their_length() {
        let mut framer = Framer::default();
        let text = b"put 00000000000000b2 9999999 9999999\n1\n".repeat(200_000);
        framer.push_bytes(&text);
        let told = std::iter::from_fn(|| framer.next_request().map(|found| found.is_err())).count();
        assert_eq!(told, 1, "the first one hides the others until an empty line");
        framer.push_bytes(&put(2));
        assert!(matches!(
            framer.next_request(),
            Some(Ok((KEY, ParsedRequest::Put { seq: 2, .. })))
        ));
    }

    /// What [`Framer::find_lines`] finds, by looking at each line.
    fn line_by_line(buffer: &[u8], count: u64) -> Result<usize, usize> {
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
        fn lines_are_found_as_by_looking_at_each(
            buffer in proptest::collection::vec(prop_oneof![5 => Just(b'x'), 1 => Just(b'\n')], 0..2000),
            count in 0..300_u64,
        ) {
            let framer = Framer { buffer: buffer.clone(), ..Framer::default() };
            let found = match framer.find_body_end(0, 0, count) {
                BodyEnd::End(at) => Ok(at),
                BodyEnd::Truncated(at) => Err(at),
                BodyEnd::Incomplete | BodyEnd::TooLong => Err(usize::MAX),
            };
            prop_assert_eq!(found, line_by_line(&buffer, count));
        }

        #[test]
        fn noise_neither_panics_nor_hides_what_comes_after_it(
            noise in proptest::collection::vec(any::<u8>(), 0..300),
            cut in any::<prop::sample::Index>(),
        ) {
            let text = [&noise[..], &put(2)].concat();
            let at = cut.index(text.len());
            let found = found(&[&text[..at], &text[at..]]);
            let expected = format!("{KEY} {:?}", ParsedRequest::Put {
                seq: 2, count: 2, items: b"\"a\"\n[1,2]\n",
            });
            prop_assert_eq!(found.last(), Some(&expected));
        }
    }
}
