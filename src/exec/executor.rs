//! The executor: gets items, starts commands, and reports outcomes.

mod halting;
mod leases;
mod renewer;
mod reporting;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitStatus;

use rustix::io::Errno;
use rustix::process::Signal;

use super::command::CommandTemplate;
use super::get_state::GetState;
use super::groups::ProcessGroups;
use super::guard::GuardProcess;
use super::halt::{Halt, HaltMode};
use super::job::{ItemTask, Job, JobContext};
use super::order::{EndedTry, ItemOrder};
use super::output::OutputStore;
use super::renewal::RenewalTimer;
use super::retries::RetryQueue;
use super::slots::Slots;
use super::tally::{ExecTotals, Tally};
use super::terminal::Terminal;
use super::{ExecConfig, ExecObserver, ItemsLeft, StopReason};
use crate::client::{Client, Error, Notification};
use crate::clock::{Clock, Nanos, nanos};
use crate::os::{Interest, Waker, signals, wait_ready};
use crate::queue::WaitReason;
use renewer::Renewer;

/// The executor requests no item while this many items wait for another try.
const MAX_RETRY_QUEUE_LEN: usize = 64;
/// The delay between two requests for the counts of the queue, for the progress bar.
const COUNTS_INTERVAL: Nanos = 500_000_000;

/// Runs the commands.
pub(crate) struct Executor<'a, W> {
    client: &'a mut Client,
    template: &'a CommandTemplate,
    config: ExecConfig,
    observer: &'a mut W,
    clock: Clock,
    guard: GuardProcess,
    groups: ProcessGroups,
    /// SIGCHLD wakes this waker.
    child_waker: Waker,
    /// A command may have ended or stopped since the last look at all commands.
    has_child_news: bool,
    running: Vec<Job>,
    store: OutputStore,
    /// The order of the items, if their output is printed in order.
    order: Option<ItemOrder>,
    /// Items that wait for another try.
    retry_queue: RetryQueue,
    slots: Slots,
    gets: GetState,
    renewals: RenewalTimer,
    halt: Halt,
    tally: Tally,
    /// When to request the counts of the queue; none while a request is pending.
    next_counts_at: Option<Nanos>,
    /// When to tell a person that the executor waits for an item.
    wait_notice_at: Option<Nanos>,
    /// Unprinted notices about stopped commands.
    stop_notices: Vec<String>,
}

impl<'a, W: ExecObserver> Executor<'a, W> {
    /// SIGCHLD must wake `child_waker`. With a terminal `config.jobs` must be 1.
    pub(crate) fn new(
        client: &'a mut Client,
        template: &'a CommandTemplate,
        config: ExecConfig,
        observer: &'a mut W,
        clock: Clock,
        child_waker: Waker,
        terminal: Option<Terminal>,
    ) -> io::Result<Self> {
        let renewals = RenewalTimer::new(client.lease());
        let halt = Halt::new(config.halt);
        Ok(Self {
            client,
            template,
            order: config.output.is_ordered.then(ItemOrder::default),
            store: OutputStore::default(),
            config,
            observer,
            clock,
            guard: GuardProcess::start()?,
            groups: ProcessGroups::new(terminal)?,
            child_waker,
            has_child_news: false,
            running: Vec::new(),
            retry_queue: RetryQueue::default(),
            slots: Slots::default(),
            gets: GetState::default(),
            renewals,
            halt,
            tally: Tally::default(),
            next_counts_at: Some(0),
            wait_notice_at: None,
            stop_notices: Vec::new(),
        })
    }

    /// Runs a command for each item until the queue ends. After an early stop no command runs any more, and the
    /// keeper can requeue the items in flight.
    pub(crate) fn run(mut self) -> Result<ExecTotals, StopReason> {
        let ran = self.run_loop();
        // The commands may take a while to end.
        self.report_interruption(&ran);
        // A command that has ended by itself needs no repetition, unless its output is lost.
        let reaped = match ran {
            Err(StopReason::Observer(_) | StopReason::Output(_)) => Ok(()),
            _ => self.reap_commands().and_then(|()| self.report_rest()),
        };
        let reaped = reaped.and_then(|()| Ok(self.client.flush()?));
        // Commands may still run after a stop at the first failure.
        let terminated = self.terminate_all();
        self.guard.release();
        ran.and(reaped)?;
        terminated?;
        // The keeper reports expired leases before it answers this query.
        self.client.size()?;
        self.retract_expired_outcomes()?;
        Ok(self.tally.totals())
    }

