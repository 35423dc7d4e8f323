//! A client's pipes: whole writes to the inbox, replies from the mailbox, and the waiting for both.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::{Client, Error};
use crate::clock::{Clock, Nanos};
use crate::pipe::{Ready, State, wait};
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
    /// Says one word.
    pub(super) fn say(&mut self, verb: &str) -> Result<(), Error> {
        self.begin();
        self.writer.bare(&mut self.write, verb);
        self.send_write()
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

    /// Waits until the keeper has gone.
    pub(crate) fn wait_for_the_end(&self) -> Result<(), Error> {
        while !self.wait(&[], None)? {}
        Ok(())
    }

    /// Waits until the keeper has something to say, until one of `others` is ready, or for `most`
    /// nanoseconds.
    pub(crate) fn wait_for_answer_or(
        &self,
        others: &[(BorrowedFd<'_>, Ready)],
        most: Option<Nanos>,
    ) -> Result<(), Error> {
        let pipes = [&[(self.mailbox.as_fd(), Ready::Read)], others].concat();
        let states = self.wait_for_all(&pipes, most)?;
        let said = states.iter().rev().nth(others.len()).is_some_and(|mailbox| mailbox.ready);
        // Its last words come first.
        if states[0].dead && !said { Err(Error::Gone) } else { Ok(()) }
    }

    /// Starts a write, unless one is being put together.
    pub(super) fn begin(&mut self) {
        if self.write.is_empty() {
            self.writer.start(&mut self.write);
        }
    }

    /// Writes what has been put together, if anything, in one piece.
    pub(super) fn send_write(&mut self) -> Result<(), Error> {
        if self.write.is_empty() {
            return Ok(());
        }
        loop {
            match self.door.write(&self.write).map_err(Error::of_door) {
                Ok(true) => break,
                Ok(false) => drop(self.wait(&[(self.door.as_fd(), Ready::Write)], None)?),
                Err(Error::Gone) => return Err(self.last_words()),
                Err(error) => return Err(error),
            }
        }
        self.write.clear();
        Ok(())
    }

    /// The keeper is gone: why, if it has said so.
    fn last_words(&mut self) -> Error {
        while let Ok(Some(reply)) = self.reply(Some(0)) {
            if let Err(error @ Error::Refused { .. }) = self.note(reply) {
                return error;
            }
        }
        Error::Gone
    }

    /// The next reply; none when there is none within `most` nanoseconds, or a wait ended early.
    pub(super) fn reply(&mut self, most: Option<Nanos>) -> Result<Option<Reply>, Error> {
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
                return Err(Error::Gone);
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
        all.extend(self.interrupt.iter().map(|waker| (waker.as_fd(), Ready::Read)));
        let stdout = io::stdout();
        all.extend(self.for_a_reader.then_some((stdout.as_fd(), Ready::Death)));
        all.extend_from_slice(pipes);
        let states = wait(&all, most).map_err(Error::Pipe)?;
        if self.interrupt.is_some() && states[1].ready {
            return Err(Error::Interrupted);
        }
        if self.for_a_reader && states[1 + usize::from(self.interrupt.is_some())].dead {
            return Err(Error::Unread);
        }
        Ok(states)
    }
}
