//! Prints the text of commands: whole or line by line, with or without tags.

use std::collections::HashMap;
use std::io::Read;

use super::text::{for_each_chunk, short_text};
use crate::exec::{ItemTask, OutputSource, OutputStream};
use crate::item::display_text;
use crate::os::Meanwhile;
use crate::report::{Output, StdoutError, slot_style};

/// A tag shows this many columns of an item.
const MAX_TAG_WIDTH: usize = 40;
/// A tag is made of at most this many characters of an item.
const MAX_TAG_CHARS: usize = 1000;

/// Prints the text of commands.
#[derive(Debug, Default)]
pub(super) struct TextPrinter {
    /// The last line of a command gets a newline if it has none: lines of several commands do not mix.
    has_own_lines: bool,
    /// The tags of the items in progress, with `--tag`.
    tags: Option<HashMap<u64, String>>,
}

impl TextPrinter {
    pub(super) fn new(is_live: bool, is_tagged: bool) -> Self {
        Self { has_own_lines: is_live || is_tagged, tags: is_tagged.then(HashMap::new) }
    }

    /// Prints the text of a command.
    pub(super) fn print(
        &mut self,
        out: &mut Output,
        source: OutputSource<'_>,
        stream: OutputStream,
        text: &mut dyn Read,
        meanwhile: &mut Meanwhile<'_>,
    ) -> anyhow::Result<()> {
        let tag = self.tag(source, stream);
        match stream {
            OutputStream::Stdout => out.without_progress(|out, ends_line| {
                self.print_stdout(out, &tag, text, ends_line, meanwhile)
            }),
            OutputStream::Stderr => {
                let progress = out.progress.clone();
                progress.suspend(|| self.print_stderr(out, &tag, text, meanwhile))
            }
        }
    }

    fn print_stdout(
        &self,
        out: &mut Output,
        tag: &str,
        text: &mut dyn Read,
        ends_line: bool,
        meanwhile: &mut Meanwhile<'_>,
    ) -> anyhow::Result<()> {
        let mut is_line_open = false;
        for_each_chunk(text, |chunk| {
            push_tagged(chunk, tag.as_bytes(), &mut is_line_open, |piece| out.push_raw(piece));
            Ok(out.flush_and(meanwhile).map_err(StdoutError)?)
        })?;
        if is_line_open && (ends_line || self.has_own_lines) {
            out.push_raw(b"\n");
            out.flush_and(meanwhile).map_err(StdoutError)?;
        }
        Ok(())
    }

    fn print_stderr(
        &self,
        out: &Output,
        tag: &str,
        text: &mut dyn Read,
        meanwhile: &mut Meanwhile<'_>,
    ) -> anyhow::Result<()> {
        let mut is_line_open = false;
        for_each_chunk(text, |chunk| {
            let mut tagged = Vec::with_capacity(chunk.len());
            push_tagged(chunk, tag.as_bytes(), &mut is_line_open, |piece| {
                tagged.extend_from_slice(piece);
            });
            Ok(out.forward_stderr(&tagged, meanwhile).map_err(StdoutError)?)
        })?;
        if is_line_open && self.has_own_lines {
            out.end_stderr_line();
        }
        out.end_line_before_progress();
        Ok(())
    }

    /// What each line of the command begins with.
    fn tag(&mut self, source: OutputSource<'_>, stream: OutputStream) -> String {
        let Some(tags) = &mut self.tags else { return String::new() };
        let tag = tags.entry(source.task.id()).or_insert_with(|| tag_text(source.task));
        let style = match stream {
            OutputStream::Stdout => slot_style(source.slot).for_stdout(),
            OutputStream::Stderr => slot_style(source.slot).for_stderr(),
        };
        format!("{}\t", style.apply_to(tag))
    }

    /// Forgets the tag of an item whose command has ended.
    pub(super) fn forget(&mut self, task: &ItemTask) {
        if let Some(tags) = &mut self.tags {
            tags.remove(&task.id());
        }
    }
}

fn tag_text(task: &ItemTask) -> String {
    let item = task.batch.items.iter().next().map(display_text).unwrap_or_default();
    let begin: String = item.chars().take(MAX_TAG_CHARS).collect();
    short_text(&begin, MAX_TAG_WIDTH)
}

/// Passes the text on, with the tag at the beginning of each line.
fn push_tagged(text: &[u8], tag: &[u8], is_line_open: &mut bool, mut push: impl FnMut(&[u8])) {
    if tag.is_empty() {
        push(text);
        *is_line_open = !text.ends_with(b"\n");
        return;
    }
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if !*is_line_open {
            push(tag);
        }
        push(line);
        *is_line_open = !line.ends_with(b"\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_in_pieces_has_one_tag() {
        let text = b"one\ntwo\n\nthree";
        for at in 0..=text.len() {
            let (mut printed, mut is_line_open) = (Vec::new(), false);
            for piece in [&text[..at], &text[at..]] {
                push_tagged(piece, b"a\t", &mut is_line_open, |tagged| printed.extend(tagged));
            }
            assert_eq!(String::from_utf8(printed).unwrap(), "a\tone\na\ttwo\na\t\na\tthree");
            assert!(is_line_open);
        }
    }
}
