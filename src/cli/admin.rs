//! Looking after a queue: `peek`, `join`, `close`, `failed`, `rm`.

use std::num::NonZeroU64;
use std::time::Duration;

use anyhow::Context;

use super::get::OutputArgs;
use super::one_shot;
use super::{ExitError, QueueArg, require_stdout, values};
use crate::client::{Client, Error};
use crate::clock::Clock;
use crate::exit::ExitCode;
use crate::exit::UsageError;
use crate::report::StdoutError;
use crate::report::eprint_line;
use crate::report::{OutputFormat, Reporter, english_item_count};

/// Show the first items in line, and leave them there
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code 3 when nothing is in line.

Examples:
  qdemo peek -q jobs
  qdemo peek -q jobs --count 10 --format json")]
pub(super) struct PeekArgs {
    /// How many items
    #[arg(long, value_name = "N", default_value = "1")]
    #[arg(value_parser = values::parse_count, allow_hyphen_values = true)]
    count: u64,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    queue: QueueArg,
}

/// Wait until every item that was put is done
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit code 1 when items have failed, 3 when the time is over. What `qdemo get` has printed is done.

Examples:
  qdemo join -q jobs
  qdemo join -q jobs --timeout 10m || qdemo status -q jobs"
)]
pub(super) struct JoinArgs {
    /// Wait no longer than this
    #[arg(long, value_name = "TIME")]
    #[arg(value_parser = values::parse_duration, allow_hyphen_values = true)]
    timeout: Option<Duration>,

    #[command(flatten)]
    queue: QueueArg,
}

/// Put the sentinel: the queue ends after what it has
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qdemo close -q jobs
  qdemo close -q jobs --now")]
pub(super) struct CloseArgs {
    /// Drop what is in line
    #[arg(long)]
    now: bool,

    #[command(flatten)]
    queue: QueueArg,
}

/// List the items that failed, put them back in line, or drop them
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qdemo failed -q jobs
  qdemo failed -q jobs --retry
  qdemo failed -q jobs --drop 17 42")]
pub(super) struct FailedArgs {
    /// Which ones, by their ids [default: all]
    #[arg(value_name = "ID", value_parser = values::parse_item_id, allow_hyphen_values = true)]
    ids: Vec<u64>,

    /// Put them back in line
    #[arg(long)]
    retry: bool,

    /// Drop them
    #[arg(long, conflicts_with = "retry")]
    drop: bool,

    /// What the list looks like: id, attempt, reason, item; or objects
    #[arg(long, value_enum, default_value = "text", conflicts_with_all = ["retry", "drop"])]
    format: Format,

    #[command(flatten)]
    queue: QueueArg,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Remove a queue
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qdemo rm -q jobs
  qdemo rm -q jobs --force")]
pub(super) struct RmArgs {
    /// Even if it has items, or somebody uses it
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    queue: QueueArg,
}

impl PeekArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        one_shot::check_count(self.count)?;
        require_stdout()?;
        let one_shot = self.queue.one_shot()?;
        let mut client = one_shot.connect_existing()?;
        let mut reporter = self.output.reporter(&one_shot);
        let (mut from, mut left) = (1, self.count);
        while left > 0 {
            let Some(run) = client.peek(from, left)? else {
                break;
            };
            reporter.print_batch(&run, None);
            reporter.flush().map_err(StdoutError)?;
            from = run.end_id();
            left -= run.count();
        }
        client.leave()?;
        match left == self.count {
            false => Ok(ExitCode::Done),
            true => {
                let text = format!("nothing is in line in the queue `{}`", one_shot.queue);
                Err(ExitError { code: ExitCode::WouldBlock, message: text }.into())
            }
        }
    }
}

impl JoinArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let clock = Clock::start_now();
        let timeout = one_shot::timeout_or_endless(self.timeout);
        let one_shot = self.queue.one_shot()?.with_timeout(timeout);
        let mut client = one_shot.connect_existing()?;
        let queue = &one_shot.queue;
        let joined = client.join(timeout.remaining_since(clock));
        let stop = match joined {
            Ok(0) => {
                client.leave()?;
                return Ok(ExitCode::Done);
            }
            Ok(failed) => {
                let text = format!(
                    "{} of the queue `{queue}` failed, the others are done: \
                     `qdemo failed -q {}` lists them",
                    english_item_count(failed),
                    queue.shell_quoted()
                );
                ExitError { code: ExitCode::Failed, message: text }
            }
            Err(Error::Unfinished(items)) => {
                let text = format!(
                    "{} of the queue `{queue}` not done in time",
                    english_item_count(items)
                );
                ExitError { code: ExitCode::WouldBlock, message: text }
            }
            Err(error) => return Err(error.into()),
        };
        client.leave()?;
        Err(stop.into())
    }
}

