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
use crate::pipe::{Door, QueueDir, Ready, Waker, remove_if_there};
use crate::queue::{Census, Queue, Remains, Sentinel};
use crate::wire::Status;

/// What the keeper says on its standard output when its inbox can be seen.
pub(crate) const READY: &str = "ready\n";

const MEMORY: &str = "memory.json";

/// What a queue remembers while nobody keeps it.
#[derive(Debug, Default, Serialize, Deserialize)]
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
        self.sentinel = remains.sentinel;
        self.capacity = remains.capacity.map(|c| c.map_or(0, NonZeroU64::get));
        self.told = remains.told;
        self.begun = remains.begun;
        self.last_number = remains.last_number;
        self.done = remains.done;
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
    let memory = load(&dir)?;
    let plan = Plan { remains: memory.remains(), workers: None, pacer: None };
    let mut keeper = Keeper::new(plan);
    let post = Post::open(dir)?;
    lock.release()?;
    let watch = Notes { path: post.dir().join(MEMORY), hidden: post.dir().hidden(MEMORY), memory };
    let mut host = Office { post, watch };
    say_ready();
    serve(&mut keeper, &mut host, stop)?;
    go(&keeper, host)
}

/// How a queue is that nobody keeps.
pub(crate) fn at_rest(dir: &QueueDir) -> anyhow::Result<Status> {
    let queue = Queue::new(load(dir)?.remains(), true);
    Ok(answer::status(&queue, &BTreeMap::new(), 0))
}

fn serve(keeper: &mut Keeper, host: &mut Office<Notes>, stop: &Waker) -> io::Result<()> {
    let clock = Clock::start();
    let starter = io::stdout();
    let mut starting = true;
    loop {
        let due = keeper.turn(clock.now(), host)?;
        host.post.flush();
        starting &= host.post.is_quiet();
        let Census { in_line, out, failed, .. } = keeper.census();
        let nothing_left = in_line + out + failed == 0 && host.post.is_quiet() && !starting;
        if nothing_left || keeper.is_removed() {
            return Ok(());
        }
        // The starter lets go of its end when its first request is in the inbox, or when it dies.
        let starter = starting.then_some((starter.as_fd(), Ready::Death));
        let others: Vec<_> = [(stop.as_fd(), Ready::Read)].into_iter().chain(starter).collect();
        let until = due.unwrap_or(Nanos::MAX).min(clock.now() + LOOK);
        let arrivals = host.post.wait(clock, Some(until), &others)?;
        let stopped = arrivals.others[0];
        starting &= !arrivals.others.get(1).is_some_and(|&gone| gone);
        host.take_in(keeper, clock, &arrivals)?;
        if stopped || (arrivals.is_none() && !host.post.can_be_found()?) {
            return Ok(());
        }
    }
}

/// Leaves nothing behind but what must be remembered. Whoever finds the inbox before its name is
/// gone, and is not welcomed, tries again.
fn go(keeper: &Keeper, mut host: Office<Notes>) -> anyhow::Result<()> {
    host.watch.memory.note(keeper.remains());
    if keeper.is_removed() {
        host.watch.memory = Memory::default();
    }
    if !host.post.can_be_found()? {
        // Somebody has removed the directory, and the queue with it.
        return Ok(());
    }
    let nobody_starts = host.post.dir().try_lock()?;
    host.watch.save()?;
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
}

impl Notes {
    fn save(&mut self) -> io::Result<()> {
        if self.memory.is_blank() {
            return remove_if_there(&self.path);
        }
        self.memory.version = MEMORY_VERSION;
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

impl Watch for Notes {
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
