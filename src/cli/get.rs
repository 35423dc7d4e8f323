//! `qdemo get`: gets items and prints them.

use super::args::{ItemOutputArgs, QueueArg, TimeoutArgs};
use super::get_loop::{GetCommand, LoopEnd, get_items, leave_after};
use super::one_shot::OneShot;
use super::server_args::ServerArgs;
use super::streams::require_stdout;
use super::values;
use super::wait_notice::Waiting;
use crate::catalogue::message;
use crate::client::{Client, Delivery, Error, Timeout};
use crate::clock::{Clock, ProcessBirth};
use crate::exit::{ExitCode, ExitError};
use crate::queue::Counts;
use crate::report::{Reporter, StdoutError};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
qdemo get -q jobs
while job=$(qdemo get --quiet -q jobs); do echo \"working on $job\"; done
qdemo get -q jobs --count 10 --timeout 2s --format json")]
pub(super) struct Args {
    #[arg(long, value_name = "N", default_value = "1", value_parser = values::parse_nonzero_count)]
    count: u64,

    #[command(flatten)]
    timeout: TimeoutArgs,

    #[command(flatten)]
    output: ItemOutputArgs,

    #[arg(long)]
    quiet: bool,

    #[command(flatten)]
    queue: QueueArg,

    #[command(flatten)]
    server: ServerArgs,
}

struct Get {
    reporter: Reporter,
    /// The limit for all items together.
    timeout: Timeout,
    clock: Clock,
    printed: u64,
    /// Nobody has put an item into the queue.
    is_unused: bool,
}

impl GetCommand for Get {
    fn get(&mut self, client: &mut Client, max: u64) -> Result<Option<Delivery>, Error> {
        client.get_with_timeout(max, self.timeout.remaining_since(self.clock))
    }

    fn print(&mut self, _: &mut Client, delivery: &Delivery) -> anyhow::Result<()> {
        self.reporter.print_batch(delivery.batch());
        self.reporter.flush().map_err(StdoutError)?;
        self.printed += delivery.count();
        Ok(())
    }
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        require_stdout()?;
        let clock = Clock::start_now();
        let timeout = self.timeout.timeout();
        let waiting = Waiting { is_quiet: self.quiet, timeout, follows: false };
        let mut one_shot = OneShot::new(&self.queue, &self.server)?
            .with_timeout(timeout)
            .with_wait_notice(waiting);
        // The keeper reports an end of the queue to this command as it would to the script that calls the
        // command again and again.
        one_shot.options = one_shot.options.ancestors(ProcessBirth::of_ancestors());
        let reporter = one_shot.reporter(self.output.format).with_nul_delimiter(self.output.null);
        let mut client = one_shot.connect()?;
        client.stop_when_stdout_closes();
        let mut get = Get { reporter, timeout, clock, printed: 0, is_unused: false };
        let end = leave_after(client, |client| {
            let end = get_items(client, &mut get, self.count)?;
            // A wait that nothing ends may be one for a mistyped queue. A command without a wait stays fast.
            let may_be_mistake = end == LoopEnd::Empty && timeout != Timeout::After(0);
            if may_be_mistake && get.printed == 0 && !self.quiet {
                get.is_unused = client.counts_at_the_end() == Some(Counts::default());
            }
            Ok(end)
        })
        .map_err(|error| match error.downcast_ref() {
            // A keeper that does not answer may not know that the printed items are done.
            Some(Error::NoAnswer { .. }) if get.printed > 0 => {
                let text = message!("command-printed-again", cause = &error);
                ExitError::new(ExitCode::WouldBlock, text).into()
            }
            _ => error,
        })?;
        let code = match end {
            LoopEnd::Complete => return Ok(ExitCode::Done),
            LoopEnd::Empty => ExitCode::WouldBlock,
            LoopEnd::Ended => ExitCode::Closed,
        };
        if self.quiet {
            return Ok(code);
        }
        let (queue, printed, count) = (&one_shot.queue, get.printed, self.count);
        let text = if code == ExitCode::Closed {
            message!("command-ended", queue = queue, printed = printed, count = count)
        } else if get.is_unused {
            message!("command-unused", queue = queue)
        } else {
            message!("command-empty", queue = queue, printed = printed, count = count)
        };
        Err(ExitError::new(code, text).into())
    }
}
