//! What `qdemo producer` and `qdemo consumer` have in common.

use std::sync::Arc;

use super::values::{self, WorkerShare};
use super::{LangArg, QueueArg};
use crate::client::{Error, QueueBuilder};
use crate::clock::{Delay, DelaySampler, ProcessBirth, RandomStream, random_seed};
use crate::exit::ExitCode;
use crate::os::signals::{self, LeaveSignals};
use crate::queue_name::QueueName;
use crate::report::{Lang, Output, OutputFormat, Progress, Reporter};
use crate::role::{Role, WorkerId};

#[derive(Debug, clap::Args)]
pub(super) struct ClientArgs {
    #[command(flatten)]
    queue: QueueArg,

    #[command(flatten)]
    lang: LangArg,

    /// Print no lines; with a command for each item, show no progress
    #[arg(long)]
    pub(super) quiet: bool,

    /// Draw random pauses from this number: the same ones each time [default: other ones each time]
    #[arg(long, value_name = "N")]
    #[arg(value_parser = values::parse_count, allow_hyphen_values = true)]
    seed: Option<u64>,

    /// So many of the items were dealt with by a worker that has died, whose place this one takes
    #[arg(long, hide = true, default_value = "0")]
    pub(super) skip: u64,

    /// This is one of a run's workers
    #[arg(long, hide = true, value_parser = values::parse_worker_share)]
    pub(super) worker: Option<WorkerShare>,
}

/// Resolved: the queue, and how to come to it and to tell of it.
pub(super) struct ClientSetup {
    pub(super) queue: QueueName,
    pub(super) lang: Lang,
    pub(super) options: QueueBuilder,
    pub(super) reporter: Reporter,
    pub(super) style: OutputFormat,
}

impl ClientArgs {
    /// Signals are caught from here on, but not by a run's worker: its parent is told.
    pub(super) fn set_up(
        &self,
        style: OutputFormat,
        progress: Progress,
    ) -> anyhow::Result<ClientSetup> {
        let lang = self.lang.lang()?;
        let queue = self.queue.name()?;
        let options = QueueBuilder::new(queue.clone());
        let (options, waker) = match self.worker {
            Some(share) => (options.worker(share.index), None),
            None => {
                let waker = signals::install_handlers(LeaveSignals::NotIgnored)?;
                (
                    options.callers(ProcessBirth::of_ancestors()).interrupt(Arc::clone(&waker)),
                    Some(waker),
                )
            }
        };
        let output = Output::new(progress, waker);
        let reporter = Reporter::new(style, lang, [1, 1], output);
        Ok(ClientSetup { queue, lang, options, reporter, style })
    }

    /// The pauses after each item.
    pub(super) fn delays(&self, role: Role, delay: Delay) -> anyhow::Result<DelaySampler> {
        let seed = match self.seed {
            None if delay.is_random() => random_seed()?,
            seed => seed.unwrap_or_default(),
        };
        let number = self.worker.map_or(1, |share| share.index);
        Ok(DelaySampler::new(
            delay,
            RandomStream::for_worker(seed, WorkerId { role, index: number }),
            self.skip,
        ))
    }

    /// What lines look like, if there are to be any.
    pub(super) fn effective_style(&self, style: OutputFormat) -> OutputFormat {
        if self.quiet { OutputFormat::Silent } else { style }
    }

    /// A run's parent that is gone, or that wants its producers to stop, says so itself.
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
