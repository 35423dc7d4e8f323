//! What a client can ask of a queue beside putting and getting.

use std::fmt::Display;

use super::{Client, Error, Timeout};
use crate::queue::{Batch, Counts};
use crate::wire::{Reply, Status};

impl Client {
    /// How many items there are, and how many may be in line: 0 for any number.
    pub(crate) fn size(&mut self) -> Result<(Counts, u64), Error> {
        self.catch_up_and_query("size", None)?;
        self.wait_for_reply(|reply| match reply {
            Reply::Size { counts, capacity } => Ok((counts, capacity)),
            other => Err(other),
        })
    }

    /// How the queue is, and who is there.
    pub(crate) fn status(&mut self) -> Result<Status, Error> {
        self.catch_up_and_query("status", None)?;
        self.wait_for_reply(|reply| match reply {
            Reply::Status(status) => Ok(*status),
            other => Err(other),
        })
    }

    /// Puts the sentinel: no more items are taken, and the queue ends after those that it has, or
    /// `now`, without those in line. Tells how many were dropped.
    pub(crate) fn close_queue(&mut self, now: bool) -> Result<u64, Error> {
        self.request_count("close", now.then_some(&"now"))
    }

    /// Waits until every item is done. Tells how many have failed instead. [`Error::Unfinished`]
    /// when the patience is over.
    pub(crate) fn join(&mut self, timeout: Timeout) -> Result<u64, Error> {
        self.with_deadline(timeout, |client, deadline| {
            client.session.join();
            client.flush_requests()?;
            client.wait_for_reply_until(deadline, |client, reply| match reply {
                Reply::Joined { failed } => Ok(Some(failed)),
                Reply::Unfinished { items } => Err(Error::Unfinished(items)),
                other => client.handle_other_reply(other).map(|_| None),
            })
        })
    }

    /// Some of the items in line, from number `from` on, up to `max` of them: they stay there.
    pub(crate) fn peek(&mut self, from: u64, max: u64) -> Result<Option<Batch>, Error> {
        self.catch_up_and_query("peek", Some(&format_args!("{from} {max}")))?;
        self.wait_for_reply(|reply| match reply {
            Reply::Batch(batch) => Ok(Some(batch)),
            Reply::Empty => Ok(None),
            other => Err(other),
        })
    }

    /// The first item that failed, from number `from` on, and why.
    pub(crate) fn failed(&mut self, from: u64) -> Result<Option<(Batch, String)>, Error> {
        self.catch_up_and_query("failed", Some(&from))?;
        self.wait_for_reply(|reply| match reply {
            Reply::Failed { batch, reason } => Ok(Some((batch, reason))),
            Reply::Empty => Ok(None),
            other => Err(other),
        })
    }

    /// Puts an item that failed back in line, or all of them. Tells how many.
    pub(crate) fn retry(&mut self, id: Option<u64>) -> Result<u64, Error> {
        self.request_count("retry", Some(&id.unwrap_or(0)))
    }

    /// Forgets an item that failed, or all of them. Tells how many.
    pub(crate) fn drop_failed(&mut self, id: Option<u64>) -> Result<u64, Error> {
        self.request_count("drop", Some(&id.unwrap_or(0)))
    }

    /// Removes the queue, also if there is something in it or somebody here if that is `forced`.
    /// Tells how many items went with it.
    pub(crate) fn remove_queue(&mut self, forced: bool) -> Result<u64, Error> {
        let Counts { ready: in_line, in_flight: out, failed, .. } = self.size()?.0;
        let items = in_line + out + failed;
        match self.request_count("remove", forced.then_some(&"force")) {
            // A keeper has removed it, and has died before it could say so.
            Err(Error::Refused { code, .. }) if code == "removed" => Ok(items),
            // Another one has come since, and has found nothing.
            Ok(0) if self.session.is_resumed() => Ok(items),
            other => other,
        }
    }

    /// Asks for something to be done, and waits to hear to how many items.
    fn request_count(
        &mut self,
        verb: &'static str,
        what: Option<&dyn Display>,
    ) -> Result<u64, Error> {
        self.catch_up_and_query(verb, what)?;
        self.wait_for_reply(|reply| match reply {
            Reply::Count { items } => Ok(items),
            other => Err(other),
        })
    }

    /// Asks a question whose answer is [`Client::hear`]d.
    fn catch_up_and_query(
        &mut self,
        verb: &'static str,
        what: Option<&dyn Display>,
    ) -> Result<(), Error> {
        self.catch_up()?;
        self.send_query(verb, what)
    }

    /// Asks a question, and waits for nothing.
    pub(super) fn send_query(
        &mut self,
        verb: &'static str,
        what: Option<&dyn Display>,
    ) -> Result<(), Error> {
        self.session.query(verb, what);
        self.flush_requests()
    }

    /// Waits for the reply that `pick` takes; it gives the others back.
    fn wait_for_reply<T>(&mut self, pick: impl Fn(Reply) -> Result<T, Reply>) -> Result<T, Error> {
        loop {
            match self.next_reply(None)?.map(&pick) {
                Some(Ok(answer)) => return Ok(answer),
                Some(Err(other)) => drop(self.handle_other_reply(other)?),
                None => {}
            }
        }
    }
}
