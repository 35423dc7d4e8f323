//! `qdemo failed`: lists failed items and tells why they failed, retries them, or drops them.

use std::num::NonZeroU64;

use anyhow::bail;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use console::{Term, measure_text_width};
use serde::Serialize;
use serde_json::value::RawValue;

use super::args::QueueArg;
use super::one_shot::OneShot;
use super::server_args::ServerArgs;
use super::streams::require_stdout;
use super::values;
use crate::catalogue::{Lang, lang, message};
use crate::client::Client;
use crate::clock::WallTime;
use crate::exit::{ExitCode, ExitError};
use crate::failure::{Cause, Failure};
use crate::item::{display_text, escape_controls, escape_for_terminal, json_value};
use crate::queue::Batch;
use crate::report::{OutputFormat, Reporter, StdoutError, TerminalSize, truncate_to_width};

/// An item has at least this many columns of a line, even if the line is then wider than the terminal.
const MIN_ITEM_WIDTH: usize = 16;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
qdemo failed -q jobs
qdemo failed -q jobs --format json | jq -r .stderr
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
    #[arg(value_parser = list_format())]
    format: ListFormat,

    #[command(flatten)]
    queue: QueueArg,

    #[command(flatten)]
    server: ServerArgs,
}

/// The form of the list.
#[derive(Clone, Copy, Debug)]
enum ListFormat {
    /// Long on a terminal, elsewhere a line for each item.
    Text,
    /// For people: with the time, and with the last lines of standard error.
    Long,
    Json,
}

fn list_format() -> impl TypedValueParser<Value = ListFormat> {
    PossibleValuesParser::new(["text", "long", "json"]).map(|name| match name.as_str() {
        "json" => ListFormat::Json,
        "long" => ListFormat::Long,
        _ => ListFormat::Text,
    })
}

/// The JSON line of a failed item. What is not known is null.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(title = "A failed item"))]
struct JsonFailedItem<'a> {
    /// The queue's id of the item, from 1.
    id: u64,
    /// The item: any JSON value.
    item: Option<&'a RawValue>,
    /// The number of its last attempt, from 1.
    attempt: u32,
    /// Why it has failed, for people. In English, whatever the language of this process is.
    why: String,
    /// The exit code of its command.
    exit: Option<i32>,
    /// The number of the signal that ended its command.
    signal: Option<i32>,
    /// Whether the time limit has ended its command.
    timed_out: bool,
    /// How many consumers have died with the item, or have held it for longer than their lease.
    delivery_failures: Option<u32>,
    /// How often its last consumer has tried its command.
    tries: Option<u32>,
    /// When it failed, in UTC, as in RFC 3339.
    at: Option<String>,
    /// The last lines of its command on standard error. Empty without any.
    stderr: &'a str,
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
            print_list(&mut client, &mut one_shot.reporter(OutputFormat::Log), self.format)?;
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

fn print_list(
    client: &mut Client,
    reporter: &mut Reporter,
    format: ListFormat,
) -> anyhow::Result<()> {
    let is_terminal = reporter.out.is_terminal;
    let mut from = 1;
    while let Some((batch, failure)) = client.failed(from)? {
        from = batch.end_id();
        match format {
            ListFormat::Json => print_json(reporter, &batch, &failure),
            ListFormat::Text if !is_terminal => print_line(reporter, &batch, &failure),
            ListFormat::Text | ListFormat::Long => print_long(reporter, &batch, &failure),
        }
        reporter.flush().map_err(StdoutError)?;
    }
    Ok(())
}

fn print_json(reporter: &mut Reporter, batch: &Batch, failure: &Failure) {
    let item = batch.items.iter().next().and_then(json_value);
    let Failure { cause, timed_out, tries, at, stderr } = failure;
    let (mut exit, mut signal, mut delivery_failures) = (None, None, None);
    match cause {
        Cause::Exit(code) => exit = Some(*code),
        Cause::Signal(number) => signal = Some(*number),
        Cause::DeliveryFailures(count) => delivery_failures = Some(*count),
        Cause::Message(_) => {}
    }
    reporter.print_json(&JsonFailedItem {
        id: batch.first_id,
        item: item.as_deref(),
        attempt: batch.attempt,
        why: failure.why(Lang::En),
        exit,
        signal,
        timed_out: *timed_out,
        delivery_failures,
        tries: *tries,
        at: at.and_then(WallTime::to_rfc3339),
        stderr,
    });
}

/// Four columns for `cut`. Without control characters each item stays on one line.
fn print_line(reporter: &mut Reporter, batch: &Batch, failure: &Failure) {
    let (id, attempt) = (batch.first_id, batch.attempt);
    let (why, item) = (failure.why(lang()), item_text(batch));
    let (why, item) = (escape_controls(&why), escape_controls(&item));
    reporter.out.push_text(&format!("{id}\t{attempt}\t{why}\t{item}\n"));
}

/// A line that fits into the width of the terminal if it can, and the kept lines of standard error below the line.
fn print_long(reporter: &mut Reporter, batch: &Batch, failure: &Failure) {
    let mut head = format!("{}  ", batch.first_id);
    if let Some(at) = failure.at.and_then(WallTime::to_local) {
        head += &format!("{at}  ");
    }
    head += &format!("{}  ", escape_for_terminal(&short_reason(failure)));
    let item = item_text(batch);
    let mut item = escape_for_terminal(&item).into_owned();
    if reporter.out.is_terminal {
        let columns = TerminalSize::current(&Term::stdout()).drawable_area().columns;
        let left = columns.saturating_sub(measure_text_width(&head));
        item = truncate_to_width(&item, left.max(MIN_ITEM_WIDTH));
    }
    reporter.print_line(&format!("{head}{item}"));
    for line in failure.stderr.lines() {
        let line = line.replace('\t', "    ");
        reporter.print_line(&format!("    {}", escape_for_terminal(&line)));
    }
}

/// How the last try ended, and after how many tries, in a few words.
fn short_reason(failure: &Failure) -> String {
    let once = Failure { timed_out: false, tries: None, ..failure.clone() };
    let how = match failure.cause {
        Cause::DeliveryFailures(consumers) => {
            message!("command-failed-deliveries", consumers = consumers)
        }
        _ => once.why(lang()),
    };
    let how = if failure.timed_out { message!("command-failed-timeout", how = how) } else { how };
    match failure.tries {
        None | Some(1) => how,
        Some(tries) => message!("command-failed-tries", how = how, tries = tries),
    }
}

fn item_text(batch: &Batch) -> String {
    batch.items.iter().next().map(display_text).unwrap_or_default().into_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_of_a_failed_item_is_that_of_its_type() {
        crate::testing::schemas::compare::<super::JsonFailedItem<'static>>("failed");
    }
}
