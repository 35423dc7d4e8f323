//! `qdemo producer`: puts items.

use std::collections::VecDeque;

use bytes::Bytes;

use super::client_args::ClientArgs;
use super::input::{InputArgs, ItemSource};
use super::one_shot::connect_and_warn;
use super::put_stream::PutStream;
use super::streams::require_stdout;
use super::values;
use crate::client::{Error, Timeout};
use crate::clock::{Clock, Delay};
use crate::event::{Event, EventKind};
use crate::exit::{ExitCode, UsageError};
use crate::queue::{Batch, Items};
use crate::report::{Lang, OutputFormat, Progress, Reporter, StdoutError};
use crate::role::Role;

/// Put items into a queue; the last producer to leave ends it
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qdemo producer --items 5 --delay 1s
  qdemo producer -q jobs first second third
  find . -name '*.png' | qdemo producer -q jobs -")]
pub(super) struct Args {
    /// Items to put, or - for the lines of standard input
    #[arg(value_name = "ITEM", conflicts_with = "items")]
    given: Vec<String>,

    /// Items to put as they are, even if they begin with -
    #[arg(value_name = "ITEM", last = true, conflicts_with = "items")]
    literal: Vec<String>,

    /// Put this many generated items: アイテム0, アイテム1, …
    #[arg(long, value_name = "N")]
    #[arg(value_parser = values::parse_count, allow_hyphen_values = true)]
    items: Option<u64>,

    /// Name of the generated items [default: アイテム, or item with --lang en]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    item_name: Option<String>,

    /// Pause after each item
    #[arg(long, alias = "producer-delay", value_name = "TIME", default_value = "0")]
    #[arg(value_parser = values::parse_delay, allow_hyphen_values = true)]
    delay: Delay,

    /// Capacity of the queue in items; 0 for no limit
    #[arg(long, value_name = "N")]
    #[arg(value_parser = values::parse_count, allow_hyphen_values = true)]
    capacity: Option<u64>,

    /// Leave without ending the queue
    #[arg(long)]
    keep_open: bool,

    /// Format of the output
    #[arg(long, default_value = "log", value_parser = values::output_format(&["log", "json"]))]
    format: OutputFormat,

    #[command(flatten)]
    input: InputArgs,

    #[command(flatten)]
    client: ClientArgs,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let ended = self.put_items();
        self.client.map_worker_error(ended)
    }

    fn put_items(&self) -> anyhow::Result<ExitCode> {
        let format = self.client.effective_format(self.format);
        if format != OutputFormat::Silent {
            require_stdout()?;
        }
        let setup = self.client.set_up(format, Progress::default())?;
        let (queue, lang) = (setup.queue, setup.lang);
        let mut source = self.item_source(lang)?;
        let mut options = self.input.apply_options(setup.options).keep_open(self.keep_open);
        if let Some(capacity) = self.capacity {
            options = options.capacity(capacity);
        }
        let (clock, mut reporter) = (Clock::start_now(), setup.reporter);
        let mut stream = PutStream {
            client: connect_and_warn(options, Role::Producer, &queue)?,
            timeout: Timeout::Infinite,
            timeout_start: None,
            delays: self.client.delays(Role::Producer, self.delay)?,
            unconfirmed: (format != OutputFormat::Silent).then(VecDeque::new),
            on_accepted: |first_id, items| print_accepted(&mut reporter, clock, first_id, items),
        };
        let put = stream.put_all(&mut source);
        let client = stream.client;
        if let Some(error) = put.as_ref().err().and_then(|error| error.downcast_ref())
            && !matches!(error, Error::TooLarge { .. } | Error::NotALine)
        {
            client.leave_at_once();
            return put.map(|()| ExitCode::Done);
        }
        // After an input error, the items before it are in the queue.
        let left = client.leave()?;
        if left.consumers == 0 && left.ready > 0 && !self.client.quiet {
            reporter.print_notice(&lang.unconsumed_notice(left.ready, &queue));
        }
        put.map(|()| ExitCode::Done)
    }

    /// The source is either the arguments, or `--items N`, or standard input.
    fn item_source(&self, lang: Lang) -> anyhow::Result<ItemSource> {
        let Some(items) = self.items else {
            if self.given.is_empty() && self.literal.is_empty() {
                let text = "there is nothing to put: give --items N, the items, or - for the lines of \
                            standard input";
                return Err(UsageError::new(text).into());
            }
            return self.input.item_source(&self.given, &self.literal);
        };
        let name = self.item_name.as_deref().unwrap_or_else(|| lang.item_name());
        // The producers of a run share the generated items in turn.
        let share = self.client.worker;
        let first = share.map_or(0, |share| u64::from(share.index - 1));
        let step = share.map_or(1, |share| u64::from(share.total));
        Ok(ItemSource::generated(name, first, step, items).skip(self.client.skip))
    }
}

fn print_accepted(
    reporter: &mut Reporter,
    clock: Clock,
    first_id: u64,
    items: Vec<Vec<u8>>,
) -> anyhow::Result<()> {
    let at = clock.now();
    for (id, mut item) in (first_id..).zip(items) {
        item.push(b'\n');
        let batch = Batch::new(id, at, Items { count: 1, bytes: Bytes::from(item) });
        reporter.on_event(Event::new(at, EventKind::Put(&batch)));
    }
    reporter.flush().map_err(|error| StdoutError(error).into())
}
