//! Requests: what clients write to the inbox.

use std::fmt;

use super::{Hello, Key, number, word};
use crate::queue::Which;

/// How many characters of a reason for a failure are sent.
const LONGEST_REASON: usize = 100;

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
    /// `done KEY FIRST COUNT`, `done KEY FIRST COUNT ATTEMPT`
    Done(Which),
    /// `back KEY FIRST COUNT`, `back KEY FIRST COUNT ATTEMPT`
    Back(Which),
    /// `fail KEY ID ATTEMPT TRIES WHY`
    Fail {
        /// The item.
        which: Which,
        /// How often it was tried in that attempt.
        tries: u32,
        /// For people.
        why: &'a [u8],
    },
    /// `attempt KEY ID ATTEMPT`
    Attempt {
        /// The number of an item that is out with the client.
        id: u64,
        /// The attempt that begins.
        attempt: u32,
    },
    /// `cancel KEY`
    Cancel,
    /// `join KEY`
    Join,
    /// `close KEY`, `close KEY now`
    Close {
        /// Drop what is in line.
        now: bool,
    },
    /// `size KEY`
    Size,
    /// `status KEY`
    Status,
    /// `peek KEY FROM MAX`
    Peek {
        /// The number of the first item to show, if it is in line.
        from: u64,
        /// How many at the most.
        max: u64,
    },
    /// `failed KEY FROM`
    Failed {
        /// The number of the first item to show, if it is there.
        from: u64,
    },
    /// `retry KEY ID`; 0 for all
    Retry {
        /// Which one.
        id: u64,
    },
    /// `drop KEY ID`; 0 for all
    Drop {
        /// Which one.
        id: u64,
    },
    /// `remove KEY`, `remove KEY force`
    Remove {
        /// Even if there is something in it.
        force: bool,
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

/// A request from its line, and the lines that follow it.
pub(super) fn parse<'a>(
    head: &'a [u8],
    body: &'a [u8],
) -> Result<(Key, RequestLine<'a>), Malformed> {
    let (verb, rest) = word(head);
    let (key, rest) = word(rest);
    let key = Key::parse(key).ok_or(Malformed { key: None, why: "no client number" })?;
    let malformed = |why| Malformed { key: Some(key), why };
    if verb == b"hello" {
        let hello = serde_json::from_slice(rest)
            .map_err(|_| malformed("hello takes a JSON object with version, role and pid"))?;
        return Ok((key, RequestLine::Hello(hello)));
    }
    fields(verb, rest, body).map(|request| (key, request)).map_err(malformed)
}

/// What stands behind the client's number; or what should stand there.
fn fields<'a>(
    verb: &'a [u8],
    rest: &'a [u8],
    body: &'a [u8],
) -> Result<RequestLine<'a>, &'static str> {
    let one = || number(rest);
    let two = || {
        let (first, second) = word(rest);
        number(first).zip(number(second))
    };
    // A request with or without one word.
    let flag = |word: &[u8]| match rest {
        b"" => Some(false),
        rest if rest == word => Some(true),
        _ => None,
    };
    let of_one = "it takes the number of an item";
    Ok(match verb {
        b"part" => RequestLine::Part(body.strip_suffix(b"\n").unwrap_or(body)),
        b"put" => {
            let (seq, count) = two()
                .filter(|&(seq, count)| 0 < count && count <= seq)
                .ok_or("put takes the number of its last item, and how many")?;
            RequestLine::Put { seq, count, lines: body }
        }
        b"get" => {
            let max = one().filter(|&max| max > 0).ok_or("get takes how many items at the most")?;
            RequestLine::Get { max }
        }
        b"done" | b"back" => {
            let which = which(rest).ok_or("it takes the number of the first item, and how many")?;
            match verb {
                b"done" => RequestLine::Done(which),
                _ => RequestLine::Back(which),
            }
        }
        b"fail" => {
            failed(rest).ok_or("fail takes the item's number, its attempt, tries, and why")?
        }
        b"attempt" => two()
            .and_then(|(id, attempt)| {
                Some(RequestLine::Attempt { id, attempt: u32::try_from(attempt).ok()? })
            })
            .ok_or("attempt takes the item's number, and which attempt begins")?,
        b"close" => RequestLine::Close { now: flag(b"now").ok_or("close takes now, or nothing")? },
        b"peek" => {
            let (from, max) = two().ok_or("peek takes from which number on, and how many")?;
            RequestLine::Peek { from, max }
        }
        b"failed" => RequestLine::Failed { from: one().ok_or(of_one)? },
        b"retry" => RequestLine::Retry { id: one().ok_or(of_one)? },
        b"drop" => RequestLine::Drop { id: one().ok_or(of_one)? },
        b"remove" => {
            RequestLine::Remove { force: flag(b"force").ok_or("remove takes force, or nothing")? }
        }
        b"sleep" => RequestLine::Sleep(one().ok_or("sleep takes nanoseconds")?),
        b"cancel" if rest.is_empty() => RequestLine::Cancel,
        b"join" if rest.is_empty() => RequestLine::Join,
        b"size" if rest.is_empty() => RequestLine::Size,
        b"status" if rest.is_empty() => RequestLine::Status,
        b"bye" if rest.is_empty() => RequestLine::Bye,
        _ => return Err("no such request"),
    })
}

