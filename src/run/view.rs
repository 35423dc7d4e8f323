//! The live view of a run: what everybody does now.

use std::collections::BTreeMap;

use super::observer::RunReporter;
use crate::clock::Nanos;
use crate::item::display_text;
use crate::keeper::Keeper;
use crate::queue::{Batch, ClientActivity, WaitReason};
use crate::report::{LiveView, QueueDepth, WorkerActivity, WorkerRow};
use crate::role::WorkerId;

/// It is not drawn more often than this, on the wall.
const MIN_REDRAW_INTERVAL: Nanos = 50_000_000;

/// When it is drawn next.
#[derive(Debug, Default)]
pub(super) struct RedrawTimer {
    /// Not before this.
    earliest_redraw: Nanos,
    /// Something has happened since it was drawn.
    next_redraw: Option<Nanos>,
}

impl RedrawTimer {
    /// The wall time at which it is to be drawn even if nothing happens before.
    pub(super) fn next_redraw(&self) -> Option<Nanos> {
        self.next_redraw
    }

    /// Whether it is to be drawn now, that something has happened.
    pub(super) fn poll_redraw(&mut self, now: Nanos) -> bool {
        let is_due = now >= self.earliest_redraw;
        if is_due {
            self.earliest_redraw = now.saturating_add(MIN_REDRAW_INTERVAL);
        }
        self.next_redraw = (!is_due).then_some(self.earliest_redraw);
        is_due
    }
}

/// Everything as it is now.
pub(super) fn live_view(keeper: &Keeper, watch: &RunReporter, capacity: u64) -> LiveView {
    let here = keeper.worker_activities().map(|(worker, doing, first)| (worker, (doing, first)));
    let here: BTreeMap<_, _> = here.collect();
    let actor = |&worker: &WorkerId| {
        let does = match here.get(&worker) {
            Some((doing, first)) => activity(doing, *first),
            None if keeper.is_worker_expected(worker) => WorkerActivity::Starting,
            None if watch.progress_of(worker).is_dead => WorkerActivity::Dead,
            None => WorkerActivity::Finished,
        };
        WorkerRow { worker, activity: does, items: watch.progress_of(worker).finished_items }
    };
    let capacity = Some(capacity).filter(|&most| most > 0);
    let in_line = keeper.counts().ready;
    LiveView {
        workers: watch.worker_progress.keys().map(actor).collect(),
        depth: QueueDepth { ready: in_line, capacity, peak: watch.max_ready_count },
        done: watch.run_summary.done,
        items: watch.run_summary.items,
    }
}

fn activity(doing: &ClientActivity, first: Option<&Batch>) -> WorkerActivity {
    match doing.wait_reason {
        Some(WaitReason::Room) => WorkerActivity::WaitingForRoom,
        Some(WaitReason::Item) if doing.in_flight == 0 => WorkerActivity::WaitingForItem,
        _ => {
            let first = first.and_then(|batch| batch.iter_with_ids().next());
            WorkerActivity::Working(
                doing.in_flight,
                first.map(|(_, item)| display_text(item).into_owned()),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_is_drawn_soon_and_not_too_often() {
        let mut view = RedrawTimer::default();
        assert!(view.poll_redraw(7), "the first time at once");
        assert_eq!(view.next_redraw(), None, "nothing has happened since");
        assert!(!view.poll_redraw(8));
        assert!(!view.poll_redraw(9));
        assert_eq!(view.next_redraw(), Some(7 + MIN_REDRAW_INTERVAL));
        assert!(view.poll_redraw(7 + MIN_REDRAW_INTERVAL));
        assert_eq!(view.next_redraw(), None);
    }
}
