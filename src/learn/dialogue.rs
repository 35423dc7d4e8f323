//! A lesson on a terminal: text, question, the real run, and the answer.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use console::Style;
use rustix::io::Errno;
use rustix::termios::{QueueSelector, tcflush};

use super::completed::Completed;
use super::lesson::{Lesson, Pace, Step, localized};
use super::lessons::LESSONS;
use super::page::{Page, indent};
use super::printout::{commands_of, next_of, python_of, stopped, write_stdout};
use super::runner::{End, Runner};
use crate::catalogue::message;
use crate::exit::ExitCode;
use crate::os::signals::exit_signal;
use crate::os::{Interest, wait_ready};

/// What a person has typed.
enum Reply {
    /// Without full-width letters and digits, as a Japanese keyboard types them.
    Line(String),
    /// The person ends the lesson: `q`, Ctrl-D, or a signal.
    Leave(ExitCode),
}

/// Prints the list of all lessons.
pub(crate) fn list() -> anyhow::Result<ExitCode> {
    let completed = Completed::new(|name| std::env::var_os(name)).names();
    let mut text = Page::screen().paragraphs(&message!("learn-list"));
    for (at, lesson) in LESSONS.iter().enumerate() {
        let mark = if completed.contains(lesson.name) { "✓" } else { " " };
        text.push_str(&format!("  {} {mark} {}\n", at + 1, (lesson.title)()));
    }
    let first = LESSONS.iter().position(|lesson| !completed.contains(lesson.name));
    let next = match first {
        Some(at) => message!("learn-list-next", number = at + 1),
        None => message!("learn-list-complete"),
    };
    write_stdout(&format!("{text}\n{next}\n"))?;
    Ok(ExitCode::Done)
}

/// Teaches one lesson on a terminal. `has_python`: runs the programs in Python too.
pub(crate) fn teach(number: usize, lesson: &Lesson, has_python: bool) -> anyhow::Result<ExitCode> {
    let dialogue = Dialogue { page: Page::screen(), runner: Runner::new()?, number, has_python };
    write_stdout(&dialogue.page.heading(number, lesson))?;
    for (at, step) in lesson.steps.iter().enumerate() {
        // Whoever has seen the last answer has completed the lesson.
        let is_last = at + 1 == lesson.steps.len();
        let on_answer = || {
            if is_last {
                Completed::new(|name| std::env::var_os(name)).add(lesson.name);
            }
        };
        if let Some(code) = dialogue.take(step, on_answer)? {
            return Ok(code);
        }
    }
    write_stdout(&next_of(dialogue.page, lesson))?;
    let end = match LESSONS.get(number) {
        Some(_) => message!("learn-completed", number = number, next = number + 1),
        None => message!("learn-completed-last", number = number),
    };
    write_stdout(&dialogue.page.label(&end))?;
    // What was typed in the meantime is not for the shell.
    discard_input();
    Ok(ExitCode::Done)
}

/// A lesson that goes on.
struct Dialogue {
    page: Page,
    runner: Runner,
    number: usize,
    has_python: bool,
}

impl Dialogue {
    /// Takes a person through a step. Some exit code if the lesson ends here.
    fn take(&self, step: &Step, on_answer: impl Fn()) -> anyhow::Result<Option<ExitCode>> {
        let (question, choices) = step.question();
        let script = localized(step.script, Pace::Real);
        write_stdout(&self.page.paragraphs(&(step.lead)()))?;
        if let Some(code) = self.go_on()? {
            return Ok(Some(code));
        }
        let python = python_of(self.page, step);
        let ask = commands_of(self.page, &script) + &self.page.question(&question, &choices);
        write_stdout(&python)?;
        if !self.page.has_room_for(&(python + &ask))
            && let Some(code) = self.go_on()?
        {
            return Ok(Some(code));
        }
        write_stdout(&ask)?;
        let chosen = match self.choose(choices.len())? {
            Ok(chosen) => chosen,
            Err(code) => return Ok(Some(code)),
        };
        let end = self.show(|runner, sink| runner.run_script(&script, sink), step)?;
        if let Some(code) = end.code() {
            return Ok(Some(code));
        }
        self.explain(step, chosen)?;
        on_answer();
        if self.has_python {
            write_stdout(&self.page.label(&message!("learn-python-runs")))?;
            let end = self.show(|runner, sink| runner.run_python(&step.python, sink), step)?;
            if let Some(code) = end.code() {
                return Ok(Some(code));
            }
        }
        self.end_step(step)
    }

    /// The number that a person chooses. None if the person wants only to see. An exit code if the person leaves.
    fn choose(&self, count: usize) -> anyhow::Result<Result<Option<usize>, ExitCode>> {
        loop {
            let line = match self.ask(&message!("learn-choose", last = count))? {
                Reply::Line(line) => line,
                Reply::Leave(code) => return Ok(Err(code)),
            };
            match line.parse() {
                _ if line.is_empty() => return Ok(Ok(None)),
                Ok(number) if (1..=count).contains(&number) => return Ok(Ok(Some(number))),
                _ => write_stdout(&format!("{}\n", message!("learn-no-choice", last = count)))?,
            }
        }
    }

