//! The slots of the commands: a number for each of the concurrent commands.

use std::collections::BTreeMap;

use crate::clock::Nanos;

/// The slots that are occupied. A command takes the smallest free slot, from 1 on. So the slots never exceed the
/// maximum number of concurrent commands, and each slot can stand for one GPU or one port.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// For each occupied slot the end of the delay after its command; none while its command runs.
    occupied: BTreeMap<u32, Option<Nanos>>,
}

impl Slots {
    pub(super) fn occupied(&self) -> usize {
        self.occupied.len()
    }

    pub(super) fn take(&mut self) -> u32 {
        // The keys ascend: the first gap is the smallest free slot.
        let gap = (1..).zip(self.occupied.keys()).find(|(slot, taken)| slot != *taken);
        let slot = gap.map_or(self.occupied.len() as u32 + 1, |(slot, _)| slot);
        self.occupied.insert(slot, None);
        slot
    }

    pub(super) fn free(&mut self, slot: u32) {
        self.occupied.remove(&slot);
    }

    /// Keeps a slot whose command has ended until the delay after the command is over.
    pub(super) fn free_at(&mut self, slot: u32, until: Nanos) {
        self.occupied.insert(slot, Some(until));
    }

    pub(super) fn free_due(&mut self, now: Nanos) {
        self.occupied.retain(|_, until| until.is_none_or(|until| until > now));
    }

    /// The end of the next delay.
    pub(super) fn next_free_at(&self) -> Option<Nanos> {
        self.occupied.values().flatten().copied().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_takes_the_smallest_free_slot() {
        let mut slots = Slots::default();
        assert_eq!([slots.take(), slots.take(), slots.take()], [1, 2, 3]);
        slots.free(2);
        assert_eq!((slots.occupied(), slots.take(), slots.take()), (2, 2, 4));
        slots.free(1);
        slots.free(4);
        assert_eq!([slots.take(), slots.take()], [1, 4]);
    }

    #[test]
    fn a_slot_stays_occupied_during_the_delay_after_its_command() {
        let mut slots = Slots::default();
        assert_eq!([slots.take(), slots.take()], [1, 2]);
        slots.free_at(1, 50);
        slots.free_due(49);
        assert_eq!((slots.next_free_at(), slots.occupied(), slots.take()), (Some(50), 2, 3));
        slots.free_due(50);
        assert_eq!((slots.next_free_at(), slots.take()), (None, 1));
    }
}
