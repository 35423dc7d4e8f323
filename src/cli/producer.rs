//! `qdemo producer`: puts items.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;

use super::client::ClientArgs;
use super::values::{self, Share};
use super::{StdoutFailed, Usage};
use crate::client::{Accepted, Client, Error};
use crate::clock::Clock;
use crate::exit::ExitCode;
use crate::queue::{Lines, Role, Run};
use crate::report::{Kind, Lang, Reporter, Style, encode};
use crate::wire::LARGEST_ITEM;

/// So many items may be on their way before their fate is looked into.
const MANY: usize = 1024;

/// Put items into a queue; the queue ends when its last producer leaves
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qdemo producer --items 5 --delay 1s
  qdemo producer -q jobs first second third
  find . -name '*.png' | qdemo producer -q jobs -")]
pub(super) struct Args {
    /// The items, or `-` for lines from standard input
    #[arg(value_name = "ITEM", conflicts_with = "items")]
    given: Vec<String>,

    /// Put so many items: アイテム0, アイテム1, …
    #[arg(long, value_name = "N")]
    #[arg(value_parser = values::items, allow_hyphen_values = true)]
    items: Option<u64>,

    /// What generated items are called [default: アイテム, or item with --lang en]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    item_name: Option<String>,

    /// Pause after each item
    #[arg(long, alias = "producer-delay", value_name = "TIME", default_value = "0")]
    #[arg(value_parser = values::delay, allow_hyphen_values = true)]
    delay: Duration,

    /// How many items may wait in the queue; 0 for any number
    #[arg(long, value_name = "N")]
    #[arg(value_parser = values::items, allow_hyphen_values = true)]
    capacity: Option<u64>,

    /// Leave without ending the queue
    #[arg(long)]
    keep_open: bool,

    /// What a line looks like
    #[arg(long, value_enum, default_value = "log")]
    format: Format,

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
        let ended = self.put_and_leave();
        self.client.end(ended)
    }

    fn put_and_leave(&self) -> anyhow::Result<ExitCode> {
        let style = match self.format {
            Format::Log => Style::Log,
            Format::Json => Style::Json,
        };
        self.check()?;
        let prepared = self.client.prepare(Role::Producer, style)?;
        let (queue, lang) = (prepared.queue, prepared.lang);
        let source = self.source(lang);
        let mut options = prepared.options.keep_open(self.keep_open);
        if let Some(capacity) = self.capacity {
            options = options.capacity(capacity);
        }
        let mut job = Job {
            clock: Clock::start(),
            reporter: prepared.reporter,
            client: options.connect()?,
            delay: self.delay,
            unreported: VecDeque::new(),
            reports: prepared.style != Style::Silent,
        };
        let put = job.put_all(source);
        if let Some(error) = put.as_ref().err().and_then(|error| error.downcast_ref())
            && !matches!(error, Error::TooLarge(_) | Error::NotALine)
        {
            job.client.leave_at_once();
            return put.map(|()| ExitCode::Done);
        }
        // Whatever went wrong with the input, what came before it is in the queue.
        let left = job.client.leave()?;
        if left.consumers == 0 && left.in_line > 0 && self.client.worker.is_none() {
            job.reporter.notice(&lang.left_behind(left.in_line, &queue));
        }
        put.map(|()| ExitCode::Done)
    }

    /// Exactly one of items, a count of them, and standard input is to be put.
    fn check(&self) -> Result<(), Usage> {
        let why = match (&self.given[..], self.items) {
            ([], None) => {
                "what is to be put? Give --items N, the items, or - for lines from standard input"
            }
            (given @ [_, _, ..], _) if given.iter().any(|item| item == "-") => {
                "- is for the lines of standard input, and stands alone: put an item - that way"
            }
            _ => return Ok(()),
        };
        Err(Usage(why.to_owned()))
    }

    fn source(&self, lang: Lang) -> Source {
        let name = || self.item_name.clone().unwrap_or_else(|| lang.item_name().to_owned());
        match (&self.given[..], self.items) {
            ([dash], _) if dash == "-" => Source::Stdin(Stdin::default()),
            ([], Some(items)) => Source::generated(items, self.client.worker, name()),
            (given, _) => Source::Given(Vec::from(given).into_iter()),
        }
    }
}

/// Putting, and telling of what has been accepted.
struct Job {
    clock: Clock,
    reporter: Reporter,
    client: Client,
    delay: Duration,
    /// Items on their way, if they are to be reported.
    unreported: VecDeque<Vec<u8>>,
    reports: bool,
}

impl Job {
    fn put_all(&mut self, mut source: Source) -> anyhow::Result<()> {
        let mut item = Vec::new();
        loop {
            let more = source.next(&mut item, || self.wait_for_input()).and_then(|more| {
                if more {
                    self.put(&item).with_context(|| source.place())?;
                }
                Ok(more)
            });
            match more {
                Ok(true) => {}
                Ok(false) => return self.settle(),
                Err(error) => {
                    // What came before it is in the queue all the same.
                    let _ = self.settle();
                    return Err(error);
                }
            }
        }
    }

