//! Rebuilds a queue from the records of its journal.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::ops::Range;

use super::in_flight::InFlight;
use super::{Batch, ClientId, ClientSettings, FailedItem, Queue, QueueState, ReadyList};
use crate::clock::{Nanos, ProcessBirth};

/// The state of each item after the records so far.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    ready: BatchMap<()>,
    in_flight: BatchMap<Delivery>,
    failed: BTreeMap<u64, FailedItem>,
    last_id: u64,
    done_count: u64,
}

/// The client that has a batch in flight.
#[derive(Clone, Copy, Debug)]
struct Delivery {
    client: ClientId,
    delivered_at: Nanos,
    leased_at: Nanos,
    /// The client began this attempt itself.
    is_client_attempt: bool,
}

/// Batches by their first id, each with data of type `T`.
#[derive(Debug)]
struct BatchMap<T>(BTreeMap<u64, (T, Batch)>);

impl<T> Default for BatchMap<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Copy> BatchMap<T> {
    fn add(&mut self, data: T, batch: Batch) {
        self.0.insert(batch.first_id, (data, batch));
    }

    /// Removes those of the items that the map has.
    fn take(&mut self, ids: Range<u64>) -> Vec<Batch> {
        self.take_with_data(ids).into_iter().map(|(_, batch)| batch).collect()
    }

    fn take_with_data(&mut self, ids: Range<u64>) -> Vec<(T, Batch)> {
        let before = self.0.range(..ids.start).next_back().map(|(&key, _)| key);
        let within = self.0.range(ids.clone()).map(|(&key, _)| key);
        let keys: Vec<u64> = before.into_iter().chain(within).collect();
        let mut taken = Vec::new();
        for key in keys {
            let Some((data, mut batch)) = self.0.remove(&key) else { continue };
            let head = batch.split_to(ids.start.saturating_sub(batch.first_id).min(batch.count()));
            let middle = batch.split_to(ids.end.saturating_sub(batch.first_id).min(batch.count()));
            if middle.count() > 0 {
                taken.push((data, middle));
            }
            for rest in [head, batch] {
                if rest.count() > 0 {
                    self.add(data, rest);
                }
            }
        }
        taken
    }
}

impl Recovery {
    pub(crate) fn add_ready(&mut self, batch: Batch) {
        self.last_id = self.last_id.max(batch.end_id() - 1);
        self.ready.add((), batch);
    }

    pub(crate) fn mark_in_flight(
        &mut self,
        client: ClientId,
        ids: Range<u64>,
        delivered_at: Nanos,
    ) {
        // One delivery can join several puts, and a client may finish any part of the delivery.
        for batch in merge_adjacent(self.ready.take(ids)) {
            let delivery = Delivery {
                client,
                delivered_at,
                leased_at: delivered_at,
                is_client_attempt: false,
            };
            self.in_flight.add(delivery, batch);
        }
    }

    pub(crate) fn mark_done(&mut self, ids: Range<u64>) {
        let done = self.in_flight.take(ids);
        self.done_count += done.iter().map(Batch::count).sum::<u64>();
    }

    /// The client of item `id` began `attempt`.
    pub(crate) fn begin_attempt(&mut self, id: u64, attempt: u32) {
        let in_flight =
            self.in_flight.0.range(..=id).next_back().filter(|(_, (_, batch))| id < batch.end_id());
        if let Some((_, &(delivery, _))) = in_flight {
            for batch in self.in_flight.take(id..id + 1) {
                let delivery = Delivery { is_client_attempt: true, ..delivery };
                self.in_flight.add(delivery, Batch { attempt, ..batch });
            }
        }
    }

    /// The lease of these items began anew.
    pub(crate) fn renew_lease(&mut self, ids: Range<u64>, leased_at: Nanos) {
        for (delivery, batch) in self.in_flight.take_with_data(ids) {
            self.in_flight.add(Delivery { leased_at, ..delivery }, batch);
        }
    }

    pub(crate) fn requeue(&mut self, ids: Range<u64>, attempt: u32, delivery_failures: u32) {
        for batch in self.in_flight.take(ids) {
            self.ready.add((), Batch { attempt, delivery_failures, ..batch });
        }
    }

    pub(crate) fn mark_failed(
        &mut self,
        ids: Range<u64>,
        attempt: u32,
        delivery_failures: u32,
        reason: &str,
    ) {
        for batch in self.in_flight.take(ids) {
            let batch = Batch { attempt, delivery_failures, ..batch };
            self.failed.extend(FailedItem::split(batch, reason));
        }
    }

