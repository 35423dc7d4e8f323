//! The host of keepers in tests and fuzz targets: the pipes and the journal are in memory.

use std::collections::BTreeMap;
use std::io;

use crate::clock::{Nanos, ProcessBirth};
use crate::event::{Event, EventKind};
use crate::journal::Record;
use crate::keeper::{Host, Keeper, Observer};
use crate::pipe::{PipePairName, WriteBuffer};
use crate::queue::{ClientId, WaitReason};
use crate::role::WorkerId;

/// A host in memory.
pub(crate) struct FakeHost<W = FakeObserver> {
    pub(crate) mailboxes: BTreeMap<ClientId, WriteBuffer>,
    /// What the names of a client's two pipes share, for each client.
    pub(crate) opened_pipes: Vec<String>,
    /// The replies to clients that were not connected.
    pub(crate) rejections: Vec<String>,
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
    /// The events that only a trace has.
    pub(crate) trace: Vec<(Nanos, &'static str, Option<WorkerId>)>,
}

impl<W: Observer> FakeHost<W> {
    pub(crate) fn new(observer: W) -> Self {
        Self {
            mailboxes: BTreeMap::new(),
            opened_pipes: Vec::new(),
            rejections: Vec::new(),
            closed_clients: Vec::new(),
            max_client_id: ClientId::MAX,
            max_mail_bytes: usize::MAX,
            observer,
        }
    }
}

impl<W: Observer> FakeHost<W> {
    /// Takes the contents of a client's mailbox.
    pub(crate) fn take_mail(&mut self, client: ClientId) -> Vec<u8> {
        self.mailboxes.get_mut(&client).map(take_all).unwrap_or_default()
    }

    /// Passes bytes in a client's pipe to the keeper, in one read.
    pub(crate) fn write(
        &mut self,
        keeper: &mut Keeper,
        wall: Nanos,
        client: ClientId,
        bytes: &[u8],
    ) {
        if let Some(buffer) = keeper.read_buffer(client) {
            buffer.extend_from_slice(bytes);
            keeper.receive(wall, client, bytes.len(), self);
        }
    }
}

/// Takes all bytes out of a buffer.
pub(crate) fn take_all(buffer: &mut WriteBuffer) -> Vec<u8> {
    buffer.commit();
    buffer.take(usize::MAX)
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

    fn open_pipes(&mut self, client: ClientId, pipes: &PipePairName) -> io::Result<()> {
        if client > self.max_client_id {
            return Err(io::Error::other("too many clients"));
        }
        self.mailboxes.insert(client, WriteBuffer::default());
        self.opened_pipes.push(pipes.0.clone());
        Ok(())
    }

    fn reopen_mailbox(&mut self, client: ClientId, pipes: &PipePairName) -> io::Result<bool> {
        self.open_pipes(client, pipes).map(|()| true)
    }

    fn resume_pipes(&mut self, _: ClientId, _: &PipePairName) -> io::Result<()> {
        Ok(())
    }

    fn reject_connection(&mut self, _: &PipePairName, mut mail: WriteBuffer) {
        self.rejections.push(String::from_utf8_lossy(&take_all(&mut mail)).into_owned());
    }

    fn output(&mut self, client: ClientId) -> Option<&mut WriteBuffer> {
        self.mailboxes.get_mut(&client).filter(|mail| mail.unsent_bytes() < self.max_mail_bytes)
    }

    fn close_pipes(&mut self, client: ClientId) {
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
            EventKind::Waiting(WaitReason::Room) => "room",
            EventKind::Waiting(_) => "item",
            EventKind::SentinelPut => "sentinel",
            EventKind::Restarted | EventKind::Cleared | EventKind::Finished => return,
        };
        if event.is_trace_only() {
            return self.trace.push((event.at, name, event.worker));
        }
        let Some(batch) = event.batch() else {
            let waited = event.waited.unwrap_or_default();
            return self.events.push((event.at, name, event.worker, waited));
        };
        for (id, _) in batch.iter_with_ids() {
            self.events.push((event.at, name, event.worker, id));
        }
    }

    fn append_record(&mut self, record: &Record<'_>) {
        self.journal.extend(record.to_bytes());
    }

    fn record_end(&mut self) -> io::Result<ProcessBirth> {
        Ok(ProcessBirth::new(100, 1))
    }
}
