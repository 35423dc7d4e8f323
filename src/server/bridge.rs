//! The bridge between a client's pipes and the server. It runs on a thread of its own, so that the server hears of
//! the client even while the client is busy.
//!
//! ```text
//!       ┌────────────────────── next conversation ───────────────────────┐
//!       ▼                                                                │
//!  connecting ──► talking ──► lost or refused: closes the pipes, and keeps the client present
//!       │            │
//!       └────────────┴──► left: the client has closed its pipes
//! ```

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::sleep;

use super::backoff::Backoff;
use super::connection::Connection;
use super::conversation::{Conversation, Needs, Shared};
use super::durability::Durability;
use super::error::{CallError, ServerError};
use super::script::QueueKeys;
use super::settings::ServerSettings;
use super::side_beats::SideBeats;
use super::talk::{BEAT_INTERVAL, End, Expected, NOTICE_DELAY, Talk};
use super::url::Place;
use crate::clock::nanos;
use crate::os::os_text;
use crate::wire::ClientKey;

/// What a client's thread does for it.
pub(super) struct Bridge {
    settings: Arc<ServerSettings>,
    keys: QueueKeys,
    key: ClientKey,
    pub(super) shared: Arc<Shared>,
    connection: Option<Connection>,
    /// Where the queue's slot is, if that is another server than the settings name.
    address: Option<Place>,
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
                    self.shared.lock().handled_requests = talk.handled_requests();
                    // The connection of a client that the server has forgotten is as good as before.
                    if !matches!(end, End::Lost(ServerError::Forgotten { .. })) {
                        self.connection = None;
                    }
                    // The client learns the cause when its pipes close.
                    self.record_end(&end, talk.silent_for());
                    end
                }
                Err(error) => {
                    let end = End::Refused(ServerError::System { cause: os_text(&error) });
                    self.record_end(&end, Duration::ZERO);
                    end
                }
            };
            next = match end {
                End::Left => return,
                // A client that reads nothing, or that nobody knows, is not kept.
                End::Refused(ServerError::Unread) => conversations.recv().await,
                End::Refused(_) if !self.was_connected => conversations.recv().await,
                End::Lost(_) | End::Refused(_) => tokio::select! {
                    biased;
                    next = conversations.recv() => next,
                    never = self.stay_present() => match never {},
                },
            };
        }
    }

    /// `silent_for`: for how long the server had been silent when the conversation ended.
    fn record_end(&self, end: &End, silent_for: Duration) {
        match end {
            End::Left => self.shared.set_problem(None),
            End::Lost(error) => {
                self.shared.begin_absence(nanos(silent_for));
                self.shared.set_problem(Some(error.clone()));
            }
            End::Refused(error) => self.shared.set_refusal(error.clone()),
        }
    }

    /// Connects, and talks until the conversation ends.
    async fn converse(
        &mut self,
        talk: &mut Talk,
        hello: Vec<u8>,
        needs: Needs,
        conversations: &mut UnboundedReceiver<Conversation>,
    ) -> End {
        let shared = Arc::clone(&self.shared);
        let connected = tokio::select! {
            biased;
            // The client gives up: its link is dropped.
            _ = conversations.recv() => return End::Left,
            connected = self.connect(needs) => connected,
            never = tell_absence(&shared) => match never {},
        };
        let expected = match connected {
            Ok(expected) => expected,
            Err(error) => return error.into(),
        };
        if self.shared.lock().is_withdrawn {
            return End::Left;
        }
        let Some(connection) = &mut self.connection else { return End::Left };
        self.conversation += 1;
        connection.caller.conversation = self.conversation;
        let beats = SideBeats {
            settings: Arc::clone(&self.settings),
            address: self.address.clone(),
            keys: self.keys.clone(),
            key: self.key,
            conversation: self.conversation,
        };
        let end = talk.run(connection, hello, expected, &beats, &self.shared).await;
        self.was_connected |= talk.is_welcomed();
        if talk.is_welcomed() {
            self.backoff = Backoff::default();
        } else if let End::Lost(error) = &end {
            self.unwelcome = Some(error.clone());
        }
        end
    }

    /// Connects to the server, in as many attempts as that takes.
    async fn connect(&mut self, needs: Needs) -> Result<Expected, CallError> {
        if let Some(error) = self.unwelcome.clone() {
            // The next conversation may cut the pause short, and then has a pause of its own.
            self.pause(error).await;
            self.unwelcome = None;
        }
        loop {
            match self.try_connect(needs).await {
                Ok(expected) => return Ok(expected),
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

    async fn try_connect(&mut self, needs: Needs) -> Result<Expected, CallError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let address = self.address.as_ref();
                let was_connected = self.was_connected;
                let connection =
                    Connection::open(&self.settings, address, &self.keys, self.key, was_connected)
                        .await?;
                connection.subscribe(&self.keys, self.key).await?;
                connection
            }
        };
        let mut expected = Expected { may_put: needs.keeps_items, ..Expected::default() };
        if needs.keeps_items && !self.was_connected {
            let facts = connection.caller.facts().await?;
            let warning = facts.check_for_puts(self.settings.allows_eviction);
            let warning = warning.map_err(|error| CallError::Fatal(error.into()))?;
            self.shared.set_warning(warning);
            expected.holds_puts = !facts.has_aof();
        }
        if needs.sync {
            expected.durability = Some(Durability::find(&connection.caller).await?);
        }
        self.connection = Some(connection);
        Ok(expected)
    }

    async fn pause(&mut self, error: ServerError) {
        self.shared.set_problem(Some(error));
        self.backoff.pause().await;
    }

    /// Keeps the client known to the server, until its next conversation: its items in flight stay with it.
    async fn stay_present(&mut self) -> Infallible {
        let mut answers = 0;
        loop {
            if self.connect(Needs::default()).await.is_err() {
                // The next conversation tells the client.
                sleep(BEAT_INTERVAL).await;
            }
            while let Some(connection) = &mut self.connection {
                let beat = connection.caller.call(Vec::new()).await;
                // What the server sends now is lost to the client, as with a dead keeper. It is sorted out when the
                // client resumes.
                let _ = connection.arrived_messages();
                match beat {
                    Ok(()) => {
                        answers += 1;
                        self.shared.note_answer();
                    }
                    Err(CallError::Lost(ServerError::Forgotten { .. })) => {
                        std::future::pending::<()>().await;
                    }
                    // Another connection does not help.
                    Err(CallError::Fatal(_)) => {}
                    Err(_) => self.connection = None,
                }
                // The client has time to begin a conversation, if it waits for anything. A server that answers beats and
                // nothing else is away.
                if answers > 1 {
                    self.shared.tell_answer();
                }
                sleep(BEAT_INTERVAL).await;
            }
        }
    }
}

/// Tells a person when the server has been away for a while.
async fn tell_absence(shared: &Shared) -> Infallible {
    sleep(NOTICE_DELAY.saturating_sub(Duration::from_nanos(shared.away_for()))).await;
    shared.tell_silence();
    std::future::pending().await
}
