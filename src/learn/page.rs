//! The parts of a lesson as text: for a screen, or in Markdown for a pipe and the documents.

use console::{Style, Term, measure_text_width};

use super::lesson::Lesson;
use crate::catalogue::message;
use crate::report::wrap_text;

/// Text on a screen is never wider, in columns.
const MAX_WIDTH: usize = 80;
/// The margin of code and output on a screen.
const MARGIN: &str = "    ";

/// How a page is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Page {
    Markdown {
        /// A terminal does not break lines between words.
        width: Option<usize>,
    },
    Screen {
        width: usize,
        rows: usize,
    },
}

/// The `[rows, columns]` of the terminal, as far as a page uses them.
fn screen_size() -> [usize; 2] {
    let (rows, columns) = Term::stdout().size();
    [rows.into(), usize::from(columns).min(MAX_WIDTH)]
}

impl Page {
    pub(super) fn markdown(is_terminal: bool) -> Self {
        Self::Markdown { width: is_terminal.then(|| screen_size()[1]) }
    }

    pub(super) fn screen() -> Self {
        let [rows, width] = screen_size();
        Self::Screen { width, rows }
    }

    /// Whether a person sees all these lines at once, and the prompt below them.
    pub(super) fn has_room_for(self, text: &str) -> bool {
        match self {
            Self::Markdown { .. } => true,
            Self::Screen { rows, .. } => text.lines().count() < rows,
        }
    }

    /// The heading of the lesson with this number.
    pub(super) fn heading(self, number: usize, lesson: &Lesson) -> String {
        let title = message!("learn-heading", number = number, title = (lesson.title)());
        match self {
            Self::Markdown { .. } => format!("## {title}\n\n"),
            Self::Screen { .. } => format!("{}\n\n", Style::new().bold().apply_to(title)),
        }
    }

    /// A line before code or output.
    pub(super) fn label(self, text: &str) -> String {
        match self {
            Self::Markdown { .. } => format!("{text}\n\n"),
            Self::Screen { .. } => format!("{}\n", Style::new().bold().apply_to(text)),
        }
    }

    /// A text whose lines are paragraphs.
    pub(super) fn paragraphs(self, text: &str) -> String {
        let lines = text.lines().filter(|line| !line.is_empty());
        lines.map(|line| format!("{}\n\n", self.wrap(line))).collect()
    }

    /// Code in a language, or output.
    pub(super) fn code(self, language: &str, text: &str) -> String {
        match self {
            Self::Markdown { .. } => format!("```{language}\n{}\n```\n\n", text.trim_end()),
            Self::Screen { .. } => format!("{}\n", indent(text)),
        }
    }

    /// The question and its numbered choices.
    pub(super) fn question(self, question: &str, choices: &[String]) -> String {
        let choices = choices.iter().enumerate().map(|(at, choice)| {
            let number = format!("{}. ", at + 1);
            self.wrap_behind(&number, choice) + "\n"
        });
        let choices: String = choices.collect();
        let question = match self {
            Self::Markdown { .. } => message!("learn-question", question = question),
            Self::Screen { .. } => question.to_owned(),
        };
        format!("{}{choices}\n", self.paragraphs(&question))
    }

    /// Commands to try, each with what it shows.
    pub(super) fn next_commands(self, commands: &[String], texts: &str) -> String {
        let entries = commands.iter().zip(texts.lines()).map(|(command, text)| match self {
            Self::Markdown { .. } => format!("- `{command}`\n{}\n", self.wrap_behind("  ", text)),
            Self::Screen { .. } => {
                format!("{}{}\n", self.command(command), self.wrap_behind("      ", text))
            }
        });
        let label = self.label(&message!("learn-try-next"));
        format!("{label}{}\n", entries.collect::<String>())
    }

    /// A command on a screen. A long one has several lines, as a shell reads them.
    pub(super) fn command(self, command: &str) -> String {
        let width = match self {
            Self::Markdown { .. } => usize::MAX,
            Self::Screen { width, .. } => width,
        };
        let (mut lines, mut line) = (String::new(), String::new());
        for (at, option) in command.split(" --").enumerate() {
            let option = if at == 0 { option.to_owned() } else { format!(" --{option}") };
            // The last two columns are for the mark of a line that goes on.
            if !line.is_empty() && MARGIN.len() + line.len() + option.len() + 2 > width {
                lines.push_str(&format!("{line} \\\n"));
                line = String::from(" ");
            }
            line.push_str(&option);
        }
        indent(&(lines + &line))
    }

    fn wrap(self, text: &str) -> String {
        self.wrap_behind("", text)
    }

    /// Wraps a text whose first line begins with `start`, and whose other lines are below the first one.
    fn wrap_behind(self, start: &str, text: &str) -> String {
        let margin = measure_text_width(start);
        let text = match self {
            Self::Markdown { width: Some(width) } | Self::Screen { width, .. } => {
                wrap_text(text, width.saturating_sub(margin))
            }
            Self::Markdown { width: None } => text.to_owned(),
        };
        format!("{start}{}", text.replace('\n', &format!("\n{}", " ".repeat(margin))))
    }
}

/// Code and output of a screen, below each other.
pub(super) fn indent(text: &str) -> String {
    let lines = text.lines().map(|line| match line {
        "" => "\n".to_owned(),
        line => format!("{MARGIN}{line}\n"),
    });
    lines.collect()
}
