//! Replies: the lines that the keeper writes to a client's mailbox.

use std::fmt;
use std::io::Write;

use bytes::Bytes;
use serde::de::IntoDeserializer;
use serde::de::value::Error as WordError;
use serde::{Deserialize, Serialize};

use super::{MessageBuffer, parse_number, split_word};
use crate::catalogue::message;
use crate::pipe::WriteBuffer;
use crate::queue::{Batch, BatchRef, Counts, Items, WaitReason};
use crate::role::Role;

/// The first reply that a client gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Welcome {
    /// The version of the protocol that the keeper speaks.
    pub(crate) version: u32,
    /// The keeper paces time and takes `sleep` requests. Without pacing a client sleeps in wall time.
    #[serde(rename = "paced")]
    pub(crate) is_paced: bool,
    /// The put window: the number of items each client may send before their `ok`; one is always allowed.
    pub(crate) window: u64,
    /// The client has a lease, and may renew it. An earlier version of the keeper cannot do that.
    #[serde(default, rename = "renew", skip_serializing_if = "std::ops::Not::not")]
    pub(crate) can_renew: bool,
    /// The last round of the queue has ended, and the client waits for the next round.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) awaits_next_round: bool,
    /// The state that the previous keeper left for this client, if the client resumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resumed: Option<Resumed>,
    /// Only a server: the client resumes, but it counted as dead, and has nothing in flight any more.
    #[serde(default, rename = "forgotten", skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_forgotten: bool,
    /// Only a server: the queue, which another queue of the same name does not share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) queue_id: Option<String>,
}

/// The state of a client that resumes at the next keeper.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resumed {
    /// The accepted puts whose `ok` the client may have missed: the client's own number of the last
    /// item, and the id of that item.
    pub(crate) accepted: Vec<(u64, u64)>,
    /// The batches in flight with the client: first item id, count and attempt.
    pub(crate) in_flight: Vec<(u64, u64, u32)>,
}

/// The status of a queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Status {
    #[serde(flatten)]
    pub(crate) counts: Counts,
    /// How many items may be ready; null for no limit.
    pub(crate) capacity: Option<u64>,
    /// The keeper accepts an item only when the item is on the disk.
    #[serde(default)]
    pub(crate) sync: bool,
    /// The age of the oldest item that is not done, in seconds.
    #[serde(rename = "oldest_s")]
    pub(crate) oldest_age_s: Option<f64>,
    /// `open`, `ending` (the last producer has left), `closed`, or `ended` (and no new round began).
    #[cfg_attr(test, schemars(extend("enum" = ["open", "ending", "closed", "ended"])))]
    pub(crate) state: String,
    /// The connected clients that put.
    pub(crate) producers: Vec<ClientStatus>,
    /// The connected clients that get.
    pub(crate) consumers: Vec<ClientStatus>,
}

/// A connected client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ClientStatus {
    /// The process id.
    pub(crate) pid: u32,
    /// What the client does in the queue.
    pub(crate) role: Role,
    /// The count of items that the client has put or done at this keeper.
    #[serde(default)]
    pub(crate) items: u64,
    /// The wait of the client; null while the client is at work.
    #[serde(rename = "waits_for")]
    pub(crate) wait_reason: Option<WaitReason>,
    /// The count of items in flight with the client.
    pub(crate) in_flight: u64,
    /// How long the client has had the oldest of these items, in seconds.
    pub(crate) held_s: Option<f64>,
}

/// Why the keeper refuses a request. `docs/PROTOCOL.md` explains each code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ErrorCode {
    Version,
    Capacity,
    Private,
    Malformed,
    TooFar,
    GetTwice,
    NotFailed,
    InUse,
    Journal,
    Removed,
    NotPaced,
    TooLarge,
    Internal,
    Missing,
    /// A code that a later version has added.
    #[serde(untagged)]
    Other(String),
}

