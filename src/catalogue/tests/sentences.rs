//! No sentence for people stands in the code.

use proc_macro2::{TokenStream, TokenTree};

use super::*;

/// The files whose strings are not for people, and why.
const OTHER_FILES: [(&str, &str); 7] = [
    ("src/cli/reference.rs", "only tests compile it"),
    ("src/report/stats/theory/textbook.rs", "only tests compile it"),
    ("src/learn/lessons.rs", "commands of a shell"),
    ("src/testing", "only tests compile it"),
    ("src/queue/model.rs", "only tests compile it"),
    ("src/server/script.rs", "the pieces of the script in Lua"),
    ("src/wire/request", "for the programmer of another client; PROTOCOL.md is English"),
];

/// The texts that are not for people, and why.
const OTHER_TEXTS: [(&str, &str); 4] = [
    ("executing the script can't run this command", "to be found in a server's answer"),
    ("invalid peer certificate", "to be found in an answer of the TLS library"),
    ("max number of clients", "to be found in a server's answer"),
    ("a client key has 16 hexadecimal digits", "a key that does not parse is not reported"),
];

/// The macros and functions whose strings no user reads.
const FOR_PROGRAMMERS: [&str; 10] = [
    "message",
    "expect",
    "unreachable",
    "debug_assert",
    "debug_assert_eq",
    "assert",
    "assert_eq",
    "assert_ne",
    "panic",
    "concat",
];

fn is_japanese(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}')
}

/// Whether this text is one for people: three words, or a Japanese letter.
fn is_sentence(text: &str) -> bool {
    let is_word = |word: &&str| {
        let word = word.trim_matches(|c: char| ",;:.()?!'".contains(c));
        !word.is_empty() && word.chars().all(|c| c.is_ascii_alphabetic() || "'-".contains(c))
    };
    text.split(' ').filter(is_word).count() > 2 || text.chars().any(is_japanese)
}

/// The text of a string literal. None for another literal.
fn string(literal: &proc_macro2::Literal) -> Option<String> {
    let source = literal.to_string();
    let (_, text) = source.split_once('"')?;
    let (text, _) = text.rsplit_once('"')?;
    let joined = text.split("\\\n").map(str::trim_start).collect::<Vec<_>>();
    Some(joined.concat())
}

/// The sentences in a piece of code.
fn sentences(code: TokenStream, found: &mut Vec<String>) {
    let tokens: Vec<_> = code.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        let is_mark =
            |token: &TokenTree, mark| matches!(token, TokenTree::Punct(p) if p.as_char() == mark);
        let is_attribute = is_mark(&tokens[at], '#');
        // The `!` of an attribute of the whole file.
        at +=
            usize::from(is_attribute && tokens.get(at + 1).is_some_and(|next| is_mark(next, '!')));
        match (&tokens[at], tokens.get(at + 1)) {
            (TokenTree::Punct(_), Some(TokenTree::Group(group))) if is_attribute => {
                let attribute = group.stream().to_string().replace(' ', "");
                at += 2;
                if attribute.starts_with("cfg(test)") || attribute.starts_with("cfg(any(test,") {
                    at = end_of_item(&tokens, at);
                } else if attribute.starts_with("error(") {
                    error_texts(group.stream(), found);
                }
                continue;
            }
            (TokenTree::Ident(name), Some(next)) => {
                let is_macro = is_mark(next, '!');
                let arguments = tokens.get(at + 1 + usize::from(is_macro));
                if let Some(TokenTree::Group(_)) = arguments
                    && FOR_PROGRAMMERS.iter().any(|for_them| name == for_them)
                {
                    at += 1 + usize::from(is_macro);
                }
            }
            (TokenTree::Literal(literal), _) => {
                found.extend(string(literal).filter(|text| is_sentence(text)));
            }
            (TokenTree::Group(group), _) => sentences(group.stream(), found),
            _ => {}
        }
        at += 1;
    }
}

/// The texts in `#[error(…)]` that are more than a parameter: no word of an error stands there.
fn error_texts(attribute: TokenStream, found: &mut Vec<String>) {
    for token in attribute {
        let TokenTree::Group(group) = token else { continue };
        let Some(TokenTree::Literal(literal)) = group.stream().into_iter().next() else { continue };
        let text = string(&literal).unwrap_or_default();
        let outside = text.split('{').map(|part| part.rsplit('}').next().unwrap_or_default());
        let has_words = outside.flat_map(str::chars).any(char::is_alphabetic);
        found.extend(has_words.then_some(text));
    }
}

