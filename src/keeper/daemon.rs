//! The process that keeps a stand-alone queue. A client that finds no keeper starts one; it goes by
//! itself when nobody is there.
//!
//! There is one keeper: only who has the directory's lock may start one, and the lock is passed on
//! to the keeper, as its standard input, until its inbox can be seen.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use anyhow::Context;

use super::persistence::{JournalRecovery, LegacyState, Persistence, RecoveredQueue};
use super::replies;
use super::{ClientRecord, Host, Keeper, KeeperConfig, PipeHost, Pipes};
use crate::clock::Nanos;
use crate::journal::{FileStore, Journal, Store};
use crate::os::{Interest, Waker};
use crate::pipe::{InboxWriter, MailboxWriter, QueueDir, StartLock};
use crate::queue::{ClientId, Request};
use crate::wire::{ClientKey, ErrorCode, Reply, Status};

/// What the keeper says on its standard output when its inbox can be seen.
pub(crate) const READY_LINE: &str = "ready\n";

/// What it says before that for each damaged place; the number of the line follows.
pub(crate) const DAMAGED_PREFIX: &str = "damaged ";

/// Stands for a line of the journal when it is the file that earlier versions had beside it.
pub(crate) const LEGACY_FILE_LINE: u64 = 0;

const JOURNAL_WRITE_FAILED: &str = "cannot write the queue's journal";

/// How often an idle keeper looks whether its directory is still there.
const DIR_CHECK_INTERVAL: Nanos = 5_000_000_000;

/// A world in which a keeper writes down what it says before it says it.
pub(crate) trait DurableHost: Host {
    /// Writes down what has become so.
    fn commit(&mut self, keeper: &Keeper) -> io::Result<()>;
    /// Sends what is to be said.
    fn flush(&mut self);
    /// This is said to everybody, and not what was to be said since the last [`Desk::flush`].
    fn replace_uncommitted(&mut self, reply: &Reply);
}

impl<S: Store> DurableHost for PipeHost<Persistence<S>> {
    fn commit(&mut self, keeper: &Keeper) -> io::Result<()> {
        self.observer.commit(keeper)
    }

    fn flush(&mut self) {
        self.pipes.flush();
    }

    fn replace_uncommitted(&mut self, reply: &Reply) {
        self.pipes.replace_uncommitted(reply);
    }
}

/// Answers what can be answered, when that has been written down. Returns the wall time at which there
/// may be more to do without anything arriving.
///
/// # Errors
/// When it cannot be written down: everybody is told, and this keeper cannot go on.
pub(crate) fn process_and_commit(
    keeper: &mut Keeper,
    host: &mut impl DurableHost,
    wall: Nanos,
) -> io::Result<Option<Nanos>> {
    let due = keeper.process_pending(wall, host)?;
    if let Err(error) = host.commit(keeper) {
        // What cannot be written down has not been: who was to be told of it is told that.
        let text =
            format!("{JOURNAL_WRITE_FAILED}: {error}; what was accepted before is still there");
        host.replace_uncommitted(&replies::error_reply(ErrorCode::Journal, text));
        host.flush();
        return Err(error);
    }
    host.flush();
    Ok(due)
}

/// Keeps the queue in `dir` until there is nothing left to keep. `stop` ends it early.
pub(crate) fn run_keeper(dir: QueueDir, stop: &Waker) -> anyhow::Result<()> {
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    // A keeper that is started by hand takes the lock itself.
    let lock = match dir.inherit_lock(stdin)? {
        Some(lock) => Some(lock),
        None => dir.lock()?,
    };
    let lock = lock.context("the queue's directory has been removed")?;
    let mut stdout = io::stdout();
    // The starter may have died meanwhile; others may come.
    let mut say_ready =
        || drop(stdout.write_all(READY_LINE.as_bytes()).and_then(|()| stdout.flush()));
    if InboxWriter::open(&dir)?.is_some() {
        // Somebody keeps this queue already.
        say_ready();
        return Ok(());
    }
    let (is_new, place) = (!FileStore::has_journal(&dir)?, dir.clone());
    let begun = recover_and_open(dir, &lock);
    if begun.is_err() && is_new {
        // What this start has made is no queue. That more cannot be done than has been is told already.
        let _ = FileStore::remove_empty(&place);
        place.remove_if_empty();
    }
    let (mut keeper, mut host, damaged) = begun?;
    lock.unlock()?;
    report_damage(&damaged);
    say_ready();
    serve_until_idle(&mut keeper, &mut host, stop)?;
    match keeper.is_removal_requested() {
        true => remove_queue(&mut keeper, host),
        false => shut_down(&keeper, host),
    }
}

/// Brings back what the journal tells, and opens the inbox. Tells which lines of the journal are damaged.
fn recover_and_open(
    dir: QueueDir,
    lock: &StartLock,
) -> anyhow::Result<(Keeper, PipeHost<Persistence<FileStore>>, Vec<u64>)> {
    dir.remove_stale_files(Some(lock))?;
    let legacy = LegacyState::load(&dir)?;
    let (has_legacy, mut damaged) = (!matches!(legacy, LegacyState::None), Vec::new());
    damaged.extend(matches!(legacy, LegacyState::Damaged).then_some(LEGACY_FILE_LINE));
    let mut recovery = JournalRecovery::new(legacy.into_persisted_state());
    let (journal, recovered) = Journal::open(&dir, |record| recovery.apply_record(record))?;
    damaged.extend(recovered.damaged_lines);
    let RecoveredQueue { persisted_state: state, queue, clients } = recovery.finish();
    let mut keeper = Keeper::new(KeeperConfig { queue, workers: None, pacer: None });
    let pipes = Pipes::open(dir)?;
    let mut host = PipeHost { pipes, observer: Persistence::new(state, journal) };
    // If there is no room for that yet, the file stays.
    if has_legacy && host.observer.import_legacy().is_ok() {
        let _ = FileStore::remove_legacy_state(host.pipes.dir());
    }
    if let Err(error) = adopt_clients(&mut keeper, clients, &mut host) {
        host.pipes.remove_inbox()?;
        return Err(error);
    }
    if !damaged.is_empty() {
        // If there is no room for a whole journal, the damage is told again next time.
        let _ = host.observer.rewrite_journal(&keeper);
    }
    Ok((keeper, host, damaged))
}

