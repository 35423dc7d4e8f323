//! The live view of a run: the activity of each worker, and the time of the next redraw.

use std::collections::BTreeMap;

use super::observer::{RunCounts, WorkerProgress};
use crate::clock::Nanos;
use crate::item::display_text;
use crate::keeper::Keeper;
use crate::queue::{Batch, ClientActivity, WaitReason};
use crate::report::{LiveView, QueueDepth, WorkerActivity, WorkerRow};
use crate::role::WorkerId;

/// The shortest wall time between two redraws.
const MIN_REDRAW_INTERVAL: Nanos = 50_000_000;

/// The time of the next redraw.
#[derive(Debug, Default)]
pub(super) struct RedrawTimer {
    /// No redraw happens before this wall time.
    earliest_redraw: Nanos,
    /// The wall time of a redraw that waits for its interval.
    pub(super) next_redraw: Option<Nanos>,
}

impl RedrawTimer {
    /// An event happened: whether to redraw now. Else schedules a redraw.
    pub(super) fn poll_redraw(&mut self, now: Nanos) -> bool {
        let is_due = now >= self.earliest_redraw;
        if is_due {
            self.earliest_redraw = now.saturating_add(MIN_REDRAW_INTERVAL);
        }
        self.next_redraw = (!is_due).then_some(self.earliest_redraw);
        is_due
    }
}

/// The present state of a run.
pub(super) fn live_view(keeper: &Keeper, counts: &RunCounts, capacity: u64) -> LiveView {
    let connected =
        keeper.worker_activities().map(|(worker, activity, first)| (worker, (activity, first)));
    let connected: BTreeMap<_, _> = connected.collect();
    let row = |(worker, progress): (WorkerId, &WorkerProgress)| {
        let activity = match connected.get(&worker) {
            Some((client, first)) => activity(client, *first),
            None if keeper.is_worker_expected(worker) => WorkerActivity::Starting,
            None if progress.is_dead => WorkerActivity::Dead,
            None => WorkerActivity::Finished,
        };
        WorkerRow { worker, activity, items: progress.finished_items }
    };
    LiveView {
        workers: counts.workers.iter().map(row).collect(),
        depth: QueueDepth {
            ready: keeper.queue().counts().ready,
            capacity: Some(capacity).filter(|&capacity| capacity > 0),
            peak: counts.max_ready,
        },
        done: counts.summary.done,
        items: counts.summary.items,
    }
}

fn activity(client: &ClientActivity, first: Option<&Batch>) -> WorkerActivity {
    match client.wait_reason {
        Some(WaitReason::Room) => WorkerActivity::WaitingForRoom,
        Some(WaitReason::Item) if client.in_flight == 0 => WorkerActivity::WaitingForItem,
        _ => {
            let first = first.and_then(|batch| batch.iter_with_ids().next());
            let label = first.map(|(_, item)| display_text(item).into_owned());
            WorkerActivity::Working(client.in_flight, label)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_cause_a_redraw_soon_but_not_too_often() {
        let mut view = RedrawTimer::default();
        assert!(view.poll_redraw(7), "the first redraw is immediate");
        assert_eq!(view.next_redraw, None, "no event since");
        assert!(!view.poll_redraw(8));
        assert!(!view.poll_redraw(9));
        assert_eq!(view.next_redraw, Some(7 + MIN_REDRAW_INTERVAL));
        assert!(view.poll_redraw(7 + MIN_REDRAW_INTERVAL));
        assert_eq!(view.next_redraw, None);
    }
}
