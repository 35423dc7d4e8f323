//! Pictures of runs, drawn by `run` itself or by `timeline` from recorded events.
//!
//! Local: a run has its queue on this machine.

use std::fs;

use roxmltree::{Document, Node};
use rustix::process::Signal;

use crate::harness::{CLASSIC, Sandbox, signal_to, wait_while};

const MILLION: &str = "1000000";

impl Sandbox {
    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }
}

fn of_class<'a>(picture: &'a Document<'a>, class: &str) -> Vec<Node<'a, 'a>> {
    let has_class = |node: &Node<'_, '_>| {
        node.attribute("class").is_some_and(|all| all.split(' ').any(|name| name == class))
    };
    picture.descendants().filter(has_class).collect()
}

fn tips(picture: &Document<'_>, class: &str) -> Vec<String> {
    let nodes = of_class(picture, class).into_iter();
    let titles = nodes.filter_map(|node| node.children().find(|n| n.has_tag_name("title")));
    titles.filter_map(|title| title.text().map(str::to_owned)).collect()
}

#[test]
fn a_run_draws_a_lane_for_each_worker_and_an_arrow_for_each_item() {
    let sandbox = Sandbox::new().in_japanese();
    let args = ["run", "--speed", "max", "--timeline", "run.svg"];
    sandbox.run(&args).assert_prints(CLASSIC);
    let text = sandbox.read("run.svg");
    let picture = Document::parse(&text).unwrap();
    let lanes = of_class(&picture, "lane");
    let names: Vec<_> = lanes.iter().filter_map(|lane| lane.attribute("data-worker")).collect();
    assert_eq!(names, ["生産者", "消費者"]);
    assert_eq!(
        tips(&picture, "arrow"),
        [
            "アイテム0: 生産者 0 s → 消費者 0 s（キューで 0 s）",
            "アイテム1: 生産者 1 s → 消費者 2 s（キューで 1 s）",
            "アイテム2: 生産者 2 s → 消費者 4 s（キューで 2 s）",
            "アイテム3: 生産者 3 s → 消費者 6 s（キューで 3 s）",
            "アイテム4: 生産者 4 s → 消費者 8 s（キューで 4 s）",
        ]
    );
    sandbox.assert_nothing_left();
}

#[test]
fn recorded_events_give_the_same_picture_byte_for_byte() {
    let sandbox = Sandbox::new();
    let delays = ["--producer-delay", "exp:1s", "--consumer-delay", "uniform:1s..3s"];
    let more = ["--producers", "2", "--consumers", "3", "--items", "60", "--lang", "en"];
    for (name, seed) in [("a.svg", "1"), ("b.html", "2")] {
        let run = ["run", "--format", "json", "--speed", "max", "--seed", seed];
        let run = [&run[..], &delays, &more, &["--timeline", name]].concat();
        let events = sandbox.run(&run);
        events.assert_done();
        fs::write(sandbox.path("events.jsonl"), &events.stdout).unwrap();
        let again = format!("again-{name}");
        let draw = ["timeline", "events.jsonl", "--output", &again, "--lang", "en"];
        sandbox.run(&draw).assert_prints("");
        assert_eq!(sandbox.read(name), sandbox.read(&again));
    }
    // `timeline` can read standard input and write to standard output.
    let script = "qdemo run --speed max --format json | qdemo timeline - > piped.svg
                  qdemo run --speed max --quiet --timeline run.svg && cmp run.svg piped.svg";
    sandbox.script(script).assert_prints("");
    sandbox.assert_nothing_left();
}

#[test]
fn a_picture_shows_when_a_producer_is_blocked() {
    let sandbox = Sandbox::new();
    let args = ["run", "--speed", "max", "--capacity", "1", "--lang", "en", "--quiet"];
    sandbox.run(&[&args[..], &["--timeline", "run.svg"]].concat()).assert_prints("");
    let text = sandbox.read("run.svg");
    let picture = Document::parse(&text).unwrap();
    let blocked = ["producer: blocked, 3 s – 4 s (1 s)", "producer: blocked, 5 s – 6 s (1 s)"];
    // item2 is put at 2 s without a wait: the delivery of item1 frees the slot at 2 s.
    assert_eq!(tips(&picture, "blocked"), blocked);
    assert!(text.contains("capacity 1"));
}

