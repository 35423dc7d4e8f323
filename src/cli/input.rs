//! Where items come from: arguments, standard input, or a count. What cannot be an item is told, with
//! its place.

use std::borrow::Cow;
use std::io::{self, Read};
use std::os::fd::AsFd;

use anyhow::{Context, bail};

use super::{need_input, values};
use crate::client::Options;
use crate::exit::Usage;
use crate::item::encode;
use crate::os::{Ready, wait};
use crate::wire::LARGEST_ITEM;

/// The end of a line that is too large is looked for in so many times what is allowed.
const FAR: u64 = 16;

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
    #[arg(value_parser = values::size, allow_hyphen_values = true)]
    max_item_size: u64,

    /// From now on the queue accepts an item when it is on the disk, and survives the machine
    #[arg(long)]
    sync: bool,
}

impl InputArgs {
    /// The `given` items, of which `-` by itself stands for what is on standard input, and the `literal`
    /// ones from behind `--`.
    pub(super) fn source(&self, given: &[String], literal: &[String]) -> anyhow::Result<Source> {
        let dash = given.iter().any(|item| item == "-");
        let items = [given, literal].concat();
        let texts = match dash {
            true if items.len() > 1 => {
                let why = "- is for the lines of standard input, and stands alone: write `-- -` to \
                           put an item that is a -";
                return Err(Usage(why.to_owned()).into());
            }
            true => {
                need_input()?;
                let delimiter = if self.null { 0 } else { b'\n' };
                let most = self.max_item_size;
                Texts::Stdin(Stdin { delimiter, most, ..Stdin::default() })
            }
            false => Texts::Given { items, next: 0 },
        };
        Ok(Source { texts, json: self.json, most: self.max_item_size })
    }

    /// For a queue whose items are as large as this lets them be.
    pub(super) fn options(&self, options: Options) -> Options {
        // A character can take six bytes as JSON, and the quotes are two.
        let json = self.max_item_size.saturating_mul(6).saturating_add(2);
        options.max_item_size(json.max(LARGEST_ITEM)).sync(self.sync)
    }
}

/// What is to be put.
pub(super) struct Source {
    texts: Texts,
    json: bool,
    /// The largest item, in bytes as they come in.
    most: u64,
}

enum Texts {
    /// `start` is what comes before the number, as JSON.
    Generated {
        start: Vec<u8>,
        next: u64,
        step: u64,
        end: u64,
    },
    Given {
        items: Vec<String>,
        next: usize,
    },
    Stdin(Stdin),
}

/// What of a source has not been put.
pub(super) struct Rest {
    /// Items that were given.
    items: Vec<String>,
    /// There may be more on standard input.
    pub(super) unread: bool,
}

impl Rest {
    pub(super) fn items(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.items.iter().map(|item| Cow::from(item.as_str()))
    }
}

impl Source {
    /// Whether items come as time goes on.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.texts, Texts::Stdin(_))
    }

    /// What has not been taken.
    pub(super) fn rest(self) -> Rest {
        match self.texts {
            Texts::Generated { .. } => Rest { items: Vec::new(), unread: false },
            Texts::Given { mut items, next } => {
                Rest { items: items.split_off(next), unread: false }
            }
            Texts::Stdin(mut stdin) => Rest { items: Vec::new(), unread: !stdin.is_over() },
        }
    }

    /// `NAME0`, `NAME1`, … up to `end` in all, of which this gives every `step`th from `next` on.
    pub(super) fn generated(name: &str, next: u64, step: u64, end: u64) -> Self {
        let mut start = Vec::new();
        encode(name, &mut start);
        // The closing quote comes behind the number.
        start.pop();
        let texts = Texts::Generated { start, next, step, end };
        Self { texts, json: false, most: u64::MAX }
    }

    /// Without the first so many of what is generated: they are in the queue already.
    pub(super) fn skip(mut self, items: u64) -> Self {
        if let Texts::Generated { next, step, .. } = &mut self.texts {
            *next = next.saturating_add(step.saturating_mul(items));
        }
        self
    }

    /// The next item, as JSON; false after the last one. `wait` waits for input.
    ///
    /// # Errors
    /// What cannot be an item is named with its place.
    pub(super) fn next(
        &mut self,
        item: &mut Vec<u8>,
        wait: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        let (json, most) = (self.json, self.most);
        let (made, place) = match &mut self.texts {
            Texts::Generated { start, next, step, end } => {
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
            Texts::Given { items, next } => {
                let Some(text) = items.get(*next) else {
                    return Ok(false);
                };
                *next += 1;
                let size = text.len() as u64;
                let made = match size > most {
                    true => Err(too_large(size, most)),
                    false => to_item(text.as_bytes(), json, item),
                };
                (made, format!("item {next}"))
            }
            Texts::Stdin(stdin) => {
                let made = match stdin.next(wait)? {
                    None => return Ok(false),
                    Some(Line::TooLarge(size)) => Err(too_large(size, most)),
                    Some(Line::Text(text)) => to_item(text, json, item),
                };
                let what = if stdin.delimiter == 0 { "item" } else { "line" };
                (made, format!("{what} {} of standard input", stdin.number))
            }
        };
        made.map(|()| true).map_err(|why| {
            anyhow::anyhow!(
                "{place} {why}; it was not put, and the items before it are in the queue"
            )
        })
    }
}

