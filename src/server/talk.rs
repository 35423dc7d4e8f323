//! One conversation of a client with the server, over one connection.
//!
//! There is one call at a time. The requests that arrive during a call become the next call: so a busy client makes
//! few and large calls, and after a loss exactly one call is uncertain.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::time::Duration;

use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::time::sleep;

use super::connection::{Caller, Connection, Push};
use super::conversation::Shared;
use super::durability::{Durability, DurabilityReport};
use super::error::{CallError, NO_ANSWER_YET, ServerError};
use super::hello::end_told;
use super::request_stream::RequestStream;

/// The server hears of a client at least this often.
pub(super) const BEAT_INTERVAL: Duration = Duration::from_secs(1);
/// A person learns that there is no connection, or that a call has no answer, for this time.
pub(crate) const NOTICE_DELAY: Duration = Duration::from_secs(1);
/// The bridge reads no more requests while whole requests of this many bytes wait for the next call.
const MAX_WAITING_BYTES: usize = 512 * 1024;
/// How many bytes one read of the client's requests takes at most.
const READ_BYTES: usize = 256 * 1024;

/// In the first byte of a message: the message accepts items, and the queue has `sync`.
const ACCEPTS_WITH_SYNC: u8 = 1;
/// In the first byte of a message: the message tells the end of the queue.
const TELLS_END: u8 = 2;

type Call = Pin<Box<dyn Future<Output = Result<Called, CallError>> + Send>>;

/// What a call was for.
enum Called {
    /// This number of the client's requests.
    Requests(u64),
    /// Everything before the call is durable, with that many of the undurable messages.
    Durability(Durability, DurabilityReport, usize),
}

/// How a conversation ended.
pub(super) enum End {
    /// The client has left, or has given up.
    Left,
    /// The connection is lost.
    Lost(ServerError),
    /// The server does not take what the client asks, and another connection does not help.
    Refused(ServerError),
}

impl From<CallError> for End {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Lost(error) | CallError::Moved { error, .. } => Self::Lost(error),
            CallError::Fatal(error) => Self::Refused(error),
        }
    }
}

/// The two pipes of a conversation, and what is on its way between them and the server.
pub(super) struct Talk {
    /// Declared before the mailbox, so that it closes first: the client takes its end for the keeper's death.
    requests: Receiver,
    mailbox: Sender,
    unsent: RequestStream,
    /// The client has closed its requests.
    is_closed: bool,
    /// The server knows that the client leaves.
    has_left: bool,
    /// Replies that are not in the mailbox yet.
    undelivered: VecDeque<Message>,
    /// Replies that wait until the server has the items that one of them accepts on its disk.
    undurable: VecDeque<Message>,
    durability: Option<Durability>,
    /// The server has answered the hello.
    is_welcomed: bool,
    /// Requests of the bridge's own, for the next call.
    own_requests: Vec<u8>,
    /// How many requests of the client were in calls that the server has answered; and how many of these the client has the
    /// replies of.
    called_requests: u64,
    handled_requests: u64,
}

/// Replies of the server.
struct Message {
    /// A byte of flags, and the replies.
    bytes: Vec<u8>,
    /// Up to here the bytes are in the mailbox.
    delivered_bytes: usize,
}

impl Message {
    fn has_flag(&self, flag: u8) -> bool {
        self.bytes.first().is_some_and(|flags| flags & flag != 0)
    }

    /// A welcome tells of items that were accepted before a loss: perhaps nobody has waited until they are durable.
    fn flag_accepted_before(&mut self) {
        let has = |text: &[u8]| memchr::memmem::find(self.rest(), text).is_some();
        let accepts = has(b"\"accepted\":[[") && has(b"\"sync\":true");
        if let Some(flags) = self.bytes.first_mut().filter(|_| accepts) {
            *flags |= ACCEPTS_WITH_SYNC;
        }
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.delivered_bytes..).unwrap_or_default()
    }
}

