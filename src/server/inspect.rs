//! What a server says of itself, and which queues it has: for `qdemo status`, and for the check before a put.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use percent_encoding::percent_decode;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    Client, Cmd, Connection, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, ServerErrorKind, TlsCertificates, TlsMode, Value, cmd,
    from_redis_value,
};

use super::facts::ServerFacts;
use super::settings::ServerSettings;
use crate::queue_name::QueueName;

/// How long a server may take to accept a connection, and to answer a question.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// About how many keys the server looks at for one answer.
const SCAN_COUNT: usize = 1000;

/// The server does not answer a question.
#[derive(Debug, thiserror::Error)]
#[error(
    "the server {server} does not tell its queues ({cause}): check its address, and the rights of its user"
)]
pub(crate) struct InspectError {
    server: String,
    cause: String,
}

/// Connections to the server, or to each primary of a cluster.
pub(crate) struct ServerInspector {
    settings: ServerSettings,
    primaries: Vec<Connection>,
}

impl ServerInspector {
    pub(crate) fn connect(settings: &ServerSettings) -> Result<Self, InspectError> {
        let connected = connect_to_primaries(settings);
        let primaries = connected.map_err(|error| inspect_error(settings, &error))?;
        Ok(Self { settings: settings.clone(), primaries })
    }

    /// The names of all queues on the server, in alphabetical order.
    pub(crate) fn queue_names(&mut self) -> Result<Vec<QueueName>, InspectError> {
        let prefix = format!("{}:{{", self.settings.url.prefix);
        let mut names = BTreeSet::new();
        for primary in &mut self.primaries {
            let keys = keys_of_queues(primary, &prefix);
            for key in keys.map_err(|error| inspect_error(&self.settings, &error))? {
                names.extend(name_in_key(&key, &prefix).map(|name| name.as_str().to_owned()));
            }
        }
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// What the server says of itself; in a cluster, the least that a primary promises.
    pub(crate) fn facts(&mut self) -> Result<ServerFacts, InspectError> {
        let address = self.settings.url.to_string();
        let mut all: Option<ServerFacts> = None;
        for primary in &mut self.primaries {
            let facts = facts_of(&address, primary);
            let facts = facts.map_err(|error| inspect_error(&self.settings, &error))?;
            all = Some(match all {
                Some(others) => others.least(facts),
                None => facts,
            });
        }
        Ok(all.unwrap_or_else(|| ServerFacts::new(&address, None, None, None)))
    }
}

fn inspect_error(settings: &ServerSettings, error: &RedisError) -> InspectError {
    let cause = settings.redact(&error.to_string()).replace(['\n', '\r'], " ");
    InspectError { server: settings.url.to_string(), cause }
}

fn facts_of(address: &str, primary: &mut Connection) -> Result<ServerFacts, RedisError> {
    let info = ask::<String>(primary, &["INFO"])?;
    let mut setting = |name| {
        let pair = ask::<(String, String)>(primary, &["CONFIG", "GET", name])?;
        Ok::<_, RedisError>(pair.map(|(_, value)| value))
    };
    let (save, appendfsync) = (setting("save")?, setting("appendfsync")?);
    Ok(ServerFacts::new(address, info.as_deref(), save.as_deref(), appendfsync.as_deref()))
}

/// The answer of the server; none if the user may not ask, or if the server does not have the command.
fn ask<T: FromRedisValue>(
    primary: &mut Connection,
    words: &[&str],
) -> Result<Option<T>, RedisError> {
    let mut command = Cmd::new();
    command.arg(words);
    match command.query(primary) {
        Err(error) if is_unavailable(&error) => Ok(None),
        other => other.map(Some),
    }
}

fn is_unavailable(error: &RedisError) -> bool {
    error.code() == Some("NOPERM")
        || error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError)
            && error.to_string().contains("unknown command")
}

fn keys_of_queues(primary: &mut Connection, prefix: &str) -> Result<Vec<Vec<u8>>, RedisError> {
    let pattern = format!("{prefix}*}}:meta");
    let (mut cursor, mut all) = (0_u64, Vec::new());
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SCAN_COUNT);
        let (next, keys): (u64, Vec<Vec<u8>>) = scan.query(primary)?;
        all.extend(keys);
        if next == 0 {
            return Ok(all);
        }
        cursor = next;
    }
}

/// The name of the queue that this key belongs to.
fn name_in_key(key: &[u8], prefix: &str) -> Option<QueueName> {
    let name = key.strip_prefix(prefix.as_bytes())?.strip_suffix(b"}:meta")?;
    percent_decode(name).decode_utf8().ok()?.parse().ok()
}

