//! `qdemo consumer`: gets items.

use std::time::Duration;

use super::client_args::ClientArgs;
use super::exec_args::{self, EachArgs};
use super::one_shot::{WaitArgs, come, tell_of_the_end};
use super::reader_pace::{Portion, wait_for_reader};
use super::{need_output, values};
use crate::client::{Batch, Client, Error, Options, Patience};
use crate::clock::{Clock, Delay};
use crate::exit::ExitCode;
use crate::queue::Which;
use crate::report::StdoutFailed;
use crate::report::{Kind, Progress, Reporter, Style};
use crate::role::Role;

/// How many items a consumer without a delay takes at a time, if it doesn't wait for a reader.
pub(super) const SEVERAL: u64 = 65536;

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
    #[arg(value_parser = values::pause, allow_hyphen_values = true)]
    delay: Delay,

    /// Count what is written to a pipe as done, read or not, and take many items ahead
    #[arg(long, conflicts_with = "command")]
    fast: bool,

    /// Leave after so many items
    #[arg(long, value_name = "N")]
    #[arg(value_parser = values::items, allow_hyphen_values = true)]
    max: Option<u64>,

    /// Stay when the queue ends, and wait for what comes after
    #[arg(long)]
    follow: bool,

    #[command(flatten)]
    wait: WaitArgs,

    /// An item held for longer than this goes back in line, even while its consumer lives
    #[arg(long, value_name = "TIME")]
    #[arg(value_parser = values::period, allow_hyphen_values = true)]
    lease: Option<Duration>,

    /// Put an item aside when so many consumers have died of it; 0 for never
    #[arg(long, value_name = "N", default_value = "5")]
    #[arg(value_parser = values::times, allow_hyphen_values = true)]
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
    each: EachArgs,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Log,
    Raw,
    Json,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let ended = match self.each.template()? {
            None => self.get_and_leave(),
            Some(template) => self.each(&template),
        };
        self.client.end(ended)
    }

    fn get_and_leave(&self) -> anyhow::Result<ExitCode> {
        let clock = Clock::start();
        let style = self.client.unless_quiet(self.style().unwrap_or(Style::Log));
        if style != Style::Silent {
            need_output()?;
        }
        let prepared = self.client.prepare(Role::Consumer, style, Progress::default())?;
        let mut reporter = prepared.reporter.separated_by_nul(self.null);
        let mut client = come(self.options(prepared.options), &prepared.queue)?;
        if self.client.worker.is_none() {
            client.leave_with_the_reader();
            if !self.fast && style != Style::Silent {
                reporter.output().follow_reader();
            }
        }
        if self.tells() {
            tell_of_the_end(&client, &prepared.queue);
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

    fn each(&self, template: &crate::exec::Template) -> anyhow::Result<ExitCode> {
        // It passes on what the commands print.
        need_output()?;
        // A command that has the terminal has it to itself.
        let progress = match self.client.quiet || self.each.tty {
            true => Progress::default(),
            false => Progress::of_commands(),
        };
        let style = self.style().unwrap_or(Style::Raw);
        let mut prepared = self.client.prepare(Role::Consumer, style, progress)?;
        prepared.options = self.options(prepared.options);
        let pace = exec_args::Pace {
            pauses: self.client.pauses(Role::Consumer, self.delay)?,
            max: self.max.unwrap_or(u64::MAX),
            patience: self.wait.patience(),
            tells: self.tells(),
        };
        self.each.run(template, prepared, pace)
    }

    /// Whether to say what is waited for after the end.
    fn tells(&self) -> bool {
        !self.client.quiet && !self.follow && self.wait.patience() == Patience::Endless
    }

    fn style(&self) -> Option<Style> {
        self.format.map(|format| match format {
            Format::Log => Style::Log,
            Format::Raw => Style::Raw,
            Format::Json => Style::Json,
        })
    }

    fn options(&self, options: Options) -> Options {
        let options = options.follow(self.follow).max_attempts(self.max_attempts);
        let options = options.patience(self.wait.patience());
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
        let mut portion = Portion::default();
        let mut pauses = self.client.pauses(Role::Consumer, self.delay)?;
        let mut left = self.max.unwrap_or(u64::MAX);
        while left > 0 {
            let pause = pauses.draw();
            let paced = client.is_paced();
            let most = match reporter.output().pipe() {
                _ if one_by_one => 1,
                Some(_) => portion.items(),
                None => SEVERAL,
            };
            let got = client.get_and_sleep(most.min(left), self.wait.patience(), pause);
            exec_args::tell_late(client, reporter);
            let batch = match got {
                Ok(Some(batch)) => batch,
                Ok(None) | Err(Error::Empty) => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            left -= batch.count();
            let pause = if paced { Duration::ZERO } else { pause };
            if let Err(error) = pass_on(client, reporter, clock, &batch, pause) {
                have_read(client, reporter, &batch);
                return Err(error);
            }
            portion.was_read(batch.count(), clock.now());
            client.done_with(batch.run())?;
        }
        // What is said of the last ones.
        client.size()?;
        exec_args::tell_late(client, reporter);
        Ok(())
    }
}

/// Prints these items, and waits for the pause after them, and for the reader of a pipe.
fn pass_on(
    client: &mut Client,
    reporter: &mut Reporter,
    clock: Clock,
    batch: &Batch,
    pause: Duration,
) -> anyhow::Result<()> {
    reporter.output().begin();
    reporter.items(clock.now(), Kind::Get, Role::Consumer, None, batch.run(), None);
    reporter.flush().map_err(StdoutFailed)?;
    client.sleep(pause).inspect_err(|error| {
        // The pause is a part of the work, so what is interrupted in it is not done.
        if !matches!(error, Error::Unread) {
            reporter.output().begin();
        }
    })?;
    match reporter.output().pipe() {
        Some(pipe) => wait_for_reader(client, pipe),
        None => Ok(()),
    }
}

/// What its reader has read is done, whatever came then. The rest goes back in line when the consumer leaves.
fn have_read(client: &mut Client, reporter: &mut Reporter, batch: &Batch) {
    let count = reporter.output().items_read();
    if count > 0 {
        // If the queue cannot be told, all of it goes back.
        let _ = client.about("done", Which { count, ..batch.run().which() });
    }
}
