//! `qdemo consumer -- COMMAND`: a command for each item.

use std::ffi::OsString;
use std::io::{Read, Seek};
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use serde_json::value::RawValue;

use super::client_args::ClientSetup;
use super::one_shot::{connect_and_warn, print_end_notice};
use super::{ExitError, values};
use crate::client::{Client, Error, Timeout};
use crate::clock::{Clock, DelaySampler};
use crate::event::{Event, EventKind};
use crate::exec::{
    CommandError, CommandOutcome, CommandTemplate, ExecConfig, ExecObserver, ExecTotals, Executor,
    StopReason, Terminal,
};
use crate::exit::ExitCode;
use crate::exit::UsageError;
use crate::item::json_value;
use crate::os::signals;
use crate::os::{Waker, raise_open_file_limit};
use crate::queue::Counts;
use crate::report::StdoutError;
use crate::report::{OutputFormat, Reporter, to_seconds};
use crate::role::Role;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With a COMMAND")]
pub(super) struct ExecArgs {
    /// Run so many commands at a time
    #[arg(short, long, value_name = "N", default_value = "1", requires = "command")]
    #[arg(value_parser = values::parse_worker_count, allow_hyphen_values = true)]
    jobs: u32,

    /// Try a command that fails so many times more
    #[arg(long, value_name = "N", default_value = "0", requires = "command")]
    #[arg(value_parser = values::parse_u32, allow_hyphen_values = true)]
    retries: u32,

    /// Pause before the second try; it doubles with each further one
    #[arg(long, value_name = "TIME", default_value = "100ms", requires = "command")]
    #[arg(value_parser = values::parse_duration, allow_hyphen_values = true)]
    backoff: Duration,

    /// End a command that takes longer: SIGTERM, and SIGKILL 5 s later; it has failed
    #[arg(long, value_name = "TIME", requires = "command")]
    #[arg(value_parser = values::parse_duration, allow_hyphen_values = true)]
    timeout_each: Option<Duration>,

    /// Stop at the first item that fails; what others are at goes back in line
    #[arg(long, requires = "command")]
    halt: bool,

    /// Give each command the terminal: it can ask for a password, or be an editor
    #[arg(long, requires = "command")]
    pub(super) tty: bool,

    /// What to run for each item, and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// What of the consumer's own options is for commands too.
pub(super) struct ConsumerParams {
    pub(super) delays: DelaySampler,
    pub(super) max_items: u64,
    pub(super) idle_timeout: Timeout,
    /// Say so when the queue has ended and this waits for what comes next.
    pub(super) has_end_notice: bool,
}

impl ExecArgs {
    /// The command, if there is one. It is looked for before any item is taken.
    pub(super) fn resolve_command(&self) -> anyhow::Result<Option<CommandTemplate>> {
        if self.command.is_empty() {
            // An empty variable in a script must not do all the items with nothing.
            if std::env::args_os().next_back().is_some_and(|last| last == "--") {
                let text = "there is no command behind --: give one, or leave -- out";
                return Err(UsageError(text.to_owned()).into());
            }
            return Ok(None);
        }
        match CommandTemplate::resolve(self.command.clone()) {
            Ok(template) => Ok(Some(template)),
            Err(unusable) => Err(command_exit_error(&unusable).into()),
        }
    }

    /// Runs it for each item.
    pub(super) fn run(
        &self,
        template: &CommandTemplate,
        prepared: ClientSetup,
        pace: ConsumerParams,
    ) -> anyhow::Result<ExitCode> {
        let terminal = self.open_terminal()?;
        // Each command has two pipes.
        raise_open_file_limit();
        let clock = Clock::start_now();
        let deaths = Waker::new()?;
        signals::wake_on_child_exit(&deaths)?;
        let config = ExecConfig {
            jobs: self.jobs as usize,
            queue_name: prepared.queue.to_string(),
            retries: self.retries,
            backoff: self.backoff,
            command_timeout: self.timeout_each,
            delays: pace.delays,
            halt: self.halt,
            max_items: pace.max_items,
            idle_timeout: pace.idle_timeout,
        };
        let mut client = connect_and_warn(prepared.options, Role::Consumer, &prepared.queue)?;
        let mut show = CommandPrinter { reporter: prepared.reporter };
        if pace.has_end_notice {
            print_end_notice(&client, &prepared.queue);
        }
        let exec = Executor::new(&mut client, template, config, &mut show, clock, deaths, terminal)
            .context("cannot start the guard of the commands")?;
        let ran = exec.run();
        show.reporter.progress().clear();
        match ran {
            Ok(tally) => {
                // What is out, with --halt, goes back.
                client.leave()?;
                match tally.failed {
                    0 => Ok(ExitCode::Done),
                    failed => {
                        Err(failed_items_error(failed, &prepared.queue.shell_quoted()).into())
                    }
                }
            }
            Err(stopped) => {
                client.leave_at_once();
                match stopped {
                    StopReason::Interrupted(signal) => Ok(ExitCode::Signal(signal)),
                    stopped => Err(stop_reason_error(stopped)),
                }
            }
        }
    }

