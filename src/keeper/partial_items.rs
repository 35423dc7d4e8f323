//! Items that are too long for one write come in parts, and the keeper holds these until the item is
//! whole. What it holds has a bound, whatever clients say and write.

use bytes::{Bytes, BytesMut};

use super::{Host, Keeper, Peer, send_error};
use crate::queue::{ClientId, Lines};
use crate::wire::LARGEST_ITEM;

/// How many bytes of unfinished items the keeper holds, of all clients together. (A test is to see the
/// end of it.)
const MOST_UNFINISHED: u64 = if cfg!(test) { 64 << 20 } else { 512 << 20 };

impl Keeper {
    /// The next part of an item of this client.
    pub(super) fn part(&mut self, client: ClientId, piece: &[u8], host: &mut impl Host) {
        let Some(peer) = self.peers.get_mut(&client) else {
            return;
        };
        peer.parts.extend_from_slice(piece);
        self.unfinished += piece.len() as u64;
        if peer.parts.len() as u64 > peer.largest() || self.unfinished > MOST_UNFINISHED {
            self.show_out(client, host);
        }
    }

    /// The items of a put: the first one may have come in parts. None if that is too large.
    pub(super) fn whole(&mut self, client: ClientId, count: u64, lines: &[u8]) -> Option<Lines> {
        let (mut parts, largest) = match self.peers.get_mut(&client) {
            // Not split off: that would keep the room of a large item for as long as the client stays.
            Some(peer) => (std::mem::take(&mut peer.parts), peer.largest()),
            None => (BytesMut::new(), LARGEST_ITEM),
        };
        self.unfinished -= parts.len() as u64;
        let bytes = if parts.is_empty() {
            Bytes::copy_from_slice(lines)
        } else {
            parts.extend_from_slice(lines);
            let first = memchr::memchr(b'\n', &parts).unwrap_or(parts.len());
            if first as u64 > largest {
                return None;
            }
            parts.freeze()
        };
        Some(Lines { count, bytes })
    }

    /// Ends the connection of a client that has sent more than it may.
    pub(super) fn show_out(&mut self, client: ClientId, host: &mut impl Host) {
        let most = self.peers.get(&client).map_or(LARGEST_ITEM, Peer::largest);
        let text = match self.unfinished > MOST_UNFINISHED {
            true => format!(
                "the keeper holds at most {} MiB of items that are not whole yet: put large items one \
                 after another",
                MOST_UNFINISHED >> 20
            ),
            false => format!("an item has at most {most} bytes as JSON"),
        };
        send_error(host, client, "too-large", &text);
        self.leave_for_good(client, host);
        self.forget(client, host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper::tests::Desk;
    use crate::role::Role;
    use crate::wire::LARGEST_OF_ALL;

    fn key(n: u64) -> String {
        format!("{n:016x}")
    }

    #[test]
    fn what_a_client_calls_its_largest_item_is_bounded() {
        let mut desk = Desk::new();
        desk.come_with(&key(1), "producer", r#""largest":9223372036854775808"#);
        assert_eq!(desk.keeper.peers[&0].largest(), LARGEST_OF_ALL);
    }

    #[test]
    fn the_parts_of_all_clients_together_have_a_bound() {
        let mut desk = Desk::new();
        let clients = 5;
        for n in 0..clients {
            desk.come_with(&key(n + 1), "producer", r#""largest":9223372036854775808"#);
        }
        let piece = "x".repeat(4000);
        for _ in 0..MOST_UNFINISHED / 4000 / clients + 1 {
            for n in 0..clients {
                desk.say(&format!("part {}\n{piece}", key(n + 1)));
            }
            assert!(desk.keeper.unfinished <= MOST_UNFINISHED);
        }
        assert!(!desk.paper.closed.is_empty(), "somebody is shown out");
        let held: usize = desk.keeper.peers.values().map(|peer| peer.parts.len()).sum();
        assert_eq!(desk.keeper.unfinished, held as u64);
        // The others finish their items.
        let there = desk.keeper.peers.keys().next().copied().unwrap();
        desk.say(&format!("put {} 1 1\n1", key(there as u64 + 1)));
        assert_eq!(desk.keeper.queue.census().in_line, 1);
    }

    #[test]
    fn an_item_that_is_too_large_shows_its_client_out_and_nobody_else() {
        let mut desk = Desk::new();
        desk.come_with(&key(1), "producer", r#""keep_open":true"#);
        desk.come_with(&key(2), "consumer", r#""follow":true"#);
        desk.heard(0);
        let piece = "x".repeat(4000);
        for _ in 0..=LARGEST_ITEM / 4000 {
            desk.say(&format!("part {}\n{piece}", key(1)));
        }
        assert!(desk.heard(0).starts_with("error too-large an item has at most 16777216 bytes"));
        assert_eq!(desk.paper.closed, [0]);
        assert_eq!(desk.keeper.queue.count(Role::Consumer), 1);
        assert_eq!(desk.keeper.unfinished, 0);
    }
}
