//! Recordings of the program: the standard output and the exit code of each command, both directions of the
//! protocol, and journals. A test fails if a byte differs. The recordings are in `tests/recorded`;
//! `QDEMO_RECORD=1 cargo test recorded` writes them anew. Standard error and `--help` are text for people, and
//! have no recordings.
//!
//! Named functions replace the bytes that differ between two runs, each for the reason in its comment.
//!
//! Local: these are files and bytes of a keeper.

mod commands;
mod journals;
mod wire;

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Outcome, Sandbox, assert_same};

/// The path of a recording.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded").join(name)
}

/// Whether this run of the tests writes the recordings anew.
fn records() -> bool {
    std::env::var_os("QDEMO_RECORD").is_some()
}

/// Compares a text with the recording of this name, or writes the recording anew.
#[track_caller]
pub fn compare(name: &str, actual: &str) {
    if records() {
        fs::create_dir_all(path(name).parent().unwrap()).unwrap();
        return fs::write(path(name), actual).unwrap();
    }
    assert_same(&fs::read_to_string(path(name)).unwrap(), actual);
}

/// Commands that run one after another in one sandbox, with the output and the exit code of each.
struct Transcript {
    sandbox: Sandbox,
    text: String,
    /// Replaces the bytes that differ between two runs.
    stable: fn(&str) -> String,
}

impl Transcript {
    fn new() -> Self {
        Self { sandbox: Sandbox::new(), text: String::new(), stable: str::to_owned }
    }

    /// A transcript that replaces the times and process ids in JSON objects.
    fn with_times() -> Self {
        Self { stable: without_times, ..Self::new() }
    }

    /// Runs `qdemo` with these arguments.
    fn run(&mut self, words: &str) {
        let args: Vec<_> = words.split(' ').collect();
        let outcome = self.sandbox.run(&args);
        self.add(&format!("qdemo {words}"), &outcome);
    }

    /// Runs `qdemo` with these arguments and this standard input.
    fn run_with_input(&mut self, words: &str, input: &str) {
        let args: Vec<_> = words.split(' ').collect();
        let outcome = self.sandbox.run_with_input(&args, input.as_bytes());
        self.add(&format!("printf '{}' | qdemo {words}", input.escape_default()), &outcome);
    }

    /// Runs a shell command.
    fn script(&mut self, line: &str) {
        let outcome = self.sandbox.script(line);
        self.add(line, &outcome);
    }

    /// Adds the output of a command.
    fn add(&mut self, command: &str, outcome: &Outcome) {
        let stdout = visible_nul(&(self.stable)(&outcome.text()));
        let code = outcome.code().map_or("a signal".to_owned(), |code| code.to_string());
        self.text.push_str(&format!("$ {command}\n{stdout}[{code}]\n"));
    }

    /// Adds the content of a file that a command has written.
    fn file(&mut self, name: &str) {
        let text = fs::read_to_string(self.sandbox.path(name)).unwrap();
        self.text.push_str(&format!("$ cat {name}\n{text}[0]\n"));
    }

    #[track_caller]
    fn compare(self, name: &str) {
        compare(name, &self.text);
        self.sandbox.assert_nothing_left();
    }
}

/// Replaces the text between each `start` and the next one of `ends`. `null` stays.
fn blank(text: &str, start: &str, ends: &[char], with: &str) -> String {
    let mut stable = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(start) {
        let (before, after) = rest.split_at(at + start.len());
        let (value, after) = after.split_at(after.find(ends).unwrap_or(after.len()));
        stable.push_str(before);
        stable.push_str(if value == "null" { value } else { with });
        rest = after;
    }
    stable + rest
}

/// The wall-clock times and the process ids differ between two runs.
pub fn without_times(text: &str) -> String {
    let times =
        ["t", "at", "waited", "start", "duration", "oldest_s", "held_s"].map(|key| (key, "TIME"));
    times.into_iter().chain([("pid", "PID")]).fold(text.to_owned(), |text, (key, with)| {
        blank(&text, &format!("\"{key}\":"), &[',', '}'], with)
    })
}

/// A text file should contain no NUL.
fn visible_nul(text: &str) -> String {
    text.replace('\0', "\\0")
}
