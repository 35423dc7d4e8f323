//! The task and the reports of a process of a trial.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::clock::{Clock, Nanos};
use crate::run::private_dir::TOKENS;

/// The task of one process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TrialTask {
    #[serde(rename = "part")]
    pub(super) role: ProcessRole,
    /// The 1-based index among the processes of the same role.
    #[serde(rename = "number")]
    pub(super) index: u32,
    /// The process that starts the trial.
    pub(super) parent: u32,
    /// The directory of the pipes.
    #[serde(rename = "place")]
    pub(super) dir: PathBuf,
    /// The size of an item as JSON, in bytes.
    pub(super) size: u64,
    /// How many items a producer puts at most, unless it needs tokens.
    pub(super) max_puts: u64,
    /// How many clients a process of idle clients connects.
    pub(super) idle_clients: u32,
    /// A producer puts one item at a time, and needs a token for each item.
    #[serde(rename = "one_by_one")]
    pub(super) uses_tokens: bool,
    /// See [`Clock::since`].
    pub(super) origin: Nanos,
}

/// The role of a process in a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ProcessRole {
    Producer,
    Consumer,
    /// Connects clients that ask for nothing.
    IdleClients,
    Writer,
    Relay,
    Reader,
}

/// A report of a process: one line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ProcessReport {
    /// The process is ready. The end of its standard input is the start signal.
    Ready,
    /// A producer put the first item at `begin`.
    Put { begin: Nanos },
    /// A consumer had the last item at `end`. A latency trial has the latency of each item in nanoseconds.
    Got { end: Nanos, items: u64, latencies: Vec<Nanos> },
    /// The relay has passed all bytes on.
    Passed,
    /// The process failed for this reason.
    Failed(String),
}

impl TrialTask {
    /// Reports that this process is ready, and waits for the start signal.
    pub(super) fn wait_for_start(&self) -> anyhow::Result<Clock> {
        send_report(&ProcessReport::Ready)?;
        io::stdin().lock().read_to_end(&mut Vec::new())?;
        Ok(Clock::since(self.origin))
    }

    /// Opens the token pipe for a producer, if puts need tokens. The open waits for a consumer; the pipe ends with
    /// the last consumer.
    pub(super) fn open_token_reader(&self) -> io::Result<Option<File>> {
        self.uses_tokens.then(|| File::open(self.dir.join(TOKENS))).transpose()
    }

    /// Opens the token pipe for a consumer, if puts need tokens.
    pub(super) fn open_token_writer(&self) -> io::Result<Option<File>> {
        let open = || File::options().write(true).open(self.dir.join(TOKENS));
        self.uses_tokens.then(open).transpose()
    }

    /// The number of items between two looks at the clock. The looks cost next to nothing then.
    pub(super) fn clock_check_interval(&self) -> u64 {
        (4096 / self.size.max(1)).max(1)
    }
}

/// Permits one put. A missing producer is no error.
pub(super) fn release_token(mut tokens: &File) -> io::Result<()> {
    match tokens.write_all(b".") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Waits for the permission to put an item. False if no permission will come.
pub(super) fn acquire_token(mut tokens: &File) -> io::Result<bool> {
    Ok(tokens.read(&mut [0])? > 0)
}

/// Prints a report. A closed output is no error: the parent is dead, and this process ends soon without a queue.
pub(super) fn send_report(report: &ProcessReport) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    match io::stdout().lock().write_all(&line) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
