//! Items between what they are in the queue (JSON text) and what people see.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// Text as an item: a JSON string.
pub(crate) fn encode_string(text: &str, item: &mut Vec<u8>) {
    item.clear();
    // Neither a string nor a Vec can fail.
    let _ = serde_json::to_writer(item, text);
}

/// A string without its quotes, any other value as JSON.
pub(crate) fn display_text(item: &[u8]) -> Cow<'_, str> {
    if let [b'"', text @ .., b'"'] = item {
        if memchr::memchr2(b'\\', b'"', text).is_none() {
            return String::from_utf8_lossy(text);
        }
        if let Ok(text) = serde_json::from_slice::<String>(item) {
            return Cow::Owned(text);
        }
    }
    String::from_utf8_lossy(item)
}

/// An item as a JSON value. What somebody put that is no JSON is shown as a string.
pub(crate) fn json_value(item: &[u8]) -> Option<Cow<'_, RawValue>> {
    match serde_json::from_slice(item) {
        Ok(value) => Some(Cow::Borrowed(value)),
        Err(_) => {
            serde_json::value::to_raw_value(&String::from_utf8_lossy(item)).ok().map(Cow::Owned)
        }
    }
}

/// Whether a terminal obeys this character instead of showing it: a control character, a line separator, or a
/// character that changes the direction of the text around it.
fn is_terminal_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}')
}

/// What is safe to show on a terminal: the characters that it would obey are spelled out.
pub(crate) fn escape_for_terminal(text: &str) -> Cow<'_, str> {
    escape_chars(text, is_terminal_control, |c, safe| safe.extend(c.escape_default()))
}

/// What stays on one line, and is otherwise left alone: control characters are spelled out.
pub(crate) fn escape_controls(text: &str) -> Cow<'_, str> {
    escape_chars(text, char::is_control, |c, safe| safe.extend(c.escape_default()))
}

/// JSON text that is safe to show on a terminal, and has the same value.
pub(crate) fn escape_json_for_terminal(json: &str) -> Cow<'_, str> {
    let is_unsafe = |c| is_terminal_control(c) && c != '\n';
    escape_chars(json, is_unsafe, |c, safe| match c {
        // As no string of JSON has them, these stand between two values.
        '\t' | '\r' => safe.push(' '),
        // All of them have four digits at the most.
        c => safe.push_str(&format!("\\u{:04x}", u32::from(c))),
    })
}

fn escape_chars(
    text: &str,
    is_unsafe: impl Fn(char) -> bool,
    spell: impl Fn(char, &mut String),
) -> Cow<'_, str> {
    if !text.chars().any(&is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match is_unsafe(c) {
            true => spell(c, &mut safe),
            false => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_out_as_it_went_in() {
        let mut item = Vec::new();
        for text in ["アイテム0", "", "a \"quoted\" \\ one", "tab\tline\nend", "\u{1}"] {
            encode_string(text, &mut item);
            assert_eq!(memchr::memchr(b'\n', &item), None);
            assert_eq!(display_text(&item), text);
        }
    }

    #[test]
    fn other_values_stay_as_they_were_written() {
        for text in ["12345678901234567890123", "{\"b\":1,\"a\":2}", "null", "\"", "\"a\"b\""] {
            assert_eq!(display_text(text.as_bytes()), text);
        }
    }

    #[test]
    fn a_terminal_gets_no_control_characters() {
        assert_eq!(escape_for_terminal("アイテム"), "アイテム");
        assert_eq!(escape_for_terminal("a\u{1b}[2Jb\r"), "a\\u{1b}[2Jb\\r");
        assert_eq!(
            escape_for_terminal("\u{9b}2J \u{202e}x\u{2028}"),
            "\\u{9b}2J \\u{202e}x\\u{2028}"
        );
        assert_eq!(escape_controls("\u{9b}\n\u{202e}"), "\\u{9b}\\n\u{202e}");
    }

    #[test]
    fn json_for_a_terminal_has_the_same_value() {
        assert_eq!(escape_json_for_terminal("{\"a\": 1}\n"), "{\"a\": 1}\n");
        for text in
            ["\u{9b}2J", "\u{7f}", "\u{202e}\u{2066}\u{61c}\u{200f}\u{85}\u{2029}", "\u{1b}"]
        {
            let json = format!("{{\"a\":\r\t{}}}", serde_json::to_string(text).unwrap());
            let shown = escape_json_for_terminal(&json);
            assert!(!shown.chars().any(is_terminal_control), "{shown:?}");
            let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
            assert_eq!(value["a"], text);
        }
    }
}
