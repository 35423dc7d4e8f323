//! A command for each item: up to so many at a time, tried again when they fail, ended when they take
//! too long, or when the consumer is.

mod command;
mod groups;
mod guard;
mod job;
mod retries;
mod terminal;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitStatus;
use std::time::Duration;

use crate::client::{Client, Error, ItemRef, Notification, Timeout};
use crate::clock::{Clock, DelaySampler, Nanos, nanos};
use crate::os::{Interest, Waker, wait_ready};
use crate::queue::{BatchRef, Counts};
pub(crate) use command::{CommandError, CommandTemplate};
use groups::ProcessGroups;
use guard::GuardProcess;
pub(crate) use guard::run_guard;
use job::Job;
pub(crate) use job::{CommandOutcome, ItemTask};
use retries::RetryQueue;
pub(crate) use terminal::Terminal;

/// So many items may wait for another try, beyond those that run.
const MAX_RETRY_QUEUE_LEN: usize = 64;
/// So many of the last items are remembered, until the keeper had the time to object.
const MAX_RECENT_OUTCOMES: usize = 4096;
/// How often the number of items in line is looked up, for the progress bar.
const COUNTS_INTERVAL: Nanos = 500_000_000;

/// How the commands are to be run.
#[derive(Clone, Debug)]
pub(crate) struct ExecConfig {
    /// How many at a time.
    pub(crate) jobs: usize,
    /// The queue's name, for the command.
    pub(crate) queue_name: String,
    /// How many more tries there are.
    pub(crate) retries: u32,
    /// The pause before the second try; it doubles with each.
    pub(crate) backoff: Duration,
    /// How long a command may take.
    pub(crate) command_timeout: Option<Duration>,
    /// The pause after a command.
    pub(crate) delays: DelaySampler,
    /// Stop at the first failure.
    pub(crate) halt: bool,
    /// How many items to take in all.
    pub(crate) max_items: u64,
    /// How long to wait for an item when there is nothing else to do.
    pub(crate) idle_timeout: Timeout,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExecTotals {
    /// Items that are done.
    pub(crate) done: u64,
    /// Items that have failed.
    pub(crate) failed: u64,
}

/// Why the commands were stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StopReason {
    /// Something is the matter with the queue, or a signal came.
    #[error(transparent)]
    Queue(#[from] Error),
    /// The command cannot be run.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The command had the terminal, and was ended there by this signal.
    #[error("interrupted")]
    Interrupted(i32),
    /// The system said no.
    #[error(
        "cannot run a command: take fewer --jobs, or raise the limit (`ulimit -n`, `ulimit -u`)"
    )]
    Io(#[from] io::Error),
    /// Whoever watches takes no more.
    #[error(transparent)]
    Observer(anyhow::Error),
}

/// Whoever is told.
pub(crate) trait ExecObserver {
    /// A command has ended, well or not: this shows what it printed.
    fn command_ended(&mut self, ended: &mut CommandOutcome) -> anyhow::Result<()>;
    /// So many items are done, and have failed.
    fn totals_changed(&mut self, totals: ExecTotals);
    /// Whether it wants to know how many items there are.
    fn wants_counts(&self) -> bool;
    /// There are so many items.
    fn counts_received(&mut self, counts: Counts, totals: ExecTotals);
    /// An item was done, or had failed, when it was not this consumer's any more.
    fn lease_expired(&mut self, id: u64);
    /// Something that people should know.
    fn notice(&mut self, what: &str);
}

/// Runs the commands.
pub(crate) struct Executor<'a, W> {
    client: &'a mut Client,
    template: &'a CommandTemplate,
    config: ExecConfig,
    observer: &'a mut W,
    clock: Clock,
    guard: GuardProcess,
    groups: ProcessGroups,
    /// Woken when a child has died.
    child_waker: Waker,
    running: Vec<Job>,
    /// Those that wait for another try.
    retry_queue: RetryQueue,
    /// Places that are free again then.
    cooldowns: Vec<Nanos>,
    /// An answer to a get is owed.
    is_get_pending: bool,
    /// Since when there has been nothing to do but wait for that.
    idle_since: Option<Nanos>,
    /// The keeper has been told that it is not waited for any longer.
    is_get_cancelled: bool,
    has_queue_ended: bool,
    received_count: u64,
    totals: ExecTotals,
    /// The last items that were said to be done, or else to have failed: the keeper may know better.
    recent_outcomes: VecDeque<(BatchRef, bool)>,
    /// When the number of items is to be looked up.
    next_counts_at: Option<Nanos>,
    /// What is to be said of commands that have been stopped.
    stop_notices: Vec<String>,
}

