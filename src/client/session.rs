//! What a client and its keeper say to each other, without any pipes: requests as whole writes, replies
//! as they come, and what has to be said again to the next keeper if this one dies.

use std::collections::VecDeque;
use std::fmt::Display;

use super::outstanding::{Disposition, Outstanding, OutstandingQuery};
use crate::queue::BatchRef;
use crate::wire::{
    ClientKey, Hello, MalformedReply, Reply, ReplyReader, RequestWriter, Resumed, Welcome,
};

/// One side of a conversation with a keeper, and with its successors.
#[derive(Debug)]
pub(crate) struct Session {
    hello: Hello,
    writer: RequestWriter,
    /// The largest write that the kernel doesn't mix with others.
    max_write_bytes: usize,
    /// The write that is being put together.
    open_write: Vec<u8>,
    /// Whole writes, to go out one after another.
    finished_writes: VecDeque<Vec<u8>>,
    reply_reader: ReplyReader,
    /// What has come, and nobody has taken yet.
    untaken_replies: VecDeque<Result<Reply, MalformedReply>>,
    welcome: Option<Welcome>,
    outstanding: Outstanding,
    /// The number of the last item that was put.
    last_put_seq: u64,
}

impl Session {
    /// Of a client with this number, which comes as it says in `hello`; `most` is `PIPE_BUF`.
    pub(crate) fn new(key: ClientKey, hello: Hello, most: usize) -> serde_json::Result<Self> {
        let mut session = Self {
            hello,
            writer: RequestWriter::new(key, most),
            max_write_bytes: most,
            open_write: Vec::new(),
            finished_writes: VecDeque::new(),
            reply_reader: ReplyReader::default(),
            untaken_replies: VecDeque::new(),
            welcome: None,
            outstanding: Outstanding::default(),
            last_put_seq: 0,
        };
        session.write_hello()?;
        Ok(session)
    }

    /// How many bytes of item lines one write has room for.
    pub(crate) fn max_put_bytes(&self) -> usize {
        self.writer.max_put_bytes()
    }

    /// Whether the keeper that this client came to has died.
    pub(crate) fn is_resumed(&self) -> bool {
        self.hello.batches_received.is_some()
    }

    /// The number of the last item that was put.
    pub(crate) fn last_put_seq(&self) -> u64 {
        self.last_put_seq
    }

    /// How many bytes of items have been put, and are not answered yet.
    pub(crate) fn unanswered_put_bytes(&self) -> usize {
        self.outstanding.put_bytes()
    }

    /// Puts `count` items: lines that fit into one write, or one item of any size.
    pub(crate) fn put(&mut self, count: u64, lines: Vec<u8>) {
        self.last_put_seq += count;
        self.write_put(self.last_put_seq, count, &lines);
        self.outstanding.add_put(self.last_put_seq, count, lines);
    }

    /// Asks for up to `max` items.
    pub(crate) fn get(&mut self, max: u64) {
        self.begin_write();
        self.writer.write_get(&mut self.open_write, max);
        self.outstanding.set_get(max);
    }

    /// Nothing is waited for any longer.
    pub(crate) fn cancel(&mut self) {
        self.write_bare("cancel");
        self.outstanding.set_cancel();
    }

    /// Asks to be told when everything is done.
    pub(crate) fn join(&mut self) {
        self.write_bare("join");
        self.outstanding.set_join();
    }

    /// Says what has become of items. It goes out with whatever is said next.
    pub(crate) fn add_disposition(&mut self, disposition: Disposition) {
        // Several of them and a get always fit into one write.
        if self.open_write.len() > self.max_write_bytes / 2 {
            self.finish_write();
        }
        self.write_disposition(&disposition);
        self.outstanding.add_disposition(disposition);
    }

    /// Asks something that has one answer.
    pub(crate) fn query(&mut self, verb: &'static str, what: Option<&dyn Display>) {
        let what = what.map(ToString::to_string);
        let question = OutstandingQuery { verb, argument: what };
        self.write_query(&question);
        self.outstanding.add_query(question);
    }

    /// Asks to be woken, in paced time: behind what is being asked, with the same write. Such a keeper
    /// has no successor.
    pub(crate) fn sleep(&mut self, nanos: u64) {
        if self.open_write.len() > self.max_write_bytes / 2 {
            self.finish_write();
        }
        self.begin_write();
        self.writer.write_sleep(&mut self.open_write, nanos);
    }

    /// Ends the write that is being put together.
    pub(crate) fn finish_write(&mut self) {
        if !self.open_write.is_empty() {
            self.finished_writes.push_back(std::mem::take(&mut self.open_write));
        }
    }

    /// What is to be written next, in one piece.
    pub(crate) fn next_write(&self) -> Option<&[u8]> {
        self.finished_writes.front().map(Vec::as_slice)
    }

    /// That has been written.
    pub(crate) fn pop_written(&mut self) {
        self.finished_writes.pop_front();
    }

