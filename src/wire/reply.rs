//! Replies: what the keeper writes to a client's mailbox.

use std::io::Write;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{parse_number, split_word};
use crate::queue::{Batch, BatchRef, Counts, Items, WaitReason};
use crate::role::Role;

/// The first reply that a client gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Welcome {
    /// The version of the protocol that the keeper speaks.
    pub(crate) version: u32,
    /// Whether the keeper paces time: then `sleep` is a request, otherwise the client's own affair.
    #[serde(rename = "paced")]
    pub(crate) is_paced: bool,
    /// How many items may be underway without an answer, beyond one.
    pub(crate) window: u64,
    /// The queue has ended, and the client is here for what comes next.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[serde(rename = "ended")]
    pub(crate) has_ended: bool,
    /// The client was known to the keeper before this one: what that has left of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resumed: Option<Resumed>,
}

/// What is known of a client that comes to another keeper than before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resumed {
    /// What it has put, as far as it may not have been told: its own number of the last item of
    /// each piece, and the queue's number of that.
    pub(crate) accepted: Vec<(u64, u64)>,
    /// What it has out: the first number, how many, and the attempt.
    #[serde(rename = "out")]
    pub(crate) in_flight: Vec<(u64, u64, u32)>,
}

/// How a queue is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// Accepted and not handed out.
    #[serde(rename = "in_line")]
    pub(crate) ready: u64,
    /// Handed out and not done.
    #[serde(rename = "out")]
    pub(crate) in_flight: u64,
    /// Done, since the queue began.
    pub(crate) done: u64,
    /// Put aside.
    pub(crate) failed: u64,
    /// How many may be in line; null for any number.
    pub(crate) capacity: Option<u64>,
    /// Whether what is accepted is on the disk.
    #[serde(default)]
    pub(crate) sync: bool,
    /// The age of the oldest item that isn't done, in seconds.
    #[serde(rename = "oldest_s")]
    pub(crate) oldest_age_s: Option<f64>,
    /// `open`, `ending` (the last producer has left), `closed`, or `ended` (nothing new has begun).
    pub(crate) state: String,
    /// Who is here to put.
    pub(crate) producers: Vec<ClientStatus>,
    /// Who is here to get.
    pub(crate) consumers: Vec<ClientStatus>,
}

/// What a client is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ClientStatus {
    /// Its process.
    pub(crate) pid: u32,
    /// As what it came.
    pub(crate) role: Role,
    /// How many items it has put, or done, since it came to this keeper.
    #[serde(default)]
    pub(crate) items: u64,
    /// What it waits for; null when it is at work.
    #[serde(rename = "waits_for")]
    pub(crate) wait_reason: Option<WaitReason>,
    /// How many items it has out.
    #[serde(rename = "holds")]
    pub(crate) in_flight: u64,
    /// For how long it has had the oldest of them, in seconds.
    pub(crate) held_s: Option<f64>,
}

