//! The arguments of `qdemo consumer -- COMMAND`, and the output of the commands.

use std::ffi::OsString;
use std::io::{Read, Seek};
use std::time::Duration;

use anyhow::bail;
use serde::Serialize;
use serde_json::value::RawValue;

use super::values;
use crate::catalogue::message;
use crate::client::Client;
use crate::event::{Event, EventKind};
use crate::exec::{
    CommandOutcome, CommandTemplate, ExecObserver, ExecTotals, StopReason, Terminal,
};
use crate::exit::ExitError;
use crate::item::json_value;
use crate::queue::Counts;
use crate::report::{OutputFormat, Reporter, StdoutError, to_seconds};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "help-heading-command")]
pub(super) struct ExecArgs {
    #[arg(short, long, value_name = "N", default_value = "1", requires = "command")]
    #[arg(value_parser = values::parse_worker_count)]
    pub(super) jobs: u32,

    #[arg(long, value_name = "N", default_value = "0", requires = "command")]
    #[arg(value_parser = values::parse_u32)]
    pub(super) retries: u32,

    #[arg(long, value_name = "TIME", default_value = "100ms", requires = "command")]
    #[arg(value_parser = values::parse_duration)]
    #[arg(hide_short_help = true)]
    pub(super) backoff: Duration,

    #[arg(long, value_name = "TIME", requires = "command", value_parser = values::parse_duration)]
    #[arg(hide_short_help = true)]
    pub(super) timeout_each: Option<Duration>,

    #[arg(long, requires = "command")]
    #[arg(hide_short_help = true)]
    pub(super) halt: bool,

    #[arg(long, requires = "command")]
    #[arg(hide_short_help = true)]
    pub(super) tty: bool,

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
        if !self.command.is_empty() {
            return Ok(Some(CommandTemplate::resolve(self.command.clone())?));
        }
        // An empty variable in a script must not take all the items and run nothing.
        if has_open_end {
            bail!(ExitError::usage(message!("command-no-command")));
        }
        Ok(None)
    }

    /// The terminal for the commands, with `--tty`.
    pub(super) fn open_terminal(&self) -> anyhow::Result<Option<Terminal>> {
        if !self.tty {
            return Ok(None);
        }
        if self.jobs > 1 {
            bail!(ExitError::usage(message!("command-tty-jobs")));
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
        StopReason::Io(_) | StopReason::Interrupted(_) => reason.into(),
    }
}

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
struct CommandRecord<'a> {
    id: u64,
    item: Option<&'a RawValue>,
    attempt: u32,
    /// Seconds since the consumer started.
    start: f64,
    /// In seconds.
    duration: f64,
    /// `None` after death by a signal.
    exit: Option<i32>,
    signal: Option<i32>,
    timed_out: bool,
    stdout: String,
    stderr: String,
}

/// Prints the output of commands, or a JSON record for each command.
impl ExecObserver for Reporter {
    fn command_ended(&mut self, outcome: &mut CommandOutcome) -> anyhow::Result<()> {
        outcome.stdout.rewind()?;
        outcome.stderr.rewind()?;
        match self.format {
            OutputFormat::Json => print_record(self, outcome),
            _ => print_output(self, outcome),
        }
    }

    fn totals_changed(&mut self, totals: ExecTotals) {
        self.out.progress.set_position(totals.done + totals.failed, failure_summary(totals));
    }

    fn wants_counts(&self) -> bool {
        self.out.progress.is_enabled()
    }

    fn counts_received(&mut self, counts: Counts, totals: ExecTotals) {
        let position = totals.done + totals.failed;
        let total = position + counts.ready + counts.in_flight;
        self.out.progress.set_position_and_total(position, total, failure_summary(totals));
    }

    fn came_too_late(&mut self, id: u64, has_lease: bool) {
        self.print_notice(&late_message(id, 1, has_lease));
    }

    fn notice(&mut self, text: &str) {
        self.print_notice(&format!("qdemo: {text}"));
    }
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
    for_each_chunk(&mut outcome.stderr, |chunk| output.forward_stderr(chunk).map_err(StdoutError))
}

fn print_record(reporter: &mut Reporter, outcome: &mut CommandOutcome) -> anyhow::Result<()> {
    use std::os::unix::process::ExitStatusExt;
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
