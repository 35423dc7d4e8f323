//! A client's handle of a queue: put, get, done, leave.

mod connect;
mod error;

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;

use crate::clock::{Clock, Nanos, nanos};
use crate::pipe::{Door, Mailbox, PIPE_BUF, Ready, Waker, wait};
use crate::queue::{Lines, Run};
use crate::wire::{Reply, ReplyReader, Welcome, Writer};
pub use connect::Options;
pub(crate) use connect::default_dir;
pub use error::Error;

/// Items that were accepted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// How many; they are the next ones of those that were put.
    pub count: u64,
    /// The queue's number of the first of them; the others follow it.
    pub first_id: u64,
}

/// Items that this client has out: each is to be [`Client::done`], or it comes back in line when
/// the client leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    run: Run,
}

impl Batch {
    pub(crate) fn run(&self) -> &Run {
        &self.run
    }

    /// The queue's number of the first item; the others follow it.
    pub fn first_id(&self) -> u64 {
        self.run.first
    }

    /// How many items: at least one.
    pub fn count(&self) -> u64 {
        self.run.count()
    }

    /// 1 when nobody had these items before, one more for each time that they came back.
    pub fn attempt(&self) -> u32 {
        self.run.attempt
    }

    /// The items with their numbers, as JSON text.
    pub fn items(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.run.items()
    }
}

/// What stays behind when a client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Items in line.
    pub in_line: u64,
    /// Consumers that are there.
    pub consumers: u64,
}

/// A connection to a queue's keeper.
///
/// Items are JSON text on a single line. Dropping a client without [`Client::leave`] is leaving
/// too: the keeper sees it at once.
#[derive(Debug)]
pub struct Client {
    door: Door,
    mailbox: Mailbox,
    writer: Writer,
    replies: ReplyReader,
    buffer: Vec<u8>,
    /// The write that is being put together.
    write: Vec<u8>,
    welcome: Welcome,
    /// Items that are not sent yet.
    unsent: Lines,
    unsent_bytes: BytesMut,
    /// The number of the last item that was sent.
    sent: u64,
    /// The number of the last item that was accepted.
    accepted: u64,
    fresh: VecDeque<Accepted>,
    window: u64,
    interrupt: Option<Arc<Waker>>,
}

impl Client {
    /// Whether the keeper paces time, as it does for the workers of `qdemo run` with a delay.
    pub(crate) fn is_paced(&self) -> bool {
        self.welcome.paced
    }

    /// Puts one item: JSON text without a line break. It is on its way when this returns, together
    /// with others if it is small; [`Client::flush`] makes sure of it.
    ///
    /// # Errors
    /// [`Error::Closed`] when the queue has been closed; [`Error::Gone`] when the keeper died.
    pub fn put(&mut self, item: &[u8]) -> Result<(), Error> {
        debug_assert!(memchr::memchr(b'\n', item).is_none() && !item.is_empty());
        let room = self.writer.room();
        if self.unsent_bytes.len() + item.len() >= room {
            self.send_items()?;
        }
        if item.len() >= room {
            return self.put_large(item);
        }
        self.unsent_bytes.extend_from_slice(item);
        self.unsent_bytes.extend_from_slice(b"\n");
        self.unsent.count += 1;
        Ok(())
    }

    /// Sends what [`Client::put`] has gathered, without waiting for it to be accepted.
    ///
    /// # Errors
    /// As [`Client::put`].
    pub fn send(&mut self) -> Result<(), Error> {
        self.send_items()
    }

    /// Waits until every item put is in the queue.
    ///
    /// # Errors
    /// As [`Client::put`].
    pub fn flush(&mut self) -> Result<(), Error> {
        self.send_items()?;
        while self.accepted < self.sent {
            self.hear_of_puts(None)?;
        }
        Ok(())
    }

    /// The next of the news about what has been put; without waiting.
    ///
    /// # Errors
    /// As [`Client::put`].
    pub fn next_accepted(&mut self) -> Result<Option<Accepted>, Error> {
        while self.fresh.is_empty() && self.accepted < self.sent && self.hear_of_puts(Some(0))? {}
        Ok(self.fresh.pop_front())
    }

