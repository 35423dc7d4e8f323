//! A connection of one client to the server: opens it, subscribes to the client's channel, and calls the script.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use memchr::memchr;
use redis::aio::MultiplexedConnection;
use redis::{Arg, AsyncConnectionConfig, Cmd, PushInfo, PushKind, RedisError, Value, cmd};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::error::{CallError, ServerError};
use super::facts::ServerFacts;
use super::host::Way;
use super::login::Login;
use super::questions::facts_of;
use super::script::{QueueKeys, SCRIPT, sha1};
use super::settings::ServerSettings;
use super::stream::Traffic;
use super::url::Place;
use crate::wire::ClientKey;

/// A hello makes the queue in one call with its requests if these have no more bytes.
const MAX_MAKING_BYTES: usize = 64 * 1024;

/// A connection to the server.
pub(super) struct Connection {
    pub(super) caller: Caller,
    pushes: UnboundedReceiver<PushInfo>,
    /// Carries the bytes. Ends with the connection.
    _driver: JoinSet<()>,
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
    pub(super) traffic: Arc<Traffic>,
    /// The connection is lost when a command has no answer, and no byte has moved for this time.
    pub(super) limit: Duration,
}

/// What the server sends without being asked.
pub(super) enum Push {
    /// A message for the client.
    Message(Vec<u8>),
    /// The connection or the subscription has ended.
    Lost,
}

impl Connection {
    /// Connects to `address`, or else to where the settings lead.
    pub(super) async fn open(
        settings: &Arc<ServerSettings>,
        address: Option<&Place>,
        keys: &QueueKeys,
        key: ClientKey,
        was_connected: bool,
    ) -> Result<Self, CallError> {
        let limit = settings.answer_timeout();
        let traffic = Arc::new(Traffic::new());
        let (sender, pushes) = unbounded_channel();
        // The caller has a limit of its own.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let config = config.set_push_sender(sender);
        let way = Way { config, limit, traffic: Arc::clone(&traffic) };
        let opened = timeout(limit, Login::open(settings, address, way, was_connected)).await;
        let late = || {
            let error = io::Error::from(io::ErrorKind::TimedOut).into();
            Err(CallError::new(&error, settings, was_connected))
        };
        let Login { connection, driver, .. } = opened.unwrap_or_else(|_| late())?;
        let mut call = cmd("EVALSHA");
        call.arg(sha1()).arg(keys.keys().len()).arg(&keys.keys()[..]).arg(key.to_string());
        let caller = Caller {
            connection,
            conversation: 0,
            call,
            settings: Arc::clone(settings),
            was_connected,
            traffic,
            limit,
        };
        Ok(Self { caller, pushes, _driver: driver })
    }

    /// Subscribes to the channel of `key`.
    pub(super) async fn subscribe(
        &self,
        keys: &QueueKeys,
        key: ClientKey,
    ) -> Result<(), CallError> {
        let mut subscribe = cmd("SSUBSCRIBE");
        subscribe.arg(keys.channel(key));
        let subscribed = self.caller.command(&subscribe).await;
        subscribed.map(drop).map_err(|error| self.caller.error(&error))
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
        let told = match self.call_once(&requests, "").await {
            // The hello makes the queue. The server has done nothing yet, and has told the time.
            Err(error) if error.code() == Some("QDEMO_ABSENT") => error,
            other => return other.map(drop).map_err(failed),
        };
        let is_digit = char::is_ascii_digit;
        let moment: String =
            told.detail().unwrap_or_default().chars().take_while(is_digit).collect();
        // The moment must not be old when the call arrives, and many bytes may take long.
        let is_long = requests.len() > MAX_MAKING_BYTES;
        let hello_end = memchr(b'\n', &requests).filter(|_| is_long);
        let (first, rest) = requests.split_at(hello_end.map_or(requests.len(), |end| end + 1));
        self.call_once(first, &moment).await.map_err(failed)?;
        if !rest.is_empty() {
            self.call_once(rest, "").await.map_err(failed)?;
        }
        Ok(())
    }

    async fn call_once(&self, requests: &[u8], moment: &str) -> Result<Value, RedisError> {
        let mut call = self.call.clone();
        call.arg(requests).arg(self.conversation).arg(moment);
        match self.command(&call).await {
            Err(error) if error.code() == Some("NOSCRIPT") => {
                // The server has restarted, or has never seen the script. It has done nothing.
                let mut load = cmd("SCRIPT");
                load.arg("LOAD").arg(SCRIPT);
                self.command(&load).await?;
                self.command(&call).await
            }
            other => other,
        }
    }

    /// Sends any other command.
    pub(super) async fn command(&self, command: &Cmd) -> Result<Value, RedisError> {
        self.command_within(self.limit, command).await
    }

    /// Sends a command to which the server answers after a time of its own.
    pub(super) async fn command_after(
        &self,
        time: Duration,
        command: &Cmd,
    ) -> Result<Value, RedisError> {
        self.command_within(self.limit + time, command).await
    }

    async fn command_within(&self, limit: Duration, command: &Cmd) -> Result<Value, RedisError> {
        let size = |arg: Arg<&[u8]>| match arg {
            Arg::Simple(bytes) => bytes.len(),
            _ => 0,
        };
        let bytes = command.args_iter().map(size).sum();
        let mut connection = self.connection.clone();
        self.traffic.answer(limit, bytes, command.query_async(&mut connection)).await
    }

    /// What the server says of itself, as far as the user may ask.
    pub(super) async fn facts(&self) -> Result<ServerFacts, CallError> {
        let server = self.server();
        let facts = self.traffic.answer(self.limit, 0, facts_of(&server, &self.connection));
        facts.await.map_err(|error| self.error(&error))
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
    pub(super) fn silent(&self, cause: String) -> ServerError {
        ServerError::Silent { server: self.server(), cause }
    }

    /// The error of a client that wants items on the disk.
    pub(super) fn not_durable(&self, cause: String) -> CallError {
        let server = self.server();
        CallError::Fatal(ServerError::NotDurable { server, cause })
    }
}
