//! The parent of a run: keeps the queue, replaces workers that die, and tells how it went.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::Context;

use super::chaos::KillSchedule;
use super::children::{ExitedWorker, Workers};
use super::config::Config;
use super::observer::{RunReporter, WorkerProgress};
use super::outputs::Outputs;
use super::view::{RedrawTimer, live_view};
use crate::clock::Clock;
use crate::exit::ExitCode;
use crate::keeper::{Keeper, PipeHost};
use crate::os::{Interest, Waker, signals};
use crate::report::StdoutError;
use crate::role::{Role, WorkerId};

/// The parent of a run.
pub(super) struct Parent<'a> {
    pub(super) keeper: Keeper,
    pub(super) host: PipeHost<RunReporter>,
    pub(super) workers: &'a Workers,
    pub(super) clock: Clock,
    /// Where the queue lies.
    pub(super) base_dir: &'a Path,
    pub(super) config: &'a Config,
    /// What random pauses are drawn from.
    pub(super) seed: u64,
    pub(super) kill_schedule: Option<KillSchedule>,
    pub(super) redraw_timer: RedrawTimer,
    pub(super) outputs: &'a mut Outputs,
    /// Producers have been told to stop.
    pub(super) is_stopping: bool,
}

impl Parent<'_> {
    /// Starts a worker, or another one in its place.
    pub(super) fn start_worker(&self, worker: WorkerId) -> anyhow::Result<()> {
        let skip = self.host.observer.progress_of(worker).finished_items;
        let args = self.config.worker_args(worker, self.seed, skip);
        self.workers.start(worker, &args, self.base_dir).context("cannot start a worker process")
    }

    /// Keeps the queue until all workers have left.
    pub(super) fn run_loop(&mut self, [deaths, signal]: [&Waker; 2]) -> anyhow::Result<()> {
        let mut interrupted = false;
        loop {
            let until = self.keeper.process_pending(self.clock.now(), &mut self.host)?;
            self.host.pipes.flush();
            self.flush_output()?;
            self.redraw();
            if self.keeper.is_out_of_time() {
                self.abort_out_of_time();
                return Ok(());
            }
            if self.workers.is_empty() && self.host.pipes.has_no_mailboxes() {
                return Ok(());
            }
            let others = [
                self.kill_schedule.as_ref().map(KillSchedule::next_kill),
                self.redraw_timer.next_redraw(),
            ];
            let until = until.into_iter().chain(others.into_iter().flatten()).min();
            // The first signal stays to be seen, by whoever waits for a reader too; here it is known.
            let news = if interrupted { Interest::Hangup } else { Interest::Read };
            let others = [(deaths.as_fd(), Interest::Read), (signal.as_fd(), news)];
            let arrivals = self.host.pipes.wait(self.clock, until, &others)?;
            self.host.process_arrivals(&mut self.keeper, self.clock, &arrivals)?;
            if arrivals.others_ready[0] {
                deaths.drain();
                self.reap_workers()?;
            }
            if signals::exit_signal().is_some() && !interrupted {
                interrupted = true;
                self.stop_producers();
                if self.keeper.counts().in_flight > 0 {
                    self.host.observer.reporter.print_notice(self.config.lang.shutdown_notice());
                }
            }
            self.kill_random_worker();
        }
    }

    /// Draws everything as it is now, unless that was done a moment ago: then a moment later.
    fn redraw(&mut self) {
        let is_shown = self.host.observer.reporter.progress().is_enabled();
        if is_shown && self.redraw_timer.poll_redraw(self.clock.now()) {
            let scene = live_view(&self.keeper, &self.host.observer, self.config.capacity);
            self.host.observer.reporter.draw_live_view(&scene);
        }
    }

    fn flush_output(&mut self) -> anyhow::Result<()> {
        match self.host.observer.reporter.flush() {
            // Nobody reads on, but leaving must not wait for that.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            other => other.map_err(|error| StdoutError(error).into()),
        }
    }

    fn reap_workers(&mut self) -> anyhow::Result<()> {
        let exited = self.workers.reap()?;
        // What they wrote before their end counts; how far a producer came is known only then.
        self.host.read_pending(&mut self.keeper, self.clock)?;
        for exited in exited {
            // Whoever said goodbye has left, however its process ended then.
            if self.keeper.is_worker_expected(exited.worker) {
                self.handle_lost_worker(&exited)?;
            }
        }
        // Nobody is there to get anything any more: producers must not wait for ever.
        if self.keeper.expected_count(Role::Consumer) == 0
            && self.keeper.expected_count(Role::Producer) > 0
        {
            self.stop_producers();
        }
        Ok(())
    }

    /// A worker has gone without a word: another takes its place, if it may and is of any use.
    fn handle_lost_worker(&mut self, exited: &ExitedWorker) -> anyhow::Result<()> {
        let &ExitedWorker { worker, cause: death, was_killed_by_us: struck } = exited;
        self.keeper.worker_exited(self.clock.now(), worker, death, &mut self.host);
        let place = self.host.observer.progress_of(worker);
        if death.is_none() || !self.has_work_for(worker) || !(struck || place.respawns_left > 0) {
            self.keeper.give_up_worker(worker);
            return Ok(());
        }
        let respawns = place.respawns_left - u32::from(!struck);
        self.start_worker(worker)?;
        let watch = &mut self.host.observer;
        watch.worker_progress.insert(
            worker,
            WorkerProgress {
                respawns_left: respawns,
                is_just_restarted: true,
                is_dead: false,
                ..place
            },
        );
        watch.run_summary.restarts += 1;
        watch.restarted(self.keeper.now(), worker);
        Ok(())
    }

    /// Whether there may still be something to do for this worker.
    fn has_work_for(&self, worker: WorkerId) -> bool {
        if self.is_stopping || signals::exit_signal().is_some() {
            return false;
        }
        let counts = self.keeper.counts();
        match worker.role {
            Role::Producer => {
                self.host.observer.progress_of(worker).finished_items
                    < self.config.producer_item_count(worker)
            }
            Role::Consumer | Role::Visitor => {
                self.keeper.expected_count(Role::Producer) > 0
                    || counts.ready + counts.in_flight > 0
            }
        }
    }

    /// Kills somebody, if that is wanted now. Whoever has just taken the place of another is spared
    /// until it has put an item, or has done one: so everything gets done some time, however often
    /// somebody is killed.
    fn kill_random_worker(&mut self) {
        let Some(mut chaos) = self.kill_schedule.take_if(|_| !self.is_stopping) else {
            return;
        };
        let candidates = || {
            let places = self
                .host
                .observer
                .worker_progress
                .iter()
                .filter(|(_, place)| !place.is_just_restarted);
            let workers = places.map(|(&worker, _)| worker);
            workers.filter(|&w| self.keeper.is_worker_expected(w) && self.has_work_for(w)).collect()
        };
        if let Some(worker) = chaos.pick_victim(self.clock.now(), candidates) {
            self.workers.kill_one(worker);
        }
        self.kill_schedule = Some(chaos);
    }

    /// Producers stop, consumers finish what they hold.
    fn stop_producers(&mut self) {
        self.is_stopping = true;
        self.kill_schedule = None;
        if let Some(statistics) = &mut self.host.observer.statistics {
            statistics.invalidate_model();
        }
        let dropped = self.keeper.counts().ready;
        self.keeper.close_now(self.clock.now(), &mut self.host);
        if dropped > 0 {
            self.host.observer.cleared(self.keeper.now());
        }
    }

    /// The next event is later than can be counted: the run ends as it is now. Workers would wait for
    /// their next event for ever.
    fn abort_out_of_time(&mut self) {
        if let Some(statistics) = &mut self.host.observer.statistics {
            statistics.invalidate_model();
        }
        self.workers.shut_down();
    }

    /// The run is over: prints the statistics, where they are wanted.
    fn print_statistics(&mut self) -> anyhow::Result<()> {
        let end = self.keeper.now();
        let RunReporter { reporter, statistics, .. } = &mut self.host.observer;
        let Some(statistics) = statistics.take() else {
            return Ok(());
        };
        self.outputs.statistics.write_summary(
            &statistics.into_summary(end),
            self.config.lang,
            reporter,
        )
    }

    /// The run is over: draws the picture, if one is wanted.
    fn write_timeline(&mut self) -> anyhow::Result<()> {
        let end = self.keeper.now();
        match (&mut self.host.observer.timeline, self.outputs.picture.as_mut()) {
            (Some(timeline), Some(picture)) => {
                picture.write(&timeline.render(end, self.config.lang, picture.format()))
            }
            _ => Ok(()),
        }
    }

    /// Tells how it went.
    pub(super) fn print_result(&mut self) -> anyhow::Result<ExitCode> {
        if signals::has_second_signal() {
            // Everybody has been killed: how it went is nothing that anybody waits for.
            return Ok(ExitCode::Done);
        }
        self.host.observer.reporter.report_end(self.keeper.now());
        self.flush_output()?;
        self.host.observer.reporter.progress().clear();
        self.write_timeline()?;
        self.print_statistics()?;
        let RunReporter { reporter, run_summary: summary, .. } = &self.host.observer;
        if summary.worker_deaths > 0 {
            reporter.print_notice(&self.config.lang.run_summary(*summary));
        }
        let not_done = summary.items.saturating_sub(summary.done);
        if signals::exit_signal().is_some() {
            if not_done > 0 {
                reporter.print_notice(&self.config.lang.interrupted_notice(not_done));
            }
            return Ok(ExitCode::Done);
        }
        let of = summary.items;
        if self.keeper.is_out_of_time() {
            let items = match not_done {
                0 => format!("all {of} items were done by then, and a pause was not over"),
                _ => format!("{not_done} of {of} items were not done by then"),
            };
            anyhow::bail!(
                "the simulated time has reached 584 years, the most that can be counted: {items}; take \
                 shorter delays or fewer items"
            );
        }
        if not_done == 0 {
            return Ok(ExitCode::Done);
        }
        let why = match self.host.pipes.has_linked_inbox().unwrap_or(false) {
            true => "",
            false => {
                ", and none could take their place: the run's folder in the temporary folder has been \
                 removed meanwhile; keep cleaners away from qdemo-run.*, or set TMPDIR"
            }
        };
        anyhow::bail!("{not_done} of {of} items were not done, since workers have died{why}");
    }
}
