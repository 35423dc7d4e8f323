//! Puts: blocked at first, accepted when the queue has room.

use super::blocked::{MAX_BLOCKED_ITEMS, Unblocked};
use super::{Batch, Capacity, ClientId, Effect, EffectKind, Items, Queue, Refusal, Sentinel};
use crate::clock::Nanos;
use crate::role::Role;

impl Queue {
    /// Blocks a put until [`Queue::accept_put`] finds room for its items.
    pub(super) fn enqueue_put(
        &mut self,
        client: ClientId,
        seq: u64,
        items: Items,
    ) -> Result<(), Refusal> {
        let Some(c) = self.clients.get_mut(client) else {
            return Ok(());
        };
        if c.blocked_puts.is_over_limit() {
            return Err(Refusal::TooManyBlocked { seq });
        }
        let is_closed = match self.state.sentinel {
            Some(Sentinel::Closed) => true,
            Some(Sentinel::LastProducerLeft) => c.settings.role != Role::Visitor,
            None => false,
        };
        if is_closed {
            self.emit(client, EffectKind::Closed { seq });
        } else {
            c.blocked_puts.push(seq, items, self.blocked_putters.push(client));
            // The first put fixes the capacity.
            self.state.capacity.get_or_insert(Capacity(None));
            self.begin_round();
        }
        Ok(())
    }

    /// Accepts as many items of the client's first blocked put as the queue has room for.
    pub(super) fn accept_put(&mut self, now: Nanos, client: ClientId) -> Option<Effect> {
        let room = self.free_capacity();
        let c = self.clients.get_mut(client)?;
        let Unblocked { seq, items, finished_turn } = c.blocked_puts.take_first(room)?;
        if let Some(turn) = finished_turn {
            self.blocked_putters.remove(turn);
        }
        let batch = Batch::new(self.state.last_id + 1, now, items);
        self.state.last_id += batch.count();
        self.ready.push(batch.clone());
        Some(EffectKind::Accepted { seq, batch }.for_client(client))
    }

    /// The number of items each client may send before their `ok`; one is always allowed.
    pub(crate) fn put_window(&self) -> u64 {
        let producers = self.client_count(Role::Producer).max(1) as u64;
        let share = match self.capacity() {
            None => MAX_BLOCKED_ITEMS,
            Some(_) => self.free_capacity() / producers,
        };
        share.min(MAX_BLOCKED_ITEMS)
    }

    pub(super) fn free_capacity(&self) -> u64 {
        self.capacity().map_or(u64::MAX, |limit| limit.get().saturating_sub(self.ready.len()))
    }
}
