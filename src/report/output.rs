//! Standard output, and the progress line on standard error that must not get into its way.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use rustix::termios::tcgetwinsize;

use super::item::printable;
use super::lang::Lang;
use super::terminal::Margin;
use crate::clock::Nanos;
use crate::pipe::{PIPE_BUF, Ready, Waker, wait};

/// Lines on their way to standard output. They are written when they are flushed, whole.
#[derive(Debug)]
pub(crate) struct Output {
    lines: Vec<u8>,
    /// Text of others is made harmless for a terminal, and left alone in a pipe.
    terminal: bool,
    progress: Progress,
    /// Woken by the signal to leave.
    interrupt: Option<Arc<Waker>>,
    /// It has come: what the reader does not take at once is not worth waiting for.
    hurried: bool,
}

/// A progress line on standard error, when that is a terminal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Counts up to `items`.
    pub(crate) fn up_to(items: u64, lang: Lang) -> Self {
        if !io::stderr().is_terminal() {
            return Self::default();
        }
        let bar = ProgressBar::with_draw_target(
            Some(items),
            ProgressDrawTarget::term_like_with_hz(Box::new(Margin::stderr()), 20),
        );
        let template = if is_narrow() { "{pos}/{len}" } else { "[{bar:30}] {pos}/{len} {msg}" };
        let style = ProgressStyle::with_template(template);
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(lang.done());
        Self { bar: Some(bar) }
    }

    /// Counts what a consumer's commands have done, of what there is, with the rate and the time
    /// that is left.
    pub(crate) fn of_commands() -> Self {
        let progress = Self::up_to(0, Lang::En);
        let wide = "[{bar:20}] {pos}/{len}  {rate}  ETA {eta}  {msg}";
        if let (Some(bar), false) = (&progress.bar, is_narrow())
            && let Ok(style) = ProgressStyle::with_template(wide)
        {
            let rate = |state: &ProgressState, text: &mut dyn fmt::Write| {
                let _ = write!(text, "{:.1}/s", state.per_sec());
            };
            bar.set_style(style.with_key("rate", rate).progress_chars("=> "));
            bar.set_message("");
        }
        progress
    }

    /// Whether there is a line at all.
    pub(crate) fn is_shown(&self) -> bool {
        self.bar.is_some()
    }

    /// So many of so many are done; `and` stands behind that.
    pub(crate) fn stands_at(&self, done: u64, of: u64, and: String) {
        if let Some(bar) = &self.bar {
            bar.set_length(of);
            bar.set_position(done);
            bar.set_message(and);
            bar.tick();
        }
    }

    /// So many are done; `and` stands behind that.
    pub(crate) fn moved_to(&self, done: u64, and: String) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(and);
        }
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

    /// Takes the line away, unless somebody is just writing beside it and cannot go on: then that is
    /// not waited for.
    pub(crate) fn clear_if_possible(&self) {
        let line = self.clone();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            line.clear();
            tell.send(())
        });
        let _ = told.recv_timeout(Duration::from_millis(100));
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn is_narrow() -> bool {
    tcgetwinsize(io::stderr()).is_ok_and(|size| size.ws_col < 60)
}

/// Writes in pieces that never block once there is room at all, and tells how much was written.
fn write_while_there_is_room(
    mut out: impl Write + AsFd,
    lines: &[u8],
    interrupt: &Option<Arc<Waker>>,
    most: Option<Nanos>,
) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < lines.len() {
        let mut pipes = vec![(out.as_fd(), Ready::Write)];
        pipes.extend(interrupt.iter().map(|waker| (waker.as_fd(), Ready::Read)));
        let states = match wait(&pipes, most) {
            Ok(states) => states,
            Err(error) => return (written, Err(error)),
        };
        if states[0].ready || states[0].dead {
            let end = lines.len().min(written + PIPE_BUF);
            let piece = out.write_all(&lines[written..end]).and_then(|()| out.flush());
            if let Err(error) = piece {
                return (written, Err(error));
            }
            written = end;
        } else if most.is_some() || states.get(1).is_some_and(|woken| woken.ready) {
            return (written, Err(io::ErrorKind::Interrupted.into()));
        }
    }
    (written, Ok(()))
}

impl Output {
    /// Standard output, beside this progress line. A reader that doesn't read is waited for, but
    /// not when `interrupt` is woken.
    pub(crate) fn new(progress: Progress, interrupt: Option<Arc<Waker>>) -> Self {
        let terminal = io::stdout().is_terminal();
        Self { lines: Vec::new(), terminal, progress, interrupt, hurried: false }
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

    /// What is passed on as it is, and our own.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.lines.extend_from_slice(bytes);
    }

    /// Writes what has been gathered. `Interrupted` when the signal's waker was woken before there
    /// was room for it all; what is not written then is kept, and from then on not waited for.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let Self { lines, progress, interrupt, hurried, .. } = self;
        let most = if *hurried { Some(0) } else { None };
        let (written, ended) = progress
            .aside(|| write_while_there_is_room(io::stdout().lock(), lines, interrupt, most));
        self.lines.drain(..written);
        *hurried |= ended.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::Interrupted);
        ended
    }

    /// Passes on to standard error what a command wrote there; as [`Output::flush`].
    pub(crate) fn pass_on_errors(&self, text: &[u8]) -> io::Result<()> {
        let ended = self.progress.aside(|| {
            write_while_there_is_room(io::stderr().lock(), text, &self.interrupt, None).1
        });
        match ended {
            // There is nobody to tell that nobody listens.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// Tells people something on standard error.
    pub(crate) fn notice(&self, text: &str) {
        self.progress.aside(|| {
            // There is nobody to tell that nobody listens.
            let _ = io::stderr().write_all(format!("{}\n", printable(text)).as_bytes());
        });
    }
}
