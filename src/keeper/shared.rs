//! The process that keeps a stand-alone queue. A client that finds no keeper starts one; it goes by
//! itself when there is nothing left to keep.
//!
//! There is one keeper: only who has the directory's lock may start one, and the lock is passed on
//! to the keeper, as its standard input, until its inbox can be seen.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::{Event, Keeper, Office, Plan, Post, Watch, answer};
use crate::clock::{Clock, Moment, Nanos, Stamp};
use crate::journal::{Fact, Journal, Recovered};
use crate::pipe::{Door, QueueDir, Ready, Waker, remove_if_there};
use crate::queue::{Census, Queue, Remains, Replay, Run, Sentinel};
use crate::wire::Status;

/// What the keeper says on its standard output when its inbox can be seen.
pub(crate) const READY: &str = "ready\n";

/// What it says before that for each damaged place; the number of the line follows.
pub(crate) const DAMAGED: &str = "damaged ";

const MEMORY: &str = "memory.json";

/// What a queue remembers while nobody keeps it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Memory {
    version: u32,
    /// Why the queue takes no more items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sentinel: Option<Sentinel>,
    /// The capacity, 0 for unbounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    capacity: Option<u64>,
    /// When the last queue of this name ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended: Option<Moment>,
    /// Callers that have been told of that end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    told: Vec<Stamp>,
    /// Whether a new queue has begun since.
    #[serde(default)]
    begun: bool,
    /// The number of the last item.
    #[serde(default)]
    last_number: u64,
    /// How many items are done, since the queue began.
    #[serde(default)]
    done: u64,
}

impl Memory {
    fn remains(&self) -> Remains {
        Remains {
            sentinel: self.sentinel,
            capacity: self.capacity.map(NonZeroU64::new),
            end: self.ended.as_ref().and_then(Moment::of_this_uptime),
            told: self.told.clone(),
            begun: self.begun,
            last_number: self.last_number,
            done: self.done,
        }
    }

    /// Takes over all but the end, which is noted when it comes.
    fn note(&mut self, remains: Remains) {
        self.version = MEMORY_VERSION;
        self.sentinel = remains.sentinel;
        self.capacity = remains.capacity.map(|c| c.map_or(0, NonZeroU64::get));
        self.told = remains.told;
        self.begun = remains.begun;
        self.last_number = remains.last_number;
        self.done = remains.done;
    }

    /// What no other fact tells.
    fn facts(&self) -> Self {
        Self { last_number: 0, done: 0, ..self.clone() }
    }

    /// Whether there has never been anything to remember.
    fn is_blank(&self) -> bool {
        self.sentinel.is_none()
            && self.capacity.is_none()
            && self.ended.is_none()
            && self.last_number == 0
    }
}

const MEMORY_VERSION: u32 = 1;

/// How often an idle keeper looks whether its directory is still there.
const LOOK: Nanos = 5_000_000_000;

/// Keeps the queue in `dir` until there is nothing left to keep. `stop` ends it early.
pub(crate) fn keep(dir: QueueDir, stop: &Waker) -> anyhow::Result<()> {
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    // A keeper that is started by hand takes the lock itself.
    let lock = match dir.inherit_lock(stdin)? {
        Some(lock) => Some(lock),
        None => dir.lock()?,
    };
    let lock = lock.context("the queue's directory has been removed")?;
    let mut stdout = io::stdout();
    // The starter may have died meanwhile; others may come.
    let mut say_ready = || drop(stdout.write_all(READY.as_bytes()).and_then(|()| stdout.flush()));
    if Door::open(&dir)?.is_some() {
        // Somebody keeps this queue already.
        say_ready();
        return Ok(());
    }
    dir.sweep()?;
    let mut past = Past::new(load(&dir)?);
    let (journal, recovered) = Journal::open(&dir, |fact| past.take(fact))?;
    let (memory, queue) = past.finish();
    let mut keeper = Keeper::new(Plan { queue, workers: None, pacer: None });
    let post = Post::open(dir)?;
    lock.release()?;
    let (path, hidden) = (post.dir().join(MEMORY), post.dir().hidden(MEMORY));
    let mut host = Office { post, watch: Notes { path, hidden, memory, journal } };
    say_damage(&recovered);
    say_ready();
    serve(&mut keeper, &mut host, stop)?;
    go(&keeper, host)
}

