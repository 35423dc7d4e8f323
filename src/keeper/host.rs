//! The world, as the keeper sees it.

use std::io;

use crate::clock::{Nanos, Stamp};
use crate::journal::Fact;
use crate::os::Death;
use crate::queue::{ClientId, Run};
use crate::role::Worker;

/// What the keeper needs of the world.
pub(crate) trait Host {
    /// Opens the mailbox of that name for `client`.
    fn open(&mut self, client: ClientId, mailbox: &str) -> io::Result<()>;
    /// Opens the mailbox of that name for `client`, which knows the keeper before this one only: it is
    /// written nothing before [`Host::resume`]. False when nobody reads it any more.
    fn find(&mut self, client: ClientId, mailbox: &str) -> io::Result<bool>;
    /// `client` knows that this is its keeper now.
    fn resume(&mut self, client: ClientId);
    /// Puts this into the mailbox of that name, if that can be done at all, and forgets it.
    fn turn_away(&mut self, mailbox: &str, mail: &[u8]);
    /// Where to add what is to be sent to `client`.
    fn mail(&mut self, client: ClientId) -> Option<&mut Vec<u8>>;
    /// Whether nobody reads the mailbox of `client` any more.
    fn is_gone(&self, _client: ClientId) -> bool {
        false
    }
    /// Closes the mailbox of `client` once it has been given all its mail.
    fn close(&mut self, client: ClientId);
    /// The queue ends: remember this for those who come late, and tell which moment it is.
    fn end(&mut self) -> io::Result<Stamp>;
    /// Something happened.
    fn event(&mut self, event: Event<'_>);
    /// Something is to be remembered, before anybody is told.
    fn record(&mut self, fact: &Fact<'_>);
}

/// Whoever watches a keeper, and remembers the end of its queue.
pub(crate) trait Watch {
    /// See [`Host::end`].
    fn end(&mut self) -> io::Result<Stamp>;
    /// See [`Host::event`].
    fn event(&mut self, event: Event<'_>);
    /// See [`Host::record`].
    fn record(&mut self, fact: &Fact<'_>);
}

/// Something that happened, and when: `at` nanoseconds after the start.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    /// Paced time in a paced run, else wall time.
    pub(crate) at: Nanos,
    /// By which worker; none outside of a run.
    pub(crate) worker: Option<Worker>,
    /// What.
    pub(crate) what: What<'a>,
}

/// What can happen.
#[derive(Debug)]
pub(crate) enum What<'a> {
    /// Items were accepted.
    Put(&'a Run, Waited),
    /// Items were handed out.
    Get(&'a Run, Waited),
    /// Items are done.
    Done(&'a Run),
    /// Items are back in line, to be had again.
    Back(&'a Run),
    /// The worker has died; what it waited for then it has not got.
    Died(Death, Option<Waited>),
    /// The worker has left of its own will, in the same way.
    Left(Option<Waited>),
}

/// For how long a worker had waited for that: for room, or for an item.
pub(crate) type Waited = Nanos;
