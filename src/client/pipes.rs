//! A client's pipes: whole writes to the inbox, replies from the mailbox, and the waiting for both.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::{Client, Error};
use crate::clock::{Clock, Nanos};
use crate::pipe::{Door, Ready, State, wait};
use crate::wire::Reply;

/// How long an answer is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Until it comes.
    Endless,
    /// So many nanoseconds; 0 is not to wait at all.
    For(Nanos),
}

impl Patience {
    /// What is left of it, if it began when this clock did.
    pub(crate) fn since(self, clock: Clock) -> Self {
        match self {
            Self::Endless => Self::Endless,
            Self::For(most) => Self::For(most.saturating_sub(clock.now())),
        }
    }
}

/// What is left of a patience.
pub(super) struct Deadline {
    clock: Clock,
    patience: Patience,
}

impl Deadline {
    pub(super) fn new(patience: Patience) -> Self {
        Self { clock: Clock::start(), patience }
    }

    /// How many nanoseconds more may be waited; none for any number.
    pub(super) fn left(&self) -> Option<Nanos> {
        match self.patience.since(self.clock) {
            Patience::For(left) => Some(left),
            Patience::Endless => None,
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
    pub(crate) fn wait_for_answer_or(
        &self,
        others: &[(BorrowedFd<'_>, Ready)],
        most: Option<Nanos>,
    ) -> Result<bool, Error> {
        let pipes = [&[(self.mailbox.as_fd(), Ready::Read)], others].concat();
        Ok(self.wait_for_all(&pipes, most)?[0].dead)
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
    pub(super) fn reply(&mut self, most: Option<Nanos>) -> Result<Option<Reply>, Error> {
        if let Some(reply) = self.session.next() {
            return Ok(Some(reply?));
        }
        match self.listen(most) {
            Err(Error::Gone) => self.resume()?,
            other => other?,
        }
        Ok(self.session.next().transpose()?)
    }

    /// The keeper is dead: finds another, or starts it, and tells it what this one has not answered.
    pub(crate) fn resume(&mut self) -> Result<(), Error> {
        // Its last words come first.
        self.read_all()?;
        self.not_shown_out()?;
        let mut damaged = std::mem::take(&mut self.damaged);
        let reached = self.options.clone().reach_again(&mut damaged, |door| self.come_again(door));
        self.damaged = damaged;
        reached
    }

    fn come_again(&mut self, door: Door) -> Result<(), Error> {
        if !self.mailbox.is_in_its_place() {
            return Err(Error::removed());
        }
        // The one before may have died as soon as it had written something.
        self.read_all()?;
        self.session.resume().map_err(|error| Error::Protocol(error.to_string()))?;
        self.door = door;
        self.be_welcomed()?;
        self.write_all()
    }

    /// Says what the session begins with, and waits for the welcome.
    pub(super) fn be_welcomed(&mut self) -> Result<(), Error> {
        self.write_all()?;
        loop {
            if let Some(welcome) = self.session.take_welcome() {
                self.window = welcome.window;
                self.welcome = welcome;
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
                false => drop(self.wait(&[(self.door.as_fd(), Ready::Write)], None)?),
            }
        }
        Ok(())
    }

    /// Waits for something to read, and takes it in.
    fn listen(&mut self, most: Option<Nanos>) -> Result<(), Error> {
        let dead = match most {
            Some(0) => false,
            most => self.wait(&[(self.mailbox.as_fd(), Ready::Read)], most)?,
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
        all.extend(self.options.wakers().map(|waker| (waker.as_fd(), Ready::Read)));
        let stdout = io::stdout();
        all.extend(self.for_a_reader.then_some((stdout.as_fd(), Ready::Death)));
        all.extend_from_slice(pipes);
        let states = wait(&all, most).map_err(Error::Pipe)?;
        let wakers = self.options.wakers().count();
        if wakers > 0 && states[1].ready {
            return Err(Error::Interrupted);
        }
        if self.for_a_reader && states[1 + wakers].dead {
            return Err(Error::Unread);
        }
        Ok(states)
    }
}
