//! A consumer with a command that stops before the end of its queue: `--halt`. The delays between tries: `--backoff`.

use crate::harness::Sandbox;

const JUDGE: &str = "case $1 in bad*) exit 1;; *) echo $1;; esac";

fn consumer(sandbox: &Sandbox, more: &[&str]) -> crate::harness::Outcome {
    let command = ["--", "sh", "-c", JUDGE, "sh", "{}"];
    sandbox.run(&[&["consumer"][..], more, &command].concat())
}

/// The ready items, each with its attempt.
fn ready(sandbox: &Sandbox) -> Vec<String> {
    let text = sandbox.run(&["peek", "--count", "99", "--format", "json"]).text();
    let items = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    items.map(|item| format!("{} {}", item["item"].as_str().unwrap(), item["attempt"])).collect()
}

fn clean_up(sandbox: &Sandbox) {
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
}

both!(a_number_of_failed_items_halts, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "bad1", "good", "bad2", "never"]).assert_prints("");
    let outcome = consumer(&sandbox, &["--halt", "now,fail=2"]);
    assert_eq!((outcome.text().as_str(), outcome.code()), ("good\n", Some(1)));
    let lines: Vec<_> = outcome.stderr.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "qdemo: item 1 \"bad1\" failed: exit code 1",
            "qdemo: item 3 \"bad2\" failed: exit code 1",
            "qdemo: 2 items have failed, and --halt now,fail=2 ends the other commands: their items go back into the queue",
        ]
    );
    assert!(lines[3].starts_with("qdemo: 1 done, 2 failed: "), "{lines:?}");
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(ready(&sandbox), ["never 1"]);
    clean_up(&sandbox);
});

both!(halting_soon_lets_running_commands_finish_and_starts_no_other, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "slow", "bad", "never"]).assert_prints("");
    let command = r#"
        [ $1 != bad ] || exit 1
        until qdemo failed | grep -q bad; do :; done
        echo $1 is done"#;
    let args =
        ["consumer", "-j", "2", "--halt", "soon,fail=1", "--", "sh", "-c", command, "sh", "{}"];
    let outcome = sandbox.run(&args);
    assert_eq!((outcome.text().as_str(), outcome.code()), ("slow is done\n", Some(1)));
    let notice = "qdemo: 1 item has failed, and --halt soon,fail=1 starts no other command: those that run may finish\n";
    assert!(outcome.stderr.contains(notice), "{outcome:?}");
    assert_eq!(ready(&sandbox), ["never 1"]);
    clean_up(&sandbox);
});

both!(halting_soon_gives_back_items_that_wait_for_another_try, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "bad", "good", "never"]).assert_prints("");
    let outcome =
        consumer(&sandbox, &["--retries", "1", "--backoff", "1h", "--halt", "soon,success=1"]);
    assert_eq!((outcome.text().as_str(), outcome.code()), ("good\n", Some(0)));
    assert_eq!(
        outcome.stderr,
        "qdemo: 1 item is done, and --halt soon,success=1 starts no other command: those that run may finish\n"
    );
    assert_eq!(ready(&sandbox), ["bad 3", "never 1"]);
    clean_up(&sandbox);
});

both!(a_command_that_fails_while_its_consumer_halts_is_not_tried_again, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "slow", "good"]).assert_prints("");
    let command = r#"
        [ $1 = slow ] || exit 0
        until [ "$(qdemo status --format json | grep -c '"done":1')" = 1 ]; do :; done
        exit 1"#;
    let retries = ["consumer", "-j", "2", "--retries", "5", "--backoff", "1h"];
    let halt = ["--halt", "soon,done=1", "--", "sh", "-c", command, "sh", "{}"];
    let outcome = sandbox.run(&[&retries[..], &halt].concat());
    assert_eq!(outcome.code(), Some(0), "{outcome:?}");
    assert_eq!(ready(&sandbox), ["slow 2"]);
    clean_up(&sandbox);
});

