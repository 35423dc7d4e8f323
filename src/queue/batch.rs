//! Items in runs: consecutive lines of bytes, each item a line, none parsed.

use std::collections::VecDeque;

use bytes::Bytes;

use super::BatchRef;
use crate::clock::Nanos;

/// Small items put one after another are kept in one piece up to this many bytes: about a write of a
/// producer that has many.
const MAX_CHUNK_BYTES: usize = 4 * 1024;
/// Pieces are handed out together up to this many bytes: what a client's pipe may hold, and as much as
/// is taken in at a time, or else the line would grow while a consumer that is as fast waits for the rest.
const MAX_DELIVERY_BYTES: usize = 512 * 1024;
/// And if they were accepted within this time: it is how exactly an item's age is known.
const MAX_AGE_SPREAD: Nanos = 10_000_000;
/// Newlines are counted in so many bytes at once.
const SCAN_CHUNK_BYTES: usize = 512;

/// Items as lines: `count` of them, each with its newline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Items {
    /// How many items.
    pub(crate) count: u64,
    /// Their text, each ended by a newline.
    pub(crate) bytes: Bytes,
}

impl Items {
    /// Takes the first `n` items off; `n` is at most `count`. The bytes are shared, not copied.
    pub(crate) fn split_to(&mut self, n: u64) -> Self {
        if n >= self.count {
            return std::mem::take(self);
        }
        let at = Self::end_offset(n, &self.bytes).unwrap_or(self.bytes.len());
        self.count -= n;
        Self { count: n, bytes: self.bytes.split_to(at) }
    }

    /// Where the first `n` lines of these bytes end; if there are fewer, how many there are.
    pub(crate) fn end_offset(n: u64, bytes: &[u8]) -> Result<usize, u64> {
        let mut left = n;
        if left == 0 {
            return Ok(0);
        }
        // To count newlines costs a fraction of what finding each of them does.
        for (at, part) in (0..).step_by(SCAN_CHUNK_BYTES).zip(bytes.chunks(SCAN_CHUNK_BYTES)) {
            let count = memchr::memchr_iter(b'\n', part).count() as u64;
            if count >= left {
                // In range, as it is less than the part's length.
                let end = memchr::memchr_iter(b'\n', part).nth(left as usize - 1);
                return Ok(at + end.map_or(part.len(), |end| end + 1));
            }
            left -= count;
        }
        Err(n - left)
    }

    /// Lets go of the piece that these are a small part of: they may stay long after the rest of it
    /// has gone.
    pub(super) fn detach(&mut self) {
        if self.bytes.len() < MAX_DELIVERY_BYTES {
            self.bytes = Bytes::copy_from_slice(&self.bytes);
        }
    }

    /// The items, without their newlines.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes
            .split_inclusive(|&b| b == b'\n')
            .map(|line| line.strip_suffix(b"\n").unwrap_or(line))
    }
}

/// Items with consecutive numbers that are up for the same attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    /// The number (id) of the first item. Numbers are given in the order of acceptance, from 1.
    pub(crate) first_id: u64,
    /// 1 for items that nobody has had yet, one more for each time that they came back.
    pub(crate) attempt: u32,
    /// How often whoever had them died, or had them for longer than its lease.
    pub(crate) delivery_failures: u32,
    /// When they were accepted; the first of them, if they were put one after another.
    pub(crate) accepted_at: Nanos,
    /// The items.
    pub(crate) items: Items,
}

impl Batch {
    /// How many items.
    pub(crate) fn count(&self) -> u64 {
        self.items.count
    }

    /// The number after that of the last item.
    pub(crate) fn end_id(&self) -> u64 {
        self.first_id + self.items.count
    }

    /// Takes the first `n` items off; `n` is at most the count.
    pub(crate) fn split_to(&mut self, n: u64) -> Self {
        let lines = self.items.split_to(n);
        let first = self.first_id;
        self.first_id += lines.count;
        let Self { attempt, delivery_failures, accepted_at: since, .. } = *self;
        Self { first_id: first, attempt, delivery_failures, accepted_at: since, items: lines }
    }

    /// All of it, as its holder names it.
    pub(crate) fn batch_ref(&self) -> BatchRef {
        BatchRef { first_id: self.first_id, count: self.count(), attempt: Some(self.attempt) }
    }

    /// Whether this, with what goes with it up to the number `end`, could be one run with `next`, were
    /// that not too long.
    fn can_merge(&self, end: u64, next: &Self) -> bool {
        end == next.first_id
            && (self.attempt, self.delivery_failures) == (next.attempt, next.delivery_failures)
            && next.accepted_at.saturating_sub(self.accepted_at) < MAX_AGE_SPREAD
    }

    /// Adds what goes with it. The bytes of all are copied, once.
    pub(super) fn extend(&mut self, others: &[Self]) {
        let pieces = || std::iter::once(&*self).chain(others).map(|batch| &batch.items);
        let mut bytes = Vec::with_capacity(pieces().map(|lines| lines.bytes.len()).sum());
        pieces().for_each(|lines| bytes.extend_from_slice(&lines.bytes));
        let count = pieces().map(|lines| lines.count).sum();
        self.items = Items { count, bytes: bytes.into() };
    }

