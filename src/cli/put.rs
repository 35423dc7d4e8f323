//! `qdemo put`: puts items, and leaves the queue open.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::input::{InputArgs, Rest};
use super::one_shot::WaitArgs;
use super::put_stream::Feed;
use super::{QueueArg, Stop, values};
use crate::client::{Error, Patience};
use crate::clock::{Clock, Pauses};
use crate::exit::ExitCode;
use crate::item::{bare, printable};
use crate::queue_name::QueueName;

/// So many of the items that were not put are named, the others are counted.
const MOST_NAMED: usize = 10;

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
    #[arg(value_parser = values::items, allow_hyphen_values = true)]
    capacity: Option<u64>,

    #[command(flatten)]
    wait: WaitArgs,

    #[command(flatten)]
    input: InputArgs,

    #[command(flatten)]
    queue: QueueArg,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut source = self.input.source(&self.items, &self.literal)?;
        let clock = Clock::start();
        let patience = self.wait.patience();
        let mut visit = self.queue.visit()?.within(patience);
        visit.options = self.input.options(visit.options);
        if let Some(capacity) = self.capacity {
            visit.options = visit.options.capacity(capacity);
        }
        let client = match visit.come() {
            Err(error) => return Err(no_answer(error, VecDeque::new(), source.rest())),
            Ok(client) => client,
        };
        let mut feed = Feed {
            client,
            patience,
            // A stream may well take longer, if only each line gets in in time.
            since: (!source.is_stream()).then_some(clock),
            pauses: Pauses::none(),
            // Whoever waits for ever has nothing to name.
            underway: (patience != Patience::Endless).then(VecDeque::new),
            report: |_, _| Ok(()),
        };
        let put = feed.put_all(&mut source);
        match put {
            Ok(()) => {
                feed.client.leave()?;
                Ok(ExitCode::Done)
            }
            Err(error) if matches!(error.downcast_ref(), Some(Error::Full)) => {
                Err(full(&visit.queue, feed, source.rest()).into())
            }
            Err(error) if matches!(error.downcast_ref(), Some(Error::Closed)) => {
                feed.client.leave_at_once();
                let (queue, name) = (&visit.queue, visit.queue.quoted());
                let text = format!(
                    "the queue `{queue}` is closed, and takes no more items: `qdemo status -q {name}` \
                     tells what is left of it, `qdemo rm -q {name}` begins a new one"
                );
                Err(Stop { code: ExitCode::Closed, text }.into())
            }
            Err(error) => {
                feed.client.leave_at_once();
                Err(no_answer(error, feed.underway.unwrap_or_default(), source.rest()))
            }
        }
    }
}

/// Names what was not put.
fn full<R>(queue: &QueueName, mut feed: Feed<R>, rest: Rest) -> Stop {
    let capacity = feed.client.size().map_or(0, |(_, capacity)| capacity);
    feed.client.leave_at_once();
    let underway = feed.underway.unwrap_or_default();
    let items = underway.iter().map(|item| bare(item)).chain(rest.items());
    let names = named(&items.collect::<Vec<_>>(), rest.unread);
    let text = format!("the queue `{queue}` is full (capacity {capacity}); not put: {names}");
    Stop { code: ExitCode::WouldBlock, text }
}

/// If the keeper did not answer: names what may be in the queue, and what is not.
fn no_answer(error: anyhow::Error, underway: VecDeque<Vec<u8>>, rest: Rest) -> anyhow::Error {
    if !matches!(error.downcast_ref(), Some(Error::NoAnswer { .. })) {
        return error;
    }
    let mut text = error.to_string();
    if !underway.is_empty() {
        let items: Vec<_> = underway.iter().map(|item| bare(item)).collect();
        let names = named(&items, false);
        text.push_str(&format!("; it is not known whether these were put: {names}"));
    }
    let items: Vec<_> = rest.items().collect();
    if !items.is_empty() || rest.unread {
        text.push_str(&format!("; not put: {}", named(&items, rest.unread)));
    }
    Stop { code: ExitCode::WouldBlock, text }.into()
}

/// The first of these items by name, and how many more there are.
fn named(items: &[Cow<'_, str>], unread: bool) -> String {
    let shown: Vec<_> = items.iter().take(MOST_NAMED).map(|item| printable(item)).collect();
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
