//! `qdemo get`: takes items out of a queue.

use super::consumer::SEVERAL;
use super::one_shot::{self, WaitArgs};
use super::{QueueArg, Stop, need_output, values};
use crate::client::{Client, Error, Patience};
use crate::clock::Clock;
use crate::exit::ExitCode;
use crate::report::StdoutFailed;
use crate::report::{Reporter, Style};

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
    #[arg(value_parser = values::items, allow_hyphen_values = true)]
    count: u64,

    #[command(flatten)]
    wait: WaitArgs,

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
    pub(super) fn style(&self) -> Style {
        match self.format {
            Format::Raw => Style::Raw,
            Format::Json => Style::Json,
        }
    }

    pub(super) fn reporter(&self, visit: &one_shot::Visit) -> Reporter {
        visit.reporter(self.style()).separated_by_nul(self.null)
    }
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        one_shot::at_least_one(self.count)?;
        need_output()?;
        let clock = Clock::start();
        let visit = self.queue.visit()?.for_the_callers().within(self.wait.patience());
        let mut reporter = self.output.reporter(&visit);
        let mut client = visit.come()?;
        client.leave_with_the_reader();
        if self.wait.patience() == Patience::Endless && !self.quiet {
            one_shot::tell_of_the_end(&client, &visit.queue);
        }
        let mut left = self.count;
        let got = self.get(&mut client, &mut reporter, &mut left, clock);
        let stopped = match got {
            Ok(()) => None,
            Err(error) => match error.downcast_ref() {
                Some(Error::Empty) => Some((ExitCode::WouldBlock, "is empty")),
                Some(Error::Closed) => Some((ExitCode::Closed, "has ended")),
                _ => {
                    // What it has goes back in line.
                    client.leave_at_once();
                    return Err(self.may_come_again(error, left));
                }
            },
        };
        client.leave().map_err(|error| self.may_come_again(error.into(), left))?;
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
        let text = format!("the queue `{}` {how}{fewer}", visit.queue);
        Err(Stop { code, text }.into())
    }

    fn get(
        &self,
        client: &mut Client,
        reporter: &mut Reporter,
        left: &mut u64,
        clock: Clock,
    ) -> anyhow::Result<()> {
        while *left > 0 {
            let most = SEVERAL.min(*left);
            let patience = self.wait.patience().since(clock);
            let batch = client.get_within(most, patience)?.ok_or(Error::Closed)?;
            reporter.show(batch.run(), None);
            reporter.flush().map_err(StdoutFailed)?;
            *left -= batch.count();
            client.done_with(batch.run())?;
        }
        Ok(())
    }

    /// A keeper that does not answer may not have heard either that items are done.
    fn may_come_again(&self, error: anyhow::Error, left: u64) -> anyhow::Error {
        match error.downcast_ref() {
            Some(Error::NoAnswer { .. }) if left < self.count => {
                let text = format!("{error}; what was printed may be handed out again");
                Stop { code: ExitCode::WouldBlock, text }.into()
            }
            _ => error,
        }
    }
}