impl<'a, W: ExecObserver> Executor<'a, W> {
    /// Makes ready to. `deaths` is woken by SIGCHLD. One command at a time may have a terminal.
    pub(crate) fn new(
        client: &'a mut Client,
        template: &'a CommandTemplate,
        config: ExecConfig,
        observer: &'a mut W,
        clock: Clock,
        deaths: Waker,
        terminal: Option<Terminal>,
    ) -> io::Result<Self> {
        Ok(Self {
            client,
            template,
            config,
            observer,
            clock,
            guard: GuardProcess::start()?,
            groups: ProcessGroups::new(terminal)?,
            child_waker: deaths,
            running: Vec::new(),
            retry_queue: RetryQueue::default(),
            cooldowns: Vec::new(),
            is_get_pending: false,
            idle_since: None,
            is_get_cancelled: false,
            has_queue_ended: false,
            received_count: 0,
            totals: ExecTotals::default(),
            recent_outcomes: VecDeque::new(),
            next_counts_at: Some(0),
            stop_notices: Vec::new(),
        })
    }

    /// Runs a command for each item until the queue has ended. When it is stopped before, no command
    /// runs any more, and what was out can go back in line.
    pub(crate) fn run(mut self) -> Result<ExecTotals, StopReason> {
        let ran = self.run_loop();
        // What has ended by itself has not to be done again.
        let last = self.reap_commands();
        // At the first failure others may still run, if that was to be the end.
        let ended = self.terminate_all();
        self.guard.release();
        ran.and(last)?;
        ended?;
        // What the keeper has to say of the last ones comes before this answer.
        self.client.size()?;
        self.retract_late_outcomes();
        Ok(self.totals)
    }

    fn run_loop(&mut self) -> Result<(), StopReason> {
        loop {
            if self.config.halt && self.totals.failed > 0 {
                return Ok(());
            }
            self.start_due_retries()?;
            self.request_items()?;
            let nothing_left = self.running.is_empty() && self.retry_queue.is_empty();
            let enough = self.has_queue_ended
                || (self.received_count >= self.config.max_items && !self.is_get_pending);
            if nothing_left && enough {
                return Ok(());
            }
            self.cancel_if_idle(nothing_left)?;
            self.wait_for_event()?;
            self.process_replies()?;
            self.reap_commands()?;
        }
    }

    /// Starts those whose next try is due, as long as there is a place.
    fn start_due_retries(&mut self) -> Result<(), StopReason> {
        let now = self.clock.now();
        self.cooldowns.retain(|&until| until > now);
        while self.available_jobs() > 0
            && let Some(task) = self.retry_queue.pop_due(now)
        {
            self.start_command(task)?;
        }
        Ok(())
    }

    fn available_jobs(&self) -> usize {
        self.config.jobs.saturating_sub(self.running.len() + self.cooldowns.len())
    }

    /// Asks for as many items as there are places for.
    fn request_items(&mut self) -> Result<(), Error> {
        let left = self.config.max_items.saturating_sub(self.received_count);
        let places = (self.available_jobs() as u64).min(left);
        if places > 0
            && !self.is_get_pending
            && !self.has_queue_ended
            && self.retry_queue.len() < MAX_RETRY_QUEUE_LEN
        {
            self.client.request_items(places)?;
            self.is_get_pending = true;
        }
        Ok(())
    }

    /// When there has been nothing to do for too long, the keeper is told that no item is waited for
    /// any longer. It has the last word: perhaps there is one.
    fn cancel_if_idle(&mut self, nothing_left: bool) -> Result<(), Error> {
        let now = self.clock.now();
        self.idle_since = if nothing_left { self.idle_since.or(Some(now)) } else { None };
        if self.idle_deadline().is_some_and(|at| at <= now) {
            self.client.cancel()?;
            self.is_get_cancelled = true;
        }
        Ok(())
    }

    /// When it is not waited any longer; none if that is never, or has been said.
    fn idle_deadline(&self) -> Option<Nanos> {
        match self.config.idle_timeout {
            Timeout::After(most) if !self.is_get_cancelled => {
                Some(self.idle_since?.saturating_add(most))
            }
            _ => None,
        }
    }

