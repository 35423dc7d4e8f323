//! One conversation of a client with the server, over one connection.
//!
//! There is one call at a time. The requests that arrive during a call become the next call: so a busy client makes
//! few and large calls, and after a loss exactly one call is uncertain.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Future, pending};
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::time::sleep;

use super::connection::{Caller, Connection, Push};
use super::conversation::Shared;
use super::durability::{Durability, DurabilityReport, WAIT_SLICE};
use super::error::{CallError, ServerError};
use super::hello::end_told;
use super::request_stream::RequestStream;
use super::side_beats::SideBeats;
use super::stream::Traffic;
use crate::catalogue::message;
use crate::clock::Nanos;

/// The server hears of a client at least this often.
pub(super) const BEAT_INTERVAL: Duration = Duration::from_secs(1);
/// A person learns that there is no connection, or that a call has no answer, for this time.
pub(super) const NOTICE_DELAY: Duration = Duration::from_secs(1);
/// The bridge reads no more requests while whole requests of this many bytes wait for the next call.
const MAX_WAITING_BYTES: usize = 512 * 1024;
/// How many bytes one read of the client's requests takes at most.
const READ_BYTES: usize = 256 * 1024;

/// A client that has not read this many bytes of replies counts as dead, as a keeper's client does.
const MAX_UNREAD_BYTES: usize = 64 << 20;

/// In the first byte of a message: the message accepts items, and the queue has `sync`.
const ACCEPTS_WITH_SYNC: u8 = 1;
/// In the first byte of a message: the message tells the end of the queue.
const TELLS_END: u8 = 2;

type Call = Pin<Box<dyn Future<Output = Result<Called, CallError>> + Send>>;

/// What a call was for.
enum Called {
    /// This number of the client's requests.
    Requests(u64),
    /// A hello alone: a server that hangs may still welcome its clients.
    Hello,
    /// The server keeps accepted items on its disk.
    Found(Durability),
    /// Everything before the call is durable, with that many of the undurable messages.
    Durability(Durability, DurabilityReport, usize),
}

/// What is known before a conversation begins.
#[derive(Clone, Copy, Default)]
pub(super) struct Expected {
    /// The client may put.
    pub(super) may_put: bool,
    /// No put is sent before the welcome: the server has no append-only file, and the queue may need one.
    pub(super) holds_puts: bool,
    pub(super) durability: Option<Durability>,
}

