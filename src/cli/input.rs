//! The sources of items: arguments, standard input, or a count. The error for an invalid item names its
//! place.

use std::io::{self, ErrorKind, Read};
use std::iter::StepBy;
use std::ops::Range;
use std::os::fd::AsFd;

use anyhow::{Context, anyhow, bail};

use super::server_args::EvictionArg;
use super::streams::require_stdin;
use super::values;
use crate::catalogue::message;
use crate::client::QueueBuilder;
use crate::exit::ExitError;
use crate::item::encode_string;
use crate::os::{Interest, wait_ready};
use crate::wire::DEFAULT_MAX_ITEM_BYTES;

/// The search for the end of a line that is too large stops at this multiple of the limit.
const MAX_OVERSIZE_FACTOR: u64 = 16;

#[derive(Debug, clap::Args)]
pub(super) struct InputArgs {
    #[arg(short = '0', long)]
    null: bool,

    #[arg(long)]
    #[arg(hide_short_help = true)]
    json: bool,

    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = values::parse_bytes)]
    #[arg(hide_short_help = true)]
    max_item_size: u64,

    #[arg(long)]
    #[arg(hide_short_help = true)]
    pub(super) sync: bool,

    #[command(flatten)]
    pub(super) eviction: EvictionArg,
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
            bail!(ExitError::usage(message!("input-lone-dash")));
        } else {
            require_stdin()?;
            ItemInput::Stdin(StdinReader {
                delimiter: if self.null { 0 } else { b'\n' },
                ..StdinReader::default()
            })
        };
        Ok(ItemSource { input, json: self.json, max_item_bytes: self.max_item_size })
    }

    /// Sets the capacity, and lets the queue take items as large as `--max-item-size` allows.
    pub(super) fn apply_options(
        &self,
        options: QueueBuilder,
        capacity: Option<u64>,
    ) -> QueueBuilder {
        // A character takes at most six bytes as JSON, the quotes take two.
        let json_bytes = self.max_item_size.saturating_mul(6).saturating_add(2);
        let options = options
            .may_put(true)
            .max_item_size(json_bytes.max(DEFAULT_MAX_ITEM_BYTES))
            .sync(self.sync);
        match capacity {
            Some(capacity) => options.capacity(capacity),
            None => options,
        }
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
        numbers: StepBy<Range<u64>>,
    },
    Arguments {
        items: Vec<String>,
        next_index: usize,
    },
    Stdin(StdinReader),
}

impl ItemSource {
    /// Whether the items arrive over time.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.input, ItemInput::Stdin(_))
    }

    /// The arguments that have not been put, and whether standard input may have more items.
    pub(super) fn into_remaining(self) -> (Vec<String>, bool) {
        match self.input {
            ItemInput::Generated { .. } => (Vec::new(), false),
            ItemInput::Arguments { mut items, next_index } => (items.split_off(next_index), false),
            ItemInput::Stdin(mut stdin) => (Vec::new(), !stdin.is_exhausted()),
        }
    }

    /// The items `NAME0`, `NAME1`, … with these numbers.
    pub(super) fn generated(name: &str, numbers: StepBy<Range<u64>>) -> Self {
        let mut prefix = Vec::new();
        encode_string(name, &mut prefix);
        // The closing quote follows the number.
        prefix.pop();
        let input = ItemInput::Generated { prefix, numbers };
        Self { input, json: false, max_item_bytes: u64::MAX }
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
        let max = self.max_item_bytes;
        let (text, size, place) = match &mut self.input {
            ItemInput::Generated { prefix, numbers } => {
                let Some(number) = numbers.next() else {
                    return Ok(false);
                };
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
                (text.as_bytes(), text.len() as u64, ItemPlace::Argument(*next_index))
            }
            ItemInput::Stdin(stdin) => {
                let number = stdin.line_number + 1;
                let place = if stdin.delimiter == 0 {
                    ItemPlace::Record(number)
                } else {
                    ItemPlace::Line(number)
                };
                let Some((text, size)) = stdin.next_line(max, wait)? else {
                    return Ok(false);
                };
                (text, size, place)
            }
        };
        let encoded = if size > max {
            Err(InvalidItem::TooLarge { size, max })
        } else {
            encode_item(text, self.json, item)
        };
        encoded.map(|()| true).map_err(|invalid| {
            anyhow!(message!("input-not-put", problem = invalid.text(&place.text())))
        })
    }
}

/// Where an item stands, from 1 on.
enum ItemPlace {
    Argument(usize),
    /// A line of standard input.
    Line(u64),
    /// An item of standard input that ends with NUL.
    Record(u64),
}

impl ItemPlace {
    fn text(&self) -> String {
        match *self {
            Self::Argument(number) => message!("input-argument", number = number),
            Self::Line(number) => message!("input-line", number = number),
            Self::Record(number) => message!("input-record", number = number),
        }
    }
}

/// Why a text is no item.
enum InvalidItem {
    TooLarge { size: u64, max: u64 },
    NotUtf8,
    NotJson(serde_json::Error),
}

impl InvalidItem {
    fn text(&self, place: &str) -> String {
        match self {
            &Self::TooLarge { size, max } => {
                message!("input-too-large", place = place, size = size, max = max)
            }
            Self::NotUtf8 => message!("input-not-utf8", place = place),
            Self::NotJson(error) if error.is_eof() => message!("input-cut-json", place = place),
            Self::NotJson(error) => {
                message!("input-not-json", place = place, column = error.column())
            }
        }
    }
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
    buffer: Vec<u8>,
    /// Where the next line starts in `buffer`.
    position: usize,
    /// The bytes of a line that is too large that are no longer in `buffer`.
    discarded_bytes: u64,
    /// The 1-based number of the last returned line.
    line_number: u64,
    is_at_eof: bool,
}

impl StdinReader {
    /// The next line and its size in bytes. Of a line over `max` bytes, the text may be only the end.
    fn next_line(
        &mut self,
        max: u64,
        mut wait: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<(&[u8], u64)>> {
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
            if searched as u64 > max {
                self.discarded_bytes += searched as u64;
                self.position = self.buffer.len();
                searched = 0;
            }
            let skipped = self.discarded_bytes;
            if skipped > max.max(self.buffer.len() as u64).saturating_mul(MAX_OVERSIZE_FACTOR) {
                let number = self.line_number + 1;
                bail!(message!("input-endless-line", number = number, bytes = skipped, max = max));
            }
            wait()?;
            self.fill_buffer()?;
        };
        let start = std::mem::replace(&mut self.position, (end + 1).min(self.buffer.len()));
        self.line_number += 1;
        let size = std::mem::take(&mut self.discarded_bytes) + (end - start) as u64;
        Ok(Some((&self.buffer[start..end], size)))
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
        let read = io::stdin().lock().read(&mut self.buffer[filled..]);
        self.buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
        match read {
            // After a signal, or if another reader of the same pipe has taken the bytes, the caller waits
            // again.
            Err(error)
                if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            other => self.is_at_eof = other.with_context(|| message!("input-unreadable"))? == 0,
        }
        Ok(())
    }
}
