//! A client's pipes: the session's requests go into one pipe, the bytes of the mailbox go to the session, and the
//! client waits for both.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::session::LastConversation;
use super::timeout::{GRACE_PERIOD, SilenceLimit};
use super::transport::Transport;
use super::{Client, Error, QueueBuilder};
use crate::clock::{Clock, Nanos};
use crate::os::{Interest, Readiness, wait_ready};
use crate::pipe::{InboxWriter, QueueDir, RequestSender};
use crate::queue::MAX_DELIVERY_BYTES;
use crate::wire::Reply;

impl QueueBuilder {
    /// Waits for these pipes.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when a signal arrived.
    pub(super) fn wait_interruptibly(
        &self,
        pipes: &[(BorrowedFd<'_>, Interest)],
        timeout: Option<Nanos>,
    ) -> Result<Vec<Readiness>, Error> {
        let mut all: Vec<_> =
            self.interrupt.iter().map(|waker| (waker.as_fd(), Interest::Read)).collect();
        let wakers = all.len();
        all.extend_from_slice(pipes);
        let mut states = wait_ready(&all, timeout).map_err(Error::Pipe)?;
        if states.drain(..wakers).any(|waker| waker.is_ready) {
            return Err(Error::Interrupted);
        }
        Ok(states)
    }

    /// Waits until the pipe has bytes or ends. Returns false when the limit is over.
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
    /// Waits until `input` has bytes or ends.
    pub(crate) fn wait_for_input(&mut self, input: BorrowedFd<'_>) -> Result<(), Error> {
        self.wait_for_pipe(input, Interest::Read)
    }

    /// Waits until `output` takes bytes or has no reader.
    pub(crate) fn wait_for_output(&mut self, output: BorrowedFd<'_>) -> Result<(), Error> {
        self.wait_for_pipe(output, Interest::Write)
    }

    fn wait_for_pipe(&mut self, pipe: BorrowedFd<'_>, interest: Interest) -> Result<(), Error> {
        loop {
            let states = self.wait_with_keeper_state(&[(pipe, interest)], None)?;
            match states.as_slice() {
                [keeper, ..] if keeper.is_hung_up => self.reconnect()?,
                [.., pipe] if pipe.is_ready || pipe.is_hung_up => return Ok(()),
                // A signal ended the wait early; the next wait returns an error for the signal.
                _ => {}
            }
        }
    }

    /// Waits until the keeper has exited. A server goes on.
    pub(crate) fn wait_for_keeper_exit(&self) -> Result<(), Error> {
        if matches!(self.transport, Transport::Local { .. }) {
            while !self.wait_or_keeper_death(&[], None)? {}
        }
        Ok(())
    }

    /// Waits until the mailbox has bytes, until one of `others` is ready, or for `timeout` nanoseconds.
    /// Returns whether the keeper has died: the caller calls [`Client::reconnect`] then.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] when the keeper has not answered a cancel within the grace period.
    pub(crate) fn wait_for_keeper_or(
        &self,
        others: &[(BorrowedFd<'_>, Interest)],
        timeout: Option<Nanos>,
    ) -> Result<bool, Error> {
        let pipes = [others, &[(self.mailbox.as_fd(), Interest::Read)]].concat();
        let grace = self.cancel_pending_since.map(|since| GRACE_PERIOD.saturating_sub(since.now()));
        let states = self.wait_with_keeper_state(&pipes, timeout.into_iter().chain(grace).min())?;
        let is_dead = states[0].is_hung_up;
        let is_silent = states.last().is_some_and(|mailbox| !mailbox.is_ready);
        if grace == Some(0) && !is_dead && is_silent {
            return Err(self.no_answer_error());
        }
        Ok(is_dead)
    }

    /// Writes all added requests to the pipe. A client that has not announced itself writes them when it waits for
    /// the first reply.
    pub(super) fn flush_requests(&mut self) -> Result<(), Error> {
        if !self.is_announced {
            return Ok(());
        }
        match self.write_pending() {
            Err(Error::KeeperGone) => self.reconnect(),
            other => other,
        }
    }

    /// Returns the next reply, or `None` when `timeout` nanoseconds are over or the wait ended early.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] when there is no timeout and the keeper is silent for longer than the
    /// silence limit.
    pub(super) fn next_reply(&mut self, timeout: Option<Nanos>) -> Result<Option<Reply>, Error> {
        let mut reply = self.next_received()?;
        if reply.is_none() {
            match self.receive(timeout) {
                Err(Error::KeeperGone) => self.reconnect()?,
                other => other?,
            }
            reply = self.next_received()?;
        }
        if matches!(reply, Some(Reply::Cancelled)) {
            self.cancel_pending_since = None;
        }
        Ok(reply)
    }

    /// The next reply that has arrived, except the status that the client has asked for because of a wait.
    fn next_received(&mut self) -> Result<Option<Reply>, Error> {
        while let Some(reply) = self.session.next().transpose()? {
            if let Some(reply) = self.take_wait_status(reply) {
                return Ok(Some(reply));
            }
        }
        Ok(None)
    }

    /// Finds or starts another keeper after the death of this one, and sends the unanswered requests.
    pub(crate) fn reconnect(&mut self) -> Result<(), Error> {
        self.reconnections += 1;
        // The dead keeper's last replies count.
        self.read_mailbox()?;
        self.check_disconnect_error()?;
        if matches!(self.transport, Transport::Server { .. }) {
            return self.reconnect_to_server();
        }
        let mut damaged = std::mem::take(&mut self.damaged_lines);
        let (options, limit) = (self.options.clone(), self.silence_limit);
        let result = options.find_next_keeper(&mut damaged, &limit, |dir, inbox| {
            self.reconnect_through(dir, inbox)
        });
        self.damaged_lines = damaged;
        result
    }

    fn reconnect_through(&mut self, dir: &QueueDir, inbox: InboxWriter) -> Result<(), Error> {
        if !self.mailbox.is_linked().unwrap_or(false) {
            return Err(Error::removed());
        }
        // An earlier candidate may have died after it wrote to the mailbox.
        self.read_mailbox()?;
        self.session.resume(LastConversation::default());
        // The old pipe may still hold requests for the dead keeper.
        self.requests =
            RequestSender::create(dir, &self.session.pipes().requests()).map_err(Error::Pipe)?;
        if let Transport::Local { inbox: old, .. } = &mut self.transport {
            *old = Some(inbox);
        }
        (self.is_announced, self.is_welcomed) = (false, false);
        self.wait_for_welcome()
    }

    /// Announces this client, waits for the welcome, and writes the requests that the pipe had no room for. Only
    /// from the welcome on the pipe shows the keeper's death: before, this client could wait for room for ever.
    pub(crate) fn wait_for_welcome(&mut self) -> Result<(), Error> {
        if matches!(self.transport, Transport::Server { .. }) {
            return self.wait_for_server();
        }
        self.announce()?;
        while !self.is_welcomed {
            self.receive(None)?;
            if !self.is_welcomed {
                self.check_disconnect_error()?;
            }
        }
        self.write_pending()
    }

    /// Announces this client to the keeper. The requests so far are in the pipe then, as far as they fit: the keeper
    /// reads them together with the announcement.
    fn announce(&mut self) -> Result<(), Error> {
        if self.is_announced {
            return Ok(());
        }
        self.requests.write(self.session.unsent()).map_err(Error::Pipe)?;
        while let Transport::Local { inbox: Some(inbox), .. } = &self.transport
            && !inbox.write(&self.session.announcement()).map_err(Error::from_pipe_write)?
        {
            self.wait_within_limit(inbox.as_fd(), Interest::Write)?;
        }
        self.is_announced = true;
        Ok(())
    }

    fn take_welcome(&mut self) {
        if let Some(welcome) = self.session.take_welcome() {
            self.window = welcome.window;
            self.welcome = welcome;
            self.is_welcomed = true;
            self.requests.keeper_has_connected();
            self.transport.is_welcomed();
            self.report_warning();
            self.report_loss();
        }
    }

    pub(super) fn check_disconnect_error(&mut self) -> Result<(), Error> {
        match self.session.take_disconnect_error() {
            Some(reply) => self.handle_other_reply(reply).map(drop),
            None => Ok(()),
        }
    }

    /// Writes the unsent requests.
    pub(super) fn write_pending(&mut self) -> Result<(), Error> {
        while !self.requests.write(self.session.unsent()).map_err(Error::from_pipe_write)? {
            self.wait_within_limit(self.requests.as_fd(), Interest::Write)?;
        }
        Ok(())
    }

    /// Waits for bytes in the mailbox and reads them.
    fn receive(&mut self, timeout: Option<Nanos>) -> Result<(), Error> {
        if !self.is_announced {
            return self.wait_for_welcome();
        }
        let mailbox = self.mailbox.as_fd();
        let is_dead = match timeout {
            Some(0) => false,
            Some(_) => self.wait_or_keeper_death(&[(mailbox, Interest::Read)], timeout)?,
            None => self.wait_within_limit(mailbox, Interest::Read)?,
        };
        // The dead keeper's last replies count.
        match self.read_mailbox()? {
            0 if is_dead => Err(Error::KeeperGone),
            _ => Ok(()),
        }
    }

    /// Reads all bytes of the mailbox and returns their count.
    pub(super) fn read_mailbox(&mut self) -> Result<usize, Error> {
        let mut total = 0;
        loop {
            let read = self.mailbox.read(self.session.read_buffer()).map_err(Error::Pipe)?;
            let read = read.unwrap_or(0);
            total += read;
            if !self.session.finish_read(read) {
                self.take_welcome();
                // Any reply restarts the grace period of a cancel.
                if total > 0 && self.cancel_pending_since.is_some() {
                    self.cancel_pending_since = Some(Clock::start_now());
                }
                return Ok(total);
            }
            self.mailbox.widen(MAX_DELIVERY_BYTES);
        }
    }

    pub(super) fn sleep_wall_time(&mut self, delay: Nanos) -> Result<(), Error> {
        let clock = Clock::start_now();
        // Requests added before the sleep must not wait for the end of the sleep.
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

    /// Waits until the pipe is ready or the keeper dies. Returns whether the keeper is dead.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] when the silence limit is over.
    fn wait_within_limit(&self, pipe: BorrowedFd<'_>, interest: Interest) -> Result<bool, Error> {
        let deadline = self.silence_limit.wait_deadline();
        loop {
            let left = deadline.remaining();
            if left == Some(0) {
                return Err(self.no_answer_error());
            }
            let states = self.wait_with_keeper_state(&[(pipe, interest)], left)?;
            if states[0].is_hung_up
                || states.last().is_some_and(|pipe| pipe.is_ready || pipe.is_hung_up)
            {
                return Ok(states[0].is_hung_up);
            }
        }
    }

    /// Waits for these pipes or the death of the keeper. Returns whether the keeper is dead.
    pub(super) fn wait_or_keeper_death(
        &self,
        pipes: &[(BorrowedFd<'_>, Interest)],
        timeout: Option<Nanos>,
    ) -> Result<bool, Error> {
        Ok(self.wait_with_keeper_state(pipes, timeout)?[0].is_hung_up)
    }

    /// Waits for these pipes or the death of the keeper. The keeper's state is the first one, and the
    /// states of `pipes` are the last ones.
    fn wait_with_keeper_state(
        &self,
        pipes: &[(BorrowedFd<'_>, Interest)],
        timeout: Option<Nanos>,
    ) -> Result<Vec<Readiness>, Error> {
        // Before the welcome the keeper may not have opened the other pipe yet.
        let keeper = match &self.transport {
            Transport::Local { inbox: Some(inbox), .. } => inbox.as_fd(),
            _ => self.requests.as_fd(),
        };
        let mut all = vec![(keeper, Interest::Hangup)];
        let stdout = io::stdout();
        all.extend(self.is_tied_to_stdout.then_some((stdout.as_fd(), Interest::Hangup)));
        all.extend_from_slice(pipes);
        let states = self.options.wait_interruptibly(&all, timeout)?;
        if self.is_tied_to_stdout && states[1].is_hung_up {
            return Err(Error::StdoutClosed);
        }
        Ok(states)
    }
}
