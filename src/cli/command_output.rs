//! The output of the commands of `qdemo consumer -- COMMAND`.

use std::io::{Read, Seek};
use std::os::unix::process::ExitStatusExt;

use console::strip_ansi_codes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::catalogue::message;
use crate::client::Client;
use crate::event::{Event, EventKind};
use crate::exec::{CommandOutcome, ExecObserver, ExecTotals, ItemsLeft};
use crate::item::{display_text, escape_for_terminal, json_value};
use crate::queue::Counts;
use crate::queue_name::QueueName;
use crate::report::{OutputFormat, Reporter, StdoutError, to_seconds, truncate_to_width};

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

/// The JSON record of a command that has ended.
#[derive(Serialize)]
#[cfg_attr(
    test,
    derive(schemars::JsonSchema),
    schemars(title = "The command of a consumer for one item")
)]
struct CommandRecord<'a> {
    /// The queue's id of the item, from 1.
    id: u64,
    /// The item: any JSON value.
    item: Option<&'a RawValue>,
    /// From 1, and one more for each time that the item was requeued or tried.
    attempt: u32,
    /// Seconds since the consumer started.
    start: f64,
    /// In seconds.
    duration: f64,
    /// The exit code. Null after death by a signal.
    exit: Option<i32>,
    /// The number of the signal that ended the command.
    signal: Option<i32>,
    /// Whether the time limit has ended the command.
    timed_out: bool,
    /// What the command has printed on standard output. Empty with --tty.
    stdout: String,
    /// What the command has printed on standard error. Empty with --tty.
    stderr: String,
}

/// The output of a consumer with a command.
pub(super) struct PoolOutput<'a> {
    pub(super) reporter: &'a mut Reporter,
    pub(super) queue: &'a QueueName,
    /// The arguments that name the queue, for a command to paste.
    pub(super) queue_words: String,
    /// A summary is not wanted.
    pub(super) is_quiet: bool,
}

/// Prints the output of commands, or a JSON record for each command.
impl ExecObserver for PoolOutput<'_> {
    fn command_ended(&mut self, outcome: &mut CommandOutcome) -> anyhow::Result<()> {
        outcome.stdout.rewind()?;
        outcome.stderr.rewind()?;
        match self.reporter.format {
            OutputFormat::Json => print_record(self.reporter, outcome),
            _ => print_output(self.reporter, outcome),
        }
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

/// Foreign text within a line: without colours and control characters, and cut to a width.
fn short_text(text: &str, columns: usize) -> String {
    let text = strip_ansi_codes(text);
    truncate_to_width(&escape_for_terminal(&text), columns)
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

fn for_each_chunk(
    input: &mut impl Read,
    mut take: impl FnMut(&[u8]) -> Result<(), StdoutError>,
) -> anyhow::Result<()> {
    let mut buffer = [0; 64 * 1024];
    loop {
        match input.read(&mut buffer)? {
            0 => return Ok(()),
            read => take(&buffer[..read])?,
        }
    }
}

fn print_output(reporter: &mut Reporter, outcome: &mut CommandOutcome) -> anyhow::Result<()> {
    if reporter.format == OutputFormat::Log {
        let (at, batch) = (outcome.started_at, &outcome.task.batch);
        reporter.on_event(Event::new(at, EventKind::Delivered(batch)));
    }
    let output = &mut reporter.out;
    output.flush().map_err(StdoutError)?;
    for_each_chunk(&mut outcome.stdout, |chunk| {
        output.push_raw(chunk);
        output.flush().map_err(StdoutError)
    })?;
    output.progress.suspend(|| {
        let forward = |chunk: &[u8]| output.forward_stderr(chunk).map_err(StdoutError);
        for_each_chunk(&mut outcome.stderr, forward)?;
        output.end_line_before_progress();
        Ok(())
    })
}

fn print_record(reporter: &mut Reporter, outcome: &mut CommandOutcome) -> anyhow::Result<()> {
    let text = |file: &mut tempfile::SpooledTempFile| {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map(|_| String::from_utf8_lossy(&bytes).into_owned())
    };
    let (stdout, stderr) = (text(&mut outcome.stdout)?, text(&mut outcome.stderr)?);
    let item = outcome.task.batch.items.iter().next().and_then(json_value);
    reporter.print_json(&CommandRecord {
        id: outcome.task.id(),
        item: item.as_deref(),
        attempt: outcome.task.attempt(),
        start: to_seconds(outcome.started_at),
        duration: to_seconds(outcome.ended_at.saturating_sub(outcome.started_at)),
        exit: outcome.status.code(),
        signal: outcome.status.signal(),
        timed_out: outcome.has_timed_out,
        stdout,
        stderr,
    });
    Ok(reporter.flush().map_err(StdoutError)?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_of_a_command_is_that_of_its_type() {
        crate::testing::schemas::compare::<super::CommandRecord<'static>>("command");
    }
}
