//! The observers of a run: the reporter, the statistics, the timeline, and the counts of the live view.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalogue::message;
use crate::event::{Event, EventKind};
use crate::keeper::Observer;
use crate::report::{Reporter, StatsCollector, Timeline};
use crate::role::WorkerId;

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
    pub(super) workers: BTreeMap<WorkerId, WorkerProgress>,
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
            workers: workers.iter().map(|&worker| (worker, progress)).collect(),
            ready: 0,
            max_ready: 0,
        }
    }

    pub(super) fn progress_of(&self, worker: WorkerId) -> WorkerProgress {
        self.workers.get(&worker).copied().unwrap_or_default()
    }

    /// Counts a respawn of this worker that the kill schedule did not cause.
    pub(super) fn use_respawn(&mut self, worker: WorkerId) {
        let progress = self.workers.entry(worker).or_default();
        progress.respawns_left = progress.respawns_left.saturating_sub(1);
    }

    fn on_event(&mut self, event: Event<'_>) {
        match event.kind {
            EventKind::Put(batch) | EventKind::Requeued(batch) => self.ready += batch.count(),
            EventKind::Delivered(batch) => self.ready = self.ready.saturating_sub(batch.count()),
            EventKind::Cleared => self.ready = 0,
            _ => {}
        }
        self.max_ready = self.max_ready.max(self.ready);
        let Some(worker) = event.worker else { return };
        let progress = self.workers.entry(worker).or_default();
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

impl Observer for RunObserver {
    fn on_event(&mut self, event: Event<'_>) {
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
