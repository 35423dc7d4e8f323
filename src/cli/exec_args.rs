//! The arguments of `qdemo consumer -- COMMAND`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;

use super::command_output::ResultsDir;
use super::{exec_values, values};
use crate::catalogue::message;
use crate::exec::{Backoff, CommandTemplate, HaltRule, OutputConfig, StopReason, Terminal};
use crate::exit::ExitError;
use crate::report::OutputFormat;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "help-heading-command")]
pub(super) struct ExecArgs {
    #[arg(short, long, value_name = "N|N%|auto", default_value = "1", requires = "command")]
    #[arg(value_parser = values::parse_jobs, allow_negative_numbers = true)]
    pub(super) jobs: u32,

    #[arg(long, value_name = "N", default_value = "0", requires = "command")]
    #[arg(value_parser = values::parse_u32)]
    pub(super) retries: u32,

    #[arg(long, value_name = "TIME[..MAX]", default_value = "100ms", requires = "command")]
    #[arg(value_parser = exec_values::parse_backoff)]
    #[arg(hide_short_help = true)]
    pub(super) backoff: Backoff,

    #[arg(long, value_name = "TIME", requires = "command")]
    #[arg(value_parser = values::parse_nonzero_duration)]
    #[arg(hide_short_help = true)]
    pub(super) timeout_each: Option<Duration>,

    #[arg(long, value_name = "WHEN,WHY=N", requires = "command")]
    #[arg(num_args = 0..=1, default_missing_value = "now,fail=1")]
    #[arg(value_parser = exec_values::parse_halt)]
    #[arg(hide_short_help = true)]
    pub(super) halt: Option<HaltRule>,

    #[arg(long, requires = "command")]
    #[arg(hide_short_help = true)]
    pub(super) tty: bool,

    #[arg(long, requires = "command")]
    #[arg(hide_short_help = true)]
    pub(super) dry_run: bool,
    #[arg(long, requires = "command", conflicts_with_all = ["keep_order", "tty"])]
    #[arg(hide_short_help = true)]
    pub(super) live: bool,

    #[arg(long, requires = "command", conflicts_with = "tty")]
    #[arg(hide_short_help = true)]
    pub(super) tag: bool,

    #[arg(long, requires = "command", conflicts_with = "tty")]
    #[arg(hide_short_help = true)]
    keep_order: bool,

    #[arg(long, value_name = "DIR", requires = "command", conflicts_with = "tty")]
    #[arg(hide_short_help = true)]
    results: Option<PathBuf>,

    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl ExecArgs {
    /// Looks for the command, if there is one, before the consumer takes an item. `has_open_end`: `--` is
    /// the last argument.
    pub(super) fn resolve_command(
        &self,
        has_open_end: bool,
    ) -> anyhow::Result<Option<CommandTemplate>> {
        if self.tty && self.jobs > 1 {
            bail!(ExitError::usage(message!("command-tty-jobs")));
        }
        if !self.command.is_empty() {
            return Ok(Some(CommandTemplate::resolve(self.command.clone())?));
        }
        // An empty variable in a script must not take all the items and run nothing.
        if has_open_end {
            bail!(ExitError::usage(message!("command-no-command")));
        }
        Ok(None)
    }

    /// How to print the output of the commands in this format.
    pub(super) fn output(&self, format: OutputFormat) -> Result<OutputConfig, ExitError> {
        if format == OutputFormat::Json && (self.live || self.tag) {
            let option = if self.live { "--live" } else { "--tag" };
            return Err(ExitError::usage(message!("command-json-lines", option = option)));
        }
        Ok(OutputConfig {
            is_live: self.live,
            is_kept: self.results.is_some(),
            is_ordered: self.keep_order,
        })
    }

    /// The folder for the results, with `--results`. `queue` names the queue.
    pub(super) fn open_results(&self, queue: &str) -> Result<Option<ResultsDir>, ExitError> {
        self.results.as_deref().map(|dir| ResultsDir::open(dir, queue)).transpose()
    }

    /// The terminal for the commands, with `--tty`.
    pub(super) fn open_terminal(&self) -> anyhow::Result<Option<Terminal>> {
        if !self.tty {
            return Ok(None);
        }
        Ok(Some(Terminal::open().map_err(|error| ExitError::usage(error.to_string()))?))
    }
}

/// The cause inside `reason`: the exit code of the consumer depends on the cause.
pub(super) fn into_cause(reason: StopReason) -> anyhow::Error {
    match reason {
        StopReason::Command(error) => error.into(),
        StopReason::Queue(error) => error.into(),
        StopReason::Observer(error) => error,
        StopReason::Io(_) | StopReason::Output(_) | StopReason::Interrupted(_) => reason.into(),
    }
}
