//! Keeps the ends of commands until all items before them have been printed.

use std::collections::VecDeque;

use bytes::Bytes;

use super::ExecTotals;
use super::job::{CommandOutcome, ItemTask};
use crate::failure::Failure;
use crate::queue::BatchRef;

/// The executor requests no item, and tries no command again, while the ends of so many commands wait for an item
/// before them.
const MAX_HELD_ENDS: usize = 1000;
/// The same for the bytes of their items. Their output is kept elsewhere.
const MAX_HELD_BYTES: usize = 16 << 20;

/// What the end of a command means for its item.
#[derive(Debug)]
pub(super) enum NextStep {
    Done,
    /// The command is to be tried again.
    Retry,
    /// The next try is on its way already.
    Retried,
    /// The consumer halts: another one tries the command again.
    Requeue,
    /// The item has failed in this way.
    Failed(Box<Failure>),
}

/// A try that has ended, at the position of its item.
#[derive(Debug)]
pub(super) enum EndedTry {
    Ended(Box<CommandOutcome>, NextStep),
    /// No command can get the item.
    NoArgument(ItemTask),
}

/// The items in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct ItemOrder {
    /// The number of the first position.
    first: u64,
    positions: VecDeque<Position>,
    /// The outcomes that have not been reported.
    unreported: ExecTotals,
    /// The number of entries of all positions.
    held_ends: usize,
    /// The bytes of the items at the positions that have entries.
    held_bytes: usize,
}

#[derive(Debug, Default)]
struct Position {
    unreported: VecDeque<EndedTry>,
    /// The bytes of the item, which the entries share. Empty without an entry.
    bytes: Bytes,
    /// Nothing more comes.
    is_over: bool,
}

impl Position {
    /// The entry that ends the item here. None if the last entry is a try before another one: the item is not here then.
    fn last_end(&mut self) -> Option<&mut EndedTry> {
        self.unreported.back_mut().filter(|ended| self.is_over && ended.ends_item())
    }
}

impl EndedTry {
    fn task(&self) -> &ItemTask {
        match self {
            Self::Ended(outcome, _) => &outcome.task,
            Self::NoArgument(task) => task,
        }
    }

    fn task_mut(&mut self) -> &mut ItemTask {
        match self {
            Self::Ended(outcome, _) => &mut outcome.task,
            Self::NoArgument(task) => task,
        }
    }

    /// Whether no other try of the item comes.
    fn ends_item(&self) -> bool {
        !matches!(self, Self::Ended(_, NextStep::Retry | NextStep::Retried))
    }

    /// The outcome of the item, as counts. Nothing if the item has none yet, or has its outcome from another consumer.
    fn outcome(&self) -> ExecTotals {
        match self {
            _ if self.task().is_lease_expired => ExecTotals::default(),
            Self::NoArgument(_) | Self::Ended(_, NextStep::Failed(_)) => {
                ExecTotals { done: 0, failed: 1 }
            }
            Self::Ended(_, NextStep::Done) => ExecTotals { done: 1, failed: 0 },
            Self::Ended(..) => ExecTotals::default(),
        }
    }
}

impl ItemOrder {
    /// The position of the next item.
    pub(super) fn take_position(&mut self) -> u64 {
        self.positions.push_back(Position::default());
        self.first + self.positions.len() as u64 - 1
    }

    /// Whether too much waits for an item before it.
    pub(super) fn is_full(&self) -> bool {
        self.held_ends >= MAX_HELD_ENDS || self.held_bytes >= MAX_HELD_BYTES
    }

    /// Whether the item at this position may be tried again. When too much waits, only the first item may: the others wait for
    /// it.
    pub(super) fn may_retry(&self, at: u64) -> bool {
        at == self.first || !self.is_full()
    }

    /// Holds the end of a try until it is its turn.
    pub(super) fn hold(&mut self, mut ended: EndedTry) {
        let is_over = ended.ends_item();
        let ExecTotals { done, failed } = ended.outcome();
        let at = ended.task().position;
        let Some(position) = self.positions.get_mut(index(self.first, at)) else { return };
        let bytes = &mut ended.task_mut().batch.items.bytes;
        if position.unreported.is_empty() {
            // An item that stays for long does not keep the buffer alive that it came in.
            position.bytes = Bytes::copy_from_slice(bytes);
            self.held_bytes += bytes.len();
        }
        *bytes = position.bytes.clone();
        position.unreported.push_back(ended);
        position.is_over |= is_over;
        self.held_ends += 1;
        self.unreported.done += done;
        self.unreported.failed += failed;
    }

