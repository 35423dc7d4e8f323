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
pub(super) enum Verdict {
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

/// What is told of an item at its place.
#[derive(Debug)]
pub(super) enum Told {
    Ended(Box<CommandOutcome>, Verdict),
    /// No command can get the item.
    NoArgument(ItemTask),
}

/// The items in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct ItemOrder {
    /// The number of the first place.
    first: u64,
    places: VecDeque<Place>,
    /// The outcomes that have not been told.
    untold: ExecTotals,
    /// The number of entries of all places.
    held_ends: usize,
    /// The bytes of the items at the places that have entries.
    held_bytes: usize,
}

#[derive(Debug, Default)]
struct Place {
    untold: VecDeque<Told>,
    /// The bytes of the item, which the entries share. Empty without an entry.
    bytes: Bytes,
    /// Nothing more comes.
    is_over: bool,
}

impl Place {
    /// The entry that ends the item here. None if the last entry is a try before another one: the item is not here then.
    fn last_end(&mut self) -> Option<&mut Told> {
        self.untold.back_mut().filter(|told| self.is_over && told.ends_item())
    }
}

impl Told {
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
        !matches!(self, Self::Ended(_, Verdict::Retry | Verdict::Retried))
    }

    /// The outcome of the item, as counts. Nothing if the item has none yet, or has its outcome from another consumer.
    fn outcome(&self) -> ExecTotals {
        match self {
            _ if self.task().is_lost => ExecTotals::default(),
            Self::NoArgument(_) | Self::Ended(_, Verdict::Failed(_)) => {
                ExecTotals { done: 0, failed: 1 }
            }
            Self::Ended(_, Verdict::Done) => ExecTotals { done: 1, failed: 0 },
            Self::Ended(..) => ExecTotals::default(),
        }
    }
}

impl ItemOrder {
    /// The place of the next item.
    pub(super) fn take_place(&mut self) -> u64 {
        self.places.push_back(Place::default());
        self.first + self.places.len() as u64 - 1
    }

    /// Whether too much waits for an item before it.
    pub(super) fn is_full(&self) -> bool {
        self.held_ends >= MAX_HELD_ENDS || self.held_bytes >= MAX_HELD_BYTES
    }

    /// Whether the item at this place may be tried again. When too much waits, only the first item may: the others wait for
    /// it.
    pub(super) fn may_retry(&self, at: u64) -> bool {
        at == self.first || !self.is_full()
    }

    /// Holds what is told of an item until it is its turn.
    pub(super) fn hold(&mut self, mut told: Told) {
        let is_over = told.ends_item();
        let ExecTotals { done, failed } = told.outcome();
        let at = told.task().place;
        let Some(place) = self.places.get_mut(index(self.first, at)) else { return };
        let bytes = &mut told.task_mut().batch.items.bytes;
        if place.untold.is_empty() {
            // An item that stays for long does not keep the buffer alive that it came in.
            place.bytes = Bytes::copy_from_slice(bytes);
            self.held_bytes += bytes.len();
        }
        *bytes = place.bytes.clone();
        place.untold.push_back(told);
        place.is_over |= is_over;
        self.held_ends += 1;
        self.untold.done += done;
        self.untold.failed += failed;
    }

    /// Nothing more comes of the item at this place.
    pub(super) fn give_up(&mut self, at: u64) {
        if let Some(place) = self.places.get_mut(index(self.first, at)) {
            place.is_over = true;
        }
    }

    /// The next to be told, after everything before it.
    pub(super) fn next(&mut self) -> Option<Told> {
        while let Some(place) = self.places.front_mut() {
            if let Some(told) = place.untold.pop_front() {
                self.held_ends -= 1;
                if place.untold.is_empty() {
                    self.held_bytes -= std::mem::take(&mut place.bytes).len();
                }
                let ExecTotals { done, failed } = told.outcome();
                self.untold.done -= done;
                self.untold.failed -= failed;
                return Some(told);
            }
            if !place.is_over {
                return None;
            }
            self.places.pop_front();
            self.first += 1;
        }
        None
    }

    /// No item that has not ended will end: what is left can be told.
    pub(super) fn close(&mut self) {
        self.places.iter_mut().for_each(|place| place.is_over = true);
    }

    /// The outcomes of the items that wait for their turn.
    pub(super) fn untold(&self) -> ExecTotals {
        self.untold
    }

    /// The items that have ended here, and that the queue does not know as done or failed yet: their leases go on.
    pub(super) fn held(&self) -> impl Iterator<Item = &ItemTask> {
        let over = self.places.iter().filter(|place| place.is_over);
        let ends = over.filter_map(|place| place.untold.back()).filter(|told| told.ends_item());
        ends.map(Told::task).filter(|task| !task.is_lost)
    }

    /// The lease of an item has run out: its outcome here does not count. Returns whether the item is held here.
    pub(super) fn lose(&mut self, item: BatchRef) -> bool {
        let mut ends = self.places.iter_mut().filter_map(Place::last_end);
        let Some(told) = ends.find(|told| {
            let task = told.task();
            !task.is_lost && task.batch.batch_ref() == item
        }) else {
            return false;
        };
        let ExecTotals { done, failed } = told.outcome();
        self.untold.done -= done;
        self.untold.failed -= failed;
        told.task_mut().is_lost = true;
        true
    }
}

