//! `qdemo get`: takes items out of a queue.

use super::consumer::MAX_GET_ITEMS;
use super::one_shot::{self, TimeoutArgs};
use super::{ExitError, QueueArg, require_stdout, values};
use crate::client::{Client, Error, Timeout};
use crate::clock::Clock;
use crate::exit::ExitCode;
use crate::report::StdoutError;
use crate::report::{OutputFormat, Reporter};

/// Take items from a queue and print them
#[derive(Debug, clap::Args)]
#[command(
    after_help = "An item is done when it has been printed. Exit code 3 when there is none in time, 4 when the
queue has ended.

Examples:
  qdemo get -q jobs
  while job=$(qdemo get --quiet -q jobs); do echo \"working on $job\"; done
  qdemo get -q jobs --count 10 --timeout 2s --format json"
)]
pub(super) struct Args {
    /// How many items
    #[arg(long, value_name = "N", default_value = "1")]
    #[arg(value_parser = values::parse_count, allow_hyphen_values = true)]
    count: u64,

    #[command(flatten)]
    timeout: TimeoutArgs,

    #[command(flatten)]
    output: OutputArgs,

    /// Say nothing of an empty queue or its end: the exit code tells
    #[arg(long)]
    quiet: bool,

    #[command(flatten)]
    queue: QueueArg,
}

/// What items look like, as the commands that print them take it.
#[derive(Debug, clap::Args)]
pub(super) struct OutputArgs {
    /// What an item looks like: bare, or an object with its id and attempt
    #[arg(long, value_enum, default_value = "raw")]
    format: Format,

    /// Print NUL behind a bare item, not a newline
    #[arg(short = '0', long)]
    null: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Raw,
    Json,
}

impl OutputArgs {
    pub(super) fn style(&self) -> OutputFormat {
        match self.format {
            Format::Raw => OutputFormat::Raw,
            Format::Json => OutputFormat::Json,
        }
    }

    pub(super) fn reporter(&self, one_shot: &one_shot::OneShot) -> Reporter {
        one_shot.reporter(self.style()).with_nul_delimiter(self.null)
    }
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        one_shot::check_count(self.count)?;
        require_stdout()?;
        let clock = Clock::start_now();
        let one_shot =
            self.queue.one_shot()?.on_behalf_of_callers().with_timeout(self.timeout.resolve());
        let mut reporter = self.output.reporter(&one_shot);
        let mut client = one_shot.connect()?;
        client.stop_when_stdout_closes();
        if self.timeout.resolve() == Timeout::Infinite && !self.quiet {
            one_shot::print_end_notice(&client, &one_shot.queue);
        }
        let mut left = self.count;
        let got = self.print_items(&mut client, &mut reporter, &mut left, clock);
        let stopped = match got {
            Ok(()) => None,
            Err(error) => match error.downcast_ref() {
                Some(Error::Empty) => Some((ExitCode::WouldBlock, "is empty")),
                Some(Error::Closed) => Some((ExitCode::Closed, "has ended")),
                _ => {
                    // What it has goes back in line.
                    client.leave_at_once();
                    return Err(self.add_redelivery_warning(error, left));
                }
            },
        };
        client.leave().map_err(|error| self.add_redelivery_warning(error.into(), left))?;
        let Some((code, how)) = stopped else {
            return Ok(ExitCode::Done);
        };
        if self.quiet {
            return Ok(code);
        }
        let fewer = match self.count - left {
            0 => String::new(),
            got => format!(": {got} of {} items were there", self.count),
        };
        let text = format!("the queue `{}` {how}{fewer}", one_shot.queue);
        Err(ExitError { code, message: text }.into())
    }

    fn print_items(
        &self,
        client: &mut Client,
        reporter: &mut Reporter,
        left: &mut u64,
        clock: Clock,
    ) -> anyhow::Result<()> {
        while *left > 0 {
            let most = MAX_GET_ITEMS.min(*left);
            let timeout = self.timeout.resolve().remaining_since(clock);
            let batch = client.get_with_timeout(most, timeout)?.ok_or(Error::Closed)?;
            reporter.print_batch(batch.batch(), None);
            reporter.flush().map_err(StdoutError)?;
            *left -= batch.count();
            client.done_batch(batch.batch())?;
        }
        Ok(())
    }

    /// A keeper that does not answer may not have heard either that items are done.
    fn add_redelivery_warning(&self, error: anyhow::Error, left: u64) -> anyhow::Error {
        match error.downcast_ref() {
            Some(Error::NoAnswer { .. }) if left < self.count => {
                let text = format!("{error}; what was printed may be handed out again");
                ExitError { code: ExitCode::WouldBlock, message: text }.into()
            }
            _ => error,
        }
    }
}
