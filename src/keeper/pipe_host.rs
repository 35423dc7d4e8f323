//! The keeper's pipes: one inbox, and a mailbox for each client. Nothing here ever blocks on a
//! write: a mailbox that is full keeps its mail until there is room.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::{Event, Host, Keeper, Observer};
use crate::clock::{Clock, Nanos, ProcessBirth};
use crate::journal::Record;
use crate::os::{Interest, wait_ready};
use crate::pipe::{Inbox, MailboxWriter, QueueDir, WIDE_PIPE_BYTES};
use crate::queue::ClientId;
use crate::wire::Reply;

/// How much unread mail a client may let pile up before it counts as dead, besides one letter. It is
/// owed no more than one run and the answers to what it has underway, which is far less.
const MAX_UNREAD_BYTES: usize = 64 << 20;

/// The keeper's pipes.
#[derive(Debug)]
pub(crate) struct Pipes {
    dir: QueueDir,
    inbox: Inbox,
    mailboxes: BTreeMap<ClientId, MailboxWriter>,
    /// Clients that have left: their mailboxes go when they are written out.
    closing: Vec<ClientId>,
    read_buffer: Vec<u8>,
    /// Given up when there are no more file descriptors, so that a client can be told.
    spare_fd: Option<File>,
}

impl Pipes {
    /// Makes the inbox in this directory.
    pub(crate) fn open(dir: QueueDir) -> io::Result<Self> {
        let inbox = Inbox::create(&dir)?;
        let spare = File::open("/dev/null").ok();
        Ok(Self {
            spare_fd: spare,
            dir,
            inbox,
            mailboxes: BTreeMap::new(),
            closing: Vec::new(),
            read_buffer: vec![0; WIDE_PIPE_BYTES],
        })
    }

    /// Where the pipes are.
    pub(crate) fn dir(&self) -> &QueueDir {
        &self.dir
    }

    /// Takes the inbox's name away: no client comes any more.
    pub(crate) fn remove_inbox(&self) -> io::Result<()> {
        self.inbox.unlink()
    }

    /// Takes the names of all mailboxes away: nobody is to find them.
    pub(crate) fn remove_mailboxes(&mut self) {
        std::mem::take(&mut self.mailboxes).into_values().for_each(MailboxWriter::unlink);
    }

    /// Whether clients can still find the inbox.
    pub(crate) fn has_linked_inbox(&self) -> io::Result<bool> {
        self.inbox.is_linked()
    }

    /// Whether nobody has a mailbox here any more.
    pub(crate) fn has_no_mailboxes(&self) -> bool {
        self.mailboxes.is_empty()
    }

    /// See [`Host::turn_away`].
    fn reject_connection(&mut self, mailbox: &str, mail: &[u8]) {
        self.spare_fd = None;
        if let Ok(mut mailbox) = MailboxWriter::open(&self.dir, mailbox) {
            mailbox.buffer_mut().extend_from_slice(mail);
            mailbox.commit();
            let _ = mailbox.flush();
        }
        self.spare_fd = File::open("/dev/null").ok();
    }

    /// This is said to everybody, and not what was to be said since the last [`Post::flush`].
    pub(crate) fn replace_uncommitted(&mut self, reply: &Reply) {
        for mailbox in self.mailboxes.values_mut().filter(|mailbox| !mailbox.is_paused()) {
            mailbox.discard_uncommitted();
            reply.write(mailbox.buffer_mut());
        }
    }

