//! `qdemo consumer`: gets items.

use std::time::Duration;

use super::StdoutFailed;
use super::client::ClientArgs;
use super::values;
use crate::client::{Batch, Client};
use crate::clock::Clock;
use crate::exit::ExitCode;
use crate::queue::Role;
use crate::report::{Kind, Reporter, Style};

/// How many items a consumer without a delay takes at a time.
const SEVERAL: u64 = 4096;

/// Get items from a queue until it ends
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qdemo consumer --delay 2s
  qdemo consumer -q jobs --format raw | while read -r job; do echo \"$job\"; done
  qdemo consumer -q jobs --max 10 --format json")]
pub(super) struct Args {
    /// Pause after each item, before it is done
    #[arg(long, alias = "consumer-delay", value_name = "TIME", default_value = "0")]
    #[arg(value_parser = values::delay, allow_hyphen_values = true)]
    delay: Duration,

    /// Leave after so many items
    #[arg(long, value_name = "N")]
    #[arg(value_parser = values::items, allow_hyphen_values = true)]
    max: Option<u64>,

    /// Stay when the queue ends, and wait for what comes after
    #[arg(long)]
    follow: bool,

    /// What a line looks like
    #[arg(long, value_enum, default_value = "log")]
    format: Format,

    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Log,
    Raw,
    Json,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let ended = self.get_and_leave();
        self.client.end(ended)
    }

    fn get_and_leave(&self) -> anyhow::Result<ExitCode> {
        let style = match self.format {
            Format::Log => Style::Log,
            Format::Raw => Style::Raw,
            Format::Json => Style::Json,
        };
        let clock = Clock::start();
        let prepared = self.client.prepare(Role::Consumer, style)?;
        let mut reporter = prepared.reporter;
        let mut client = prepared.options.follow(self.follow).connect()?;
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

    fn get_all(
        &self,
        client: &mut Client,
        reporter: &mut Reporter,
        clock: Clock,
    ) -> anyhow::Result<()> {
        let at_a_time = match self.delay.is_zero() && !client.is_paced() {
            true => SEVERAL,
            false => 1,
        };
        let mut left = self.max.unwrap_or(u64::MAX);
        while left > 0 {
            let Some(batch) = client.get(at_a_time.min(left))? else {
                return Ok(());
            };
            left -= batch.count();
            report(reporter, clock, &batch).map_err(StdoutFailed)?;
            client.sleep(self.delay)?;
            client.done(batch.first_id(), batch.count())?;
        }
        Ok(())
    }
}

fn report(reporter: &mut Reporter, clock: Clock, batch: &Batch) -> std::io::Result<()> {
    reporter.items(clock.now(), Kind::Get, Role::Consumer, None, batch.run());
    reporter.flush()
}
