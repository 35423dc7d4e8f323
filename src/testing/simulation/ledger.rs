//! What must be true, seen from outside: every item that somebody was told is accepted, and what became
//! of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::queue::{Batch, Queue};

/// All items that anybody ever put, by their text.
#[derive(Default)]
pub(super) struct SimModel {
    items: BTreeMap<String, ItemHistory>,
    /// All attempts at items that have begun, by number.
    attempts: BTreeSet<(u64, u32)>,
    /// The highest number that each consumer has read.
    last_read: BTreeMap<u64, u64>,
    /// Items may well be seen twice: a consumer has died, or given one back.
    pub(super) may_redeliver: bool,
    /// Only the end of its lease brings an item back.
    pub(super) has_exclusive_leases: bool,
    /// The latest attempt in which an item has been read, by whom, and until when it is lent at least.
    leases: BTreeMap<u64, (u32, u64, u64)>,
    /// Nothing comes back in line: what is there was put within the capacity.
    pub(super) has_no_requeues: bool,
}

#[derive(Default)]
struct ItemHistory {
    /// Its producer was told that it is in the queue, under this number.
    accepted: Option<u64>,
    /// Its producer was told that it is not.
    refused: bool,
    /// In how many runs it has been seen.
    delivery_count: u32,
    done: DoneState,
}

#[derive(Default, PartialEq)]
enum DoneState {
    #[default]
    No,
    /// A consumer has said so.
    Sent,
    /// And it has had an answer to something that it said later.
    Confirmed,
}

impl SimModel {
    pub(super) fn record_accepted(&mut self, item: &str, id: u64) -> Result<(), String> {
        let fate = self.history(item);
        if fate.accepted.is_some() || fate.refused {
            return Err(format!("{item} is answered twice"));
        }
        fate.accepted = Some(id);
        Ok(())
    }

    pub(super) fn record_refused(&mut self, item: &str) -> Result<(), String> {
        let fate = self.history(item);
        if fate.accepted.is_some() || fate.refused || fate.delivery_count > 0 {
            return Err(format!("{item} is refused, but is there"));
        }
        fate.refused = true;
        Ok(())
    }

    /// This consumer has read this run.
    pub(super) fn record_delivery(&mut self, reader: u64, batch: &Batch) -> Result<(), String> {
        self.record_attempts(batch)?;
        let repeats = self.may_redeliver;
        let last = self.last_read.entry(reader).or_default();
        if batch.attempt == 1 && batch.first_id < *last {
            return Err(format!("{} came behind {last} in attempt 1", batch.first_id));
        }
        *last = (*last).max(batch.end_id() - 1);
        for (id, item) in batch.iter_with_ids() {
            let item = item_text(item);
            let fate = self.history(&item);
            fate.delivery_count += 1;
            if fate.refused {
                return Err(format!("{item} was refused, and came all the same"));
            }
            if fate.accepted.is_some_and(|told| told != id) {
                return Err(format!("{item} is number {id}, which is not what was told"));
            }
            if fate.done == DoneState::Confirmed {
                return Err(format!("{item} was done, and came again"));
            }
            if !repeats && fate.delivery_count > 1 {
                return Err(format!("{item} came {} times", fate.delivery_count));
            }
        }
        Ok(())
    }

    /// These attempts have begun.
    pub(super) fn record_attempts(&mut self, batch: &Batch) -> Result<(), String> {
        for (id, _) in batch.iter_with_ids() {
            if !self.attempts.insert((id, batch.attempt)) {
                return Err(format!("attempt {} at {id} began twice", batch.attempt));
            }
        }
        Ok(())
    }

    /// This consumer has read this run now, and may keep it `until` then at least.
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
                // This one has read so late that it had lost the item before.
                continue;
            }
            self.leases.insert(id, (batch.attempt, reader, until.unwrap_or(u64::MAX)));
            if let Some((_, who, until)) = before.filter(|b| b.1 != reader && b.2 > now) {
                return Err(format!("{id} was lent to {who} until {until}, and {reader} has it"));
            }
        }
        Ok(())
    }

    pub(super) fn record_done_sent(&mut self, item: &str) {
        let fate = self.history(item);
        if fate.done == DoneState::No {
            fate.done = DoneState::Sent;
        }
    }

    pub(super) fn record_done_confirmed(&mut self, item: &str) {
        self.history(item).done = DoneState::Confirmed;
    }

    fn history(&mut self, item: &str) -> &mut ItemHistory {
        self.items.entry(item.to_owned()).or_default()
    }

    /// Compares it with a queue.
    pub(super) fn check(&self, queue: &Queue) -> Result<(), String> {
        if let Some(capacity) = queue.capacity().filter(|_| self.has_no_requeues)
            && queue.counts().ready > capacity.get()
        {
            return Err(format!("{} are in line, of {capacity}", queue.counts().ready));
        }
        let mut places: BTreeMap<String, u64> = BTreeMap::new();
        let mut last = 0;
        for batch in queue.ready() {
            if batch.first_id <= last {
                return Err(format!("the line is out of order at {}", batch.first_id));
            }
            last = batch.end_id() - 1;
        }
        let out = queue.in_flight().map(|(_, _, batch)| batch);
        let failed = queue.failed().map(|failed| &failed.batch);
        for batch in queue.ready().chain(out).chain(failed) {
            for (id, item) in batch.iter_with_ids() {
                if places.insert(item_text(item), id).is_some() {
                    return Err(format!("{} is in two places", item_text(item)));
                }
            }
        }
        for (item, fate) in &self.items {
            let place = places.get(item);
            match (fate, place) {
                (ItemHistory { refused: true, .. }, Some(_)) => {
                    return Err(format!("{item} was refused, and is there"));
                }
                (ItemHistory { accepted: Some(_), done: DoneState::No, .. }, None) => {
                    return Err(format!("{item} was accepted, and is lost"));
                }
                (ItemHistory { done: DoneState::Confirmed, .. }, Some(_)) => {
                    return Err(format!("{item} is done, and is there"));
                }
                (ItemHistory { accepted: Some(told), .. }, Some(id)) if told != id => {
                    return Err(format!("{item} is number {id}, and {told} was told"));
                }
                _ => {}
            }
        }
        check_order(&places)
    }

    /// Everything that was accepted has been done, or is put aside.
    pub(super) fn check_drained(&self, queue: &Queue) -> Result<(), String> {
        self.check(queue)?;
        let counts = queue.counts();
        match counts.ready + counts.in_flight {
            0 => Ok(()),
            left => Err(format!("{left} items are left")),
        }
    }
}

/// What one producer put earlier has a smaller number.
fn check_order(places: &BTreeMap<String, u64>) -> Result<(), String> {
    // "PRODUCER-NUMBER" with both of a fixed length: they come in that order.
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
