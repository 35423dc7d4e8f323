//! A client's pipes: whole writes to the inbox, replies from the mailbox, and the waiting for both.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::timeout::{GRACE_PERIOD, SilenceLimit};
use super::{Client, Error, Options};
use crate::clock::{Clock, Nanos};
use crate::os::{Interest, Readiness, wait_ready};
use crate::pipe::InboxWriter;
use crate::wire::Reply;

impl Options {
    /// Waits for these pipes.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when a signal came.
    pub(super) fn wait_interruptibly(
        &self,
        pipes: &[(BorrowedFd<'_>, Interest)],
        most: Option<Nanos>,
    ) -> Result<Vec<Readiness>, Error> {
        let mut all: Vec<_> =
            self.interrupt_wakers().map(|waker| (waker.as_fd(), Interest::Read)).collect();
        let wakers = all.len();
        all.extend_from_slice(pipes);
        let mut states = wait_ready(&all, most).map_err(Error::Pipe)?;
        if states.drain(..wakers).any(|waker| waker.is_ready) {
            return Err(Error::Interrupted);
        }
        Ok(states)
    }

    /// Waits until there is something to read, or its end. False when the limit is over.
    pub(super) fn wait_readable(
        &self,
        pipe: BorrowedFd<'_>,
        limit: &SilenceLimit,
    ) -> Result<bool, Error> {
        let deadline = limit.wait_deadline();
        loop {
            let left = deadline.remaining();
            if left == Some(0) {
                return Ok(false);
            }
            let states = self.wait_interruptibly(&[(pipe, Interest::Read)], left)?;
            if states.iter().any(|state| state.is_ready || state.is_hung_up) {
                return Ok(true);
            }
        }
    }
}

impl Client {
    /// Waits until there is something to read from `input`, or its end.
    pub(crate) fn wait_for_input(&mut self, input: BorrowedFd<'_>) -> Result<(), Error> {
        self.wait_for_pipe(input, Interest::Read)
    }

    /// Waits until there is room in `output`, or nobody reads it.
    pub(crate) fn wait_for_output(&mut self, output: BorrowedFd<'_>) -> Result<(), Error> {
        self.wait_for_pipe(output, Interest::Write)
    }

    fn wait_for_pipe(&mut self, other: BorrowedFd<'_>, ready: Interest) -> Result<(), Error> {
        loop {
            let states = self.wait_with_keeper_state(&[(other, ready)], None)?;
            match states.as_slice() {
                [keeper, ..] if keeper.is_hung_up => self.reconnect()?,
                [.., other] if other.is_ready || other.is_hung_up => return Ok(()),
                // A signal, which will have been told of in a moment.
                _ => {}
            }
        }
    }

    /// Waits until the keeper has gone.
    pub(crate) fn wait_for_keeper_exit(&self) -> Result<(), Error> {
        while !self.wait_or_keeper_death(&[], None)? {}
        Ok(())
    }

    /// Waits until the keeper has something to say, until one of `others` is ready, or for `most`
    /// nanoseconds. Tells whether the keeper has died: then [`Client::resume`] is next.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] when it has not answered to a cancel in time.
    pub(crate) fn wait_for_keeper_or(
        &self,
        others: &[(BorrowedFd<'_>, Interest)],
        most: Option<Nanos>,
    ) -> Result<bool, Error> {
        let pipes = [others, &[(self.mailbox.as_fd(), Interest::Read)]].concat();
        let grace = self.cancel_pending_since.map(|since| GRACE_PERIOD.saturating_sub(since.now()));
        let states = self.wait_with_keeper_state(&pipes, most.into_iter().chain(grace).min())?;
        let dead = states[0].is_hung_up;
        match grace == Some(0) && !dead && states.last().is_some_and(|mailbox| !mailbox.is_ready) {
            true => Err(self.options.no_answer_error(&self.queue_dir)),
            false => Ok(dead),
        }
    }

    /// Writes what has been put together, if anything.
    pub(super) fn flush_requests(&mut self) -> Result<(), Error> {
        self.session.finish_write();
        match self.write_pending() {
            Err(Error::KeeperGone) => self.reconnect(),
            other => other,
        }
    }

    /// The next reply; none when there is none within `most` nanoseconds, or a wait ended early.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] when any number of them may be waited, and the keeper says nothing for longer
    /// than the limit.
    pub(super) fn next_reply(&mut self, most: Option<Nanos>) -> Result<Option<Reply>, Error> {
        let mut reply = self.session.next();
        if reply.is_none() {
            match self.receive(most) {
                Err(Error::KeeperGone) => self.reconnect()?,
                other => other?,
            }
            reply = self.session.next();
        }
        let reply = reply.transpose()?;
        if matches!(reply, Some(Reply::Cancelled)) {
            self.cancel_pending_since = None;
        }
        Ok(reply)
    }

    /// The keeper is dead: finds another, or starts it, and tells it what this one has not answered.
    pub(crate) fn reconnect(&mut self) -> Result<(), Error> {
        // Its last words come first.
        self.read_mailbox()?;
        self.check_disconnect_error()?;
        let mut damaged = std::mem::take(&mut self.damaged_lines);
        let (options, limit) = (self.options.clone(), self.silence_limit);
        let reached =
            options.find_next_keeper(&mut damaged, &limit, |inbox| self.reconnect_through(inbox));
        self.damaged_lines = damaged;
        reached
    }

    /// Waits for the welcome that was not waited for any longer before.
    pub(super) fn finish_connect(&mut self) -> Result<(), Error> {
        self.wait_for_welcome()?;
        self.write_pending()
    }

    fn reconnect_through(&mut self, inbox: InboxWriter) -> Result<(), Error> {
        if !self.mailbox.is_linked() {
            return Err(Error::removed());
        }
        // The one before may have died as soon as it had written something.
        self.read_mailbox()?;
        self.session.resume();
        self.inbox = inbox;
        self.is_welcomed = false;
        self.finish_connect()
    }

    /// Says what the session begins with, and waits for the welcome.
    pub(super) fn wait_for_welcome(&mut self) -> Result<(), Error> {
        self.write_pending()?;
        loop {
            if let Some(welcome) = self.session.take_welcome() {
                self.window = welcome.window;
                self.welcome = welcome;
                self.is_welcomed = true;
                return Ok(());
            }
            self.check_disconnect_error()?;
            self.receive(None)?;
        }
    }

    fn check_disconnect_error(&mut self) -> Result<(), Error> {
        match self.session.take_disconnect_error() {
            Some(reply) => self.handle_other_reply(reply).map(drop),
            None => Ok(()),
        }
    }

    /// Writes all that is to be written, each write in one piece.
    fn write_pending(&mut self) -> Result<(), Error> {
        while let Some(write) = self.session.next_write() {
            match self.inbox.write(write).map_err(Error::from_inbox_write)? {
                true => self.session.pop_written(),
                false => drop(self.wait_within_limit(self.inbox.as_fd(), Interest::Write)?),
            }
        }
        Ok(())
    }

    /// Waits for something to read, and takes it in.
    fn receive(&mut self, most: Option<Nanos>) -> Result<(), Error> {
        let dead = match most {
            Some(0) => false,
            Some(_) => {
                self.wait_or_keeper_death(&[(self.mailbox.as_fd(), Interest::Read)], most)?
            }
            None => self.wait_within_limit(self.mailbox.as_fd(), Interest::Read)?,
        };
        // The keeper's last words came first.
        match self.read_mailbox()? {
            0 if dead => Err(Error::KeeperGone),
            _ => Ok(()),
        }
    }

    /// Takes in what there is to read, and tells how much that was.
    fn read_mailbox(&mut self) -> Result<usize, Error> {
        let mut all = 0;
        loop {
            let read = self.mailbox.read(&mut self.read_buffer).map_err(Error::Pipe)?;
            self.session.feed(&self.read_buffer[..read]);
            all += read;
            if read < self.read_buffer.len() {
                // A keeper that talks is not silent.
                self.cancel_pending_since = self
                    .cancel_pending_since
                    .map(|since| if all > 0 { Clock::start_now() } else { since });
                return Ok(all);
            }
            self.mailbox.widen();
        }
    }

    pub(super) fn sleep_wall_time(&mut self, delay: Nanos) -> Result<(), Error> {
        let clock = Clock::start_now();
        // What was said before the sleep must not wait for its end.
        self.flush_requests()?;
        loop {
            let left = delay.saturating_sub(clock.now());
            if left == 0 {
                return Ok(());
            }
            if self.wait_or_keeper_death(&[], Some(left))? {
                self.reconnect()?;
            }
        }
    }

    /// Waits until this pipe is ready, within the limit, and tells whether the keeper is dead.
    fn wait_within_limit(&self, pipe: BorrowedFd<'_>, ready: Interest) -> Result<bool, Error> {
        let deadline = self.silence_limit.wait_deadline();
        loop {
            let left = deadline.remaining();
            if left == Some(0) {
                return Err(self.options.no_answer_error(&self.queue_dir));
            }
            let states = self.wait_with_keeper_state(&[(pipe, ready)], left)?;
            if states[0].is_hung_up
                || states.last().is_some_and(|pipe| pipe.is_ready || pipe.is_hung_up)
            {
                return Ok(states[0].is_hung_up);
            }
        }
    }

    /// Waits for these pipes, or the death of the keeper, and tells whether it is dead.
    pub(super) fn wait_or_keeper_death(
        &self,
        pipes: &[(BorrowedFd<'_>, Interest)],
        most: Option<Nanos>,
    ) -> Result<bool, Error> {
        Ok(self.wait_with_keeper_state(pipes, most)?[0].is_hung_up)
    }

    /// The same; the keeper's state comes first, and those of `pipes` last.
    pub(super) fn wait_with_keeper_state(
        &self,
        pipes: &[(BorrowedFd<'_>, Interest)],
        most: Option<Nanos>,
    ) -> Result<Vec<Readiness>, Error> {
        let mut all = vec![(self.inbox.as_fd(), Interest::Hangup)];
        let stdout = io::stdout();
        all.extend(self.is_tied_to_stdout.then_some((stdout.as_fd(), Interest::Hangup)));
        all.extend_from_slice(pipes);
        let states = self.options.wait_interruptibly(&all, most)?;
        if self.is_tied_to_stdout && states[1].is_hung_up {
            return Err(Error::StdoutClosed);
        }
        Ok(states)
    }
}
