//! The keeper process of a stand-alone queue. A client that finds no keeper starts one; the keeper exits
//! when it has no clients.
//!
//! A queue has at most one keeper: only the holder of the directory's lock may start a keeper. The keeper
//! inherits the lock as its standard input, and releases the lock when its inbox exists.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use anyhow::Context;

use super::persistence::{JournalRecovery, LegacyState, Persistence, RecoveredQueue};
use super::replies;
use super::{ClientRecord, Host, Keeper, PipeHost, Pipes};
use crate::catalogue::message;
use crate::clock::Nanos;
use crate::journal::{FileStore, Journal, Store};
use crate::os::os_text;
use crate::os::{Interest, Waker, remove_file_if_exists};
use crate::pipe::{InboxWriter, LEGACY_STATE, MailboxWriter, QueueDir, StartLock};
use crate::queue::{ClientId, Request};
use crate::wire::{ClientKey, ErrorCode, Reply, Status};

/// The line that the keeper writes to its standard output when its inbox exists.
pub(crate) const READY_LINE: &str = "ready\n";

/// The beginning of the keeper's line for each damaged place in the journal, before [`READY_LINE`]. The
/// number of the journal's line follows.
pub(crate) const DAMAGED_PREFIX: &str = "damaged ";

/// The line number that stands for the state file of earlier versions.
pub(crate) const LEGACY_FILE_LINE: u64 = 0;

/// How often an idle keeper checks that its directory still exists.
const DIR_CHECK_INTERVAL: Nanos = 5_000_000_000;

type DaemonHost = PipeHost<Persistence<FileStore>>;

