//! What a terminal gets, and a pipe does not.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use rustix::termios::Winsize;
use rustix_openpty::openpty;

use crate::harness::{CLASSIC, Sandbox, assert_same, signal_to};

/// Runs `args` with some of its outputs on a terminal; returns what the terminal and the pipe got.
fn on_terminal(sandbox: &Sandbox, args: &[&str], stdout: bool) -> (String, String) {
    watch(sandbox.qdemo(args), stdout)
}

fn watch(mut command: Command, stdout: bool) -> (String, String) {
    let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(None, Some(&size)).unwrap();
    command.env("TERM", "xterm").stdin(Stdio::null()).stderr(pty.user.try_clone().unwrap());
    match stdout {
        true => command.stdout(pty.user.try_clone().unwrap()),
        false => command.stdout(Stdio::piped()),
    };
    let mut child = command.spawn().unwrap();
    // The command holds its own copies: drop ours, or the terminal never ends.
    drop(command);
    drop(pty.user);
    let mut terminal = File::from(pty.controller);
    let reader = std::thread::spawn(move || {
        let (mut text, mut bytes) = (Vec::new(), [0; 4096]);
        // The end of a terminal is an error.
        while let Ok(read @ 1..) = terminal.read(&mut bytes) {
            text.extend_from_slice(&bytes[..read]);
        }
        String::from_utf8_lossy(&text).into_owned()
    });
    let mut piped = String::new();
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_string(&mut piped).unwrap();
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    (reader.join().unwrap(), piped)
}

#[test]
fn a_run_shows_its_progress_on_a_terminal_and_leaves_the_pipe_alone() {
    let sandbox = Sandbox::new();
    let (terminal, piped) = on_terminal(&sandbox, &["run", "--speed", "20"], false);
    assert_same(CLASSIC, &piped);
    assert!(terminal.contains("/5 完了"), "{terminal:?}");
    let (progress, statistics) = terminal.split_once("統計").unwrap();
    assert!(progress.ends_with("\r\u{1b}[2K"), "it is taken away in the end: {terminal:?}");
    assert!(statistics.contains("D/D/1 (ρ = 2)"), "{terminal:?}");
    let (terminal, _) = on_terminal(&sandbox, &["run", "--speed", "20", "--stats", "off"], false);
    assert!(terminal.ends_with("\r\u{1b}[2K"), "{terminal:?}");
    let (terminal, piped) = on_terminal(&sandbox, &["run", "--speed", "20", "--quiet"], false);
    assert_eq!((terminal.as_str(), piped.as_str()), ("", ""));
}

#[test]
fn log_lines_and_progress_share_a_terminal() {
    let sandbox = Sandbox::new();
    let (terminal, _) = on_terminal(&sandbox, &["run", "--speed", "20"], true);
    assert!(terminal.contains("/5 完了"), "{terminal:?}");
    // Every line starts where the progress line has been taken away, or behind another line.
    for line in CLASSIC.lines() {
        let at = terminal.find(line).unwrap_or_else(|| panic!("no {line} in {terminal:?}"));
        let before = &terminal[..at];
        let clean =
            before.is_empty() || before.ends_with("\r\u{1b}[2K") || before.ends_with("\r\n");
        assert!(clean, "{line} behind {before:?}");
    }
}

#[test]
fn what_others_wrote_is_made_safe_for_a_terminal_and_left_alone_in_a_pipe() {
    let sandbox = Sandbox::new();
    let nasty = "\u{1b}]0;title\u{7}\u{1b}[2J";
    sandbox.run(&["producer", "--quiet", "--keep-open", nasty, nasty]);
    let args = ["consumer", "--max", "1", "--format", "raw"];
    let (terminal, _) = on_terminal(&sandbox, &args, true);
    assert_eq!(terminal, "\\u{1b}]0;title\\u{7}\\u{1b}[2J\r\n");
    sandbox.run(&args).assert_prints(&format!("{nasty}\n"));
    sandbox.assert_nothing_left();
}

#[test]
fn commands_for_items_show_how_far_they_are_and_how_long_it_takes() {
    let sandbox = Sandbox::new();
    let items: String = (1..=20).map(|n| format!("{n}\n")).collect();
    sandbox.run_with_input(&["put", "-"], items.as_bytes()).assert_prints("");
    sandbox.run(&["close"]).assert_prints("");
    let args = ["consumer", "-j", "2", "--", "sh", "-c", "sleep 0.05; echo did {}"];
    let (terminal, piped) = on_terminal(&sandbox, &args, false);
    assert_eq!(piped.lines().count(), 20);
    for word in ["/20", "/s  ETA ", "[====="] {
        assert!(terminal.contains(word), "no {word} in {terminal:?}");
    }
    assert!(terminal.ends_with("\r\u{1b}[2K"), "it is taken away in the end: {terminal:?}");
    sandbox.assert_nothing_left();
}

#[test]
fn a_live_status_is_drawn_over_the_one_before() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a"]).assert_prints("");
    let size = Winsize { ws_row: 24, ws_col: 30, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(None, Some(&size)).unwrap();
    let mut command = sandbox.qdemo(&["status", "--watch", "--every", "20ms"]);
    command.env("TERM", "xterm").stdin(Stdio::null()).stdout(pty.user);
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut terminal = File::from(pty.controller);
    let mut read_until = |end: &str| {
        let (mut text, mut bytes) = (String::new(), [0; 4096]);
        while !text.contains(end) {
            let read = terminal.read(&mut bytes).unwrap();
            text.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        text
    };
    // A line is cut to the width of the terminal, so that it stays one.
    let redrawn = "\u{1b}[1A\r\u{1b}[2K";
    let first = read_until(&format!("…\r\n{redrawn}"));
    assert!(first.starts_with("default: 1 in line, 0 out, 0 …\r\n"), "{first:?}");
    sandbox.run(&["get"]).assert_prints("a\n");
    read_until("default: 0 in line, 0 out, 1 …\r\n");
    signal_to(child.id().cast_signed(), Signal::INT);
    assert_eq!(child.wait().unwrap().signal(), Some(2));
    sandbox.assert_nothing_left();
}
