//! The blocks of code in a document, and how a test runs them.

use std::fs;

use crate::harness::{Sandbox, assert_same};

/// The documents that exist in English and in Japanese.
pub const PAIRS: [[&str; 2]; 6] = [
    ["README.md", "README.ja.md"],
    ["docs/REFERENCE.md", "docs/REFERENCE.ja.md"],
    ["docs/COOKBOOK.md", "docs/COOKBOOK.ja.md"],
    ["docs/INSTALL.md", "docs/INSTALL.ja.md"],
    ["docs/SERVER.md", "docs/SERVER.ja.md"],
    ["docs/STABILITY.md", "docs/STABILITY.ja.md"],
];

/// The documents in English only.
pub const ENGLISH_ONLY: [&str; 5] = [
    "docs/DESIGN.md",
    "docs/GUARANTEES.md",
    "docs/PERFORMANCE.md",
    "docs/PROTOCOL.md",
    "docs/TESTING.md",
];

/// A fenced block.
#[derive(Debug)]
pub struct Block {
    /// The word behind the fence.
    pub kind: String,
    pub text: String,
}

/// A command of a transcript, with its output.
pub struct Step {
    pub command: String,
    pub output: String,
}

pub fn read(document: &str) -> String {
    fs::read_to_string(document).unwrap_or_else(|error| panic!("{document}: {error}"))
}

/// The locale of a reader of this document.
pub fn locale_of(document: &str) -> &'static str {
    if document.ends_with(".ja.md") { "ja_JP.UTF-8" } else { "en_US.UTF-8" }
}

pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("\n```") {
        let (kind, after) = after.split_once('\n').unwrap();
        // A block may be empty.
        let (text, after) = after.split_once("```").unwrap();
        blocks.push(Block { kind: kind.to_owned(), text: text.to_owned() });
        rest = after;
    }
    blocks
}

impl Block {
    /// The block without comments: what both languages have in common.
    pub fn code(&self) -> String {
        // What the program says, in the language of the document.
        if self.kind == "text" {
            return String::new();
        }
        let output_follows = self.kind == "console";
        let lines = self.text.lines().filter(|line| !output_follows || line.starts_with("$ "));
        let without_comment = |line: &str| {
            let comment = if self.kind == "rust" { "//" } else { "# " };
            let at = match line.find(comment) {
                Some(at) if at == 0 || line[..at].ends_with(' ') => at,
                _ => line.len(),
            };
            line[..at].trim_end().replace("--lang ja", "--lang en")
        };
        lines.map(without_comment).collect::<Vec<_>>().join("\n")
    }

    /// The commands of a transcript.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        for line in self.text.lines() {
            if let Some(command) = line.strip_prefix("$ ") {
                steps.push(Step { command: command.to_owned(), output: String::new() });
            } else {
                let step = steps.last_mut().expect("a transcript begins with a command");
                step.output.push_str(line);
                step.output.push('\n');
            }
        }
        steps
    }
}

/// Runs the commands of a transcript in one shell. Returns what each of them prints on a terminal, which has both
/// standard streams.
pub fn run_transcript(sandbox: &Sandbox, locale: &str, commands: &[String]) -> Vec<String> {
    let mark = "\u{1}\n";
    // `--speed max` changes nothing but the time that a run takes.
    let hurry = |command: &String| match command.strip_prefix("qdemo run") {
        Some(rest) if !rest.contains("--speed") => format!("qdemo run --speed max{rest}"),
        _ => command.clone(),
    };
    let commands: Vec<_> = commands.iter().map(hurry).collect();
    let script = commands.join("\nprintf '\\1\\n'\n");
    let outcome =
        sandbox.script_in_locale(locale, &format!("set -eo pipefail; exec 2>&1\n{script}"));
    assert_eq!(outcome.code(), Some(0), "{}", outcome.text());
    outcome.text().split(mark).map(str::to_owned).collect()
}

/// Compares the output of a transcript's commands with the document, or writes the output into the document. `stable`
/// replaces what differs between two runs.
#[track_caller]
pub fn compare(document: &str, block: &Block, outputs: &[String], stable: fn(&str) -> String) {
    let steps = block.steps();
    let is_same = |(step, output): (&Step, &String)| stable(&step.output) == stable(output);
    if steps.iter().zip(outputs).all(is_same) {
        return;
    }
    let step = |(step, output): (&Step, &String)| format!("$ {}\n{output}", step.command);
    let now: String = steps.iter().zip(outputs).map(step).collect();
    if std::env::var_os("QDEMO_RECORD").is_some() {
        let text = read(document).replace(&block.text, &now);
        return fs::write(document, text).unwrap();
    }
    assert_same(&stable(&block.text), &stable(&now));
    panic!("{document}: {now}");
}
