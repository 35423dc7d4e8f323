//! What `--sync` waits for: until the server has items on its disk and on its replicas.

use redis::{Cmd, FromRedisValue, InfoDict, RedisError, cmd};

use super::connection::Caller;
use super::error::{CallError, is_no_answer_for_user};

/// How long the server may take to write items to its disk, and to send them to its replicas, in milliseconds.
const WAIT_TIMEOUT_MS: u64 = 8000;

/// How a server makes items durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Durability {
    /// The server has WAITAOF. A server without it writes to its disk before each answer.
    has_waitaof: bool,
    replicas: u64,
}

/// What a wait has reached. The items are on the server's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DurabilityReport {
    /// How many replicas have the items.
    pub(crate) reached_replicas: u64,
    /// How many replicas the server had when the client connected.
    pub(crate) replicas: u64,
}

impl Durability {
    /// Asks the server what it can do.
    pub(super) async fn find(caller: &Caller) -> Result<Self, CallError> {
        let failed = |error: RedisError| caller.error(&error);
        let mut info = cmd("INFO");
        info.arg("persistence").arg("replication");
        let info = caller.command(&info).await.map_err(failed)?;
        let info = InfoDict::from_redis_value(info).map_err(|error| failed(error.into()))?;
        if info.get::<u8>("aof_enabled") != Some(1) {
            return Err(caller.not_durable("it keeps no append-only file"));
        }
        let replicas = info.get("connected_slaves").unwrap_or(0);
        let has_waitaof = match caller.command(&waitaof(0)).await {
            Ok(_) => true,
            Err(error) if error.to_string().contains("unknown command") => false,
            Err(error) => return Err(failed(error)),
        };
        if !has_waitaof {
            let mut config = cmd("CONFIG");
            config.arg("GET").arg("appendfsync");
            let answer = match caller.command(&config).await {
                Err(error) if is_no_answer_for_user(&error) => {
                    let cause = "it does not tell whether it writes to its disk before it answers";
                    return Err(caller.not_durable(cause));
                }
                answer => answer.map_err(failed)?,
            };
            let setting = Vec::<(String, String)>::from_redis_value(answer).unwrap_or_default();
            if setting.first().is_none_or(|(_, value)| value != "always") {
                return Err(caller.not_durable("it answers before it writes to its disk"));
            }
        }
        Ok(Self { has_waitaof, replicas })
    }

    /// Waits until everything is durable that this connection has written so far.
    pub(super) async fn wait(self, caller: &Caller) -> Result<DurabilityReport, CallError> {
        let failed = |error: RedisError| caller.error(&error);
        if self.has_waitaof {
            let answer = caller.command(&waitaof(1)).await.map_err(failed)?;
            let reached = Vec::<u64>::from_redis_value(answer).unwrap_or_default();
            if reached.first().is_none_or(|&disks| disks == 0) {
                return Err(caller.not_durable("its disk is too slow"));
            }
        }
        let Self { replicas, .. } = self;
        let mut reached_replicas = 0;
        if replicas > 0 {
            let mut wait = cmd("WAIT");
            wait.arg(replicas).arg(WAIT_TIMEOUT_MS);
            let answer = caller.command(&wait).await.map_err(failed)?;
            reached_replicas = u64::from_redis_value(answer).unwrap_or(0);
        }
        Ok(DurabilityReport { reached_replicas, replicas })
    }
}

/// Waits until the server itself (1) or nobody (0) has everything on its disk.
fn waitaof(servers: u8) -> Cmd {
    let mut command = cmd("WAITAOF");
    command.arg(servers).arg(0).arg(WAIT_TIMEOUT_MS);
    command
}
