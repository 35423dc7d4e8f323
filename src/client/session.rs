//! What a client and its keeper say to each other, without any pipes: requests as whole writes, replies
//! as they come, and what has to be said again to the next keeper if this one dies.

use std::collections::VecDeque;
use std::fmt::Display;

use super::outstanding::{Owed, Question, Said};
use crate::queue::Which;
use crate::wire::{BadReply, Hello, Key, Reply, ReplyReader, Resumed, Welcome, Writer};

/// One side of a conversation with a keeper, and with its successors.
#[derive(Debug)]
pub(crate) struct Session {
    hello: Hello,
    writer: Writer,
    /// The largest write that the kernel doesn't mix with others.
    most: usize,
    /// The write that is being put together.
    write: Vec<u8>,
    /// Whole writes, to go out one after another.
    writes: VecDeque<Vec<u8>>,
    replies: ReplyReader,
    /// What has come, and nobody has taken yet.
    heard: VecDeque<Result<Reply, BadReply>>,
    welcome: Option<Welcome>,
    owed: Owed,
    /// The number of the last item that was put.
    sent: u64,
}

impl Session {
    /// Of a client with this number, which comes as it says in `hello`; `most` is `PIPE_BUF`.
    pub(crate) fn new(key: Key, hello: Hello, most: usize) -> serde_json::Result<Self> {
        let mut session = Self {
            hello,
            writer: Writer::new(key, most),
            most,
            write: Vec::new(),
            writes: VecDeque::new(),
            replies: ReplyReader::default(),
            heard: VecDeque::new(),
            welcome: None,
            owed: Owed::default(),
            sent: 0,
        };
        session.come()?;
        Ok(session)
    }

    /// How many bytes of item lines one write has room for.
    pub(crate) fn room(&self) -> usize {
        self.writer.room()
    }

    /// Whether the keeper that this client came to has died.
    pub(crate) fn has_resumed(&self) -> bool {
        self.hello.resume.is_some()
    }

    /// The number of the last item that was put.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// How many bytes of items have been put, and are not answered yet.
    pub(crate) fn underway(&self) -> usize {
        self.owed.bytes()
    }

    /// Puts `count` items: lines that fit into one write, or one item of any size.
    pub(crate) fn put(&mut self, count: u64, lines: Vec<u8>) {
        self.sent += count;
        self.write_put(self.sent, count, &lines);
        self.owed.put(self.sent, count, lines);
    }

    /// Asks for up to `max` items.
    pub(crate) fn get(&mut self, max: u64) {
        self.begin();
        self.writer.get(&mut self.write, max);
        self.owed.get(max);
    }

    /// Nothing is waited for any longer.
    pub(crate) fn cancel(&mut self) {
        self.bare("cancel");
        self.owed.cancel();
    }

    /// Asks to be told when everything is done.
    pub(crate) fn join(&mut self) {
        self.bare("join");
        self.owed.join();
    }

    /// Says what has become of items. It goes out with whatever is said next.
    pub(crate) fn say(&mut self, said: Said) {
        // Several of them and a get always fit into one write.
        if self.write.len() > self.most / 2 {
            self.close_write();
        }
        self.write_said(&said);
        self.owed.say(said);
    }

    /// Asks something that has one answer.
    pub(crate) fn ask(&mut self, verb: &'static str, what: Option<&dyn Display>) {
        let what = what.map(ToString::to_string);
        let question = Question { verb, what };
        self.write_question(&question);
        self.owed.ask(question);
    }

    /// Asks to be woken, in paced time: behind what is being asked, with the same write. Such a keeper
    /// has no successor.
    pub(crate) fn sleep(&mut self, nanos: u64) {
        if self.write.len() > self.most / 2 {
            self.close_write();
        }
        self.begin();
        self.writer.sleep(&mut self.write, nanos);
    }

    /// Ends the write that is being put together.
    pub(crate) fn close_write(&mut self) {
        if !self.write.is_empty() {
            self.writes.push_back(std::mem::take(&mut self.write));
        }
    }

    /// What is to be written next, in one piece.
    pub(crate) fn next_write(&self) -> Option<&[u8]> {
        self.writes.front().map(Vec::as_slice)
    }

    /// That has been written.
    pub(crate) fn written(&mut self) {
        self.writes.pop_front();
    }

