//! What can be seen of a queue from outside. Nothing here changes it.

use std::num::NonZeroU64;

use super::{
    Batch, Client, ClientActivity, ClientId, Counts, FailedItem, Queue, QueueState, Sentinel,
    WaitReason,
};
use crate::clock::Nanos;
use crate::role::Role;

impl Queue {
    /// How many items there are.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            ready: self.ready.len(),
            in_flight: self.in_flight_count,
            done: self.done_count,
            failed: self.failed.len() as u64,
        }
    }

    /// How many clients of this role are here.
    pub(crate) fn client_count(&self, role: Role) -> usize {
        self.clients.values().filter(|c| c.settings.role == role).count()
    }

    /// How many items may be in line; none for any number.
    pub(crate) fn capacity(&self) -> Option<NonZeroU64> {
        self.capacity.flatten()
    }

    /// Why the queue takes no more items, if it doesn't.
    pub(crate) fn sentinel(&self) -> Option<Sentinel> {
        self.sentinel
    }

    /// Whether the last queue of this name has ended, and no new one has begun.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended_at.is_some() && !self.has_begun
    }

    /// What each client is about, in the order in which they came.
    pub(crate) fn client_activities(&self) -> impl Iterator<Item = ClientActivity> {
        self.clients.iter().map(|(&client, c)| ClientActivity {
            client,
            role: c.settings.role,
            wait_reason: match (c.blocked_puts.is_empty(), c.pending_get, c.is_joining) {
                (false, _, _) => Some(WaitReason::Room),
                (true, Some(_), _) => Some(WaitReason::Item),
                (true, None, true) => Some(WaitReason::Done),
                (true, None, false) => None,
            },
            in_flight: c.in_flight.values().map(|in_flight| in_flight.batch.count()).sum(),
            oldest_delivered_at: c.in_flight.values().map(|in_flight| in_flight.delivered_at).min(),
        })
    }

    /// Whether this client waits for room, or for items.
    pub(crate) fn is_waiting(&self, client: ClientId) -> bool {
        self.clients
            .get(&client)
            .is_some_and(|c| !c.blocked_puts.is_empty() || c.pending_get.is_some())
    }

    /// Since when the oldest item that isn't done has been here.
    pub(crate) fn oldest_accepted_at(&self) -> Option<Nanos> {
        let out = self
            .clients
            .values()
            .flat_map(|c| c.in_flight.values().map(|in_flight| in_flight.batch.accepted_at));
        out.chain(self.ready.oldest_accepted_at()).min()
    }

    /// Up to `max` items of those in line, from number `from` on. They stay there.
    pub(crate) fn peek(&self, from: u64, max: u64) -> Option<Batch> {
        self.ready.peek(from, max)
    }

    /// The first item that was put aside, from number `from` on.
    pub(crate) fn next_failed(&self, from: u64) -> Option<&FailedItem> {
        self.failed.range(from..).next().map(|(_, failed)| failed)
    }

    /// All runs in line, in their order.
    pub(crate) fn ready(&self) -> impl Iterator<Item = &Batch> {
        self.ready.batches()
    }

    /// The items that are out, and whose client has begun their attempt itself.
    pub(crate) fn client_attempts(&self) -> impl Iterator<Item = &Batch> {
        let in_flight = self.clients.values().flat_map(|c| c.in_flight.values());
        in_flight.filter(|in_flight| in_flight.is_client_attempt).map(|in_flight| &in_flight.batch)
    }

    /// All runs that are out: with whom, and since when.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = (ClientId, Nanos, &Batch)> {
        let batches = |(&client, c)| {
            let Client { in_flight: out, .. }: &Client = c;
            out.values().map(move |in_flight| (client, in_flight.delivered_at, &in_flight.batch))
        };
        self.clients.iter().flat_map(batches)
    }

    /// All runs that are out with this client.
    pub(crate) fn in_flight_of(&self, client: ClientId) -> impl Iterator<Item = &Batch> {
        self.clients
            .get(&client)
            .into_iter()
            .flat_map(|c| c.in_flight.values().map(|in_flight| &in_flight.batch))
    }

    /// Whether what is accepted is to be on the disk.
    pub(crate) fn sync(&self) -> bool {
        self.sync
    }

    /// All that was put aside.
    pub(crate) fn failed(&self) -> impl Iterator<Item = &FailedItem> {
        self.failed.values()
    }

    /// What is to be remembered when nobody keeps the queue.
    pub(crate) fn state(&self) -> QueueState {
        QueueState {
            sentinel: self.sentinel,
            capacity: self.capacity,
            sync: self.sync,
            ended_at: self.ended_at,
            has_begun: self.has_begun,
            last_id: self.last_id,
            done_count: self.done_count,
        }
    }
}