both!(halting_does_not_wait_for_an_item_of_an_open_queue, |backend| {
    for halt in ["now,fail=1", "soon,fail=1"] {
        let sandbox = Sandbox::on(backend);
        sandbox.run(&["put", "bad"]).assert_prints("");
        let outcome = consumer(&sandbox, &["-j", "3", "--halt", halt]);
        assert_eq!((outcome.text().as_str(), outcome.code()), ("", Some(1)));
        clean_up(&sandbox);
    }
});

both!(a_share_of_failed_items_halts, |backend| {
    let sandbox = Sandbox::on(backend);
    let items: Vec<_> = (1..=40).map(|n| format!("bad{n}")).collect();
    let items: Vec<_> = items.iter().map(String::as_str).collect();
    sandbox.run(&[&["put"][..], &items].concat()).assert_prints("");
    let outcome = consumer(&sandbox, &["--halt", "now,fail=10%"]);
    assert_eq!(outcome.code(), Some(1));
    assert!(
        outcome.stderr.contains("qdemo: 4 items have failed, and --halt now,fail=10% ends"),
        "{outcome:?}"
    );
    assert_eq!(sandbox.run(&["failed"]).text().lines().count(), 4);
    assert_eq!(ready(&sandbox).len(), 36);
    clean_up(&sandbox);
});

both!(a_share_of_fewer_than_three_items_does_not_halt, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "bad1", "bad2", "good"]).assert_prints("");
    sandbox.run(&["close"]).assert_prints("");
    let outcome = consumer(&sandbox, &["--halt", "soon,fail=1%"]);
    assert_eq!((outcome.text().as_str(), outcome.code()), ("good\n", Some(1)));
    assert!(!outcome.stderr.contains("--halt"), "{outcome:?}");
    clean_up(&sandbox);
});

#[test]
fn a_wrong_rule_is_refused_before_an_item_is_taken() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "x"]).assert_prints("");
    for (option, value, remedy) in [
        ("--halt", "200%", "now,fail=1 or soon,fail=10%"),
        ("--halt", "now,fail=200%", "more than 0% and at most 100%"),
        ("--halt", "now,fail=0", "write 1 or more"),
        ("--halt", "soon,fail=0%", "more than 0% and at most 100%"),
        ("--halt", "later", "now,fail=1 or soon,fail=10%"),
        ("--backoff", "2s..1s", "smaller end first"),
        ("--backoff", "1s,jitter=200%", "from 0% to 100%"),
    ] {
        sandbox
            .run(&["consumer", option, value, "--", "false"])
            .assert_refused(2, &[option, value, remedy]);
    }
    sandbox.run(&["get"]).assert_prints("x\n");
    sandbox.assert_nothing_left();
}

both!(the_delay_before_a_retry_has_a_ceiling, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "x"]).assert_prints("");
    // Without a ceiling the last delay would last for years.
    let outcome = consumer_of_tries(&sandbox, "1ms..2ms,jitter=100%");
    assert_eq!(outcome.code(), Some(0), "{outcome:?}");
    sandbox.assert_nothing_left();
});

/// A consumer whose command succeeds in its fortieth try.
fn consumer_of_tries(sandbox: &Sandbox, backoff: &str) -> crate::harness::Outcome {
    let args = ["consumer", "--max", "1", "--retries", "40", "--backoff", backoff];
    sandbox.run(&[&args[..], &["--", "sh", "-c", "exit $((QDEMO_ATTEMPT < 40))"]].concat())
}

#[test]
fn a_halt_waits_for_running_commands_without_computing() {
    let sandbox = Sandbox::new();
    // More than a second of the processor's time ends the consumer. The delay after the failed command is over soon.
    let script = r#"
        qdemo put slow bad; qdemo close; ulimit -t 1
        qdemo consumer -j 2 --delay 100ms --halt soon,fail=1 -- \
            sh -c 'case $1 in bad) exit 1;; *) sleep 3; echo $1;; esac' sh {}
        echo code $?"#;
    let outcome = sandbox.script(script);
    assert_eq!(outcome.lines(), ["slow", "code 1"], "{outcome:?}");
    clean_up(&sandbox);
}