impl CloseArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        if self.now {
            require_stdout()?;
        }
        let one_shot = self.queue.one_shot()?;
        let there = one_shot.exists()?;
        let mut client = one_shot.connect()?;
        let dropped = client.close_queue(self.now)?;
        if !there {
            let queue = &one_shot.queue;
            eprint_line(&format!("there was no queue `{queue}`: it has been made, and is closed"));
        }
        client.leave()?;
        if self.now {
            print_result(
                &mut one_shot.reporter(OutputFormat::Raw),
                &format!("dropped {}", english_item_count(dropped)),
            )?;
        }
        Ok(ExitCode::Done)
    }
}

impl FailedArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        if !self.ids.is_empty() && !self.retry && !self.drop {
            let text = "what about these items? Give --retry or --drop, or no id to list them all";
            return Err(UsageError(text.to_owned()).into());
        }
        require_stdout()?;
        let one_shot = self.queue.one_shot()?;
        let mut client = one_shot.connect_existing()?;
        if !self.retry && !self.drop {
            let style = match self.format {
                Format::Text => OutputFormat::Log,
                Format::Json => OutputFormat::Json,
            };
            print_failed(&mut client, &mut one_shot.reporter(style))?;
            client.leave()?;
            return Ok(ExitCode::Done);
        }
        // All of it or nothing.
        for &id in &self.ids {
            if client.failed(id)?.is_none_or(|(run, _)| run.first_id != id) {
                let queue = one_shot.queue.shell_quoted();
                let text = format!(
                    "no item {id} has failed: `qdemo failed -q {queue}` lists those that have"
                );
                return Err(ExitError { code: ExitCode::Failed, message: text }.into());
            }
        }
        let batch_ref = match &self.ids[..] {
            [] => vec![None],
            ids => ids.iter().map(|&id| NonZeroU64::new(id)).collect(),
        };
        let mut items = 0;
        for batch_ref in batch_ref {
            items += match self.retry {
                true => client.retry(batch_ref)?,
                false => client.drop_failed(batch_ref)?,
            };
        }
        client.leave()?;
        let text = match self.retry {
            true => format!("{} back in line", english_item_count(items)),
            false => format!("dropped {}", english_item_count(items)),
        };
        print_result(&mut one_shot.reporter(OutputFormat::Raw), &text)?;
        Ok(ExitCode::Done)
    }
}

fn print_failed(client: &mut Client, reporter: &mut Reporter) -> anyhow::Result<()> {
    let mut from = 1;
    while let Some((run, reason)) = client.failed(from)? {
        from = run.end_id();
        reporter.print_batch(&run, Some(&reason));
        reporter.flush().map_err(StdoutError)?;
    }
    Ok(())
}

impl RmArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let one_shot = self.queue.one_shot()?;
        let text = match self.remove(&one_shot) {
            Ok(0) => return Ok(ExitCode::Done),
            Ok(removed) => format!("removed {}", english_item_count(removed)),
            Err(error) if self.force && has_unusable_journal(&error) => {
                one_shot.remove_files().with_context(|| format!("{error:#}"))?;
                "removed the queue, whose items could not be counted".to_owned()
            }
            Err(error) => return Err(error),
        };
        print_result(&mut one_shot.reporter(OutputFormat::Raw), &text)?;
        Ok(ExitCode::Done)
    }

    /// Tells how many items went with the queue.
    fn remove(&self, one_shot: &one_shot::OneShot) -> anyhow::Result<u64> {
        let mut client = one_shot.connect_existing()?;
        if self.force {
            let counts = client.size()?.0;
            if counts.ready + counts.in_flight + counts.failed > 0 {
                // How many there were is printed.
                require_stdout()?;
            }
        }
        let removed = client.remove_queue(self.force)?;
        // Until the keeper has gone, and everything with it.
        client.wait_for_keeper_exit()?;
        Ok(removed)
    }
}

/// Whether no keeper can read the queue's journal, or write to it.
fn has_unusable_journal(error: &anyhow::Error) -> bool {
    match error.downcast_ref() {
        Some(Error::Start(_)) => true,
        Some(Error::Refused { code, .. }) => code == "journal",
        _ => false,
    }
}

fn print_result(reporter: &mut Reporter, text: &str) -> anyhow::Result<()> {
    reporter.print_line(text);
    Ok(reporter.flush().map_err(StdoutError)?)
}
