//! What a server says of itself, and which queues it has: for `qdemo status`, and for the check before a put.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError, Value, cmd, from_redis_value};
use tokio::net::unix::pipe::Receiver;
use tokio::runtime::Runtime;
use tokio::time::sleep;

use super::backoff::Backoff;
use super::error::{CallError, ServerError, no_answer_yet};
use super::facts::ServerFacts;
use super::host::Way;
use super::login::Login;
use super::questions::{ask, facts_of};
use super::script::QueueKeys;
use super::settings::ServerSettings;
use super::stream::Traffic;
use super::talk::NOTICE_DELAY;
use super::url::Place;
use crate::os::Waker;
use crate::os::os_text;
use crate::queue_name::QueueName;

/// About how many keys the server looks at for one answer.
const SCAN_COUNT: usize = 1000;

/// Asks a server, or each primary of a cluster.
pub(crate) struct ServerInspector {
    runtime: Runtime,
    settings: ServerSettings,
    /// Ends each wait for the server.
    interrupt: Arc<Waker>,
}

/// What a server has said.
pub(crate) struct Inspection {
    /// What it says of itself; in a cluster, the least that a primary promises.
    pub(crate) facts: ServerFacts,
    /// All queues in alphabetical order, if they were asked for.
    pub(crate) queues: Vec<QueueName>,
}

impl ServerInspector {
    pub(crate) fn new(
        settings: &ServerSettings,
        interrupt: Arc<Waker>,
    ) -> Result<Self, ServerError> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(system_error)?;
        Ok(Self { runtime, settings: settings.clone(), interrupt })
    }

    /// Asks the server. Tries again within the settings' patience while the server is away, and tells `on_silence` the
    /// cause once. None if the process is to end.
    pub(crate) fn inspect(
        &self,
        lists_queues: bool,
        on_silence: &mut dyn FnMut(&ServerError),
    ) -> Result<Option<Inspection>, ServerError> {
        self.runtime.block_on(async {
            let interrupt = self.interrupt.as_fd().try_clone_to_owned();
            let interrupt = interrupt.and_then(Receiver::from_owned_fd).map_err(system_error)?;
            let server = self.settings.url.to_string();
            let problem = RefCell::new(ServerError::Silent { server, cause: no_answer_yet() });
            let notice = async {
                sleep(NOTICE_DELAY).await;
                on_silence(&problem.borrow());
                pending::<Infallible>().await
            };
            let patience = async {
                match self.settings.patience {
                    Some(patience) => sleep(Duration::from_nanos(patience)).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = interrupt.readable() => Ok(None),
                inspected = self.attempts(lists_queues, &problem) => inspected.map(Some),
                never = notice => match never {},
                () = patience => Err(problem.borrow().clone()),
            }
        })
    }

    /// Asks again until the server answers. Writes down why it does not.
    async fn attempts(
        &self,
        lists_queues: bool,
        problem: &RefCell<ServerError>,
    ) -> Result<Inspection, ServerError> {
        let mut backoff = Backoff::default();
        loop {
            match inspect_once(&self.settings, lists_queues).await {
                Err(CallError::Lost(error) | CallError::Moved { error, .. }) => {
                    problem.replace(error);
                    backoff.pause().await;
                }
                other => return Ok(other?),
            }
        }
    }
}

fn system_error(error: io::Error) -> ServerError {
    ServerError::System { cause: os_text(&error) }
}