    /// Nothing more comes of the item at this position.
    pub(super) fn give_up(&mut self, at: u64) {
        if let Some(position) = self.positions.get_mut(index(self.first, at)) {
            position.is_over = true;
        }
    }

    /// The next to be reported, after everything before it.
    pub(super) fn next(&mut self) -> Option<EndedTry> {
        while let Some(position) = self.positions.front_mut() {
            if let Some(ended) = position.unreported.pop_front() {
                self.held_ends -= 1;
                if position.unreported.is_empty() {
                    self.held_bytes -= std::mem::take(&mut position.bytes).len();
                }
                let ExecTotals { done, failed } = ended.outcome();
                self.unreported.done -= done;
                self.unreported.failed -= failed;
                return Some(ended);
            }
            if !position.is_over {
                return None;
            }
            self.positions.pop_front();
            self.first += 1;
        }
        None
    }

    /// No item that has not ended will end: what is left can be reported.
    pub(super) fn close(&mut self) {
        self.positions.iter_mut().for_each(|position| position.is_over = true);
    }

    /// The outcomes of the items that wait for their turn.
    pub(super) fn unreported(&self) -> ExecTotals {
        self.unreported
    }

    /// The items that have ended here, and that the queue does not know as done or failed yet: their leases go on.
    pub(super) fn held(&self) -> impl Iterator<Item = &ItemTask> {
        let over = self.positions.iter().filter(|position| position.is_over);
        let last = over.filter_map(|position| position.unreported.back());
        let ends = last.filter(|ended| ended.ends_item());
        ends.map(EndedTry::task).filter(|task| !task.is_lease_expired)
    }

    /// The lease of an item has run out: its outcome here does not count. Returns whether the item is held here.
    pub(super) fn expire_lease(&mut self, item: BatchRef) -> bool {
        let mut ends = self.positions.iter_mut().filter_map(Position::last_end);
        let Some(ended) = ends.find(|ended| {
            let task = ended.task();
            !task.is_lease_expired && task.batch.batch_ref() == item
        }) else {
            return false;
        };
        let ExecTotals { done, failed } = ended.outcome();
        self.unreported.done -= done;
        self.unreported.failed -= failed;
        ended.task_mut().is_lease_expired = true;
        true
    }
}

