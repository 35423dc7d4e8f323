//! Standard output, and the progress line on standard error that must not get into its way.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::item::printable;
use super::lang::Lang;

/// Lines on their way to standard output. They are written when they are flushed, whole.
#[derive(Debug)]
pub(crate) struct Output {
    lines: Vec<u8>,
    /// Text of others is made harmless for a terminal, and left alone in a pipe.
    terminal: bool,
    progress: Progress,
}

/// A progress line on standard error, when that is a terminal.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Counts up to `items`.
    pub(crate) fn up_to(items: u64, lang: Lang) -> Self {
        if !io::stderr().is_terminal() {
            return Self::default();
        }
        let bar = ProgressBar::with_draw_target(Some(items), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("[{bar:40}] {pos}/{len} {msg}");
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(lang.done());
        Self { bar: Some(bar) }
    }

    /// `items` more are done.
    pub(crate) fn add(&self, items: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(items);
        }
    }

    /// Does something to the terminal while the progress line is out of the way.
    pub(crate) fn aside<T>(&self, what: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(what),
            None => what(),
        }
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Output {
    /// Standard output, beside this progress line.
    pub(crate) fn new(progress: Progress) -> Self {
        Self { lines: Vec::new(), terminal: io::stdout().is_terminal(), progress }
    }

    /// The progress line.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Text that others have chosen.
    pub(super) fn text(&mut self, text: &str) {
        if self.terminal {
            self.lines.extend_from_slice(printable(text).as_bytes());
        } else {
            self.lines.extend_from_slice(text.as_bytes());
        }
    }

    /// Our own.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.lines.extend_from_slice(bytes);
    }

    /// Writes what has been gathered.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let lines = &self.lines;
        let written = self.progress.aside(|| {
            let mut stdout = io::stdout().lock();
            stdout.write_all(lines)?;
            stdout.flush()
        });
        self.lines.clear();
        written
    }

    /// Tells people something on standard error.
    pub(crate) fn notice(&self, text: &str) {
        self.progress.aside(|| {
            // There is nobody to tell that nobody listens.
            let _ = writeln!(io::stderr(), "{}", printable(text));
        });
    }
}