async fn inspect_once(
    settings: &ServerSettings,
    lists_queues: bool,
) -> Result<Inspection, CallError> {
    let failed = |error: RedisError| CallError::new(&error, settings, false);
    let first = connect(settings, None).await?;
    let (place, address) = (first.place.clone(), settings.url.to_string());
    let (primaries, is_cluster) =
        match cluster_primaries(&first.connection).await.map_err(failed)? {
            None => (vec![first.connection], false),
            Some(places) => (connect_to_all(settings, &first, places).await?, true),
        };
    let mut all: Option<ServerFacts> = None;
    let mut names = BTreeSet::new();
    for primary in &primaries {
        let facts = facts_of(&address, primary).await.map_err(failed)?;
        if facts.is_replica() && settings.url.service.is_some() {
            // The Sentinels do not know the new primary yet.
            return Err(CallError::Lost(ServerError::ReadOnly { server: address }));
        }
        all = Some(match all {
            Some(others) => others.least(facts),
            None => facts,
        });
        if lists_queues {
            let prefix = &settings.url.prefix;
            for key in keys_of_queues(primary, prefix).await.map_err(failed)? {
                let name = QueueKeys::parse_name(prefix, &String::from_utf8_lossy(&key));
                names.extend(name.map(|name| name.as_str().to_owned()));
            }
        }
    }
    let mut facts = all.unwrap_or_else(|| ServerFacts::new(&address, None, None, None));
    facts.primaries = is_cluster.then_some(primaries.len());
    facts.primary =
        place.filter(|_| settings.url.service.is_some()).map(|place| place_text(&place));
    let queues = names.iter().filter_map(|name| name.parse().ok()).collect();
    Ok(Inspection { facts, queues })
}

/// `10.0.0.1:6379`, or `[::1]:6379`.
fn place_text((host, port): &Place) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

async fn keys_of_queues(
    primary: &MultiplexedConnection,
    prefix: &str,
) -> Result<Vec<Vec<u8>>, RedisError> {
    let pattern = QueueKeys::scan_pattern(prefix);
    let (mut cursor, mut all) = (0_u64, Vec::new());
    loop {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SCAN_COUNT);
        let (next, keys): (u64, Vec<Vec<u8>>) = scan.query_async(&mut primary.clone()).await?;
        all.extend(keys);
        if next == 0 {
            return Ok(all);
        }
        cursor = next;
    }
}

/// Where the primaries of the cluster are; none if this server is no part of a cluster.
async fn cluster_primaries(
    server: &MultiplexedConnection,
) -> Result<Option<BTreeSet<Place>>, RedisError> {
    let info = ask::<String>(server, &["INFO", "cluster"]).await?;
    let is_cluster = info.as_deref().map(|info| info.contains("cluster_enabled:1"));
    if is_cluster == Some(false) {
        return Ok(None);
    }
    let slots = cmd("CLUSTER").arg("SLOTS").query_async::<Value>(&mut server.clone()).await;
    match slots {
        Ok(slots) => Ok(Some(primaries_in(slots))),
        // The user may not ask whether this is a cluster.
        Err(error) if is_cluster.is_none() && error.code().is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn connect_to_all(
    settings: &ServerSettings,
    first: &Login,
    places: BTreeSet<Place>,
) -> Result<Vec<MultiplexedConnection>, CallError> {
    let mut primaries = Vec::new();
    for (host, port) in places {
        // A server that does not know its own name leaves it out.
        let same_host = || first.place.as_ref().map(|(host, _)| host.clone());
        let host = if host.is_empty() { same_host().unwrap_or_default() } else { host };
        primaries.push(connect(settings, Some(&(host, port))).await?.connection);
    }
    Ok(primaries)
}

/// The primaries in the answer to `CLUSTER SLOTS`: ranges of slots, each with its servers, the primary first.
fn primaries_in(slots: Value) -> BTreeSet<Place> {
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

/// Connects to this server, or else to where the settings lead.
async fn connect(settings: &ServerSettings, place: Option<&Place>) -> Result<Login, CallError> {
    let limit = settings.answer_timeout();
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(limit));
    let way = Way { config, limit, traffic: Arc::new(Traffic::new()) };
    let mut login = Login::open(settings, place, way, false).await?;
    // The task that carries the bytes ends with the runtime.
    login.driver.detach_all();
    Ok(login)
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
