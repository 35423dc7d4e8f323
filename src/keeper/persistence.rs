//! What the keeper of a stand-alone queue writes down in the journal, and how another one makes the queue
//! of it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use super::{ClientRecord, Keeper, Observer};
use crate::clock::{BootQualifiedBirth, Clock, Epoch, ProcessBirth};
use crate::event::Event;
use crate::journal::{FileStore, Journal, Record, Store};
use crate::pipe::QueueDir;
use crate::queue::{Batch, ClientId, Queue, QueueState, Recovery, Sentinel};
use crate::wire::ClientKey;

/// What a queue remembers beside its items.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PersistedState {
    version: u32,
    /// Why the queue takes no more items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sentinel: Option<Sentinel>,
    /// The capacity, 0 for unbounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capacity: Option<u64>,
    /// What is accepted is to be on the disk.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    sync: bool,
    /// When the last queue of this name ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "ended")]
    ended_at: Option<BootQualifiedBirth>,
    /// Whether a new queue has begun since.
    #[serde(default)]
    #[serde(rename = "begun")]
    has_begun: bool,
    /// By which time leases and ages are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epoch: Option<Epoch>,
    /// The number of the last item.
    #[serde(default)]
    #[serde(rename = "last_number")]
    last_id: u64,
    /// How many items are done, since the queue began.
    #[serde(default)]
    #[serde(rename = "done")]
    done_count: u64,
}

const STATE_VERSION: u32 = 1;

#[derive(Deserialize)]
struct VersionHeader {
    version: u32,
}

/// What an earlier version has left in a file beside the journal.
pub(crate) enum LegacyState {
    /// Nothing: there is no such file.
    None,
    /// This, as far as the journal doesn't tell otherwise.
    State(PersistedState),
    /// Something that cannot be read: what the journal tells has to do.
    Damaged,
}

impl LegacyState {
    /// What there is in this directory.
    pub(crate) fn load(dir: &QueueDir) -> anyhow::Result<Self> {
        use anyhow::Context;
        let path = || FileStore::legacy_state_path(dir).display().to_string();
        Ok(match FileStore::read_legacy_state(dir).with_context(path)? {
            None => Self::None,
            Some(text) => match serde_json::from_slice(&text) {
                Ok(VersionHeader { version: STATE_VERSION }) => {
                    serde_json::from_slice(&text).map_or(Self::Damaged, Self::State)
                }
                Ok(_) => anyhow::bail!("{} was written by a newer qdemo: use that one", path()),
                Err(_) => Self::Damaged,
            },
        })
    }

    /// What of it is to be remembered.
    pub(crate) fn into_persisted_state(self) -> PersistedState {
        match self {
            Self::State(state) => state,
            Self::None | Self::Damaged => PersistedState::default(),
        }
    }
}

impl PersistedState {
    fn queue_state(&self) -> QueueState {
        QueueState {
            sentinel: self.sentinel,
            capacity: self.capacity.map(NonZeroU64::new),
            sync: self.sync,
            ended_at: self.ended_at.as_ref().and_then(BootQualifiedBirth::in_this_boot),
            has_begun: self.has_begun,
            last_id: self.last_id,
            done_count: self.done_count,
        }
    }

    /// Takes over all but the end, which is noted when it comes.
    fn update(&mut self, remains: QueueState) {
        self.version = STATE_VERSION;
        self.sentinel = remains.sentinel;
        self.capacity = remains.capacity.map(|c| c.map_or(0, NonZeroU64::get));
        self.sync = remains.sync;
        self.has_begun = remains.has_begun;
        self.last_id = remains.last_id;
        self.done_count = remains.done_count;
    }

    /// What no other fact tells, and is to be written whenever it changes.
    fn without_derived_fields(&self) -> Self {
        Self { last_id: 0, done_count: 0, epoch: None, ..self.clone() }
    }

    /// Goes on with the time of the keepers before, or begins one. Returns a clock that shows it.
    pub(crate) fn resume_clock(&mut self) -> Clock {
        self.epoch.insert(Epoch::resume(self.epoch.as_ref())).clock()
    }

    /// The same with made-up clocks.
    #[cfg(test)]
    pub(crate) fn resume_epoch(&mut self, boot: &str, since_boot: u64, wall: u64) -> Epoch {
        let before = self.epoch.as_ref();
        self.epoch.insert(Epoch::resume_with(before, boot.to_owned(), since_boot, wall)).clone()
    }

    /// Whether there has never been anything to remember.
    fn is_blank(&self) -> bool {
        self.sentinel.is_none()
            && self.capacity.is_none()
            && self.ended_at.is_none()
            && self.last_id == 0
    }
}

/// A queue that was not kept by anybody, or not any more.
pub(crate) struct RecoveredQueue {
    pub(crate) persisted_state: PersistedState,
    pub(crate) queue: Queue,
    /// Clients that did not leave.
    pub(crate) clients: Vec<(ClientId, ClientKey, ClientRecord)>,
}