    /// Tells a person what Ctrl-C leaves undone. Other signals come from programs.
    fn report_interruption(&mut self, ran: &Result<(), StopReason>) {
        let ended_by_person = match ran {
            Err(StopReason::Queue(Error::Interrupted))
                if signals::exit_signal() == Some(Signal::INT.as_raw()) =>
            {
                0
            }
            // The command with the terminal is not in `running` any more.
            Err(StopReason::Interrupted(_)) => 1,
            _ => return,
        };
        let in_progress = (self.running.len() + self.retry_queue.len()) as u64 + ended_by_person;
        let ready = self.client.counts_at_the_end().map(|counts| counts.ready);
        self.observer.interrupted(ItemsLeft { in_progress, ready }, self.tally.totals());
    }

    fn run_loop(&mut self) -> Result<(), StopReason> {
        loop {
            self.halt_if_due()?;
            // Also while nothing starts: the end of a delay that is over would end each wait at once.
            self.slots.free_due(self.clock.now());
            let is_idle = self.running.is_empty() && self.retry_queue.is_empty();
            match self.halt.mode() {
                Some(HaltMode::Now) => return Ok(()),
                Some(HaltMode::Soon) if is_idle && !self.gets.is_pending() => return Ok(()),
                None if is_idle && self.gets.is_complete(self.config.max_items) => return Ok(()),
                _ => {}
            }
            if self.halt.mode().is_none() && !self.halt.is_waiting() {
                self.start_due_retries()?;
                self.request_items()?;
            }
            self.client.flush()?;
            self.cancel_if_idle(is_idle)?;
            self.renew_leases()?;
            self.watch_wait()?;
            self.wait_for_event()?;
            self.process_replies()?;
            self.reap_commands()?;
        }
    }

    /// Starts the due retries, as long as a job is free.
    fn start_due_retries(&mut self) -> Result<(), StopReason> {
        let now = self.clock.now();
        while self.available_jobs() > 0
            && let Some(task) =
                self.retry_queue.pop_due(now, |task| may_retry(self.order.as_ref(), task))
        {
            self.client.flush()?;
            self.start_command(task)?;
        }
        Ok(())
    }

    fn available_jobs(&self) -> usize {
        self.config.jobs.saturating_sub(self.slots.occupied())
    }

    /// Requests an item for each free job. The reports of ended commands go out in the same write, so that the
    /// keeper wakes once for both.
    fn request_items(&mut self) -> Result<(), Error> {
        let count = self.gets.requestable(self.available_jobs(), self.config.max_items);
        let is_full = self.order.as_ref().is_some_and(ItemOrder::is_full);
        if count > 0 && self.retry_queue.len() < MAX_RETRY_QUEUE_LEN && !is_full {
            self.client.request_items(count)?;
            self.gets.request_sent();
        }
        Ok(())
    }

    /// Cancels the pending get after the idle time. The keeper may still answer with an item.
    fn cancel_if_idle(&mut self, is_idle: bool) -> Result<(), Error> {
        let now = self.clock.now();
        self.gets.set_idle(is_idle, now);
        if self.idle_deadline().is_some_and(|at| at <= now) {
            self.client.cancel()?;
            self.gets.cancel_sent();
        }
        Ok(())
    }

    /// Tells a person if the executor waits for an item for long.
    fn watch_wait(&mut self) -> Result<(), Error> {
        let now = self.clock.now();
        self.wait_notice_at = match self.gets.waiting_time(now) {
            Some(waited) => self.client.watch_wait(WaitReason::Item, waited)?,
            None => None,
        };
        self.wait_notice_at = self.wait_notice_at.map(|left| now.saturating_add(left));
        Ok(())
    }

    fn idle_deadline(&self) -> Option<Nanos> {
        self.gets.idle_deadline(self.config.idle_timeout)
    }

