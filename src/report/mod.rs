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
use crate::item::escape_controls;
use crate::item::{self, escape_for_terminal};
use crate::os::ExitCause;
use crate::queue::Batch;
use crate::role::{Role, WorkerId};
pub use lang::Lang;
pub(crate) use lang::{RunSummary, english_item_count};
pub(crate) use live::{LiveView, QueueDepth, WorkerActivity, WorkerRow};
pub(crate) use output::{Output, StdoutError, eprint_line};
pub(crate) use output_file::{is_named_pipe, open as open_output_file};
pub(crate) use picture_file::{PictureFile, PicturePath};
pub(crate) use progress::Progress;
use seconds::Seconds;
pub(crate) use seconds::to_seconds;
pub(crate) use stats::{ModelInput, RunEvent, StatsCollector, StatsSummary};
pub(crate) use terminal::{RedrawArea, TerminalSize, is_in_background, truncate_to_width};
pub(crate) use timeline::{PictureFormat, Recording, Timeline};

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputFormat {
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
pub(crate) enum EventName {
    /// Items were put.
    Put,
    /// Items were got.
    #[serde(rename = "get")]
    Delivered,
    /// Items are done.
    Done,
    /// Items are back in line.
    #[serde(rename = "back")]
    Requeued,
    /// A worker has died.
    Died,
    /// Another takes the place of a worker that has died.
    Restart,
    /// A worker has left.
    #[serde(rename = "left")]
    Exited,
    /// What was in line has been dropped.
    Clear,
    /// All processes have finished.
    End,
}

/// Turns events into lines on standard output.
#[derive(Debug)]
pub(crate) struct Reporter {
    format: OutputFormat,
    lang: Lang,
    /// Whether there are several of a role, so that their number is said.
    is_numbered: [bool; 2],
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
    #[serde(rename = "why")]
    reason: Option<&'a str>,
}

/// One line of JSON. A key that an event has no value for is null.
#[derive(Serialize)]
struct JsonEvent<'a> {
    /// Since the start.
    t: Seconds,
    event: EventName,
    role: Option<Role>,
    worker: Option<u32>,
    id: Option<u64>,
    item: Option<&'a RawValue>,
    attempt: Option<u32>,
    /// For how long the worker had waited for room, or for an item.
    waited: Option<Seconds>,
}

