//! A session on a pseudo-terminal: real commands, one after another, and when each row of the screen appears.

use std::io::Read;
use std::num::NonZero;
use std::process::Stdio;

use rustix::termios::Winsize;
use rustix_openpty::openpty;

use crate::harness::{Limit, Sandbox, wait_for_input};

const ROWS: u16 = 40;
const COLUMNS: u16 = 84;
/// The seconds from a prompt with its command to the command's output.
const READING_TIME: f64 = 0.5;
/// The seconds from a command's output to the next prompt.
const PAUSE: f64 = 1.5;

/// A session whose commands have the standard streams of a terminal.
pub struct Session {
    sandbox: Sandbox,
    locale: String,
    emulator: vt100::Parser,
    /// The time of each row, in seconds since the start of the session.
    rows: Vec<f64>,
    now: f64,
}

/// What a session has shown.
pub struct Recording {
    pub screen: vt100::Screen,
    /// When each row appears, in seconds.
    pub rows: Vec<f64>,
}

impl Session {
    pub fn start(locale: &str) -> Self {
        let [rows, columns] = [ROWS, COLUMNS].map(|count| NonZero::new(count).unwrap());
        Self {
            sandbox: Sandbox::new(),
            locale: locale.to_owned(),
            emulator: vt100::Parser::new(rows, columns, 0),
            rows: Vec::new(),
            now: 0.0,
        }
    }

    /// Runs a command whose output appears at once.
    pub fn run(&mut self, line: &str) {
        self.prompt(line);
        self.on_terminal(line);
        self.show_rows(self.now);
        self.now += PAUSE;
    }

    /// Runs `qdemo run` with this line's options. Its log appears at the times of its events, which do not depend on
    /// the machine; everything else appears at the end. The recorded process does not wait, and prints the same.
    pub fn run_in_its_own_time(&mut self, line: &str) {
        self.prompt(line);
        let events = self.sandbox.script(&format!("{line} --speed max --format json"));
        events.assert_done();
        self.on_terminal(&format!("{line} --speed max"));
        let start = self.now;
        for event in events.lines() {
            let event: serde_json::Value = serde_json::from_str(&event).unwrap();
            self.now = start + event["t"].as_f64().unwrap();
            if ["put", "get", "end"].contains(&event["event"].as_str().unwrap()) {
                self.rows.push(self.now);
            }
        }
        self.show_rows(self.now + READING_TIME);
        self.now += READING_TIME + PAUSE;
    }

    pub fn end(self) -> Recording {
        self.sandbox.assert_nothing_left();
        Recording { screen: self.emulator.screen().clone(), rows: self.rows }
    }

    fn prompt(&mut self, line: &str) {
        self.emulator.process(format!("\x1b[2m$\x1b[m \x1b[1m{line}\x1b[m\r\n").as_bytes());
        self.show_rows(self.now);
        self.now += READING_TIME;
    }

    /// Gives all rows above the cursor that have no time yet this time.
    fn show_rows(&mut self, time: f64) {
        let (row, column) = self.emulator.screen().cursor_position();
        assert_eq!(column, 0, "a command has left the cursor in a row");
        assert!(row < ROWS - 1, "the session is longer than the screen");
        self.rows.resize(row.into(), time);
    }

    /// Runs a line of a shell on the terminal.
    fn on_terminal(&mut self, line: &str) {
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(None, Some(&size)).unwrap();
        let mut command = self.sandbox.command("bash");
        command.args(["-c", line]);
        // `LC_ALL` would make a shell complain of a locale that is not installed.
        command.env_remove("LC_ALL").env("LANG", &self.locale).env("TERM", "xterm-256color");
        command.stdin(Stdio::null());
        command.stdout(pty.user.try_clone().unwrap()).stderr(pty.user.try_clone().unwrap());
        let mut child = command.spawn().unwrap();
        // Drop this process's copies of the terminal's user end, or the terminal never ends.
        drop(command);
        drop(pty.user);
        let mut terminal = std::fs::File::from(pty.controller);
        let limit = Limit::start();
        let mut bytes = [0; 4096];
        loop {
            assert!(
                !limit.is_over() && wait_for_input(&terminal),
                "the command does not end: {line}"
            );
            // A read at the terminal's end returns an error.
            let Ok(read @ 1..) = terminal.read(&mut bytes) else { break };
            self.emulator.process(&bytes[..read]);
        }
        assert!(child.wait().unwrap().success(), "{line}: {}", self.emulator.screen().contents());
    }
}
