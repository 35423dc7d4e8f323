//! What commands say without being asked: of a long wait, of failed items, and of what is left.

use rustix::process::Signal;

use crate::harness::{Running, Sandbox, assert_same, wait_while};
use crate::terminal::{OnTerminal, Stdout};

/// Starts commands on terminals of their own, so that their waits pass at the same time.
fn start_all<const N: usize>(sandbox: &Sandbox, commands: [&[&str]; N]) -> [OnTerminal; N] {
    commands.map(|args| OnTerminal::start(sandbox.qdemo(args), Stdout::Terminal, 24, 150))
}

/// Waits for the notice, interrupts the command, and asserts that it has said nothing else.
fn assert_says(mut command: OnTerminal, notice: &str) {
    command.wait_until(|screen| screen.contains(notice));
    command.signal(Signal::INT);
    command.end();
    assert_same(&format!("qdemo: {notice}"), &command.screen());
}

both!(a_command_that_waits_on_a_terminal_says_once_what_it_waits_for, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "-q", "full", "--capacity", "2", "a", "b"]).assert_prints("");
    sandbox.run(&["put", "-q", "held", "a"]).assert_prints("");
    sandbox.run(&["put", "-q", "over", "a"]).assert_prints("");
    sandbox.run(&["get", "-q", "over"]).assert_prints("a\n");
    sandbox.run(&["close", "-q", "over"]).assert_prints("");
    let mut holder = sandbox.start(&["consumer", "-q", "held", "--delay", "1h"]);
    assert!(holder.line().contains("a"));
    let [get, put, join, pool, held, quiet] = start_all(
        &sandbox,
        [
            &["get", "-q", "new"],
            &["producer", "-q", "full", "c"],
            &["join", "-q", "full"],
            &["consumer", "-q", "pool", "--", "echo"],
            &["get", "-q", "held", "--timeout", "1m"],
            &["get", "-q", "pool", "--quiet"],
        ],
    );
    assert_says(get, "waiting for an item in `new`: none has been put yet; Ctrl-C to stop");
    assert_says(
        put,
        "waiting for room in `full`: the queue is full (2 of 2 items), and no consumer is there; \
         Ctrl-C to stop",
    );
    assert_says(
        join,
        "waiting for 2 items of `full`: 0 in progress, 2 ready, and no consumer is there; Ctrl-C to stop",
    );
    assert_says(
        held,
        "waiting for an item in `held`: another consumer has the only item; Ctrl-C to stop",
    );
    // The bar of a pool comes after the notice, and is gone at the end.
    assert_says(pool, "waiting for an item in `pool`: none has been put yet; Ctrl-C to stop");
    let mut quiet = quiet;
    quiet.signal(Signal::INT);
    quiet.end();
    assert_same("", &quiet.screen());
    holder.signal(Signal::TERM);
    holder.end();
    for queue in ["new", "full", "held", "over", "pool"] {
        sandbox.run(&["rm", "--force", "-q", queue]);
    }
    sandbox.assert_nothing_left();
});

// Local: the texts do not depend on the place of the queue.
#[test]
fn the_notices_on_waits_are_in_japanese_too() {
    let sandbox = Sandbox::new().in_japanese();
    sandbox.run(&["put", "-q", "full", "--capacity", "1", "a"]).assert_prints("");
    let [get, put, join] = start_all(
        &sandbox,
        [&["get", "-q", "new"], &["put", "-q", "full", "b"], &["join", "-q", "full"]],
    );
    assert_says(
        get,
        "キュー「new」のアイテムを待っています。アイテムはまだ 1 個も追加されていません（Ctrl-C で中止）",
    );
    assert_says(
        put,
        "キュー「full」の空きを待っています。キューは満杯です（1 個中 1 個）。消費者がいません（Ctrl-C で中止）",
    );
    assert_says(
        join,
        "キュー「full」の 1 個の完了を待っています。処理中 0 個、待機中 1 個です。消費者がいません（Ctrl-C で中止）",
    );
    sandbox.run(&["rm", "--force", "-q", "new"]);
    sandbox.run(&["rm", "--force", "-q", "full"]);
    sandbox.assert_nothing_left();
}

