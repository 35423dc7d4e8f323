//! The keeper's view of the outside world: the clients' pipes, the journal and observers.

use std::io;

use crate::clock::ProcessBirth;
use crate::event::Event;
use crate::journal::Record;
use crate::pipe::{PipePairName, WriteBuffer};
use crate::queue::ClientId;

/// Receives the events of a keeper, and stores what must survive the keeper.
pub(crate) trait Observer {
    /// An event happened.
    fn on_event(&mut self, _: Event<'_>) {}
    /// Adds a record to the journal. The keeper sends no reply about the record before this call.
    fn append_record(&mut self, _: &Record<'_>) {}
    /// Stores the moment of the queue's end for clients that connect later, and returns the moment.
    fn record_end(&mut self) -> io::Result<ProcessBirth> {
        Ok(ProcessBirth::now())
    }
}

/// Observes nothing, and stores nothing.
impl Observer for () {}

/// What the keeper needs from the process that it runs in.
pub(crate) trait Host {
    type Observer: Observer;
    fn observer(&mut self) -> &mut Self::Observer;
    /// Opens the pipes of `client`.
    fn open_pipes(&mut self, client: ClientId, pipes: &PipePairName) -> io::Result<()>;
    /// Opens the mailbox of a client of an earlier keeper. The mailbox takes nothing before
    /// [`Host::resume_pipes`]. False if no process reads the mailbox.
    fn reopen_mailbox(&mut self, client: ClientId, pipes: &PipePairName) -> io::Result<bool>;
    /// The client has resumed: opens its new pipe for requests, and its mailbox takes replies again.
    fn resume_pipes(&mut self, client: ClientId, pipes: &PipePairName) -> io::Result<()>;
    /// Writes `mail` into the mailbox, without a retry, and forgets the mailbox.
    fn reject_connection(&mut self, pipes: &PipePairName, mail: WriteBuffer);
    /// The buffer for replies to `client`. `None` if the mailbox takes nothing.
    fn output(&mut self, client: ClientId) -> Option<&mut WriteBuffer>;
    /// Whether no process reads the mailbox of `client`.
    fn is_client_dead(&self, _client: ClientId) -> bool {
        false
    }
    /// Closes the pipes of `client` after its last reply is written.
    fn close_pipes(&mut self, client: ClientId);
}
