//! A client's pipes: whole writes to the inbox, replies from the mailbox, and the waiting for both.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::timeout::{GRACE, Limit};
use super::{Client, Error, Options};
use crate::clock::{Clock, Nanos};
use crate::os::{Ready, State, wait};
use crate::pipe::Door;
use crate::wire::Reply;

impl Options {
    /// Waits for these pipes.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when a signal came.
    pub(super) fn wait(
        &self,
        pipes: &[(BorrowedFd<'_>, Ready)],
        most: Option<Nanos>,
    ) -> Result<Vec<State>, Error> {
        let mut all: Vec<_> = self.wakers().map(|waker| (waker.as_fd(), Ready::Read)).collect();
        let wakers = all.len();
        all.extend_from_slice(pipes);
        let mut states = wait(&all, most).map_err(Error::Pipe)?;
        if states.drain(..wakers).any(|waker| waker.ready) {
            return Err(Error::Interrupted);
        }
        Ok(states)
    }

    /// Waits until there is something to read, or its end. False when the limit is over.
    pub(super) fn wait_within(&self, pipe: BorrowedFd<'_>, limit: &Limit) -> Result<bool, Error> {
        let deadline = limit.of_a_wait();
        loop {
            let left = deadline.left();
            if left == Some(0) {
                return Ok(false);
            }
            let states = self.wait(&[(pipe, Ready::Read)], left)?;
            if states.iter().any(|state| state.ready || state.dead) {
                return Ok(true);
            }
        }
    }
}

impl Client {
    /// Waits until there is something to read from `input`, or its end.
    pub(crate) fn wait_for(&mut self, input: BorrowedFd<'_>) -> Result<(), Error> {
        self.wait_for_one(input, Ready::Read)
    }

    /// Waits until there is room in `output`, or nobody reads it.
    pub(crate) fn wait_for_room(&mut self, output: BorrowedFd<'_>) -> Result<(), Error> {
        self.wait_for_one(output, Ready::Write)
    }

    fn wait_for_one(&mut self, other: BorrowedFd<'_>, ready: Ready) -> Result<(), Error> {
        loop {
            let states = self.wait_for_all(&[(other, ready)], None)?;
            match states.as_slice() {
                [keeper, ..] if keeper.dead => self.resume()?,
                [.., other] if other.ready || other.dead => return Ok(()),
                // A signal, which will have been told of in a moment.
                _ => {}
            }
        }
    }

    /// Waits until the keeper has gone.
    pub(crate) fn wait_for_the_end(&self) -> Result<(), Error> {
        while !self.wait(&[], None)? {}
        Ok(())
    }

    /// Waits until the keeper has something to say, until one of `others` is ready, or for `most`
    /// nanoseconds. Tells whether the keeper has died: then [`Client::resume`] is next.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] when it has not answered to a cancel in time.
    pub(crate) fn wait_for_answer_or(
        &self,
        others: &[(BorrowedFd<'_>, Ready)],
        most: Option<Nanos>,
    ) -> Result<bool, Error> {
        let pipes = [others, &[(self.mailbox.as_fd(), Ready::Read)]].concat();
        let grace = self.cancelled.map(|since| GRACE.saturating_sub(since.now()));
        let states = self.wait_for_all(&pipes, most.into_iter().chain(grace).min())?;
        let dead = states[0].dead;
        match grace == Some(0) && !dead && states.last().is_some_and(|mailbox| !mailbox.ready) {
            true => Err(self.options.no_answer(&self.place)),
            false => Ok(dead),
        }
    }

    /// Writes what has been put together, if anything.
    pub(super) fn send_write(&mut self) -> Result<(), Error> {
        self.session.close_write();
        match self.write_all() {
            Err(Error::Gone) => self.resume(),
            other => other,
        }
    }

    /// The next reply; none when there is none within `most` nanoseconds, or a wait ended early.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] when any number of them may be waited, and the keeper says nothing for longer
    /// than the limit.
    pub(super) fn reply(&mut self, most: Option<Nanos>) -> Result<Option<Reply>, Error> {
        let mut reply = self.session.next();
        if reply.is_none() {
            match self.listen(most) {
                Err(Error::Gone) => self.resume()?,
                other => other?,
            }
            reply = self.session.next();
        }
        let reply = reply.transpose()?;
        if matches!(reply, Some(Reply::Cancelled)) {
            self.cancelled = None;
        }
        Ok(reply)
    }

    /// The keeper is dead: finds another, or starts it, and tells it what this one has not answered.
    pub(crate) fn resume(&mut self) -> Result<(), Error> {
        // Its last words come first.
        self.read_all()?;
        self.not_shown_out()?;
        let mut damaged = std::mem::take(&mut self.damaged);
        let (options, limit) = (self.options.clone(), self.limit);
        let reached = options.reach_again(&mut damaged, &limit, |door| self.come_again(door));
        self.damaged = damaged;
        reached
    }

    /// Waits for the welcome that was not waited for any longer before.
    pub(super) fn finish_coming(&mut self) -> Result<(), Error> {
        self.be_welcomed()?;
        self.write_all()
    }

    fn come_again(&mut self, door: Door) -> Result<(), Error> {
        if !self.mailbox.is_in_its_place() {
            return Err(Error::removed());
        }
        // The one before may have died as soon as it had written something.
        self.read_all()?;
        self.session.resume().map_err(|error| Error::Protocol(error.to_string()))?;
        self.door = door;
        self.welcomed = false;
        self.finish_coming()
    }

    /// Says what the session begins with, and waits for the welcome.
    pub(super) fn be_welcomed(&mut self) -> Result<(), Error> {
        self.write_all()?;
        loop {
            if let Some(welcome) = self.session.take_welcome() {
                self.window = welcome.window;
                self.welcome = welcome;
                self.welcomed = true;
                return Ok(());
            }
            self.not_shown_out()?;
            self.listen(None)?;
        }
    }

    fn not_shown_out(&mut self) -> Result<(), Error> {
        match self.session.take_farewell() {
            Some(reply) => self.note(reply).map(drop),
            None => Ok(()),
        }
    }

    /// Writes all that is to be written, each write in one piece.
    fn write_all(&mut self) -> Result<(), Error> {
        while let Some(write) = self.session.next_write() {
            match self.door.write(write).map_err(Error::of_door)? {
                true => self.session.written(),
                false => drop(self.wait_for_keeper(self.door.as_fd(), Ready::Write)?),
            }
        }
        Ok(())
    }

    /// Waits for something to read, and takes it in.
    fn listen(&mut self, most: Option<Nanos>) -> Result<(), Error> {
        let dead = match most {
            Some(0) => false,
            Some(_) => self.wait(&[(self.mailbox.as_fd(), Ready::Read)], most)?,
            None => self.wait_for_keeper(self.mailbox.as_fd(), Ready::Read)?,
        };
        // The keeper's last words came first.
        match self.read_all()? {
            0 if dead => Err(Error::Gone),
            _ => Ok(()),
        }
    }

    /// Takes in what there is to read, and tells how much that was.
    fn read_all(&mut self) -> Result<usize, Error> {
        let mut all = 0;
        loop {
            let read = self.mailbox.read(&mut self.buffer).map_err(Error::Pipe)?;
            self.session.feed(&self.buffer[..read]);
            all += read;
            if read < self.buffer.len() {
                // A keeper that talks is not silent.
                self.cancelled =
                    self.cancelled.map(|since| if all > 0 { Clock::start() } else { since });
                return Ok(all);
            }
            self.mailbox.widen();
        }
    }

    pub(super) fn sleep_by_the_wall(&mut self, delay: Nanos) -> Result<(), Error> {
        let clock = Clock::start();
        // What was said before the sleep must not wait for its end.
        self.send_write()?;
        loop {
            let left = delay.saturating_sub(clock.now());
            if left == 0 {
                return Ok(());
            }
            if self.wait(&[], Some(left))? {
                self.resume()?;
            }
        }
    }

    /// Waits until this pipe is ready, within the limit, and tells whether the keeper is dead.
    fn wait_for_keeper(&self, pipe: BorrowedFd<'_>, ready: Ready) -> Result<bool, Error> {
        let deadline = self.limit.of_a_wait();
        loop {
            let left = deadline.left();
            if left == Some(0) {
                return Err(self.options.no_answer(&self.place));
            }
            let states = self.wait_for_all(&[(pipe, ready)], left)?;
            if states[0].dead || states.last().is_some_and(|pipe| pipe.ready || pipe.dead) {
                return Ok(states[0].dead);
            }
        }
    }

    /// Waits for these pipes, or the death of the keeper, and tells whether it is dead.
    pub(super) fn wait(
        &self,
        pipes: &[(BorrowedFd<'_>, Ready)],
        most: Option<Nanos>,
    ) -> Result<bool, Error> {
        Ok(self.wait_for_all(pipes, most)?[0].dead)
    }

    /// The same; the keeper's state comes first, and those of `pipes` last.
    pub(super) fn wait_for_all(
        &self,
        pipes: &[(BorrowedFd<'_>, Ready)],
        most: Option<Nanos>,
    ) -> Result<Vec<State>, Error> {
        let mut all = vec![(self.door.as_fd(), Ready::Death)];
        let stdout = io::stdout();
        all.extend(self.for_a_reader.then_some((stdout.as_fd(), Ready::Death)));
        all.extend_from_slice(pipes);
        let states = self.options.wait(&all, most)?;
        if self.for_a_reader && states[1].dead {
            return Err(Error::Unread);
        }
        Ok(states)
    }
}
