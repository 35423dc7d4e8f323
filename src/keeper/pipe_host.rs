//! The keeper's pipes: the inbox, and two pipes for each client. No write here blocks: the bytes for a full
//! mailbox stay in memory until the pipe has room. A turn costs what is ready, however many clients there are.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::client_pipes::ClientPipes;
use super::{Host, Keeper, Observer};
use crate::catalogue::message;
use crate::clock::{Clock, Nanos};
use crate::os::{Interest, PollEvent, Poller, Readiness, Watched, wait_ready};
use crate::pipe::{MailboxWriter, PipePairName, QueueDir, ReadEnd, WriteBuffer};
use crate::queue::{ClientId, MAX_DELIVERY_BYTES};
use crate::wire::Reply;

/// A client with more unread bytes than this, and one reply more, counts as dead. The keeper owes a
/// client at most one batch and the replies to its outstanding requests, which are far fewer bytes.
const MAX_UNREAD_BYTES: usize = 64 << 20;

/// One read of the inbox.
const INBOX_READ_BYTES: usize = 64 * 1024;

/// The requests and the mailbox of a client are the same pipe.
#[derive(Debug, thiserror::Error)]
#[error("{}", message!("keeper-one-pipe"))]
struct OnePipe;

/// The inbox and the pipes of the clients.
#[derive(Debug)]
pub(crate) struct Pipes {
    pub(super) dir: QueueDir,
    pub(crate) inbox: ReadEnd,
    poller: Poller,
    clients: BTreeMap<ClientId, ClientPipes>,
    /// The clients with replies that are not flushed yet.
    unflushed: Vec<ClientId>,
    /// The clients whose mailbox has no reader, or takes nothing any more.
    broken: Vec<ClientId>,
    /// The clients whose requests are not read yet. A pipe that never had a writer is never ready.
    opened: Vec<ClientId>,
    /// Disconnected clients. The pipes of each are removed as soon as its mailbox has no unsent bytes.
    closing: Vec<ClientId>,
    /// What the poller watches beside the inbox and the clients.
    watched_others: Vec<Option<Interest>>,
    /// Closed while the keeper rejects a client for want of file descriptors: the reply needs one.
    spare_fd: Option<File>,
}

/// Another pipe that ends a wait, and when; none for a pipe that does not count at present. The number of others is
/// always the same.
pub(crate) type Other<'a> = (BorrowedFd<'a>, Option<Interest>);

/// The tokens of the poller: two for each client, and these.
const INBOX_TOKEN: u64 = u64::MAX;
const FIRST_OTHER_TOKEN: u64 = 1 << 63;

fn requests_token(client: ClientId) -> u64 {
    client as u64 * 2
}

fn mailbox_token(client: ClientId) -> u64 {
    client as u64 * 2 + 1
}

impl Pipes {
    /// Creates the inbox in `dir`.
    pub(crate) fn open(dir: QueueDir) -> io::Result<Self> {
        let inbox = ReadEnd::create_inbox(&dir)?;
        let poller = Poller::new()?;
        poller.change(INBOX_TOKEN, inbox.as_fd(), (None, Some(Interest::Read)))?;
        Ok(Self {
            spare_fd: File::open("/dev/null").ok(),
            dir,
            inbox,
            poller,
            clients: BTreeMap::new(),
            unflushed: Vec::new(),
            broken: Vec::new(),
            opened: Vec::new(),
            closing: Vec::new(),
            watched_others: Vec::new(),
        })
    }

    /// Unlinks and closes all mailboxes. The clients see the end of this keeper when the caller drops the rest.
    pub(crate) fn remove_mailboxes(&mut self) -> Vec<ReadEnd> {
        let clients = std::mem::take(&mut self.clients).into_values();
        let close = |ClientPipes { requests, mailbox, .. }| {
            MailboxWriter::unlink(mailbox);
            requests
        };
        clients.filter_map(close).collect()
    }

    /// Whether no client has pipes.
    pub(crate) fn has_no_clients(&self) -> bool {
        self.clients.is_empty()
    }

    /// Replaces all replies since the last [`Pipes::flush`] by `reply`, in every mailbox.
    pub(crate) fn replace_uncommitted(&mut self, reply: &Reply) {
        for (&client, pipes) in &mut self.clients {
            if !pipes.mailbox.is_paused {
                pipes.mailbox.unsent.discard_uncommitted();
                reply.write(&mut pipes.mailbox.unsent);
                self.unflushed.push(client);
            }
        }
    }

