//! Why an item has failed: what its consumer knows of it, or the rules. The failure travels and is stored as a reason, which is
//! one line of text that neither the rules nor the journal nor a server interpret.
//!
//! The line is a JSON object. A line that is no such object is the reason of an earlier version, or of another program: a
//! text for people.

use console::strip_ansi_codes;
use serde::{Deserialize, Serialize};

use crate::catalogue::{Lang, message, recompose};
use crate::clock::WallTime;

/// At most this many lines of standard error are kept.
const MAX_LINES: usize = 10;
/// A text has at most this many bytes in a reason, as JSON. So a reason fits into the line of a request, which has
/// at most 4096 bytes.
const MAX_TEXT_BYTES: usize = 2048;
/// What is before this mark in a line has been cut off.
const CUT: char = '…';

/// Why an item has failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    #[serde(flatten)]
    pub(crate) cause: Cause,
    /// The command got SIGTERM, since it took longer than `--timeout-each`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) timed_out: bool,
    /// How often the consumer ran the command. None if no command ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tries: Option<u32>,
    /// None only for the reason of an earlier version, or of another program.
    pub(crate) at: Option<WallTime>,
    /// The last lines that the command has printed on standard error.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) stderr: String,
}

/// What made an item fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cause {
    /// The exit code of the command.
    Exit(i32),
    /// The signal that ended the command.
    Signal(i32),
    /// So many consumers died, or held the item for longer than their lease.
    DeliveryFailures(u32),
    /// The words of the consumer.
    Message(String),
}

impl Failure {
    pub(crate) fn new(cause: Cause, at: WallTime) -> Self {
        Self { cause, timed_out: false, tries: None, at: Some(at), stderr: String::new() }
    }

    /// The failure of an item that a consumer reports in its own words.
    pub(crate) fn of_message(text: &str, at: WallTime) -> Self {
        let text = text.replace(['\n', '\r'], " ");
        let end = end_within(text.char_indices().map(|(i, c)| (i + c.len_utf8(), c)));
        Self::new(Cause::Message(text[..end.unwrap_or(0)].to_owned()), at)
    }

    /// The failure of an item that the rules set aside after so many delivery failures.
    pub(crate) fn of_deliveries(delivery_failures: u32, at: WallTime) -> Self {
        Self::new(Cause::DeliveryFailures(delivery_failures), at)
    }

    /// The line for the protocol and the journal.
    pub(crate) fn to_reason(&self) -> String {
        // Serializing this struct cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a line of the protocol.
    pub(crate) fn from_reason(reason: &str) -> Self {
        let parsed = serde_json::from_str(reason).ok().filter(|parsed: &Self| parsed.at.is_some());
        parsed.unwrap_or_else(|| Self {
            cause: Cause::Message(reason.to_owned()),
            timed_out: false,
            tries: None,
            at: None,
            stderr: String::new(),
        })
    }

    /// The reason in one sentence. `lang` is English or the language of this process.
    pub(crate) fn why(&self, lang: Lang) -> String {
        let how = match &self.cause {
            Cause::Exit(code) => message!(lang, "reason-exit-code", code = *code),
            Cause::Signal(signal) => message!(lang, "reason-signal", signal = *signal),
            Cause::DeliveryFailures(1) => message!(lang, "reason-consumer-died"),
            Cause::DeliveryFailures(n) => {
                message!(lang, "reason-consumers-died", consumers = *n)
            }
            Cause::Message(text) if lang == Lang::En => text.clone(),
            Cause::Message(text) => recompose(text).unwrap_or_else(|| text.clone()),
        };
        let how = if self.timed_out { message!(lang, "reason-timeout", how = how) } else { how };
        match self.tries {
            None | Some(1) => how,
            Some(tries) => message!(lang, "reason-last-try", reason = how, tries = tries),
        }
    }
}

/// The last lines of what a command has printed on standard error, without colours, and without what a carriage return has
/// replaced. `is_cut`: the command has printed more before these bytes.
pub(crate) fn last_lines(end_of_output: &[u8], is_cut: bool) -> String {
    // The first character may have lost its first bytes.
    let rest_of_character = |byte: &&u8| is_cut && **byte & 0b1100_0000 == 0b1000_0000;
    let lost = end_of_output.iter().take(3).take_while(rest_of_character).count();
    let text = String::from_utf8_lossy(&end_of_output[lost..]);
    let text = strip_ansi_codes(&text);
    let lines = text.split('\n').map(|line| {
        let line = line.trim_end();
        line.rsplit('\r').next().unwrap_or(line)
    });
    let mut lines: Vec<_> = lines.filter(|line| !line.trim_start().is_empty()).collect();
    let is_first_line_cut = is_cut && lines.len() <= MAX_LINES;
    lines.drain(..lines.len().saturating_sub(MAX_LINES));
    let text = lines.join("\n");
    match end_within(text.char_indices().rev()) {
        Some(0) if is_first_line_cut => format!("{CUT}{text}"),
        Some(0) | None => text,
        Some(start) => format!("{CUT}{}", &text[start..]),
    }
}

/// How far the characters fit into a text of a reason: the place that comes with the last one that fits. None if
/// there is no character.
fn end_within(chars: impl Iterator<Item = (usize, char)>) -> Option<usize> {
    let mut bytes = CUT.len_utf8();
    let fitting = chars.take_while(|&(_, c)| {
        bytes += json_bytes(c);
        bytes <= MAX_TEXT_BYTES
    });
    fitting.last().map(|(at, _)| at)
}

/// How many bytes a character has in a JSON string, as `serde_json` writes it.
fn json_bytes(c: char) -> usize {
    match c {
        '"' | '\\' | '\u{8}' | '\t' | '\n' | '\u{c}' | '\r' => 2,
        '\0'..='\u{1f}' => 6,
        c => c.len_utf8(),
    }
}

#[cfg(test)]
mod tests;