    /// Gets at least one item and up to `max`; waits for it. None when the queue has ended.
    ///
    /// # Errors
    /// [`Error::Gone`] when the keeper died.
    pub fn get(&mut self, max: u64) -> Result<Option<Batch>, Error> {
        self.begin();
        self.writer.get(&mut self.write, max.max(1));
        self.post()?;
        loop {
            match self.reply(None)? {
                Some(Reply::Run(run)) => return Ok(Some(Batch { run })),
                Some(Reply::Ended) => return Ok(None),
                Some(other) => self.note(other)?,
                None => {}
            }
        }
    }

    /// Says that `count` items from number `first_id` on have been dealt with. It reaches the
    /// keeper with whatever is said next.
    pub fn done(&mut self, first_id: u64, count: u64) -> Result<(), Error> {
        // Several of them and a get always fit into one write.
        if self.write.len() > PIPE_BUF / 2 {
            self.post()?;
        }
        self.begin();
        self.writer.done(&mut self.write, first_id, count);
        Ok(())
    }

    /// Lets time pass: paced time in a paced run, else the wall's.
    ///
    /// # Errors
    /// [`Error::Gone`] when the keeper died, which is noticed at once.
    pub fn sleep(&mut self, delay: Duration) -> Result<(), Error> {
        if delay.is_zero() {
            return Ok(());
        }
        if !self.is_paced() {
            return self.sleep_by_the_wall(nanos(delay));
        }
        self.begin();
        self.writer.sleep(&mut self.write, nanos(delay));
        self.post()?;
        loop {
            match self.reply(None)? {
                Some(Reply::Wake) => return Ok(()),
                Some(other) => self.note(other)?,
                None => {}
            }
        }
    }

    /// Leaves: what it has out goes back in line.
    ///
    /// # Errors
    /// As [`Client::put`], since items that are not in the queue yet are waited for.
    pub fn leave(mut self) -> Result<Left, Error> {
        self.flush()?;
        self.say_bye()?;
        loop {
            match self.reply(None)? {
                Some(Reply::Bye { in_line, consumers }) => {
                    return Ok(Left { in_line, consumers });
                }
                Some(other) => self.note(other)?,
                None => {}
            }
        }
    }

    /// Leaves without waiting for anything.
    pub fn leave_at_once(mut self) {
        // Even if it doesn't arrive, the keeper sees that the mailbox is gone.
        self.write.truncate(0);
        self.begin();
        self.writer.bye(&mut self.write);
        let _ = self.door.write(&self.write);
    }

    /// Waits until there is something to read from `input`.
    pub(crate) fn wait_for(&self, input: std::os::fd::BorrowedFd<'_>) -> Result<(), Error> {
        match self.wait(&[(input, Ready::Read)], None)? {
            true => Err(Error::Gone),
            false => Ok(()),
        }
    }

    fn say_bye(&mut self) -> Result<(), Error> {
        self.begin();
        self.writer.bye(&mut self.write);
        self.post()
    }

    fn send_items(&mut self) -> Result<(), Error> {
        let mut lines = std::mem::take(&mut self.unsent);
        lines.bytes = self.unsent_bytes.split().freeze();
        while lines.count > 0 {
            let room = self.wait_for_window()?;
            let part = lines.split_to(room.min(lines.count));
            self.sent += part.count;
            self.begin();
            if self.write.len() + part.bytes.len() > self.writer.room() {
                self.post()?;
                self.begin();
            }
            self.writer
                .put(&mut self.write, self.sent, part.count, &part.bytes);
            self.post()?;
        }
        Ok(())
    }

    /// An item that doesn't fit into one write goes in parts.
    fn put_large(&mut self, item: &[u8]) -> Result<(), Error> {
        self.wait_for_window()?;
        let size = self.writer.room() - 1;
        let mut rest = item;
        while rest.len() > size {
            let (piece, after) = rest.split_at(size);
            rest = after;
            self.flush_write()?;
            self.begin();
            self.writer.part(&mut self.write, piece);
            self.post()?;
        }
        self.sent += 1;
        self.flush_write()?;
        self.begin();
        let mut last = rest.to_vec();
        last.push(b'\n');
        self.writer.put(&mut self.write, self.sent, 1, &last);
        self.post()
    }

