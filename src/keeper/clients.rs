//! What the keeper knows of each client, and what the next keeper must know of it.

use bytes::BytesMut;
use serde::{Deserialize, Serialize};

use crate::clock::Nanos;
use crate::queue::{ClientSettings, Effect};
use crate::role::{Role, WorkerId};
use crate::wire::{ClientKey, DEFAULT_MAX_ITEM_BYTES, Hello, MAX_ITEM_BYTES, Resumed};

/// How many pieces of what a client has put are remembered: more than it is ever owed an answer to, but
/// for one that reads nothing.
const MAX_ACCEPTED_RANGES: usize = 64;

/// A client.
#[derive(Debug)]
pub(super) struct ConnectedClient {
    pub(super) key: ClientKey,
    pub(super) worker: Option<WorkerId>,
    pub(super) record: ClientRecord,
    /// Since when a worker has been waiting for room, or for an item.
    pub(super) waiting_since: Option<Nanos>,
    /// How many items it has put, or done, here.
    pub(super) processed_items: u64,
    /// The beginning of an item that comes in parts.
    pub(super) partial_item: BytesMut,
    /// The next keeper will know of it.
    is_recorded: bool,
    /// It was a client of the keeper before this one, and has not come here yet.
    pub(super) is_absent: bool,
}

/// What outlives a keeper of a client that does too.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ClientRecord {
    /// As what it came.
    pub(crate) hello: Hello,
    /// What it has put: its own number of the last item of each piece, and the queue's number of that.
    #[serde(default)]
    pub(crate) accepted: Vec<(u64, u64)>,
    /// How many runs it has been handed.
    #[serde(default)]
    #[serde(rename = "runs")]
    pub(crate) deliveries: u64,
    /// The first number of the last of them.
    #[serde(default)]
    #[serde(rename = "last_run")]
    pub(crate) last_delivery_first_id: u64,
}

impl ClientRecord {
    /// A client that has just come.
    pub(crate) fn new(hello: Hello) -> Self {
        Self { hello, accepted: Vec::new(), deliveries: 0, last_delivery_first_id: 0 }
    }

    /// As what the rules take it.
    pub(crate) fn settings(&self) -> ClientSettings {
        let hello = &self.hello;
        ClientSettings {
            role: hello.role,
            keep_open: hello.keep_open,
            follow: hello.follow,
            birth: hello.birth,
            ancestors: hello.ancestors.clone(),
            lease: hello.lease,
            max_attempts: hello.max_attempts,
            capacity: hello.capacity(),
            sync: hello.sync,
        }
    }

    /// `count` items of it are in line, up to its own number `seq`; the last one is the queue's `id`.
    pub(crate) fn record_accepted(&mut self, seq: u64, count: u64, id: u64) {
        match self.accepted.last_mut() {
            Some(last) if last.0 + count == seq && last.1 + count == id => *last = (seq, id),
            _ => {
                if self.accepted.len() == MAX_ACCEPTED_RANGES {
                    self.accepted.remove(0);
                }
                self.accepted.push((seq, id));
            }
        }
    }

    /// It has been handed the run that begins with this number.
    pub(crate) fn record_delivery(&mut self, first: u64) {
        self.deliveries += 1;
        self.last_delivery_first_id = first;
    }

    /// Its own number of the last item that was accepted.
    pub(super) fn last_accepted_seq(&self) -> u64 {
        self.accepted.last().map_or(0, |last| last.0)
    }
}

impl ConnectedClient {
    /// One that comes.
    pub(super) fn new(key: ClientKey, worker: Option<WorkerId>, hello: Hello) -> Self {
        let parts = BytesMut::new();
        let record = ClientRecord::new(hello);
        Self {
            key,
            worker,
            record,
            waiting_since: None,
            processed_items: 0,
            partial_item: parts,
            is_recorded: false,
            is_absent: false,
        }
    }

    /// One that the keeper before this one has left.
    pub(super) fn from_previous_keeper(key: ClientKey, record: ClientRecord) -> Self {
        Self {
            record,
            is_recorded: true,
            is_absent: true,
            ..Self::new(key, None, Hello::new(Role::Visitor))
        }
    }

    /// For how long it has waited, now that it is given something; if there is `more` to come, it waits
    /// on.
    pub(super) fn take_wait_time(&mut self, at: Nanos, more: bool) -> Nanos {
        let asked = std::mem::replace(&mut self.waiting_since, more.then_some(at));
        asked.map_or(0, |asked| at.saturating_sub(asked))
    }

    pub(super) fn pid(&self) -> u32 {
        self.record.hello.pid
    }

    /// Its largest item, in bytes of JSON.
    pub(super) fn max_item_bytes(&self) -> u64 {
        self.record.hello.max_item_bytes.unwrap_or(DEFAULT_MAX_ITEM_BYTES).min(MAX_ITEM_BYTES)
    }

    /// Notes what it is about to be told, and tells what is to be written down of it first, if
    /// anything.
    pub(super) fn apply_effect(&mut self, effect: &Effect) -> Option<String> {
        let first = match effect {
            Effect::Accepted { .. } | Effect::Delivered { .. } if !self.is_recorded => {
                self.serialize_record()
            }
            _ => None,
        };
        match effect {
            Effect::Accepted { seq, batch, .. } => {
                self.processed_items += batch.count();
                self.record.record_accepted(*seq, batch.count(), batch.end_id() - 1);
            }
            Effect::Delivered { batch, .. } => self.record.record_delivery(batch.first_id),
            Effect::Done { batch, .. } => self.processed_items += batch.count(),
            _ => {}
        }
        first
    }

    /// What is to be written down of it.
    pub(super) fn serialize_record(&mut self) -> Option<String> {
        self.is_recorded = true;
        serde_json::to_string(&self.record).ok()
    }

    /// Whether the next keeper would know of it.
    pub(super) fn is_recorded(&self) -> bool {
        self.is_recorded
    }

    /// What it is told that comes to this keeper after another.
    pub(super) fn resume_info(&self, out: Vec<(u64, u64, u32)>) -> Resumed {
        Resumed { accepted: self.record.accepted.clone(), in_flight: out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_counted_together_if_they_follow_one_another_only() {
        let mut record = ClientRecord::new(Hello::new(Role::Producer));
        record.record_accepted(2, 2, 2);
        record.record_accepted(3, 1, 3);
        record.record_accepted(5, 2, 9);
        record.record_accepted(6, 1, 10);
        assert_eq!(record.accepted, [(3, 3), (6, 10)]);
        assert_eq!(record.last_accepted_seq(), 6);
        for seq in 7..1000 {
            record.record_accepted(seq, 1, seq * 2);
        }
        assert_eq!(record.accepted.len(), MAX_ACCEPTED_RANGES);
        assert_eq!(record.last_accepted_seq(), 999);
    }
}