/// A call under way.
struct Running {
    call: Call,
    /// When it began.
    begin: Nanos,
    /// A person is told when no byte has moved for this time.
    notice_delay: Duration,
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
    /// How many bytes both have.
    unread_bytes: usize,
    expected: Expected,
    /// The bridge had sent requests of the client before the last call.
    had_sent: bool,
    /// The server has answered the hello.
    is_welcomed: bool,
    /// The queue accepts an item when it is durable.
    has_sync: bool,
    /// Requests of the bridge's own, for the next call.
    own_requests: Vec<u8>,
    /// For how long the server had been silent when a call failed.
    silent_for: Duration,
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
        let accepts = has(b"\"accepted\":[[") && self.is_of_queue_with_sync();
        if let Some(flags) = self.bytes.first_mut().filter(|_| accepts) {
            *flags |= ACCEPTS_WITH_SYNC;
        }
    }

    /// Whether this is the welcome of a queue with `sync`.
    fn is_of_queue_with_sync(&self) -> bool {
        let line = self.rest().split(|&byte| byte == b'\n').next().unwrap_or_default();
        memchr::memmem::find(line, b"\"sync\":true").is_some()
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
            unread_bytes: 0,
            expected: Expected::default(),
            had_sent: false,
            is_welcomed: false,
            has_sync: false,
            own_requests: Vec::new(),
            silent_for: Duration::ZERO,
            called_requests: 0,
            handled_requests: 0,
        })
    }

    pub(super) fn is_welcomed(&self) -> bool {
        self.is_welcomed
    }

    /// For how long the server had been silent when the conversation ended.
    pub(super) fn silent_for(&self) -> Duration {
        self.silent_for
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
        expected: Expected,
        beats: &SideBeats,
        shared: &Shared,
    ) -> End {
        self.expected = expected;
        self.had_sent = shared.lock().has_sent;
        self.own_requests = hello;
        // The client has written its first requests before it began the conversation.
        self.read_requests();
        let traffic = Arc::clone(&connection.caller.traffic);
        let mut running: Option<Running> = None;
        let mut beat = Box::pin(sleep(BEAT_INTERVAL));
        let mut is_beat_due = false;
        let mut meanwhile: Option<Pin<Box<dyn Future<Output = Infallible> + Send>>> = None;
        loop {
            self.deliver();
            if self.unread_bytes > MAX_UNREAD_BYTES {
                return End::Refused(ServerError::Unread);
            }
            if running.is_none() {
                connection.caller.limit = beats.settings.answer_timeout_after(shared.away_for());
                running = self.next_call(&connection.caller, is_beat_due, shared);
                is_beat_due = false;
                if running.is_none() && self.is_closed {
                    return End::Left;
                }
                meanwhile =
                    running.as_ref().map(|running| -> Pin<Box<dyn Future<Output = _> + Send>> {
                        Box::pin(wait_for_call(running, &traffic, beats, shared))
                    });
            }
            let is_idle = running.is_none();
            let ended = async {
                match &mut running {
                    Some(running) => (running.call.as_mut().await, running.begin),
                    None => pending().await,
                }
            };
            let waiting = async {
                match &mut meanwhile {
                    Some(meanwhile) => meanwhile.as_mut().await,
                    None => pending().await,
                }
            };
            let may_read = !self.is_closed && self.unsent.complete_bytes() < MAX_WAITING_BYTES;
            tokio::select! {
                biased;
                (called, begin) = ended => {
                    if let Err(error) = self.finish_call(called, connection, shared) {
                        self.silent_for = traffic.quiet_since(begin).min(connection.caller.limit);
                        return error.into();
                    }
                    running = None;
                    beat = Box::pin(sleep(BEAT_INTERVAL));
                }
                push = connection.next_push() => match push {
                    Push::Message(bytes) => self.take_message(bytes),
                    Push::Lost => {
                        let error = connection.caller.silent(message!("server-connection-ended"));
                        return End::Lost(error);
                    }
                },
                _ = self.requests.readable(), if may_read => self.read_requests(),
                _ = self.mailbox.writable(), if !self.undelivered.is_empty() => {}
                never = waiting => match never {},
                () = &mut beat, if is_idle => is_beat_due = true,
            }
        }
    }

    fn finish_call(
        &mut self,
        called: Result<Called, CallError>,
        connection: &mut Connection,
        shared: &Shared,
    ) -> Result<(), CallError> {
        if matches!(called, Err(CallError::Fatal(_))) {
            // The server has done nothing of the call.
            shared.lock().has_sent = self.had_sent;
        }
        match called? {
            Called::Hello => connection.caller.was_connected = true,
            Called::Requests(count) => {
                self.called_requests += count;
                self.had_sent = true;
                connection.caller.was_connected = true;
                shared.tell_answer();
            }
            Called::Found(durability) => self.expected.durability = Some(durability),
            Called::Durability(durability, report, messages) => {
                self.expected.durability = Some(durability);
                shared.set_durability(report);
                shared.tell_answer();
                self.release_durable(messages);
            }
        }
        Ok(())
    }

    /// Whether replies wait until items are durable.
    fn has_undurable(&self) -> bool {
        self.undurable.iter().any(|message| message.has_flag(ACCEPTS_WITH_SYNC))
    }

    /// The next call, if there is something to send or to wait for.
    fn next_call(
        &mut self,
        caller: &Caller,
        is_beat_due: bool,
        shared: &Shared,
    ) -> Option<Running> {
        let begin = caller.traffic.now();
        let running = |call, notice_delay| Some(Running { call, begin, notice_delay });
        let caller = caller.clone();
        if self.has_undurable() {
            let (durability, messages) = (self.expected.durability, self.undurable.len());
            let call = Box::pin(async move {
                // The server waits for the writes of this connection. The items of a message may be another client's
                // write, and this empty call comes after it.
                caller.call(Vec::new()).await?;
                let durability = match durability {
                    Some(durability) => durability,
                    None => Durability::find(&caller).await?,
                };
                let report = durability.wait(&caller).await?;
                Ok(Called::Durability(durability, report, messages))
            });
            // A disk or a replica may take its time.
            return running(call, WAIT_SLICE + NOTICE_DELAY);
        }
        if self.has_sync && self.expected.may_put && self.expected.durability.is_none() {
            // The server may have lost its append-only file since the queue has `sync`.
            let call = Box::pin(async move { Durability::find(&caller).await.map(Called::Found) });
            return running(call, NOTICE_DELAY);
        }
        let mut requests = std::mem::take(&mut self.own_requests);
        let (mut is_hello, mut count) = (requests.starts_with(b"hello "), 0);
        if self.is_welcomed || !self.expected.holds_puts {
            let (mut of_client, client_count) = self.unsent.take();
            if !of_client.is_empty() {
                let Some(had_sent) = shared.begin_sending() else {
                    (self.is_closed, self.has_left) = (true, true);
                    return None;
                };
                (self.had_sent, is_hello, count) = (had_sent, false, client_count);
            }
            requests.append(&mut of_client);
            self.has_left |= self.unsent.ends_with_bye();
        }
        if requests.is_empty() && self.is_closed && !self.has_left {
            self.has_left = true;
            requests.extend_from_slice(b"died\n");
        }
        if requests.is_empty() && !is_beat_due {
            return None;
        }
        let called = if is_hello { Called::Hello } else { Called::Requests(count) };
        running(Box::pin(async move { caller.call(requests).await.map(|()| called) }), NOTICE_DELAY)
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
            self.has_sync = message.is_of_queue_with_sync();
        }
        self.unread_bytes += message.rest().len();
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
                Ok(count) => {
                    message.delivered_bytes += count;
                    self.unread_bytes -= count;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The client does not read any more: it leaves.
                Err(_) => {
                    (self.unread_bytes, self.undelivered, self.undurable) = Default::default();
                    return;
                }
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

/// What a bridge does while a call is under way: tells a person when nothing moves, and keeps the client alive.
fn wait_for_call<'a>(
    running: &Running,
    traffic: &'a Traffic,
    beats: &'a SideBeats,
    shared: &'a Shared,
) -> impl Future<Output = Infallible> + Send + use<'a> {
    let (begin, delay) = (running.begin, running.notice_delay);
    let tell_silence = async move {
        loop {
            let left = delay.saturating_sub(traffic.quiet_since(begin));
            if left.is_zero() {
                shared.tell_silence();
            }
            sleep(if left.is_zero() { delay } else { left }).await;
        }
    };
    async move { tokio::join!(beats.run(), tell_silence).0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_count_as_unread_until_they_are_in_the_mailbox() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(async {
            let (requests, _requests_writer) = rustix::pipe::pipe().unwrap();
            let (reader, mailbox) = rustix::pipe::pipe().unwrap();
            for end in [&requests, &mailbox] {
                rustix::io::ioctl_fionbio(end, true).unwrap();
            }
            let mut talk = Talk::open(requests, mailbox).unwrap();
            talk.mailbox.writable().await.unwrap();
            talk.take_message(b"0welcome {}\n".to_vec());
            talk.deliver();
            assert_eq!(talk.unread_bytes, 0);
            while talk.unread_bytes == 0 {
                talk.take_message(vec![b'0'; 4097]);
                talk.deliver();
            }
            let unread = talk.unread_bytes;
            talk.take_message(vec![b'1'; 101]);
            assert_eq!(talk.unread_bytes, unread + 100, "what is not durable is unread too");
            drop(reader);
            talk.mailbox.writable().await.unwrap();
            talk.deliver();
            assert_eq!(talk.unread_bytes, 0);
        });
    }
}
