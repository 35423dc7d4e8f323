//! A connection of one client to the server: opens it, subscribes to the client's channel, and calls the script.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, PushInfo, PushKind, RedisError, Value, cmd};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::error::{CallError, ServerError};
use super::facts::ServerFacts;
use super::login::Login;
use super::questions::facts_of;
use super::script::{QueueKeys, SCRIPT, sha1};
use super::settings::ServerSettings;
use super::url::Place;
use crate::wire::ClientKey;

/// A connection that is subscribed to its client's channel.
pub(super) struct Connection {
    pub(super) caller: Caller,
    pushes: UnboundedReceiver<PushInfo>,
}

/// Sends commands over a connection.
#[derive(Clone)]
pub(super) struct Caller {
    connection: MultiplexedConnection,
    /// The call of the script, without its requests.
    call: Cmd,
    /// The number of the conversation that the requests belong to: requests of an earlier one may arrive late.
    pub(super) conversation: u64,
    settings: Arc<ServerSettings>,
    /// The server has taken a call of this client before.
    pub(super) was_connected: bool,
}

/// What the server sends without being asked.
pub(super) enum Push {
    /// A message for the client.
    Message(Vec<u8>),
    /// The connection or the subscription has ended.
    Lost,
}

impl Connection {
    /// Connects to `address`, or else to where the settings lead, and subscribes to the channel of `key`.
    pub(super) async fn open(
        settings: &Arc<ServerSettings>,
        address: Option<&Place>,
        keys: &QueueKeys,
        key: ClientKey,
        was_connected: bool,
    ) -> Result<Self, CallError> {
        let failed = |error: RedisError| CallError::new(&error, settings, was_connected);
        let (sender, pushes) = unbounded_channel();
        let timeout = Some(settings.answer_timeout());
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(timeout)
            .set_response_timeout(timeout)
            .set_push_sender(sender);
        let login = Login::open(settings, address, config, was_connected).await?;
        let connection = login.connection;
        let mut call = cmd("EVALSHA");
        call.arg(sha1()).arg(keys.keys().len()).arg(&keys.keys()[..]).arg(key.to_string());
        let mut subscribe = cmd("SSUBSCRIBE");
        subscribe.arg(keys.channel(key));
        let caller = Caller {
            connection,
            conversation: 0,
            call,
            settings: Arc::clone(settings),
            was_connected,
        };
        caller.command(&subscribe).await.map_err(failed)?;
        Ok(Self { caller, pushes })
    }

    /// The next message.
    pub(super) async fn next_push(&mut self) -> Push {
        while let Some(push) = self.pushes.recv().await {
            if let Some(push) = Push::from_info(push) {
                return push;
            }
        }
        Push::Lost
    }

    /// The messages that have arrived.
    pub(super) fn arrived_messages(&mut self) -> Vec<Vec<u8>> {
        let arrived = std::iter::from_fn(|| self.pushes.try_recv().ok());
        let messages = arrived.filter_map(|push| match Push::from_info(push)? {
            Push::Message(text) => Some(text),
            Push::Lost => None,
        });
        messages.collect()
    }
}

impl Push {
    fn from_info(PushInfo { kind, data }: PushInfo) -> Option<Self> {
        match (kind, data.into_iter().next_back()) {
            (PushKind::SMessage, Some(Value::BulkString(text))) => Some(Self::Message(text)),
            // The queue's slot has moved to another server.
            (PushKind::SUnsubscribe | PushKind::Disconnection, _) => Some(Self::Lost),
            _ => None,
        }
    }
}

impl Caller {
    /// Calls the script with these requests. The replies come as messages.
    pub(super) async fn call(&self, requests: Vec<u8>) -> Result<(), CallError> {
        let failed = |error: RedisError| self.error(&error);
        let mut call = self.call.clone();
        call.arg(requests).arg(self.conversation);
        match self.command(&call).await {
            Err(error) if error.code() == Some("NOSCRIPT") => {
                // The server has restarted, or has never seen the script. It has done nothing.
                let mut load = cmd("SCRIPT");
                load.arg("LOAD").arg(SCRIPT);
                self.command(&load).await.map_err(failed)?;
                self.command(&call).await.map(drop).map_err(failed)
            }
            other => other.map(drop).map_err(failed),
        }
    }

    /// Sends any other command.
    pub(super) async fn command(&self, command: &Cmd) -> Result<Value, RedisError> {
        command.query_async(&mut self.connection.clone()).await
    }

    /// What the server says of itself, as far as the user may ask.
    pub(super) async fn facts(&self) -> Result<ServerFacts, CallError> {
        let facts = facts_of(&self.server(), &self.connection).await;
        facts.map_err(|error| self.error(&error))
    }

    /// The server's address, for people.
    fn server(&self) -> String {
        self.settings.url.to_string()
    }

    /// What an error of this connection means.
    pub(super) fn error(&self, error: &RedisError) -> CallError {
        CallError::new(error, &self.settings, self.was_connected)
    }

    /// The error for a server that is not there as it should be.
    pub(super) fn silent(&self, cause: &str) -> ServerError {
        ServerError::Silent { server: self.server(), cause: cause.to_owned() }
    }

    /// The error of a client that wants items on the disk.
    pub(super) fn not_durable(&self, cause: &str) -> CallError {
        let (server, cause) = (self.server(), cause.to_owned());
        CallError::Fatal(ServerError::NotDurable { server, cause })
    }
}