    /// The terminal that commands are to have, if they are.
    fn open_terminal(&self) -> anyhow::Result<Option<Terminal>> {
        if !self.tty {
            return Ok(None);
        }
        if self.jobs > 1 {
            let text = "--tty is for one command at a time: leave --jobs out";
            return Err(UsageError(text.to_owned()).into());
        }
        Terminal::open().map(Some).map_err(|none| UsageError(none.to_string()).into())
    }
}

fn failed_items_error(failed: u64, queue: &str) -> ExitError {
    let items = if failed == 1 { "1 item has".to_owned() } else { format!("{failed} items have") };
    let text =
        format!("{items} failed: `qdemo failed -q {queue}` lists them, and retries or drops them");
    ExitError { code: ExitCode::Failed, message: text }
}

fn command_exit_error(unusable: &CommandError) -> ExitError {
    let code = match unusable {
        CommandError::NotFound(_) => ExitCode::NotFound,
        CommandError::NotExecutable(_) => ExitCode::NotExecutable,
    };
    ExitError { code, message: unusable.to_string() }
}

fn stop_reason_error(stopped: StopReason) -> anyhow::Error {
    match stopped {
        StopReason::Command(unusable) => command_exit_error(&unusable).into(),
        StopReason::Queue(error) => error.into(),
        StopReason::Observer(error) => error,
        StopReason::Io(_) | StopReason::Interrupted(_) => stopped.into(),
    }
}

/// Tells of items that were done too late.
pub(super) fn warn_late_items(client: &mut Client, reporter: &Reporter) {
    for late in client.take_lease_expired() {
        reporter.print_notice(&late_message(late.first_id, late.count));
    }
}

/// Of so many items from this number on.
fn late_message(first: u64, count: u64) -> String {
    let back = "their lease had run out, and they are back in line";
    match count {
        1 => format!("qdemo: {}", Error::LeaseExpired(first)),
        count => format!("qdemo: {count} items from {first} on came too late: {back}"),
    }
}

/// Prints what the commands print, or records of them.
struct CommandPrinter {
    reporter: Reporter,
}

/// A command that has ended.
#[derive(Serialize)]
struct CommandRecord<'a> {
    id: u64,
    item: Option<&'a RawValue>,
    attempt: u32,
    /// Seconds since the consumer started.
    start: f64,
    /// Seconds.
    duration: f64,
    /// The exit code; null for death by a signal.
    exit: Option<i32>,
    signal: Option<i32>,
    timed_out: bool,
    stdout: String,
    stderr: String,
}

impl ExecObserver for CommandPrinter {
    fn command_ended(&mut self, ended: &mut CommandOutcome) -> anyhow::Result<()> {
        ended.stdout.rewind()?;
        ended.stderr.rewind()?;
        match self.reporter.format() {
            OutputFormat::Json => self.print_record(ended),
            _ => self.print_output(ended),
        }
    }

    fn totals_changed(&mut self, tally: ExecTotals) {
        self.reporter.progress().set_position(tally.done + tally.failed, failure_summary(tally));
    }

    fn wants_counts(&self) -> bool {
        self.reporter.progress().is_enabled()
    }

    fn counts_received(&mut self, counts: Counts, tally: ExecTotals) {
        let so_far = tally.done + tally.failed;
        let all = so_far + counts.ready + counts.in_flight;
        self.reporter.progress().set_position_and_total(so_far, all, failure_summary(tally));
    }

    fn lease_expired(&mut self, id: u64) {
        self.reporter.print_notice(&late_message(id, 1));
    }

    fn notice(&mut self, what: &str) {
        self.reporter.print_notice(&format!("qdemo: {what}"));
    }
}

fn failure_summary(tally: ExecTotals) -> String {
    match tally.failed {
        0 => String::new(),
        failed => format!("{failed} failed"),
    }
}

fn for_each_chunk(
    text: &mut impl Read,
    mut take: impl FnMut(&[u8]) -> Result<(), StdoutError>,
) -> anyhow::Result<()> {
    let mut buffer = [0; 64 * 1024];
    loop {
        match text.read(&mut buffer)? {
            0 => return Ok(()),
            read => take(&buffer[..read])?,
        }
    }
}

impl CommandPrinter {
    fn print_output(&mut self, ended: &mut CommandOutcome) -> anyhow::Result<()> {
        if self.reporter.format() == OutputFormat::Log {
            let run = &ended.task.batch;
            self.reporter.on_event(Event::new(ended.started_at, EventKind::Delivered(run)));
        }
        let output = self.reporter.output();
        output.flush().map_err(StdoutError)?;
        for_each_chunk(&mut ended.stdout, |piece| {
            output.push_raw(piece);
            output.flush().map_err(StdoutError)
        })?;
        for_each_chunk(&mut ended.stderr, |piece| output.forward_stderr(piece).map_err(StdoutError))
    }

    fn print_record(&mut self, ended: &mut CommandOutcome) -> anyhow::Result<()> {
        use std::os::unix::process::ExitStatusExt;
        let text = |from: &mut tempfile::SpooledTempFile| {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).map(|_| String::from_utf8_lossy(&bytes).into_owned())
        };
        let (stdout, stderr) = (text(&mut ended.stdout)?, text(&mut ended.stderr)?);
        let item = ended.task.batch.items.iter().next().and_then(json_value);
        self.reporter.print_json(&CommandRecord {
            id: ended.task.id(),
            item: item.as_deref(),
            attempt: ended.task.attempt(),
            start: to_seconds(ended.started_at),
            duration: to_seconds(ended.ended_at.saturating_sub(ended.started_at)),
            exit: ended.status.code(),
            signal: ended.status.signal(),
            timed_out: ended.has_timed_out,
            stdout,
            stderr,
        });
        Ok(self.reporter.flush().map_err(StdoutError)?)
    }
}
