//! Consumers that run a command for each item.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::harness::{Sandbox, assert_same};

/// The objects of `--format json`.
fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

both!(a_thousand_commands_end_as_they_do_with_xargs, |backend| {
    let sandbox = Sandbox::on(backend);
    let script = r#"
        seq 1000 | xargs -P4 -I{} sh -c 'echo {}; exit $(( {} % 7 == 3 ))' > xargs.txt
        echo "xargs: $?"
        seq 1000 | qdemo put -
        qdemo close
        qdemo consumer -j 4 -- sh -c 'echo {}; exit $(( {} % 7 == 3 ))' > qdemo.txt
        echo "qdemo: $?"
        qdemo failed | cut -f 4 > failed.txt
        seq 3 7 1000 | diff - failed.txt && echo "failed items are kept in their order"
    "#;
    let outcome = sandbox.script(script);
    // xargs exits with code 123 if commands failed.
    let expected = ["xargs: 123", "qdemo: 1", "failed items are kept in their order"];
    assert_eq!(outcome.lines(), expected);
    for file in ["xargs.txt", "qdemo.txt"] {
        let text = fs::read_to_string(sandbox.path(file)).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 1000, "{file}");
        for item in 1..=1000 {
            let item = item.to_string();
            let count = lines.iter().filter(|line| **line == item).count();
            assert_eq!(count, 1, "item {item} in {file}");
        }
    }
    let errors: Vec<_> = outcome.stderr.lines().collect();
    assert_eq!(errors.len(), 144, "a line for each failed item: {}", outcome.stderr);
    assert!(errors[143].starts_with("qdemo: 857 done, 143 failed: `qdemo failed -q default`"));
    sandbox.run(&["failed", "--drop"]).assert_prints("dropped 143 items\n");
    sandbox.assert_nothing_left();
});

both!(a_command_gets_every_item_unchanged, |backend| {
    let sandbox = Sandbox::on(backend);
    let items = [
        "plain",
        "two words",
        "  spaces  ",
        "\"quoted\" and 'single'",
        "$(touch hacked) `touch hacked`",
        "; touch hacked; | & > < * ? ~",
        "a\nnewline",
        "back\\slash \\n",
        "-n",
        "--help",
        "アイテム",
        "",
        "{}",
    ];
    let input = items.map(|item| format!("{item}\0")).concat();
    let fed = |args: &[&str]| {
        sandbox.run_with_input(&["put", "-0", "-"], input.as_bytes()).assert_prints("");
        sandbox.run(&["close"]).assert_prints("");
        sandbox.run(&[&["consumer", "--"], args].concat())
    };
    let expected = items.map(|item| format!("<{item}>")).concat();
    fed(&["printf", "<%s>", "{}"]).assert_prints(&expected);
    fed(&["sh", "-c", "printf '<%s>' \"$1\"", "sh", "{}"]).assert_prints(&expected);
    fed(&["sh", "-c", "printf '<%s>' \"$QDEMO_ITEM\""]).assert_prints(&expected);
    let lines = items.map(|item| format!("{item}\n")).concat();
    fed(&["cat"]).assert_prints(&lines);
    let twice = items.map(|item| format!("<a{item}b{item}>")).concat();
    fed(&["printf", "<%s>", "a{}b{}"]).assert_prints(&twice);
    assert!(!sandbox.path("hacked").exists());
    sandbox.assert_nothing_left();
});

both!(the_environment_of_a_command_describes_its_item, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "-q", "some jobs", "a"]).assert_prints("");
    sandbox.run(&["put", "-q", "some jobs", "--json", "{\"n\": 1}"]).assert_prints("");
    sandbox.run(&["close", "-q", "some jobs"]).assert_prints("");
    let show = "echo \"$QDEMO_QUEUE/$QDEMO_ID/$QDEMO_ATTEMPT/$QDEMO_ITEM\"";
    let outcome = sandbox.run(&["consumer", "-q", "some jobs", "--", "sh", "-c", show]);
    outcome.assert_prints("some jobs/1/1/a\nsome jobs/2/1/{\"n\": 1}\n");
    sandbox.assert_nothing_left();
});

