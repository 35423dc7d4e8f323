//! Breaking text into lines.

use console::measure_text_width;
use unicode_linebreak::{BreakOpportunity, linebreaks};

/// Breaks the lines of a text where its language allows it: Japanese has no spaces. Options and URLs stay whole.
pub(crate) fn wrap_text(text: &str, width: usize) -> String {
    let mut wrapped = String::new();
    let (mut line, mut from) = (String::new(), 0);
    for (to, opportunity) in linebreaks(text) {
        if is_within_word(text, to) {
            continue;
        }
        let piece = &text[from..to];
        from = to;
        if measure_text_width(&line) + measure_text_width(piece.trim_end()) > width {
            wrapped.push_str(line.trim_end());
            wrapped.push('\n');
            line.clear();
        }
        line.push_str(piece.trim_end_matches('\n'));
        if opportunity == BreakOpportunity::Mandatory && to < text.len() {
            wrapped.push_str(line.trim_end());
            wrapped.push('\n');
            line.clear();
        }
    }
    wrapped + line.trim_end()
}

/// Whether a break at `at` would be between two characters of an ASCII word, as in `--option` or `redis://HOST`.
fn is_within_word(text: &str, at: usize) -> bool {
    let (before, after) = text.split_at(at);
    let is_part = |c: char| c.is_ascii_graphic();
    before.ends_with(is_part) && after.starts_with(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_where_the_language_allows_it() {
        assert_eq!(wrap_text("one two three", 8), "one two\nthree");
        assert_eq!(wrap_text("one two three", 6), "one\ntwo\nthree");
        assert_eq!(wrap_text("a\n\nb", 8), "a\n\nb");
        assert_eq!(wrap_text("値: --no-wait", 8), "値:\n--no-wait");
        assert_eq!(wrap_text("URL redis://HOST", 14), "URL\nredis://HOST");
        assert_eq!(wrap_text("キューの名前。", 8), "キューの\n名前。");
        assert_eq!(wrap_text("キューの名", 20), "キューの名");
    }
}
