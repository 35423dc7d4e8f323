//! The ids of the items that a client has in flight, as far as the client knows.

use std::collections::BTreeMap;

use crate::queue::BatchRef;

/// Ranges of item ids. No two ranges overlap.
#[derive(Clone, Debug, Default)]
pub(super) struct HeldItems {
    /// The id behind each range, by the first id of the range.
    ends: BTreeMap<u64, u64>,
}

impl HeldItems {
    pub(super) fn add(&mut self, first_id: u64, count: u64) {
        // A part may be there already: an item whose lease ran out can come back to the client.
        self.remove(BatchRef { first_id, count, attempt: None });
        self.ends.insert(first_id, first_id.saturating_add(count));
    }

    pub(super) fn remove(&mut self, items: BatchRef) {
        let (start, end) = (items.first_id, items.first_id.saturating_add(items.count));
        while let Some((&first, &last)) =
            self.ends.range(..end).next_back().filter(|r| *r.1 > start)
        {
            self.ends.remove(&first);
            if last > end {
                self.ends.insert(end, last);
            }
            if first < start {
                self.ends.insert(first, start);
            }
        }
    }

    /// The parts of a batch whose ids are in no range.
    pub(super) fn missing(&self, (first_id, count, attempt): (u64, u64, u32)) -> Vec<BatchRef> {
        let end = first_id.saturating_add(count);
        let before = self.ends.range(..first_id).next_back();
        let mut missing = Vec::new();
        let mut next = first_id;
        for (&range_start, &range_end) in before.into_iter().chain(self.ends.range(first_id..end)) {
            if range_start > next {
                missing.push((next, range_start));
            }
            next = next.max(range_end);
        }
        if next < end {
            missing.push((next, end));
        }
        let batch_ref =
            |(start, end)| BatchRef { first_id: start, count: end - start, attempt: Some(attempt) };
        missing.into_iter().map(batch_ref).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_are_like_a_set_of_ids(
            moves in proptest::collection::vec((any::<bool>(), 1..40_u64, 1..12_u64), 0..40),
            batch in (1..40_u64, 1..20_u64),
        ) {
            let (mut held, mut set) = (HeldItems::default(), BTreeSet::new());
            for (adds, first_id, count) in moves {
                if adds {
                    held.add(first_id, count);
                    set.extend(first_id..first_id + count);
                } else {
                    held.remove(BatchRef { first_id, count, attempt: None });
                    set.retain(|id| !(first_id..first_id + count).contains(id));
                }
            }
            let missing = held.missing((batch.0, batch.1, 3));
            let ids: Vec<u64> =
                missing.iter().flat_map(|m| m.first_id..m.first_id + m.count).collect();
            let expected: Vec<u64> =
                (batch.0..batch.0 + batch.1).filter(|id| !set.contains(id)).collect();
            prop_assert_eq!(ids, expected);
            prop_assert!(missing.iter().all(|m| m.attempt == Some(3)));
        }
    }
}
