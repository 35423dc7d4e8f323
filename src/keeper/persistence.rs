//! The journal of a stand-alone queue: what its keeper writes, and how the next keeper rebuilds the queue.

use std::collections::{BTreeMap, HashMap};
use std::io;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::replies::failure_record;
use super::{ClientRecord, Keeper, Observer};
use crate::catalogue::message;
use crate::clock::{BootQualifiedBirth, Clock, Epoch, ProcessBirth};
use crate::journal::{Journal, Record, Store, read_if_exists};
use crate::pipe::{LEGACY_STATE, QueueDir};
use crate::queue::{ClientId, FailedItem, InFlight, Queue, QueueState, Recovery};
use crate::wire::ClientKey;

/// The state of the queue in the journal: what the rules know, and what only the keeper knows. An alias is a key of
/// version 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PersistedState {
    version: u32,
    #[serde(flatten)]
    queue: QueueState,
    /// When the last round ended.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "ended")]
    ended_at: Option<BootQualifiedBirth>,
    /// The clock of leases and ages. None: a journal of an earlier version, which used the wall clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) epoch: Option<Epoch>,
}

const STATE_VERSION: u32 = 2;
/// The version of [`LegacyState`].
const LEGACY_STATE_VERSION: u32 = 1;

#[derive(Deserialize)]
struct VersionHeader {
    version: u32,
}

/// The state file that earlier versions kept beside the journal.
pub(crate) enum LegacyState {
    /// The file does not exist.
    None,
    /// The journal may have newer records.
    State(PersistedState),
    /// The file cannot be parsed, and only the journal counts.
    Damaged,
}

impl LegacyState {
    pub(crate) fn load(dir: &QueueDir) -> anyhow::Result<Self> {
        let path = dir.join(LEGACY_STATE);
        let name = || path.display().to_string();
        Ok(match read_if_exists(&path).with_context(name)? {
            None => Self::None,
            Some(text) => match serde_json::from_slice(&text) {
                Ok(VersionHeader { version: LEGACY_STATE_VERSION }) => {
                    serde_json::from_slice(&text).map_or(Self::Damaged, Self::State)
                }
                Ok(_) => anyhow::bail!(message!("folder-newer-state", path = name())),
                Err(_) => Self::Damaged,
            },
        })
    }

    /// The state of the file, or the default state.
    pub(crate) fn into_persisted_state(self) -> PersistedState {
        match self {
            Self::State(state) => state,
            Self::None | Self::Damaged => PersistedState::default(),
        }
    }
}

impl PersistedState {
    /// Takes over the present state of the queue.
    fn update(&mut self, queue: QueueState) {
        self.version = STATE_VERSION;
        self.queue = queue;
    }

    /// Whether `journaled` lacks a change that no other record contains.
    fn is_newer_than(&self, journaled: &Self) -> bool {
        let own_fields =
            |state: &Self| (state.version, QueueState { last_id: 0, done_count: 0, ..state.queue });
        own_fields(self) != own_fields(journaled) || self.ended_at != journaled.ended_at
    }

    /// Continues the time of the earlier keepers in this uptime, or begins a new time. Returns its clock.
    pub(crate) fn resume_clock(&mut self) -> Clock {
        self.epoch.insert(Epoch::resume(self.epoch.as_ref())).clock()
    }

    /// Whether the queue has no past that the next keeper must know.
    fn is_blank(&self) -> bool {
        self.queue.sentinel.is_none()
            && self.queue.capacity.is_none()
            && self.ended_at.is_none()
            && self.queue.last_id == 0
    }
}

/// The result of reading a journal.
pub(crate) struct RecoveredQueue {
    pub(crate) persisted_state: PersistedState,
    pub(crate) queue: Queue,
    /// The clients that did not disconnect.
    pub(crate) clients: Vec<(ClientId, ClientKey, ClientRecord)>,
}

/// Rebuilds a queue and its clients from the records of a journal, in order.
pub(crate) struct JournalRecovery {
    persisted_state: PersistedState,
    recovery: Recovery,
    clients: BTreeMap<ClientKey, RecoveredClient>,
}

struct RecoveredClient {
    client: ClientId,
    /// None after the disconnect.
    record: Option<ClientRecord>,
}