    fn put(&mut self, item: &[u8]) -> anyhow::Result<()> {
        while !self.client.has_room() {
            let news = self.client.wait_for_news()?;
            self.report(news)?;
        }
        self.client.add(item)?;
        if self.reports {
            self.unreported.push_back(item.to_vec());
        }
        if !self.delay.is_zero() {
            self.settle()?;
            self.client.sleep(self.delay)?;
        } else if self.unreported.len() >= MANY {
            let news = self.client.news()?;
            self.report(news)?;
        }
        Ok(())
    }

    /// Nothing more to put for now: what there is must not wait for it.
    fn wait_for_input(&mut self) -> anyhow::Result<()> {
        self.settle()?;
        Ok(self.client.wait_for(io::stdin().as_fd())?)
    }

    /// Waits until everything is in the queue, and says so.
    fn settle(&mut self) -> anyhow::Result<()> {
        while let Some(news) = self.client.wait_for_news()? {
            self.report(Some(news))?;
        }
        Ok(())
    }

    /// Prints what has been accepted.
    fn report(&mut self, news: Option<Accepted>) -> anyhow::Result<()> {
        let Some(Accepted { count, first_id }) = news.filter(|_| self.reports) else {
            return Ok(());
        };
        let at = self.clock.now();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let items = self.unreported.drain(..count.min(self.unreported.len()));
        for (first, mut item) in (first_id..).zip(items) {
            item.push(b'\n');
            let bytes = Bytes::from(item);
            let run = Run { first, attempt: 1, lines: Lines { count: 1, bytes } };
            self.reporter.items(at, Kind::Put, Role::Producer, None, &run);
        }
        self.reporter.flush().map_err(|error| StdoutFailed(error).into())
    }
}

/// Where items come from.
enum Source {
    Generated { name: String, next: u64, step: u64, end: u64 },
    Given(std::vec::IntoIter<String>),
    Stdin(Stdin),
}

impl Source {
    /// `items` in all, of which the workers of a run take turns.
    fn generated(items: u64, share: Option<Share>, name: String) -> Self {
        let (next, step) =
            share.map_or((0, 1), |share| (u64::from(share.number - 1), u64::from(share.of)));
        let end = items;
        Self::Generated { name, next, step, end }
    }

    /// Where the last item came from.
    fn place(&self) -> String {
        match self {
            Self::Stdin(lines) => format!("line {} of standard input", lines.line),
            Self::Given(_) | Self::Generated { .. } => "an item".to_owned(),
        }
    }

    /// The next item as JSON; false after the last one. `wait` waits for input.
    fn next(
        &mut self,
        item: &mut Vec<u8>,
        wait: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        match self {
            Self::Generated { name, next, step, end } => {
                let number = *next;
                if number >= *end {
                    return Ok(false);
                }
                *next = number.saturating_add(*step);
                encode(&format!("{name}{number}"), item);
                Ok(true)
            }
            Self::Given(items) => {
                let given = items.next();
                if let Some(text) = &given {
                    encode(text, item);
                }
                Ok(given.is_some())
            }
            Self::Stdin(lines) => match lines.next(wait)? {
                Some(text) => {
                    encode(text, item);
                    Ok(true)
                }
                None => Ok(false),
            },
        }
    }
}

/// Lines of standard input, as they come.
#[derive(Default)]
struct Stdin {
    buffer: Vec<u8>,
    /// What stands before this has been given out.
    at: usize,
    /// The number of the last line that has been given out.
    line: u64,
    ended: bool,
}

impl Stdin {
    fn next(
        &mut self,
        mut wait: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<Option<&str>> {
        let mut searched = 0;
        let end = loop {
            let rest = &self.buffer[self.at..];
            if let Some(length) = memchr::memchr(b'\n', &rest[searched..]) {
                break self.at + searched + length;
            }
            if self.ended {
                if rest.is_empty() {
                    return Ok(None);
                }
                break self.buffer.len();
            }
            searched = rest.len();
            if searched > LARGEST_ITEM {
                bail!(
                    "line {} of standard input has more than {LARGEST_ITEM} bytes: split it; \
                     the items before it are in the queue",
                    self.line + 1
                );
            }
            wait()?;
            self.read()?;
        };
        let start = std::mem::replace(&mut self.at, (end + 1).min(self.buffer.len()));
        self.line += 1;
        let Ok(text) = std::str::from_utf8(&self.buffer[start..end]) else {
            bail!(
                "line {} of standard input is not UTF-8: convert it first, with iconv for example; \
                 the items before it are in the queue",
                self.line
            );
        };
        Ok(Some(text))
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
                other => break other.context("cannot read standard input"),
            }
        };
        self.buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
        self.ended = read? == 0;
        Ok(())
    }
}