both!(the_outputs_of_concurrent_commands_are_not_mixed, |backend| {
    let sandbox = Sandbox::on(backend);
    // Each command prints many small pieces to both streams.
    let script = r#"
        seq 40 | qdemo put -
        qdemo close
        qdemo consumer -j 8 -- bash -c \
            'for n in {1..300}; do printf "{}"; printf " "; printf "{}\n" >&2; done; echo' 2> err.txt
    "#;
    let outcome = sandbox.script(&script.replace("{1..300}", "$(seq 300)"));
    assert_eq!(outcome.code(), Some(0));
    let lines = outcome.lines();
    assert_eq!(lines.len(), 40);
    for line in &lines {
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(words.len(), 300);
        assert!(words.iter().all(|word| *word == words[0]), "{line}");
    }
    let errors = fs::read_to_string(sandbox.path("err.txt")).unwrap();
    let errors: Vec<_> = errors.lines().collect();
    assert_eq!(errors.len(), 40 * 300);
    for piece in errors.chunks(300) {
        assert!(piece.iter().all(|line| *line == piece[0]));
    }
    sandbox.assert_nothing_left();
});

both!(a_failing_command_is_retried_and_then_its_item_is_kept, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "good", "late", "bad"]).assert_prints("");
    sandbox.run(&["close"]).assert_prints("");
    let command = r#"
        echo "$1 $QDEMO_ATTEMPT"
        case $1 in good) ;; late) [ "$QDEMO_ATTEMPT" = 3 ] ;; *) exit 9 ;; esac
    "#;
    let args = ["--retries", "2", "--backoff", "1ms", "--", "sh", "-c", command, "sh", "{}"];
    let outcome = sandbox.run(&[&["consumer"][..], &args].concat());
    assert_eq!(outcome.code(), Some(1));
    assert_same(
        "qdemo: item 3 \"bad\" failed after 3 tries: exit code 9\n\
         qdemo: 2 done, 1 failed: `qdemo failed -q default` lists failed items\n",
        &outcome.stderr,
    );
    for item in ["good", "late", "bad"] {
        let attempts: Vec<_> =
            outcome.lines().into_iter().filter(|l| l.starts_with(item)).collect();
        let expected: Vec<_> =
            (1..=if item == "good" { 1 } else { 3 }).map(|n| format!("{item} {n}")).collect();
        assert_eq!(attempts, expected);
    }
    let failed = "3\t3\texit code 9, at the last of 3 tries\tbad\n";
    sandbox.run(&["failed"]).assert_prints(failed);
    sandbox
        .run(&["join"])
        .assert_refused(1, &["1 item", "failed", "`qdemo failed -q default` lists"]);
    // A failed item can be retried. Its attempts count on.
    sandbox.run(&["failed", "--retry", "9"]).assert_refused(1, &["item 9 is not a failed item"]);
    sandbox.run(&["failed", "--retry", "3"]).assert_prints("1 item is ready again\n");
    let outcome = sandbox.run(&["consumer", "--max", "1", "--", "sh", "-c", "echo $QDEMO_ATTEMPT"]);
    outcome.assert_prints("4\n");
    sandbox.run(&["failed"]).assert_prints("");
    sandbox.assert_nothing_left();
});

both!(the_pause_before_a_retry_doubles, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "x"]).assert_prints("");
    let args = ["--max", "1", "--format", "json", "--retries", "3", "--backoff", "20ms,jitter=0%"];
    let outcome = sandbox.run(&[&["consumer"][..], &args, &["--", "false"]].concat());
    let results = json_lines(&outcome.text());
    let end = |r: &Value| r["start"].as_f64().unwrap() + r["duration"].as_f64().unwrap();
    assert_eq!(results.len(), 4);
    for (n, pair) in results.windows(2).enumerate() {
        let pause = pair[1]["start"].as_f64().unwrap() - end(&pair[0]);
        assert!(pause >= 0.02 * f64::from(1 << n), "pause {n} was {pause}");
    }
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
});