impl JournalRecovery {
    /// `state` counts until the journal has a state record.
    pub(crate) fn new(state: PersistedState) -> Self {
        let mut recovery = Recovery::default();
        recovery.set_done_count(state.queue.done_count);
        Self { persisted_state: state, recovery, clients: BTreeMap::new() }
    }

    pub(crate) fn apply_record(&mut self, record: Record<'_>) {
        match record {
            Record::Queue(json) => {
                // The checksum of the record is right. A state that cannot be parsed is from a version
                // with other keys, and is skipped.
                if let Ok(state) = serde_json::from_str::<PersistedState>(json) {
                    self.recovery.set_done_count(state.queue.done_count);
                    self.persisted_state = state;
                }
            }
            Record::Client { key, json } => {
                self.client_entry(key).record = serde_json::from_str(json).ok();
            }
            Record::Disconnected(key) => self.client_entry(key).record = None,
            Record::Put { key, seq, batch } => {
                if let Some(record) = &mut self.client_entry(key).record {
                    record.record_accepted(seq, batch.count(), batch.end_id() - 1);
                }
                self.recovery.add_ready(batch);
            }
            Record::Ready(batch) => self.recovery.add_ready(batch),
            Record::Delivered { key, ids, delivered_at } => {
                let RecoveredClient { client, record } = self.client_entry(key);
                if let Some(record) = record {
                    record.record_delivery(ids.start);
                }
                let client = *client;
                self.recovery.mark_in_flight(client, ids, delivered_at);
            }
            Record::Done { ids } => self.recovery.mark_done(ids),
            Record::Attempt { id, attempt } => self.recovery.begin_attempt(id, attempt),
            Record::Renewed { ids, leased_at } => self.recovery.renew_lease(ids, leased_at),
            Record::Requeued { ids, attempt, delivery_failures } => {
                self.recovery.requeue(ids, attempt, delivery_failures);
            }
            Record::Failed { ids, attempt, delivery_failures, reason } => {
                self.recovery.mark_failed(ids, attempt, delivery_failures, reason);
            }
            Record::Retry(id) => self.recovery.retry_failed(id),
            Record::Drop(id) => drop(self.recovery.take_failed(id)),
            Record::Clear => self.recovery.clear_ready(),
        }
    }

    /// The client of this key, with a new client id at its first record.
    fn client_entry(&mut self, key: ClientKey) -> &mut RecoveredClient {
        let client = self.clients.len();
        self.clients.entry(key).or_insert(RecoveredClient { client, record: None })
    }

    pub(crate) fn finish(self) -> RecoveredQueue {
        let Self { persisted_state, recovery, clients } = self;
        let clients: Vec<_> = clients
            .into_iter()
            .filter_map(|(key, RecoveredClient { client, record })| Some((client, key, record?)))
            .collect();
        let settings = clients.iter().map(|(client, _, record)| (*client, (&record.hello).into()));
        let ended_at = persisted_state.ended_at.as_ref().and_then(BootQualifiedBirth::in_this_boot);
        let queue = recovery.into_queue(persisted_state.queue, ended_at, settings);
        RecoveredQueue { persisted_state, queue, clients }
    }
}

/// Writes the records of a queue to its journal.
pub(crate) struct Persistence<S> {
    pub(super) persisted_state: PersistedState,
    /// The state in the last state record of the journal.
    journaled_state: PersistedState,
    pub(crate) journal: Journal<S>,
}

impl<S: Store> Persistence<S> {
    /// `state` is the state in the journal.
    pub(crate) fn new(state: PersistedState, journal: Journal<S>) -> Self {
        Self { journaled_state: state.clone(), persisted_state: state, journal }
    }

