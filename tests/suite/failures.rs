//! What `qdemo failed` tells of a failed item.

use std::fs;
use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Running, Sandbox, assert_same, signal_to, wait_for_end};
use crate::terminal::{OnTerminal, Stdout};

/// The wall time in UTC, as `failed --format json` has it.
fn utc_now() -> String {
    let output = Command::new("date").args(["-u", "+%FT%TZ"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The failed items without their times, each of which is between `before` and now.
fn failed_since(sandbox: &Sandbox, before: &str) -> Vec<Value> {
    let listed = sandbox.run(&["failed", "--format", "json"]);
    listed.assert_done();
    let now = utc_now();
    let items = listed.lines().into_iter().map(|line| {
        let mut item: Value = serde_json::from_str(&line).unwrap();
        let at = item["at"].as_str().unwrap();
        assert!(before <= at && at <= now.as_str(), "{before} {at} {now}");
        item.as_object_mut().unwrap().remove("at");
        item
    });
    items.collect()
}

/// Lets `sh` fail the next item.
fn fail(sandbox: &Sandbox, script: &str, more: &[&str]) {
    let args = ["consumer", "--max", "1", "--quiet", "--backoff", "1ms"];
    let outcome = sandbox.run(&[&args[..], more, &["--", "sh", "-c", script]].concat());
    assert_eq!(outcome.code(), Some(1), "{outcome:?}");
}

both!(a_failed_item_tells_how_its_last_try_ended, |backend| {
    let sandbox = Sandbox::on(backend);
    let before = utc_now();
    sandbox.run(&["put", "code", "signal", "slow"]).assert_prints("");
    fail(&sandbox, "echo try $QDEMO_ATTEMPT >&2; exit 9", &["--retries", "2"]);
    fail(&sandbox, "kill -9 $$", &[]);
    fail(&sandbox, "echo begun >&2; exec sleep 1000", &["--timeout-each", "1ms"]);
    let failed = failed_since(&sandbox, &before);
    assert_eq!(
        failed[..2],
        [
            json!({
                "id": 1, "item": "code", "attempt": 3, "why": "exit code 9, at the last of 3 tries",
                "exit": 9, "signal": null, "timed_out": false, "delivery_failures": null, "tries": 3,
                "stderr": "try 3",
            }),
            json!({
                "id": 2, "item": "signal", "attempt": 1, "why": "killed by signal 9",
                "exit": null, "signal": 9, "timed_out": false, "delivery_failures": null, "tries": 1,
                "stderr": "",
            }),
        ]
    );
    // The shell may not have begun within the time.
    assert_eq!(failed[2]["why"], "took longer than --timeout-each (killed by signal 15)");
    assert_eq!((&failed[2]["timed_out"], &failed[2]["signal"]), (&json!(true), &json!(15)));
    sandbox.run(&["failed", "--drop"]).assert_prints("dropped 3 items\n");
    sandbox.assert_nothing_left();
});

both!(an_item_that_killed_its_consumer_tells_when, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "poison"]).assert_prints("");
    let before = utc_now();
    let args = ["consumer", "--max-attempts", "1", "--delay", "1h", "--format", "raw"];
    let mut victim = sandbox.start(&args);
    assert_eq!(victim.line(), "poison");
    victim.signal(Signal::KILL);
    sandbox.wait_for_notice_of_death(victim.pid());
    victim.end();
    let failed = json!({
        "id": 1, "item": "poison", "attempt": 1,
        "why": "its consumer died, or held it for longer than its lease",
        "exit": null, "signal": null, "timed_out": false, "delivery_failures": 1, "tries": null, "stderr": "",
    });
    assert_eq!(failed_since(&sandbox, &before), [failed]);
    sandbox.run(&["failed", "--drop"]).assert_prints("dropped 1 item\n");
    sandbox.assert_nothing_left();
});