impl Talk {
    pub(super) fn open(requests: OwnedFd, mailbox: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            requests: Receiver::from_owned_fd_unchecked(requests)?,
            mailbox: Sender::from_owned_fd_unchecked(mailbox)?,
            unsent: RequestStream::default(),
            is_closed: false,
            has_left: false,
            undelivered: VecDeque::new(),
            undurable: VecDeque::new(),
            durability: None,
            is_welcomed: false,
            own_requests: Vec::new(),
            called_requests: 0,
            handled_requests: 0,
        })
    }

    pub(super) fn is_welcomed(&self) -> bool {
        self.is_welcomed
    }

    /// How many requests of the client the server has handled and the client has the replies of.
    pub(super) fn handled_requests(&self) -> u64 {
        self.handled_requests
    }

    /// Talks until the client leaves, the connection is lost, or the server refuses.
    pub(super) async fn run(
        &mut self,
        connection: &mut Connection,
        hello: Vec<u8>,
        durability: Option<Durability>,
        shared: &Shared,
    ) -> End {
        self.durability = durability;
        self.own_requests = hello;
        // The client has written its first requests before it began the conversation.
        self.read_requests();
        let mut call: Option<Call> = None;
        let mut beat = Box::pin(sleep(BEAT_INTERVAL));
        let mut is_beat_due = false;
        // A disk or a replica may take its time.
        let mut may_be_silent = true;
        let mut silence = Box::pin(sleep(NOTICE_DELAY));
        loop {
            self.deliver();
            if call.is_none() {
                call = self.next_call(&connection.caller, is_beat_due);
                is_beat_due = false;
                silence = Box::pin(sleep(NOTICE_DELAY));
                may_be_silent = call.is_none() || self.has_undurable();
                if call.is_none() && self.is_closed {
                    return End::Left;
                }
            }
            let is_idle = call.is_none();
            let ended = async {
                match &mut call {
                    Some(call) => call.await,
                    None => pending().await,
                }
            };
            let may_read = !self.is_closed && self.unsent.complete_bytes() < MAX_WAITING_BYTES;
            tokio::select! {
                biased;
                called = ended => {
                    match called {
                        Ok(Called::Requests(count)) => {
                            self.called_requests += count;
                            connection.caller.was_connected = true;
                            shared.tell_answer();
                        }
                        Ok(Called::Durability(durability, report, messages)) => {
                            self.durability = Some(durability);
                            shared.set_durability(report);
                            self.release_durable(messages);
                        }
                        Err(error) => return error.into(),
                    }
                    call = None;
                    beat = Box::pin(sleep(BEAT_INTERVAL));
                }
                push = connection.next_push() => match push {
                    Push::Message(bytes) => self.take_message(bytes),
                    Push::Lost => {
                        let error = connection.caller.silent("the connection has ended");
                        return End::Lost(error);
                    }
                },
                _ = self.requests.readable(), if may_read => self.read_requests(),
                _ = self.mailbox.writable(), if !self.undelivered.is_empty() => {}
                () = &mut silence, if !may_be_silent => {
                    may_be_silent = true;
                    shared.tell_silence(&connection.caller.silent(NO_ANSWER_YET));
                }
                () = &mut beat, if is_idle => is_beat_due = true,
            }
        }
    }

    /// Whether replies wait until items are durable.
    fn has_undurable(&self) -> bool {
        self.undurable.iter().any(|message| message.has_flag(ACCEPTS_WITH_SYNC))
    }

    /// The next call, if there is something to send or to wait for.
    fn next_call(&mut self, caller: &Caller, is_beat_due: bool) -> Option<Call> {
        let caller = caller.clone();
        if self.has_undurable() {
            let (durability, messages) = (self.durability, self.undurable.len());
            return Some(Box::pin(async move {
                // The server waits for the writes of this connection. The items of a message may be another client's
                // write, and this empty call comes after it.
                caller.call(Vec::new()).await?;
                let durability = match durability {
                    Some(durability) => durability,
                    None => Durability::find(&caller).await?,
                };
                let report = durability.wait(&caller).await?;
                Ok(Called::Durability(durability, report, messages))
            }));
        }
        let mut requests = std::mem::take(&mut self.own_requests);
        let (mut of_client, count) = self.unsent.take();
        requests.append(&mut of_client);
        self.has_left |= self.unsent.ends_with_bye();
        if requests.is_empty() && self.is_closed && !self.has_left {
            self.has_left = true;
            requests.extend_from_slice(b"died\n");
        }
        let is_call = !requests.is_empty() || is_beat_due;
        is_call.then(|| -> Call {
            Box::pin(async move { caller.call(requests).await.map(|()| Called::Requests(count)) })
        })
    }

    /// Reads what the client has written.
    fn read_requests(&mut self) {
        let buffer = self.unsent.read_buffer();
        buffer.reserve(READ_BYTES);
        match self.requests.try_read_buf(buffer) {
            Ok(0) => self.is_closed = true,
            Ok(_) => self.unsent.find_requests(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.is_closed = true,
        }
    }

    fn take_message(&mut self, bytes: Vec<u8>) {
        let mut message = Message { bytes, delivered_bytes: 1 };
        if !self.is_welcomed {
            self.is_welcomed = message.rest().starts_with(b"welcome ");
            // What was on its way to the client when it lost its connection comes again in another way.
            if !self.is_welcomed && !message.rest().starts_with(b"error ") {
                return;
            }
            message.flag_accepted_before();
        }
        if message.has_flag(TELLS_END) {
            self.own_requests.extend(end_told());
        }
        if message.has_flag(ACCEPTS_WITH_SYNC) || !self.undurable.is_empty() {
            self.undurable.push_back(message);
        } else {
            self.undelivered.push_back(message);
        }
    }

    /// The items of the first `count` undurable messages are durable.
    fn release_durable(&mut self, count: usize) {
        self.undelivered.extend(self.undurable.drain(..count.min(self.undurable.len())));
        while let Some(message) = self.undurable.pop_front() {
            if message.has_flag(ACCEPTS_WITH_SYNC) {
                return self.undurable.push_front(message);
            }
            self.undelivered.push_back(message);
        }
    }

    /// Takes what the server sent before the connection was lost.
    pub(super) fn take_last_messages(&mut self, connection: &mut Connection) {
        for message in connection.arrived_messages() {
            self.take_message(message);
        }
        // What the mailbox has no room for is lost, as with a keeper that dies.
        self.deliver();
    }

    /// Writes replies into the mailbox, as far as it has room.
    fn deliver(&mut self) {
        while let Some(message) = self.undelivered.front_mut() {
            match self.mailbox.try_write(message.rest()) {
                Ok(count) => message.delivered_bytes += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The client does not read any more: it leaves.
                Err(_) => return self.undelivered.clear(),
            }
            if message.rest().is_empty() {
                self.undelivered.pop_front();
            }
        }
        if self.undurable.is_empty() {
            self.handled_requests = self.called_requests;
        }
    }
}
