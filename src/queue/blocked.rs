//! Puts that wait for room, and their acceptance.

use std::collections::VecDeque;

use super::{ClientId, Effect, Lines, NotTaken, Queue, Refusal, Run, Sentinel};
use crate::clock::Nanos;
use crate::role::Role;

/// How many items of a client may wait for room at the most. One that sends more than it was granted,
/// which is never more than this, is stopped there.
pub(super) const MOST_ITEMS: u64 = 1 << 16;

/// And how many bytes of them, besides the put that begins below this.
pub(super) const MOST_BYTES: usize = 16 << 20;

/// A put, or what of it has not been accepted yet.
#[derive(Debug)]
struct Put {
    seq: u64,
    lines: Lines,
}

/// The puts of a client that the queue has no room for yet.
#[derive(Debug, Default)]
pub(super) struct Parked {
    puts: VecDeque<Put>,
    items: u64,
    bytes: usize,
}

impl Parked {
    pub(super) fn is_empty(&self) -> bool {
        self.puts.is_empty()
    }

    /// Forgets everything. The number of the last item, if there was one.
    pub(super) fn clear(&mut self) -> Option<u64> {
        std::mem::take(self).puts.pop_back().map(|put| put.seq)
    }

    /// Forgets the first put, and tells the number of its last item.
    pub(super) fn drop_first(&mut self) -> Option<u64> {
        let put = self.puts.pop_front()?;
        self.leave(&put.lines);
        Some(put.seq)
    }

    fn is_too_much(&self) -> bool {
        self.items > MOST_ITEMS || self.bytes > MOST_BYTES
    }

    fn push(&mut self, seq: u64, lines: Lines) {
        self.items += lines.count;
        self.bytes += lines.bytes.len();
        self.puts.push_back(Put { seq, lines });
    }

    /// Takes up to so many items of the first put: the number of the last one, the items, and
    /// whether that was all of the put.
    fn take(&mut self, most: u64) -> Option<(u64, Lines, bool)> {
        let put = self.puts.front_mut()?;
        let lines = put.lines.split_to(most.min(put.lines.count));
        let seq = put.seq - put.lines.count;
        let all = put.lines.count == 0;
        if all {
            self.puts.pop_front();
        }
        self.leave(&lines);
        Some((seq, lines, all))
    }

    fn leave(&mut self, lines: &Lines) {
        self.items -= lines.count;
        self.bytes -= lines.bytes.len();
    }
}

impl Queue {
    /// Takes in a put, for which there may be no room yet.
    pub(super) fn park(
        &mut self,
        client: ClientId,
        seq: u64,
        lines: Lines,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        let Some(c) = self.clients.get_mut(&client) else {
            return Ok(());
        };
        if c.parked.is_too_much() {
            return Err(Refusal::TooFar { seq });
        }
        let closed = match self.sentinel {
            Some(Sentinel::Closed) => true,
            Some(Sentinel::LastProducerLeft) => c.member.role != Role::Visitor,
            None => false,
        };
        if closed {
            effects.push(Effect::Refused { client, seq, why: NotTaken::Closed });
        } else {
            c.parked.push(seq, lines);
            self.putters.push_back(client);
            // Whoever puts first makes the queue: with a capacity, or without a limit.
            self.capacity.get_or_insert(None);
            self.begin();
        }
        Ok(())
    }

    /// Accepts what there is room for of the first put of this client.
    pub(super) fn accept(&mut self, now: Nanos, client: ClientId) -> Option<Effect> {
        let room = self.room();
        let c = self.clients.get_mut(&client)?;
        let (seq, lines, all) = c.parked.take(room)?;
        if all {
            let at = self.putters.iter().position(|&p| p == client)?;
            self.putters.remove(at);
        }
        let run = Run { first: self.last_number + 1, attempt: 1, strikes: 0, since: now, lines };
        self.last_number += run.count();
        self.line.push(run.clone());
        Some(Effect::Accepted { client, seq, run })
    }
}
