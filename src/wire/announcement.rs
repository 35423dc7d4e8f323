//! Finds the announcements of clients in the bytes of the inbox.
//!
//! Every process of the user can write to the inbox. So each announcement is a line with a newline before and
//! behind it, and all other lines are ignored.

use super::{ClientKey, Hello, split_word};

/// An announcement has at most this many bytes: the largest `PIPE_BUF`. The limit also bounds the bytes that a
/// stranger can make the keeper hold.
const MAX_LINE_BYTES: usize = 4096;

/// Finds announcements.
#[derive(Debug, Default)]
pub(crate) struct AnnouncementReader {
    buffer: Vec<u8>,
    /// The rest of the line belongs to a line that is too long.
    is_skipping_line: bool,
}

impl AnnouncementReader {
    /// Returns the announcements in these bytes and in those before.
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) -> Vec<(ClientKey, Hello)> {
        let mut found = Vec::new();
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, is_complete) = match part.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (part, false),
            };
            self.is_skipping_line |= self.buffer.len() + text.len() > MAX_LINE_BYTES;
            if self.is_skipping_line {
                self.buffer.clear();
                self.is_skipping_line = !is_complete;
            } else if !is_complete {
                self.buffer.extend_from_slice(text);
            } else if self.buffer.is_empty() {
                found.extend(parse(text));
            } else {
                self.buffer.extend_from_slice(text);
                found.extend(parse(&self.buffer));
                self.buffer.clear();
            }
        }
        found
    }
}

/// Parses `hello KEY {…}`.
fn parse(line: &[u8]) -> Option<(ClientKey, Hello)> {
    let (key, json) = split_word(line.strip_prefix(b"hello ")?);
    Some((ClientKey::parse(key)?, serde_json::from_slice(json).ok()?))
}

/// The write that announces a client.
pub(crate) fn announcement(key: ClientKey, hello: &Hello) -> Vec<u8> {
    // Serializing a hello cannot fail. The first newline ends a line that another writer left unfinished.
    let json = serde_json::to_string(hello).unwrap_or_default();
    format!("\nhello {key} {json}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::role::Role;

    const KEY: ClientKey = ClientKey(0xa1);

    fn written() -> Vec<u8> {
        announcement(KEY, &Hello::new(Role::Consumer))
    }

    fn expected() -> (ClientKey, Hello) {
        (KEY, Hello::new(Role::Consumer))
    }

    #[test]
    fn half_a_line_of_a_stranger_hides_no_announcement_after_it() {
        let line = written();
        let halves: [&[u8]; 7] = [
            b"x",
            b"\n",
            b"hello",
            b"hello 00000000000000b2 {",
            b"\xff\0\xfe",
            &line[..20],
            &line[1..line.len() - 2],
        ];
        for half in halves {
            let mut reader = AnnouncementReader::default();
            assert_eq!(reader.push_bytes(half), [], "{:?}", half.escape_ascii());
            assert_eq!(reader.push_bytes(&line), [expected()], "{:?}", half.escape_ascii());
        }
    }

    #[test]
    fn a_key_of_a_later_version_is_ignored() {
        let line = String::from_utf8(written()).unwrap().replacen('{', r#"{"later":[1],"#, 1);
        let mut reader = AnnouncementReader::default();
        assert_eq!(reader.push_bytes(line.as_bytes()), [expected()], "{line}");
    }

    #[test]
    fn lines_that_announce_nobody_are_ignored() {
        for line in [
            "get 1",
            "hello",
            "hello {}",
            "hello 00000000000000a1 {}",
            "hello 00000000000000zz {\"version\":2,\"role\":\"consumer\",\"pid\":1}",
            "hello +0000000000000a1 {\"version\":2,\"role\":\"consumer\",\"pid\":1}",
            "hello 00000000000000a1 {\"version\":2,\"role\":\"king\",\"pid\":1}",
        ] {
            let mut reader = AnnouncementReader::default();
            assert_eq!(reader.push_bytes(format!("\n{line}\n").as_bytes()), []);
        }
    }

    #[test]
    fn the_reader_holds_no_more_than_a_line_of_an_endless_one() {
        let mut reader = AnnouncementReader::default();
        for size in [10, MAX_LINE_BYTES - 10, 1, 3, 10_000, 10_000] {
            assert_eq!(reader.push_bytes(&vec![b'x'; size]), []);
            assert!(reader.buffer.len() <= MAX_LINE_BYTES);
        }
        assert_eq!(reader.push_bytes(&written()), [expected()]);
    }

    proptest! {
        #[test]
        fn noise_and_splits_hide_no_announcement(
            noise in proptest::collection::vec(any::<u8>(), 0..300),
            cut in any::<prop::sample::Index>(),
        ) {
            let text = [&noise[..], &written()].concat();
            let (head, tail) = text.split_at(cut.index(text.len()));
            let mut reader = AnnouncementReader::default();
            let mut found = reader.push_bytes(head);
            found.extend(reader.push_bytes(tail));
            prop_assert_eq!(found, [expected()]);
        }
    }
}