both!(a_retried_item_tells_of_its_new_failure_alone, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "x"]).assert_prints("");
    fail(&sandbox, "echo first >&2; exit 3", &[]);
    sandbox.run(&["failed", "--retry", "1"]).assert_prints("1 item is ready again\n");
    sandbox.run(&["failed"]).assert_prints("");
    fail(&sandbox, "echo second >&2; exit 4", &["--retries", "1"]);
    let failed = failed_since(&sandbox, "");
    assert_eq!((&failed[0]["exit"], &failed[0]["stderr"]), (&json!(4), &json!("second")));
    assert_eq!((&failed[0]["tries"], &failed[0]["attempt"]), (&json!(2), &json!(3)));
    sandbox.run(&["failed", "--drop", "1"]).assert_prints("dropped 1 item\n");
    sandbox.run(&["failed", "--format", "json"]).assert_prints("");
    sandbox.assert_nothing_left();
});

both!(whatever_a_command_prints_only_its_readable_end_is_kept, |backend| {
    let sandbox = Sandbox::on(backend);
    for (script, kept) in [
        ("seq 1 5000 >&2", "4991\n4992\n4993\n4994\n4995\n4996\n4997\n4998\n4999\n5000".to_owned()),
        // A line without an end goes to a file, since it does not fit into memory.
        ("head -c 3000000 /dev/zero | tr '\\0' x >&2", format!("…{}", "x".repeat(2045))),
        (r"printf 'a \377 b\n' >&2", "a \u{fffd} b".to_owned()),
        (r"printf '\033[31mred\033[0m\r\n\n10 %%\r99 %%\rdone\n' >&2", "red\ndone".to_owned()),
        ("head -c 3000000 /dev/zero >&2", format!("…{}", "\0".repeat(340))),
        ("yes '\"' | head -n 9 | tr '\\n' '\"' >&2", "\"".repeat(18)),
    ] {
        sandbox.run(&["put", "x"]).assert_prints("");
        fail(&sandbox, &format!("{script}; exit 1"), &[]);
        let failed = failed_since(&sandbox, "");
        assert_eq!(failed[0]["stderr"], kept, "{script}");
        sandbox.run(&["failed", "--drop"]).assert_prints("dropped 1 item\n");
    }
    sandbox.assert_nothing_left();
});