/// A reply.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// `welcome {…}`
    Welcome(Welcome),
    /// `ok SEQ ID WINDOW`: all items up to the client's number SEQ are in the queue; the last one
    /// has the queue's number ID.
    Ok {
        /// The client's number.
        seq: u64,
        /// The queue's number.
        id: u64,
        /// How many items may be underway without an answer, beyond one.
        window: u64,
    },
    /// `closed SEQ`: the items up to SEQ that were not accepted yet will not be, as the queue is
    /// closed.
    Closed {
        /// The client's number of the last one refused.
        seq: u64,
    },
    /// `run FIRST COUNT ATTEMPT`, then that many lines, each an item.
    Batch(Batch),
    /// `full SEQ`: the items up to SEQ that were not accepted yet will not be, as there is no room,
    /// and the client doesn't wait.
    Full {
        /// The client's number of the last one refused.
        seq: u64,
    },
    /// `ended`: in the place of a run.
    Ended,
    /// `empty`: in the place of a run, or of an item that failed.
    Empty,
    /// `cancelled`: what a cancel was about has been told.
    Cancelled,
    /// `lost FIRST COUNT ATTEMPT`: these items are not with this client, or not any more. The attempt
    /// is as the client said it, 0 if it didn't.
    NotInFlight(BatchRef),
    /// `joined FAILED`: everything is done, but for those that failed.
    Joined {
        /// How many.
        failed: u64,
    },
    /// `unfinished ITEMS`: so many items are not done yet.
    Unfinished {
        /// How many.
        items: u64,
    },
    /// `count ITEMS`: what was asked for has been done to so many items.
    Count {
        /// How many.
        items: u64,
    },
    /// `size INLINE OUT DONE FAILED CAPACITY`
    Size {
        /// How many items there are.
        counts: Counts,
        /// How many may be in line, 0 for any number.
        capacity: u64,
    },
    /// `status {…}`
    Status(Box<Status>),
    /// `failed ID ATTEMPT WHY`, then a line, which is the item.
    Failed {
        /// The item: a run of one.
        batch: Batch,
        /// For people.
        reason: String,
    },
    /// `wake`: the sleep is over.
    Wake,
    /// `bye INLINE CONSUMERS`: how many items stay in line, and how many consumers are there.
    Bye {
        /// Items in line.
        ready: u64,
        /// Consumers there, the one that leaves not counted.
        consumers: u64,
    },
    /// `error CODE TEXT`
    Error {
        /// From the list in `docs/PROTOCOL.md`.
        code: String,
        /// For people.
        text: String,
    },
}

impl Reply {
    /// Adds the reply to what is to be written to a mailbox.
    pub(crate) fn write(&self, mail: &mut Vec<u8>) {
        // Writing to a Vec cannot fail.
        let _ = match self {
            Self::Welcome(welcome) => match serde_json::to_string(welcome) {
                Ok(json) => writeln!(mail, "welcome {json}"),
                Err(error) => writeln!(mail, "error internal {error}"),
            },
            Self::Ok { seq, id, window } => writeln!(mail, "ok {seq} {id} {window}"),
            Self::Closed { seq } => writeln!(mail, "closed {seq}"),
            Self::Batch(batch) => {
                let head =
                    writeln!(mail, "run {} {} {}", batch.first_id, batch.count(), batch.attempt);
                mail.extend_from_slice(&batch.items.bytes);
                head
            }
            Self::Full { seq } => writeln!(mail, "full {seq}"),
            Self::Ended => writeln!(mail, "ended"),
            Self::Empty => writeln!(mail, "empty"),
            Self::Cancelled => writeln!(mail, "cancelled"),
            Self::NotInFlight(BatchRef { first_id: first, count, attempt }) => {
                writeln!(mail, "lost {first} {count} {}", attempt.unwrap_or(0))
            }
            Self::Joined { failed } => writeln!(mail, "joined {failed}"),
            Self::Unfinished { items } => writeln!(mail, "unfinished {items}"),
            Self::Count { items } => writeln!(mail, "count {items}"),
            Self::Size { counts, capacity } => {
                let Counts { ready: in_line, in_flight: out, done, failed } = counts;
                writeln!(mail, "size {in_line} {out} {done} {failed} {capacity}")
            }
            Self::Status(status) => match serde_json::to_string(status) {
                Ok(json) => writeln!(mail, "status {json}"),
                Err(error) => writeln!(mail, "error internal {error}"),
            },
            Self::Failed { batch, reason } => {
                let head = writeln!(mail, "failed {} {} {reason}", batch.first_id, batch.attempt);
                mail.extend_from_slice(&batch.items.bytes);
                head
            }
            Self::Wake => writeln!(mail, "wake"),
            Self::Bye { ready: in_line, consumers } => writeln!(mail, "bye {in_line} {consumers}"),
            Self::Error { code, text } => writeln!(mail, "error {code} {text}"),
        };
    }
}

