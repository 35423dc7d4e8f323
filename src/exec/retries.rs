//! Items that wait for another try.

use std::collections::VecDeque;

use super::job::ItemTask;
use crate::clock::Nanos;
use crate::queue::BatchRef;

/// Items that wait for another try after a failure.
#[derive(Debug, Default)]
pub(super) struct RetryQueue {
    entries: Vec<RetryEntry>,
    /// The item ids of attempts that the keeper has not confirmed yet, in the order of the requests.
    pending_attempts: VecDeque<u64>,
}

#[derive(Debug)]
struct RetryEntry {
    due_at: Nanos,
    task: ItemTask,
    /// The keeper has recorded this attempt, so no other consumer gets an attempt with the same number.
    is_attempt_recorded: bool,
}

impl RetryQueue {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds a recorded attempt whose command could not start now.
    pub(super) fn defer(&mut self, due_at: Nanos, task: ItemTask) {
        self.entries.push(RetryEntry { due_at, task, is_attempt_recorded: true });
    }

    /// Adds an attempt that the keeper has to confirm.
    pub(super) fn push_pending(&mut self, due_at: Nanos, task: ItemTask) {
        self.pending_attempts.push_back(task.id());
        self.entries.push(RetryEntry { due_at, task, is_attempt_recorded: false });
    }

    /// Handles the keeper's reply to the oldest request. If the attempt has not begun, the item is no longer in
    /// flight at this consumer; the call returns the item then.
    pub(super) fn confirm_attempt(&mut self, has_begun: bool) -> Option<ItemTask> {
        let id = self.pending_attempts.pop_front()?;
        let at = self
            .entries
            .iter()
            .position(|entry| !entry.is_attempt_recorded && entry.task.id() == id)?;
        if !has_begun {
            return Some(self.entries.remove(at).task);
        }
        let entry = &mut self.entries[at];
        entry.is_attempt_recorded = true;
        entry.task.batch.attempt = entry.task.batch.attempt.saturating_add(1);
        None
    }

    /// The items whose next attempt is recorded.
    pub(super) fn recorded(&self) -> impl Iterator<Item = &ItemTask> {
        self.entries.iter().filter(|entry| entry.is_attempt_recorded).map(|entry| &entry.task)
    }

    /// Removes and returns an item whose next attempt is recorded. None if it is not here.
    pub(super) fn remove(&mut self, item: BatchRef) -> Option<ItemTask> {
        let is_item =
            |entry: &RetryEntry| entry.is_attempt_recorded && entry.task.batch.batch_ref() == item;
        let at = self.entries.iter().position(is_item);
        at.map(|at| self.entries.remove(at).task)
    }

    /// Removes all items. Returns each with the attempt that it is in at the keeper, unless its lease has run out.
    pub(super) fn take_all(&mut self) -> Vec<(ItemTask, BatchRef)> {
        let entries =
            self.entries.drain(..).map(|RetryEntry { task, is_attempt_recorded, .. }| {
                let batch_ref = task.batch.batch_ref();
                let pending = u32::from(!is_attempt_recorded);
                let attempt = batch_ref.attempt.map(|attempt| attempt.saturating_add(pending));
                (task, BatchRef { attempt, ..batch_ref })
            });
        entries.collect()
    }

    /// When the next try is due, of the tries that may start.
    pub(super) fn next_due(&self, may_start: impl Fn(&ItemTask) -> bool) -> Option<Nanos> {
        let tries = self.entries.iter().filter(|entry| entry.is_attempt_recorded);
        tries.filter(|entry| may_start(&entry.task)).map(|entry| entry.due_at).min()
    }

    /// Removes a try that is due, and that may start.
    pub(super) fn pop_due(
        &mut self,
        now: Nanos,
        may_start: impl Fn(&ItemTask) -> bool,
    ) -> Option<ItemTask> {
        let at = self.entries.iter().position(|entry| {
            entry.is_attempt_recorded && entry.due_at <= now && may_start(&entry.task)
        })?;
        Some(self.entries.remove(at).task)
    }
}
