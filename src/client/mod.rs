//! A client's handle of a queue: put, get, done, leave.

mod connect;
mod error;
mod outstanding;
mod pipes;
mod put;
mod query;
pub(crate) mod session;
mod start_keeper;
#[cfg(test)]
mod tests;
mod timeout;
mod typed;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::{Clock, nanos};
use crate::pipe::{InboxWriter, Mailbox};
use crate::queue::{Batch, BatchRef, Counts};
use crate::wire::{Reply, Request, Welcome};
pub use connect::{Options, keep_if_asked};
pub(crate) use connect::{default_base_dir, enable_self_hosting, stored_status};
pub use error::Error;
pub(crate) use outstanding::Accepted;
use session::Session;
pub(crate) use timeout::Timeout;
use timeout::{Deadline, SilenceLimit};
pub use typed::{GetError, Item, OpenError, PutError, Queue, TryGetError, TryPutError};

/// Items that this client has out: each is to be [`Client::done`], or it comes back in line when
/// the client leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    batch: Batch,
}

impl Delivery {
    pub(crate) fn batch(&self) -> &Batch {
        &self.batch
    }

    /// For what stays after it is done.
    pub(crate) fn into_batch(self) -> Batch {
        self.batch
    }

    /// The queue's number of the first item; the others follow it.
    pub fn first_id(&self) -> u64 {
        self.batch.first_id
    }

    /// How many items: at least one.
    pub fn count(&self) -> u64 {
        self.batch.count()
    }

    /// 1 when nobody had these items before, one more for each time that they came back.
    pub fn attempt(&self) -> u32 {
        self.batch.attempt
    }

    /// The items with their numbers, as JSON text.
    pub fn items(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.batch.iter_with_ids()
    }
}

/// What the keeper says when it is not waited for.
#[derive(Debug)]
pub(crate) enum Notification {
    /// Items that are out with this client now.
    Delivered(Delivery),
    /// The queue has ended.
    Ended,
    /// There are so many items.
    Counts(Counts),
    /// An attempt that was to begin has begun; or the item is not with this client any more.
    AttemptReply(bool),
}

/// What stays behind when a client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaveSummary {
    /// Items in line.
    pub ready: u64,
    /// Consumers that are there.
    pub consumers: u64,
}

/// A connection to a queue's keeper.
///
/// Items are JSON text on a single line. Dropping a client without [`Client::leave`] is leaving
/// too: the keeper sees it at once. When the keeper dies, the client starts another one, tells it what
/// the dead one has not answered, and carries on; nothing is lost by that, and nothing is put twice.
#[derive(Debug)]
pub struct Client {
    /// How it came, and comes again.
    options: Options,
    /// The queue's directory.
    queue_dir: PathBuf,
    inbox: InboxWriter,
    mailbox: Mailbox,
    session: Session,
    read_buffer: Vec<u8>,
    welcome: Welcome,
    /// How many items are not sent yet, and their lines.
    unsent_items: u64,
    unsent_lines: Vec<u8>,
    /// The number of the last item of which the caller knows what became of it.
    last_answered_seq: u64,
    window: u64,
    /// The largest item, in bytes of JSON.
    max_item_bytes: u64,
    /// Puts that have been accepted, and not told yet.
    unreported_accepted: VecDeque<Accepted>,
    /// There was no room for the others, and none was waited for: that is told next.
    has_unreported_full: bool,
    /// Items that this client said something of when it had them no longer.
    lease_expired: Vec<BatchRef>,
    /// Waits end when nobody reads standard output any more.
    is_tied_to_stdout: bool,
    /// Lines of the queue's journal that could not be read when the queue was brought back for this
    /// client.
    damaged_lines: Vec<u64>,
    /// How long the keeper may say nothing.
    silence_limit: SilenceLimit,
    /// Since when an answer to a cancel is owed, or the keeper has said nothing behind it.
    cancel_pending_since: Option<Clock>,
    /// This keeper has welcomed this client.
    is_welcomed: bool,
    /// The queue has ended, and a get that was not waited for any longer was told so.
    has_unreported_end: bool,
}

impl Drop for Client {
    fn drop(&mut self) {
        start_keeper::reap_keepers();
    }
}

