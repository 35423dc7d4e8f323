//! The parent of a run: keeps the queue, replaces workers that die, and tells how it went.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::Context;

use super::chaos::Chaos;
use super::children::{Crew, Departed};
use super::config::Config;
use super::observer::{Place, Show};
use super::outputs::Outputs;
use super::view::{View, scene};
use crate::clock::Clock;
use crate::exit::ExitCode;
use crate::keeper::{Keeper, Office};
use crate::os::{Ready, Waker, signals};
use crate::report::StdoutFailed;
use crate::role::{Role, Worker};

/// The parent of a run.
pub(super) struct Parent<'a> {
    pub(super) keeper: Keeper,
    pub(super) host: Office<Show>,
    pub(super) crew: &'a Crew,
    pub(super) clock: Clock,
    /// Where the queue lies.
    pub(super) base: &'a Path,
    pub(super) config: &'a Config,
    /// What random pauses are drawn from.
    pub(super) seed: u64,
    pub(super) chaos: Option<Chaos>,
    pub(super) view: View,
    pub(super) outputs: &'a mut Outputs,
    /// Producers have been told to stop.
    pub(super) stopped: bool,
}

impl Parent<'_> {
    /// Starts a worker, or another one in its place.
    pub(super) fn start(&self, worker: Worker) -> anyhow::Result<()> {
        let skip = self.host.watch.place(worker).past;
        let args = self.config.worker_args(worker, self.seed, skip);
        self.crew.start(worker, &args, self.base).context("cannot start a worker process")
    }

    /// Keeps the queue until all workers have left.
    pub(super) fn keep(&mut self, [deaths, signal]: [&Waker; 2]) -> anyhow::Result<()> {
        let mut interrupted = false;
        loop {
            let until = self.keeper.turn(self.clock.now(), &mut self.host)?;
            self.host.post.flush();
            self.print()?;
            self.show();
            if self.keeper.is_out_of_time() {
                self.stop_the_clock();
                return Ok(());
            }
            if self.crew.is_empty() && self.host.post.is_quiet() {
                return Ok(());
            }
            let others = [self.chaos.as_ref().map(Chaos::due), self.view.due()];
            let until = until.into_iter().chain(others.into_iter().flatten()).min();
            // The first signal stays to be seen, by whoever waits for a reader too; here it is known.
            let news = if interrupted { Ready::Death } else { Ready::Read };
            let others = [(deaths.as_fd(), Ready::Read), (signal.as_fd(), news)];
            let arrivals = self.host.post.wait(self.clock, until, &others)?;
            self.host.take_in(&mut self.keeper, self.clock, &arrivals)?;
            if arrivals.others[0] {
                deaths.clear();
                self.look_after_crew()?;
            }
            if signals::caught().is_some() && !interrupted {
                interrupted = true;
                self.stop();
                if self.keeper.census().out > 0 {
                    self.host.watch.reporter.notice(self.config.lang.finishing());
                }
            }
            self.wreak_havoc();
        }
    }

    /// Draws everything as it is now, unless that was done a moment ago: then a moment later.
    fn show(&mut self) {
        let is_shown = self.host.watch.reporter.progress().is_shown();
        if is_shown && self.view.is_due(self.clock.now()) {
            let scene = scene(&self.keeper, &self.host.watch, self.config.capacity);
            self.host.watch.reporter.draw(&scene);
        }
    }

    fn print(&mut self) -> anyhow::Result<()> {
        match self.host.watch.reporter.flush() {
            // Nobody reads on, but leaving must not wait for that.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            other => other.map_err(|error| StdoutFailed(error).into()),
        }
    }

    fn look_after_crew(&mut self) -> anyhow::Result<()> {
        let departed = self.crew.reap()?;
        // What they wrote before their end counts; how far a producer came is known only then.
        self.host.take_in_all(&mut self.keeper, self.clock)?;
        for departed in departed {
            // Whoever said goodbye has left, however its process ended then.
            if self.keeper.expects(departed.worker) {
                self.miss(&departed)?;
            }
        }
        // Nobody is there to get anything any more: producers must not wait for ever.
        if self.keeper.expected(Role::Consumer) == 0 && self.keeper.expected(Role::Producer) > 0 {
            self.stop();
        }
        Ok(())
    }

    /// A worker has gone without a word: another takes its place, if it may and is of any use.
    fn miss(&mut self, departed: &Departed) -> anyhow::Result<()> {
        let &Departed { worker, death, struck } = departed;
        self.keeper.worker_gone(self.clock.now(), worker, death, &mut self.host);
        let place = self.host.watch.place(worker);
        if death.is_none() || !self.needs(worker) || !(struck || place.respawns > 0) {
            self.keeper.will_not_come(worker);
            return Ok(());
        }
        let respawns = place.respawns - u32::from(!struck);
        self.start(worker)?;
        let watch = &mut self.host.watch;
        watch.places.insert(worker, Place { respawns, fresh: true, dead: false, ..place });
        watch.toll.replaced += 1;
        watch.restarted(self.keeper.now(), worker);
        Ok(())
    }

    /// Whether there may still be something to do for this worker.
    fn needs(&self, worker: Worker) -> bool {
        if self.stopped || signals::caught().is_some() {
            return false;
        }
        let census = self.keeper.census();
        match worker.role {
            Role::Producer => self.host.watch.place(worker).past < self.config.share(worker),
            Role::Consumer | Role::Visitor => {
                self.keeper.expected(Role::Producer) > 0 || census.in_line + census.out > 0
            }
        }
    }

    /// Kills somebody, if that is wanted now. Whoever has just taken the place of another is spared
    /// until it has put an item, or has done one: so everything gets done some time, however often
    /// somebody is killed.
    fn wreak_havoc(&mut self) {
        let Some(mut chaos) = self.chaos.take_if(|_| !self.stopped) else {
            return;
        };
        let candidates = || {
            let places = self.host.watch.places.iter().filter(|(_, place)| !place.fresh);
            let workers = places.map(|(&worker, _)| worker);
            workers.filter(|&w| self.keeper.expects(w) && self.needs(w)).collect()
        };
        if let Some(worker) = chaos.pick(self.clock.now(), candidates) {
            self.crew.strike(worker);
        }
        self.chaos = Some(chaos);
    }

    /// Producers stop, consumers finish what they hold.
    fn stop(&mut self) {
        self.stopped = true;
        self.chaos = None;
        if let Some(statistics) = &mut self.host.watch.statistics {
            statistics.disturb();
        }
        let dropped = self.keeper.census().in_line;
        self.keeper.close_now(self.clock.now(), &mut self.host);
        if dropped > 0 {
            self.host.watch.cleared(self.keeper.now());
        }
    }

    /// The next event is later than can be counted: the run ends as it is now. Workers would wait for
    /// their next event for ever.
    fn stop_the_clock(&mut self) {
        if let Some(statistics) = &mut self.host.watch.statistics {
            statistics.disturb();
        }
        self.crew.kill();
    }

    /// The run is over: prints the statistics, where they are wanted.
    fn tell_statistics(&mut self) -> anyhow::Result<()> {
        let end = self.keeper.now();
        let Show { reporter, statistics, .. } = &mut self.host.watch;
        let Some(statistics) = statistics.take() else {
            return Ok(());
        };
        self.outputs.statistics.write(&statistics.summary(end), self.config.lang, reporter)
    }

    /// The run is over: draws the picture, if one is wanted.
    fn draw(&mut self) -> anyhow::Result<()> {
        let end = self.keeper.now();
        match (&mut self.host.watch.timeline, self.outputs.picture.as_mut()) {
            (Some(timeline), Some(picture)) => {
                picture.write(&timeline.picture(end, self.config.lang, picture.form()))
            }
            _ => Ok(()),
        }
    }

    /// Tells how it went.
    pub(super) fn finish(&mut self) -> anyhow::Result<ExitCode> {
        if signals::caught_twice() {
            // Everybody has been killed: how it went is nothing that anybody waits for.
            return Ok(ExitCode::Done);
        }
        self.host.watch.reporter.end(self.keeper.now());
        self.print()?;
        self.host.watch.reporter.progress().clear();
        self.draw()?;
        self.tell_statistics()?;
        let Show { reporter, toll, .. } = &self.host.watch;
        if toll.died > 0 {
            reporter.notice(&self.config.lang.toll(*toll));
        }
        let not_done = toll.items.saturating_sub(toll.done);
        if signals::caught().is_some() {
            if not_done > 0 {
                reporter.notice(&self.config.lang.interrupted(not_done));
            }
            return Ok(ExitCode::Done);
        }
        let of = toll.items;
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
        let why = match self.host.post.can_be_found().unwrap_or(false) {
            true => "",
            false => {
                ", and none could take their place: the run's folder in the temporary folder has been \
                 removed meanwhile; keep cleaners away from qdemo-run.*, or set TMPDIR"
            }
        };
        anyhow::bail!("{not_done} of {of} items were not done, since workers have died{why}");
    }
}
