//! The README agrees with the program.
//!
//! The tests that are not of `both!` are of text and of runs.

use std::fs;
use std::process::Command;

use crate::harness::{Sandbox, assert_same};

#[test]
fn the_transcript_in_the_readme_is_the_output_of_its_command() {
    let readme = fs::read_to_string("README.md").unwrap();
    let (_, block) = readme.split_once("```console\n$ qdemo ").unwrap();
    let (command, rest) = block.split_once('\n').unwrap();
    let (transcript, _) = rest.split_once("```").unwrap();
    let mut args: Vec<_> = command.split(' ').collect();
    args.extend(["--speed", "max"]);
    Sandbox::new().run(&args).assert_prints(transcript);
}

both!(the_script_in_the_readme_delivers_every_item_once, |backend| {
    let readme = fs::read_to_string("README.md").unwrap();
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

#[test]
fn every_option_of_the_help_is_in_the_readme() {
    let readme = fs::read_to_string("README.md").unwrap();
    let commands = [
        "run",
        "timeline",
        "bench",
        "producer",
        "consumer",
        "put",
        "get",
        "peek",
        "join",
        "close",
        "status",
        "failed",
        "rm",
        "completions",
        "man",
    ];
    for command in commands {
        let help = Sandbox::new().run(&[command, "--help"]);
        let text = help.text();
        let options = text.split_whitespace().filter(|word| word.starts_with("--"));
        for option in options.map(|word| word.trim_end_matches(',')) {
            assert!(option == "--help" || readme.contains(option), "{command} {option}");
        }
    }
}

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
