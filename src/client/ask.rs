//! What a client can ask of a queue beside putting and getting.

use super::{Client, Error, Patience};
use crate::queue::{Census, Run};
use crate::wire::{Reply, Status};

/// FailedOnes of the items that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailedOnes {
    /// All of them.
    All,
    /// The one of this number.
    One(u64),
}

impl FailedOnes {
    fn id(self) -> u64 {
        match self {
            Self::All => 0,
            Self::One(id) => id,
        }
    }
}

impl Client {
    /// How many items there are, and how many may be in line: 0 for any number.
    pub(crate) fn size(&mut self) -> Result<(Census, u64), Error> {
        self.say("size")?;
        self.hear(|reply| match reply {
            Reply::Size { census, capacity } => Ok((census, capacity)),
            other => Err(other),
        })
    }

    /// How the queue is, and who is there.
    pub(crate) fn status(&mut self) -> Result<Status, Error> {
        self.say("status")?;
        self.hear(|reply| match reply {
            Reply::Status(status) => Ok(*status),
            other => Err(other),
        })
    }

    /// Puts the sentinel: no more items are taken, and the queue ends after those that it has, or
    /// `now`, without those in line. Tells how many were dropped.
    pub(crate) fn close_queue(&mut self, now: bool) -> Result<u64, Error> {
        match now {
            true => self.count("close", "now"),
            false => {
                self.say("close")?;
                self.hear_count()
            }
        }
    }

    /// Waits until every item is done. Tells how many have failed instead. [`Error::Unfinished`]
    /// when the patience is over.
    pub(crate) fn join(&mut self, patience: Patience) -> Result<u64, Error> {
        self.say("join")?;
        self.wait_in_patience(patience, |client, reply| match reply {
            Reply::Joined { failed } => Ok(Some(failed)),
            Reply::Unfinished { items } => Err(Error::Unfinished(items)),
            other => client.note(other).map(|_| None),
        })
    }

    /// Some of the items in line, from number `from` on, up to `max` of them: they stay there.
    pub(crate) fn peek(&mut self, from: u64, max: u64) -> Result<Option<Run>, Error> {
        self.begin();
        self.writer.peek(&mut self.write, from, max);
        self.send_write()?;
        self.hear(|reply| match reply {
            Reply::Run(run) => Ok(Some(run)),
            Reply::Empty => Ok(None),
            other => Err(other),
        })
    }

    /// The first item that failed, from number `from` on, and why.
    pub(crate) fn failed(&mut self, from: u64) -> Result<Option<(Run, String)>, Error> {
        self.begin();
        self.writer.with(&mut self.write, "failed", from);
        self.send_write()?;
        self.hear(|reply| match reply {
            Reply::Failed { run, why } => Ok(Some((run, why))),
            Reply::Empty => Ok(None),
            other => Err(other),
        })
    }

    /// Puts items that failed back in line. Tells how many.
    pub(crate) fn retry(&mut self, which: FailedOnes) -> Result<u64, Error> {
        self.count("retry", which.id())
    }

    /// Forgets items that failed. Tells how many.
    pub(crate) fn drop_failed(&mut self, which: FailedOnes) -> Result<u64, Error> {
        self.count("drop", which.id())
    }

    /// Removes the queue, also if there is something in it or somebody here if that is `forced`.
    /// Tells how many items went with it.
    pub(crate) fn remove_queue(&mut self, forced: bool) -> Result<u64, Error> {
        match forced {
            true => self.count("remove", "force"),
            false => {
                self.say("remove")?;
                self.hear_count()
            }
        }
    }

    fn count(&mut self, verb: &str, what: impl std::fmt::Display) -> Result<u64, Error> {
        self.begin();
        self.writer.with(&mut self.write, verb, what);
        self.send_write()?;
        self.hear_count()
    }

    fn hear_count(&mut self) -> Result<u64, Error> {
        self.hear(|reply| match reply {
            Reply::Count { items } => Ok(items),
            other => Err(other),
        })
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
