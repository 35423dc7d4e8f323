//! Connections to a queue: warnings after a connect, notices, and the connection of a one-shot command.

use std::sync::Arc;

use anyhow::Context;

use super::args::QueueArg;
use super::queue_names::no_such_queue_error;
use super::server_args::ServerArgs;
use super::wait_notice::Waiting;
use crate::catalogue::{lang, message};
use crate::client::{Client, Error, QueueBuilder, Timeout, default_base_dir};
use crate::exit::ExitCode;
use crate::keeper::daemon::LEGACY_FILE_LINE;
use crate::os::Waker;
use crate::os::signals::{self, LeaveSignals};
use crate::pipe::{InboxWriter, QueueDir};
use crate::queue_name::QueueName;
use crate::report::{Output, OutputFormat, Progress, Reporter, StdoutError, eprint_line};
use crate::role::Role;
use crate::server::{Notifier, ServerSettings};

/// The queue of a one-shot command, and how to connect to it.
pub(super) struct OneShot {
    pub(super) queue: QueueName,
    pub(super) options: QueueBuilder,
    /// The server that has the queue; none for a queue on this machine.
    pub(super) server: Option<ServerSettings>,
    /// A signal to leave wakes this waker.
    pub(super) waker: Arc<Waker>,
}

impl OneShot {
    /// Installs the signal handlers.
    pub(super) fn new(queue: &QueueArg, server: &ServerArgs) -> anyhow::Result<Self> {
        Self::on(queue, server.settings()?)
    }

    /// The queue on this server, or on this machine.
    pub(super) fn on(queue: &QueueArg, server: Option<ServerSettings>) -> anyhow::Result<Self> {
        let queue = queue.name()?;
        let waker = signals::install_handlers(LeaveSignals::NotIgnored)?;
        let notifier = Notifier::new(eprint_line);
        let options =
            QueueBuilder::new(queue.clone()).notify(notifier).interrupt(Arc::clone(&waker));
        // A command that puts says so.
        let options = options.may_put(false);
        let options = with_server(options, server.as_ref());
        Ok(Self { queue, options, server, waker })
    }

    /// Another queue in the same place.
    pub(super) fn with_queue(mut self, queue: QueueName) -> Self {
        self.options = self.options.queue(queue.clone());
        self.queue = queue;
        self
    }

    /// Limits the wait for a keeper that does not answer.
    pub(super) fn with_timeout(mut self, timeout: Timeout) -> Self {
        self.options = self.options.with_timeout(timeout);
        self
    }

    /// Tells a person of a long wait.
    pub(super) fn with_wait_notice(mut self, waiting: Waiting) -> Self {
        self.options = waiting.apply_to(self.options, &self.queue);
        self
    }

    /// A client of the queue, which connects with its first request. Makes the queue if it does not exist.
    pub(super) fn connect(&self) -> anyhow::Result<Client> {
        let client = self.options.clone().connect_with_first_request()?;
        warn_of_damage(&client, &self.queue);
        Ok(client)
    }

    /// A client of the queue, which connects with its first request. Fails if the queue does not exist.
    pub(super) fn connect_existing(&self) -> anyhow::Result<Client> {
        let client = self.options.clone().connect_if_exists()?;
        let client = client.ok_or_else(|| self.missing_queue_error(&self.queue))?;
        warn_of_damage(&client, &self.queue);
        Ok(client)
    }

    pub(super) fn missing_queue_error(&self, queue: &QueueName) -> anyhow::Error {
        no_such_queue_error(queue, self.server.as_ref(), &self.waker)
    }

    /// Removes the files of a queue that no keeper can hold, with all items in the files.
    pub(super) fn remove_files(&self) -> anyhow::Result<()> {
        let dir =
            QueueDir::open(default_base_dir()?.join(self.queue.as_str())).map_err(Error::from)?;
        let lock = dir.lock()?.with_context(|| message!("command-was-removed"))?;
        if InboxWriter::open(&dir)?.is_some() {
            anyhow::bail!(message!("command-is-held"));
        }
        dir.remove_queue_files()?;
        dir.remove_if_empty();
        drop(lock);
        Ok(())
    }

    pub(super) fn reporter(&self, format: OutputFormat) -> Reporter {
        let output = Output::new(Progress::default(), Some(Arc::clone(&self.waker)));
        Reporter::new(format, lang(), [1, 1], output)
    }

    /// Prints the result of the command on standard output.
    pub(super) fn print_result(&self, text: &str) -> Result<ExitCode, StdoutError> {
        let mut reporter = self.reporter(OutputFormat::Raw);
        reporter.print_line(text);
        reporter.flush().map_err(StdoutError)?;
        Ok(ExitCode::Done)
    }
}

/// `options` for a queue on this server, or on this machine.
pub(super) fn with_server(options: QueueBuilder, server: Option<&ServerSettings>) -> QueueBuilder {
    match server {
        Some(settings) => options.with_server(settings.clone()),
        None => options,
    }
}

/// Connects to `queue`. Warns about parts of the journal that recovery could not read.
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
        let (damaged, lines) = (lines.len(), lines.join(", "));
        eprint_line(&message!("command-damaged", queue = queue, damaged = damaged, lines = lines));
    }
    if client.damaged_lines().contains(&LEGACY_FILE_LINE) {
        eprint_line(&message!("command-damaged-legacy", queue = queue));
    }
}
