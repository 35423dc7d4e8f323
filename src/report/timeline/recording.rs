//! Events that were printed as JSON, taken in again.

use std::io::{self, BufRead};

use bytes::Bytes;
use serde::Deserialize;
use serde::de::Error as _;
use serde_json::value::RawValue;

use super::{EventName, RunEvent, Timeline};
use crate::clock::Nanos;
use crate::queue::{Batch, Items};
use crate::report::seconds::Seconds;
use crate::role::{Role, WorkerId};

/// What was recorded.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) timeline: Timeline,
    /// When the last event was.
    pub(crate) end: Nanos,
    /// The last line was not whole: whoever wrote it has been killed.
    pub(crate) is_truncated: bool,
}

/// Why no picture can be drawn.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordingError {
    /// It could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// This line is no event.
    #[error("line {line} is no event, as `qdemo run --format json` prints them")]
    NotAnEvent {
        line: usize,
        #[source]
        why: serde_json::Error,
    },
    /// Nothing happened.
    #[error("there is no event in it: record some with `qdemo run --format json`")]
    Empty,
    /// Two recordings, one behind the other.
    #[error("line {line} is earlier than the one before it: draw one recording at a time")]
    OutOfOrder { line: usize },
    /// More than a run has. Each has a lane, which takes room and time, and nobody could see them all.
    #[error(
        "line {line} names one more worker than the {MAX_WORKERS} that a run may have: draw one run at a time"
    )]
    TooManyWorkers { line: usize },
}

/// A run has so many producers and as many consumers at most.
const MAX_WORKERS: usize = 2 * 1000;

/// A line, as far as a picture needs it.
#[derive(Deserialize)]
struct RecordedEvent<'a> {
    t: Seconds,
    event: EventName,
    role: Option<Role>,
    worker: Option<u32>,
    id: Option<u64>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    attempt: Option<u32>,
    waited: Option<Seconds>,
}

impl RecordedEvent<'_> {
    /// There is a number behind that of its item.
    fn check_id(self) -> serde_json::Result<Self> {
        match self.id {
            Some(id @ u64::MAX) => Err(serde_json::Error::custom(format!("no item has id {id}"))),
            _ => Ok(self),
        }
    }
}

impl Recording {
    /// Reads events up to the end.
    ///
    /// # Errors
    /// When there are none, or when a line but the last is none.
    pub(crate) fn read(mut events: impl BufRead) -> Result<Self, RecordingError> {
        let mut recording = Self { timeline: Timeline::new(None, []), end: 0, is_truncated: false };
        let (mut line, mut last) = (Vec::new(), Seconds(0));
        for number in 1.. {
            line.clear();
            if events.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            match serde_json::from_slice::<RecordedEvent<'_>>(&line)
                .and_then(RecordedEvent::check_id)
            {
                Ok(event) if event.t < last => {
                    return Err(RecordingError::OutOfOrder { line: number });
                }
                Ok(event) => {
                    last = event.t;
                    recording.record(&event);
                    if recording.timeline.lanes.len() > MAX_WORKERS {
                        return Err(RecordingError::TooManyWorkers { line: number });
                    }
                }
                Err(_) if line.last() != Some(&b'\n') && number > 1 => {
                    recording.is_truncated = true
                }
                Err(reason) => {
                    return Err(RecordingError::NotAnEvent { line: number, why: reason });
                }
            }
        }
        match recording.timeline.is_empty() {
            true => Err(RecordingError::Empty),
            false => Ok(recording),
        }
    }

    fn record(&mut self, line: &RecordedEvent<'_>) {
        let Seconds(at) = line.t;
        self.end = self.end.max(at);
        if line.event == EventName::Clear {
            self.timeline.record_clear(at);
        }
        let Some(role) = line.role else { return };
        let batch = line.id.map(|first| {
            let item = line.item.map_or("null", RawValue::get);
            let lines = Items { count: 1, bytes: Bytes::from(format!("{item}\n")) };
            Batch {
                first_id: first,
                attempt: line.attempt.unwrap_or(1),
                delivery_failures: 0,
                accepted_at: at,
                items: lines,
            }
        });
        self.timeline.record(&RunEvent {
            at,
            name: line.event,
            // Whoever works alone has no number.
            worker: WorkerId { role, index: line.worker.unwrap_or(1) },
            batch: batch.as_ref(),
            waited: line.waited.map_or(0, |waited| waited.0),
        });
    }
}
