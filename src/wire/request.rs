//! Requests: the messages that a client writes into its own pipe.

use std::io::Write;
use std::num::NonZeroU64;
use std::str::FromStr;

use super::{parse_number, split_word};
use crate::clock::Nanos;
use crate::pipe::WriteBuffer;
use crate::queue::{BatchRef, Items};

/// A client sends at most this many bytes of the reason for a failure.
const MAX_REASON_BYTES: usize = 3072;

/// The line of a request has at most this many bytes.
pub(super) const MAX_LINE_BYTES: usize = 4096;

/// A request of a client to the keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// `put SEQ COUNT BYTES`, then COUNT lines with one item each, BYTES bytes in all.
    Put {
        /// The client's own number of the last item; the client counts its items from 1.
        seq: u64,
        items: Items,
    },
    /// `get MAX`
    Get { max: u64 },
    /// `done FIRST COUNT`, `done FIRST COUNT ATTEMPT`
    Done(BatchRef),
    /// `requeue FIRST COUNT`, `requeue FIRST COUNT ATTEMPT`
    Requeue(BatchRef),
    /// `fail ID ATTEMPT TRIES REASON`
    Fail {
        id: u64,
        attempt: u32,
        /// How many attempts the consumer made from `attempt` on, including that one.
        try_count: u32,
        /// [`Request::write`] shortens the reason and writes it on one line.
        reason: String,
    },
    /// `attempt ID ATTEMPT`
    Attempt {
        /// An item in flight with the client.
        id: u64,
        /// The attempt that begins.
        attempt: u32,
    },
    /// `renew FIRST COUNT`, `renew FIRST COUNT ATTEMPT`
    Renew(BatchRef),
    /// `cancel`
    Cancel,
    /// `join`
    Join,
    /// `close`, `close now`
    Close {
        /// Drop the ready items.
        now: bool,
    },
    /// `size`
    Size,
    /// `status`
    Status,
    /// `peek FROM MAX`: show ready items from the id FROM on.
    Peek { from_id: u64, max: u64 },
    /// `failed FROM`: show the first failed item from the id FROM on.
    ListFailed { from_id: u64 },
    /// `retry ID`: one failed item, or all of them; the wire has 0 for all.
    Retry(Option<NonZeroU64>),
    /// `drop ID`: one failed item, or all of them; the wire has 0 for all.
    Drop(Option<NonZeroU64>),
    /// `remove`, `remove force`
    Remove {
        /// Remove the queue even if it has items or clients.
        force: bool,
    },
    /// `sleep NANOSECONDS`, in paced time.
    Sleep(Nanos),
    /// `bye`
    Bye,
}

/// A message that is no request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum MalformedRequest {
    /// Why, for people. The next message can be read all the same.
    Reason(&'static str),
    /// The line is longer than a request.
    LineTooLong,
    /// The line of a put does not tell how many bytes follow.
    PutHead,
    /// A put has more than this many bytes: those of the client's largest item, or of several items.
    TooLarge { max_bytes: u64, is_single_item: bool },
}

impl MalformedRequest {
    /// Whether nobody can tell where the next message begins, or whether it may come at all.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn is_fatal(&self) -> bool {
        !matches!(self, Self::Reason(_))
    }
}

impl Request {
    /// Parses the line of a request that is no put. The error names the words that the verb takes.
    pub(super) fn parse(line: &[u8]) -> Result<Self, &'static str> {
        let (verb, rest) = split_word(line);
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
            b"get" => Self::Get {
                max: one().filter(|&max| max > 0).ok_or("get takes the largest count of items")?,
            },
            b"done" => Self::Done(parse_batch_ref(rest).ok_or(batch_wanted)?),
            b"requeue" => Self::Requeue(parse_batch_ref(rest).ok_or(batch_wanted)?),
            b"renew" => Self::Renew(parse_batch_ref(rest).ok_or(batch_wanted)?),
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

