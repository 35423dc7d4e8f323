//! When a consumer with a command stops before the end of its queue, as `--halt` of GNU parallel has it.

use std::fmt;

use super::ExecTotals;
use crate::catalogue::message;
use crate::queue::Counts;

/// A share counts from this number of items on. The first items of a queue that is being filled would be a large share.
pub(crate) const MIN_ITEMS_OF_SHARE: u64 = 3;

/// What stops a consumer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct HaltRule {
    pub(crate) mode: HaltMode,
    pub(crate) outcome: HaltOutcome,
    pub(crate) limit: HaltLimit,
}

/// What becomes of the running commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HaltMode {
    /// They are ended.
    Now,
    /// They may finish.
    Soon,
}

/// The items that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HaltOutcome {
    Failed,
    Succeeded,
    Either,
}

/// How many items with the outcome stop the consumer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum HaltLimit {
    Items(u64),
    /// In percent of the items that the consumer has finished and of those that are in the queue.
    Percent(f64),
}

/// The text that a user writes for the rule.
impl fmt::Display for HaltRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            HaltMode::Now => "now",
            HaltMode::Soon => "soon",
        };
        let outcome = match self.outcome {
            HaltOutcome::Failed => "fail",
            HaltOutcome::Succeeded => "success",
            HaltOutcome::Either => "done",
        };
        match self.limit {
            HaltLimit::Items(items) => write!(f, "{mode},{outcome}={items}"),
            HaltLimit::Percent(percent) => write!(f, "{mode},{outcome}={percent}%"),
        }
    }
}

/// The progress of a consumer towards its rule.
#[derive(Debug)]
pub(super) struct Halt {
    rule: Option<HaltRule>,
    /// The number of items with the outcome at the last request for the counts of the queue.
    requested_at: u64,
    /// The keeper owes these counts.
    is_waiting: bool,
    has_begun: bool,
}

impl Halt {
    pub(super) fn new(rule: Option<HaltRule>) -> Self {
        Self { rule, requested_at: 0, is_waiting: false, has_begun: false }
    }

    /// What becomes of the running commands, once the consumer halts.
    pub(super) fn mode(&self) -> Option<HaltMode> {
        self.rule.filter(|_| self.has_begun).map(|rule| rule.mode)
    }

    /// Whether the answer to a request decides if another command may start.
    pub(super) fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// Whether the executor has to request the counts of the queue, since an item with the outcome has come. The executor
    /// requests them then.
    pub(super) fn needs_counts(&mut self, totals: ExecTotals) -> bool {
        let Some(HaltRule { outcome, limit: HaltLimit::Percent(_), .. }) = self.rule else {
            return false;
        };
        let items = outcome.items(totals);
        let is_due = !self.is_waiting && items > self.requested_at && items >= MIN_ITEMS_OF_SHARE;
        if is_due && !self.has_begun {
            (self.requested_at, self.is_waiting) = (items, true);
        }
        is_due && !self.has_begun
    }

    /// Begins to halt if the rule says so. Returns the text for the user then.
    pub(super) fn begin_at_count(&mut self, totals: ExecTotals) -> Option<String> {
        let rule = self.rule?;
        let HaltLimit::Items(limit) = rule.limit else { return None };
        self.begin_if(rule.outcome.items(totals) >= limit, totals)
    }

    /// The same, with the counts of the queue.
    pub(super) fn begin_at_share(&mut self, totals: ExecTotals, counts: Counts) -> Option<String> {
        self.is_waiting = false;
        let rule = self.rule?;
        let HaltLimit::Percent(percent) = rule.limit else { return None };
        let items = rule.outcome.items(totals);
        let total = totals.done + totals.failed + counts.ready + counts.in_flight;
        let is_met = items as f64 * 100.0 >= total as f64 * percent;
        self.begin_if(is_met && items >= MIN_ITEMS_OF_SHARE, totals)
    }

