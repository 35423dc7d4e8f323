//! Requests: what clients write to the inbox.

use std::fmt;

use super::{ClientKey, Hello, parse_number, split_word};
use crate::queue::BatchRef;

/// How many characters of a reason for a failure are sent.
const MAX_REASON_CHARS: usize = 100;

/// A request as it stands in the inbox.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ParsedRequest<'a> {
    /// `hello KEY {…}`
    Hello(Hello),
    /// `part KEY`, then a line: it goes before the first item of this client's next put.
    ItemPart(&'a [u8]),
    /// `put KEY SEQ COUNT`, then that many lines, each an item.
    Put {
        /// The client's number of the last of the items.
        seq: u64,
        /// How many.
        count: u64,
        /// The items, each with its newline.
        items: &'a [u8],
    },
    /// `get KEY MAX`
    Get {
        /// How many at the most.
        max: u64,
    },
    /// `done KEY FIRST COUNT`, `done KEY FIRST COUNT ATTEMPT`
    Done(BatchRef),
    /// `back KEY FIRST COUNT`, `back KEY FIRST COUNT ATTEMPT`
    Requeue(BatchRef),
    /// `fail KEY ID ATTEMPT TRIES WHY`
    Fail {
        /// The item.
        batch: BatchRef,
        /// How often it was tried in that attempt.
        try_count: u32,
        /// For people.
        reason: &'a [u8],
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
        from_id: u64,
        /// How many at the most.
        max: u64,
    },
    /// `failed KEY FROM`
    ListFailed {
        /// The number of the first item to show, if it is there.
        from_id: u64,
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
pub(crate) struct MalformedRequest {
    pub(crate) key: Option<ClientKey>,
    pub(crate) why: &'static str,
}

/// A request from its line, and the lines that follow it.
pub(super) fn parse_request<'a>(
    head: &'a [u8],
    body: &'a [u8],
) -> Result<(ClientKey, ParsedRequest<'a>), MalformedRequest> {
    let (verb, rest) = split_word(head);
    let (key, rest) = split_word(rest);
    let key =
        ClientKey::parse(key).ok_or(MalformedRequest { key: None, why: "no client number" })?;
    let malformed = |reason| MalformedRequest { key: Some(key), why: reason };
    if verb == b"hello" {
        let hello = serde_json::from_slice(rest)
            .map_err(|_| malformed("hello takes a JSON object with version, role and pid"))?;
        return Ok((key, ParsedRequest::Hello(hello)));
    }
    parse_arguments(verb, rest, body).map(|request| (key, request)).map_err(malformed)
}

/// What stands behind the client's number; or what should stand there.
fn parse_arguments<'a>(
    verb: &'a [u8],
    rest: &'a [u8],
    body: &'a [u8],
) -> Result<ParsedRequest<'a>, &'static str> {
    let one = || parse_number(rest);
    let two = || {
        let (first, second) = split_word(rest);
        parse_number(first).zip(parse_number(second))
    };
    // A request with or without one word.
    let flag = |word: &[u8]| match rest {
        b"" => Some(false),
        rest if rest == word => Some(true),
        _ => None,
    };
    let of_one = "it takes the number of an item";
    Ok(match verb {
        b"part" => ParsedRequest::ItemPart(body.strip_suffix(b"\n").unwrap_or(body)),
        b"put" => {
            let (seq, count) = two()
                .filter(|&(seq, count)| 0 < count && count <= seq)
                .ok_or("put takes the number of its last item, and how many")?;
            ParsedRequest::Put { seq, count, items: body }
        }
        b"get" => {
            let max = one().filter(|&max| max > 0).ok_or("get takes how many items at the most")?;
            ParsedRequest::Get { max }
        }
        b"done" | b"back" => {
            let batch_ref = parse_batch_ref(rest)
                .ok_or("it takes the number of the first item, and how many")?;
            match verb {
                b"done" => ParsedRequest::Done(batch_ref),
                _ => ParsedRequest::Requeue(batch_ref),
            }
        }
        b"fail" => {
            parse_fail(rest).ok_or("fail takes the item's number, its attempt, tries, and why")?
        }
        b"attempt" => two()
            .and_then(|(id, attempt)| {
                Some(ParsedRequest::Attempt { id, attempt: u32::try_from(attempt).ok()? })
            })
            .ok_or("attempt takes the item's number, and which attempt begins")?,
        b"close" => {
            ParsedRequest::Close { now: flag(b"now").ok_or("close takes now, or nothing")? }
        }
        b"peek" => {
            let (from, max) = two().ok_or("peek takes from which number on, and how many")?;
            ParsedRequest::Peek { from_id: from, max }
        }
        b"failed" => ParsedRequest::ListFailed { from_id: one().ok_or(of_one)? },
        b"retry" => ParsedRequest::Retry { id: one().ok_or(of_one)? },
        b"drop" => ParsedRequest::Drop { id: one().ok_or(of_one)? },
        b"remove" => {
            ParsedRequest::Remove { force: flag(b"force").ok_or("remove takes force, or nothing")? }
        }
        b"sleep" => ParsedRequest::Sleep(one().ok_or("sleep takes nanoseconds")?),
        b"cancel" if rest.is_empty() => ParsedRequest::Cancel,
        b"join" if rest.is_empty() => ParsedRequest::Join,
        b"size" if rest.is_empty() => ParsedRequest::Size,
        b"status" if rest.is_empty() => ParsedRequest::Status,
        b"bye" if rest.is_empty() => ParsedRequest::Bye,
        _ => return Err("no such request"),
    })
}