/// Starts commands whose standard error goes to standard output.
fn start_scripts<const N: usize>(sandbox: &Sandbox, scripts: [&str; N]) -> [Running; N] {
    scripts.map(|script| {
        let mut command = sandbox.command("sh");
        command.args(["-c", &format!("exec qdemo {script} 2>&1")]);
        Running::start(command)
    })
}

both!(without_a_terminal_only_a_wait_that_may_be_a_mistake_has_a_notice, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "-q", "used", "a"]).assert_prints("");
    sandbox.run(&["get", "-q", "used"]).assert_prints("a\n");
    sandbox.run(&["put", "-q", "over", "a"]).assert_prints("");
    sandbox.run(&["close", "-q", "over"]).assert_prints("");
    sandbox.run(&["consumer", "-q", "over", "--", "true"]).assert_prints("");
    // These wait for longer than those that say something.
    let silent = start_scripts(
        &sandbox,
        [
            "get -q used",
            "consumer -q used --max 1 -- cat",
            "consumer -q over --follow --max 1 --format raw",
            "get -q new --quiet",
            "get -q new --timeout 1m",
            "consumer -q new --max 1 --quiet -- cat",
        ],
    );
    sandbox.wait_for_consumer();
    let [mut new, mut pool, mut over] = start_scripts(
        &sandbox,
        [
            "consumer -q new --max 1 --format raw",
            "consumer -q new --max 1 -- cat",
            "consumer -q over --max 1 --format raw",
        ],
    );
    let first = "qdemo: waiting for an item in `new`: none has been put yet";
    assert_eq!([new.line(), pool.line()], [first; 2]);
    assert_eq!(over.line(), "qdemo: the queue `over` has ended: waiting for new items");
    for (queue, items) in [("used", 2), ("over", 2), ("new", 5)] {
        let items = vec!["x"; items];
        sandbox.run(&[&["put", "-q", queue][..], &items].concat()).assert_prints("");
    }
    for command in silent.into_iter().chain([new, pool, over]) {
        command.end().assert_prints("x\n");
    }
    sandbox.assert_nothing_left();
});

both!(a_failed_item_is_named_with_the_last_line_of_its_command, |backend| {
    let sandbox = Sandbox::on(backend);
    let name = "x".repeat(100);
    sandbox.run(&["put", "a.png", "b.png", &name]).assert_prints("");
    sandbox.run(&["close"]).assert_prints("");
    let command =
        "printf 'reading\\n10%%\\r\\033[31mbad \\007 file\\033[0m\\n\\n' >&2; [ {} = a.png ]";
    let consumer = ["consumer", "--retries", "1", "--backoff", "1ms"];
    let outcome = sandbox.run(&[&consumer[..], &["--", "sh", "-c", command]].concat());
    assert_eq!(outcome.code(), Some(1));
    let raw = "reading\n10%\r\u{1b}[31mbad \u{7} file\u{1b}[0m\n\n";
    assert_eq!(outcome.stderr.matches(raw).count(), 5, "all output is passed on unchanged");
    let said = outcome.stderr.replace(raw, "");
    let short = format!("{}…", "x".repeat(59));
    let expected = format!(
        "qdemo: item 2 \"b.png\" failed after 2 tries: exit code 1: bad \\u{{7}} file\n\
         qdemo: item 3 \"{short}\" failed after 2 tries: exit code 1: bad \\u{{7}} file\n\
         qdemo: 1 done, 2 failed: `qdemo failed -q default` lists failed items\n"
    );
    assert_same(&expected, &said);
    // Without a summary the failures are still named, and in the user's language.
    sandbox.run(&["failed", "--retry"]).assert_prints("2 items are ready again\n");
    let mut consumer = sandbox.qdemo(&["consumer", "--quiet", "--", "sh", "-c", "kill -9 $$"]);
    consumer.env("QDEMO_LANG", "ja");
    let outcome = Running::start(consumer).end();
    assert_eq!(outcome.code(), Some(1));
    let expected = format!(
        "qdemo: アイテム 2 \"b.png\" が失敗しました: シグナル 9 で異常終了\n\
         qdemo: アイテム 3 \"{short}\" が失敗しました: シグナル 9 で異常終了\n"
    );
    assert_same(&expected, &outcome.stderr);
    sandbox.run(&["failed", "--drop"]);
    sandbox.assert_nothing_left();
});

