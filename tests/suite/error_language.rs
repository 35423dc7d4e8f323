//! Errors are in the language of the command that prints them, wherever the error comes from: a keeper, a server, the
//! operating system.

use std::fs;

use crate::harness::{Outcome, Sandbox};

/// Runs a command in Japanese.
fn japanese(sandbox: &Sandbox, args: &[&str]) -> Outcome {
    sandbox.run(&[&args[..1], &["--lang", "ja"], &args[1..]].concat())
}

both!(a_refusal_is_in_the_language_of_the_client_that_reads_it, |backend| {
    let sandbox = Sandbox::on(backend);
    // The first client starts the keeper, in Japanese.
    let mut producer =
        sandbox.start(&["producer", "--capacity", "2", "--keep-open", "--lang", "ja", "-"]);
    producer.feed("a\n");
    assert!(producer.line().contains("a"));
    let other = ["producer", "--capacity", "3", "x"];
    japanese(&sandbox, &other).assert_refused(1, &["キューの容量は 2 で、3 ではありません。"]);
    sandbox
        .run(&other)
        .assert_refused(1, &["the queue has capacity 2, not 3: leave --capacity out"]);
    let words = ["1 個のアイテムがあり（待機中 1、", "1 個のプロセスがキューを使っています。"];
    japanese(&sandbox, &["rm"]).assert_refused(1, &words);
    let words =
        ["the queue has 1 item (1 ready, 0 in flight, 0 failed) and 1 process that uses it: give"];
    sandbox.run(&["rm"]).assert_refused(1, &words);
    assert_eq!(producer.end().code(), Some(0));
    sandbox.run(&["rm", "--force"]);
});

both!(the_reason_of_a_failed_item_is_for_people_in_their_language, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["producer", "--quiet", "x"]);
    // A command for an item does not learn of the consumer's language.
    let script = r#"echo "${QDEMO_LANG-none}"; exit 3"#;
    let args = ["consumer", "--lang", "ja", "--retries", "0", "--", "sh", "-c", script];
    let consumer = sandbox.run(&args);
    assert_eq!(consumer.text(), "none\n", "{consumer:?}");
    japanese(&sandbox, &["failed"]).assert_prints("1\t1\t終了コード 3\tx\n");
    sandbox.run(&["failed"]).assert_prints("1\t1\texit code 3\tx\n");
    let json = japanese(&sandbox, &["failed", "--format", "json"]).text();
    assert!(json.contains(r#""exit code 3""#), "JSON is the same in every language: {json}");
    sandbox.run(&["failed", "--drop", "all"]);
});

#[test]
fn what_a_new_keeper_says_and_the_systems_errors_are_in_the_same_language() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.make_queue("default").join("journal"), "no journal\n").unwrap();
    fs::set_permissions(
        sandbox.queue("default").join("journal"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    let put = ["put", "x"];
    let words =
        ["キューのキーパーを起動できません: ", "このバージョンの qdemo のジャーナルではありません"];
    japanese(&sandbox, &put).assert_refused(1, &words);
    let words = ["cannot start a keeper for the queue: ", "is not a journal of this version"];
    sandbox.run(&put).assert_refused(1, &words);
    fs::remove_file(sandbox.queue("default").join("journal")).unwrap();

    for (args, code, ja, en) in [
        (&["put", "-q", "a/b", "x"][..], 2, "キュー名に `/` と", "a queue's name has no `/`"),
        (
            &["consumer", "--", "nowhere"],
            127,
            "`nowhere` が見つかりません。",
            "no command `nowhere`",
        ),
        (
            &["timeline", "/nowhere"],
            2,
            "/nowhere を読み込めません: ファイル",
            "/nowhere: No such file",
        ),
        (&["put", "--server", "http://h", "x"], 2, "`http` は使えません。", "`http` is not known"),
    ] {
        japanese(&sandbox, args).assert_refused(code, &[ja]);
        sandbox.run(args).assert_refused(code, &[en]);
    }
    sandbox.assert_nothing_left();
}
