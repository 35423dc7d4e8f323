//! A recording: the events of a run, read from its JSON lines.

use std::io::BufRead;

use anyhow::bail;

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
        let mut recording = Self {
            timeline: Timeline::new(None, []).with_statistics(false),
            end: 0,
            is_truncated: false,
        };
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
                Err(fault) => {
                    bail!(message!("output-not-event", number = number, fault = fault))
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
/// The error is a text for people.
fn parse_line(line: &[u8]) -> Result<JsonEvent<'_>, String> {
    let event = JsonEvent::parse(line)?;
    match event.id {
        Some(id @ u64::MAX) => Err(message!("output-no-such-id", id = id)),
        _ => Ok(event),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Lang, in_language};

    fn fault(lang: Lang, line: &str) -> String {
        let lines = format!("{{\"t\":0,\"event\":\"end\"}}\n{line}\n");
        in_language(lang, || format!("{:#}", Recording::read(lines.as_bytes()).unwrap_err()))
    }

    #[test]
    fn a_line_that_is_no_event_is_named_with_its_fault_in_each_language() {
        for (line, en, ja) in [
            ("put a", "it is not one JSON object", "1 つの JSON オブジェクトではありません"),
            ("[1]", "it is not one JSON object", "1 つの JSON オブジェクトではありません"),
            (r#"{"t":1"#, "it is not one JSON object", "1 つの JSON オブジェクトではありません"),
            (r#"{"event":"end"}"#, "it has no field `t`", "フィールド `t` がありません"),
            (r#"{"t":1,"id":2}"#, "it has no field `event`", "フィールド `event` がありません"),
            (
                r#"{"t":1,"event":"jump"}"#,
                "there is no event \"jump\"",
                "\"jump\" というイベントはありません",
            ),
            (
                r#"{"t":-1,"event":"end"}"#,
                "-1 is no time in seconds, from 0 to 584 years",
                "-1 は 0 から 584 年までの秒数ではありません",
            ),
            (
                r#"{"t":1,"event":"end","worker":"x"}"#,
                "\"x\" is no value of the field `worker`",
                "フィールド `worker` の値 \"x\" が正しくありません",
            ),
            (
                r#"{"t":1,"t":1,"event":"end"}"#,
                "it has a field twice",
                "同じフィールドが 2 つあります",
            ),
            (
                r#"{"t":1,"event":"put","id":18446744073709551615}"#,
                "no item has id 18446744073709551615",
                "ID 18446744073709551615 のアイテムはありません",
            ),
        ] {
            let head = "line 2 is no event, as `qdemo run --format json` prints them: ";
            assert_eq!(fault(Lang::En, line), format!("{head}{en}"));
            let head = "2 行目は `qdemo run --format json` が出力するイベントではありません: ";
            assert_eq!(fault(Lang::Ja, line), format!("{head}{ja}"));
        }
        let long = fault(Lang::En, &format!(r#"{{"t":1,"event":"{}"}}"#, "x".repeat(1000)));
        assert!(long.len() < 200, "{long}");
    }
}
