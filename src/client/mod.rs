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
use crate::pipe::{Door, Mailbox};
use crate::queue::{Census, Run, Which};
use crate::wire::{Reply, Welcome};
pub use connect::{Options, keep_if_asked};
pub(crate) use connect::{default_dir, keep_by_itself, status_at_rest};
pub use error::Error;
pub(crate) use outstanding::Said;
pub(crate) use put::Accepted;
use session::Session;
pub(crate) use timeout::Patience;
use timeout::{Deadline, Limit};
pub use typed::{GetError, Item, OpenError, PutError, Queue, TryGetError, TryPutError};

/// Items that this client has out: each is to be [`Client::done`], or it comes back in line when
/// the client leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    run: Run,
}

impl Batch {
    pub(crate) fn run(&self) -> &Run {
        &self.run
    }

    /// For what stays after it is done.
    pub(crate) fn into_run(self) -> Run {
        self.run
    }

    /// The queue's number of the first item; the others follow it.
    pub fn first_id(&self) -> u64 {
        self.run.first
    }

    /// How many items: at least one.
    pub fn count(&self) -> u64 {
        self.run.count()
    }

    /// 1 when nobody had these items before, one more for each time that they came back.
    pub fn attempt(&self) -> u32 {
        self.run.attempt
    }

    /// The items with their numbers, as JSON text.
    pub fn items(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.run.items()
    }
}

/// What the keeper says when it is not waited for.
#[derive(Debug)]
pub(crate) enum News {
    /// Items that are out with this client now.
    Items(Batch),
    /// The queue has ended.
    Ended,
    /// There are so many items.
    Size(Census),
    /// An attempt that was to begin has begun; or the item is not with this client any more.
    Attempt(bool),
}

/// What stays behind when a client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Items in line.
    pub in_line: u64,
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
    place: PathBuf,
    door: Door,
    mailbox: Mailbox,
    session: Session,
    buffer: Vec<u8>,
    welcome: Welcome,
    /// How many items are not sent yet, and their lines.
    unsent: u64,
    lines: Vec<u8>,
    /// The number of the last item of which the caller knows what became of it.
    answered: u64,
    window: u64,
    /// The largest item, in bytes of JSON.
    largest: u64,
    /// Puts that have been accepted, and not told yet.
    heard: VecDeque<Accepted>,
    /// There was no room for the others, and none was waited for: that is told next.
    full: bool,
    /// Items that this client said something of when it had them no longer.
    late: Vec<Which>,
    /// Waits end when nobody reads standard output any more.
    for_a_reader: bool,
    /// Lines of the queue's journal that could not be read when the queue was brought back for this
    /// client.
    damaged: Vec<u64>,
    /// How long the keeper may say nothing.
    limit: Limit,
    /// Since when an answer to a cancel is owed, or the keeper has said nothing behind it.
    cancelled: Option<Clock>,
    /// This keeper has welcomed this client.
    welcomed: bool,
    /// The queue has ended, and a get that was not waited for any longer was told so.
    missed_the_end: bool,
}

impl Drop for Client {
    fn drop(&mut self) {
        start_keeper::reap_keepers();
    }
}

impl Client {
    /// Whether the keeper paces time, as it does for the workers of `qdemo run` with a delay.
    pub(crate) fn is_paced(&self) -> bool {
        self.welcome.paced
    }

    /// Whether the queue has ended, and this client waits for what comes next.
    pub(crate) fn waits_for_a_new_one(&self) -> bool {
        self.welcome.ended
    }

    /// Lines of the queue's journal that were damaged when this client had the queue brought back: what
    /// they told is lost, and the rest is there.
    pub fn damaged_lines(&self) -> &[u64] {
        &self.damaged
    }

    /// From now on waits end with [`Error::Unread`] when nobody reads standard output any more.
    pub(crate) fn leave_with_the_reader(&mut self) {
        self.for_a_reader = true;
    }

    /// Gets at least one item and up to `max`; waits for it. None when the queue has ended.
    ///
    /// # Errors
    /// When the keeper died and no other one can be started, among others.
    pub fn get(&mut self, max: u64) -> Result<Option<Batch>, Error> {
        self.get_within(max, Patience::Endless)
    }

    /// Gets an item, and lets time pass. Where time is paced both are asked for at once: nothing else
    /// could be between them.
    pub(crate) fn get_and_sleep(
        &mut self,
        max: u64,
        patience: Patience,
        delay: Duration,
    ) -> Result<Option<Batch>, Error> {
        if !self.is_paced() || delay.is_zero() {
            return self.get_within(max, patience);
        }
        self.session.get(max.max(1));
        self.session.sleep(nanos(delay));
        self.send_write()?;
        let got = self.wait_in_patience(&Deadline::new(patience), Self::answer)?;
        if got.is_some() {
            self.be_woken()?;
        }
        Ok(got)
    }