/// The index of a position. An index behind the last one if the position has gone.
fn index(first: u64, at: u64) -> usize {
    at.checked_sub(first).and_then(|index| usize::try_from(index).ok()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;
    use crate::exec::output::OutputStore;
    use crate::queue::{Batch, Items};

    /// The end of the item with this id, which has this position.
    fn end(id: u64, position: u64) -> EndedTry {
        let items = Items { count: 1, bytes: Bytes::from_static(b"1\n") };
        let batch = Batch::new(id, 0, items);
        EndedTry::NoArgument(ItemTask::new(batch, position))
    }

    fn reported_ids(order: &mut ItemOrder) -> Vec<u64> {
        std::iter::from_fn(|| order.next()).map(|ended| ended.task().id()).collect()
    }

    #[test]
    fn what_has_ended_waits_for_everything_before_it() {
        let mut order = ItemOrder::default();
        let positions = [(); 4].map(|()| order.take_position());
        order.hold(end(8, positions[1]));
        order.hold(end(3, positions[3]));
        assert!(reported_ids(&mut order).is_empty());
        assert_eq!(order.held().map(ItemTask::id).collect::<Vec<_>>(), [8, 3]);
        assert_eq!(order.unreported().failed, 2);
        order.hold(end(9, positions[0]));
        assert_eq!(reported_ids(&mut order), [9, 8]);
        order.give_up(positions[2]);
        assert_eq!(reported_ids(&mut order), [3]);
        assert_eq!(order.unreported().failed, 0);
        // The same item may come again.
        let position = order.take_position();
        order.hold(end(8, position));
        assert_eq!(reported_ids(&mut order), [8]);
    }

    #[test]
    fn at_the_end_what_has_ended_is_reported_without_the_rest() {
        let mut order = ItemOrder::default();
        let positions = [(); 3].map(|()| order.take_position());
        order.hold(end(2, positions[1]));
        order.close();
        assert_eq!(reported_ids(&mut order), [2]);
    }

    #[test]
    fn the_number_of_items_that_wait_is_bounded() {
        let mut order = ItemOrder::default();
        let first = order.take_position();
        for id in 0..MAX_HELD_ENDS as u64 {
            assert!(!order.is_full());
            let position = order.take_position();
            order.hold(end(id, position));
        }
        assert!(order.is_full());
        order.hold(end(0, first));
        assert_eq!(reported_ids(&mut order).len(), MAX_HELD_ENDS + 1);
        assert!(!order.is_full());
    }

    /// A failed try of the item with this id, before another one.
    fn failed_try(id: u64, position: u64) -> EndedTry {
        let EndedTry::NoArgument(task) = end(id, position) else { unreachable!() };
        let outcome = CommandOutcome {
            task,
            slot: 1,
            started_at: 0,
            ended_at: 1,
            status: ExitStatus::from_raw(1 << 8),
            has_timed_out: false,
            stdout: OutputStore::default().new_output(),
            stderr: OutputStore::default().new_output(),
        };
        EndedTry::Ended(Box::new(outcome), NextStep::Retried)
    }

    #[test]
    fn an_item_that_is_given_up_between_two_tries_is_not_held() {
        let mut order = ItemOrder::default();
        let positions = [(); 2].map(|()| order.take_position());
        order.hold(failed_try(7, positions[1]));
        order.give_up(positions[1]);
        assert_eq!(order.held().count(), 0);
        assert!(!order.expire_lease(end(7, 0).task().batch.batch_ref()));
    }

    #[test]
    fn an_item_whose_lease_has_run_out_counts_no_more_and_expires_once() {
        let mut order = ItemOrder::default();
        let positions = [(); 2].map(|()| order.take_position());
        order.hold(end(7, positions[1]));
        let item = end(7, 0).task().batch.batch_ref();
        assert!(order.expire_lease(item));
        assert_eq!((order.unreported().failed, order.held().count()), (0, 0));
        assert!(!order.expire_lease(item));
        order.give_up(positions[0]);
        assert!(order.next().is_some_and(|ended| ended.task().is_lease_expired));
        assert_eq!(order.unreported().failed, 0);
    }

    #[test]
    fn tries_count_like_items_and_only_the_first_item_is_tried_again_then() {
        let mut order = ItemOrder::default();
        let positions = [(); 2].map(|()| order.take_position());
        for _ in 0..MAX_HELD_ENDS {
            assert!(order.may_retry(positions[1]));
            order.hold(failed_try(7, positions[1]));
        }
        assert!(order.is_full());
        assert_eq!(positions.map(|position| order.may_retry(position)), [true, false]);
        order.give_up(positions[0]);
        assert_eq!(reported_ids(&mut order).len(), MAX_HELD_ENDS);
        assert!(order.may_retry(positions[1]));
    }

    #[test]
    fn the_tries_of_an_item_share_its_bytes_which_are_bounded() {
        let mut order = ItemOrder::default();
        let positions = [(); 3].map(|()| order.take_position());
        let big = Bytes::from(vec![b'x'; MAX_HELD_BYTES - 2]);
        for _ in 0..3 {
            let mut ended = failed_try(7, positions[1]);
            ended.task_mut().batch.items.bytes = big.clone();
            order.hold(ended);
        }
        assert!(!order.is_full());
        order.hold(end(8, positions[2]));
        assert!(order.is_full());
        order.give_up(positions[0]);
        let first = order.next().unwrap();
        let second = order.next().unwrap();
        let pointers = [first, second].map(|ended| ended.task().batch.items.bytes.as_ptr());
        assert_eq!(pointers[0], pointers[1]);
        assert!(order.is_full());
        assert!(order.next().is_some());
        assert!(!order.is_full());
    }
}
