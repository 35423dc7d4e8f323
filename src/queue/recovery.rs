//! A queue put together again from what has become of its items.

use std::collections::BTreeMap;

use super::in_flight::InFlight;
use super::{Batch, ClientId, ClientSettings, FailedItem, Queue, QueueState, ReadyList};
use crate::clock::Nanos;

/// Where each item is, as far as has been told.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    ready: BatchMap<()>,
    in_flight: BatchMap<RecoveredClient>,
    failed: BTreeMap<u64, FailedItem>,
    /// The number of the last item.
    last_id: u64,
    /// How many have been done.
    done_count: u64,
}

/// Who has items, and since when.
#[derive(Clone, Copy, Debug)]
struct RecoveredClient {
    client: ClientId,
    delivered_at: Nanos,
    /// The client has begun this attempt itself.
    is_client_attempt: bool,
}

/// Runs by the number of their first item, and something of each.
#[derive(Debug)]
struct BatchMap<T>(BTreeMap<u64, (T, Batch)>);

impl<T> Default for BatchMap<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Copy> BatchMap<T> {
    fn add(&mut self, what: T, batch: Batch) {
        self.0.insert(batch.first_id, (what, batch));
    }

    /// Takes out what there is of `count` items from number `first` on.
    fn take(&mut self, first: u64, count: u64) -> Vec<Batch> {
        let end = first.saturating_add(count);
        let before = self.0.range(..first).next_back().map(|(&key, _)| key);
        let within = self.0.range(first..end).map(|(&key, _)| key);
        let keys: Vec<u64> = before.into_iter().chain(within).collect();
        let mut taken = Vec::new();
        for key in keys {
            let Some((what, mut batch)) = self.0.remove(&key) else { continue };
            let head = batch.split_to(first.saturating_sub(batch.first_id).min(batch.count()));
            let middle = batch.split_to(end.saturating_sub(batch.first_id).min(batch.count()));
            if middle.count() > 0 {
                taken.push(middle);
            }
            for rest in [head, batch] {
                if rest.count() > 0 {
                    self.add(what, rest);
                }
            }
        }
        taken
    }
}

impl Recovery {
    /// These are in line.
    pub(crate) fn add_ready(&mut self, batch: Batch) {
        self.last_id = self.last_id.max(batch.end_id() - 1);
        self.ready.add((), batch);
    }

    /// These are with this client, since then.
    pub(crate) fn mark_in_flight(
        &mut self,
        client: ClientId,
        first: u64,
        count: u64,
        since: Nanos,
    ) {
        // They were handed out as one run, however they were put, and may come back as any part of it.
        for batch in merge_adjacent(self.ready.take(first, count)) {
            self.in_flight.add(
                RecoveredClient { client, delivered_at: since, is_client_attempt: false },
                batch,
            );
        }
    }

    /// These are done.
    pub(crate) fn mark_done(&mut self, first: u64, count: u64) {
        self.done_count += self.in_flight.take(first, count).iter().map(Batch::count).sum::<u64>();
    }

    /// This one is still out, in another attempt.
    pub(crate) fn begin_attempt(&mut self, id: u64, attempt: u32) {
        let in_flight =
            self.in_flight.0.range(..=id).next_back().filter(|(_, (_, batch))| id < batch.end_id());
        if let Some((_, &(holder, _))) = in_flight {
            for batch in self.in_flight.take(id, 1) {
                self.in_flight.add(
                    RecoveredClient { is_client_attempt: true, ..holder },
                    Batch { attempt, ..batch },
                );
            }
        }
    }

    /// These are in line again, for another attempt.
    pub(crate) fn requeue(&mut self, first: u64, count: u64, attempt: u32, delivery_failures: u32) {
        for batch in self.in_flight.take(first, count) {
            self.ready.add((), Batch { attempt, delivery_failures, ..batch });
        }
    }

    /// These are put aside.
    pub(crate) fn mark_failed(
        &mut self,
        first: u64,
        count: u64,
        attempt: u32,
        delivery_failures: u32,
        reason: &str,
    ) {
        for mut batch in self.in_flight.take(first, count) {
            (batch.attempt, batch.delivery_failures) = (attempt, delivery_failures);
            while batch.count() > 0 {
                let batch = batch.split_to(1);
                self.failed.insert(batch.first_id, FailedItem { batch, reason: reason.to_owned() });
            }
        }
    }

