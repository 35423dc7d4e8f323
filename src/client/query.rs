//! The requests of a client besides puts, gets and item reports.

use std::num::NonZeroU64;

use super::timeout::SilenceLimit;
use super::{Client, Error, Timeout};
use crate::failure::Failure;
use crate::queue::{Batch, Counts, WaitReason};
use crate::wire::{ErrorCode, Reply, Request, Status};

impl Client {
    /// Returns the counts of items and the capacity; 0 for unbounded.
    pub(crate) fn size(&mut self) -> Result<(Counts, u64), Error> {
        self.query(Request::Size, |reply| match reply {
            Reply::Size { counts, capacity } => Ok((counts, capacity)),
            other => Err(other),
        })
    }

    /// The counts for the last words of a client that a signal tells to leave: the signal does not end this wait,
    /// and a silence of a second does. None without an answer.
    pub(crate) fn counts_at_the_end(&mut self) -> Option<Counts> {
        let interrupt = self.options.interrupt.take();
        let before =
            std::mem::replace(&mut self.silence_limit, SilenceLimit::PerWait(Timeout::After(0)));
        let counts = self.size().ok().map(|(counts, _)| counts);
        (self.options.interrupt, self.silence_limit) = (interrupt, before);
        counts
    }

    /// Returns the status of the queue and of its clients.
    pub(crate) fn status(&mut self) -> Result<Status, Error> {
        self.query(Request::Status, |reply| match reply {
            Reply::Status(status) => Ok(*status),
            other => Err(other),
        })
    }

    /// Puts the sentinel: the queue refuses further puts and ends after its items. `now` drops the
    /// ready items. Returns the count of dropped items.
    pub(crate) fn close_queue(&mut self, now: bool) -> Result<u64, Error> {
        self.query_count(Request::Close { now })
    }

    /// Waits until every item is done or failed. Returns the count of failed items.
    ///
    /// # Errors
    /// [`Error::Unfinished`] when the timeout is over. [`Error::ItemsLost`] when every item is done, and the server has
    /// forgotten items that this client has put.
    pub(crate) fn join(&mut self, timeout: Timeout) -> Result<u64, Error> {
        let failed = self.with_deadline(timeout, |client, deadline| {
            client.session.add_request(Request::Join);
            client.flush_requests()?;
            client.wait_for_reply_until(deadline, WaitReason::Done, |client, reply| match reply {
                Reply::Joined { failed } => Ok(Some(failed)),
                Reply::Unfinished { items } => Err(Error::Unfinished(items)),
                other => client.handle_other_reply(other).map(|_| None),
            })
        })?;
        self.check_loss().map(|()| failed)
    }

    /// Returns up to `max` ready items from the id `from_id` on. The items stay ready.
    pub(crate) fn peek(&mut self, from_id: u64, max: u64) -> Result<Option<Batch>, Error> {
        self.query(Request::Peek { from_id, max }, |reply| match reply {
            Reply::Batch(batch) => Ok(Some(batch)),
            Reply::Empty => Ok(None),
            other => Err(other),
        })
    }

    /// Returns the first failed item from the id `from_id` on, and its failure.
    pub(crate) fn failed(&mut self, from_id: u64) -> Result<Option<(Batch, Failure)>, Error> {
        self.query(Request::ListFailed { from_id }, |reply| match reply {
            Reply::Failed { batch, reason } => Ok(Some((batch, Failure::from_reason(&reason)))),
            Reply::Empty => Ok(None),
            other => Err(other),
        })
    }

    /// Retries one failed item, or all of them. Returns the count of retried items.
    pub(crate) fn retry(&mut self, id: Option<NonZeroU64>) -> Result<u64, Error> {
        self.query_count(Request::Retry(id))
    }

    /// Drops one failed item, or all of them. Returns the count of dropped items.
    pub(crate) fn drop_failed(&mut self, id: Option<NonZeroU64>) -> Result<u64, Error> {
        self.query_count(Request::Drop(id))
    }

    /// Removes the queue; `force` removes a queue with items or clients too. Returns the count of
    /// removed items.
    pub(crate) fn remove_queue(&mut self, force: bool) -> Result<u64, Error> {
        let Counts { ready, in_flight, failed, .. } = self.size()?.0;
        let items = ready + in_flight + failed;
        match self.query_count(Request::Remove { force }) {
            // A keeper has removed the queue and died before its reply.
            Err(error) if error.is_refusal(ErrorCode::Removed) => Ok(items),
            // The keeper that came after that keeper found no items.
            Ok(0) if self.session.is_resumed() => Ok(items),
            other => other,
        }
    }

    /// Sends a request and waits for the count of items that the request applied to.
    fn query_count(&mut self, request: Request) -> Result<u64, Error> {
        self.query(request, |reply| match reply {
            Reply::Count { items } => Ok(items),
            other => Err(other),
        })
    }

    /// Sends a request and waits for the reply that `pick` accepts; `pick` returns any other reply.
    fn query<T>(
        &mut self,
        request: Request,
        pick: impl Fn(Reply) -> Result<T, Reply>,
    ) -> Result<T, Error> {
        self.catch_up()?;
        self.send_query(request)?;
        loop {
            match self.next_reply(None)?.map(&pick) {
                Some(Ok(answer)) => return Ok(answer),
                Some(Err(other)) => drop(self.handle_other_reply(other)?),
                None => {}
            }
        }
    }

    /// Sends a request without waiting for the reply.
    pub(super) fn send_query(&mut self, request: Request) -> Result<(), Error> {
        self.session.add_request(request);
        self.flush_requests()
    }
}
