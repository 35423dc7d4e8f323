//! The sources of items: arguments, standard input, or a count. The error for an invalid item names its
//! place.

use std::borrow::Cow;
use std::io::{self, Read};
use std::os::fd::AsFd;

use anyhow::{Context, bail};

use super::streams::require_stdin;
use super::values;
use crate::client::QueueBuilder;
use crate::exit::ExitError;
use crate::item::encode_string;
use crate::os::{Interest, wait_ready};
use crate::wire::DEFAULT_MAX_ITEM_BYTES;

/// The search for the end of a line that is too large stops at this multiple of the limit.
const MAX_OVERSIZE_FACTOR: u64 = 16;

#[derive(Debug, clap::Args)]
pub(super) struct InputArgs {
    /// Items on standard input end with NUL instead of a newline
    #[arg(short = '0', long)]
    null: bool,

    /// Each item is JSON text, and stays as it is written
    #[arg(long)]
    json: bool,

    /// Refuse items that are larger
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = values::parse_bytes)]
    max_item_size: u64,

    /// Accept items only when they are on the disk, so that they survive a crash of the machine;
    /// holds for all clients of the queue from now on
    #[arg(long)]
    sync: bool,
}

impl InputArgs {
    /// The `given` items and the `literal` items after `--`. A single given `-` stands for standard input.
    pub(super) fn item_source(
        &self,
        given: &[String],
        literal: &[String],
    ) -> anyhow::Result<ItemSource> {
        let has_dash = given.iter().any(|item| item == "-");
        let items = [given, literal].concat();
        let input = if !has_dash {
            ItemInput::Arguments { items, next_index: 0 }
        } else if items.len() > 1 {
            let text = "- reads standard input, and stands alone: write `-- -` to put the item -";
            return Err(ExitError::usage(text).into());
        } else {
            require_stdin()?;
            ItemInput::Stdin(StdinReader {
                delimiter: if self.null { 0 } else { b'\n' },
                max_line_bytes: self.max_item_size,
                ..StdinReader::default()
            })
        };
        Ok(ItemSource { input, json: self.json, max_item_bytes: self.max_item_size })
    }

    /// Lets the queue take items as large as `--max-item-size` allows.
    pub(super) fn apply_options(&self, options: QueueBuilder) -> QueueBuilder {
        // A character takes at most six bytes as JSON, the quotes take two.
        let json_bytes = self.max_item_size.saturating_mul(6).saturating_add(2);
        options.max_item_size(json_bytes.max(DEFAULT_MAX_ITEM_BYTES)).sync(self.sync)
    }
}

/// Items to put.
pub(super) struct ItemSource {
    input: ItemInput,
    json: bool,
    /// The limit of an item, in bytes of its text before the conversion to JSON.
    max_item_bytes: u64,
}

