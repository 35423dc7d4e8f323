//! What a lesson consists of.

use std::time::Duration;

use crate::catalogue::{Lang, lang};

/// The commands with a log.
const RUN: &str = "qdemo run";
const CONSUMER: &str = "qdemo consumer";

/// A text of the catalogue, in the language of this process.
pub(super) type Text = fn() -> String;

/// One lesson.
pub(crate) struct Lesson {
    /// The name of the lesson in the list of completed lessons.
    pub(super) name: &'static str,
    pub(super) title: Text,
    pub(super) steps: &'static [Step],
    /// Commands to try after the lesson.
    pub(super) next_commands: &'static [&'static str],
    /// What each of these commands shows: one line for each command.
    pub(super) next: Text,
}

/// One question of a lesson, with the commands that answer it.
pub(super) struct Step {
    pub(super) lead: Text,
    pub(super) python: Python,
    /// Commands of a shell. [`localized`] makes of them what a person sees, and what runs.
    pub(super) script: &'static str,
    /// The command that draws a picture into `{file}`, where the script is not a single run.
    pub(super) picture: Option<&'static str>,
    /// The question in the first line, and one choice in each further line.
    pub(super) ask: Text,
    /// The number of the right choice, from 1.
    pub(super) answer: usize,
    pub(super) why: Text,
}

/// What the same looks like with `multiprocessing.Queue`.
pub(super) struct Python {
    pub(super) code: &'static str,
    /// The program is stopped after this time: some of the programs wait forever, which is their lesson.
    pub(super) limit: Duration,
}

/// The pace of the commands in a lesson.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// A person watches the run.
    Real,
    /// The run takes no time, and prints the same.
    Max,
}

impl Step {
    /// The question and its choices.
    pub(super) fn question(&self) -> (String, Vec<String>) {
        let ask = (self.ask)();
        let mut lines = ask.lines().map(str::to_owned);
        (lines.next().unwrap_or_default(), lines.collect())
    }

    /// The command that draws the run of this step into `file`. None if the step has no picture.
    pub(super) fn picture_command(&self, file: &str) -> Option<String> {
        if let Some(command) = self.picture {
            return Some(localized(command, Pace::Max).replace("{file}", file));
        }
        let line = self.script.replace(" \\\n ", "");
        let is_run = line.starts_with(RUN) && !line.contains(['\n', '|', ';']);
        is_run.then(|| format!("{} --quiet --timeline {file}", localized(&line, Pace::Max)))
    }
}

/// The script with the options that the language and the pace need. The log of a run is Japanese unless an option says
/// otherwise.
pub(super) fn localized(script: &str, pace: Pace) -> String {
    let mut script = script.to_owned();
    if pace == Pace::Max && !script.contains("--speed") {
        script = script.replace(RUN, &format!("{RUN} --speed max"));
    }
    if lang() == Lang::En {
        for command in [RUN, CONSUMER] {
            script = script.replace(command, &format!("{command} --lang en"));
        }
    }
    script
}
