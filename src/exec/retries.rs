//! Items that wait for another try.

use std::collections::VecDeque;

use super::job::ItemTask;
use crate::clock::Nanos;

/// Items whose last try has failed.
#[derive(Debug, Default)]
pub(super) struct RetryQueue {
    entries: Vec<RetryEntry>,
    /// The items of those attempts of which the keeper has been told, and has not said yet that they have
    /// begun; in the order of asking.
    pending_attempts: VecDeque<u64>,
}

#[derive(Debug)]
struct RetryEntry {
    /// It waits until then.
    due_at: Nanos,
    task: ItemTask,
    /// The keeper has written down that this attempt has begun: nobody else will have the same one.
    is_attempt_recorded: bool,
}

impl RetryQueue {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// An attempt that has begun, and could not be started now.
    pub(super) fn defer(&mut self, due: Nanos, task: ItemTask) {
        self.entries.push(RetryEntry { due_at: due, task, is_attempt_recorded: true });
    }

    /// The keeper has been asked for another attempt at this item.
    pub(super) fn push_pending(&mut self, due: Nanos, task: ItemTask) {
        self.pending_attempts.push_back(task.id());
        self.entries.push(RetryEntry { due_at: due, task, is_attempt_recorded: false });
    }

    /// The attempt that was asked for first has `begun`, or its item is not this consumer's any more: then
    /// the item is returned.
    pub(super) fn confirm_attempt(&mut self, begun: bool) -> Option<ItemTask> {
        let id = self.pending_attempts.pop_front()?;
        let at = self
            .entries
            .iter()
            .position(|item| !item.is_attempt_recorded && item.task.id() == id)?;
        if !begun {
            return Some(self.entries.remove(at).task);
        }
        let item = &mut self.entries[at];
        item.is_attempt_recorded = true;
        item.task.batch.attempt = item.task.batch.attempt.saturating_add(1);
        None
    }

    /// When the next one can start.
    pub(super) fn next_due(&self) -> Option<Nanos> {
        self.entries.iter().filter(|item| item.is_attempt_recorded).map(|item| item.due_at).min()
    }

    /// One that can start now.
    pub(super) fn pop_due(&mut self, now: Nanos) -> Option<ItemTask> {
        let at =
            self.entries.iter().position(|item| item.is_attempt_recorded && item.due_at <= now)?;
        Some(self.entries.remove(at).task)
    }
}
