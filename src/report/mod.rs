//! Output for people and programs: the log in Japanese or English, JSON lines, bare items, statistics,
//! pictures and the live view. Nothing here changes a queue.

mod colors;
pub(crate) mod figures;
mod json_event;
mod live;
mod log_phrases;
mod output;
mod output_file;
pub(crate) mod picture;
mod picture_file;
mod progress;
mod seconds;
mod stats;
mod table;
mod terminal;
mod timeline;
mod trace;
mod worker_names;
mod wrap;

use std::io;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::catalogue::{Lang, lang};
pub(crate) use crate::clock::to_seconds;
use crate::event::Event;
use crate::item::{self, escape_for_terminal};
use crate::queue::Batch;
pub(crate) use colors::{NamedLine, set_colors, slot_style};
use json_event::JsonEvent;
pub(crate) use live::{LiveView, QueueDepth, WorkerActivity, WorkerRow};
use log_phrases::{LogPhrase, LogPhrases};
pub(crate) use output::{Output, StdoutError, eprint_error, eprint_line};
pub(crate) use output_file::{is_named_pipe, open as open_output_file};
pub(crate) use picture_file::{PictureFile, PicturePath};
pub(crate) use progress::Progress;
#[cfg(test)]
pub(crate) use stats::textbook;
pub(crate) use stats::{Averages, ModelInput, StatsCollector, StatsSummary, SteadyState};
pub(crate) use table::Table;
pub(crate) use terminal::{RedrawArea, TerminalSize, is_in_background, truncate_to_width};
pub(crate) use timeline::{PictureFormat, Recording, Timeline};
use trace::Trace;
pub(crate) use trace::TracedRun;
use worker_names::WorkerNames;
pub(crate) use wrap::wrap_text;

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputFormat {
    /// A sentence for people.
    Log,
    /// The bare item.
    Raw,
    /// One JSON object.
    Json,
    /// A line in columns for people, for each event of a run.
    Trace,
    /// No line at all.
    Silent,
}

/// Turns events into lines on standard output.
#[derive(Debug)]
pub(crate) struct Reporter {
    pub(crate) format: OutputFormat,
    names: WorkerNames,
    phrases: LogPhrases,
    /// `None` in every format but [`OutputFormat::Trace`].
    trace: Option<Trace>,
    pub(crate) out: Output,
    /// The byte after a bare item.
    delimiter: u8,
}

/// The JSON line of an item without an event.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(title = "An item of get or peek"))]
struct JsonItem<'a> {
    /// The queue's id of the item, from 1.
    id: u64,
    /// The item: any JSON value.
    item: &'a RawValue,
    /// From 1, and one more for each time that the item was requeued.
    attempt: u32,
}

impl Reporter {
    /// A reporter for this many `[producers, consumers]`.
    pub(crate) fn new(format: OutputFormat, lang: Lang, workers: [u32; 2], out: Output) -> Self {
        let names = WorkerNames { lang, is_numbered: workers.map(|count| count > 1) };
        Self { format, names, phrases: LogPhrases::default(), trace: None, out, delimiter: b'\n' }
    }

    /// Prepares [`OutputFormat::Trace`] for this run.
    pub(crate) fn with_trace(mut self, run: TracedRun<'_>) -> Self {
        self.trace = (self.format == OutputFormat::Trace).then(|| Trace::new(self.names, run));
        self
    }

    /// Ends bare items with NUL instead of a newline.
    pub(crate) fn with_nul_delimiter(mut self, nul: bool) -> Self {
        self.delimiter = if nul { 0 } else { b'\n' };
        self
    }

    /// Prints the items of a batch.
    pub(crate) fn print_batch(&mut self, batch: &Batch) {
        for (id, item) in batch.iter_with_ids() {
            match self.format {
                OutputFormat::Json => {
                    let Some(value) = item::json_value(item) else { continue };
                    let attempt = batch.attempt;
                    self.print_json(&JsonItem { id, item: &value, attempt });
                }
                OutputFormat::Raw | OutputFormat::Log | OutputFormat::Trace => {
                    self.print_bare_item(item);
                }
                OutputFormat::Silent => {}
            }
        }
    }

