//! Items in batches, and the list of ready batches. An item is a line of bytes here; nothing parses
//! the line.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;

use crate::clock::Nanos;

/// The list joins small batches into one chunk of at most this many bytes: about one write of a
/// producer that has many items.
const MAX_CHUNK_BYTES: usize = 4 * 1024;
/// A delivery joins chunks up to this many bytes. With a smaller limit the list would grow while a
/// consumer of equal speed waits for the rest.
pub(crate) const MAX_DELIVERY_BYTES: usize = 512 * 1024;
/// The items of one batch were accepted within this time: the error of an item's age.
const MAX_AGE_SPREAD: Nanos = 10_000_000;
/// The scan for newlines counts this many bytes at once.
const SCAN_CHUNK_BYTES: usize = 512;

/// The text of `count` items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Items {
    pub(crate) count: u64,
    /// One line for each item, with its newline.
    pub(crate) bytes: Bytes,
}

impl Items {
    /// Takes the first `n` items off; `n` is at most `count`. Both parts share the bytes.
    pub(crate) fn split_to(&mut self, n: u64) -> Self {
        if n >= self.count {
            return std::mem::take(self);
        }
        let at = Self::end_offset(n, &self.bytes).unwrap_or(self.bytes.len());
        self.count -= n;
        Self { count: n, bytes: self.bytes.split_to(at) }
    }

    /// The offset at which the first `n` lines of these bytes end. If there are fewer lines: their
    /// number, as the error.
    pub(crate) fn end_offset(n: u64, bytes: &[u8]) -> Result<usize, u64> {
        let mut left = n;
        if left == 0 {
            return Ok(0);
        }
        // To count the newlines costs a fraction of the time that a search for each newline costs.
        for (at, part) in (0..).step_by(SCAN_CHUNK_BYTES).zip(bytes.chunks(SCAN_CHUNK_BYTES)) {
            let count = memchr::memchr_iter(b'\n', part).count() as u64;
            if count >= left {
                // `left` is at most the length of the part, so the cast loses nothing.
                let end = memchr::memchr_iter(b'\n', part).nth(left as usize - 1);
                return Ok(at + end.map_or(part.len(), |end| end + 1));
            }
            left -= count;
        }
        Err(n - left)
    }

    /// Whether the bytes are as many lines as the count says, and none of the lines is empty.
    pub(crate) fn is_well_formed(&self) -> bool {
        let bytes = &self.bytes[..];
        if !bytes.ends_with(b"\n") || bytes.starts_with(b"\n") {
            return false;
        }
        if self.count == 1 {
            return memchr::memchr(b'\n', bytes) == Some(bytes.len() - 1);
        }
        // To count the newlines costs a fraction of the time that a search for each newline costs.
        memchr::memchr_iter(b'\n', bytes).count() as u64 == self.count
            && memchr::memmem::find(bytes, b"\n\n").is_none()
    }

    /// Copies the bytes out of a larger buffer, so that items that stay for long do not keep that
    /// buffer alive.
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

/// Items with consecutive ids in the same attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    /// The queue gives ids in the order of acceptance, from 1.
    pub(crate) first_id: u64,
    /// 1 at acceptance. A requeue or a retry adds 1.
    pub(crate) attempt: u32,
    /// How many consumers died with the items in flight, or exceeded their lease.
    pub(crate) delivery_failures: u32,
    /// When the queue accepted the first of the items.
    pub(crate) accepted_at: Nanos,
    pub(crate) items: Items,
}

impl Batch {
    /// Newly accepted items.
    pub(crate) fn new(first_id: u64, accepted_at: Nanos, items: Items) -> Self {
        Self { first_id, attempt: 1, delivery_failures: 0, accepted_at, items }
    }

    /// How many items.
    pub(crate) fn count(&self) -> u64 {
        self.items.count
    }

    /// The id after the last item's id.
    pub(crate) fn end_id(&self) -> u64 {
        self.first_id + self.items.count
    }

    pub(crate) fn ids(&self) -> Range<u64> {
        self.first_id..self.end_id()
    }

    /// Takes the first `n` items off; `n` is at most the count.
    pub(crate) fn split_to(&mut self, n: u64) -> Self {
        let items = self.items.split_to(n);
        let Self { first_id, attempt, delivery_failures, accepted_at, .. } = *self;
        self.first_id += items.count;
        Self { first_id, attempt, delivery_failures, accepted_at, items }
    }

    /// The reference to the whole batch.
    pub(crate) fn batch_ref(&self) -> BatchRef {
        BatchRef { first_id: self.first_id, count: self.count(), attempt: Some(self.attempt) }
    }

    /// The same items in the next attempt.
    pub(super) fn next_attempt(self) -> Self {
        Self { attempt: self.attempt.saturating_add(1), ..self }
    }

