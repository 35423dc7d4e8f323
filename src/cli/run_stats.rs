//! Where a run's statistics go, and what they look like there.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use super::values;
use crate::exit::UsageError;
use crate::report::{is_named_pipe, open_output_file};
use crate::run::StatisticsOutput;

#[derive(Debug, clap::Args)]
pub(super) struct StatsArgs {
    /// Statistics in the end, on standard error [default: text on a terminal, off else]
    #[arg(long, value_enum, value_name = "FORM")]
    stats: Option<StatsFormat>,

    /// Write the statistics to this file; as JSON, unless --stats text is given
    #[arg(long, value_name = "FILE")]
    stats_file: Option<PathBuf>,

    /// Leave so many items out of the statistics at the beginning
    #[arg(long, value_name = "N", default_value = "0")]
    #[arg(value_parser = values::parse_count, allow_hyphen_values = true)]
    pub(super) warmup: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum StatsFormat {
    Text,
    Json,
    Off,
}

impl StatsArgs {
    /// Whether anybody will see them. A quiet run prints them only when they are asked for.
    pub(super) fn is_enabled(&self, quiet: bool) -> bool {
        match self.stats {
            Some(form) => form != StatsFormat::Off,
            None => self.stats_file.is_some() || (!quiet && io::stderr().is_terminal()),
        }
    }

    /// Whether that is a named pipe, which is waited for when it is opened.
    pub(super) fn is_named_pipe(&self) -> bool {
        self.stats_file.as_deref().is_some_and(is_named_pipe)
    }

    /// The file for them is made before anything starts.
    pub(super) fn open_output(&self) -> anyhow::Result<StatisticsOutput> {
        let path = self.stats_file.as_ref().filter(|_| self.stats != Some(StatsFormat::Off));
        let open = |path: &PathBuf| {
            open_output_file(path, true).map_err(|error| {
                UsageError(format!(
                    "cannot write --stats-file {}: {error}: name a file in a folder that is there",
                    path.display()
                ))
            })
        };
        let file = path.map(open).transpose()?;
        let as_json = self.stats.map_or(file.is_some(), |form| form == StatsFormat::Json);
        Ok(StatisticsOutput { file, is_json: as_json })
    }
}
