//! Getting items, and the time limits of every wait for an answer.

use std::time::Duration;

use super::delivery::{Delivery, GetReply, Notification};
use super::handle::Client;
use super::timeout::{Deadline, SilenceLimit};
use super::{Error, Timeout, process};
use crate::clock::{Clock, nanos};
use crate::queue::WaitReason;
use crate::role::Role;
use crate::wire::{Reply, Request};

impl Client {
    /// Gets at least one item and at most `max` items; 0 counts as 1. Returns `None` when the queue has
    /// ended.
    ///
    /// Blocks while no item is ready and the queue has not ended.
    ///
    /// # Errors
    /// As for [`connect`](crate::QueueBuilder::connect) when the keeper has died and the client connects
    /// to the next one; [`Error::Pipe`] and [`Error::Protocol`].
    pub fn get(&mut self, max: u64) -> Result<Option<Delivery>, Error> {
        self.get_with_timeout(max, Timeout::Infinite)
    }

    /// Gets items as [`get`](Self::get) does, but blocks no longer than `timeout`; zero does not wait
    /// for an item at all.
    ///
    /// # Errors
    /// [`Error::Empty`] when no item is ready in time. [`Error::NoAnswer`] when the keeper stays silent
    /// for a second beyond `timeout`. Otherwise as for [`get`](Self::get).
    pub fn get_timeout(&mut self, max: u64, timeout: Duration) -> Result<Option<Delivery>, Error> {
        self.get_with_timeout(max, Timeout::After(nanos(timeout)))
    }

    /// Gets items, and sleeps. Where time is paced, one write asks for both, so that nothing else
    /// happens in between.
    pub(crate) fn get_and_sleep(
        &mut self,
        max: u64,
        timeout: Timeout,
        delay: Duration,
    ) -> Result<Option<Delivery>, Error> {
        if !self.is_paced() || delay.is_zero() {
            return self.get_with_timeout(max, timeout);
        }
        self.session.add_request(Request::Get { max: max.max(1) });
        self.session.add_request(Request::Sleep(nanos(delay)));
        self.flush_requests()?;
        let deadline = Deadline::new(timeout);
        let reply = self.wait_for_reply_until(&deadline, WaitReason::Item, Self::get_reply)?;
        if matches!(reply, GetReply::Items(_)) {
            self.wait_for_wake()?;
        }
        Ok(reply.into())
    }

    /// Gets items. [`Error::Empty`] when none is ready within `timeout`.
    pub(crate) fn get_with_timeout(
        &mut self,
        max: u64,
        timeout: Timeout,
    ) -> Result<Option<Delivery>, Error> {
        self.with_deadline(timeout, |client, deadline| {
            if std::mem::take(&mut client.has_unreported_end) {
                return Ok(None);
            }
            client.request_items(max)?;
            let reply = client.wait_for_reply_until(deadline, WaitReason::Item, Self::get_reply);
            reply.map(Into::into)
        })
    }

    /// Does something for which the keeper may take `timeout` and the grace period.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] when the keeper stays silent for longer.
    pub(super) fn with_deadline<T>(
        &mut self,
        timeout: Timeout,
        act: impl FnOnce(&mut Self, &Deadline) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let deadline = Deadline::new(timeout);
        let before = std::mem::replace(&mut self.silence_limit, SilenceLimit::Until(deadline));
        let result = self.catch_up().and_then(|()| act(self, &deadline));
        self.silence_limit = before;
        if matches!(result, Err(Error::NoAnswer { .. })) && self.cancel_pending_since.is_none() {
            // The pipe had no room even for the request. The cancel goes out with the next request.
            self.session.add_request(Request::Cancel);
            self.cancel_pending_since = Some(Clock::start_now());
        }
        result
    }

    /// Connects, if the client has not connected yet.
    pub(crate) fn complete_connect(&mut self) -> Result<(), Error> {
        if self.is_welcomed {
            return Ok(());
        }
        match self.wait_for_welcome() {
            Err(Error::KeeperGone) => self.reconnect(),
            other => other,
        }
    }

    /// Settles what an earlier operation gave up: waits for the welcome and for the reply to the cancel,
    /// and requeues the items that arrive before that reply.
    pub(super) fn catch_up(&mut self) -> Result<(), Error> {
        if self.is_announced && !self.is_welcomed {
            self.complete_connect()?;
        }
        if self.cancel_pending_since.is_some() {
            self.flush_requests()?;
        }
        while self.cancel_pending_since.is_some() {
            match self.next_reply(None)? {
                Some(Reply::Batch(batch)) => self.requeue_ref(batch.batch_ref())?,
                Some(Reply::Ended) => {
                    self.has_unreported_end = true;
                    self.record_end_seen();
                }
                Some(Reply::Full { seq }) => {
                    self.last_answered_seq = self.last_answered_seq.max(seq)
                }
                Some(reply) => match self.handle_other_reply(reply) {
                    // The next put learns that the queue is closed.
                    Err(Error::Closed) => {}
                    other => drop(other?),
                },
                None => {}
            }
        }
        Ok(())
    }

