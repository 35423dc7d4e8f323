//! Output for a terminal that a pipe does not get. The program writes to a pseudo-terminal, and a terminal
//! emulator computes the screen.
//!
//! Local: the screen does not depend on the place of the queue.

use std::fs::File;
use std::io::Read;
use std::num::NonZero;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::Signal;
use rustix::termios::{Winsize, tcsetwinsize};
use rustix_openpty::openpty;

use crate::harness::{CLASSIC, Limit, Sandbox, assert_same, signal_to, wait_for_input, wait_while};

const ROWS: u16 = 24;
const COLUMNS: u16 = 80;
/// A run that is slow enough for the test to see the view.
const SLOWLY: [&str; 4] = ["run", "--speed", "4", "--stats"];

/// A command on a terminal.
pub struct OnTerminal {
    pub controller: File,
    emulator: vt100::Parser,
    /// All text that the terminal has got.
    text: String,
    child: Child,
    /// Standard output, if it is a pipe.
    piped: Option<ChildStdout>,
}

/// The place of a command's standard output. Standard error is always the terminal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stdout {
    Terminal,
    /// Standard input is the terminal too.
    TerminalWithKeyboard,
    Pipe,
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn nonzero(count: u16) -> NonZero<u16> {
    NonZero::new(count).unwrap()
}

impl OnTerminal {
    pub fn start(mut command: Command, stdout: Stdout, rows: u16, columns: u16) -> Self {
        let pty = openpty(None, Some(&size(rows, columns))).unwrap();
        let user = || pty.user.try_clone().unwrap();
        let keyboard = stdout == Stdout::TerminalWithKeyboard;
        let stdin = if keyboard { user().into() } else { Stdio::null() };
        command.env("TERM", "xterm").stdin(stdin).stderr(user());
        match stdout {
            Stdout::Pipe => command.stdout(Stdio::piped()),
            _ => command.stdout(user()),
        };
        let mut child = command.spawn().unwrap();
        // Drop this process's copies of the terminal's user end, or the terminal never ends.
        drop(command);
        drop(pty.user);
        let piped = child.stdout.take();
        let emulator = vt100::Parser::new(nonzero(rows), nonzero(columns), 1000);
        Self { controller: pty.controller.into(), emulator, text: String::new(), child, piped }
    }

    /// Reads what the terminal shows. Returns false at the terminal's end.
    fn read(&mut self) -> bool {
        if !wait_for_input(&self.controller) {
            let _ = self.child.kill();
            panic!("the terminal shows nothing more:\n{}", self.screen());
        }
        let mut bytes = [0; 4096];
        // A read at the terminal's end returns an error.
        let Ok(read @ 1..) = self.controller.read(&mut bytes) else { return false };
        self.emulator.process(&bytes[..read]);
        self.text.push_str(&String::from_utf8_lossy(&bytes[..read]));
        true
    }

    pub fn screen(&self) -> String {
        self.emulator.screen().contents()
    }

    fn lines(&self) -> Vec<String> {
        self.screen().lines().map(str::to_owned).collect()
    }

    /// Waits until `is` holds of the screen.
    pub fn wait_until(&mut self, is: impl Fn(&str) -> bool) {
        let limit = Limit::start();
        while !is(&self.screen()) {
            assert!(
                !limit.is_over() && self.read(),
                "the screen never became as expected:\n{}",
                self.screen()
            );
        }
    }

    pub fn signal(&self, signal: Signal) {
        signal_to(self.child.id().cast_signed(), signal);
    }

    /// Resizes the terminal, and notifies the program as the kernel does. Unlike most terminals, the emulator
    /// does not rewrap lines.
    fn resize(&mut self, rows: u16, columns: u16) {
        tcsetwinsize(&self.controller, size(rows, columns)).unwrap();
        self.emulator.screen_mut().set_size(nonzero(rows), nonzero(columns));
        // The kernel sends no signal, because the terminal does not control the program's session.
        self.signal(Signal::WINCH);
    }

    /// Waits for the end of the command. Returns the exit code and all bytes of the pipe.
    pub fn end(&mut self) -> (Option<i32>, String) {
        let mut text = String::new();
        // A full pipe would block the program, and so the test, which reads the terminal.
        let pipe = self.piped.take().map(|mut pipe| {
            std::thread::spawn(move || {
                let mut text = String::new();
                pipe.read_to_string(&mut text).unwrap();
                text
            })
        });
        wait_while(|| self.read());
        if let Some(pipe) = pipe {
            text = pipe.join().unwrap();
        }
        (self.child.wait().unwrap().code(), text)
    }

