//! The language of a command: `--lang`, else `QDEMO_LANG`, else the locale.

use std::ffi::OsString;
use std::str::FromStr;

use clap::Arg;

use crate::catalogue::{Lang, Languages, message, set_languages};
use crate::exit::ExitError;

const VARIABLE: &str = "QDEMO_LANG";

/// `--lang`, which every command has. [`choose`] reads it: the error of another argument is in this language too.
pub(super) fn lang_arg() -> Arg {
    let arg = Arg::new("lang").long("lang").value_name("ja|en").value_parser(parse);
    arg.hide_short_help(true).help_heading("help-heading-options")
}

/// Sets the languages of this process before the arguments are parsed.
///
/// # Errors
/// `QDEMO_LANG` names no language. The languages are then as if the variable was not there.
pub(super) fn choose(args: &[OsString]) -> Result<(), ExitError> {
    let locale = Lang::of_locale(|name| std::env::var_os(name));
    let variable = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
    let given = given_lang(args);
    let chosen = match (given, &variable) {
        (None, Some(value)) => value.to_str().and_then(|text| Lang::from_str(text).ok()),
        _ => given,
    };
    set_languages(Languages::new(chosen, locale));
    match variable {
        Some(value) if chosen.is_none() => {
            let value = value.to_string_lossy();
            Err(ExitError::usage(message!("cli-bad-language-variable", value = &value)))
        }
        _ => Ok(()),
    }
}

/// The language that `--lang` names, if it stands before `--` and names one.
fn given_lang(args: &[OsString]) -> Option<Lang> {
    Lang::from_str(given_value(args, "--lang")?).ok()
}

/// The command that the arguments name: options of every command may stand before it.
pub(super) fn given_command(args: &[OsString]) -> Option<&str> {
    let mut rest = args.iter().skip(1).filter_map(|arg| arg.to_str());
    loop {
        match rest.next()? {
            "--lang" | "--color" => drop(rest.next()?),
            arg if arg.starts_with("--lang=") || arg.starts_with("--color=") => {}
            arg => return Some(arg),
        }
    }
}

/// The value of an option that stands before `--`, before the arguments are parsed.
pub(super) fn given_value<'a>(args: &'a [OsString], option: &str) -> Option<&'a str> {
    let mut before_end = args.iter().take_while(|arg| *arg != "--").filter_map(|arg| arg.to_str());
    loop {
        match before_end.next()?.strip_prefix(option) {
            Some("") => return before_end.next(),
            Some(rest) if rest.starts_with('=') => return Some(&rest[1..]),
            _ => {}
        }
    }
}

fn parse(text: &str) -> Result<Lang, String> {
    Lang::from_str(text).map_err(|_| message!("cli-bad-language"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(args: &[&str]) -> Option<Lang> {
        given_lang(&args.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_option_is_found_before_the_arguments_are_parsed() {
        assert_eq!(given(&["qdemo", "put", "--lang", "ja", "x"]), Some(Lang::Ja));
        assert_eq!(given(&["qdemo", "put", "--lang=en", "x"]), Some(Lang::En));
        assert_eq!(given(&["qdemo", "put", "x", "--", "--lang", "ja"]), None);
        assert_eq!(given(&["qdemo", "put", "--language", "ja"]), None);
        assert_eq!(given(&["qdemo", "put", "--lang", "fr"]), None);
        assert_eq!(given(&["qdemo", "put", "--lang"]), None);
    }
}