/// The index of a place. An index behind the last one if the place has gone.
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

    /// The end of the item with this id, which has this place.
    fn end(id: u64, place: u64) -> Told {
        let items = Items { count: 1, bytes: Bytes::from_static(b"1\n") };
        let batch = Batch::new(id, 0, items);
        Told::NoArgument(ItemTask::new(batch, place))
    }

    fn told_ids(order: &mut ItemOrder) -> Vec<u64> {
        std::iter::from_fn(|| order.next()).map(|told| told.task().id()).collect()
    }

    #[test]
    fn what_has_ended_waits_for_everything_before_it() {
        let mut order = ItemOrder::default();
        let places = [(); 4].map(|()| order.take_place());
        order.hold(end(8, places[1]));
        order.hold(end(3, places[3]));
        assert!(told_ids(&mut order).is_empty());
        assert_eq!(order.held().map(ItemTask::id).collect::<Vec<_>>(), [8, 3]);
        assert_eq!(order.untold().failed, 2);
        order.hold(end(9, places[0]));
        assert_eq!(told_ids(&mut order), [9, 8]);
        order.give_up(places[2]);
        assert_eq!(told_ids(&mut order), [3]);
        assert_eq!(order.untold().failed, 0);
        // The same item may come again.
        let place = order.take_place();
        order.hold(end(8, place));
        assert_eq!(told_ids(&mut order), [8]);
    }

    #[test]
    fn at_the_end_what_has_ended_is_told_without_the_rest() {
        let mut order = ItemOrder::default();
        let places = [(); 3].map(|()| order.take_place());
        order.hold(end(2, places[1]));
        order.close();
        assert_eq!(told_ids(&mut order), [2]);
    }

    #[test]
    fn the_number_of_items_that_wait_is_bounded() {
        let mut order = ItemOrder::default();
        let first = order.take_place();
        for id in 0..MAX_HELD_ENDS as u64 {
            assert!(!order.is_full());
            let place = order.take_place();
            order.hold(end(id, place));
        }
        assert!(order.is_full());
        order.hold(end(0, first));
        assert_eq!(told_ids(&mut order).len(), MAX_HELD_ENDS + 1);
        assert!(!order.is_full());
    }

    /// A failed try of the item with this id, before another one.
    fn failed_try(id: u64, place: u64) -> Told {
        let Told::NoArgument(task) = end(id, place) else { unreachable!() };
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
        Told::Ended(Box::new(outcome), Verdict::Retried)
    }

    #[test]
    fn an_item_that_is_given_up_between_two_tries_is_not_held() {
        let mut order = ItemOrder::default();
        let places = [(); 2].map(|()| order.take_place());
        order.hold(failed_try(7, places[1]));
        order.give_up(places[1]);
        assert_eq!(order.held().count(), 0);
        assert!(!order.lose(end(7, 0).task().batch.batch_ref()));
    }

    #[test]
    fn an_item_whose_lease_has_run_out_counts_no_more_and_is_lost_once() {
        let mut order = ItemOrder::default();
        let places = [(); 2].map(|()| order.take_place());
        order.hold(end(7, places[1]));
        let item = end(7, 0).task().batch.batch_ref();
        assert!(order.lose(item));
        assert_eq!((order.untold().failed, order.held().count()), (0, 0));
        assert!(!order.lose(item));
        order.give_up(places[0]);
        assert!(order.next().is_some_and(|told| told.task().is_lost));
        assert_eq!(order.untold().failed, 0);
    }

    #[test]
    fn tries_count_like_items_and_only_the_first_item_is_tried_again_then() {
        let mut order = ItemOrder::default();
        let places = [(); 2].map(|()| order.take_place());
        for _ in 0..MAX_HELD_ENDS {
            assert!(order.may_retry(places[1]));
            order.hold(failed_try(7, places[1]));
        }
        assert!(order.is_full());
        assert_eq!(places.map(|place| order.may_retry(place)), [true, false]);
        order.give_up(places[0]);
        assert_eq!(told_ids(&mut order).len(), MAX_HELD_ENDS);
        assert!(order.may_retry(places[1]));
    }

    #[test]
    fn the_tries_of_an_item_share_its_bytes_which_are_bounded() {
        let mut order = ItemOrder::default();
        let places = [(); 3].map(|()| order.take_place());
        let big = Bytes::from(vec![b'x'; MAX_HELD_BYTES - 2]);
        for _ in 0..3 {
            let mut told = failed_try(7, places[1]);
            told.task_mut().batch.items.bytes = big.clone();
            order.hold(told);
        }
        assert!(!order.is_full());
        order.hold(end(8, places[2]));
        assert!(order.is_full());
        order.give_up(places[0]);
        let first = order.next().unwrap();
        let second = order.next().unwrap();
        let pointers = [first, second].map(|told| told.task().batch.items.bytes.as_ptr());
        assert_eq!(pointers[0], pointers[1]);
        assert!(order.is_full());
        assert!(order.next().is_some());
        assert!(!order.is_full());
    }
}