    /// Checks that the cursor is visible and at the start of a line.
    fn assert_ready_for_a_prompt(&self) {
        let screen = self.emulator.screen();
        assert_eq!(screen.cursor_position().1, 0, "{}", screen.contents());
        assert!(!screen.hide_cursor() && !screen.alternate_screen());
    }
}

impl Sandbox {
    pub fn on_terminal(&self, args: &[&str], stdout: Stdout) -> OnTerminal {
        OnTerminal::start(self.qdemo(args), stdout, ROWS, COLUMNS)
    }
}

/// The screen on which a run has left these lines.
fn screen_of(lines: &str) -> String {
    lines.trim_end().to_owned()
}

#[test]
fn the_view_shows_workers_and_queue_during_a_run_and_is_gone_afterwards() {
    let sandbox = Sandbox::new().in_japanese();
    let more = ["off", "--consumers", "2", "--capacity", "3", "--items", "9"];
    let more = [&more[..], &["--progress", "always"]].concat();
    let mut run = sandbox.on_terminal(&[&SLOWLY[..], &more].concat(), Stdout::Pipe);
    run.wait_until(|screen| screen.contains("3/9 完了"));
    let lines = run.lines();
    assert_eq!(lines.len(), 5, "{lines:#?}");
    for (line, (name, column)) in lines.iter().zip([
        ("生産者 ", "追加"),
        ("消費者1", "完了"),
        ("消費者2", "完了"),
        ("キュー ", "/3"),
        ("全体 ", "/9 完了"),
    ]) {
        assert!(line.starts_with(name) && line.contains(column), "{line}");
    }
    assert!(lines[3].contains('[') && lines[3].contains(']'), "{lines:#?}");
    run.assert_ready_for_a_prompt();
    let (code, piped) = run.end();
    assert_eq!(code, Some(0));
    assert_eq!(piped.lines().count(), 19);
    assert_same("", &run.screen());
    run.assert_ready_for_a_prompt();
}

#[test]
fn log_lines_scroll_above_the_view() {
    let sandbox = Sandbox::new().in_japanese();
    let mut run = sandbox.on_terminal(&[&SLOWLY[..], &["off"]].concat(), Stdout::Terminal);
    run.wait_until(|screen| screen.contains("2/5 完了"));
    let lines = run.lines();
    let log = lines.len() - 4;
    assert_same(
        &CLASSIC.lines().take(log).collect::<Vec<_>>().join("\n"),
        &lines[..log].join("\n"),
    );
    assert!(lines[log].starts_with("生産者  ") && lines[log + 1].starts_with("消費者  "));
    assert_eq!(run.end().0, Some(0));
    assert_same(&screen_of(CLASSIC), &run.screen());
    run.assert_ready_for_a_prompt();
}

#[test]
fn statistics_replace_the_view_at_the_end_of_a_run() {
    let sandbox = Sandbox::new().in_japanese();
    let mut run = sandbox.on_terminal(&["run", "--speed", "20", "--stats"], Stdout::Pipe);
    let (code, piped) = run.end();
    assert_eq!(code, Some(0));
    assert_same(CLASSIC, &piped);
    let screen = run.screen();
    assert!(screen.starts_with("統計") && screen.contains("D/D/1 (ρ = 2)"), "{screen}");
    assert!(!screen.contains("全体"), "{screen}");
}

#[test]
fn the_view_hides_no_line_of_a_long_log() {
    let sandbox = Sandbox::new();
    let args = ["run", "--items", "300", "--speed", "max", "--stats", "off"];
    let mut run = sandbox.on_terminal(&args, Stdout::Terminal);
    assert_eq!(run.end().0, Some(0));
    let expected = sandbox.run(&args).text();
    let mut seen = Vec::new();
    let total = expected.lines().count();
    // Read the scrollback from the top, one screen at a time.
    for back in (0..=total.next_multiple_of(ROWS.into())).rev().step_by(ROWS.into()) {
        run.emulator.screen_mut().set_scrollback(back);
        seen = merge(seen, run.lines());
    }
    assert_same(expected.trim_end(), seen.join("\n").trim_end());
}

/// Joins the lines of two screens. The second screen begins inside the first, or directly after it.
fn merge(mut above: Vec<String>, below: Vec<String>) -> Vec<String> {
    let overlap = (0..=above.len().min(below.len())).rev();
    let overlap = overlap.into_iter().find(|&n| above[above.len() - n..] == below[..n]);
    above.extend_from_slice(&below[overlap.unwrap_or(0)..]);
    above
}

