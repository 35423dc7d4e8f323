//! The host of keepers in tests and fuzz targets: mailboxes and the journal are vectors.

use std::collections::BTreeMap;
use std::io;

use crate::clock::{Nanos, ProcessBirth};
use crate::event::{Event, EventKind};
use crate::journal::Record;
use crate::keeper::{Host, Observer};
use crate::queue::ClientId;
use crate::role::WorkerId;

/// A host in memory.
pub(crate) struct FakeHost<W = FakeObserver> {
    pub(crate) mailboxes: BTreeMap<ClientId, Vec<u8>>,
    pub(crate) opened_mailboxes: Vec<String>,
    pub(crate) closed_clients: Vec<ClientId>,
    /// Clients with a larger id cannot connect.
    pub(crate) max_client_id: ClientId,
    /// A mailbox with this many bytes takes no more replies.
    pub(crate) max_mail_bytes: usize,
    pub(crate) observer: W,
}

/// Stores the journal and the events.
#[derive(Default)]
pub(crate) struct FakeObserver {
    pub(crate) journal: Vec<u8>,
    /// Time, name, worker and item id of each event. An event without items has its wait in place of an id.
    pub(crate) events: Vec<(Nanos, &'static str, Option<WorkerId>, u64)>,
}

impl<W: Observer> FakeHost<W> {
    pub(crate) fn new(observer: W) -> Self {
        Self {
            mailboxes: BTreeMap::new(),
            opened_mailboxes: Vec::new(),
            closed_clients: Vec::new(),
            max_client_id: ClientId::MAX,
            max_mail_bytes: usize::MAX,
            observer,
        }
    }
}

impl Default for FakeHost {
    fn default() -> Self {
        Self::new(FakeObserver::default())
    }
}

impl<W: Observer> Host for FakeHost<W> {
    type Observer = W;

    fn observer(&mut self) -> &mut W {
        &mut self.observer
    }

    fn open_mailbox(&mut self, client: ClientId, mailbox: &str) -> io::Result<()> {
        if client > self.max_client_id {
            return Err(io::Error::other("too many clients"));
        }
        self.mailboxes.insert(client, Vec::new());
        self.opened_mailboxes.push(mailbox.to_owned());
        Ok(())
    }

    fn reopen_mailbox(&mut self, client: ClientId, mailbox: &str) -> io::Result<bool> {
        self.open_mailbox(client, mailbox).map(|()| true)
    }

    fn resume_mailbox(&mut self, _: ClientId) {}

    fn reject_connection(&mut self, _: &str, _: &[u8]) {}

    fn output_buffer(&mut self, client: ClientId) -> Option<&mut Vec<u8>> {
        self.mailboxes.get_mut(&client).filter(|mail| mail.len() < self.max_mail_bytes)
    }

    fn close_mailbox(&mut self, client: ClientId) {
        self.closed_clients.push(client);
    }
}

impl Observer for FakeObserver {
    fn on_event(&mut self, event: Event<'_>) {
        let name = match event.kind {
            EventKind::Put(_) => "put",
            EventKind::Delivered(_) => "get",
            EventKind::Done(_) => "done",
            EventKind::Requeued(_) => "back",
            EventKind::Died(_) => "died",
            EventKind::Left => "left",
            EventKind::Restarted | EventKind::Cleared | EventKind::Finished => return,
        };
        let Some(batch) = event.batch() else {
            let waited = event.waited.unwrap_or_default();
            return self.events.push((event.at, name, event.worker, waited));
        };
        for (id, _) in batch.iter_with_ids() {
            self.events.push((event.at, name, event.worker, id));
        }
    }

    fn append_record(&mut self, record: &Record<'_>) {
        record.write(&mut self.journal);
    }

    fn record_end(&mut self) -> io::Result<ProcessBirth> {
        Ok(ProcessBirth::new(100, 1))
    }
}