    /// Whether `next` continues this batch if the batch is extended up to `end_id`: in ids, in the
    /// attempt and in the delivery failures.
    pub(super) fn is_continued_by(&self, end_id: u64, next: &Self) -> bool {
        end_id == next.first_id
            && (self.attempt, self.delivery_failures) == (next.attempt, next.delivery_failures)
    }

    /// Whether [`Self::is_continued_by`] holds, and the ages are close enough for one batch.
    fn can_merge(&self, end_id: u64, next: &Self) -> bool {
        self.is_continued_by(end_id, next)
            && next.accepted_at.saturating_sub(self.accepted_at) < MAX_AGE_SPREAD
    }

    /// Appends the batches that continue this one. Copies all bytes once.
    pub(super) fn extend(&mut self, others: &[Self]) {
        let parts = || std::iter::once(&*self).chain(others).map(|batch| &batch.items);
        let mut bytes = Vec::with_capacity(parts().map(|items| items.bytes.len()).sum());
        parts().for_each(|items| bytes.extend_from_slice(&items.bytes));
        let count = parts().map(|items| items.count).sum();
        self.items = Items { count, bytes: bytes.into() };
    }

    /// The items with their ids.
    pub(crate) fn iter_with_ids(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.ids().zip(self.items.iter())
    }
}

/// Names items that a client has in flight, all within one delivered batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchRef {
    pub(crate) first_id: u64,
    pub(crate) count: u64,
    /// The attempt of the delivery, if the client names the attempt. A client can lose an item by its
    /// lease and receive the item again: the attempt tells the two deliveries apart.
    pub(crate) attempt: Option<u32>,
}

/// The ready items: batches in the order of their ids, which is the order of acceptance.
#[derive(Debug, Default)]
pub(crate) struct ReadyList {
    batches: VecDeque<Batch>,
    item_count: u64,
}

impl ReadyList {
    /// How many items are ready.
    pub(crate) fn len(&self) -> u64 {
        self.item_count
    }

    /// Whether no item is ready.
    pub(crate) fn is_empty(&self) -> bool {
        self.item_count == 0
    }

