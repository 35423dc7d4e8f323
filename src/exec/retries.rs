//! Items that wait for another try.

use std::collections::VecDeque;

use super::job::Task;
use crate::clock::Nanos;

/// Items whose last try has failed.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    items: Vec<Item>,
    /// The items of those attempts of which the keeper has been told, and has not said yet that they have
    /// begun; in the order of asking.
    asked: VecDeque<u64>,
}

#[derive(Debug)]
struct Item {
    /// It waits until then.
    due: Nanos,
    task: Task,
    /// The keeper has written down that this attempt has begun: nobody else will have the same one.
    has_begun: bool,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// An attempt that has begun, and could not be started now.
    pub(super) fn put_off(&mut self, due: Nanos, task: Task) {
        self.items.push(Item { due, task, has_begun: true });
    }

    /// The keeper has been asked for another attempt at this item.
    pub(super) fn ask(&mut self, due: Nanos, task: Task) {
        self.asked.push_back(task.id());
        self.items.push(Item { due, task, has_begun: false });
    }

    /// The attempt that was asked for first has `begun`, or its item is not this consumer's any more: then
    /// the item is returned.
    pub(super) fn hear(&mut self, begun: bool) -> Option<Task> {
        let id = self.asked.pop_front()?;
        let at = self.items.iter().position(|item| !item.has_begun && item.task.id() == id)?;
        if !begun {
            return Some(self.items.remove(at).task);
        }
        let item = &mut self.items[at];
        item.has_begun = true;
        item.task.run.attempt = item.task.run.attempt.saturating_add(1);
        None
    }

    /// When the next one can start.
    pub(super) fn due(&self) -> Option<Nanos> {
        self.items.iter().filter(|item| item.has_begun).map(|item| item.due).min()
    }

    /// One that can start now.
    pub(super) fn take(&mut self, now: Nanos) -> Option<Task> {
        let at = self.items.iter().position(|item| item.has_begun && item.due <= now)?;
        Some(self.items.remove(at).task)
    }
}
