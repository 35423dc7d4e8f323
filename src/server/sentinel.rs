//! Asks Sentinels where the present primary is.

use std::sync::Arc;
use std::time::Duration;

use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisError, cmd};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::error::{CallError, ServerError};
use super::host::{Way, connect_to};
use super::settings::ServerSettings;
use super::stream::Traffic;
use super::url::Place;

/// How long a Sentinel may take to answer, and the primary that it names to accept a connection: it may be the old
/// one, and soon the Sentinels know the new one.
const STEP_LIMIT: Duration = Duration::from_secs(2);
/// After this time without an answer the next Sentinel is asked too.
const HEAD_START: Duration = Duration::from_millis(250);

pub(super) fn step_limit(settings: &ServerSettings) -> Duration {
    settings.answer_timeout().min(STEP_LIMIT)
}

/// The primary, as the first Sentinel says that answers. They are asked in the order of the URL; none holds up the
/// next one for long.
pub(super) async fn find_primary(
    settings: &ServerSettings,
    service: &str,
) -> Result<Place, CallError> {
    let mut sentinels = settings.url.hosts.iter();
    let mut asked = JoinSet::new();
    let mut failure: Option<CallError> = None;
    loop {
        if let Some(sentinel) = sentinels.next() {
            let (settings, service) = (settings.clone(), service.to_owned());
            let sentinel = sentinel.clone();
            asked.spawn(async move { ask(&settings, &sentinel, &service).await });
        }
        let answer = tokio::select! {
            answer = asked.join_next() => answer,
            () = sleep(HEAD_START), if sentinels.len() > 0 => continue,
        };
        failure = match answer {
            Some(Ok(Ok(primary))) => return Ok(primary),
            Some(Ok(Err(error))) => Some(match failure {
                Some(other) => more_telling(other, error),
                None => error,
            }),
            Some(Err(error)) => {
                Some(CallError::Fatal(ServerError::System { cause: error.to_string() }))
            }
            None => {
                let server = settings.url.to_string();
                let unknown = || CallError::Fatal(ServerError::UnknownPrimary { server });
                return Err(failure.unwrap_or_else(unknown));
            }
        };
    }
}

/// What to tell of two Sentinels that failed. An error that lasts tells more; but it is not final while the other
/// Sentinel is only away.
fn more_telling(one: CallError, other: CallError) -> CallError {
    match (one, other) {
        (CallError::Fatal(error), CallError::Lost(_))
        | (CallError::Lost(_), CallError::Fatal(error)) => CallError::Lost(error),
        (one, _) => one,
    }
}

/// Where the primary is, as this Sentinel says.
async fn ask(
    settings: &ServerSettings,
    sentinel: &Place,
    service: &str,
) -> Result<Place, CallError> {
    let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
    if let Some(password) = &settings.sentinel_password {
        login = login.set_password(password);
    }
    let limit = step_limit(settings);
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(limit));
    let way = Way { config, limit, traffic: Arc::new(Traffic::new()) };
    let failed = |error: CallError| of_sentinel(error, sentinel);
    let connected = connect_to(settings, sentinel, login, &way, false).await;
    let (mut connection, _driver) = connected.map_err(failed)?;
    let mut question = cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
    let answer: Result<Option<Place>, RedisError> = question.query_async(&mut connection).await;
    let answer = answer.map_err(|error| failed(CallError::new(&error, settings, false)))?;
    let unknown = || ServerError::UnknownPrimary { server: settings.url.to_string() };
    answer.ok_or_else(|| CallError::Fatal(unknown()))
}

/// The remedies for a Sentinel are not those for a server.
fn of_sentinel(error: CallError, (host, port): &Place) -> CallError {
    match error {
        CallError::Fatal(ServerError::Credentials { cause, .. }) => {
            let sentinel = format!("{host}:{port}");
            CallError::Fatal(ServerError::SentinelCredentials { sentinel, cause })
        }
        error => error,
    }
}
