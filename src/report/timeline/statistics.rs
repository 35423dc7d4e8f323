//! The statistics of a page, from the same events as its picture.

use crate::catalogue::Lang;
use crate::clock::{Delay, Nanos};
use crate::event::{Event, EventKind};
use crate::report::{ModelInput, StatsCollector};
use crate::role::{Role, WorkerId};

/// No run has more workers of one role.
const MAX_INDEX: u32 = 1000;

/// Collects the statistics, as far as the events tell all. A recording may have only a part of the events, or
/// workers that no run has: then there are no statistics.
#[derive(Debug)]
pub(super) struct PageStatistics {
    collector: Option<StatsCollector>,
    /// A run numbers its items from 1 without a gap.
    next_id: u64,
    /// No processes were started.
    is_simulated: bool,
}

impl PageStatistics {
    pub(super) fn new(workers: impl Iterator<Item = WorkerId>, is_simulated: bool) -> Self {
        let mut counts = [0, 0];
        for worker in workers {
            counts[usize::from(worker.role != Role::Producer)] += 1;
        }
        let input = ModelInput {
            items: 0,
            workers: counts,
            delays: [Delay::Constant(0), Delay::Constant(0)],
            capacity: 0,
            seed: None,
        };
        let mut collector = StatsCollector::new(input, 0);
        // The events do not tell the delays, so no formula applies.
        collector.invalidate_model();
        Self { collector: Some(collector), next_id: 1, is_simulated }
    }

    pub(super) fn on_event(&mut self, event: Event<'_>) {
        if !self.is_plausible(&event) {
            self.collector = None;
        }
        if let EventKind::Put(batch) = event.kind {
            self.next_id = batch.end_id();
        }
        if let Some(collector) = &mut self.collector {
            collector.on_event(event);
        }
    }

    fn is_plausible(&self, event: &Event<'_>) -> bool {
        let has_role = |role: Role| event.worker.is_some_and(|worker| worker.role == role);
        let is_known = |worker: WorkerId| (1..=MAX_INDEX).contains(&worker.index);
        event.worker.is_none_or(is_known)
            && match event.kind {
                EventKind::Put(batch) => has_role(Role::Producer) && batch.first_id == self.next_id,
                _ => event
                    .batch()
                    .is_none_or(|batch| has_role(Role::Consumer) && batch.end_id() <= self.next_id),
            }
    }

    /// The names and the values, for a run that ended at `end`. None if the events do not tell them.
    pub(super) fn rows(self, end: Nanos, lang: Lang) -> Option<Vec<(String, Vec<String>)>> {
        let mut summary = self.collector?.into_summary(end);
        summary.simulated = self.is_simulated;
        Some(summary.figures(lang))
    }
}
