//! What the keeper of a stand-alone queue writes down in the journal, and how another one makes the queue
//! of it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use super::{Event, Keeper, Known, Watch};
use crate::clock::{Clock, Epoch, Moment, Stamp};
use crate::journal::{Fact, Files, Journal, Store};
use crate::pipe::QueueDir;
use crate::queue::{ClientId, Queue, Remains, Replay, Run, Sentinel};
use crate::wire::Key;

/// What a queue remembers beside its items.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Memory {
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
    ended: Option<Moment>,
    /// Whether a new queue has begun since.
    #[serde(default)]
    begun: bool,
    /// By which time leases and ages are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epoch: Option<Epoch>,
    /// The number of the last item.
    #[serde(default)]
    last_number: u64,
    /// How many items are done, since the queue began.
    #[serde(default)]
    done: u64,
}

const VERSION: u32 = 1;

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// What an earlier version has left in a file beside the journal.
pub(crate) enum Legacy {
    /// Nothing: there is no such file.
    None,
    /// This, as far as the journal doesn't tell otherwise.
    Memory(Memory),
    /// Something that cannot be read: what the journal tells has to do.
    Damaged,
}

impl Legacy {
    /// What there is in this directory.
    pub(crate) fn load(dir: &QueueDir) -> anyhow::Result<Self> {
        use anyhow::Context;
        let path = || Files::memory_path(dir).display().to_string();
        Ok(match Files::memory_in(dir).with_context(path)? {
            None => Self::None,
            Some(text) => match serde_json::from_slice(&text) {
                Ok(Versioned { version: VERSION }) => {
                    serde_json::from_slice(&text).map_or(Self::Damaged, Self::Memory)
                }
                Ok(_) => anyhow::bail!("{} was written by a newer qdemo: use that one", path()),
                Err(_) => Self::Damaged,
            },
        })
    }

    /// What of it is to be remembered.
    pub(crate) fn memory(self) -> Memory {
        match self {
            Self::Memory(memory) => memory,
            Self::None | Self::Damaged => Memory::default(),
        }
    }
}

impl Memory {
    fn remains(&self) -> Remains {
        Remains {
            sentinel: self.sentinel,
            capacity: self.capacity.map(NonZeroU64::new),
            sync: self.sync,
            end: self.ended.as_ref().and_then(Moment::of_this_uptime),
            begun: self.begun,
            last_number: self.last_number,
            done: self.done,
        }
    }

    /// Takes over all but the end, which is noted when it comes.
    fn note(&mut self, remains: Remains) {
        self.version = VERSION;
        self.sentinel = remains.sentinel;
        self.capacity = remains.capacity.map(|c| c.map_or(0, NonZeroU64::get));
        self.sync = remains.sync;
        self.begun = remains.begun;
        self.last_number = remains.last_number;
        self.done = remains.done;
    }

    /// What no other fact tells, and is to be written whenever it changes.
    fn facts(&self) -> Self {
        Self { last_number: 0, done: 0, epoch: None, ..self.clone() }
    }

    /// Goes on with the time of the keepers before, or begins one. Returns a clock that shows it.
    pub(crate) fn clock(&mut self) -> Clock {
        self.epoch.insert(Epoch::resume(self.epoch.as_ref())).clock()
    }

    /// The same with made-up clocks.
    #[cfg(test)]
    pub(crate) fn resume(&mut self, boot: &str, since_boot: u64, wall: u64) -> Epoch {
        let before = self.epoch.as_ref();
        self.epoch.insert(Epoch::resumed(before, boot.to_owned(), since_boot, wall)).clone()
    }

    /// Whether there has never been anything to remember.
    fn is_blank(&self) -> bool {
        self.sentinel.is_none()
            && self.capacity.is_none()
            && self.ended.is_none()
            && self.last_number == 0
    }
}

/// A queue that was not kept by anybody, or not any more.
pub(crate) struct Left {
    pub(crate) memory: Memory,
    pub(crate) queue: Queue,
    /// Clients that did not leave.
    pub(crate) clients: Vec<(ClientId, Key, Known)>,
}

/// What the files of a queue tell of it.
pub(crate) struct Past {
    memory: Memory,
    replay: Replay,
    clients: BTreeMap<Key, (ClientId, Option<Known>)>,
}

