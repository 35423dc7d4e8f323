//! Requests: what clients write to the inbox.

use super::{Hello, Key, number, word};

/// A line longer than this is nobody's: every client's write is at most `PIPE_BUF` bytes, 4096
/// where that is largest. Also bounds what a stranger can make the keeper remember.
const LONGEST: usize = 64 * 1024;

/// A request as it stands in the inbox.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RequestLine<'a> {
    /// `hello KEY {…}`
    Hello(Hello),
    /// `part KEY`, then a line: it goes before the first item of this client's next put.
    Part(&'a [u8]),
    /// `put KEY SEQ COUNT`, then that many lines, each an item.
    Put {
        /// The client's number of the last of the items.
        seq: u64,
        /// How many.
        count: u64,
        /// The items, each with its newline.
        lines: &'a [u8],
    },
    /// `get KEY MAX`
    Get {
        /// How many at the most.
        max: u64,
    },
    /// `done KEY FIRST COUNT`
    Done {
        /// The number of the first item.
        first: u64,
        /// How many.
        count: u64,
    },
    /// `sleep KEY NANOSECONDS`
    Sleep(u64),
    /// `bye KEY`
    Bye,
}

/// A line that is no request, and whose it is, if it says so.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub(crate) struct Malformed {
    pub(crate) key: Option<Key>,
    pub(crate) why: &'static str,
}

/// Finds requests in what the inbox gave, however it was split.
///
/// Self-synchronising: items are never empty lines, and each client's write starts with two
/// newlines, so that an empty line is always the end of whatever came before.
#[derive(Debug, Default)]
pub(crate) struct Framer {
    buffer: Vec<u8>,
    /// What stands before this has been dealt with.
    at: usize,
    /// In the middle of a line that is too long.
    skipping: bool,
}

enum Lines {
    /// They end here.
    End(usize),
    /// An empty line came first, here.
    Cut(usize),
    /// Some are yet to come.
    Incomplete,
}

impl Framer {
    /// Takes in what was read.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.at);
        self.at = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next request, or what stood in its place; none when more is to be read first.
    pub(crate) fn next(&mut self) -> Option<Result<(Key, RequestLine<'_>), Malformed>> {
        let (start, end) = self.next_line()?;
        let (verb, rest) = word(&self.buffer[start..end]);
        let follow = match verb {
            b"part" => Some(1),
            b"put" => Some(number(word(word(rest).1).1).unwrap_or(0)),
            _ => None,
        };
        let (body, body_end) = match follow.map(|n| self.find_lines(end + 1, n)) {
            None => (end + 1, end + 1),
            Some(Lines::End(at)) => (end + 1, at),
            Some(Lines::Cut(at)) => {
                self.at = at;
                let key = Key::parse(word(rest).0);
                let why = "there are fewer lines than were announced";
                return Some(Err(Malformed { key, why }));
            }
            Some(Lines::Incomplete) if self.buffer.len() - start <= LONGEST => {
                self.at = start;
                return None;
            }
            // Nobody sends that much at once: the head was a stranger's. Look on behind it.
            Some(Lines::Incomplete) => {
                self.at = end + 1;
                let key = None;
                let why = "more lines are announced than a message holds";
                return Some(Err(Malformed { key, why }));
            }
        };
        self.at = body_end;
        let head = &self.buffer[start..end];
        Some(parse(head, &self.buffer[body..body_end]))
    }

    /// Where the next line that isn't empty starts and ends.
    fn next_line(&mut self) -> Option<(usize, usize)> {
        loop {
            let rest = &self.buffer[self.at..];
            let Some(length) = memchr::memchr(b'\n', rest) else {
                if rest.len() > LONGEST {
                    self.skipping = true;
                }
                if self.skipping {
                    self.at = self.buffer.len();
                }
                return None;
            };
            let start = self.at;
            self.at += length + 1;
            if std::mem::take(&mut self.skipping) || length == 0 {
                continue;
            }
            return Some((start, start + length));
        }
    }

    /// Where `count` lines from `start` on end.
    fn find_lines(&self, start: usize, count: u64) -> Lines {
        let mut from = start;
        let newlines = memchr::memchr_iter(b'\n', self.buffer.get(start..).unwrap_or_default());
        let mut left = count;
        if left == 0 {
            return Lines::End(start);
        }
        for newline in newlines {
            let newline = start + newline;
            if newline == from {
                return Lines::Cut(from);
            }
            from = newline + 1;
            left -= 1;
            if left == 0 {
                return Lines::End(from);
            }
        }
        Lines::Incomplete
    }
}

