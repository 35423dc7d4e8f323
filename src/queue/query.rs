//! What can be seen of a queue from outside. Nothing here changes it.

use std::num::NonZeroU64;

use super::{Census, Client, ClientId, Doing, Failed, Queue, Remains, Run, Sentinel, WaitsFor};
use crate::clock::Nanos;
use crate::role::Role;

impl Queue {
    /// How many items there are.
    pub(crate) fn census(&self) -> Census {
        Census {
            in_line: self.line.len(),
            out: self.out,
            done: self.done,
            failed: self.failed.len() as u64,
        }
    }

    /// How many clients of this role are here.
    pub(crate) fn count(&self, role: Role) -> usize {
        self.clients.values().filter(|c| c.member.role == role).count()
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
    pub(crate) fn is_over(&self) -> bool {
        self.end.is_some() && !self.begun
    }

    /// What each client is about, in the order in which they came.
    pub(crate) fn doing(&self) -> impl Iterator<Item = Doing> {
        self.clients.iter().map(|(&client, c)| Doing {
            client,
            role: c.member.role,
            waits_for: match (c.parked.is_empty(), c.wants, c.joins) {
                (false, _, _) => Some(WaitsFor::Room),
                (true, Some(_), _) => Some(WaitsFor::Item),
                (true, None, true) => Some(WaitsFor::Done),
                (true, None, false) => None,
            },
            holds: c.out.values().map(|held| held.run.count()).sum(),
            since: c.out.values().map(|held| held.since).min(),
        })
    }

    /// Whether this client waits for room, or for items.
    pub(crate) fn is_owed(&self, client: ClientId) -> bool {
        self.clients.get(&client).is_some_and(|c| !c.parked.is_empty() || c.wants.is_some())
    }

    /// Since when the oldest item that isn't done has been here.
    pub(crate) fn oldest(&self) -> Option<Nanos> {
        let out = self.clients.values().flat_map(|c| c.out.values().map(|held| held.run.since));
        out.chain(self.line.since()).min()
    }

    /// Up to `max` items of those in line, from number `from` on. They stay there.
    pub(crate) fn peek(&self, from: u64, max: u64) -> Option<Run> {
        self.line.peek(from, max)
    }

    /// The first item that was put aside, from number `from` on.
    pub(crate) fn failed_from(&self, from: u64) -> Option<&Failed> {
        self.failed.range(from..).next().map(|(_, failed)| failed)
    }

    /// All runs in line, in their order.
    pub(crate) fn line(&self) -> impl Iterator<Item = &Run> {
        self.line.runs()
    }

    /// The items that are out, and whose client has begun their attempt itself.
    pub(crate) fn again(&self) -> impl Iterator<Item = &Run> {
        let held = self.clients.values().flat_map(|c| c.out.values());
        held.filter(|held| held.again).map(|held| &held.run)
    }

    /// All runs that are out: with whom, and since when.
    pub(crate) fn out(&self) -> impl Iterator<Item = (ClientId, Nanos, &Run)> {
        let runs = |(&client, c)| {
            let Client { out, .. }: &Client = c;
            out.values().map(move |held| (client, held.since, &held.run))
        };
        self.clients.iter().flat_map(runs)
    }

    /// All runs that are out with this client.
    pub(crate) fn held_by(&self, client: ClientId) -> impl Iterator<Item = &Run> {
        self.clients.get(&client).into_iter().flat_map(|c| c.out.values().map(|held| &held.run))
    }

    /// Whether what is accepted is to be on the disk.
    pub(crate) fn sync(&self) -> bool {
        self.sync
    }

    /// All that was put aside.
    pub(crate) fn failed(&self) -> impl Iterator<Item = &Failed> {
        self.failed.values()
    }

    /// What is to be remembered when nobody keeps the queue.
    pub(crate) fn remains(&self) -> Remains {
        Remains {
            sentinel: self.sentinel,
            capacity: self.capacity,
            sync: self.sync,
            end: self.end,
            begun: self.begun,
            last_number: self.last_number,
            done: self.done,
        }
    }
}
