//! Finds the end of whole requests in the bytes that a client writes. The bridge sends only whole requests to the
//! server, and does not look into them further.

use memchr::memchr;

use crate::wire::put_body_bytes;

/// The requests that the bridge has read and not sent.
#[derive(Debug, Default)]
pub(super) struct RequestStream {
    bytes: Vec<u8>,
    /// Up to here the bytes are whole requests.
    complete_bytes: usize,
    /// The number of the whole requests.
    complete_requests: u64,
    /// The last whole request is a `bye`.
    ends_with_bye: bool,
}

impl RequestStream {
    /// The buffer for the next read, which appends to it. Call [`Self::find_requests`] after the read.
    pub(super) fn read_buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Finds the whole requests among the bytes so far.
    pub(super) fn find_requests(&mut self) {
        while let Some(rest) = self.bytes.get(self.complete_bytes..)
            && let Some(line_end) = memchr(b'\n', rest)
        {
            let line = &rest[..line_end];
            let Some(end) = put_body_bytes(line).checked_add(line_end + 1) else { return };
            if end > rest.len() {
                return;
            }
            self.ends_with_bye = line == b"bye";
            self.complete_bytes += end;
            self.complete_requests += 1;
        }
    }

    /// The number of bytes of the whole requests.
    pub(super) fn complete_bytes(&self) -> usize {
        self.complete_bytes
    }

    pub(super) fn ends_with_bye(&self) -> bool {
        self.ends_with_bye
    }

    /// Takes the whole requests, and their number.
    pub(super) fn take(&mut self) -> (Vec<u8>, u64) {
        // A copy of the start of a large item at each read would cost too much.
        if self.complete_bytes == 0 {
            return (Vec::new(), 0);
        }
        let rest = self.bytes.split_off(std::mem::take(&mut self.complete_bytes));
        let requests = std::mem::replace(&mut self.bytes, rest);
        (requests, std::mem::take(&mut self.complete_requests))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The calls that a client's bytes become, if they arrive in reads of `size` bytes.
    fn calls(text: &[u8], size: usize) -> Vec<String> {
        let mut stream = RequestStream::default();
        let (mut calls, mut request_count) = (Vec::new(), 0);
        for read in text.chunks(size) {
            stream.read_buffer().extend_from_slice(read);
            stream.find_requests();
            if stream.complete_bytes() > 0 {
                let (requests, count) = stream.take();
                calls.push(String::from_utf8(requests).unwrap());
                request_count += count;
            }
        }
        assert_eq!(request_count, 4);
        assert_eq!(stream.bytes.len(), 0, "a part of a request is left");
        calls
    }

    #[test]
    fn a_call_has_whole_requests_only() {
        let requests = ["put 2 2 8\n\"a\"\n\"b\"\n", "get 1\n", "put 3 1 7\nbye 1\n\n", "bye\n"];
        let text = requests.concat();
        assert_eq!(calls(text.as_bytes(), 1), requests);
        for size in 1..=text.len() {
            assert_eq!(calls(text.as_bytes(), size).concat(), text, "in reads of {size}");
        }
        assert_eq!(calls(text.as_bytes(), text.len()).len(), 1);
    }

    #[test]
    fn only_a_bye_at_the_end_says_goodbye() {
        for (text, expected) in [("bye\n", true), ("get 1\nbye\n", true), ("bye\nget 1\n", false)] {
            let mut stream = RequestStream::default();
            stream.read_buffer().extend_from_slice(text.as_bytes());
            stream.find_requests();
            assert_eq!(stream.ends_with_bye(), expected, "{text}");
        }
    }
}
