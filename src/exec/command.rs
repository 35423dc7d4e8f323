//! The command for the items: lookup, and arguments for each item.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;

use super::replacement::{self, Replacements};
use crate::catalogue::message;
use crate::os::{candidate_paths, is_executable};

/// The longest string in bytes that Linux passes to a program as an argument or in the environment.
const MAX_ARG_STRLEN: usize = 128 * 1024;

/// A command with its arguments, which may contain replacement strings.
#[derive(Debug)]
pub(crate) struct CommandTemplate {
    program: PathBuf,
    argv: Vec<OsString>,
    /// Variables of its environment. A variable without a value is one that the command does not get.
    variables: Vec<(&'static str, Option<OsString>)>,
    /// The item is in an argument. Otherwise the item comes on standard input.
    pub(crate) has_item_argument: bool,
}

/// Why a command cannot be run for any item.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CommandError {
    /// No command has this name.
    #[error("{}", message!("exec-not-found", command = .0))]
    NotFound(String),
    /// The file exists, but is no program.
    #[error("{}", message!("exec-not-executable", command = .0))]
    NotExecutable(String),
}

impl CommandTemplate {
    /// Finds the command as a shell does. `words` has at least one word.
    pub(crate) fn resolve(words: Vec<OsString>) -> Result<Self, CommandError> {
        let name = words.first().cloned().unwrap_or_default();
        let program = resolve_program(&name)?;
        let has_item_argument = words.iter().skip(1).any(|word| replacement::contains_item(word));
        Ok(Self { program, argv: words, variables: Vec::new(), has_item_argument })
    }

    pub(crate) fn with_variables(
        mut self,
        variables: Vec<(&'static str, Option<OsString>)>,
    ) -> Self {
        self.variables = variables;
        self
    }

    /// The name of the command, and its arguments after the replacement. The name has no replacement strings.
    pub(crate) fn words(&self, values: Replacements<'_>) -> impl Iterator<Item = Cow<'_, OsStr>> {
        let name = self.argv.iter().take(1).map(|name| Cow::Borrowed(name.as_os_str()));
        let args = self.argv.iter().skip(1);
        name.chain(args.map(move |arg| Cow::Owned(replacement::replace(arg, &values))))
    }

    pub(super) fn build_command(&self, values: Replacements<'_>) -> Command {
        use std::os::unix::process::CommandExt;
        let item = values.item;
        let mut command = Command::new(&self.program);
        let mut words = self.words(values);
        if let Some(name) = words.next() {
            command.arg0(name).args(words);
        }
        for (name, value) in &self.variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        // An environment cannot hold a longer item. The command gets the item in another way too.
        if item.len() + "QDEMO_ITEM=".len() < MAX_ARG_STRLEN && !item.contains('\0') {
            command.env("QDEMO_ITEM", item);
        } else {
            command.env_remove("QDEMO_ITEM");
        }
        command
    }

    /// The error of the command itself. None for an error of the item or the system.
    pub(super) fn classify_spawn_error(&self, error: &io::Error) -> Option<CommandError> {
        const ENOEXEC: i32 = 8;
        let name = self.argv.first().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        match error.kind() {
            // The file exists, so the interpreter of the script is missing.
            io::ErrorKind::NotFound if self.program.exists() => {
                Some(CommandError::NotExecutable(name))
            }
            io::ErrorKind::NotFound => Some(CommandError::NotFound(name)),
            io::ErrorKind::PermissionDenied => Some(CommandError::NotExecutable(name)),
            _ if error.raw_os_error() == Some(ENOEXEC) => Some(CommandError::NotExecutable(name)),
            _ => None,
        }
    }
}

fn resolve_program(name: &OsStr) -> Result<PathBuf, CommandError> {
    let text = || name.to_string_lossy().into_owned();
    if name.is_empty() {
        return Err(CommandError::NotFound(text()));
    }
    let mut paths = candidate_paths(name);
    paths.retain(|path| fs::metadata(path).is_ok());
    if paths.is_empty() {
        return Err(CommandError::NotFound(text()));
    }
    paths
        .into_iter()
        .find(|path| is_executable(path))
        .ok_or_else(|| CommandError::NotExecutable(text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    fn for_item(item: &str) -> Replacements<'_> {
        Replacements { item, id: 1, slot: 1 }
    }

    #[test]
    fn an_item_comes_unchanged_into_each_argument() {
        let template =
            CommandTemplate::resolve(words(&["sh", "-c", "{}", "a{}b{}", "{ }"])).unwrap();
        assert!(template.has_item_argument);
        let command = template.build_command(for_item("$(x) {} '\""));
        let args: Vec<_> = command.get_args().collect();
        assert_eq!(args, ["-c", "$(x) {} '\"", "a$(x) {} '\"b$(x) {} '\"", "{ }"]);
    }

    #[test]
    fn an_item_comes_on_standard_input_if_no_argument_is_made_of_the_item() {
        let has_item_argument =
            |args: &[&str]| CommandTemplate::resolve(words(args)).unwrap().has_item_argument;
        assert!(!has_item_argument(&["sh", "-c", "cat"]));
        assert!(!has_item_argument(&["sh", "-c", "cat", "{#}", "{%}"]));
        assert!(has_item_argument(&["sh", "-c", "cat", "{%}{/.}"]));
    }

    #[test]
    fn every_error_of_a_command_is_there_in_both_languages() {
        use crate::exec::StopReason;
        use crate::exec::terminal::TerminalError;
        let errors: [&dyn std::fmt::Display; 6] = [
            &CommandError::NotFound("x".to_owned()),
            &CommandError::NotExecutable("x".to_owned()),
            &StopReason::Interrupted(2),
            &StopReason::Io(io::ErrorKind::NotFound.into()),
            &TerminalError::Missing(io::ErrorKind::NotFound.into()),
            &TerminalError::Background,
        ];
        errors.into_iter().for_each(crate::catalogue::assert_in_both_languages);
    }

    #[test]
    fn a_command_that_cannot_run_is_refused_in_advance() {
        let missing = |name: &str| CommandError::NotFound(name.to_owned());
        let not_executable = |name: &str| CommandError::NotExecutable(name.to_owned());
        for (name, reason) in [
            ("no-such-command-here", missing("no-such-command-here")),
            ("/no/such/command", missing("/no/such/command")),
            ("", missing("")),
            ("/etc/passwd", not_executable("/etc/passwd")),
            ("/", not_executable("/")),
        ] {
            assert_eq!(CommandTemplate::resolve(words(&[name])).unwrap_err(), reason);
        }
    }

    #[test]
    fn the_environment_omits_an_item_that_it_cannot_hold() {
        let template = CommandTemplate::resolve(words(&["cat"])).unwrap();
        let variable_length = |item: &str| {
            let command = template.build_command(for_item(item));
            let value = command.get_envs().find(|(name, _)| *name == "QDEMO_ITEM").unwrap().1;
            value.map(OsStr::len)
        };
        assert_eq!(variable_length("x"), Some(1));
        assert_eq!(variable_length(&"x".repeat(MAX_ARG_STRLEN - 12)), Some(MAX_ARG_STRLEN - 12));
        assert_eq!(variable_length(&"x".repeat(MAX_ARG_STRLEN)), None);
        assert_eq!(variable_length("a\0b"), None);
    }
}