    /// What was put aside is in line again; none for all of it.
    pub(crate) fn retry_failed(&mut self, id: Option<u64>) {
        for FailedItem { batch, .. } in self.take_failed(id) {
            let attempt = batch.attempt.saturating_add(1);
            self.ready.add((), Batch { attempt, delivery_failures: 0, ..batch });
        }
    }

    /// What was put aside is forgotten; none for all of it.
    pub(crate) fn take_failed(&mut self, id: Option<u64>) -> Vec<FailedItem> {
        match id {
            Some(id) => self.failed.remove(&id).into_iter().collect(),
            None => std::mem::take(&mut self.failed).into_values().collect(),
        }
    }

    /// What was in line is dropped.
    pub(crate) fn clear_ready(&mut self) {
        self.ready = BatchMap::default();
    }

    /// So many were done before all that is told from here on.
    pub(crate) fn set_done_count(&mut self, done: u64) {
        self.done_count = done;
    }

    /// The queue, with these clients. What others had is back in line.
    pub(crate) fn into_queue(
        mut self,
        state: QueueState,
        clients: impl IntoIterator<Item = (ClientId, ClientSettings)>,
    ) -> Queue {
        let last_number = state.last_id.max(self.last_id);
        let mut queue = Queue::new(
            QueueState { last_id: last_number, done_count: self.done_count, ..state },
            true,
        );
        for (client, settings) in clients {
            queue.add_client(client, settings);
        }
        for (RecoveredClient { client, delivered_at: since, is_client_attempt: again }, batch) in
            std::mem::take(&mut self.in_flight).0.into_values()
        {
            if queue.clients.contains_key(&client) {
                queue.in_flight_count += batch.count();
                queue.add_in_flight(
                    client,
                    InFlight { delivered_at: since, batch, is_client_attempt: again },
                );
            } else {
                let attempt = batch.attempt.saturating_add(1);
                self.ready.add((), Batch { attempt, ..batch });
            }
        }
        for ((), batch) in self.ready.0.into_values() {
            queue.ready.push(batch);
        }
        queue.failed = self.failed;
        queue.last_delivered_id = last_delivered_id(&queue.ready, last_number);
        queue
    }
}

/// The highest number that has been handed out: all above it are in line, and were never anywhere else.
fn last_delivered_id(line: &ReadyList, last_number: u64) -> u64 {
    let never_out = |last: &u64, batch: &Batch| batch.end_id() - 1 == *last && batch.attempt == 1;
    let mut last = last_number;
    for batch in line.batches().rev() {
        if !never_out(&last, batch) {
            break;
        }
        last = batch.first_id - 1;
    }
    last
}

