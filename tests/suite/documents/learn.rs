//! `docs/LEARN.md` and `docs/LEARN.ja.md` are what `qdemo learn --print` prints, below their heads.

use std::fs;

use super::blocks::{locale_of, read};
use crate::harness::{Sandbox, assert_same};

const MARK: &str = "<!-- lessons -->\n\n";

/// Compares the document with the program, or writes its lessons anew.
fn check(document: &str) {
    let sandbox = Sandbox::new();
    let outcome = sandbox.script_in_locale(locale_of(document), "qdemo learn --print");
    outcome.assert_done();
    let before = read(document);
    let (head, lessons) = before.split_once(MARK).expect("the mark of the lessons");
    let now = outcome.text();
    let now = now.trim_end().to_owned() + "\n";
    if std::env::var_os("QDEMO_RECORD").is_some() {
        fs::write(document, format!("{head}{MARK}{now}")).unwrap();
    } else {
        assert_same(lessons, &now);
    }
    sandbox.assert_nothing_left();
}

#[test]
fn the_english_lessons_are_those_that_the_program_prints() {
    check("docs/LEARN.md");
}

#[test]
fn the_japanese_lessons_are_those_that_the_program_prints() {
    check("docs/LEARN.ja.md");
}
