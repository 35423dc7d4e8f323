//! The keeper's pipes: one inbox, and a mailbox for each client. Nothing here ever blocks on a
//! write: a mailbox that is full keeps its mail until there is room.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::{Event, Host, Keeper, Watch};
use crate::clock::{Clock, Nanos, Stamp};
use crate::journal::Fact;
use crate::os::{Ready, wait};
use crate::pipe::{Inbox, QueueDir, Slot, WIDE};
use crate::queue::ClientId;
use crate::wire::Reply;

/// How much unread mail a client may let pile up before it counts as dead, besides one letter. It is
/// owed no more than one run and the answers to what it has underway, which is far less.
const MOST_UNREAD: usize = 64 << 20;

/// The keeper's pipes.
#[derive(Debug)]
pub(crate) struct Post {
    dir: QueueDir,
    inbox: Inbox,
    slots: BTreeMap<ClientId, Slot>,
    /// Clients that have left: their mailboxes go when they are written out.
    leaving: Vec<ClientId>,
    buffer: Vec<u8>,
    /// Given up when there are no more file descriptors, so that a client can be told.
    spare: Option<File>,
}

impl Post {
    /// Makes the inbox in this directory.
    pub(crate) fn open(dir: QueueDir) -> io::Result<Self> {
        let inbox = Inbox::create(&dir)?;
        let spare = File::open("/dev/null").ok();
        Ok(Self {
            spare,
            dir,
            inbox,
            slots: BTreeMap::new(),
            leaving: Vec::new(),
            buffer: vec![0; WIDE],
        })
    }

    /// Where the pipes are.
    pub(crate) fn dir(&self) -> &QueueDir {
        &self.dir
    }

    /// Takes the inbox's name away: no client comes any more.
    pub(crate) fn shut(&self) -> io::Result<()> {
        self.inbox.remove()
    }

    /// Takes the names of all mailboxes away: nobody is to find them.
    pub(crate) fn forget_all(&mut self) {
        std::mem::take(&mut self.slots).into_values().for_each(Slot::remove);
    }

    /// Whether clients can still find the inbox.
    pub(crate) fn can_be_found(&self) -> io::Result<bool> {
        self.inbox.is_there()
    }

    /// Whether nobody has a mailbox here any more.
    pub(crate) fn is_quiet(&self) -> bool {
        self.slots.is_empty()
    }

    /// See [`Host::turn_away`].
    fn turn_away(&mut self, mailbox: &str, mail: &[u8]) {
        self.spare = None;
        if let Ok(mut slot) = Slot::open(&self.dir, mailbox) {
            slot.mail().extend_from_slice(mail);
            slot.agree();
            let _ = slot.flush();
        }
        self.spare = File::open("/dev/null").ok();
    }

    /// This is said to everybody, and not what was to be said since the last [`Post::flush`].
    pub(crate) fn say_instead(&mut self, reply: &Reply) {
        for slot in self.slots.values_mut().filter(|slot| !slot.waits()) {
            slot.take_back();
            reply.write(slot.mail());
        }
    }

    /// Writes what there is room for.
    pub(crate) fn flush(&mut self) {
        for slot in self.slots.values_mut() {
            slot.agree();
            // A client that is gone is noticed when its death is polled.
            let _ = slot.flush();
        }
        let slots = &mut self.slots;
        self.leaving.retain(|client| {
            let unsent = slots.get(client).is_some_and(|slot| slot.unsent() > 0);
            if !unsent && let Some(slot) = slots.remove(client) {
                slot.remove();
            }
            unsent
        });
    }

