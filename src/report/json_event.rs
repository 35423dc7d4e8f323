//! The JSON line of an event: `--format json` prints the line, and `qdemo timeline` reads it back.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::seconds::Seconds;
use super::truncate_to_width;
use crate::catalogue::message;
use crate::event::{Event, EventKind};
use crate::queue::{Batch, Items};
use crate::role::{Role, WorkerId};

/// An error shows this many columns of a value.
const MAX_VALUE_WIDTH: usize = 60;

/// One line. An event with items has a line for each item. A key without a value is null.
#[derive(Serialize, Deserialize)]
#[cfg_attr(
    test,
    derive(schemars::JsonSchema),
    schemars(title = "An event of run, producer or consumer")
)]
pub(super) struct JsonEvent<'a> {
    /// The time since the start.
    pub(super) t: Seconds,
    /// What happened.
    event: EventName,
    /// The role of the worker, or of the client that deals with the item.
    role: Option<Role>,
    /// The number of the worker in its role, from 1. Null outside a run.
    worker: Option<u32>,
    /// The queue's id of the item, from 1.
    pub(super) id: Option<u64>,
    /// The item: any JSON value.
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    /// From 1, and one more for each time that the item was requeued.
    attempt: Option<u32>,
    /// How long the worker had waited for room or for an item. Null if nothing measured the wait.
    waited: Option<Seconds>,
}

/// The value of the key `event`.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
enum EventName {
    /// The queue accepted the item.
    Put,
    /// A consumer got the item.
    Get,
    /// A consumer has done the item.
    Done,
    /// The item was requeued.
    Back,
    /// The worker died.
    Died,
    /// A dead worker is replaced.
    Restart,
    /// The worker disconnected.
    Left,
    /// An interrupted run dropped its ready items.
    Clear,
    /// All processes of the run have finished.
    End,
}

impl<'a> JsonEvent<'a> {
    /// Reads a line. The error says in words for people what is wrong with the line.
    pub(super) fn parse(line: &'a [u8]) -> Result<Self, String> {
        serde_json::from_slice(line).map_err(|_| fault(line))
    }

    /// The line of an event without items. None for an event that a recording does not have.
    pub(super) fn new(event: &Event<'_>) -> Option<Self> {
        let name = match event.kind {
            EventKind::Put(_) => EventName::Put,
            EventKind::Delivered(_) => EventName::Get,
            EventKind::Done(_) => EventName::Done,
            EventKind::Requeued(_) => EventName::Back,
            EventKind::Died(_) => EventName::Died,
            EventKind::Restarted => EventName::Restart,
            EventKind::Left => EventName::Left,
            EventKind::Cleared => EventName::Clear,
            EventKind::Finished => EventName::End,
            EventKind::Waiting(_) | EventKind::SentinelPut => return None,
        };
        Some(Self {
            t: Seconds(event.at),
            event: name,
            role: event.role(),
            worker: event.worker.map(|worker| worker.index),
            id: None,
            item: None,
            attempt: None,
            waited: event.waited.map(Seconds),
        })
    }

    /// The line of one item of the event.
    pub(super) fn with_item(self, id: u64, item: Option<&'a RawValue>, attempt: u32) -> Self {
        Self { id: Some(id), item, attempt: Some(attempt), ..self }
    }

    /// The worker. A client outside a run has no index in JSON, and is the first of its role here.
    pub(super) fn worker(&self) -> Option<WorkerId> {
        self.role.map(|role| WorkerId { role, index: self.worker.unwrap_or(1) })
    }

    /// The item of the line as a batch.
    pub(super) fn batch(&self) -> Option<Batch> {
        let first_id = self.id?;
        let item = self.item.map_or("null", RawValue::get);
        let items = Items { count: 1, bytes: Bytes::from(format!("{item}\n")) };
        let attempt = self.attempt.unwrap_or(1);
        Some(Batch { first_id, attempt, delivery_failures: 0, accepted_at: self.t.0, items })
    }

    /// The event of the line, with the line's `batch`. `None` if the event needs a batch and has none.
    pub(super) fn event<'b>(&self, batch: Option<&'b Batch>) -> Option<Event<'b>> {
        let kind = match self.event {
            EventName::Put => EventKind::Put(batch?),
            EventName::Get => EventKind::Delivered(batch?),
            EventName::Done => EventKind::Done(batch?),
            EventName::Back => EventKind::Requeued(batch?),
            EventName::Died => EventKind::Died(None),
            EventName::Restart => EventKind::Restarted,
            EventName::Left => EventKind::Left,
            EventName::Clear => EventKind::Cleared,
            EventName::End => EventKind::Finished,
        };
        let waited = self.waited.map(|Seconds(waited)| waited);
        Some(Event { at: self.t.0, worker: self.worker(), waited, kind })
    }
}

/// What is wrong with a line that is no event. The texts of the JSON library are English.
fn fault(line: &[u8]) -> String {
    let Ok(fields) = serde_json::from_slice::<BTreeMap<String, &RawValue>>(line) else {
        return message!("output-not-object");
    };
    let value = |name: &str| fields.get(name).map_or("null", |value| value.get());
    let shown = |name: &str| truncate_to_width(value(name), MAX_VALUE_WIDTH);
    if let Some(name) = ["t", "event"].into_iter().find(|&name| !fields.contains_key(name)) {
        message!("output-no-field", name = name)
    } else if !is::<Seconds>(value("t")) {
        message!("output-not-seconds", value = shown("t"))
    } else if !is::<EventName>(value("event")) {
        message!("output-no-such-event", event = shown("event"))
    } else if let Some(name) = [
        ("role", is::<Option<Role>>(value("role"))),
        ("worker", is::<Option<u32>>(value("worker"))),
        ("id", is::<Option<u64>>(value("id"))),
        ("attempt", is::<Option<u32>>(value("attempt"))),
        ("waited", is::<Option<Seconds>>(value("waited"))),
    ]
    .into_iter()
    .find_map(|(name, is_right)| (!is_right).then_some(name))
    {
        message!("output-wrong-value", name = name, value = shown(name))
    } else {
        message!("output-field-twice")
    }
}

/// Whether the JSON is a value of this type.
fn is<'a, T: Deserialize<'a>>(json: &'a str) -> bool {
    serde_json::from_str::<T>(json).is_ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_of_an_event_is_that_of_its_type() {
        crate::testing::schemas::compare::<super::JsonEvent<'static>>("event");
    }
}
