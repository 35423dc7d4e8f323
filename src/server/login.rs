//! Connects to a server, or by Sentinels to the present primary, as the user of the settings.

use redis::aio::MultiplexedConnection;
use redis::{ConnectionAddr, ErrorKind, ProtocolVersion, RedisConnectionInfo};
use tokio::task::JoinSet;

use super::error::CallError;
use super::host::{Way, connect, connect_to};
use super::sentinel;
use super::settings::ServerSettings;
use super::url::Place;

/// A connection as the user of the settings.
pub(super) struct Login {
    pub(super) connection: MultiplexedConnection,
    /// Carries the bytes. The connection ends with it.
    pub(super) driver: JoinSet<()>,
    /// Where the connection leads to; none for a socket.
    pub(super) place: Option<Place>,
}

impl Login {
    /// Connects to `place`, or else to where the settings lead. `was_connected`: the server has taken a call of this
    /// client before.
    pub(super) async fn open(
        settings: &ServerSettings,
        place: Option<&Place>,
        way: Way,
        was_connected: bool,
    ) -> Result<Self, CallError> {
        let url = &settings.url;
        let info = login_as(settings);
        if let Some(path) = url.socket.as_ref().filter(|_| place.is_none()) {
            let address = ConnectionAddr::Unix(path.clone());
            let connected = connect(settings, address, info, &way).await;
            let (connection, driver) =
                connected.map_err(|error| CallError::new(&error, settings, was_connected))?;
            return Ok(Self { connection, driver, place: None });
        }
        let (place, limit) = match (place, &url.service, url.hosts.first()) {
            (None, Some(service), _) => {
                let primary = match sentinel::find_primary(settings, service).await {
                    // What these Sentinels have answered before, they may answer again.
                    Err(CallError::Fatal(error)) if was_connected => {
                        return Err(CallError::Lost(error));
                    }
                    found => found?,
                };
                (primary, sentinel::step_limit(settings))
            }
            (Some(place), ..) | (None, None, Some(place)) => (place.clone(), way.limit),
            (None, None, None) => {
                let error = (ErrorKind::InvalidClientConfig, "no host").into();
                return Err(CallError::new(&error, settings, was_connected));
            }
        };
        let way = Way { limit, ..way };
        let (connection, driver) = connect_to(settings, &place, info, &way, was_connected).await?;
        Ok(Self { connection, driver, place: Some(place) })
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
