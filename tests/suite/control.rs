//! Foreign text on a terminal. qdemo escapes each character that a terminal obeys instead of showing. In a
//! pipe the text is unchanged.
//!
//! The tests that are not of `both!` are of runs, or of text that reaches no queue.

use std::fs::{self, File};
use std::io::Read;
use std::process::{Command, Stdio};

use rustix_openpty::openpty;
use serde_json::Value;

use crate::harness::{Sandbox, assert_same};

/// Every kind of character that a terminal obeys: C0, DEL, C1 (with CSI), directions, and line separators.
const BAD: &str = "a\u{1b}[31m\u{7}\u{8}\u{7f}\u{85}\u{90}\u{9b}2J\u{9d}0;t\u{9c}\
                   \u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\
                   \u{200e}\u{200f}\u{61c}\u{2028}\u{2029}z";

fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// [`BAD`] as the output for people must show the item.
fn escaped() -> String {
    let mut text = String::new();
    for c in BAD.chars() {
        if is_obeyed(c) { text.extend(c.escape_default()) } else { text.push(c) }
    }
    text
}

/// Runs a command with a terminal as its standard output and error. Returns the output without the colours of qdemo.
fn on_terminal(mut command: Command) -> String {
    let pty = openpty(None, None).unwrap();
    command.env("TERM", "xterm").stdin(Stdio::null());
    command.stdout(pty.user.try_clone().unwrap()).stderr(pty.user);
    let mut child = command.spawn().unwrap();
    // The terminal ends when the last process has closed the terminal.
    drop(command);
    let (mut controller, mut bytes) = (File::from(pty.controller), Vec::new());
    // A terminal reports its end as an error.
    let _ = controller.read_to_end(&mut bytes);
    child.wait().unwrap();
    without_own_colors(&String::from_utf8(bytes).unwrap().replace("\r\n", "\n"))
}

/// `text` without the colours of qdemo itself. [`BAD`] asks for none of them.
fn without_own_colors(text: &str) -> String {
    let own = ["\x1b[31m\x1b[1m", "\x1b[1m", "\x1b[32m", "\x1b[33m", "\x1b[0m"];
    own.iter().fold(text.to_owned(), |text, color| text.replace(color, ""))
}

/// Asserts that a terminal shows every character of `text`.
#[track_caller]
fn assert_harmless(what: &str, text: &str) {
    let bad: Vec<_> = text.chars().filter(|&c| is_obeyed(c) && c != '\n').collect();
    assert!(bad.is_empty(), "{what}: {bad:?} in {text:?}");
}

impl Sandbox {
    #[track_caller]
    fn harmless_output(&self, args: &[&str]) -> String {
        let text = on_terminal(self.qdemo(args));
        assert_harmless(&format!("{args:?}"), &text);
        text
    }

    /// Asserts that the output is harmless and contains the escaped item.
    #[track_caller]
    fn assert_shows(&self, args: &[&str]) {
        let text = self.harmless_output(args);
        assert!(text.contains(&escaped()), "{args:?}: {text:?}");
    }

    /// Asserts that the output is harmless and that each line is an object whose `key` has the value
    /// `expected`.
    #[track_caller]
    fn assert_shows_json(&self, args: &[&str], key: &str, expected: &Value) {
        let text = self.harmless_output(args);
        assert!(!text.is_empty(), "{args:?}");
        // Notices may stand between the objects.
        for line in text.lines().filter(|line| !line.starts_with("qdemo: ")) {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line:?}"));
            assert_eq!(&line[key], expected, "{args:?}");
        }
    }

    fn put(&self, item: &str) {
        self.run(&["put", item]).assert_done();
    }
}

both!(every_command_escapes_an_item_on_a_terminal, |backend| {
    let sandbox = Sandbox::on(backend);
    let item = Value::from(BAD);
    sandbox.put(BAD);
    sandbox.assert_shows(&["peek"]);
    sandbox.assert_shows_json(&["peek", "--format", "json"], "item", &item);
    // The line on the terminal is a command that bash can run.
    let line = sandbox.harmless_output(&["consumer", "--dry-run", "--", "printf", "%s", "{}"]);
    sandbox.script(&line).assert_prints(BAD);
    sandbox.assert_shows(&["get"]);
    sandbox.put(BAD);
    sandbox.assert_shows_json(&["get", "--format", "json"], "item", &item);
    for format in ["log", "raw", "json"] {
        sandbox.put(BAD);
        let args = ["consumer", "--max", "1", "--format", format];
        match format {
            "json" => sandbox.assert_shows_json(&args, "item", &item),
            _ => sandbox.assert_shows(&args),
        }
    }
    sandbox.assert_shows(&["producer", "--keep-open", BAD]);
    let json = sandbox.harmless_output(&["producer", "--keep-open", "--format", "json", BAD]);
    let first: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["item"], item);
    // The error for an item that cannot be put names the item.
    sandbox.run(&["rm", "--force"]).assert_done();
    sandbox.run(&["put", "--capacity", "1", "x"]).assert_done();
    sandbox.assert_shows(&["put", "--no-wait", BAD]);
});

