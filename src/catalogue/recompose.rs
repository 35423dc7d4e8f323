//! Finds the message and the parameters that an English text was made of, and shows it in the language of people. So a
//! keeper and a server need not know the language of each reader, and a protocol or a journal has one text for all.

use fluent_bundle::{FluentArgs, FluentValue};
use fluent_syntax::ast::{Entry, Expression, InlineExpression, Pattern, PatternElement};
use fluent_syntax::parser;

use super::messages::{FILES, find};
use super::{Lang, lang};

/// The files with the messages that may go from process to process.
const SHARED_FILES: [&str; 5] = ["refusal", "reason", "folder", "keeper", "os"];

/// A piece of a pattern: a fixed text, or the name of a parameter.
#[derive(Clone, Copy)]
enum Piece {
    Text(&'static str),
    Parameter(&'static str),
}

/// The text in the language of people. None if that is English, or if no message has this English text: a text
/// of another version stays as it is.
pub(crate) fn recompose(text: &str) -> Option<String> {
    if lang() == Lang::En {
        return None;
    }
    // The message with the longest fixed text tells most.
    let found = patterns().filter_map(|(name, pieces)| {
        let parameters = match_pieces(&pieces, text)?;
        Some((fixed_length(&pieces), name, parameters))
    });
    let (fixed_length, name, parameters) = found.max_by_key(|(length, ..)| *length)?;
    let mut arguments = FluentArgs::new();
    for (parameter, value) in parameters {
        // A parameter may be such a text too, as the system's error is.
        let inner = recompose(value);
        if inner.is_none() && fixed_length == 0 && value.parse::<u64>().is_err() {
            return None;
        }
        let value = match value.parse::<u64>() {
            Ok(number) => FluentValue::from(number),
            Err(_) => inner.unwrap_or_else(|| value.to_owned()).into(),
        };
        arguments.set(parameter, value);
    }
    find(lang(), name, Some(&arguments))
}

/// Every form of every English message that another process may have made.
fn patterns() -> impl Iterator<Item = (&'static str, Vec<Piece>)> {
    let files = FILES.iter().filter(|file| SHARED_FILES.contains(&file.name));
    // A test holds that the files have no errors.
    let resources = files.filter_map(|file| parser::parse(file.texts[Lang::En as usize]).ok());
    let messages = resources.flat_map(|resource| resource.body).filter_map(|entry| match entry {
        Entry::Message(message) => Some((message.id.name, message.value?)),
        _ => None,
    });
    messages.flat_map(|(name, pattern)| forms(&pattern).into_iter().map(move |form| (name, form)))
}

/// The forms of a pattern: one for each choice of variants.
fn forms(pattern: &Pattern<&'static str>) -> Vec<Vec<Piece>> {
    let mut forms = vec![Vec::new()];
    for element in &pattern.elements {
        let choices = match element {
            PatternElement::TextElement { value } => vec![vec![Piece::Text(value)]],
            PatternElement::Placeable { expression: Expression::Inline(inline) } => match inline {
                InlineExpression::VariableReference { id } => {
                    vec![vec![Piece::Parameter(id.name)]]
                }
                InlineExpression::StringLiteral { value } => vec![vec![Piece::Text(value)]],
                _ => Vec::new(),
            },
            PatternElement::Placeable { expression: Expression::Select { variants, .. } } => {
                variants.iter().flat_map(|variant| self::forms(&variant.value)).collect()
            }
        };
        let extended = forms.iter().flat_map(|form: &Vec<Piece>| {
            choices.iter().map(move |choice| [form.as_slice(), choice.as_slice()].concat())
        });
        forms = extended.collect();
    }
    forms
}

/// The values of the parameters, if the pieces make up the text.
fn match_pieces<'t>(pieces: &[Piece], text: &'t str) -> Option<Vec<(&'static str, &'t str)>> {
    let (piece, rest) = match pieces {
        [] => return text.is_empty().then(Vec::new),
        [piece, rest @ ..] => (piece, rest),
    };
    match piece {
        Piece::Text(fixed) => match_pieces(rest, text.strip_prefix(*fixed)?),
        Piece::Parameter(name) => {
            // The shortest value that lets the rest match.
            let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
            ends.filter(|&end| follows(rest, &text[end..])).find_map(|end| {
                let mut values = match_pieces(rest, &text[end..])?;
                values.insert(0, (*name, &text[..end]));
                Some(values)
            })
        }
    }
}

/// Whether the next piece can begin here.
fn follows(pieces: &[Piece], text: &str) -> bool {
    match pieces.first() {
        None => text.is_empty(),
        Some(Piece::Text(fixed)) => text.starts_with(*fixed),
        Some(Piece::Parameter(_)) => true,
    }
}

/// How many letters the message has of its own.
fn fixed_length(pieces: &[Piece]) -> usize {
    let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).count();
    pieces.iter().map(|piece| if let Piece::Text(text) = piece { letters(text) } else { 0 }).sum()
}
