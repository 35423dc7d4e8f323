//! Text of others on a terminal: none of its control characters, and nothing else that a terminal obeys instead of showing
//! it, comes through. In a pipe it is left alone.

use std::fs::{self, File};
use std::io::Read;
use std::process::{Command, Stdio};

use rustix_openpty::openpty;
use serde_json::Value;

use crate::harness::{Sandbox, assert_same};

/// All that a terminal obeys: C0, DEL, C1 (with CSI), directions, and separators of lines.
const BAD: &str = "a\u{1b}[31m\u{7}\u{8}\u{7f}\u{85}\u{90}\u{9b}2J\u{9d}0;t\u{9c}\
                   \u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\
                   \u{200e}\u{200f}\u{61c}\u{2028}\u{2029}z";

fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The same, as text for people is to have it.
fn spelled_out() -> String {
    let mut text = String::new();
    for c in BAD.chars() {
        if is_obeyed(c) { text.extend(c.escape_default()) } else { text.push(c) }
    }
    text
}

/// Runs a command whose standard output and error are a terminal, and returns what comes there.
fn on_terminal(mut command: Command) -> String {
    let pty = openpty(None, None).unwrap();
    command.env("TERM", "xterm").stdin(Stdio::null());
    command.stdout(pty.user.try_clone().unwrap()).stderr(pty.user);
    let mut child = command.spawn().unwrap();
    // The terminal ends when nobody has it any more.
    drop(command);
    let (mut controller, mut bytes) = (File::from(pty.controller), Vec::new());
    // The end of a terminal is an error.
    let _ = controller.read_to_end(&mut bytes);
    child.wait().unwrap();
    String::from_utf8(bytes).unwrap().replace("\r\n", "\n")
}

/// Nothing but lines.
#[track_caller]
fn assert_harmless(what: &str, text: &str) {
    let bad: Vec<_> = text.chars().filter(|&c| is_obeyed(c) && c != '\n').collect();
    assert!(bad.is_empty(), "{what}: {bad:?} in {text:?}");
}

impl Sandbox {
    #[track_caller]
    fn harmless(&self, args: &[&str]) -> String {
        let text = on_terminal(self.qdemo(args));
        assert_harmless(&format!("{args:?}"), &text);
        text
    }

    /// The same, and it is text of which the bad item is a part.
    #[track_caller]
    fn shows(&self, args: &[&str]) {
        let text = self.harmless(args);
        assert!(text.contains(&spelled_out()), "{args:?}: {text:?}");
    }

    /// The same, and each line is an object with this item.
    #[track_caller]
    fn shows_json(&self, args: &[&str], key: &str, expected: &Value) {
        let text = self.harmless(args);
        assert!(!text.is_empty(), "{args:?}");
        // Beside notices.
        for line in text.lines().filter(|line| !line.starts_with("qdemo: ")) {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?}"));
            assert_eq!(&line[key], expected, "{args:?}");
        }
    }

    fn put(&self, item: &str) {
        self.run(&["put", item]).assert_done();
    }
}

#[test]
fn an_item_on_a_terminal_is_spelled_out_by_every_command() {
    let sandbox = Sandbox::new();
    let item = Value::from(BAD);
    sandbox.put(BAD);
    sandbox.shows(&["peek"]);
    sandbox.shows_json(&["peek", "--format", "json"], "item", &item);
    sandbox.shows(&["get"]);
    sandbox.put(BAD);
    sandbox.shows_json(&["get", "--format", "json"], "item", &item);
    for format in ["log", "raw", "json"] {
        sandbox.put(BAD);
        let args = ["consumer", "--max", "1", "--format", format];
        match format {
            "json" => sandbox.shows_json(&args, "item", &item),
            _ => sandbox.shows(&args),
        }
    }
    sandbox.shows(&["producer", "--keep-open", BAD]);
    let json = sandbox.harmless(&["producer", "--keep-open", "--format", "json", BAD]);
    let first: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["item"], item);
    // What cannot be put is named.
    sandbox.run(&["rm", "--force"]).assert_done();
    sandbox.run(&["put", "--capacity", "1", "x"]).assert_done();
    sandbox.shows(&["put", "--no-wait", BAD]);
}

#[test]
fn what_failed_and_why_is_spelled_out() {
    let sandbox = Sandbox::new();
    sandbox.put(BAD);
    let fails = "printf '\\033[2J\\302\\2332J\\342\\200\\256' >&2; exit 1";
    let args = ["consumer", "--max", "1", "--quiet", "--format", "json", "--", "sh", "-c", fails];
    sandbox.shows_json(&args, "stderr", &Value::from("\u{1b}[2J\u{9b}2J\u{202e}"));
    // Its columns are ours.
    let list = on_terminal(sandbox.qdemo(&["failed"])).replace('\t', " ");
    assert_harmless("failed", &list);
    assert!(list.contains(&spelled_out()), "{list:?}");
    sandbox.shows_json(&["failed", "--format", "json"], "item", &Value::from(BAD));
    sandbox.harmless(&["status"]);
    sandbox.harmless(&["status", "--format", "json"]);
}

