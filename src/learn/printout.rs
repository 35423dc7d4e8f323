//! Lessons without questions to a reader: for a classroom, a pipe, and the documents.

use std::io::{self, IsTerminal, Write};

use super::lesson::{Lesson, Pace, Step, localized};
use super::page::Page;
use super::runner::{End, Runner};
use crate::catalogue::message;
use crate::exit::ExitCode;
use crate::os::Blocking;
use crate::report::StdoutError;

/// Prints these lessons, with the real output of their commands. `has_python`: runs the programs in Python too.
pub(crate) fn print(lessons: &[(usize, &Lesson)], has_python: bool) -> anyhow::Result<ExitCode> {
    let page = Page::markdown(io::stdout().is_terminal());
    let runner = Runner::new()?;
    write_stdout(&page.paragraphs(&message!("learn-print-note")))?;
    for (number, lesson) in lessons {
        write_stdout(&page.heading(*number, lesson))?;
        for step in lesson.steps {
            if let Some(code) = print_step(page, &runner, step, has_python)? {
                return Ok(code);
            }
        }
        write_stdout(&next_of(page, lesson))?;
    }
    Ok(ExitCode::Done)
}

/// Some exit code if a signal has ended the printout.
fn print_step(
    page: Page,
    runner: &Runner,
    step: &Step,
    has_python: bool,
) -> anyhow::Result<Option<ExitCode>> {
    let (question, choices) = step.question();
    let script = localized(step.script, Pace::Max);
    write_stdout(&(page.paragraphs(&(step.lead)()) + &python_of(page, step)))?;
    write_stdout(&(commands_of(page, &script) + &page.question(&question, &choices)))?;
    let mut output = Vec::new();
    let mut collect = |bytes: &[u8]| {
        output.extend_from_slice(bytes);
        Ok(())
    };
    if let Some(code) = runner.run_script(&script, &mut collect)?.code() {
        return Ok(Some(code));
    }
    write_stdout(&page.code("text", &String::from_utf8_lossy(&output)))?;
    let answer = message!("learn-answer", number = step.answer, why = (step.why)());
    write_stdout(&page.paragraphs(&answer))?;
    if !has_python {
        return Ok(None);
    }
    write_stdout(&page.label(&message!("learn-python-output")))?;
    let mut output = Vec::new();
    let end = runner.run_python(&step.python, &mut |bytes: &[u8]| {
        output.extend_from_slice(bytes);
        Ok(())
    })?;
    write_stdout(&page.code("text", &String::from_utf8_lossy(&output)))?;
    if end == End::Limit {
        write_stdout(&page.paragraphs(&stopped(step)))?;
    }
    Ok(end.code())
}

/// The program in Python of a step.
pub(super) fn python_of(page: Page, step: &Step) -> String {
    page.label(&message!("learn-in-python")) + &page.code("python", step.python.code)
}

/// The commands of a step.
pub(super) fn commands_of(page: Page, script: &str) -> String {
    page.label(&message!("learn-in-shell")) + &page.code("sh", script)
}

/// The commands to try after a lesson.
pub(super) fn next_of(page: Page, lesson: &Lesson) -> String {
    let commands = lesson.next_commands.iter().map(|command| localized(command, Pace::Real));
    page.next_commands(&commands.collect::<Vec<_>>(), &(lesson.next)())
}

/// Tells that a program in Python was still waiting.
pub(super) fn stopped(step: &Step) -> String {
    message!("learn-python-stopped", seconds = step.python.limit.as_secs())
}

pub(super) fn write_stdout(text: &str) -> anyhow::Result<()> {
    let mut stdout = Blocking(io::stdout());
    Ok(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(StdoutError)?)
}
