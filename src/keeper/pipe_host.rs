//! The keeper's pipes: one inbox, and one mailbox for each client. No write here blocks: the bytes for a
//! full mailbox stay in memory until the pipe has room.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::{Host, Keeper, Observer};
use crate::clock::{Clock, Nanos};
use crate::os::{Interest, wait_ready};
use crate::pipe::{MailboxWriter, QueueDir, ReadEnd};
use crate::queue::{ClientId, MAX_DELIVERY_BYTES};
use crate::wire::Reply;

/// A client with more unread bytes than this, and one reply more, counts as dead. The keeper owes a
/// client at most one batch and the replies to its outstanding requests, which are far fewer bytes.
const MAX_UNREAD_BYTES: usize = 64 << 20;

/// The size of the inbox and of one read. A read wakes all writers that wait at a full inbox, so each writer
/// should find room for several writes. In a larger inbox `done` and `get` would wait longer behind other
/// requests.
const INBOX_BYTES: usize = MAX_DELIVERY_BYTES;

/// The inbox and the mailboxes of a keeper.
#[derive(Debug)]
pub(crate) struct Pipes {
    pub(super) dir: QueueDir,
    pub(crate) inbox: ReadEnd,
    mailboxes: BTreeMap<ClientId, MailboxWriter>,
    /// Disconnected clients. The mailbox of each is removed as soon as it has no unsent bytes.
    closing: Vec<ClientId>,
    read_buffer: Vec<u8>,
    /// Closed while the keeper rejects a client for want of file descriptors: the reply needs one.
    spare_fd: Option<File>,
}

impl Pipes {
    /// Creates the inbox in `dir`.
    pub(crate) fn open(dir: QueueDir) -> io::Result<Self> {
        let inbox = ReadEnd::create_inbox(&dir, INBOX_BYTES)?;
        Ok(Self {
            spare_fd: File::open("/dev/null").ok(),
            dir,
            inbox,
            mailboxes: BTreeMap::new(),
            closing: Vec::new(),
            read_buffer: vec![0; INBOX_BYTES],
        })
    }

    /// Unlinks and closes all mailboxes.
    pub(crate) fn remove_mailboxes(&mut self) {
        std::mem::take(&mut self.mailboxes).into_values().for_each(MailboxWriter::unlink);
    }

    /// Whether no client has a mailbox.
    pub(crate) fn has_no_mailboxes(&self) -> bool {
        self.mailboxes.is_empty()
    }

    /// Replaces all replies since the last [`Pipes::flush`] by `reply`, in every mailbox.
    pub(crate) fn replace_uncommitted(&mut self, reply: &Reply) {
        for mailbox in self.mailboxes.values_mut().filter(|mailbox| !mailbox.is_paused) {
            mailbox.discard_uncommitted();
            reply.write(mailbox.buffer_mut());
        }
    }

    /// Writes as much as the pipes take without blocking.
    pub(crate) fn flush(&mut self) {
        for mailbox in self.mailboxes.values_mut() {
            mailbox.commit();
            // `wait` reports a client that no longer reads.
            let _ = mailbox.flush();
        }
        let mailboxes = &mut self.mailboxes;
        self.closing.retain(|client| {
            let unsent = mailboxes.get(client).is_some_and(|mailbox| mailbox.unsent_bytes() > 0);
            if !unsent && let Some(mailbox) = mailboxes.remove(client) {
                mailbox.unlink();
            }
            unsent
        });
    }