// Server: only there the command to paste has a URL.
#[test]
fn the_summary_of_a_pool_has_a_command_to_paste() {
    crate::harness::Backend::Server.check(|backend| {
        let sandbox = Sandbox::on(backend);
        sandbox.run(&["put", "-q", "my jobs", "a"]).assert_prints("");
        let outcome = sandbox.script(
            "url=$QDEMO_SERVER; unset QDEMO_SERVER
             qdemo consumer -q 'my jobs' --max 1 --server $url -- false",
        );
        let said = outcome.stderr.lines().last().unwrap();
        let (_, pasted) = said.split_once('`').unwrap();
        let (pasted, _) = pasted.split_once('`').unwrap();
        assert!(pasted.starts_with("qdemo failed -q 'my jobs' --server "), "{pasted}");
        let listed = sandbox.script(&format!("unset QDEMO_SERVER; {pasted}"));
        listed.assert_prints("1\t1\texit code 1\ta\n");
        sandbox.run(&["rm", "--force", "-q", "my jobs"]);
        sandbox.assert_nothing_left();
    });
}

// Local: the screen does not depend on the place of the queue.
#[test]
fn a_pool_on_a_terminal_says_what_is_done_and_what_ctrl_c_leaves() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a", "b", "c"]).assert_prints("");
    let pool = ["consumer", "--max", "2", "--", "true"];
    let mut done = sandbox.on_terminal(&pool, Stdout::Terminal);
    assert_eq!(done.end().0, Some(0));
    assert_same("qdemo: 2 items are done", &done.screen());
    let pool = ["consumer", "--", "sh", "-c", "echo at work > mark; exec sleep 1000"];
    let mut interrupted = sandbox.on_terminal(&pool, Stdout::Terminal);
    wait_while(|| !sandbox.path("mark").exists());
    interrupted.signal(Signal::INT);
    assert_eq!(interrupted.end().0, None);
    assert_same(
        "qdemo: interrupted: 1 item in progress goes back into `default`; run the same command again \
         to go on",
        &interrupted.screen(),
    );
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
}

// Local: the screen does not depend on the place of the queue.
#[test]
fn ctrl_c_on_a_pool_says_where_the_failed_items_are() {
    let sandbox = Sandbox::new();
    let queue = |name: &str, command: &str, until: &str| {
        sandbox.run(&["put", "-q", name, "a", "b", "c"]).assert_prints("");
        let pool = ["consumer", "-q", name, "--", "sh", "-c", command];
        let mut pool = OnTerminal::start(sandbox.qdemo(&pool), Stdout::Terminal, 24, 150);
        pool.wait_until(|screen| screen.contains(until));
        if command.contains("mark") {
            wait_while(|| !sandbox.path("mark").exists());
        }
        pool.signal(Signal::INT);
        assert_eq!(pool.end().0, None);
        sandbox.run(&["rm", "--force", "-q", name]);
        let screen = pool.screen();
        let lines = screen.lines().filter(|line| !line.contains("failed: exit"));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_same(
        "qdemo: 1 done, 2 failed: `qdemo failed -q idle` lists failed items",
        &queue("idle", "[ {} = a ]", "item 3 \"c\" failed"),
    );
    assert_same(
        "qdemo: interrupted: 1 item in progress goes back into `busy`, where 1 more waits; run the same \
         command again to go on\n\
         qdemo: 0 done, 1 failed: `qdemo failed -q busy` lists failed items",
        &queue("busy", "[ {} = a ] && exit 1; echo > mark; exec sleep 1000", "item 1 \"a\" failed"),
    );
    sandbox.assert_nothing_left();
}

// Local: the text does not depend on the place of the queue.
#[test]
fn a_notice_begins_a_line_after_a_command_that_has_not_ended_its_last_line() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "say \"a\\\"", "b", "c"]).assert_prints("");
    sandbox.run(&["close"]).assert_prints("");
    let pool = ["consumer", "--", "sh", "-c", "printf 'no end' >&2; [ \"$1\" = c ]", "sh", "{}"];
    let outcome = sandbox.run(&pool);
    assert_same(
        "no end\n\
         qdemo: item 1 \"say \\\"a\\\\\\\"\" failed: exit code 1: no end\n\
         no end\n\
         qdemo: item 2 \"b\" failed: exit code 1: no end\n\
         no end\n\
         qdemo: 1 done, 2 failed: `qdemo failed -q default` lists failed items\n",
        &outcome.stderr,
    );
    // The progress on a terminal does not replace the text.
    sandbox.run(&["failed", "--retry"]).assert_prints("2 items are ready again\n");
    let mut terminal = sandbox.on_terminal(&pool, Stdout::Terminal);
    assert_eq!(terminal.end().0, Some(1));
    assert_eq!(terminal.screen().lines().filter(|line| *line == "no end").count(), 2);
    // Where qdemo says nothing, the text of the command is passed on as it is.
    sandbox.run(&["put", "-q", "done", "c"]).assert_prints("");
    let outcome =
        sandbox.run(&[&["consumer", "-q", "done", "--max", "1"][..], &pool[1..]].concat());
    assert_same("no end", &outcome.stderr);
    sandbox.run(&["rm", "--force"]);
    sandbox.run(&["rm", "--force", "-q", "done"]);
    sandbox.assert_nothing_left();
}