    /// The items with their numbers.
    pub(crate) fn iter_with_ids(&self) -> impl Iterator<Item = (u64, &[u8])> {
        (self.first_id..self.end_id()).zip(self.items.iter())
    }
}

/// What is in line: runs in the order of their numbers, which is the order of acceptance.
#[derive(Debug, Default)]
pub(crate) struct ReadyList {
    batches: VecDeque<Batch>,
    len: u64,
}

impl ReadyList {
    /// How many items are in line.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Adds a newly accepted run at the end.
    pub(crate) fn push(&mut self, batch: Batch) {
        self.len += batch.count();
        let Some(last) = self.batches.back_mut().filter(|last| {
            last.can_merge(last.end_id(), &batch)
                && last.items.bytes.len() + batch.items.bytes.len() <= MAX_CHUNK_BYTES
        }) else {
            return self.batches.push_back(batch);
        };
        // Bytes that somebody has out are shared, and stay as they are.
        match std::mem::take(&mut last.items.bytes).try_into_mut() {
            Ok(mut bytes) => {
                bytes.extend_from_slice(&batch.items.bytes);
                last.items.bytes = bytes.freeze();
                last.items.count += batch.items.count;
            }
            Err(shared) => {
                last.items.bytes = shared;
                self.batches.push_back(batch);
            }
        }
    }

    /// Puts a run back at its old place.
    pub(crate) fn requeue(&mut self, batch: Batch) {
        self.len += batch.count();
        // Never inside another run: a run holds all numbers from its first to its last.
        let at = self.batches.partition_point(|r| r.first_id < batch.first_id);
        self.batches.insert(at, batch);
    }

    /// Takes up to `max` items from the front that can go in one run.
    pub(crate) fn take(&mut self, max: u64) -> Option<Batch> {
        let mut batch = self.take_front(max)?;
        let mut others = Vec::new();
        let (mut bytes, mut left) = (batch.items.bytes.len(), max - batch.count());
        while left > 0
            && let Some(next) = self.batches.front()
            && batch.can_merge(others.last().unwrap_or(&batch).end_id(), next)
            && bytes + next.items.bytes.len() <= MAX_DELIVERY_BYTES
            && let Some(other) = self.take_front(left)
        {
            bytes += other.items.bytes.len();
            left -= other.count();
            others.push(other);
        }
        if !others.is_empty() {
            batch.extend(&others);
        }
        Some(batch)
    }

    /// Takes up to `max` items of the first run.
    fn take_front(&mut self, max: u64) -> Option<Batch> {
        let front = self.batches.front_mut()?;
        let batch = front.split_to(max.min(front.count()));
        if front.count() == 0 {
            self.batches.pop_front();
        }
        self.len -= batch.count();
        Some(batch)
    }

    /// Since when the first item has been here.
    pub(crate) fn oldest_accepted_at(&self) -> Option<Nanos> {
        self.batches.front().map(|batch| batch.accepted_at)
    }

    /// Up to `max` items of one run, none of which has a number below `from`. They stay in line.
    pub(crate) fn peek(&self, from: u64, max: u64) -> Option<Batch> {
        let at = self.batches.partition_point(|batch| batch.end_id() <= from);
        let mut batch = self.batches.get(at)?.clone();
        batch.split_to(from.saturating_sub(batch.first_id));
        Some(batch.split_to(max.min(batch.count())))
    }

    /// All that is in line.
    pub(crate) fn batches(&self) -> impl DoubleEndedIterator<Item = &Batch> {
        self.batches.iter()
    }

