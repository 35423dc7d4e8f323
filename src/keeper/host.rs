//! The world, as the keeper sees it.

use std::io;

use crate::clock::{Nanos, ProcessBirth};
use crate::journal::Record;
use crate::os::ExitCause;
use crate::queue::{Batch, ClientId};
use crate::role::WorkerId;

/// What the keeper needs of the world.
pub(crate) trait Host {
    /// Opens the mailbox of that name for `client`.
    fn open_mailbox(&mut self, client: ClientId, mailbox: &str) -> io::Result<()>;
    /// Opens the mailbox of that name for `client`, which knows the keeper before this one only: it is
    /// written nothing before [`Host::resume`]. False when nobody reads it any more.
    fn reopen_mailbox(&mut self, client: ClientId, mailbox: &str) -> io::Result<bool>;
    /// `client` knows that this is its keeper now.
    fn resume_mailbox(&mut self, client: ClientId);
    /// Puts this into the mailbox of that name, if that can be done at all, and forgets it.
    fn reject_connection(&mut self, mailbox: &str, mail: &[u8]);
    /// Where to add what is to be sent to `client`.
    fn output_buffer(&mut self, client: ClientId) -> Option<&mut Vec<u8>>;
    /// Whether nobody reads the mailbox of `client` any more.
    fn is_client_dead(&self, _client: ClientId) -> bool {
        false
    }
    /// Closes the mailbox of `client` once it has been given all its mail.
    fn close_mailbox(&mut self, client: ClientId);
    /// The queue ends: remember this for those who come late, and tell which moment it is.
    fn record_end(&mut self) -> io::Result<ProcessBirth>;
    /// Something happened.
    fn on_event(&mut self, event: Event<'_>);
    /// Something is to be remembered, before anybody is told.
    fn append_record(&mut self, record: &Record<'_>);
}

/// Whoever watches a keeper, and remembers the end of its queue.
pub(crate) trait Observer {
    /// See [`Host::end`].
    fn record_end(&mut self) -> io::Result<ProcessBirth>;
    /// See [`Host::event`].
    fn on_event(&mut self, event: Event<'_>);
    /// See [`Host::record`].
    fn append_record(&mut self, record: &Record<'_>);
}

/// Something that happened, and when: `at` nanoseconds after the start.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    /// Paced time in a paced run, else wall time.
    pub(crate) at: Nanos,
    /// By which worker; none outside of a run.
    pub(crate) worker: Option<WorkerId>,
    /// What.
    pub(crate) kind: EventKind<'a>,
}

/// What can happen.
#[derive(Debug)]
pub(crate) enum EventKind<'a> {
    /// Items were accepted.
    Put(&'a Batch, WaitTime),
    /// Items were handed out.
    Delivered(&'a Batch, WaitTime),
    /// Items are done.
    Done(&'a Batch),
    /// Items are back in line, to be had again.
    Requeued(&'a Batch),
    /// The worker has died; what it waited for then it has not got.
    Died(ExitCause, Option<WaitTime>),
    /// The worker has left of its own will, in the same way.
    Left(Option<WaitTime>),
}

/// For how long a worker had waited for that: for room, or for an item.
pub(crate) type WaitTime = Nanos;
