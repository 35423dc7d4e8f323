//! `make install` and `make uninstall`.
//!
//! Local: the installed files do not depend on the place of the queue.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::harness::{Outcome, QDEMO, Running, Sandbox, assert_same};

/// Two commands stand for all.
const COMMANDS: &str = "COMMANDS=put get";

impl Sandbox {
    /// Runs make in the repository, with the program that is built already.
    fn make(&self, target: &str, root: &Path) -> Outcome {
        let mut command = self.command("make");
        let destination = format!("DESTDIR={}", root.display());
        command.args(["-C", env!("CARGO_MANIFEST_DIR"), "--no-print-directory", target]);
        command.args([&format!("PROGRAM={QDEMO}"), &destination, "PREFIX=/usr", COMMANDS]);
        Running::start(command).end()
    }
}

fn files(dir: &Path, root: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, root, found);
        } else {
            found.insert(path.strip_prefix(root).unwrap().display().to_string());
        }
    }
}

fn files_in(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    files(root, root, &mut found);
    found
}

#[test]
fn make_installs_the_program_its_pages_and_completions_and_removes_them() {
    let sandbox = Sandbox::new();
    let root = sandbox.path("a root");
    let install = sandbox.make("install", &root);
    assert_eq!(install.code(), Some(0), "{install:?}");
    let mut expected = BTreeSet::from(
        [
            "usr/bin/qdemo",
            "usr/share/bash-completion/completions/qdemo",
            "usr/share/zsh/site-functions/_qdemo",
            "usr/share/fish/vendor_completions.d/qdemo.fish",
        ]
        .map(str::to_owned),
    );
    for page in ["qdemo", "qdemo-put", "qdemo-get"] {
        expected.insert(format!("usr/share/man/man1/{page}.1"));
        expected.insert(format!("usr/share/man/ja/man1/{page}.1"));
    }
    assert_eq!(files_in(&root), expected);
    let read = |name: &str| fs::read_to_string(root.join("usr/share").join(name)).unwrap();
    assert_same(&sandbox.run(&["man", "put"]).text(), &read("man/man1/qdemo-put.1"));
    let japanese = sandbox.run(&["man", "--lang", "ja"]).text();
    assert_same(&japanese, &read("man/ja/man1/qdemo.1"));
    let script = sandbox.run(&["completions", "fish"]).text();
    assert_same(&script, &read("fish/vendor_completions.d/qdemo.fish"));
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    assert_eq!(size(&root.join("usr/bin/qdemo")), size(Path::new(QDEMO)));

    fs::write(root.join("usr/share/man/man1/other.1"), "").unwrap();
    assert_eq!(sandbox.make("uninstall", &root).code(), Some(0));
    assert_eq!(files_in(&root), BTreeSet::from(["usr/share/man/man1/other.1".to_owned()]));
}

#[test]
fn make_knows_every_command() {
    let help = Sandbox::new().run(&["-h"]).text();
    let commands = help.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let makefile = fs::read_to_string("Makefile").unwrap();
    let known = makefile.lines().find_map(|line| line.strip_prefix("COMMANDS = ")).unwrap();
    assert_eq!(commands.collect::<BTreeSet<_>>(), known.split(' ').collect());
}