    /// Appends the request to the bytes for the pipe.
    pub(crate) fn write(&self, out: &mut WriteBuffer) {
        let write = out.text_mut();
        // Writing to a Vec cannot fail.
        let _ = match self {
            Self::Put { seq, items } => {
                let head = writeln!(write, "put {seq} {} {}", items.count, items.bytes.len());
                out.push(&items.bytes);
                head
            }
            Self::Get { max } => writeln!(write, "get {max}"),
            Self::Done(batch_ref) => write_batch_ref(write, "done", *batch_ref),
            Self::Requeue(batch_ref) => write_batch_ref(write, "requeue", *batch_ref),
            Self::Renew(batch_ref) => write_batch_ref(write, "renew", *batch_ref),
            Self::Fail { id, attempt, try_count, reason } => {
                let longest = MAX_REASON_BYTES.min(reason.len());
                let end = (0..=longest).rev().find(|&end| reason.is_char_boundary(end));
                let reason = reason[..end.unwrap_or(0)].replace(['\n', '\r'], " ");
                writeln!(write, "fail {id} {attempt} {try_count} {reason}")
            }
            Self::Attempt { id, attempt } => writeln!(write, "attempt {id} {attempt}"),
            Self::Cancel => writeln!(write, "cancel"),
            Self::Join => writeln!(write, "join"),
            Self::Close { now } => writeln!(write, "close{}", if *now { " now" } else { "" }),
            Self::Size => writeln!(write, "size"),
            Self::Status => writeln!(write, "status"),
            Self::Peek { from_id, max } => writeln!(write, "peek {from_id} {max}"),
            Self::ListFailed { from_id } => writeln!(write, "failed {from_id}"),
            Self::Retry(id) => writeln!(write, "retry {}", id.map_or(0, NonZeroU64::get)),
            Self::Drop(id) => writeln!(write, "drop {}", id.map_or(0, NonZeroU64::get)),
            Self::Remove { force } => {
                writeln!(write, "remove{}", if *force { " force" } else { "" })
            }
            Self::Sleep(nanos) => writeln!(write, "sleep {nanos}"),
            Self::Bye => writeln!(write, "bye"),
        };
    }

