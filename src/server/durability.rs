//! What `--sync` waits for: until the server has items on its disk and on its replicas.

use std::time::Duration;

use redis::{Cmd, FromRedisValue, InfoDict, RedisError, cmd};

use super::connection::Caller;
use super::error::{CallError, is_no_answer_for_user};
use crate::catalogue::message;
use crate::clock::{Clock, nanos};

/// How long the server may take to write items to its disk, and then to send them to its replicas.
const WAIT_TIMEOUT: Duration = Duration::from_secs(8);
/// The server waits for this time before it answers, and is asked again: so a server that hangs is noticed.
pub(super) const WAIT_SLICE: Duration = Duration::from_secs(1);

/// How a server makes items durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Durability {
    /// The server has WAITAOF. A server without it writes to its disk before each answer.
    has_waitaof: bool,
}

/// What a wait has reached. The items are on the server's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DurabilityReport {
    /// How many replicas have the items.
    pub(crate) reached_replicas: u64,
    /// How many replicas the server had while it waited, at most.
    pub(crate) replicas: u64,
}

impl Durability {
    /// Asks the server what it can do.
    pub(super) async fn find(caller: &Caller) -> Result<Self, CallError> {
        let failed = |error: RedisError| caller.error(&error);
        let mut info = cmd("INFO");
        info.arg("persistence");
        let info = caller.command(&info).await.map_err(failed)?;
        let info = InfoDict::from_redis_value(info).map_err(|error| failed(error.into()))?;
        if info.get::<u8>("aof_enabled") != Some(1) {
            return Err(caller.not_durable(message!("server-no-append-only-file")));
        }
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
                    let cause = message!("server-no-durability-answer");
                    return Err(caller.not_durable(cause));
                }
                answer => answer.map_err(failed)?,
            };
            let setting = Vec::<(String, String)>::from_redis_value(answer).unwrap_or_default();
            if setting.first().is_none_or(|(_, value)| value != "always") {
                return Err(caller.not_durable(message!("server-answers-early")));
            }
        }
        Ok(Self { has_waitaof })
    }

    /// Waits until everything is durable that this connection has written so far.
    pub(super) async fn wait(self, caller: &Caller) -> Result<DurabilityReport, CallError> {
        if self.has_waitaof && !wait_for_disk(caller).await? {
            return Err(caller.not_durable(message!("server-slow-disk")));
        }
        wait_for_replicas(caller).await
    }
}

/// Returns whether the server's own disk has everything.
async fn wait_for_disk(caller: &Caller) -> Result<bool, CallError> {
    let failed = |error: RedisError| caller.error(&error);
    let begin = Clock::start_now();
    loop {
        let answer = caller.command_after(WAIT_SLICE, &waitaof(1)).await.map_err(failed)?;
        let reached = Vec::<u64>::from_redis_value(answer).unwrap_or_default();
        if reached.first().is_some_and(|&disks| disks > 0) {
            return Ok(true);
        }
        if begin.now() >= nanos(WAIT_TIMEOUT) {
            return Ok(false);
        }
    }
}

/// Replicas come and go while the server waits for them.
async fn wait_for_replicas(caller: &Caller) -> Result<DurabilityReport, CallError> {
    let failed = |error: RedisError| caller.error(&error);
    let begin = Clock::start_now();
    let mut report = DurabilityReport { reached_replicas: 0, replicas: 0 };
    loop {
        let mut info = cmd("INFO");
        info.arg("replication");
        let info = caller.command(&info).await.map_err(failed)?;
        let info = InfoDict::from_redis_value(info).map_err(|error| failed(error.into()))?;
        let replicas: u64 = info.get("connected_slaves").unwrap_or(0);
        report.replicas = report.replicas.max(replicas);
        if report.reached_replicas >= replicas || begin.now() >= nanos(WAIT_TIMEOUT) {
            return Ok(report);
        }
        let mut wait = cmd("WAIT");
        wait.arg(replicas).arg(WAIT_SLICE.as_millis() as u64);
        let answer = caller.command_after(WAIT_SLICE, &wait).await.map_err(failed)?;
        let reached = u64::from_redis_value(answer).unwrap_or(0);
        report.reached_replicas = report.reached_replicas.max(reached);
    }
}

/// Waits until the server itself (1) or nobody (0) has everything on its disk.
fn waitaof(servers: u8) -> Cmd {
    let mut command = cmd("WAITAOF");
    command.arg(servers).arg(0).arg(WAIT_SLICE.as_millis() as u64);
    command
}
