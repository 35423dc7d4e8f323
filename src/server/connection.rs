//! A connection of one client to the server: opens it, subscribes to the client's channel, and calls the script.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo,
    ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo, RedisError, TlsCertificates, TlsMode,
    Value, cmd,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::error::{CallError, ServerError};
use super::script::{QueueKeys, SCRIPT, sha1};
use super::settings::ServerSettings;
use crate::wire::ClientKey;

/// How long the server may take to accept a connection, and to answer a call.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

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
    /// The server's address, for people.
    server: String,
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
        settings: &ServerSettings,
        address: Option<&(String, u16)>,
        keys: &QueueKeys,
        key: ClientKey,
        was_connected: bool,
    ) -> Result<Self, CallError> {
        let server = settings.url.to_string();
        let failed = |error: RedisError| CallError::new(&error, &server, was_connected);
        let (sender, pushes) = unbounded_channel();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(ANSWER_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT))
            .set_push_sender(sender);
        let client = find_server(settings, address).await.map_err(failed)?;
        let connect = client.get_multiplexed_async_connection_with_config(&config);
        let connection = connect.await.map_err(failed)?;
        let mut call = cmd("EVALSHA");
        call.arg(sha1()).arg(keys.keys().len()).arg(&keys.keys()[..]).arg(key.to_string());
        let mut subscribe = cmd("SSUBSCRIBE");
        subscribe.arg(keys.channel(key));
        let caller = Caller { connection, call, server: server.clone(), was_connected };
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
        call.arg(requests);
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

    /// What an error of this connection means.
    pub(super) fn error(&self, error: &RedisError) -> CallError {
        CallError::new(error, &self.server, self.was_connected)
    }

    /// The error for a connection that has ended.
    pub(super) fn connection_lost(&self) -> ServerError {
        let cause = "the connection has ended".to_owned();
        ServerError::Silent { server: self.server.clone(), cause }
    }

    /// The error of a client that wants items on the disk.
    pub(super) fn not_durable(&self, cause: &str) -> CallError {
        let (server, cause) = (self.server.clone(), cause.to_owned());
        CallError::Fatal(ServerError::NotDurable { server, cause })
    }
}

/// The server at `address`, or else where the settings lead: with Sentinel, the present primary.
async fn find_server(
    settings: &ServerSettings,
    address: Option<&(String, u16)>,
) -> Result<Client, RedisError> {
    let certificates = certificates(settings)?;
    let url = &settings.url;
    if let (None, Some(service)) = (address, &url.service) {
        let hosts = url.hosts.iter().map(|host| host_address(host, url.is_tls));
        let mut builder = SentinelClientBuilder::new(hosts, service, SentinelServerType::Master)?
            .set_client_to_redis_db(url.db)
            .set_client_to_redis_protocol(ProtocolVersion::RESP3);
        if let Some(user) = &url.user {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = &settings.password {
            builder = builder.set_client_to_redis_password(password);
        }
        if url.is_tls {
            builder = builder
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_sentinel_tls_mode(TlsMode::Secure);
        }
        if let Some(certificates) = certificates {
            builder = builder
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates);
        }
        return builder.build()?.async_get_client().await;
    }
    let address = match (address, &url.socket) {
        (Some(host), _) => host_address(host, url.is_tls),
        (None, Some(path)) => ConnectionAddr::Unix(path.clone()),
        (None, None) => match url.hosts.first() {
            Some(host) => host_address(host, url.is_tls),
            None => ConnectionAddr::Tcp("127.0.0.1".to_owned(), 6379),
        },
    };
    let info = connection_info(settings, address)?;
    match certificates {
        Some(certificates) => Client::build_with_tls(info, certificates),
        None => Client::open(info),
    }
}

fn host_address((host, port): &(String, u16), is_tls: bool) -> ConnectionAddr {
    let (host, port) = (host.clone(), *port);
    if is_tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    }
}

fn connection_info(
    settings: &ServerSettings,
    address: ConnectionAddr,
) -> Result<ConnectionInfo, RedisError> {
    let mut redis = RedisConnectionInfo::default()
        .set_db(settings.url.db)
        .set_protocol(ProtocolVersion::RESP3)
        .set_skip_set_lib_name();
    if let Some(user) = &settings.url.user {
        redis = redis.set_username(user);
    }
    if let Some(password) = &settings.password {
        redis = redis.set_password(password);
    }
    Ok(address.into_connection_info()?.set_redis_settings(redis))
}

/// The certificate authorities that the settings name.
fn certificates(settings: &ServerSettings) -> Result<Option<TlsCertificates>, RedisError> {
    let Some(file) = &settings.ca_file else { return Ok(None) };
    let root_cert = Some(std::fs::read(file)?);
    Ok(Some(TlsCertificates { client_tls: None, root_cert }))
}
