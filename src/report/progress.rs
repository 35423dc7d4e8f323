//! What is drawn anew in place on standard error: a run's live view, or the progress of commands.

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use rustix::fs::FileType;

use super::terminal::{StderrTerminal, TerminalSize};
use crate::item::escape_for_terminal;

/// Something that is drawn anew in place on standard error, if anything is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Whether it would be seen, and be alone: behind a pipe on standard output there may be one who
    /// writes on the same terminal, and neither would know of the other.
    pub(crate) fn is_visible() -> bool {
        let status = rustix::fs::fstat(io::stdout());
        let kind = status.map(|status| FileType::from_raw_mode(status.st_mode));
        let is_pipe = matches!(kind, Ok(FileType::Fifo | FileType::Socket));
        io::stderr().is_terminal() && !is_pipe
    }

    /// For rows that are drawn whenever they are given, whatever standard error is.
    pub(crate) fn for_run() -> Self {
        let bar = ProgressBar::with_draw_target(
            None,
            // Whoever gives the rows does so seldom enough.
            ProgressDrawTarget::term_like_with_hz(Box::new(StderrTerminal::stderr()), u8::MAX),
        );
        Self::with_template(bar, "{msg}")
    }

    /// Counts what a consumer's commands have done, of what there is, with the rate and the time
    /// that is left, when standard error is a terminal.
    pub(crate) fn for_commands() -> Self {
        if !Self::is_visible() {
            return Self::default();
        }
        let bar = ProgressBar::with_draw_target(
            Some(0),
            ProgressDrawTarget::term_like_with_hz(Box::new(StderrTerminal::stderr()), 20),
        );
        let template = match TerminalSize::current(&Term::stderr()).columns {
            60.. => "[{bar:20}] {pos}/{len}  {rate}  ETA {eta}  {msg}",
            _ => "{pos}/{len}",
        };
        Self::with_template(bar, template)
    }

    fn with_template(bar: ProgressBar, template: &str) -> Self {
        if let Ok(style) = ProgressStyle::with_template(template) {
            let rate = |state: &ProgressState, text: &mut dyn fmt::Write| {
                let _ = write!(text, "{:.1}/s", state.per_sec());
            };
            bar.set_style(style.with_key("rate", rate).progress_chars("=> "));
        }
        Self { bar: Some(bar) }
    }

    /// Whether anything is drawn at all.
    pub(crate) fn is_enabled(&self) -> bool {
        self.bar.is_some()
    }

    /// Draws the rows that fit into so much room.
    pub(super) fn draw(&self, rows: impl FnOnce(TerminalSize) -> Vec<String>) {
        if let Some(bar) = &self.bar {
            let room = TerminalSize::current(&Term::stderr()).drawable_area();
            let rows: Vec<_> =
                rows(room).iter().map(|row| escape_for_terminal(row).into_owned()).collect();
            bar.set_message(rows.join("\n"));
        }
    }

    /// So many of so many are done; `and` stands behind that.
    pub(crate) fn set_position_and_total(&self, done: u64, of: u64, and: String) {
        if let Some(bar) = &self.bar {
            bar.set_length(of);
            bar.set_position(done);
            bar.set_message(escape_for_terminal(&and).into_owned());
            bar.tick();
        }
    }

    /// So many are done; `and` stands behind that.
    pub(crate) fn set_position(&self, done: u64, and: String) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(escape_for_terminal(&and).into_owned());
        }
    }

    /// Does something to the terminal while nothing of this is in the way.
    pub(crate) fn suspend<T>(&self, what: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(what),
            None => what(),
        }
    }

    /// Takes it away, unless somebody is just writing beside it and cannot go on: then that is not
    /// waited for. Without a thread it stays.
    pub(crate) fn clear_with_timeout(&self) {
        let progress = self.clone();
        let (tell, told) = mpsc::channel();
        // If the system refuses a thread, `told` fails at once.
        let _ = thread::Builder::new().spawn(move || {
            progress.clear();
            tell.send(())
        });
        let _ = told.recv_timeout(Duration::from_millis(100));
    }

    /// Takes it away for good.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
