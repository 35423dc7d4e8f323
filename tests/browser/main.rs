//! Checks of the pictures in a real browser. These tests need Chromium, and so only `make test-browser` runs them. Screenshots
//! are in `target/pictures`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

const QDEMO: &str = env!("CARGO_BIN_EXE_qdemo");
const LOOK: &str = include_str!("look.js");
/// Names of Chromium's executable.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// Options that keep the browser from the network and from the user's profile.
const ISOLATED: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
];

#[derive(Debug, Deserialize)]
struct Seen {
    title: String,
    lanes: Vec<Lane>,
    arrows: Vec<Arrow>,
    labels: Vec<String>,
    overlapping: Vec<(String, String)>,
    outside: Vec<String>,
    spilled: Vec<String>,
    faint: Vec<(String, f64)>,
    paper: String,
    classes: Vec<String>,
    depth: f64,
    pointed: Option<Pointed>,
    fetched: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Lane {
    worker: String,
    wide: f64,
}

#[derive(Debug, Deserialize)]
struct Arrow {
    down: bool,
    seen: bool,
}

#[derive(Debug, Deserialize)]
struct Pointed {
    lane: Option<String>,
    arrow: Option<String>,
    depth: Option<String>,
    nothing: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Light,
    Dark,
}

/// The folder of the pictures and screenshots.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../pictures");
    fs::create_dir_all(&folder).unwrap();
    folder.canonicalize().unwrap()
}

/// Runs `qdemo run` and returns the picture's path.
fn draw(name: &str, args: &str) -> PathBuf {
    let path = folder().join(name);
    let mut command = Command::new(QDEMO);
    command.args(["run", "--quiet", "--timeline"]).arg(&path);
    let run = command.args(args.split_whitespace()).stdin(Stdio::null()).output().unwrap();
    assert!(run.status.success(), "{run:?}");
    path
}

fn browser() -> Command {
    let there = |name: &&str| Command::new(name).arg("--version").output().is_ok();
    let name = NAMES.into_iter().find(there).expect("Chromium: `make test-browser` installs it");
    Command::new(name)
}

/// Opens a file in the browser with one more option. Returns the browser's standard output.
fn open(path: &Path, scheme: Scheme, option: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let preferred = match scheme {
        Scheme::Dark => "--blink-settings=preferredColorScheme=0",
        Scheme::Light => "--blink-settings=preferredColorScheme=1",
    };
    let opened = browser()
        .args(ISOLATED)
        .args(["--window-size=1240,900", "--virtual-time-budget=2000", preferred, option])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", path.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(opened.status.success(), "{opened:?}");
    String::from_utf8_lossy(&opened.stdout).into_owned()
}

/// Inspects a picture with `look.js`, and saves a screenshot of the picture.
fn inspect(path: &Path, scheme: Scheme) -> Seen {
    let name = path.file_name().unwrap().to_string_lossy();
    let screenshot = folder().join(format!("{name}.{scheme:?}.png").to_lowercase());
    open(path, scheme, &format!("--screenshot={}", screenshot.display()));
    let picture = fs::read_to_string(path).unwrap();
    // A bare picture needs a page around it that can hold the script.
    let page = if picture.starts_with("<svg") {
        format!("<!doctype html><meta charset=utf-8><body>{picture}</body>")
    } else {
        picture
    };
    let inspected = folder().join(format!("{name}.inspected.html"));
    fs::write(&inspected, format!("{page}<script>{{{LOOK}}}</script>")).unwrap();
    let dom = open(&inspected, scheme, "--dump-dom");
    fs::remove_file(&inspected).unwrap();
    let seen = dom.split_once("<pre id=\"seen\">").unwrap_or_else(|| panic!("no result in {dom}"));
    let seen = seen.1.split_once("</pre>").unwrap().0;
    serde_json::from_str(seen).unwrap()
}

/// Checks that all labels of a picture can be read, and that the picture loads nothing.
fn assert_legible(seen: &Seen, scheme: Scheme) {
    assert_eq!(seen.overlapping, [], "labels overlap");
    assert_eq!(seen.outside, [""; 0], "labels are cut off");
    assert_eq!(seen.spilled, [""; 0], "labels do not fit into their bars");
    assert_eq!(seen.faint, [], "labels have too little contrast");
    assert!(seen.depth > 500.0, "the line of the depth is too short: {}", seen.depth);
    assert_eq!(seen.fetched, [""; 0], "the picture loads something");
    let paper = match scheme {
        Scheme::Light => "rgb(255, 255, 255)",
        Scheme::Dark => "rgb(21, 23, 28)",
    };
    assert_eq!(seen.paper, paper);
    for arrow in &seen.arrows {
        assert!(arrow.seen, "an arrow has no length");
    }
}