    /// Waits until something arrives, somebody dies, there is room for mail, or `until`, and lets
    /// the keeper know. Tells which of the `others` are ready or dead.
    pub(crate) fn wait(
        &mut self,
        clock: Clock,
        until: Option<Nanos>,
        others: &[(BorrowedFd<'_>, Ready)],
    ) -> io::Result<Arrivals> {
        let most = match self.slots.values().any(Slot::is_overdue) {
            // That has happened already.
            true => Some(0),
            false => until.map(|until| until.saturating_sub(clock.now())),
        };
        let mut pipes = vec![(self.inbox.as_fd(), Ready::Read)];
        pipes.extend_from_slice(others);
        pipes.extend(self.slots.values().map(|slot| match slot.unsent() {
            0 => (slot.as_fd(), Ready::Death),
            _ => (slot.as_fd(), Ready::Write),
        }));
        let states = wait(&pipes, most)?;
        let (own, peers) = states.split_at(1 + others.len());
        let slots = self.slots.iter().zip(peers);
        let dead = slots
            .filter(|((_, slot), state)| state.dead || slot.is_overdue())
            .map(|((client, _), _)| *client);
        Ok(Arrivals {
            inbox: own[0].ready,
            others: own[1..].iter().map(|s| s.ready || s.dead).collect(),
            dead: dead.collect(),
        })
    }
}

/// The world of a keeper whose pipes are real.
#[derive(Debug)]
pub(crate) struct Office<W> {
    /// The pipes.
    pub(crate) post: Post,
    /// Whoever watches, and remembers the end.
    pub(crate) watch: W,
}

impl<W: Watch> Office<W> {
    /// Lets the keeper read what arrived, and know who died. What a client wrote before its death
    /// counts: all that is in the inbox now is read first.
    pub(crate) fn take_in(
        &mut self,
        keeper: &mut Keeper,
        clock: Clock,
        arrivals: &Arrivals,
    ) -> io::Result<()> {
        let waiting = match arrivals.dead.is_empty() {
            // One read; the rest comes with the next turn.
            true => u64::from(arrivals.inbox),
            false => self.post.inbox.waiting()?,
        };
        self.read(keeper, clock, waiting)?;
        for &client in &arrivals.dead {
            if let Some(slot) = self.post.slots.remove(&client) {
                slot.remove();
            }
            keeper.died(clock.now(), client, self);
        }
        Ok(())
    }

    /// Lets the keeper read all that is in the inbox now: what those wrote who are known to be dead.
    pub(crate) fn take_in_all(&mut self, keeper: &mut Keeper, clock: Clock) -> io::Result<()> {
        let waiting = self.post.inbox.waiting()?;
        self.read(keeper, clock, waiting)
    }

    /// Lets the keeper read at least so many bytes, if there are so many.
    fn read(&mut self, keeper: &mut Keeper, clock: Clock, waiting: u64) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.post.buffer);
        let mut taken = 0;
        while taken < waiting {
            let read = self.post.inbox.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            keeper.receive(clock.now(), &buffer[..read], self);
            taken += read as u64;
        }
        self.post.buffer = buffer;
        Ok(())
    }
}

impl<W: Watch> Host for Office<W> {
    fn open(&mut self, client: ClientId, mailbox: &str) -> io::Result<()> {
        let slot = Slot::open(&self.post.dir, mailbox)?;
        self.post.slots.insert(client, slot);
        Ok(())
    }

    fn find(&mut self, client: ClientId, mailbox: &str) -> io::Result<bool> {
        let slot = Slot::find(&self.post.dir, mailbox)?;
        let found = slot.is_some();
        self.post.slots.extend(slot.map(|slot| (client, slot)));
        Ok(found)
    }

    fn resume(&mut self, client: ClientId) {
        if let Some(slot) = self.post.slots.get_mut(&client) {
            slot.resume();
        }
    }

    fn turn_away(&mut self, mailbox: &str, mail: &[u8]) {
        self.post.turn_away(mailbox, mail);
    }

    fn mail(&mut self, client: ClientId) -> Option<&mut Vec<u8>> {
        let slot = self.post.slots.get_mut(&client).filter(|slot| !slot.waits())?;
        slot.bears_more(MOST_UNREAD).then(|| slot.mail())
    }

    fn is_gone(&self, client: ClientId) -> bool {
        let is_dead = |slot: &Slot| {
            let states = wait(&[(slot.as_fd(), Ready::Death)], Some(0));
            states.is_ok_and(|states| states.iter().any(|state| state.dead))
        };
        self.post.slots.get(&client).is_some_and(is_dead)
    }

    fn close(&mut self, client: ClientId) {
        self.post.leaving.push(client);
    }

    fn end(&mut self) -> io::Result<Stamp> {
        self.watch.end()
    }

    fn event(&mut self, event: Event<'_>) {
        self.watch.event(event);
    }

    fn record(&mut self, fact: &Fact<'_>) {
        self.watch.record(fact);
    }
}

impl Arrivals {
    /// Whether nothing at all has happened.
    pub(crate) fn is_none(&self) -> bool {
        !self.inbox && self.dead.is_empty() && !self.others.contains(&true)
    }
}

/// What a wait ended with.
#[derive(Debug)]
pub(crate) struct Arrivals {
    /// There is something in the inbox.
    inbox: bool,
    /// Which of the others are ready, or dead.
    pub(crate) others: Vec<bool>,
    /// Clients that are gone.
    dead: Vec<ClientId>,
}
