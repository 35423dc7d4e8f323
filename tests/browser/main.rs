//! Checks of the pictures in a real browser. These tests need Chromium, and so only `make test-browser` runs them. Screenshots
//! are in `target/pictures`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

const QDEMO: &str = env!("CARGO_BIN_EXE_qdemo");
const ACT: &str = include_str!("act.js");
const LOOK: &str = include_str!("look.js");
/// Stands before every other script, and remembers what goes wrong.
const WATCH: &str = "<script>globalThis.faults = [];
addEventListener('error', (event) => faults.push(event.message));
addEventListener('securitypolicyviolation', (event) => faults.push(event.violatedDirective));
console.error = console.warn = (...words) => faults.push(words.join(' '));</script>";
/// The browser makes no narrower window. A narrower page is in a frame.
const MIN_WINDOW: u32 = 500;
/// The widths of a small phone and of a large screen, and widths between.
const WIDTHS: [u32; 4] = [320, 700, 1240, 2560];
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
    bare: Vec<String>,
    dim: Vec<(String, f64)>,
    halos: usize,
    changing: Vec<String>,
    covered: Vec<String>,
    crossing: Vec<Vec<String>>,
    paper: String,
    legend: Vec<String>,
    classes: Vec<String>,
    depth: f64,
    pointed: Option<Pointed>,
    width: u32,
    filled: f64,
    scrolled: f64,
    acted: Option<Acted>,
    fetched: Vec<String>,
    faults: Vec<String>,
}

/// What a page shows after each act of `act.js`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Acted {
    start: Shown,
    right: Shown,
    right_again: Shown,
    left: Shown,
    end: Shown,
    home: Shown,
    button: Shown,
    escape: Shown,
    closer: Shown,
    moved: Shown,
    wider: Shown,
    whole: Shown,
    wheel: Shown,
    dragged: Shown,
    whole_again: Shown,
    pinched: Shown,
    clicked: Shown,
    highlighted: usize,
    cursor: String,
    overlapping: Vec<(String, String)>,
    help: f64,
    buttons: Vec<f64>,
    unnamed: usize,
    moving: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    event: String,
    place: String,
    ready: String,
    in_flight: String,
    done: String,
    /// The width of the run, in widths of the plot.
    zoom: f64,
    /// The left end of the run.
    start: f64,
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

/// Opens a file in a window of this width with one more option. Returns the browser's standard output.
fn open(path: &Path, scheme: Scheme, width: u32, option: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let preferred = match scheme {
        Scheme::Dark => "--blink-settings=preferredColorScheme=0",
        Scheme::Light => "--blink-settings=preferredColorScheme=1",
    };
    let opened = browser()
        .args(ISOLATED)
        .args(["--virtual-time-budget=2000", "--force-prefers-reduced-motion", preferred, option])
        .arg(format!("--window-size={width},1000"))
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", path.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(opened.status.success(), "{opened:?}");
    String::from_utf8_lossy(&opened.stdout).into_owned()
}

/// A page with this page in a frame, and with the frame's result.
fn in_frame(page: &str, width: u32) -> String {
    let page = page.replace('&', "&amp;").replace('"', "&quot;");
    let copy = "document.body.append(this.contentDocument.getElementById('seen'))";
    format!(
        "<!doctype html><meta charset=\"utf-8\"><style>iframe {{ border: 0; height: 1000px; width: {width}px }}</style>\
         <body><iframe onload=\"{copy}\" srcdoc=\"{page}\"></iframe></body>"
    )
}

