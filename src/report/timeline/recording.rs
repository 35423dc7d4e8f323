//! A recording: the events of a run, read from its JSON lines.

use std::io::BufRead;

use anyhow::{Context, bail};
use serde::de::Error as _;

use super::Timeline;
use crate::catalogue::message;
use crate::clock::Nanos;
use crate::report::json_event::JsonEvent;

/// The timeline of recorded events.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) timeline: Timeline,
    /// The time of the last event.
    pub(crate) end: Nanos,
    /// The last line was incomplete: its writer was killed.
    pub(crate) is_truncated: bool,
}

/// A run has at most 1000 producers and 1000 consumers. Each worker has a lane, which takes memory and time,
/// and a picture of too many lanes shows nothing.
const MAX_WORKERS: usize = 2 * 1000;

impl Recording {
    /// Reads all events.
    ///
    /// # Errors
    /// If there is no event, or if a line other than an incomplete last one is not an event.
    pub(crate) fn read(mut events: impl BufRead) -> anyhow::Result<Self> {
        let mut recording = Self { timeline: Timeline::new(None, []), end: 0, is_truncated: false };
        let mut line = Vec::new();
        for number in 1_u64.. {
            line.clear();
            if events.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            match parse_line(&line) {
                // The file contains two recordings.
                Ok(event) if event.t.0 < recording.end => {
                    bail!(message!("output-earlier-line", number = number))
                }
                Ok(event) => {
                    recording.add(&event);
                    if recording.timeline.lanes.len() > MAX_WORKERS {
                        let max = MAX_WORKERS;
                        bail!(message!("output-too-many-workers", number = number, max = max));
                    }
                }
                Err(_) if line.last() != Some(&b'\n') && number > 1 => {
                    recording.is_truncated = true
                }
                Err(error) => {
                    Err(error).with_context(|| message!("output-not-event", number = number))?;
                }
            }
        }
        if recording.timeline.lanes.is_empty() {
            bail!(message!("output-no-event"));
        }
        Ok(recording)
    }

    fn add(&mut self, line: &JsonEvent<'_>) {
        self.end = line.t.0;
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
        Some(id @ u64::MAX) => {
            Err(serde_json::Error::custom(message!("output-no-such-id", id = id)))
        }
        _ => Ok(event),
    }
}