#[test]
fn the_view_follows_the_size_of_the_terminal() {
    let sandbox = Sandbox::new().in_japanese();
    let args = ["run", "--items", "3", "--producer-delay", "0", "--consumer-delay", "1h"];
    let more = ["--consumers", "4", "--stats", "off", "--progress", "always"];
    let mut run = sandbox.on_terminal(&[&args[..], &more].concat(), Stdout::Pipe);
    // The terminal may show a part of a view.
    let has_view = |screen: &str, row: &str| screen.lines().count() == 7 && screen.contains(row);
    run.wait_until(|screen| has_view(screen, "終了"));
    // From here on only the size changes. The emulator cuts off the lines that a lower terminal scrolls up.
    run.resize(12, 20);
    run.wait_until(|screen| has_view(screen, "生産者   終了     …"));
    let lines = run.lines();
    assert!(lines[5].starts_with("キュー") && lines[6].starts_with("全体"), "{lines:#?}");
    run.resize(30, 100);
    run.wait_until(|screen| has_view(screen, "消費者1  処理中    完了 0  アイテム0"));
    run.signal(Signal::INT);
    run.wait_until(|screen| screen.contains("もう一度 Ctrl-C"));
    run.signal(Signal::INT);
    run.end();
    run.assert_ready_for_a_prompt();
    let screen = run.screen();
    assert!(!screen.contains("全体") && !screen.contains("処理中"), "{screen}");
}

#[test]
fn a_small_terminal_shows_the_first_workers_and_leaves_room_for_the_log() {
    let sandbox = Sandbox::new().in_japanese();
    let args = [&SLOWLY[..], &["off", "--consumers", "4", "--items", "9"]].concat();
    let mut run = OnTerminal::start(sandbox.qdemo(&args), Stdout::Terminal, 5, 20);
    run.wait_until(|screen| screen.contains("… ほか 5") && screen.contains("全体"));
    let lines = run.lines();
    assert!(lines.len() <= 4 && lines.last().unwrap().starts_with("全体"), "{lines:#?}");
    assert_eq!(run.end().0, Some(0));
    assert!(run.screen().ends_with("しました"), "{}", run.screen());
    run.assert_ready_for_a_prompt();
}

#[test]
fn ctrl_c_leaves_a_clean_terminal() {
    let sandbox = Sandbox::new().in_japanese();
    let mut run = sandbox.on_terminal(&[&SLOWLY[..], &["off"]].concat(), Stdout::Terminal);
    run.wait_until(|screen| screen.contains("1/5 完了"));
    // The echo of Ctrl-C.
    run.emulator.process(b"^C");
    run.signal(Signal::INT);
    wait_while(|| run.read());
    assert_eq!(run.child.wait().unwrap().signal(), Some(2));
    let lines = run.lines();
    let line = |text: &str| lines.iter().filter(|line| line.starts_with(text)).count();
    assert_eq!(line("消費者が手元のアイテムを処理し終えるのを待っています"), 1, "{lines:#?}");
    assert_eq!((line("全体"), line("キュー"), line("^C")), (0, 0, 0), "{lines:#?}");
    assert!(lines.last().unwrap().starts_with("中断しました: "), "{lines:#?}");
    run.assert_ready_for_a_prompt();
    sandbox.assert_nothing_left();
}

#[test]
fn a_second_ctrl_c_leaves_a_clean_terminal() {
    let sandbox = Sandbox::new().in_japanese();
    let args = ["run", "--consumer-delay", "1h", "--stats", "off"];
    let mut run = sandbox.on_terminal(&args, Stdout::Terminal);
    run.wait_until(|screen| screen.contains("処理中"));
    run.signal(Signal::INT);
    run.wait_until(|screen| screen.contains("もう一度 Ctrl-C"));
    run.signal(Signal::INT);
    wait_while(|| run.read());
    assert_eq!(run.child.wait().unwrap().signal(), Some(2));
    let screen = run.screen();
    // The notice after the first Ctrl-C is the last line.
    let last = screen.lines().last().unwrap();
    assert!(last.contains("もう一度 Ctrl-C"), "{screen}");
    assert!(!screen.contains("全体") && !screen.contains("処理中"), "{screen}");
    run.assert_ready_for_a_prompt();
    sandbox.assert_nothing_left();
}