    /// Empties the line and tells how many items were in it.
    pub(crate) fn clear(&mut self) -> u64 {
        self.batches.clear();
        std::mem::take(&mut self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(items: &[&str]) -> Items {
        let text: String = items.iter().map(|i| format!("{i}\n")).collect();
        Items { count: items.len() as u64, bytes: Bytes::from(text) }
    }

    fn run(first: u64, items: &[&str]) -> Batch {
        Batch {
            first_id: first,
            attempt: 1,
            delivery_failures: 0,
            accepted_at: 0,
            items: lines(items),
        }
    }

    fn drain(line: &mut ReadyList) -> Vec<(u64, u32, String)> {
        let mut all = Vec::new();
        while let Some(batch) = line.take(1) {
            let text = String::from_utf8_lossy(&batch.items.bytes).trim().to_owned();
            all.push((batch.first_id, batch.attempt, text));
        }
        all
    }

    #[test]
    fn splitting_keeps_numbers_and_text_together() {
        let mut whole = run(7, &["a", "bb", "ccc"]);
        let head = whole.split_to(2);
        assert_eq!(head, run(7, &["a", "bb"]));
        assert_eq!(whole, run(9, &["ccc"]));
        assert_eq!(whole.split_to(0).count(), 0);
        assert_eq!(whole.split_to(1), run(9, &["ccc"]));
        assert_eq!(whole.count(), 0);
    }

    proptest! {
        #[test]
        fn lines_end_where_each_of_them_is_counted_to(
            text in proptest::collection::vec(prop_oneof![4 => any::<u8>(), 1 => Just(b'\n')], 0..3 * SCAN_CHUNK_BYTES),
            n in 0..800_u64,
        ) {
            let ends: Vec<_> = text.iter().enumerate().filter(|(_, b)| **b == b'\n').collect();
            let expected = match n {
                0 => Ok(0),
                n => ends.get(n as usize - 1).map(|(at, _)| at + 1).ok_or(ends.len() as u64),
            };
            prop_assert_eq!(Items::end_offset(n, &text), expected);
        }
    }

    #[test]
    fn runs_that_follow_each_other_are_kept_in_one_piece() {
        let mut line = ReadyList::default();
        line.push(run(1, &["a"]));
        line.push(run(2, &["b", "c"]));
        assert_eq!(line.len(), 3);
        assert_eq!(line.take(10), Some(run(1, &["a", "b", "c"])));
        assert_eq!(line.len(), 0);
    }

    #[test]
    fn items_whose_ages_differ_are_kept_apart() {
        let mut line = ReadyList::default();
        for (first, since) in [(1, 0), (2, MAX_AGE_SPREAD - 1), (3, MAX_AGE_SPREAD)] {
            line.push(Batch { accepted_at: since, ..run(first, &["x"]) });
        }
        assert_eq!(line.take(10).unwrap().count(), 2);
        assert_eq!(line.oldest_accepted_at(), Some(MAX_AGE_SPREAD));
    }

    #[test]
    fn pieces_are_handed_out_together_as_far_as_they_belong_together() {
        let large = "x".repeat(MAX_CHUNK_BYTES - 1);
        let put =
            |first, since, attempt| Batch { accepted_at: since, attempt, ..run(first, &[&large]) };
        let mut line = ReadyList::default();
        for first in 1..=3 {
            line.push(put(first, 0, 1));
        }
        // Of another age than the first of them, though not than the one before; then of another attempt.
        line.push(put(4, MAX_AGE_SPREAD - 1, 1));
        line.push(put(5, MAX_AGE_SPREAD, 1));
        line.requeue(put(9, MAX_AGE_SPREAD, 2));
        assert_eq!(line.batches().count(), 6);
        let all = line.take(10).unwrap();
        assert_eq!((all.first_id, all.count(), all.accepted_at), (1, 4, 0));
        assert_eq!(
            all.iter_with_ids().map(|(id, item)| (id, item.len())).last(),
            Some((4, MAX_CHUNK_BYTES - 1))
        );
        assert_eq!(line.take(10).unwrap().batch_ref(), put(5, 0, 1).batch_ref());
        assert_eq!(line.take(10).unwrap().batch_ref(), put(9, 0, 2).batch_ref());
        assert_eq!((line.len(), line.take(1)), (0, None));
    }

    #[test]
    fn no_more_is_handed_out_together_than_was_asked_for_or_a_pipe_may_hold() {
        let large = "x".repeat(MAX_CHUNK_BYTES - 1);
        let mut line = ReadyList::default();
        let handful = (MAX_DELIVERY_BYTES / MAX_CHUNK_BYTES) as u64;
        let many = handful + 3;
        for first in 1..=many {
            line.push(run(first, &[&large]));
        }
        assert_eq!(line.take(3).unwrap().count(), 3);
        line.push(run(many + 1, &["a", "b", "c"]));
        let most = line.take(u64::MAX).unwrap();
        assert_eq!((most.items.bytes.len(), most.count()), (MAX_DELIVERY_BYTES, handful));
        assert_eq!(line.take(2).unwrap(), run(many + 1, &["a", "b"]));
        assert_eq!(line.len(), 1);
    }

    #[test]
    fn to_look_at_the_line_takes_nothing_out() {
        let mut line = ReadyList::default();
        line.push(run(1, &["a", "b", "c"]));
        line.push(Batch { accepted_at: MAX_AGE_SPREAD, ..run(4, &["d"]) });
        assert_eq!(line.peek(0, 2), Some(run(1, &["a", "b"])));
        assert_eq!(line.peek(2, 9), Some(run(2, &["b", "c"])));
        assert_eq!(line.peek(4, 9).unwrap().first_id, 4);
        assert_eq!(line.peek(5, 9), None);
        assert_eq!(line.len(), 4);
    }

    #[test]
    fn what_comes_back_stands_at_its_old_place() {
        let mut line = ReadyList::default();
        line.push(run(1, &["a", "b", "c", "d"]));
        let mut ab = line.take(2).unwrap();
        let a = ab.split_to(1);
        let mut b = ab;
        b.attempt = 2;
        line.requeue(b);
        line.requeue(a);
        let expected = [(1, 1, "a"), (2, 2, "b"), (3, 1, "c"), (4, 1, "d")];
        assert_eq!(drain(&mut line), expected.map(|(n, k, t)| (n, k, t.to_owned())));
    }
}
