//! Events to lines: the log in Japanese or English, JSON, bare items. Changes nothing that happens.

mod figures;
mod lang;
mod live;
mod output;
mod output_file;
pub(crate) mod picture;
mod picture_file;
mod progress;
mod seconds;
mod stats;
mod terminal;
mod timeline;

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::clock::Nanos;
use crate::item::one_line;
use crate::item::{self, printable};
use crate::os::Death;
use crate::queue::Run;
use crate::role::{Role, Worker};
pub use lang::Lang;
pub(crate) use lang::{Toll, counted};
pub(crate) use live::{Activity, Actor, Depth, Scene};
pub(crate) use output::{Output, StdoutFailed, say};
pub(crate) use output_file::{is_pipe as is_named_pipe, open as open_output_file};
pub(crate) use picture_file::{PictureFile, PicturePath};
pub(crate) use progress::Progress;
use seconds::Seconds;
pub(crate) use seconds::seconds;
pub(crate) use stats::{Happening, Plant, Statistics, Summary};
pub(crate) use terminal::{Block, Size, fit, is_in_background};
pub(crate) use timeline::{Form, Recording, Timeline};

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// A sentence for people.
    Log,
    /// The bare item.
    Raw,
    /// One JSON object.
    Json,
    /// Nothing.
    Silent,
}

/// What is reported of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Items were put.
    Put,
    /// Items were got.
    Get,
    /// Items are done.
    Done,
    /// Items are back in line.
    Back,
    /// A worker has died.
    Died,
    /// Another takes the place of a worker that has died.
    Restart,
    /// A worker has left.
    Left,
    /// What was in line has been dropped.
    Clear,
    /// All processes have finished.
    End,
}

/// Turns events into lines on standard output.
#[derive(Debug)]
pub(crate) struct Reporter {
    style: Style,
    lang: Lang,
    /// Whether there are several of a role, so that their number is said.
    several: [bool; 2],
    out: Output,
    /// What stands behind a bare item.
    delimiter: u8,
}

/// One item by itself.
#[derive(Serialize)]
struct JsonItem<'a> {
    id: u64,
    item: &'a RawValue,
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
}

/// One line of JSON. A key that an event has no value for is null.
#[derive(Serialize)]
struct JsonEvent<'a> {
    /// Since the start.
    t: Seconds,
    event: Kind,
    role: Option<Role>,
    worker: Option<u32>,
    id: Option<u64>,
    item: Option<&'a RawValue>,
    attempt: Option<u32>,
    /// For how long the worker had waited for room, or for an item.
    waited: Option<Seconds>,
}

impl JsonEvent<'_> {
    fn without_item(at: Nanos, event: Kind, worker: Option<Worker>) -> Self {
        let (role, worker) = (worker.map(|w| w.role), worker.map(|w| w.number));
        Self {
            t: Seconds(at),
            event,
            role,
            worker,
            id: None,
            item: None,
            attempt: None,
            waited: None,
        }
    }
}

impl Reporter {
    /// For this many `[producers, consumers]`.
    pub(crate) fn new(style: Style, lang: Lang, workers: [u32; 2], out: Output) -> Self {
        let several = workers.map(|number| number > 1);
        Self { style, lang, several, out, delimiter: b'\n' }
    }

    /// Bare items are followed by NUL, not by a newline.
    pub(crate) fn separated_by_nul(mut self, nul: bool) -> Self {
        self.delimiter = if nul { 0 } else { b'\n' };
        self
    }

    /// Shows items as they are; `why` they failed, if they did.
    pub(crate) fn show(&mut self, run: &Run, why: Option<&str>) {
        for (id, item) in run.items() {
            match self.style {
                Style::Json => {
                    let Some(value) = item::value(item) else { continue };
                    let attempt = run.attempt;
                    let shown = JsonItem { id, item: &value, attempt, why };
                    self.json(&shown);
                }
                Style::Raw => self.bare(item),
                Style::Log => {
                    let why = why.unwrap_or_default();
                    // A line each, whatever is in it.
                    let (why, item) = (one_line(why), item::bare(item));
                    self.out.raw(format!("{id}\t{}\t", run.attempt).as_bytes());
                    self.out.text(&why);
                    self.out.raw(b"\t");
                    self.out.text(&one_line(&item));
                    self.out.raw(b"\n");
                }
                Style::Silent => {}
            }
        }
    }

    /// Our own words.
    pub(crate) fn say(&mut self, text: &str) {
        self.out.text(text);
        self.out.raw(b"\n");
    }

    fn bare(&mut self, item: &[u8]) {
        self.out.text(&item::bare(item));
        self.out.raw(&[self.delimiter]);
    }

