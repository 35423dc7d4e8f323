//! Items in parts: an item that is too long for one write comes in several. The keeper holds the parts
//! until the item is complete; their total size has a limit that no client can exceed.

use bytes::{Bytes, BytesMut};

use super::{ConnectedClient, Host, Keeper, send_error};
use crate::queue::{ClientId, Items};
use crate::wire::{DEFAULT_MAX_ITEM_BYTES, ErrorCode};

/// The limit for the partial items of all clients together, in bytes. Unit tests reach a smaller limit
/// faster.
const MAX_PARTIAL_ITEM_BYTES: u64 = if cfg!(test) { 64 << 20 } else { 512 << 20 };

impl Keeper {
    /// Appends a part to the client's partial item.
    pub(super) fn handle_part(&mut self, client: ClientId, part: &[u8], host: &mut impl Host) {
        let Some(c) = self.clients.get_mut(&client) else {
            return;
        };
        c.partial_item.extend_from_slice(part);
        self.partial_item_bytes += part.len() as u64;
        if c.partial_item.len() as u64 > c.max_item_bytes()
            || self.partial_item_bytes > MAX_PARTIAL_ITEM_BYTES
        {
            self.disconnect_oversized_client(client, host);
        }
    }

    /// The items of a put, whose first item may begin with the partial item. None if that item is too
    /// large.
    pub(super) fn assemble_put(
        &mut self,
        client: ClientId,
        count: u64,
        lines: &[u8],
    ) -> Option<Items> {
        let (mut parts, max_item_bytes) = match self.clients.get_mut(&client) {
            // `split` would keep the buffer of a large item for the life of the client.
            Some(c) => (std::mem::take(&mut c.partial_item), c.max_item_bytes()),
            None => (BytesMut::new(), DEFAULT_MAX_ITEM_BYTES),
        };
        self.partial_item_bytes -= parts.len() as u64;
        let bytes = if parts.is_empty() {
            Bytes::copy_from_slice(lines)
        } else {
            parts.extend_from_slice(lines);
            let first_item = memchr::memchr(b'\n', &parts).unwrap_or(parts.len());
            if first_item as u64 > max_item_bytes {
                return None;
            }
            parts.freeze()
        };
        Some(Items { count, bytes })
    }

    /// Disconnects a client that has sent more than the limits allow.
    pub(super) fn disconnect_oversized_client(&mut self, client: ClientId, host: &mut impl Host) {
        let limit = self
            .clients
            .get(&client)
            .map_or(DEFAULT_MAX_ITEM_BYTES, ConnectedClient::max_item_bytes);
        let text = if self.partial_item_bytes > MAX_PARTIAL_ITEM_BYTES {
            format!(
                "the keeper holds at most {} MiB of incomplete items: put large items one after another",
                MAX_PARTIAL_ITEM_BYTES >> 20
            )
        } else {
            format!("an item has at most {limit} bytes as JSON")
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
    fn no_client_can_raise_its_largest_item_above_the_limit() {
        let mut test = TestKeeper::new();
        test.connect_with(&key(1), "producer", r#""largest":9223372036854775808"#);
        assert_eq!(test.keeper.clients[&0].max_item_bytes(), MAX_ITEM_BYTES);
    }

    #[test]
    fn the_parts_of_all_clients_together_have_a_limit() {
        let mut test = TestKeeper::new();
        let clients = 5;
        for n in 0..clients {
            test.connect_with(&key(n + 1), "producer", r#""largest":9223372036854775808"#);
        }
        let part = "x".repeat(4000);
        for _ in 0..MAX_PARTIAL_ITEM_BYTES / 4000 / clients + 1 {
            for n in 0..clients {
                test.send_and_process(&format!("part {}\n{part}", key(n + 1)));
            }
            assert!(test.keeper.partial_item_bytes <= MAX_PARTIAL_ITEM_BYTES);
        }
        assert!(!test.host.closed_clients.is_empty(), "a client is disconnected");
        let bytes: usize = test.keeper.clients.values().map(|c| c.partial_item.len()).sum();
        assert_eq!(test.keeper.partial_item_bytes, bytes as u64);
        // Another client completes its item.
        let other = test.keeper.clients.keys().next().copied().unwrap();
        test.send_and_process(&format!("put {} 1 1\n1", key(other as u64 + 1)));
        assert_eq!(test.keeper.queue.counts().ready, 1);
    }

    #[test]
    fn a_too_large_item_disconnects_only_its_client() {
        let mut test = TestKeeper::new();
        test.connect_with(&key(1), "producer", r#""keep_open":true"#);
        test.connect_with(&key(2), "consumer", r#""follow":true"#);
        test.take_mail(0);
        let part = "x".repeat(4000);
        for _ in 0..=DEFAULT_MAX_ITEM_BYTES / 4000 {
            test.send_and_process(&format!("part {}\n{part}", key(1)));
        }
        assert!(
            test.take_mail(0).starts_with("error too-large an item has at most 16777216 bytes")
        );
        assert_eq!(test.host.closed_clients, [0]);
        assert_eq!(test.keeper.queue.client_count(Role::Consumer), 1);
        assert_eq!(test.keeper.partial_item_bytes, 0);
    }
}
