//! The output of the commands of `qdemo consumer -- COMMAND`.

mod printer;
mod record;
mod results;
mod text;

use std::io::{Read, Seek};
use std::os::unix::process::ExitStatusExt;

use crate::catalogue::message;
use crate::client::Client;
use crate::clock::Nanos;
use crate::event::{Event, EventKind};
use crate::exec::{
    CommandOutcome, ExecObserver, ExecTotals, ItemTask, ItemsLeft, OutputSource, OutputStream,
};
use crate::item::display_text;
use crate::os::Meanwhile;
use crate::queue::Counts;
use crate::queue_name::QueueName;
use crate::report::{OutputFormat, Reporter, StdoutError};
use printer::TextPrinter;
use record::print_record;
pub(super) use results::ResultsDir;
use text::short_text;

/// A notice shows this many columns of an item.
const MAX_ITEM_WIDTH: usize = 60;
/// A notice shows this many columns of the last line of a command.
const MAX_LINE_WIDTH: usize = 200;

/// Warns about items whose lease ran out before they were done.
pub(super) fn warn_late_items(client: &mut Client, reporter: &Reporter) {
    for late in client.take_lease_expired() {
        reporter.print_notice(&late_message(late.first_id, late.count, client.has_lease()));
    }
}

fn late_message(first_id: u64, count: u64, has_lease: bool) -> String {
    if has_lease {
        message!("command-late-lease", items = count, id = first_id)
    } else {
        message!("command-late-dead", items = count, id = first_id)
    }
}

/// The output of a consumer with a command.
pub(super) struct PoolOutput<'a> {
    pub(super) reporter: &'a mut Reporter,
    pub(super) queue: &'a QueueName,
    /// The arguments that name the queue, for a command to paste.
    pub(super) queue_words: String,
    /// A summary is not wanted.
    pub(super) is_quiet: bool,
    /// The text of a command is printed line by line as it comes.
    is_live: bool,
    printer: TextPrinter,
    results: Option<ResultsDir>,
}

impl<'a> PoolOutput<'a> {
    pub(super) fn new(
        reporter: &'a mut Reporter,
        queue: &'a QueueName,
        queue_words: String,
    ) -> Self {
        Self {
            reporter,
            queue,
            queue_words,
            is_quiet: false,
            is_live: false,
            printer: TextPrinter::default(),
            results: None,
        }
    }

    pub(super) fn quiet(self, is_quiet: bool) -> Self {
        Self { is_quiet, ..self }
    }

    /// Prints lines as they come, or lines with the item in front.
    pub(super) fn with_lines(self, is_live: bool, is_tagged: bool) -> Self {
        Self { is_live, printer: TextPrinter::new(is_live, is_tagged), ..self }
    }

    /// Saves what each command has printed.
    pub(super) fn with_results(self, results: Option<ResultsDir>) -> Self {
        Self { results, ..self }
    }

    fn log_start(
        &mut self,
        task: &ItemTask,
        at: Nanos,
        meanwhile: &mut Meanwhile<'_>,
    ) -> anyhow::Result<()> {
        if self.reporter.format == OutputFormat::Log {
            self.reporter.on_event(Event::new(at, EventKind::Delivered(&task.batch)));
            self.reporter.out.flush_and(meanwhile).map_err(StdoutError)?;
        }
        Ok(())
    }

    fn print_output(
        &mut self,
        outcome: &mut CommandOutcome,
        meanwhile: &mut Meanwhile<'_>,
    ) -> anyhow::Result<()> {
        self.log_start(&outcome.task, outcome.started_at, meanwhile)?;
        let source = OutputSource { task: &outcome.task, slot: outcome.slot };
        let (printer, out) = (&mut self.printer, &mut self.reporter.out);
        printer.print(out, source, OutputStream::Stdout, &mut outcome.stdout, meanwhile)?;
        printer.print(out, source, OutputStream::Stderr, &mut outcome.stderr, meanwhile)
    }
}

