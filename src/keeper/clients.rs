//! What the keeper knows of each client, and the part of it that the next keeper needs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Nanos;
use crate::queue::{ClientId, ClientSettings, EffectKind};
use crate::role::WorkerId;
use crate::wire::{ClientKey, DEFAULT_MAX_ITEM_BYTES, Hello, MAX_ITEM_BYTES, RequestReader};

/// How many accepted ranges of a client the keeper remembers: more than a client has unanswered, unless
/// the client never reads its mailbox.
const MAX_ACCEPTED_RANGES: usize = 64;

/// A client, from its connect to its disconnect or death.
#[derive(Debug)]
pub(super) struct ConnectedClient {
    pub(super) key: ClientKey,
    pub(super) worker: Option<WorkerId>,
    pub(super) record: ClientRecord,
    /// When this worker began to wait for room or for an item.
    pub(super) waiting_since: Option<Nanos>,
    /// How many items the client has put or done under this keeper.
    pub(super) processed_items: u64,
    pub(super) requests: RequestReader,
    /// The bytes of the client's incomplete request.
    pub(super) incomplete_bytes: usize,
    /// The journal has a record of the client.
    pub(super) is_recorded: bool,
    /// The client knows only the previous keeper so far.
    pub(super) is_absent: bool,
}

/// The part of a client's state that outlives the keeper, in the journal's JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ClientRecord {
    pub(crate) hello: Hello,
    /// The accepted ranges: the sequence number of the last item of each, and its item id.
    #[serde(default)]
    pub(crate) accepted: Vec<(u64, u64)>,
    /// How many batches keepers have delivered to the client. The client may not have received all of them:
    /// its own count is [`Hello::batches_received`].
    #[serde(default, alias = "runs")]
    pub(crate) deliveries: u64,
    #[serde(default, alias = "last_run")]
    pub(crate) last_delivery_first_id: u64,
}

impl From<&Hello> for ClientSettings {
    fn from(hello: &Hello) -> Self {
        Self {
            role: hello.role,
            keep_open: hello.keep_open,
            follow: hello.follow,
            birth: hello.birth,
            ancestors: hello.ancestors.clone(),
            lease: hello.lease,
            max_delivery_failures: hello.max_delivery_failures,
            capacity: hello.capacity,
            sync: hello.sync,
        }
    }
}

impl ClientRecord {
    pub(crate) fn new(hello: Hello) -> Self {
        Self { hello, accepted: Vec::new(), deliveries: 0, last_delivery_first_id: 0 }
    }

    /// The queue accepted `count` items of the client. The last one has the sequence number `seq` and the
    /// item id `id`.
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

    /// A keeper delivers the batch that begins with `first_id`.
    pub(crate) fn record_delivery(&mut self, first_id: u64) {
        self.deliveries += 1;
        self.last_delivery_first_id = first_id;
    }

    /// The client's sequence number of its last accepted item.
    pub(super) fn last_accepted_seq(&self) -> u64 {
        self.accepted.last().map_or(0, |last| last.0)
    }
}

impl ConnectedClient {
    pub(super) fn new(key: ClientKey, worker: Option<WorkerId>, record: ClientRecord) -> Self {
        Self {
            key,
            worker,
            record,
            waiting_since: None,
            processed_items: 0,
            requests: RequestReader::default(),
            incomplete_bytes: 0,
            is_recorded: false,
            is_absent: false,
        }
    }

    pub(super) fn from_previous_keeper(key: ClientKey, record: ClientRecord) -> Self {
        Self { is_recorded: true, is_absent: true, ..Self::new(key, None, record) }
    }

    /// The size of the client's largest allowed item, in bytes of JSON.
    pub(super) fn max_item_bytes(&self) -> u64 {
        self.record.hello.max_item_bytes.unwrap_or(DEFAULT_MAX_ITEM_BYTES).min(MAX_ITEM_BYTES)
    }

    /// Notes an effect before the client reads about the effect. Returns the client's JSON if the journal
    /// needs a record of the client first.
    pub(super) fn apply_effect(&mut self, kind: &EffectKind) -> Option<String> {
        let needs_record = kind.is_grant() && !self.is_recorded;
        let json = if needs_record { self.serialize_record() } else { None };
        match kind {
            EffectKind::Accepted { seq, batch } => {
                self.processed_items += batch.count();
                self.record.record_accepted(*seq, batch.count(), batch.end_id() - 1);
            }
            EffectKind::Delivered(batch) => self.record.record_delivery(batch.first_id),
            EffectKind::Done(batch) => self.processed_items += batch.count(),
            _ => {}
        }
        json
    }

    /// The JSON for the journal's record of the client. The caller writes the record.
    pub(super) fn serialize_record(&mut self) -> Option<String> {
        self.is_recorded = true;
        serde_json::to_string(&self.record).ok()
    }
}

/// The worker of a run that this client is, if any.
pub(super) fn worker_of(
    clients: &BTreeMap<ClientId, ConnectedClient>,
    client: ClientId,
) -> Option<WorkerId> {
    clients.get(&client)?.worker
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::Role;

    #[test]
    fn only_consecutive_accepted_ranges_are_merged() {
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