    /// The items of a `done`, a `requeue` or a `fail`.
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

/// Parses `put SEQ COUNT BYTES`.
pub(super) fn parse_put_head(line: &[u8]) -> Option<(u64, u64, u64)> {
    let (seq, rest) = split_word(line.strip_prefix(b"put ")?);
    let (count, bytes) = two(rest)?;
    let seq = parse_number(seq)?;
    (0 < count && count <= seq).then_some((seq, count, bytes))
}

/// The size of the body that follows this line of a request, in bytes: 0 unless the line begins a put.
pub(crate) fn put_body_bytes(line: &[u8]) -> usize {
    let bytes = parse_put_head(line).map_or(0, |(_, _, bytes)| bytes);
    usize::try_from(bytes).unwrap_or(usize::MAX)
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

/// Parses `ID ATTEMPT TRIES REASON`.
fn parse_fail(text: &[u8]) -> Option<Request> {
    let (id, rest) = split_word(text);
    let (attempt, rest) = split_word(rest);
    let (try_count, reason) = split_word(rest);
    Some(Request::Fail {
        id: parse_number(id)?,
        attempt: parse_number(attempt)?,
        try_count: parse_number(try_count)?,
        reason: String::from_utf8_lossy(reason).into_owned(),
    })
}

fn write_batch_ref(
    write: &mut Vec<u8>,
    verb: &str,
    BatchRef { first_id, count, attempt }: BatchRef,
) -> std::io::Result<()> {
    match attempt {
        None => writeln!(write, "{verb} {first_id} {count}"),
        Some(attempt) => writeln!(write, "{verb} {first_id} {count} {attempt}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{MAX_PUT_BYTES, RequestReader};

    const MAX: u64 = 1 << 20;

    fn written(requests: &[Request]) -> Vec<u8> {
        let mut out = WriteBuffer::default();
        requests.iter().for_each(|request| request.write(&mut out));
        out.commit();
        out.take(usize::MAX)
    }

    fn put(seq: u64, lines: &str) -> Request {
        let count = lines.lines().count() as u64;
        Request::Put { seq, items: Items { count, bytes: lines.to_owned().into() } }
    }

    fn fail(reason: &str) -> Request {
        Request::Fail { id: 8, attempt: 2, try_count: 3, reason: reason.to_owned() }
    }

    fn all() -> Vec<Request> {
        vec![
            put(9, "2\nnull\n"),
            Request::Get { max: 100 },
            Request::Done(BatchRef { first_id: 3, count: 4, attempt: None }),
            Request::Requeue(BatchRef { first_id: 7, count: 1, attempt: Some(2) }),
            fail("exit code 3"),
            Request::Cancel,
            Request::Join,
            Request::Size,
            put(10, &format!("\"{}\"\n", "x".repeat(100_000))),
            Request::Status,
            Request::Close { now: false },
            Request::Remove { force: false },
            Request::Close { now: true },
            Request::Remove { force: true },
            Request::ListFailed { from_id: 5 },
            Request::Retry(NonZeroU64::new(6)),
            Request::Drop(None),
            Request::Attempt { id: 7, attempt: 2 },
            Request::Renew(BatchRef { first_id: 7, count: 1, attempt: Some(2) }),
            Request::Renew(BatchRef { first_id: 8, count: 3, attempt: None }),
            Request::Peek { from_id: 1, max: 9 },
            Request::Sleep(1_000_000_000),
            Request::Bye,
        ]
    }

    /// What a new reader finds in these reads.
    fn found(reads: &[&[u8]]) -> Vec<Result<Request, MalformedRequest>> {
        let mut reader = RequestReader::default();
        let mut found = Vec::new();
        for read in reads {
            reader.buffer.push_bytes(read);
            while let Some(message) = reader.next(MAX) {
                let is_fatal = message.as_ref().is_err_and(MalformedRequest::is_fatal);
                found.push(message);
                if is_fatal {
                    return found;
                }
            }
        }
        found
    }

    #[test]
    fn the_reader_reads_each_request_as_it_was_written() {
        let expected: Vec<_> = all().into_iter().map(Ok).collect();
        let text = written(&all());
        assert_eq!(found(&[&text]), expected);
        for size in [1, 2, 7, 4096, 65_536] {
            assert_eq!(
                found(&text.chunks(size).collect::<Vec<_>>()),
                expected,
                "in pieces of {size}"
            );
        }
    }

    #[test]
    fn requests_have_the_words_of_the_protocol() {
        let text = written(&[
            put(9, "2\nnull\n"),
            Request::Requeue(BatchRef { first_id: 7, count: 1, attempt: Some(2) }),
            Request::Renew(BatchRef { first_id: 7, count: 1, attempt: Some(2) }),
            Request::ListFailed { from_id: 5 },
            Request::Drop(None),
            Request::Remove { force: true },
        ]);
        let lines = [
            "put 9 2 7",
            "2",
            "null",
            "requeue 7 1 2",
            "renew 7 1 2",
            "failed 5",
            "drop 0",
            "remove force",
            "",
        ];
        assert_eq!(String::from_utf8(text).unwrap(), lines.join("\n"));
    }

    #[test]
    fn a_reason_is_written_short_and_on_one_line() {
        let long = format!("exits\r\n{}", "é".repeat(2000));
        let short = format!("exits  {}", "é".repeat(1532));
        assert_eq!(written(&[fail(&long)]), written(&[fail(&short)]));
    }

    #[test]
    fn a_malformed_request_costs_only_itself() {
        for line in [
            "get 0",
            "get -1",
            "get +1",
            "done 1",
            "requeue 1 0",
            "done 1 1 x",
            "fail ",
            "fail 1 1",
            "renew",
            "renew 1 0",
            "renew 1 1 x",
            "attempt 1",
            "attempt 1 4294967296",
            "cancel 1",
            "close later",
            "peek 1",
            "failed",
            "retry all",
            "remove forced",
            "sleep",
            "bye now",
            "hello 00000000000000a1 {}",
            "nothing",
            "",
            "put 2 2 4\n\n\n1\n",
            "put 2 2 2\n1\n",
            "put 2 2 3\n1\n2",
            "put 1 1 4\n1\n2\n",
            "put 1 1 1\n\n",
        ] {
            // The body of a put ends where its line says.
            let end = if line.starts_with("put") { "" } else { "\n" };
            let found = found(&[line.as_bytes(), end.as_bytes(), b"size\n"]);
            assert!(matches!(found[0], Err(MalformedRequest::Reason(_))), "{line}: {found:?}");
            assert_eq!(found[1..], [Ok(Request::Size)], "{line}");
        }
    }

    #[test]
    fn a_message_without_a_known_end_ends_the_conversation() {
        let too_large =
            |max_bytes, is_single_item| MalformedRequest::TooLarge { max_bytes, is_single_item };
        let long = "x".repeat(MAX_LINE_BYTES + 1);
        let cases: [(&str, MalformedRequest); 9] = [
            (&long, MalformedRequest::LineTooLong),
            ("put\n", MalformedRequest::PutHead),
            ("put 1 1\n1\n", MalformedRequest::PutHead),
            ("put 1 0 0\n", MalformedRequest::PutHead),
            ("put 1 2 4\n1\n2\n", MalformedRequest::PutHead),
            ("put x 1 2\n1\n", MalformedRequest::PutHead),
            ("put 18446744073709551616 1 2\n1\n", MalformedRequest::PutHead),
            ("put 1 1 1048578\n", too_large(1_048_577, true)),
            ("put 2 2 65537\n", too_large(65_536, false)),
        ];
        for (text, expected) in cases {
            assert_eq!(found(&[text.as_bytes()]), [Err(expected)], "{text}");
        }
        assert_eq!(
            found(&[b"put 1 1 1048577\n", b"put 2 2 65536\n"]),
            [],
            "these are not too large"
        );
        assert_eq!(MAX_PUT_BYTES, 65_536);
    }
}