impl JsonEvent<'_> {
    fn without_item(at: Nanos, event: EventName, worker: Option<WorkerId>) -> Self {
        let (role, worker) = (worker.map(|w| w.role), worker.map(|w| w.index));
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
    pub(crate) fn new(style: OutputFormat, lang: Lang, workers: [u32; 2], out: Output) -> Self {
        let several = workers.map(|number| number > 1);
        Self { format: style, lang, is_numbered: several, out, delimiter: b'\n' }
    }

    /// Bare items are followed by NUL, not by a newline.
    pub(crate) fn with_nul_delimiter(mut self, nul: bool) -> Self {
        self.delimiter = if nul { 0 } else { b'\n' };
        self
    }

    /// Shows items as they are; `why` they failed, if they did.
    pub(crate) fn print_batch(&mut self, batch: &Batch, reason: Option<&str>) {
        for (id, item) in batch.iter_with_ids() {
            match self.format {
                OutputFormat::Json => {
                    let Some(value) = item::json_value(item) else { continue };
                    let attempt = batch.attempt;
                    let shown = JsonItem { id, item: &value, attempt, reason };
                    self.print_json(&shown);
                }
                OutputFormat::Raw => self.print_bare_item(item),
                OutputFormat::Log => {
                    let reason = reason.unwrap_or_default();
                    // A line each, whatever is in it.
                    let (reason, item) = (escape_controls(reason), item::display_text(item));
                    self.out.push_raw(format!("{id}\t{}\t", batch.attempt).as_bytes());
                    self.out.push_text(&reason);
                    self.out.push_raw(b"\t");
                    self.out.push_text(&escape_controls(&item));
                    self.out.push_raw(b"\n");
                }
                OutputFormat::Silent => {}
            }
        }
    }

    /// Our own words.
    pub(crate) fn print_line(&mut self, text: &str) {
        self.out.push_text(text);
        self.out.push_raw(b"\n");
    }

    fn print_bare_item(&mut self, item: &[u8]) {
        self.out.push_text(&item::display_text(item));
        self.out.push_raw(&[self.delimiter]);
    }

    /// Reports what happened to the items of `run`, by this worker.
    pub(crate) fn report_items(
        &mut self,
        at: Nanos,
        kind: EventName,
        role: Role,
        worker: Option<u32>,
        batch: &Batch,
        waited: Option<Nanos>,
    ) {
        match self.format {
            OutputFormat::Silent => {}
            OutputFormat::Json => {
                for (id, item) in batch.iter_with_ids() {
                    let value = item::json_value(item);
                    self.print_json(&JsonEvent {
                        t: Seconds(at),
                        event: kind,
                        role: Some(role),
                        worker,
                        id: Some(id),
                        item: value.as_deref(),
                        attempt: Some(batch.attempt),
                        waited: waited.map(Seconds),
                    });
                    self.out.mark_item_end();
                }
            }
            OutputFormat::Raw => {
                for (_, item) in batch.iter_with_ids() {
                    self.print_bare_item(item);
                    self.out.mark_item_end();
                }
            }
            OutputFormat::Log => {
                let Some((subject, verb)) = self.lang.item_phrase(kind, role, batch.attempt) else {
                    return;
                };
                for (_, item) in batch.iter_with_ids() {
                    self.write_subject(subject, role, worker);
                    self.out.push_raw(verb.prefix.as_bytes());
                    self.out.push_text(&item::display_text(item));
                    self.out.push_raw(verb.suffix.as_bytes());
                    self.out.mark_item_end();
                }
            }
        }
    }

    /// Reports that a worker has died, after it had `waited` for something in vain.
    pub(crate) fn report_death(
        &mut self,
        at: Nanos,
        worker: WorkerId,
        waited: Option<Nanos>,
        death: ExitCause,
    ) {
        self.report_worker_event(
            at,
            EventName::Died,
            worker,
            waited,
            &self.lang.worker_died(death),
        );
    }

    /// Reports that a worker has left, after it had `waited` for something in vain.
    pub(crate) fn report_exit(&mut self, at: Nanos, worker: WorkerId, waited: Option<Nanos>) {
        if self.format == OutputFormat::Json {
            self.report_worker_event(at, EventName::Exited, worker, waited, "");
        }
    }

    /// Reports that another takes a dead worker's place.
    pub(crate) fn worker_restarted(&mut self, at: Nanos, worker: WorkerId) {
        self.report_worker_event(
            at,
            EventName::Restart,
            worker,
            None,
            self.lang.worker_restarted(),
        );
    }

    /// Reports that what was in line has been dropped.
    pub(crate) fn ready_items_dropped(&mut self, at: Nanos) {
        if self.format == OutputFormat::Json {
            self.print_json(&JsonEvent::without_item(at, EventName::Clear, None));
        }
    }

    /// Reports that all processes have finished.
    pub(crate) fn report_end(&mut self, at: Nanos) {
        match self.format {
            OutputFormat::Log => self.out.push_raw(self.lang.all_finished().as_bytes()),
            OutputFormat::Json => {
                self.print_json(&JsonEvent::without_item(at, EventName::End, None))
            }
            OutputFormat::Raw | OutputFormat::Silent => {}
        }
    }

    fn report_worker_event(
        &mut self,
        at: Nanos,
        kind: EventName,
        worker: WorkerId,
        waited: Option<Nanos>,
        words: &str,
    ) {
        match self.format {
            OutputFormat::Log => {
                let WorkerId { role, index: number } = worker;
                self.write_subject(self.lang.role_name(role), role, Some(number));
                self.out.push_raw(words.as_bytes());
            }
            OutputFormat::Json => {
                let event = JsonEvent::without_item(at, kind, Some(worker));
                self.print_json(&JsonEvent { waited: waited.map(Seconds), ..event });
            }
            OutputFormat::Raw | OutputFormat::Silent => {}
        }
    }

    /// Its number is said if there are several.
    fn write_subject(&mut self, subject: &str, role: Role, worker: Option<u32>) {
        self.out.push_raw(subject.as_bytes());
        if let Some(number) = worker.filter(|_| self.is_numbered[role as usize]) {
            self.out.push_raw(self.lang.index_suffix(number).as_bytes());
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
    pub(crate) fn redraw(&mut self, block: &mut RedrawArea, rows: Vec<String>, size: TerminalSize) {
        let rows = rows.iter().map(|row| escape_for_terminal(row).into_owned()).collect();
        self.out.push_raw(block.replace(rows, size).as_bytes());
    }

    /// Where to pass on what others have printed.
    pub(crate) fn output(&mut self) -> &mut Output {
        &mut self.out
    }

    /// What a line looks like.
    pub(crate) fn format(&self) -> OutputFormat {
        self.format
    }

    /// What is drawn on standard error.
    pub(crate) fn progress(&self) -> &Progress {
        self.out.progress()
    }

    /// Draws how a run is now.
    pub(crate) fn draw_live_view(&self, scene: &LiveView) {
        self.progress().draw(|room| scene.render_rows(self.lang, self.is_numbered, room));
    }

    /// Tells people something on standard error.
    pub(crate) fn print_notice(&self, text: &str) {
        self.out.print_notice(text);
    }

    /// One object on a line of its own.
    pub(crate) fn print_json(&mut self, object: &impl Serialize) {
        // Neither what is reported nor a String can fail.
        if let Ok(line) = serde_json::to_string(object) {
            self.out.push_json(&line);
            self.out.push_raw(b"\n");
        }
    }
}
