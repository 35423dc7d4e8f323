//! What `docs/STABILITY.md` promises and no other test shows.
//!
//! Local: no queue is used.

use std::fs;
use std::path::Path;

use crate::harness::Sandbox;
use crate::recorded::compare;

/// The files that define what `qdemo::` exports.
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

/// A line that goes away or changes breaks a promise. A new line is a new promise.
#[test]
fn the_public_items_of_the_library_are_as_recorded() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let read = |file: &str| fs::read_to_string(src.join(file)).unwrap();
    let root = read("lib.rs");
    let (_, exports) = root.rsplit_once("mod wire;").unwrap();
    let mut text = format!("{}\n", exports.trim());
    for file in PUBLIC_FILES {
        text += &format!("\n{file}\n{}", public_lines(&read(file)));
    }
    compare("library.txt", &text);
}
