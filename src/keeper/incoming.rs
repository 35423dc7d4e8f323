//! What clients write: announcements in the inbox, and requests in the pipe of each client.

use super::{Host, Keeper, send_error};
use crate::catalogue::message;
use crate::clock::Nanos;
use crate::queue::{ClientId, MAX_DELIVERY_BYTES};
use crate::wire::{ErrorCode, MalformedRequest};

/// The limit for the incomplete requests of all clients together, in bytes. Unit tests reach a smaller limit
/// faster.
const MAX_INCOMPLETE_BYTES: usize = if cfg!(test) { 64 << 20 } else { 512 << 20 };

impl Keeper {
    /// Takes bytes of the inbox, and connects the clients that they announce.
    pub(crate) fn receive_announcements(
        &mut self,
        wall: Nanos,
        bytes: &[u8],
        host: &mut impl Host,
    ) {
        self.last_wall_time = wall;
        for (key, hello) in self.announcements.push_bytes(bytes) {
            // The queue is about to go: a client without an answer connects to the next keeper.
            if self.removal_request.is_none() {
                self.handle_hello(key, &hello, host);
            }
        }
    }

    /// The buffer for the next read of the client's requests, which appends to it. None if the client has left.
    /// [`Keeper::receive`] takes the requests.
    pub(crate) fn read_buffer(&mut self, client: ClientId) -> Option<&mut Vec<u8>> {
        Some(self.clients.get_mut(&client)?.requests.buffer.read_buffer())
    }

    /// Handles each complete request of the client, after a read of `count` bytes. Returns whether the read was
    /// as long as it could be.
    pub(crate) fn receive(
        &mut self,
        wall: Nanos,
        client: ClientId,
        count: usize,
        host: &mut impl Host,
    ) -> bool {
        self.last_wall_time = wall;
        let Some(c) = self.clients.get_mut(&client) else {
            return false;
        };
        let is_full = c.requests.buffer.finish_read(count);
        let max_item_bytes = c.max_item_bytes();
        let mut requests = std::mem::take(&mut c.requests);
        while let Some(message) = requests.next(max_item_bytes) {
            // The queue is about to go: the client repeats its requests to the next keeper.
            if self.removal_request.is_some() {
                break;
            }
            match message {
                Ok(request) => self.handle_request(client, request, host),
                Err(malformed) => self.refuse_malformed(client, &malformed, host),
            }
            if !self.clients.contains_key(&client) {
                return false;
            }
        }
        let incomplete = requests.buffer.unread().len();
        if let Some(c) = self.clients.get_mut(&client) {
            self.incomplete_bytes += incomplete;
            self.incomplete_bytes -= std::mem::replace(&mut c.incomplete_bytes, incomplete);
            c.requests = requests;
        }
        // One read is always allowed.
        if self.incomplete_bytes > MAX_INCOMPLETE_BYTES && incomplete > MAX_DELIVERY_BYTES {
            let text = || message!("refusal-incomplete-items", size = MAX_INCOMPLETE_BYTES >> 20);
            self.expel(client, ErrorCode::TooLarge, text, host);
        }
        is_full
    }

    fn refuse_malformed(
        &mut self,
        client: ClientId,
        malformed: &MalformedRequest,
        host: &mut impl Host,
    ) {
        let malformed_code = ErrorCode::Malformed;
        match *malformed {
            MalformedRequest::Reason(reason) => {
                send_error(host, client, malformed_code, || reason.to_owned());
            }
            MalformedRequest::LineTooLong => {
                self.expel(client, malformed_code, || message!("refusal-line-too-long"), host);
            }
            MalformedRequest::PutHead => {
                self.expel(client, malformed_code, || message!("refusal-put-head"), host);
            }
            MalformedRequest::TooLarge { max_bytes, is_single_item: true } => {
                let text = || message!("refusal-item-too-large", bytes = max_bytes - 1);
                self.expel(client, ErrorCode::TooLarge, text, host);
            }
            MalformedRequest::TooLarge { max_bytes, is_single_item: false } => {
                let text = || message!("refusal-put-too-large", bytes = max_bytes);
                self.expel(client, ErrorCode::TooLarge, text, host);
            }
        }
    }

    /// Disconnects a client that has broken the protocol or a limit.
    fn expel(
        &mut self,
        client: ClientId,
        code: ErrorCode,
        text: impl FnOnce() -> String,
        host: &mut impl Host,
    ) {
        send_error(host, client, code, text);
        self.disconnect_client(client, host);
        self.forget_client(client, host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keeper::tests::TestKeeper;
    use crate::role::Role;
    use crate::wire::{DEFAULT_MAX_ITEM_BYTES, MAX_ITEM_BYTES};

    #[test]
    fn no_client_can_raise_its_largest_item_above_the_limit() {
        let mut test = TestKeeper::new();
        test.connect_with("producer", r#","max_item_bytes":9223372036854775808"#);
        assert_eq!(test.keeper.clients[&0].max_item_bytes(), MAX_ITEM_BYTES);
    }

    #[test]
    fn the_incomplete_items_of_all_clients_together_have_a_limit() {
        let mut test = TestKeeper::new();
        let clients = 5;
        for client in 0..clients {
            test.connect_with("producer", r#","max_item_bytes":9223372036854775808"#);
            test.receive(client, "put 1 1 200000000\n");
        }
        let part = "x".repeat(1 << 20);
        for _ in 0..MAX_INCOMPLETE_BYTES / part.len() / clients + 1 {
            for client in 0..clients {
                test.receive(client, &part);
            }
            assert!(test.keeper.incomplete_bytes <= MAX_INCOMPLETE_BYTES + part.len());
        }
        assert!(!test.host.closed_clients.is_empty(), "a client is disconnected");
        let bytes: usize = test.keeper.clients.values().map(|c| c.incomplete_bytes).sum();
        assert_eq!(test.keeper.incomplete_bytes, bytes);
        // A new client puts its item.
        let other = test.connect_with("producer", "");
        test.send_and_process(other, "put 1 1 2\n1\n");
        assert_eq!(test.keeper.queue.counts().ready, 1);
    }

    #[test]
    fn a_too_large_item_disconnects_only_its_client() {
        let mut test = TestKeeper::new();
        test.connect_with("producer", r#","keep_open":true"#);
        test.connect_with("consumer", r#","follow":true"#);
        test.take_mail(0);
        test.send_and_process(0, &format!("put 1 1 {}\n", DEFAULT_MAX_ITEM_BYTES + 2));
        assert!(
            test.take_mail(0).starts_with("error too-large an item has at most 16777216 bytes")
        );
        assert_eq!(test.host.closed_clients, [0]);
        assert_eq!(test.keeper.queue.client_count(Role::Consumer), 1);
        let other = test.connect_with("producer", "");
        test.take_mail(other);
        test.send_and_process(other, "put 2 2 65537\n");
        let error = "error too-large a put of several items has at most 65536 bytes";
        assert_eq!(test.take_mail(other), error);
    }

    #[test]
    fn a_client_whose_message_has_no_known_end_is_disconnected() {
        for (text, reason) in [("put 1\n", "put takes"), (&*"x".repeat(5000), "the line")] {
            let mut test = TestKeeper::new();
            test.connect_with("visitor", "");
            test.take_mail(0);
            test.send_and_process(0, text);
            assert!(test.take_mail(0).starts_with(&format!("error malformed {reason}")));
            assert_eq!(test.host.closed_clients, [0]);
        }
    }
}
