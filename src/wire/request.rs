//! Requests: the lines that clients write to the inbox.

use std::borrow::Cow;
use std::io::Write;
use std::num::NonZeroU64;
use std::str::FromStr;

use super::{ClientKey, Hello, parse_number, split_word};
use crate::clock::Nanos;
use crate::queue::BatchRef;

/// A client sends at most this many characters of the reason for a failure.
const MAX_REASON_CHARS: usize = 100;

/// Every write begins with these bytes. The first newline ends a line that another writer left
/// unfinished; the empty line ends that writer's message.
pub(crate) const WRITE_START: &[u8] = b"\n\n";

/// A request of a client to the keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    /// `hello KEY {…}`
    Hello(Box<Hello>),
    /// `part KEY`, then one line: the start of the first item of the client's next put.
    ItemPart(&'a [u8]),
    /// `put KEY SEQ COUNT`, then COUNT lines with one item each.
    Put {
        /// The client's own number of the last item; the client counts its items from 1.
        seq: u64,
        count: u64,
        /// Each item ends with a newline.
        items: &'a [u8],
    },
    /// `get KEY MAX`
    Get { max: u64 },
    /// `done KEY FIRST COUNT`, `done KEY FIRST COUNT ATTEMPT`
    Done(BatchRef),
    /// `back KEY FIRST COUNT`, `back KEY FIRST COUNT ATTEMPT`
    Requeue(BatchRef),
    /// `fail KEY ID ATTEMPT TRIES WHY`
    Fail {
        id: u64,
        attempt: u32,
        /// How many attempts the consumer made from `attempt` on, including that one.
        try_count: u32,
        /// For people. [`Request::write`] shortens the reason and writes it on one line.
        reason: Cow<'a, str>,
    },
    /// `attempt KEY ID ATTEMPT`
    Attempt {
        /// An item in flight with the client.
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
        /// Drop the ready items.
        now: bool,
    },
    /// `size KEY`
    Size,
    /// `status KEY`
    Status,
    /// `peek KEY FROM MAX`: show ready items from the id FROM on.
    Peek { from_id: u64, max: u64 },
    /// `failed KEY FROM`: show the first failed item from the id FROM on.
    ListFailed { from_id: u64 },
    /// `retry KEY ID`: one failed item, or all of them; the wire has 0 for all.
    Retry(Option<NonZeroU64>),
    /// `drop KEY ID`: one failed item, or all of them; the wire has 0 for all.
    Drop(Option<NonZeroU64>),
    /// `remove KEY`, `remove KEY force`
    Remove {
        /// Remove the queue even if it has items or clients.
        force: bool,
    },
    /// `sleep KEY NANOSECONDS`, in paced time.
    Sleep(Nanos),
    /// `bye KEY`
    Bye,
}

/// A message that is no request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MalformedRequest {
    /// The client key, if the message has one.
    pub(crate) key: Option<ClientKey>,
    /// For people.
    pub(crate) reason: &'static str,
}

impl<'a> Request<'a> {
    /// Parses a request from its first line and the lines that follow.
    pub(super) fn parse(
        head: &'a [u8],
        body: &'a [u8],
    ) -> Result<(ClientKey, Self), MalformedRequest> {
        let (verb, rest) = split_word(head);
        let (key, rest) = split_word(rest);
        let key = ClientKey::parse(key)
            .ok_or(MalformedRequest { key: None, reason: "the request has no client key" })?;
        Self::parse_arguments(verb, rest, body)
            .map(|request| (key, request))
            .map_err(|reason| MalformedRequest { key: Some(key), reason })
    }

