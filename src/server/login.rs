//! Connects to a server, or by Sentinels to the present primary, as the user of the settings.

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, ConnectionAddr, ErrorKind, ProtocolVersion, RedisConnectionInfo,
};

use super::error::CallError;
use super::host::{connect, connect_to};
use super::sentinel;
use super::settings::ServerSettings;
use super::url::Place;

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