    /// Makes all appended records durable, and the state if it has changed. Rewrites a journal that is
    /// mostly obsolete.
    pub(crate) fn commit(&mut self, keeper: &Keeper) -> io::Result<()> {
        self.persisted_state.update(keeper.queue.state());
        if self.persisted_state.is_newer_than(&self.journaled_state) {
            self.append_state()?;
        }
        self.journal.commit(self.persisted_state.queue.sync)?;
        let live_bytes = || {
            let in_flight = keeper.queue.in_flight().map(|(_, in_flight)| &in_flight.batch);
            let failed = keeper.queue.failed().map(|failed| &failed.batch);
            let batches = keeper.queue.ready().chain(in_flight).chain(failed);
            batches.map(|batch| batch.items.bytes.len() as u64).sum()
        };
        if self.journal.is_mostly_obsolete(live_bytes) {
            // Without room on the disk the long journal stays, which is also correct.
            let _ = self.rewrite_journal(keeper);
        }
        Ok(())
    }

    /// Replaces the journal by a journal of the present queue.
    pub(crate) fn rewrite_journal(&mut self, keeper: &Keeper) -> io::Result<()> {
        self.persisted_state.update(keeper.queue.state());
        let recorded = keeper.clients.iter().filter(|(_, c)| c.is_recorded);
        let clients: Vec<_> = recorded
            .filter_map(|(&client, c)| {
                Some((client, c.key, serde_json::to_string(&c.record).ok()?))
            })
            .collect();
        let json = serde_json::to_string(&self.persisted_state)?;
        self.journal.rewrite(snapshot_records(&keeper.queue, &json, &clients), true)?;
        self.journaled_state = self.persisted_state.clone();
        Ok(())
    }

    /// Leaves a short journal behind for a queue without items and clients: one state record, or no file
    /// if the queue has no past.
    pub(crate) fn finalize_journal(&mut self, keeper: &Keeper) -> io::Result<()> {
        self.persisted_state.update(keeper.queue.state());
        if keeper.queue.counts().stored() > 0 || !keeper.clients.is_empty() {
            return Ok(());
        }
        if self.persisted_state.is_blank() {
            return self.journal.remove();
        }
        if self.journal.has_only_queue_record() {
            return Ok(());
        }
        let json = serde_json::to_string(&self.persisted_state)?;
        // Without room on the disk the long journal stays, which is also correct.
        let _ = self.journal.rewrite([Record::Queue(&json)], self.persisted_state.queue.sync);
        Ok(())
    }

    /// Writes the state of the legacy file to the journal. Then the file is obsolete.
    pub(crate) fn import_legacy(&mut self) -> io::Result<()> {
        self.append_state()?;
        self.journal.commit(true)
    }

    fn append_state(&mut self) -> io::Result<()> {
        let json = serde_json::to_string(&self.persisted_state)?;
        self.journal.append(&Record::Queue(&json));
        self.journaled_state = self.persisted_state.clone();
        Ok(())
    }

    /// Stores the moment of the end for the next state record. [`Persistence::commit`] of the same turn
    /// writes that record, with all other changes of the end.
    pub(crate) fn record_end_at(&mut self, moment: BootQualifiedBirth) -> ProcessBirth {
        self.persisted_state.ended_at.insert(moment).birth
    }
}

/// The records of a journal that describes only the present queue.
fn snapshot_records<'a>(
    queue: &'a Queue,
    state: &'a str,
    clients: &'a [(ClientId, ClientKey, String)],
) -> impl Iterator<Item = Record<'a>> {
    let unknown_client = ClientKey(0);
    let keys: HashMap<_, _> = clients.iter().map(|(client, key, _)| (*client, *key)).collect();
    let key_of = move |client| keys.get(&client).copied().unwrap_or(unknown_client);
    let ready = queue.ready().map(|batch| Record::Ready(batch.clone()));
    let in_flight = queue.in_flight().flat_map(move |(client, in_flight)| {
        let InFlight { batch, delivered_at, .. } = in_flight;
        let (key, ids, delivered_at) = (key_of(client), batch.ids(), *delivered_at);
        [Record::Ready(batch.clone()), Record::Delivered { key, ids, delivered_at }]
    });
    let renewed = queue.in_flight().filter(|(_, held)| held.leased_at != held.delivered_at);
    let renewals = renewed.map(|(_, InFlight { batch, leased_at, .. })| Record::Renewed {
        ids: batch.ids(),
        leased_at: *leased_at,
    });
    let attempts = queue.in_flight().filter(|(_, in_flight)| in_flight.is_client_attempt);
    let attempts = attempts.map(|(_, InFlight { batch, .. })| Record::Attempt {
        id: batch.first_id,
        attempt: batch.attempt,
    });
    let failed = queue.failed().flat_map(move |failed| {
        let FailedItem { batch, reason } = failed;
        let delivered =
            Record::Delivered { key: unknown_client, ids: batch.ids(), delivered_at: 0 };
        [Record::Ready(batch.clone()), delivered, failure_record(batch, reason)]
    });
    // The client records come last: they count the deliveries above already.
    let clients = clients.iter().map(|(_, key, json)| Record::Client { key: *key, json });
    std::iter::once(Record::Queue(state))
        .chain(ready)
        .chain(in_flight)
        .chain(renewals)
        .chain(attempts)
        .chain(failed)
        .chain(clients)
}