impl ErrorCode {
    fn parse(word: &[u8]) -> Self {
        let word = String::from_utf8_lossy(word);
        let parsed = Self::deserialize(IntoDeserializer::<WordError>::into_deserializer(&*word));
        parsed.unwrap_or_else(|_| Self::Other(word.into_owned()))
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// A reply of the keeper to a client.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// `welcome {…}`
    Welcome(Welcome),
    /// `ok SEQ ID WINDOW`: the queue has accepted the client's items up to its number SEQ.
    Ok {
        seq: u64,
        /// The id of the item SEQ.
        id: u64,
        /// The put window: the number of items each client may send before their `ok`; one is always allowed.
        window: u64,
    },
    /// `closed SEQ`: the queue is closed and refuses the client's items up to SEQ that have no `ok`.
    Closed { seq: u64 },
    /// `batch FIRST COUNT ATTEMPT BYTES`, then COUNT lines with one item each, BYTES bytes in all.
    Batch(Batch),
    /// `full SEQ`: the queue is full and the client has cancelled; the queue refuses the client's items
    /// up to SEQ that have no `ok`.
    Full { seq: u64 },
    /// `ended`, in place of a batch.
    Ended,
    /// `empty`, in place of a batch or of a failed item.
    Empty,
    /// `cancelled`, after the replies to all requests that the cancel ended.
    Cancelled,
    /// `not-in-flight FIRST COUNT ATTEMPT`: these items are not in flight with the client. ATTEMPT is the
    /// client's own, or 0 if the client gave none.
    NotInFlight(BatchRef),
    /// `joined FAILED`: every item is done, except this many failed ones.
    Joined { failed: u64 },
    /// `unfinished ITEMS`: this many items are not done.
    Unfinished { items: u64 },
    /// `count ITEMS`: the keeper has applied the request to this many items.
    Count { items: u64 },
    /// `size READY IN_FLIGHT DONE FAILED CAPACITY`
    Size {
        counts: Counts,
        /// 0 for unbounded.
        capacity: u64,
    },
    /// `status {…}`
    Status(Box<Status>),
    /// `failed ID ATTEMPT BYTES REASON`, then one line with the item, of BYTES bytes.
    Failed {
        /// A batch of one item.
        batch: Batch,
        /// For people.
        reason: String,
    },
    /// `wake`: the sleep is over.
    Wake,
    /// `bye READY CONSUMERS`
    Bye {
        ready: u64,
        /// The count of connected consumers without the client that leaves.
        consumers: u64,
    },
    /// `error CODE TEXT`
    Error {
        code: ErrorCode,
        /// For people.
        text: String,
    },
}

impl Reply {
    /// Appends the reply to the bytes for a mailbox.
    pub(crate) fn write(&self, out: &mut WriteBuffer) {
        let mail = out.text_mut();
        // Writing to a Vec cannot fail.
        let _ = match self {
            Self::Welcome(welcome) => match serde_json::to_string(welcome) {
                Ok(json) => writeln!(mail, "welcome {json}"),
                Err(error) => writeln!(mail, "error internal {error}"),
            },
            Self::Ok { seq, id, window } => writeln!(mail, "ok {seq} {id} {window}"),
            Self::Closed { seq } => writeln!(mail, "closed {seq}"),
            Self::Batch(batch) => {
                let Batch { first_id, attempt, items, .. } = batch;
                let (count, bytes) = (items.count, items.bytes.len());
                let head = writeln!(mail, "batch {first_id} {count} {attempt} {bytes}");
                out.push(&items.bytes);
                head
            }
            Self::Full { seq } => writeln!(mail, "full {seq}"),
            Self::Ended => writeln!(mail, "ended"),
            Self::Empty => writeln!(mail, "empty"),
            Self::Cancelled => writeln!(mail, "cancelled"),
            Self::NotInFlight(BatchRef { first_id, count, attempt }) => {
                writeln!(mail, "not-in-flight {first_id} {count} {}", attempt.unwrap_or(0))
            }
            Self::Joined { failed } => writeln!(mail, "joined {failed}"),
            Self::Unfinished { items } => writeln!(mail, "unfinished {items}"),
            Self::Count { items } => writeln!(mail, "count {items}"),
            Self::Size { counts, capacity } => {
                let Counts { ready, in_flight, done, failed } = counts;
                writeln!(mail, "size {ready} {in_flight} {done} {failed} {capacity}")
            }
            Self::Status(status) => match serde_json::to_string(status) {
                Ok(json) => writeln!(mail, "status {json}"),
                Err(error) => writeln!(mail, "error internal {error}"),
            },
            Self::Failed { batch, reason } => {
                let Batch { first_id, attempt, items, .. } = batch;
                let bytes = items.bytes.len();
                let head = writeln!(mail, "failed {first_id} {attempt} {bytes} {reason}");
                out.push(&items.bytes);
                head
            }
            Self::Wake => writeln!(mail, "wake"),
            Self::Bye { ready, consumers } => writeln!(mail, "bye {ready} {consumers}"),
            Self::Error { code, text } => writeln!(mail, "error {code} {text}"),
        };
    }
}

/// Finds replies in the bytes of a mailbox, however reads split them.
#[derive(Debug, Default)]
pub(crate) struct ReplyReader {
    pub(crate) buffer: MessageBuffer,
}

/// A line that is no reply of this version of the protocol.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", message!("error-malformed-reply", reply = .0, version = super::VERSION))]
pub(crate) struct MalformedReply(pub(crate) String);

impl ReplyReader {
    /// Returns the next reply. `None` means that the reader needs more bytes.
    pub(crate) fn next_reply(&mut self) -> Option<Result<Reply, MalformedReply>> {
        let line = self.buffer.line()?;
        let Some((mut reply, body_bytes)) = parse_reply(line) else {
            return Some(Err(MalformedReply(String::from_utf8_lossy(line).into_owned())));
        };
        let length = line.len();
        let body = self.buffer.take(length, body_bytes)?;
        if let Reply::Batch(batch) | Reply::Failed { batch, .. } = &mut reply {
            batch.items.bytes = body;
        }
        Some(Ok(reply))
    }
}

/// Parses the line of a reply, and the number of bytes of its body. A batch has its count, and no bytes yet.
fn parse_reply(line: &[u8]) -> Option<(Reply, usize)> {
    let (verb, rest) = split_word(line);
    let mut numbers = rest.split(|&b| b == b' ').map(parse_number);
    let mut next = || numbers.next().flatten();
    let text = |text| String::from_utf8_lossy(text).into_owned();
    let batch_head = |first_id, count, attempt| {
        let attempt = u32::try_from(attempt).ok()?;
        let items = Items { count, bytes: Bytes::new() };
        Some(Batch { attempt, ..Batch::new(first_id, 0, items) })
    };
    let mut body_bytes = 0;
    let reply = match verb {
        b"welcome" => Reply::Welcome(serde_json::from_slice(rest).ok()?),
        b"ok" => Reply::Ok { seq: next()?, id: next()?, window: next()? },
        b"closed" => Reply::Closed { seq: next()? },
        b"batch" => {
            let (first_id, count) = (next()?, next().filter(|&count| count > 0)?);
            let batch = batch_head(first_id, count, next()?)?;
            body_bytes = usize::try_from(next()?).ok()?;
            Reply::Batch(batch)
        }
        b"failed" => {
            let reason = rest.splitn(4, |&b| b == b' ').nth(3).unwrap_or_default();
            let batch = batch_head(next()?, 1, next()?)?;
            body_bytes = usize::try_from(next()?).ok()?;
            Reply::Failed { batch, reason: text(reason) }
        }
        b"full" => Reply::Full { seq: next()? },
        b"empty" => Reply::Empty,
        b"cancelled" => Reply::Cancelled,
        b"not-in-flight" => {
            let (first_id, count) = (next()?, next()?);
            let attempt = u32::try_from(next()?).ok().filter(|&attempt| attempt > 0);
            Reply::NotInFlight(BatchRef { first_id, count, attempt })
        }
        b"joined" => Reply::Joined { failed: next()? },
        b"unfinished" => Reply::Unfinished { items: next()? },
        b"count" => Reply::Count { items: next()? },
        b"size" => {
            let (ready, in_flight, done, failed) = (next()?, next()?, next()?, next()?);
            Reply::Size { counts: Counts { ready, in_flight, done, failed }, capacity: next()? }
        }
        b"status" => Reply::Status(serde_json::from_slice(rest).ok()?),
        b"ended" => Reply::Ended,
        b"wake" => Reply::Wake,
        b"bye" => Reply::Bye { ready: next()?, consumers: next()? },
        b"error" => {
            let (code, rest) = split_word(rest);
            Reply::Error { code: ErrorCode::parse(code), text: text(rest) }
        }
        _ => return None,
    };
    Some((reply, body_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(first_id: u64, items: &str) -> Batch {
        let count = items.lines().count() as u64;
        let items = Items { count, bytes: Bytes::copy_from_slice(items.as_bytes()) };
        Batch { attempt: 3, ..Batch::new(first_id, 0, items) }
    }

    fn failed(reason: &str) -> Reply {
        Reply::Failed { batch: batch(8, "[1]\n"), reason: reason.to_owned() }
    }

    fn resumed() -> Resumed {
        Resumed { accepted: vec![(1, 2), (5, 9)], in_flight: vec![(3, 1, 2)] }
    }

    fn status() -> Status {
        let consumer = ClientStatus {
            pid: 7,
            role: Role::Consumer,
            items: 5,
            wait_reason: Some(WaitReason::Item),
            in_flight: 0,
            held_s: None,
        };
        let counts = Counts { ready: 5, ..Counts::default() };
        Status { counts, oldest_age_s: Some(1.5), consumers: vec![consumer], ..Status::default() }
    }

    fn all() -> Vec<Reply> {
        vec![
            Reply::Welcome(Welcome {
                version: 2,
                is_paced: true,
                window: 7,
                can_renew: true,
                awaits_next_round: true,
                resumed: None,
                is_forgotten: false,
                queue_id: None,
            }),
            Reply::Welcome(Welcome { resumed: Some(resumed()), ..Welcome::default() }),
            Reply::Batch(batch(5, "\"a\"\n{\"b\":1}\n")),
            Reply::Ok { seq: 1, id: 2, window: 3 },
            Reply::Closed { seq: 4 },
            Reply::Batch(batch(u64::MAX - 9, "1\n")),
            Reply::Ended,
            Reply::Wake,
            Reply::Bye { ready: 1, consumers: 0 },
            Reply::Full { seq: 9 },
            failed("exit code 3"),
            Reply::Empty,
            failed(""),
            Reply::Cancelled,
            Reply::NotInFlight(BatchRef { first_id: 6, count: 7, attempt: Some(2) }),
            Reply::NotInFlight(BatchRef { first_id: 6, count: 7, attempt: None }),
            Reply::Joined { failed: 2 },
            Reply::Unfinished { items: 3 },
            Reply::Count { items: 4 },
            Reply::Size {
                counts: Counts { ready: 1, in_flight: 2, done: 3, failed: 4 },
                capacity: 5,
            },
            Reply::Status(Box::new(status())),
            Reply::Error { code: ErrorCode::Malformed, text: "no such request".to_owned() },
            Reply::Error { code: ErrorCode::TooFar, text: String::new() },
        ]
    }

    #[test]
    fn the_reader_reads_each_reply_as_it_was_written_however_it_is_split() {
        let mut out = WriteBuffer::default();
        all().iter().for_each(|reply| reply.write(&mut out));
        out.commit();
        let mail = out.take(usize::MAX);
        for size in [1, 2, 3, 7, mail.len()] {
            let mut reader = ReplyReader::default();
            let mut read = Vec::new();
            for piece in mail.chunks(size) {
                reader.buffer.push_bytes(piece);
                while let Some(reply) = reader.next_reply() {
                    read.push(reply);
                }
            }
            assert_eq!(read, all().into_iter().map(Ok).collect::<Vec<_>>(), "in pieces of {size}");
        }
    }

    #[test]
    fn keys_and_codes_of_a_later_version_are_understood() {
        let mut out = WriteBuffer::default();
        let welcome = Welcome { version: 2, ..Welcome::default() };
        let replies = [Reply::Welcome(welcome), Reply::Status(Box::new(status()))];
        replies.iter().for_each(|reply| reply.write(&mut out));
        out.commit();
        let mail = String::from_utf8(out.take(usize::MAX).to_vec()).unwrap();
        let mut reader = ReplyReader::default();
        reader.buffer.push_bytes(mail.replace('{', r#"{"later":1,"#).as_bytes());
        reader.buffer.push_bytes(b"error later why\n");
        let code = ErrorCode::Other("later".to_owned());
        let error = Reply::Error { code, text: "why".to_owned() };
        let read = std::iter::from_fn(|| reader.next_reply()).map(Result::unwrap);
        assert_eq!(read.collect::<Vec<_>>(), [&replies[..], &[error]].concat());
    }

    #[test]
    fn the_error_shows_a_line_that_is_no_reply() {
        for line in [
            "wat",
            "ok 1",
            "batch 1 2",
            "batch 1 0 1 2",
            "batch 1 2 1",
            "closed -1",
            "welcome {}",
            "failed 1",
            "size 1 2 3 4",
        ] {
            let mut reader = ReplyReader::default();
            reader.buffer.push_bytes(format!("{line}\n").as_bytes());
            assert_eq!(reader.next_reply(), Some(Err(MalformedReply(line.to_owned()))));
        }
    }
}