    /// Makes a failed item ready again; None for all failed items.
    pub(crate) fn retry_failed(&mut self, id: Option<NonZeroU64>) {
        for FailedItem { batch, .. } in self.take_failed(id) {
            self.ready.add((), Batch { delivery_failures: 0, ..batch.next_attempt() });
        }
    }

    /// Removes a failed item; None for all failed items.
    pub(crate) fn take_failed(&mut self, id: Option<NonZeroU64>) -> Vec<FailedItem> {
        match id {
            Some(id) => self.failed.remove(&id.get()).into_iter().collect(),
            None => std::mem::take(&mut self.failed).into_values().collect(),
        }
    }

    pub(crate) fn clear_ready(&mut self) {
        self.ready = BatchMap::default();
    }

    /// Replaces the number of done items by that of a state record.
    pub(crate) fn set_done_count(&mut self, done_count: u64) {
        self.done_count = done_count;
    }

    /// The queue with these clients. Items in flight with other clients are ready again.
    pub(crate) fn into_queue(
        mut self,
        state: QueueState,
        ended_at: Option<ProcessBirth>,
        clients: impl IntoIterator<Item = (ClientId, ClientSettings)>,
    ) -> Queue {
        let last_id = state.last_id.max(self.last_id);
        let state = QueueState { last_id, done_count: self.done_count, ..state };
        let mut queue = Queue::new(state, true);
        queue.ended_at = ended_at;
        for (client, settings) in clients {
            queue.add_client(client, settings);
        }
        for (delivery, batch) in std::mem::take(&mut self.in_flight).0.into_values() {
            let Delivery { client, delivered_at, leased_at, is_client_attempt } = delivery;
            if queue.clients.get(client).is_some() {
                queue.in_flight_count += batch.count();
                let in_flight = InFlight { delivered_at, leased_at, batch, is_client_attempt };
                queue.add_in_flight(client, in_flight);
            } else {
                self.ready.add((), batch.next_attempt());
            }
        }
        for ((), batch) in self.ready.0.into_values() {
            queue.ready.push(batch);
        }
        queue.failed = self.failed;
        queue.last_delivered_id = last_delivered_id(&queue.ready, last_id);
        queue
    }
}

/// The highest id of a delivered item: all items with higher ids are ready, in their first attempt.
fn last_delivered_id(ready: &ReadyList, last_id: u64) -> u64 {
    let mut last = last_id;
    for batch in ready.batches().rev() {
        if batch.end_id() - 1 != last || batch.attempt != 1 {
            break;
        }
        last = batch.first_id - 1;
    }
    last
}