impl<S: Store> Observer for Persistence<S> {
    fn append_record(&mut self, record: &Record<'_>) {
        if self.journaled_state.epoch != self.persisted_state.epoch {
            // The times in `record` need the new epoch. The JSON of a state never fails; if it did, the
            // next record would try again.
            let _ = self.append_state();
        }
        self.journal.append(record);
    }

    fn record_end(&mut self) -> io::Result<ProcessBirth> {
        Ok(self.record_end_at(BootQualifiedBirth::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Sentinel;

    #[test]
    fn the_json_of_a_state_has_present_keys_and_is_read_with_old_ones_too() {
        let state = PersistedState {
            version: STATE_VERSION,
            queue: QueueState {
                sentinel: Some(Sentinel::LastProducerLeft),
                capacity: Some(0.into()),
                sync: true,
                has_begun: true,
                last_id: u64::MAX,
                done_count: 8,
            },
            ended_at: serde_json::from_str(r#"{"birth":{"tick":1,"pid":2},"boot_id":"a"}"#).ok(),
            epoch: serde_json::from_str(r#"{"boot_id":"a","offset":3}"#).ok(),
        };
        assert!(state.ended_at.is_some() && state.epoch.is_some());
        let json = concat!(
            r#"{"version":2,"sentinel":"last-producer-left","capacity":0,"sync":true,"#,
            r#""has_begun":true,"last_id":18446744073709551615,"done_count":8,"#,
            r#""ended_at":{"birth":{"tick":1,"pid":2},"boot_id":"a"},"#,
            r#""epoch":{"boot_id":"a","offset":3}}"#,
        );
        assert_eq!(serde_json::to_string(&state).unwrap(), json);
        assert_eq!(serde_json::from_str::<PersistedState>(json).unwrap(), state);
        let version_1 = concat!(
            r#"{"version":1,"sentinel":"last-producer-left","capacity":0,"sync":true,"#,
            r#""ended":{"stamp":{"tick":1,"pid":2},"boot":"a"},"begun":true,"#,
            r#""epoch":{"boot":"a","ahead":3},"last_number":18446744073709551615,"done":8}"#,
        );
        let read: PersistedState = serde_json::from_str(version_1).unwrap();
        assert_eq!(read, PersistedState { version: 1, ..state });
        let shortest = r#"{"version":0,"has_begun":false,"last_id":0,"done_count":0}"#;
        assert_eq!(serde_json::to_string(&PersistedState::default()).unwrap(), shortest);
        let read: PersistedState = serde_json::from_str(r#"{"version":0,"other":[]}"#).unwrap();
        assert_eq!(read, PersistedState::default());
    }

    #[test]
    fn a_client_of_version_1_is_read() {
        let json = |deliveries, first_id| {
            format!(
                r#"{{"hello":{{"version":1,"role":"consumer","pid":7}},"{deliveries}":5,"{first_id}":9}}"#
            )
        };
        for keys in [("runs", "last_run"), ("deliveries", "last_delivery_first_id")] {
            let read: ClientRecord = serde_json::from_str(&json(keys.0, keys.1)).unwrap();
            assert_eq!((read.deliveries, read.last_delivery_first_id), (5, 9));
            let written = serde_json::to_string(&read).unwrap();
            assert!(
                written.ends_with(r#""deliveries":5,"last_delivery_first_id":9}"#),
                "{written}"
            );
        }
    }
}
