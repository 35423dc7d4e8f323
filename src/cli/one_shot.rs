//! Coming to a queue for one thing only, as all commands but producers and consumers do.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::{ExitError, QueueArg, values};
use crate::client::{Client, Error, QueueBuilder, Timeout, default_base_dir};
use crate::clock::{ProcessBirth, nanos};
use crate::exit::ExitCode;
use crate::exit::UsageError;
use crate::keeper::daemon::LEGACY_FILE_LINE;
use crate::os::Waker;
use crate::os::signals::{self, LeaveSignals};
use crate::pipe::{InboxWriter, QueueDir};
use crate::queue_name::QueueName;
use crate::report::eprint_line;
use crate::report::{Lang, Output, OutputFormat, Progress, Reporter};
use crate::role::Role;

/// How long to wait, as every command that may wait takes it.
#[derive(Debug, clap::Args)]
pub(super) struct TimeoutArgs {
    /// Wait no longer than this for an item, for room, or for any answer
    #[arg(long, value_name = "TIME")]
    #[arg(value_parser = values::parse_duration, allow_hyphen_values = true)]
    timeout: Option<Duration>,

    /// Do not wait at all for an item, or for room
    #[arg(long, conflicts_with = "timeout")]
    no_wait: bool,
}

impl TimeoutArgs {
    pub(super) fn resolve(&self) -> Timeout {
        match self.timeout {
            _ if self.no_wait => Timeout::After(0),
            timeout => timeout_or_endless(timeout),
        }
    }
}

/// Until then, or without an end.
pub(super) fn timeout_or_endless(timeout: Option<Duration>) -> Timeout {
    timeout.map_or(Timeout::Infinite, |timeout| Timeout::After(nanos(timeout)))
}

/// Resolved: the queue, and how to come to it.
pub(super) struct OneShot {
    pub(super) queue: QueueName,
    pub(super) options: QueueBuilder,
    waker: Arc<Waker>,
}

impl QueueArg {
    /// Signals are caught from here on.
    pub(super) fn one_shot(&self) -> anyhow::Result<OneShot> {
        let queue = self.name()?;
        let waker = signals::install_handlers(LeaveSignals::NotIgnored)?;
        let options = QueueBuilder::new(queue.clone()).interrupt(Arc::clone(&waker));
        Ok(OneShot { queue, options, waker })
    }
}

impl OneShot {
    /// A command that a script calls again and again is to be told of an end as the script would be.
    pub(super) fn on_behalf_of_callers(mut self) -> Self {
        self.options = self.options.callers(ProcessBirth::of_ancestors());
        self
    }

    /// A keeper that doesn't answer is waited for no longer than this.
    pub(super) fn with_timeout(mut self, timeout: Timeout) -> Self {
        self.options = self.options.with_timeout(timeout);
        self
    }

    /// Comes to the queue, which is made if need be.
    pub(super) fn connect(&self) -> anyhow::Result<Client> {
        connect_and_warn(self.options.clone(), Role::Visitor, &self.queue)
    }

    /// Whether somebody has made the queue.
    pub(super) fn exists(&self) -> anyhow::Result<bool> {
        let base = default_base_dir()?;
        Ok(QueueDir::exists(&base, self.queue.as_str()).map_err(Error::from)?)
    }

    /// Comes to a queue that somebody has made.
    pub(super) fn connect_existing(&self) -> anyhow::Result<Client> {
        let client = self.options.clone().connect_if_exists()?;
        let client = client.ok_or_else(|| no_such_queue_error(&self.queue))?;
        warn_of_damage(&client, &self.queue);
        Ok(client)
    }

    /// Removes the files of a queue that no keeper can keep, whatever is in them.
    pub(super) fn remove_files(&self) -> anyhow::Result<()> {
        let dir =
            QueueDir::open(default_base_dir()?.join(self.queue.as_str())).map_err(Error::from)?;
        let lock = dir.lock()?.context("the queue has been removed")?;
        if InboxWriter::open(&dir)?.is_some() {
            anyhow::bail!("another process keeps the queue by now: try again");
        }
        dir.remove_queue_files()?;
        dir.remove_if_empty();
        drop(lock);
        Ok(())
    }

    /// For results.
    pub(super) fn reporter(&self, style: OutputFormat) -> Reporter {
        let output = Output::new(Progress::default(), Some(Arc::clone(&self.waker)));
        Reporter::new(style, Lang::En, [1, 1], output)
    }

    /// Woken by the signal to leave.
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }
}

/// Comes to a queue, and tells if some of it could not be brought back.
pub(super) fn connect_and_warn(
    options: QueueBuilder,
    role: Role,
    queue: &QueueName,
) -> anyhow::Result<Client> {
    let client = options.connect(role)?;
    warn_of_damage(&client, queue);
    Ok(client)
}

fn warn_of_damage(client: &Client, queue: &QueueName) {
    let lines = client.damaged_lines().iter().filter(|&&line| line != LEGACY_FILE_LINE);
    let lines: Vec<_> = lines.map(u64::to_string).collect();
    if !lines.is_empty() {
        eprint_line(&format!(
            "the journal of the queue `{queue}` is damaged in line {}: what stood there is lost, and \
             the rest is there",
            lines.join(", ")
        ));
    }
    if client.damaged_lines().contains(&LEGACY_FILE_LINE) {
        eprint_line(&format!(
            "the file memory.json of the queue `{queue}` is damaged, and has been removed: its capacity \
             and its end may be lost, and all items are there"
        ));
    }
}

/// A person who waits should know what for. A script may well start its consumers first.
pub(super) fn print_end_notice(client: &Client, queue: &QueueName) {
    if client.is_waiting_for_next_queue() && io::stderr().is_terminal() {
        eprint_line(&format!("the queue `{queue}` has ended: this waits for what comes next"));
    }
}

/// Nobody has made this queue.
pub(super) fn no_such_queue_error(queue: &QueueName) -> ExitError {
    let text =
        format!("there is no queue `{queue}`: `qdemo put` makes one, `qdemo status` lists them");
    ExitError { code: ExitCode::Failed, message: text }
}

/// How many items to show or get; the limits of a count.
pub(super) fn check_count(count: u64) -> Result<u64, UsageError> {
    match count {
        0 => Err(UsageError("--count 0 asks for nothing: write 1 or more".to_owned())),
        count => Ok(count),
    }
}
