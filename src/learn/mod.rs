//! Lessons on queues: a text, a question, and the real run that answers the question.

mod completed;
mod dialogue;
mod lesson;
mod lessons;
mod page;
mod printout;
mod runner;

pub(crate) use dialogue::{half_width, is_interactive, list, teach};
pub(crate) use lessons::LESSONS;
pub(crate) use printout::print;
pub(crate) use runner::has_python;

#[cfg(test)]
pub(crate) use tests::next_commands;
#[cfg(test)]
mod tests;
