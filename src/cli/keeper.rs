//! The hidden commands: `qdemo keeper` holds a queue, `qdemo guard` ends the commands of a dead consumer. Other
//! commands start both.

use super::args::QueueArg;
use crate::client::run_keeper_process;
use crate::exec;
use crate::exit::ExitCode;

/// Hold a queue while it has clients (other commands start the keeper)
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    queue: QueueArg,
}

/// End the commands of a dead consumer (the consumer starts the guard)
#[derive(Debug, clap::Args)]
pub(super) struct GuardArgs {
    /// The mark in the environment of the commands
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