/// Who started the keeper reads it before `ready`.
fn say_damage(recovered: &Recovered) {
    for line in &recovered.damaged {
        // The starter may have died meanwhile.
        let _ = writeln!(io::stdout(), "{DAMAGED}{line}");
    }
}

/// How a queue is that nobody keeps.
pub(crate) fn at_rest(dir: &QueueDir) -> anyhow::Result<Status> {
    let mut past = Past::new(load(dir)?);
    Journal::read(dir, |fact| past.take(fact))?;
    let (_, queue) = past.finish();
    Ok(answer::status(&queue, &BTreeMap::new(), Clock::of_the_wall().now()))
}

/// What the files of a queue tell of it.
struct Past {
    memory: Memory,
    replay: Replay,
}

impl Past {
    fn new(memory: Memory) -> Self {
        let mut replay = Replay::default();
        replay.set_done(memory.done);
        Self { memory, replay }
    }

    fn take(&mut self, fact: Fact<'_>) {
        let some = |id| (id > 0).then_some(id);
        let replay = &mut self.replay;
        match fact {
            Fact::Queue(json) => {
                // Its checksum is right: what cannot be read is of a version that has other words.
                if let Ok(memory) = serde_json::from_str::<Memory>(json) {
                    replay.set_done(memory.done);
                    self.memory = memory;
                }
            }
            Fact::Put { run, .. } | Fact::Items(run) => replay.put(run),
            Fact::Out { first, count } => replay.out(first, count),
            Fact::Done { first, count } => replay.done(first, count),
            Fact::Back { first, count, attempt, strikes } => {
                replay.back(first, count, attempt, strikes);
            }
            Fact::Failed { first, count, attempt, strikes, why } => {
                replay.failed(first, count, attempt, strikes, why);
            }
            Fact::Retry(id) => replay.retry(some(id)),
            Fact::Drop(id) => drop(replay.take_failed(some(id))),
            Fact::Clear => replay.clear(),
        }
    }

    fn finish(self) -> (Memory, Queue) {
        let queue = self.replay.finish(self.memory.remains());
        (self.memory, queue)
    }
}

fn serve(keeper: &mut Keeper, host: &mut Office<Notes>, stop: &Waker) -> io::Result<()> {
    // Ages are of the wall's time: they go on while nobody keeps the queue.
    let clock = Clock::of_the_wall();
    let starter = io::stdout();
    let mut starting = true;
    let mut stopped = false;
    loop {
        let due = keeper.turn(clock.now(), host)?;
        // It is remembered before anybody is told.
        if let Err(error) = host.watch.commit(keeper) {
            // What cannot be written down has not been: who was to be told of it is told that.
            host.post.take_back();
            let text = format!(
                "cannot write the queue's journal: {error}; what was accepted before is still there"
            );
            keeper.give_up("journal", &text, host);
            host.post.flush();
            host.post.shut()?;
            return Err(error);
        }
        host.post.flush();
        starting &= host.post.is_quiet();
        if (host.post.is_quiet() && !starting) || keeper.is_removed() || stopped {
            return Ok(());
        }
        // The starter lets go of its end when its first request is in the inbox, or when it dies.
        let starter = starting.then_some((starter.as_fd(), Ready::Death));
        let others: Vec<_> = [(stop.as_fd(), Ready::Read)].into_iter().chain(starter).collect();
        let until = due.unwrap_or(Nanos::MAX).min(clock.now() + LOOK);
        let arrivals = host.post.wait(clock, Some(until), &others)?;
        // What has arrived by then is still written down, and told.
        stopped = arrivals.others[0];
        starting &= !arrivals.others.get(1).is_some_and(|&gone| gone);
        host.take_in(keeper, clock, &arrivals)?;
        if arrivals.is_none() && !host.post.can_be_found()? {
            return Ok(());
        }
    }
}