    /// Prints a line of qdemo's own text.
    pub(crate) fn print_line(&mut self, text: &str) {
        self.out.push_text(text);
        self.out.push_raw(b"\n");
    }

    /// Prints a line that begins with a name.
    pub(crate) fn print_named_line(&mut self, line: &NamedLine) {
        if self.out.is_terminal {
            self.out.push_raw(line.for_terminal().as_bytes());
        } else {
            self.out.push_raw(line.styled(str::to_owned).as_bytes());
        }
        self.out.push_raw(b"\n");
    }

    fn print_bare_item(&mut self, item: &[u8]) {
        self.out.push_text(&item::display_text(item));
        self.out.push_raw(&[self.delimiter]);
    }

    /// Prints the lines of an event.
    pub(crate) fn on_event(&mut self, event: Event<'_>) {
        match (self.format, event.batch()) {
            (OutputFormat::Silent, _) | (OutputFormat::Raw, None) => {}
            (OutputFormat::Log, _) => self.log_event(event),
            (OutputFormat::Trace, _) => self.trace_event(&event),
            (OutputFormat::Json, None) => {
                if let Some(line) = JsonEvent::new(&event) {
                    self.print_json(&line);
                }
            }
            (OutputFormat::Json, Some(batch)) => {
                for (id, item) in batch.iter_with_ids() {
                    let item = item::json_value(item);
                    let Some(line) = JsonEvent::new(&event) else { continue };
                    self.print_json(&line.with_item(id, item.as_deref(), batch.attempt));
                    self.out.mark_item_end();
                }
            }
            (OutputFormat::Raw, Some(batch)) => {
                for (_, item) in batch.iter_with_ids() {
                    self.print_bare_item(item);
                    self.out.mark_item_end();
                }
            }
        }
    }

    fn log_event(&mut self, event: Event<'_>) {
        let Some(LogPhrase { before, mut after }) = self.phrases.of_event(self.names, &event)
        else {
            return;
        };
        after.push('\n');
        let Some(batch) = event.batch() else {
            self.out.push_raw(before.as_bytes());
            self.out.push_raw(after.as_bytes());
            return;
        };
        for (_, item) in batch.iter_with_ids() {
            self.out.push_raw(before.as_bytes());
            self.out.push_text(&item::display_text(item));
            self.out.push_raw(after.as_bytes());
            self.out.mark_item_end();
        }
    }

    fn trace_event(&mut self, event: &Event<'_>) {
        let is_terminal = self.out.is_terminal;
        let escape = |text: &str| {
            if is_terminal { escape_for_terminal(text).into_owned() } else { text.to_owned() }
        };
        if let Some(trace) = &mut self.trace {
            self.out.push_raw(trace.lines(event, escape).as_bytes());
        }
    }

    /// Writes all lines that were printed so far.
    ///
    /// # Errors
    /// `BrokenPipe` when the reader of standard output has closed it, `Interrupted` when a signal came
    /// before standard output had taken all lines, and every other error of a write.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Draws these rows, which are safe on a terminal, in place of the last ones.
    pub(crate) fn redraw(&mut self, area: &mut RedrawArea, rows: Vec<String>, size: TerminalSize) {
        self.out.push_raw(area.replace(rows, size).as_bytes());
    }

    /// Draws the present state of a run.
    pub(crate) fn draw_live_view(&self, view: &LiveView) {
        self.out
            .progress
            .draw(|size| view.render_rows(WorkerNames { lang: lang(), ..self.names }, size));
    }

    /// Prints a notice on standard error.
    pub(crate) fn print_notice(&self, text: &str) {
        self.out.print_notice(text);
    }

    /// Prints one object on a line of its own.
    pub(crate) fn print_json(&mut self, object: &impl Serialize) {
        // Neither our own types nor a String can fail.
        if let Ok(line) = serde_json::to_string(object) {
            self.out.push_json(&line);
            self.out.push_raw(b"\n");
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_of_an_item_is_that_of_its_type() {
        crate::testing::schemas::compare::<super::JsonItem<'static>>("item");
    }
}
