//! `qdemo learn`: lessons on queues.

use super::streams::require_stdout;
use crate::catalogue::message;
use crate::exit::{ExitCode, ExitError};
use crate::learn::{LESSONS, half_width, has_python, is_interactive, list, print, teach};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
qdemo learn
qdemo learn 1
qdemo learn 7 --python
qdemo learn 2 --print > lesson.md")]
pub(super) struct Args {
    #[arg(value_name = "LESSON", value_parser = parse_lesson)]
    lesson: Option<usize>,

    #[arg(long)]
    print: bool,

    #[arg(long)]
    python: bool,
}

/// The number of a lesson, from 1.
fn parse_lesson(text: &str) -> Result<usize, String> {
    let number =
        half_width(text).parse().ok().filter(|number| (1..=LESSONS.len()).contains(number));
    number.ok_or_else(|| message!("learn-no-such-lesson", last = LESSONS.len()))
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        require_stdout()?;
        if self.python && !has_python() {
            return Err(ExitError::usage(message!("learn-no-python")).into());
        }
        let numbered = LESSONS.iter().enumerate().map(|(at, lesson)| (at + 1, lesson));
        match self.lesson {
            None if self.print => print(&numbered.collect::<Vec<_>>(), self.python),
            None if self.python => Err(ExitError::usage(message!("learn-python-of-what")).into()),
            None => list(),
            Some(number) => {
                let lesson = &LESSONS[number - 1];
                if self.print || !is_interactive() {
                    print(&[(number, lesson)], self.python)
                } else {
                    teach(number, lesson, self.python)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::syntax;
    use crate::learn::next_commands;

    #[test]
    fn each_command_to_try_after_a_lesson_is_valid() {
        let commands = next_commands();
        assert!(commands.len() >= 18, "{commands:?}");
        for command in commands {
            let words: Vec<_> = command.split(' ').map(Into::into).collect();
            assert!(syntax::parse(&words).is_ok(), "{command}");
        }
    }
}