/// What the files of a queue tell of it.
pub(crate) struct JournalRecovery {
    persisted_state: PersistedState,
    recovery: Recovery,
    clients: BTreeMap<ClientKey, (ClientId, Option<ClientRecord>)>,
}

impl JournalRecovery {
    pub(crate) fn new(state: PersistedState) -> Self {
        let mut recovery = Recovery::default();
        recovery.set_done_count(state.done_count);
        Self { persisted_state: state, recovery, clients: BTreeMap::new() }
    }

    /// The next thing that became so.
    pub(crate) fn apply_record(&mut self, record: Record<'_>) {
        let some = |id| (id > 0).then_some(id);
        match record {
            Record::Queue(json) => {
                // Its checksum is right: what cannot be read is of a version that has other words.
                if let Ok(state) = serde_json::from_str::<PersistedState>(json) {
                    self.recovery.set_done_count(state.done_count);
                    self.persisted_state = state;
                }
            }
            Record::Client { key, json } => {
                self.client_entry(key).1 = serde_json::from_str(json).ok()
            }
            Record::Disconnected(key) => self.client_entry(key).1 = None,
            Record::Put { key, seq, batch } => {
                if let Some(record) = &mut self.client_entry(key).1 {
                    record.record_accepted(seq, batch.count(), batch.end_id() - 1);
                }
                self.recovery.add_ready(batch);
            }
            Record::Items(batch) => self.recovery.add_ready(batch),
            Record::Delivered { key, first_id: first, count, delivered_at: since } => {
                let (client, record) = self.client_entry(key);
                if let Some(record) = record {
                    record.record_delivery(first);
                }
                let client = *client;
                self.recovery.mark_in_flight(client, first, count, since);
            }
            Record::Done { first_id: first, count } => self.recovery.mark_done(first, count),
            Record::Attempt { id, attempt } => self.recovery.begin_attempt(id, attempt),
            Record::Requeued { first_id: first, count, attempt, delivery_failures } => {
                self.recovery.requeue(first, count, attempt, delivery_failures);
            }
            Record::Failed { first_id: first, count, attempt, delivery_failures, reason } => {
                self.recovery.mark_failed(first, count, attempt, delivery_failures, reason);
            }
            Record::Retry(id) => self.recovery.retry_failed(some(id)),
            Record::Drop(id) => drop(self.recovery.take_failed(some(id))),
            Record::Clear => self.recovery.clear_ready(),
        }
    }

    fn client_entry(&mut self, key: ClientKey) -> &mut (ClientId, Option<ClientRecord>) {
        let next = self.clients.len();
        self.clients.entry(key).or_insert((next, None))
    }

    pub(crate) fn finish(self) -> RecoveredQueue {
        let here = |(key, (client, record))| {
            Some((client, key, Option::<ClientRecord>::take(&mut { record })?))
        };
        let clients: Vec<_> = self.clients.into_iter().filter_map(here).collect();
        let members = clients.iter().map(|(client, _, record)| (*client, record.settings()));
        let queue = self.recovery.into_queue(self.persisted_state.queue_state(), members);
        RecoveredQueue { persisted_state: self.persisted_state, queue, clients }
    }
}

/// What is written down.
pub(crate) struct Persistence<S> {
    persisted_state: PersistedState,
    /// What the journal tells of that.
    journaled_state: PersistedState,
    /// By which time the journal counts.
    journaled_epoch: Option<Epoch>,
    pub(crate) journal: Journal<S>,
}

impl<S: Store> Persistence<S> {
    /// Goes on with this journal, which tells all of this memory. (An earlier version didn't write by
    /// which time it counted, which was the wall's.)
    pub(crate) fn new(state: PersistedState, journal: Journal<S>) -> Self {
        Self {
            journaled_state: state.without_derived_fields(),
            journaled_epoch: state.epoch.clone(),
            persisted_state: state,
            journal,
        }
    }

    /// The clock by which this keeper counts.
    pub(crate) fn resume_clock(&mut self) -> Clock {
        self.persisted_state.resume_clock()
    }

    /// Writes down what has become so.
    pub(crate) fn commit(&mut self, keeper: &Keeper) -> io::Result<()> {
        self.persisted_state.update(keeper.queue_state());
        if self.persisted_state.without_derived_fields() != self.journaled_state {
            self.append_state()?;
        }
        self.journal.commit(self.persisted_state.sync)?;
        if self.journal.is_rewrite_check_due() {
            let queue = keeper.queue();
            let out = queue.in_flight().map(|(_, _, batch)| batch);
            let batches = queue.ready().chain(out).chain(queue.failed().map(|f| &f.batch));
            let live = batches.map(|batch| batch.items.bytes.len() as u64).sum();
            if self.journal.is_mostly_obsolete(live) {
                // If there is no room for another one, the long one is as good, and as true.
                let _ = self.rewrite_journal(keeper);
            }
        }
        Ok(())
    }

