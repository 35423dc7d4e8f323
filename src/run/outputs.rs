//! The files that a run writes beside its lines.

use std::fs::File;
use std::io::Write;

use anyhow::Context;

use crate::os::Blocking;
use crate::report::{Lang, PictureFile, Reporter, StatsSummary};

/// Files that a run creates before it starts.
#[derive(Debug, Default)]
pub(crate) struct Outputs {
    pub(crate) statistics: StatisticsOutput,
    /// The file of the picture, if a picture is wanted.
    pub(crate) picture: Option<PictureFile>,
}

/// The destination and the form of the statistics.
#[derive(Debug, Default)]
pub(crate) struct StatisticsOutput {
    /// `None` for standard error.
    pub(crate) file: Option<File>,
    /// JSON instead of text.
    pub(crate) is_json: bool,
}

impl StatisticsOutput {
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
