//! Replies: what the keeper writes to a client's mailbox.

use std::io::Write;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{number, word};
use crate::queue::{Lines, Run};

/// The first reply that a client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Welcome {
    /// The version of the protocol that the keeper speaks.
    pub(crate) version: u32,
    /// Whether the keeper paces time: then `sleep` is a request, otherwise the client's own affair.
    pub(crate) paced: bool,
    /// How many items may be underway without an answer, beyond one.
    pub(crate) window: u64,
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    Run(Run),
    /// `ended`: in the place of a run.
    Ended,
    /// `wake`: the sleep is over.
    Wake,
    /// `bye INLINE CONSUMERS`: how many items stay in line, and how many consumers are there.
    Bye {
        /// Items in line.
        in_line: u64,
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
            Self::Run(run) => {
                let head = writeln!(mail, "run {} {} {}", run.first, run.count(), run.attempt);
                mail.extend_from_slice(&run.lines.bytes);
                head
            }
            Self::Ended => writeln!(mail, "ended"),
            Self::Wake => writeln!(mail, "wake"),
            Self::Bye { in_line, consumers } => writeln!(mail, "bye {in_line} {consumers}"),
            Self::Error { code, text } => writeln!(mail, "error {code} {text}"),
        };
    }
}

/// Finds replies in what a mailbox gave, however it was split.
#[derive(Debug, Default)]
pub(crate) struct ReplyReader {
    buffer: Vec<u8>,
    /// What stands before this has been dealt with.
    at: usize,
    /// The run that is underway: its head, how many lines of it there are, and up to where the
    /// buffer has been looked at.
    run: Option<(Run, u64, usize)>,
}

/// The keeper said something that this program doesn't understand.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the keeper's reply `{0}` is not of protocol version {version}", version = super::VERSION)]
pub(crate) struct BadReply(pub(crate) String);

impl ReplyReader {
    /// Takes in what was read.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.at);
        if let Some((_, _, seen)) = &mut self.run {
            *seen -= self.at;
        }
        self.at = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next reply; none when more is to be read first.
    pub(crate) fn next(&mut self) -> Option<Result<Reply, BadReply>> {
        if self.run.is_none() {
            let rest = &self.buffer[self.at..];
            let length = memchr::memchr(b'\n', rest)?;
            let line = &rest[..length];
            let reply = match parse(line) {
                Some(reply) => reply,
                None => return Some(Err(BadReply(String::from_utf8_lossy(line).into_owned()))),
            };
            self.at += length + 1;
            match reply {
                Reply::Run(head) => self.run = Some((head, 0, self.at)),
                other => return Some(Ok(other)),
            }
        }
        self.finish_run().map(|run| Ok(Reply::Run(run)))
    }

    fn finish_run(&mut self) -> Option<Run> {
        let (run, lines, seen) = self.run.as_mut()?;
        let missing = run.lines.count - *lines;
        let mut end = None;
        for newline in memchr::memchr_iter(b'\n', &self.buffer[*seen..]) {
            *lines += 1;
            end = Some(*seen + newline + 1);
            if *lines == run.lines.count {
                break;
            }
        }
        if missing > 0 && *lines < run.lines.count {
            *seen = self.buffer.len();
            return None;
        }
        let end = end.unwrap_or(*seen);
        let (mut run, _, _) = self.run.take()?;
        run.lines.bytes = Bytes::copy_from_slice(&self.buffer[self.at..end]);
        self.at = end;
        Some(run)
    }
}

/// One line; a run comes without its items.
fn parse(line: &[u8]) -> Option<Reply> {
    let (verb, rest) = word(line);
    let mut numbers = rest.split(|&b| b == b' ').map(number);
    let mut next = || numbers.next().flatten();
    Some(match verb {
        b"welcome" => Reply::Welcome(serde_json::from_slice(rest).ok()?),
        b"ok" => Reply::Ok { seq: next()?, id: next()?, window: next()? },
        b"closed" => Reply::Closed { seq: next()? },
        b"run" => {
            let (first, count) = (next()?, next()?);
            let attempt = u32::try_from(next()?).ok()?;
            let bytes = Bytes::new();
            let lines = Lines { count, bytes };
            Reply::Run(Run { first, attempt, lines })
        }
        b"ended" => Reply::Ended,
        b"wake" => Reply::Wake,
        b"bye" => Reply::Bye { in_line: next()?, consumers: next()? },
        b"error" => {
            let (code, text) = word(rest);
            Reply::Error {
                code: String::from_utf8_lossy(code).into_owned(),
                text: String::from_utf8_lossy(text).into_owned(),
            }
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
        let lines = Lines { count, bytes };
        let attempt = 3;
        Reply::Run(Run { first, attempt, lines })
    }

    fn all() -> Vec<Reply> {
        let text = |text: &str| text.to_owned();
        vec![
            Reply::Welcome(Welcome { version: 1, paced: true, window: 7 }),
            run(5, "\"a\"\n{\"b\":1}\n"),
            Reply::Ok { seq: 1, id: 2, window: 3 },
            Reply::Closed { seq: 4 },
            run(u64::MAX - 9, "1\n"),
            Reply::Ended,
            Reply::Wake,
            Reply::Bye { in_line: 1, consumers: 0 },
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
                reader.feed(piece);
                while let Some(reply) = reader.next() {
                    read.push(reply);
                }
            }
            assert_eq!(read, all().into_iter().map(Ok).collect::<Vec<_>>(), "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_no_reply_is_shown() {
        for line in ["wat", "ok 1", "run 1 2", "closed -1", "welcome {}"] {
            let mut reader = ReplyReader::default();
            reader.feed(format!("{line}\n").as_bytes());
            assert_eq!(reader.next(), Some(Err(BadReply(line.to_owned()))));
        }
    }
}
