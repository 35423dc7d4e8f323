//! Runs a command for each item: several at a time, with retries after a failure. A command ends when it exceeds
//! its time, or when the consumer ends.

mod backoff;
mod command;
mod executor;
mod get_state;
mod groups;
mod guard;
mod halt;
mod job;
mod order;
mod output;
mod renewal;
mod replacement;
mod retries;
mod slots;
mod tally;
mod terminal;

use std::io::{self, Read};
use std::time::Duration;

use crate::catalogue::message;
use crate::client::{Error, Timeout};
use crate::clock::{DelaySampler, Nanos};
use crate::os::Meanwhile;
use crate::queue::Counts;
pub(crate) use backoff::{Backoff, BackoffSampler, DEFAULT_CEILING, DEFAULT_JITTER};
pub(crate) use command::{CommandError, CommandTemplate};
pub(crate) use executor::Executor;
pub(crate) use guard::run_guard;
pub(crate) use halt::{HaltLimit, HaltMode, HaltOutcome, HaltRule};
pub(crate) use job::{CommandOutcome, ItemTask};
use output::CaptureError;
pub(crate) use output::{KeptOutput, OutputConfig, OutputStream};
pub(crate) use replacement::Replacements;
pub(crate) use tally::ExecTotals;
pub(crate) use terminal::Terminal;

/// How to run the commands.
#[derive(Clone, Debug)]
pub(crate) struct ExecConfig {
    /// The maximum number of concurrent commands.
    pub(crate) jobs: usize,
    /// The queue's name, for the command.
    pub(crate) queue_name: String,
    /// The number of tries after the first one.
    pub(crate) retries: u32,
    /// The delays before the further tries.
    pub(crate) backoff: BackoffSampler,
    /// The time limit of a command.
    pub(crate) command_timeout: Option<Duration>,
    /// The delay after each command.
    pub(crate) delays: DelaySampler,
    /// When to stop before the end of the queue.
    pub(crate) halt: Option<HaltRule>,
    /// The number of items to get in all.
    pub(crate) max_items: u64,
    /// How long to wait for an item while no command runs.
    pub(crate) idle_timeout: Timeout,
    pub(crate) output: OutputConfig,
}

/// Why the commands have stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StopReason {
    /// The queue failed, or a signal came.
    #[error(transparent)]
    Queue(#[from] Error),
    /// The command cannot run.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// This signal ended a command that had the terminal.
    #[error("{}", message!("error-interrupted"))]
    Interrupted(i32),
    /// The system refused.
    #[error("{}", message!("exec-cannot-run"))]
    Io(#[from] io::Error),
    /// The output of a command cannot be kept until it is printed.
    #[error("{}", message!("exec-cannot-keep-output", dir = &std::env::temp_dir().display()))]
    Output(#[source] io::Error),
    /// The observer failed.
    #[error(transparent)]
    Observer(anyhow::Error),
}

impl From<CaptureError> for StopReason {
    fn from(error: CaptureError) -> Self {
        match error {
            CaptureError::Io(error) => Self::Output(error),
            CaptureError::PassOn(error) => Self::Observer(error),
        }
    }
}

/// The running command that has printed something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutputSource<'a> {
    pub(crate) task: &'a ItemTask,
    pub(crate) slot: u32,
}

/// What an interrupted executor leaves to others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ItemsLeft {
    pub(crate) in_progress: u64,
    /// `None` if the queue does not answer.
    pub(crate) ready: Option<u64>,
}

/// Receives the progress of the commands. What prints waits for a slow reader, and calls `meanwhile` before each wait.
pub(crate) trait ExecObserver {
    /// A command has started.
    fn command_started(
        &mut self,
        task: &ItemTask,
        now: Nanos,
        meanwhile: &mut Meanwhile<'_>,
    ) -> anyhow::Result<()>;
    /// With [`OutputConfig::is_live`]: these are complete lines of a command, or what the command has printed last,
    /// without a newline.
    fn output_came(
        &mut self,
        source: OutputSource<'_>,
        stream: OutputStream,
        lines: &mut dyn Read,
        meanwhile: &mut Meanwhile<'_>,
    ) -> anyhow::Result<()>;
    /// A command has ended. The observer prints the command's output, unless the output came before.
    fn command_ended(
        &mut self,
        outcome: &mut CommandOutcome,
        meanwhile: &mut Meanwhile<'_>,
    ) -> anyhow::Result<()>;
    /// The last try of the command has failed, after [`ExecObserver::command_ended`].
    fn item_failed(&mut self, outcome: &mut CommandOutcome, tries: u32);
    /// A signal ends the executor. The items in progress go back into the queue.
    fn interrupted(&mut self, left: ItemsLeft, totals: ExecTotals);
    fn totals_changed(&mut self, totals: ExecTotals);
    /// Whether the observer needs the counts of the queue.
    fn wants_counts(&self) -> bool;
    fn counts_received(&mut self, counts: Counts, totals: ExecTotals);
    /// The lease of an item ran out before this consumer reported the item's outcome.
    fn came_too_late(&mut self, id: u64, has_lease: bool);
    /// Prints a notice to the user.
    fn notice(&mut self, text: &str);
}