/// Inspects a picture in both color schemes. Returns the report of the light one.
fn inspect_twice(path: &Path) -> Seen {
    assert_legible(&inspect(path, Scheme::Dark), Scheme::Dark);
    let seen = inspect(path, Scheme::Light);
    assert_legible(&seen, Scheme::Light);
    seen
}

fn workers(seen: &Seen) -> Vec<&str> {
    seen.lanes.iter().map(|lane| lane.worker.as_str()).collect()
}

#[test]
fn the_picture_of_the_classic_example_is_legible_and_complete() {
    let seen = inspect_twice(&draw("classic.svg", "--lang ja --speed max"));
    assert_eq!(workers(&seen), ["生産者", "消費者"]);
    assert!(seen.lanes.iter().all(|lane| lane.wide > 400.0), "{:?}", seen.lanes);
    assert_eq!(seen.arrows.len(), 5);
    assert!(seen.arrows.iter().all(|arrow| arrow.down));
    for label in ["アイテム4", "10 s", "生産中・処理中", "空き待ち", "キューの深さ", "受け渡し"]
    {
        assert!(seen.labels.iter().any(|l| l == label), "{label}: {:?}", seen.labels);
    }
}

#[test]
fn a_page_shows_a_tip_for_the_element_under_the_pointer() {
    let seen = inspect_twice(&draw("classic-en.html", "--lang en --speed max"));
    assert_eq!(seen.title, "qdemo: 1 producer, 1 consumer, 5 items, 10 s");
    let pointed = seen.pointed.unwrap();
    let text = |tip: Option<String>| tip.unwrap_or_default();
    assert_eq!(text(pointed.lane), "producer: working item0, 0 s – 1 s (1 s)");
    assert_eq!(text(pointed.arrow), "item4: producer 4 s → consumer 8 s (4 s in the queue)");
    assert_eq!(text(pointed.depth), "queue depth 0, 0 s – 1 s (1 s)");
    assert_eq!(pointed.nothing, None);
}

#[test]
fn a_picture_shows_several_workers_that_block_and_wait() {
    let args = "--speed max --producers 2 --consumers 3 --items 30 --capacity 2 --seed 7 \
                --producer-delay exp:500ms --consumer-delay exp:1.2s";
    for (name, lang) in [("several.html", "ja"), ("several-en.svg", "en")] {
        let seen = inspect_twice(&draw(name, &format!("{args} --lang {lang}")));
        assert_eq!(seen.lanes.len(), 5);
        assert_eq!(seen.arrows.len(), 30);
        for class in ["blocked", "waiting", "working", "putting", "capacity"] {
            assert!(seen.classes.iter().any(|c| c == class), "{class}: {:?}", seen.classes);
        }
    }
}

#[test]
fn item_names_of_every_length_are_legible() {
    for name in ["x", "a rather long name of an item, which will hardly fit anywhere, "] {
        let args = ["--producer-delay", "exp:1s", "--seed", "3", "--items", "25", "--item-name"];
        let path = folder().join("names.html");
        let mut command = Command::new(QDEMO);
        command.args(["run", "--quiet", "--speed", "max", "--timeline"]).arg(&path).args(args);
        assert!(command.arg(name).status().unwrap().success());
        inspect_twice(&path);
    }
}

#[test]
fn a_picture_shows_dead_workers() {
    let args = "--chaos 30ms --consumers 2 --items 30 --producer-delay 100ms \
                --consumer-delay 300ms --capacity 3 --speed 20 --lang en";
    let seen = inspect_twice(&draw("chaos.html", args));
    assert!(seen.classes.iter().any(|class| class == "death"), "{:?}", seen.classes);
    assert!(seen.arrows.len() >= 30, "{}", seen.arrows.len());
}

#[test]
fn pictures_of_long_runs_and_of_many_workers_are_legible() {
    for (name, args, lanes) in [
        ("million.html", "--items 1000000 --producer-delay 0 --consumer-delay 0", 2),
        (
            "queueing.html",
            "--speed max --items 20000 --producer-delay exp:1ms --consumer-delay exp:900us --seed 1",
            2,
        ),
        (
            "crowd.svg",
            "--speed max --producers 20 --consumers 40 --items 2000 --producer-delay exp:1s --seed 2 --lang en",
            60,
        ),
    ] {
        let seen = inspect_twice(&draw(name, args));
        assert_eq!(seen.lanes.len(), lanes);
        assert!(seen.arrows.len() > 20, "{name}: {}", seen.arrows.len());
        assert!(seen.lanes.iter().all(|lane| lane.wide > 10.0), "{name}: {:?}", seen.lanes);
    }
}