/// The index after the item at `from`: after its semicolon or its braces.
fn end_of_item(tokens: &[TokenTree], from: usize) -> usize {
    let ends = |token: &TokenTree| match token {
        TokenTree::Punct(mark) => mark.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == proc_macro2::Delimiter::Brace,
        _ => false,
    };
    tokens[from..].iter().position(ends).map_or(tokens.len(), |at| from + at + 1)
}

#[test]
fn no_sentence_stands_in_the_code() {
    let mut files = Vec::new();
    rust_files(Path::new("src"), &mut files);
    let mut wrong = Vec::new();
    for path in files {
        let name = path.display().to_string();
        let is_for_tests = name.contains("/tests/") || name.ends_with("tests.rs");
        let is_left_out = OTHER_FILES.iter().any(|(file, _)| name.starts_with(file));
        if is_for_tests || is_left_out {
            continue;
        }
        let mut found = Vec::new();
        sentences(fs::read_to_string(&path).unwrap().parse().unwrap(), &mut found);
        found.retain(|text| OTHER_TEXTS.iter().all(|(other, _)| other != text));
        wrong.extend(found.into_iter().map(|text| format!("{name}: {text}")));
    }
    assert!(wrong.is_empty(), "these texts belong into the catalogue: {wrong:#?}");
}

#[test]
fn a_sentence_is_found_where_people_read_it_and_only_there() {
    let found = |code: &str| {
        let mut found = Vec::new();
        sentences(code.parse().unwrap(), &mut found);
        found
    };
    assert_eq!(found(r#"bail!("the file {x} is gone")"#), ["the file {x} is gone"]);
    assert_eq!(found(r#"let x = "アイテム";"#), ["アイテム"]);
    assert_eq!(found(r#"#[error("{0} is gone")] Gone(u8)"#), ["{0} is gone"]);
    for fine in [
        r#"x.expect("one two three four")"#,
        r#"message!("log-put", a = "x")"#,
        r#"write!(f, "put {seq} {id}")"#,
        r#"#[error("{}", message!("a-b"))] Gone"#,
        r#"#[cfg(test)] mod tests { const X: &str = "one two three"; }"#,
        "#[doc = \"one two three\"] struct X;",
    ] {
        assert_eq!(found(fine), [""; 0], "{fine}");
    }
}

/// Asserts that an error has a text in each language, and that no parameter is missing.
#[track_caller]
pub(crate) fn assert_in_both_languages(error: &dyn std::fmt::Display) {
    let [ja, en] = [Lang::Ja, Lang::En].map(|lang| in_language(lang, || error.to_string()));
    assert!(ja.chars().any(is_japanese), "no Japanese: {ja}");
    assert!(!en.chars().any(is_japanese), "Japanese: {en}");
    for text in [ja, en] {
        assert!(!text.contains("{$") && !text.contains("{ $"), "a parameter is missing: {text}");
        assert!(!text.contains('\n') && text.len() > 4, "{text:?}");
    }
}

#[test]
fn every_message_with_words_is_japanese_in_japanese_and_english_in_english() {
    fn words(pattern: &Pattern<&str>, text: &mut String) {
        for element in &pattern.elements {
            match element {
                PatternElement::TextElement { value } => text.push_str(value),
                PatternElement::Placeable { expression: Expression::Select { variants, .. } } => {
                    variants.iter().for_each(|variant| words(&variant.value, text));
                }
                PatternElement::Placeable { .. } => {}
            }
        }
    }
    let texts = |text| {
        let resource = parser::parse(text).unwrap();
        let messages = resource.body.into_iter().filter_map(|entry| match entry {
            Entry::Message(message) => Some(message),
            _ => None,
        });
        messages.map(|message| {
            let mut text = String::new();
            words(message.value.as_ref().unwrap(), &mut text);
            (message.id.name, text)
        })
    };
    let own = [
        "bench", "cli", "command", "error", "exec", "folder", "input", "keeper", "os", "output",
        "reason", "refusal", "server", "status", "value",
    ];
    for file in FILES.iter().filter(|file| own.contains(&file.name)) {
        let [ja, en] = file.texts;
        for (name, text) in texts(en) {
            assert!(!text.chars().any(is_japanese), "{name}: {text}");
        }
        for (name, text) in texts(ja) {
            // Names of settings and of programs are in both languages what they are.
            let is_name = ["os-other", "server-fact-policy"].contains(&name);
            let has_words = text.chars().any(char::is_alphabetic);
            assert!(is_name || !has_words || text.chars().any(is_japanese), "{name}: {text}");
            let ends_without_mark = text == "。" || !text.trim_end().ends_with('。');
            assert!(ends_without_mark, "an error ends without a mark: {text}");
        }
    }
}