both!(a_json_object_describes_the_end_of_a_command, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "--json", "[1, 2]", "\"die\""]).assert_prints("");
    sandbox.run(&["close"]).assert_prints("");
    let command = "echo out; echo err >&2; [ \"$QDEMO_ITEM\" != die ] || kill -9 $$; exit 3";
    let outcome = sandbox.run(&["consumer", "--format", "json", "--", "sh", "-c", command]);
    assert_eq!(outcome.code(), Some(1));
    let results = json_lines(&outcome.text());
    assert_eq!(results.len(), 2);
    for (result, (id, item, exit, signal)) in results.iter().zip([
        (1, serde_json::json!([1, 2]), Value::from(3), Value::Null),
        (2, "die".into(), Value::Null, 9.into()),
    ]) {
        assert_eq!((&result["id"], &result["item"]), (&id.into(), &item));
        assert_eq!((&result["exit"], &result["signal"]), (&exit, &signal));
        assert_eq!((&result["stdout"], &result["stderr"]), (&"out\n".into(), &"err\n".into()));
        assert_eq!((&result["attempt"], &result["timed_out"]), (&1.into(), &false.into()));
        assert!(result["duration"].as_f64().unwrap() > 0.0);
    }
    sandbox.run(&["failed", "--drop"]);
    sandbox.assert_nothing_left();
});

both!(a_consumer_of_a_missing_command_takes_no_item, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "x"]).assert_prints("");
    let text = sandbox.path("text");
    fs::write(&text, "no program\n").unwrap();
    let text = text.to_str().unwrap();
    let missing = sandbox.run(&["consumer", "--", "no-such-command", "{}"]);
    missing.assert_refused(127, &["there is no command `no-such-command`", "PATH"]);
    sandbox.run(&["consumer", "--", text]).assert_refused(126, &["cannot be executed", "`#!`"]);
    sandbox.run(&["consumer", "--", "/"]).assert_refused(126, &["cannot be executed"]);
    sandbox
        .run(&["peek", "--format", "json"])
        .assert_prints("{\"id\":1,\"item\":\"x\",\"attempt\":1}\n");
    // This file looks like a program. Only the system can tell that the file is not a program.
    fs::write(sandbox.path("text"), "\u{1}no program\n").unwrap();
    fs::set_permissions(sandbox.path("text"), fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.run(&["consumer", "--", text]).assert_refused(126, &["cannot be executed"]);
    sandbox.run(&["get"]).assert_prints("x\n");
    sandbox.assert_nothing_left();
});

both!(an_item_that_no_argument_can_hold_fails_but_fits_standard_input, |backend| {
    let sandbox = Sandbox::on(backend);
    let large = "x".repeat(300_000);
    let input = format!("small\0{large}\0nul\0");
    sandbox.run_with_input(&["put", "-0", "-"], input.as_bytes()).assert_prints("");
    sandbox.run(&["put", "--json", "\"a\\u0000b\""]).assert_prints("");
    sandbox.run(&["close"]).assert_prints("");
    let outcome = sandbox.run(&["consumer", "--", "sh", "-c", "echo ${#1}", "sh", "{}"]);
    assert_eq!(outcome.text(), "5\n3\n");
    assert_eq!(outcome.code(), Some(1));
    for id in [2, 4] {
        let error = format!("item {id} has failed: no argument can hold it: leave {{}} out");
        assert!(outcome.stderr.contains(&error), "{}", outcome.stderr);
    }
    sandbox.run(&["failed", "--retry"]).assert_prints("2 items are ready again\n");
    sandbox.run(&["consumer", "--max", "2", "--", "wc", "-c"]).assert_prints("300001\n4\n");
    sandbox.assert_nothing_left();
});