both!(failed_items_and_their_reasons_are_escaped_on_a_terminal, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.put(BAD);
    let fails = "printf '\\033[2J\\302\\2332J\\342\\200\\256' >&2; exit 1";
    let args = ["consumer", "--max", "1", "--quiet", "--format", "json", "--", "sh", "-c", fails];
    sandbox.assert_shows_json(&args, "stderr", &Value::from("\u{1b}[2J\u{9b}2J\u{202e}"));
    let list = on_terminal(sandbox.qdemo(&["failed"]));
    assert_harmless("failed", &list);
    // The line is cut to the width of the terminal.
    let (line, lines_of_command) = list.split_once("…\n").unwrap();
    let (_, item) = line.split_once("exit code 1  ").unwrap();
    assert!(item.len() > 20 && escaped().starts_with(item), "{list:?}");
    assert_same("    \\u{202e}\n", lines_of_command);
    sandbox.assert_shows_json(&["failed", "--format", "json"], "item", &Value::from(BAD));
    sandbox.harmless_output(&["status"]);
    sandbox.harmless_output(&["status", "--format", "json"]);
});

both!(a_json_item_has_the_same_value_on_a_terminal, |backend| {
    let sandbox = Sandbox::on(backend);
    let item = format!("{{\"{BAD}\":\r[\t\"\u{7f}\u{9b}\u{202e}\"]}}");
    let item =
        item.replace("\u{1b}", "\\u001b").replace("\u{7}", "\\u0007").replace("\u{8}", "\\u0008");
    let value: Value = serde_json::from_str(&item).unwrap();
    sandbox.run(&["put", "--json", &item]).assert_done();
    sandbox.assert_shows_json(&["peek", "--format", "json"], "item", &value);
    sandbox.harmless_output(&["peek"]);
    // In a pipe the item has the form that the queue holds: one line.
    let item = item.replace('\r', " ");
    let bare = sandbox.run(&["peek"]);
    assert_same(&format!("{item}\n"), &bare.text());
    let json = sandbox.run(&["get", "--format", "json"]);
    assert_same(&format!("{{\"id\":1,\"item\":{item},\"attempt\":1}}\n"), &json.text());
});

both!(an_item_is_unchanged_in_a_pipe, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.put(BAD);
    sandbox.run(&["peek"]).assert_prints(&format!("{BAD}\n"));
    let json = serde_json::to_string(BAD).unwrap();
    let expected = format!("{{\"id\":1,\"item\":{json},\"attempt\":1}}\n");
    sandbox.run(&["peek", "--format", "json"]).assert_prints(&expected);
    sandbox.run(&["get"]).assert_prints(&format!("{BAD}\n"));
});

#[test]
fn errors_escape_the_arguments_of_the_user() {
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
        // `clap` leaves out a part of the argument.
        let text = sandbox.harmless_output(args);
        assert!(text.contains("\\u{9d}0;t\\u{9c}\\u{202a}"), "{args:?}: {text:?}");
        let outcome = sandbox.run(args);
        assert_eq!(outcome.stderr.lines().count(), 1, "{args:?}: {}", outcome.stderr);
        assert_harmless(&format!("{args:?} in a pipe"), &outcome.stderr);
    }
}

#[test]
fn errors_escape_the_values_of_environment_variables() {
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
        // Some errors quote a path in another way.
        assert!(text.contains("2J"), "{variable}: {text:?}");
    }
}

#[test]
fn the_live_view_and_the_log_of_a_run_escape_item_names() {
    let sandbox = Sandbox::new();
    let args = ["run", "--item-name", BAD, "--speed", "40", "--stats", "text"];
    let mut text = on_terminal(sandbox.qdemo(&args));
    assert!(text.contains(&escaped()), "{text:?}");
    // The live view writes these sequences itself.
    for own in ["\r\u{1b}[2K", "\u{1b}[1A", "\u{1b}[2K"] {
        text = text.replace(own, "");
    }
    assert_harmless("run", &text);
}

#[test]
fn a_picture_escapes_item_names() {
    let sandbox = Sandbox::new();
    for name in ["picture.svg", "picture.html"] {
        let args = ["run", "--quiet", "--item-name", BAD, "--speed", "max", "--timeline", name];
        sandbox.run(&args).assert_done();
        let picture = fs::read_to_string(sandbox.path(name)).unwrap();
        assert_harmless(name, &picture);
        assert!(picture.contains("a\\u{1b}[31m"), "the picture lacks the name");
    }
}