/// Joins batches that continue each other.
fn merge_adjacent(batches: Vec<Batch>) -> Vec<Batch> {
    let mut merged: Vec<Batch> = Vec::new();
    for batch in batches {
        match merged.last_mut() {
            Some(last) if last.is_continued_by(last.end_id(), &batch) => last.extend(&[batch]),
            _ => merged.push(batch),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::model::{batch_items, batch_ref, settings};
    use crate::queue::{BatchRef, Request};
    use crate::role::Role;

    fn batch(first_id: u64, items: &[&str]) -> Batch {
        Batch::new(first_id, 0, batch_items(items))
    }

    fn consumer() -> ClientSettings {
        settings(Role::Consumer)
    }

    fn ready_items(queue: &Queue) -> Vec<(u64, u32, String)> {
        let (mut all, mut from_id) = (Vec::new(), 1);
        while let Some(batch) = queue.peek(from_id, 1) {
            from_id = batch.end_id();
            let text = String::from_utf8_lossy(&batch.items.bytes).trim().to_owned();
            all.push((batch.first_id, batch.attempt, text));
        }
        all
    }

    #[test]
    fn each_item_keeps_its_state_and_in_flight_items_are_ready() {
        let mut recovery = Recovery::default();
        recovery.add_ready(batch(1, &["a", "b", "c", "d"]));
        recovery.add_ready(batch(5, &["e", "f"]));
        recovery.mark_in_flight(7, 1..6, 0);
        recovery.mark_done(2..3);
        recovery.requeue(3..4, 2, 1);
        recovery.mark_failed(4..5, 3, 2, "odd");
        let queue =
            recovery.into_queue(QueueState { done_count: 7, ..QueueState::default() }, None, []);
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
    fn a_recovered_delivery_can_be_done_in_any_parts() {
        let mut recovery = Recovery::default();
        recovery.add_ready(batch(1, &["a", "b"]));
        recovery.add_ready(batch(3, &["c", "d"]));
        recovery.mark_in_flight(7, 1..5, 5);
        let mut queue = recovery.into_queue(QueueState::default(), None, [(7, consumer())]);
        let batch_ref = BatchRef { attempt: Some(1), ..batch_ref(2, 2) };
        queue.apply(7, Request::Done(batch_ref)).unwrap();
        assert_eq!((queue.counts().done, queue.counts().in_flight), (2, 2));
    }

    #[test]
    fn a_recovered_lease_goes_on_from_its_last_renewal() {
        let mut recovery = Recovery::default();
        recovery.add_ready(batch(1, &["a", "b", "c"]));
        recovery.mark_in_flight(7, 1..4, 5);
        recovery.renew_lease(2..3, 8);
        recovery.begin_attempt(2, 2);
        let consumer = ClientSettings { lease: Some(10), ..consumer() };
        let mut queue = recovery.into_queue(QueueState::default(), None, [(7, consumer)]);
        assert_eq!(queue.next_lease_expiry(), Some(15));
        queue.expire_leases(15);
        assert_eq!((queue.counts().ready, queue.next_lease_expiry()), (2, Some(18)));
        let delivered = queue.in_flight().map(|(_, in_flight)| in_flight.delivered_at);
        assert_eq!(delivered.collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn a_record_of_an_attempt_sets_the_attempt() {
        let mut recovery = Recovery::default();
        recovery.add_ready(batch(1, &["a", "b", "c"]));
        recovery.mark_in_flight(7, 1..4, 5);
        recovery.begin_attempt(2, 2);
        recovery.begin_attempt(2, 3);
        recovery.begin_attempt(9, 2);
        // The client is unknown: its items are ready again.
        let queue = recovery.into_queue(QueueState::default(), None, []);
        let expected = [(1, 2, "a"), (2, 4, "b"), (3, 2, "c")];
        assert_eq!(ready_items(&queue), expected.map(|(n, k, t)| (n, k, t.to_owned())));
    }

    /// Consumer 7 has not read its delivery of item 1. Item 2 is in flight with consumer 8, or ready.
    fn queue_with_unread_item(is_second_delivered: bool) -> Queue {
        let mut recovery = Recovery::default();
        recovery.add_ready(batch(1, &["x"]));
        recovery.add_ready(batch(2, &["y"]));
        recovery.mark_in_flight(7, 1..2, 0);
        if is_second_delivered {
            recovery.mark_in_flight(8, 2..3, 0);
        }
        let clients = [(7, consumer()), (8, consumer())];
        let mut queue = recovery.into_queue(QueueState::default(), None, clients);
        queue.apply(7, Request::NotReceived { first_id: 1 }).unwrap();
        queue
    }

    #[test]
    fn an_unread_item_keeps_its_attempt_unless_a_later_item_was_delivered() {
        let all = |items: &[(u64, u32, &str)]| -> Vec<_> {
            items.iter().map(|&(id, attempt, item)| (id, attempt, item.to_owned())).collect()
        };
        assert_eq!(ready_items(&queue_with_unread_item(false)), all(&[(1, 1, "x"), (2, 1, "y")]));
        assert_eq!(ready_items(&queue_with_unread_item(true)), all(&[(1, 2, "x")]));
    }

    #[test]
    fn a_delivery_by_the_next_keeper_raises_the_attempt_of_an_unread_item() {
        let mut recovery = Recovery::default();
        recovery.add_ready(batch(1, &["x", "y"]));
        recovery.mark_in_flight(7, 1..2, 0);
        let mut queue =
            recovery.into_queue(QueueState::default(), None, [(7, consumer()), (8, consumer())]);
        queue.apply(8, Request::Get { max: 1 }).unwrap();
        assert!(queue.step(0).is_some(), "item y is delivered");
        queue.apply(7, Request::NotReceived { first_id: 1 }).unwrap();
        assert_eq!(ready_items(&queue), [(1, 2, "x".to_owned())]);
    }

    #[test]
    fn records_of_missing_items_change_nothing() {
        let mut recovery = Recovery::default();
        recovery.add_ready(batch(3, &["c"]));
        recovery.mark_in_flight(7, 1..3, 0);
        recovery.mark_done(1..6);
        recovery.requeue(9..18, 1, 0);
        recovery.retry_failed(NonZeroU64::new(7));
        assert_eq!(
            ready_items(&recovery.into_queue(QueueState::default(), None, [])),
            [(3, 1, "c".to_owned())]
        );
    }
}
