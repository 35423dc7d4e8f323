//! Rows that are redrawn in place on a terminal.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use console::{AnsiCodeIterator, Term, measure_text_width, truncate_str};
use indicatif::TermLike;
use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;
use signal_hook::consts::SIGCONT;

use crate::os::Blocking;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TerminalSize {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl TerminalSize {
    /// The present size of this terminal; without a terminal, a common size.
    pub(crate) fn current(terminal: &Term) -> Self {
        let (rows, columns) = terminal.size();
        Self { rows: rows.into(), columns: columns.into() }
    }

    /// The area for redrawn rows. The cursor needs a row below, and scrolling text needs a row above. The last
    /// column stays free: a terminal in an East Asian locale may show `…` in two columns, and the row must
    /// not wrap.
    pub(crate) fn drawable_area(self) -> Self {
        let rows = self.rows.saturating_sub(2).max(1);
        Self { rows, columns: self.columns.saturating_sub(1).max(1) }
    }
}

/// The last rows on a terminal, each with a newline. The cursor rests in the first column below the rows, so
/// that foreign text (`^C`, or a shell's prompt after `kill -9`) has a line of its own.
#[derive(Debug, Default)]
pub(crate) struct RedrawArea {
    rows: Vec<String>,
    /// The process was stopped and continued: a shell has written on the terminal meanwhile.
    has_resumed: Arc<AtomicBool>,
}

impl RedrawArea {
    /// An area that does not overwrite the text of a shell after a stop.
    pub(crate) fn with_resume_detection() -> Self {
        let area = Self::default();
        // Without the handler the next rows overwrite the text of the shell.
        let _ = signal_hook::flag::register(SIGCONT, Arc::clone(&area.has_resumed));
        area
    }

    /// The text that replaces the present rows by these, for one write.
    pub(crate) fn replace(&mut self, rows: Vec<String>, size: TerminalSize) -> String {
        let mut text = String::new();
        if self.has_resumed.swap(false, Ordering::Relaxed) {
            self.rows.clear();
        }
        if !self.rows.is_empty() {
            // Nearly all terminals wrap their rows when they become narrower. Rows above the top are out of
            // reach.
            let height: usize =
                self.rows.iter().map(|row| wrap_line(row, size.columns).len()).sum();
            let height = height.min(size.rows.saturating_sub(1));
            // The cursor's row may contain a `^C`.
            text.push_str("\r\x1b[2K");
            text.push_str(&"\x1b[1A\x1b[2K".repeat(height));
        }
        for row in &rows {
            text.push_str(row);
            text.push('\n');
        }
        self.rows = rows;
        text
    }
}

/// Standard error for indicatif. Indicatif assumes the terminal's width of its last frame, so its cursor
/// movements would be wrong after a resize: this type ignores the movements. The text between two flushes is
/// a frame, which replaces the last one in a [`RedrawArea`]. An empty frame removes the last one.
#[derive(Debug)]
pub(super) struct StderrTerminal {
    terminal: Term,
    frame_state: Mutex<FrameState>,
}

#[derive(Debug, Default)]
struct FrameState {
    /// The text since the last flush. Spaces fill each line up to the last column.
    frame: String,
    /// The width that indicatif got last.
    columns: usize,
    redraw_area: RedrawArea,
}

/// Whether the terminal belongs to a shell or to another command.
pub(crate) fn is_in_background(terminal: impl AsFd) -> bool {
    tcgetpgrp(terminal).is_ok_and(|foreground| foreground != getpgrp())
}

impl StderrTerminal {
    /// Standard error.
    pub(super) fn stderr() -> Self {
        let state = FrameState {
            redraw_area: RedrawArea::with_resume_detection(),
            ..FrameState::default()
        };
        Self { terminal: Term::stderr(), frame_state: Mutex::new(state) }
    }

    fn lock_state(&self) -> MutexGuard<'_, FrameState> {
        self.frame_state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TermLike for StderrTerminal {
    fn width(&self) -> u16 {
        let columns = TerminalSize::current(&self.terminal).drawable_area().columns;
        self.lock_state().columns = columns;
        u16::try_from(columns).unwrap_or(u16::MAX)
    }

    fn height(&self) -> u16 {
        u16::try_from(TerminalSize::current(&self.terminal).drawable_area().rows)
            .unwrap_or(u16::MAX)
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.write_str(line)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.lock_state().frame.push_str(text);
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let mut state = self.lock_state();
        let frame = std::mem::take(&mut state.frame);
        let mut rows = wrap_line(&frame, state.columns);
        rows.iter_mut().for_each(|row| row.truncate(row.trim_end().len()));
        if frame.is_empty() || is_in_background(io::stderr()) {
            rows.clear();
        }
        let text = state.redraw_area.replace(rows, TerminalSize::current(&self.terminal));
        Blocking(io::stderr()).write_all(text.as_bytes())
    }
}

/// Cuts a line to a width, with `…` at the cut.
pub(crate) fn truncate_to_width(line: &str, columns: usize) -> String {
    truncate_str(line, columns, "…").into_owned()
}

/// The rows of a line on the terminal, at least one. A wide character stays in one row. The line must contain
/// no control characters, except those of colours.
fn wrap_line(line: &str, columns: usize) -> Vec<String> {
    let (mut rows, mut row, mut used) = (Vec::new(), String::new(), 0);
    for (piece, is_color) in AnsiCodeIterator::new(line) {
        if is_color {
            row.push_str(piece);
            continue;
        }
        for c in piece.chars() {
            let width = measure_text_width(c.encode_utf8(&mut [0; 4]));
            if used > 0 && used + width > columns {
                rows.push(std::mem::take(&mut row));
                used = 0;
            }
            row.push(c);
            used += width;
        }
    }
    rows.push(row);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: TerminalSize = TerminalSize { rows: 24, columns: 10 };

    fn replace(area: &mut RedrawArea, rows: &[&str], size: TerminalSize) -> String {
        area.replace(rows.iter().map(|&row| row.to_owned()).collect(), size)
    }

    #[test]
    fn new_rows_replace_the_old_ones() {
        let mut area = RedrawArea::default();
        assert_eq!(replace(&mut area, &[], WIDE), "", "nothing for nothing");
        assert_eq!(replace(&mut area, &["one", "two"], WIDE), "one\ntwo\n");
        let erased = "\r\x1b[2K\x1b[1A\x1b[2K\x1b[1A\x1b[2K";
        assert_eq!(replace(&mut area, &["three"], WIDE), format!("{erased}three\n"));
        assert_eq!(replace(&mut area, &[], WIDE), "\r\x1b[2K\x1b[1A\x1b[2K");
        assert_eq!(replace(&mut area, &[], WIDE), "");
    }

    #[test]
    fn text_of_a_shell_below_the_rows_stays() {
        let mut area = RedrawArea::with_resume_detection();
        replace(&mut area, &["one"], WIDE);
        // The signal goes to this thread, so its handler ends before `raise` returns.
        signal_hook::low_level::raise(SIGCONT).unwrap();
        assert_eq!(replace(&mut area, &["two"], WIDE), "two\n");
        assert_eq!(replace(&mut area, &[], WIDE), "\r\x1b[2K\x1b[1A\x1b[2K");
    }

    #[test]
    fn rows_that_a_resize_wrapped_are_erased_up_to_the_top() {
        let row_by_row = |rows| format!("\r\x1b[2K{}", "\x1b[1A\x1b[2K".repeat(rows));
        for (columns, rows) in [(10, 2), (9, 3), (5, 3), (4, 4), (1, 9)] {
            let mut area = RedrawArea::default();
            replace(&mut area, &["123456789 ", "生産"], WIDE);
            let narrow = TerminalSize { rows: 10, columns };
            assert_eq!(replace(&mut area, &[], narrow), row_by_row(rows), "{columns}");
        }
    }

    #[test]
    fn a_wide_character_stays_in_one_row() {
        assert_eq!(wrap_line("1生産", 4), ["1生", "産"]);
        assert_eq!(wrap_line("1生産", 1), ["1", "生", "産"], "even if the row is too narrow");
        assert_eq!(wrap_line("", 4), [""]);
        let green = ["\x1b[32m1生", "産\x1b[0m"];
        assert_eq!(wrap_line(&green.concat(), 4), green, "a colour has no width");
        assert_eq!(truncate_to_width("生産者", 6), "生産者");
        assert_eq!(truncate_to_width("生産者", 5), "生産…");
    }
}