    /// Reports what happened to the items of `run`, by this worker.
    pub(crate) fn items(
        &mut self,
        at: Nanos,
        kind: Kind,
        role: Role,
        worker: Option<u32>,
        run: &Run,
        waited: Option<Nanos>,
    ) {
        match self.style {
            Style::Silent => {}
            Style::Json => {
                for (id, item) in run.items() {
                    let value = item::value(item);
                    self.json(&JsonEvent {
                        t: Seconds(at),
                        event: kind,
                        role: Some(role),
                        worker,
                        id: Some(id),
                        item: value.as_deref(),
                        attempt: Some(run.attempt),
                        waited: waited.map(Seconds),
                    });
                    self.out.end_item();
                }
            }
            Style::Raw => {
                for (_, item) in run.items() {
                    self.bare(item);
                    self.out.end_item();
                }
            }
            Style::Log => {
                let Some((subject, verb)) = self.lang.sentence(kind, role, run.attempt) else {
                    return;
                };
                for (_, item) in run.items() {
                    self.who(subject, role, worker);
                    self.out.raw(verb.before.as_bytes());
                    self.out.text(&item::bare(item));
                    self.out.raw(verb.after.as_bytes());
                    self.out.end_item();
                }
            }
        }
    }

    /// Reports that a worker has died, after it had `waited` for something in vain.
    pub(crate) fn died(&mut self, at: Nanos, worker: Worker, waited: Option<Nanos>, death: Death) {
        self.of_worker(at, Kind::Died, worker, waited, &self.lang.died(death));
    }

    /// Reports that a worker has left, after it had `waited` for something in vain.
    pub(crate) fn left(&mut self, at: Nanos, worker: Worker, waited: Option<Nanos>) {
        if self.style == Style::Json {
            self.of_worker(at, Kind::Left, worker, waited, "");
        }
    }

    /// Reports that another takes a dead worker's place.
    pub(crate) fn restarted(&mut self, at: Nanos, worker: Worker) {
        self.of_worker(at, Kind::Restart, worker, None, self.lang.restarted());
    }

    /// Reports that what was in line has been dropped.
    pub(crate) fn cleared(&mut self, at: Nanos) {
        if self.style == Style::Json {
            self.json(&JsonEvent::without_item(at, Kind::Clear, None));
        }
    }

    /// Reports that all processes have finished.
    pub(crate) fn end(&mut self, at: Nanos) {
        match self.style {
            Style::Log => self.out.raw(self.lang.all_finished().as_bytes()),
            Style::Json => self.json(&JsonEvent::without_item(at, Kind::End, None)),
            Style::Raw | Style::Silent => {}
        }
    }

    fn of_worker(
        &mut self,
        at: Nanos,
        kind: Kind,
        worker: Worker,
        waited: Option<Nanos>,
        words: &str,
    ) {
        match self.style {
            Style::Log => {
                let Worker { role, number } = worker;
                self.who(self.lang.subject(role), role, Some(number));
                self.out.raw(words.as_bytes());
            }
            Style::Json => {
                let event = JsonEvent::without_item(at, kind, Some(worker));
                self.json(&JsonEvent { waited: waited.map(Seconds), ..event });
            }
            Style::Raw | Style::Silent => {}
        }
    }

    /// Its number is said if there are several.
    fn who(&mut self, subject: &str, role: Role, worker: Option<u32>) {
        self.out.raw(subject.as_bytes());
        if let Some(number) = worker.filter(|_| self.several[role as usize]) {
            self.out.raw(self.lang.number(number).as_bytes());
        }
    }

    /// Writes what has been reported so far.
    ///
    /// # Errors
    /// When standard output takes no more: `BrokenPipe` when its reader has left, `Interrupted` when
    /// a signal came before it had taken everything.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Draws these rows over the ones before, on a terminal.
    pub(crate) fn redraw(&mut self, block: &mut Block, rows: Vec<String>, size: Size) {
        let rows = rows.iter().map(|row| printable(row).into_owned()).collect();
        self.out.raw(block.replace(rows, size).as_bytes());
    }

    /// Where to pass on what others have printed.
    pub(crate) fn output(&mut self) -> &mut Output {
        &mut self.out
    }

    /// What a line looks like.
    pub(crate) fn style(&self) -> Style {
        self.style
    }

    /// What is drawn on standard error.
    pub(crate) fn progress(&self) -> &Progress {
        self.out.progress()
    }

    /// Draws how a run is now.
    pub(crate) fn draw(&self, scene: &Scene) {
        self.progress().draw(|room| scene.rows(self.lang, self.several, room));
    }

    /// Tells people something on standard error.
    pub(crate) fn notice(&self, text: &str) {
        self.out.notice(text);
    }

    /// One object on a line of its own.
    pub(crate) fn json(&mut self, object: &impl Serialize) {
        // Neither what is reported nor a String can fail.
        if let Ok(line) = serde_json::to_string(object) {
            self.out.json(&line);
            self.out.raw(b"\n");
        }
    }
}
