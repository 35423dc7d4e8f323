//! The process that keeps a stand-alone queue. A client that finds no keeper starts one; it goes by
//! itself when nobody is there.
//!
//! There is one keeper: only who has the directory's lock may start one, and the lock is passed on
//! to the keeper, as its standard input, until its inbox can be seen.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use anyhow::Context;

use super::persistence::{Left, Legacy, Notes, Past};
use super::replies;
use super::{Host, Keeper, Known, Office, Plan, Post};
use crate::clock::Nanos;
use crate::journal::{Files, Journal, Store};
use crate::os::{Ready, Waker};
use crate::pipe::{Door, QueueDir, Slot, StartLock};
use crate::queue::{ClientId, Request};
use crate::wire::{Key, Reply, Status};

/// What the keeper says on its standard output when its inbox can be seen.
pub(crate) const READY: &str = "ready\n";

/// What it says before that for each damaged place; the number of the line follows.
pub(crate) const DAMAGED: &str = "damaged ";

/// Stands for a line of the journal when it is the file that earlier versions had beside it.
pub(crate) const LEGACY_LINE: u64 = 0;

const CANNOT_WRITE: &str = "cannot write the queue's journal";

/// How often an idle keeper looks whether its directory is still there.
const LOOK: Nanos = 5_000_000_000;

/// A world in which a keeper writes down what it says before it says it.
pub(crate) trait Desk: Host {
    /// Writes down what has become so.
    fn commit(&mut self, keeper: &Keeper) -> io::Result<()>;
    /// Sends what is to be said.
    fn flush(&mut self);
    /// This is said to everybody, and not what was to be said since the last [`Desk::flush`].
    fn say_instead(&mut self, reply: &Reply);
}

impl<S: Store> Desk for Office<Notes<S>> {
    fn commit(&mut self, keeper: &Keeper) -> io::Result<()> {
        self.watch.commit(keeper)
    }

    fn flush(&mut self) {
        self.post.flush();
    }

    fn say_instead(&mut self, reply: &Reply) {
        self.post.say_instead(reply);
    }
}

/// Answers what can be answered, when that has been written down. Returns the wall time at which there
/// may be more to do without anything arriving.
///
/// # Errors
/// When it cannot be written down: everybody is told, and this keeper cannot go on.
pub(crate) fn turn(
    keeper: &mut Keeper,
    desk: &mut impl Desk,
    wall: Nanos,
) -> io::Result<Option<Nanos>> {
    let due = keeper.turn(wall, desk)?;
    if let Err(error) = desk.commit(keeper) {
        // What cannot be written down has not been: who was to be told of it is told that.
        let text = format!("{CANNOT_WRITE}: {error}; what was accepted before is still there");
        desk.say_instead(&replies::error("journal", text));
        desk.flush();
        return Err(error);
    }
    desk.flush();
    Ok(due)
}

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
    let (is_new, place) = (!Files::has_journal(&dir)?, dir.clone());
    let begun = begin(dir, &lock);
    if begun.is_err() && is_new {
        // What this start has made is no queue. That more cannot be done than has been is told already.
        let _ = Files::remove_empty(&place);
        place.remove_if_empty();
    }
    let (mut keeper, mut host, damaged) = begun?;
    lock.release()?;
    say_damage(&damaged);
    say_ready();
    serve(&mut keeper, &mut host, stop)?;
    match keeper.is_removed() {
        true => remove(&mut keeper, host),
        false => go(&keeper, host),
    }
}

/// Brings back what the journal tells, and opens the inbox. Tells which lines of the journal are damaged.
fn begin(
    dir: QueueDir,
    lock: &StartLock,
) -> anyhow::Result<(Keeper, Office<Notes<Files>>, Vec<u64>)> {
    dir.sweep(Some(lock))?;
    let legacy = Legacy::load(&dir)?;
    let (has_legacy, mut damaged) = (!matches!(legacy, Legacy::None), Vec::new());
    damaged.extend(matches!(legacy, Legacy::Damaged).then_some(LEGACY_LINE));
    let mut past = Past::new(legacy.memory());
    let (journal, recovered) = Journal::open(&dir, |fact| past.take(fact))?;
    damaged.extend(recovered.damaged);
    let Left { memory, queue, clients } = past.finish();
    let mut keeper = Keeper::new(Plan { queue, workers: None, pacer: None });
    let post = Post::open(dir)?;
    let mut host = Office { post, watch: Notes::new(memory, journal) };
    // If there is no room for that yet, the file stays.
    if has_legacy && host.watch.take_in_legacy().is_ok() {
        let _ = Files::remove_memory(host.post.dir());
    }
    if let Err(error) = take_over(&mut keeper, clients, &mut host) {
        host.post.shut()?;
        return Err(error);
    }
    if !damaged.is_empty() {
        // If there is no room for a whole journal, the damage is told again next time.
        let _ = host.watch.rewrite(&keeper);
    }
    Ok((keeper, host, damaged))
}