    /// Takes in what was read.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.replies.feed(bytes);
        while let Some(reply) = self.replies.next() {
            match reply {
                Ok(Reply::Welcome(welcome)) => self.welcomed(welcome),
                Ok(reply) => {
                    self.owed.hear(&reply);
                    self.heard.push_back(Ok(reply));
                }
                Err(bad) => {
                    self.heard.push_back(Err(bad));
                    return;
                }
            }
        }
    }

    /// The next reply that nobody has taken yet.
    pub(crate) fn next(&mut self) -> Option<Result<Reply, BadReply>> {
        self.heard.pop_front()
    }

    /// The keeper's welcome, if it has come.
    pub(crate) fn take_welcome(&mut self) -> Option<Welcome> {
        self.welcome.take()
    }

    /// Why the keeper has gone, if it has said so: it doesn't want to be found again.
    pub(crate) fn take_farewell(&mut self) -> Option<Reply> {
        let farewell = |reply: &Result<Reply, BadReply>| matches!(reply, Ok(Reply::Error { .. }));
        let at = self.heard.iter().position(farewell)?;
        self.heard.remove(at)?.ok()
    }

    /// This keeper is dead, and all that it wrote has been read. The next one is told who comes; what
    /// is to be said again follows when it has welcomed us.
    pub(crate) fn resume(&mut self) -> serde_json::Result<()> {
        // It may have died in the middle of a reply.
        self.replies = ReplyReader::default();
        self.writes.clear();
        self.write.clear();
        self.welcome = None;
        self.hello.resume = Some(self.owed.got());
        self.come()
    }

    fn come(&mut self) -> serde_json::Result<()> {
        self.begin();
        self.writer.hello(&mut self.write, &self.hello)?;
        self.close_write();
        Ok(())
    }

    fn welcomed(&mut self, welcome: Welcome) {
        if self.hello.resume.is_some() {
            let resumed = welcome.resumed.clone().unwrap_or_default();
            self.say_again(&resumed, welcome.window);
        }
        self.welcome = Some(welcome);
    }

    /// Says again what this keeper cannot know, and takes for said what it knows.
    fn say_again(&mut self, resumed: &Resumed, window: u64) {
        let answered = self.owed.answered();
        for &(seq, id) in resumed.accepted.iter().filter(|(seq, _)| *seq > answered) {
            let reply = Reply::Ok { seq, id, window };
            self.owed.hear(&reply);
            self.heard.push_back(Ok(reply));
        }
        let owed = std::mem::take(&mut self.owed);
        let is_out = |which: &Which| {
            resumed.out.iter().any(|&(first, count, attempt)| {
                (first..first.saturating_add(count)).contains(&which.first)
                    && which.attempt.is_none_or(|which| which == attempt)
            })
        };
        for said in owed.said().filter(|said| is_out(&said.which())) {
            self.close_write();
            self.write_said(said);
        }
        for put in owed.puts() {
            self.write_put(put.last, put.count, &put.lines);
        }
        self.close_write();
        if let Some(max) = owed.wants() {
            self.begin();
            self.writer.get(&mut self.write, max);
        }
        if owed.joins() {
            self.bare("join");
        }
        for question in owed.questions() {
            self.write_question(question);
        }
        if owed.cancels() {
            self.bare("cancel");
        }
        self.close_write();
        self.owed = owed;
    }

    /// Starts a write, unless one is being put together.
    fn begin(&mut self) {
        if self.write.is_empty() {
            self.write.reserve(self.most);
            self.writer.start(&mut self.write);
        }
    }

    fn bare(&mut self, verb: &str) {
        self.begin();
        self.writer.bare(&mut self.write, verb);
    }

    fn write_said(&mut self, said: &Said) {
        self.begin();
        match said {
            Said::About { verb, which } => self.writer.about(&mut self.write, verb, *which),
            Said::Failed { id, attempt, tries, why } => {
                self.writer.fail(&mut self.write, *id, *attempt, *tries, why);
            }
        }
    }

    fn write_question(&mut self, Question { verb, what }: &Question) {
        self.begin();
        match what {
            Some(what) => self.writer.with(&mut self.write, verb, what),
            None => self.writer.bare(&mut self.write, verb),
        }
    }

    /// An item that doesn't fit into one write goes in parts.
    fn write_put(&mut self, seq: u64, count: u64, lines: &[u8]) {
        self.close_write();
        let room = self.writer.room();
        let mut rest = lines;
        while rest.len() > room {
            let (piece, after) = rest.split_at(room - 1);
            rest = after;
            self.begin();
            self.writer.part(&mut self.write, piece);
            self.close_write();
        }
        self.begin();
        self.writer.put(&mut self.write, seq, count, rest);
    }
}