#[test]
fn a_picture_shows_dead_workers() {
    let sandbox = Sandbox::new();
    let args = ["run", "--format", "json", "--capacity", "1", "--producer-delay", "1ms"];
    let more = ["--consumer-delay", "1h", "--respawn", "0", "--lang", "en"];
    let mut run = sandbox.start(&[&args[..], &more, &["--timeline", "run.svg"]].concat());
    let mut puts = 0;
    while puts < 2 {
        puts += usize::from(run.line().contains("put"));
    }
    signal_to(sandbox.processes_of("qdemo producer")[0].pid, Signal::KILL);
    let died = run.line();
    assert!(died.contains(r#""event":"died","role":"producer""#), "{died}");
    for consumer in sandbox.processes_of("qdemo consumer") {
        signal_to(consumer.pid, Signal::KILL);
    }
    assert_eq!(run.end().code(), Some(1));
    let text = sandbox.read("run.svg");
    let picture = Document::parse(&text).unwrap();
    let deaths = tips(&picture, "death");
    assert_eq!(deaths.len(), 2);
    assert!(deaths[0].starts_with("producer: dead, "), "{deaths:?}");
    assert!(deaths[1].starts_with("consumer: dead, "), "{deaths:?}");
    sandbox.assert_nothing_left();
}

#[test]
fn both_pictures_show_the_replacements_of_dead_workers() {
    let sandbox = Sandbox::new();
    let args = ["run", "--format", "json", "--items", "8", "--consumers", "2", "--speed", "20"];
    let more = ["--chaos", "2s", "--timeline", "run.svg"];
    let run = sandbox.run(&[&args[..], &more].concat());
    assert_eq!(run.code(), Some(0));
    assert!(run.text().contains(r#""event":"restart""#), "{}", run.text());
    fs::write(sandbox.path("events.jsonl"), &run.stdout).unwrap();
    sandbox.run(&["timeline", "events.jsonl", "-o", "again.svg"]).assert_prints("");
    assert_eq!(sandbox.read("run.svg"), sandbox.read("again.svg"));
    sandbox.assert_nothing_left();
}

#[test]
fn an_interrupted_run_draws_the_events_so_far() {
    let sandbox = Sandbox::new().in_japanese();
    let args = ["run", "--producer-delay", "1h", "--consumer-delay", "0"];
    let mut run = sandbox.start(&[&args[..], &["--timeline", "run.html"]].concat());
    assert_eq!(run.line(), "生産者: アイテム0 を追加しました");
    assert_eq!(run.line(), "消費者: アイテム0 を取得しました");
    run.signal(Signal::INT);
    run.end();
    // Dropped items no longer count in the depth of the queue.
    let args = ["run", "--format", "json", "--producer-delay", "0", "--consumer-delay", "500ms"];
    let mut run = sandbox.start(&[&args[..], &["--timeline", "dropped.svg"]].concat());
    wait_while(|| !run.line().contains("left"));
    run.signal(Signal::INT);
    let events = run.end().text();
    assert!(events.contains(r#""event":"clear""#), "{events}");
    let text = sandbox.read("dropped.svg");
    let picture = Document::parse(&text).unwrap();
    let depths = tips(&picture, "cell");
    assert!(depths.last().unwrap().starts_with("キューの深さ 0, "), "{depths:?}");
    let page = sandbox.read("run.html");
    assert!(page.contains("アイテム0: 生産者 0") && page.ends_with("</html>\n"), "{page}");
    let known = ["http://www.w3.org/2000/svg", "http-equiv"];
    let rest = known.iter().fold(page, |page, known| page.replace(known, ""));
    assert!(!rest.contains("http"), "the page names another address than the SVG namespace");
    sandbox.assert_nothing_left();
}

#[test]
fn the_picture_of_a_million_items_is_small() {
    let sandbox = Sandbox::new().in_japanese();
    for (name, delays) in [("a.html", ["0", "0"]), ("b.svg", ["0", "1us"])] {
        let run = ["run", "--quiet", "--speed", "max", "--timeline", name];
        // Paced items are slow in a debug build.
        let items = if delays[1] == "0" { MILLION } else { "20000" };
        let more = ["--items", items, "--producer-delay", delays[0], "--consumer-delay", delays[1]];
        sandbox.run(&[&run[..], &more].concat()).assert_prints("");
        let size = sandbox.read(name).len();
        assert!((20_000..2_000_000).contains(&size), "{name}: {size}");
    }
    let text = sandbox.read("b.svg");
    let picture = Document::parse(&text).unwrap();
    assert!(text.contains("受け渡し 20000 回のうち"));
    assert!(of_class(&picture, "arrow").len() > 20);
    // The queue fills up at once and empties steadily.
    let tips = tips(&picture, "cell");
    let depth = |tip: &&String| tip.starts_with("キューの深さ");
    let depths: Vec<_> = tips.iter().filter(depth).collect();
    assert!(depths.len() > 200, "{}", depths.len());
    assert!(depths[0].contains("～19999）"), "{}", depths[0]);
}

#[test]
fn an_impossible_name_for_a_picture_is_refused_before_the_run_starts() {
    let sandbox = Sandbox::new();
    for (name, why) in [
        ("run.png", "end the name in .svg or .html"),
        ("run", "end the name in .svg or .html"),
        ("nowhere/run.svg", "name a file in an existing folder"),
        ("tmp.svg/", "name a file in an existing folder"),
    ] {
        sandbox.run(&["run", "--timeline", name]).assert_refused(2, &[why]);
        fs::write(sandbox.path("events.jsonl"), "").unwrap();
        sandbox.run(&["timeline", "events.jsonl", "--output", name]).assert_refused(2, &[why]);
    }
    sandbox.assert_nothing_left();
}

#[test]
fn a_picture_that_is_not_drawn_leaves_existing_files_unchanged() {
    let sandbox = Sandbox::new();
    let events = sandbox.run(&["run", "--speed", "max", "--format", "json"]).text();
    fs::write(sandbox.path("own.svg"), &events).unwrap();
    let same = "the picture and the recording are the same file";
    sandbox.run(&["timeline", "own.svg", "-o", "own.svg"]).assert_refused(2, &[same]);
    assert_eq!(sandbox.read("own.svg"), events);
    fs::write(sandbox.path("bad"), "nonsense\n").unwrap();
    fs::write(sandbox.path("old.svg"), "an older picture").unwrap();
    for (output, is_there) in [("old.svg", true), ("new.svg", false)] {
        sandbox.run(&["timeline", "bad", "-o", output]).assert_refused(1, &["line 1 is no event"]);
        assert_eq!(sandbox.path(output).exists(), is_there);
    }
    assert_eq!(sandbox.read("old.svg"), "an older picture");
    // The old file is larger than the picture: no byte of the old file may remain.
    fs::write(sandbox.path("old.svg"), "x".repeat(1 << 20)).unwrap();
    sandbox.run(&["timeline", "own.svg", "-o", "old.svg"]).assert_prints("");
    Document::parse(&sandbox.read("old.svg")).unwrap();
    let both = ["run", "--timeline", "run.svg", "--stats-file", "run.svg"];
    sandbox.run(&both).assert_refused(2, &["the picture and --stats-file are the same file"]);
    sandbox
        .script("qdemo run --speed max --timeline cut.svg | head -1; test ! -s cut.svg")
        .assert_prints("生産者: アイテム0 を追加しました\n");
}

#[test]
fn an_invalid_recording_is_refused_in_one_line() {
    let sandbox = Sandbox::new();
    let event = r#"{"t":0.5,"event":"put","role":"producer","worker":1,"id":1,"item":"a","attempt":1,"waited":0.0}"#;
    fs::write(sandbox.path("empty"), "\n\n").unwrap();
    fs::write(sandbox.path("log"), CLASSIC).unwrap();
    fs::write(sandbox.path("bad"), format!("{event}\nnonsense\n{event}\n")).unwrap();
    fs::write(sandbox.path("torn"), format!("{event}\n{}", &event[..30])).unwrap();
    fs::write(sandbox.path("wild"), event.replace("0.5", "-1e300").replace("0.0", "1e300"))
        .unwrap();
    let remedy = "as `qdemo run --format json` prints them";
    fs::write(sandbox.path("two"), format!("{event}\n{}\n", event.replace("0.5", "0.4"))).unwrap();
    sandbox.run(&["timeline", "two"]).assert_refused(1, &["line 2 is earlier than the one before"]);
    sandbox.run(&["timeline", "nowhere"]).assert_refused(2, &["name a file of recorded events"]);
    sandbox.run(&["timeline", "empty"]).assert_refused(1, &["there is no event in it"]);
    sandbox
        .run(&["timeline", "log"])
        .assert_refused(1, &[&format!("line 1 is no event, {remedy}")]);
    sandbox
        .run(&["timeline", "bad"])
        .assert_refused(1, &[&format!("line 2 is no event, {remedy}")]);
    sandbox.run(&["timeline", "."]).assert_refused(2, &["it is a folder"]);
    let torn = sandbox.run(&["timeline", "torn"]);
    assert_eq!(torn.status.code(), Some(0));
    assert_eq!(
        torn.stderr,
        "qdemo: the last line of torn is incomplete: the picture ends before it\n"
    );
    Document::parse(&torn.text()).unwrap();
    sandbox.run(&["timeline", "wild"]).assert_refused(1, &["line 1", "from 0 to 584 years"]);
}
