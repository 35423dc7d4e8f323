//! The trace of a run: a line for each event, with the time, the worker, what happened, and the depth of the queue.

use std::collections::BTreeSet;

use console::{Alignment, Style, measure_text_width, pad_str};

use super::colors::error_style;
use super::worker_names::WorkerNames;
use crate::catalogue::message;
use crate::clock::Nanos;
use crate::event::{Event, EventKind};
use crate::item::{display_text, escape_controls};
use crate::os::ExitCause;
use crate::queue::WaitReason;
use crate::role::{Role, WorkerId};

/// The text between two columns.
const COLUMN_GAP: &str = "  ";
/// The largest width of the column of texts. Behind a longer text the depth is not aligned.
const MAX_TEXT_WIDTH: usize = 48;
/// A wait that the column of texts has room for.
const LONG_WAIT: Nanos = 10_000_000_000;
/// The longest bar, in items.
const MAX_BAR: u64 = 20;

/// What is known of a run before it begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TracedRun<'a> {
    /// The numbers of `[producers, consumers]`.
    pub(crate) workers: [u32; 2],
    /// 0 for an unbounded queue.
    pub(crate) capacity: u64,
    pub(crate) items: u64,
    /// The name of each item, before its number.
    pub(crate) item_name: &'a str,
}

/// The widths of the columns, and the state of the run.
#[derive(Debug)]
pub(super) struct Trace {
    names: WorkerNames,
    capacity: u64,
    name_width: usize,
    text_width: usize,
    /// The digits of the largest depth.
    depth_width: usize,
    /// The number of ready items.
    ready: u64,
    /// The workers whose last line says that they wait.
    waiting: BTreeSet<WorkerId>,
}

impl Trace {
    pub(super) fn new(names: WorkerNames, run: TracedRun<'_>) -> Self {
        let roles = [Role::Producer, Role::Consumer];
        let workers =
            roles.iter().zip(run.workers).map(|(&role, last)| names.name(role, Some(last)));
        let all_names = workers.chain([message!(names.lang, "trace-parent")]);
        let max_depth = if run.capacity > 0 { run.capacity.min(run.items) } else { run.items };
        let mut trace = Self {
            names,
            capacity: run.capacity,
            name_width: all_names.map(|name| measure_text_width(&name)).max().unwrap_or_default(),
            text_width: 0,
            depth_width: max_depth.to_string().len(),
            ready: 0,
            waiting: BTreeSet::new(),
        };
        let last_item = format!("{}{}", run.item_name, run.items.saturating_sub(1));
        let item = escape_controls(&last_item);
        let texts = roles.map(|role| {
            let text = match role {
                Role::Producer => message!(names.lang, "trace-put", item = &*item),
                _ => message!(names.lang, "trace-got", item = &*item),
            };
            measure_text_width(&trace.with_notes(text, &[trace.wait_note(role, LONG_WAIT)]))
        });
        trace.text_width = texts.into_iter().max().unwrap_or_default().min(MAX_TEXT_WIDTH);
        trace
    }

    /// The lines of an event, one for each of its items. `escape` makes foreign text safe.
    pub(super) fn lines(&mut self, event: &Event<'_>, escape: impl Fn(&str) -> String) -> String {
        let mut waited = self.follow_wait(event);
        let Some(batch) = event.batch() else {
            if let EventKind::Cleared = event.kind {
                self.ready = 0;
            }
            return self.line(event, self.text(event), waited);
        };
        let mut lines = String::new();
        for (_, item) in batch.iter_with_ids() {
            match event.kind {
                EventKind::Put(_) | EventKind::Requeued(_) => self.ready += 1,
                EventKind::Delivered(_) => self.ready = self.ready.saturating_sub(1),
                _ => {}
            }
            let item = escape(&escape_controls(&display_text(item)));
            // The items after the first one have not waited longer.
            lines += &self.line(event, self.item_text(event, &item), waited.take());
        }
        lines
    }

    /// Notes whether the worker waits now. Returns how long it has waited, if its last line says that it waits.
    fn follow_wait(&mut self, event: &Event<'_>) -> Option<Nanos> {
        let worker = event.worker?;
        if let EventKind::Waiting(_) = event.kind {
            self.waiting.insert(worker);
            return None;
        }
        let ends_wait = event.waited.is_some() && self.waiting.remove(&worker);
        event.waited.filter(|_| ends_wait)
    }

