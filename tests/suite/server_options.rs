//! The options for a queue on a server: invalid input ends a command before it does anything, and no text shows a
//! password.

use std::fs;
use std::process::Command;

use crate::harness::{CLASSIC, Outcome, Running, Sandbox};

/// The commands whose queue may be on a server, as short as they can be.
const COMMANDS: [&[&str]; 10] = [
    &["put", "x"],
    &["get"],
    &["peek"],
    &["join"],
    &["close"],
    &["status"],
    &["failed"],
    &["rm"],
    &["producer", "x"],
    &["consumer"],
];

/// A part of every password in these tests.
const SECRET: &str = "hunter2";

fn run(mut command: Command, variables: &[(&str, &str)]) -> Outcome {
    command.envs(variables.iter().copied());
    Running::start(command).end()
}

fn assert_refused(outcome: &Outcome, words: &[&str]) {
    outcome.assert_refused(2, words);
    assert!(!outcome.stderr.contains(SECRET), "{outcome:?}");
}

fn assert_no_queue(sandbox: &Sandbox) {
    assert!(fs::read_dir(sandbox.path("queues")).unwrap().next().is_none(), "a queue was made");
    sandbox.assert_nothing_left();
}

#[test]
fn a_wrong_url_is_refused_in_every_command_with_a_remedy_and_no_password() {
    let sandbox = Sandbox::new();
    for command in COMMANDS {
        for (url, words) in [
            ("hunter2@localhost", ["not a URL", "redis://HOST"]),
            ("http://:hunter2@localhost", ["`http` is not known", "redis://"]),
            ("redis://:hunter2@localhost:x", ["port", "1 to 65535"]),
            ("redis://:hunter2/@localhost", ["must escape", "%2F"]),
            ("redis://:hunter2@h?color=hunter2", ["`color` is not known", "prefix=WORD"]),
        ] {
            let option = sandbox.run(&[command, &["--server", url]].concat());
            assert_refused(&option, &[&["--server: "][..], &words].concat());
            let variable = run(sandbox.qdemo(command), &[("QDEMO_SERVER", url)]);
            assert_refused(&variable, &[&["QDEMO_SERVER: "][..], &words].concat());
        }
    }
    assert_no_queue(&sandbox);
}

#[test]
fn clap_does_not_repeat_a_url_with_a_password() {
    let sandbox = Sandbox::new();
    let url = "redis://:hunter2@localhost";
    for (args, words) in [
        (&["put", "--sever", url, "x"][..], ["--sever", "'--server'"]),
        (&["put", "x", "--server", url, "--server", url], ["--server", "multiple times"]),
        (&["put", "x", "--server", url, "--bogus"], ["--bogus", "qdemo put --help"]),
        (&["--server", url, "put", "x"], ["--server", "qdemo put --queue jobs"]),
        (&["man", "--server", url], ["--server", "qdemo man --help"]),
    ] {
        assert_refused(&sandbox.run(args), &words);
    }
    assert_no_queue(&sandbox);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("empty"), "").unwrap();
    for (option, variable) in [
        ("--server-password-file", "QDEMO_SERVER_PASSWORD_FILE"),
        ("--server-ca", "QDEMO_SERVER_CA"),
    ] {
        let args = ["put", "x", "--server", "rediss://localhost", option, "missing"];
        let words = ["missing", "No such file", "that you can read"];
        assert_refused(&sandbox.run(&args), &[&[option][..], &words].concat());
        let by_variable = run(sandbox.qdemo(&args[..4]), &[(variable, "missing")]);
        assert_refused(&by_variable, &[&[variable][..], &words].concat());
    }
    let args = ["put", "x", "--server", "redis://localhost"];
    let empty = sandbox.run(&[&args[..], &["--server-password-file", "empty"]].concat());
    assert_refused(&empty, &["empty", "no password", "in one line"]);
    // The user of this option believes that the connection is safe.
    let plain = sandbox.run(&[&args[..], &["--server-ca", "empty"]].concat());
    assert_refused(&plain, &["--server-ca", "rediss://"]);
    assert_no_queue(&sandbox);
}

#[test]
fn an_option_for_a_server_is_refused_without_a_server() {
    let sandbox = Sandbox::new();
    for args in [
        &["put", "x", "--server-timeout", "1s"][..],
        &["put", "x", "--server-ca", "ca.pem"],
        &["put", "x", "--allow-eviction"],
        &["get", "--server-password-file", "secret"],
        &["producer", "x", "--allow-eviction"],
        &["producer", "x", "--dead-after", "10s"],
        &["consumer", "--dead-after", "10s"],
    ] {
        let option = args.iter().find(|word| word.starts_with("--")).unwrap();
        assert_refused(&sandbox.run(args), &[option, "for a queue on a server", "QDEMO_SERVER"]);
    }
    for (args, words) in [
        (["consumer", "--dead-after", "2s"], ["--dead-after", "3s or more"]),
        (["get", "--server-timeout", "soon"], ["--server-timeout", "not a time"]),
    ] {
        assert_refused(&sandbox.run(&args), &words);
    }
    assert_no_queue(&sandbox);
}

#[test]
fn a_command_whose_queue_is_always_here_refuses_a_server_and_ignores_the_variable() {
    let sandbox = Sandbox::new();
    for command in ["run", "bench", "timeline"] {
        for args in [
            &[command, "--server", "redis://:hunter2@localhost"][..],
            &[command, "--server=redis://:hunter2@localhost"],
        ] {
            let words = [command, "on this machine", "leave --server out"];
            assert_refused(&sandbox.run(args), &words);
        }
    }
    // No process of a run looks at the URL.
    let variables = [("QDEMO_SERVER", "no URL"), ("QDEMO_SERVER_CA", "missing")];
    let run_here = run(sandbox.qdemo(&["run", "--speed", "max"]), &variables);
    run_here.assert_prints(CLASSIC);
    assert_no_queue(&sandbox);
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let sandbox = Sandbox::new();
    let empty = ["", "_CA", "_PASSWORD", "_PASSWORD_FILE"].map(|end| format!("QDEMO_SERVER{end}"));
    let empty: Vec<_> = empty.iter().map(|name| (name.as_str(), "")).collect();
    run(sandbox.qdemo(&["put", "x"]), &empty).assert_prints("");
    run(sandbox.qdemo(&["get"]), &empty).assert_prints("x\n");
    // Without a server, the other variables do not matter.
    let others = [("QDEMO_SERVER_CA", "missing"), ("QDEMO_SERVER_PASSWORD_FILE", "missing")];
    run(sandbox.qdemo(&["put", "x"]), &others).assert_prints("");
    // An empty option is a mistake.
    assert_refused(&sandbox.run(&["put", "x", "--server", ""]), &["--server", "not a URL"]);
    sandbox.assert_nothing_left();
}
