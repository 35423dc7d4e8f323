//! The parent of a run: keeps the queue, respawns dead workers, and prints the result.

use std::os::fd::AsFd;

use anyhow::Context;

use super::chaos::KillSchedule;
use super::children::ExitedWorker;
use super::config::Config;
use super::observer::RunObserver;
use super::private_dir::Workplace;
use super::result::RunEnd;
use super::view::{RedrawTimer, live_view};
use crate::catalogue::message;
use crate::clock::Clock;
use crate::event::{Event, EventKind};
use crate::keeper::{Keeper, Observer, PipeHost};
use crate::os::{Interest, Waker, signals};
use crate::role::{Role, WorkerId};

pub(super) struct Parent<'a> {
    pub(super) keeper: Keeper,
    pub(super) host: PipeHost<RunObserver>,
    pub(super) workplace: &'a Workplace,
    pub(super) clock: Clock,
    pub(super) config: &'a Config,
    /// The seed of random delays.
    pub(super) seed: u64,
    pub(super) kill_schedule: Option<KillSchedule>,
    pub(super) redraw_timer: RedrawTimer,
    /// The parent has closed the queue: producers stop.
    pub(super) is_stopping: bool,
}

impl Parent<'_> {
    /// Starts a worker or its respawn.
    pub(super) fn start_worker(&self, worker: WorkerId) -> anyhow::Result<()> {
        let skip = self.host.observer.counts.progress_of(worker).finished_items;
        let Workplace { workers, dir, .. } = self.workplace;
        let dir = dir.path();
        let args = self.config.worker_args(worker, self.seed, skip, &dir);
        workers.start(worker, &args, &dir).with_context(|| message!("command-no-worker"))
    }

    /// Keeps the queue until all workers have left.
    pub(super) fn run_loop(&mut self, wake_events: &Waker) -> anyhow::Result<()> {
        let mut interrupted = false;
        loop {
            self.prepare_paced_kill();
            let until = self.keeper.process_pending(self.clock.now(), &mut self.host)?;
            self.host.pipes.flush();
            self.kill_random_worker()?;
            self.host.observer.flush_output()?;
            self.redraw();
            if self.keeper.is_out_of_time() {
                // The time of the next event overflows: the workers would wait for ever.
                self.host.observer.invalidate_model();
                self.workplace.workers.shut_down();
                return Ok(());
            }
            if self.workplace.workers.is_empty() && self.host.pipes.has_no_clients() {
                return Ok(());
            }
            let is_paced = self.config.is_paced();
            let others = [
                self.kill_schedule
                    .as_ref()
                    .map(|schedule| schedule.next_kill)
                    .filter(|_| !is_paced),
                self.redraw_timer.next_redraw,
            ];
            let until = until.into_iter().chain(others.into_iter().flatten()).min();
            // The waker stays readable after the first signal, for writers that wait for a reader. The
            // parent must not wake for that signal again.
            let interest = if interrupted { Interest::Hangup } else { Interest::Read };
            let signal = &self.workplace.interrupt;
            let others =
                [(wake_events.as_fd(), Some(Interest::Read)), (signal.as_fd(), Some(interest))];
            let arrivals = self.host.pipes.wait(self.clock, until, &others)?;
            self.host.process_arrivals(&mut self.keeper, self.clock, &arrivals)?;
            if arrivals.others_ready[0] {
                wake_events.drain();
                let exited = self.workplace.workers.reap()?;
                self.handle_exited_workers(exited)?;
            }
            if signals::exit_signal().is_some() && !interrupted {
                interrupted = true;
                self.stop_producers();
                if self.keeper.queue().counts().in_flight > 0 {
                    self.host.observer.reporter.print_notice(&message!("run-shutdown"));
                }
            }
        }
    }

    /// Draws the live view, or schedules a redraw if the last one is too recent.
    fn redraw(&mut self) {
        let RunObserver { reporter, counts, .. } = &self.host.observer;
        if reporter.out.progress.is_enabled() && self.redraw_timer.poll_redraw(self.clock.now()) {
            reporter.draw_live_view(&live_view(&self.keeper, counts, self.config.capacity));
        }
    }

    fn handle_exited_workers(&mut self, exited: Vec<ExitedWorker>) -> anyhow::Result<()> {
        // A worker may have announced itself just before its death.
        self.host.read_inbox(&mut self.keeper, self.clock)?;
        for exited in exited {
            // The last requests of a dead worker count, and tell how many items a producer has put.
            if let Some(client) = self.keeper.client_of(exited.worker) {
                self.host.read_to_end(&mut self.keeper, self.clock, client)?;
            }
            // A worker that sent `bye` has left, whatever its exit code is.
            if self.keeper.is_worker_expected(exited.worker) {
                self.handle_lost_worker(&exited)?;
            }
        }
        // Without consumers the producers would wait for ever.
        if self.keeper.expected_count(Role::Consumer) == 0
            && self.keeper.expected_count(Role::Producer) > 0
        {
            self.stop_producers();
        }
        Ok(())
    }

    /// A worker exited without `bye`. Respawns the worker if the rules allow it and work is left.
    fn handle_lost_worker(&mut self, exited: &ExitedWorker) -> anyhow::Result<()> {
        let &ExitedWorker { worker, cause, was_killed_by_us } = exited;
        self.keeper.worker_exited(self.clock.now(), worker, cause, &mut self.host);
        let respawns_left = self.host.observer.counts.progress_of(worker).respawns_left;
        let may_respawn = cause.is_some() && (was_killed_by_us || respawns_left > 0);
        if !may_respawn || !self.has_work_for(worker) {
            self.keeper.give_up_worker(worker, &mut self.host);
            return Ok(());
        }
        self.start_worker(worker)?;
        if !was_killed_by_us {
            self.host.observer.counts.use_respawn(worker);
        }
        let restarted = Event::new(self.keeper.now(), EventKind::Restarted);
        self.host.observer.on_event(Event { worker: Some(worker), ..restarted });
        Ok(())
    }

    /// Whether this worker may have work left.
    fn has_work_for(&self, worker: WorkerId) -> bool {
        if self.is_stopping || signals::exit_signal().is_some() {
            return false;
        }
        let counts = self.keeper.queue().counts();
        match worker.role {
            Role::Producer => {
                self.host.observer.counts.progress_of(worker).finished_items
                    < self.config.producer_item_count(worker)
            }
            Role::Consumer | Role::Visitor => {
                self.keeper.expected_count(Role::Producer) > 0
                    || counts.ready + counts.in_flight > 0
            }
        }
    }

    /// Kills a worker if the kill schedule says so.
    fn kill_random_worker(&mut self) -> anyhow::Result<()> {
        let Some(mut schedule) = self.kill_schedule.take_if(|_| !self.is_stopping) else {
            return Ok(());
        };
        let is_paced = self.config.is_paced();
        let now = if is_paced { self.keeper.now() } else { self.clock.now() };
        // Of a worker that is not at rest nobody knows what it has written before its death.
        let may_kill = !is_paced || self.keeper.is_kill_due();
        let candidates = || if may_kill { self.kill_candidates() } else { Vec::new() };
        let victim = schedule.pick_victim(now, candidates);
        self.kill_schedule = Some(schedule);
        if let Some(worker) = victim {
            let killed = self.workplace.workers.kill_one(worker)?;
            self.handle_exited_workers(killed.into_iter().collect())?;
        }
        Ok(())
    }

    /// A respawn is safe until it has put or done an item, so that a run ends however often workers are killed.
    fn kill_candidates(&self) -> Vec<WorkerId> {
        let workers = self.host.observer.counts.workers.iter();
        let workers = workers.filter(|(_, progress)| !progress.is_just_restarted);
        let workers = workers.map(|(worker, _)| worker);
        workers.filter(|&w| self.keeper.is_worker_expected(w) && self.has_work_for(w)).collect()
    }

    /// Lets the keeper stop at the paced time of the next kill. Without a candidate time goes on: it would stop for
    /// each kill of a long delay.
    fn prepare_paced_kill(&mut self) {
        let schedule = self.kill_schedule.as_ref().filter(|_| self.config.is_paced());
        let next = schedule.map(|schedule| schedule.next_kill);
        self.keeper.set_next_kill(next.filter(|_| !self.kill_candidates().is_empty()));
    }

    /// Closes the queue and drops the ready items. Consumers finish their items in flight.
    fn stop_producers(&mut self) {
        self.is_stopping = true;
        self.kill_schedule = None;
        self.host.observer.invalidate_model();
        let dropped = self.keeper.queue().counts().ready;
        self.keeper.close_now(self.clock.now(), &mut self.host);
        if dropped > 0 {
            self.host.observer.on_event(Event::new(self.keeper.now(), EventKind::Cleared));
        }
    }

    /// How the run has ended. All workers have left or were given up.
    pub(super) fn run_end(&self) -> RunEnd {
        RunEnd {
            at: self.keeper.now(),
            is_out_of_time: self.keeper.is_out_of_time(),
            is_folder_removed: !self.host.pipes.inbox.is_linked().unwrap_or(false),
        }
    }
}