    fn start_command(&mut self, task: ItemTask) -> Result<(), StopReason> {
        let mut groups = self.groups.lock_and_extend(&mut self.running);
        let now = self.clock.now();
        let slot = self.slots.take();
        let context = JobContext {
            template: self.template,
            env: &[("QDEMO_QUEUE", self.config.queue_name.as_str()), self.guard.env_entry()],
            limit: self.config.command_timeout.map(nanos),
            terminal: groups.terminal(),
            store: &self.store,
            output: self.config.output,
        };
        match Job::start(&context, task, slot, now) {
            Ok(job) => {
                if let Some(group) = job.process_group() {
                    groups.add(group);
                    self.guard.add_group(group);
                }
                drop(groups);
                self.running.push(job);
                self.announce_start(now)
            }
            Err((task, error)) => {
                drop(groups);
                self.slots.free(slot);
                self.handle_spawn_error(task, error, now)
            }
        }
    }

    /// Tells the observer of the command that has started last.
    fn announce_start(&mut self, now: Nanos) -> Result<(), StopReason> {
        let held = self.held_items(None);
        let mut renewer = Renewer::new(self.client, &mut self.renewals, self.clock, held);
        let Some(job) = self.running.last() else { return Ok(()) };
        let told = self.observer.command_started(&job.task, now, &mut || renewer.renew_if_due());
        told.map_err(StopReason::Observer)
    }

    fn handle_spawn_error(
        &mut self,
        task: ItemTask,
        error: io::Error,
        now: Nanos,
    ) -> Result<(), StopReason> {
        if let Some(error) = self.template.classify_spawn_error(&error) {
            return Err(error.into());
        }
        let kind = error.kind();
        if matches!(kind, io::ErrorKind::ArgumentListTooLong | io::ErrorKind::InvalidInput) {
            return self.report_in_order(EndedTry::NoArgument(task));
        }
        if !is_resource_shortage(&error) || self.running.is_empty() {
            return Err(error.into());
        }
        // The system permits no more concurrent commands than run now.
        self.config.jobs = self.running.len();
        self.retry_queue.defer(now, task);
        Ok(())
    }

    fn wait_for_event(&mut self) -> Result<(), Error> {
        let may_retry = |task: &ItemTask| may_retry(self.order.as_ref(), task);
        let retry = self.retry_queue.next_due(may_retry).filter(|_| self.available_jobs() > 0);
        let deadlines = self.running.iter().filter_map(Job::deadline);
        let others = retry.into_iter().chain(self.next_counts_at).chain(self.idle_deadline());
        let others = others.chain(self.wait_notice_at).chain(self.renewal_deadline());
        let next = deadlines.chain(self.slots.next_free_at()).chain(others).min();
        let timeout = next.map(|next| next.saturating_sub(self.clock.now()));
        if self.client.wait_for_keeper_or(&self.poll_fds(), timeout)? {
            self.client.reconnect()?;
        }
        Ok(())
    }

    /// The pipes that show a command's death or output.
    fn poll_fds(&self) -> Vec<(BorrowedFd<'_>, Interest)> {
        let outputs = self.running.iter().flat_map(Job::output_fds);
        let pipes = [self.child_waker.as_fd()].into_iter().chain(outputs);
        pipes.map(|pipe| (pipe, Interest::Read)).collect()
    }

    fn process_replies(&mut self) -> Result<(), StopReason> {
        loop {
            match self.client.poll_notification() {
                Err(Error::Empty) => self.gets.ended(),
                other => match other? {
                    Some(notification) => self.process_notification(notification)?,
                    None => break,
                },
            }
        }
        self.retract_expired_outcomes()?;
        if self.next_counts_at.is_some_and(|at| at <= self.clock.now()) {
            self.next_counts_at = None;
            if self.observer.wants_counts() {
                self.client.request_counts()?;
            }
        }
        Ok(())
    }

    fn process_notification(&mut self, notification: Notification) -> Result<(), StopReason> {
        match notification {
            Notification::Delivered(batch) => {
                self.client.end_wait();
                let mut batch = batch.into_batch();
                self.gets.items_received(batch.count());
                if self.halt.mode().is_some() {
                    self.client.requeue_ref(batch.batch_ref())?;
                    return Ok(self.client.flush()?);
                }
                while batch.count() > 0 {
                    let position = self.order.as_mut().map_or(0, ItemOrder::take_position);
                    let task = ItemTask::new(batch.split_to(1), position);
                    if self.available_jobs() > 0 {
                        self.start_command(task)?;
                    } else {
                        // A retry has taken the job since the request for this item.
                        self.retry_queue.defer(self.clock.now(), task);
                    }
                }
            }
            Notification::Ended => self.gets.ended(),
            Notification::AttemptReply(has_begun) => {
                if let Some(task) = self.retry_queue.confirm_attempt(has_begun) {
                    self.observer.came_too_late(task.id(), self.client.has_lease());
                    self.give_up_position(&task)?;
                }
            }
            Notification::Counts(counts) => {
                self.observer.counts_received(counts, self.tally.totals());
                self.halt_if_share_is_reached(counts)?;
                self.next_counts_at = Some(self.clock.now() + COUNTS_INTERVAL);
            }
        }
        Ok(())
    }