/// `FIRST COUNT`, `FIRST COUNT ATTEMPT`
fn which(text: &[u8]) -> Option<Which> {
    let (first, rest) = word(text);
    let (count, attempt) = word(rest);
    let attempt = match attempt {
        b"" => None,
        attempt => Some(u32::try_from(number(attempt)?).ok()?),
    };
    let (first, count) = (number(first)?, number(count)?);
    (count > 0).then_some(Which { first, count, attempt })
}

/// `ID ATTEMPT TRIES WHY`
fn failed(text: &[u8]) -> Option<RequestLine<'_>> {
    let (id, rest) = word(text);
    let (attempt, rest) = word(rest);
    let (tries, why) = word(rest);
    let small = |text| u32::try_from(number(text)?).ok();
    let which = Which { first: number(id)?, count: 1, attempt: Some(small(attempt)?) };
    Some(RequestLine::Fail { which, tries: small(tries)?, why })
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
        self.line(write, format_args!("hello {} {}", self.key, serde_json::to_string(hello)?));
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

    /// `done` or `back`
    pub(crate) fn about(&self, write: &mut Vec<u8>, verb: &str, which: Which) {
        let Which { first, count, attempt } = which;
        match attempt {
            None => self.line(write, format_args!("{verb} {} {first} {count}", self.key)),
            Some(attempt) => {
                self.line(write, format_args!("{verb} {} {first} {count} {attempt}", self.key));
            }
        }
    }

    /// `fail`: as much of the reason as a write has room for, on one line.
    pub(crate) fn fail(&self, write: &mut Vec<u8>, id: u64, attempt: u32, tries: u32, why: &str) {
        let why = why.chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c });
        let why: String = why.take(LONGEST_REASON).collect();
        self.line(write, format_args!("fail {} {id} {attempt} {tries} {why}", self.key));
    }

    /// A request that is nothing but its name: `cancel`, `join`, `size`, `status`, `bye`.
    pub(crate) fn bare(&self, write: &mut Vec<u8>, verb: &str) {
        self.line(write, format_args!("{verb} {}", self.key));
    }

    /// A request with words or numbers: `attempt`, `close`, `peek`, `failed`, `retry`, `drop`, `remove`.
    pub(crate) fn with(&self, write: &mut Vec<u8>, verb: &str, what: impl fmt::Display) {
        self.line(write, format_args!("{verb} {} {what}", self.key));
    }

    /// `sleep`
    pub(crate) fn sleep(&self, write: &mut Vec<u8>, nanos: u64) {
        self.line(write, format_args!("sleep {} {nanos}", self.key));
    }

    fn line(&self, write: &mut Vec<u8>, line: std::fmt::Arguments<'_>) {
        use std::io::Write;
        // Writing to a Vec cannot fail.
        let _ = writeln!(write, "{line}");
    }
}
