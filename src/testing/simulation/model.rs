//! The invariants of a queue as its clients see them: the accepted items, and the state of each.

use std::collections::{BTreeMap, BTreeSet};

use crate::queue::{Batch, BatchRef, Queue};

/// The history of all items, by their text.
#[derive(Default)]
pub(super) struct SimModel {
    items: BTreeMap<String, ItemHistory>,
    /// The item id and the number of each attempt that has begun.
    attempts: BTreeSet<(u64, u32)>,
    /// The largest item id that each consumer has read, by client key.
    last_read: BTreeMap<u64, u64>,
    /// Items may be delivered twice: a consumer died or requeued items.
    pub(super) may_redeliver: bool,
    /// Only the end of a lease requeues an item.
    pub(super) has_exclusive_leases: bool,
    /// By item id: the last attempt that a consumer has read, the consumer, and the earliest end of its lease.
    leases: BTreeMap<u64, (u32, u64, u64)>,
    /// No item is requeued: the ready items never exceed the capacity.
    pub(super) has_no_requeues: bool,
}

#[derive(Default)]
struct ItemHistory {
    /// The item id in the producer's reply.
    accepted: Option<u64>,
    /// The producer was refused.
    refused: bool,
    delivery_count: u32,
    done: DoneState,
}

#[derive(Default, PartialEq)]
enum DoneState {
    #[default]
    No,
    /// A consumer has sent `done`.
    Sent,
    /// The consumer has the reply to a later request.
    Confirmed,
}

impl SimModel {
    pub(super) fn record_accepted(&mut self, item: &str, id: u64) -> Result<(), String> {
        let history = self.history(item);
        if history.accepted.is_some() || history.refused {
            return Err(format!("{item} has two replies"));
        }
        history.accepted = Some(id);
        Ok(())
    }

    pub(super) fn record_refused(&mut self, item: &str) -> Result<(), String> {
        let history = self.history(item);
        if history.accepted.is_some() || history.refused || history.delivery_count > 0 {
            return Err(format!("{item} was refused and is in the queue"));
        }
        history.refused = true;
        Ok(())
    }

    /// This consumer has read this batch.
    pub(super) fn record_delivery(&mut self, reader: u64, batch: &Batch) -> Result<(), String> {
        self.record_attempts(batch)?;
        let may_redeliver = self.may_redeliver;
        let last = self.last_read.entry(reader).or_default();
        if batch.attempt == 1 && batch.first_id < *last {
            return Err(format!("{} came after {last} in attempt 1", batch.first_id));
        }
        *last = (*last).max(batch.end_id() - 1);
        for (id, item) in batch.iter_with_ids() {
            let item = item_text(item);
            let history = self.history(&item);
            history.delivery_count += 1;
            if history.refused {
                return Err(format!("{item} was refused and was delivered"));
            }
            if history.accepted.is_some_and(|accepted| accepted != id) {
                return Err(format!("{item} has id {id}, and the reply had another id"));
            }
            if history.done == DoneState::Confirmed {
                return Err(format!("{item} was done and was delivered again"));
            }
            if !may_redeliver && history.delivery_count > 1 {
                return Err(format!("{item} was delivered {} times", history.delivery_count));
            }
        }
        Ok(())
    }

    /// The attempts of these items have begun.
    pub(super) fn record_attempts(&mut self, batch: &Batch) -> Result<(), String> {
        for (id, _) in batch.iter_with_ids() {
            if !self.attempts.insert((id, batch.attempt)) {
                return Err(format!("attempt {} at {id} began twice", batch.attempt));
            }
        }
        Ok(())
    }

    /// This consumer has read this batch now, and has its lease at least until `until`.
    pub(super) fn record_lease(
        &mut self,
        reader: u64,
        batch: &Batch,
        now: u64,
        until: Option<u64>,
    ) -> Result<(), String> {
        for (id, _) in batch.iter_with_ids().filter(|_| self.has_exclusive_leases) {
            let before = self.leases.get(&id).copied();
            if before.is_some_and(|(attempt, ..)| attempt > batch.attempt) {
                // The consumer read the batch after the end of its lease.
                continue;
            }
            self.leases.insert(id, (batch.attempt, reader, until.unwrap_or(u64::MAX)));
            if let Some((_, holder, until)) = before.filter(|b| b.1 != reader && b.2 > now) {
                return Err(format!(
                    "{id} has a lease of {holder} until {until}, and {reader} has it"
                ));
            }
        }
        Ok(())
    }

