//! Where items come from: arguments, standard input, or a count. What cannot be an item is told, with
//! its place.

use std::borrow::Cow;
use std::io::{self, Read};
use std::os::fd::AsFd;

use anyhow::{Context, bail};

use super::{require_stdin, values};
use crate::client::QueueBuilder;
use crate::exit::UsageError;
use crate::item::encode_string;
use crate::os::{Interest, wait_ready};
use crate::wire::DEFAULT_MAX_ITEM_BYTES;

/// The end of a line that is too large is looked for in so many times what is allowed.
const MAX_OVERSIZE_FACTOR: u64 = 16;

/// What an item looks like, as every command that puts takes it.
#[derive(Debug, clap::Args)]
pub(super) struct InputArgs {
    /// Items on standard input are separated by NUL, not by newlines
    #[arg(short = '0', long)]
    null: bool,

    /// Each item is a JSON value, and kept as it is written
    #[arg(long)]
    json: bool,

    /// Refuse larger items than this
    #[arg(long, value_name = "SIZE", default_value = "16MiB")]
    #[arg(value_parser = values::parse_bytes, allow_hyphen_values = true)]
    max_item_size: u64,

    /// From now on the queue accepts an item when it is on the disk, and survives the machine
    #[arg(long)]
    sync: bool,
}

impl InputArgs {
    /// The `given` items, of which `-` by itself stands for what is on standard input, and the `literal`
    /// ones from behind `--`.
    pub(super) fn item_source(
        &self,
        given: &[String],
        literal: &[String],
    ) -> anyhow::Result<ItemSource> {
        let dash = given.iter().any(|item| item == "-");
        let items = [given, literal].concat();
        let texts = match dash {
            true if items.len() > 1 => {
                let reason = "- is for the lines of standard input, and stands alone: write `-- -` to \
                           put an item that is a -";
                return Err(UsageError(reason.to_owned()).into());
            }
            true => {
                require_stdin()?;
                let delimiter = if self.null { 0 } else { b'\n' };
                let most = self.max_item_size;
                ItemInput::Stdin(StdinReader {
                    delimiter,
                    max_line_bytes: most,
                    ..StdinReader::default()
                })
            }
            false => ItemInput::Arguments { items, next_index: 0 },
        };
        Ok(ItemSource { input: texts, json: self.json, max_item_bytes: self.max_item_size })
    }

    /// For a queue whose items are as large as this lets them be.
    pub(super) fn apply_options(&self, options: QueueBuilder) -> QueueBuilder {
        // A character can take six bytes as JSON, and the quotes are two.
        let json = self.max_item_size.saturating_mul(6).saturating_add(2);
        options.max_item_size(json.max(DEFAULT_MAX_ITEM_BYTES)).sync(self.sync)
    }
}

/// What is to be put.
pub(super) struct ItemSource {
    input: ItemInput,
    json: bool,
    /// The largest item, in bytes as they come in.
    max_item_bytes: u64,
}

enum ItemInput {
    /// `start` is what comes before the number, as JSON.
    Generated {
        prefix: Vec<u8>,
        next: u64,
        step: u64,
        end: u64,
    },
    Arguments {
        items: Vec<String>,
        next_index: usize,
    },
    Stdin(StdinReader),
}

/// What of a source has not been put.
pub(super) struct RemainingItems {
    /// Items that were given.
    items: Vec<String>,
    /// There may be more on standard input.
    pub(super) has_unread_input: bool,
}

impl RemainingItems {
    pub(super) fn items(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.items.iter().map(|item| Cow::from(item.as_str()))
    }
}

impl ItemSource {
    /// Whether items come as time goes on.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.input, ItemInput::Stdin(_))
    }

    /// What has not been taken.
    pub(super) fn into_remaining(self) -> RemainingItems {
        match self.input {
            ItemInput::Generated { .. } => {
                RemainingItems { items: Vec::new(), has_unread_input: false }
            }
            ItemInput::Arguments { mut items, next_index: next } => {
                RemainingItems { items: items.split_off(next), has_unread_input: false }
            }
            ItemInput::Stdin(mut stdin) => {
                RemainingItems { items: Vec::new(), has_unread_input: !stdin.is_exhausted() }
            }
        }
    }

    /// `NAME0`, `NAME1`, … up to `end` in all, of which this gives every `step`th from `next` on.
    pub(super) fn generated(name: &str, next: u64, step: u64, end: u64) -> Self {
        let mut start = Vec::new();
        encode_string(name, &mut start);
        // The closing quote comes behind the number.
        start.pop();
        let texts = ItemInput::Generated { prefix: start, next, step, end };
        Self { input: texts, json: false, max_item_bytes: u64::MAX }
    }

    /// Without the first so many of what is generated: they are in the queue already.
    pub(super) fn skip(mut self, items: u64) -> Self {
        if let ItemInput::Generated { next, step, .. } = &mut self.input {
            *next = next.saturating_add(step.saturating_mul(items));
        }
        self
    }

    /// The next item, as JSON; false after the last one. `wait` waits for input.
    ///
    /// # Errors
    /// What cannot be an item is named with its place.
    pub(super) fn next_item(
        &mut self,
        item: &mut Vec<u8>,
        wait: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        let (json, most) = (self.json, self.max_item_bytes);
        let (made, place) = match &mut self.input {
            ItemInput::Generated { prefix: start, next, step, end } => {
                let number = *next;
                if number >= *end {
                    return Ok(false);
                }
                *next = number.saturating_add(*step);
                item.clear();
                item.extend_from_slice(start);
                item.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
                item.push(b'"');
                return Ok(true);
            }
            ItemInput::Arguments { items, next_index: next } => {
                let Some(text) = items.get(*next) else {
                    return Ok(false);
                };
                *next += 1;
                let size = text.len() as u64;
                let made = match size > most {
                    true => Err(too_large_message(size, most)),
                    false => encode_item(text.as_bytes(), json, item),
                };
                (made, format!("item {next}"))
            }
            ItemInput::Stdin(stdin) => {
                let made = match stdin.next_line(wait)? {
                    None => return Ok(false),
                    Some(InputLine::TooLarge(size)) => Err(too_large_message(size, most)),
                    Some(InputLine::Text(text)) => encode_item(text, json, item),
                };
                let what = if stdin.delimiter == 0 { "item" } else { "line" };
                (made, format!("{what} {} of standard input", stdin.line_number))
            }
        };
        made.map(|()| true).map_err(|reason| {
            anyhow::anyhow!(
                "{place} {reason}; it was not put, and the items before it are in the queue"
            )
        })
    }
}