    /// Parses the words after the client key. The error names the words that the verb takes.
    fn parse_arguments(
        verb: &'a [u8],
        rest: &'a [u8],
        body: &'a [u8],
    ) -> Result<Self, &'static str> {
        let one = || parse_number(rest);
        // An optional word.
        let flag = |word: &[u8]| match rest {
            b"" => Some(false),
            rest if rest == word => Some(true),
            _ => None,
        };
        let id_wanted = "this request takes an item id";
        let batch_wanted = "this request takes the first item id, a count and perhaps an attempt";
        Ok(match verb {
            b"hello" => Self::Hello(
                serde_json::from_slice(rest)
                    .map_err(|_| "hello takes a JSON object with version, role and pid")?,
            ),
            b"part" => Self::ItemPart(body.strip_suffix(b"\n").unwrap_or(body)),
            b"put" => {
                let (seq, count) = two(rest)
                    .filter(|&(seq, count)| 0 < count && count <= seq)
                    .ok_or("put takes the client's number of its last item, and a count")?;
                Self::Put { seq, count, items: body }
            }
            b"get" => Self::Get {
                max: one().filter(|&max| max > 0).ok_or("get takes the largest count of items")?,
            },
            b"done" => Self::Done(parse_batch_ref(rest).ok_or(batch_wanted)?),
            b"back" => Self::Requeue(parse_batch_ref(rest).ok_or(batch_wanted)?),
            b"fail" => {
                parse_fail(rest).ok_or("fail takes an item id, its attempt, tries and a reason")?
            }
            b"attempt" => {
                let (id, attempt) =
                    two(rest).ok_or("attempt takes an item id and the attempt that begins")?;
                Self::Attempt { id, attempt }
            }
            b"close" => Self::Close { now: flag(b"now").ok_or("close takes now, or nothing")? },
            b"peek" => {
                let (from_id, max) = two(rest).ok_or("peek takes an item id and a count")?;
                Self::Peek { from_id, max }
            }
            b"failed" => Self::ListFailed { from_id: one().ok_or(id_wanted)? },
            b"retry" => Self::Retry(NonZeroU64::new(one().ok_or(id_wanted)?)),
            b"drop" => Self::Drop(NonZeroU64::new(one().ok_or(id_wanted)?)),
            b"remove" => {
                Self::Remove { force: flag(b"force").ok_or("remove takes force, or nothing")? }
            }
            b"sleep" => Self::Sleep(one().ok_or("sleep takes nanoseconds")?),
            b"cancel" if rest.is_empty() => Self::Cancel,
            b"join" if rest.is_empty() => Self::Join,
            b"size" if rest.is_empty() => Self::Size,
            b"status" if rest.is_empty() => Self::Status,
            b"bye" if rest.is_empty() => Self::Bye,
            _ => return Err("no such request"),
        })
    }

    /// Appends the request of the client `key` to a write, which begins with [`WRITE_START`].
    pub(crate) fn write(&self, key: ClientKey, write: &mut Vec<u8>) {
        // Writing to a Vec cannot fail, nor can serializing a hello.
        let _ = match self {
            Self::Hello(hello) => {
                let json = serde_json::to_string(hello).unwrap_or_default();
                writeln!(write, "hello {key} {json}")
            }
            Self::ItemPart(part) => {
                let head = writeln!(write, "part {key}");
                write.extend_from_slice(part);
                write.push(b'\n');
                head
            }
            Self::Put { seq, count, items } => {
                let head = writeln!(write, "put {key} {seq} {count}");
                write.extend_from_slice(items);
                head
            }
            Self::Get { max } => writeln!(write, "get {key} {max}"),
            Self::Done(batch_ref) => write_batch_ref(write, "done", key, *batch_ref),
            Self::Requeue(batch_ref) => write_batch_ref(write, "back", key, *batch_ref),
            Self::Fail { id, attempt, try_count, reason } => {
                let reason = reason.chars().map(|c| if matches!(c, '\n' | '\r') { ' ' } else { c });
                let reason: String = reason.take(MAX_REASON_CHARS).collect();
                writeln!(write, "fail {key} {id} {attempt} {try_count} {reason}")
            }
            Self::Attempt { id, attempt } => writeln!(write, "attempt {key} {id} {attempt}"),
            Self::Cancel => writeln!(write, "cancel {key}"),
            Self::Join => writeln!(write, "join {key}"),
            Self::Close { now } => writeln!(write, "close {key}{}", if *now { " now" } else { "" }),
            Self::Size => writeln!(write, "size {key}"),
            Self::Status => writeln!(write, "status {key}"),
            Self::Peek { from_id, max } => writeln!(write, "peek {key} {from_id} {max}"),
            Self::ListFailed { from_id } => writeln!(write, "failed {key} {from_id}"),
            Self::Retry(id) => writeln!(write, "retry {key} {}", id.map_or(0, NonZeroU64::get)),
            Self::Drop(id) => writeln!(write, "drop {key} {}", id.map_or(0, NonZeroU64::get)),
            Self::Remove { force } => {
                writeln!(write, "remove {key}{}", if *force { " force" } else { "" })
            }
            Self::Sleep(nanos) => writeln!(write, "sleep {key} {nanos}"),
            Self::Bye => writeln!(write, "bye {key}"),
        };
    }

    /// The items of a `done`, a `back` or a `fail`.
    pub(crate) fn reported_batch_ref(&self) -> Option<BatchRef> {
        match *self {
            Self::Done(batch_ref) | Self::Requeue(batch_ref) => Some(batch_ref),
            Self::Fail { id, attempt, .. } => {
                Some(BatchRef { first_id: id, count: 1, attempt: Some(attempt) })
            }
            _ => None,
        }
    }
}

/// How many bytes of items one put holds in a write of at most `max_write_bytes` bytes. A part holds
/// one byte less.
pub(crate) fn max_put_bytes(max_write_bytes: usize) -> usize {
    // "\n\nput KEY SEQ COUNT\n" with the longest numbers.
    max_write_bytes.saturating_sub(2 + 4 + 17 + 21 + 21)
}

/// Parses two numbers and nothing else.
fn two<T: FromStr>(text: &[u8]) -> Option<(u64, T)> {
    let (first, second) = split_word(text);
    parse_number(first).zip(parse_number(second))
}

/// Parses `FIRST COUNT` or `FIRST COUNT ATTEMPT`.
fn parse_batch_ref(text: &[u8]) -> Option<BatchRef> {
    let (first_id, rest) = split_word(text);
    let (count, attempt) = split_word(rest);
    let attempt = match attempt {
        b"" => None,
        attempt => Some(parse_number(attempt)?),
    };
    let (first_id, count) = (parse_number(first_id)?, parse_number(count)?);
    (count > 0).then_some(BatchRef { first_id, count, attempt })
}

/// Parses `ID ATTEMPT TRIES WHY`.
fn parse_fail(text: &[u8]) -> Option<Request<'_>> {
    let (id, rest) = split_word(text);
    let (attempt, rest) = split_word(rest);
    let (try_count, reason) = split_word(rest);
    Some(Request::Fail {
        id: parse_number(id)?,
        attempt: parse_number(attempt)?,
        try_count: parse_number(try_count)?,
        reason: String::from_utf8_lossy(reason),
    })
}

fn write_batch_ref(
    write: &mut Vec<u8>,
    verb: &str,
    key: ClientKey,
    BatchRef { first_id, count, attempt }: BatchRef,
) -> std::io::Result<()> {
    match attempt {
        None => writeln!(write, "{verb} {key} {first_id} {count}"),
        Some(attempt) => writeln!(write, "{verb} {key} {first_id} {count} {attempt}"),
    }
}
