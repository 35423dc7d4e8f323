//! `qdemo consumer`: gets items.

use std::time::Duration;

use super::client_args::ClientArgs;
use super::exec_args::{self, ExecArgs};
use super::one_shot::{TimeoutArgs, connect_and_warn, print_end_notice};
use super::reader_pace::{ReaderPacing, wait_for_reader};
use super::{require_stdout, values};
use crate::client::{Client, Delivery, Error, QueueBuilder, Timeout};
use crate::clock::{Clock, Delay};
use crate::event::{Event, EventKind};
use crate::exit::ExitCode;
use crate::queue::BatchRef;
use crate::report::StdoutError;
use crate::report::{OutputFormat, Progress, Reporter};
use crate::role::Role;

/// How many items a consumer without a delay takes at a time, if it doesn't wait for a reader.
pub(super) const MAX_GET_ITEMS: u64 = 65536;

/// Get items from a queue until it ends
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A COMMAND is run for each item: {} in its arguments is the item, and without {} the item comes on
standard input. QDEMO_ITEM, QDEMO_ID, QDEMO_ATTEMPT and QDEMO_QUEUE are set. Exit code 1 when items
have failed, 126 when the command cannot be run, 127 when there is none.

Without a COMMAND an item is done when it has been printed; where standard output is a pipe, when its
reader has read it (on Linux), and few items are taken ahead of a slow reader.

Examples:
  qdemo consumer --delay 2s
  qdemo consumer -q jobs --format raw | while read -r job; do echo \"$job\"; done
  qdemo consumer -q images -j 4 --retries 2 -- convert {} -resize 200x200 small/{}
  qdemo consumer -q jobs -- sh -c 'echo \"$1\" | tr a-z A-Z' sh {}"
)]
pub(super) struct Args {
    /// Pause after each item, before it is done; after each command, when it is
    #[arg(long, alias = "consumer-delay", value_name = "TIME", default_value = "0")]
    #[arg(value_parser = values::parse_delay, allow_hyphen_values = true)]
    delay: Delay,

    /// Count what is written to a pipe as done, read or not, and take many items ahead
    #[arg(long, conflicts_with = "command")]
    fast: bool,

    /// Leave after so many items
    #[arg(long, value_name = "N")]
    #[arg(value_parser = values::parse_count, allow_hyphen_values = true)]
    max: Option<u64>,

    /// Stay when the queue ends, and wait for what comes after
    #[arg(long)]
    follow: bool,

    #[command(flatten)]
    timeout: TimeoutArgs,

    /// An item held for longer than this goes back in line, even while its consumer lives
    #[arg(long, value_name = "TIME")]
    #[arg(value_parser = values::parse_nonzero_duration, allow_hyphen_values = true)]
    lease: Option<Duration>,

    /// Put an item aside when so many consumers have died of it; 0 for never
    #[arg(long, value_name = "N", default_value = "5")]
    #[arg(value_parser = values::parse_u32, allow_hyphen_values = true)]
    max_attempts: u32,

    /// What a line looks like [default: log, or what the commands print]
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// Print NUL behind a bare item, not a newline
    #[arg(short = '0', long, conflicts_with = "command")]
    null: bool,

    #[command(flatten)]
    client: ClientArgs,

