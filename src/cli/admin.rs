//! The commands that manage a queue: `peek`, `join`, `close`, `failed`, `rm`.

use std::num::NonZeroU64;

use anyhow::{Context, bail};

use super::args::{ItemOutputArgs, QueueArg};
use super::one_shot::OneShot;
use super::server_args::ServerArgs;
use super::streams::require_stdout;
use super::values;
use super::wait_notice::Waiting;
use crate::client::{Error, Timeout};
use crate::clock::Clock;
use crate::exit::{ExitCode, ExitError};
use crate::report::{OutputFormat, StdoutError, english_item_count, eprint_line};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
qdemo peek -q jobs
qdemo peek -q jobs --count 10 --format json")]
pub(super) struct PeekArgs {
    #[arg(long, value_name = "N", default_value = "1", value_parser = values::parse_nonzero_count)]
    count: u64,

    #[command(flatten)]
    output: ItemOutputArgs,

    #[command(flatten)]
    queue: QueueArg,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
qdemo join -q jobs
qdemo join -q jobs --timeout 10m || qdemo status -q jobs")]
pub(super) struct JoinArgs {
    #[arg(long, value_name = "TIME", value_parser = values::parse_timeout)]
    timeout: Option<Timeout>,

    #[arg(long)]
    quiet: bool,

    #[command(flatten)]
    queue: QueueArg,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
qdemo close -q jobs
qdemo close -q jobs --now")]
pub(super) struct CloseArgs {
    #[arg(long)]
    now: bool,

    #[command(flatten)]
    queue: QueueArg,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
qdemo failed -q jobs
qdemo failed -q jobs --retry
qdemo failed -q jobs --drop 17 42")]
pub(super) struct FailedArgs {
    #[arg(value_name = "ID", value_parser = values::parse_item_id, allow_hyphen_values = true)]
    ids: Vec<u64>,

    #[arg(long)]
    retry: bool,

    #[arg(long, conflicts_with = "retry")]
    drop: bool,

    #[arg(long, default_value = "text", conflicts_with_all = ["retry", "drop"])]
    #[arg(value_parser = values::output_format(&["text", "json"]))]
    format: OutputFormat,

    #[command(flatten)]
    queue: QueueArg,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
qdemo rm -q jobs
qdemo rm -q jobs --force")]
pub(super) struct RmArgs {
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    queue: QueueArg,

