//! The bridge between a client's pipes and the server. It runs on a thread of its own, so that the server hears of
//! the client even while the client is busy.
//!
//! ```text
//!       ┌────────────────────── next conversation ───────────────────────┐
//!       ▼                                                                │
//!  connecting ──► talking ──► lost or refused: closes the pipes; after a loss keeps the client present
//!       │            │
//!       └────────────┴──► left: the client has closed its pipes
//! ```

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::sleep;

use super::backoff::Backoff;
use super::connection::Connection;
use super::conversation::{Conversation, Needs, Problem, Shared};
use super::durability::Durability;
use super::error::{CallError, ServerError};
use super::script::QueueKeys;
use super::settings::ServerSettings;
use super::talk::{BEAT_INTERVAL, End, Talk};
use crate::wire::ClientKey;

/// What a client's thread does for it.
pub(super) struct Bridge {
    settings: Arc<ServerSettings>,
    keys: QueueKeys,
    key: ClientKey,
    pub(super) shared: Arc<Shared>,
    connection: Option<Connection>,
    /// Where the queue's slot is, if that is another server than the settings name.
    address: Option<(String, u16)>,
    /// The server has taken a call of this client.
    was_connected: bool,
    backoff: Backoff,
    /// The number of the present or last conversation.
    conversation: u64,
    /// Why the last conversation ended before the server had welcomed the client: the next one begins with a pause.
    unwelcome: Option<ServerError>,
}

impl Bridge {
    pub(super) fn new(
        settings: ServerSettings,
        keys: QueueKeys,
        key: ClientKey,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            settings: Arc::new(settings),
            keys,
            key,
            shared,
            connection: None,
            address: None,
            was_connected: false,
            backoff: Backoff::default(),
            conversation: 0,
            unwelcome: None,
        }
    }

    /// Serves one conversation after another, until the client leaves.
    pub(super) async fn run(mut self, mut conversations: UnboundedReceiver<Conversation>) {
        let mut next = conversations.recv().await;
        while let Some(Conversation { hello, needs, requests, mailbox }) = next {
            let end = match Talk::open(requests, mailbox) {
                Ok(mut talk) => {
                    let end = self.converse(&mut talk, hello, needs, &mut conversations).await;
                    if let Some(connection) = &mut self.connection {
                        talk.take_last_messages(connection);
                    }
                    // The connection of a client that the server has forgotten is as good as before.
                    if !matches!(end, End::Lost(ServerError::Forgotten { .. })) {
                        self.connection = None;
                    }
                    // The client learns the cause when its pipes close.
                    self.record_end(&end);
                    end
                }
                Err(error) => {
                    let end = End::Refused(ServerError::System { cause: error.to_string() });
                    self.record_end(&end);
                    end
                }
            };
            next = match end {
                End::Left => return,
                End::Refused(_) => conversations.recv().await,
                End::Lost(_) => tokio::select! {
                    biased;
                    next = conversations.recv() => next,
                    never = self.stay_present() => match never {},
                },
            };
        }
    }

    fn record_end(&self, end: &End) {
        let problem = match end {
            End::Left => None,
            End::Lost(error) => Some(Problem { error: error.clone(), is_final: false }),
            End::Refused(error) => Some(Problem { error: error.clone(), is_final: true }),
        };
        self.shared.set_problem(problem);
    }

    /// Connects, and talks until the conversation ends.
    async fn converse(
        &mut self,
        talk: &mut Talk,
        hello: Vec<u8>,
        needs: Needs,
        conversations: &mut UnboundedReceiver<Conversation>,
    ) -> End {
        let connected = tokio::select! {
            biased;
            // The client gives up: its link is dropped.
            _ = conversations.recv() => return End::Left,
            connected = self.connect(needs) => connected,
        };
        let durability = match connected {
            Ok(durability) => durability,
            Err(error) => return error.into(),
        };
        let had_sent = self.shared.lock().has_sent;
        if !self.shared.begin_sending() {
            return End::Left;
        }
        let Some(connection) = &mut self.connection else { return End::Left };
        self.conversation += 1;
        connection.caller.conversation = self.conversation;
        let end = talk.run(connection, hello, durability, &self.shared).await;
        self.was_connected |= talk.is_welcomed();
        if talk.is_welcomed() {
            self.backoff = Backoff::default();
        } else {
            match &end {
                End::Lost(error) => self.unwelcome = Some(error.clone()),
                // The server has done nothing of the only call so far.
                End::Refused(_) => self.shared.lock().has_sent = had_sent,
                End::Left => {}
            }
        }
        end
    }

    /// Connects to the server, in as many attempts as that takes.
    async fn connect(&mut self, needs: Needs) -> Result<Option<Durability>, CallError> {
        if let Some(error) = self.unwelcome.clone() {
            // The next conversation may cut the pause short, and then has a pause of its own.
            self.pause(error).await;
            self.unwelcome = None;
        }
        loop {
            match self.try_connect(needs).await {
                Ok(durability) => return Ok(durability),
                Err(CallError::Moved { address, error }) => {
                    // Two servers that name each other must not keep the client busy.
                    let is_first = self.address.replace(address).is_none();
                    if !is_first {
                        self.pause(error).await;
                    }
                }
                Err(CallError::Lost(error)) => {
                    self.address = None;
                    self.pause(error).await;
                }
                Err(fatal) => return Err(fatal),
            }
            self.connection = None;
        }
    }

    async fn try_connect(&mut self, needs: Needs) -> Result<Option<Durability>, CallError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let address = self.address.as_ref();
                let was_connected = self.was_connected;
                Connection::open(&self.settings, address, &self.keys, self.key, was_connected)
                    .await?
            }
        };
        if needs.keeps_items && !self.was_connected {
            let warning =
                connection.caller.facts().await?.check_for_puts(self.settings.allows_eviction);
            let warning = warning.map_err(|error| CallError::Fatal(error.into()))?;
            self.shared.set_warning(warning);
        }
        let durability =
            if needs.sync { Some(Durability::find(&connection.caller).await?) } else { None };
        self.connection = Some(connection);
        Ok(durability)
    }

    async fn pause(&mut self, error: ServerError) {
        self.shared.set_problem(Some(Problem { error, is_final: false }));
        self.backoff.pause().await;
    }

    /// Keeps the client known to the server, after a loss and until its next conversation: its items in flight stay
    /// with it.
    async fn stay_present(&mut self) -> std::convert::Infallible {
        loop {
            match self.connect(Needs::default()).await {
                Ok(_) => {}
                // The next conversation tells the client.
                Err(_) => std::future::pending::<()>().await,
            }
            while let Some(connection) = &mut self.connection {
                let beat = connection.caller.call(Vec::new()).await;
                // What the server sends now is lost to the client, as with a dead keeper. It is sorted out when the
                // client resumes.
                let _ = connection.arrived_messages();
                if let Err(CallError::Lost(ServerError::Forgotten { .. })) = &beat {
                    std::future::pending::<()>().await;
                }
                if beat.is_err() {
                    self.connection = None;
                }
                sleep(BEAT_INTERVAL).await;
            }
        }
    }
}
