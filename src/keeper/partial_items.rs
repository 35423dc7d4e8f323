//! Items that are too long for one write come in parts, and the keeper holds these until the item is
//! whole. What it holds has a bound, whatever clients say and write.

use bytes::{Bytes, BytesMut};

use super::{ConnectedClient, Host, Keeper, send_error};
use crate::queue::{ClientId, Items};
use crate::wire::{DEFAULT_MAX_ITEM_BYTES, ErrorCode};

/// How many bytes of unfinished items the keeper holds, of all clients together. (A test is to see the
/// end of it.)
const MAX_UNFINISHED_BYTES: u64 = if cfg!(test) { 64 << 20 } else { 512 << 20 };

impl Keeper {
    /// The next part of an item of this client.
    pub(super) fn handle_part(&mut self, client: ClientId, piece: &[u8], host: &mut impl Host) {
        let Some(peer) = self.clients.get_mut(&client) else {
            return;
        };
        peer.partial_item.extend_from_slice(piece);
        self.unfinished_bytes += piece.len() as u64;
        if peer.partial_item.len() as u64 > peer.max_item_bytes()
            || self.unfinished_bytes > MAX_UNFINISHED_BYTES
        {
            self.disconnect_oversized_client(client, host);
        }
    }

    /// The items of a put: the first one may have come in parts. None if that is too large.
    pub(super) fn assemble_put(
        &mut self,
        client: ClientId,
        count: u64,
        lines: &[u8],
    ) -> Option<Items> {
        let (mut parts, largest) = match self.clients.get_mut(&client) {
            // Not split off: that would keep the room of a large item for as long as the client stays.
            Some(peer) => (std::mem::take(&mut peer.partial_item), peer.max_item_bytes()),
            None => (BytesMut::new(), DEFAULT_MAX_ITEM_BYTES),
        };
        self.unfinished_bytes -= parts.len() as u64;
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
        Some(Items { count, bytes })
    }

    /// Ends the connection of a client that has sent more than it may.
    pub(super) fn disconnect_oversized_client(&mut self, client: ClientId, host: &mut impl Host) {
        let most = self
            .clients
            .get(&client)
            .map_or(DEFAULT_MAX_ITEM_BYTES, ConnectedClient::max_item_bytes);
        let text = match self.unfinished_bytes > MAX_UNFINISHED_BYTES {
            true => format!(
                "the keeper holds at most {} MiB of items that are not whole yet: put large items one \
                 after another",
                MAX_UNFINISHED_BYTES >> 20
            ),
            false => format!("an item has at most {most} bytes as JSON"),
        };
        send_error(host, client, ErrorCode::TooLarge, &text);
        self.disconnect_client(client, host);
        self.forget_client(client, host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper::tests::TestKeeper;
    use crate::role::Role;
    use crate::wire::MAX_ITEM_BYTES;

    fn key(n: u64) -> String {
        format!("{n:016x}")
    }

    #[test]
    fn what_a_client_calls_its_largest_item_is_bounded() {
        let mut host = TestKeeper::new();
        host.connect_with(&key(1), "producer", r#""largest":9223372036854775808"#);
        assert_eq!(host.keeper.clients[&0].max_item_bytes(), MAX_ITEM_BYTES);
    }

    #[test]
    fn the_parts_of_all_clients_together_have_a_bound() {
        let mut host = TestKeeper::new();
        let clients = 5;
        for n in 0..clients {
            host.connect_with(&key(n + 1), "producer", r#""largest":9223372036854775808"#);
        }
        let piece = "x".repeat(4000);
        for _ in 0..MAX_UNFINISHED_BYTES / 4000 / clients + 1 {
            for n in 0..clients {
                host.send_and_process(&format!("part {}\n{piece}", key(n + 1)));
            }
            assert!(host.keeper.unfinished_bytes <= MAX_UNFINISHED_BYTES);
        }
        assert!(!host.host.closed_clients.is_empty(), "somebody is shown out");
        let held: usize = host.keeper.clients.values().map(|peer| peer.partial_item.len()).sum();
        assert_eq!(host.keeper.unfinished_bytes, held as u64);
        // The others finish their items.
        let there = host.keeper.clients.keys().next().copied().unwrap();
        host.send_and_process(&format!("put {} 1 1\n1", key(there as u64 + 1)));
        assert_eq!(host.keeper.queue.counts().ready, 1);
    }

    #[test]
    fn an_item_that_is_too_large_shows_its_client_out_and_nobody_else() {
        let mut host = TestKeeper::new();
        host.connect_with(&key(1), "producer", r#""keep_open":true"#);
        host.connect_with(&key(2), "consumer", r#""follow":true"#);
        host.take_mail(0);
        let piece = "x".repeat(4000);
        for _ in 0..=DEFAULT_MAX_ITEM_BYTES / 4000 {
            host.send_and_process(&format!("part {}\n{piece}", key(1)));
        }
        assert!(
            host.take_mail(0).starts_with("error too-large an item has at most 16777216 bytes")
        );
        assert_eq!(host.host.closed_clients, [0]);
        assert_eq!(host.keeper.queue.client_count(Role::Consumer), 1);
        assert_eq!(host.keeper.unfinished_bytes, 0);
    }
}
