//! Colours: on a terminal, and where a person asks for them.
//!
//! Local: the colours do not depend on the place of the queue.

use crate::harness::{Outcome, Running, Sandbox, assert_same};

const RUN: [&str; 9] =
    ["run", "--items", "2", "--consumers", "2", "--speed", "max", "--stats", "off"];

impl Sandbox {
    fn run_with_variables(&self, args: &[&str], variables: &[(&str, &str)]) -> Outcome {
        let mut command = self.qdemo(args);
        command.envs(variables.iter().copied());
        Running::start(command).end()
    }
}

#[test]
fn each_worker_has_its_colour_in_the_log_and_an_item_has_none() {
    let sandbox = Sandbox::new();
    let args = [&RUN[..], &["--color", "always", "--item-name", "\x1b[31m"]].concat();
    let expected = "\
\x1b[32m生産者\x1b[0m: \x1b[31m0 を追加しました
\x1b[33m消費者1\x1b[0m: \x1b[31m0 を取得しました
\x1b[32m生産者\x1b[0m: \x1b[31m1 を追加しました
\x1b[35m消費者2\x1b[0m: \x1b[31m1 を取得しました
すべてのプロセスが終了しました
";
    sandbox.run(&args).assert_prints(expected);
}

#[test]
fn the_option_comes_before_the_variables_and_a_pipe_has_no_colours() {
    let sandbox = Sandbox::new();
    let forced = ("CLICOLOR_FORCE", "1");
    let refused = ("NO_COLOR", "1");
    let run = |color: &[&str], variables: &[(&str, &str)]| {
        sandbox.run_with_variables(&[&RUN[..], color].concat(), variables).text()
    };
    let plain = run(&[], &[]);
    assert!(!plain.contains('\x1b'), "{plain}");
    let colored = run(&["--color", "always"], &[]);
    assert!(colored.contains("\x1b["), "{colored}");
    for (color, variables, expected) in [
        (&[][..], &[forced][..], &colored),
        (&[], &[("CLICOLOR_FORCE", "0")], &plain),
        (&[], &[forced, refused], &plain),
        (&["--color=never"], &[forced], &plain),
        (&["--color", "always"], &[refused], &colored),
        (&["--color", "auto"], &[forced], &colored),
        (&["--color", "auto"], &[], &plain),
    ] {
        assert_same(expected, &run(color, variables));
    }
    let json = run(&["--color", "always", "--format", "json"], &[forced]);
    assert!(!json.contains('\x1b'), "{json}");
}

#[test]
fn errors_help_and_status_have_colours_and_a_bad_choice_is_refused() {
    let sandbox = Sandbox::new();
    let error = sandbox.run(&["peek", "--color", "always"]);
    assert_eq!(error.code(), Some(1));
    assert!(error.stderr.starts_with("\x1b[31m\x1b[1mqdemo:\x1b[0m there is no"), "{error:?}");
    let error = sandbox.run(&["--color", "always", "peek", "--bad"]);
    assert!(error.stderr.starts_with("\x1b[31m\x1b[1mqdemo:\x1b[0m unexpected"), "{error:?}");
    for help in [&["--help"][..], &["put", "-h"], &["help", "put"]] {
        let colored = sandbox.run(&[help, &["--color", "always"]].concat()).text();
        assert!(colored.contains("Usage:\x1b[0m"), "{colored}");
        let plain = sandbox.run(help).text();
        assert!(plain.contains("\nUsage: ") && !plain.contains('\x1b'), "{plain}");
    }
    sandbox.run(&["put", "-q", "jobs", "x"]).assert_prints("");
    let status = sandbox.run(&["status", "--color", "always"]).text();
    assert!(status.starts_with("\x1b[1mjobs\x1b[0m: 1 ready"), "{status}");
    for args in [&["peek", "--color", "purple"][..], &["--color", "purple", "peek"]] {
        sandbox.run(args).assert_refused(2, &["'purple'", "auto, always, never"]);
    }
    sandbox.run(&["peek", "--color"]).assert_refused(2, &["--color", "value is required"]);
    // What stands behind `--` is no option of qdemo.
    let consumer = ["consumer", "-q", "jobs", "--max", "1", "--", "echo", "--color", "always"];
    sandbox.run(&consumer).assert_prints("--color always\n");
    sandbox.assert_nothing_left();
}
