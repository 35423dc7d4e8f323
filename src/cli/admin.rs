//! The commands that manage a queue: `peek`, `join`, `close`.

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
use crate::report::StdoutError;

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
            reporter.print_batch(&batch);
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
