//! The result of a run: the picture, the statistics, the notices at the end, and the exit code.

use std::io::{self, Write};

use anyhow::Context;

use super::config::{Config, Outputs};
use super::observer::RunObserver;
use crate::catalogue::{lang, message};
use crate::clock::Nanos;
use crate::event::{Event, EventKind};
use crate::exit::ExitCode;
use crate::keeper::Observer;
use crate::os::{Blocking, signals};
use crate::report::StdoutError;

/// How a run has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunEnd {
    /// The time of the last event.
    pub(super) at: Nanos,
    /// The next event would have come after the latest paced time.
    pub(super) is_out_of_time: bool,
    /// Another process has removed the folder of the run's queue.
    pub(super) is_folder_removed: bool,
}

impl RunObserver {
    /// Writes the lines so far.
    pub(super) fn flush_output(&mut self) -> anyhow::Result<()> {
        match self.reporter.flush() {
            // A run that a signal ends does not wait for the reader of its lines.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            other => other.map_err(|error| StdoutError(error).into()),
        }
    }

    /// The run does not go as the model of the statistics expects.
    pub(super) fn invalidate_model(&mut self) {
        if let Some(statistics) = &mut self.statistics {
            statistics.invalidate_model();
        }
    }

    /// Prints the result of the run.
    pub(super) fn print_result(
        &mut self,
        config: &Config,
        outputs: &mut Outputs,
        end: RunEnd,
    ) -> anyhow::Result<ExitCode> {
        if signals::has_second_signal() {
            // All workers were killed: the run has no result.
            return Ok(ExitCode::Done);
        }
        self.on_event(Event::new(end.at, EventKind::Finished));
        self.flush_output()?;
        self.reporter.out.progress.clear();
        self.write_outputs(config, outputs, end.at)?;
        let summary = self.counts.summary;
        if summary.worker_deaths > 0 {
            self.reporter.print_notice(&summary.text());
        }
        let items = summary.items;
        let not_done = items.saturating_sub(summary.done);
        if signals::exit_signal().is_some() {
            if not_done > 0 {
                self.reporter.print_notice(&message!("run-interrupted", items = not_done));
            }
            return Ok(ExitCode::Done);
        }
        if end.is_out_of_time {
            anyhow::bail!(message!("run-out-of-time", items = items, not_done = not_done));
        }
        if not_done == 0 {
            return Ok(ExitCode::Done);
        }
        let died = message!("run-workers-died", items = items, not_done = not_done);
        if end.is_folder_removed {
            anyhow::bail!(message!("run-folder-removed", died = died));
        }
        anyhow::bail!(died);
    }

    /// Draws the picture and writes the statistics, if they are wanted.
    fn write_outputs(
        &mut self,
        config: &Config,
        outputs: &mut Outputs,
        end: Nanos,
    ) -> anyhow::Result<()> {
        if let (Some(timeline), Some(picture)) = (&mut self.timeline, &mut outputs.picture) {
            picture.write(&timeline.render(end, lang(), picture.path.format))?;
        }
        let Some(statistics) = self.statistics.take() else {
            return Ok(());
        };
        let mut summary = statistics.into_summary(end);
        summary.simulated = config.is_simulated;
        let text = if config.has_json_statistics {
            serde_json::to_string(&summary)? + "\n"
        } else {
            summary.render(lang())
        };
        match &outputs.statistics {
            Some(file) => Blocking(file)
                .write_all(text.as_bytes())
                .with_context(|| message!("output-cannot-write-stats")),
            None => {
                text.lines().for_each(|line| self.reporter.print_notice(line));
                Ok(())
            }
        }
    }
}
