//! Connects to a server, or by Sentinels to the present primary, as the user of the settings.

use std::fs;
use std::future::pending;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, RedisError, TlsCertificates,
};
use tokio::time::sleep;

use super::error::{CallError, ServerError};
use super::sentinel;
use super::settings::ServerSettings;
use super::tls_probe;

/// A server that has not welcomed a client after this time may have another scheme than the URL.
const PROBE_DELAY: Duration = Duration::from_millis(500);

/// A host and a port.
pub(super) type Place = (String, u16);

/// A connection as the user of the settings.
pub(super) struct Login {
    pub(super) connection: MultiplexedConnection,
    /// Where the connection leads to; none for a socket.
    pub(super) place: Option<Place>,
}

impl Login {
    /// Connects to `place`, or else to where the settings lead. `was_connected`: the server has taken a call of this
    /// client before.
    pub(super) async fn open(
        settings: &ServerSettings,
        place: Option<&Place>,
        config: AsyncConnectionConfig,
        was_connected: bool,
    ) -> Result<Self, CallError> {
        let url = &settings.url;
        let info = login_as(settings);
        if let Some(path) = url.socket.as_ref().filter(|_| place.is_none()) {
            let address = ConnectionAddr::Unix(path.clone());
            let connection = connect(settings, address, info, &config).await;
            let connection =
                connection.map_err(|error| CallError::new(&error, settings, was_connected))?;
            return Ok(Self { connection, place: None });
        }
        let (place, limit) = match (place, &url.service, url.hosts.first()) {
            (None, Some(service), _) => {
                let primary = sentinel::find_primary(settings, service).await?;
                (primary, sentinel::step_limit(settings))
            }
            (Some(place), ..) | (None, None, Some(place)) => {
                (place.clone(), settings.answer_timeout())
            }
            (None, None, None) => {
                let error = (ErrorKind::InvalidClientConfig, "no host").into();
                return Err(CallError::new(&error, settings, was_connected));
            }
        };
        let config = config.set_connection_timeout(Some(limit));
        let connection = connect_to(settings, &place, info, &config, was_connected).await?;
        Ok(Self { connection, place: Some(place) })
    }
}

/// Connects to a host. If that does not succeed, and never did, finds out whether the scheme of the URL is the wrong one.
pub(super) async fn connect_to(
    settings: &ServerSettings,
    place: &Place,
    info: RedisConnectionInfo,
    config: &AsyncConnectionConfig,
    was_connected: bool,
) -> Result<MultiplexedConnection, CallError> {
    let (host, port) = place.clone();
    let is_tls = settings.url.is_tls;
    let address = if is_tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    };
    let is_wrong_scheme = || tls_probe::speaks(place, !is_tls);
    let suspicion = async {
        sleep(PROBE_DELAY).await;
        if !is_wrong_scheme().await {
            pending::<()>().await;
        }
    };
    let wrong_scheme = || CallError::Fatal(ServerError::wrong_scheme(settings));
    let connected = tokio::select! {
        biased;
        connected = connect(settings, address, info, config) => connected,
        () = suspicion, if !was_connected => return Err(wrong_scheme()),
    };
    match connected {
        Ok(connection) => Ok(connection),
        Err(error) => {
            let is_explained = was_connected || error.is_connection_refusal() || error.is_timeout();
            let error = CallError::new(&error, settings, was_connected);
            let is_doubtful = matches!(error, CallError::Lost(_)) && !is_explained;
            if is_doubtful && is_wrong_scheme().await { Err(wrong_scheme()) } else { Err(error) }
        }
    }
}

async fn connect(
    settings: &ServerSettings,
    address: ConnectionAddr,
    info: RedisConnectionInfo,
    config: &AsyncConnectionConfig,
) -> Result<MultiplexedConnection, RedisError> {
    let info = address.into_connection_info()?.set_redis_settings(info);
    let client = match settings.ca_file.as_ref().map(fs::read).transpose()? {
        Some(file) => {
            let certificates = TlsCertificates { client_tls: None, root_cert: Some(file) };
            Client::build_with_tls(info, certificates)?
        }
        None => Client::open(info)?,
    };
    client.get_multiplexed_async_connection_with_config(config).await
}

fn login_as(settings: &ServerSettings) -> RedisConnectionInfo {
    let mut login = RedisConnectionInfo::default()
        .set_db(settings.url.db)
        .set_protocol(ProtocolVersion::RESP3)
        .set_skip_set_lib_name();
    if let Some(user) = &settings.url.user {
        login = login.set_username(user);
    }
    if let Some(password) = &settings.password {
        login = login.set_password(password);
    }
    login
}
