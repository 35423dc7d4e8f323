//! Connecting to a server, and connecting again after a loss.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use super::error::open_error;
use super::session::{LastConversation, Loss, Session};
use super::timeout::{Deadline, SilenceLimit};
use super::transport::Transport;
use super::{Client, Error, QueueBuilder, process};
use crate::catalogue::message;
use crate::clock::{Nanos, ProcessBirth};
use crate::os::Interest;
use crate::pipe::{ReadEnd, RequestSender};
use crate::role::Role;
use crate::server::{
    Conversation, DurabilityReport, HelloExtras, Needs, ServerLink, ServerSettings, hello_line,
};
use crate::wire::{ClientKey, DEFAULT_MAX_ITEM_BYTES, ErrorCode, Hello};

/// The largest item on a server, in bytes of JSON. By its default settings, a server closes the connection of a client
/// that it has to send more than 32 MiB.
const MAX_SERVER_ITEM_BYTES: u64 = 16 << 20;

impl QueueBuilder {
    pub(super) fn on_server(mut self, settings: ServerSettings) -> Self {
        self.server = Some(settings);
        self
    }

    /// Makes a client of a queue on a server.
    pub(super) fn open_on_server(self, announces: bool) -> Result<Client, Error> {
        let timeout = self.timeout;
        let mut client = self.make_server_client(false)?;
        if announces {
            client.complete_connect()?;
        }
        client.silence_limit = SilenceLimit::PerWait(timeout);
        Ok(client)
    }

    /// Makes a client of a queue that exists on a server.
    pub(super) fn open_existing_on_server(self) -> Result<Option<Client>, Error> {
        let timeout = self.timeout;
        let mut client = self.make_server_client(true)?;
        match client.complete_connect() {
            Err(error) if error.is_refusal(ErrorCode::Missing) => Ok(None),
            Err(error) => Err(error),
            Ok(()) => {
                client.silence_limit = SilenceLimit::PerWait(timeout);
                Ok(Some(client))
            }
        }
    }

    /// Makes a client that has not connected yet.
    fn make_server_client(mut self, only_existing: bool) -> Result<Client, Error> {
        let max_item_bytes = self.hello.max_item_bytes.unwrap_or(DEFAULT_MAX_ITEM_BYTES);
        self.hello.max_item_bytes = Some(max_item_bytes.min(MAX_SERVER_ITEM_BYTES));
        let Some(settings) = &self.server else { return Err(Error::KeeperGone) };
        let failed = |error| open_error(message!("error-no-client-key"))(io::Error::other(error));
        let key = ClientKey::random().map_err(failed)?;
        let place = PathBuf::from(format!("{}/{}", settings.url, self.name));
        let birth = match self.hello.role {
            Role::Consumer => process::consumer_birth(&place),
            _ => ProcessBirth::of_this_process(),
        };
        let session = Session::new(key, Hello { birth, ..self.hello.clone() });
        let (requests, mailbox, far_ends) = make_pipes()?;
        let link = ServerLink::start(settings, &self.name, key, self.notify.clone())
            .map_err(open_error(message!("error-no-server-thread")))?;
        let far_ends = Some(far_ends);
        let transport = Transport::Server { link, far_ends, place, only_existing };
        let limit = SilenceLimit::Until(Deadline::new(self.timeout));
        Ok(Client::new(self, transport, (requests, mailbox), session, limit))
    }
}

/// The far ends of the requests and of the mailbox.
type FarEnds = (OwnedFd, OwnedFd);

fn make_pipes() -> Result<(RequestSender, ReadEnd, FarEnds), Error> {
    let (requests, requests_reader) = RequestSender::unnamed().map_err(Error::Pipe)?;
    let (mailbox, mailbox_writer) = ReadEnd::unnamed_mailbox().map_err(Error::Pipe)?;
    Ok((requests, mailbox, (requests_reader, mailbox_writer)))
}

impl Client {
    /// Begins a conversation with the server, if this client has not begun one.
    pub(super) fn announce_to_server(&mut self) -> Result<(), Error> {
        self.requests.write(self.session.unsent()).map_err(Error::Pipe)?;
        let Transport::Server { link, far_ends, only_existing, .. } = &mut self.transport else {
            return Ok(());
        };
        if let (Some((requests, mailbox)), Some(settings)) = (far_ends.take(), &self.options.server)
        {
            let hello = self.session.hello();
            let extras = HelloExtras {
                dead_after: settings.dead_after,
                queue_id: self.session.queue_id(),
                only_existing: *only_existing,
            };
            let keeps_items = self.options.may_put && hello.role != Role::Consumer;
            let needs = Needs { sync: hello.sync, keeps_items };
            link.begin(Conversation {
                hello: hello_line(hello, &extras),
                needs,
                requests,
                mailbox,
            });
        }
        self.is_announced = true;
        Ok(())
    }

