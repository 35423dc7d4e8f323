//! Queries. No function here changes the queue.

use std::num::NonZeroU64;

use super::in_flight::InFlight;
use super::{
    Batch, Client, ClientActivity, ClientId, Counts, FailedItem, Queue, QueueState, WaitReason,
};
use crate::clock::Nanos;
use crate::role::Role;

impl Queue {
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            ready: self.ready.len(),
            in_flight: self.in_flight_count,
            done: self.state.done_count,
            failed: self.failed.len() as u64,
        }
    }

    /// How many connected clients have this role.
    pub(crate) fn client_count(&self, role: Role) -> usize {
        self.role_counts[role as usize]
    }

    /// How many items may be ready; None for any number.
    pub(crate) fn capacity(&self) -> Option<NonZeroU64> {
        self.state.capacity?.0
    }

    /// Whether the last round has ended, and no new round has begun.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended_at.is_some() && !self.state.has_begun
    }

    /// Whether the next get of this client is answered with the end.
    pub(crate) fn sees_end_next(&self, client: ClientId) -> bool {
        self.clients.get(client).is_some_and(|c| c.sees_end_next)
    }

    /// The activity of each client, in the order in which the clients connected.
    pub(crate) fn client_activities(&self) -> impl Iterator<Item = ClientActivity> {
        self.clients.iter().map(|(client, c)| ClientActivity {
            client,
            role: c.settings.role,
            wait_reason: c.wait_reason(),
            in_flight: c.in_flight.values().map(|in_flight| in_flight.batch.count()).sum(),
            oldest_delivered_at: c.in_flight.values().map(|in_flight| in_flight.delivered_at).min(),
        })
    }

    /// Whether this client waits for room or for items.
    pub(crate) fn is_waiting(&self, client: ClientId) -> bool {
        let reason = self.clients.get(client).and_then(Client::wait_reason);
        matches!(reason, Some(WaitReason::Room | WaitReason::Item))
    }

    /// When the queue accepted its oldest ready or in-flight item.
    pub(crate) fn oldest_accepted_at(&self) -> Option<Nanos> {
        let in_flight = self.in_flight().map(|(_, in_flight)| in_flight.batch.accepted_at);
        let first_ready = self.ready.batches().next().map(|batch| batch.accepted_at);
        in_flight.chain(first_ready).min()
    }

    /// A copy of up to `max` ready items, all with ids of at least `from_id`.
    pub(crate) fn peek(&self, from_id: u64, max: u64) -> Option<Batch> {
        self.ready.peek(from_id, max)
    }

    /// The first failed item with an id of at least `from_id`.
    pub(crate) fn next_failed(&self, from_id: u64) -> Option<&FailedItem> {
        self.failed.range(from_id..).next().map(|(_, failed)| failed)
    }

    /// All ready batches, in their order.
    pub(crate) fn ready(&self) -> impl Iterator<Item = &Batch> {
        self.ready.batches()
    }

    /// All in-flight batches, each with its client.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = (ClientId, &InFlight)> {
        let clients = self.clients.iter();
        clients.flat_map(|(client, c)| c.in_flight.values().map(move |batch| (client, batch)))
    }

    /// The batches that this client has in flight.
    pub(crate) fn in_flight_of(&self, client: ClientId) -> impl Iterator<Item = &Batch> {
        let in_flight = self.clients.get(client).into_iter().flat_map(|c| c.in_flight.values());
        in_flight.map(|in_flight| &in_flight.batch)
    }

    pub(crate) fn failed(&self) -> impl Iterator<Item = &FailedItem> {
        self.failed.values()
    }

    pub(crate) fn state(&self) -> QueueState {
        self.state
    }
}

impl Client {
    fn wait_reason(&self) -> Option<WaitReason> {
        if !self.blocked_puts.is_empty() {
            Some(WaitReason::Room)
        } else if self.pending_get.is_some() {
            Some(WaitReason::Item)
        } else {
            self.is_joining.then_some(WaitReason::Done)
        }
    }
}
