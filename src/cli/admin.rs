//! The commands that manage a queue: `peek`, `join`, `close`, `failed`.

use std::num::NonZeroU64;

use anyhow::bail;

use super::args::{ItemOutputArgs, QueueArg};
use super::one_shot::OneShot;
use super::server_args::ServerArgs;
use super::streams::require_stdout;
use super::values;
use super::wait_notice::Waiting;
use crate::catalogue::message;
use crate::client::{Error, Timeout};
use crate::clock::Clock;
use crate::exit::{ExitCode, ExitError};
use crate::report::{OutputFormat, StdoutError};

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
            let text = message!("command-nothing-ready", queue = &one_shot.queue);
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
            Ok(failed) => {
                let quoted = queue.shell_quoted();
                bail!(message!(
                    "command-joined-failed",
                    items = failed,
                    queue = queue,
                    quoted = quoted
                ))
            }
            Err(Error::Unfinished(items)) => {
                let text = message!("command-unfinished", items = items, queue = queue);
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
        let mut client = one_shot.connect_existing()?;
        let dropped = client.close_queue(self.now)?;
        client.leave()?;
        if self.now {
            one_shot.print_result(&message!("command-dropped", items = dropped))?;
        }
        Ok(ExitCode::Done)
    }
}

impl FailedArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let is_list = !self.retry && !self.drop;
        if is_list && !self.ids.is_empty() {
            bail!(ExitError::usage(message!("command-lone-ids")));
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
                let quoted = one_shot.queue.shell_quoted();
                bail!(message!("command-not-failed", id = id, quoted = quoted));
            }
        }
        let mut act = |id| if self.retry { client.retry(id) } else { client.drop_failed(id) };
        let items = if self.ids.is_empty() {
            act(None)?
        } else {
            self.ids.iter().map(|&id| act(NonZeroU64::new(id))).sum::<Result<_, _>>()?
        };
        client.leave()?;
        let text = if self.retry {
            message!("command-retried", items = items)
        } else {
            message!("command-dropped", items = items)
        };
        Ok(one_shot.print_result(&text)?)
    }
}