    fn start_command(&mut self, task: ItemTask) -> Result<(), StopReason> {
        let mut groups = self.groups.lock();
        groups.extend_deadlines(&mut self.running);
        let now = self.clock.now();
        let limit = self.config.command_timeout.map(nanos);
        let env = [("QDEMO_QUEUE", self.config.queue_name.as_str()), self.guard.env_entry()];
        match Job::start(self.template, &env, task, now, limit, groups.terminal()) {
            Ok(job) => {
                if let Some(group) = job.process_group() {
                    groups.add(group);
                    self.guard.add_group(group);
                }
                drop(groups);
                self.running.push(job);
                Ok(())
            }
            Err((task, error)) => {
                drop(groups);
                if let Some(unusable) = self.template.classify_spawn_error(&error) {
                    return Err(unusable.into());
                }
                // An item that no argument can hold has failed.
                let too_large = error.kind() == io::ErrorKind::ArgumentListTooLong;
                if too_large || error.kind() == io::ErrorKind::InvalidInput {
                    let reason =
                        "no argument can hold it: leave {} out, and it comes on standard input";
                    self.observer.notice(&format!("item {} has failed: {reason}", task.id()));
                    return self.fail_item(&task, reason);
                }
                if !is_resource_shortage(&error) || self.running.is_empty() {
                    return Err(error.into());
                }
                // No more at a time than there are now, then.
                self.config.jobs = self.running.len();
                self.retry_queue.defer(now, task);
                Ok(())
            }
        }
    }

    fn fail_item(&mut self, task: &ItemTask, reason: &str) -> Result<(), StopReason> {
        self.totals.failed += 1;
        self.remember_outcome(task.batch.batch_ref(), false);
        // The keeper knows of the tries before this one.
        let item = ItemRef { id: task.id(), attempt: task.batch.attempt };
        Ok(self.client.fail(item, reason)?)
    }

    fn remember_outcome(&mut self, batch_ref: BatchRef, done: bool) {
        if self.recent_outcomes.len() >= MAX_RECENT_OUTCOMES {
            self.recent_outcomes.pop_front();
        }
        self.recent_outcomes.push_back((batch_ref, done));
    }

    /// Leases had run out before it was said what became of their items.
    fn retract_late_outcomes(&mut self) {
        for batch_ref in self.client.take_lease_expired() {
            let at = self.recent_outcomes.iter().rposition(|&(said, _)| said == batch_ref);
            match at.and_then(|at| self.recent_outcomes.remove(at)) {
                Some((_, true)) => self.totals.done -= 1,
                Some((_, false)) => self.totals.failed -= 1,
                None => {}
            }
            self.observer.lease_expired(batch_ref.first_id);
        }
    }

    fn wait_for_event(&mut self) -> Result<(), Error> {
        let due = self.retry_queue.next_due().filter(|_| self.available_jobs() > 0);
        let limits = self.running.iter().filter_map(Job::deadline);
        let other =
            self.cooldowns.iter().copied().chain(self.next_counts_at).chain(self.idle_deadline());
        let next = due.into_iter().chain(limits).chain(other).min();
        let most = next.map(|next| next.saturating_sub(self.clock.now()));
        if self.client.wait_for_keeper_or(&self.poll_fds(), most)? {
            self.client.reconnect()?;
        }
        Ok(())
    }

    /// Where a command's death, or what it prints, can be seen.
    fn poll_fds(&self) -> Vec<(BorrowedFd<'_>, Interest)> {
        let printed = self.running.iter().flat_map(Job::output_fds);
        [self.child_waker.as_fd()]
            .into_iter()
            .chain(printed)
            .map(|pipe| (pipe, Interest::Read))
            .collect()
    }

    /// What the keeper has said.
    fn process_replies(&mut self) -> Result<(), StopReason> {
        loop {
            let news = match self.client.poll_notification() {
                Err(Error::Empty) => Notification::Ended,
                other => match other? {
                    Some(news) => news,
                    None => break,
                },
            };
            match news {
                Notification::Delivered(batch) => {
                    self.is_get_pending = false;
                    self.is_get_cancelled = false;
                    let mut batch = batch.into_batch();
                    self.received_count += batch.count();
                    while batch.count() > 0 {
                        self.start_command(ItemTask {
                            batch: batch.split_to(1),
                            command_failures: 0,
                        })?;
                    }
                }
                Notification::Ended => {
                    self.is_get_pending = false;
                    self.has_queue_ended = true;
                }
                Notification::AttemptReply(begun) => {
                    if let Some(task) = self.retry_queue.confirm_attempt(begun) {
                        self.observer.lease_expired(task.id());
                    }
                }
                Notification::Counts(counts) => {
                    self.observer.counts_received(counts, self.totals);
                    self.next_counts_at = Some(self.clock.now() + COUNTS_INTERVAL);
                }
            }
        }
        self.retract_late_outcomes();
        if self.next_counts_at.is_some_and(|look| look <= self.clock.now()) {
            self.next_counts_at = None;
            if self.observer.wants_counts() {
                self.client.request_counts()?;
            }
        }
        Ok(())
    }

