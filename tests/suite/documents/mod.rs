//! The documents agree with the program, and their commands work as a reader pastes them.
//!
//! Each document is run as its reader has it: the English one in an English locale, the Japanese one in a Japanese
//! locale. Both have the same commands, so that each command runs in both languages. `docs/COOKBOOK.md` has tests of
//! its own, and so have the sessions in `docs/PROTOCOL.md`.
//!
//! The tests that are not of `both!` are of text and of runs.

mod blocks;
mod learn;
mod links;
mod reference;
mod server;

use std::fs;
use std::process::Command;

use crate::harness::{Sandbox, assert_same};
use blocks::{Block, PAIRS, blocks, compare, locale_of, read, run_transcript};

/// The commands that the help has as examples. Another test runs them.
fn without_generated_part(text: &str) -> String {
    match (text.split_once("<!-- commands -->"), text.split_once("<!-- end of commands -->")) {
        (Some((before, _)), Some((_, after))) => format!("{before}{after}"),
        _ => text.to_owned(),
    }
}

/// The targets of the Makefile, some of which are on a line with others.
fn targets() -> Vec<String> {
    let makefile = read("Makefile");
    let lines = makefile.lines().filter_map(|line| line.split_once(':').map(|(names, _)| names));
    lines.flat_map(str::split_whitespace).map(str::to_owned).collect()
}

/// Runs a block in a place of its own, as on a fresh machine.
fn run_block(document: &str, block: &Block) {
    // These build and test the program itself. A test holds that the Makefile has them.
    if block.text.starts_with("make ") {
        return;
    }
    let needs_server = block.text.contains("QDEMO_SERVER=");
    let backend =
        if needs_server { crate::harness::Backend::Server } else { crate::harness::Backend::Local };
    backend.check(|backend| {
        let sandbox = Sandbox::on(backend);
        let locale = locale_of(document);
        if block.kind == "console" {
            let steps = block.steps();
            let commands: Vec<_> = steps.iter().map(|step| step.command.clone()).collect();
            let outputs = run_transcript(&sandbox, locale, &commands);
            compare(document, block, &outputs, str::to_owned);
        } else {
            // The sandbox has its own server.
            let text = block.text.replace("export QDEMO_SERVER=redis://queue.example", "");
            let outcome = sandbox.script_in_locale(locale, &format!("set -eo pipefail\n{text}"));
            assert_eq!(outcome.code(), Some(0), "{document}:\n{text}{}", outcome.stderr);
            // A command in the background has no exit code here. When it is not understood, it names the help.
            assert!(!outcome.stderr.contains("--help"), "{document}:\n{text}{}", outcome.stderr);
        }
        sandbox.assert_nothing_left();
    });
}

fn run_blocks(document: &str, least: usize) {
    let blocks = blocks(&without_generated_part(&read(document)));
    let commands = blocks.iter().filter(|block| ["sh", "console"].contains(&block.kind.as_str()));
    let count = commands.map(|block| run_block(document, block)).count();
    assert!(count >= least, "{document} has only {count} blocks of commands");
}

#[test]
fn the_commands_in_the_readme_work_as_pasted() {
    run_blocks("README.md", 9);
}

#[test]
fn the_commands_in_the_japanese_readme_work_as_pasted() {
    run_blocks("README.ja.md", 9);
}

#[test]
fn the_commands_in_the_reference_work_as_pasted() {
    run_blocks("docs/REFERENCE.md", 5);
}

#[test]
fn the_commands_in_the_japanese_reference_work_as_pasted() {
    run_blocks("docs/REFERENCE.ja.md", 5);
}

#[test]
fn both_languages_of_a_document_have_the_same_commands() {
    for [english, japanese] in PAIRS {
        let code = |document: &str| -> Vec<String> {
            blocks(&read(document)).iter().map(Block::code).collect()
        };
        let (english_code, japanese_code) = (code(english), code(japanese));
        assert_eq!(english_code.len(), japanese_code.len(), "{english} {japanese}");
        for (english, japanese) in english_code.iter().zip(&japanese_code) {
            assert_same(english, japanese);
        }
    }
}

#[test]
fn a_readme_has_at_most_130_lines() {
    for document in PAIRS[0] {
        let count = read(document).lines().count();
        assert!(count <= 130, "{document} has {count} lines");
    }
}

#[test]
fn the_makefile_has_each_target_that_a_document_names() {
    let targets = targets();
    for document in PAIRS.iter().flatten().chain(&blocks::ENGLISH_ONLY) {
        let text = read(document);
        let spans = text.split('`').map(str::to_owned);
        let lines = blocks(&text)
            .into_iter()
            .flat_map(|block| block.text.lines().map(str::to_owned).collect::<Vec<_>>());
        for command in spans.chain(lines) {
            let Some(command) = command.strip_prefix("make ") else { continue };
            let target = command.split_whitespace().next().unwrap();
            assert!(targets.iter().any(|known| known == target), "{document}: make {target}");
        }
    }
}

both!(the_script_in_the_readme_delivers_every_item_once, |backend| {
    let readme = read("README.md");
    let start = readme.find("for worker in 1 2 3").unwrap();
    let (script, _) = readme[start..].split_once("```").unwrap();
    let sandbox = Sandbox::on(backend);
    let outcome = sandbox.script(script);
    assert_eq!(outcome.code(), Some(0));
    let lines = outcome.lines();
    for page in 1..=100 {
        let count = lines.iter().filter(|line| line.ends_with(&format!(": {page}"))).count();
        assert_eq!(count, 1, "page {page}");
    }
    sandbox.assert_nothing_left();
});

/// The commit of this repository and its date. None if the files are not in a repository of their own, or without git.
fn own_commit() -> Option<String> {
    let dir = env!("CARGO_MANIFEST_DIR");
    let git = |args: &[&str]| {
        let output = Command::new("git").args(["-C", dir]).args(args).output().ok()?;
        let text = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        output.status.success().then_some(text)
    };
    let top = fs::canonicalize(git(&["rev-parse", "--show-toplevel"])?).unwrap();
    let is_own = top == fs::canonicalize(dir).unwrap();
    is_own.then(|| git(&["show", "--no-patch", "--abbrev=7", "--format=%h %cs", "HEAD"])).flatten()
}

#[test]
fn help_and_version_go_to_standard_output() {
    let sandbox = Sandbox::new();
    let version = format!("qdemo {}", env!("CARGO_PKG_VERSION"));
    sandbox.run(&["-V"]).assert_prints(&format!("{version}\n"));
    let commit = own_commit().map_or(String::new(), |commit| format!(" ({commit})"));
    sandbox.run(&["--version"]).assert_prints(&format!("{version}{commit}\n"));
    let help = sandbox.run(&["--help"]);
    help.assert_done();
    assert!(help.text().contains("Share a queue by name:"));
    let bare = sandbox.run::<&str>(&[]);
    assert_same("", &bare.text());
    assert_eq!(bare.code(), Some(2));
    assert!(bare.stderr.contains("Share a queue by name:"));
}
