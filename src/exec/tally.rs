//! Counts the outcomes of items.

use std::collections::VecDeque;

use crate::queue::BatchRef;

/// The number of recent outcomes that the tally remembers, for `lost` replies.
const MAX_RECENT_OUTCOMES: usize = 4096;

/// The number of items with each outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExecTotals {
    pub(crate) done: u64,
    pub(crate) failed: u64,
}

/// The outcome of an item, as this consumer reported it.
#[derive(Clone, Copy, Debug)]
pub(super) enum ItemOutcome {
    Done,
    Failed,
}

/// Counts outcomes, and takes back those that came after the lease.
#[derive(Debug, Default)]
pub(super) struct Tally {
    totals: ExecTotals,
    recent: VecDeque<(BatchRef, ItemOutcome)>,
}

impl Tally {
    pub(super) fn totals(&self) -> ExecTotals {
        self.totals
    }

    pub(super) fn record(&mut self, batch_ref: BatchRef, outcome: ItemOutcome) {
        *self.counter(outcome) += 1;
        if self.recent.len() >= MAX_RECENT_OUTCOMES {
            self.recent.pop_front();
        }
        self.recent.push_back((batch_ref, outcome));
    }

    /// Takes an outcome back: the lease had run out before this consumer reported the outcome.
    /// Returns whether this consumer had reported an outcome.
    pub(super) fn retract(&mut self, batch_ref: BatchRef) -> bool {
        let at = self.recent.iter().rposition(|&(recorded, _)| recorded == batch_ref);
        let Some((_, outcome)) = at.and_then(|at| self.recent.remove(at)) else {
            return false;
        };
        *self.counter(outcome) -= 1;
        true
    }

    fn counter(&mut self, outcome: ItemOutcome) -> &mut u64 {
        match outcome {
            ItemOutcome::Done => &mut self.totals.done,
            ItemOutcome::Failed => &mut self.totals.failed,
        }
    }
}