    #[command(flatten)]
    exec: ExecArgs,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Log,
    Raw,
    Json,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let ended = match self.exec.resolve_command()? {
            None => self.print_items(),
            Some(template) => self.run_commands(&template),
        };
        self.client.map_worker_error(ended)
    }

    fn print_items(&self) -> anyhow::Result<ExitCode> {
        let clock = Clock::start_now();
        let style = self.client.effective_style(self.explicit_style().unwrap_or(OutputFormat::Log));
        if style != OutputFormat::Silent {
            require_stdout()?;
        }
        let prepared = self.client.set_up(style, Progress::default())?;
        let mut reporter = prepared.reporter.with_nul_delimiter(self.null);
        let mut client = connect_and_warn(
            self.apply_options(prepared.options),
            Role::Consumer,
            &prepared.queue,
        )?;
        if self.client.worker.is_none() {
            client.stop_when_stdout_closes();
            if !self.fast && style != OutputFormat::Silent {
                reporter.output().track_reader();
            }
        }
        if self.has_end_notice() {
            print_end_notice(&client, &prepared.queue);
        }
        match self.get_all(&mut client, &mut reporter, clock) {
            Ok(()) => {
                client.leave()?;
                Ok(ExitCode::Done)
            }
            Err(error) => {
                // What it has goes back in line.
                client.leave_at_once();
                Err(error)
            }
        }
    }

    fn run_commands(&self, template: &crate::exec::CommandTemplate) -> anyhow::Result<ExitCode> {
        // It passes on what the commands print.
        require_stdout()?;
        // A command that has the terminal has it to itself.
        let progress = match self.client.quiet || self.exec.tty {
            true => Progress::default(),
            false => Progress::for_commands(),
        };
        let style = self.explicit_style().unwrap_or(OutputFormat::Raw);
        let mut prepared = self.client.set_up(style, progress)?;
        prepared.options = self.apply_options(prepared.options);
        let pace = exec_args::ConsumerParams {
            delays: self.client.delays(Role::Consumer, self.delay)?,
            max_items: self.max.unwrap_or(u64::MAX),
            idle_timeout: self.timeout.resolve(),
            has_end_notice: self.has_end_notice(),
        };
        self.exec.run(template, prepared, pace)
    }

    /// Whether to say what is waited for after the end.
    fn has_end_notice(&self) -> bool {
        !self.client.quiet && !self.follow && self.timeout.resolve() == Timeout::Infinite
    }

    fn explicit_style(&self) -> Option<OutputFormat> {
        self.format.map(|format| match format {
            Format::Log => OutputFormat::Log,
            Format::Raw => OutputFormat::Raw,
            Format::Json => OutputFormat::Json,
        })
    }

    fn apply_options(&self, options: QueueBuilder) -> QueueBuilder {
        let options = options.follow(self.follow).max_attempts(self.max_attempts);
        let options = options.with_timeout(self.timeout.resolve());
        match self.lease {
            Some(lease) => options.lease(lease),
            None => options,
        }
    }

    fn get_all(
        &self,
        client: &mut Client,
        reporter: &mut Reporter,
        clock: Clock,
    ) -> anyhow::Result<()> {
        let one_by_one = !self.delay.is_zero() || client.is_paced();
        let mut portion = ReaderPacing::default();
        let mut pauses = self.client.delays(Role::Consumer, self.delay)?;
        let mut left = self.max.unwrap_or(u64::MAX);
        while left > 0 {
            let pause = pauses.sample();
            let paced = client.is_paced();
            let most = match reporter.output().tracked_pipe() {
                _ if one_by_one => 1,
                Some(_) => portion.batch_size(),
                None => MAX_GET_ITEMS,
            };
            let got = client.get_and_sleep(most.min(left), self.timeout.resolve(), pause);
            exec_args::warn_late_items(client, reporter);
            let batch = match got {
                Ok(Some(batch)) => batch,
                Ok(None) | Err(Error::Empty) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            left -= batch.count();
            let pause = if paced { Duration::ZERO } else { pause };
            if let Err(error) = print_batch(client, reporter, clock, &batch, pause) {
                mark_read_done(client, reporter, &batch);
                return Err(error);
            }
            portion.record_read(batch.count(), clock.now());
            client.done_batch(batch.batch())?;
        }
        // What is said of the last ones.
        client.size()?;
        exec_args::warn_late_items(client, reporter);
        Ok(())
    }
}

/// Prints these items, and waits for the pause after them, and for the reader of a pipe.
fn print_batch(
    client: &mut Client,
    reporter: &mut Reporter,
    clock: Clock,
    batch: &Delivery,
    pause: Duration,
) -> anyhow::Result<()> {
    reporter.output().start_counting();
    reporter.on_event(Event::new(clock.now(), EventKind::Delivered(batch.batch())));
    reporter.flush().map_err(StdoutError)?;
    client.sleep(pause).inspect_err(|error| {
        // The pause is a part of the work, so what is interrupted in it is not done.
        if !matches!(error, Error::StdoutClosed) {
            reporter.output().start_counting();
        }
    })?;
    match reporter.output().tracked_pipe() {
        Some(pipe) => wait_for_reader(client, pipe),
        None => Ok(()),
    }
}

/// What its reader has read is done, whatever came then. The rest goes back in line when the consumer leaves.
fn mark_read_done(client: &mut Client, reporter: &mut Reporter, batch: &Delivery) {
    let count = reporter.output().items_read();
    if count > 0 {
        // If the queue cannot be told, all of it goes back.
        let _ = client.done_ref(BatchRef { count, ..batch.batch().batch_ref() });
    }
}
