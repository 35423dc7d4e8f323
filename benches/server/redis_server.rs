//! A Redis server of the bench's own, on a Unix socket in a temporary directory.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use redis::{Client, Connection, Value, cmd};
use tempfile::TempDir;

/// How the server keeps its data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    None,
    AofEverySecond,
    AofAlways,
}

impl Persistence {
    pub const ALL: [Self; 3] = [Self::None, Self::AofEverySecond, Self::AofAlways];

    pub fn name(self) -> &'static str {
        match self {
            Self::None => "no persistence",
            Self::AofEverySecond => "AOF every second",
            Self::AofAlways => "AOF always",
        }
    }

    fn options(self) -> &'static [&'static str] {
        match self {
            Self::None => &["--appendonly", "no"],
            Self::AofEverySecond => &["--appendonly", "yes", "--appendfsync", "everysec"],
            Self::AofAlways => &["--appendonly", "yes", "--appendfsync", "always"],
        }
    }
}

/// The server. It ends when this is dropped.
pub struct RedisServer {
    dir: TempDir,
    process: Child,
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // An error says that the server has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl RedisServer {
    pub fn start(persistence: Persistence) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--dir"])
            .arg(dir.path())
            .arg("--unixsocket")
            .arg(dir.path().join("redis.sock"))
            .args(persistence.options())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start redis-server")?;
        let mut server = Self { dir, process };
        let deadline = Instant::now() + Duration::from_secs(10);
        while server.connect().is_err() {
            if server.process.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("redis-server does not answer");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(server)
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    /// The URL, as qdemo takes it.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    pub fn connect(&self) -> Result<Connection> {
        Ok(Client::open(self.url())?.get_connection()?)
    }

    /// Removes all that the server has, but no script.
    pub fn clear(&self) -> Result<()> {
        Ok(cmd("FLUSHALL").arg("SYNC").exec(&mut self.connect()?)?)
    }

    /// A number in the server's INFO.
    pub fn info(&self, connection: &mut Connection, section: &str, field: &str) -> Result<u64> {
        let info: String = cmd("INFO").arg(section).query(connection)?;
        let value = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(value.with_context(|| format!("INFO has no {field}"))?.trim().parse()?)
    }

    /// The calls of the script, and the microseconds of one call on average, since the last reset.
    pub fn script_calls(&self) -> Result<(u64, f64)> {
        let info: String = cmd("INFO").arg("commandstats").query(&mut self.connect()?)?;
        let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:"));
        let line = line.context("the server has run no script")?;
        let number = |name: &str| -> Result<f64> {
            let value = line.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            Ok(value.context("commandstats has another form")?.parse()?)
        };
        Ok((number("calls")? as u64, number("usec_per_call")?))
    }

    pub fn reset_statistics(&self) -> Result<()> {
        Ok(cmd("CONFIG").arg("RESETSTAT").exec(&mut self.connect()?)?)
    }

    /// Waits until the server's answer to `is_reached` is yes.
    pub fn wait_until(
        &self,
        connection: &mut Connection,
        is_reached: impl Fn(&Self, &mut Connection) -> Result<bool>,
    ) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_reached(self, connection)? {
            if Instant::now() > deadline {
                bail!("what the bench waits for does not happen");
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        Ok(())
    }

    /// Whether this many clients wait in a blocking command.
    pub fn has_blocked(&self, connection: &mut Connection, clients: u64) -> Result<bool> {
        Ok(self.info(connection, "clients", "blocked_clients")? == clients)
    }

    /// Whether this many clients wait for items of the queue `default` of qdemo.
    pub fn has_getters(&self, connection: &mut Connection, clients: u64) -> Result<bool> {
        let getters: u64 = cmd("ZCARD").arg("qdemo:{default}:getters").query(connection)?;
        Ok(getters == clients)
    }
}

/// The elements of a reply that is a list.
pub fn elements(value: Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values,
        _ => Vec::new(),
    }
}