/// Goes on for the clients of the keeper before this one. If what that comes to cannot be written, who
/// starts this one is told.
fn adopt_clients(
    keeper: &mut Keeper,
    clients: Vec<(ClientId, ClientKey, ClientRecord)>,
    host: &mut PipeHost<Persistence<FileStore>>,
) -> anyhow::Result<()> {
    keeper.adopt_clients(clients, host).context("cannot open a client's mailbox")?;
    let clock = host.observer.resume_clock();
    process_and_commit(keeper, host, clock.now()).context(JOURNAL_WRITE_FAILED)?;
    Ok(())
}

/// Who started the keeper reads it before `ready`.
fn report_damage(damaged: &[u64]) {
    for line in damaged {
        // The starter may have died meanwhile.
        let _ = writeln!(io::stdout(), "{DAMAGED_PREFIX}{line}");
    }
}

/// How a queue is that nobody keeps.
pub(crate) fn stored_status(dir: &QueueDir) -> anyhow::Result<Status> {
    let mut recovery = JournalRecovery::new(LegacyState::load(dir)?.into_persisted_state());
    Journal::read(dir, |record| recovery.apply_record(record))?;
    let RecoveredQueue { persisted_state: mut state, mut queue, mut clients } = recovery.finish();
    // Those that have lost their keeper, and live.
    clients.retain(|(client, key, record)| {
        let lives = MailboxWriter::has_reader(dir, &record.hello.mailbox_name(*key));
        if !lives {
            // The next keeper will find that out too.
            let _ = queue.apply(*client, Request::ClientDied, &mut Vec::new());
        }
        lives
    });
    // How much they have done here nobody knows any more.
    let record = |client| clients.iter().find(|k| k.0 == client).map(|k| (k.2.hello.pid, 0));
    Ok(replies::queue_status(&queue, record, state.resume_clock().now()))
}

fn serve_until_idle(
    keeper: &mut Keeper,
    host: &mut PipeHost<Persistence<FileStore>>,
    stop: &Waker,
) -> io::Result<()> {
    // Leases and ages go on while nobody keeps the queue.
    let clock = host.observer.resume_clock();
    let starter = io::stdout();
    let mut starting = true;
    let mut stopped = false;
    loop {
        let due = match process_and_commit(keeper, host, clock.now()) {
            Err(error) => {
                host.pipes.remove_inbox()?;
                return Err(error);
            }
            Ok(due) => due,
        };
        starting &= host.pipes.has_no_mailboxes();
        if (host.pipes.has_no_mailboxes() && !starting) || keeper.is_removal_requested() || stopped
        {
            return Ok(());
        }
        // The starter lets go of its end when its first request is in the inbox, or when it dies.
        let starter = starting.then_some((starter.as_fd(), Interest::Hangup));
        let others: Vec<_> = [(stop.as_fd(), Interest::Read)].into_iter().chain(starter).collect();
        let until = due.unwrap_or(Nanos::MAX).min(clock.now().saturating_add(DIR_CHECK_INTERVAL));
        let arrivals = host.pipes.wait(clock, Some(until), &others)?;
        // What has arrived by then is still written down, and told.
        stopped = arrivals.others_ready[0];
        starting &= !arrivals.others_ready.get(1).is_some_and(|&gone| gone);
        host.process_arrivals(keeper, clock, &arrivals)?;
        if arrivals.is_empty() && !host.pipes.has_linked_inbox()? {
            return Ok(());
        }
    }
}

/// Leaves nothing behind but what must be remembered. Whoever finds the inbox before its name is
/// gone, and is not welcomed, tries again.
fn shut_down(keeper: &Keeper, mut host: PipeHost<Persistence<FileStore>>) -> anyhow::Result<()> {
    if !host.pipes.has_linked_inbox()? {
        // Somebody has removed the directory, and the queue with it.
        return Ok(());
    }
    let nobody_starts = host.pipes.dir().try_lock()?;
    let left = host.observer.finalize_journal(keeper);
    host.pipes.remove_inbox()?;
    left?;
    host.pipes.dir().remove_stale_files(nobody_starts.as_ref())?;
    if nobody_starts.is_some() {
        host.pipes.dir().remove_if_empty();
    }
    Ok(())
}

/// Removes the queue, and tells so when that is done. If it cannot be done, the next keeper goes on.
fn remove_queue(
    keeper: &mut Keeper,
    mut host: PipeHost<Persistence<FileStore>>,
) -> anyhow::Result<()> {
    let files = host
        .observer
        .remove_journal()
        .and_then(|()| FileStore::remove_legacy_state(host.pipes.dir()));
    let removed = files.and_then(|()| host.pipes.remove_inbox());
    keeper.report_removal(&removed, &mut host);
    host.pipes.flush();
    if removed.is_err() {
        host.pipes.remove_inbox()?;
        return Ok(removed?);
    }
    // Only now are there descriptors for the rest, if there were none.
    host.pipes.remove_mailboxes();
    let nobody_starts = host.pipes.dir().try_lock()?;
    host.pipes.dir().remove_stale_files(nobody_starts.as_ref())?;
    if nobody_starts.is_some() {
        host.pipes.dir().remove_if_empty();
    }
    Ok(())
}
