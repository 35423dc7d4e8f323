//! The JSON record of a command that has ended.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;

use serde::Serialize;
use serde_json::value::RawValue;

use super::text::for_each_chunk;
use crate::exec::CommandOutcome;
use crate::item::json_value;
use crate::os::Meanwhile;
use crate::report::{Output, StdoutError, to_seconds};

/// The JSON record of a command that has ended.
#[derive(Serialize)]
#[cfg_attr(
    test,
    derive(schemars::JsonSchema),
    schemars(title = "The record of a command in a folder of results")
)]
struct CommandRecord<'a> {
    /// The queue's id of the item, from 1.
    id: u64,
    /// The item: any JSON value.
    item: Option<&'a RawValue>,
    /// From 1, and one more for each time that the item was requeued or tried.
    attempt: u32,
    /// Seconds since the consumer started.
    start: f64,
    /// In seconds.
    duration: f64,
    /// The exit code. Null after death by a signal.
    exit: Option<i32>,
    /// The number of the signal that ended the command.
    signal: Option<i32>,
    /// Whether the time limit has ended the command.
    timed_out: bool,
}

/// The record as a JSON object.
pub(super) fn record_json(outcome: &CommandOutcome) -> serde_json::Result<String> {
    let item = outcome.task.batch.items.iter().next().and_then(json_value);
    serde_json::to_string(&CommandRecord {
        id: outcome.task.id(),
        item: item.as_deref(),
        attempt: outcome.task.attempt(),
        start: to_seconds(outcome.started_at),
        duration: to_seconds(outcome.ended_at.saturating_sub(outcome.started_at)),
        exit: outcome.status.code(),
        signal: outcome.status.signal(),
        timed_out: outcome.has_timed_out,
    })
}

/// Prints the record with the two texts, which may be longer than the memory.
pub(super) fn print_record(
    out: &mut Output,
    outcome: &mut CommandOutcome,
    meanwhile: &mut Meanwhile<'_>,
) -> anyhow::Result<()> {
    let record = record_json(outcome)?;
    out.push_json(record.trim_end_matches('}'));
    for (key, text) in [("stdout", &mut outcome.stdout), ("stderr", &mut outcome.stderr)] {
        out.push_raw(format!(",\"{key}\":\"").as_bytes());
        print_json_text(out, text, meanwhile)?;
        out.push_raw(b"\"");
    }
    out.push_raw(b"}\n");
    Ok(out.flush_and(meanwhile).map_err(StdoutError)?)
}

/// Prints the inside of a JSON string. Bytes that are not UTF-8 become U+FFFD, as with `String::from_utf8_lossy`.
fn print_json_text(
    out: &mut Output,
    text: &mut impl Read,
    meanwhile: &mut Meanwhile<'_>,
) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    for_each_chunk(text, |chunk| {
        bytes.extend_from_slice(chunk);
        let complete = bytes.len() - begun_character_len(&bytes);
        push_json_text(out, &bytes[..complete])?;
        bytes.drain(..complete);
        Ok(out.flush_and(meanwhile).map_err(StdoutError)?)
    })?;
    push_json_text(out, &bytes)
}

fn push_json_text(out: &mut Output, bytes: &[u8]) -> anyhow::Result<()> {
    let json = serde_json::to_string(&String::from_utf8_lossy(bytes))?;
    out.push_json(json.trim_start_matches('"').strip_suffix('"').unwrap_or_default());
    Ok(())
}

/// The number of bytes at the end that may begin a character, whose other bytes are still to come.
fn begun_character_len(bytes: &[u8]) -> usize {
    let last = bytes.iter().rev().take(3).zip(1..);
    let lead = last.clone().find(|(byte, _)| **byte & 0b1100_0000 != 0b1000_0000);
    match lead {
        Some((&lead, count)) => {
            let whole = match lead {
                0xc0..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf7 => 4,
                _ => 1,
            };
            if count < whole { count } else { 0 }
        }
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::schemas;

    /// What [`print_record`] prints.
    #[derive(Serialize, schemars::JsonSchema)]
    #[schemars(title = "The command of a consumer for one item")]
    struct PrintedRecord<'a> {
        #[serde(flatten)]
        record: CommandRecord<'a>,
        /// What the command has printed on standard output. Empty with --tty.
        stdout: String,
        /// What the command has printed on standard error. Empty with --tty.
        stderr: String,
    }

    #[test]
    fn the_schemas_of_a_command_are_those_of_the_types() {
        schemas::compare::<CommandRecord<'static>>("record");
        schemas::compare::<PrintedRecord<'static>>("command");
    }

    #[test]
    fn a_text_in_pieces_becomes_the_same_string_as_in_one() {
        let texts: [&[u8]; 6] = [
            "aéあ😀".as_bytes(),
            b"\xf0\x9f\x98",
            b"\xe3\x81x\xff\xc3",
            b"\x80\x80\x80\x80\x80",
            b"\xf0\x9f\x98\xe3\x81\x82",
            b"\xf8\x80\x80\x80\xed\xa0\x80",
        ];
        for text in texts {
            for at in 0..=text.len() {
                let head = &text[..at];
                let (head, begun) = head.split_at(at - begun_character_len(head));
                let rest = [begun, &text[at..]].concat();
                let pieces = [head, &rest].map(|piece| String::from_utf8_lossy(piece).into_owned());
                assert_eq!(pieces.concat(), String::from_utf8_lossy(text), "{text:?} at {at}");
            }
        }
    }
}