/// Inspects a picture with `look.js`, and saves a screenshot of the picture.
fn inspect(path: &Path, scheme: Scheme, width: u32) -> Seen {
    let name = path.file_name().unwrap().to_string_lossy();
    let screenshot = folder().join(format!("{name}.{width}.{scheme:?}.png").to_lowercase());
    open(path, scheme, width, &format!("--screenshot={}", screenshot.display()));
    let picture = fs::read_to_string(path).unwrap();
    // A bare picture needs a page around it that can hold the script.
    let page = if picture.starts_with("<svg") {
        format!("<!doctype html><meta charset=\"utf-8\"><body>{picture}</body>")
    } else {
        picture
    };
    let charset = "<meta charset=\"utf-8\">";
    let page = page.replacen(charset, &format!("{charset}{WATCH}"), 1);
    let page = format!("{page}<script>{{{ACT}{LOOK}}}</script>");
    let page = if width < MIN_WINDOW { in_frame(&page, width) } else { page };
    let inspected = folder().join(format!("{name}.inspected.html"));
    fs::write(&inspected, page).unwrap();
    let dom = open(&inspected, scheme, width, "--dump-dom");
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
    assert_eq!(seen.faint, [], "letters have too little contrast");
    assert_eq!(seen.bare, [""; 0], "labels of items have no halo");
    assert_eq!(seen.dim, [], "marks have too little contrast");
    assert_eq!(seen.halos, 0, "marks have no halo");
    assert_eq!(seen.changing, [""; 0], "items change their colors");
    assert_eq!(seen.covered, [""; 0], "labels stand under arrows");
    assert_eq!(seen.crossing, [[""; 0]; 0], "parts of the page overlap");
    assert_eq!(seen.fetched, [""; 0], "the picture loads something");
    assert_eq!(seen.faults, [""; 0], "the browser complains");
    let paper = match scheme {
        Scheme::Light => "rgb(255, 255, 255)",
        Scheme::Dark => "rgb(21, 23, 28)",
    };
    assert_eq!(seen.paper, paper);
    for arrow in &seen.arrows {
        assert!(arrow.seen, "an arrow has no length");
    }
    if let Some(acted) = &seen.acted {
        assert!(seen.scrolled <= 0.0, "the page is wider than its window of {}", seen.width);
        let part = seen.filled / f64::from(seen.width);
        assert!(part > 0.7, "the picture fills only {part} of a window of {}", seen.width);
        assert_acts(acted);
    }
}

/// Checks what keys, buttons, wheel and pointers do, on any page with events.
fn assert_acts(acted: &Acted) {
    let Acted { start, right, right_again, left, end, home, button, escape, .. } = acted;
    let (_, count) = start.place.split_once(" / ").unwrap();
    let at = |n: &str| format!("{n} / {count}");
    let places = [start, right, right_again, left, end, home, button, escape].map(|s| &s.place);
    assert_eq!(
        places,
        [at("–"), at("1"), at("2"), at("1"), at(count), at("1"), at("2"), at("–")].each_ref()
    );
    assert_eq!((&left.event, &button.event), (&right.event, &right_again.event));
    assert_eq!((&start.event, start.zoom), (&escape.event, 1.0));
    assert_ne!(right.event, start.event);
    assert_ne!(acted.cursor, "none", "the current event has no line");
    let is = |value: f64, expected: f64| (value - expected).abs() < 0.02 * expected.abs().max(1.0);
    let Acted {
        closer, moved, wider, whole, wheel, dragged, whole_again, pinched, clicked, ..
    } = acted;
    assert!(is(closer.zoom, 1.5 * 1.5 * 1.5), "{closer:?}");
    assert!(is(moved.zoom, closer.zoom) && is(moved.start, closer.start - 0.2), "{moved:?}");
    assert!(is(wider.zoom, 1.5 * 1.5), "{wider:?}");
    for whole in [whole, whole_again] {
        assert!(is(whole.zoom, 1.0) && is(whole.start, 0.0), "{whole:?}");
    }
    assert!(wheel.zoom > 1.5, "{wheel:?}");
    assert!(is(dragged.zoom, wheel.zoom) && dragged.start < wheel.start - 0.02, "{dragged:?}");
    assert!(is(pinched.zoom, 3.0), "{pinched:?}");
    assert_ne!(clicked.place, start.place, "a click chooses no event");
    assert_eq!(acted.overlapping, [], "labels overlap after a zoom");
    assert!(acted.help > 10.0, "no help is visible");
    assert!(acted.buttons.iter().all(|size| *size >= 24.0), "{:?}", acted.buttons);
    assert_eq!(acted.unnamed, 0, "a button has no name");
    assert!(acted.moving.split(", ").all(|time| time == "0s"), "{}", acted.moving);
}

