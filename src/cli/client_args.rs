//! The arguments that `qdemo producer` and `qdemo consumer` share.

use std::sync::Arc;

use super::args::QueueArg;
use super::one_shot::{OneShot, with_server};
use super::server_args::StayingServerArgs;
use super::values::{self, WorkerShare};
use super::wait_notice::Waiting;
use crate::catalogue::log_lang;
use crate::client::{Error, QueueBuilder, Timeout};
use crate::clock::{Delay, DelaySampler, ProcessBirth, random_seed};
use crate::exec::{Backoff, BackoffSampler};
use crate::exit::{ExitCode, ExitError};
use crate::os::signals::{self, LeaveSignals};
use crate::queue_name::QueueName;
use crate::report::{Output, OutputFormat, Progress, Reporter, eprint_line};
use crate::role::{Role, WorkerId};
use crate::server::{Notifier, ServerSettings};

#[derive(Debug, clap::Args)]
pub(super) struct ClientArgs {
    #[command(flatten)]
    queue: QueueArg,

    #[arg(long)]
    pub(super) quiet: bool,

    #[arg(long, value_name = "N", value_parser = values::parse_count)]
    #[arg(hide_short_help = true)]
    seed: Option<u64>,

    #[command(flatten)]
    server: StayingServerArgs,

    #[arg(long, hide = true, default_value = "0")]
    pub(super) skip: u64,

    #[arg(long, hide = true, value_parser = values::parse_worker_share)]
    pub(super) worker: Option<WorkerShare>,
}

/// The queue of a producer or consumer, how to connect to it, and how to report.
pub(super) struct ClientSetup {
    pub(super) queue: QueueName,
    pub(super) options: QueueBuilder,
    pub(super) reporter: Reporter,
}

impl ClientArgs {
    /// The server that has the queue; none for a queue on this machine. A run has its queue on this machine.
    pub(super) fn server(&self) -> Result<Option<ServerSettings>, ExitError> {
        if self.worker.is_some() { Ok(None) } else { self.server.settings() }
    }

    /// The options that name the queue `name`, for another command that a person can paste.
    pub(super) fn queue_words(&self, name: &QueueName, server: Option<&ServerSettings>) -> String {
        format!("-q {}{}", name.shell_quoted(), self.server.to_words(server))
    }

    /// Installs the signal handlers, except in a worker of a run: the parent handles the signals of a run.
    pub(super) fn set_up(
        &self,
        format: OutputFormat,
        progress: Progress,
        server: Option<&ServerSettings>,
    ) -> anyhow::Result<ClientSetup> {
        let queue = self.queue.name()?;
        let view = progress.clone();
        let notifier = Notifier::new(move |line| view.suspend(|| eprint_line(line)));
        let options = with_server(QueueBuilder::new(queue.clone()).notify(notifier), server);
        let (options, waker) = match self.worker {
            Some(share) => (options.worker(share.index), None),
            None => {
                let waker = signals::install_handlers(LeaveSignals::NotIgnored)?;
                let options = options.ancestors(ProcessBirth::of_ancestors());
                (options.interrupt(Arc::clone(&waker)), Some(waker))
            }
        };
        let output = Output::new(progress, waker);
        let reporter = Reporter::new(format, log_lang(), [1, 1], output);
        Ok(ClientSetup { queue, options, reporter })
    }

    /// The queue for a command that asks once, and neither puts nor gets.
    pub(super) fn one_shot(&self) -> anyhow::Result<OneShot> {
        OneShot::on(&self.queue, self.server.one_shot_settings()?)
    }

    /// How the command waits. A worker of a run says nothing: the run shows what its workers do.
    pub(super) fn waiting(&self, timeout: Timeout, follows: bool) -> Waiting {
        Waiting { is_quiet: self.quiet || self.worker.is_some(), timeout, follows }
    }

    /// The delays between the tries of an item.
    pub(super) fn backoff(&self, backoff: Backoff) -> anyhow::Result<BackoffSampler> {
        let seed = match self.seed {
            None if backoff.jitter > 0.0 => random_seed()?,
            seed => seed.unwrap_or_default(),
        };
        Ok(BackoffSampler::new(backoff, seed))
    }

    /// The delays after each item.
    pub(super) fn delays(&self, role: Role, delay: &Delay) -> anyhow::Result<DelaySampler> {
        let seed = match self.seed {
            None if delay.is_random() => random_seed()?,
            seed => seed.unwrap_or_default(),
        };
        let index = self.worker.map_or(1, |share| share.index);
        Ok(DelaySampler::new(delay, seed, WorkerId { role, index }, self.skip))
    }

    /// `format`, or no output with `--quiet`.
    pub(super) fn effective_format(&self, format: OutputFormat) -> OutputFormat {
        if self.quiet { OutputFormat::Silent } else { format }
    }

    /// A worker of a run prints no error when its parent is gone or stops its producers: the parent reports
    /// both.
    pub(super) fn map_worker_error(
        &self,
        ended: anyhow::Result<ExitCode>,
    ) -> anyhow::Result<ExitCode> {
        match ended.as_ref().err().and_then(|error| error.downcast_ref()) {
            Some(Error::Closed) if self.worker.is_some() => Ok(ExitCode::Done),
            Some(Error::KeeperGone) if self.worker.is_some() => Ok(ExitCode::Failed),
            _ => ended,
        }
    }
}