    /// Adds a newly accepted batch at the end.
    pub(crate) fn push(&mut self, batch: Batch) {
        self.item_count += batch.count();
        let Some(last) = self.batches.back_mut().filter(|last| {
            last.can_merge(last.end_id(), &batch)
                && last.items.bytes.len() + batch.items.bytes.len() <= MAX_CHUNK_BYTES
        }) else {
            return self.batches.push_back(batch);
        };
        // Bytes of a delivered batch are shared: nothing is appended to such bytes.
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

    /// Puts a batch back at its old position.
    pub(crate) fn requeue(&mut self, batch: Batch) {
        self.item_count += batch.count();
        // The position is never inside another batch: a batch has all ids from its first to its last.
        let at = self.batches.partition_point(|b| b.first_id < batch.first_id);
        self.batches.insert(at, batch);
    }

    /// Takes up to `max` items that fit in one batch from the front.
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

    /// Takes up to `max` items of the first batch.
    fn take_front(&mut self, max: u64) -> Option<Batch> {
        let front = self.batches.front_mut()?;
        let batch = front.split_to(max.min(front.count()));
        if front.count() == 0 {
            self.batches.pop_front();
        }
        self.item_count -= batch.count();
        Some(batch)
    }

    /// A copy of up to `max` items of one batch, all with ids of at least `from_id`. None if that is no item.
    pub(crate) fn peek(&self, from_id: u64, max: u64) -> Option<Batch> {
        if max == 0 {
            return None;
        }
        let at = self.batches.partition_point(|batch| batch.end_id() <= from_id);
        let mut batch = self.batches.get(at)?.clone();
        batch.split_to(from_id.saturating_sub(batch.first_id));
        Some(batch.split_to(max.min(batch.count())))
    }

    pub(crate) fn batches(&self) -> impl DoubleEndedIterator<Item = &Batch> {
        self.batches.iter()
    }

    /// Drops all ready items and returns their number.
    pub(crate) fn clear(&mut self) -> u64 {
        self.batches.clear();
        std::mem::take(&mut self.item_count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items(texts: &[&str]) -> Items {
        let text: String = texts.iter().map(|text| format!("{text}\n")).collect();
        Items { count: texts.len() as u64, bytes: Bytes::from(text) }
    }

    fn batch(first_id: u64, texts: &[&str]) -> Batch {
        Batch::new(first_id, 0, items(texts))
    }

    fn drain(ready: &mut ReadyList) -> Vec<(u64, u32, String)> {
        let mut all = Vec::new();
        while let Some(batch) = ready.take(1) {
            let text = String::from_utf8_lossy(&batch.items.bytes).trim().to_owned();
            all.push((batch.first_id, batch.attempt, text));
        }
        all
    }

    #[test]
    fn a_split_keeps_ids_and_texts_together() {
        let mut whole = batch(7, &["a", "bb", "ccc"]);
        let head = whole.split_to(2);
        assert_eq!(head, batch(7, &["a", "bb"]));
        assert_eq!(whole, batch(9, &["ccc"]));
        assert_eq!(whole.split_to(0).count(), 0);
        assert_eq!(whole.split_to(1), batch(9, &["ccc"]));
        assert_eq!(whole.count(), 0);
    }

    proptest! {
        #[test]
        fn the_end_offset_of_n_lines_is_behind_the_nth_newline(
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
    fn consecutive_small_batches_become_one_chunk() {
        let mut ready = ReadyList::default();
        ready.push(batch(1, &["a"]));
        ready.push(batch(2, &["b", "c"]));
        assert_eq!(ready.len(), 3);
        assert_eq!(ready.take(10), Some(batch(1, &["a", "b", "c"])));
        assert!(ready.is_empty());
    }

    #[test]
    fn items_of_different_ages_stay_apart() {
        let mut ready = ReadyList::default();
        for (first_id, accepted_at) in [(1, 0), (2, MAX_AGE_SPREAD - 1), (3, MAX_AGE_SPREAD)] {
            ready.push(Batch { accepted_at, ..batch(first_id, &["x"]) });
        }
        assert_eq!(ready.take(10).unwrap().count(), 2);
        assert_eq!(ready.batches[0].accepted_at, MAX_AGE_SPREAD);
    }

    #[test]
    fn a_delivery_joins_chunks_of_one_age_and_one_attempt() {
        let large = "x".repeat(MAX_CHUNK_BYTES - 1);
        let put = |first_id, accepted_at, attempt| Batch {
            accepted_at,
            attempt,
            ..batch(first_id, &[&large])
        };
        let mut ready = ReadyList::default();
        for first_id in 1..=3 {
            ready.push(put(first_id, 0, 1));
        }
        // Item 5 is too young for the first chunk, though not for chunk 4. Item 9 is in another attempt.
        ready.push(put(4, MAX_AGE_SPREAD - 1, 1));
        ready.push(put(5, MAX_AGE_SPREAD, 1));
        ready.requeue(put(9, MAX_AGE_SPREAD, 2));
        assert_eq!(ready.batches().count(), 6);
        let all = ready.take(10).unwrap();
        assert_eq!((all.first_id, all.count(), all.accepted_at), (1, 4, 0));
        assert_eq!(
            all.iter_with_ids().map(|(id, item)| (id, item.len())).last(),
            Some((4, MAX_CHUNK_BYTES - 1))
        );
        assert_eq!(ready.take(10).unwrap().batch_ref(), put(5, 0, 1).batch_ref());
        assert_eq!(ready.take(10).unwrap().batch_ref(), put(9, 0, 2).batch_ref());
        assert_eq!((ready.len(), ready.take(1)), (0, None));
    }

    #[test]
    fn a_delivery_has_at_most_max_items_and_fits_in_a_pipe() {
        let large = "x".repeat(MAX_CHUNK_BYTES - 1);
        let mut ready = ReadyList::default();
        let most_chunks = (MAX_DELIVERY_BYTES / MAX_CHUNK_BYTES) as u64;
        let count = most_chunks + 3;
        for first_id in 1..=count {
            ready.push(batch(first_id, &[&large]));
        }
        assert_eq!(ready.take(3).unwrap().count(), 3);
        ready.push(batch(count + 1, &["a", "b", "c"]));
        let longest = ready.take(u64::MAX).unwrap();
        assert_eq!((longest.items.bytes.len(), longest.count()), (MAX_DELIVERY_BYTES, most_chunks));
        assert_eq!(ready.take(2).unwrap(), batch(count + 1, &["a", "b"]));
        assert_eq!(ready.len(), 1);
    }

    #[test]
    fn peek_takes_nothing_out() {
        let mut ready = ReadyList::default();
        ready.push(batch(1, &["a", "b", "c"]));
        ready.push(Batch { accepted_at: MAX_AGE_SPREAD, ..batch(4, &["d"]) });
        assert_eq!(ready.peek(0, 2), Some(batch(1, &["a", "b"])));
        assert_eq!(ready.peek(2, 9), Some(batch(2, &["b", "c"])));
        assert_eq!(ready.peek(4, 9).unwrap().first_id, 4);
        assert_eq!(ready.peek(5, 9), None);
        assert_eq!(ready.peek(1, 0), None);
        assert_eq!(ready.len(), 4);
    }

    #[test]
    fn a_requeued_batch_returns_to_its_old_position() {
        let mut ready = ReadyList::default();
        ready.push(batch(1, &["a", "b", "c", "d"]));
        let mut ab = ready.take(2).unwrap();
        let a = ab.split_to(1);
        ready.requeue(ab.next_attempt());
        ready.requeue(a);
        let expected = [(1, 1, "a"), (2, 2, "b"), (3, 1, "c"), (4, 1, "d")];
        assert_eq!(drain(&mut ready), expected.map(|(n, k, t)| (n, k, t.to_owned())));
    }
}
