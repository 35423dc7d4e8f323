//! The pictures in `docs` are what the program draws and shows today. `make pictures` draws them anew.
//!
//! `docs/bench.svg` is not among them: it shows measurements of one machine.
//!
//! Local: these are runs, and a session that does not depend on the place of a queue.

mod screen;
mod session;

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::Sandbox;
use session::Session;

/// The example of the README.
const CLASSIC_RUN: &str = "qdemo run --items 5 --producer-delay 1s --consumer-delay 2s";

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Compares a picture with the one in `docs`, or draws that one anew.
#[track_caller]
fn compare(name: &str, picture: &str) {
    let path = path("docs").join(name);
    if std::env::var_os("QDEMO_RECORD").is_some() {
        return fs::write(path, picture).unwrap();
    }
    let shown = fs::read_to_string(path).unwrap_or_default();
    assert!(shown == picture, "docs/{name} is out of date: `make pictures` draws it anew");
}

/// Draws the picture of a run with the command that this document shows above it.
fn draw_timeline(document: &str, name: &str) {
    let sandbox = Sandbox::new();
    let text = fs::read_to_string(path(document)).unwrap();
    let example = text.split("```sh\n").find(|block| block.contains("--timeline run.svg"));
    sandbox.script(example.unwrap().split("```").next().unwrap()).assert_prints("");
    compare(name, &fs::read_to_string(sandbox.path("run.svg")).unwrap());
    sandbox.assert_nothing_left();
}

/// Records the session on a terminal whose user has this locale and this language.
fn record_session(locale: &str, lang: &str, title: &str, name: &str) {
    let mut session = Session::start(locale);
    let run = match lang {
        // A Japanese log needs no option.
        "ja" => CLASSIC_RUN.to_owned(),
        _ => format!("{CLASSIC_RUN} --lang {lang}"),
    };
    session.run_in_its_own_time(&run);
    session.run("qdemo put -q jobs a b c");
    session.run("qdemo get -q jobs");
    session.run("qdemo close -q jobs && qdemo get -q jobs --count 2");
    let times = session.end();
    compare(name, &screen::draw(&times.screen, &times.rows, title));
}

#[test]
fn the_picture_of_a_run_is_what_the_command_above_it_draws() {
    draw_timeline("README.md", "timeline.svg");
}

#[test]
fn the_japanese_picture_of_a_run_is_what_the_command_above_it_draws() {
    draw_timeline("README.ja.md", "timeline.ja.svg");
}

#[test]
fn the_picture_of_a_session_shows_what_a_terminal_shows() {
    record_session("C.UTF-8", "en", "A session of qdemo in a terminal", "session.svg");
}

#[test]
fn the_japanese_picture_of_a_session_shows_what_a_terminal_shows() {
    record_session("ja_JP.UTF-8", "ja", "端末での qdemo の実行", "session.ja.svg");
}
