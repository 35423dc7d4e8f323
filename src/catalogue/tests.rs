//! The files of both languages have the same messages with the same parameters, and the code names messages that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use fluent_syntax::ast::{Entry, Expression, InlineExpression, Pattern, PatternElement};
use fluent_syntax::parser;

use super::messages::FILES;
use super::*;

mod recomposed;
mod sentences;

pub(crate) use sentences::assert_in_both_languages;

/// The parameters of each message.
type Parameters = BTreeMap<String, BTreeSet<String>>;

fn add_pattern(pattern: &Pattern<&str>, parameters: &mut BTreeSet<String>) {
    for element in &pattern.elements {
        match element {
            PatternElement::TextElement { .. } => {}
            PatternElement::Placeable { expression } => add_expression(expression, parameters),
        }
    }
}

fn add_expression(expression: &Expression<&str>, parameters: &mut BTreeSet<String>) {
    let inline = match expression {
        Expression::Inline(inline) => inline,
        Expression::Select { selector, variants } => {
            variants.iter().for_each(|variant| add_pattern(&variant.value, parameters));
            selector
        }
    };
    match inline {
        InlineExpression::VariableReference { id } => {
            parameters.insert(id.name.to_owned());
        }
        InlineExpression::StringLiteral { .. } => {}
        other => panic!("a message uses {other:?}"),
    }
}

/// The messages of a file. Their names begin with the name of the file.
fn parse(file: &str, text: &str) -> Parameters {
    let resource = parser::parse(text).unwrap_or_else(|(_, errors)| panic!("{file}: {errors:?}"));
    let mut messages = Parameters::new();
    for entry in &resource.body {
        let message = match entry {
            Entry::Message(message) => message,
            Entry::Comment(_) | Entry::GroupComment(_) | Entry::ResourceComment(_) => continue,
            other => panic!("{file} has {other:?}"),
        };
        let name = message.id.name;
        assert!(name.starts_with(&format!("{file}-")), "{file}: {name}");
        assert!(message.attributes.is_empty(), "{file}: {name} has attributes");
        let mut parameters = BTreeSet::new();
        add_pattern(message.value.as_ref().unwrap(), &mut parameters);
        assert!(messages.insert(name.to_owned(), parameters).is_none(), "{name} is there twice");
    }
    messages
}

fn all_messages() -> Parameters {
    let mut all = Parameters::new();
    for file in &FILES {
        let [ja, en] = file.texts.map(|text| parse(file.name, text));
        assert_eq!(ja, en, "{}: the languages differ", file.name);
        all.extend(en);
    }
    all
}

/// The names of all messages that begin with `prefix`.
pub(crate) fn names(prefix: &str) -> BTreeSet<String> {
    all_messages().into_keys().filter(|name| name.starts_with(prefix)).collect()
}

fn rust_files(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The arguments of each `message!(…)` in a source: the name and the parameters.
fn used_messages(source: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut used = Vec::new();
    let tokens: proc_macro2::TokenStream = source.parse().unwrap();
    collect(tokens, &mut used);
    used
}

fn collect(tokens: proc_macro2::TokenStream, used: &mut Vec<(String, BTreeSet<String>)>) {
    use proc_macro2::TokenTree;
    let tokens: Vec<_> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        let is_message = at >= 2
            && matches!(&tokens[at - 2], TokenTree::Ident(name) if name == "message")
            && matches!(&tokens[at - 1], TokenTree::Punct(mark) if mark.as_char() == '!');
        collect(group.stream(), used);
        if !is_message {
            continue;
        }
        let inner: Vec<_> = group.stream().into_iter().collect();
        let name = inner.iter().find_map(|token| match token {
            TokenTree::Literal(literal) => Some(literal.to_string().trim_matches('"').to_owned()),
            _ => None,
        });
        // A definition of the macro has no name.
        let Some(name) = name else { continue };
        let parameters = inner.windows(3).filter_map(|three| match three {
            [TokenTree::Punct(comma), TokenTree::Ident(name), TokenTree::Punct(equals)]
                if comma.as_char() == ',' && equals.as_char() == '=' =>
            {
                Some(name.to_string())
            }
            _ => None,
        });
        used.push((name, parameters.collect()));
    }
}

#[test]
fn both_languages_have_the_same_messages_with_the_same_parameters() {
    assert!(all_messages().len() > 50);
}

#[test]
fn the_code_names_each_message_with_its_parameters() {
    let mut unused = all_messages();
    let all = unused.clone();
    let mut files = Vec::new();
    rust_files(Path::new("src"), &mut files);
    for path in files {
        for (name, parameters) in used_messages(&fs::read_to_string(&path).unwrap()) {
            let expected = all.get(&name);
            assert_eq!(Some(&parameters), expected, "{} in {}", name, path.display());
            unused.remove(&name);
        }
    }
    // The names of help texts are made of the names of commands and options.
    unused.retain(|name, _| !name.starts_with("help-"));
    assert!(unused.is_empty(), "no code names {:?}", unused.keys());
}

#[test]
fn a_message_has_plural_forms_and_no_marks_around_its_parameters() {
    let text = |lang, items: u64| message!(lang, "run-items", items = items);
    assert_eq!([text(Lang::En, 1), text(Lang::En, 2)], ["1 item", "2 items"]);
    assert_eq!(text(Lang::Ja, 2), "2 個");
    assert_eq!(text(Lang::En, u64::MAX), "18446744073709551615 items");
}

#[test]
fn the_locale_is_japanese_or_english() {
    let locale = |values: &[(&str, &str)]| {
        Lang::of_locale(|name| {
            let value = values.iter().find(|(variable, _)| *variable == name);
            value.map(|(_, value)| (*value).into())
        })
    };
    assert_eq!(locale(&[("LANG", "ja_JP.UTF-8")]), Lang::Ja);
    assert_eq!(locale(&[("LANG", "ja")]), Lang::Ja);
    assert_eq!(locale(&[("LANG", "de_DE.UTF-8")]), Lang::En);
    assert_eq!(locale(&[("LANG", "jam_JM")]), Lang::En);
    assert_eq!(locale(&[]), Lang::En);
    assert_eq!(locale(&[("LC_ALL", "C"), ("LANG", "ja_JP.UTF-8")]), Lang::En);
    assert_eq!(locale(&[("LC_ALL", ""), ("LC_MESSAGES", "ja_JP"), ("LANG", "C")]), Lang::Ja);
}

#[test]
fn a_locale_that_is_not_utf_8_is_read() {
    use std::os::unix::ffi::OsStringExt;
    let value = |bytes: &[u8]| Lang::of_locale(|_| Some(OsStringExt::from_vec(bytes.to_vec())));
    assert_eq!(value(b"\xff\xfe"), Lang::En);
    assert_eq!(value(b"ja_JP.\xff"), Lang::Ja);
}

#[test]
fn a_chosen_language_holds_for_the_log_too_and_the_locale_does_not() {
    let languages = |people, log| Languages { people, log };
    assert_eq!(Languages::new(None, Lang::En), languages(Lang::En, Lang::Ja));
    assert_eq!(Languages::new(None, Lang::Ja), languages(Lang::Ja, Lang::Ja));
    assert_eq!(Languages::new(Some(Lang::En), Lang::Ja), languages(Lang::En, Lang::En));
    assert_eq!(Languages::new(Some(Lang::Ja), Lang::En), languages(Lang::Ja, Lang::Ja));
}
