//! The conversation of a client with its keeper and the keeper's successors, without pipes: requests
//! become writes, bytes of the mailbox become replies. After the keeper's death the session sends the
//! unanswered requests to the next keeper.

use std::collections::VecDeque;

use super::outstanding::Outstanding;
use crate::queue::BatchRef;
use crate::wire::{
    ClientKey, Hello, MalformedReply, Reply, ReplyReader, Request, Resumed, WRITE_START, Welcome,
    max_put_bytes,
};

/// The client's side of the conversation.
#[derive(Debug)]
pub(crate) struct Session {
    key: ClientKey,
    hello: Hello,
    /// The kernel does not mix a write of at most this many bytes with others.
    max_write_bytes: usize,
    /// The write that takes further requests. Empty before the first one.
    open_write: Vec<u8>,
    /// The writes that the client sends next, each in one piece.
    finished_writes: VecDeque<Vec<u8>>,
    reply_reader: ReplyReader,
    /// The replies that the client has not taken yet.
    untaken_replies: VecDeque<Result<Reply, MalformedReply>>,
    welcome: Option<Welcome>,
    outstanding: Outstanding,
    /// The client's number of the last item that it put.
    last_put_seq: u64,
}

impl Session {
    /// Starts a conversation with the hello. `max_write_bytes` is `PIPE_BUF`.
    pub(crate) fn new(key: ClientKey, hello: Hello, max_write_bytes: usize) -> Self {
        let mut session = Self {
            key,
            hello,
            max_write_bytes,
            open_write: Vec::new(),
            finished_writes: VecDeque::new(),
            reply_reader: ReplyReader::default(),
            untaken_replies: VecDeque::new(),
            welcome: None,
            outstanding: Outstanding::default(),
            last_put_seq: 0,
        };
        session.write_hello();
        session
    }

    /// How many bytes of items one write holds.
    pub(crate) fn max_put_bytes(&self) -> usize {
        max_put_bytes(self.max_write_bytes)
    }

    /// Whether the first keeper of this client has died.
    pub(crate) fn is_resumed(&self) -> bool {
        self.hello.batches_received.is_some()
    }

    /// The client's number of the last item that it put.
    pub(crate) fn last_put_seq(&self) -> u64 {
        self.last_put_seq
    }

    /// The bytes of the items that are put and neither accepted nor refused.
    pub(crate) fn unanswered_put_bytes(&self) -> usize {
        self.outstanding.put_bytes()
    }

    /// Puts `count` items that fit into one write, or one item of any size. Each item ends with a
    /// newline.
    pub(crate) fn put(&mut self, count: u64, items: Vec<u8>) {
        self.last_put_seq += count;
        self.write_put(self.last_put_seq, count, &items);
        self.outstanding.add_put(self.last_put_seq, count, items);
    }

    /// Adds a request that is no put to the open write.
    pub(crate) fn add_request(&mut self, request: Request<'static>) {
        // Item reports and sleeps leave half a write for the get that follows.
        let leaves_room = matches!(
            request,
            Request::Done(_) | Request::Requeue(_) | Request::Fail { .. } | Request::Sleep(_)
        );
        if leaves_room && self.open_write.len() > self.max_write_bytes / 2 {
            self.finish_write();
        }
        self.write(&request);
        self.outstanding.add_request(request);
    }

    /// Closes the open write: the client sends it next.
    pub(crate) fn finish_write(&mut self) {
        if !self.open_write.is_empty() {
            self.finished_writes.push_back(std::mem::take(&mut self.open_write));
        }
    }

    /// The bytes that the client writes next, in one piece.
    pub(crate) fn next_write(&self) -> Option<&[u8]> {
        self.finished_writes.front().map(Vec::as_slice)
    }

    /// Removes the write of [`Session::next_write`], which the client has written.
    pub(crate) fn pop_written(&mut self) {
        self.finished_writes.pop_front();
    }

