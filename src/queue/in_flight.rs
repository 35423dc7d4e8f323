//! What clients have out, and what becomes of it: done, back in line, or put aside.

use std::collections::BTreeMap;

use super::{Batch, BatchRef, ClientId, Effect, Queue, Refusal, Sentinel};
use crate::clock::Nanos;

/// Items that are out with a client.
#[derive(Debug)]
pub(super) struct InFlight {
    /// When they were handed out.
    pub(super) delivered_at: Nanos,
    pub(super) batch: Batch,
    /// Their client has begun this attempt itself, and was not handed the items in it.
    pub(super) is_client_attempt: bool,
}

/// An item that was put aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailedItem {
    /// The item: a run of one.
    pub(crate) batch: Batch,
    /// What happened, for people.
    pub(crate) reason: String,
}

impl Queue {
    /// Takes back in line what somebody has held for longer than its lease.
    pub(crate) fn expire_leases(&mut self, now: Nanos, effects: &mut Vec<Effect>) {
        while let Some((_, key, client)) = self.leases.first().copied().filter(|l| l.0 <= now) {
            match self.remove_in_flight(client, key) {
                Some(in_flight) => self.record_delivery_failure(client, in_flight.batch, effects),
                // Cannot be: they are kept together. But not to go on for ever is worth a line.
                None => drop(self.leases.pop_first()),
            }
        }
    }

    /// When the next lease runs out.
    pub(crate) fn next_lease_expiry(&self) -> Option<Nanos> {
        self.leases.first().map(|lease| lease.0)
    }

    pub(super) fn add_in_flight(&mut self, client: ClientId, in_flight: InFlight) {
        let Some(c) = self.clients.get_mut(&client) else {
            return;
        };
        if let Some(lease) = c.settings.lease {
            self.leases.insert((
                in_flight.delivered_at.saturating_add(lease),
                in_flight.batch.first_id,
                client,
            ));
        }
        c.in_flight.insert(in_flight.batch.first_id, in_flight);
    }

    fn remove_in_flight(&mut self, client: ClientId, key: u64) -> Option<InFlight> {
        let c = self.clients.get_mut(&client)?;
        let in_flight = c.in_flight.remove(&key)?;
        if let Some(lease) = c.settings.lease {
            self.leases.remove(&(in_flight.delivered_at.saturating_add(lease), key, client));
        }
        Some(in_flight)
    }

    /// Takes items from a client that has them as a part of one run.
    pub(super) fn take_in_flight(
        &mut self,
        client: ClientId,
        batch_ref: BatchRef,
    ) -> Result<Batch, Refusal> {
        let BatchRef { first_id: first, count, attempt } = batch_ref;
        let not_out = || Refusal::NotInFlight(batch_ref);
        let c = self.clients.get(&client).ok_or_else(not_out)?;
        let key = c.in_flight.range(..=first).next_back().filter(|(_, in_flight)| {
            // Not empty, all of it here, and not there for another time.
            count > 0
                && first.checked_add(count).is_some_and(|end| end <= in_flight.batch.end_id())
                && attempt.is_none_or(|attempt| attempt == in_flight.batch.attempt)
        });
        let (&key, _) = key.ok_or_else(not_out)?;
        let InFlight { delivered_at: since, mut batch, is_client_attempt: again } =
            self.remove_in_flight(client, key).ok_or_else(not_out)?;
        let before = batch.split_to(first - key);
        let taken = batch.split_to(count);
        for batch in [before, batch] {
            if batch.count() > 0 {
                self.add_in_flight(
                    client,
                    InFlight { delivered_at: since, batch, is_client_attempt: again },
                );
            }
        }
        Ok(taken)
    }

    pub(super) fn mark_done(
        &mut self,
        client: ClientId,
        batch_ref: BatchRef,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let batch = self.take_in_flight(client, batch_ref)?;
        self.in_flight_count -= batch.count();
        self.done_count += batch.count();
        effects.push(Effect::Done { client, batch });
        Ok(())
    }

    /// Puts what `client` had back in line, at its old place.
    pub(super) fn requeue(
        &mut self,
        client: ClientId,
        mut batch: Batch,
        effects: &mut Vec<Effect>,
    ) {
        batch.attempt = batch.attempt.saturating_add(1);
        self.in_flight_count -= batch.count();
        self.ready.requeue(batch.clone());
        effects.push(Effect::Requeued { client, batch });
    }

