//! What is written beside the lines of a run.

use std::fs::File;
use std::io::Write;

use anyhow::Context;

use crate::os::Blocking;
use crate::report::{Lang, PictureFile, Reporter, StatsSummary};

/// Files that are made before anything starts.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    /// Where statistics go, and what they look like there.
    pub(crate) statistics: StatisticsOutput,
    /// The file of the picture, if one is wanted.
    pub(crate) picture: Option<PictureFile>,
}

/// Where statistics go.
#[derive(Debug, Default)]
pub(crate) struct StatisticsOutput {
    /// None for standard error.
    pub(crate) file: Option<File>,
    /// As JSON, and not as text for people.
    pub(crate) is_json: bool,
}

impl StatisticsOutput {
    /// Prints them.
    pub(super) fn write_summary(
        &self,
        summary: &StatsSummary,
        lang: Lang,
        reporter: &Reporter,
    ) -> anyhow::Result<()> {
        let text = if self.is_json {
            serde_json::to_string(summary)? + "\n"
        } else {
            summary.render(lang)
        };
        match &self.file {
            Some(file) => {
                Blocking(file).write_all(text.as_bytes()).context("cannot write the statistics")
            }
            None => {
                text.lines().for_each(|line| reporter.print_notice(line));
                Ok(())
            }
        }
    }
}
