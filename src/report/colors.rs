//! The colours of text on a terminal. A [`Style`] does nothing on a stream without colours: the command line has decided
//! that once, with [`set_colors`].

use console::{Color, Style, set_colors_enabled, set_colors_enabled_stderr};

use crate::item::escape_for_terminal;
use crate::role::Role;

/// No worker is red, the colour of errors. A producer and a consumer never have the same colour.
const PRODUCER_COLORS: [Color; 3] = [Color::Green, Color::Cyan, Color::Blue];
const CONSUMER_COLORS: [Color; 2] = [Color::Yellow, Color::Magenta];

/// Sets whether `[standard output, standard error]` have colours.
pub(crate) fn set_colors([stdout, stderr]: [bool; 2]) {
    set_colors_enabled(stdout);
    set_colors_enabled_stderr(stderr);
}

/// The style of a worker, from its role and its index alone: the same in each output and each run. A client outside a run
/// has no index. With many workers, first bright colours follow, then bold ones, and then the first again.
pub(crate) fn worker_style(role: Role, index: Option<u32>) -> Style {
    let colors = match role {
        Role::Producer => &PRODUCER_COLORS[..],
        Role::Consumer | Role::Visitor => &CONSUMER_COLORS,
    };
    let at = index.unwrap_or(1).saturating_sub(1) as usize;
    let style = Style::new().fg(colors[at % colors.len()]);
    match at / colors.len() % 4 {
        0 => style,
        1 => style.bright(),
        2 => style.bold(),
        _ => style.bright().bold(),
    }
}

/// The style of a slot, which runs one command at a time. No slot is red, the colour of errors.
pub(crate) fn slot_style(slot: u32) -> Style {
    const COLORS: [Color; 5] =
        [Color::Green, Color::Yellow, Color::Blue, Color::Magenta, Color::Cyan];
    let at = slot.saturating_sub(1) as usize;
    let style = Style::new().fg(COLORS[at % COLORS.len()]);
    if at / COLORS.len() % 2 == 1 { style.bright() } else { style }
}

/// The style of the name that an error begins with.
pub(super) fn error_style() -> Style {
    Style::new().red().bold()
}

/// A line on standard output that begins with a name in a style.
#[derive(Debug)]
pub(crate) struct NamedLine {
    text: String,
    /// The length of the name.
    name: usize,
    style: Style,
}

impl NamedLine {
    /// A line that begins with the name of a queue.
    pub(crate) fn of_queue(text: String, queue: &str) -> Self {
        Self { text, name: queue.len(), style: Style::new().bold() }
    }

    /// A line that names a client of this role before its first colon.
    pub(crate) fn of_client(text: String, role: Role) -> Self {
        let name = text.find(':').unwrap_or(0);
        Self { text, name, style: worker_style(role, None) }
    }

    /// The line with a margin.
    pub(crate) fn indented(self) -> Self {
        const MARGIN: &str = "  ";
        Self { text: format!("{MARGIN}{}", self.text), name: self.name + MARGIN.len(), ..self }
    }

    /// The line with its style. `escape` changes the text before.
    pub(super) fn styled(&self, escape: impl Fn(&str) -> String) -> String {
        let (name, rest) = self.text.split_at_checked(self.name).unwrap_or(("", &self.text));
        if name.is_empty() {
            return escape(rest);
        }
        format!("{}{}", self.style.apply_to(escape(name)), escape(rest))
    }

    /// The line with its style, safe on a terminal.
    pub(crate) fn for_terminal(&self) -> String {
        self.styled(|text| escape_for_terminal(text).into_owned())
    }
}

impl From<String> for NamedLine {
    fn from(text: String) -> Self {
        Self { text, name: 0, style: Style::new() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn styles(role: Role, count: u32) -> BTreeSet<String> {
        let style = |index| worker_style(role, Some(index)).force_styling(true);
        (1..=count).map(|index| style(index).apply_to("x").to_string()).collect()
    }

    #[test]
    fn each_worker_has_its_own_colour_and_producers_and_consumers_share_none() {
        let (producers, consumers) = (styles(Role::Producer, 12), styles(Role::Consumer, 8));
        assert_eq!([producers.len(), consumers.len()], [12, 8]);
        assert!(styles(Role::Producer, 99).is_disjoint(&styles(Role::Consumer, 99)));
        assert!(!producers.union(&consumers).any(|style| style.contains("[31m")));
        let alone = worker_style(Role::Consumer, None);
        assert_eq!(alone, worker_style(Role::Consumer, Some(1)));
    }
}