impl Client {
    /// Whether the keeper paces time, as it does for the workers of `qdemo run` with a delay.
    pub(crate) fn is_paced(&self) -> bool {
        self.welcome.is_paced
    }

    /// Whether the queue has ended, and this client waits for what comes next.
    pub(crate) fn is_waiting_for_next_queue(&self) -> bool {
        self.welcome.has_ended
    }

    /// Lines of the queue's journal that were damaged when this client had the queue brought back: what
    /// they told is lost, and the rest is there.
    pub fn damaged_lines(&self) -> &[u64] {
        &self.damaged_lines
    }

    /// From now on waits end with [`Error::Unread`] when nobody reads standard output any more.
    pub(crate) fn stop_when_stdout_closes(&mut self) {
        self.is_tied_to_stdout = true;
    }

    /// Gets at least one item and up to `max`; waits for it. None when the queue has ended.
    ///
    /// # Errors
    /// When the keeper died and no other one can be started, among others.
    pub fn get(&mut self, max: u64) -> Result<Option<Delivery>, Error> {
        self.get_with_timeout(max, Timeout::Infinite)
    }

    /// Gets an item, and lets time pass. Where time is paced both are asked for at once: nothing else
    /// could be between them.
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
        let got = self.wait_for_reply_until(&Deadline::new(timeout), Self::delivery_or_end)?;
        if got.is_some() {
            self.wait_for_wake()?;
        }
        Ok(got)
    }

    /// The same, but waits only that long: then [`Error::Empty`].
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
            client.wait_for_reply_until(deadline, Self::delivery_or_end)
        })
    }

    /// Does something for which the keeper may need that long, and the grace.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] when it says nothing for longer.
    fn with_deadline<T>(
        &mut self,
        timeout: Timeout,
        what: impl FnOnce(&mut Self, &Deadline) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let deadline = Deadline::new(timeout);
        let before = std::mem::replace(&mut self.silence_limit, SilenceLimit::Until(deadline));
        let done = self.catch_up().and_then(|()| what(self, &deadline));
        self.silence_limit = before;
        if matches!(done, Err(Error::NoAnswer { .. })) && self.cancel_pending_since.is_none() {
            // There was not even room to ask. That goes out with what is said next.
            self.session.add_request(Request::Cancel);
            self.cancel_pending_since = Some(Clock::start_now());
        }
        done
    }

    /// If the keeper did not answer to the cancel of something before: waits for that first, and gives
    /// back what it hands out.
    fn catch_up(&mut self) -> Result<(), Error> {
        if !self.is_welcomed {
            match self.finish_connect() {
                Err(Error::KeeperGone) => self.reconnect()?,
                other => other?,
            }
        }
        if self.cancel_pending_since.is_some() {
            self.flush_requests()?;
        }
        while self.cancel_pending_since.is_some() {
            match self.next_reply(None)? {
                Some(Reply::Batch(batch)) => self.requeue_ref(batch.batch_ref())?,
                Some(Reply::Ended) => {
                    self.has_unreported_end = true;
                    connect::record_end_seen(&self.queue_dir, self.options.configured_role());
                }
                Some(Reply::Full { seq }) => {
                    self.last_answered_seq = self.last_answered_seq.max(seq)
                }
                Some(reply) => match self.handle_other_reply(reply) {
                    // That is for the next put to find out.
                    Err(Error::Closed) => {}
                    other => drop(other?),
                },
                None => {}
            }
        }
        Ok(())
    }

    /// Waits for the reply that `pick` takes. When the patience is over, the keeper is told that
    /// nothing is waited for any longer: it has the last word all the same.
    fn wait_for_reply_until<T>(
        &mut self,
        deadline: &Deadline,
        pick: impl Fn(&mut Self, Reply) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let mut picked = None;
        let mut cancelled = false;
        loop {
            let left = if cancelled { None } else { deadline.remaining() };
            if left == Some(0) {
                self.cancel()?;
                cancelled = true;
                continue;
            }
            match self.next_reply(left)? {
                Some(Reply::Cancelled) => {
                    // What was picked came before it; there is always something.
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

    /// Asks for up to `max` items, and waits for nothing: [`Client::heard`] tells.
    pub(crate) fn request_items(&mut self, max: u64) -> Result<(), Error> {
        self.flush_puts()?;
        self.session.add_request(Request::Get { max: max.max(1) });
        self.flush_requests()
    }

    /// Waits for what has been asked for; none when the queue has ended.
    pub(crate) fn wait_for_items(&mut self) -> Result<Option<Delivery>, Error> {
        self.wait_for_reply_until(&Deadline::new(Timeout::Infinite), Self::delivery_or_end)
    }

    /// Nothing is waited for any longer: there is an answer at once.
    pub(crate) fn cancel(&mut self) -> Result<(), Error> {
        self.session.add_request(Request::Cancel);
        self.cancel_pending_since = Some(Clock::start_now());
        self.flush_requests()
    }

    /// Asks how many items there are, and waits for nothing.
    pub(crate) fn request_counts(&mut self) -> Result<(), Error> {
        self.send_query(Request::Size)
    }

    /// Begins another attempt at an item that this client has out, and waits for nothing. It has begun,
    /// and is written down, when [`Client::heard`] says so: no other consumer will have this attempt.
    pub(crate) fn begin_attempt(&mut self, id: u64, attempt: u32) -> Result<(), Error> {
        self.send_query(Request::Attempt { id, attempt })
    }

    /// What the keeper has said to [`Client::ask_for`], [`Client::ask_size`] and
    /// [`Client::begin_attempt`], if anything.
    pub(crate) fn poll_notification(&mut self) -> Result<Option<Notification>, Error> {
        while let Some(reply) = self.next_reply(Some(0))? {
            if let Reply::Size { counts, .. } = reply {
                return Ok(Some(Notification::Counts(counts)));
            }
            if let Reply::Count { items } = reply {
                return Ok(Some(Notification::AttemptReply(items > 0)));
            }
            match self.delivery_or_end(reply)? {
                Some(Some(batch)) => return Ok(Some(Notification::Delivered(batch))),
                Some(None) => return Ok(Some(Notification::Ended)),
                None => {}
            }
        }
        Ok(None)
    }

    fn delivery_or_end(&mut self, reply: Reply) -> Result<Option<Option<Delivery>>, Error> {
        match reply {
            Reply::Batch(batch) => Ok(Some(Some(Delivery { batch }))),
            Reply::Ended => {
                connect::record_end_seen(&self.queue_dir, self.options.configured_role());
                Ok(Some(None))
            }
            Reply::Empty => Err(Error::Empty),
            other => self.handle_other_reply(other).map(|_| None),
        }
    }

    /// Says that `count` items from number `first_id` on have been dealt with. It reaches the
    /// keeper with whatever is said next.
    pub fn done(&mut self, first_id: u64, count: u64) -> Result<(), Error> {
        self.done_ref(BatchRef { first_id, count, attempt: None })
    }

    /// The same of items that came in this attempt.
    pub(crate) fn done_batch(&mut self, batch: &Batch) -> Result<(), Error> {
        self.done_ref(batch.batch_ref())
    }

    /// Gives back `count` items from number `first_id` on, at their old place in line. It reaches
    /// the keeper with whatever is said next.
    pub fn requeue(&mut self, first_id: u64, count: u64) -> Result<(), Error> {
        self.requeue_ref(BatchRef { first_id, count, attempt: None })
    }

    pub(crate) fn done_ref(&mut self, batch_ref: BatchRef) -> Result<(), Error> {
        self.send_disposition(Request::Done(batch_ref))
    }

    pub(crate) fn requeue_ref(&mut self, batch_ref: BatchRef) -> Result<(), Error> {
        self.send_disposition(Request::Requeue(batch_ref))
    }

    fn send_disposition(&mut self, disposition: Request<'static>) -> Result<(), Error> {
        self.session.add_request(disposition);
        // What fills a write need not wait for more.
        match self.session.next_write() {
            Some(_) => self.flush_requests(),
            None => Ok(()),
        }
    }

    /// Puts an item that this client has out since this attempt aside, after so many tries: `qdemo
    /// failed` lists it, with the reason.
    pub fn fail(&mut self, id: u64, attempt: u32, tries: u32, reason: &str) -> Result<(), Error> {
        let reason = reason.to_owned().into();
        self.session.add_request(Request::Fail { id, attempt, try_count: tries, reason });
        self.flush_requests()
    }

    /// Lets the keeper know at once what was to reach it with whatever is said next.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.flush_requests()
    }

    /// Items that were done, given back or failed too late, as the keeper has said since: their lease
    /// had run out, and they were back in line.
    pub(crate) fn take_lease_expired(&mut self) -> Vec<BatchRef> {
        std::mem::take(&mut self.lease_expired)
    }

    /// Lets time pass: paced time in a paced run, else the wall's.
    ///
    /// # Errors
    /// When the keeper died, which is noticed at once, and no other one can be started.
    pub fn sleep(&mut self, delay: Duration) -> Result<(), Error> {
        self.flush_puts()?;
        if delay.is_zero() {
            return Ok(());
        }
        if !self.is_paced() {
            return self.sleep_wall_time(nanos(delay));
        }
        self.session.add_request(Request::Sleep(nanos(delay)));
        self.flush_requests()?;
        self.wait_for_wake()
    }

    /// Sends what has been added, and where time is paced, with the same write that a sleep follows.
    pub(crate) fn send_puts_with_sleep(&mut self, delay: Duration) -> Result<(), Error> {
        if !self.is_paced() || delay.is_zero() {
            return self.flush_puts();
        }
        self.stage_puts();
        self.session.add_request(Request::Sleep(nanos(delay)));
        self.flush_requests()
    }

    /// Lets the time pass of which this client has spoken.
    pub(crate) fn finish_announced_sleep(&mut self, delay: Duration) -> Result<(), Error> {
        match self.is_paced() && !delay.is_zero() {
            true => self.wait_for_wake(),
            false => self.sleep(delay),
        }
    }

    /// Waits for the end of a sleep that has been asked for.
    fn wait_for_wake(&mut self) -> Result<(), Error> {
        loop {
            match self.next_reply(None)? {
                Some(Reply::Wake) => return Ok(()),
                Some(other) => drop(self.handle_other_reply(other)?),
                None => {}
            }
        }
    }

    /// Leaves: what it has out goes back in line.
    ///
    /// # Errors
    /// As [`Client::put`], since items that are not in the queue yet are waited for.
    pub fn leave(mut self) -> Result<LeaveSummary, Error> {
        self.wait_for_all_puts(self.options.default_timeout())?;
        self.silence_limit = self.silence_limit.without_waiting();
        self.send_query(Request::Bye)?;
        loop {
            match self.next_reply(None)? {
                Some(Reply::Bye { ready: in_line, consumers }) => {
                    return Ok(LeaveSummary { ready: in_line, consumers });
                }
                Some(other) => drop(self.handle_other_reply(other)?),
                None => {}
            }
        }
    }

    /// Leaves without waiting for anything.
    pub fn leave_at_once(mut self) {
        self.session.add_request(Request::Bye);
        self.session.finish_write();
        // What doesn't arrive need not: the keeper sees that the mailbox is gone.
        while let Some(write) = self.session.next_write()
            && self.inbox.write(write).is_ok_and(|written| written)
        {
            self.session.pop_written();
        }
    }

    /// Deals with a reply that is not what is being waited for.
    fn handle_other_reply(&mut self, reply: Reply) -> Result<Option<Accepted>, Error> {
        match reply {
            Reply::Ok { seq, id, window } => {
                let count = seq.saturating_sub(self.last_answered_seq);
                self.last_answered_seq = seq;
                self.window = window;
                let first_id = id.saturating_add(1).saturating_sub(count);
                Ok(Some(Accepted { count, first_id }))
            }
            Reply::Closed { seq } => {
                self.last_answered_seq = self.last_answered_seq.max(seq);
                Err(Error::Closed)
            }
            Reply::NotInFlight(batch_ref) => {
                self.lease_expired.push(batch_ref);
                Ok(None)
            }
            Reply::Error { code, text } => Err(Error::Refused { code: code.to_string(), text }),
            // Of something that is not being waited for any more.
            _ => Ok(None),
        }
    }
}
