//! Errors in the arguments: one line with the cause and the remedy, in the language of this process.

use std::error::Error as _;
use std::ffi::OsString;

use clap::Command;
use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

use super::lang::given_command;
use crate::catalogue::message;
use crate::exit::ExitError;
use crate::queue_name::QueueName;

/// The commands whose queue is always on this machine.
const LOCAL_COMMANDS: [&str; 6] = ["run", "timeline", "sweep", "bench", "learn", "keeper"];

/// The commands whose only words are options: another word is most likely the name of a queue.
const WORDLESS_COMMANDS: [&str; 6] = ["get", "peek", "join", "close", "status", "rm"];
/// A word with more differences is no typing error.
const MOST_DIFFERENCES: usize = 2;

/// What people type for a command because other tools call it so.
const SYNONYMS: [(&str, &[&str]); 18] = [
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
    ("learn", &["lesson", "lessons", "tutorial", "teach"]),
];

/// The line for an error of clap. `args` are the arguments of this program, and `cli` has all commands.
pub(super) fn describe(error: &Error, args: &[OsString], cli: &Command) -> String {
    let command =
        given_command(args).and_then(|name| cli.find_subcommand(name)).map(Command::get_name);
    let word_line = || word_line(error, command?, args);
    if let Some(line) = special_line(error, command, cli).or_else(word_line) {
        return line;
    }
    let line = cause(error);
    // The texts of the value parsers contain their remedy, and a similar name is one.
    if error.kind() == ErrorKind::ValueValidation
        || !text(error, ContextKind::SuggestedArg).is_empty()
    {
        return line;
    }
    match command {
        Some(name) => message!("cli-see-help", cause = line, command = name),
        None => message!("cli-see-commands", cause = line),
    }
}

/// The line for an error with a better remedy than the help.
fn special_line(error: &Error, command: Option<&str>, cli: &Command) -> Option<String> {
    let argument = text(error, ContextKind::InvalidArg);
    match (error.kind(), command) {
        (ErrorKind::UnknownArgument, Some(command))
            if argument == "--server" && LOCAL_COMMANDS.contains(&command) =>
        {
            Some(message!("cli-local-command", command = command))
        }
        (ErrorKind::UnknownArgument, None) if argument == "-v" => {
            Some(message!("cli-similar-argument", argument = argument, known = "--version"))
        }
        (ErrorKind::MissingRequiredArgument, Some("put")) if argument.contains("ITEM") => {
            Some(message!("cli-missing-items"))
        }
        (ErrorKind::MissingRequiredArgument, Some("consumer")) if argument.contains("COMMAND") => {
            Some(message!("cli-missing-command"))
        }
        (ErrorKind::UnknownArgument, None)
            if argument.starts_with('-') && text(error, ContextKind::SuggestedArg).is_empty() =>
        {
            Some(message!("cli-option-before-command", argument = argument))
        }
        (ErrorKind::InvalidSubcommand, _) => {
            let name = text(error, ContextKind::InvalidSubcommand);
            let known = if name == "version" { "--version" } else { similar_command(&name, cli)? };
            Some(message!("cli-similar-command", name = name, known = known))
        }
        _ => None,
    }
}

/// The line for a word that is most likely the name of a queue, a command for the items, or an item.
fn word_line(error: &Error, command: &str, args: &[OsString]) -> Option<String> {
    let argument = text(error, ContextKind::InvalidArg);
    let is_unknown = error.kind() == ErrorKind::UnknownArgument;
    let texts = || args.iter().skip(1).filter_map(|arg| arg.to_str());
    let names_queue = texts().any(|arg| arg.starts_with("-q") || arg.starts_with("--queue"));
    let queue = |word: &str| {
        let name = word.parse::<QueueName>().ok().filter(|_| !names_queue)?;
        Some(name.shell_quoted())
    };
    match command {
        "consumer" if is_unknown && !argument.starts_with('-') => {
            let is_lone = texts().filter(|arg| !arg.starts_with('-')).eq([command, &argument]);
            Some(match queue(&argument).filter(|_| is_lone) {
                Some(quoted) => {
                    message!("cli-queue-or-command", argument = argument, quoted = quoted)
                }
                None => message!("cli-missing-dashes", argument = argument),
            })
        }
        "put" | "producer" if is_unknown => {
            let is_meant = |arg: &&str| arg.starts_with(&argument) && arg.parse::<f64>().is_ok();
            let item = texts().find(is_meant).filter(|item| item.starts_with('-'))?;
            Some(message!("cli-item-is-option", argument = item, command = command))
        }
        "failed" if error.kind() == ErrorKind::ValueValidation && argument.contains("ID") => {
            let word = text(error, ContextKind::InvalidValue);
            let is_word = !word.starts_with(|first: char| first == '-' || first.is_ascii_digit());
            // These options take ids.
            let takes_ids = texts().any(|arg| ["--retry", "--drop"].contains(&arg));
            let quoted = queue(&word).filter(|_| is_word && !takes_ids)?;
            Some(message!(
                "cli-queue-is-option",
                argument = word,
                command = command,
                quoted = quoted
            ))
        }
        _ if is_unknown && WORDLESS_COMMANDS.contains(&command) && !argument.starts_with('-') => {
            let quoted = queue(&argument)?;
            Some(message!(
                "cli-queue-is-option",
                argument = argument,
                command = command,
                quoted = quoted
            ))
        }
        _ => None,
    }
}