    fn reap_commands(&mut self) -> Result<(), StopReason> {
        self.child_waker.drain();
        let mut at = 0;
        while let Some((job, status)) = self.next_exited(&mut at)? {
            self.finish_item(job.into_outcome(status, self.clock.now()))?;
        }
        for notice in self.stop_notices.drain(..) {
            self.observer.notice(&notice);
        }
        Ok(())
    }

    /// The next command that has ended, from the one at `at` on. The time of those before it is kept an
    /// eye on.
    fn next_exited(&mut self, at: &mut usize) -> io::Result<Option<(Job, ExitStatus)>> {
        let mut groups = self.groups.lock();
        groups.extend_deadlines(&mut self.running);
        while let Some(job) = self.running.get_mut(*at) {
            job.read_output()?;
            if let Some(status) = job.try_wait()? {
                // The others keep their order.
                let job = self.running.remove(*at);
                if let Some(group) = job.process_group() {
                    groups.remove(group, job.is_voluntary_exit(status));
                    self.guard.remove_group(group);
                }
                return Ok(Some((job, status)));
            }
            self.stop_notices.extend(groups.check_stopped(job));
            job.enforce_deadline(self.clock.now());
            *at += 1;
        }
        Ok(None)
    }

    /// A command has ended: its item is done, tried again, or has failed.
    fn finish_item(&mut self, mut ended: CommandOutcome) -> Result<(), StopReason> {
        let failure = ended.failure_reason();
        let again = failure.is_some() && ended.task.command_failures < self.config.retries;
        // What it printed comes first: an item is not done before that.
        self.observer.command_ended(&mut ended).map_err(StopReason::Observer)?;
        let has_terminal = self.groups.lock().terminal().is_some();
        if let Some(signal) = ended.terminal_signal().filter(|_| has_terminal) {
            return Err(StopReason::Interrupted(signal.as_raw()));
        }
        if !self.config.delays.is_zero() {
            let pause = nanos(self.config.delays.sample());
            self.cooldowns.push(ended.ended_at.saturating_add(pause));
        }
        let mut task = ended.task;
        match failure {
            None => {
                self.totals.done += 1;
                self.remember_outcome(task.batch.batch_ref(), true);
                self.client.done_batch(&task.batch)?;
                self.client.flush()?;
            }
            Some(_) if again => {
                // One that doesn't fit is never over, as it is longer than 584 years.
                let doubled = 2u64.saturating_pow(task.command_failures);
                let pause = nanos(self.config.backoff).saturating_mul(doubled);
                task.command_failures += 1;
                let due = ended.ended_at.saturating_add(pause);
                let attempt = task.batch.attempt.saturating_add(1);
                self.client.begin_attempt(task.id(), attempt)?;
                self.retry_queue.push_pending(due, task);
            }
            Some(reason) => {
                let reason = match task.command_failures {
                    0 => reason,
                    n => format!("{reason}, at the last of {} tries", n + 1),
                };
                self.fail_item(&task, &reason)?;
            }
        }
        self.observer.totals_changed(self.totals);
        Ok(())
    }

    /// Ends what still runs, and waits for that.
    fn terminate_all(&mut self) -> io::Result<()> {
        for job in &mut self.running {
            job.terminate(self.clock.now());
        }
        while !self.running.is_empty() {
            let limit = self.running.iter().filter_map(Job::deadline).min();
            let most = limit.map(|limit| limit.saturating_sub(self.clock.now()));
            wait_ready(&self.poll_fds(), most)?;
            self.child_waker.drain();
            let mut at = 0;
            while self.next_exited(&mut at)?.is_some() {}
        }
        Ok(())
    }
}

/// Whether the system has no more of something that it may have again.
fn is_resource_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::MFILE | Errno::NFILE | Errno::AGAIN | Errno::NOMEM))
}
