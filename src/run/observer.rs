//! The observers of a run: the reporter, the statistics, the timeline, and the counts of the live view.

use std::collections::BTreeSet;

use super::config::{Config, Outputs};
use crate::catalogue::{log_lang, message};
use crate::clock::random_seed;
use crate::event::{Event, EventKind};
use crate::keeper::{Observer, Speed};
use crate::report::{Output, PictureFormat, Reporter, StatsCollector, Timeline, TracedRun};
use crate::role::{WorkerId, WorkerMap};

/// Passes every event of a run to all observers.
pub(super) struct RunObserver {
    pub(super) reporter: Reporter,
    pub(super) counts: RunCounts,
    pub(super) statistics: Option<StatsCollector>,
    pub(super) timeline: Option<Timeline>,
}

/// The counts of a run so far.
pub(super) struct RunCounts {
    pub(super) summary: RunSummary,
    pub(super) workers: WorkerMap<WorkerProgress>,
    ready: u64,
    pub(super) max_ready: u64,
}

/// The progress of a worker, with that of its earlier processes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WorkerProgress {
    /// Items that the worker has put or done.
    pub(super) finished_items: u64,
    /// Further respawns after deaths that the kill schedule did not cause.
    pub(super) respawns_left: u32,
    /// The last respawn has neither put nor done an item yet.
    pub(super) is_just_restarted: bool,
    /// The last process died.
    pub(super) is_dead: bool,
}

/// The result of a run so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RunSummary {
    /// Items that are done.
    pub(super) done: u64,
    /// Items in all.
    pub(super) items: u64,
    /// Deaths of workers.
    pub(super) worker_deaths: u64,
    /// Respawns of workers.
    pub(super) restarts: u64,
    /// Items that were delivered more than once.
    pub(super) redelivered: u64,
}

impl RunSummary {
    /// The notice at the end of a run in which workers died.
    pub(super) fn text(&self) -> String {
        message!(
            "run-summary",
            done = self.done,
            items = self.items,
            deaths = self.worker_deaths,
            restarts = self.restarts,
            redelivered = self.redelivered
        )
    }
}

impl RunCounts {
    /// The counts at the start of a run of `items` items.
    pub(super) fn new(items: u64, respawns: u32, workers: &BTreeSet<WorkerId>) -> Self {
        let progress = WorkerProgress { respawns_left: respawns, ..WorkerProgress::default() };
        Self {
            summary: RunSummary { items, ..RunSummary::default() },
            workers: WorkerMap::new(workers.iter().copied(), progress),
            ready: 0,
            max_ready: 0,
        }
    }

    pub(super) fn progress_of(&self, worker: WorkerId) -> WorkerProgress {
        self.workers.get(worker).copied().unwrap_or_default()
    }

    /// Counts a respawn of this worker that the kill schedule did not cause.
    pub(super) fn use_respawn(&mut self, worker: WorkerId) {
        if let Some(progress) = self.workers.get_mut(worker) {
            progress.respawns_left = progress.respawns_left.saturating_sub(1);
        }
    }

    fn on_event(&mut self, event: Event<'_>) {
        match event.kind {
            EventKind::Put(batch) | EventKind::Requeued(batch) => self.ready += batch.count(),
            EventKind::Delivered(batch) => self.ready = self.ready.saturating_sub(batch.count()),
            EventKind::Cleared => self.ready = 0,
            _ => {}
        }
        self.max_ready = self.max_ready.max(self.ready);
        let Some(progress) = event.worker.and_then(|worker| self.workers.get_mut(worker)) else {
            return;
        };
        match event.kind {
            EventKind::Put(batch) | EventKind::Done(batch) => {
                progress.finished_items += batch.count();
                progress.is_just_restarted = false;
                if let EventKind::Done(_) = event.kind {
                    self.summary.done += batch.count();
                }
            }
            // Each redelivered item counts once, however many attempts it has.
            EventKind::Delivered(batch) if batch.attempt == 2 => {
                self.summary.redelivered += batch.count();
            }
            EventKind::Died(_) => {
                progress.is_dead = true;
                self.summary.worker_deaths += 1;
            }
            EventKind::Restarted => {
                progress.is_dead = false;
                progress.is_just_restarted = true;
                self.summary.restarts += 1;
            }
            _ => {}
        }
    }
}

impl RunObserver {
    /// The observers of the run, and the seed of its random delays.
    pub(super) fn open(
        config: &Config,
        outputs: &Outputs,
        output: Output,
    ) -> anyhow::Result<(Self, u64)> {
        let reporter =
            Reporter::new(config.style, log_lang(), [config.producers, config.consumers], output);
        let reporter = reporter.with_trace(TracedRun {
            workers: [config.producers, config.consumers],
            capacity: config.capacity,
            items: config.items,
            item_name: &config.item_name,
        });
        let has_random_delays =
            config.producer_delay.is_random() || config.consumer_delay.is_random();
        // The same kills come again only in a run that does not depend on the speed of the machine.
        let random = has_random_delays || config.chaos.is_some() && config.is_paced();
        let seed = match config.seed {
            None if random => random_seed()?,
            seed => seed.unwrap_or_default(),
        };
        let is_repeatable = has_random_delays || config.speed == Speed::Max;
        if random && is_repeatable && config.seed.is_none() {
            reporter.print_notice(&message!("run-seed", seed = seed));
        }
        let statistics = config.warmup.map(|warmup| {
            StatsCollector::new(config.model_input(has_random_delays.then_some(seed)), warmup)
        });
        let ids = config.worker_ids();
        let timeline = outputs.picture.as_ref().map(|picture| {
            let capacity = Some(config.capacity).filter(|&capacity| capacity > 0);
            let timeline = Timeline::new(capacity, ids.iter().copied());
            match picture.path.format {
                PictureFormat::Svg => timeline,
                PictureFormat::Html => timeline.with_statistics(config.is_simulated),
            }
        });
        let counts = RunCounts::new(config.items, config.respawn, &ids);
        Ok((Self { reporter, counts, statistics, timeline }, seed))
    }
}

impl Observer for RunObserver {
    fn on_event(&mut self, event: Event<'_>) {
        if event.is_trace_only() {
            return self.reporter.on_event(event);
        }
        self.counts.on_event(event);
        if let Some(statistics) = &mut self.statistics {
            statistics.on_event(event);
        }
        if let Some(timeline) = &mut self.timeline {
            timeline.on_event(event);
        }
        self.reporter.on_event(event);
    }
}