both!(a_command_may_ignore_its_item_or_print_more_than_a_pipe_holds, |backend| {
    let sandbox = Sandbox::on(backend);
    let large = format!("{}\n", "x".repeat(2_000_000));
    sandbox.run_with_input(&["put", "-"], large.as_bytes()).assert_prints("");
    sandbox.run(&["consumer", "--max", "1", "--", "true"]).assert_prints("");
    sandbox.run_with_input(&["put", "-"], large.as_bytes()).assert_prints("");
    let outcome = sandbox.run(&["consumer", "--max", "1", "--", "sh", "-c", "tee /dev/stderr"]);
    assert_eq!(outcome.code(), Some(0));
    assert_same(&large, &outcome.text());
    assert_same(&large, &outcome.stderr);
    sandbox.assert_nothing_left();
});

both!(a_consumer_keeps_the_delay_after_each_command, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "a", "b", "c"]).assert_prints("");
    sandbox.run(&["close"]).assert_prints("");
    let args = ["consumer", "--delay", "30ms", "--format", "json", "--", "true"];
    let results = json_lines(&sandbox.run(&args).text());
    assert_eq!(results.len(), 3);
    for pair in results.windows(2) {
        let end = pair[0]["start"].as_f64().unwrap() + pair[0]["duration"].as_f64().unwrap();
        assert!(pair[1]["start"].as_f64().unwrap() - end >= 0.03);
    }
    sandbox.assert_nothing_left();
});

both!(log_lines_come_before_the_output_of_their_commands, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "a"]).assert_prints("");
    let args = ["consumer", "--max", "1", "--format", "log", "--", "echo", "hello", "{}"];
    sandbox.run(&args).assert_prints("消費者: a を取得しました\nhello a\n");
    sandbox.assert_nothing_left();
});

both!(a_consumer_runs_fewer_jobs_if_it_lacks_descriptors, |backend| {
    let sandbox = Sandbox::on(backend);
    let script = r#"
        seq 60 | qdemo put -
        qdemo close
        ulimit -n 40
        qdemo consumer -j 100 -- sh -c 'sleep 0.1; echo {}' | wc -l
        echo "${PIPESTATUS[0]}"
    "#;
    sandbox.script(script).assert_prints("60\n0\n");
    sandbox.assert_nothing_left();
});

both!(a_quiet_consumer_prints_only_the_output_of_its_commands, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "a", "b"]).assert_prints("");
    let echo = ["--quiet", "--max", "1", "--", "echo", "hello"];
    sandbox.run(&[&["consumer"][..], &echo].concat()).assert_prints("hello\n");
    let json = sandbox.run(&[&["consumer", "--format", "json"][..], &echo].concat());
    assert_eq!(json_lines(&json.text())[0]["stdout"], "hello\n");
    sandbox.assert_nothing_left();
});

both!(a_consumer_that_may_not_wait_does_the_ready_items_and_leaves, |backend| {
    let sandbox = Sandbox::on(backend);
    let no_wait = ["consumer", "--no-wait", "--", "sh", "-c"];
    sandbox.run(&[&no_wait[..], &["echo {}"]].concat()).assert_prints("");
    sandbox.run(&["put", "1"]).assert_prints("");
    // The consumer also does items that are put during its work.
    let puts_more = "[ {} -gt 5 ] || qdemo put $(( {} + 1 )); echo {}";
    let outcome = sandbox.run(&[&no_wait[..], &[puts_more]].concat());
    outcome.assert_prints("1\n2\n3\n4\n5\n6\n");
    sandbox.run(&["put", "a", "b"]).assert_prints("");
    let args = ["consumer", "--timeout", "50ms", "--format", "raw"];
    sandbox.run(&args).assert_prints("a\nb\n");
    let args = ["consumer", "--timeout", "50ms", "--", "true"];
    sandbox.run(&args).assert_prints("");
    sandbox.assert_nothing_left();
});
