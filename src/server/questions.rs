//! Questions about a server that a user may have no right to ask.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, RedisError};

use super::error::is_no_answer_for_user;
use super::facts::ServerFacts;

/// What a server says of itself.
pub(super) async fn facts_of(
    address: &str,
    server: &MultiplexedConnection,
) -> Result<ServerFacts, RedisError> {
    let setting = async |name| {
        let pair = ask::<Vec<(String, String)>>(server, &["CONFIG", "GET", name]).await?;
        Ok::<_, RedisError>(pair.and_then(|pair| pair.into_iter().next()).map(|(_, value)| value))
    };
    let (info, save, appendfsync) = tokio::try_join!(
        ask::<String>(server, &["INFO"]),
        setting("save"),
        setting("appendfsync")
    )?;
    Ok(ServerFacts::new(address, info.as_deref(), save.as_deref(), appendfsync.as_deref()))
}

/// The answer of the server; none if the user may not ask, or if the server does not have the command.
pub(super) async fn ask<T: FromRedisValue>(
    server: &MultiplexedConnection,
    words: &[&str],
) -> Result<Option<T>, RedisError> {
    let mut command = Cmd::new();
    command.arg(words);
    match command.query_async(&mut server.clone()).await {
        Err(error) if is_no_answer_for_user(&error) => Ok(None),
        other => other.map(Some),
    }
}
