//! `qdemo producer`: puts items.

use std::collections::VecDeque;

use bytes::Bytes;

use super::args::default_item_name;
use super::client_args::ClientArgs;
use super::delay;
use super::input::{InputArgs, ItemSource};
use super::one_shot::connect_and_warn;
use super::put_stream::PutStream;
use super::streams::require_stdout;
use super::unanswered::UnansweredItems;
use super::values::{self, WorkerShare};
use crate::catalogue::message;
use crate::client::{Error, Timeout};
use crate::clock::{Clock, Delay};
use crate::event::{Event, EventKind};
use crate::exit::{ExitCode, ExitError};
use crate::item::display_text;
use crate::queue::{Batch, Items};
use crate::report::{OutputFormat, Progress, StdoutError};
use crate::role::Role;

#[derive(Debug, clap::Args)]
#[command(override_usage = "qdemo producer [OPTIONS] [ITEM]... [-- <ITEM>...]")]
#[command(after_help = "\
qdemo producer --items 5 --delay 1s
qdemo producer -q jobs first second third
find . -name '*.png' | qdemo producer -q jobs -")]
pub(super) struct Args {
    #[arg(value_name = "ITEM", conflicts_with = "items")]
    given: Vec<String>,

    #[arg(value_name = "-- <ITEM>", last = true, conflicts_with = "items")]
    literal: Vec<String>,

    #[arg(long, value_name = "N", value_parser = values::parse_count)]
    items: Option<u64>,

    #[arg(long, value_name = "TEXT")]
    #[arg(hide_short_help = true)]
    item_name: Option<String>,

    #[arg(long, alias = "producer-delay", value_name = "TIME", default_value = "0")]
    #[arg(value_parser = delay::parser())]
    delay: Delay,

    #[arg(long, value_name = "N", value_parser = values::parse_count)]
    capacity: Option<u64>,

    #[arg(long)]
    keep_open: bool,

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
        let mut server = self.client.server()?;
        self.input.eviction.apply(&mut server)?;
        let setup = self.client.set_up(format, Progress::default(), server.as_ref())?;
        let queue = setup.queue;
        let mut source = self.item_source()?;
        let options =
            self.input.apply_options(setup.options, self.capacity).keep_open(self.keep_open);
        let options = self.client.waiting(Timeout::Infinite, false).apply_to(options, &queue);
        let (clock, mut reporter) = (Clock::start_now(), setup.reporter);
        let mut stream = PutStream {
            client: connect_and_warn(options, Role::Producer, &queue)?,
            timeout: Timeout::Infinite,
            timeout_start: None,
            delays: self.client.delays(Role::Producer, &self.delay)?,
            unconfirmed: (format != OutputFormat::Silent).then(VecDeque::new),
            on_accepted: |first_id, items: Vec<Vec<u8>>| {
                let at = clock.now();
                for (id, mut item) in (first_id..).zip(items) {
                    item.push(b'\n');
                    let batch = Batch {
                        first_id: id,
                        attempt: 1,
                        delivery_failures: 0,
                        accepted_at: at,
                        items: Items { count: 1, bytes: Bytes::from(item) },
                    };
                    reporter.on_event(Event::new(at, EventKind::Put(&batch)));
                }
                Ok(reporter.flush().map_err(StdoutError)?)
            },
        };
        let put = stream.put_all(&mut source);
        let client = stream.client;
        if let Some(error) = put.as_ref().err().and_then(|error| error.downcast_ref())
            && !matches!(error, Error::TooLarge { .. } | Error::NotALine)
        {
            let unconfirmed = stream.unconfirmed.unwrap_or_default();
            let items = UnansweredItems {
                uncertain: unconfirmed.iter().map(|i| display_text(i).into_owned()).collect(),
                uncertain_count: client.unanswered_items(),
                ..UnansweredItems::default()
            };
            client.leave_at_once();
            return put.map(|()| ExitCode::Done).map_err(|error| items.add_to(error));
        }
        if self.input.sync
            && let Some(report) = client.sync_report()
        {
            reporter.print_notice(&format!("--sync: {report}"));
        }
        // After an input error, the items before it are in the queue.
        let left = client.leave()?;
        if left.consumers == 0 && left.ready > 0 && !self.client.quiet {
            reporter.print_notice(&message!(
                "run-unconsumed",
                items = left.ready,
                queue = &queue,
                quoted = &queue.shell_quoted()
            ));
        }
        put.map(|()| ExitCode::Done)
    }

    /// The source is either the arguments, or `--items N`, or standard input.
    fn item_source(&self) -> anyhow::Result<ItemSource> {
        let Some(items) = self.items else {
            if self.given.is_empty() && self.literal.is_empty() {
                anyhow::bail!(ExitError::usage(message!("input-nothing")));
            }
            return self.input.item_source(&self.given, &self.literal);
        };
        let name = self.item_name.clone().unwrap_or_else(default_item_name);
        // The producers of a run share the generated items in turn. The queue has the skipped items already.
        let WorkerShare { index, total } =
            self.client.worker.unwrap_or(WorkerShare { index: 1, total: 1 });
        let skipped = u64::from(total).saturating_mul(self.client.skip);
        let first = u64::from(index - 1).saturating_add(skipped);
        Ok(ItemSource::generated(&name, (first..items).step_by(total as usize)))
    }
}