both!(the_log_line_of_an_item_that_comes_again_has_its_attempt, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "a", "b"]).assert_prints("");
    sandbox.run(&["close"]).assert_prints("");
    let mut first = sandbox.start(&["consumer", "--delay", "1h", "--max", "1"]);
    assert_eq!(first.line(), "消費者: a を取得しました");
    first.signal(Signal::KILL);
    sandbox.wait_for_notice_of_death(first.pid());
    first.end();
    sandbox.run(&["consumer", "--max", "1"]).assert_prints("消費者: a を取得しました（2 回目）\n");
    sandbox.run(&["consumer", "--lang", "en"]).assert_prints("consumer: got b\n");
    sandbox.assert_nothing_left();
});

#[test]
fn a_run_prints_statistics_only_when_asked_for() {
    let sandbox = Sandbox::new();
    let run = ["run", "--speed", "max", "--items", "1"];
    let mut plain = sandbox.on_terminal(&run, Stdout::Pipe);
    assert_eq!(plain.end().0, Some(0));
    assert_same("", &plain.screen());
    let asked = sandbox.run(&[&run[..], &["--stats", "--lang", "en"]].concat());
    assert!(asked.stderr.starts_with("statistics "), "{}", asked.stderr);
    assert!(asked.stderr.contains("L = λW          holds exactly"), "{}", asked.stderr);
    let mut cut = sandbox.start(&["run", "--producer-delay", "0", "--stats", "--lang", "en"]);
    while !cut.line().contains("got") {}
    cut.signal(Signal::INT);
    let stderr = cut.end().stderr;
    assert!(stderr.contains("L = λW          says nothing of this run: not every"), "{stderr}");
    sandbox.assert_nothing_left();
}

#[test]
fn status_without_queues_tells_a_person_so() {
    let sandbox = Sandbox::new();
    let mut once = sandbox.on_terminal(&["status"], Stdout::Pipe);
    assert_eq!(once.end(), (Some(0), String::new()));
    assert_eq!(once.screen(), "qdemo: there are no queues: `qdemo put` makes one");
    sandbox.run(&["status"]).assert_prints("");
    let args = ["status", "--watch", "--every", "20ms", "--lang", "ja"];
    let mut watch = sandbox.on_terminal(&args, Stdout::Terminal);
    watch.wait_until(|screen| screen == "キューはありません: `qdemo put` で作成できます");
    sandbox.run(&["put", "a"]).assert_prints("");
    watch.wait_until(|screen| screen.starts_with("default: "));
    watch.signal(Signal::INT);
    watch.end();
    sandbox.assert_nothing_left();
}

#[test]
fn the_progress_of_a_pool_that_has_had_no_item_is_empty() {
    let sandbox = Sandbox::new();
    let mut pool = sandbox.on_terminal(&["consumer", "--", "true"], Stdout::Terminal);
    pool.wait_until(|screen| screen.contains(&format!("[{}] 0/0", " ".repeat(20))));
    pool.signal(Signal::INT);
    assert_eq!(pool.end().0, None);
    sandbox.assert_nothing_left();
}
