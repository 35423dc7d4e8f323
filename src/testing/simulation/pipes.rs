//! Pipes that are vectors, and the keeper's world made of them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use super::disk::Disk;
use crate::clock::{Moment, Stamp};
use crate::journal::Fact;
use crate::keeper::daemon::Desk;
use crate::keeper::persistence::Notes;
use crate::keeper::{Event, Host, Keeper, Watch};
use crate::queue::ClientId;
use crate::wire::Reply;

/// A named pipe: one end writes, the other reads, as long as both live.
#[derive(Default)]
pub(super) struct Pipe {
    pub(super) bytes: Vec<u8>,
    /// Nobody reads it any more.
    pub(super) dead: bool,
}

/// How much a pipe holds. Small, so that it is full often.
pub(super) const CAPACITY: usize = 1500;

/// Each end has it open.
pub(super) type Open = Rc<RefCell<Pipe>>;

/// Mailboxes by name: they are in the directory, whoever keeps the queue.
pub(super) type Mailboxes = Rc<RefCell<BTreeMap<String, Open>>>;

/// A client's mailbox, as the keeper has it open.
struct Slot {
    name: String,
    pipe: Open,
    waits: bool,
    unsent: Vec<u8>,
    agreed: usize,
}

/// The world of a keeper.
pub(super) struct Office {
    pub(super) notes: Notes<Disk>,
    mailboxes: Mailboxes,
    disk: Disk,
    slots: BTreeMap<ClientId, Slot>,
    leaving: Vec<ClientId>,
    /// The keeper is killed when it has sent so many bytes more.
    pub(super) dies_after: Option<usize>,
}

impl Office {
    pub(super) fn new(notes: Notes<Disk>, mailboxes: Mailboxes, disk: Disk) -> Self {
        let (slots, leaving) = (BTreeMap::new(), Vec::new());
        Self { notes, mailboxes, disk, slots, leaving, dies_after: None }
    }

    /// Whether the keeper has been killed in the middle of something.
    pub(super) fn is_dead(&self) -> bool {
        self.disk.has_killed() || self.dies_after == Some(0)
    }

    /// Clients that are gone.
    pub(super) fn dead(&self) -> Vec<ClientId> {
        let gone = |slot: &Slot| slot.pipe.borrow().dead;
        self.slots.iter().filter(|(_, slot)| gone(slot)).map(|(client, _)| *client).collect()
    }

    pub(super) fn bury(&mut self, client: ClientId) {
        if let Some(slot) = self.slots.remove(&client) {
            self.mailboxes.borrow_mut().remove(&slot.name);
        }
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.slots.is_empty()
    }

    fn slot(&self, mailbox: &str, waits: bool) -> Option<Slot> {
        let pipe = self.mailboxes.borrow().get(mailbox).cloned()?;
        let dead = pipe.borrow().dead;
        let name = mailbox.to_owned();
        (!dead).then(|| Slot { name, pipe, waits, unsent: Vec::new(), agreed: 0 })
    }
}

impl Host for Office {
    fn open(&mut self, client: ClientId, mailbox: &str) -> io::Result<()> {
        let slot = self.slot(mailbox, false).ok_or(io::ErrorKind::NotFound)?;
        self.slots.insert(client, slot);
        Ok(())
    }

    fn find(&mut self, client: ClientId, mailbox: &str) -> io::Result<bool> {
        let slot = self.slot(mailbox, true);
        let found = slot.is_some();
        self.slots.extend(slot.map(|slot| (client, slot)));
        Ok(found)
    }

    fn resume(&mut self, client: ClientId) {
        if let Some(slot) = self.slots.get_mut(&client) {
            slot.waits = false;
        }
    }

    fn turn_away(&mut self, _: &str, _: &[u8]) {}

    fn mail(&mut self, client: ClientId) -> Option<&mut Vec<u8>> {
        let slot = self.slots.get_mut(&client).filter(|slot| !slot.waits)?;
        Some(&mut slot.unsent)
    }

    fn is_gone(&self, client: ClientId) -> bool {
        self.slots.get(&client).is_some_and(|slot| slot.pipe.borrow().dead)
    }

    fn close(&mut self, client: ClientId) {
        self.leaving.push(client);
    }

    fn end(&mut self) -> io::Result<Stamp> {
        Ok(self.notes.end_at(Moment::made_up(Stamp::new(100, 1))))
    }

    fn event(&mut self, _: Event<'_>) {}

    fn record(&mut self, fact: &Fact<'_>) {
        self.notes.record(fact);
    }
}

impl Desk for Office {
    fn commit(&mut self, keeper: &Keeper) -> io::Result<()> {
        self.notes.commit(keeper)
    }

    fn flush(&mut self) {
        for slot in self.slots.values_mut() {
            slot.agreed = slot.unsent.len();
            let mut pipe = slot.pipe.borrow_mut();
            if pipe.dead {
                continue;
            }
            let mut length = slot.agreed.min(CAPACITY.saturating_sub(pipe.bytes.len()));
            if self.disk.has_killed() {
                length = 0;
            }
            if let Some(left) = &mut self.dies_after {
                length = length.min(*left);
                *left -= length;
            }
            pipe.bytes.extend(slot.unsent.drain(..length));
            slot.agreed -= length;
        }
        if self.is_dead() {
            return;
        }
        let mut mailboxes = self.mailboxes.borrow_mut();
        let slots = &mut self.slots;
        self.leaving.retain(|client| {
            let unsent = slots.get(client).is_some_and(|slot| !slot.unsent.is_empty());
            if !unsent && let Some(slot) = slots.remove(client) {
                mailboxes.remove(&slot.name);
            }
            unsent
        });
    }

    fn say_instead(&mut self, reply: &Reply) {
        for slot in self.slots.values_mut().filter(|slot| !slot.waits) {
            slot.unsent.truncate(slot.agreed);
            reply.write(&mut slot.unsent);
        }
    }
}
