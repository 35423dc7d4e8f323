//! The lessons as data, and the runner.

use std::collections::BTreeSet;
use std::time::Duration;

use super::lesson::{Pace, Python, localized};
use super::lessons::LESSONS;
use super::page::Page;
use super::runner::{End, Runner};
use crate::catalogue::{Lang, in_language};

/// The commands to try after the lessons, as a person sees them, in both languages.
pub(crate) fn next_commands() -> Vec<String> {
    let commands = || LESSONS.iter().flat_map(|lesson| lesson.next_commands);
    let shown = || commands().map(|text| localized(text, Pace::Real)).collect::<Vec<_>>();
    [Lang::Ja, Lang::En].map(|lang| in_language(lang, shown)).concat()
}

#[test]
fn each_question_has_its_answer_and_each_command_its_text() {
    let names: BTreeSet<_> = LESSONS.iter().map(|lesson| lesson.name).collect();
    assert_eq!(names.len(), LESSONS.len());
    for lang in [Lang::Ja, Lang::En] {
        in_language(lang, || {
            for lesson in &LESSONS {
                let name = lesson.name;
                assert_eq!((lesson.next)().lines().count(), lesson.next_commands.len(), "{name}");
                for step in lesson.steps {
                    let (question, choices) = step.question();
                    assert!(question.ends_with(['?', '。', '.']), "{name}: {question}");
                    assert!((2..=4).contains(&choices.len()), "{name}: {choices:?}");
                    assert!((1..=choices.len()).contains(&step.answer), "{name}");
                    let different: BTreeSet<_> = choices.iter().collect();
                    assert_eq!(different.len(), choices.len(), "{name}: {choices:?}");
                    // The code is the same in all languages.
                    assert!(step.python.code.is_ascii() && !step.python.code.contains("# "));
                    let widest = |text: &str| text.lines().map(str::len).max().unwrap_or(0);
                    assert!(widest(step.python.code) <= 76, "{name}");
                    assert!(widest(&localized(step.script, Pace::Real)) <= 76, "{name}");
                }
            }
        });
    }
}

#[test]
fn a_picture_comes_from_a_single_run_or_from_a_command_of_its_own() {
    let command = |lesson: usize, step: usize| {
        in_language(Lang::En, || LESSONS[lesson - 1].steps[step].picture_command("a.html"))
    };
    let expected = "qdemo run --lang en --speed max --items 6 --consumers 2 --seed 1 \
        --producer-delay 0 --consumer-delay exp:2s --quiet --timeline a.html";
    assert_eq!(command(4, 0).as_deref(), Some(expected));
    assert!(command(9, 2).is_some());
    let curve = command(8, 0).unwrap();
    assert!(curve.starts_with("qdemo sweep ") && curve.ends_with("--plot a.html"), "{curve}");
    let alone = "qdemo run --lang en --speed max --items 1 --producer-delay 0 --consumer-delay 1s \
        --quiet --timeline a.html";
    assert_eq!(command(6, 0).as_deref(), Some(alone));
    for (lesson, step) in [(7, 0), (9, 0), (9, 1)] {
        assert_eq!(command(lesson, step), None, "{lesson}");
    }
}

#[test]
fn a_long_command_has_several_lines_on_a_screen_that_a_shell_reads_as_one() {
    let command = "qdemo run --items 12 --consumers 3 --seed 7";
    let on = |width| Page::Screen { width, rows: 24 }.command(command);
    assert_eq!(on(80), format!("    {command}\n"));
    let folded = "    qdemo run --items 12 \\\n      --consumers 3 --seed 7\n";
    assert_eq!(on(30), folded);
}

#[test]
fn a_program_that_waits_forever_is_ended_at_its_limit_with_all_its_processes() {
    let code = "import os, time\nos.fork()\nprint(os.getpid(), flush=True)\ntime.sleep(600)\n";
    let python = Python { code, limit: Duration::from_secs(2) };
    let mut output = Vec::new();
    let mut collect = |bytes: &[u8]| {
        output.extend_from_slice(bytes);
        Ok(())
    };
    let end = Runner::new().unwrap().run_python(&python, &mut collect).unwrap();
    assert_eq!(end, End::Limit);
    let pids = String::from_utf8(output).unwrap();
    assert_eq!(pids.lines().count(), 2, "{pids}");
    for pid in pids.lines() {
        // A process that is dead, but not yet awaited, has no command line.
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(command.is_empty(), "{pid} is left");
    }
}
