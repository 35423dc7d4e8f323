//! `qdemo put`: puts items and leaves the queue open.

use std::collections::VecDeque;

use super::args::{QueueArg, TimeoutArgs};
use super::input::InputArgs;
use super::one_shot::OneShot;
use super::put_stream::PutStream;
use super::server_args::ServerArgs;
use super::values;
use crate::client::{Error, Timeout};
use crate::clock::{Clock, DelaySampler};
use crate::exit::{ExitCode, ExitError};
use crate::item::{display_text, escape_for_terminal};
use crate::report::eprint_line;

/// An error names this many items, and counts the others.
const MAX_LISTED_ITEMS: usize = 10;

/// Put items into a queue
#[derive(Debug, clap::Args)]
#[command(override_usage = "qdemo put [OPTIONS] [ITEM]... [-- <ITEM>...]")]
#[command(mut_arg("timeout", |timeout| timeout.help("Wait at most this long for room, or for a reply")))]
#[command(mut_arg("no_wait", |no_wait| no_wait.help("Do not wait for room")))]
#[command(after_help = "With -, the timeout starts anew for each line.
Exit code 3: no room within the timeout. Exit code 4: the queue is closed.

Examples:
  qdemo put -q jobs first second
  find . -name '*.png' -print0 | qdemo put -q images -0 -
  qdemo put -q jobs --capacity 10 --no-wait one-more || echo 'too much to do'")]
pub(super) struct Args {
    /// Items to put, or - for the lines of standard input
    #[arg(value_name = "ITEM", required_unless_present = "literal")]
    items: Vec<String>,

    /// Items to put as they are, even if they begin with -
    #[arg(value_name = "-- <ITEM>", last = true)]
    literal: Vec<String>,

    /// Capacity of the queue in items; 0 for no limit
    #[arg(long, value_name = "N", value_parser = values::parse_count)]
    capacity: Option<u64>,

    #[command(flatten)]
    timeout: TimeoutArgs,

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
        let mut one_shot = OneShot::on(&self.queue, server)?.with_timeout(timeout);
        one_shot.options = self.input.apply_options(one_shot.options, self.capacity);
        let client = match one_shot.connect() {
            Err(error) => return Err(no_answer_error(error, &[], &source.into_remaining())),
            Ok(client) => client,
        };
        let mut stream = PutStream {
            client,
            timeout,
            // The timeout of a stream starts anew for each item.
            timeout_start: (!source.is_stream()).then_some(clock),
            delays: DelaySampler::zero(),
            // Without a timeout, no error needs the names of the items.
            unconfirmed: (timeout != Timeout::Infinite).then(VecDeque::new),
            on_accepted: |_, _| Ok(()),
        };
        let Err(error) = stream.put_all(&mut source) else {
            if let Some(report) = stream.client.sync_report() {
                eprint_line(&format!("--sync: {report}"));
            }
            // Every item is accepted: there is nothing to wait for.
            stream.client.leave_at_once();
            return Ok(ExitCode::Done);
        };
        let mut rest = source.into_remaining();
        let unconfirmed = stream.unconfirmed.unwrap_or_default();
        let mut unconfirmed: Vec<_> =
            unconfirmed.iter().map(|item| display_text(item).into_owned()).collect();
        if stream.client.withdraw() {
            unconfirmed.append(&mut rest.0);
            rest.0 = std::mem::take(&mut unconfirmed);
        }
        let queue = &one_shot.queue;
        let error = match error.downcast_ref() {
            Some(Error::Full) => {
                let capacity = stream.client.size().map_or(0, |(_, capacity)| capacity);
                let names = list_items(&[unconfirmed, rest.0].concat(), rest.1);
                let text =
                    format!("the queue `{queue}` is full (capacity {capacity}); not put: {names}");
                ExitError::new(ExitCode::WouldBlock, text).into()
            }
            Some(Error::Closed) => {
                let name = queue.shell_quoted();
                let text = format!(
                    "the queue `{queue}` is closed and takes no more items: `qdemo status -q {name}` \
                     shows what is left, `qdemo rm -q {name}` removes the queue, and the next \
                     `qdemo put` makes a new one"
                );
                ExitError::new(ExitCode::Closed, text).into()
            }
            _ => no_answer_error(error, &unconfirmed, &rest),
        };
        stream.client.leave_at_once();
        Err(error)
    }
}

/// If the keeper did not answer, names the items that may be in the queue and the items that are not.
fn no_answer_error(
    error: anyhow::Error,
    unconfirmed: &[String],
    (items, has_unread_input): &(Vec<String>, bool),
) -> anyhow::Error {
    if !matches!(error.downcast_ref(), Some(Error::NoAnswer { .. })) {
        return error;
    }
    let mut text = error.to_string();
    if !unconfirmed.is_empty() {
        let names = list_items(unconfirmed, false);
        text.push_str(&format!("; these items may or may not be in the queue: {names}"));
    }
    if !items.is_empty() || *has_unread_input {
        text.push_str(&format!("; not put: {}", list_items(items, *has_unread_input)));
    }
    ExitError::new(ExitCode::WouldBlock, text).into()
}

/// Names the first items and counts the others. `has_unread_input`: more items follow on standard input.
fn list_items(items: &[String], has_unread_input: bool) -> String {
    let shown: Vec<_> =
        items.iter().take(MAX_LISTED_ITEMS).map(|item| escape_for_terminal(item)).collect();
    let more = match items.len() - shown.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let input = match (has_unread_input, items.is_empty()) {
        (false, _) => "",
        (true, false) => ", and the rest of standard input",
        (true, true) => "the rest of standard input",
    };
    format!("{}{more}{input}", shown.join(", "))
}
