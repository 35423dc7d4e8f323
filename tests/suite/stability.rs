//! What `docs/STABILITY.md` promises and no other test shows.
//!
//! Local: no queue is used.

use std::fs;
use std::path::Path;

use crate::harness::Sandbox;
use crate::recorded::compare;

/// The files that define what `qdemo::` exports. A test fails when one is missing.
const PUBLIC_FILES: [&str; 11] = [
    "client/builder.rs",
    "client/connect.rs",
    "client/delivery.rs",
    "client/error.rs",
    "client/get.rs",
    "client/handle.rs",
    "client/keeper_process.rs",
    "client/put.rs",
    "client/typed.rs",
    "queue_name.rs",
    "role.rs",
];

#[test]
fn no_abbreviation_of_a_command_or_an_option_is_accepted() {
    let sandbox = Sandbox::new();
    sandbox.run(&["stat"]).assert_refused(2, &["`stat`", "`qdemo status`"]);
    sandbox.run(&["status", "--form", "json"]).assert_refused(2, &["'--form'", "'--format'"]);
    sandbox.run(&["status", "--format", "js"]).assert_refused(2, &["js", "json"]);
    sandbox.assert_nothing_left();
}

/// The public lines of a file: each function with its parameters, each type with its variants and public fields, the blocks and
/// traits that the functions are of, and the attributes that bind a program.
fn public_lines(text: &str) -> String {
    let (code, _) = text.split_once("#[cfg(test)]").unwrap_or((text, ""));
    let mut public = String::new();
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        // The conversions are from private types.
        let is_block = line.starts_with("impl") && !line.contains("From<");
        if line.trim() == "#[non_exhaustive]" || (is_block && line.ends_with('{')) {
            public += &format!("{}\n", line.trim_end_matches(" {"));
            continue;
        }
        if !line.trim_start().starts_with("pub ") {
            continue;
        }
        let is_enum = line.starts_with("pub enum");
        // A function or the bounds of a type may stand on several lines.
        let mut whole = line.to_owned();
        while !whole.ends_with(['{', ';', ',', '}'])
            || whole.matches('(').count() > whole.matches(')').count()
        {
            whole += &format!(" {}", lines.next().unwrap().trim());
        }
        public += &format!("{}\n", whole.trim_end_matches(['{', ';', ' ']));
        if is_enum {
            let inner = lines.by_ref().take_while(|line| *line != "}");
            let inner = inner.filter(|line| !line.trim().starts_with("//"));
            inner
                .filter(|line| !line.trim().starts_with("#[error") && !line.contains("#[source]"))
                .for_each(|line| public += &format!("{line}\n"));
        }
    }
    public
}

/// The text of a file in `src`.
fn source(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file)).unwrap()
}

/// The `pub use` lines of `src/lib.rs`.
fn exports() -> String {
    let root = source("lib.rs");
    let (_, exports) = root.rsplit_once("mod wire;").unwrap();
    exports.trim().to_owned()
}

/// The names in lines such as `pub use client::{Client, Queue};`.
fn exported_names(exports: &str) -> Vec<&str> {
    let uses = exports.split(';').filter_map(|line| line.trim().strip_prefix("pub use "));
    let lists = uses.map(|path| path.rsplit_once("::").unwrap().1);
    lists
        .flat_map(|list| list.trim_matches(['{', '}']).split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect()
}

/// A line that goes away or changes breaks a promise. A new line is a new promise.
#[test]
fn the_public_items_of_the_library_are_as_recorded() {
    let mut text = format!("{}\n", exports());
    for file in PUBLIC_FILES {
        text += &format!("\n{file}\n{}", public_lines(&source(file)));
    }
    compare("library.txt", &text);
}

/// So the record has the definition of each name, with its fields and functions.
#[test]
fn every_exported_name_is_defined_in_a_recorded_file() {
    let exports = exports();
    let names = exported_names(&exports);
    assert!(names.len() > 10, "{names:?}");
    let public: String = PUBLIC_FILES.iter().map(|file| public_lines(&source(file))).collect();
    let defined: Vec<_> = public
        .lines()
        .filter_map(|line| line.strip_prefix("pub "))
        .filter_map(|line| line.split_once(' '))
        .filter(|(kind, _)| ["struct", "enum", "fn", "trait", "type", "const"].contains(kind))
        .map(|(_, rest)| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap())
        .collect();
    let missing: Vec<_> = names.iter().filter(|name| !defined.contains(name)).collect();
    assert!(missing.is_empty(), "add the files of {missing:?} to PUBLIC_FILES");
}