/// Prints the output of commands, or a JSON record for each command.
impl ExecObserver for PoolOutput<'_> {
    fn command_started(
        &mut self,
        task: &ItemTask,
        now: Nanos,
        meanwhile: &mut Meanwhile<'_>,
    ) -> anyhow::Result<()> {
        if self.is_live { self.log_start(task, now, meanwhile) } else { Ok(()) }
    }

    fn output_came(
        &mut self,
        source: OutputSource<'_>,
        stream: OutputStream,
        lines: &mut dyn Read,
        meanwhile: &mut Meanwhile<'_>,
    ) -> anyhow::Result<()> {
        self.printer.print(&mut self.reporter.out, source, stream, lines, meanwhile)
    }

    fn command_ended(
        &mut self,
        outcome: &mut CommandOutcome,
        meanwhile: &mut Meanwhile<'_>,
    ) -> anyhow::Result<()> {
        if let Some(results) = &self.results
            && !outcome.has_lease_expired()
        {
            results.save(outcome)?;
        }
        outcome.stdout.rewind()?;
        outcome.stderr.rewind()?;
        match self.reporter.format {
            OutputFormat::Json => print_record(&mut self.reporter.out, outcome, meanwhile)?,
            _ if self.is_live => {}
            _ => self.print_output(outcome, meanwhile)?,
        }
        self.printer.forget(&outcome.task);
        Ok(())
    }

    fn item_failed(&mut self, outcome: &mut CommandOutcome, tries: u32) {
        let line = outcome.last_error_line();
        let item = outcome.task.batch.items.iter().next().map(display_text).unwrap_or_default();
        let text = message!(
            "notice-item-failed",
            id = outcome.task.id(),
            item = short_text(&escape_quotes(&item), MAX_ITEM_WIDTH),
            tries = tries,
            reason = exit_text(outcome)
        );
        let line = short_text(&line, MAX_LINE_WIDTH);
        let line = if line.is_empty() { line } else { format!(": {line}") };
        self.notice(&format!("{text}{line}"));
    }

    fn interrupted(&mut self, left: ItemsLeft, totals: ExecTotals) {
        if self.is_quiet {
            return;
        }
        self.reporter.out.progress.clear();
        match (left.in_progress, left.ready) {
            (_, None) | (0, Some(0)) => {}
            (0, Some(ready)) => {
                self.notice(&message!("notice-interrupted", queue = self.queue, ready = ready));
            }
            (in_progress, Some(ready)) => self.notice(&message!(
                "notice-interrupted-at-work",
                queue = self.queue,
                items = in_progress,
                ready = ready
            )),
        }
        if totals.failed > 0 {
            self.notice(&summary(totals, &self.queue_words));
        }
    }

    fn totals_changed(&mut self, totals: ExecTotals) {
        self.reporter
            .out
            .progress
            .set_position(totals.done + totals.failed, failure_summary(totals));
    }

    fn wants_counts(&self) -> bool {
        self.reporter.out.progress.is_enabled()
    }

    fn counts_received(&mut self, counts: Counts, totals: ExecTotals) {
        let position = totals.done + totals.failed;
        let total = position + counts.ready + counts.in_flight;
        self.reporter.out.progress.set_position_and_total(position, total, failure_summary(totals));
    }

    fn came_too_late(&mut self, id: u64, has_lease: bool) {
        self.reporter.print_notice(&late_message(id, 1, has_lease));
    }

    fn notice(&mut self, text: &str) {
        self.reporter.print_notice(&format!("qdemo: {text}"));
    }
}

/// The outcomes of a pool in which an item has failed.
pub(super) fn summary(totals: ExecTotals, queue_words: &str) -> String {
    let ExecTotals { done, failed } = totals;
    message!("notice-some-failed", done = done, failed = failed, queue = queue_words)
}

/// How a command that failed ended.
fn exit_text(outcome: &CommandOutcome) -> String {
    let how = match outcome.status.signal() {
        Some(signal) => message!("notice-signal", signal = signal),
        None => message!("notice-exit-code", code = outcome.status.code().unwrap_or_default()),
    };
    if outcome.has_timed_out { message!("notice-timed-out", how = how) } else { how }
}

/// Text between quotes, as in a string literal.
fn escape_quotes(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"")
}

fn failure_summary(totals: ExecTotals) -> String {
    match totals.failed {
        0 => String::new(),
        failed => message!("command-failed-count", failed = failed),
    }
}
