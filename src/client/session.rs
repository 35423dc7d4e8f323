//! The conversation of a client with its keeper and the keeper's successors, without pipes: requests
//! become writes, bytes of the mailbox become replies. After the keeper's death the session sends the
//! unanswered requests to the next keeper.

use std::collections::VecDeque;

use super::outstanding::Outstanding;
use crate::pipe::{PipePairName, WriteBuffer};
use crate::queue::{BatchRef, Items};
use crate::wire::{
    ClientKey, Hello, MalformedReply, Reply, ReplyReader, Request, Resumed, Welcome, announcement,
};

/// The client's side of the conversation.
#[derive(Debug)]
pub(crate) struct Session {
    key: ClientKey,
    hello: Hello,
    /// The requests that are not in the pipe yet.
    unsent: WriteBuffer,
    reply_reader: ReplyReader,
    /// The replies that the client has not taken yet.
    untaken_replies: VecDeque<Result<Reply, MalformedReply>>,
    welcome: Option<Welcome>,
    outstanding: Outstanding,
    /// The client's number of the last item that it put.
    last_put_seq: u64,
    /// On a server: the queue of the conversation.
    queue_id: Option<String>,
    /// A keeper that had welcomed the client did not know it when it resumed with puts that had no answer.
    is_forgotten: bool,
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
            reply_reader: ReplyReader::default(),
            untaken_replies: VecDeque::new(),
            welcome: None,
            outstanding: Outstanding::default(),
            last_put_seq: 0,
            queue_id: None,
            is_forgotten: false,
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

    /// Whether the keeper of the last resume did not know this client, which has put items without an answer.
    pub(crate) fn is_forgotten(&self) -> bool {
        self.is_forgotten
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
        Request::Put { seq: self.last_put_seq, items: items.clone() }.write(&mut self.unsent);
        self.outstanding.add_put(self.last_put_seq, items);
    }

    /// Adds a request that is no put.
    pub(crate) fn add_request(&mut self, request: Request) {
        request.write(&mut self.unsent);
        self.outstanding.add_request(request);
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
    pub(crate) fn resume(&mut self) {
        // The dead keeper may have left half a reply.
        self.reply_reader = ReplyReader::default();
        self.unsent = WriteBuffer::default();
        self.welcome = None;
        self.hello.batches_received = Some(self.outstanding.received_batches());
    }

    fn handle_welcome(&mut self, welcome: Welcome) {
        if self.is_resumed() {
            let resumed = welcome.resumed.clone().unwrap_or_default();
            self.is_forgotten = self.queue_id.is_some()
                && welcome.resumed.is_none()
                && self.outstanding.put_bytes() > 0;
            self.find_loss(&resumed);
            self.resend_outstanding(&resumed, &welcome);
        }
        self.queue_id.clone_from(&welcome.queue_id);
        self.welcome = Some(welcome);
    }

    /// Compares what the keeper knows with what it had confirmed. The client returns the items that it has reported
    /// and the keeper still lists: otherwise they would stay in flight for ever.
    fn find_loss(&mut self, resumed: &Resumed) {
        let accepted = resumed.accepted.last().map_or(0, |last| last.0);
        let missing = self.outstanding.last_accepted_seq().saturating_sub(accepted);
        let unknown = self.outstanding.unknown_items(&resumed.in_flight);
        if missing > 0 || !unknown.is_empty() {
            self.loss = Some(Loss { items: missing });
        }
        for items in unknown {
            Request::Requeue(items).write(&mut self.unsent);
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
        let outstanding = std::mem::take(&mut self.outstanding);
        for report in outstanding.item_reports() {
            // A client that counted as dead learns that its items are no longer its own.
            if welcome.is_forgotten || report.reported_batch_ref().is_some_and(is_in_flight) {
                report.write(&mut self.unsent);
            }
        }
        for put in outstanding.puts() {
            Request::Put { seq: put.last_seq, items: put.items.clone() }.write(&mut self.unsent);
        }
        // Send waiting requests (get, join) first and the cancel last, so that the cancel ends them.
        let mut requests: Vec<_> = outstanding.requests().collect();
        requests.sort_by_key(|request| match request {
            Request::Get { .. } => 0,
            Request::Join => 1,
            Request::Cancel => 3,
            _ => 2,
        });
        requests.into_iter().for_each(|request| request.write(&mut self.unsent));
        self.outstanding = outstanding;
    }
}
