//! Errors in the arguments: one line with the cause and the remedy, in the language of this process.

use std::error::Error as _;
use std::ffi::OsString;

use clap::Command;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

use super::lang::given_command;
use crate::catalogue::message;

/// The commands whose queue is always on this machine.
const LOCAL_COMMANDS: [&str; 4] = ["run", "timeline", "bench", "keeper"];

/// What people type for a command because other tools call it so.
const SYNONYMS: [(&str, &[&str]); 17] = [
    ("status", &["list", "ls", "show", "info", "queues", "stat", "stats"]),
    ("status", &["size", "qsize", "count", "length", "len", "empty", "full"]),
    ("status --watch", &["watch", "monitor", "top"]),
    ("put", &["push", "add", "enqueue", "send", "create", "new"]),
    ("get", &["pop", "dequeue", "receive", "recv", "take"]),
    ("producer", &["produce", "publish"]),
    ("consumer", &["consume", "worker", "work", "subscribe", "exec"]),
    ("join", &["wait"]),
    ("close", &["end", "finish", "stop"]),
    ("rm", &["delete", "remove", "del", "destroy"]),
    ("rm --force", &["clear", "purge", "reset"]),
    ("failed", &["dead", "errors"]),
    ("failed --retry", &["retry"]),
    ("failed --drop", &["drop"]),
    ("run", &["demo", "start"]),
    ("timeline", &["plot", "draw", "picture"]),
    ("bench", &["benchmark", "measure"]),
];

/// The line for an error of clap. `args` are the arguments of this program, and `cli` has all commands.
pub(super) fn describe(error: &Error, args: &[OsString], cli: &Command) -> String {
    let command =
        given_command(args).and_then(|name| cli.find_subcommand(name)).map(Command::get_name);
    if let Some(line) = special_line(error, command) {
        return line;
    }
    let line = cause(error);
    // The texts of the value parsers contain their remedy, and a similar name is one.
    let similar = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand];
    if error.kind() == ErrorKind::ValueValidation
        || similar.iter().any(|kind| !text(error, *kind).is_empty())
    {
        return line;
    }
    match command {
        Some(name) => message!("cli-see-help", cause = line, command = name),
        None => message!("cli-see-commands", cause = line),
    }
}

/// The line for an error with a better remedy than the help.
fn special_line(error: &Error, command: Option<&str>) -> Option<String> {
    let argument = text(error, ContextKind::InvalidArg);
    match (error.kind(), command) {
        (ErrorKind::UnknownArgument, Some(command))
            if argument == "--server" && LOCAL_COMMANDS.contains(&command) =>
        {
            Some(message!("cli-local-command", command = command))
        }
        (ErrorKind::UnknownArgument, None)
            if argument.starts_with('-') && text(error, ContextKind::SuggestedArg).is_empty() =>
        {
            Some(message!("cli-option-before-command", argument = argument))
        }
        (ErrorKind::UnknownArgument, Some("consumer")) if !argument.starts_with('-') => {
            Some(message!("cli-missing-dashes", argument = argument))
        }
        (ErrorKind::InvalidSubcommand, _) => {
            let name = text(error, ContextKind::InvalidSubcommand);
            let (known, _) = SYNONYMS.iter().find(|(_, synonyms)| synonyms.contains(&&name[..]))?;
            Some(message!("cli-similar-command", name = name, known = known))
        }
        _ => None,
    }
}

/// The cause, with a similar name if there is one.
fn cause(error: &Error) -> String {
    let argument = text(error, ContextKind::InvalidArg);
    let value = text(error, ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::UnknownArgument => match text(error, ContextKind::SuggestedArg) {
            known if known.is_empty() => message!("cli-unknown-argument", argument = argument),
            known => message!("cli-similar-argument", argument = argument, known = known),
        },
        ErrorKind::InvalidSubcommand => {
            let name = text(error, ContextKind::InvalidSubcommand);
            let known = text(error, ContextKind::SuggestedSubcommand);
            // The most similar name comes last.
            match known.rsplit(", ").next().filter(|known| !known.is_empty()) {
                None => message!("cli-unknown-command", name = name),
                Some(known) => message!("cli-similar-command", name = name, known = known),
            }
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            message!("cli-missing-value", argument = argument)
        }
        ErrorKind::InvalidValue => {
            let values = text(error, ContextKind::ValidValue);
            message!("cli-invalid-choice", value = value, argument = argument, values = values)
        }
        ErrorKind::ValueValidation => {
            let reason = error.source().map_or_else(String::new, ToString::to_string);
            message!("cli-invalid-value", value = value, argument = argument, reason = reason)
        }
        ErrorKind::ArgumentConflict => match text(error, ContextKind::PriorArg) {
            other if other.is_empty() || other == argument => {
                message!("cli-repeated-argument", argument = argument)
            }
            other => message!("cli-conflict", argument = argument, other = other),
        },
        ErrorKind::MissingRequiredArgument => {
            message!("cli-missing-argument", argument = argument)
        }
        ErrorKind::TooManyValues | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            message!("cli-number-of-values", argument = argument)
        }
        ErrorKind::InvalidUtf8 => message!("cli-not-utf8"),
        _ => message!("cli-invalid-arguments"),
    }
}

/// A part of the error; several values have commas between them.
fn text(error: &Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::super::syntax::{all_commands, parse};
    use super::*;

    fn line(args: &[&str]) -> String {
        let args: Vec<_> = ["qdemo"].iter().chain(args).map(OsString::from).collect();
        describe(&parse(&args).unwrap_err(), &args, &all_commands())
    }

    #[test]
    fn each_synonym_leads_to_a_command_and_is_none_itself() {
        let cli = all_commands();
        for (command, synonyms) in SYNONYMS {
            let mut words = command.split(' ');
            let known = cli.find_subcommand(words.next().unwrap()).unwrap();
            for option in words {
                assert!(
                    known.get_arguments().any(|arg| arg.get_long() == option.strip_prefix("--"))
                );
            }
            for synonym in synonyms {
                assert!(cli.find_subcommand(synonym).is_none(), "{synonym}");
                let expected =
                    format!("there is no command `{synonym}`: did you mean `qdemo {command}`?");
                assert_eq!(line(&[synonym, "x"]), expected);
            }
        }
    }

    #[test]
    fn a_similar_command_is_one_command() {
        assert!(line(&["closer"]).ends_with("did you mean `qdemo close`?"));
        assert!(line(&["consumr"]).ends_with("did you mean `qdemo consumer`?"));
    }

    #[test]
    fn a_command_for_the_items_needs_dashes_before_it() {
        for args in [&["consumer", "-q", "x", "grep", "foo"][..], &["consumer", "grep", "{}", "x"]]
        {
            assert!(line(args).ends_with("as in `qdemo consumer -- grep …`"), "{}", line(args));
        }
    }
}