    fn begin_if(&mut self, is_met: bool, totals: ExecTotals) -> Option<String> {
        let rule = self.rule.filter(|_| is_met && !self.has_begun)?;
        self.has_begun = true;
        let items = rule.outcome.items(totals);
        let cause = match rule.outcome {
            HaltOutcome::Failed => message!("exec-halt-failed", items = items),
            HaltOutcome::Succeeded => message!("exec-halt-succeeded", items = items),
            HaltOutcome::Either => message!("exec-halt-done", items = items),
        };
        let text = rule.to_string();
        Some(match rule.mode {
            HaltMode::Now => message!("exec-halt-now", cause = cause, rule = text),
            HaltMode::Soon => message!("exec-halt-soon", cause = cause, rule = text),
        })
    }
}

impl HaltOutcome {
    fn items(self, ExecTotals { done, failed }: ExecTotals) -> u64 {
        match self {
            Self::Failed => failed,
            Self::Succeeded => done,
            Self::Either => done + failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halt(outcome: HaltOutcome, limit: HaltLimit) -> Halt {
        Halt::new(Some(HaltRule { mode: HaltMode::Soon, outcome, limit }))
    }

    fn totals(done: u64, failed: u64) -> ExecTotals {
        ExecTotals { done, failed }
    }

    fn counts(ready: u64, in_flight: u64) -> Counts {
        Counts { ready, in_flight, done: 900, failed: 900 }
    }

    #[test]
    fn a_count_is_met_once_by_items_with_the_outcome() {
        for (outcome, before, met) in [
            (HaltOutcome::Failed, totals(9, 1), totals(9, 2)),
            (HaltOutcome::Succeeded, totals(1, 9), totals(2, 9)),
            (HaltOutcome::Either, totals(0, 1), totals(1, 1)),
        ] {
            let mut halt = halt(outcome, HaltLimit::Items(2));
            assert_eq!(halt.begin_at_count(before), None);
            assert_eq!(halt.mode(), None);
            assert!(!halt.needs_counts(met));
            assert!(halt.begin_at_count(met).is_some());
            assert_eq!(halt.mode(), Some(HaltMode::Soon));
            assert_eq!(halt.begin_at_count(met), None);
        }
    }

    #[test]
    fn a_share_counts_all_items_of_this_consumer_and_of_the_queue() {
        // Three of thirty items are ten percent, and of thirty-one less.
        for (ready, is_met) in [(20, true), (21, false)] {
            let mut halt = halt(HaltOutcome::Failed, HaltLimit::Percent(10.0));
            assert_eq!(halt.begin_at_count(totals(5, 3)), None);
            let text = halt.begin_at_share(totals(5, 3), counts(ready, 2));
            assert_eq!(text.is_some(), is_met, "{ready}");
        }
    }

    #[test]
    fn a_share_of_two_items_does_not_count() {
        let mut halt = halt(HaltOutcome::Failed, HaltLimit::Percent(1.0));
        assert!(!halt.needs_counts(totals(0, 2)));
        assert_eq!(halt.begin_at_share(totals(0, 2), counts(0, 0)), None);
        assert!(halt.needs_counts(totals(0, 3)));
        assert!(halt.begin_at_share(totals(0, 3), counts(0, 0)).is_some());
    }

    #[test]
    fn the_counts_are_requested_once_for_each_new_item_with_the_outcome() {
        let mut halt = halt(HaltOutcome::Failed, HaltLimit::Percent(50.0));
        assert!(halt.needs_counts(totals(0, 3)));
        assert!(halt.is_waiting());
        assert!(!halt.needs_counts(totals(0, 4)), "the last request has no answer");
        assert_eq!(halt.begin_at_share(totals(0, 4), counts(96, 0)), None);
        assert!(!halt.is_waiting());
        assert!(halt.needs_counts(totals(0, 4)));
        halt.begin_at_share(totals(0, 4), counts(96, 0));
        assert!(!halt.needs_counts(totals(9, 4)));
    }

    #[test]
    fn without_a_rule_nothing_halts() {
        let mut halt = Halt::new(None);
        assert!(!halt.needs_counts(totals(9, 9)));
        assert_eq!(halt.begin_at_count(totals(9, 9)), None);
        assert_eq!(halt.begin_at_share(totals(9, 9), counts(0, 0)), None);
    }
}