    /// The same, but waits only that long: then [`Error::Empty`].
    pub(crate) fn get_within(
        &mut self,
        max: u64,
        patience: Patience,
    ) -> Result<Option<Batch>, Error> {
        self.within(patience, |client, deadline| {
            if std::mem::take(&mut client.missed_the_end) {
                return Ok(None);
            }
            client.ask_for(max)?;
            client.wait_in_patience(deadline, Self::answer)
        })
    }

    /// Does something for which the keeper may need that long, and the grace.
    ///
    /// # Errors
    /// [`Error::NoAnswer`] when it says nothing for longer.
    fn within<T>(
        &mut self,
        patience: Patience,
        what: impl FnOnce(&mut Self, &Deadline) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let deadline = Deadline::new(patience);
        let before = std::mem::replace(&mut self.limit, Limit::Until(deadline));
        let done = self.catch_up().and_then(|()| what(self, &deadline));
        self.limit = before;
        if matches!(done, Err(Error::NoAnswer { .. })) && self.cancelled.is_none() {
            // There was not even room to ask. That goes out with what is said next.
            self.session.cancel();
            self.cancelled = Some(Clock::start());
        }
        done
    }

    /// If the keeper did not answer to the cancel of something before: waits for that first, and gives
    /// back what it hands out.
    fn catch_up(&mut self) -> Result<(), Error> {
        if !self.welcomed {
            match self.finish_coming() {
                Err(Error::Gone) => self.resume()?,
                other => other?,
            }
        }
        if self.cancelled.is_some() {
            self.send_write()?;
        }
        while self.cancelled.is_some() {
            match self.reply(None)? {
                Some(Reply::Run(run)) => self.about("back", run.which())?,
                Some(Reply::Ended) => {
                    self.missed_the_end = true;
                    connect::remember_end(&self.place, self.options.as_what());
                }
                Some(Reply::Full { seq }) => self.answered = self.answered.max(seq),
                Some(reply) => match self.note(reply) {
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
    fn wait_in_patience<T>(
        &mut self,
        deadline: &Deadline,
        pick: impl Fn(&mut Self, Reply) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let mut picked = None;
        let mut cancelled = false;
        loop {
            let left = if cancelled { None } else { deadline.left() };
            if left == Some(0) {
                self.cancel()?;
                cancelled = true;
                continue;
            }
            match self.reply(left)? {
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
    pub(crate) fn ask_for(&mut self, max: u64) -> Result<(), Error> {
        self.send()?;
        self.session.get(max.max(1));
        self.send_write()
    }

    /// Waits for what has been asked for; none when the queue has ended.
    pub(crate) fn asked(&mut self) -> Result<Option<Batch>, Error> {
        self.wait_in_patience(&Deadline::new(Patience::Endless), Self::answer)
    }

    /// Nothing is waited for any longer: there is an answer at once.
    pub(crate) fn cancel(&mut self) -> Result<(), Error> {
        self.session.cancel();
        self.cancelled = Some(Clock::start());
        self.send_write()
    }

    /// Asks how many items there are, and waits for nothing.
    pub(crate) fn ask_size(&mut self) -> Result<(), Error> {
        self.ask("size", None)
    }

    /// Begins another attempt at an item that this client has out, and waits for nothing. It has begun,
    /// and is written down, when [`Client::heard`] says so: no other consumer will have this attempt.
    pub(crate) fn begin_attempt(&mut self, id: u64, attempt: u32) -> Result<(), Error> {
        self.ask("attempt", Some(&format_args!("{id} {attempt}")))
    }

    /// What the keeper has said to [`Client::ask_for`], [`Client::ask_size`] and
    /// [`Client::begin_attempt`], if anything.
    pub(crate) fn heard(&mut self) -> Result<Option<News>, Error> {
        while let Some(reply) = self.reply(Some(0))? {
            if let Reply::Size { census, .. } = reply {
                return Ok(Some(News::Size(census)));
            }
            if let Reply::Count { items } = reply {
                return Ok(Some(News::Attempt(items > 0)));
            }
            match self.answer(reply)? {
                Some(Some(batch)) => return Ok(Some(News::Items(batch))),
                Some(None) => return Ok(Some(News::Ended)),
                None => {}
            }
        }
        Ok(None)
    }

    fn answer(&mut self, reply: Reply) -> Result<Option<Option<Batch>>, Error> {
        match reply {
            Reply::Run(run) => Ok(Some(Some(Batch { run }))),
            Reply::Ended => {
                connect::remember_end(&self.place, self.options.as_what());
                Ok(Some(None))
            }
            Reply::Empty => Err(Error::Empty),
            other => self.note(other).map(|_| None),
        }
    }

    /// Says that `count` items from number `first_id` on have been dealt with. It reaches the
    /// keeper with whatever is said next.
    pub fn done(&mut self, first_id: u64, count: u64) -> Result<(), Error> {
        self.about("done", Which { first: first_id, count, attempt: None })
    }

    /// The same of items that came in this attempt.
    pub(crate) fn done_with(&mut self, run: &Run) -> Result<(), Error> {
        self.about("done", run.which())
    }

    /// Gives back `count` items from number `first_id` on, at their old place in line. It reaches
    /// the keeper with whatever is said next.
    pub fn give_back(&mut self, first_id: u64, count: u64) -> Result<(), Error> {
        self.about("back", Which { first: first_id, count, attempt: None })
    }

    pub(crate) fn about(&mut self, verb: &'static str, which: Which) -> Result<(), Error> {
        self.session.say(Said::About { verb, which });
        // What fills a write need not wait for more.
        match self.session.next_write() {
            Some(_) => self.send_write(),
            None => Ok(()),
        }
    }

    /// Puts an item that this client has out since this attempt aside, after so many tries: `qdemo
    /// failed` lists it, with the reason.
    pub fn fail(&mut self, id: u64, attempt: u32, tries: u32, why: &str) -> Result<(), Error> {
        self.session.say(Said::Failed { id, attempt, tries, why: why.to_owned() });
        self.send_write()
    }

    /// Lets the keeper know at once what was to reach it with whatever is said next.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.send_write()
    }

    /// Items that were done, given back or failed too late, as the keeper has said since: their lease
    /// had run out, and they were back in line.
    pub(crate) fn take_late(&mut self) -> Vec<Which> {
        std::mem::take(&mut self.late)
    }

    /// Lets time pass: paced time in a paced run, else the wall's.
    ///
    /// # Errors
    /// When the keeper died, which is noticed at once, and no other one can be started.
    pub fn sleep(&mut self, delay: Duration) -> Result<(), Error> {
        self.send()?;
        if delay.is_zero() {
            return Ok(());
        }
        if !self.is_paced() {
            return self.sleep_by_the_wall(nanos(delay));
        }
        self.session.sleep(nanos(delay));
        self.send_write()?;
        self.be_woken()
    }

    /// Sends what has been added, and where time is paced, with the same write that a sleep follows.
    pub(crate) fn announce_sleep(&mut self, delay: Duration) -> Result<(), Error> {
        if !self.is_paced() || delay.is_zero() {
            return self.send();
        }
        self.put_unsent();
        self.session.sleep(nanos(delay));
        self.send_write()
    }

    /// Lets the time pass of which this client has spoken.
    pub(crate) fn sleep_as_announced(&mut self, delay: Duration) -> Result<(), Error> {
        match self.is_paced() && !delay.is_zero() {
            true => self.be_woken(),
            false => self.sleep(delay),
        }
    }

    /// Waits for the end of a sleep that has been asked for.
    fn be_woken(&mut self) -> Result<(), Error> {
        loop {
            match self.reply(None)? {
                Some(Reply::Wake) => return Ok(()),
                Some(other) => drop(self.note(other)?),
                None => {}
            }
        }
    }

    /// Leaves: what it has out goes back in line.
    ///
    /// # Errors
    /// As [`Client::put`], since items that are not in the queue yet are waited for.
    pub fn leave(mut self) -> Result<Left, Error> {
        self.settle(self.options.own_patience())?;
        self.limit = self.limit.no_longer();
        self.ask("bye", None)?;
        loop {
            match self.reply(None)? {
                Some(Reply::Bye { in_line, consumers }) => {
                    return Ok(Left { in_line, consumers });
                }
                Some(other) => drop(self.note(other)?),
                None => {}
            }
        }
    }

    /// Leaves without waiting for anything.
    pub fn leave_at_once(mut self) {
        self.session.ask("bye", None);
        self.session.close_write();
        // What doesn't arrive need not: the keeper sees that the mailbox is gone.
        while let Some(write) = self.session.next_write()
            && self.door.write(write).is_ok_and(|written| written)
        {
            self.session.written();
        }
    }

    /// Deals with a reply that is not what is being waited for.
    fn note(&mut self, reply: Reply) -> Result<Option<Accepted>, Error> {
        match reply {
            Reply::Ok { seq, id, window } => {
                let count = seq.saturating_sub(self.answered);
                self.answered = seq;
                self.window = window;
                let first_id = id.saturating_add(1).saturating_sub(count);
                Ok(Some(Accepted { count, first_id }))
            }
            Reply::Closed { seq } => {
                self.answered = self.answered.max(seq);
                Err(Error::Closed)
            }
            Reply::Lost(which) => {
                self.late.push(which);
                Ok(None)
            }
            Reply::Error { code, text } => Err(Error::Refused { code, text }),
            // Of something that is not being waited for any more.
            _ => Ok(None),
        }
    }
}