    /// Reads the replies in bytes of the mailbox. A malformed reply ends the reading.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.reply_reader.push_bytes(bytes);
        while let Some(reply) = self.reply_reader.next_reply() {
            match reply {
                Ok(Reply::Welcome(welcome)) => self.handle_welcome(welcome),
                Ok(reply) => {
                    self.outstanding.apply_reply(&reply);
                    self.untaken_replies.push_back(Ok(reply));
                }
                Err(malformed) => {
                    self.untaken_replies.push_back(Err(malformed));
                    return;
                }
            }
        }
    }

    /// Takes the next reply.
    pub(crate) fn next(&mut self) -> Option<Result<Reply, MalformedReply>> {
        self.untaken_replies.pop_front()
    }

    /// Takes the keeper's welcome.
    pub(crate) fn take_welcome(&mut self) -> Option<Welcome> {
        self.welcome.take()
    }

    /// Takes the error with which the keeper ended the conversation. The client must not look for
    /// another keeper then.
    pub(crate) fn take_disconnect_error(&mut self) -> Option<Reply> {
        let is_error =
            |reply: &Result<Reply, MalformedReply>| matches!(reply, Ok(Reply::Error { .. }));
        let at = self.untaken_replies.iter().position(is_error)?;
        self.untaken_replies.remove(at)?.ok()
    }

    /// Starts the conversation with the next keeper. The session has read all replies of the dead one.
    /// The unanswered requests follow the next keeper's welcome.
    pub(crate) fn resume(&mut self) {
        // The dead keeper may have left half a reply.
        self.reply_reader = ReplyReader::default();
        self.finished_writes.clear();
        self.open_write.clear();
        self.welcome = None;
        self.hello.batches_received = Some(self.outstanding.received_batches());
        self.write_hello();
    }

    fn write_hello(&mut self) {
        self.write(&Request::Hello(Box::new(self.hello.clone())));
        self.finish_write();
    }

    fn handle_welcome(&mut self, welcome: Welcome) {
        if self.is_resumed() {
            let resumed = welcome.resumed.clone().unwrap_or_default();
            self.resend_outstanding(&resumed, welcome.window);
        }
        self.welcome = Some(welcome);
    }

    /// Sends the requests that the next keeper does not know, and answers the puts that the dead keeper
    /// accepted.
    fn resend_outstanding(&mut self, resumed: &Resumed, window: u64) {
        let answered = self.outstanding.last_answered_seq();
        for &(seq, id) in resumed.accepted.iter().filter(|(seq, _)| *seq > answered) {
            let reply = Reply::Ok { seq, id, window };
            self.outstanding.apply_reply(&reply);
            self.untaken_replies.push_back(Ok(reply));
        }
        let is_in_flight = |batch_ref: BatchRef| {
            resumed.in_flight.iter().any(|&(first_id, count, attempt)| {
                (first_id..first_id.saturating_add(count)).contains(&batch_ref.first_id)
                    && batch_ref.attempt.is_none_or(|wanted| wanted == attempt)
            })
        };
        let outstanding = std::mem::take(&mut self.outstanding);
        for report in outstanding.item_reports() {
            if report.reported_batch_ref().is_some_and(is_in_flight) {
                self.finish_write();
                self.write(report);
            }
        }
        for put in outstanding.puts() {
            self.write_put(put.last_seq, put.count, &put.items);
        }
        self.finish_write();
        // Send waiting requests (get, join) first and the cancel last, so that the cancel ends them.
        let mut requests: Vec<_> = outstanding.requests().collect();
        requests.sort_by_key(|request| match request {
            Request::Get { .. } => 0,
            Request::Join => 1,
            Request::Cancel => 3,
            _ => 2,
        });
        requests.into_iter().for_each(|request| self.write(request));
        self.finish_write();
        self.outstanding = outstanding;
    }

    /// Appends a request to the open write, or starts one.
    fn write(&mut self, request: &Request<'_>) {
        if self.open_write.is_empty() {
            self.open_write.reserve(self.max_write_bytes);
            self.open_write.extend_from_slice(WRITE_START);
        }
        request.write(self.key, &mut self.open_write);
    }

    /// Starts a write with a put. An item that does not fit into one write goes ahead in parts.
    fn write_put(&mut self, seq: u64, count: u64, items: &[u8]) {
        self.finish_write();
        let max_bytes = self.max_put_bytes();
        let mut items = items;
        while items.len() > max_bytes {
            let (part, rest) = items.split_at(max_bytes - 1);
            self.write(&Request::ItemPart(part));
            self.finish_write();
            items = rest;
        }
        self.write(&Request::Put { seq, count, items });
    }
}