enum ItemInput {
    Generated {
        /// The JSON text before the number.
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

/// The part of a source that has not been put.
#[derive(Default)]
pub(super) struct RemainingItems {
    /// The remaining arguments.
    items: Vec<String>,
    /// Standard input may have more items.
    pub(super) has_unread_input: bool,
}

impl RemainingItems {
    pub(super) fn items(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.items.iter().map(|item| Cow::from(item.as_str()))
    }
}

impl ItemSource {
    /// Whether the items arrive over time.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.input, ItemInput::Stdin(_))
    }

    pub(super) fn into_remaining(self) -> RemainingItems {
        match self.input {
            ItemInput::Generated { .. } => RemainingItems::default(),
            ItemInput::Arguments { mut items, next_index } => {
                RemainingItems { items: items.split_off(next_index), ..RemainingItems::default() }
            }
            ItemInput::Stdin(mut stdin) => RemainingItems {
                has_unread_input: !stdin.is_exhausted(),
                ..RemainingItems::default()
            },
        }
    }

    /// The items `NAME0`, `NAME1`, … before number `end`: every `step`th of them from number `next` on.
    pub(super) fn generated(name: &str, next: u64, step: u64, end: u64) -> Self {
        let mut prefix = Vec::new();
        encode_string(name, &mut prefix);
        // The closing quote follows the number.
        prefix.pop();
        let input = ItemInput::Generated { prefix, next, step, end };
        Self { input, json: false, max_item_bytes: u64::MAX }
    }

    /// Skips the first `items` generated items: the queue has them already.
    pub(super) fn skip(mut self, items: u64) -> Self {
        if let ItemInput::Generated { next, step, .. } = &mut self.input {
            *next = next.saturating_add(step.saturating_mul(items));
        }
        self
    }

    /// Writes the next item to `item` as JSON. Returns false after the last item. `wait` waits for standard
    /// input.
    ///
    /// # Errors
    /// The error for an invalid item names its place.
    pub(super) fn next_item(
        &mut self,
        item: &mut Vec<u8>,
        wait: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        let (json, max) = (self.json, self.max_item_bytes);
        let (encoded, place) = match &mut self.input {
            ItemInput::Generated { prefix, next, step, end } => {
                let number = *next;
                if number >= *end {
                    return Ok(false);
                }
                *next = number.saturating_add(*step);
                item.clear();
                item.extend_from_slice(prefix);
                item.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
                item.push(b'"');
                return Ok(true);
            }
            ItemInput::Arguments { items, next_index } => {
                let Some(text) = items.get(*next_index) else {
                    return Ok(false);
                };
                *next_index += 1;
                let size = text.len() as u64;
                let encoded = if size > max {
                    Err(InvalidItem::TooLarge { size, max })
                } else {
                    encode_item(text.as_bytes(), json, item)
                };
                (encoded, format!("item {next_index}"))
            }
            ItemInput::Stdin(stdin) => {
                let encoded = match stdin.next_line(wait)? {
                    None => return Ok(false),
                    Some(InputLine::TooLarge(size)) => Err(InvalidItem::TooLarge { size, max }),
                    Some(InputLine::Text(text)) => encode_item(text, json, item),
                };
                let unit = if stdin.delimiter == 0 { "item" } else { "line" };
                (encoded, format!("{unit} {} of standard input", stdin.line_number))
            }
        };
        encoded.map(|()| true).map_err(|invalid| {
            anyhow::anyhow!(
                "{place} {invalid}; it was not put, and the items before it are in the queue"
            )
        })
    }
}

/// Why a text cannot be an item. The place of the text precedes the message.
#[derive(Debug, thiserror::Error)]
enum InvalidItem {
    #[error("has {size} bytes, and the limit is {max}: split it, or raise --max-item-size")]
    TooLarge { size: u64, max: u64 },
    #[error("is not UTF-8: convert it first, with iconv for example")]
    NotUtf8,
    #[error("is not JSON ({0})")]
    NotJson(serde_json::Error),
}

fn encode_item(text: &[u8], json: bool, item: &mut Vec<u8>) -> Result<(), InvalidItem> {
    let text = std::str::from_utf8(text).map_err(|_| InvalidItem::NotUtf8)?;
    if !json {
        encode_string(text, item);
        return Ok(());
    }
    let text = text.trim_ascii();
    serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(InvalidItem::NotJson)?;
    item.clear();
    // A raw line break in JSON text is white space between tokens.
    item.extend(text.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
    Ok(())
}

#[derive(Default)]
struct StdinReader {
    delimiter: u8,
    /// The largest line, in bytes.
    max_line_bytes: u64,
    buffer: Vec<u8>,
    /// Where the next line starts in `buffer`.
    position: usize,
    /// The bytes of a line that is too large that are no longer in `buffer`.
    discarded_bytes: u64,
    /// The 1-based number of the last returned line.
    line_number: u64,
    is_at_eof: bool,
}

enum InputLine<'a> {
    Text(&'a [u8]),
    /// The size in bytes of a line over the limit.
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
            let (max, skipped) = (self.max_line_bytes, self.discarded_bytes);
            if skipped > max.max(self.buffer.len() as u64).saturating_mul(MAX_OVERSIZE_FACTOR) {
                bail!(
                    "line {} of standard input has no end within {skipped} bytes, and the limit is \
                     {max}: split it; the items before it are in the queue",
                    self.line_number + 1
                );
            }
            wait()?;
            self.fill_buffer()?;
        };
        let start = std::mem::replace(&mut self.position, (end + 1).min(self.buffer.len()));
        self.line_number += 1;
        let size = std::mem::take(&mut self.discarded_bytes) + (end - start) as u64;
        Ok(Some(if size > self.max_line_bytes {
            InputLine::TooLarge(size)
        } else {
            InputLine::Text(&self.buffer[start..end])
        }))
    }

    /// Whether the end of standard input has been seen. Does not wait.
    fn is_exhausted(&mut self) -> bool {
        let ready = || {
            let states = wait_ready(&[(io::stdin().as_fd(), Interest::Read)], Some(0))?;
            io::Result::Ok(states[0].is_ready || states[0].is_hung_up)
        };
        let is_empty = self.position >= self.buffer.len();
        if is_empty && !self.is_at_eof && ready().is_ok_and(|ready| ready) {
            // After a read error the end has not been seen.
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
                // Another reader of the same pipe has taken the bytes.
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