// Local: a server has no keepers, and no journal.
#[test]
fn a_failure_survives_its_keeper() {
    let sandbox = Sandbox::new();
    let mut producer = sandbox.start(&["producer", "--keep-open", "--format", "json", "-"]);
    producer.feed("x\n");
    assert!(producer.line().contains(r#""item":"x""#));
    fail(&sandbox, "echo broken >&2; exit 3", &[]);
    let listed = sandbox.run(&["failed", "--format", "json"]).text();
    assert!(listed.contains(r#""stderr":"broken""#), "{listed}");
    for keeper in sandbox.processes_of("qdemo keeper") {
        signal_to(keeper.pid, Signal::KILL);
        wait_for_end(keeper.pid);
    }
    sandbox.run(&["failed", "--format", "json"]).assert_prints(&listed);
    assert_eq!(producer.end().code(), Some(0));
    // At rest the queue is a file.
    sandbox.wait_for_keeper_to_go("default");
    let journal = fs::read_to_string(sandbox.queue("default").join("journal")).unwrap();
    assert!(journal.contains(r#"{"exit":3,"tries":1,"at":"#), "{journal}");
    sandbox.run(&["failed", "--format", "json"]).assert_prints(&listed);
    sandbox.run(&["rm", "--force"]).assert_done();
    sandbox.assert_nothing_left();
}

/// The list for people, with the time of the first item in UTC.
fn long_list(sandbox: &Sandbox, env: &[(&str, &str)]) -> String {
    let mut command = sandbox.qdemo(&["failed", "--format", "long"]);
    command.envs(env.iter().copied());
    Running::start(command).end().text()
}

// Local: the texts do not depend on the place of the queue, and neither do those of the next tests.
#[test]
fn the_long_list_has_local_time_and_the_language_of_people() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "x\ty"]).assert_prints("");
    fail(&sandbox, r"printf 'one\n\ttwo \033[1mbold \001\n' >&2; exit 3", &["--retries", "1"]);
    let json = sandbox.run(&["failed", "--format", "json"]).text();
    let json: Value = serde_json::from_str(&json).unwrap();
    let utc = json["at"].as_str().unwrap().replace('T', " ").replace('Z', "");
    let lines = "    one\n        two bold \\u{1}\n";
    assert_same(
        &format!("1  {utc}  exit code 3, 2 tries  x\\ty\n{lines}"),
        &long_list(&sandbox, &[("TZ", "UTC")]),
    );
    assert_same(
        &format!("1  {utc}  終了コード 3、2 回試行  x\\ty\n{lines}"),
        &long_list(&sandbox, &[("TZ", "UTC"), ("QDEMO_LANG", "ja")]),
    );
    let date = Command::new("date")
        .env("TZ", "XYZ-5:30")
        .args(["-d", json["at"].as_str().unwrap(), "+%F %T"])
        .output()
        .unwrap();
    let local = String::from_utf8(date.stdout).unwrap();
    let listed = long_list(&sandbox, &[("TZ", "XYZ-5:30")]);
    assert!(listed.starts_with(&format!("1  {}  exit", local.trim())), "{listed} {local}");
    // Scripts read the list for pipes.
    sandbox.run(&["failed"]).assert_prints("1\t2\texit code 3, at the last of 2 tries\tx\\ty\n");
    sandbox.run(&["failed", "--drop"]);
    sandbox.assert_nothing_left();
}

#[test]
fn a_terminal_shows_a_failed_item_in_one_line_and_what_its_command_said() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", &"word ".repeat(30)]).assert_prints("");
    fail(&sandbox, "echo no such host >&2; exit 3", &["--retries", "1"]);
    let lines = |lang, columns| {
        let mut command = sandbox.qdemo(&["failed"]);
        command.env("QDEMO_LANG", lang).env("TZ", "UTC");
        let mut terminal = OnTerminal::start(command, Stdout::Terminal, 24, columns);
        assert_eq!(terminal.end().0, Some(0));
        terminal.screen().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let [english, japanese] = ["en", "ja"].map(|lang| lang_lines(&lines(lang, 80)));
    assert_eq!(
        english,
        ["exit code 3, 2 tries  word word word word word word wo…", "    no such host"]
    );
    assert_eq!(
        japanese,
        ["終了コード 3、2 回試行  word word word word word word …", "    no such host"]
    );
    sandbox.run(&["failed", "--drop"]);
    sandbox.assert_nothing_left();
}

/// The lines without the id and the time.
fn lang_lines(lines: &[String]) -> Vec<String> {
    let (head, rest) = lines.split_first().unwrap();
    let (_, head) = head.split_at("1  2026-11-26 16:38:00  ".len());
    [head.to_owned()].into_iter().chain(rest.iter().cloned()).collect()
}

/// The journal as earlier versions wrote it: the reason of its only failed item is a text.
fn with_plain_reason(journal: &str, reason: &str) -> String {
    let is_failed = |line: &&str| line.starts_with("failed ");
    let line = journal.lines().find(is_failed).unwrap();
    let (fields, _) = line.split_once('{').unwrap();
    let head = format!("{fields}{reason} #");
    journal.replace(line, &format!("{head}{:08x}", crc32fast::hash(head.as_bytes())))
}

#[test]
fn a_plain_reason_of_an_earlier_version_is_shown_as_it_is() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "x"]).assert_prints("");
    fail(&sandbox, "exit 3", &["--retries", "1"]);
    sandbox.wait_for_keeper_to_go("default");
    let path = sandbox.queue("default").join("journal");
    let journal = fs::read_to_string(&path).unwrap();
    let reason = "exit code 3, at the last of 2 tries";
    fs::write(&path, with_plain_reason(&journal, reason)).unwrap();
    sandbox.run(&["failed"]).assert_prints(&format!("1\t2\t{reason}\tx\n"));
    sandbox.run(&["failed", "--format", "json"]).assert_prints(&format!(
        "{{\"id\":1,\"item\":\"x\",\"attempt\":2,\"why\":\"{reason}\",\"exit\":null,\"signal\":null,\
         \"timed_out\":false,\"delivery_failures\":null,\"tries\":null,\"at\":null,\"stderr\":\"\"}}\n",
    ));
    assert_same(&format!("1  {reason}  x\n"), &long_list(&sandbox, &[]));
    let japanese = long_list(&sandbox, &[("QDEMO_LANG", "ja")]);
    assert_same("1  終了コード 3（2 回試行）  x\n", &japanese);
    sandbox.run(&["failed", "--drop"]).assert_prints("dropped 1 item\n");
    sandbox.assert_nothing_left();
}