/// The command that `name` most likely means: the names of other tools count, and so do a few wrong letters.
pub(super) fn similar_command<'a>(name: &str, cli: &'a Command) -> Option<&'a str> {
    let name = name.to_lowercase();
    let shown = cli.get_subcommands().filter(|command| !command.is_hide_set());
    let commands = shown.map(|command| (command.get_name(), command.get_name()));
    let synonyms = SYNONYMS
        .iter()
        .flat_map(|(command, synonyms)| synonyms.iter().map(move |synonym| (*synonym, *command)));
    let distances = commands
        .chain(synonyms)
        .map(|(word, command)| (strsim::damerau_levenshtein(&name, word), command));
    let is_near = |distance| distance <= MOST_DIFFERENCES && 2 * distance < name.chars().count();
    let near = distances.filter(|(distance, _)| is_near(*distance));
    near.min_by_key(|(distance, _)| *distance).map(|(_, command)| command)
}

/// The error of `qdemo help` and `qdemo man` (`action`) about a command that does not exist.
pub(super) fn no_such_command_error(action: &str, name: &str, cli: &Command) -> ExitError {
    // Help is of a command, and not of its options.
    let known = similar_command(name, cli).and_then(|known| known.split(' ').next());
    ExitError::usage(match known {
        Some(known) => {
            message!("cli-similar-command", name = name, known = format!("{action} {known}"))
        }
        None => message!("cli-no-such-command", command = name),
    })
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
            message!("cli-unknown-command", name = name)
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
    fn the_version_is_found_by_its_other_names() {
        assert!(line(&["-v"]).ends_with("did you mean '--version'?"), "{}", line(&["-v"]));
        assert!(line(&["version"]).ends_with("did you mean `qdemo --version`?"));
    }

    #[test]
    fn a_missing_item_or_command_is_told_with_the_way_to_give_it() {
        assert!(line(&["put"]).contains("- for the lines of standard input"));
        assert!(line(&["consumer", "-j", "4"]).contains("`qdemo consumer -j 4 -- COMMAND {}`"));
    }

    #[test]
    fn a_similar_command_is_one_command() {
        assert!(line(&["closer"]).ends_with("did you mean `qdemo close`?"));
        assert!(line(&["consumr"]).ends_with("did you mean `qdemo consumer`?"));
        assert!(line(&["psuh"]).ends_with("did you mean `qdemo put`?"));
        for far in ["nosuch", "x", "banana"] {
            assert_eq!(
                line(&[far]),
                format!("there is no command `{far}`: `qdemo --help` shows what is valid")
            );
        }
    }

    #[test]
    fn help_and_man_know_what_command_is_meant() {
        let text = |action, name| no_such_command_error(action, name, &all_commands()).to_string();
        assert!(text("help", "stauts").ends_with("did you mean `qdemo help status`?"));
        assert!(text("help", "list").ends_with("did you mean `qdemo help status`?"));
        assert!(text("man", "retry").ends_with("did you mean `qdemo man failed`?"));
        assert!(text("man", "keeper").ends_with("`qdemo --help` lists all commands"));
    }

    #[test]
    fn a_word_for_a_queue_needs_the_option() {
        for command in ["close", "status", "get", "join", "rm", "peek", "failed"] {
            let expected = format!(
                "unexpected argument 'jobs': name a queue with -q, as in `qdemo {command} -q jobs`"
            );
            assert_eq!(line(&[command, "jobs"]), expected);
            assert!(!line(&[command, "-q", "jobs", "x"]).contains("name a queue"), "{command}");
            assert!(!line(&[command, "a/b"]).contains("name a queue"), "{command}");
        }
        let both = line(&["consumer", "--quiet", "jobs"]);
        assert!(both.contains("`qdemo consumer -q jobs`"), "{both}");
        assert!(both.contains("`qdemo consumer -- jobs`"), "{both}");
    }

    #[test]
    fn an_item_that_is_a_negative_number_needs_dashes_before_it() {
        for (command, item) in [("put", "-5"), ("put", "-2.5"), ("producer", "-5")] {
            let text = line(&[command, "-q", "x", item]);
            assert!(text.starts_with(&format!("unexpected argument '{item}'")), "{text}");
            assert!(text.ends_with(&format!("as in `qdemo {command} -- {item}`")), "{text}");
        }
        assert!(line(&["get", "-5"]).ends_with("`qdemo get --help` shows what is valid"));
    }

    #[test]
    fn a_command_for_the_items_needs_dashes_before_it() {
        for args in [&["consumer", "-q", "x", "grep", "foo"][..], &["consumer", "grep", "{}", "x"]]
        {
            assert!(line(args).ends_with("as in `qdemo consumer -- grep …`"), "{}", line(args));
        }
    }
}
