//! What the keeper knows of each client, and what the next keeper must know of it.

use bytes::BytesMut;
use serde::{Deserialize, Serialize};

use crate::clock::Nanos;
use crate::queue::{Effect, Member};
use crate::role::{Role, Worker};
use crate::wire::{Hello, Key, LARGEST_ITEM, LARGEST_OF_ALL, Resumed};

/// How many pieces of what a client has put are remembered: more than it is ever owed an answer to, but
/// for one that reads nothing.
const MOST_PIECES: usize = 64;

/// A client.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) key: Key,
    pub(super) worker: Option<Worker>,
    pub(super) known: Known,
    /// Since when a worker has been waiting for room, or for an item.
    pub(super) asked: Option<Nanos>,
    /// How many items it has put, or done, here.
    pub(super) items: u64,
    /// The beginning of an item that comes in parts.
    pub(super) parts: BytesMut,
    /// The next keeper will know of it.
    recorded: bool,
    /// It was a client of the keeper before this one, and has not come here yet.
    pub(super) absent: bool,
}

/// What outlives a keeper of a client that does too.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Known {
    /// As what it came.
    pub(crate) hello: Hello,
    /// What it has put: its own number of the last item of each piece, and the queue's number of that.
    #[serde(default)]
    pub(crate) accepted: Vec<(u64, u64)>,
    /// How many runs it has been handed.
    #[serde(default)]
    pub(crate) runs: u64,
    /// The first number of the last of them.
    #[serde(default)]
    pub(crate) last_run: u64,
}

impl Known {
    /// A client that has just come.
    pub(crate) fn new(hello: Hello) -> Self {
        Self { hello, accepted: Vec::new(), runs: 0, last_run: 0 }
    }

    /// As what the rules take it.
    pub(crate) fn member(&self) -> Member {
        let hello = &self.hello;
        Member {
            role: hello.role,
            keep_open: hello.keep_open,
            follow: hello.follow,
            born: hello.born,
            callers: hello.callers.clone(),
            lease: hello.lease,
            max_attempts: hello.max_attempts,
            capacity: hello.capacity(),
            sync: hello.sync,
        }
    }

    /// `count` items of it are in line, up to its own number `seq`; the last one is the queue's `id`.
    pub(crate) fn accept(&mut self, seq: u64, count: u64, id: u64) {
        match self.accepted.last_mut() {
            Some(last) if last.0 + count == seq && last.1 + count == id => *last = (seq, id),
            _ => {
                if self.accepted.len() == MOST_PIECES {
                    self.accepted.remove(0);
                }
                self.accepted.push((seq, id));
            }
        }
    }

    /// It has been handed the run that begins with this number.
    pub(crate) fn hand(&mut self, first: u64) {
        self.runs += 1;
        self.last_run = first;
    }

    /// Its own number of the last item that was accepted.
    pub(super) fn last_accepted(&self) -> u64 {
        self.accepted.last().map_or(0, |last| last.0)
    }
}

impl Peer {
    /// One that comes.
    pub(super) fn new(key: Key, worker: Option<Worker>, hello: Hello) -> Self {
        let parts = BytesMut::new();
        let known = Known::new(hello);
        Self { key, worker, known, asked: None, items: 0, parts, recorded: false, absent: false }
    }

    /// One that the keeper before this one has left.
    pub(super) fn absent(key: Key, known: Known) -> Self {
        Self {
            known,
            recorded: true,
            absent: true,
            ..Self::new(key, None, Hello::new(Role::Visitor))
        }
    }

    /// For how long it has waited, now that it is given something; if there is `more` to come, it waits
    /// on.
    pub(super) fn is_given(&mut self, at: Nanos, more: bool) -> Nanos {
        let asked = std::mem::replace(&mut self.asked, more.then_some(at));
        asked.map_or(0, |asked| at.saturating_sub(asked))
    }

    pub(super) fn pid(&self) -> u32 {
        self.known.hello.pid
    }

    /// Its largest item, in bytes of JSON.
    pub(super) fn largest(&self) -> u64 {
        self.known.hello.largest.unwrap_or(LARGEST_ITEM).min(LARGEST_OF_ALL)
    }

    /// Notes what it is about to be told, and tells what is to be written down of it first, if
    /// anything.
    pub(super) fn note(&mut self, effect: &Effect) -> Option<String> {
        let first = match effect {
            Effect::Accepted { .. } | Effect::Handed { .. } if !self.recorded => self.record(),
            _ => None,
        };
        match effect {
            Effect::Accepted { seq, run, .. } => {
                self.items += run.count();
                self.known.accept(*seq, run.count(), run.end() - 1);
            }
            Effect::Handed { run, .. } => self.known.hand(run.first),
            Effect::Done { run, .. } => self.items += run.count(),
            _ => {}
        }
        first
    }

    /// What is to be written down of it.
    pub(super) fn record(&mut self) -> Option<String> {
        self.recorded = true;
        serde_json::to_string(&self.known).ok()
    }

    /// Whether the next keeper would know of it.
    pub(super) fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// What it is told that comes to this keeper after another.
    pub(super) fn resumed(&self, out: Vec<(u64, u64, u32)>) -> Resumed {
        Resumed { accepted: self.known.accepted.clone(), out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_counted_together_if_they_follow_one_another_only() {
        let mut known = Known::new(Hello::new(Role::Producer));
        known.accept(2, 2, 2);
        known.accept(3, 1, 3);
        known.accept(5, 2, 9);
        known.accept(6, 1, 10);
        assert_eq!(known.accepted, [(3, 3), (6, 10)]);
        assert_eq!(known.last_accepted(), 6);
        for seq in 7..1000 {
            known.accept(seq, 1, seq * 2);
        }
        assert_eq!(known.accepted.len(), MOST_PIECES);
        assert_eq!(known.last_accepted(), 999);
    }
}