fn parse<'a>(head: &'a [u8], body: &'a [u8]) -> Result<(Key, RequestLine<'a>), Malformed> {
    let (verb, rest) = word(head);
    let (key, rest) = word(rest);
    let key = Key::parse(key).ok_or(Malformed {
        key: None,
        why: "no client number",
    })?;
    let malformed = |why| Malformed {
        key: Some(key),
        why,
    };
    let two = |text| {
        let (first, second) = word(text);
        number(first).zip(number(second))
    };
    let request = match verb {
        b"hello" => serde_json::from_slice(rest)
            .map(RequestLine::Hello)
            .map_err(|_| malformed("hello takes a JSON object with version, role and pid"))?,
        b"part" => RequestLine::Part(body.strip_suffix(b"\n").unwrap_or(body)),
        b"put" => match two(rest) {
            Some((seq, count)) if 0 < count && count <= seq => RequestLine::Put {
                seq,
                count,
                lines: body,
            },
            _ => {
                return Err(malformed(
                    "put takes the number of its last item, and how many",
                ));
            }
        },
        b"get" => match number(rest) {
            Some(max) if max > 0 => RequestLine::Get { max },
            _ => return Err(malformed("get takes how many items at the most")),
        },
        b"done" => match two(rest) {
            Some((first, count)) if count > 0 => RequestLine::Done { first, count },
            _ => {
                return Err(malformed(
                    "done takes the number of the first item, and how many",
                ));
            }
        },
        b"sleep" => number(rest)
            .map(RequestLine::Sleep)
            .ok_or_else(|| malformed("sleep takes nanoseconds"))?,
        b"bye" if rest.is_empty() => RequestLine::Bye,
        _ => return Err(malformed("no such request")),
    };
    Ok((key, request))
}

/// Puts requests into writes of at most so many bytes, each of which starts at a line start
/// whatever another writer left behind.
#[derive(Debug)]
pub(crate) struct Writer {
    key: Key,
    /// The largest write that the kernel doesn't mix with others.
    most: usize,
}

impl Writer {
    /// For the client `key`; `most` is `PIPE_BUF`.
    pub(crate) fn new(key: Key, most: usize) -> Self {
        Self { key, most }
    }

    /// How many bytes of item lines one put can hold.
    pub(crate) fn room(&self) -> usize {
        // "\n\nput KEY SEQ COUNT\n" with the longest numbers there are.
        self.most.saturating_sub(2 + 4 + 17 + 21 + 21)
    }

    /// Starts a write.
    pub(crate) fn start(&self, write: &mut Vec<u8>) {
        write.clear();
        write.extend_from_slice(b"\n\n");
    }

    /// `hello`
    pub(crate) fn hello(&self, write: &mut Vec<u8>, hello: &Hello) -> serde_json::Result<()> {
        self.line(
            write,
            format_args!("hello {} {}", self.key, serde_json::to_string(hello)?),
        );
        Ok(())
    }

    /// `put`: `lines` holds `count` lines, in at most [`Writer::room`] bytes.
    pub(crate) fn put(&self, write: &mut Vec<u8>, seq: u64, count: u64, lines: &[u8]) {
        self.line(write, format_args!("put {} {seq} {count}", self.key));
        write.extend_from_slice(lines);
    }

    /// `part`: at most [`Writer::room`] − 1 bytes without a newline.
    pub(crate) fn part(&self, write: &mut Vec<u8>, piece: &[u8]) {
        self.line(write, format_args!("part {}", self.key));
        write.extend_from_slice(piece);
        write.push(b'\n');
    }

    /// `get`
    pub(crate) fn get(&self, write: &mut Vec<u8>, max: u64) {
        self.line(write, format_args!("get {} {max}", self.key));
    }

    /// `done`
    pub(crate) fn done(&self, write: &mut Vec<u8>, first: u64, count: u64) {
        self.line(write, format_args!("done {} {first} {count}", self.key));
    }

    /// `sleep`
    pub(crate) fn sleep(&self, write: &mut Vec<u8>, nanos: u64) {
        self.line(write, format_args!("sleep {} {nanos}", self.key));
    }

    /// `bye`
    pub(crate) fn bye(&self, write: &mut Vec<u8>) {
        self.line(write, format_args!("bye {}", self.key));
    }

    fn line(&self, write: &mut Vec<u8>, line: std::fmt::Arguments<'_>) {
        use std::io::Write;
        // Writing to a Vec cannot fail.
        let _ = writeln!(write, "{line}");
    }
}