    fn item_text(&self, event: &Event<'_>, item: &str) -> String {
        let lang = self.names.lang;
        match event.kind {
            EventKind::Put(_) => message!(lang, "trace-put", item = item),
            EventKind::Delivered(_) => message!(lang, "trace-got", item = item),
            EventKind::Done(_) => message!(lang, "trace-done", item = item),
            _ => message!(lang, "trace-requeued", item = item),
        }
    }

    /// The text of an event without items.
    fn text(&self, event: &Event<'_>) -> String {
        let lang = self.names.lang;
        match event.kind {
            EventKind::Waiting(WaitReason::Room) => message!(lang, "trace-waits-for-room"),
            EventKind::Waiting(_) => message!(lang, "trace-waits-for-item"),
            EventKind::SentinelPut => message!(lang, "trace-sentinel-put"),
            EventKind::Died(_) => message!(lang, "trace-died"),
            EventKind::Restarted => message!(lang, "trace-restarted"),
            EventKind::Left if event.role() == Some(Role::Producer) => message!(lang, "trace-left"),
            EventKind::Left => message!(lang, "trace-sentinel-taken"),
            EventKind::Cleared => message!(lang, "trace-cleared"),
            _ => message!(lang, "trace-finished"),
        }
    }

    /// What else is to be said of the event, beside its wait.
    fn note(&self, event: &Event<'_>) -> Option<String> {
        let lang = self.names.lang;
        match event.kind {
            // An earlier consumer had the item, and has died.
            EventKind::Delivered(batch) if batch.attempt > 1 => {
                Some(message!(lang, "trace-attempt", attempt = batch.attempt))
            }
            EventKind::Died(Some(ExitCause::Signal(signal))) => {
                Some(message!(lang, "trace-signal", signal = signal))
            }
            EventKind::Died(Some(ExitCause::Exit(code))) => {
                Some(message!(lang, "trace-exit-code", code = code))
            }
            _ => None,
        }
    }

    fn wait_note(&self, role: Role, waited: Nanos) -> String {
        let (lang, time) = (self.names.lang, seconds(waited));
        match WaitReason::of_role(role) {
            WaitReason::Room => message!(lang, "trace-waited-for-room", time = time),
            _ => message!(lang, "trace-waited-for-item", time = time),
        }
    }

    fn with_notes(&self, text: String, notes: &[String]) -> String {
        let lang = self.names.lang;
        match notes {
            [] => text,
            [note] => message!(lang, "trace-note", text = text, note = note),
            [first, second, ..] => {
                message!(lang, "trace-two-notes", text = text, first = first, second = second)
            }
        }
    }

    /// A line with its columns.
    fn line(&self, event: &Event<'_>, text: String, waited: Option<Nanos>) -> String {
        let pad = |text: &str, width| pad_str(text, width, Alignment::Left, None).into_owned();
        // What has no worker is the parent's work.
        let name = event.worker.map_or_else(
            || message!(self.names.lang, "trace-parent"),
            |WorkerId { role, index }| self.names.colored_name(role, Some(index)),
        );
        let wait = event.role().zip(waited).map(|(role, waited)| self.wait_note(role, waited));
        let notes: Vec<_> = self.note(event).into_iter().chain(wait).collect();
        let text = text_style(event).apply_to(self.with_notes(text, &notes)).to_string();
        let text = pad(&text, self.text_width);
        let time = format!("[{:>8}]", seconds(event.at));
        let columns = [time, pad(&name, self.name_width), text, self.depth(event)];
        columns.join(COLUMN_GAP).trim_end().to_owned() + "\n"
    }

    /// The depth of the queue after the event, as a number and as a bar. Empty if the event has nothing to do with it.
    fn depth(&self, event: &Event<'_>) -> String {
        match event.kind {
            EventKind::Put(_)
            | EventKind::Delivered(_)
            | EventKind::Requeued(_)
            | EventKind::Waiting(_)
            | EventKind::Cleared => {}
            _ => return String::new(),
        }
        let mut depth = format!("{:width$}", self.ready, width = self.depth_width);
        if self.capacity > 0 {
            depth += &format!("/{}", self.capacity);
        }
        let depth = message!(self.names.lang, "trace-depth", depth = depth);
        format!("{depth} {}", self.bar())
    }