/// A host that makes records durable before it sends the replies.
pub(crate) trait DurableHost: Host {
    /// Makes the records durable.
    fn commit(&mut self, keeper: &Keeper) -> io::Result<()>;
    /// Sends the replies.
    fn flush(&mut self);
    /// Sends `reply` to every client, in place of the replies since the last [`Self::flush`].
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

/// Gives all answers that are possible now, after their records are durable. Returns the wall time at
/// which another answer may be possible without new bytes.
///
/// # Errors
/// The journal cannot be written. Every client has the error, and the keeper must stop.
pub(crate) fn process_and_commit(
    keeper: &mut Keeper,
    host: &mut impl DurableHost,
    wall: Nanos,
) -> io::Result<Option<Nanos>> {
    let due = keeper.process_pending(wall, host)?;
    if let Err(error) = host.commit(keeper) {
        // A change without a durable record did not happen: no client may read its reply.
        let text = || message!("refusal-journal", error = os_text(&error));
        host.replace_uncommitted(&replies::error_reply(ErrorCode::Journal, text));
        host.flush();
        return Err(error);
    }
    host.flush();
    Ok(due)
}

/// Keeps the queue in `dir` until the last client has gone. `stop` ends the keeper early.
pub(crate) fn run_keeper(dir: QueueDir, stop: &Waker) -> anyhow::Result<()> {
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    // A keeper that a person starts takes the lock itself.
    let lock = match dir.lock_if_current(stdin)? {
        Some(lock) => Some(lock),
        None => dir.lock()?,
    };
    let lock = lock.with_context(|| message!("keeper-no-folder"))?;
    if InboxWriter::open(&dir)?.is_some() {
        // The queue has a keeper already.
        report_start(&[]);
        return Ok(());
    }
    let is_new = !FileStore::has_journal(&dir)?;
    let opened = recover_and_open(dir.clone(), &lock);
    if opened.is_err() && is_new {
        // A failed start leaves no queue behind. The first error matters more than an error here.
        let _ = FileStore::remove_empty(&dir);
        dir.remove_if_empty();
    }
    let (mut keeper, mut host, damaged) = opened?;
    lock.unlock()?;
    report_start(&damaged);
    serve_until_idle(&mut keeper, &mut host, stop)?;
    if keeper.is_removal_requested() {
        remove_queue(&mut keeper, host)
    } else {
        shut_down(&keeper, host)
    }
}

/// Rebuilds the queue from its journal, and opens the inbox. Returns the numbers of the journal's damaged
/// lines too.
fn recover_and_open(
    dir: QueueDir,
    lock: &StartLock,
) -> anyhow::Result<(Keeper, DaemonHost, Vec<u64>)> {
    dir.remove_stale_files(Some(lock))?;
    let legacy = LegacyState::load(&dir)?;
    let (has_legacy, mut damaged) = (!matches!(legacy, LegacyState::None), Vec::new());
    damaged.extend(matches!(legacy, LegacyState::Damaged).then_some(LEGACY_FILE_LINE));
    let mut recovery = JournalRecovery::new(legacy.into_persisted_state());
    let (journal, damaged_lines) = Journal::open(&dir, |record| recovery.apply_record(record))?;
    damaged.extend(damaged_lines);
    let RecoveredQueue { persisted_state: state, queue, clients } = recovery.finish();
    let mut keeper = Keeper::new(queue, None, None);
    let pipes = Pipes::open(dir)?;
    let mut host = PipeHost { pipes, observer: Persistence::new(state, journal) };
    if let Err(error) = adopt_clients(&mut keeper, clients, &mut host) {
        host.pipes.inbox.unlink()?;
        return Err(error);
    }
    // Without room on the disk the legacy file stays.
    if has_legacy && host.observer.import_legacy().is_ok() {
        let _ = remove_file_if_exists(&host.pipes.dir.join(LEGACY_STATE));
    }
    if !damaged.is_empty() {
        // Without room on the disk the next keeper reports the damage again.
        let _ = host.observer.rewrite_journal(&keeper);
    }
    Ok((keeper, host, damaged))
}

/// Takes over the clients of the previous keeper, and carries over a journal of an earlier version. The starter
/// reads an error if the journal cannot be written.
fn adopt_clients(
    keeper: &mut Keeper,
    clients: Vec<(ClientId, ClientKey, ClientRecord)>,
    host: &mut DaemonHost,
) -> anyhow::Result<()> {
    keeper.adopt_clients(clients, host).with_context(|| message!("keeper-no-mailbox"))?;
    if host.observer.journal.is_outdated() {
        host.observer.rewrite_journal(keeper).with_context(|| message!("keeper-upgrade-failed"))?;
    }
    let clock = host.observer.persisted_state.resume_clock();
    process_and_commit(keeper, host, clock.now())
        .with_context(|| message!("keeper-journal-failed"))?;
    Ok(())
}

/// Reports the damaged lines to the starter, and then `ready`.
fn report_start(damaged: &[u64]) {
    let damaged: String = damaged.iter().map(|line| format!("{DAMAGED_PREFIX}{line}\n")).collect();
    let mut stdout = io::stdout();
    // The starter may have died meanwhile; other clients may connect all the same.
    let _ = write!(stdout, "{damaged}{READY_LINE}").and_then(|()| stdout.flush());
}

/// The status of a queue without a keeper.
pub(crate) fn stored_status(dir: &QueueDir) -> anyhow::Result<Status> {
    let mut recovery = JournalRecovery::new(LegacyState::load(dir)?.into_persisted_state());
    Journal::read(dir, |record| recovery.apply_record(record))?;
    let RecoveredQueue { persisted_state: mut state, mut queue, mut clients } = recovery.finish();
    let now = state.resume_clock().now();
    clients.retain(|(client, key, record)| {
        let is_alive = MailboxWriter::open(dir, &record.hello.pipes(*key).mailbox()).is_ok();
        if !is_alive {
            // The next keeper will find the dead client too.
            let _ = queue.apply(*client, Request::ClientDied { now });
        }
        is_alive
    });
    // The journal does not count the items that a client has put or done.
    let totals = |client| clients.iter().find(|c| c.0 == client).map(|c| (c.2.hello.pid, 0));
    Ok(replies::queue_status(&queue, totals, now))
}

fn serve_until_idle(keeper: &mut Keeper, host: &mut DaemonHost, stop: &Waker) -> io::Result<()> {
    // Leases and ages go on between two keepers.
    let clock = host.observer.persisted_state.resume_clock();
    let stdout = io::stdout();
    let mut waits_for_starter = true;
    let mut is_stopped = false;
    loop {
        let due = match process_and_commit(keeper, host, clock.now()) {
            Err(error) => {
                host.pipes.inbox.unlink()?;
                return Err(error);
            }
            Ok(due) => due,
        };
        waits_for_starter &= host.pipes.has_no_clients();
        if (host.pipes.has_no_clients() && !waits_for_starter)
            || keeper.is_removal_requested()
            || is_stopped
        {
            return Ok(());
        }
        // A starter closes the read end of our standard output once its hello is in the inbox.
        // A dead starter closes the read end too.
        let starter = waits_for_starter.then_some(Interest::Hangup);
        let others = [(stop.as_fd(), Some(Interest::Read)), (stdout.as_fd(), starter)];
        let until = due.unwrap_or(Nanos::MAX).min(clock.now().saturating_add(DIR_CHECK_INTERVAL));
        let arrivals = host.pipes.wait(clock, Some(until), &others)?;
        // After a stop the keeper still handles the requests that have arrived.
        is_stopped = arrivals.others_ready[0];
        waits_for_starter &= !arrivals.others_ready[1];
        host.process_arrivals(keeper, clock, &arrivals)?;
        if arrivals.timed_out() && !host.pipes.inbox.is_linked()? {
            return Ok(());
        }
    }
}

/// Shortens the journal, and removes all other files. A client that opens the inbox before its removal
/// receives no welcome, and tries again.
fn shut_down(keeper: &Keeper, mut host: DaemonHost) -> anyhow::Result<()> {
    if !host.pipes.inbox.is_linked()? {
        // The directory was removed, and the queue with it.
        return Ok(());
    }
    let lock = host.pipes.dir.try_lock()?;
    let finalized = host.observer.finalize_journal(keeper);
    host.pipes.inbox.unlink()?;
    finalized?;
    remove_stale_files(&host.pipes.dir, lock.as_ref())
}

/// Removes the queue, and reports the result. After a failure the next keeper continues with the queue.
fn remove_queue(keeper: &mut Keeper, mut host: DaemonHost) -> anyhow::Result<()> {
    let legacy_path = host.pipes.dir.join(LEGACY_STATE);
    let files = host.observer.journal.remove().and_then(|()| remove_file_if_exists(&legacy_path));
    let removed = files.and_then(|()| host.pipes.inbox.unlink());
    keeper.report_removal(&removed, &mut host);
    host.pipes.flush();
    if removed.is_err() {
        host.pipes.inbox.unlink()?;
        return Ok(removed?);
    }
    // The lock needs a descriptor: closed mailboxes free descriptors if the process has none left.
    // A client waits for the end of this keeper, so that the directory is gone when `qdemo rm` ends.
    let _requests = host.pipes.remove_mailboxes();
    let lock = host.pipes.dir.try_lock()?;
    remove_stale_files(&host.pipes.dir, lock.as_ref())
}

/// Removes stale files, and the empty directory too if no other process can start a keeper.
fn remove_stale_files(dir: &QueueDir, lock: Option<&StartLock>) -> anyhow::Result<()> {
    dir.remove_stale_files(lock)?;
    if lock.is_some() {
        dir.remove_if_empty();
    }
    Ok(())
}
