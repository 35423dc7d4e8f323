//! `qdemo put`: puts items, and leaves the queue open.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::input::{InputArgs, RemainingItems};
use super::one_shot::TimeoutArgs;
use super::put_stream::PutStream;
use super::{ExitError, QueueArg, values};
use crate::client::{Error, Timeout};
use crate::clock::{Clock, DelaySampler};
use crate::exit::ExitCode;
use crate::item::{display_text, escape_for_terminal};
use crate::queue_name::QueueName;

/// So many of the items that were not put are named, the others are counted.
const MAX_LISTED_ITEMS: usize = 10;

/// Put items into a queue
#[derive(Debug, clap::Args)]
#[command(
    after_help = "With -, each line may wait that long for room. Exit code 3 when there is none in time, 4 when the
queue is closed.

Examples:
  qdemo put -q jobs first second
  find . -name '*.png' -print0 | qdemo put -q images -0 -
  qdemo put -q jobs --capacity 10 --no-wait one-more || echo 'too much to do'"
)]
pub(super) struct Args {
    /// The items, or `-` for lines from standard input
    #[arg(value_name = "ITEM", required_unless_present = "literal")]
    items: Vec<String>,

    /// Items that are taken as they are, also `-` and what begins with it
    #[arg(value_name = "ITEM", last = true)]
    literal: Vec<String>,

    /// How many items may wait in the queue; 0 for any number
    #[arg(long, value_name = "N")]
    #[arg(value_parser = values::parse_count, allow_hyphen_values = true)]
    capacity: Option<u64>,

    #[command(flatten)]
    timeout: TimeoutArgs,

    #[command(flatten)]
    input: InputArgs,

    #[command(flatten)]
    queue: QueueArg,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut source = self.input.item_source(&self.items, &self.literal)?;
        let clock = Clock::start_now();
        let timeout = self.timeout.resolve();
        let mut one_shot = self.queue.one_shot()?.with_timeout(timeout);
        one_shot.options = self.input.apply_options(one_shot.options);
        if let Some(capacity) = self.capacity {
            one_shot.options = one_shot.options.capacity(capacity);
        }
        let client = match one_shot.connect() {
            Err(error) => {
                return Err(no_answer_error(error, VecDeque::new(), source.into_remaining()));
            }
            Ok(client) => client,
        };
        let mut stream = PutStream {
            client,
            timeout,
            // A stream may well take longer, if only each line gets in in time.
            timeout_start: (!source.is_stream()).then_some(clock),
            delays: DelaySampler::zero(),
            // Whoever waits for ever has nothing to name.
            unconfirmed: (timeout != Timeout::Infinite).then(VecDeque::new),
            on_accepted: |_, _| Ok(()),
        };
        let put = stream.put_all(&mut source);
        match put {
            Ok(()) => {
                stream.client.leave()?;
                Ok(ExitCode::Done)
            }
            Err(error) if matches!(error.downcast_ref(), Some(Error::Full)) => {
                Err(full_error(&one_shot.queue, stream, source.into_remaining()).into())
            }
            Err(error) if matches!(error.downcast_ref(), Some(Error::Closed)) => {
                stream.client.leave_at_once();
                let (queue, name) = (&one_shot.queue, one_shot.queue.shell_quoted());
                let text = format!(
                    "the queue `{queue}` is closed, and takes no more items: `qdemo status -q {name}` \
                     tells what is left of it, `qdemo rm -q {name}` begins a new one"
                );
                Err(ExitError { code: ExitCode::Closed, message: text }.into())
            }
            Err(error) => {
                stream.client.leave_at_once();
                Err(no_answer_error(
                    error,
                    stream.unconfirmed.unwrap_or_default(),
                    source.into_remaining(),
                ))
            }
        }
    }
}

/// Names what was not put.
fn full_error<R>(queue: &QueueName, mut stream: PutStream<R>, rest: RemainingItems) -> ExitError {
    let capacity = stream.client.size().map_or(0, |(_, capacity)| capacity);
    stream.client.leave_at_once();
    let underway = stream.unconfirmed.unwrap_or_default();
    let items = underway.iter().map(|item| display_text(item)).chain(rest.items());
    let names = list_items(&items.collect::<Vec<_>>(), rest.has_unread_input);
    let text = format!("the queue `{queue}` is full (capacity {capacity}); not put: {names}");
    ExitError { code: ExitCode::WouldBlock, message: text }
}

/// If the keeper did not answer: names what may be in the queue, and what is not.
fn no_answer_error(
    error: anyhow::Error,
    underway: VecDeque<Vec<u8>>,
    rest: RemainingItems,
) -> anyhow::Error {
    if !matches!(error.downcast_ref(), Some(Error::NoAnswer { .. })) {
        return error;
    }
    let mut text = error.to_string();
    if !underway.is_empty() {
        let items: Vec<_> = underway.iter().map(|item| display_text(item)).collect();
        let names = list_items(&items, false);
        text.push_str(&format!("; it is not known whether these were put: {names}"));
    }
    let items: Vec<_> = rest.items().collect();
    if !items.is_empty() || rest.has_unread_input {
        text.push_str(&format!("; not put: {}", list_items(&items, rest.has_unread_input)));
    }
    ExitError { code: ExitCode::WouldBlock, message: text }.into()
}

/// The first of these items by name, and how many more there are.
fn list_items(items: &[Cow<'_, str>], unread: bool) -> String {
    let shown: Vec<_> =
        items.iter().take(MAX_LISTED_ITEMS).map(|item| escape_for_terminal(item)).collect();
    let more = match items.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let input = match (unread, items.is_empty()) {
        (false, _) => "",
        (true, false) => ", and what follows on standard input",
        (true, true) => "what follows on standard input",
    };
    format!("{}{more}{input}", shown.join(", "))
}