    /// A mark for each ready item. The bar of a queue with a small capacity shows the room that is left too.
    fn bar(&self) -> String {
        let marks = |count: u64, mark: &str| mark.repeat(count.min(MAX_BAR) as usize);
        let more = if self.ready > MAX_BAR { "+" } else { "" };
        let items = marks(self.ready, "#") + more;
        if self.capacity == 0 || self.capacity > MAX_BAR {
            return items;
        }
        let room = self.capacity.saturating_sub(self.ready);
        format!("[{items}{}]", marks(room, "."))
    }
}

/// What a reader looks for stands out on a terminal: deaths and waits.
fn text_style(event: &Event<'_>) -> Style {
    match event.kind {
        EventKind::Died(_) => error_style(),
        EventKind::Waiting(_) => Style::new().bold(),
        _ => Style::new(),
    }
}

/// A time in seconds, to the millisecond.
fn seconds(time: Nanos) -> String {
    let millis = time / 1_000_000 + u64::from(time % 1_000_000 >= 500_000);
    format!("{}.{:03}s", millis / 1000, millis % 1000)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use console::strip_ansi_codes;

    use super::*;
    use crate::catalogue::Lang;
    use crate::queue::{Batch, Items};

    const PRODUCER: WorkerId = WorkerId { role: Role::Producer, index: 1 };

    fn trace(capacity: u64) -> Trace {
        let names = WorkerNames { lang: Lang::En, is_numbered: [false; 2] };
        Trace::new(names, TracedRun { workers: [1, 1], capacity, items: 99, item_name: "x" })
    }

    #[test]
    fn a_bar_has_a_mark_for_each_item_up_to_twenty() {
        let bar = |capacity, ready| Trace { ready, ..trace(capacity) }.bar();
        assert_eq!([bar(0, 0), bar(0, 3)], ["", "###"]);
        assert_eq!([bar(4, 0), bar(4, 3), bar(4, 5)], ["[....]", "[###.]", "[#####]"]);
        assert_eq!([bar(0, 20), bar(99, 21)], ["#".repeat(20), "#".repeat(20) + "+"]);
        assert_eq!(bar(99, 5), "#####", "room for 94 items has no place");
    }

    #[test]
    fn times_are_rounded_to_milliseconds() {
        let times = [0, 1_499_999, 1_500_000, 999_500_000, Nanos::MAX].map(seconds);
        assert_eq!(times, ["0.000s", "0.001s", "0.002s", "1.000s", "18446744073.710s"]);
    }

    #[test]
    fn each_item_of_a_batch_has_a_line_and_the_first_one_has_the_wait() {
        let mut trace = trace(3);
        let mut lines = |at, waited, kind| {
            let event = Event { at, worker: Some(PRODUCER), waited, kind };
            strip_ansi_codes(&trace.lines(&event, str::to_owned)).into_owned()
        };
        let items = Items { count: 2, bytes: Bytes::from_static(b"\"a\"\n\"b\"\n") };
        let batch = Batch { first_id: 1, attempt: 1, delivery_failures: 0, accepted_at: 0, items };
        let put = EventKind::Put(&batch);
        let without_wait = "\
[  0.000s]  producer  added a                     depth 1/3 [#..]
[  0.000s]  producer  added b                     depth 2/3 [##.]
";
        // No line has said that the worker waits.
        assert_eq!(lines(0, Some(1_000_000), put), without_wait);
        let wait = lines(0, None, EventKind::Waiting(WaitReason::Room));
        assert_eq!(wait, "[  0.000s]  producer  waits for room              depth 2/3 [##.]\n");
        let with_wait = "\
[  0.002s]  producer  added a (waited 0.002s)     depth 3/3 [###]
[  0.002s]  producer  added b                     depth 4/3 [####]
";
        assert_eq!(lines(2_000_000, Some(2_000_000), put), with_wait);
    }
}
