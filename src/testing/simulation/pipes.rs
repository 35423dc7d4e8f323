//! The pipes of the simulation, and the host of its keepers. This host differs from the fake host of other
//! tests: its pipes are small and can be closed, its journal is on a disk, and it can be killed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use super::disk::Disk;
use crate::clock::{BootQualifiedBirth, ProcessBirth};
use crate::journal::Record;
use crate::keeper::daemon::DurableHost;
use crate::keeper::persistence::Persistence;
use crate::keeper::{Host, Keeper, Observer};
use crate::queue::ClientId;
use crate::wire::Reply;

/// A named pipe.
#[derive(Default)]
pub(super) struct SimPipe {
    pub(super) bytes: Vec<u8>,
    /// The reader has closed the pipe.
    pub(super) is_closed: bool,
}

/// The capacity of a pipe in bytes. Pipes are small, so that they are often full.
pub(super) const PIPE_CAPACITY: usize = 1500;

/// A pipe with an owner at each end.
pub(super) type SharedPipe = Rc<RefCell<SimPipe>>;

/// The directory of mailboxes by name, which survives keepers.
pub(super) type Mailboxes = Rc<RefCell<BTreeMap<String, SharedPipe>>>;

/// The keeper's end of a mailbox.
struct SimMailbox {
    name: String,
    pipe: SharedPipe,
    awaits_resume: bool,
    unsent: Vec<u8>,
    committed_bytes: usize,
}

/// The host of a keeper.
pub(super) struct SimHost {
    pub(super) persistence: Persistence<Disk>,
    mailboxes: Mailboxes,
    disk: Disk,
    open_mailboxes: BTreeMap<ClientId, SimMailbox>,
    closing: Vec<ClientId>,
    /// The keeper is killed after it has sent this many more bytes.
    pub(super) kill_after: Option<usize>,
}

impl SimHost {
    pub(super) fn new(persistence: Persistence<Disk>, mailboxes: Mailboxes, disk: Disk) -> Self {
        Self {
            persistence,
            mailboxes,
            disk,
            open_mailboxes: BTreeMap::new(),
            closing: Vec::new(),
            kill_after: None,
        }
    }

    /// Whether the keeper was killed in the middle of a write.
    pub(super) fn is_killed(&self) -> bool {
        self.disk.has_killed() || self.kill_after == Some(0)
    }

    /// Clients that have closed their mailboxes.
    pub(super) fn dead_clients(&self) -> Vec<ClientId> {
        self.open_mailboxes.keys().copied().filter(|&client| self.is_client_dead(client)).collect()
    }

    pub(super) fn remove_client(&mut self, client: ClientId) {
        if let Some(slot) = self.open_mailboxes.remove(&client) {
            self.mailboxes.borrow_mut().remove(&slot.name);
        }
    }

    pub(super) fn has_no_clients(&self) -> bool {
        self.open_mailboxes.is_empty()
    }

    fn find_mailbox(&self, name: &str, awaits_resume: bool) -> Option<SimMailbox> {
        let pipe = self.mailboxes.borrow().get(name).cloned()?;
        let is_closed = pipe.borrow().is_closed;
        (!is_closed).then(|| SimMailbox {
            name: name.to_owned(),
            pipe,
            awaits_resume,
            unsent: Vec::new(),
            committed_bytes: 0,
        })
    }
}

impl Host for SimHost {
    type Observer = Self;

    fn observer(&mut self) -> &mut Self {
        self
    }

    fn open_mailbox(&mut self, client: ClientId, mailbox: &str) -> io::Result<()> {
        let slot = self.find_mailbox(mailbox, false).ok_or(io::ErrorKind::NotFound)?;
        self.open_mailboxes.insert(client, slot);
        Ok(())
    }

    fn reopen_mailbox(&mut self, client: ClientId, mailbox: &str) -> io::Result<bool> {
        let slot = self.find_mailbox(mailbox, true);
        let found = slot.is_some();
        self.open_mailboxes.extend(slot.map(|slot| (client, slot)));
        Ok(found)
    }

    fn resume_mailbox(&mut self, client: ClientId) {
        if let Some(slot) = self.open_mailboxes.get_mut(&client) {
            slot.awaits_resume = false;
        }
    }

    fn reject_connection(&mut self, _: &str, _: &[u8]) {}

    fn output_buffer(&mut self, client: ClientId) -> Option<&mut Vec<u8>> {
        let slot = self.open_mailboxes.get_mut(&client).filter(|slot| !slot.awaits_resume)?;
        Some(&mut slot.unsent)
    }

    fn is_client_dead(&self, client: ClientId) -> bool {
        self.open_mailboxes.get(&client).is_some_and(|slot| slot.pipe.borrow().is_closed)
    }

    fn close_mailbox(&mut self, client: ClientId) {
        self.closing.push(client);
    }
}

impl Observer for SimHost {
    fn record_end(&mut self) -> io::Result<ProcessBirth> {
        let birth = ProcessBirth::new(100, 1);
        Ok(self
            .persistence
            .record_end_at(BootQualifiedBirth { birth, ..BootQualifiedBirth::now() }))
    }

    fn append_record(&mut self, record: &Record<'_>) {
        self.persistence.append_record(record);
    }
}

impl DurableHost for SimHost {
    fn commit(&mut self, keeper: &Keeper) -> io::Result<()> {
        self.persistence.commit(keeper)
    }

    fn flush(&mut self) {
        for slot in self.open_mailboxes.values_mut() {
            slot.committed_bytes = slot.unsent.len();
            let mut pipe = slot.pipe.borrow_mut();
            if pipe.is_closed {
                continue;
            }
            let mut length =
                slot.committed_bytes.min(PIPE_CAPACITY.saturating_sub(pipe.bytes.len()));
            if self.disk.has_killed() {
                length = 0;
            }
            if let Some(left) = &mut self.kill_after {
                length = length.min(*left);
                *left -= length;
            }
            pipe.bytes.extend(slot.unsent.drain(..length));
            slot.committed_bytes -= length;
        }
        if self.is_killed() {
            return;
        }
        let mut mailboxes = self.mailboxes.borrow_mut();
        let open_mailboxes = &mut self.open_mailboxes;
        self.closing.retain(|client| {
            let unsent = open_mailboxes.get(client).is_some_and(|slot| !slot.unsent.is_empty());
            if !unsent && let Some(slot) = open_mailboxes.remove(client) {
                mailboxes.remove(&slot.name);
            }
            unsent
        });
    }

    fn replace_uncommitted(&mut self, reply: &Reply) {
        for slot in self.open_mailboxes.values_mut().filter(|slot| !slot.awaits_resume) {
            slot.unsent.truncate(slot.committed_bytes);
            reply.write(&mut slot.unsent);
        }
    }
}