impl Past {
    pub(crate) fn new(memory: Memory) -> Self {
        let mut replay = Replay::default();
        replay.set_done(memory.done);
        Self { memory, replay, clients: BTreeMap::new() }
    }

    /// The next thing that became so.
    pub(crate) fn take(&mut self, fact: Fact<'_>) {
        let some = |id| (id > 0).then_some(id);
        match fact {
            Fact::Queue(json) => {
                // Its checksum is right: what cannot be read is of a version that has other words.
                if let Ok(memory) = serde_json::from_str::<Memory>(json) {
                    self.replay.set_done(memory.done);
                    self.memory = memory;
                }
            }
            Fact::Client { key, json } => self.client(key).1 = serde_json::from_str(json).ok(),
            Fact::Left(key) => self.client(key).1 = None,
            Fact::Put { key, seq, run } => {
                if let Some(known) = &mut self.client(key).1 {
                    known.accept(seq, run.count(), run.end() - 1);
                }
                self.replay.put(run);
            }
            Fact::Items(run) => self.replay.put(run),
            Fact::Out { key, first, count, since } => {
                let (client, known) = self.client(key);
                if let Some(known) = known {
                    known.hand(first);
                }
                let client = *client;
                self.replay.out(client, first, count, since);
            }
            Fact::Done { first, count } => self.replay.done(first, count),
            Fact::Attempt { id, attempt } => self.replay.attempt(id, attempt),
            Fact::Back { first, count, attempt, strikes } => {
                self.replay.back(first, count, attempt, strikes);
            }
            Fact::Failed { first, count, attempt, strikes, why } => {
                self.replay.failed(first, count, attempt, strikes, why);
            }
            Fact::Retry(id) => self.replay.retry(some(id)),
            Fact::Drop(id) => drop(self.replay.take_failed(some(id))),
            Fact::Clear => self.replay.clear(),
        }
    }

    fn client(&mut self, key: Key) -> &mut (ClientId, Option<Known>) {
        let next = self.clients.len();
        self.clients.entry(key).or_insert((next, None))
    }

    pub(crate) fn finish(self) -> Left {
        let here =
            |(key, (client, known))| Some((client, key, Option::<Known>::take(&mut { known })?));
        let clients: Vec<_> = self.clients.into_iter().filter_map(here).collect();
        let members = clients.iter().map(|(client, _, known)| (*client, known.member()));
        let queue = self.replay.finish(self.memory.remains(), members);
        Left { memory: self.memory, queue, clients }
    }
}

/// What is written down.
pub(crate) struct Notes<S> {
    memory: Memory,
    /// What the journal tells of that.
    written: Memory,
    /// By which time the journal counts.
    written_epoch: Option<Epoch>,
    pub(crate) journal: Journal<S>,
}

impl<S: Store> Notes<S> {
    /// Goes on with this journal, which tells all of this memory. (An earlier version didn't write by
    /// which time it counted, which was the wall's.)
    pub(crate) fn new(memory: Memory, journal: Journal<S>) -> Self {
        Self { written: memory.facts(), written_epoch: memory.epoch.clone(), memory, journal }
    }

    /// The clock by which this keeper counts.
    pub(crate) fn clock(&mut self) -> Clock {
        self.memory.clock()
    }

    /// Writes down what has become so.
    pub(crate) fn commit(&mut self, keeper: &Keeper) -> io::Result<()> {
        self.memory.note(keeper.remains());
        if self.memory.facts() != self.written {
            self.add_memory()?;
        }
        self.journal.commit(self.memory.sync)?;
        if self.journal.is_long() {
            let queue = keeper.queue();
            let out = queue.out().map(|(_, _, run)| run);
            let runs = queue.line().chain(out).chain(queue.failed().map(|f| &f.run));
            let live = runs.map(|run| run.lines.bytes.len() as u64).sum();
            if self.journal.is_mostly_past(live) {
                // If there is no room for another one, the long one is as good, and as true.
                let _ = self.rewrite(keeper);
            }
        }
        Ok(())
    }