    /// Waits until one more item may be underway; tells how many may.
    fn wait_for_window(&mut self) -> Result<u64, Error> {
        loop {
            while self.hear_of_puts(Some(0))? {}
            let most = self.window.max(1);
            let underway = self.sent - self.accepted;
            if underway < most {
                return Ok(most - underway);
            }
            self.hear_of_puts(None)?;
        }
    }

    /// Takes one reply about puts; false when there is none within `most` nanoseconds.
    fn hear_of_puts(&mut self, most: Option<Nanos>) -> Result<bool, Error> {
        match self.reply(most)? {
            Some(reply) => self.note(reply).map(|()| true),
            None => Ok(false),
        }
    }

    /// Deals with a reply that is not what is being waited for.
    fn note(&mut self, reply: Reply) -> Result<(), Error> {
        match reply {
            Reply::Ok { seq, id, window } => {
                let count = seq.saturating_sub(self.accepted);
                self.accepted = seq;
                self.window = window;
                let first_id = (id + 1).saturating_sub(count);
                self.fresh.push_back(Accepted { count, first_id });
                Ok(())
            }
            Reply::Closed { .. } => Err(Error::Closed),
            Reply::Error { code, text } => Err(Error::Refused { code, text }),
            // Of something that is not being waited for any more.
            _ => Ok(()),
        }
    }

    /// Starts a write, unless one is being put together.
    fn begin(&mut self) {
        if self.write.is_empty() {
            self.writer.start(&mut self.write);
        }
    }

    fn flush_write(&mut self) -> Result<(), Error> {
        if self.write.is_empty() {
            return Ok(());
        }
        self.post()
    }

    /// Writes what has been put together, in one piece.
    fn post(&mut self) -> Result<(), Error> {
        while !self.door.write(&self.write).map_err(Error::of_door)? {
            self.wait(&[(self.door.as_fd(), Ready::Write)], None)?;
        }
        self.write.clear();
        Ok(())
    }

    /// The next reply; none when there is none within `most` nanoseconds, or a wait ended early.
    fn reply(&mut self, most: Option<Nanos>) -> Result<Option<Reply>, Error> {
        if let Some(reply) = self.replies.next() {
            return Ok(Some(reply?));
        }
        let mut dead = false;
        if most != Some(0) {
            dead = self.wait(&[(self.mailbox.as_fd(), Ready::Read)], most)?;
        }
        loop {
            let read = self.mailbox.read(&mut self.buffer).map_err(Error::Pipe)?;
            self.replies.feed(&self.buffer[..read]);
            match self.replies.next() {
                Some(reply) => return Ok(Some(reply?)),
                None if read > 0 => {}
                // The keeper's last words came first.
                None if dead => return Err(Error::Gone),
                None => return Ok(None),
            }
        }
    }

    fn sleep_by_the_wall(&mut self, delay: Nanos) -> Result<(), Error> {
        let clock = Clock::start();
        // What was said before the sleep must not wait for its end.
        self.flush_write()?;
        loop {
            let left = delay.saturating_sub(clock.now());
            if left == 0 {
                return Ok(());
            }
            if self.wait(&[], Some(left))? {
                return Err(Error::Gone);
            }
        }
    }

    /// Waits for these pipes, or the death of the keeper, and tells whether it is dead.
    fn wait(
        &self,
        pipes: &[(std::os::fd::BorrowedFd<'_>, Ready)],
        most: Option<Nanos>,
    ) -> Result<bool, Error> {
        let mut all = vec![(self.door.as_fd(), Ready::Death)];
        all.extend(
            self.interrupt
                .iter()
                .map(|waker| (waker.as_fd(), Ready::Read)),
        );
        all.extend_from_slice(pipes);
        let states = wait(&all, most).map_err(Error::Pipe)?;
        if self.interrupt.is_some() && states[1].ready {
            return Err(Error::Interrupted);
        }
        Ok(states[0].dead)
    }
}