/// Runs that follow one another, as one each.
fn merge_adjacent(batches: Vec<Batch>) -> Vec<Batch> {
    let mut joined: Vec<Batch> = Vec::new();
    for batch in batches {
        match joined.last_mut() {
            Some(last)
                if last.end_id() == batch.first_id
                    && (last.attempt, last.delivery_failures)
                        == (batch.attempt, batch.delivery_failures) =>
            {
                last.extend(&[batch]);
            }
            _ => joined.push(batch),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::{BatchRef, Items, Request};
    use crate::role::Role;
    use crate::wire::Hello;

    fn run(first: u64, items: &[&str]) -> Batch {
        let text: String = items.iter().map(|item| format!("{item}\n")).collect();
        let lines = Items { count: items.len() as u64, bytes: text.into() };
        Batch { first_id: first, attempt: 1, delivery_failures: 0, accepted_at: 0, items: lines }
    }

    fn ready_items(queue: &Queue) -> Vec<(u64, u32, String)> {
        let (mut all, mut from) = (Vec::new(), 1);
        while let Some(batch) = queue.peek(from, 1) {
            from = batch.end_id();
            let text = String::from_utf8_lossy(&batch.items.bytes).trim().to_owned();
            all.push((batch.first_id, batch.attempt, text));
        }
        all
    }

    #[test]
    fn every_item_is_where_it_was_and_what_was_out_is_back() {
        let mut replay = Recovery::default();
        replay.add_ready(run(1, &["a", "b", "c", "d"]));
        replay.add_ready(run(5, &["e", "f"]));
        replay.mark_in_flight(7, 1, 5, 0);
        replay.mark_done(2, 1);
        replay.requeue(3, 1, 2, 1);
        replay.mark_failed(4, 1, 3, 2, "odd");
        let queue = replay.into_queue(QueueState { done_count: 7, ..QueueState::default() }, []);
        let expected = [(1, 2, "a"), (3, 2, "c"), (5, 2, "e"), (6, 1, "f")];
        assert_eq!(ready_items(&queue), expected.map(|(n, k, t)| (n, k, t.to_owned())));
        let failed = queue.next_failed(1).unwrap();
        assert_eq!(
            (failed.batch.first_id, failed.batch.attempt, failed.reason.as_str()),
            (4, 3, "odd")
        );
        assert_eq!((queue.state().last_id, queue.counts().done), (6, 1));
    }

    #[test]
    fn what_was_handed_out_together_can_be_done_in_any_parts() {
        let mut replay = Recovery::default();
        replay.add_ready(run(1, &["a", "b"]));
        replay.add_ready(run(3, &["c", "d"]));
        replay.mark_in_flight(7, 1, 4, 5);
        let consumer = crate::keeper::ClientRecord::new(Hello::new(Role::Consumer)).settings();
        let mut queue = replay.into_queue(QueueState::default(), [(7, consumer)]);
        let batch_ref = BatchRef { first_id: 2, count: 2, attempt: Some(1) };
        queue.apply(7, Request::Done(batch_ref), &mut Vec::new()).unwrap();
        assert_eq!((queue.counts().done, queue.counts().in_flight), (2, 2));
    }

    #[test]
    fn an_attempt_that_has_begun_is_not_begun_again() {
        let mut replay = Recovery::default();
        replay.add_ready(run(1, &["a", "b", "c"]));
        replay.mark_in_flight(7, 1, 3, 5);
        replay.begin_attempt(2, 2);
        replay.begin_attempt(2, 3);
        replay.begin_attempt(9, 2);
        // The client is not known: what it had is back in line.
        let queue = replay.into_queue(QueueState::default(), []);
        let expected = [(1, 2, "a"), (2, 4, "b"), (3, 2, "c")];
        assert_eq!(ready_items(&queue), expected.map(|(n, k, t)| (n, k, t.to_owned())));
    }

    /// Two consumers have been handed an item each, by a keeper that died before the first one read its own.
    fn with_one_unread(second: bool) -> Queue {
        let mut replay = Recovery::default();
        replay.add_ready(run(1, &["x"]));
        replay.add_ready(run(2, &["y"]));
        replay.mark_in_flight(7, 1, 1, 0);
        if second {
            replay.mark_in_flight(8, 2, 1, 0);
        }
        let consumer = || crate::keeper::ClientRecord::new(Hello::new(Role::Consumer)).settings();
        let members = [(7, consumer()), (8, consumer())];
        let mut queue = replay.into_queue(QueueState::default(), members);
        queue.apply(7, Request::NotReceived { first_id: 1 }, &mut Vec::new()).unwrap();
        queue
    }

    #[test]
    fn what_was_not_seen_comes_as_it_was_or_its_attempt_shows_that_it_comes_out_of_order() {
        let all = |items: &[(u64, u32, &str)]| -> Vec<_> {
            items
                .iter()
                .map(|&(number, attempt, item)| (number, attempt, item.to_owned()))
                .collect()
        };
        assert_eq!(ready_items(&with_one_unread(false)), all(&[(1, 1, "x"), (2, 1, "y")]));
        assert_eq!(ready_items(&with_one_unread(true)), all(&[(1, 2, "x")]));
    }

    #[test]
    fn what_the_next_keeper_hands_out_before_shows_in_the_attempt_too() {
        let mut replay = Recovery::default();
        replay.add_ready(run(1, &["x", "y"]));
        replay.mark_in_flight(7, 1, 1, 0);
        let consumer = || crate::keeper::ClientRecord::new(Hello::new(Role::Consumer)).settings();
        let mut queue =
            replay.into_queue(QueueState::default(), [(7, consumer()), (8, consumer())]);
        queue.apply(8, Request::Get { max: 1 }, &mut Vec::new()).unwrap();
        assert!(queue.step(0).is_some(), "y is handed out");
        queue.apply(7, Request::NotReceived { first_id: 1 }, &mut Vec::new()).unwrap();
        assert_eq!(ready_items(&queue), [(1, 2, "x".to_owned())]);
    }

    #[test]
    fn what_is_told_of_items_that_are_not_there_is_nothing() {
        let mut replay = Recovery::default();
        replay.add_ready(run(3, &["c"]));
        replay.mark_in_flight(7, 1, 2, 0);
        replay.mark_done(1, 5);
        replay.requeue(9, 9, 1, 0);
        replay.retry_failed(Some(7));
        assert_eq!(
            ready_items(&replay.into_queue(QueueState::default(), [])),
            [(3, 1, "c".to_owned())]
        );
    }
}
