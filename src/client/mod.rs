//! A client's handle of a queue: put, get, done, leave.

mod connect;
mod error;

use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Nanos, nanos};
use crate::pipe::{Door, Mailbox, PIPE_BUF, Ready, State, Waker, wait};
use crate::queue::Run;
use crate::wire::{LARGEST_ITEM, Reply, ReplyReader, Welcome, Writer};
pub use connect::Options;
pub(crate) use connect::default_dir;
pub use error::Error;

/// Items that were accepted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// How many; they are the next ones of those that were put.
    pub(crate) count: u64,
    /// The queue's number of the first of them; the others follow it.
    pub(crate) first_id: u64,
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
    /// The queue's directory.
    place: PathBuf,
    door: Door,
    mailbox: Mailbox,
    writer: Writer,
    replies: ReplyReader,
    buffer: Vec<u8>,
    /// The write that is being put together.
    write: Vec<u8>,
    welcome: Welcome,
    /// How many items are not sent yet, and their lines.
    unsent: u64,
    lines: Vec<u8>,
    /// The number of the last item that was sent.
    sent: u64,
    /// The number of the last item that was accepted, or refused.
    answered: u64,
    window: u64,
    interrupt: Option<Arc<Waker>>,
}

impl Client {
    /// Whether the keeper paces time, as it does for the workers of `qdemo run` with a delay.
    pub(crate) fn is_paced(&self) -> bool {
        self.welcome.paced
    }

    /// Puts one item: JSON text without a line break. It is in the queue when this returns; waits
    /// while the queue is full.
    ///
    /// # Errors
    /// [`Error::Closed`] when the queue has been closed; [`Error::Gone`] when the keeper died;
    /// [`Error::NotALine`] and [`Error::TooLarge`] for what is no item.
    pub fn put(&mut self, item: &[u8]) -> Result<(), Error> {
        self.put_all([item])
    }

    /// Puts many items, which is faster than one after another. They are in the queue when this
    /// returns.
    ///
    /// # Errors
    /// As [`Client::put`]. The items before the one that it is about may be in the queue.
    pub fn put_all<T: AsRef<[u8]>>(
        &mut self,
        items: impl IntoIterator<Item = T>,
    ) -> Result<(), Error> {
        for item in items {
            while !self.has_room() {
                self.wait_for_news()?;
            }
            self.add(item.as_ref())?;
        }
        self.settle()
    }

    /// Waits until everything added is in the queue.
    fn settle(&mut self) -> Result<(), Error> {
        while self.wait_for_news()?.is_some() {}
        Ok(())
    }

    /// Whether one more item may be on its way.
    pub(crate) fn has_room(&self) -> bool {
        (self.sent + self.unsent).saturating_sub(self.answered) < self.window.max(1)
    }

    /// Adds an item, for which there is room, to those that are on their way.
    pub(crate) fn add(&mut self, item: &[u8]) -> Result<(), Error> {
        if memchr::memchr(b'\n', item).is_some() || item.is_empty() {
            return Err(Error::NotALine);
        }
        if item.len() > LARGEST_ITEM {
            return Err(Error::TooLarge(item.len()));
        }
        let room = self.writer.room();
        if self.lines.len() + item.len() >= room {
            self.send()?;
        }
        if item.len() >= room {
            return self.send_in_parts(item);
        }
        self.lines.extend_from_slice(item);
        self.lines.push(b'\n');
        self.unsent += 1;
        Ok(())
    }

    /// Sends what has been added, and waits until more of it has been accepted; none when there is
    /// nothing left to be accepted.
    pub(crate) fn wait_for_news(&mut self) -> Result<Option<Accepted>, Error> {
        self.send()?;
        while self.answered < self.sent {
            if let Some(news) = self.hear_of_puts(None)? {
                return Ok(Some(news));
            }
        }
        Ok(None)
    }

    /// What has been accepted since; none when there is nothing new.
    pub(crate) fn news(&mut self) -> Result<Option<Accepted>, Error> {
        match self.answered < self.sent {
            true => self.hear_of_puts(Some(0)),
            false => Ok(None),
        }
    }

    /// Gets at least one item and up to `max`; waits for it. None when the queue has ended.
    ///
    /// # Errors
    /// [`Error::Gone`] when the keeper died.
    pub fn get(&mut self, max: u64) -> Result<Option<Batch>, Error> {
        self.send()?;
        self.begin();
        self.writer.get(&mut self.write, max.max(1));
        self.send_write()?;
        loop {
            match self.reply(None)? {
                Some(Reply::Run(run)) => return Ok(Some(Batch { run })),
                Some(Reply::Ended) => {
                    connect::remember_end(&self.place);
                    return Ok(None);
                }
                Some(other) => drop(self.note(other)?),
                None => {}
            }
        }
    }