    fn reap_commands(&mut self) -> Result<(), StopReason> {
        self.has_child_news |= self.child_waker.drain();
        // Not under the lock of the groups: the reader of the output may be slow.
        let held = self.held_items(None);
        let mut renewer = Renewer::new(self.client, &mut self.renewals, self.clock, held);
        for job in &mut self.running {
            job.read_output(self.observer, &mut || renewer.renew_if_due())?;
        }
        let mut at = 0;
        while let Some((mut job, status)) = self.next_exited(&mut at)? {
            let held = self.held_items(Some(&job.task));
            let mut renewer = Renewer::new(self.client, &mut self.renewals, self.clock, held);
            job.read_rest(self.observer, &mut || renewer.renew_if_due())?;
            let outcome = job.into_outcome(status, self.clock.now(), &self.store);
            self.finish_item(outcome.map_err(StopReason::Output)?)?;
        }
        self.has_child_news = false;
        for notice in self.stop_notices.drain(..) {
            self.observer.notice(&notice);
        }
        Ok(())
    }

    /// Removes the next ended command, from index `at` on. The commands before it have their deadlines enforced.
    fn next_exited(&mut self, at: &mut usize) -> io::Result<Option<(Job, ExitStatus)>> {
        let mut groups = self.groups.lock_and_extend(&mut self.running);
        while let Some(job) = self.running.get_mut(*at) {
            if self.has_child_news
                && let Some(status) = job.try_wait()?
            {
                // `remove` keeps the order of the other commands.
                let job = self.running.remove(*at);
                if let Some(group) = job.process_group() {
                    groups.remove(group, job.is_voluntary_exit(status));
                    self.guard.remove_group(group);
                }
                return Ok(Some((job, status)));
            }
            if self.has_child_news {
                self.stop_notices.extend(groups.check_stopped(job));
            }
            job.enforce_deadline(self.clock.now());
            *at += 1;
        }
        Ok(None)
    }

    fn schedule_retry(&mut self, mut task: ItemTask, ended_at: Nanos) -> Result<(), Error> {
        let delay = self.config.backoff.sample(task.command_failures);
        task.command_failures += 1;
        self.client.begin_attempt(task.id(), task.batch.attempt.saturating_add(1))?;
        self.retry_queue.push_pending(ended_at.saturating_add(delay), task);
        Ok(())
    }

    /// Terminates the running commands, and waits for their ends. Nobody else gets an item whose command still runs. Where the
    /// queue takes no more requests, the items go back when this consumer leaves.
    fn terminate_all(&mut self) -> io::Result<()> {
        for job in &mut self.running {
            job.terminate(self.clock.now());
        }
        while !self.running.is_empty() {
            self.running.iter_mut().for_each(Job::discard_output);
            let _ = self.renew_leases();
            let deadlines = self.running.iter().filter_map(Job::deadline);
            let deadline = deadlines.chain(self.renewals.deadline()).min();
            let timeout = deadline.map(|deadline| deadline.saturating_sub(self.clock.now()));
            wait_ready(&self.poll_fds(), timeout)?;
            self.has_child_news |= self.child_waker.drain();
            let mut at = 0;
            while let Some((job, _)) = self.next_exited(&mut at)? {
                if !job.task.is_lease_expired {
                    let _ = self.client.requeue_ref(job.task.batch.batch_ref());
                }
            }
            let _ = self.client.flush();
            self.has_child_news = false;
        }
        Ok(())
    }
}

/// Whether the command may be tried again, as far as the order of the output goes.
fn may_retry(order: Option<&ItemOrder>, task: &ItemTask) -> bool {
    order.is_none_or(|order| order.may_retry(task.position))
}

/// Whether the system lacks a resource that may become available again.
fn is_resource_shortage(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::AGAIN | Errno::NOMEM))
}