    /// Waits until the inbox has bytes, a client dies, a full mailbox has room, one of `others` is ready
    /// or hung up, or the wall time is `until`.
    pub(crate) fn wait(
        &mut self,
        clock: Clock,
        until: Option<Nanos>,
        others: &[(BorrowedFd<'_>, Interest)],
    ) -> io::Result<WaitOutcome> {
        // An overflowed mailbox is a dead client: there is nothing to wait for.
        let has_overflow = self.mailboxes.values().any(|mailbox| mailbox.has_overflowed);
        let timeout = if has_overflow {
            Some(0)
        } else {
            until.map(|until| until.saturating_sub(clock.now()))
        };
        let mut pipes = vec![(self.inbox.as_fd(), Interest::Read)];
        pipes.extend_from_slice(others);
        pipes.extend(self.mailboxes.values().map(|mailbox| match mailbox.unsent_bytes() {
            0 => (mailbox.as_fd(), Interest::Hangup),
            _ => (mailbox.as_fd(), Interest::Write),
        }));
        let states = wait_ready(&pipes, timeout)?;
        let (own, clients) = states.split_at(1 + others.len());
        let mailboxes = self.mailboxes.iter().zip(clients);
        let dead = mailboxes
            .filter(|((_, mailbox), state)| state.is_hung_up || mailbox.has_overflowed)
            .map(|((client, _), _)| *client);
        Ok(WaitOutcome {
            is_inbox_ready: own[0].is_ready,
            others_ready: own[1..].iter().map(|s| s.is_ready || s.is_hung_up).collect(),
            dead_clients: dead.collect(),
        })
    }
}

/// A host with real pipes.
#[derive(Debug)]
pub(crate) struct PipeHost<W> {
    pub(crate) pipes: Pipes,
    pub(crate) observer: W,
}

impl<W: Observer> PipeHost<W> {
    /// Passes the inbox's bytes and the dead clients to the keeper. The requests of a dead client count:
    /// the keeper gets all bytes that are in the inbox now before it learns of the death.
    pub(crate) fn process_arrivals(
        &mut self,
        keeper: &mut Keeper,
        clock: Clock,
        arrivals: &WaitOutcome,
    ) -> io::Result<()> {
        if arrivals.dead_clients.is_empty() {
            // One read. The next turn reads the rest.
            self.read_inbox(keeper, clock, u64::from(arrivals.is_inbox_ready))?;
        } else {
            self.read_pending(keeper, clock)?;
        }
        for &client in &arrivals.dead_clients {
            if let Some(mailbox) = self.pipes.mailboxes.remove(&client) {
                mailbox.unlink();
            }
            keeper.client_died(clock.now(), client, self);
        }
        Ok(())
    }

    /// Passes all bytes that are in the inbox now to the keeper.
    pub(crate) fn read_pending(&mut self, keeper: &mut Keeper, clock: Clock) -> io::Result<()> {
        let unread = self.pipes.inbox.unread_bytes()?;
        self.read_inbox(keeper, clock, unread)
    }

    /// Passes at least `min_bytes` of the inbox to the keeper, or all that the inbox has.
    fn read_inbox(&mut self, keeper: &mut Keeper, clock: Clock, min_bytes: u64) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.pipes.read_buffer);
        let mut taken = 0;
        while taken < min_bytes {
            let read = self.pipes.inbox.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            keeper.receive(clock.now(), &buffer[..read], self);
            taken += read as u64;
        }
        self.pipes.read_buffer = buffer;
        Ok(())
    }
}

impl<W: Observer> Host for PipeHost<W> {
    type Observer = W;

    fn observer(&mut self) -> &mut W {
        &mut self.observer
    }

    fn open_mailbox(&mut self, client: ClientId, mailbox: &str) -> io::Result<()> {
        let mailbox = MailboxWriter::open(&self.pipes.dir, mailbox)?;
        self.pipes.mailboxes.insert(client, mailbox);
        Ok(())
    }

    fn reopen_mailbox(&mut self, client: ClientId, mailbox: &str) -> io::Result<bool> {
        let mailbox = MailboxWriter::open_paused(&self.pipes.dir, mailbox)?;
        let found = mailbox.is_some();
        self.pipes.mailboxes.extend(mailbox.map(|mailbox| (client, mailbox)));
        Ok(found)
    }

    fn resume_mailbox(&mut self, client: ClientId) {
        if let Some(mailbox) = self.pipes.mailboxes.get_mut(&client) {
            mailbox.is_paused = false;
        }
    }

    fn reject_connection(&mut self, mailbox: &str, mail: &[u8]) {
        self.pipes.spare_fd = None;
        if let Ok(mut mailbox) = MailboxWriter::open(&self.pipes.dir, mailbox) {
            mailbox.buffer_mut().extend_from_slice(mail);
            mailbox.commit();
            let _ = mailbox.flush();
        }
        self.pipes.spare_fd = File::open("/dev/null").ok();
    }

    fn output_buffer(&mut self, client: ClientId) -> Option<&mut Vec<u8>> {
        let mailbox = self.pipes.mailboxes.get_mut(&client).filter(|mailbox| !mailbox.is_paused)?;
        mailbox.accepts_more(MAX_UNREAD_BYTES).then(|| mailbox.buffer_mut())
    }

    fn is_client_dead(&self, client: ClientId) -> bool {
        let is_dead = |mailbox: &MailboxWriter| {
            let states = wait_ready(&[(mailbox.as_fd(), Interest::Hangup)], Some(0));
            states.is_ok_and(|states| states.iter().any(|state| state.is_hung_up))
        };
        self.pipes.mailboxes.get(&client).is_some_and(is_dead)
    }

    fn close_mailbox(&mut self, client: ClientId) {
        self.pipes.closing.push(client);
    }
}

impl WaitOutcome {
    /// Whether the wait ended with no arrival.
    pub(crate) fn timed_out(&self) -> bool {
        !self.is_inbox_ready && self.dead_clients.is_empty() && !self.others_ready.contains(&true)
    }
}

/// How a wait ended.
#[derive(Debug)]
pub(crate) struct WaitOutcome {
    is_inbox_ready: bool,
    /// Which of the other descriptors are ready or hung up, in their order.
    pub(crate) others_ready: Vec<bool>,
    dead_clients: Vec<ClientId>,
}
