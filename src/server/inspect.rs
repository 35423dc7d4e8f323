//! What a server says of itself, and which queues it has: for `qdemo status`, and for the check before a put.

use std::collections::BTreeSet;

use redis::{Cmd, Connection, FromRedisValue, RedisError, Value, cmd, from_redis_value};
use tokio::runtime::Builder;

use super::error::{CallError, ServerError, is_no_answer_for_user};
use super::facts::ServerFacts;
use super::login::{Target, find_primary};
use super::script::QueueKeys;
use super::settings::ServerSettings;
use crate::queue_name::QueueName;

/// About how many keys the server looks at for one answer.
const SCAN_COUNT: usize = 1000;

/// Connections to the server, or to each primary of a cluster.
pub(crate) struct ServerInspector {
    settings: ServerSettings,
    primaries: Vec<Connection>,
}

impl ServerInspector {
    pub(crate) fn connect(settings: &ServerSettings) -> Result<Self, ServerError> {
        let connected = connect_to_primaries(settings);
        let primaries = connected.map_err(|error| inspect_error(settings, &error))?;
        Ok(Self { settings: settings.clone(), primaries })
    }

    /// The names of all queues on the server, in alphabetical order.
    pub(crate) fn queue_names(&mut self) -> Result<Vec<QueueName>, ServerError> {
        let prefix = &self.settings.url.prefix;
        let mut names = BTreeSet::new();
        for primary in &mut self.primaries {
            let keys = keys_of_queues(primary, prefix);
            for key in keys.map_err(|error| inspect_error(&self.settings, &error))? {
                let name = QueueKeys::parse_name(prefix, &String::from_utf8_lossy(&key));
                names.extend(name.map(|name| name.as_str().to_owned()));
            }
        }
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// What the server says of itself; in a cluster, the least that a primary promises.
    pub(crate) fn facts(&mut self) -> Result<ServerFacts, ServerError> {
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

fn inspect_error(settings: &ServerSettings, error: &RedisError) -> ServerError {
    CallError::new(error, settings, false).into()
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
        Err(error) if is_no_answer_for_user(&error) => Ok(None),
        other => other.map(Some),
    }
}

fn keys_of_queues(primary: &mut Connection, prefix: &str) -> Result<Vec<Vec<u8>>, RedisError> {
    let pattern = QueueKeys::scan_pattern(prefix);
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
    let client = match Target::new(settings, place.as_ref())? {
        Target::Server(client) => *client,
        Target::Sentinels(sentinels) => {
            // Without a runtime there is no limit for a Sentinel that says nothing.
            let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
            let found = runtime.block_on(find_primary(sentinels, settings.answer_timeout()));
            // A thread that looks up a name may take longer, and is not waited for.
            runtime.shutdown_background();
            found?
        }
    };
    let timeout = settings.answer_timeout();
    let connection = client.get_connection_with_timeout(timeout)?;
    connection.set_read_timeout(Some(timeout))?;
    connection.set_write_timeout(Some(timeout))?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

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