/// Finds replies in what a mailbox gave, however it was split.
#[derive(Debug, Default)]
pub(crate) struct ReplyReader {
    buffer: Vec<u8>,
    /// What stands before this has been dealt with.
    consumed: usize,
    /// The items that are underway.
    partial: Option<PartialReply>,
}

/// A reply whose items are still to be read.
#[derive(Debug)]
struct PartialReply {
    batch: Batch,
    /// Why it failed, if the reply is of that.
    failure_reason: Option<String>,
    /// How many lines there are so far.
    lines_read: u64,
    /// Up to where the buffer has been looked at.
    scanned: usize,
}

/// The keeper said something that this program doesn't understand.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the keeper's reply `{0}` is not of protocol version {version}", version = super::VERSION)]
pub(crate) struct MalformedReply(pub(crate) String);

impl ReplyReader {
    /// Takes in what was read.
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.consumed);
        if let Some(underway) = &mut self.partial {
            underway.scanned -= self.consumed;
        }
        self.consumed = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next reply; none when more is to be read first.
    pub(crate) fn next_reply(&mut self) -> Option<Result<Reply, MalformedReply>> {
        if self.partial.is_none() {
            let rest = &self.buffer[self.consumed..];
            let length = memchr::memchr(b'\n', rest)?;
            let line = &rest[..length];
            let reply = match parse_reply(line) {
                Some(reply) => reply,
                None => {
                    return Some(Err(MalformedReply(String::from_utf8_lossy(line).into_owned())));
                }
            };
            self.consumed += length + 1;
            let (batch, reason) = match reply {
                Reply::Batch(batch) => (batch, None),
                Reply::Failed { batch, reason } => (batch, Some(reason)),
                other => return Some(Ok(other)),
            };
            self.partial = Some(PartialReply {
                batch,
                failure_reason: reason,
                lines_read: 0,
                scanned: self.consumed,
            });
        }
        self.finish_partial().map(Ok)
    }

    fn finish_partial(&mut self) -> Option<Reply> {
        let PartialReply { batch, lines_read: lines, scanned: seen, .. } = self.partial.as_mut()?;
        let end = match Items::end_offset(batch.items.count - *lines, &self.buffer[*seen..]) {
            Ok(end) => *seen + end,
            Err(more) => {
                *lines += more;
                *seen = self.buffer.len();
                return None;
            }
        };
        let PartialReply { mut batch, failure_reason: reason, .. } = self.partial.take()?;
        batch.items.bytes = Bytes::copy_from_slice(&self.buffer[self.consumed..end]);
        self.consumed = end;
        Some(match reason {
            None => Reply::Batch(batch),
            Some(reason) => Reply::Failed { batch, reason },
        })
    }
}