    /// `client` begins another attempt at an item. Tells whether it has the item, in this attempt now:
    /// it may have lost the item by its lease, or have said the same to a keeper that is dead.
    pub(super) fn begin_attempt(
        &mut self,
        client: ClientId,
        id: u64,
        attempt: u32,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let Some((key, in_flight)) = self.clients.get(&client).and_then(|c| {
            let (&key, in_flight) = c.in_flight.range(..=id).next_back()?;
            (id < in_flight.batch.end_id()).then_some((key, in_flight))
        }) else {
            return false;
        };
        if in_flight.batch.attempt.checked_add(1) != Some(attempt) {
            // It may have lost the item by its lease, and have been handed it again in this attempt.
            return in_flight.batch.attempt == attempt && in_flight.is_client_attempt;
        }
        let Some(InFlight { delivered_at: since, mut batch, is_client_attempt: again }) =
            self.remove_in_flight(client, key)
        else {
            return false;
        };
        let front = batch.split_to(id - key);
        let one = Batch { attempt, ..batch.split_to(1) };
        effects.push(Effect::AttemptBegun { client, batch: one.clone() });
        // The lease goes on.
        for (batch, again) in [(front, again), (one, true), (batch, again)] {
            if batch.count() > 0 {
                self.add_in_flight(
                    client,
                    InFlight { delivered_at: since, batch, is_client_attempt: again },
                );
            }
        }
        true
    }

    /// Puts back in line what a keeper had handed out that died before its client could read it: as it
    /// was, if nothing behind it has been handed out. Otherwise it comes in another order than it was
    /// put in, and the attempt shows that.
    pub(super) fn requeue_unread(
        &mut self,
        client: ClientId,
        first: u64,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(InFlight { mut batch, .. }) = self.remove_in_flight(client, first) {
            if self.last_delivered_id >= batch.end_id() {
                batch.attempt = batch.attempt.saturating_add(1);
            }
            self.in_flight_count -= batch.count();
            self.ready.requeue(batch.clone());
            effects.push(Effect::Requeued { client, batch });
        }
    }

    /// Takes what `client` had out of the way: nobody gets it any more, and nothing waits for it.
    pub(super) fn mark_failed(
        &mut self,
        client: ClientId,
        mut batch: Batch,
        reason: &str,
        effects: &mut Vec<Effect>,
    ) {
        self.in_flight_count -= batch.count();
        effects.push(Effect::Failed { client, batch: batch.clone(), reason: reason.to_owned() });
        while batch.count() > 0 {
            let mut batch = batch.split_to(1);
            batch.items.detach();
            self.failed.insert(batch.first_id, FailedItem { batch, reason: reason.to_owned() });
        }
    }

    /// Whoever had this died, or is stuck: perhaps of it.
    fn record_delivery_failure(
        &mut self,
        client: ClientId,
        mut batch: Batch,
        effects: &mut Vec<Effect>,
    ) {
        batch.delivery_failures = batch.delivery_failures.saturating_add(1);
        let most = self.clients.get(&client).map_or(0, |c| c.settings.max_attempts);
        if most == 0 || batch.delivery_failures < most {
            return self.requeue(client, batch, effects);
        }
        let reason = match batch.delivery_failures {
            1 => "its consumer died, or held it for longer than its lease".to_owned(),
            n => format!("{n} consumers died of it, or held it for longer than their lease"),
        };
        self.mark_failed(client, batch, &reason, effects);
    }

    /// Takes back all that a client has.
    pub(super) fn release_all(&mut self, client: ClientId, died: bool, effects: &mut Vec<Effect>) {
        let keys =
            self.clients.get(&client).map(|c| c.in_flight.keys().copied().collect::<Vec<_>>());
        for key in keys.unwrap_or_default() {
            if let Some(InFlight { batch, .. }) = self.remove_in_flight(client, key) {
                match died {
                    true => self.record_delivery_failure(client, batch, effects),
                    false => self.requeue(client, batch, effects),
                }
            }
        }
    }

    /// Puts one item that was put aside, or all of them, back in line. Tells how many.
    pub(super) fn retry_failed(&mut self, id: Option<u64>) -> Result<u64, Refusal> {
        let failed = self.take_failed(id)?;
        let items = failed.len() as u64;
        if items > 0 && self.ended_at.is_some() && !self.has_begun {
            // What they belonged to has ended, and ends again after them.
            self.sentinel.get_or_insert(Sentinel::LastProducerLeft);
        }
        for FailedItem { mut batch, .. } in failed.into_values() {
            self.begin_if_ended();
            batch.attempt = batch.attempt.saturating_add(1);
            batch.delivery_failures = 0;
            self.ready.requeue(batch);
        }
        Ok(items)
    }

    /// Takes one item, or all, from those that were put aside.
    pub(super) fn take_failed(
        &mut self,
        id: Option<u64>,
    ) -> Result<BTreeMap<u64, FailedItem>, Refusal> {
        let Some(id) = id else {
            return Ok(std::mem::take(&mut self.failed));
        };
        let failed = self.failed.remove(&id).ok_or(Refusal::NotFailed { id })?;
        Ok(BTreeMap::from([(id, failed)]))
    }
}
