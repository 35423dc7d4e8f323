//! `qdemo consumer --dry-run -- COMMAND`: prints the command of each ready item, and takes none of the items.

use std::ffi::OsStr;
use std::io::{self, IsTerminal};
use std::os::unix::ffi::OsStrExt;

use super::one_shot::OneShot;
use super::streams::require_stdout;
use crate::catalogue::message;
use crate::exec::{CommandTemplate, Replacements};
use crate::item::{display_text, escape_for_terminal, quote_for_terminal};
use crate::report::{OutputFormat, StdoutError, eprint_line};

/// Prints the commands of up to `max` ready items, and returns their number. The commands have the slots from 1 to
/// `slots` in turn.
pub(super) fn print_commands(
    one_shot: &OneShot,
    template: &CommandTemplate,
    slots: u32,
    max: u64,
) -> anyhow::Result<u64> {
    require_stdout()?;
    let is_terminal = io::stdout().is_terminal();
    let mut client = one_shot.connect_existing()?;
    let mut reporter = one_shot.reporter(OutputFormat::Raw);
    let (mut from, mut left) = (1, max);
    let mut slot_turn = (1..=slots).cycle();
    while left > 0 {
        let Some(batch) = client.peek(from, left)? else {
            break;
        };
        for (id, item) in batch.iter_with_ids() {
            let item = display_text(item);
            let slot = slot_turn.next().unwrap_or(1);
            match shell_line(template, Replacements { item: &item, id, slot }, is_terminal) {
                Some(line) => reporter.out.push_raw(&line),
                None => {
                    reporter.flush().map_err(StdoutError)?;
                    eprint_line(&message!("command-nul-item", id = id));
                }
            }
        }
        reporter.flush().map_err(StdoutError)?;
        from = batch.end_id();
        left -= batch.count();
    }
    client.leave()?;
    Ok(max - left)
}

/// The command for an item, as a line of a shell. None if a NUL makes that impossible.
fn shell_line(
    template: &CommandTemplate,
    values: Replacements<'_>,
    is_terminal: bool,
) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    if !template.has_item_argument {
        line.extend_from_slice(br"printf '%s\n' ");
        line.extend(shell_word(OsStr::new(values.item), is_terminal)?);
        line.extend_from_slice(b" | ");
    }
    for (at, word) in template.words(values).enumerate() {
        if at > 0 {
            line.push(b' ');
        }
        line.extend(shell_word(&word, is_terminal)?);
    }
    line.push(b'\n');
    Some(line)
}

/// A word of a command, quoted if necessary. Each shell reads the plain quotes. A terminal must not see control
/// characters: the form `$'\t'`, which dash does not read, is for terminals alone.
fn shell_word(word: &OsStr, is_terminal: bool) -> Option<Vec<u8>> {
    let quoted = shlex::bytes::try_quote(word.as_bytes()).ok()?.into_owned();
    let is_safe = word.to_str().is_some_and(|text| escape_for_terminal(text) == text);
    if is_safe || !is_terminal {
        return Some(quoted);
    }
    Some(quote_for_terminal(word.as_bytes()).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(words: &[&str], item: &str) -> [Option<String>; 2] {
        let template = CommandTemplate::resolve(words.iter().map(Into::into).collect()).unwrap();
        [false, true].map(|is_terminal| {
            let line = shell_line(&template, Replacements { item, id: 7, slot: 2 }, is_terminal)?;
            Some(String::from_utf8(line).unwrap())
        })
    }

    fn line(words: &[&str], item: &str) -> String {
        let [piped, shown] = lines(words, item);
        assert_eq!(piped, shown);
        piped.unwrap()
    }

    #[test]
    fn a_command_is_a_line_that_a_shell_can_run() {
        assert_eq!(line(&["echo", "{/.}.png", "{#}-{%}"], "a/b.jpg"), "echo b.png 7-2\n");
        assert_eq!(line(&["echo", "{}", "a b", "*", ""], "x y"), "echo 'x y' 'a b' '*' ''\n");
        assert_eq!(line(&["echo", "{}"], "it's"), "echo \"it's\"\n");
        assert_eq!(line(&["cat", "-n"], "x y"), "printf '%s\\n' 'x y' | cat -n\n");
        assert_eq!(line(&["cat"], ""), "printf '%s\\n' '' | cat\n");
    }

    #[test]
    fn a_terminal_gets_no_control_character() {
        let shown = |item| lines(&["echo", "{}"], item).map(Option::unwrap);
        assert_eq!(shown("a\tb\n"), ["echo 'a\tb\n'\n", "echo $'a\\tb\\n'\n"]);
        assert_eq!(shown("\u{1b}[2J")[1], "echo $'\\033[2J'\n");
    }

    #[test]
    fn an_item_with_nul_has_no_line() {
        assert_eq!(lines(&["echo", "{}"], "a\0b"), [None, None]);
        assert_eq!(lines(&["cat"], "a\0b"), [None, None]);
    }
}
