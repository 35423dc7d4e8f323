//! Deliveries and their outcomes: done, requeued, failed, or another attempt.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

use super::in_flight::InFlight;
use super::{
    Batch, BatchRef, Client, ClientId, Effect, EffectKind, FailedItem, PendingGet, Queue, Refusal,
    Sentinel,
};
use crate::clock::{Nanos, WallTime};
use crate::failure::Failure;
use crate::role::Role;

impl Queue {
    /// Gives ready items to a client with a pending get.
    pub(super) fn deliver(&mut self, now: Nanos, client: ClientId) -> Option<Effect> {
        // A delivery is at most a fair share of the ready items: no consumer holds items that another
        // consumer could process.
        let takers =
            self.client_count(Role::Consumer).max(self.waiting_getters.len()).max(1) as u64;
        let share = self.ready.len().div_ceil(takers);
        let c = self.clients.get_mut(client)?;
        let PendingGet { max, turn } = c.pending_get?;
        let batch = self.ready.take(max.min(share))?;
        c.pending_get = None;
        self.waiting_getters.remove(turn);
        let in_flight = InFlight {
            delivered_at: now,
            leased_at: now,
            batch: batch.clone(),
            is_client_attempt: false,
        };
        add_in_flight(c, client, in_flight, &mut self.leases);
        self.in_flight_count += batch.count();
        self.last_delivered_id = self.last_delivered_id.max(batch.end_id() - 1);
        Some(EffectKind::Delivered(batch).for_client(client))
    }

    /// Answers a pending get with the end of the queue.
    pub(super) fn deliver_end(&mut self, client: ClientId) -> Option<Effect> {
        let c = self.clients.get_mut(client)?;
        let get = c.pending_get.take()?;
        // A visitor whose get is older than the new round sees the end once, and belongs to the new
        // round from then on.
        c.sees_end_next &= c.settings.role == Role::Consumer || !self.state.has_begun;
        self.waiting_getters.remove(get.turn);
        Some(EffectKind::Ended.for_client(client))
    }

    /// Requeues the items whose lease has run out.
    pub(crate) fn expire_leases(&mut self, now: Nanos) {
        while let Some((_, key, client)) = self.leases.first().copied().filter(|l| l.0 <= now) {
            match self.remove_in_flight(client, key) {
                Some(in_flight) => self.record_delivery_failure(now, client, in_flight.batch),
                // Never happens: every lease belongs to a batch in flight. This arm prevents an endless
                // loop all the same.
                None => drop(self.leases.pop_first()),
            }
        }
    }

    pub(crate) fn next_lease_expiry(&self) -> Option<Nanos> {
        self.leases.first().map(|lease| lease.0)
    }

    pub(super) fn add_in_flight(&mut self, client: ClientId, in_flight: InFlight) {
        if let Some(c) = self.clients.get_mut(client) {
            add_in_flight(c, client, in_flight, &mut self.leases);
        }
    }

    fn remove_in_flight(&mut self, client: ClientId, key: u64) -> Option<InFlight> {
        let c = self.clients.get_mut(client)?;
        let in_flight = c.in_flight.remove(&key)?;
        if let Some(lease) = c.settings.lease {
            self.leases.remove(&(in_flight.leased_at.saturating_add(lease), key, client));
        }
        Some(in_flight)
    }

    /// Removes all batches that a client has in flight; none if the client is not connected.
    pub(super) fn remove_all_in_flight(&mut self, client: ClientId) -> Vec<Batch> {
        let keys: Vec<u64> = self
            .clients
            .get(client)
            .into_iter()
            .flat_map(|c| c.in_flight.keys())
            .copied()
            .collect();
        let removed = keys.into_iter().filter_map(|key| self.remove_in_flight(client, key));
        removed.map(|in_flight| in_flight.batch).collect()
    }

    /// Removes items that a client has in flight within one batch.
    pub(super) fn take_in_flight(
        &mut self,
        client: ClientId,
        batch_ref: BatchRef,
    ) -> Result<InFlight, Refusal> {
        let refusal = || Refusal::NotInFlight(batch_ref);
        let key = self.find_in_flight(client, batch_ref).ok_or_else(refusal)?.batch.first_id;
        let mut in_flight = self.remove_in_flight(client, key).ok_or_else(refusal)?;
        let rest = &mut in_flight.batch;
        let before = rest.split_to(batch_ref.first_id - key);
        let taken = rest.split_to(batch_ref.count);
        let after = std::mem::replace(rest, taken);
        for batch in [before, after] {
            if batch.count() > 0 {
                self.add_in_flight(client, InFlight { batch, ..in_flight });
            }
        }
        Ok(in_flight)
    }

    /// The batch in flight with the client that has all these items.
    fn find_in_flight(&self, client: ClientId, batch_ref: BatchRef) -> Option<&InFlight> {
        let BatchRef { first_id, count, attempt } = batch_ref;
        let in_flight = self.clients.get(client)?.in_flight.range(..=first_id).next_back()?.1;
        let has_all = count > 0
            && first_id.checked_add(count).is_some_and(|end| end <= in_flight.batch.end_id())
            && attempt.is_none_or(|attempt| attempt == in_flight.batch.attempt);
        has_all.then_some(in_flight)
    }

    pub(super) fn mark_done(
        &mut self,
        client: ClientId,
        batch_ref: BatchRef,
    ) -> Result<(), Refusal> {
        let batch = self.take_in_flight(client, batch_ref)?.batch;
        self.in_flight_count -= batch.count();
        self.state.done_count += batch.count();
        self.emit(client, EffectKind::Done(batch));
        Ok(())
    }

