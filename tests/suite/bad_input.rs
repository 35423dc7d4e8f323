//! Invalid input ends a command with a one-line error that names a remedy. The command starts nothing.
//!
//! The tests that are not of `both!` are of runs, folders and files, or of input that reaches no queue.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::harness::Sandbox;

#[test]
fn the_error_for_an_invalid_option_is_one_line_with_a_remedy() {
    let long = "x".repeat(65);
    let cases: &[(&[&str], &[&str])] = &[
        (&["run", "--items", "-1"], &["--items", "'-1'", "whole number", "write 5"]),
        (&["run", "--items", "99999999999999999999"], &["--items", "too large"]),
        (&["run", "--producer-delay", "banana"], &["--producer-delay", "banana", "write 1s"]),
        (&["run", "--producer-delay", "-1s"], &["--producer-delay", "negative", "write 1s"]),
        (&["run", "--consumer-delay", "inf"], &["--consumer-delay", "not a delay: write 1s"]),
        (&["run", "--consumer-delay", "99999999999d"], &["--consumer-delay", "584 years"]),
        (&["run", "--consumers", "0"], &["--consumers", "at least one"]),
        (&["run", "--producers", "1001"], &["--producers", "1000 or less"]),
        (&["run", "--capacity", "-2"], &["--capacity", "whole number"]),
        (&["run", "--speed", "0"], &["--speed", "or max"]),
        (&["run", "--speed", "-3"], &["--speed", "or max"]),
        (&["run", "--lang", "fr"], &["--lang", "ja or en"]),
        (&["run", "--format", "raw"], &["--format", "log, trace, json"]),
        (&["run", "--bogus"], &["--bogus", "qdemo run --help"]),
        (&["run", "extra"], &["extra", "qdemo run --help"]),
        (&["rum"], &["rum", "did you mean `qdemo run`?"]),
        (&["producer"], &["--items N", "standard input"]),
        (&["producer", "--items", "3", "a"], &["--items", "qdemo producer --help"]),
        (&["producer", "a", "-"], &["standard input", "stands alone"]),
        (&["producer", "-q", "a/b", "x"], &["'a/b'", "no `/`"]),
        (&["producer", "-q", "..", "x"], &["'..'", "no `..`"]),
        (&["consumer", "-q", "../up"], &["'../up'", "no `/`"]),
        (&["consumer", "-q", ""], &["empty"]),
        (&["consumer", "-q", &long], &["64 bytes", "65"]),
        (&["consumer", "--max", "-3"], &["--max", "whole number"]),
        (&["consumer", "--delay", "1x"], &["--delay", "not a time"]),
    ];
    let sandbox = Sandbox::new();
    for (args, words) in cases {
        sandbox.run(args).assert_refused(2, words);
    }
    assert!(fs::read_dir(sandbox.path("queues")).unwrap().next().is_none(), "a queue was made");
    sandbox.assert_nothing_left();
}

#[test]
fn environment_variables_are_checked_like_their_options() {
    let sandbox = Sandbox::new();
    for (name, value, words) in [
        ("QDEMO_LANG", "fr", ["'fr' of QDEMO_LANG", "ja or en"]),
        ("QDEMO_QUEUE", "a/b", ["'a/b' of QDEMO_QUEUE", "no `/`"]),
    ] {
        let mut command = sandbox.qdemo(&["consumer"]);
        command.env(name, value);
        crate::harness::Running::start(command).end().assert_refused(2, &words);
    }
    // An empty variable counts as unset.
    let mut command = sandbox.qdemo(&["run", "--speed", "max"]);
    command.env("QDEMO_LANG", "").env("QDEMO_QUEUE", "");
    crate::harness::Running::start(command).end().assert_prints(crate::harness::CLASSIC);
}

#[test]
fn a_producer_refuses_an_endless_input_line() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.script("qdemo producer --quiet - < /dev/zero");
    assert_eq!(outcome.code(), Some(1));
    outcome.assert_one_line_of_error(&[
        "line 1 of standard input",
        "the limit is 16777216",
        "split it",
    ]);
    sandbox.assert_nothing_left();
}

#[test]
fn a_run_with_too_few_descriptors_for_its_workers_starts_no_worker() {
    let sandbox = Sandbox::new();
    let run = "ulimit -n 30; qdemo run --speed max --producers 40 --consumers 40";
    sandbox.script(run).assert_refused(1, &["80 workers", "30", "ulimit -n", "fewer workers"]);
    // The run raises a soft limit up to the hard limit.
    let run = "ulimit -Sn 30; qdemo run --speed max --producers 20 --consumers 20 --quiet";
    sandbox.script(run).assert_prints("");
    sandbox.assert_nothing_left();
}

#[test]
fn a_client_that_the_keeper_has_no_room_for_fails_and_the_others_go_on() {
    let sandbox = Sandbox::new();
    let script = r#"
        ulimit -n 30
        for n in $(seq 40); do qdemo consumer --quiet & done
        wait -n; echo $?    # the first consumer to end is one that the keeper refused
        kill $(jobs -p)
        wait
    "#;
    let outcome = sandbox.script(script);
    assert!(outcome.text().starts_with("1\n"), "{outcome:?}");
    assert!(outcome.stderr.contains("no room for another client"), "{outcome:?}");
    assert!(!outcome.stderr.contains("keeper has died"), "{outcome:?}");
    sandbox.assert_nothing_left();
}

