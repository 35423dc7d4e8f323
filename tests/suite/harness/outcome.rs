//! The outcome of a command, and what tests assert about it.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The output and the exit status of a command.
#[derive(Debug)]
pub struct Outcome {
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub status: ExitStatus,
}

impl Outcome {
    pub fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).expect("standard output is UTF-8")
    }

    pub fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }

    /// The exit code. None if a signal ended the command.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Asserts that standard output is `expected`, standard error is empty, and the exit code is 0.
    #[track_caller]
    pub fn assert_prints(&self, expected: &str) {
        assert_same(expected, &self.text());
        assert_same("", &self.stderr);
        assert_eq!(self.code(), Some(0));
    }

    /// Asserts that standard output is empty, and that standard error is one line with all `words`.
    #[track_caller]
    pub fn assert_refused(&self, code: i32, words: &[&str]) {
        assert_same("", &self.text());
        self.assert_one_line_of_error(words);
        assert_eq!(self.code(), Some(code), "{}", self.stderr);
    }

    /// As [`Outcome::assert_refused`], but a slow server may have been reported in earlier lines of standard error.
    #[track_caller]
    pub fn assert_refused_at_last(&self, code: i32, words: &[&str]) {
        assert_same("", &self.text());
        let line = self.stderr.lines().last().unwrap_or_default();
        assert!(line.starts_with("qdemo: "), "{}", self.stderr);
        assert!(words.iter().all(|word| line.contains(word)), "no {words:?} in: {}", self.stderr);
        assert_eq!(self.code(), Some(code), "{}", self.stderr);
    }

    #[track_caller]
    pub fn assert_one_line_of_error(&self, words: &[&str]) {
        assert_eq!(self.stderr.lines().count(), 1, "not one line: {}", self.stderr);
        assert!(self.stderr.starts_with("qdemo: "), "{}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in: {}", self.stderr);
        }
    }

    #[track_caller]
    pub fn assert_done(&self) {
        assert_same("", &self.stderr);
        assert_eq!(self.code(), Some(0));
    }
}

/// Panics with a diff if the texts differ.
#[track_caller]
pub fn assert_same(expected: &str, actual: &str) {
    if expected != actual {
        let diff = similar::TextDiff::from_lines(expected, actual);
        panic!("the text differs:\n{}", diff.unified_diff().header("expected", "actual"));
    }
}
