//! Coming to a queue for one thing only, as all commands but producers and consumers do.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::{QueueArg, Stop, values};
use crate::client::{Client, Error, Options, Patience, default_dir};
use crate::clock::{Stamp, nanos};
use crate::exit::ExitCode;
use crate::exit::Usage;
use crate::keeper::daemon::LEGACY_LINE;
use crate::os::Waker;
use crate::os::signals::{self, Leave};
use crate::pipe::{Door, QueueDir};
use crate::queue_name::QueueName;
use crate::report::say;
use crate::report::{Lang, Output, Progress, Reporter, Style};
use crate::role::Role;

/// How long to wait, as every command that may wait takes it.
#[derive(Debug, clap::Args)]
pub(super) struct WaitArgs {
    /// Wait no longer than this for an item, for room, or for any answer
    #[arg(long, value_name = "TIME")]
    #[arg(value_parser = values::delay, allow_hyphen_values = true)]
    timeout: Option<Duration>,

    /// Do not wait at all for an item, or for room
    #[arg(long, conflicts_with = "timeout")]
    no_wait: bool,
}

impl WaitArgs {
    pub(super) fn patience(&self) -> Patience {
        match self.timeout {
            _ if self.no_wait => Patience::For(0),
            timeout => patience(timeout),
        }
    }
}

/// Until then, or without an end.
pub(super) fn patience(timeout: Option<Duration>) -> Patience {
    timeout.map_or(Patience::Endless, |timeout| Patience::For(nanos(timeout)))
}

/// Resolved: the queue, and how to come to it.
pub(super) struct Visit {
    pub(super) queue: QueueName,
    pub(super) options: Options,
    waker: Arc<Waker>,
}

impl QueueArg {
    /// Signals are caught from here on.
    pub(super) fn visit(&self) -> anyhow::Result<Visit> {
        let queue = self.name()?;
        let waker = signals::catch(Leave::Unignored)?;
        let options = Options::new(queue.clone(), Role::Visitor).interrupt(Arc::clone(&waker));
        Ok(Visit { queue, options, waker })
    }
}

impl Visit {
    /// A command that a script calls again and again is to be told of an end as the script would be.
    pub(super) fn for_the_callers(mut self) -> Self {
        self.options = self.options.callers(Stamp::callers());
        self
    }

    /// A keeper that doesn't answer is waited for no longer than this.
    pub(super) fn within(mut self, patience: Patience) -> Self {
        self.options = self.options.patience(patience);
        self
    }

    /// Comes to the queue, which is made if need be.
    pub(super) fn come(&self) -> anyhow::Result<Client> {
        come(self.options.clone(), &self.queue)
    }

    /// Whether somebody has made the queue.
    pub(super) fn is_there(&self) -> anyhow::Result<bool> {
        let base = default_dir()?;
        Ok(QueueDir::exists(&base, self.queue.as_str()).map_err(Error::from)?)
    }

    /// Comes to a queue that somebody has made.
    pub(super) fn come_if_there(&self) -> anyhow::Result<Client> {
        let client = self.options.clone().connect_if_there()?;
        let client = client.ok_or_else(|| no_such_queue(&self.queue))?;
        tell_damage(&client, &self.queue);
        Ok(client)
    }

    /// Removes the files of a queue that no keeper can keep, whatever is in them.
    pub(super) fn remove_files(&self) -> anyhow::Result<()> {
        let dir = QueueDir::open(default_dir()?.join(self.queue.as_str())).map_err(Error::from)?;
        let lock = dir.lock()?.context("the queue has been removed")?;
        if Door::open(&dir)?.is_some() {
            anyhow::bail!("another process keeps the queue by now: try again");
        }
        dir.remove_files()?;
        dir.remove_if_empty();
        drop(lock);
        Ok(())
    }

    /// For results.
    pub(super) fn reporter(&self, style: Style) -> Reporter {
        let output = Output::new(Progress::default(), Some(Arc::clone(&self.waker)));
        Reporter::new(style, Lang::En, [1, 1], output)
    }

    /// Woken by the signal to leave.
    pub(super) fn waker(&self) -> &Waker {
        &self.waker
    }
}

/// Comes to a queue, and tells if some of it could not be brought back.
pub(super) fn come(options: Options, queue: &QueueName) -> anyhow::Result<Client> {
    let client = options.connect()?;
    tell_damage(&client, queue);
    Ok(client)
}

fn tell_damage(client: &Client, queue: &QueueName) {
    let lines = client.damaged_lines().iter().filter(|&&line| line != LEGACY_LINE);
    let lines: Vec<_> = lines.map(u64::to_string).collect();
    if !lines.is_empty() {
        say(&format!(
            "the journal of the queue `{queue}` is damaged in line {}: what stood there is lost, and \
             the rest is there",
            lines.join(", ")
        ));
    }
    if client.damaged_lines().contains(&LEGACY_LINE) {
        say(&format!(
            "the file memory.json of the queue `{queue}` is damaged, and has been removed: its capacity \
             and its end may be lost, and all items are there"
        ));
    }
}

/// A person who waits should know what for. A script may well start its consumers first.
pub(super) fn tell_of_the_end(client: &Client, queue: &QueueName) {
    if client.waits_for_a_new_one() && io::stderr().is_terminal() {
        say(&format!("the queue `{queue}` has ended: this waits for what comes next"));
    }
}

/// Nobody has made this queue.
pub(super) fn no_such_queue(queue: &QueueName) -> Stop {
    let text =
        format!("there is no queue `{queue}`: `qdemo put` makes one, `qdemo status` lists them");
    Stop { code: ExitCode::Failed, text }
}

/// How many items to show or get; the limits of a count.
pub(super) fn at_least_one(count: u64) -> Result<u64, Usage> {
    match count {
        0 => Err(Usage("--count 0 asks for nothing: write 1 or more".to_owned())),
        count => Ok(count),
    }
}