    /// Shows the output of commands as it comes, and what their end means.
    fn show(
        &self,
        run: impl FnOnce(&Runner, &mut dyn FnMut(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<End>,
        step: &Step,
    ) -> anyhow::Result<End> {
        let mut line = Vec::new();
        let mut is_empty = true;
        let end = run(&self.runner, &mut |bytes: &[u8]| {
            is_empty = false;
            line.extend_from_slice(bytes);
            let Some(end) = memchr::memrchr(b'\n', &line) else { return Ok(()) };
            let lines: Vec<_> = line.drain(..=end).collect();
            write_stdout(&indent(&String::from_utf8_lossy(&lines)))
        })?;
        let gap = if is_empty { "" } else { "\n" };
        write_stdout(&format!("{}{gap}", indent(&String::from_utf8_lossy(&line))))?;
        if end == End::Limit {
            write_stdout(&self.page.paragraphs(&stopped(step)))?;
        }
        Ok(end)
    }

    /// Tells whether the choice was right, and why.
    fn explain(&self, step: &Step, chosen: Option<usize>) -> anyhow::Result<()> {
        let (verdict, style) = match chosen {
            Some(number) if number == step.answer => {
                (message!("learn-right", number = number), Style::new().green().bold())
            }
            Some(_) => {
                (message!("learn-wrong", number = step.answer), Style::new().yellow().bold())
            }
            None => (message!("learn-unanswered", number = step.answer), Style::new().bold()),
        };
        write_stdout(&format!("{}\n", style.apply_to(verdict)))?;
        write_stdout(&self.page.paragraphs(&(step.why)()))
    }

    /// Waits until the person wants to go on. Some exit code if the person leaves.
    fn go_on(&self) -> anyhow::Result<Option<ExitCode>> {
        loop {
            match self.ask(&message!("learn-go-on"))? {
                Reply::Line(line) if line.is_empty() => return Ok(None),
                Reply::Line(_) => {}
                Reply::Leave(code) => return Ok(Some(code)),
            }
        }
    }

    /// Waits until the person wants to go on, and offers the picture of a step that has one.
    fn end_step(&self, step: &Step) -> anyhow::Result<Option<ExitCode>> {
        let file = format!("qdemo-lesson-{}.html", self.number);
        let Some(command) = step.picture_command(&file) else { return self.go_on() };
        loop {
            let line = match self.ask(&message!("learn-go-on-or-picture"))? {
                Reply::Line(line) => line,
                Reply::Leave(code) => return Ok(Some(code)),
            };
            match line.as_str() {
                "" => return Ok(None),
                "p" => {}
                _ => continue,
            }
            write_stdout(&format!("{}\n", self.page.command(&command)))?;
            let end = self.show(|runner, sink| runner.run_here(&command, sink), step)?;
            if let Some(code) = end.code() {
                return Ok(Some(code));
            }
            if end == End::Exit {
                write_stdout(&self.page.paragraphs(&message!("learn-picture", file = &file)))?;
            }
        }
    }

    /// Asks, and waits for a line or a signal. A gap separates the next text from the answer.
    fn ask(&self, prompt: &str) -> anyhow::Result<Reply> {
        // Keys that were pressed during a run are no answer.
        discard_input();
        write_stdout(&format!("{prompt} "))?;
        let stdin = io::stdin();
        let mut line = Vec::new();
        loop {
            if let Some(signal) = exit_signal() {
                write_stdout("\n")?;
                return Ok(Reply::Leave(ExitCode::Signal(signal)));
            }
            let pipes =
                [(stdin.as_fd(), Interest::Read), (self.runner.waker.as_fd(), Interest::Read)];
            let states = wait_ready(&pipes, None)?;
            self.runner.waker.drain();
            if !states[0].is_ready && !states[0].is_hung_up {
                continue;
            }
            // A terminal gives one line at most.
            let mut bytes = [0; 1024];
            match rustix::io::read(stdin.as_fd(), &mut bytes) {
                Ok(0) => {
                    write_stdout("\n")?;
                    return Ok(Reply::Leave(ExitCode::Done));
                }
                Ok(length) => line.extend_from_slice(&bytes[..length]),
                Err(Errno::AGAIN | Errno::INTR) => continue,
                Err(error) => return Err(io::Error::from(error).into()),
            }
            if line.ends_with(b"\n") {
                let text = half_width(&String::from_utf8_lossy(&line)).trim().to_lowercase();
                write_stdout("\n")?;
                let is_quit = ["q", "quit", "exit"].contains(&text.as_str());
                return Ok(if is_quit { Reply::Leave(ExitCode::Done) } else { Reply::Line(text) });
            }
        }
    }
}

/// Drops what the terminal has read and nobody has asked for.
fn discard_input() {
    // Without a terminal there is nothing to drop.
    let _ = tcflush(io::stdin(), QueueSelector::IFlush);
}

/// Replaces full-width letters and digits by their usual forms.
pub(crate) fn half_width(text: &str) -> String {
    let convert = |c: char| match c {
        // The full-width forms have the order of ASCII.
        '！'..='～' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        _ => c,
    };
    text.chars().map(convert).collect()
}

/// Whether a person can answer: both standard streams are a terminal.
pub(crate) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}
