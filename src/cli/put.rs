//! `qdemo put`: puts items and leaves the queue open.

use std::collections::VecDeque;

use super::args::{QueueArg, TimeoutArgs};
use super::input::InputArgs;
use super::one_shot::OneShot;
use super::put_stream::PutStream;
use super::server_args::ServerArgs;
use super::unanswered::{UnansweredItems, list_items};
use super::values;
use super::wait_notice::Waiting;
use crate::catalogue::message;
use crate::client::{Error, Timeout};
use crate::clock::{Clock, DelaySampler};
use crate::exit::{ExitCode, ExitError};
use crate::item::display_text;
use crate::report::eprint_line;

#[derive(Debug, clap::Args)]
#[command(override_usage = "qdemo put [OPTIONS] [ITEM]... [-- <ITEM>...]")]
#[command(after_help = "\
qdemo put -q jobs first second
find . -name '*.png' -print0 | qdemo put -q images -0 -
qdemo put -q jobs --capacity 10 --no-wait one-more || echo 'too much to do'")]
pub(super) struct Args {
    #[arg(value_name = "ITEM", required_unless_present = "literal")]
    items: Vec<String>,

    #[arg(value_name = "-- <ITEM>", last = true)]
    literal: Vec<String>,

    #[arg(long, value_name = "N", value_parser = values::parse_count)]
    capacity: Option<u64>,

    #[command(flatten)]
    timeout: TimeoutArgs,

    #[arg(long)]
    quiet: bool,

    #[command(flatten)]
    input: InputArgs,

    #[command(flatten)]
    queue: QueueArg,

    #[command(flatten)]
    server: ServerArgs,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut source = self.input.item_source(&self.items, &self.literal)?;
        let clock = Clock::start_now();
        let timeout = self.timeout.timeout();
        let mut server = self.server.settings()?;
        self.input.eviction.apply(&mut server)?;
        let waiting = Waiting { is_quiet: self.quiet, timeout, follows: false };
        let mut one_shot =
            OneShot::on(&self.queue, server)?.with_timeout(timeout).with_wait_notice(waiting);
        one_shot.options = self.input.apply_options(one_shot.options, self.capacity);
        let client = match one_shot.connect() {
            Err(error) => {
                let (not_put, has_unread_input) = source.into_remaining();
                let items =
                    UnansweredItems { not_put, has_unread_input, ..UnansweredItems::default() };
                return Err(items.add_to(error));
            }
            Ok(client) => client,
        };
        let mut stream = PutStream {
            client,
            timeout,
            // The timeout of a stream starts anew for each item.
            timeout_start: (!source.is_stream()).then_some(clock),
            delays: DelaySampler::zero(),
            // An error names the items of a command line, or of a command with a timeout.
            unconfirmed: (timeout != Timeout::Infinite || !source.is_stream()).then(VecDeque::new),
            on_accepted: |_, _| Ok(()),
        };
        let Err(error) = stream.put_all(&mut source) else {
            if self.input.sync
                && let Some(report) = stream.client.sync_report()
            {
                eprint_line(&format!("--sync: {report}"));
            }
            // Every item is accepted: there is nothing to wait for.
            stream.client.leave_at_once();
            return Ok(ExitCode::Done);
        };
        let (mut not_put, has_unread_input) = source.into_remaining();
        let unconfirmed = stream.unconfirmed.unwrap_or_default();
        let mut uncertain: Vec<_> =
            unconfirmed.iter().map(|item| display_text(item).into_owned()).collect();
        let mut uncertain_count = stream.client.unanswered_items();
        if stream.client.withdraw() {
            uncertain.append(&mut not_put);
            not_put = std::mem::take(&mut uncertain);
            uncertain_count = 0;
        }
        let items = UnansweredItems { uncertain, uncertain_count, not_put, has_unread_input };
        let queue = &one_shot.queue;
        let error = match error.downcast_ref() {
            Some(Error::Full) => {
                let capacity = stream.client.size().map_or(0, |(_, capacity)| capacity);
                let not_put = [items.uncertain, items.not_put].concat();
                let names = list_items(&not_put, has_unread_input);
                let text =
                    message!("command-full", queue = queue, capacity = capacity, items = names);
                ExitError::new(ExitCode::WouldBlock, text).into()
            }
            Some(Error::Closed) => {
                let quoted = queue.shell_quoted();
                let text = message!("command-closed", queue = queue, quoted = quoted);
                ExitError::new(ExitCode::Closed, text).into()
            }
            _ => items.add_to(error),
        };
        stream.client.leave_at_once();
        Err(error)
    }
}