/// Inspects a picture in both color schemes. Returns the report of the light one.
fn inspect_twice(path: &Path) -> Seen {
    assert_legible(&inspect(path, Scheme::Dark, 1240), Scheme::Dark);
    let seen = inspect(path, Scheme::Light, 1240);
    assert_legible(&seen, Scheme::Light);
    assert!(seen.depth > 500.0, "the line of the depth is too short: {}", seen.depth);
    seen
}

/// Inspects a page at these widths, in both color schemes in turn.
fn inspect_widths(path: &Path, widths: &[u32]) {
    let schemes = [Scheme::Light, Scheme::Dark].into_iter().cycle();
    for (width, scheme) in widths.iter().copied().zip(schemes) {
        let seen = inspect(path, scheme, width);
        assert_eq!(seen.width, width, "the browser has no such window");
        assert_legible(&seen, scheme);
    }
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
    for label in ["アイテム4", "10 s", "キューの深さ"] {
        assert!(seen.labels.iter().any(|l| l == label), "{label}: {:?}", seen.labels);
    }
    // Nobody was blocked, waited or died.
    assert_eq!(
        seen.legend,
        ["生産中・処理中（色はアイテムごと）", "追加", "受け渡し", "キューの深さ"]
    );
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
    let acted = seen.acted.unwrap();
    assert_eq!(acted.start.place, "– / 18");
    assert_eq!(acted.right.event, "0 s: producer puts item0");
    assert_eq!([&acted.right.ready, &acted.right.in_flight], ["item0", "none"]);
    assert_eq!(acted.right_again.event, "0 s: consumer gets item0");
    assert_eq!([&acted.right_again.ready, &acted.right_again.in_flight], ["none", "item0"]);
    // The bars, the arrow, the put mark and the two labels of item0.
    assert_eq!(acted.highlighted, 6);
    assert_eq!(acted.end.event, "10 s: all processes have finished");
    assert_eq!([&acted.end.ready, &acted.end.in_flight, &acted.end.done], ["none", "none", "5"]);
}

#[test]
fn a_page_fits_every_window() {
    inspect_widths(&draw("wide-ja.html", "--lang ja --speed max"), &WIDTHS);
    let crowd = "--lang en --speed max --producers 3 --consumers 4 --items 40 --capacity 3 --seed 7 \
                 --producer-delay exp:500ms --consumer-delay exp:900ms";
    inspect_widths(&draw("wide-en.html", crowd), &WIDTHS);
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
    let path = draw("chaos.html", args);
    let seen = inspect_twice(&path);
    inspect_widths(&path, &WIDTHS[..1]);
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
        // In the second run every wait is shorter than a column.
        assert_eq!(seen.arrows.is_empty(), name == "queueing.html", "{name}");
        assert!(seen.lanes.iter().all(|lane| lane.wide > 10.0), "{name}: {:?}", seen.lanes);
    }
}

#[test]
fn a_page_of_a_long_run_a_page_without_delays_and_an_empty_page_are_legible() {
    let random = "--lang ja --speed max --items 2000 --producer-delay exp:100ms --consumer-delay exp:90ms --seed 1";
    inspect_widths(&draw("long.html", random), &WIDTHS[..2]);
    let unpaced =
        draw("unpaced.html", "--lang en --producer-delay 0 --consumer-delay 0 --items 20");
    inspect_widths(&unpaced, &WIDTHS[1..2]);
    let text = fs::read_to_string(unpaced).unwrap();
    assert!(text.contains("not paced"), "{text}");
    inspect_widths(&draw("empty.html", "--lang ja --items 0"), &WIDTHS[..1]);
}
