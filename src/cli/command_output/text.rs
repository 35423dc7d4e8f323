//! Text of commands and items, in pieces and cut.

use std::io::Read;

use console::strip_ansi_codes;

use crate::item::escape_for_terminal;
use crate::report::truncate_to_width;

/// Foreign text within a line: without colours and control characters, and cut to a width.
pub(super) fn short_text(text: &str, columns: usize) -> String {
    let text = strip_ansi_codes(text);
    truncate_to_width(&escape_for_terminal(&text), columns)
}

/// Reads the input to its end, in pieces.
pub(super) fn for_each_chunk(
    input: &mut (impl Read + ?Sized),
    mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut buffer = [0; 64 * 1024];
    loop {
        match input.read(&mut buffer)? {
            0 => return Ok(()),
            read => take(&buffer[..read])?,
        }
    }
}
