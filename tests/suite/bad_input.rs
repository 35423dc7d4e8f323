//! What cannot be is told in one line with its remedy, and nothing is started.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::harness::Sandbox;

#[test]
fn a_wrong_option_is_told_in_one_line_with_its_remedy() {
    let long = "x".repeat(65);
    let cases: &[(&[&str], &[&str])] = &[
        (&["run", "--items", "-1"], &["--items", "'-1'", "whole number", "write 5"]),
        (&["run", "--items", "99999999999999999999"], &["--items", "too large"]),
        (&["run", "--producer-delay", "banana"], &["--producer-delay", "banana", "write 1s"]),
        (&["run", "--producer-delay", "-1s"], &["--producer-delay", "negative", "write 1s"]),
        (&["run", "--consumer-delay", "inf"], &["--consumer-delay", "not a time"]),
        (&["run", "--consumer-delay", "99999999999d"], &["--consumer-delay", "584 years"]),
        (&["run", "--consumers", "0"], &["--consumers", "at least one"]),
        (&["run", "--producers", "1001"], &["--producers", "1000 or less"]),
        (&["run", "--capacity", "-2"], &["--capacity", "whole number"]),
        (&["run", "--speed", "0"], &["--speed", "or max"]),
        (&["run", "--speed", "-3"], &["--speed", "or max"]),
        (&["run", "--lang", "fr"], &["--lang", "ja, en"]),
        (&["run", "--format", "raw"], &["--format", "log, json"]),
        (&["run", "--bogus"], &["--bogus", "qdemo run --help"]),
        (&["run", "extra"], &["extra", "qdemo run --help"]),
        (&["rum"], &["rum", "'run'", "qdemo --help"]),
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
    assert!(fs::read_dir(sandbox.path("queues")).unwrap().next().is_none(), "nothing was made");
    sandbox.assert_nothing_left();
}

#[test]
fn the_environment_is_checked_like_the_options_that_it_stands_for() {
    let sandbox = Sandbox::new();
    for (name, value, words) in [
        ("QDEMO_LANG", "fr", ["'fr' of QDEMO_LANG", "ja or en"]),
        ("QDEMO_QUEUE", "a/b", ["'a/b' of QDEMO_QUEUE", "no `/`"]),
    ] {
        let mut command = sandbox.qdemo(&["consumer"]);
        command.env(name, value);
        crate::harness::Running::start(command).end().assert_refused(2, &words);
    }
    // Empty is not set.
    let mut command = sandbox.qdemo(&["run", "--speed", "max"]);
    command.env("QDEMO_LANG", "").env("QDEMO_QUEUE", "");
    crate::harness::Running::start(command).end().assert_prints(crate::harness::CLASSIC);
}

#[test]
fn a_line_that_never_ends_is_not_read_for_ever() {
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
fn more_workers_than_files_may_be_open_are_refused_before_anything_starts() {
    let sandbox = Sandbox::new();
    let run = "ulimit -n 30; qdemo run --speed max --producers 40 --consumers 40";
    sandbox.script(run).assert_refused(1, &["80 workers", "30", "ulimit -n", "fewer workers"]);
    // A lower limit that may be raised is raised.
    let run = "ulimit -Sn 30; qdemo run --speed max --producers 20 --consumers 20 --quiet";
    sandbox.script(run).assert_prints("");
    sandbox.assert_nothing_left();
}

#[test]
fn a_client_too_many_is_told_and_the_others_go_on() {
    let sandbox = Sandbox::new();
    let script = r#"
        ulimit -n 30
        for n in $(seq 40); do qdemo consumer --quiet & done
        wait -n; echo $?    # the first one that leaves is one that was turned away
        kill $(jobs -p)
        wait
    "#;
    let outcome = sandbox.script(script);
    assert!(outcome.text().starts_with("1\n"), "{outcome:?}");
    assert!(outcome.stderr.contains("no room for another client"), "{outcome:?}");
    assert!(!outcome.stderr.contains("keeper has died"), "{outcome:?}");
    sandbox.assert_nothing_left();
}

#[test]
fn a_line_that_is_not_utf8_names_its_number_and_those_before_it_are_in_the_queue() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.run_with_input(&["producer", "--quiet", "-"], b"a\nb\n\xff\xfe\nc\n");
    assert_eq!(outcome.code(), Some(1));
    let error = outcome.stderr.lines().last().unwrap();
    assert!(error.starts_with("qdemo: line 3 of standard input is not UTF-8"), "{error}");
    let got = sandbox.run(&["consumer", "--format", "raw"]);
    got.assert_prints("a\nb\n");
    sandbox.assert_nothing_left();
}

#[test]
fn a_directory_that_others_can_get_into_is_refused() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.queue("open")).unwrap();
    for (mode, said) in [(0o777, "777"), (0o755, "755"), (0o701, "701"), (0o1770, "770")] {
        fs::set_permissions(sandbox.queue("open"), Permissions::from_mode(mode)).unwrap();
        for args in [&["producer", "-q", "open", "x"][..], &["consumer", "-q", "open"]] {
            let words = &["others have access to", "/open (mode", said, "run `chmod 700`"];
            sandbox.run(args).assert_refused(2, words);
        }
    }
    // The place where queues lie may be seen, but nobody else may put anything there.
    fs::set_permissions(sandbox.path("queues"), Permissions::from_mode(0o755)).unwrap();
    sandbox.run(&["put", "x"]).assert_prints("");
    fs::set_permissions(sandbox.path("queues"), Permissions::from_mode(0o777)).unwrap();
    sandbox.run(&["producer", "x"]).assert_refused(2, &["others can write to", "queues"]);
    sandbox.assert_nothing_left();
}

#[test]
fn a_symbolic_link_is_refused() {
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
fn a_directory_of_somebody_else_is_refused() {
    let sandbox = Sandbox::new();
    // Only root can give a directory away; for others, the root directory is somebody else's.
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
fn a_file_in_the_place_of_a_directory_or_of_the_inbox_is_told() {
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
fn a_place_that_cannot_be_is_told() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.qdemo(&["producer", "x"]);
    command.env("QDEMO_DIR", "/proc/nowhere");
    crate::harness::Running::start(command).end().assert_refused(1, &["/proc/nowhere"]);
    let mut command = sandbox.qdemo(&["run", "--speed", "max"]);
    command.env("TMPDIR", sandbox.path("missing"));
    crate::harness::Running::start(command).end().assert_refused(1, &["missing"]);
}

#[test]
fn a_full_standard_output_is_told_and_nobody_is_left() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.script("qdemo run --speed max > /dev/full");
    outcome.assert_refused(1, &["standard output", "No space left"]);
    sandbox.assert_nothing_left();
}

#[test]
fn a_memory_of_a_newer_version_is_refused_and_left_alone() {
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
