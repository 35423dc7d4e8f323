//! The statistics options of `qdemo run`.

use std::io::{self, IsTerminal};
use std::path::PathBuf;

use super::values;
use crate::exit::ExitError;
use crate::report::{OutputFormat, is_named_pipe, open_output_file};
use crate::run::StatisticsOutput;

#[derive(Debug, clap::Args)]
pub(super) struct StatsArgs {
    /// Print statistics at the end, on standard error [default: text on a terminal, otherwise off]
    #[arg(long, value_name = "FORM")]
    #[arg(value_parser = values::output_format(&["text", "json", "off"]))]
    stats: Option<OutputFormat>,

    /// Write the statistics to this file, as JSON unless --stats text is given
    #[arg(long, value_name = "FILE")]
    stats_file: Option<PathBuf>,

    /// Leave the first N items out of the statistics
    #[arg(long, value_name = "N", default_value = "0", value_parser = values::parse_count)]
    pub(super) warmup: u64,
}

impl StatsArgs {
    /// Whether the run makes statistics. A quiet run makes none without an explicit option.
    pub(super) fn is_enabled(&self, quiet: bool) -> bool {
        match self.stats {
            Some(format) => format != OutputFormat::Silent,
            None => self.stats_file.is_some() || (!quiet && io::stderr().is_terminal()),
        }
    }

    /// Whether the file is a named pipe: to open the pipe waits for a reader.
    pub(super) fn is_named_pipe(&self) -> bool {
        self.stats_file.as_deref().is_some_and(is_named_pipe)
    }

    /// Makes the file before the run starts.
    pub(super) fn open_output(&self) -> anyhow::Result<StatisticsOutput> {
        let path = self.stats_file.as_ref().filter(|_| self.stats != Some(OutputFormat::Silent));
        let open = |path: &PathBuf| {
            open_output_file(path, true).map_err(|error| {
                ExitError::unwritable(format_args!("--stats-file {}", path.display()), error)
            })
        };
        let file = path.map(open).transpose()?;
        let is_json = self.stats.map_or(file.is_some(), |format| format == OutputFormat::Json);
        Ok(StatisticsOutput { file, is_json })
    }
}