/// `FIRST COUNT`, `FIRST COUNT ATTEMPT`
fn parse_batch_ref(text: &[u8]) -> Option<BatchRef> {
    let (first, rest) = split_word(text);
    let (count, attempt) = split_word(rest);
    let attempt = match attempt {
        b"" => None,
        attempt => Some(u32::try_from(parse_number(attempt)?).ok()?),
    };
    let (first, count) = (parse_number(first)?, parse_number(count)?);
    (count > 0).then_some(BatchRef { first_id: first, count, attempt })
}

/// `ID ATTEMPT TRIES WHY`
fn parse_fail(text: &[u8]) -> Option<ParsedRequest<'_>> {
    let (id, rest) = split_word(text);
    let (attempt, rest) = split_word(rest);
    let (tries, reason) = split_word(rest);
    let small = |text| u32::try_from(parse_number(text)?).ok();
    let batch_ref =
        BatchRef { first_id: parse_number(id)?, count: 1, attempt: Some(small(attempt)?) };
    Some(ParsedRequest::Fail { batch: batch_ref, try_count: small(tries)?, reason })
}

/// Puts requests into writes of at most so many bytes, each of which starts at a line start
/// whatever another writer left behind.
#[derive(Debug)]
pub(crate) struct RequestWriter {
    key: ClientKey,
    /// The largest write that the kernel doesn't mix with others.
    max_write_bytes: usize,
}

impl RequestWriter {
    /// For the client `key`; `most` is `PIPE_BUF`.
    pub(crate) fn new(key: ClientKey, most: usize) -> Self {
        Self { key, max_write_bytes: most }
    }

    /// How many bytes of item lines one put can hold.
    pub(crate) fn max_put_bytes(&self) -> usize {
        // "\n\nput KEY SEQ COUNT\n" with the longest numbers there are.
        self.max_write_bytes.saturating_sub(2 + 4 + 17 + 21 + 21)
    }

    /// Starts a write.
    pub(crate) fn begin_write(&self, write: &mut Vec<u8>) {
        write.clear();
        write.extend_from_slice(b"\n\n");
    }

    /// `hello`
    pub(crate) fn write_hello(&self, write: &mut Vec<u8>, hello: &Hello) -> serde_json::Result<()> {
        self.write_line(
            write,
            format_args!("hello {} {}", self.key, serde_json::to_string(hello)?),
        );
        Ok(())
    }

    /// `put`: `lines` holds `count` lines, in at most [`Writer::room`] bytes.
    pub(crate) fn write_put(&self, write: &mut Vec<u8>, seq: u64, count: u64, lines: &[u8]) {
        self.write_line(write, format_args!("put {} {seq} {count}", self.key));
        write.extend_from_slice(lines);
    }

    /// `part`: at most [`Writer::room`] − 1 bytes without a newline.
    pub(crate) fn write_item_part(&self, write: &mut Vec<u8>, piece: &[u8]) {
        self.write_line(write, format_args!("part {}", self.key));
        write.extend_from_slice(piece);
        write.push(b'\n');
    }

    /// `get`
    pub(crate) fn write_get(&self, write: &mut Vec<u8>, max: u64) {
        self.write_line(write, format_args!("get {} {max}", self.key));
    }

    /// `done` or `back`
    pub(crate) fn write_batch_request(&self, write: &mut Vec<u8>, verb: &str, batch_ref: BatchRef) {
        let BatchRef { first_id: first, count, attempt } = batch_ref;
        match attempt {
            None => self.write_line(write, format_args!("{verb} {} {first} {count}", self.key)),
            Some(attempt) => {
                self.write_line(
                    write,
                    format_args!("{verb} {} {first} {count} {attempt}", self.key),
                );
            }
        }
    }

    /// `fail`: as much of the reason as a write has room for, on one line.
    pub(crate) fn write_fail(
        &self,
        write: &mut Vec<u8>,
        id: u64,
        attempt: u32,
        tries: u32,
        reason: &str,
    ) {
        let reason = reason.chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c });
        let reason: String = reason.take(MAX_REASON_CHARS).collect();
        self.write_line(write, format_args!("fail {} {id} {attempt} {tries} {reason}", self.key));
    }

    /// A request that is nothing but its name: `cancel`, `join`, `size`, `status`, `bye`.
    pub(crate) fn write_plain(&self, write: &mut Vec<u8>, verb: &str) {
        self.write_line(write, format_args!("{verb} {}", self.key));
    }

    /// A request with words or numbers: `attempt`, `close`, `peek`, `failed`, `retry`, `drop`, `remove`.
    pub(crate) fn write_with_argument(
        &self,
        write: &mut Vec<u8>,
        verb: &str,
        what: impl fmt::Display,
    ) {
        self.write_line(write, format_args!("{verb} {} {what}", self.key));
    }

    /// `sleep`
    pub(crate) fn write_sleep(&self, write: &mut Vec<u8>, nanos: u64) {
        self.write_line(write, format_args!("sleep {} {nanos}", self.key));
    }

    fn write_line(&self, write: &mut Vec<u8>, line: std::fmt::Arguments<'_>) {
        use std::io::Write;
        // Writing to a Vec cannot fail.
        let _ = writeln!(write, "{line}");
    }
}