#[test]
fn json_of_others_has_the_same_value_on_a_terminal() {
    let sandbox = Sandbox::new();
    let item = format!("{{\"{BAD}\":\r[\t\"\u{7f}\u{9b}\u{202e}\"]}}");
    let item =
        item.replace("\u{1b}", "\\u001b").replace("\u{7}", "\\u0007").replace("\u{8}", "\\u0008");
    let value: Value = serde_json::from_str(&item).unwrap();
    sandbox.run(&["put", "--json", &item]).assert_done();
    sandbox.shows_json(&["peek", "--format", "json"], "item", &value);
    sandbox.harmless(&["peek"]);
    // In a pipe it is as the queue has it: on one line.
    let item = item.replace('\r', " ");
    let bare = sandbox.run(&["peek"]);
    assert_same(&format!("{item}\n"), &bare.text());
    let json = sandbox.run(&["get", "--format", "json"]);
    assert_same(&format!("{{\"id\":1,\"item\":{item},\"attempt\":1}}\n"), &json.text());
}

#[test]
fn in_a_pipe_an_item_is_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.put(BAD);
    sandbox.run(&["peek"]).assert_prints(&format!("{BAD}\n"));
    let json = serde_json::to_string(BAD).unwrap();
    let expected = format!("{{\"id\":1,\"item\":{json},\"attempt\":1}}\n");
    sandbox.run(&["peek", "--format", "json"]).assert_prints(&expected);
    sandbox.run(&["get"]).assert_prints(&format!("{BAD}\n"));
}

#[test]
fn what_a_user_has_named_is_spelled_out_in_errors() {
    let sandbox = Sandbox::new();
    for args in [
        &[BAD][..],
        &["put", "-q", BAD, "x"],
        &["put", BAD, "--timeout", BAD],
        &["get", &format!("--{BAD}")],
        &["status", "--format", BAD],
        &["failed", BAD],
        &["timeline", BAD, "--output", "x.svg"],
        &["run", "--timeline", &format!("/{BAD}/x.svg")],
        &["run", "--stats-file", &format!("/{BAD}/x")],
        &["consumer", "--", BAD],
    ] {
        // clap leaves out a part of it by itself.
        let text = sandbox.harmless(args);
        assert!(text.contains("\\u{9d}0;t\\u{9c}\\u{202a}"), "{args:?}: {text:?}");
        let outcome = sandbox.run(args);
        assert_eq!(outcome.stderr.lines().count(), 1, "{args:?}: {}", outcome.stderr);
        assert_harmless(&format!("{args:?} in a pipe"), &outcome.stderr);
    }
}

#[test]
fn what_the_environment_names_is_spelled_out_in_errors() {
    let sandbox = Sandbox::new();
    for (variable, value) in [
        ("QDEMO_QUEUE", BAD.to_owned()),
        ("QDEMO_LANG", BAD.to_owned()),
        ("QDEMO_DIR", format!("/dev/null/{BAD}")),
        ("TMPDIR", format!("/nowhere/{BAD}")),
    ] {
        let mut command = match variable {
            "QDEMO_LANG" => sandbox.qdemo(&["producer", "x"]),
            "TMPDIR" => sandbox.qdemo(&["run", "--speed", "max"]),
            _ => sandbox.qdemo(&["put", "x"]),
        };
        command.env(variable, &value);
        let text = on_terminal(command);
        assert_harmless(variable, &text);
        // A path is quoted by some in their own way.
        assert!(text.contains("2J"), "{variable}: {text:?}");
    }
}

#[test]
fn the_live_view_and_the_log_of_a_run_obey_no_name() {
    let sandbox = Sandbox::new();
    let args = ["run", "--item-name", BAD, "--speed", "40", "--stats", "text"];
    let mut text = on_terminal(sandbox.qdemo(&args));
    assert!(text.contains(&spelled_out()), "{text:?}");
    // What the view itself is drawn with.
    for ours in ["\r\u{1b}[2K", "\u{1b}[1A", "\u{1b}[2K"] {
        text = text.replace(ours, "");
    }
    assert_harmless("run", &text);
}

#[test]
fn a_picture_does_not_turn_around_what_stands_beside_a_name() {
    let sandbox = Sandbox::new();
    for name in ["picture.svg", "picture.html"] {
        let args = ["run", "--quiet", "--item-name", BAD, "--speed", "max", "--timeline", name];
        sandbox.run(&args).assert_done();
        let picture = fs::read_to_string(sandbox.path(name)).unwrap();
        assert_harmless(name, &picture);
        assert!(picture.contains("a\\u{1b}[31m"), "the name is there");
    }
}