fn too_large(size: u64, most: u64) -> String {
    format!("has {size} bytes, and at most {most} are taken: split it, or raise --max-item-size")
}

/// Text to an item, or why not.
fn to_item(text: &[u8], json: bool, item: &mut Vec<u8>) -> Result<(), String> {
    let text = std::str::from_utf8(text)
        .map_err(|_| "is not UTF-8: convert it first, with iconv for example".to_owned())?;
    if !json {
        encode(text, item);
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
struct Stdin {
    delimiter: u8,
    /// The largest line, in bytes.
    most: u64,
    buffer: Vec<u8>,
    /// What stands before this has been given out.
    at: usize,
    /// How much of a line that is too large has been thrown away.
    skipped: u64,
    /// The number of the last line that has been given out.
    number: u64,
    ended: bool,
}

enum Line<'a> {
    Text(&'a [u8]),
    /// A line of so many bytes, which is too many.
    TooLarge(u64),
}

impl Stdin {
    fn next(
        &mut self,
        mut wait: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<Line<'_>>> {
        let mut searched = 0;
        let end = loop {
            let rest = &self.buffer[self.at..];
            if let Some(length) = memchr::memchr(self.delimiter, &rest[searched..]) {
                break self.at + searched + length;
            }
            if self.ended {
                if rest.is_empty() && self.skipped == 0 {
                    return Ok(None);
                }
                break self.buffer.len();
            }
            searched = rest.len();
            if searched as u64 > self.most {
                self.skipped += searched as u64;
                self.at = self.buffer.len();
                searched = 0;
            }
            if self.skipped > self.most.max(self.buffer.len() as u64).saturating_mul(FAR) {
                let (line, skipped) = (self.number + 1, self.skipped);
                bail!(
                    "line {line} of standard input has no end within {skipped} bytes, and at most {} \
                     are taken: split it; the items before it are in the queue",
                    self.most
                );
            }
            wait()?;
            self.read()?;
        };
        let start = std::mem::replace(&mut self.at, (end + 1).min(self.buffer.len()));
        self.number += 1;
        let size = std::mem::take(&mut self.skipped) + (end - start) as u64;
        Ok(Some(match size > self.most {
            true => Line::TooLarge(size),
            false => Line::Text(&self.buffer[start..end]),
        }))
    }

    /// Whether it is known that nothing more comes; not waited for.
    fn is_over(&mut self) -> bool {
        let ready = || {
            let states = wait(&[(io::stdin().as_fd(), Ready::Read)], Some(0))?;
            io::Result::Ok(states[0].ready || states[0].dead)
        };
        if self.at >= self.buffer.len() && !self.ended && ready().is_ok_and(|ready| ready) {
            // What cannot be read is not known to be over.
            let _ = self.read();
        }
        self.ended && self.at >= self.buffer.len()
    }

    fn read(&mut self) -> anyhow::Result<()> {
        const CHUNK: usize = 64 * 1024;
        self.buffer.drain(..self.at);
        self.at = 0;
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
        self.ended = read? == 0;
        Ok(())
    }
}
