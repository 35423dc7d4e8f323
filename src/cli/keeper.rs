//! `qdemo keeper` keeps a stand-alone queue, `qdemo guard` looks after the commands of a consumer. The
//! other commands start them; nobody needs to.

use super::QueueArg;
use crate::client::run_keeper_process;
use crate::exec;
use crate::exit::ExitCode;

/// Keep a queue for as long as there is something to keep (the other commands start this)
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    queue: QueueArg,
}

/// End the commands of a consumer that has died (the consumer starts this)
#[derive(Debug, clap::Args)]
pub(super) struct GuardArgs {
    /// What its commands have in their environment
    mark: String,
}

impl GuardArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        exec::run_guard(&self.mark)?;
        Ok(ExitCode::Done)
    }
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        run_keeper_process(self.queue.name())?;
        Ok(ExitCode::Done)
    }
}
