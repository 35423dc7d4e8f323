//! `qdemo producer`: puts items.

use std::collections::VecDeque;

use bytes::Bytes;

use super::client_args::ClientArgs;
use super::input::{InputArgs, ItemSource};
use super::one_shot::connect_and_warn;
use super::put_stream::PutStream;
use super::{require_stdout, values};
use crate::client::{Error, Timeout};
use crate::clock::{Clock, Delay};
use crate::event::{Event, EventKind};
use crate::exit::ExitCode;
use crate::exit::UsageError;
use crate::queue::{Batch, Items};
use crate::report::StdoutError;
use crate::report::{Lang, OutputFormat, Progress, Reporter};
use crate::role::Role;

/// Put items into a queue; the last producer to leave ends it
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qdemo producer --items 5 --delay 1s
  qdemo producer -q jobs first second third
  find . -name '*.png' | qdemo producer -q jobs -")]
pub(super) struct Args {
    /// The items, or `-` for lines from standard input
    #[arg(value_name = "ITEM", conflicts_with = "items")]
    given: Vec<String>,

    /// Items that are taken as they are, also `-` and what begins with it
    #[arg(value_name = "ITEM", last = true, conflicts_with = "items")]
    literal: Vec<String>,

    /// Put so many items: アイテム0, アイテム1, …
    #[arg(long, value_name = "N")]
    #[arg(value_parser = values::parse_count, allow_hyphen_values = true)]
    items: Option<u64>,

    /// What generated items are called [default: アイテム, or item with --lang en]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    item_name: Option<String>,

    /// Pause after each item
    #[arg(long, alias = "producer-delay", value_name = "TIME", default_value = "0")]
    #[arg(value_parser = values::parse_delay, allow_hyphen_values = true)]
    delay: Delay,

    /// How many items may wait in the queue; 0 for any number
    #[arg(long, value_name = "N")]
    #[arg(value_parser = values::parse_count, allow_hyphen_values = true)]
    capacity: Option<u64>,

    /// Leave without ending the queue
    #[arg(long)]
    keep_open: bool,

    /// What a line looks like
    #[arg(long, value_enum, default_value = "log")]
    format: Format,

    #[command(flatten)]
    input: InputArgs,

    #[command(flatten)]
    client: ClientArgs,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Log,
    Json,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let ended = self.put_items();
        self.client.map_worker_error(ended)
    }

    fn put_items(&self) -> anyhow::Result<ExitCode> {
        let style = match self.format {
            Format::Log => OutputFormat::Log,
            Format::Json => OutputFormat::Json,
        };
        let style = self.client.effective_style(style);
        if style != OutputFormat::Silent {
            require_stdout()?;
        }
        let prepared = self.client.set_up(style, Progress::default())?;
        let (queue, lang) = (prepared.queue, prepared.lang);
        let mut source = self.item_source(lang)?;
        let mut options = self.input.apply_options(prepared.options).keep_open(self.keep_open);
        if let Some(capacity) = self.capacity {
            options = options.capacity(capacity);
        }
        let (clock, mut reporter) = (Clock::start_now(), prepared.reporter);
        let mut stream = PutStream {
            client: connect_and_warn(options, Role::Producer, &queue)?,
            timeout: Timeout::Infinite,
            timeout_start: None,
            delays: self.client.delays(Role::Producer, self.delay)?,
            unconfirmed: (prepared.style != OutputFormat::Silent).then(VecDeque::new),
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
        // Whatever went wrong with the input, what came before it is in the queue.
        let left = client.leave()?;
        if left.consumers == 0 && left.ready > 0 && !self.client.quiet {
            reporter.print_notice(&lang.unconsumed_notice(left.ready, &queue));
        }
        put.map(|()| ExitCode::Done)
    }

    /// Exactly one of items, a count of them, and standard input is to be put.
    fn item_source(&self, lang: Lang) -> anyhow::Result<ItemSource> {
        let Some(items) = self.items else {
            if self.given.is_empty() && self.literal.is_empty() {
                let reason = "what is to be put? Give --items N, the items, or - for lines from \
                           standard input";
                return Err(UsageError(reason.to_owned()).into());
            }
            return self.input.item_source(&self.given, &self.literal);
        };
        let name = self.item_name.as_deref().unwrap_or_else(|| lang.item_name());
        // The workers of a run take turns.
        let share = self.client.worker;
        let first = share.map_or(0, |share| u64::from(share.index - 1));
        let step = share.map_or(1, |share| u64::from(share.total));
        Ok(ItemSource::generated(name, first, step, items).skip(self.client.skip))
    }
}

/// Prints what has been accepted.
fn print_accepted(
    reporter: &mut Reporter,
    clock: Clock,
    first_id: u64,
    items: Vec<Vec<u8>>,
) -> anyhow::Result<()> {
    let at = clock.now();
    for (first, mut item) in (first_id..).zip(items) {
        item.push(b'\n');
        let lines = Items { count: 1, bytes: Bytes::from(item) };
        let run = Batch {
            first_id: first,
            attempt: 1,
            delivery_failures: 0,
            accepted_at: at,
            items: lines,
        };
        reporter.on_event(Event::new(at, EventKind::Put(&run)));
    }
    reporter.flush().map_err(|error| StdoutError(error).into())
}
