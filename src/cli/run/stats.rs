//! Where a run's statistics go, and what they look like there.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use anyhow::Context;

use crate::cli::{Usage, outfile, values};
use crate::pipe::Blocking;
use crate::report::{Lang, Reporter, Summary};

#[derive(Debug, clap::Args)]
pub(super) struct StatsArgs {
    /// Statistics in the end, on standard error [default: text on a terminal, off else]
    #[arg(long, value_enum, value_name = "FORM")]
    stats: Option<Form>,

    /// Write the statistics to this file; as JSON, unless --stats text is given
    #[arg(long, value_name = "FILE")]
    stats_file: Option<PathBuf>,

    /// Leave so many items out of the statistics at the beginning
    #[arg(long, value_name = "N", default_value = "0")]
    #[arg(value_parser = values::items, allow_hyphen_values = true)]
    pub(super) warmup: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Text,
    Json,
    Off,
}

impl StatsArgs {
    /// Whether anybody will see them. A quiet run prints them only when they are asked for.
    pub(super) fn are_wanted(&self, quiet: bool) -> bool {
        match self.stats {
            Some(form) => form != Form::Off,
            None => self.stats_file.is_some() || (!quiet && io::stderr().is_terminal()),
        }
    }

    /// Whether that is a named pipe, which is waited for when it is opened.
    pub(super) fn are_for_a_pipe(&self) -> bool {
        self.stats_file.as_deref().is_some_and(outfile::is_pipe)
    }

    /// The file for them, which is made before anything starts.
    pub(super) fn open(&self) -> anyhow::Result<Option<File>> {
        let Some(path) = self.stats_file.as_ref().filter(|_| self.stats != Some(Form::Off)) else {
            return Ok(None);
        };
        match outfile::open(path, true) {
            Ok(file) => Ok(Some(file)),
            Err(error) => Err(Usage(format!(
                "cannot write --stats-file {}: {error}: name a file in a folder that is there",
                path.display()
            ))
            .into()),
        }
    }

    /// Prints them.
    pub(super) fn tell(
        &self,
        summary: &Summary,
        lang: Lang,
        file: Option<&File>,
        reporter: &Reporter,
    ) -> anyhow::Result<()> {
        let json = match self.stats {
            Some(form) => form == Form::Json,
            None => file.is_some(),
        };
        let text = match json {
            true => serde_json::to_string(summary)? + "\n",
            false => summary.text(lang),
        };
        match file {
            Some(file) => {
                Blocking(file).write_all(text.as_bytes()).context("cannot write the statistics")
            }
            None => {
                text.lines().for_each(|line| reporter.notice(line));
                Ok(())
            }
        }
    }
}