/// Goes on for the clients of the keeper before this one. If what that comes to cannot be written, who
/// starts this one is told.
fn take_over(
    keeper: &mut Keeper,
    clients: Vec<(ClientId, Key, Known)>,
    host: &mut Office<Notes<Files>>,
) -> anyhow::Result<()> {
    keeper.take_over(clients, host).context("cannot open a client's mailbox")?;
    let clock = host.watch.clock();
    turn(keeper, host, clock.now()).context(CANNOT_WRITE)?;
    Ok(())
}

/// Who started the keeper reads it before `ready`.
fn say_damage(damaged: &[u64]) {
    for line in damaged {
        // The starter may have died meanwhile.
        let _ = writeln!(io::stdout(), "{DAMAGED}{line}");
    }
}

/// How a queue is that nobody keeps.
pub(crate) fn at_rest(dir: &QueueDir) -> anyhow::Result<Status> {
    let mut past = Past::new(Legacy::load(dir)?.memory());
    Journal::read(dir, |fact| past.take(fact))?;
    let Left { mut memory, mut queue, mut clients } = past.finish();
    // Those that have lost their keeper, and live.
    clients.retain(|(client, key, known)| {
        let lives = Slot::is_read(dir, &known.hello.mailbox_name(*key));
        if !lives {
            // The next keeper will find that out too.
            let _ = queue.apply(*client, Request::Die, &mut Vec::new());
        }
        lives
    });
    // How much they have done here nobody knows any more.
    let known = |client| clients.iter().find(|k| k.0 == client).map(|k| (k.2.hello.pid, 0));
    Ok(replies::status(&queue, known, memory.clock().now()))
}

fn serve(keeper: &mut Keeper, host: &mut Office<Notes<Files>>, stop: &Waker) -> io::Result<()> {
    // Leases and ages go on while nobody keeps the queue.
    let clock = host.watch.clock();
    let starter = io::stdout();
    let mut starting = true;
    let mut stopped = false;
    loop {
        let due = match turn(keeper, host, clock.now()) {
            Err(error) => {
                host.post.shut()?;
                return Err(error);
            }
            Ok(due) => due,
        };
        starting &= host.post.is_quiet();
        if (host.post.is_quiet() && !starting) || keeper.is_removed() || stopped {
            return Ok(());
        }
        // The starter lets go of its end when its first request is in the inbox, or when it dies.
        let starter = starting.then_some((starter.as_fd(), Ready::Death));
        let others: Vec<_> = [(stop.as_fd(), Ready::Read)].into_iter().chain(starter).collect();
        let until = due.unwrap_or(Nanos::MAX).min(clock.now().saturating_add(LOOK));
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
fn go(keeper: &Keeper, mut host: Office<Notes<Files>>) -> anyhow::Result<()> {
    if !host.post.can_be_found()? {
        // Somebody has removed the directory, and the queue with it.
        return Ok(());
    }
    let nobody_starts = host.post.dir().try_lock()?;
    let left = host.watch.leave(keeper);
    host.post.shut()?;
    left?;
    host.post.dir().sweep(nobody_starts.as_ref())?;
    if nobody_starts.is_some() {
        host.post.dir().remove_if_empty();
    }
    Ok(())
}

/// Removes the queue, and tells so when that is done. If it cannot be done, the next keeper goes on.
fn remove(keeper: &mut Keeper, mut host: Office<Notes<Files>>) -> anyhow::Result<()> {
    let files = host.watch.remove().and_then(|()| Files::remove_memory(host.post.dir()));
    let removed = files.and_then(|()| host.post.shut());
    keeper.tell_removed(&removed, &mut host);
    host.post.flush();
    if removed.is_err() {
        host.post.shut()?;
        return Ok(removed?);
    }
    // Only now are there descriptors for the rest, if there were none.
    host.post.forget_all();
    let nobody_starts = host.post.dir().try_lock()?;
    host.post.dir().sweep(nobody_starts.as_ref())?;
    if nobody_starts.is_some() {
        host.post.dir().remove_if_empty();
    }
    Ok(())
}
