//! A terminal that seems a little narrower than it is.

use std::io;

use console::Term;
use indicatif::TermLike;

/// Columns at the right that are left to the terminal itself.
const MARGIN: u16 = 4;

/// Standard error, short of its right edge. indicatif leaves the cursor at the end of what it takes
/// for the line; a terminal writes `^C` there, and if that wrapped, the line could not be cleared.
#[derive(Debug)]
pub(super) struct Margin(Term);

impl Margin {
    /// Standard error.
    pub(super) fn stderr() -> Self {
        Self(Term::stderr())
    }
}

impl TermLike for Margin {
    fn width(&self) -> u16 {
        TermLike::width(&self.0).saturating_sub(MARGIN)
    }

    fn height(&self) -> u16 {
        TermLike::height(&self.0)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_left(n)
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.0.write_line(line)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }
}
