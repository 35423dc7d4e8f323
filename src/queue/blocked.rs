//! The blocked puts of one client: puts for which the queue has no room yet.

use std::collections::VecDeque;

use super::Items;
use super::wait_line::Turn;

/// How many items of one client may be blocked. The put window is never larger, so only a client that
/// exceeds its window gets here.
pub(super) const MAX_BLOCKED_ITEMS: u64 = 1 << 16;

/// How many bytes of one client may be blocked. The last put may begin below this limit and exceed the
/// limit.
const MAX_BLOCKED_BYTES: usize = 16 << 20;

/// The part of a put that the queue has not accepted yet.
#[derive(Debug)]
struct BlockedPut {
    seq: u64,
    items: Items,
    /// The put's place among the blocked puts of all clients.
    turn: Turn,
}

/// All blocked puts of one client, in order, with their total size.
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

    /// The sequence number of the last item.
    pub(super) fn last_seq(&self) -> Option<u64> {
        self.puts.back().map(|put| put.seq)
    }

    /// Drops every put. Returns the turns of the puts.
    pub(super) fn remove_all(&mut self) -> impl Iterator<Item = Turn> + use<> {
        std::mem::take(self).puts.into_iter().map(|put| put.turn)
    }

    /// Drops the first put and returns the sequence number of its last item.
    pub(super) fn remove_first(&mut self) -> Option<u64> {
        let put = self.puts.pop_front()?;
        self.subtract(&put.items);
        Some(put.seq)
    }

    pub(super) fn is_over_limit(&self) -> bool {
        self.item_count > MAX_BLOCKED_ITEMS || self.byte_count > MAX_BLOCKED_BYTES
    }

    pub(super) fn push(&mut self, seq: u64, items: Items, turn: Turn) {
        self.item_count += items.count;
        self.byte_count += items.bytes.len();
        self.puts.push_back(BlockedPut { seq, items, turn });
    }

    /// Takes up to `max` items of the first put.
    pub(super) fn take_first(&mut self, max: u64) -> Option<Unblocked> {
        let put = self.puts.front_mut()?;
        let items = put.items.split_to(max.min(put.items.count));
        let seq = put.seq - put.items.count;
        let finished_turn = (put.items.count == 0).then_some(put.turn);
        if finished_turn.is_some() {
            self.puts.pop_front();
        }
        self.subtract(&items);
        Some(Unblocked { seq, items, finished_turn })
    }

    fn subtract(&mut self, items: &Items) {
        self.item_count -= items.count;
        self.byte_count -= items.bytes.len();
    }
}

/// Items that leave a blocked put for the queue.
pub(super) struct Unblocked {
    /// The client's sequence number of the last of the items.
    pub(super) seq: u64,
    pub(super) items: Items,
    /// The turn of the put, if the put has no more items.
    pub(super) finished_turn: Option<Turn>,
}
