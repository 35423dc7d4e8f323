//! Rows on a terminal that are drawn anew in place.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use console::{Term, measure_text_width, truncate_str};
use indicatif::TermLike;
use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;
use signal_hook::consts::SIGCONT;

use crate::os::Blocking;

/// How large a terminal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TerminalSize {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl TerminalSize {
    /// Of this terminal now; where there is none, of one as they used to be.
    pub(crate) fn current(terminal: &Term) -> Self {
        let (rows, columns) = terminal.size();
        Self { rows: rows.into(), columns: columns.into() }
    }

    /// How much of it is for what is drawn anew: the cursor stands below that, and at least one row
    /// above it is for what scrolls. A terminal in an East Asian locale may show `…` two columns
    /// wide, and then the line must not wrap.
    pub(crate) fn drawable_area(self) -> Self {
        let rows = self.rows.saturating_sub(2).max(1);
        Self { rows, columns: self.columns.saturating_sub(1).max(1) }
    }
}

/// Rows at the end of what is on a terminal, each ended by a newline. The cursor rests below them, in
/// the first column: whatever comes there uninvited, as `^C` does, or a shell's prompt after a
/// `kill -9`, has a line of its own.
#[derive(Debug, Default)]
pub(crate) struct RedrawArea {
    rows: Vec<String>,
    /// This process was stopped, and goes on: a shell has written on the terminal since.
    has_resumed: Arc<AtomicBool>,
}

impl RedrawArea {
    /// One that is left alone when others may have written below it.
    pub(crate) fn with_resume_detection() -> Self {
        let block = Self::default();
        // Where that cannot be known, it is drawn over what they wrote.
        let _ = signal_hook::flag::register(SIGCONT, Arc::clone(&block.has_resumed));
        block
    }

    /// What to write, in one piece, to have these rows in the place of those that are there now.
    pub(crate) fn replace(&mut self, rows: Vec<String>, size: TerminalSize) -> String {
        let mut text = String::new();
        if self.has_resumed.swap(false, Ordering::Relaxed) {
            self.rows.clear();
        }
        if !self.rows.is_empty() {
            // A terminal that has become narrower since has wrapped what is on it, as nearly all do.
            // What has been pushed out at the top is out of reach.
            let there: usize = self.rows.iter().map(|row| wrap_line(row, size.columns).len()).sum();
            let there = there.min(size.rows.saturating_sub(1));
            // On the cursor's own row there may be a `^C`.
            text.push_str("\r\x1b[2K");
            text.push_str(&"\x1b[1A\x1b[2K".repeat(there));
        }
        for row in &rows {
            text.push_str(row);
            text.push('\n');
        }
        self.rows = rows;
        text
    }
}

/// Standard error, as indicatif draws on it. It takes a terminal's width for what it was when it drew
/// last, so its movements would go astray after a change: they are ignored. What it writes between
/// two flushes is a frame, which is drawn as a [`Block`]; an empty one takes that away.
#[derive(Debug)]
pub(super) struct StderrTerminal {
    terminal: Term,
    frame_state: Mutex<FrameState>,
}

#[derive(Debug, Default)]
struct FrameState {
    /// What has been written since the last flush: each line is filled with spaces up to the edge.
    frame: String,
    /// Where the edge is, as indicatif was told last.
    columns: usize,
    redraw_area: RedrawArea,
}

/// Whether a shell has the terminal for itself, or for another command.
pub(crate) fn is_in_background(terminal: impl AsFd) -> bool {
    tcgetpgrp(terminal).is_ok_and(|foreground| foreground != getpgrp())
}

impl StderrTerminal {
    /// Standard error.
    pub(super) fn stderr() -> Self {
        let drawing = FrameState {
            redraw_area: RedrawArea::with_resume_detection(),
            ..FrameState::default()
        };
        Self { terminal: Term::stderr(), frame_state: Mutex::new(drawing) }
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
        let mut drawing = self.lock_state();
        let frame = std::mem::take(&mut drawing.frame);
        let mut rows = wrap_line(&frame, drawing.columns);
        rows.iter_mut().for_each(|row| row.truncate(row.trim_end().len()));
        if frame.is_empty() || is_in_background(io::stderr()) {
            rows.clear();
        }
        let text = drawing.redraw_area.replace(rows, TerminalSize::current(&self.terminal));
        Blocking(io::stderr()).write_all(text.as_bytes())
    }
}

/// Cuts a line to a width, and shows where.
pub(crate) fn truncate_to_width(line: &str, columns: usize) -> String {
    truncate_str(line, columns, "…").into_owned()
}

/// The rows that a line takes, one at least. A wide character is not cut in two. There must be no
/// control characters in it.
fn wrap_line(line: &str, columns: usize) -> Vec<String> {
    let (mut rows, mut row, mut used) = (Vec::new(), String::new(), 0);
    for c in line.chars() {
        let width = measure_text_width(c.encode_utf8(&mut [0; 4]));
        if used > 0 && used + width > columns {
            rows.push(std::mem::take(&mut row));
            used = 0;
        }
        row.push(c);
        used += width;
    }
    rows.push(row);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: TerminalSize = TerminalSize { rows: 24, columns: 10 };

    fn replace(block: &mut RedrawArea, rows: &[&str], size: TerminalSize) -> String {
        block.replace(rows.iter().map(|&row| row.to_owned()).collect(), size)
    }

    #[test]
    fn rows_are_drawn_over_those_before() {
        let mut block = RedrawArea::default();
        assert_eq!(replace(&mut block, &[], WIDE), "", "nothing for nothing");
        assert_eq!(replace(&mut block, &["one", "two"], WIDE), "one\ntwo\n");
        let erased = "\r\x1b[2K\x1b[1A\x1b[2K\x1b[1A\x1b[2K";
        assert_eq!(replace(&mut block, &["three"], WIDE), format!("{erased}three\n"));
        assert_eq!(replace(&mut block, &[], WIDE), "\r\x1b[2K\x1b[1A\x1b[2K");
        assert_eq!(replace(&mut block, &[], WIDE), "");
    }

    #[test]
    fn what_others_may_have_written_below_is_left_alone() {
        let mut block = RedrawArea::with_resume_detection();
        replace(&mut block, &["one"], WIDE);
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::CONT)
            .unwrap();
        // A signal of one's own is there when this returns.
        assert_eq!(replace(&mut block, &["two"], WIDE), "two\n");
        assert_eq!(replace(&mut block, &[], WIDE), "\r\x1b[2K\x1b[1A\x1b[2K");
    }

    #[test]
    fn what_a_narrower_terminal_has_wrapped_is_taken_away_but_nothing_beyond_its_top() {
        let row_by_row = |rows| format!("\r\x1b[2K{}", "\x1b[1A\x1b[2K".repeat(rows));
        for (columns, rows) in [(10, 2), (9, 3), (5, 3), (4, 4), (1, 9)] {
            let mut block = RedrawArea::default();
            replace(&mut block, &["123456789 ", "生産"], WIDE);
            let narrow = TerminalSize { rows: 10, columns };
            assert_eq!(replace(&mut block, &[], narrow), row_by_row(rows), "{columns}");
        }
    }

    #[test]
    fn a_wide_character_is_not_cut_in_two() {
        assert_eq!(wrap_line("1生産", 4), ["1生", "産"]);
        assert_eq!(
            wrap_line("1生産", 1),
            ["1", "生", "産"],
            "where it has no room at all it stands too"
        );
        assert_eq!(wrap_line("", 4), [""]);
        assert_eq!(truncate_to_width("生産者", 6), "生産者");
        assert_eq!(truncate_to_width("生産者", 5), "生産…");
    }
}