    /// Writes as much as the pipes take without blocking.
    pub(crate) fn flush(&mut self) {
        for client in std::mem::take(&mut self.unflushed) {
            self.flush_client(client);
        }
        let (clients, poller) = (&mut self.clients, &self.poller);
        self.closing.retain(|client| {
            let has_unsent =
                clients.get(client).is_some_and(|pipes| !pipes.mailbox.unsent.is_empty());
            if !has_unsent && let Some(pipes) = clients.remove(client) {
                pipes.remove(poller);
            }
            has_unsent
        });
    }

    fn flush_client(&mut self, client: ClientId) {
        let Some(pipes) = self.clients.get_mut(&client) else {
            return;
        };
        pipes.is_unflushed = false;
        let interest = match pipes.mailbox.flush() {
            Ok(true) => Interest::Hangup,
            Ok(false) => Interest::Write,
            Err(_) => return self.broken.push(client),
        };
        if pipes.watch_mailbox(&self.poller, mailbox_token(client), interest).is_err() {
            // Without a watch the keeper would never write the rest.
            self.broken.push(client);
        }
    }

    /// Waits until the inbox has bytes, a client has written or died, a full mailbox has room, one of `others` is
    /// ready or hung up, or the wall time is `until`.
    pub(crate) fn wait(
        &mut self,
        clock: Clock,
        until: Option<Nanos>,
        others: &[Other<'_>],
    ) -> io::Result<WaitOutcome> {
        self.watch_others(others)?;
        let timeout = if self.broken.is_empty() {
            until.map(|until| until.saturating_sub(clock.now()))
        } else {
            Some(0)
        };
        let events = self.poller.wait(timeout, || self.watched(others))?;
        let mut outcome = WaitOutcome {
            is_inbox_ready: false,
            others_ready: vec![false; others.len()],
            readable: Vec::new(),
            broken: std::mem::take(&mut self.broken),
        };
        for PollEvent { token, readiness } in events {
            match token {
                INBOX_TOKEN => outcome.is_inbox_ready = true,
                token if token >= FIRST_OTHER_TOKEN => {
                    if let Some(other) =
                        outcome.others_ready.get_mut((token - FIRST_OTHER_TOKEN) as usize)
                    {
                        *other = true;
                    }
                }
                token if token % 2 == 0 => outcome.readable.push(client_of(token)),
                token => self.handle_mailbox_event(client_of(token), readiness, &mut outcome),
            }
        }
        Ok(outcome)
    }

    fn handle_mailbox_event(
        &mut self,
        client: ClientId,
        readiness: Readiness,
        outcome: &mut WaitOutcome,
    ) {
        if readiness.is_hung_up {
            outcome.broken.push(client);
        } else {
            self.unflushed.push(client);
            self.flush();
        }
    }

    /// Tells the poller what has changed in the others since the last wait.
    fn watch_others(&mut self, others: &[Other<'_>]) -> io::Result<()> {
        self.watched_others.resize(others.len(), None);
        let watched = self.watched_others.iter_mut();
        for ((token, &(pipe, interest)), watched) in (FIRST_OTHER_TOKEN..).zip(others).zip(watched)
        {
            self.poller.change(token, pipe, (*watched, interest))?;
            *watched = interest;
        }
        Ok(())
    }

    /// All pipes that the poller watches, for systems where the poller does not know them.
    fn watched<'a>(&'a self, others: &[Other<'a>]) -> Vec<Watched<'a>> {
        let mut watched = vec![(INBOX_TOKEN, self.inbox.as_fd(), Interest::Read)];
        let others = (FIRST_OTHER_TOKEN..).zip(others);
        watched.extend(others.filter_map(|(token, other)| Some((token, other.0, other.1?))));
        for (&client, pipes) in &self.clients {
            if let Some(requests) = pipes.watched_requests() {
                watched.push((requests_token(client), requests.as_fd(), Interest::Read));
            }
            if let Some(interest) = pipes.mailbox_interest {
                watched.push((mailbox_token(client), pipes.mailbox.as_fd(), interest));
            }
        }
        watched
    }

    fn open_requests(&self, client: ClientId, name: &PipePairName) -> io::Result<ReadEnd> {
        let requests = ReadEnd::open_requests(&self.dir, &name.requests())?;
        let interest = (None, Some(Interest::Read));
        self.poller.change(requests_token(client), requests.as_fd(), interest)?;
        Ok(requests)
    }
}

fn is_same_pipe(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> io::Result<bool> {
    let (one, other) = (rustix::fs::fstat(one)?, rustix::fs::fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

fn client_of(token: u64) -> ClientId {
    // The token was made of the number of a client.
    (token / 2) as ClientId
}

/// A host with real pipes.
#[derive(Debug)]
pub(crate) struct PipeHost<W> {
    pub(crate) pipes: Pipes,
    pub(crate) observer: W,
}

impl<W: Observer> PipeHost<W> {
    /// Passes what has arrived to the keeper: one read of each pipe, so that no client delays another one for
    /// long. The requests that a client wrote before its death count.
    pub(crate) fn process_arrivals(
        &mut self,
        keeper: &mut Keeper,
        clock: Clock,
        arrivals: &WaitOutcome,
    ) -> io::Result<()> {
        for &client in &arrivals.readable {
            self.read_once(keeper, clock, client)?;
        }
        for &client in &arrivals.broken {
            self.read_to_end(keeper, clock, client)?;
            self.remove_dead(keeper, clock, client);
        }
        if arrivals.is_inbox_ready {
            self.read_inbox(keeper, clock)?;
        }
        Ok(())
    }

    fn read_once(&mut self, keeper: &mut Keeper, clock: Clock, client: ClientId) -> io::Result<()> {
        if self.read_requests(keeper, clock, client)? == ReadOutcome::Ended {
            self.remove_dead(keeper, clock, client);
        }
        Ok(())
    }

    fn remove_dead(&mut self, keeper: &mut Keeper, clock: Clock, client: ClientId) {
        if let Some(pipes) = self.pipes.clients.remove(&client) {
            pipes.remove(&self.pipes.poller);
            keeper.client_died(clock.now(), client, self);
        }
    }

    /// Passes the announcements that are in the inbox now to the keeper.
    pub(crate) fn read_inbox(&mut self, keeper: &mut Keeper, clock: Clock) -> io::Result<()> {
        let mut left = self.pipes.inbox.unread_bytes()?;
        let mut buffer = Vec::with_capacity(INBOX_READ_BYTES);
        while left > 0
            && let Some(read) = self.pipes.inbox.read(&mut buffer)?
        {
            keeper.receive_announcements(clock.now(), &buffer, self);
            buffer.clear();
            // The requests that the clients wrote before their announcements.
            for client in std::mem::take(&mut self.pipes.opened) {
                self.read_once(keeper, clock, client)?;
            }
            left = left.saturating_sub(read as u64);
        }
        Ok(())
    }

    /// Passes everything that a client wrote before its death to the keeper: what is in the pipe now. A client that
    /// has only closed its mailbox may write for ever.
    pub(crate) fn read_to_end(
        &mut self,
        keeper: &mut Keeper,
        clock: Clock,
        client: ClientId,
    ) -> io::Result<()> {
        let requests = self.pipes.clients.get(&client).and_then(|pipes| pipes.requests.as_ref());
        let mut left = requests.map_or(Ok(0), ReadEnd::unread_bytes)?;
        while left > 0
            && let ReadOutcome::Read(count) = self.read_requests(keeper, clock, client)?
        {
            left = left.saturating_sub(count as u64);
        }
        Ok(())
    }

    /// Reads once from the client's pipe.
    fn read_requests(
        &mut self,
        keeper: &mut Keeper,
        clock: Clock,
        client: ClientId,
    ) -> io::Result<ReadOutcome> {
        let requests =
            self.pipes.clients.get_mut(&client).and_then(|pipes| pipes.requests.as_mut());
        let (Some(requests), Some(buffer)) = (requests, keeper.read_buffer(client)) else {
            return Ok(ReadOutcome::Empty);
        };
        match requests.read(buffer)? {
            None => Ok(ReadOutcome::Empty),
            Some(0) => Ok(ReadOutcome::Ended),
            Some(count) => {
                if keeper.receive(clock.now(), client, count, self)
                    && let Some(pipes) = self.pipes.clients.get_mut(&client)
                    && let Some(requests) = &mut pipes.requests
                {
                    requests.widen(MAX_DELIVERY_BYTES);
                }
                Ok(ReadOutcome::Read(count))
            }
        }
    }
}

/// What a read of a client's pipe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadOutcome {
    /// This many bytes.
    Read(usize),
    /// Nothing for now.
    Empty,
    /// The death of the client.
    Ended,
}

impl<W: Observer> Host for PipeHost<W> {
    type Observer = W;

    fn observer(&mut self) -> &mut W {
        &mut self.observer
    }

    fn open_pipes(&mut self, client: ClientId, name: &PipePairName) -> io::Result<()> {
        let mailbox = MailboxWriter::open(&self.pipes.dir, &name.mailbox())?;
        let requests = self.pipes.open_requests(client, name)?;
        if is_same_pipe(requests.as_fd(), mailbox.as_fd())? {
            // The keeper would read its own replies.
            return Err(io::Error::other(OnePipe));
        }
        self.pipes.clients.insert(client, ClientPipes::new(Some(requests), mailbox));
        self.pipes.opened.push(client);
        Ok(())
    }

    fn reopen_mailbox(&mut self, client: ClientId, name: &PipePairName) -> io::Result<bool> {
        let Some(mailbox) = MailboxWriter::open_paused(&self.pipes.dir, &name.mailbox())? else {
            return Ok(false);
        };
        let mut pipes = ClientPipes::new(None, mailbox);
        // Until the client resumes, only its mailbox shows its death.
        pipes.watch_mailbox(&self.pipes.poller, mailbox_token(client), Interest::Hangup)?;
        self.pipes.clients.insert(client, pipes);
        Ok(true)
    }

    fn resume_pipes(&mut self, client: ClientId, name: &PipePairName) -> io::Result<()> {
        let requests = self.pipes.open_requests(client, name)?;
        if let Some(pipes) = self.pipes.clients.get_mut(&client) {
            pipes.requests = Some(requests);
            pipes.mailbox.is_paused = false;
            self.pipes.opened.push(client);
        }
        Ok(())
    }

    fn reject_connection(&mut self, name: &PipePairName, mail: WriteBuffer) {
        self.pipes.spare_fd = None;
        if let Ok(mut mailbox) = MailboxWriter::open(&self.pipes.dir, &name.mailbox()) {
            mailbox.unsent = mail;
            let _ = mailbox.flush();
        }
        self.pipes.spare_fd = File::open("/dev/null").ok();
    }

    fn output(&mut self, client: ClientId) -> Option<&mut WriteBuffer> {
        let pipes = self.pipes.clients.get_mut(&client).filter(|pipes| !pipes.mailbox.is_paused)?;
        let had_overflowed = pipes.mailbox.has_overflowed;
        if !pipes.mailbox.accepts_more(MAX_UNREAD_BYTES) {
            if !had_overflowed {
                self.pipes.broken.push(client);
            }
            return None;
        }
        if !std::mem::replace(&mut pipes.is_unflushed, true) {
            self.pipes.unflushed.push(client);
        }
        Some(&mut pipes.mailbox.unsent)
    }

    fn is_client_dead(&self, client: ClientId) -> bool {
        let is_dead = |pipes: &ClientPipes| {
            let states = wait_ready(&[(pipes.mailbox.as_fd(), Interest::Hangup)], Some(0));
            states.is_ok_and(|states| states.iter().any(|state| state.is_hung_up))
        };
        self.pipes.clients.get(&client).is_some_and(is_dead)
    }

    fn close_pipes(&mut self, client: ClientId) {
        if let Some(pipes) = self.pipes.clients.get_mut(&client) {
            pipes.ignore_requests(&self.pipes.poller);
        }
        self.pipes.closing.push(client);
    }
}

impl WaitOutcome {
    /// Whether the wait ended with no arrival.
    pub(crate) fn timed_out(&self) -> bool {
        !self.is_inbox_ready
            && self.readable.is_empty()
            && self.broken.is_empty()
            && !self.others_ready.contains(&true)
    }
}

/// How a wait ended.
#[derive(Debug)]
pub(crate) struct WaitOutcome {
    is_inbox_ready: bool,
    /// Which of the other descriptors are ready or hung up, in their order.
    pub(crate) others_ready: Vec<bool>,
    /// The clients that have written or died.
    readable: Vec<ClientId>,
    /// The clients whose mailbox has no reader, or takes nothing any more.
    broken: Vec<ClientId>,
}
