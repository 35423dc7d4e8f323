//! Text that is redrawn in place on standard error: a run's live view, or the progress of commands.

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use rustix::fs::FileType;

use super::terminal::{StderrTerminal, TerminalSize};
use crate::catalogue::message;
use crate::item::escape_for_terminal;

/// Text that is redrawn in place on standard error, or nothing by default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Whether standard error is a terminal, and standard output is not a pipe. The reader of a pipe may write
    /// on the same terminal, and the two outputs would mix.
    pub(crate) fn is_visible() -> bool {
        let status = rustix::fs::fstat(io::stdout());
        let kind = status.map(|status| FileType::from_raw_mode(status.st_mode));
        let is_pipe = matches!(kind, Ok(FileType::Fifo | FileType::Socket));
        io::stderr().is_terminal() && !is_pipe
    }

    /// The progress of a run: draws rows at once, even if standard error is not a terminal.
    pub(crate) fn for_run() -> Self {
        // The caller limits the rate of the rows.
        Self::with_template(u8::MAX, "{msg}")
    }

    /// The progress of a consumer's commands: done and total items, the rate, and the remaining time. Draws
    /// nothing if standard error is not a terminal.
    pub(crate) fn for_commands() -> Self {
        if Self::is_visible() { Self::bar() } else { Self::default() }
    }

    /// A bar with done and total numbers, the rate, and the remaining time.
    pub(crate) fn bar() -> Self {
        let template = match TerminalSize::current(&Term::stderr()).columns {
            60.. => {
                let remaining = message!("output-remaining");
                format!("[{{bar:20}}] {{pos}}/{{len}}  {{rate}}  {remaining} {{eta}}  {{msg}}")
            }
            _ => "{pos}/{len}".to_owned(),
        };
        Self::with_template(20, &template)
    }

    fn with_template(redraws_per_s: u8, template: &str) -> Self {
        let terminal = Box::new(StderrTerminal::stderr());
        let target = ProgressDrawTarget::term_like_with_hz(terminal, redraws_per_s);
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            let rate = |state: &ProgressState, text: &mut dyn fmt::Write| {
                let _ = write!(text, "{:.1}/s", state.per_sec());
            };
            bar.set_style(style.with_key("rate", rate).progress_chars("=> "));
        }
        Self { bar: Some(bar) }
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.bar.is_some()
    }

    /// Draws rows for the present size of the terminal. They are safe on a terminal.
    pub(super) fn draw(&self, rows: impl FnOnce(TerminalSize) -> Vec<String>) {
        if let Some(bar) = &self.bar {
            let size = TerminalSize::current(&Term::stderr()).drawable_area();
            bar.set_message(rows(size).join("\n"));
        }
    }

    /// Sets the numbers of done and all items, and the text after them.
    pub(crate) fn set_position_and_total(&self, done: u64, total: u64, suffix: String) {
        if let Some(bar) = &self.bar {
            // A bar of 0 items would be full.
            match total {
                0 => bar.unset_length(),
                _ => bar.set_length(total),
            }
            self.set_position(done, suffix);
            bar.tick();
        }
    }

    /// Sets the number of done items, and the text after it.
    pub(crate) fn set_position(&self, done: u64, suffix: String) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(escape_for_terminal(&suffix).into_owned());
        }
    }

    /// Removes the progress from the terminal while `write` runs.
    pub(crate) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Removes the progress from the terminal. Gives up after 100 ms: another thread may hold the progress in a
    /// write that blocks. Without a thread the progress stays.
    pub(crate) fn clear_with_timeout(&self) {
        let progress = self.clone();
        let (sender, receiver) = mpsc::channel();
        // If the system refuses a thread, `receiver` fails at once.
        let _ = thread::Builder::new().spawn(move || {
            progress.clear();
            sender.send(())
        });
        let _ = receiver.recv_timeout(Duration::from_millis(100));
    }

    /// Removes the progress from the terminal for good.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
