//! `qdemo learn`: lessons on a terminal, and what a pipe gets of them. `documents::learn` compares all lessons.
//!
//! Local: a lesson has its own queues on this machine.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::harness::{Limit, Sandbox, signal_to};
use crate::terminal::{OnTerminal, Stdout};

/// A person at a lesson.
fn learner(sandbox: &Sandbox, args: &[&str]) -> OnTerminal {
    let args = [&["learn"][..], args, &["--lang", "en"]].concat();
    sandbox.on_terminal(&args, Stdout::TerminalWithKeyboard)
}

impl OnTerminal {
    /// Types on the keyboard of the terminal.
    fn type_text(&mut self, text: &str) {
        self.controller.write_all(text.as_bytes()).unwrap();
    }
}

/// The prompt below the question.
fn asks(screen: &str) -> bool {
    screen.trim_end().ends_with("just run it):")
}

fn offers_to_go_on(screen: &str) -> bool {
    screen.trim_end().ends_with("[Enter] go on")
}

/// Reads up to this text, and presses Enter.
fn go_on(learner: &mut OnTerminal, text: &str) {
    learner.wait_until(|screen| screen.contains(text) && offers_to_go_on(screen));
    learner.type_text("\n");
}

/// The lessons that have a mark in the list.
fn completed(sandbox: &Sandbox) -> Vec<String> {
    let list = sandbox.run(&["learn"]);
    list.assert_done();
    let marked = list.lines().into_iter().filter(|line| line.contains('✓'));
    marked.map(|line| line.trim().chars().take(1).collect()).collect()
}

#[test]
fn a_lesson_asks_runs_explains_and_is_marked_in_the_list() {
    let sandbox = Sandbox::new();
    assert_eq!(completed(&sandbox), [""; 0]);
    let mut learner = learner(&sandbox, &["3"]);
    go_on(&mut learner, "puts three items and leaves");
    // The program and the question do not fit on one screen.
    go_on(&mut learner, "print(\"got\", item)");
    // What is no number of a choice is asked again.
    learner.wait_until(asks);
    learner.type_text("4\n");
    learner.wait_until(|screen| screen.matches("just run it):").count() == 2 && asks(screen));
    assert!(learner.screen().contains("a number from 1 to 3, or q"), "{}", learner.screen());
    // A Japanese keyboard types full-width digits.
    learner.type_text("３\n");
    learner.wait_until(|screen| screen.contains("consumer: got c") && screen.contains("Right: 3."));
    go_on(&mut learner, "In Python you write");
    go_on(&mut learner, "four times `get`");
    go_on(&mut learner, "for _ in range(3)");
    learner.wait_until(asks);
    learner.type_text("1\n");
    learner.wait_until(|screen| screen.contains("exit code 4"));
    learner.wait_until(|screen| screen.contains("Not quite: the answer is 2."));
    go_on(&mut learner, "Lesson 9 shows");
    assert_eq!(learner.end().0, Some(0));
    assert!(learner.screen().contains("qdemo learn 4"), "{}", learner.screen());
    assert_eq!(completed(&sandbox), ["3"]);
    sandbox.assert_nothing_left();
}

#[test]
fn the_end_of_input_and_a_signal_leave_a_lesson_without_a_mark() {
    let sandbox = Sandbox::new();
    let mut at_question = learner(&sandbox, &["2"]);
    at_question.wait_until(offers_to_go_on);
    at_question.type_text("\u{4}");
    assert_eq!(at_question.end().0, Some(0));
    let mut interrupted = learner(&sandbox, &["2"]);
    interrupted.wait_until(offers_to_go_on);
    interrupted.signal(Signal::INT);
    assert_eq!(interrupted.end().0, None, "a signal has ended it");
    // The run lasts ten seconds. All its processes end with the lesson.
    let mut running = learner(&sandbox, &["2"]);
    go_on(&mut running, "Here the capacity is 2");
    go_on(&mut running, "Queue(maxsize=2)");
    running.wait_until(asks);
    running.type_text("\n");
    running.wait_until(|screen| screen.contains("added item2"));
    running.signal(Signal::INT);
    assert_eq!(running.end().0, None);
    // The lesson does not end before its commands, and takes its directories with it.
    let left = sandbox.processes_of("qdemo run");
    assert!(left.is_empty(), "{left:#?}");
    assert_eq!(fs::read_dir(sandbox.path("tmp")).unwrap().count(), 0);
    assert!(!running.screen().contains("answer is"), "{}", running.screen());
    assert_eq!(completed(&sandbox), [""; 0]);
    sandbox.assert_nothing_left();
}

