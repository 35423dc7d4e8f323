//! Converts items between JSON text, as the queue has them, and text for people.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// Encodes text as an item: a JSON string. The call replaces the contents of `item`.
pub(crate) fn encode_string(text: &str, item: &mut Vec<u8>) {
    item.clear();
    // Serializing a string into a Vec cannot fail.
    let _ = serde_json::to_writer(item, text);
}

/// The text of an item for people: a string without its quotes, any other value as JSON.
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

/// An item as a JSON value. An item that is no JSON becomes a string.
pub(crate) fn json_value(item: &[u8]) -> Option<Cow<'_, RawValue>> {
    match serde_json::from_slice(item) {
        Ok(value) => Some(Cow::Borrowed(value)),
        Err(_) => {
            serde_json::value::to_raw_value(&String::from_utf8_lossy(item)).ok().map(Cow::Owned)
        }
    }
}

/// Whether a terminal acts on this character: a control character, a line separator, or a character that
/// changes the direction of the text.
fn is_terminal_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}')
}

/// Text that is safe on a terminal: characters that a terminal acts on are escaped.
pub(crate) fn escape_for_terminal(text: &str) -> Cow<'_, str> {
    escape_chars(text, is_terminal_control, |c, safe| safe.extend(c.escape_default()))
}

/// Text that stays on one line: control characters are escaped.
pub(crate) fn escape_controls(text: &str) -> Cow<'_, str> {
    escape_chars(text, char::is_control, |c, safe| safe.extend(c.escape_default()))
}

/// A word for bash, zsh or ksh that is safe on a terminal: `$'a\tb'`.
pub(crate) fn quote_for_terminal(word: &[u8]) -> String {
    // An octal number has three digits at most in each shell, so a digit may follow.
    let octal = |byte: u8| format!("\\{byte:03o}");
    let is_special = |c| is_terminal_control(c) || matches!(c, '\\' | '\'');
    let escape = |c: char, safe: &mut String| match c {
        '\\' | '\'' => safe.extend(['\\', c]),
        '\n' | '\r' | '\t' => safe.extend(c.escape_default()),
        c => safe.extend(c.to_string().bytes().map(octal)),
    };
    let mut quoted = "$'".to_owned();
    for chunk in word.utf8_chunks() {
        quoted.push_str(&escape_chars(chunk.valid(), is_special, escape));
        quoted.extend(chunk.invalid().iter().copied().map(octal));
    }
    quoted.push('\'');
    quoted
}

/// JSON text that is safe on a terminal, and has the same value.
pub(crate) fn escape_json_for_terminal(json: &str) -> Cow<'_, str> {
    let is_unsafe = |c| is_terminal_control(c) && c != '\n';
    escape_chars(json, is_unsafe, |c, safe| match c {
        // A JSON string cannot contain these characters, so they separate two values.
        '\t' | '\r' => safe.push(' '),
        // The unsafe characters have at most four digits.
        c => safe.push_str(&format!("\\u{:04x}", u32::from(c))),
    })
}

fn escape_chars(
    text: &str,
    is_unsafe: impl Fn(char) -> bool,
    escape: impl Fn(char, &mut String),
) -> Cow<'_, str> {
    if !text.chars().any(&is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) {
            escape(c, &mut safe);
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_text_is_displayed_unchanged() {
        let mut item = Vec::new();
        for text in ["アイテム0", "", "a \"quoted\" \\ one", "tab\tline\nend", "\u{1}"] {
            encode_string(text, &mut item);
            assert_eq!(memchr::memchr(b'\n', &item), None);
            assert_eq!(display_text(&item), text);
        }
    }

    #[test]
    fn other_values_are_displayed_unchanged() {
        for text in ["12345678901234567890123", "{\"b\":1,\"a\":2}", "null", "\"", "\"a\"b\""] {
            assert_eq!(display_text(text.as_bytes()), text);
        }
    }

    #[test]
    fn escaped_text_has_no_control_characters() {
        assert_eq!(escape_for_terminal("アイテム"), "アイテム");
        assert_eq!(escape_for_terminal("a\u{1b}[2Jb\r"), "a\\u{1b}[2Jb\\r");
        assert_eq!(
            escape_for_terminal("\u{9b}2J \u{202e}x\u{2028}"),
            "\\u{9b}2J \\u{202e}x\\u{2028}"
        );
        assert_eq!(escape_controls("\u{9b}\n\u{202e}"), "\\u{9b}\\n\u{202e}");
    }

    #[test]
    fn a_word_that_is_quoted_for_a_terminal_has_no_control_characters() {
        let quoted = |word: &[u8]| quote_for_terminal(word);
        assert_eq!(quoted("ア\t1\n".as_bytes()), r"$'ア\t1\n'");
        assert_eq!(quoted(b"it's \\ \x1b1"), r"$'it\'s \\ \0331'");
        assert_eq!(quoted("\u{200e}x".as_bytes()), r"$'\342\200\216x'");
        assert_eq!(quoted(b"\xffa"), r"$'\377a'");
    }

    #[test]
    fn escaped_json_has_the_same_value() {
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