#[test]
fn a_killed_run_leaves_the_cursor_below_its_last_line() {
    let sandbox = Sandbox::new().in_japanese();
    let mut run = sandbox.on_terminal(&[&SLOWLY[..], &["off"]].concat(), Stdout::Terminal);
    run.wait_until(|screen| screen.contains("全体"));
    run.signal(Signal::KILL);
    wait_while(|| run.read());
    assert_eq!(run.child.wait().unwrap().signal(), Some(9));
    run.assert_ready_for_a_prompt();
    let row = run.emulator.screen().cursor_position().0;
    assert_eq!(usize::from(row), run.lines().len(), "the cursor is not below the last line");
}

#[test]
fn the_death_of_a_worker_is_reported_above_the_view() {
    let sandbox = Sandbox::new().in_japanese();
    let args = ["run", "--items", "2", "--consumer-delay", "1h", "--respawn", "0"];
    let mut run = sandbox.on_terminal(&[&args[..], &["--stats", "off"]].concat(), Stdout::Terminal);
    run.wait_until(|screen| screen.contains("処理中"));
    let consumer = sandbox.processes_of("qdemo consumer");
    signal_to(consumer[0].pid, Signal::KILL);
    assert_eq!(run.end().0, Some(1));
    let screen = run.screen();
    assert!(screen.contains("消費者: 異常終了しました（シグナル 9）"), "{screen}");
    assert!(!screen.contains("全体"), "{screen}");
    assert!(screen.ends_with("アイテムが処理されていません"), "{screen}");
    run.assert_ready_for_a_prompt();
}

#[test]
fn the_view_does_not_overwrite_a_reader_on_the_same_terminal() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command("bash");
    command.args(["-c", "qdemo run --speed 20 --stats off | cat"]);
    let mut run = OnTerminal::start(command, Stdout::Terminal, ROWS, COLUMNS);
    assert_eq!(run.end().0, Some(0));
    assert_same(&screen_of(CLASSIC), &run.screen());
    sandbox.assert_nothing_left();
}

#[test]
fn the_progress_option_decides_whether_the_view_is_drawn() {
    let sandbox = Sandbox::new().in_japanese();
    let run = ["run", "--speed", "20", "--stats", "off"];
    for (more, on_terminal) in [
        (&["--quiet"][..], false),
        (&["--progress", "never"], false),
        (&["--progress", "auto"], false),
        (&["--quiet", "--progress", "always"], true),
    ] {
        // The pipe's reader may write to the same terminal, where the view would disturb the reader's output.
        let mut run = sandbox.on_terminal(&[&run[..], more].concat(), Stdout::Pipe);
        assert_eq!(run.end().0, Some(0));
        assert_eq!(run.text.contains("/5 完了"), on_terminal, "{more:?}: {:?}", run.text);
        assert_eq!(run.text.is_empty(), !on_terminal, "{more:?}: {:?}", run.text);
        // Here standard error is no terminal.
        let always = more.contains(&"always");
        let piped = sandbox.run(&[&["run", "--speed", "20"][..], more].concat());
        assert_eq!(piped.stderr.contains("/5 完了"), always, "{more:?}: {}", piped.stderr);
    }
}

#[test]
fn control_characters_are_escaped_on_a_terminal_and_unchanged_in_a_pipe() {
    let sandbox = Sandbox::new();
    let nasty = "\u{1b}]0;title\u{7}\u{1b}[2J";
    sandbox.run(&["producer", "--quiet", "--keep-open", nasty, nasty]);
    let args = ["consumer", "--max", "1", "--format", "raw"];
    let mut consumer = sandbox.on_terminal(&args, Stdout::Terminal);
    assert_eq!(consumer.end().0, Some(0));
    assert_eq!(consumer.text, "\\u{1b}]0;title\\u{7}\\u{1b}[2J\r\n");
    sandbox.run(&args).assert_prints(&format!("{nasty}\n"));
    sandbox.assert_nothing_left();
}

#[test]
fn the_view_escapes_control_characters_of_an_item() {
    let sandbox = Sandbox::new().in_japanese();
    let more = ["off", "--item-name", "\u{1b}[2J\n", "--items", "3", "--progress", "always"];
    let mut run = sandbox.on_terminal(&[&SLOWLY[..], &more].concat(), Stdout::Pipe);
    run.wait_until(|screen| {
        let is_escaped = screen.contains("処理中") && screen.contains("\\u{1b}[2J\\n0");
        is_escaped && screen.lines().count() == 4
    });
    assert_eq!(run.end().0, Some(0));
}

