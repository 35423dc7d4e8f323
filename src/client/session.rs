//! The conversation of a client with its keeper and the keeper's successors, without pipes: requests
//! become writes, bytes of the mailbox become replies. After the keeper's death the session sends the
//! unanswered requests to the next keeper.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use super::outstanding::{ItemReport, Outstanding};
use crate::clock::{Clock, Nanos};
use crate::pipe::{PipePairName, WriteBuffer};
use crate::queue::{BatchRef, Items};
use crate::wire::{
    ClientKey, Hello, MalformedReply, Reply, ReplyReader, Request, Resumed, Welcome, announcement,
};

/// After a longer silence a server may not know any more which items of this client it has accepted. It knows that for
/// an hour.
const MAX_REPEAT_DELAY: Nanos = 3_300 * 1_000_000_000;

/// What the way to the queue knows of the conversation that has ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LastConversation {
    /// It was with a server. Nobody knows more of a conversation with a keeper.
    pub(crate) was_with_server: bool,
    /// The server has handled this number of requests, and the client has the replies.
    pub(crate) handled_requests: u64,
    /// Started at the last answer of the server, or at the first call.
    pub(crate) last_answer: Option<Clock>,
}

/// The client's side of the conversation.
#[derive(Debug)]
pub(crate) struct Session {
    key: ClientKey,
    hello: Hello,
    /// The requests that are not in the pipe yet.
    unsent: WriteBuffer,
    /// How many requests of the present conversation are in the pipe or unsent.
    written_requests: u64,
    /// The keeper knows this client: it is the first one, or has welcomed the client.
    has_begun: bool,
    /// The last conversation that had begun.
    last: LastConversation,
    reply_reader: ReplyReader,
    /// The replies that the client has not taken yet.
    untaken_replies: VecDeque<Result<Reply, MalformedReply>>,
    welcome: Option<Welcome>,
    outstanding: Outstanding,
    /// The client's number of the last item that it put.
    last_put_seq: u64,
    /// On a server: the queue of the conversation.
    queue_id: Option<String>,
    /// Nobody knows any more which of the last puts the server has accepted.
    is_put_unknown: bool,
    /// The keeper has forgotten something that it had confirmed.
    loss: Option<Loss>,
}

/// What a server had confirmed and does not know any more: a journal forgets nothing, but a server may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    /// How many accepted items of this client are missing.
    pub(crate) items: u64,
}

impl Session {
    /// Starts a conversation.
    pub(crate) fn new(key: ClientKey, hello: Hello) -> Self {
        Self {
            key,
            hello,
            unsent: WriteBuffer::default(),
            written_requests: 0,
            has_begun: true,
            last: LastConversation::default(),
            reply_reader: ReplyReader::default(),
            untaken_replies: VecDeque::new(),
            welcome: None,
            outstanding: Outstanding::default(),
            last_put_seq: 0,
            queue_id: None,
            is_put_unknown: false,
            loss: None,
        }
    }

    /// What the client tells a keeper about itself.
    pub(crate) fn hello(&self) -> &Hello {
        &self.hello
    }

    /// The queue of the conversation, if a server has told its id.
    pub(crate) fn queue_id(&self) -> Option<&str> {
        self.queue_id.as_deref()
    }

    /// Whether the last resume came too late to learn the outcome of puts. The session does not repeat them.
    pub(crate) fn is_put_unknown(&self) -> bool {
        self.is_put_unknown
    }

    /// What the keeper has forgotten, as far as that was found at the last resume.
    pub(crate) fn take_loss(&mut self) -> Option<Loss> {
        self.loss.take()
    }

    /// The names of the client's pipes.
    pub(crate) fn pipes(&self) -> PipePairName {
        self.hello.pipes(self.key)
    }

    /// The write to the inbox that announces the client to a keeper.
    pub(crate) fn announcement(&self) -> Vec<u8> {
        announcement(self.key, &self.hello)
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

    /// Puts items: one item of any size, or several items of [`crate::wire::MAX_PUT_BYTES`] in all.
    pub(crate) fn put(&mut self, items: Items) {
        self.last_put_seq += items.count;
        self.send(&Request::Put { seq: self.last_put_seq, items: items.clone() });
        self.outstanding.add_put(self.last_put_seq, items);
    }

    /// Adds a request that is no put.
    pub(crate) fn add_request(&mut self, request: Request) {
        self.send(&request);
        let number = if self.has_begun { self.written_requests } else { u64::MAX };
        self.outstanding.add_request(request, number);
    }

    /// Writes a request of the client. Between the loss of a server and the next welcome nothing is written: everything that
    /// has no answer follows the welcome, and nothing may be asked twice.
    fn send(&mut self, request: &Request) {
        if self.has_begun || !self.last.was_with_server {
            self.write(request);
        }
    }

    fn write(&mut self, request: &Request) {
        request.write(&mut self.unsent);
        self.written_requests += 1;
    }

    /// The requests that the client sends next.
    pub(crate) fn unsent(&mut self) -> &mut WriteBuffer {
        self.unsent.commit();
        &mut self.unsent
    }

    /// The buffer for the next read of the mailbox, which appends to it.
    pub(crate) fn read_buffer(&mut self) -> &mut Vec<u8> {
        self.reply_reader.buffer.read_buffer()
    }

    /// Reads the replies after a read of `count` bytes. Returns whether the read was as long as it could be.
    pub(crate) fn finish_read(&mut self, count: usize) -> bool {
        let is_full = self.reply_reader.buffer.finish_read(count);
        self.read_replies();
        is_full
    }

    /// Reads the replies in bytes that were read elsewhere.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.reply_reader.buffer.push_bytes(bytes);
        self.read_replies();
    }

