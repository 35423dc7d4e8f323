//! What the script of a page reads: the steps of the run, and the names of its items.

use serde::Serialize;

use super::Timeline;
use super::steps::Step;
use super::words::Labels;
use crate::clock::Nanos;
use crate::report::to_seconds;

/// What a page knows of one step.
#[derive(Debug, Serialize)]
struct PageStep {
    kind: &'static str,
    /// The start and the end, as parts of the run. An event has no duration.
    from: f64,
    to: f64,
    /// The step in words.
    text: String,
    /// The row of the worker.
    #[serde(skip_serializing_if = "Option::is_none")]
    lane: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
}

impl Timeline {
    /// The steps of a page as JSON: every event, or every column of an overview.
    pub(super) fn steps_as_json(
        &self,
        labels: &Labels,
        columns: &[([Nanos; 2], String)],
    ) -> String {
        let end = to_seconds(self.last_event_at.max(1));
        let part = |at: Nanos| to_seconds(at) / end;
        let events = self.steps.iter().map(|step| PageStep {
            kind: step.kind.name(),
            from: part(step.at),
            to: part(step.at),
            text: self.describe_step(labels, step),
            lane: step.worker.and_then(|worker| self.lanes.keys().position(|&w| w == worker)),
            id: step.kind.item().map(|item| item.id),
        });
        let columns = columns.iter().map(|([from, to], text)| PageStep {
            kind: "column",
            from: part(*from),
            to: part(*to),
            text: text.clone(),
            lane: None,
            id: None,
        });
        let steps: Vec<_> = events.chain(columns).collect();
        to_script_json(&steps)
    }

    /// The names of the items, by id.
    pub(super) fn item_labels_as_json(&self) -> String {
        to_script_json(&self.item_labels)
    }

    /// The time and the event in words.
    fn describe_step(&self, labels: &Labels, step: &Step) -> String {
        let worker = step.worker.map(|worker| labels.names.worker_name(worker));
        let item = step.kind.item().map(|item| self.item_label(labels, item.id));
        // Without a capacity the wait was for the answer of the queue.
        let step = &Step { waited: step.waited.filter(|_| self.capacity.is_some()), ..*step };
        let text = labels.event(step, &worker.unwrap_or_default(), &item.unwrap_or_default());
        format!("{}: {text}", labels.instant(step.at))
    }
}

/// Our own types as JSON, which cannot fail. A `<` could end the script element that contains the JSON.
fn to_script_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default().replace('<', "\\u003c")
}
