//! `docs/LEARN.md` and `docs/LEARN.ja.md` are what `qdemo learn --print` prints, below their heads.

use std::fs;

use super::blocks::{locale_of, read};
use crate::harness::{Sandbox, assert_same};

const MARK: &str = "<!-- lessons -->\n\n";

/// Compares the document with the program, or writes its lessons anew.
fn check(document: &str) -> String {
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
    now
}

#[test]
fn the_english_lessons_are_those_that_the_program_prints() {
    let lessons = check("docs/LEARN.md");
    let lessons: Vec<_> = lessons.split("\n## ").collect();
    // The texts explain these random runs. Another generator of random numbers needs other seeds.
    let count = |lesson: usize, text: &str| lessons[lesson].matches(text).count();
    assert_eq!([count(4, "consumer 1: got"), count(4, "consumer 2: got")], [5, 1]);
    assert_eq!([count(5, "was killed"), count(5, "item2 is ready again (")], [1, 1]);
    let means = lessons[8].lines().filter_map(|line| line.strip_prefix("wait "));
    let means: Vec<_> = means.map(|line| line.trim_start().split("  ").next().unwrap()).collect();
    let [half, full] = [means[0].strip_suffix(" ms"), means[1].strip_suffix(" s")];
    let [half, full]: [f64; 2] = [half, full].map(|mean| mean.unwrap().parse().unwrap());
    assert!(1000.0 * full / half > 30.0, "{means:?}");
}

#[test]
fn the_japanese_lessons_are_those_that_the_program_prints() {
    let lessons = check("docs/LEARN.ja.md");
    assert_eq!(lessons.matches("\n## ").count(), 9);
}
