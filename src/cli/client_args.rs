//! What `qdemo producer` and `qdemo consumer` have in common.

use std::sync::Arc;

use super::values::{self, Share};
use super::{LangArg, QueueArg};
use crate::client::{Error, Options};
use crate::clock::{Delay, Pauses, Stamp, Stream, draw_seed};
use crate::exit::ExitCode;
use crate::os::signals::{self, Leave};
use crate::queue_name::QueueName;
use crate::report::{Lang, Output, Progress, Reporter, Style};
use crate::role::{Role, Worker};

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
    #[arg(value_parser = values::items, allow_hyphen_values = true)]
    seed: Option<u64>,

    /// So many of the items were dealt with by a worker that has died, whose place this one takes
    #[arg(long, hide = true, default_value = "0")]
    pub(super) skip: u64,

    /// This is one of a run's workers
    #[arg(long, hide = true, value_parser = values::share)]
    pub(super) worker: Option<Share>,
}

/// Resolved: the queue, and how to come to it and to tell of it.
pub(super) struct Prepared {
    pub(super) queue: QueueName,
    pub(super) lang: Lang,
    pub(super) options: Options,
    pub(super) reporter: Reporter,
    pub(super) style: Style,
}

impl ClientArgs {
    /// Signals are caught from here on, but not by a run's worker: its parent is told.
    pub(super) fn prepare(
        &self,
        role: Role,
        style: Style,
        progress: Progress,
    ) -> anyhow::Result<Prepared> {
        let lang = self.lang.lang()?;
        let queue = self.queue.name()?;
        let options = Options::new(queue.clone(), role);
        let (options, waker) = match self.worker {
            Some(share) => (options.worker(share.number), None),
            None => {
                let waker = signals::catch(Leave::Unignored)?;
                (options.callers(Stamp::callers()).interrupt(Arc::clone(&waker)), Some(waker))
            }
        };
        let output = Output::new(progress, waker);
        let reporter = Reporter::new(style, lang, [1, 1], output);
        Ok(Prepared { queue, lang, options, reporter, style })
    }

    /// The pauses after each item.
    pub(super) fn pauses(&self, role: Role, delay: Delay) -> anyhow::Result<Pauses> {
        let seed = match self.seed {
            None if delay.is_random() => draw_seed()?,
            seed => seed.unwrap_or_default(),
        };
        let number = self.worker.map_or(1, |share| share.number);
        Ok(Pauses::new(delay, Stream::of(seed, Worker { role, number }), self.skip))
    }

    /// What lines look like, if there are to be any.
    pub(super) fn unless_quiet(&self, style: Style) -> Style {
        if self.quiet { Style::Silent } else { style }
    }

    /// A run's parent that is gone, or that wants its producers to stop, says so itself.
    pub(super) fn end(&self, ended: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
        match ended.as_ref().err().and_then(|error| error.downcast_ref()) {
            Some(Error::Closed) if self.worker.is_some() => Ok(ExitCode::Done),
            Some(Error::Gone) if self.worker.is_some() => Ok(ExitCode::Failed),
            _ => ended,
        }
    }
}
