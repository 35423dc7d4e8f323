//! What a client can ask of a queue beside putting and getting.

use std::fmt::Display;

use super::{Client, Error, Patience};
use crate::queue::{Census, Run};
use crate::wire::{Reply, Status};

impl Client {
    /// How many items there are, and how many may be in line: 0 for any number.
    pub(crate) fn size(&mut self) -> Result<(Census, u64), Error> {
        self.question("size", None)?;
        self.hear(|reply| match reply {
            Reply::Size { census, capacity } => Ok((census, capacity)),
            other => Err(other),
        })
    }

    /// How the queue is, and who is there.
    pub(crate) fn status(&mut self) -> Result<Status, Error> {
        self.question("status", None)?;
        self.hear(|reply| match reply {
            Reply::Status(status) => Ok(*status),
            other => Err(other),
        })
    }

    /// Puts the sentinel: no more items are taken, and the queue ends after those that it has, or
    /// `now`, without those in line. Tells how many were dropped.
    pub(crate) fn close_queue(&mut self, now: bool) -> Result<u64, Error> {
        self.count_of("close", now.then_some(&"now"))
    }

    /// Waits until every item is done. Tells how many have failed instead. [`Error::Unfinished`]
    /// when the patience is over.
    pub(crate) fn join(&mut self, patience: Patience) -> Result<u64, Error> {
        self.within(patience, |client, deadline| {
            client.session.join();
            client.send_write()?;
            client.wait_in_patience(deadline, |client, reply| match reply {
                Reply::Joined { failed } => Ok(Some(failed)),
                Reply::Unfinished { items } => Err(Error::Unfinished(items)),
                other => client.note(other).map(|_| None),
            })
        })
    }

    /// Some of the items in line, from number `from` on, up to `max` of them: they stay there.
    pub(crate) fn peek(&mut self, from: u64, max: u64) -> Result<Option<Run>, Error> {
        self.question("peek", Some(&format_args!("{from} {max}")))?;
        self.hear(|reply| match reply {
            Reply::Run(run) => Ok(Some(run)),
            Reply::Empty => Ok(None),
            other => Err(other),
        })
    }

    /// The first item that failed, from number `from` on, and why.
    pub(crate) fn failed(&mut self, from: u64) -> Result<Option<(Run, String)>, Error> {
        self.question("failed", Some(&from))?;
        self.hear(|reply| match reply {
            Reply::Failed { run, why } => Ok(Some((run, why))),
            Reply::Empty => Ok(None),
            other => Err(other),
        })
    }

    /// Puts an item that failed back in line, or all of them. Tells how many.
    pub(crate) fn retry(&mut self, id: Option<u64>) -> Result<u64, Error> {
        self.count_of("retry", Some(&id.unwrap_or(0)))
    }

    /// Forgets an item that failed, or all of them. Tells how many.
    pub(crate) fn drop_failed(&mut self, id: Option<u64>) -> Result<u64, Error> {
        self.count_of("drop", Some(&id.unwrap_or(0)))
    }

    /// Removes the queue, also if there is something in it or somebody here if that is `forced`.
    /// Tells how many items went with it.
    pub(crate) fn remove_queue(&mut self, forced: bool) -> Result<u64, Error> {
        let Census { in_line, out, failed, .. } = self.size()?.0;
        let items = in_line + out + failed;
        match self.count_of("remove", forced.then_some(&"force")) {
            // A keeper has removed it, and has died before it could say so.
            Err(Error::Refused { code, .. }) if code == "removed" => Ok(items),
            // Another one has come since, and has found nothing.
            Ok(0) if self.session.has_resumed() => Ok(items),
            other => other,
        }
    }

    /// Asks for something to be done, and waits to hear to how many items.
    fn count_of(&mut self, verb: &'static str, what: Option<&dyn Display>) -> Result<u64, Error> {
        self.question(verb, what)?;
        self.hear(|reply| match reply {
            Reply::Count { items } => Ok(items),
            other => Err(other),
        })
    }

    /// Asks a question whose answer is [`Client::hear`]d.
    fn question(&mut self, verb: &'static str, what: Option<&dyn Display>) -> Result<(), Error> {
        self.catch_up()?;
        self.ask(verb, what)
    }

    /// Asks a question, and waits for nothing.
    pub(super) fn ask(
        &mut self,
        verb: &'static str,
        what: Option<&dyn Display>,
    ) -> Result<(), Error> {
        self.session.ask(verb, what);
        self.send_write()
    }

    /// Waits for the reply that `pick` takes; it gives the others back.
    fn hear<T>(&mut self, pick: impl Fn(Reply) -> Result<T, Reply>) -> Result<T, Error> {
        loop {
            match self.reply(None)?.map(&pick) {
                Some(Ok(answer)) => return Ok(answer),
                Some(Err(other)) => drop(self.note(other)?),
                None => {}
            }
        }
    }
}