    /// Writes a journal of the queue as it is now in the place of the one that there is.
    pub(crate) fn rewrite_journal(&mut self, keeper: &Keeper) -> io::Result<()> {
        self.persisted_state.update(keeper.queue_state());
        let clients: Vec<_> = keeper
            .client_records()
            .filter_map(|(client, key, record)| {
                Some((client, key, serde_json::to_string(record).ok()?))
            })
            .collect();
        let json = serde_json::to_string(&self.persisted_state)?;
        self.journal.rewrite(snapshot_records(keeper.queue(), &json, &clients), true)?;
        self.journaled_state = self.persisted_state.without_derived_fields();
        self.journaled_epoch = self.persisted_state.epoch.clone();
        Ok(())
    }

    /// Writes down what is to be known while nobody keeps the queue. An emptied queue is one record, and
    /// a queue of which nothing is to be known is no file.
    pub(crate) fn finalize_journal(&mut self, keeper: &Keeper) -> io::Result<()> {
        self.persisted_state.update(keeper.queue_state());
        let counts = keeper.counts();
        if counts.ready + counts.in_flight + counts.failed > 0 || !keeper.has_no_clients() {
            return Ok(());
        }
        if self.persisted_state.is_blank() {
            return self.journal.remove();
        }
        if self.journal.has_only_queue_record() {
            return Ok(());
        }
        let json = serde_json::to_string(&self.persisted_state)?;
        // If there is no room for another one, the long one is as good, and as true.
        let _ = self.journal.rewrite([Record::Queue(&json)], self.persisted_state.sync);
        Ok(())
    }

    /// The queue is removed, and nothing is to be known of it.
    pub(crate) fn remove_journal(&mut self) -> io::Result<()> {
        self.journal.remove()
    }

    /// From here on the journal tells what an earlier version has left in a file beside it.
    pub(crate) fn import_legacy(&mut self) -> io::Result<()> {
        self.append_state()?;
        self.journal.commit(true)
    }

    fn append_state(&mut self) -> io::Result<()> {
        let json = serde_json::to_string(&self.persisted_state)?;
        self.journal.append(&Record::Queue(&json));
        self.journaled_state = self.persisted_state.without_derived_fields();
        self.journaled_epoch = self.persisted_state.epoch.clone();
        Ok(())
    }
}

/// What is to be known of a queue, if nothing is known of its past.
fn snapshot_records<'a>(
    queue: &'a Queue,
    state: &'a str,
    clients: &'a [(ClientId, ClientKey, String)],
) -> impl Iterator<Item = Record<'a>> {
    let nobody = ClientKey(0);
    let keys: HashMap<_, _> = clients.iter().map(|(client, key, _)| (*client, *key)).collect();
    let key_of = move |client| keys.get(&client).copied().unwrap_or(nobody);
    let out_of = |key, since, batch: &Batch| Record::Delivered {
        key,
        first_id: batch.first_id,
        count: batch.count(),
        delivered_at: since,
    };
    let out = queue.in_flight().flat_map(move |(client, since, batch)| {
        [Record::Items(batch.clone()), out_of(key_of(client), since, batch)]
    });
    let again = queue
        .client_attempts()
        .map(|batch| Record::Attempt { id: batch.first_id, attempt: batch.attempt });
    let failed = queue.failed().flat_map(move |failed| {
        let Batch { first_id: first, attempt, delivery_failures, .. } = failed.batch;
        let reason = &failed.reason;
        let aside =
            Record::Failed { first_id: first, count: 1, attempt, delivery_failures, reason };
        [Record::Items(failed.batch.clone()), out_of(nobody, 0, &failed.batch), aside]
    });
    let line = queue.ready().map(|batch| Record::Items(batch.clone()));
    // Last, as what they had before is counted in them.
    let clients = clients.iter().map(|(_, key, json)| Record::Client { key: *key, json });
    std::iter::once(Record::Queue(state))
        .chain(line)
        .chain(out)
        .chain(again)
        .chain(failed)
        .chain(clients)
}

impl<S: Store> Observer for Persistence<S> {
    fn append_record(&mut self, record: &Record<'_>) {
        if self.journaled_epoch != self.persisted_state.epoch {
            // A memory can always be written as JSON; if not, this is tried again with the next fact.
            let _ = self.append_state();
        }
        self.journal.append(record);
    }

    fn record_end(&mut self) -> io::Result<ProcessBirth> {
        Ok(self.record_end_at(BootQualifiedBirth::now()))
    }

    fn on_event(&mut self, _: Event<'_>) {}
}

impl<S: Store> Persistence<S> {
    /// The queue has ended at this moment.
    pub(crate) fn record_end_at(&mut self, moment: BootQualifiedBirth) -> ProcessBirth {
        let stamp = moment.birth;
        // The rest of what the end changes is noted, and all of it written, when this turn is.
        self.persisted_state.ended_at = Some(moment);
        stamp
    }
}