/// One line; items come without their text.
fn parse_reply(line: &[u8]) -> Option<Reply> {
    let (verb, rest) = split_word(line);
    let mut numbers = rest.split(|&b| b == b' ').map(parse_number);
    let mut next = || numbers.next().flatten();
    let text = |text| String::from_utf8_lossy(text).into_owned();
    let unread = |first, count, attempt| {
        let lines = Items { count, bytes: Bytes::new() };
        Some(Batch {
            first_id: first,
            attempt: u32::try_from(attempt).ok()?,
            delivery_failures: 0,
            accepted_at: 0,
            items: lines,
        })
    };
    Some(match verb {
        b"welcome" => Reply::Welcome(serde_json::from_slice(rest).ok()?),
        b"ok" => Reply::Ok { seq: next()?, id: next()?, window: next()? },
        b"closed" => Reply::Closed { seq: next()? },
        b"run" => {
            let (first, count) = (next()?, next().filter(|&count| count > 0)?);
            Reply::Batch(unread(first, count, next()?)?)
        }
        b"failed" => {
            let reason = rest.splitn(3, |&b| b == b' ').nth(2).unwrap_or_default();
            Reply::Failed { batch: unread(next()?, 1, next()?)?, reason: text(reason) }
        }
        b"full" => Reply::Full { seq: next()? },
        b"empty" => Reply::Empty,
        b"cancelled" => Reply::Cancelled,
        b"lost" => {
            let (first, count) = (next()?, next()?);
            let attempt = u32::try_from(next()?).ok().filter(|&attempt| attempt > 0);
            Reply::NotInFlight(BatchRef { first_id: first, count, attempt })
        }
        b"joined" => Reply::Joined { failed: next()? },
        b"unfinished" => Reply::Unfinished { items: next()? },
        b"count" => Reply::Count { items: next()? },
        b"size" => {
            let (in_line, out, done, failed) = (next()?, next()?, next()?, next()?);
            Reply::Size {
                counts: Counts { ready: in_line, in_flight: out, done, failed },
                capacity: next()?,
            }
        }
        b"status" => Reply::Status(serde_json::from_slice(rest).ok()?),
        b"ended" => Reply::Ended,
        b"wake" => Reply::Wake,
        b"bye" => Reply::Bye { ready: next()?, consumers: next()? },
        b"error" => {
            let (code, reason) = split_word(rest);
            Reply::Error { code: text(code), text: text(reason) }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(first: u64, items: &str) -> Reply {
        let count = items.lines().count() as u64;
        let bytes = Bytes::copy_from_slice(items.as_bytes());
        let lines = Items { count, bytes };
        Reply::Batch(Batch {
            first_id: first,
            attempt: 3,
            delivery_failures: 0,
            accepted_at: 0,
            items: lines,
        })
    }

    fn failed(reason: &str) -> Reply {
        let Reply::Batch(batch) = run(8, "[1]\n") else { unreachable!() };
        Reply::Failed { batch, reason: reason.to_owned() }
    }

    fn resumed() -> Resumed {
        Resumed { accepted: vec![(1, 2), (5, 9)], in_flight: vec![(3, 1, 2)] }
    }

    fn status() -> Status {
        let waits_for = Some(WaitReason::Item);
        let role = Role::Consumer;
        let consumer = ClientStatus {
            pid: 7,
            role,
            items: 5,
            wait_reason: waits_for,
            in_flight: 0,
            held_s: None,
        };
        Status { ready: 5, oldest_age_s: Some(1.5), consumers: vec![consumer], ..Status::default() }
    }

    fn all() -> Vec<Reply> {
        let text = |text: &str| text.to_owned();
        vec![
            Reply::Welcome(Welcome {
                version: 1,
                is_paced: true,
                window: 7,
                has_ended: true,
                resumed: None,
            }),
            Reply::Welcome(Welcome { resumed: Some(resumed()), ..Welcome::default() }),
            run(5, "\"a\"\n{\"b\":1}\n"),
            Reply::Ok { seq: 1, id: 2, window: 3 },
            Reply::Closed { seq: 4 },
            run(u64::MAX - 9, "1\n"),
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
            Reply::Error { code: text("malformed"), text: text("no such request") },
        ]
    }

    #[test]
    fn what_is_written_is_read_however_it_is_split() {
        let mut mail = Vec::new();
        all().iter().for_each(|reply| reply.write(&mut mail));
        for size in [1, 2, 3, 7, mail.len()] {
            let mut reader = ReplyReader::default();
            let mut read = Vec::new();
            for piece in mail.chunks(size) {
                reader.push_bytes(piece);
                while let Some(reply) = reader.next_reply() {
                    read.push(reply);
                }
            }
            assert_eq!(read, all().into_iter().map(Ok).collect::<Vec<_>>(), "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_no_reply_is_shown() {
        for line in [
            "wat",
            "ok 1",
            "run 1 2",
            "run 1 0 1",
            "closed -1",
            "welcome {}",
            "failed 1",
            "size 1 2 3 4",
        ] {
            let mut reader = ReplyReader::default();
            reader.push_bytes(format!("{line}\n").as_bytes());
            assert_eq!(reader.next_reply(), Some(Err(MalformedReply(line.to_owned()))));
        }
    }
}
