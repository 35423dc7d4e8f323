//! The command that is run for each item.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::Command;

use crate::os::{candidate_paths, is_executable};

/// What stands for the item in an argument.
const PLACEHOLDER: &[u8] = b"{}";
/// The longest string that Linux hands to a program, as an argument or in its environment.
const MAX_ARG_STRLEN: usize = 128 * 1024;

/// A command with its arguments, in which `{}` stands for the item.
#[derive(Debug)]
pub(crate) struct CommandTemplate {
    program: PathBuf,
    argv: Vec<OsString>,
    /// Whether an argument has the item in it; otherwise it comes on standard input.
    pub(super) has_placeholder: bool,
}

/// Why a command cannot be run for any item.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CommandError {
    /// There is none of that name.
    #[error("there is no command `{0}`: is it in the PATH?")]
    NotFound(String),
    /// It is there, and is no program.
    #[error("`{0}` cannot be executed: is it a program, or a script with `#!`, and may it be run?")]
    NotExecutable(String),
}

impl CommandTemplate {
    /// Looks for the command, as a shell would; `words` has at least one.
    pub(crate) fn resolve(words: Vec<OsString>) -> Result<Self, CommandError> {
        let name = words.first().cloned().unwrap_or_default();
        let program = resolve_program(&name)?;
        let has_item = words.iter().skip(1).any(|word| find_placeholder(word.as_bytes()).is_some());
        Ok(Self { program, argv: words, has_placeholder: has_item })
    }

    /// The command for this item.
    pub(super) fn build_command(&self, item: &str) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(&self.program);
        if let Some((name, args)) = self.argv.split_first() {
            command
                .arg0(name)
                .args(args.iter().map(|arg| substitute_placeholder(arg, item.as_bytes())));
        }
        // What no environment can hold is left out; the command has it in another way.
        match item.len() + "QDEMO_ITEM=".len() < MAX_ARG_STRLEN && !item.contains('\0') {
            true => command.env("QDEMO_ITEM", item),
            false => command.env_remove("QDEMO_ITEM"),
        };
        command
    }

    /// What it means that this command could not be started.
    pub(super) fn classify_spawn_error(&self, error: &io::Error) -> Option<CommandError> {
        const ENOEXEC: i32 = 8;
        let name = self.argv.first().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        match error.kind() {
            // It is there: what runs it, a script's interpreter, is not.
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

fn find_placeholder(word: &[u8]) -> Option<usize> {
    memchr::memmem::find(word, PLACEHOLDER)
}

/// The word with the item in its place. Nothing in the item has a meaning.
fn substitute_placeholder(word: &OsStr, item: &[u8]) -> OsString {
    let mut rest = word.as_bytes();
    let mut filled = Vec::with_capacity(rest.len() + item.len());
    while let Some(at) = find_placeholder(rest) {
        filled.extend_from_slice(&rest[..at]);
        filled.extend_from_slice(item);
        rest = &rest[at + PLACEHOLDER.len()..];
    }
    filled.extend_from_slice(rest);
    OsString::from_vec(filled)
}

/// Where the program of that name is.
fn resolve_program(name: &OsStr) -> Result<PathBuf, CommandError> {
    let shown = || name.to_string_lossy().into_owned();
    let places = candidate_paths(name);
    if name.is_empty() {
        return Err(CommandError::NotFound(shown()));
    }
    let there: Vec<_> = places.iter().filter(|place| fs::metadata(place).is_ok()).collect();
    let program = there.iter().find(|place| is_executable(place));
    match (program, there.is_empty()) {
        (Some(program), _) => Ok(program.to_path_buf()),
        (None, false) => Err(CommandError::NotExecutable(shown())),
        (None, true) => Err(CommandError::NotFound(shown())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn the_item_stands_wherever_it_is_named_and_is_taken_as_it_is() {
        let template =
            CommandTemplate::resolve(words(&["sh", "-c", "{}", "a{}b{}", "{ }"])).unwrap();
        assert!(template.has_placeholder);
        let command = template.build_command("$(x) {} '\"");
        let args: Vec<_> = command.get_args().collect();
        assert_eq!(args, ["-c", "$(x) {} '\"", "a$(x) {} '\"b$(x) {} '\"", "{ }"]);
        assert!(!CommandTemplate::resolve(words(&["sh", "-c", "cat"])).unwrap().has_placeholder);
    }

    #[test]
    fn what_cannot_be_run_is_known_before() {
        let missing = |name: &str| CommandError::NotFound(name.to_owned());
        let useless = |name: &str| CommandError::NotExecutable(name.to_owned());
        for (name, reason) in [
            ("no-such-command-here", missing("no-such-command-here")),
            ("/no/such/command", missing("/no/such/command")),
            ("", missing("")),
            ("/etc/passwd", useless("/etc/passwd")),
            ("/", useless("/")),
        ] {
            assert_eq!(CommandTemplate::resolve(words(&[name])).unwrap_err(), reason);
        }
    }

    #[test]
    fn an_environment_holds_no_more_than_it_can() {
        let template = CommandTemplate::resolve(words(&["cat"])).unwrap();
        let item_of = |item: &str| {
            let command = template.build_command(item);
            let value = command.get_envs().find(|(name, _)| *name == "QDEMO_ITEM").unwrap().1;
            value.map(OsStr::len)
        };
        assert_eq!(item_of("x"), Some(1));
        assert_eq!(item_of(&"x".repeat(MAX_ARG_STRLEN - 12)), Some(MAX_ARG_STRLEN - 12));
        assert_eq!(item_of(&"x".repeat(MAX_ARG_STRLEN)), None);
        assert_eq!(item_of("a\0b"), None);
    }
}