#[test]
fn keys_during_a_run_are_no_answers_and_q_leaves_after_the_answer_with_a_mark() {
    let sandbox = Sandbox::new();
    let mut learner = learner(&sandbox, &["5"]);
    go_on(&mut learner, "qdemo keeps an item");
    go_on(&mut learner, "Process(");
    learner.wait_until(asks);
    learner.type_text("\n");
    learner.wait_until(|screen| screen.contains("got item0"));
    learner.type_text("x\n\n\n");
    // The offer stands after the run: the keys have not answered it.
    learner.wait_until(|screen| screen.contains("at least once") && offers_to_go_on(screen));
    assert_eq!(completed(&sandbox), ["5"]);
    // A picture that cannot be written is not announced, whatever has its name.
    fs::create_dir(sandbox.path("qdemo-lesson-5.html")).unwrap();
    learner.type_text("p\n");
    learner
        .wait_until(|screen| screen.contains("qdemo-lesson-5.html: ") && offers_to_go_on(screen));
    assert!(!learner.screen().contains("The picture is in"), "{}", learner.screen());
    learner.type_text("Ｑ\n");
    assert_eq!(learner.end().0, Some(0));
    assert!(!learner.screen().contains("Try next"), "{}", learner.screen());
    sandbox.assert_nothing_left();
}

#[test]
fn the_commands_of_a_killed_lesson_end() {
    let sandbox = Sandbox::new();
    let learn = sandbox.start(&["learn", "6", "--print"]);
    let wait_until = |holds: &dyn Fn() -> bool| {
        let limit = Limit::start();
        while !holds() {
            assert!(!limit.is_over(), "{:#?}", sandbox.processes_of("qdemo"));
        }
    };
    wait_until(&|| !sandbox.processes_of("qdemo join -q desk").is_empty());
    signal_to(learn.pid(), Signal::KILL);
    assert_eq!(learn.end().signal(), Some(9));
    wait_until(&|| sandbox.processes_of("qdemo join -q desk").is_empty());
    wait_until(&|| sandbox.processes_of("sleep 1; echo done").is_empty());
    // The next lesson removes the directory that the killed one has left.
    sandbox.run(&["learn", "1", "--print"]).assert_done();
}

#[test]
fn a_pipe_gets_the_lesson_with_its_answer_and_python_runs_if_it_is_there() {
    let sandbox = Sandbox::new();
    let plain = sandbox.run(&["learn", "7"]);
    plain.assert_done();
    assert!(plain.text().contains("## 7. ") && plain.text().contains("**Answer 3.**"));
    let with_python = sandbox.run(&["learn", "7", "--python"]);
    with_python.assert_done();
    let text = with_python.text();
    let (_, output) = text.split_once("Python prints:\n\n```text\n").unwrap();
    let answers = ["1 True\ntea\n0 True\n", "1 False\ntea\n0 True\n"];
    assert!(answers.iter().any(|answer| output.starts_with(answer)), "{output}");
    assert!(output.contains("\nanother customer: tea\nempty\n```"), "{output}");
    // A pipe marks no lesson as completed: nobody has answered.
    assert_eq!(completed(&sandbox), [""; 0]);
    sandbox.assert_nothing_left();
}

#[test]
fn a_wrong_number_or_a_missing_python_is_an_error_before_anything_starts() {
    let sandbox = Sandbox::new();
    for number in ["0", "10", "first"] {
        let outcome = sandbox.run(&["learn", number]);
        outcome.assert_refused(2, &["from 1 to 9", "`qdemo learn`"]);
    }
    sandbox.run(&["learn", "--python"]).assert_refused(2, &["`qdemo learn 1 --python`"]);
    let mut command = sandbox.qdemo(&["learn", "1", "--python"]);
    command.env("PATH", sandbox.path("home"));
    crate::harness::Running::start(command).end().assert_refused(2, &["python3", "--python"]);
    sandbox.assert_nothing_left();
}

#[test]
fn a_home_that_cannot_be_read_or_written_is_no_error() {
    let sandbox = Sandbox::unprivileged();
    fs::set_permissions(sandbox.path("home"), fs::Permissions::from_mode(0o000)).unwrap();
    assert_eq!(completed(&sandbox), [""; 0]);
    let mut command = sandbox.qdemo(&["learn"]);
    command.env_remove("HOME");
    let outcome = crate::harness::Running::start(command).end();
    outcome.assert_done();
    assert!(outcome.text().contains("qdemo learn 1"));
}