    /// Takes in what was read.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.reply_reader.push_bytes(bytes);
        while let Some(reply) = self.reply_reader.next_reply() {
            match reply {
                Ok(Reply::Welcome(welcome)) => self.handle_welcome(welcome),
                Ok(reply) => {
                    self.outstanding.apply_reply(&reply);
                    self.untaken_replies.push_back(Ok(reply));
                }
                Err(bad) => {
                    self.untaken_replies.push_back(Err(bad));
                    return;
                }
            }
        }
    }

    /// The next reply that nobody has taken yet.
    pub(crate) fn next(&mut self) -> Option<Result<Reply, MalformedReply>> {
        self.untaken_replies.pop_front()
    }

    /// The keeper's welcome, if it has come.
    pub(crate) fn take_welcome(&mut self) -> Option<Welcome> {
        self.welcome.take()
    }

    /// Why the keeper has gone, if it has said so: it doesn't want to be found again.
    pub(crate) fn take_disconnect_error(&mut self) -> Option<Reply> {
        let farewell =
            |reply: &Result<Reply, MalformedReply>| matches!(reply, Ok(Reply::Error { .. }));
        let at = self.untaken_replies.iter().position(farewell)?;
        self.untaken_replies.remove(at)?.ok()
    }

    /// This keeper is dead, and all that it wrote has been read. The next one is told who comes; what
    /// is to be said again follows when it has welcomed us.
    pub(crate) fn resume(&mut self) -> serde_json::Result<()> {
        // It may have died in the middle of a reply.
        self.reply_reader = ReplyReader::default();
        self.finished_writes.clear();
        self.open_write.clear();
        self.welcome = None;
        self.hello.batches_received = Some(self.outstanding.received_batches());
        self.write_hello()
    }

    fn write_hello(&mut self) -> serde_json::Result<()> {
        self.begin_write();
        self.writer.write_hello(&mut self.open_write, &self.hello)?;
        self.finish_write();
        Ok(())
    }

    fn handle_welcome(&mut self, welcome: Welcome) {
        if self.hello.batches_received.is_some() {
            let resumed = welcome.resumed.clone().unwrap_or_default();
            self.resend_outstanding(&resumed, welcome.window);
        }
        self.welcome = Some(welcome);
    }

    /// Says again what this keeper cannot know, and takes for said what it knows.
    fn resend_outstanding(&mut self, resumed: &Resumed, window: u64) {
        let answered = self.outstanding.last_answered_seq();
        for &(seq, id) in resumed.accepted.iter().filter(|(seq, _)| *seq > answered) {
            let reply = Reply::Ok { seq, id, window };
            self.outstanding.apply_reply(&reply);
            self.untaken_replies.push_back(Ok(reply));
        }
        let outstanding = std::mem::take(&mut self.outstanding);
        let is_out = |batch_ref: &BatchRef| {
            resumed.in_flight.iter().any(|&(first, count, attempt)| {
                (first..first.saturating_add(count)).contains(&batch_ref.first_id)
                    && batch_ref.attempt.is_none_or(|batch_ref| batch_ref == attempt)
            })
        };
        for disposition in
            outstanding.dispositions().filter(|disposition| is_out(&disposition.batch_ref()))
        {
            self.finish_write();
            self.write_disposition(disposition);
        }
        for put in outstanding.puts() {
            self.write_put(put.last_seq, put.count, &put.lines);
        }
        self.finish_write();
        if let Some(max) = outstanding.pending_get_max() {
            self.begin_write();
            self.writer.write_get(&mut self.open_write, max);
        }
        if outstanding.has_pending_join() {
            self.write_bare("join");
        }
        for question in outstanding.queries() {
            self.write_query(question);
        }
        if outstanding.has_pending_cancel() {
            self.write_bare("cancel");
        }
        self.finish_write();
        self.outstanding = outstanding;
    }

    /// Starts a write, unless one is being put together.
    fn begin_write(&mut self) {
        if self.open_write.is_empty() {
            self.open_write.reserve(self.max_write_bytes);
            self.writer.begin_write(&mut self.open_write);
        }
    }

    fn write_bare(&mut self, verb: &str) {
        self.begin_write();
        self.writer.write_plain(&mut self.open_write, verb);
    }

    fn write_disposition(&mut self, disposition: &Disposition) {
        self.begin_write();
        match disposition {
            Disposition::DoneOrRequeued { verb, batch_ref } => {
                self.writer.write_batch_request(&mut self.open_write, verb, *batch_ref)
            }
            Disposition::Failed { id, attempt, tries, reason } => {
                self.writer.write_fail(&mut self.open_write, *id, *attempt, *tries, reason);
            }
        }
    }

    fn write_query(&mut self, OutstandingQuery { verb, argument: what }: &OutstandingQuery) {
        self.begin_write();
        match what {
            Some(what) => self.writer.write_with_argument(&mut self.open_write, verb, what),
            None => self.writer.write_plain(&mut self.open_write, verb),
        }
    }

    /// An item that doesn't fit into one write goes in parts.
    fn write_put(&mut self, seq: u64, count: u64, lines: &[u8]) {
        self.finish_write();
        let room = self.writer.max_put_bytes();
        let mut rest = lines;
        while rest.len() > room {
            let (piece, after) = rest.split_at(room - 1);
            rest = after;
            self.begin_write();
            self.writer.write_item_part(&mut self.open_write, piece);
            self.finish_write();
        }
        self.begin_write();
        self.writer.write_put(&mut self.open_write, seq, count, rest);
    }
}