    /// Says that `count` items from number `first_id` on have been dealt with. It reaches the
    /// keeper with whatever is said next.
    pub fn done(&mut self, first_id: u64, count: u64) -> Result<(), Error> {
        // Several of them and a get always fit into one write.
        if self.write.len() > PIPE_BUF / 2 {
            self.send_write()?;
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
        self.send()?;
        if delay.is_zero() {
            return Ok(());
        }
        if !self.is_paced() {
            return self.sleep_by_the_wall(nanos(delay));
        }
        self.begin();
        self.writer.sleep(&mut self.write, nanos(delay));
        self.send_write()?;
        loop {
            match self.reply(None)? {
                Some(Reply::Wake) => return Ok(()),
                Some(other) => drop(self.note(other)?),
                None => {}
            }
        }
    }

    /// Leaves: what it has out goes back in line.
    ///
    /// # Errors
    /// As [`Client::put`], since items that are not in the queue yet are waited for.
    pub fn leave(mut self) -> Result<Left, Error> {
        self.settle()?;
        self.say_bye()?;
        loop {
            match self.reply(None)? {
                Some(Reply::Bye { in_line, consumers }) => {
                    return Ok(Left { in_line, consumers });
                }
                Some(other) => drop(self.note(other)?),
                None => {}
            }
        }
    }

    /// Leaves without waiting for anything.
    pub fn leave_at_once(mut self) {
        self.begin();
        self.writer.bye(&mut self.write);
        if self.write.len() <= PIPE_BUF {
            // Even if it doesn't arrive, the keeper sees that the mailbox is gone.
            let _ = self.door.write(&self.write);
        }
    }

    /// Waits until there is something to read from `input`, or its end.
    pub(crate) fn wait_for(&self, input: BorrowedFd<'_>) -> Result<(), Error> {
        loop {
            let states = self.wait_for_all(&[(input, Ready::Read)], None)?;
            match states.as_slice() {
                [keeper, ..] if keeper.dead => return Err(Error::Gone),
                [.., input] if input.ready || input.dead => return Ok(()),
                // A signal, which will have been told of in a moment.
                _ => {}
            }
        }
    }

    fn say_bye(&mut self) -> Result<(), Error> {
        self.begin();
        self.writer.bye(&mut self.write);
        self.send_write()
    }

    /// Sends the items that have been added.
    fn send(&mut self) -> Result<(), Error> {
        if self.unsent == 0 {
            return Ok(());
        }
        self.sent += self.unsent;
        self.send_write()?;
        self.begin();
        self.writer.put(&mut self.write, self.sent, self.unsent, &self.lines);
        self.unsent = 0;
        self.lines.clear();
        self.send_write()
    }

    /// An item that doesn't fit into one write goes in parts.
    fn send_in_parts(&mut self, item: &[u8]) -> Result<(), Error> {
        let size = self.writer.room() - 1;
        let mut rest = item;
        while rest.len() > size {
            let (piece, after) = rest.split_at(size);
            rest = after;
            self.send_write()?;
            self.begin();
            self.writer.part(&mut self.write, piece);
        }
        self.send_write()?;
        self.lines.extend_from_slice(rest);
        self.lines.push(b'\n');
        self.unsent = 1;
        self.send()
    }

    /// Takes a reply about puts; none when there is none within `most` nanoseconds.
    fn hear_of_puts(&mut self, most: Option<Nanos>) -> Result<Option<Accepted>, Error> {
        match self.reply(most)? {
            Some(reply) => self.note(reply),
            None => Ok(None),
        }
    }

    /// Deals with a reply that is not what is being waited for.
    fn note(&mut self, reply: Reply) -> Result<Option<Accepted>, Error> {
        match reply {
            Reply::Ok { seq, id, window } => {
                let count = seq.saturating_sub(self.answered);
                self.answered = seq;
                self.window = window;
                let first_id = id.saturating_add(1).saturating_sub(count);
                Ok(Some(Accepted { count, first_id }))
            }
            Reply::Closed { seq } => {
                self.answered = self.answered.max(seq);
                Err(Error::Closed)
            }
            Reply::Error { code, text } => Err(Error::Refused { code, text }),
            // Of something that is not being waited for any more.
            _ => Ok(None),
        }
    }

    /// Starts a write, unless one is being put together.
    fn begin(&mut self) {
        if self.write.is_empty() {
            self.writer.start(&mut self.write);
        }
    }

    /// Writes what has been put together, if anything, in one piece.
    fn send_write(&mut self) -> Result<(), Error> {
        if self.write.is_empty() {
            return Ok(());
        }
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
        self.send_write()?;
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
    fn wait(&self, pipes: &[(BorrowedFd<'_>, Ready)], most: Option<Nanos>) -> Result<bool, Error> {
        Ok(self.wait_for_all(pipes, most)?[0].dead)
    }

    /// The same; the keeper's state comes first, and those of `pipes` last.
    fn wait_for_all(
        &self,
        pipes: &[(BorrowedFd<'_>, Ready)],
        most: Option<Nanos>,
    ) -> Result<Vec<State>, Error> {
        let mut all = vec![(self.door.as_fd(), Ready::Death)];
        all.extend(self.interrupt.iter().map(|waker| (waker.as_fd(), Ready::Read)));
        all.extend_from_slice(pipes);
        let states = wait(&all, most).map_err(Error::Pipe)?;
        if self.interrupt.is_some() && states[1].ready {
            return Err(Error::Interrupted);
        }
        Ok(states)
    }
}
