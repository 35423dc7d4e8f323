//! Keeps the ends of commands until all items before them have been printed.

use std::collections::VecDeque;

use super::job::{CommandOutcome, ItemTask};
use crate::client::ItemRef;

/// The executor requests no item while this many items have ended, and wait for an item before them.
const MAX_HELD_ITEMS: usize = 1000;

/// What the end of a command means for its item.
#[derive(Debug)]
pub(super) enum Verdict {
    Done,
    /// The command is to be tried again.
    Retry,
    /// The next try is on its way already.
    Retried,
    /// The reason of the failure, for the queue.
    Failed(String),
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
    /// The number of failed items that have not been told.
    untold_failures: u64,
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

    fn is_failure(&self) -> bool {
        matches!(self, Self::NoArgument(_) | Self::Ended(_, Verdict::Failed(_)))
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
        self.held().count() >= MAX_HELD_ITEMS
    }

    /// Holds what is told of an item until it is its turn.
    pub(super) fn hold(&mut self, told: Told) {
        let is_over = !matches!(told, Told::Ended(_, Verdict::Retry | Verdict::Retried));
        self.untold_failures += u64::from(told.is_failure());
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
                self.untold_failures -= u64::from(told.is_failure());
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

    pub(super) fn untold_failures(&self) -> u64 {
        self.untold_failures
    }

    /// The items that are over, and that the queue does not know as done or failed yet.
    pub(super) fn held(&self) -> impl Iterator<Item = ItemRef> {
        let last = |place: &Place| place.untold.back().map(|told| told.task().item_ref());
        self.places.iter().filter(|place| place.is_over).filter_map(last)
    }
}