    /// This consumer had these items in flight when it renewed their lease, which goes on until `until` at least.
    pub(super) fn record_renewal(&mut self, reader: u64, items: BatchRef, until: Option<u64>) {
        let BatchRef { first_id, count, attempt } = items;
        for (_, lease) in self.leases.range_mut(first_id..first_id + count) {
            if lease.1 == reader && Some(lease.0) == attempt {
                lease.2 = lease.2.max(until.unwrap_or(u64::MAX));
            }
        }
    }

    pub(super) fn record_done_sent(&mut self, item: &str) {
        let history = self.history(item);
        if history.done == DoneState::No {
            history.done = DoneState::Sent;
        }
    }

    pub(super) fn record_done_confirmed(&mut self, item: &str) {
        self.history(item).done = DoneState::Confirmed;
    }

    fn history(&mut self, item: &str) -> &mut ItemHistory {
        self.items.entry(item.to_owned()).or_default()
    }

    /// Compares the histories with a queue.
    pub(super) fn check(&self, queue: &Queue) -> Result<(), String> {
        if let Some(capacity) = queue.capacity().filter(|_| self.has_no_requeues)
            && queue.counts().ready > capacity.get()
        {
            return Err(format!(
                "{} items are ready, and the capacity is {capacity}",
                queue.counts().ready
            ));
        }
        let mut places: BTreeMap<String, u64> = BTreeMap::new();
        let mut last = 0;
        for batch in queue.ready() {
            if batch.first_id <= last {
                return Err(format!("the ready items are out of order at {}", batch.first_id));
            }
            last = batch.end_id() - 1;
        }
        let in_flight = queue.in_flight().map(|(_, in_flight)| &in_flight.batch);
        let failed = queue.failed().map(|failed| &failed.batch);
        for batch in queue.ready().chain(in_flight).chain(failed) {
            for (id, item) in batch.iter_with_ids() {
                if places.insert(item_text(item), id).is_some() {
                    return Err(format!("{} is in two places", item_text(item)));
                }
            }
        }
        for (item, history) in &self.items {
            let place = places.get(item);
            match (history, place) {
                (ItemHistory { refused: true, .. }, Some(_)) => {
                    return Err(format!("{item} was refused and is in the queue"));
                }
                (ItemHistory { accepted: Some(_), done: DoneState::No, .. }, None) => {
                    return Err(format!("{item} was accepted and is lost"));
                }
                (ItemHistory { done: DoneState::Confirmed, .. }, Some(_)) => {
                    return Err(format!("{item} is done and is in the queue"));
                }
                (ItemHistory { accepted: Some(accepted), .. }, Some(id)) if accepted != id => {
                    return Err(format!("{item} has id {id}, and the reply had {accepted}"));
                }
                _ => {}
            }
        }
        check_order(&places)
    }

    /// Every accepted item is done or failed.
    pub(super) fn check_drained(&self, queue: &Queue) -> Result<(), String> {
        self.check(queue)?;
        let counts = queue.counts();
        match counts.ready + counts.in_flight {
            0 => Ok(()),
            left => Err(format!("{left} items remain")),
        }
    }
}

/// The ids of a producer's items have the order of its puts.
fn check_order(places: &BTreeMap<String, u64>) -> Result<(), String> {
    // The texts are "PRODUCER-NUMBER" with fixed lengths, so the map is in the order of the puts.
    let mut last: Option<(&str, u64)> = None;
    for (item, &id) in places {
        let producer = item.split('-').next().unwrap_or_default();
        if last.is_some_and(|(before, last)| before == producer && last >= id) {
            return Err(format!("{item} has overtaken another one of its producer"));
        }
        last = Some((producer, id));
    }
    Ok(())
}

pub(super) fn item_text(item: &[u8]) -> String {
    String::from_utf8_lossy(item).into_owned()
}