both!(a_line_that_is_not_utf8_is_named_by_number_and_earlier_lines_are_put, |backend| {
    let sandbox = Sandbox::on(backend);
    let outcome = sandbox.run_with_input(&["producer", "--quiet", "-"], b"a\nb\n\xff\xfe\nc\n");
    assert_eq!(outcome.code(), Some(1));
    let error = outcome.stderr.lines().last().unwrap();
    assert!(error.starts_with("qdemo: line 3 of standard input is not UTF-8"), "{error}");
    let got = sandbox.run(&["consumer", "--format", "raw"]);
    got.assert_prints("a\nb\n");
    sandbox.assert_nothing_left();
});

#[test]
fn a_queue_directory_that_other_users_can_access_is_refused() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.queue("open")).unwrap();
    for (mode, digits) in [(0o777, "777"), (0o755, "755"), (0o701, "701"), (0o1770, "770")] {
        fs::set_permissions(sandbox.queue("open"), Permissions::from_mode(mode)).unwrap();
        for args in [&["producer", "-q", "open", "x"][..], &["consumer", "-q", "open"]] {
            let words = &["others have access to", "/open (mode", digits, "run `chmod 700`"];
            sandbox.run(args).assert_refused(2, words);
        }
    }
    // Other users may read the folder of the queues, but may not write to the folder.
    fs::set_permissions(sandbox.path("queues"), Permissions::from_mode(0o755)).unwrap();
    sandbox.run(&["put", "x"]).assert_prints("");
    fs::set_permissions(sandbox.path("queues"), Permissions::from_mode(0o777)).unwrap();
    sandbox.run(&["producer", "x"]).assert_refused(2, &["others can write to", "queues"]);
    sandbox.assert_nothing_left();
}

#[test]
fn a_symbolic_link_to_a_queue_directory_is_refused() {
    let sandbox = Sandbox::new();
    symlink(sandbox.path("tmp"), sandbox.queue("link")).unwrap();
    symlink("nowhere", sandbox.queue("dangling")).unwrap();
    for name in ["link", "dangling"] {
        let outcome = sandbox.run(&["producer", "-q", name, "x"]);
        outcome.assert_refused(2, &[name, "symbolic link", "real directory"]);
    }
    let mut command = sandbox.qdemo(&["producer", "x"]);
    command.env("QDEMO_DIR", sandbox.queue("link"));
    crate::harness::Running::start(command).end().assert_refused(2, &["link", "symbolic link"]);
    sandbox.assert_nothing_left();
}

#[test]
fn a_queue_directory_of_another_user_is_refused() {
    let sandbox = Sandbox::new();
    // Only root can give a directory away. For every other user, `/` belongs to another user.
    let mut command = if rustix::process::geteuid().is_root() {
        fs::create_dir(sandbox.queue("theirs")).unwrap();
        std::os::unix::fs::chown(sandbox.queue("theirs"), Some(12345), None).unwrap();
        sandbox.qdemo(&["producer", "-q", "theirs", "x"])
    } else {
        let mut command = sandbox.qdemo(&["producer", "-q", "usr", "x"]);
        command.env("QDEMO_DIR", "/");
        command
    };
    command.env("QDEMO_LANG", "en");
    crate::harness::Running::start(command)
        .end()
        .assert_refused(2, &["is owned by user", "QDEMO_DIR"]);
    sandbox.assert_nothing_left();
}

#[test]
fn a_file_in_place_of_a_queue_directory_or_an_inbox_is_refused() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.queue("file"), "").unwrap();
    let outcome = sandbox.run(&["producer", "-q", "file", "x"]);
    outcome.assert_refused(2, &["file", "not a directory", "move it away"]);
    sandbox.make_queue("q");
    fs::write(sandbox.queue("q").join("inbox"), "").unwrap();
    let outcome = sandbox.run(&["producer", "-q", "q", "x"]);
    outcome.assert_refused(1, &["inbox", "not a named pipe", "remove it"]);
    sandbox.assert_nothing_left();
}

#[test]
fn the_error_names_a_folder_that_cannot_exist() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.qdemo(&["producer", "x"]);
    command.env("QDEMO_DIR", "/proc/nowhere");
    crate::harness::Running::start(command).end().assert_refused(1, &["/proc/nowhere"]);
    let mut command = sandbox.qdemo(&["run", "--speed", "max"]);
    command.env("TMPDIR", sandbox.path("missing"));
    crate::harness::Running::start(command).end().assert_refused(1, &["missing"]);
}

#[test]
fn a_full_standard_output_ends_a_run_with_an_error() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.script("qdemo run --speed max > /dev/full");
    outcome.assert_refused(1, &["standard output", "No space left"]);
    sandbox.assert_nothing_left();
}

#[test]
fn a_memory_file_of_a_newer_version_is_refused_and_unchanged() {
    let sandbox = Sandbox::new();
    sandbox.make_queue("q");
    let memory = sandbox.queue("q").join("memory.json");
    let text = r#"{"version":99,"sentinel":false}"#;
    fs::write(&memory, text).unwrap();
    fs::set_permissions(&memory, Permissions::from_mode(0o600)).unwrap();
    sandbox.run(&["producer", "-q", "q", "x"]).assert_refused(1, &["memory.json", "newer"]);
    assert_eq!(fs::read_to_string(&memory).unwrap(), text);
    sandbox.assert_nothing_left();
}
