//! Puts that wait for room, and their acceptance.

use std::collections::VecDeque;

use super::{Batch, ClientId, Effect, Items, PutRefusal, Queue, Refusal, Sentinel};
use crate::clock::Nanos;
use crate::role::Role;

/// How many items of a client may wait for room at the most. One that sends more than it was granted,
/// which is never more than this, is stopped there.
pub(super) const MAX_BLOCKED_ITEMS: u64 = 1 << 16;

/// And how many bytes of them, besides the put that begins below this.
pub(super) const MAX_BLOCKED_BYTES: usize = 16 << 20;

/// A put, or what of it has not been accepted yet.
#[derive(Debug)]
struct BlockedPut {
    seq: u64,
    items: Items,
}

/// The puts of a client that the queue has no room for yet.
#[derive(Debug, Default)]
pub(super) struct BlockedPuts {
    puts: VecDeque<BlockedPut>,
    item_count: u64,
    byte_count: usize,
}

impl BlockedPuts {
    pub(super) fn is_empty(&self) -> bool {
        self.puts.is_empty()
    }

    /// Forgets everything. The number of the last item, if there was one.
    pub(super) fn remove_all(&mut self) -> Option<u64> {
        std::mem::take(self).puts.pop_back().map(|put| put.seq)
    }

    /// Forgets the first put, and tells the number of its last item.
    pub(super) fn remove_first(&mut self) -> Option<u64> {
        let put = self.puts.pop_front()?;
        self.subtract(&put.items);
        Some(put.seq)
    }

    fn is_over_limit(&self) -> bool {
        self.item_count > MAX_BLOCKED_ITEMS || self.byte_count > MAX_BLOCKED_BYTES
    }

    fn push(&mut self, seq: u64, lines: Items) {
        self.item_count += lines.count;
        self.byte_count += lines.bytes.len();
        self.puts.push_back(BlockedPut { seq, items: lines });
    }

    /// Takes up to so many items of the first put: the number of the last one, the items, and
    /// whether that was all of the put.
    fn take_first(&mut self, most: u64) -> Option<(u64, Items, bool)> {
        let put = self.puts.front_mut()?;
        let lines = put.items.split_to(most.min(put.items.count));
        let seq = put.seq - put.items.count;
        let all = put.items.count == 0;
        if all {
            self.puts.pop_front();
        }
        self.subtract(&lines);
        Some((seq, lines, all))
    }

    fn subtract(&mut self, lines: &Items) {
        self.item_count -= lines.count;
        self.byte_count -= lines.bytes.len();
    }
}

impl Queue {
    /// Takes in a put, for which there may be no room yet.
    pub(super) fn enqueue_put(
        &mut self,
        client: ClientId,
        seq: u64,
        lines: Items,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let Some(c) = self.clients.get_mut(&client) else {
            return Ok(());
        };
        if c.blocked_puts.is_over_limit() {
            return Err(Refusal::TooManyBlocked { seq });
        }
        let closed = match self.sentinel {
            Some(Sentinel::Closed) => true,
            Some(Sentinel::LastProducerLeft) => c.settings.role != Role::Visitor,
            None => false,
        };
        if closed {
            effects.push(Effect::Refused { client, seq, reason: PutRefusal::Closed });
        } else {
            c.blocked_puts.push(seq, lines);
            self.blocked_putters.push_back(client);
            // Whoever puts first makes the queue: with a capacity, or without a limit.
            self.capacity.get_or_insert(None);
            self.begin_if_ended();
        }
        Ok(())
    }

    /// Accepts what there is room for of the first put of this client.
    pub(super) fn accept_put(&mut self, now: Nanos, client: ClientId) -> Option<Effect> {
        let room = self.free_capacity();
        let c = self.clients.get_mut(&client)?;
        let (seq, lines, all) = c.blocked_puts.take_first(room)?;
        if all {
            let at = self.blocked_putters.iter().position(|&p| p == client)?;
            self.blocked_putters.remove(at);
        }
        let batch = Batch {
            first_id: self.last_id + 1,
            attempt: 1,
            delivery_failures: 0,
            accepted_at: now,
            items: lines,
        };
        self.last_id += batch.count();
        self.ready.push(batch.clone());
        Some(Effect::Accepted { client, seq, batch })
    }
}