fn connect_to_primaries(settings: &ServerSettings) -> Result<Vec<Connection>, RedisError> {
    let mut first = connect(settings, None)?;
    let info = ask::<String>(&mut first, &["INFO"])?;
    let is_cluster = info.as_deref().map(|info| info.contains("cluster_enabled:1"));
    if is_cluster == Some(false) {
        return Ok(vec![first]);
    }
    let slots = match cmd("CLUSTER").arg("SLOTS").query::<Value>(&mut first) {
        Ok(slots) => slots,
        // The user may not ask whether this is a cluster.
        Err(error) if is_cluster.is_none() && error.code().is_some() => return Ok(vec![first]),
        Err(error) => return Err(error),
    };
    let places = primaries_in(slots).into_iter().map(|(host, port)| {
        // A server that does not know its own name leaves it out.
        let same_host = || settings.url.hosts.first().map(|(host, _)| host.clone());
        let host = if host.is_empty() { same_host().unwrap_or_default() } else { host };
        connect(settings, Some((host, port)))
    });
    places.collect()
}

/// The primaries in the answer to `CLUSTER SLOTS`: ranges of slots, each with its servers, the primary first.
fn primaries_in(slots: Value) -> BTreeSet<(String, u16)> {
    let Value::Array(ranges) = slots else { return BTreeSet::new() };
    let primary = |range| {
        let Value::Array(parts) = range else { return None };
        let Some(Value::Array(server)) = parts.into_iter().nth(2) else { return None };
        let mut server = server.into_iter();
        let host: Option<String> = from_redis_value(server.next()?).ok()?;
        Some((host.unwrap_or_default(), from_redis_value(server.next()?).ok()?))
    };
    ranges.into_iter().filter_map(primary).collect()
}

/// Connects to this server, or else to where the settings lead: with Sentinel, to the present primary.
fn connect(
    settings: &ServerSettings,
    place: Option<(String, u16)>,
) -> Result<Connection, RedisError> {
    let client = client(settings, place)?;
    let connection = client.get_connection_with_timeout(ANSWER_TIMEOUT)?;
    connection.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    connection.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    Ok(connection)
}

fn client(settings: &ServerSettings, place: Option<(String, u16)>) -> Result<Client, RedisError> {
    let url = &settings.url;
    let root_cert = settings.ca_file.as_ref().map(fs::read).transpose()?;
    let certificates =
        root_cert.map(|file| TlsCertificates { client_tls: None, root_cert: Some(file) });
    if let (None, Some(service)) = (&place, &url.service) {
        let sentinels = url.hosts.iter().cloned().map(|host| address(host, url.is_tls));
        let mut builder =
            SentinelClientBuilder::new(sentinels, service, SentinelServerType::Master)?
                .set_client_to_redis_db(url.db);
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
        return builder.build()?.get_client();
    }
    let address = match (place, &url.socket, url.hosts.first()) {
        (Some(host), ..) => address(host, url.is_tls),
        (None, Some(path), _) => ConnectionAddr::Unix(path.clone()),
        (None, None, Some(host)) => address(host.clone(), url.is_tls),
        (None, None, None) => return Err((ErrorKind::InvalidClientConfig, "no host").into()),
    };
    let mut login = RedisConnectionInfo::default().set_db(url.db).set_skip_set_lib_name();
    if let Some(user) = &url.user {
        login = login.set_username(user);
    }
    if let Some(password) = &settings.password {
        login = login.set_password(password);
    }
    let info = address.into_connection_info()?.set_redis_settings(login);
    match certificates {
        Some(certificates) => Client::build_with_tls(info, certificates),
        None => Client::open(info),
    }
}

fn address((host, port): (String, u16), is_tls: bool) -> ConnectionAddr {
    if is_tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_escaped_name_of_its_queue_between_braces() {
        let name = |key: &str| name_in_key(key.as_bytes(), "qdemo:{").map(|name| name.to_string());
        assert_eq!(name("qdemo:{jobs}:meta").as_deref(), Some("jobs"));
        assert_eq!(name("qdemo:{a%7Bb%7D%25 é}:meta").as_deref(), Some("a{b}% é"));
        for key in
            ["qdemo:{jobs}:ready", "other:{jobs}:meta", "qdemo:{}:meta", "qdemo:{a%2Fb}:meta"]
        {
            assert_eq!(name(key), None, "{key}");
        }
    }

    #[test]
    fn each_primary_of_a_cluster_is_named_once() {
        let server = |host: &str, port| {
            let host = Value::BulkString(host.as_bytes().to_vec());
            Value::Array(vec![host, Value::Int(port), Value::BulkString(b"id".to_vec())])
        };
        let range = |from, to, servers: &[Value]| {
            Value::Array([&[Value::Int(from), Value::Int(to)], servers].concat())
        };
        let slots = Value::Array(vec![
            range(0, 99, &[server("b", 2), server("replica", 3)]),
            range(100, 199, &[server("a", 1)]),
            range(200, 16383, &[server("b", 2)]),
        ]);
        let named = primaries_in(slots);
        assert_eq!(named, BTreeSet::from([("a".to_owned(), 1), ("b".to_owned(), 2)]));
        let unnamed = Value::Array(vec![
            Value::Int(0),
            Value::Int(1),
            Value::Array(vec![Value::Nil, Value::Int(7000)]),
        ]);
        let unnamed = primaries_in(Value::Array(vec![unnamed]));
        assert_eq!(unnamed, BTreeSet::from([(String::new(), 7000)]));
    }
}