    /// Makes items that `client` had in flight ready for the next attempt, at their old position.
    pub(super) fn requeue(&mut self, client: ClientId, batch: Batch) {
        self.requeue_in_same_attempt(client, batch.next_attempt());
    }

    fn requeue_in_same_attempt(&mut self, client: ClientId, batch: Batch) {
        self.in_flight_count -= batch.count();
        self.ready.requeue(batch.clone());
        self.emit(client, EffectKind::Requeued(batch));
    }

    /// Begins another attempt at an item in flight. Returns whether the client has the item in flight
    /// in this attempt now: the client may have lost the item by its lease, or may repeat a request
    /// that it made to an earlier keeper.
    pub(super) fn begin_attempt(&mut self, client: ClientId, id: u64, attempt: u32) -> bool {
        let item = |attempt| BatchRef { first_id: id, count: 1, attempt: Some(attempt) };
        let before = attempt.checked_sub(1).map(item);
        let Some(last_attempt) = before.and_then(|item| self.take_in_flight(client, item).ok())
        else {
            // A client that lost the item by its lease may have received the item again in this very
            // attempt, without having begun the attempt.
            let present = self.find_in_flight(client, item(attempt));
            return present.is_some_and(|in_flight| in_flight.is_client_attempt);
        };
        let batch = Batch { attempt, ..last_attempt.batch };
        self.emit(client, EffectKind::AttemptBegun(batch.clone()));
        // The lease goes on.
        self.add_in_flight(client, InFlight { batch, is_client_attempt: true, ..last_attempt });
        true
    }

    /// Begins the lease of these items anew. A client without a lease may ask too, and nothing changes.
    pub(super) fn renew_lease(
        &mut self,
        client: ClientId,
        batch_ref: BatchRef,
        now: Nanos,
    ) -> Result<(), Refusal> {
        self.find_in_flight(client, batch_ref).ok_or(Refusal::NotInFlight(batch_ref))?;
        if self.clients.get(client).is_some_and(|c| c.settings.lease.is_some()) {
            let renewed = self.take_in_flight(client, batch_ref)?;
            self.emit(client, EffectKind::Renewed(renewed.batch.clone()));
            self.add_in_flight(client, InFlight { leased_at: now, ..renewed });
        }
        Ok(())
    }

    /// Requeues a batch that an earlier keeper delivered and the client never read. The batch keeps its
    /// attempt if no later item was delivered. Otherwise the items come out of order, and a higher
    /// attempt shows the disorder.
    pub(super) fn requeue_unread(&mut self, client: ClientId, first_id: u64) {
        if let Some(InFlight { batch, .. }) = self.remove_in_flight(client, first_id) {
            if self.last_delivered_id >= batch.end_id() {
                self.requeue(client, batch);
            } else {
                self.requeue_in_same_attempt(client, batch);
            }
        }
    }

    /// Sets items aside that `client` had in flight: no get delivers a failed item, and no join waits
    /// for it.
    pub(super) fn mark_failed(&mut self, client: ClientId, batch: Batch, reason: String) {
        self.in_flight_count -= batch.count();
        self.failed.extend(FailedItem::split(batch.clone(), &reason));
        self.emit(client, EffectKind::Failed { batch, reason });
    }

    /// Counts a delivery failure, which the items may have caused, and requeues the items or fails them.
    pub(super) fn record_delivery_failure(
        &mut self,
        now: Nanos,
        client: ClientId,
        mut batch: Batch,
    ) {
        batch.delivery_failures = batch.delivery_failures.saturating_add(1);
        let limit = self.clients.get(client).map_or(0, |c| c.settings.max_delivery_failures);
        if limit == 0 || batch.delivery_failures < limit {
            return self.requeue(client, batch);
        }
        let failure = Failure::of_deliveries(batch.delivery_failures, WallTime::from_nanos(now));
        self.mark_failed(client, batch, failure.to_reason());
    }

    /// Makes one failed item, or all, ready again. Returns how many.
    pub(super) fn retry_failed(&mut self, id: Option<NonZeroU64>) -> Result<u64, Refusal> {
        let failed = self.take_failed(id)?;
        if !failed.is_empty() && self.has_ended() {
            // The round of these items has ended. Their retry begins a round that ends after these items.
            self.state.sentinel.get_or_insert(Sentinel::LastProducerLeft);
        }
        let items = failed.len() as u64;
        for FailedItem { batch, .. } in failed.into_values() {
            self.begin_round();
            self.ready.requeue(Batch { delivery_failures: 0, ..batch.next_attempt() });
        }
        Ok(items)
    }

    /// Removes one failed item, or all.
    pub(super) fn take_failed(
        &mut self,
        id: Option<NonZeroU64>,
    ) -> Result<BTreeMap<u64, FailedItem>, Refusal> {
        let Some(id) = id.map(NonZeroU64::get) else {
            return Ok(std::mem::take(&mut self.failed));
        };
        let failed = self.failed.remove(&id).ok_or(Refusal::NotFailed { id })?;
        Ok(BTreeMap::from([(id, failed)]))
    }
}

fn add_in_flight(
    c: &mut Client,
    client: ClientId,
    in_flight: InFlight,
    leases: &mut BTreeSet<(Nanos, u64, ClientId)>,
) {
    let key = in_flight.batch.first_id;
    if let Some(lease) = c.settings.lease {
        leases.insert((in_flight.leased_at.saturating_add(lease), key, client));
    }
    c.in_flight.insert(key, in_flight);
}