/// Leaves nothing behind but what must be remembered. Whoever finds the inbox before its name is
/// gone, and is not welcomed, tries again.
fn go(keeper: &Keeper, mut host: Office<Notes>) -> anyhow::Result<()> {
    host.watch.memory.note(keeper.remains());
    let Census { in_line, out, failed, .. } = keeper.census();
    if keeper.is_removed() {
        host.watch.memory = Memory::default();
    }
    if !host.post.can_be_found()? {
        // Somebody has removed the directory, and the queue with it.
        return Ok(());
    }
    let nobody_starts = host.post.dir().try_lock()?;
    host.watch.save()?;
    if in_line + out + failed == 0 || keeper.is_removed() {
        // All that is left stands in the other file.
        host.watch.journal.clear(host.watch.memory.is_blank())?;
    }
    host.post.shut()?;
    host.post.dir().sweep()?;
    if nobody_starts.is_some() {
        host.post.dir().remove_if_empty();
    }
    Ok(())
}

fn load(dir: &QueueDir) -> anyhow::Result<Memory> {
    let path = dir.join(MEMORY);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Memory::default());
        }
        Err(error) => return Err(anyhow::Error::new(error).context(path.display().to_string())),
    };
    let damaged = |error| anyhow::anyhow!("{} is damaged ({error}): remove it", path.display());
    // A newer one may have anything else in it.
    let Versioned { version } = serde_json::from_slice(&text).map_err(damaged)?;
    anyhow::ensure!(
        version == MEMORY_VERSION,
        "{} was written by a newer qdemo: use that one",
        path.display()
    );
    serde_json::from_slice(&text).map_err(damaged)
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// The file that outlives the keeper.
struct Notes {
    path: PathBuf,
    /// Under which name it is written.
    hidden: PathBuf,
    memory: Memory,
    journal: Journal,
}

impl Notes {
    /// Writes down what has become so.
    fn commit(&mut self, keeper: &Keeper) -> io::Result<()> {
        let before = self.memory.facts();
        self.memory.note(keeper.remains());
        if !self.journal.is_empty() && self.memory.facts() != before {
            let json = serde_json::to_string(&self.memory)?;
            self.journal.add(&Fact::Queue(&json));
        }
        self.journal.commit()?;
        if self.journal.is_long() {
            let queue = keeper.queue();
            let runs = queue.line().chain(queue.out()).chain(queue.failed().map(|f| &f.run));
            let live = runs.map(|run| run.lines.bytes.len() as u64).sum();
            if self.journal.is_mostly_past(live) {
                let json = serde_json::to_string(&self.memory)?;
                // If there is no room for another one, the long one is as good, and as true.
                let _ = self.journal.rewrite(present(queue, &json));
            }
        }
        Ok(())
    }

    fn save(&mut self) -> io::Result<()> {
        if self.memory.is_blank() {
            return remove_if_there(&self.path);
        }
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&self.hidden)?
            .write_all(&serde_json::to_vec(&self.memory)?)?;
        fs::rename(&self.hidden, &self.path)
    }
}

/// What is to be known of a queue, if nothing is known of its past.
fn present<'a>(queue: &'a Queue, memory: &'a str) -> impl Iterator<Item = Fact<'a>> {
    let out_of = |run: &Run| Fact::Out { first: run.first, count: run.count() };
    let out = queue.out().flat_map(move |run| [Fact::Items(run.clone()), out_of(run)]);
    let failed = queue.failed().flat_map(move |failed| {
        let Run { first, attempt, strikes, .. } = failed.run;
        let why = &failed.why;
        let aside = Fact::Failed { first, count: 1, attempt, strikes, why };
        [Fact::Items(failed.run.clone()), out_of(&failed.run), aside]
    });
    let line = queue.line().map(|run| Fact::Items(run.clone()));
    std::iter::once(Fact::Queue(memory)).chain(line).chain(out).chain(failed)
}

impl Watch for Notes {
    fn record(&mut self, fact: &Fact<'_>) {
        if self.journal.is_empty()
            && let Ok(json) = serde_json::to_string(&self.memory)
        {
            self.journal.add(&Fact::Queue(&json));
        }
        self.journal.add(fact);
    }

    fn end(&mut self) -> io::Result<Stamp> {
        let moment = Moment::now();
        let stamp = moment.stamp;
        self.memory.sentinel = None;
        self.memory.capacity = None;
        self.memory.told.clear();
        self.memory.begun = false;
        self.memory.ended = Some(moment);
        // If it cannot be written down now (a full disk), it is when the keeper goes, or else only
        // those who are here are told.
        let _ = self.save();
        Ok(stamp)
    }

    fn event(&mut self, _: Event<'_>) {}
}
