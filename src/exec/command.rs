//! The command that is run for each item.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::Command;

use crate::os::{is_program, places_of};

/// What stands for the item in an argument.
const ITEM: &[u8] = b"{}";
/// The longest string that Linux hands to a program, as an argument or in its environment.
const LONGEST: usize = 128 * 1024;

/// A command with its arguments, in which `{}` stands for the item.
#[derive(Debug)]
pub(crate) struct Template {
    program: PathBuf,
    words: Vec<OsString>,
    /// Whether an argument has the item in it; otherwise it comes on standard input.
    pub(super) has_item: bool,
}

/// Why a command cannot be run for any item.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    /// There is none of that name.
    #[error("there is no command `{0}`: is it in the PATH?")]
    NotFound(String),
    /// It is there, and is no program.
    #[error("`{0}` cannot be executed: is it a program, or a script with `#!`, and may it be run?")]
    NotExecutable(String),
}

impl Template {
    /// Looks for the command, as a shell would; `words` has at least one.
    pub(crate) fn find(words: Vec<OsString>) -> Result<Self, Unusable> {
        let name = words.first().cloned().unwrap_or_default();
        let program = look_up(&name)?;
        let has_item = words.iter().skip(1).any(|word| find_item(word.as_bytes()).is_some());
        Ok(Self { program, words, has_item })
    }

    /// The command for this item.
    pub(super) fn for_item(&self, item: &str) -> Command {
        use std::os::unix::process::CommandExt;
        let mut command = Command::new(&self.program);
        if let Some((name, args)) = self.words.split_first() {
            command.arg0(name).args(args.iter().map(|arg| fill(arg, item.as_bytes())));
        }
        // What no environment can hold is left out; the command has it in another way.
        match item.len() + "QDEMO_ITEM=".len() < LONGEST && !item.contains('\0') {
            true => command.env("QDEMO_ITEM", item),
            false => command.env_remove("QDEMO_ITEM"),
        };
        command
    }

    /// What it means that this command could not be started.
    pub(super) fn unusable(&self, error: &io::Error) -> Option<Unusable> {
        const ENOEXEC: i32 = 8;
        let name = self.words.first().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        match error.kind() {
            // It is there: what runs it, a script's interpreter, is not.
            io::ErrorKind::NotFound if self.program.exists() => Some(Unusable::NotExecutable(name)),
            io::ErrorKind::NotFound => Some(Unusable::NotFound(name)),
            io::ErrorKind::PermissionDenied => Some(Unusable::NotExecutable(name)),
            _ if error.raw_os_error() == Some(ENOEXEC) => Some(Unusable::NotExecutable(name)),
            _ => None,
        }
    }
}

fn find_item(word: &[u8]) -> Option<usize> {
    memchr::memmem::find(word, ITEM)
}

/// The word with the item in its place. Nothing in the item has a meaning.
fn fill(word: &OsStr, item: &[u8]) -> OsString {
    let mut rest = word.as_bytes();
    let mut filled = Vec::with_capacity(rest.len() + item.len());
    while let Some(at) = find_item(rest) {
        filled.extend_from_slice(&rest[..at]);
        filled.extend_from_slice(item);
        rest = &rest[at + ITEM.len()..];
    }
    filled.extend_from_slice(rest);
    OsString::from_vec(filled)
}

/// Where the program of that name is.
fn look_up(name: &OsStr) -> Result<PathBuf, Unusable> {
    let shown = || name.to_string_lossy().into_owned();
    let places = places_of(name);
    if name.is_empty() {
        return Err(Unusable::NotFound(shown()));
    }
    let there: Vec<_> = places.iter().filter(|place| fs::metadata(place).is_ok()).collect();
    let program = there.iter().find(|place| is_program(place));
    match (program, there.is_empty()) {
        (Some(program), _) => Ok(program.to_path_buf()),
        (None, false) => Err(Unusable::NotExecutable(shown())),
        (None, true) => Err(Unusable::NotFound(shown())),
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
        let template = Template::find(words(&["sh", "-c", "{}", "a{}b{}", "{ }"])).unwrap();
        assert!(template.has_item);
        let command = template.for_item("$(x) {} '\"");
        let args: Vec<_> = command.get_args().collect();
        assert_eq!(args, ["-c", "$(x) {} '\"", "a$(x) {} '\"b$(x) {} '\"", "{ }"]);
        assert!(!Template::find(words(&["sh", "-c", "cat"])).unwrap().has_item);
    }

    #[test]
    fn what_cannot_be_run_is_known_before() {
        let missing = |name: &str| Unusable::NotFound(name.to_owned());
        let useless = |name: &str| Unusable::NotExecutable(name.to_owned());
        for (name, why) in [
            ("no-such-command-here", missing("no-such-command-here")),
            ("/no/such/command", missing("/no/such/command")),
            ("", missing("")),
            ("/etc/passwd", useless("/etc/passwd")),
            ("/", useless("/")),
        ] {
            assert_eq!(Template::find(words(&[name])).unwrap_err(), why);
        }
    }

    #[test]
    fn an_environment_holds_no_more_than_it_can() {
        let template = Template::find(words(&["cat"])).unwrap();
        let item_of = |item: &str| {
            let command = template.for_item(item);
            let value = command.get_envs().find(|(name, _)| *name == "QDEMO_ITEM").unwrap().1;
            value.map(OsStr::len)
        };
        assert_eq!(item_of("x"), Some(1));
        assert_eq!(item_of(&"x".repeat(LONGEST - 12)), Some(LONGEST - 12));
        assert_eq!(item_of(&"x".repeat(LONGEST)), None);
        assert_eq!(item_of("a\0b"), None);
    }
}
