//! What a process of a measurement is told, and what it tells.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::relay;
use super::workload;
use crate::clock::{Clock, Nanos};
use crate::run::private_dir::TOKENS;

/// What one process is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TrialTask {
    #[serde(rename = "part")]
    pub(super) role: ProcessRole,
    /// From 1 on, among those who play the same part.
    #[serde(default)]
    #[serde(rename = "number")]
    pub(super) index: u32,
    /// The directory of the pipes.
    #[serde(default)]
    #[serde(rename = "place")]
    pub(super) dir: PathBuf,
    /// Bytes of an item as JSON.
    pub(super) size: u64,
    /// For so many nanoseconds items are put.
    #[serde(default)]
    #[serde(rename = "window")]
    pub(super) put_duration: Nanos,
    /// One at a time, and only when somebody waits for it.
    #[serde(default)]
    #[serde(rename = "one_by_one")]
    pub(super) has_permits: bool,
    /// See [`Clock::since`].
    #[serde(default)]
    pub(super) origin: Nanos,
}

/// What a process is in a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ProcessRole {
    Producer,
    Consumer,
    Writer,
    Relay,
    Reader,
}

/// What a process says, a line each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ProcessReport {
    /// It waits for the end of its standard input, which is the sign to begin.
    Ready,
    /// It put the first item at `begin`.
    Put { begin: Nanos },
    /// It had the last of so many items at `end`; how long each was underway, if it is about that.
    Got { end: Nanos, items: u64, latencies: Vec<Nanos> },
    /// It has passed on what it was given.
    Passed,
    /// It could not.
    Failed(String),
}

impl TrialTask {
    /// Does it, and tells.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let report = match self.role {
            ProcessRole::Producer => workload::run_producer(self),
            ProcessRole::Consumer => workload::run_consumer(self),
            ProcessRole::Writer => relay::run_writer(self),
            ProcessRole::Relay => relay::run_relay(self),
            ProcessRole::Reader => relay::run_reader(self),
        };
        send_report(&report.unwrap_or_else(|error| ProcessReport::Failed(format!("{error:#}"))))
    }

    /// Says that it may begin, and waits for the others.
    pub(super) fn wait_for_start(&self) -> anyhow::Result<Clock> {
        send_report(&ProcessReport::Ready)?;
        io::stdin().lock().read_to_end(&mut Vec::new())?;
        Ok(Clock::since(self.origin))
    }

    /// Where leave to put is read, when it is about one item at a time. Waits for the other end, and ends
    /// with it.
    pub(super) fn open_token_reader(&self) -> io::Result<Option<File>> {
        self.has_permits.then(|| File::open(self.dir.join(TOKENS))).transpose()
    }

    /// Where it is given.
    pub(super) fn open_token_writer(&self) -> io::Result<Option<File>> {
        let open = || File::options().write(true).open(self.dir.join(TOKENS));
        self.has_permits.then(open).transpose()
    }

    /// After how many items the clock is to be looked at: so that it costs next to nothing.
    pub(super) fn clock_check_interval(&self) -> u64 {
        (4096 / self.size.max(1)).max(1)
    }
}

/// Lets somebody put an item. That nobody wants to any more is fine.
pub(super) fn release_token(mut tokens: &File) -> io::Result<()> {
    match tokens.write_all(b".") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Waits for leave to put an item; false when there will be none.
pub(super) fn acquire_token(mut tokens: &File) -> io::Result<bool> {
    Ok(tokens.read(&mut [0])? > 0)
}

/// That nobody listens any more is for who has died: this process ends soon, for want of a queue.
fn send_report(report: &ProcessReport) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    match io::stdout().lock().write_all(&line) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