    /// A malformed reply ends the reading.
    fn read_replies(&mut self) {
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

    /// A server has refused what has no answer.
    pub(crate) fn mark_refused(&mut self) {
        self.outstanding.mark_refused();
    }

    /// Gives up what was refused, so that it is not sent again. Returns the client's number of the last refused item.
    pub(crate) fn drop_refused(&mut self) -> Option<u64> {
        self.outstanding.drop_refused()
    }

    /// Starts the conversation with the next keeper. The session has read all replies of the dead one.
    /// The unanswered requests follow the next keeper's welcome.
    pub(crate) fn resume(&mut self, last: LastConversation) {
        // What a server says without a welcome does not end its silence.
        if std::mem::take(&mut self.has_begun) {
            self.last = last;
        }
        // The dead keeper may have left half a reply.
        self.reply_reader = ReplyReader::default();
        (self.unsent, self.written_requests) = (WriteBuffer::default(), 0);
        self.welcome = None;
        self.hello.batches_received = Some(self.outstanding.received_batches());
    }

    fn handle_welcome(&mut self, welcome: Welcome) {
        if self.is_resumed() {
            let resumed = welcome.resumed.clone().unwrap_or_default();
            self.forget_old_puts(&resumed);
            self.find_loss(&resumed);
            self.resend_outstanding(&resumed, &welcome);
        }
        self.has_begun = true;
        self.queue_id.clone_from(&welcome.queue_id);
        self.welcome = Some(welcome);
    }

    /// How many accepted items of this client the keeper does not know.
    fn missing_items(&self, resumed: &Resumed) -> u64 {
        let accepted = resumed.accepted.last().map_or(0, |last| last.0);
        self.outstanding.last_accepted_seq().saturating_sub(accepted)
    }

    /// After a long silence a server does not know which items of this client it has accepted. That is no loss, and a put
    /// that is repeated could count twice.
    fn forget_old_puts(&mut self, resumed: &Resumed) {
        let is_old = self.last.last_answer.is_some_and(|since| since.now() > MAX_REPEAT_DELAY);
        let is_known = !resumed.accepted.is_empty() && self.missing_items(resumed) == 0;
        self.is_put_unknown = false;
        if is_old && !is_known {
            self.is_put_unknown = self.outstanding.put_bytes() > 0;
            self.outstanding.forget_puts();
        }
    }

    /// Compares what the keeper knows with what it had confirmed. The client returns the items that it has reported
    /// and the keeper still lists: otherwise they would stay in flight for ever.
    fn find_loss(&mut self, resumed: &Resumed) {
        let missing = self.missing_items(resumed);
        let unknown = self.outstanding.unknown_items(&resumed.in_flight);
        if missing > 0 || !unknown.is_empty() {
            self.loss = Some(Loss { items: missing });
        }
        for items in unknown {
            self.write(&Request::Requeue(items));
        }
    }

    /// Sends the requests that the next keeper does not know, and answers the puts that the dead keeper
    /// accepted.
    fn resend_outstanding(&mut self, resumed: &Resumed, welcome: &Welcome) {
        let window = welcome.window;
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
        let mut outstanding = std::mem::take(&mut self.outstanding);
        for ItemReport { request, number } in outstanding.item_reports_mut() {
            let is_wanted = if welcome.is_forgotten {
                // A client that counted as dead learns that its items are no longer its own, unless the server has
                // handled the report before.
                *number > self.last.handled_requests
            } else {
                request.reported_batch_ref().is_some_and(is_in_flight)
            };
            *number = 0;
            if is_wanted {
                self.write(request);
                *number = self.written_requests;
            }
        }
        for put in outstanding.puts() {
            self.write(&Request::Put { seq: put.last_seq, items: put.items.clone() });
        }
        // Send waiting requests (get, join) first and the cancel last, so that the cancel ends them.
        let mut requests: Vec<_> = outstanding.requests().collect();
        requests.sort_by_key(|request| match request {
            Request::Get { .. } => 0,
            Request::Join => 1,
            Request::Cancel => 3,
            _ => 2,
        });
        requests.into_iter().for_each(|request| self.write(request));
        self.outstanding = outstanding;
    }
}