    /// Writes what there is room for.
    pub(crate) fn flush(&mut self) {
        for mailbox in self.mailboxes.values_mut() {
            mailbox.commit();
            // A client that is gone is noticed when its death is polled.
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

    /// Waits until something arrives, somebody dies, there is room for mail, or `until`, and lets
    /// the keeper know. Tells which of the `others` are ready or dead.
    pub(crate) fn wait(
        &mut self,
        clock: Clock,
        until: Option<Nanos>,
        others: &[(BorrowedFd<'_>, Interest)],
    ) -> io::Result<WaitOutcome> {
        let most = match self.mailboxes.values().any(MailboxWriter::has_overflowed) {
            // That has happened already.
            true => Some(0),
            false => until.map(|until| until.saturating_sub(clock.now())),
        };
        let mut pipes = vec![(self.inbox.as_fd(), Interest::Read)];
        pipes.extend_from_slice(others);
        pipes.extend(self.mailboxes.values().map(|mailbox| match mailbox.unsent_bytes() {
            0 => (mailbox.as_fd(), Interest::Hangup),
            _ => (mailbox.as_fd(), Interest::Write),
        }));
        let states = wait_ready(&pipes, most)?;
        let (own, peers) = states.split_at(1 + others.len());
        let mailboxes = self.mailboxes.iter().zip(peers);
        let dead = mailboxes
            .filter(|((_, mailbox), state)| state.is_hung_up || mailbox.has_overflowed())
            .map(|((client, _), _)| *client);
        Ok(WaitOutcome {
            is_inbox_ready: own[0].is_ready,
            others_ready: own[1..].iter().map(|s| s.is_ready || s.is_hung_up).collect(),
            dead_clients: dead.collect(),
        })
    }
}

/// The world of a keeper whose pipes are real.
#[derive(Debug)]
pub(crate) struct PipeHost<W> {
    /// The pipes.
    pub(crate) pipes: Pipes,
    /// Whoever watches, and remembers the end.
    pub(crate) observer: W,
}

impl<W: Observer> PipeHost<W> {
    /// Lets the keeper read what arrived, and know who died. What a client wrote before its death
    /// counts: all that is in the inbox now is read first.
    pub(crate) fn process_arrivals(
        &mut self,
        keeper: &mut Keeper,
        clock: Clock,
        arrivals: &WaitOutcome,
    ) -> io::Result<()> {
        let waiting = match arrivals.dead_clients.is_empty() {
            // One read; the rest comes with the next turn.
            true => u64::from(arrivals.is_inbox_ready),
            false => self.pipes.inbox.unread_bytes()?,
        };
        self.read_inbox(keeper, clock, waiting)?;
        for &client in &arrivals.dead_clients {
            if let Some(mailbox) = self.pipes.mailboxes.remove(&client) {
                mailbox.unlink();
            }
            keeper.client_died(clock.now(), client, self);
        }
        Ok(())
    }

    /// Lets the keeper read all that is in the inbox now: what those wrote who are known to be dead.
    pub(crate) fn read_pending(&mut self, keeper: &mut Keeper, clock: Clock) -> io::Result<()> {
        let waiting = self.pipes.inbox.unread_bytes()?;
        self.read_inbox(keeper, clock, waiting)
    }

    /// Lets the keeper read at least so many bytes, if there are so many.
    fn read_inbox(&mut self, keeper: &mut Keeper, clock: Clock, waiting: u64) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.pipes.read_buffer);
        let mut taken = 0;
        while taken < waiting {
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
            mailbox.resume();
        }
    }

    fn reject_connection(&mut self, mailbox: &str, mail: &[u8]) {
        self.pipes.reject_connection(mailbox, mail);
    }

    fn output_buffer(&mut self, client: ClientId) -> Option<&mut Vec<u8>> {
        let mailbox =
            self.pipes.mailboxes.get_mut(&client).filter(|mailbox| !mailbox.is_paused())?;
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

    fn record_end(&mut self) -> io::Result<ProcessBirth> {
        self.observer.record_end()
    }

    fn on_event(&mut self, event: Event<'_>) {
        self.observer.on_event(event);
    }

    fn append_record(&mut self, record: &Record<'_>) {
        self.observer.append_record(record);
    }
}

impl WaitOutcome {
    /// Whether nothing at all has happened.
    pub(crate) fn is_empty(&self) -> bool {
        !self.is_inbox_ready && self.dead_clients.is_empty() && !self.others_ready.contains(&true)
    }
}

/// What a wait ended with.
#[derive(Debug)]
pub(crate) struct WaitOutcome {
    /// There is something in the inbox.
    is_inbox_ready: bool,
    /// Which of the others are ready, or dead.
    pub(crate) others_ready: Vec<bool>,
    /// Clients that are gone.
    dead_clients: Vec<ClientId>,
}
