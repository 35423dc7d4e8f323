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
use crate::pipe::{PipePairName, WriteBuffer};
use crate::queue::ClientId;
use crate::wire::Reply;

/// A named pipe.
#[derive(Default)]
pub(super) struct SimPipe {
    pub(super) bytes: Vec<u8>,
    /// The client has closed its end.
    pub(super) is_closed: bool,
}

impl SimPipe {
    /// How many more bytes the pipe takes.
    pub(super) fn room(&self) -> usize {
        PIPE_CAPACITY.saturating_sub(self.bytes.len())
    }
}

/// The capacity of a pipe in bytes. Pipes are small, so that they are often full.
pub(super) const PIPE_CAPACITY: usize = 1500;

/// A pipe with an owner at each end.
pub(super) type SharedPipe = Rc<RefCell<SimPipe>>;

/// The two pipes of a client.
#[derive(Clone, Default)]
pub(super) struct SimPair {
    pub(super) requests: SharedPipe,
    pub(super) mailbox: SharedPipe,
}

impl SimPair {
    /// The client is gone.
    pub(super) fn close(&self) {
        self.requests.borrow_mut().is_closed = true;
        self.mailbox.borrow_mut().is_closed = true;
    }
}

/// The pipes in the queue's directory, which survive keepers.
pub(super) type Directory = Rc<RefCell<BTreeMap<String, SimPair>>>;

/// The keeper's ends of a client's pipes.
struct SimClientPipes {
    name: String,
    mailbox: SharedPipe,
    /// None for a client of an earlier keeper that has not resumed.
    requests: Option<SharedPipe>,
    unsent: WriteBuffer,
}

/// The host of a keeper.
pub(super) struct SimHost {
    pub(super) persistence: Persistence<Disk>,
    directory: Directory,
    disk: Disk,
    clients: BTreeMap<ClientId, SimClientPipes>,
    closing: Vec<ClientId>,
    /// The keeper is killed after it has sent this many more bytes.
    pub(super) kill_after: Option<usize>,
}

impl SimHost {
    pub(super) fn new(persistence: Persistence<Disk>, directory: Directory, disk: Disk) -> Self {
        Self {
            persistence,
            directory,
            disk,
            clients: BTreeMap::new(),
            closing: Vec::new(),
            kill_after: None,
        }
    }

    /// Whether the keeper was killed in the middle of a write.
    pub(super) fn is_killed(&self) -> bool {
        self.disk.has_killed() || self.kill_after == Some(0)
    }

    /// The connected clients, and whether each is dead.
    pub(super) fn clients(&self) -> Vec<(ClientId, bool)> {
        self.clients.keys().map(|&client| (client, self.is_client_dead(client))).collect()
    }

    /// Takes up to `max` bytes out of a client's pipe.
    pub(super) fn take_requests(&self, client: ClientId, max: usize) -> Vec<u8> {
        let requests = self.clients.get(&client).and_then(|pipes| pipes.requests.as_ref());
        let Some(mut requests) = requests.map(|requests| requests.borrow_mut()) else {
            return Vec::new();
        };
        let count = max.min(requests.bytes.len());
        requests.bytes.drain(..count).collect()
    }

    pub(super) fn remove_client(&mut self, client: ClientId) {
        if let Some(pipes) = self.clients.remove(&client) {
            self.directory.borrow_mut().remove(&pipes.name);
        }
    }

    pub(super) fn has_no_clients(&self) -> bool {
        self.clients.is_empty()
    }

    /// The pipes of this name, unless their client is dead.
    fn find_pair(&self, name: &PipePairName) -> Option<SimPair> {
        let pair = self.directory.borrow().get(&name.0).cloned()?;
        let is_closed = pair.mailbox.borrow().is_closed;
        (!is_closed).then_some(pair)
    }

    fn add_client(&mut self, client: ClientId, name: &PipePairName, pair: SimPair, resumes: bool) {
        let SimPair { requests, mailbox } = pair;
        let requests = (!resumes).then_some(requests);
        let (name, unsent) = (name.0.clone(), WriteBuffer::default());
        self.clients.insert(client, SimClientPipes { name, mailbox, requests, unsent });
    }
}

impl Host for SimHost {
    type Observer = Self;

    fn observer(&mut self) -> &mut Self {
        self
    }

    fn open_pipes(&mut self, client: ClientId, name: &PipePairName) -> io::Result<()> {
        let pair = self.find_pair(name).ok_or(io::ErrorKind::NotFound)?;
        self.add_client(client, name, pair, false);
        Ok(())
    }

    fn reopen_mailbox(&mut self, client: ClientId, name: &PipePairName) -> io::Result<bool> {
        let pair = self.find_pair(name);
        let found = pair.is_some();
        if let Some(pair) = pair {
            self.add_client(client, name, pair, true);
        }
        Ok(found)
    }

    fn resume_pipes(&mut self, client: ClientId, name: &PipePairName) -> io::Result<()> {
        let pair = self.find_pair(name).ok_or(io::ErrorKind::NotFound)?;
        if let Some(pipes) = self.clients.get_mut(&client) {
            pipes.requests = Some(pair.requests);
        }
        Ok(())
    }

    fn reject_connection(&mut self, _: &PipePairName, _: WriteBuffer) {}

    fn output(&mut self, client: ClientId) -> Option<&mut WriteBuffer> {
        let pipes = self.clients.get_mut(&client).filter(|pipes| pipes.requests.is_some())?;
        Some(&mut pipes.unsent)
    }

    fn is_client_dead(&self, client: ClientId) -> bool {
        self.clients.get(&client).is_some_and(|pipes| pipes.mailbox.borrow().is_closed)
    }

    fn close_pipes(&mut self, client: ClientId) {
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
        for pipes in self.clients.values_mut() {
            pipes.unsent.commit();
            let mut mailbox = pipes.mailbox.borrow_mut();
            if mailbox.is_closed {
                continue;
            }
            let mut length = pipes.unsent.unsent_bytes().min(mailbox.room());
            if self.disk.has_killed() {
                length = 0;
            }
            if let Some(left) = &mut self.kill_after {
                length = length.min(*left);
                *left -= length;
            }
            mailbox.bytes.extend(pipes.unsent.take(length));
        }
        if self.is_killed() {
            return;
        }
        for client in std::mem::take(&mut self.closing) {
            if self.clients.get(&client).is_some_and(|pipes| !pipes.unsent.is_empty()) {
                self.closing.push(client);
            } else {
                self.remove_client(client);
            }
        }
    }

    fn replace_uncommitted(&mut self, reply: &Reply) {
        for pipes in self.clients.values_mut().filter(|pipes| pipes.requests.is_some()) {
            pipes.unsent.discard_uncommitted();
            reply.write(&mut pipes.unsent);
        }
    }
}