fn too_large_message(size: u64, most: u64) -> String {
    format!("has {size} bytes, and at most {most} are taken: split it, or raise --max-item-size")
}

/// Text to an item, or why not.
fn encode_item(text: &[u8], json: bool, item: &mut Vec<u8>) -> Result<(), String> {
    let text = std::str::from_utf8(text)
        .map_err(|_| "is not UTF-8: convert it first, with iconv for example".to_owned())?;
    if !json {
        encode_string(text, item);
        return Ok(());
    }
    let text = text.trim_ascii();
    serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map_err(|error| format!("is not JSON ({error})"))?;
    item.clear();
    // A line break in JSON is nothing but space.
    item.extend(text.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
    Ok(())
}

/// Lines of standard input, as they come.
#[derive(Default)]
struct StdinReader {
    delimiter: u8,
    /// The largest line, in bytes.
    max_line_bytes: u64,
    buffer: Vec<u8>,
    /// What stands before this has been given out.
    position: usize,
    /// How much of a line that is too large has been thrown away.
    discarded_bytes: u64,
    /// The number of the last line that has been given out.
    line_number: u64,
    is_at_eof: bool,
}

enum InputLine<'a> {
    Text(&'a [u8]),
    /// A line of so many bytes, which is too many.
    TooLarge(u64),
}

impl StdinReader {
    fn next_line(
        &mut self,
        mut wait: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<InputLine<'_>>> {
        let mut searched = 0;
        let end = loop {
            let rest = &self.buffer[self.position..];
            if let Some(length) = memchr::memchr(self.delimiter, &rest[searched..]) {
                break self.position + searched + length;
            }
            if self.is_at_eof {
                if rest.is_empty() && self.discarded_bytes == 0 {
                    return Ok(None);
                }
                break self.buffer.len();
            }
            searched = rest.len();
            if searched as u64 > self.max_line_bytes {
                self.discarded_bytes += searched as u64;
                self.position = self.buffer.len();
                searched = 0;
            }
            if self.discarded_bytes
                > self
                    .max_line_bytes
                    .max(self.buffer.len() as u64)
                    .saturating_mul(MAX_OVERSIZE_FACTOR)
            {
                let (line, skipped) = (self.line_number + 1, self.discarded_bytes);
                bail!(
                    "line {line} of standard input has no end within {skipped} bytes, and at most {} \
                     are taken: split it; the items before it are in the queue",
                    self.max_line_bytes
                );
            }
            wait()?;
            self.fill_buffer()?;
        };
        let start = std::mem::replace(&mut self.position, (end + 1).min(self.buffer.len()));
        self.line_number += 1;
        let size = std::mem::take(&mut self.discarded_bytes) + (end - start) as u64;
        Ok(Some(match size > self.max_line_bytes {
            true => InputLine::TooLarge(size),
            false => InputLine::Text(&self.buffer[start..end]),
        }))
    }

    /// Whether it is known that nothing more comes; not waited for.
    fn is_exhausted(&mut self) -> bool {
        let ready = || {
            let states = wait_ready(&[(io::stdin().as_fd(), Interest::Read)], Some(0))?;
            io::Result::Ok(states[0].is_ready || states[0].is_hung_up)
        };
        if self.position >= self.buffer.len() && !self.is_at_eof && ready().is_ok_and(|ready| ready)
        {
            // What cannot be read is not known to be over.
            let _ = self.fill_buffer();
        }
        self.is_at_eof && self.position >= self.buffer.len()
    }

    fn fill_buffer(&mut self) -> anyhow::Result<()> {
        const CHUNK: usize = 64 * 1024;
        self.buffer.drain(..self.position);
        self.position = 0;
        let filled = self.buffer.len();
        self.buffer.resize(filled + CHUNK, 0);
        let read = loop {
            match io::stdin().lock().read(&mut self.buffer[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Another reader of the same pipe was faster.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.buffer.truncate(filled);
                    return Ok(());
                }
                other => break other.context("cannot read standard input"),
            }
        };
        self.buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
        self.is_at_eof = read? == 0;
        Ok(())
    }
}
