//! Keeps the ends of commands until all items before them have been printed.

use std::collections::VecDeque;

use bytes::Bytes;

use super::ExecTotals;
use super::job::{CommandOutcome, ItemTask};
use crate::failure::Failure;
use crate::queue::BatchRef;

/// The executor requests no item while this many items have ended, and wait for an item before them.
const MAX_HELD_ITEMS: usize = 1000;
/// The same for the bytes of these items. Their output is kept elsewhere.
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
}

#[derive(Debug, Default)]
struct Place {
    untold: VecDeque<Told>,
    /// Nothing more comes.
    is_over: bool,
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

    /// The outcome of the item, as counts. Nothing if the item has none yet.
    fn outcome(&self) -> ExecTotals {
        match self {
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

    /// Whether too many items wait for an item before them.
    pub(super) fn is_full(&self) -> bool {
        let (mut count, mut bytes) = (0, 0);
        for task in self.held() {
            count += 1;
            bytes += task.batch.items.bytes.len();
        }
        count >= MAX_HELD_ITEMS || bytes >= MAX_HELD_BYTES
    }

    /// Holds what is told of an item until it is its turn.
    pub(super) fn hold(&mut self, mut told: Told) {
        // An item that stays for long does not keep the buffer alive that it came in.
        let bytes = &mut told.task_mut().batch.items.bytes;
        *bytes = Bytes::copy_from_slice(bytes);
        let is_over = !matches!(told, Told::Ended(_, Verdict::Retry | Verdict::Retried));
        let ExecTotals { done, failed } = told.outcome();
        self.untold.done += done;
        self.untold.failed += failed;
        let at = told.task().place;
        if let Some(place) = self.place_mut(at) {
            place.untold.push_back(told);
        }
        if is_over {
            self.give_up(at);
        }
    }

    /// Nothing more comes of the item at this place.
    pub(super) fn give_up(&mut self, at: u64) {
        if let Some(place) = self.place_mut(at) {
            place.is_over = true;
        }
    }

    fn place_mut(&mut self, at: u64) -> Option<&mut Place> {
        self.places.get_mut(usize::try_from(at.checked_sub(self.first)?).ok()?)
    }

    /// The next to be told, after everything before it.
    pub(super) fn next(&mut self) -> Option<Told> {
        while let Some(place) = self.places.front_mut() {
            if let Some(told) = place.untold.pop_front() {
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
        over.filter_map(|place| Some(place.untold.back()?.task()))
    }

    /// One of these items.
    pub(super) fn held_mut(&mut self, item: BatchRef) -> Option<&mut ItemTask> {
        let over = self.places.iter_mut().filter(|place| place.is_over);
        let mut tasks = over.filter_map(|place| Some(place.untold.back_mut()?.task_mut()));
        tasks.find(|task| task.batch.batch_ref() == item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        for id in 0..MAX_HELD_ITEMS as u64 {
            assert!(!order.is_full());
            let place = order.take_place();
            order.hold(end(id, place));
        }
        assert!(order.is_full());
        order.hold(end(0, first));
        assert_eq!(told_ids(&mut order).len(), MAX_HELD_ITEMS + 1);
        assert!(!order.is_full());
    }
}
