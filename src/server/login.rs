//! Where a server is, and as which user to connect to it.

use std::time::Duration;
use std::{fs, io};

use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    Client, ConnectionAddr, ErrorKind, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    RedisError, TlsCertificates, TlsMode,
};

use tokio::time::timeout;

use super::settings::ServerSettings;

/// What leads to a server.
pub(super) enum Target {
    Server(Box<Client>),
    /// Sentinels, which know the present primary.
    Sentinels(Vec<SentinelClient>),
}

impl Target {
    /// The server at `place`, or else where the settings lead.
    pub(super) fn new(
        settings: &ServerSettings,
        place: Option<&(String, u16)>,
    ) -> Result<Self, RedisError> {
        let url = &settings.url;
        let root_cert = settings.ca_file.as_ref().map(fs::read).transpose()?;
        let certificates =
            root_cert.map(|file| TlsCertificates { client_tls: None, root_cert: Some(file) });
        let address = match (place, &url.service, &url.socket, url.hosts.first()) {
            (Some(host), ..) => address(host, url.is_tls),
            (None, Some(service), ..) => {
                let client = |host| sentinel_client(settings, host, service, &certificates);
                let clients = url.hosts.iter().map(client).collect::<Result<_, _>>()?;
                return Ok(Self::Sentinels(clients));
            }
            (None, None, Some(path), _) => ConnectionAddr::Unix(path.clone()),
            (None, None, None, Some(host)) => address(host, url.is_tls),
            (None, None, None, None) => {
                return Err((ErrorKind::InvalidClientConfig, "no host").into());
            }
        };
        let info = address.into_connection_info()?.set_redis_settings(login(settings));
        let client = match certificates {
            Some(certificates) => Client::build_with_tls(info, certificates)?,
            None => Client::open(info)?,
        };
        Ok(Self::Server(Box::new(client)))
    }
}

/// Asks one Sentinel after another for the present primary. Each has its share of `limit` to answer in.
///
/// # Errors
/// That of the last Sentinel.
pub(super) async fn find_primary(
    sentinels: Vec<SentinelClient>,
    limit: Duration,
) -> Result<Client, RedisError> {
    let share = limit / u32::try_from(sentinels.len().max(1)).unwrap_or(u32::MAX);
    let mut last_error = (ErrorKind::InvalidClientConfig, "no host").into();
    for mut sentinel in sentinels {
        match timeout(share, sentinel.async_get_client()).await {
            Ok(Ok(client)) => return Ok(client),
            Ok(Err(error)) => last_error = error,
            Err(_) => last_error = io::Error::from(io::ErrorKind::TimedOut).into(),
        }
    }
    Err(last_error)
}

fn login(settings: &ServerSettings) -> RedisConnectionInfo {
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

fn sentinel_client(
    settings: &ServerSettings,
    host: &(String, u16),
    service: &str,
    certificates: &Option<TlsCertificates>,
) -> Result<SentinelClient, RedisError> {
    let url = &settings.url;
    let place = [address(host, url.is_tls)];
    let mut builder = SentinelClientBuilder::new(place, service, SentinelServerType::Master)?
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
            .set_client_to_sentinel_certificates(certificates.clone());
    }
    builder.build()
}

fn address((host, port): &(String, u16), is_tls: bool) -> ConnectionAddr {
    let (host, port) = (host.clone(), *port);
    if is_tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    }
}
