//! Finds the requests in the bytes of a client's pipe.

use super::request::{MAX_LINE_BYTES, MalformedRequest, Request, parse_put_head};
use super::{MAX_ITEM_BYTES, MessageBuffer, split_word};
use crate::queue::Items;

/// The items of one put have at most this many bytes, unless the put has a single item.
pub(crate) const MAX_PUT_BYTES: usize = 64 * 1024;

/// Reads the requests of a client.
#[derive(Debug, Default)]
pub(crate) struct RequestReader {
    pub(crate) buffer: MessageBuffer,
}

impl RequestReader {
    /// The next request, or an error for a malformed one. `None` means that the reader needs more bytes. An item
    /// has at most `max_item_bytes` bytes.
    pub(crate) fn next(
        &mut self,
        max_item_bytes: u64,
    ) -> Option<Result<Request, MalformedRequest>> {
        let Some(line) = self.buffer.line() else {
            let is_too_long = self.buffer.unread().len() > MAX_LINE_BYTES;
            return is_too_long.then_some(Err(MalformedRequest::LineTooLong));
        };
        if line.len() > MAX_LINE_BYTES {
            return Some(Err(MalformedRequest::LineTooLong));
        }
        let length = line.len();
        if split_word(line).0 != b"put" {
            let request = Request::parse(line).map_err(MalformedRequest::Reason);
            self.buffer.skip(length + 1);
            return Some(request);
        }
        let Some((seq, count, bytes)) = parse_put_head(line) else {
            // Nobody knows how many bytes follow.
            return Some(Err(MalformedRequest::PutHead));
        };
        let max_bytes =
            if count == 1 { max_item_bytes.min(MAX_ITEM_BYTES) + 1 } else { MAX_PUT_BYTES as u64 };
        if bytes > max_bytes {
            let is_single_item = count == 1;
            return Some(Err(MalformedRequest::TooLarge { max_bytes, is_single_item }));
        }
        // The length is at most that of the largest item.
        let body = self.buffer.take(length, bytes as usize)?;
        let items = Items { count, bytes: body };
        let items = items.is_well_formed().then_some(items);
        let request = items.map(|items| Request::Put { seq, items });
        let reason = "the items of a put are lines that are not empty, as many as the put says";
        Some(request.ok_or(MalformedRequest::Reason(reason)))
    }
}