    /// Waits for the reply that `pick` takes. After the deadline the client sends a cancel, and the
    /// keeper's answer to the cancel decides. `reason` is what a notice on a long wait says.
    pub(super) fn wait_for_reply_until<T>(
        &mut self,
        deadline: &Deadline,
        reason: WaitReason,
        pick: impl Fn(&mut Self, Reply) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let waited = self.pick_reply_until(deadline, reason, pick);
        self.end_wait();
        waited
    }

    fn pick_reply_until<T>(
        &mut self,
        deadline: &Deadline,
        reason: WaitReason,
        pick: impl Fn(&mut Self, Reply) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let mut picked = None;
        let mut cancelled = false;
        loop {
            if !cancelled && deadline.remaining() == Some(0) {
                self.cancel()?;
                cancelled = true;
            }
            let left = if cancelled { None } else { self.remaining_wait(reason, deadline)? };
            match self.next_reply(left)? {
                Some(Reply::Cancelled) => {
                    // The keeper answers each request that it cancels before it says `cancelled`.
                    return picked.unwrap_or(Err(Error::Empty));
                }
                Some(reply) => match pick(self, reply).transpose() {
                    Some(answer) if cancelled => picked = Some(answer),
                    Some(answer) => return answer,
                    None => {}
                },
                None => {}
            }
        }
    }

    /// Asks for up to `max` items without waiting: [`Client::poll_notification`] has the answer.
    pub(crate) fn request_items(&mut self, max: u64) -> Result<(), Error> {
        self.flush_puts()?;
        self.session.add_request(Request::Get { max: max.max(1) });
        self.flush_requests()
    }

    /// Waits for the answer to [`Client::request_items`]; none when the queue has ended.
    pub(crate) fn wait_for_items(&mut self) -> Result<Option<Delivery>, Error> {
        let deadline = Deadline::new(Timeout::Infinite);
        self.wait_for_reply_until(&deadline, WaitReason::Item, Self::get_reply).map(Into::into)
    }

    /// Stops every wait: the keeper answers at once.
    pub(crate) fn cancel(&mut self) -> Result<(), Error> {
        self.session.add_request(Request::Cancel);
        self.cancel_pending_since = Some(Clock::start_now());
        self.flush_requests()
    }

    /// Asks for the counts without waiting: [`Client::poll_notification`] has the answer.
    pub(crate) fn request_counts(&mut self) -> Result<(), Error> {
        self.send_query(Request::Size)
    }

    /// Begins another attempt at an item that is in flight with this client, without waiting. The
    /// attempt has begun, and is in the journal, when [`Client::poll_notification`] says so: no other
    /// consumer gets this attempt.
    pub(crate) fn begin_attempt(&mut self, id: u64, attempt: u32) -> Result<(), Error> {
        self.send_query(Request::Attempt { id, attempt })
    }

    /// The next reply to [`Client::request_items`], [`Client::request_counts`] or
    /// [`Client::begin_attempt`], if one has arrived.
    pub(crate) fn poll_notification(&mut self) -> Result<Option<Notification>, Error> {
        while let Some(reply) = self.next_reply(Some(0))? {
            if let Reply::Size { counts, .. } = reply {
                return Ok(Some(Notification::Counts(counts)));
            }
            if let Reply::Count { items } = reply {
                return Ok(Some(Notification::AttemptReply(items > 0)));
            }
            match self.get_reply(reply)? {
                Some(GetReply::Items(delivery)) => {
                    return Ok(Some(Notification::Delivered(delivery)));
                }
                Some(GetReply::Ended) => return Ok(Some(Notification::Ended)),
                None => {}
            }
        }
        Ok(None)
    }

    /// Takes the reply if it answers a get.
    fn get_reply(&mut self, reply: Reply) -> Result<Option<GetReply>, Error> {
        match reply {
            Reply::Batch(batch) => Ok(Some(GetReply::Items(Delivery { batch }))),
            Reply::Ended => {
                self.record_end_seen();
                Ok(Some(GetReply::Ended))
            }
            Reply::Empty => Err(Error::Empty),
            other => self.handle_other_reply(other).map(|_| None),
        }
    }

    fn record_end_seen(&self) {
        if self.options.hello.role == Role::Consumer {
            process::record_end_seen(self.transport.place());
        }
    }
}