    #[command(flatten)]
    server: ServerArgs,
}

impl PeekArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        require_stdout()?;
        let one_shot = OneShot::new(&self.queue, &self.server)?;
        let mut client = one_shot.connect_existing()?;
        let mut reporter =
            one_shot.reporter(self.output.format).with_nul_delimiter(self.output.null);
        let (mut from, mut left) = (1, self.count);
        while left > 0 {
            let Some(batch) = client.peek(from, left)? else {
                break;
            };
            reporter.print_batch(&batch, None);
            reporter.flush().map_err(StdoutError)?;
            from = batch.end_id();
            left -= batch.count();
        }
        client.leave()?;
        if left == self.count {
            let text = format!("no item is in line in the queue `{}`", one_shot.queue);
            bail!(ExitError::new(ExitCode::WouldBlock, text));
        }
        Ok(ExitCode::Done)
    }
}

impl JoinArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let clock = Clock::start_now();
        let timeout = self.timeout.unwrap_or(Timeout::Infinite);
        let waiting = Waiting { is_quiet: self.quiet, timeout, follows: false };
        let one_shot = OneShot::new(&self.queue, &self.server)?
            .with_timeout(timeout)
            .with_wait_notice(waiting);
        let mut client = one_shot.connect_existing()?;
        let queue = &one_shot.queue;
        let joined = client.join(timeout.remaining_since(clock));
        if matches!(joined, Ok(_) | Err(Error::Unfinished(_))) {
            client.leave()?;
        }
        match joined {
            Ok(0) => Ok(ExitCode::Done),
            Ok(failed) => bail!(
                "{} of the queue `{queue}` failed, all others are done: `qdemo failed -q {}` lists \
                 failed items",
                english_item_count(failed),
                queue.shell_quoted()
            ),
            Err(Error::Unfinished(unfinished)) => {
                let items = english_item_count(unfinished);
                let verb = if unfinished == 1 { "is" } else { "are" };
                let text =
                    format!("{items} of the queue `{queue}` {verb} not done within the timeout");
                bail!(ExitError::new(ExitCode::WouldBlock, text))
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl CloseArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        if self.now {
            require_stdout()?;
        }
        let one_shot = OneShot::new(&self.queue, &self.server)?;
        let is_new = !one_shot.exists()?;
        let mut client = one_shot.connect()?;
        let dropped = client.close_queue(self.now)?;
        if is_new {
            let queue = &one_shot.queue;
            eprint_line(&format!("there was no queue `{queue}`: it has been made and closed"));
        }
        client.leave()?;
        if self.now {
            one_shot.print_result(&format!("dropped {}", english_item_count(dropped)))?;
        }
        Ok(ExitCode::Done)
    }
}

impl FailedArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let is_list = !self.retry && !self.drop;
        if is_list && !self.ids.is_empty() {
            let text =
                "ids need an action: give --retry or --drop, or no id for a list of all items";
            bail!(ExitError::usage(text));
        }
        require_stdout()?;
        let one_shot = OneShot::new(&self.queue, &self.server)?;
        let mut client = one_shot.connect_existing()?;
        if is_list {
            let mut reporter = one_shot.reporter(self.format);
            let mut from = 1;
            while let Some((batch, reason)) = client.failed(from)? {
                from = batch.end_id();
                reporter.print_batch(&batch, Some(&reason));
                reporter.flush().map_err(StdoutError)?;
            }
            client.leave()?;
            return Ok(ExitCode::Done);
        }
        // No item is retried or dropped if one of the items has not failed. Another client may still retry or
        // drop an item between this check and the request for the item.
        for &id in &self.ids {
            if client.failed(id)?.is_none_or(|(batch, _)| batch.first_id != id) {
                let queue = one_shot.queue.shell_quoted();
                bail!(
                    "item {id} is not a failed item: `qdemo failed -q {queue}` lists failed items"
                );
            }
        }
        let mut act = |id| if self.retry { client.retry(id) } else { client.drop_failed(id) };
        let items = if self.ids.is_empty() {
            act(None)?
        } else {
            self.ids.iter().map(|&id| act(NonZeroU64::new(id))).sum::<Result<_, _>>()?
        };
        client.leave()?;
        let items = english_item_count(items);
        let text =
            if self.retry { format!("{items} back in line") } else { format!("dropped {items}") };
        Ok(one_shot.print_result(&text)?)
    }
}

impl RmArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let one_shot = OneShot::new(&self.queue, &self.server)?;
        let text = match self.remove(&one_shot) {
            Ok(0) => return Ok(ExitCode::Done),
            Ok(removed) => format!("removed {}", english_item_count(removed)),
            Err(error) if self.force && has_unusable_journal(&error) => {
                one_shot.remove_files().with_context(|| format!("{error:#}"))?;
                "removed the queue, whose items could not be counted".to_owned()
            }
            Err(error) => return Err(error),
        };
        Ok(one_shot.print_result(&text)?)
    }

    /// Returns the number of items in the removed queue.
    fn remove(&self, one_shot: &OneShot) -> anyhow::Result<u64> {
        let mut client = one_shot.connect_existing()?;
        if self.force {
            let counts = client.size()?.0;
            if counts.ready + counts.in_flight + counts.failed > 0 {
                // The command prints the number of items.
                require_stdout()?;
            }
        }
        let removed = client.remove_queue(self.force)?;
        // The queue's files exist until the keeper has exited.
        client.wait_for_keeper_exit()?;
        Ok(removed)
    }
}

/// Whether no keeper can read the queue's journal or write to it.
fn has_unusable_journal(error: &anyhow::Error) -> bool {
    match error.downcast_ref() {
        Some(Error::Start(_)) => true,
        Some(Error::Refused { code, .. }) => code == "journal",
        _ => false,
    }
}
