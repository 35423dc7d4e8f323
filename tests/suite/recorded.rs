//! What the program does, recorded: standard output and exit codes of each command, both directions of the
//! protocol, and journals. A different byte is a failing test. The recordings are in `tests/recorded`;
//! `QDEMO_RECORD=1 cargo test recorded` writes them anew. Standard error and `--help` are for people, and
//! are not recorded.
//!
//! What differs from one time to the next is replaced before a recording is compared, by the functions at
//! the end of this file and by nothing else.

mod commands;
mod journals;
mod wire;

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Outcome, Sandbox, assert_same};

/// Where a recording is.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded").join(name)
}

/// Whether the recordings are to be written anew.
fn records() -> bool {
    std::env::var_os("QDEMO_RECORD").is_some()
}

/// Compares a text with the recording of this name, or writes that anew.
#[track_caller]
fn compare(name: &str, actual: &str) {
    if records() {
        fs::create_dir_all(path(name).parent().unwrap()).unwrap();
        return fs::write(path(name), actual).unwrap();
    }
    assert_same(&fs::read_to_string(path(name)).unwrap(), actual);
}

/// Commands in one place, one after another, with what each prints and its exit code.
struct Transcript {
    sandbox: Sandbox,
    text: String,
    /// Replaces what differs from one time to the next.
    stable: fn(&str) -> String,
}

impl Transcript {
    fn new() -> Self {
        Self { sandbox: Sandbox::new(), text: String::new(), stable: str::to_owned }
    }

    /// One in which the times and process numbers of JSON objects are replaced.
    fn with_times() -> Self {
        Self { stable: without_times, ..Self::new() }
    }

    /// Runs `qdemo` with these words.
    fn run(&mut self, words: &str) {
        let args: Vec<_> = words.split(' ').collect();
        let outcome = self.sandbox.run(&args);
        self.add(&format!("qdemo {words}"), &outcome);
    }

    /// Runs `qdemo` with these words, and this on standard input.
    fn run_with_input(&mut self, words: &str, input: &str) {
        let args: Vec<_> = words.split(' ').collect();
        let outcome = self.sandbox.run_with_input(&args, input.as_bytes());
        self.add(&format!("printf '{}' | qdemo {words}", input.escape_default()), &outcome);
    }

    /// Runs a line of a shell.
    fn script(&mut self, line: &str) {
        let outcome = self.sandbox.script(line);
        self.add(line, &outcome);
    }

    /// Adds what a command has printed.
    fn add(&mut self, command: &str, outcome: &Outcome) {
        let stdout = visible_nul(&(self.stable)(&outcome.text()));
        let code = outcome.code().map_or("a signal".to_owned(), |code| code.to_string());
        self.text.push_str(&format!("$ {command}\n{stdout}[{code}]\n"));
    }

    /// Adds what a file holds that a command has written.
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

/// Replaces what stands between each `start` and the next of the `ends`, but for `null`.
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

/// A wall's clock shows another time each time, and a process has another number.
fn without_times(text: &str) -> String {
    let times = ["t", "waited", "start", "duration", "oldest_s", "held_s"].map(|key| (key, "TIME"));
    times.into_iter().chain([("pid", "PID")]).fold(text.to_owned(), |text, (key, with)| {
        blank(&text, &format!("\"{key}\":"), &[',', '}'], with)
    })
}

/// A NUL is not to be in a text file.
fn visible_nul(text: &str) -> String {
    text.replace('\0', "\\0")
}
