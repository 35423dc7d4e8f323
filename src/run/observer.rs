//! What the parent of a run does with every event: it shows it, and counts.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;

use crate::clock::{Nanos, ProcessBirth};
use crate::journal::Record;
use crate::keeper::{Event, EventKind, Observer};
use crate::report::{EventName, Reporter, RunEvent, RunSummary, StatsCollector, Timeline};
use crate::role::WorkerId;

/// Shows every event, and counts.
pub(super) struct RunReporter {
    pub(super) reporter: Reporter,
    pub(super) run_summary: RunSummary,
    pub(super) worker_progress: BTreeMap<WorkerId, WorkerProgress>,
    pub(super) statistics: Option<StatsCollector>,
    pub(super) timeline: Option<Timeline>,
    /// How many items are in line.
    ready_count: u64,
    /// And were at most.
    pub(super) max_ready_count: u64,
}

/// The place of a worker, which several processes may take one after another.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WorkerProgress {
    /// How many items were put from here, or done.
    pub(super) finished_items: u64,
    /// How many more may die here of something else than chaos, and be replaced.
    pub(super) respawns_left: u32,
    /// Another has just taken it, and has neither put nor done anything yet.
    pub(super) is_just_restarted: bool,
    /// Whoever was here has died.
    pub(super) is_dead: bool,
}

impl RunReporter {
    /// Of a run with these `workers` and so many items.
    pub(super) fn new(
        reporter: Reporter,
        items: u64,
        respawns: u32,
        workers: &BTreeSet<WorkerId>,
        statistics: Option<StatsCollector>,
        timeline: Option<Timeline>,
    ) -> Self {
        let place = WorkerProgress { respawns_left: respawns, ..WorkerProgress::default() };
        let places = workers.iter().map(|&worker| (worker, place)).collect();
        let summary = RunSummary { items, ..RunSummary::default() };
        Self {
            reporter,
            run_summary: summary,
            worker_progress: places,
            statistics,
            timeline,
            ready_count: 0,
            max_ready_count: 0,
        }
    }

    /// Another takes this worker's place.
    pub(super) fn restarted(&mut self, at: Nanos, worker: WorkerId) {
        self.record_event(&RunEvent {
            at,
            name: EventName::Restart,
            worker,
            batch: None,
            waited: 0,
        });
        self.reporter.worker_restarted(at, worker);
    }

    /// What was in line has been dropped.
    pub(super) fn cleared(&mut self, at: Nanos) {
        self.ready_count = 0;
        self.reporter.ready_items_dropped(at);
        if let Some(statistics) = &mut self.statistics {
            statistics.record_clear(at);
        }
        if let Some(timeline) = &mut self.timeline {
            timeline.record_clear(at);
        }
    }

    /// Statistics and the picture take it in.
    fn record_event(&mut self, event: &RunEvent<'_>) {
        if let Some(statistics) = &mut self.statistics {
            statistics.record(event);
        }
        if let Some(timeline) = &mut self.timeline {
            timeline.record(event);
        }
    }

    pub(super) fn progress_of(&self, worker: WorkerId) -> WorkerProgress {
        self.worker_progress.get(&worker).copied().unwrap_or_default()
    }

    fn update_counts(&mut self, worker: WorkerId, what: &EventKind<'_>) {
        match what {
            EventKind::Put(batch, _) | EventKind::Requeued(batch) => {
                self.ready_count += batch.count()
            }
            EventKind::Delivered(batch, _) => {
                self.ready_count = self.ready_count.saturating_sub(batch.count())
            }
            _ => {}
        }
        self.max_ready_count = self.max_ready_count.max(self.ready_count);
        let place = self.worker_progress.entry(worker).or_default();
        match what {
            EventKind::Put(batch, _) => {
                place.finished_items += batch.count();
                place.is_just_restarted = false;
            }
            // Once is enough to be counted.
            EventKind::Delivered(batch, _) if batch.attempt == 2 => {
                self.run_summary.redelivered += batch.count()
            }
            EventKind::Done(batch) => {
                self.run_summary.done += batch.count();
                place.finished_items += batch.count();
                place.is_just_restarted = false;
            }
            EventKind::Died(..) => {
                place.is_dead = true;
                self.run_summary.worker_deaths += 1;
                if let Some(statistics) = &mut self.statistics {
                    statistics.invalidate_model();
                }
            }
            EventKind::Delivered(..) | EventKind::Requeued(_) | EventKind::Left(_) => {}
        }
    }
}

impl Observer for RunReporter {
    fn record_end(&mut self) -> io::Result<ProcessBirth> {
        Ok(ProcessBirth::now())
    }

    /// A run is not remembered.
    fn append_record(&mut self, _: &Record<'_>) {}

    fn on_event(&mut self, event: Event<'_>) {
        let Some(worker) = event.worker else {
            return;
        };
        self.update_counts(worker, &event.kind);
        let at = event.at;
        let (kind, batch, waited) = match event.kind {
            EventKind::Put(batch, waited) => (EventName::Put, Some(batch), Some(waited)),
            EventKind::Delivered(batch, waited) => {
                (EventName::Delivered, Some(batch), Some(waited))
            }
            EventKind::Done(batch) => (EventName::Done, Some(batch), None),
            EventKind::Requeued(batch) => (EventName::Requeued, Some(batch), None),
            EventKind::Died(_, waited) => (EventName::Died, None, waited),
            EventKind::Left(waited) => (EventName::Exited, None, waited),
        };
        let waited_so_long = waited.unwrap_or_default();
        self.record_event(&RunEvent { at, name: kind, worker, batch, waited: waited_so_long });
        match (event.kind, batch) {
            (EventKind::Died(death, _), _) => self.reporter.report_death(at, worker, waited, death),
            (_, None) => self.reporter.report_exit(at, worker, waited),
            (_, Some(batch)) => {
                let WorkerId { role, index: number } = worker;
                self.reporter.report_items(at, kind, role, Some(number), batch, waited);
            }
        }
    }
}
