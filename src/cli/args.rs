//! The arguments that several commands share.

use super::values;
use crate::catalogue::{log_lang, message};
use crate::client::Timeout;
use crate::exit::ExitError;
use crate::queue_name::QueueName;
use crate::report::OutputFormat;

#[derive(Debug, clap::Args)]
pub(super) struct QueueArg {
    #[arg(short, long, value_name = "NAME", value_parser = values::parse_queue_name)]
    queue: Option<QueueName>,
}

impl QueueArg {
    pub(super) fn name(&self) -> anyhow::Result<QueueName> {
        self.explicit_name()?.map_or_else(|| Ok("default".parse()?), Ok)
    }

    /// The name from `--queue` or from the environment.
    pub(super) fn explicit_name(&self) -> Result<Option<QueueName>, ExitError> {
        match &self.queue {
            Some(name) => Ok(Some(name.clone())),
            None => parse_env("QDEMO_QUEUE", values::parse_queue_name),
        }
    }
}

/// The name of the items of a run, and of the items that a producer generates.
pub(super) fn default_item_name() -> String {
    message!(log_lang(), "log-item-name")
}

/// The value of an environment variable. An empty value counts as unset.
fn parse_env<T>(
    variable: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, ExitError> {
    let Some(value) = std::env::var_os(variable).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let invalid = |reason: String| {
        let value = value.to_string_lossy();
        ExitError::usage(message!(
            "cli-bad-variable",
            value = &value,
            variable = variable,
            reason = reason
        ))
    };
    let text = value.to_str().ok_or_else(|| invalid(message!("cli-variable-not-utf8")))?;
    parse(text).map(Some).map_err(invalid)
}

#[derive(Debug, clap::Args)]
pub(super) struct TimeoutArgs {
    #[arg(long, value_name = "TIME", value_parser = values::parse_timeout)]
    timeout: Option<Timeout>,

    #[arg(long, conflicts_with = "timeout")]
    no_wait: bool,
}

impl TimeoutArgs {
    pub(super) fn timeout(&self) -> Timeout {
        if self.no_wait { Timeout::After(0) } else { self.timeout.unwrap_or(Timeout::Infinite) }
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct ItemOutputArgs {
    #[arg(long, default_value = "raw", value_parser = values::output_format(&["raw", "json"]))]
    pub(super) format: OutputFormat,

    #[arg(short = '0', long)]
    pub(super) null: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct ProgressArg {
    #[arg(long, value_parser = ["auto", "always", "never"], value_name = "WHEN", default_value = "auto")]
    #[arg(hide_possible_values = true)]
    #[arg(hide_short_help = true)]
    progress: String,
}

impl ProgressArg {
    /// `auto` is the answer for `--progress auto`.
    pub(super) fn is_enabled(&self, auto: bool) -> bool {
        if self.progress == "auto" { auto } else { self.progress == "always" }
    }
}