    /// Writes a journal of the queue as it is now in the place of the one that there is.
    pub(crate) fn rewrite(&mut self, keeper: &Keeper) -> io::Result<()> {
        self.memory.note(keeper.remains());
        let clients: Vec<_> = keeper
            .known()
            .filter_map(|(client, key, known)| {
                Some((client, key, serde_json::to_string(known).ok()?))
            })
            .collect();
        let json = serde_json::to_string(&self.memory)?;
        self.journal.rewrite(present(keeper.queue(), &json, &clients), true)?;
        self.written = self.memory.facts();
        self.written_epoch = self.memory.epoch.clone();
        Ok(())
    }

    /// Writes down what is to be known while nobody keeps the queue. An emptied queue is one record, and
    /// a queue of which nothing is to be known is no file.
    pub(crate) fn leave(&mut self, keeper: &Keeper) -> io::Result<()> {
        self.memory.note(keeper.remains());
        let census = keeper.census();
        if census.in_line + census.out + census.failed > 0 || !keeper.is_alone() {
            return Ok(());
        }
        if self.memory.is_blank() {
            return self.journal.remove();
        }
        if self.journal.is_bare() {
            return Ok(());
        }
        let json = serde_json::to_string(&self.memory)?;
        // If there is no room for another one, the long one is as good, and as true.
        let _ = self.journal.rewrite([Fact::Queue(&json)], self.memory.sync);
        Ok(())
    }

    /// The queue is removed, and nothing is to be known of it.
    pub(crate) fn remove(&mut self) -> io::Result<()> {
        self.journal.remove()
    }

    /// From here on the journal tells what an earlier version has left in a file beside it.
    pub(crate) fn take_in_legacy(&mut self) -> io::Result<()> {
        self.add_memory()?;
        self.journal.commit(true)
    }

    fn add_memory(&mut self) -> io::Result<()> {
        let json = serde_json::to_string(&self.memory)?;
        self.journal.add(&Fact::Queue(&json));
        self.written = self.memory.facts();
        self.written_epoch = self.memory.epoch.clone();
        Ok(())
    }
}

/// What is to be known of a queue, if nothing is known of its past.
fn present<'a>(
    queue: &'a Queue,
    memory: &'a str,
    clients: &'a [(ClientId, Key, String)],
) -> impl Iterator<Item = Fact<'a>> {
    let nobody = Key(0);
    let keys: HashMap<_, _> = clients.iter().map(|(client, key, _)| (*client, *key)).collect();
    let key_of = move |client| keys.get(&client).copied().unwrap_or(nobody);
    let out_of =
        |key, since, run: &Run| Fact::Out { key, first: run.first, count: run.count(), since };
    let out = queue.out().flat_map(move |(client, since, run)| {
        [Fact::Items(run.clone()), out_of(key_of(client), since, run)]
    });
    let again = queue.again().map(|run| Fact::Attempt { id: run.first, attempt: run.attempt });
    let failed = queue.failed().flat_map(move |failed| {
        let Run { first, attempt, strikes, .. } = failed.run;
        let why = &failed.why;
        let aside = Fact::Failed { first, count: 1, attempt, strikes, why };
        [Fact::Items(failed.run.clone()), out_of(nobody, 0, &failed.run), aside]
    });
    let line = queue.line().map(|run| Fact::Items(run.clone()));
    // Last, as what they had before is counted in them.
    let clients = clients.iter().map(|(_, key, json)| Fact::Client { key: *key, json });
    std::iter::once(Fact::Queue(memory))
        .chain(line)
        .chain(out)
        .chain(again)
        .chain(failed)
        .chain(clients)
}

impl<S: Store> Watch for Notes<S> {
    fn record(&mut self, fact: &Fact<'_>) {
        if self.written_epoch != self.memory.epoch {
            // A memory can always be written as JSON; if not, this is tried again with the next fact.
            let _ = self.add_memory();
        }
        self.journal.add(fact);
    }

    fn end(&mut self) -> io::Result<Stamp> {
        Ok(self.end_at(Moment::now()))
    }

    fn event(&mut self, _: Event<'_>) {}
}

impl<S: Store> Notes<S> {
    /// The queue has ended at this moment.
    pub(crate) fn end_at(&mut self, moment: Moment) -> Stamp {
        let stamp = moment.stamp;
        // The rest of what the end changes is noted, and all of it written, when this turn is.
        self.memory.ended = Some(moment);
        stamp
    }
}
