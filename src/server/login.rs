//! Where a server is, and as which user to connect to it.

use std::fs;

use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    Client, ConnectionAddr, ErrorKind, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    RedisError, TlsCertificates, TlsMode,
};

use super::settings::ServerSettings;

/// What leads to a server.
pub(super) enum Target {
    Server(Box<Client>),
    /// Sentinels, which know the present primary.
    Sentinels(Box<SentinelClient>),
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
                let client = sentinel_client(settings, service, certificates)?;
                return Ok(Self::Sentinels(Box::new(client)));
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
    service: &str,
    certificates: Option<TlsCertificates>,
) -> Result<SentinelClient, RedisError> {
    let url = &settings.url;
    let sentinels = url.hosts.iter().map(|host| address(host, url.is_tls));
    let mut builder = SentinelClientBuilder::new(sentinels, service, SentinelServerType::Master)?
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