#[test]
fn a_consumer_with_commands_shows_its_progress_and_the_remaining_time() {
    let sandbox = Sandbox::new();
    let items: String = (1..=20).map(|n| format!("{n}\n")).collect();
    sandbox.run_with_input(&["put", "-"], items.as_bytes()).assert_prints("");
    sandbox.run(&["close"]).assert_prints("");
    let args = ["consumer", "-j", "2", "--", "sh", "-c", "sleep 0.05; echo did {}"];
    let mut consumer = sandbox.on_terminal(&args, Stdout::Terminal);
    assert_eq!(consumer.end().0, Some(0));
    let mut lines = consumer.lines();
    assert_eq!(lines.pop().as_deref(), Some("qdemo: 20 items are done"));
    assert!(lines.len() == 20 && lines.iter().all(|line| line.starts_with("did ")), "{lines:#?}");
    for word in ["/20", "/s  ETA ", "[====="] {
        assert!(consumer.text.contains(word), "no {word} in {:?}", consumer.text);
    }
    sandbox.assert_nothing_left();
}

#[test]
fn a_live_status_overwrites_the_previous_status() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a", "b", "--capacity", "4"]).assert_prints("");
    let command = sandbox.qdemo(&["status", "--watch", "--every", "20ms"]);
    let mut status = OnTerminal::start(command, Stdout::Terminal, ROWS, 30);
    // A line is cut to the width of the terminal, and so stays one line.
    status.wait_until(|screen| screen == "default: 2 of 4 ready, 0 in …\n  [====>    ] 2/4");
    sandbox.run(&["get"]).assert_prints("a\n");
    status.wait_until(|screen| screen.ends_with("\n  [==>      ] 1/4"));
    let consumer = sandbox.start(&["consumer", "--quiet", "--delay", "1h"]);
    status.wait_until(|screen| screen.contains("\n  consumer ") && screen.contains(": 0 done"));
    consumer.signal(Signal::TERM);
    consumer.end();
    status.wait_until(|screen| !screen.contains("consumer"));
    status.signal(Signal::INT);
    wait_while(|| status.read());
    assert_eq!(status.child.wait().unwrap().signal(), Some(2));
    status.assert_ready_for_a_prompt();
}

#[test]
fn progress_never_prints_each_status_below_the_previous_status() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a"]).assert_prints("");
    for (progress, drawn_over) in [("never", false), ("always", true)] {
        let args = ["status", "--watch", "--every", "20ms", "--progress", progress];
        let mut status = sandbox.on_terminal(&args, Stdout::Terminal);
        // Wait for the third status.
        while status.text.matches("default").count() < 3 {
            assert!(status.read());
        }
        status.signal(Signal::INT);
        wait_while(|| status.read());
        status.child.wait().unwrap();
        let times = status.screen().matches("default: ").count();
        assert_eq!(times == 1, drawn_over, "{}", status.screen());
    }
    sandbox.assert_nothing_left();
}

#[test]
fn the_short_help_of_every_command_fits_a_screen_in_both_languages() {
    let sandbox = Sandbox::new();
    let help = sandbox.run(&["-h"]).text();
    let commands = help.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    for command in commands.map(|name| vec![name]).chain([vec![]]) {
        for lang in ["en", "ja"] {
            let args = [&command[..], &["-h", "--lang", lang]].concat();
            let mut on_terminal = sandbox.on_terminal(&args, Stdout::Terminal);
            assert_eq!(on_terminal.end().0, Some(0));
            let screen = on_terminal.screen();
            on_terminal.emulator.screen_mut().set_scrollback(usize::MAX);
            assert_same(&screen, &on_terminal.screen());
            assert!(!screen.contains('…') || screen.contains(", …"), "{screen}");
        }
    }
}

#[test]
fn workers_have_the_same_colours_in_the_log_and_in_the_view() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.on_terminal(&[&SLOWLY[..], &["off"]].concat(), Stdout::Terminal);
    run.wait_until(|screen| screen.contains("1/5"));
    let color = |row: usize| {
        let cell = run.emulator.screen().cell(u16::try_from(row).unwrap(), 0).unwrap();
        (cell.contents().to_owned(), cell.fgcolor())
    };
    let (producer, consumer) = (vt100::Color::Idx(2), vt100::Color::Idx(3));
    let lines = run.lines();
    for (row, line) in lines.iter().enumerate() {
        let expected = if line.starts_with("生産者") || line.starts_with("producer") {
            producer
        } else if line.starts_with("消費者") || line.starts_with("consumer") {
            consumer
        } else {
            vt100::Color::Default
        };
        assert_eq!(color(row).1, expected, "{line}");
    }
    assert!(lines.len() > 6, "{lines:#?}");
    assert_eq!(run.end().0, Some(0));
}