    /// Connects to the server again, and sends the unanswered requests.
    ///
    /// # Errors
    /// What the server has refused. The next operation tries again, and leaves out what was refused.
    pub(super) fn reconnect_to_server(&mut self) -> Result<(), Error> {
        if let Some(seq) = self.session.drop_refused() {
            self.last_answered_seq = self.last_answered_seq.max(seq);
            self.cancel_pending_since = None;
        }
        loop {
            if let Some(error) = self.server_link().and_then(ServerLink::take_refusal) {
                self.session.mark_refused();
                return Err(Error::from(error));
            }
            if self.server_patience() == Some(0) {
                return Err(self.server_error());
            }
            let last = self.server_link().map(|link| {
                let (handled_requests, last_answer) = link.last_conversation();
                LastConversation { was_with_server: true, handled_requests, last_answer }
            });
            self.session.resume(last.unwrap_or_default());
            let (requests, mailbox, new_far_ends) = make_pipes()?;
            (self.requests, self.mailbox) = (requests, mailbox);
            if let Transport::Server { far_ends, .. } = &mut self.transport {
                *far_ends = Some(new_far_ends);
            }
            (self.is_announced, self.is_welcomed) = (false, false);
            match self.wait_for_server() {
                Err(Error::KeeperGone) => {}
                other => return other,
            }
        }
    }

    /// Announces this client to its server, and waits for the welcome.
    pub(super) fn wait_for_server(&mut self) -> Result<(), Error> {
        self.announce_to_server()?;
        let limit = self.silence_limit.wait_deadline();
        while !self.is_welcomed {
            let left = [limit.remaining(), self.server_patience()];
            let mailbox = [(self.mailbox.as_fd(), Interest::Read)];
            let is_lost = self.wait_or_keeper_death(&mailbox, left.into_iter().flatten().min())?;
            if self.read_mailbox()? == 0 && is_lost {
                return Err(Error::KeeperGone);
            }
            if self.is_welcomed {
                break;
            }
            self.check_disconnect_error()?;
            if limit.remaining() == Some(0) {
                return Err(self.no_answer_error());
            }
            if self.server_patience() == Some(0) {
                return Err(self.server_error());
            }
        }
        if self.session.is_put_unknown() {
            return Err(self.no_answer_error());
        }
        self.write_pending()
    }

    fn server_link(&self) -> Option<&ServerLink> {
        match &self.transport {
            Transport::Server { link, .. } => Some(link),
            Transport::Local { .. } => None,
        }
    }

    /// Whether a server keeps the queue.
    pub(crate) fn is_on_server(&self) -> bool {
        self.server_link().is_some()
    }

    /// What `--sync` has reached on a server, for people.
    pub(crate) fn sync_report(&self) -> Option<String> {
        let DurabilityReport { reached_replicas, replicas } = self.server_link()?.durability()?;
        Some(match replicas {
            0 => message!("server-synced"),
            n => message!("server-synced-replicas", reached = reached_replicas, replicas = n),
        })
    }

    /// Tells of what a person should know of the server.
    pub(super) fn report_warning(&self) {
        if let Some(warning) = self.server_link().and_then(ServerLink::take_warning) {
            self.notify(&warning);
        }
    }

    /// Tells of what the server has forgotten. The next put returns an error if it was items of this client.
    pub(super) fn report_loss(&mut self) {
        let is_on_server = self.is_on_server();
        if let Some(Loss { items }) = self.session.take_loss().filter(|_| is_on_server) {
            self.lost_items += items;
            self.notify(&message!("server-loss", items = items));
        }
    }

    pub(super) fn notify(&self, text: &str) {
        if let Some(notify) = &self.options.notify {
            notify.tell(text);
        }
    }

    /// How much longer the client waits; none for ever. The server is away until it takes a call, however often it
    /// welcomes the client.
    fn server_patience(&self) -> Option<Nanos> {
        let patience = self.options.server.as_ref().and_then(|settings| settings.patience)?;
        Some(patience.saturating_sub(self.server_link().map_or(0, ServerLink::away_for)))
    }

    /// Why the server is silent, for people.
    pub(super) fn server_silence(&self) -> String {
        self.server_link().map(|link| link.silence().to_string()).unwrap_or_default()
    }

    /// The error for a server that has not answered within the client's patience.
    fn server_error(&self) -> Error {
        self.server_link().map_or(Error::KeeperGone, |link| link.silence().into())
    }
}
