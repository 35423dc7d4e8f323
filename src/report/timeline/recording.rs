//! A recording: the events of a run, read from its JSON lines.

use std::io::{self, BufRead};

use serde::de::Error as _;

use super::Timeline;
use crate::clock::Nanos;
use crate::report::json_event::JsonEvent;
use crate::report::seconds::Seconds;

/// The timeline of recorded events.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) timeline: Timeline,
    /// The time of the last event.
    pub(crate) end: Nanos,
    /// The last line was incomplete: its writer was killed.
    pub(crate) is_truncated: bool,
}

/// A recording is not readable or not drawable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordingError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("line {line} is no event, as `qdemo run --format json` prints them")]
    NotAnEvent { line: usize, source: serde_json::Error },
    #[error("there is no event in it: record some with `qdemo run --format json`")]
    Empty,
    /// The file contains two recordings.
    #[error("line {line} is earlier than the one before it: draw one recording at a time")]
    OutOfOrder { line: usize },
    /// Each worker has a lane, which takes memory and time, and a picture of too many lanes shows nothing.
    #[error(
        "line {line} names one more worker than the {MAX_WORKERS} that a run may have: draw one run at a time"
    )]
    TooManyWorkers { line: usize },
}

/// A run has at most 1000 producers and 1000 consumers.
const MAX_WORKERS: usize = 2 * 1000;

impl Recording {
    /// Reads all events.
    ///
    /// # Errors
    /// If there is no event, or if a line other than an incomplete last one is not an event.
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
            match parse_line(&line) {
                Ok(event) if event.t < last => {
                    return Err(RecordingError::OutOfOrder { line: number });
                }
                Ok(event) => {
                    last = event.t;
                    recording.add(&event);
                    if recording.timeline.lanes.len() > MAX_WORKERS {
                        return Err(RecordingError::TooManyWorkers { line: number });
                    }
                }
                Err(_) if line.last() != Some(&b'\n') && number > 1 => {
                    recording.is_truncated = true
                }
                Err(source) => return Err(RecordingError::NotAnEvent { line: number, source }),
            }
        }
        if recording.timeline.lanes.is_empty() {
            return Err(RecordingError::Empty);
        }
        Ok(recording)
    }

    fn add(&mut self, line: &JsonEvent<'_>) {
        self.end = self.end.max(line.t.0);
        let batch = line.batch();
        match (line.event(batch.as_ref()), line.worker()) {
            (Some(event), _) => self.timeline.on_event(event),
            // A line of items without an id shows only that the worker exists.
            (None, Some(worker)) => {
                self.timeline.lane_mut(worker);
            }
            (None, None) => {}
        }
    }
}

/// Reads a line. The largest id is refused, because a batch needs an end id above its last id.
fn parse_line(line: &[u8]) -> serde_json::Result<JsonEvent<'_>> {
    let event: JsonEvent<'_> = serde_json::from_slice(line)?;
    match event.id {
        Some(id @ u64::MAX) => Err(serde_json::Error::custom(format!("no item has id {id}"))),
        _ => Ok(event),
    }
}
