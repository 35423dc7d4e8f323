//! Items between what they are in the queue (JSON text) and what people see.

use std::borrow::Cow;

use serde_json::value::RawValue;

/// Text as an item: a JSON string.
pub(crate) fn encode(text: &str, item: &mut Vec<u8>) {
    item.clear();
    // Neither a string nor a Vec can fail.
    let _ = serde_json::to_writer(item, text);
}

/// A string without its quotes, any other value as JSON.
pub(crate) fn bare(item: &[u8]) -> Cow<'_, str> {
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
pub(crate) fn value(item: &[u8]) -> Option<Cow<'_, RawValue>> {
    match serde_json::from_slice(item) {
        Ok(value) => Some(Cow::Borrowed(value)),
        Err(_) => {
            serde_json::value::to_raw_value(&String::from_utf8_lossy(item)).ok().map(Cow::Owned)
        }
    }
}

/// What is safe to show on a terminal: control characters are spelled out.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => safe.extend(c.escape_default()),
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
            encode(text, &mut item);
            assert_eq!(memchr::memchr(b'\n', &item), None);
            assert_eq!(bare(&item), text);
        }
    }

    #[test]
    fn other_values_stay_as_they_were_written() {
        for text in ["12345678901234567890123", "{\"b\":1,\"a\":2}", "null", "\"", "\"a\"b\""] {
            assert_eq!(bare(text.as_bytes()), text);
        }
    }

    #[test]
    fn a_terminal_gets_no_control_characters() {
        assert_eq!(printable("アイテム"), "アイテム");
        assert_eq!(printable("a\u{1b}[2Jb\r"), "a\\u{1b}[2Jb\\r");
    }
}
