//! `qdemo producer` and `qdemo consumer` as separate commands that share a queue by name.

use std::fs;

use rustix::process::Signal;

use crate::harness::{Backend, Sandbox, assert_same, wait_for_end};

both!(a_producer_without_a_consumer_leaves_its_items_and_prints_a_hint, |backend| {
    let sandbox = Sandbox::on(backend).in_japanese();
    let put = sandbox.run(&["producer", "--items", "2"]);
    assert_same(
        "生産者: アイテム0 を追加しました\n生産者: アイテム1 を追加しました\n",
        &put.text(),
    );
    assert_eq!(put.code(), Some(0));
    let notice = "生産者: 消費者がいないため、2 個のアイテムをキュー「default」に残しました。\
                  `qdemo consumer -q default` で取得できます\n";
    assert_same(notice, &put.stderr);
    let get = sandbox.run(&["consumer"]);
    get.assert_prints("消費者: アイテム0 を取得しました\n消費者: アイテム1 を取得しました\n");
    sandbox.assert_nothing_left();
});

both!(a_consumer_that_starts_first_waits_for_items, |backend| {
    let sandbox = Sandbox::on(backend);
    let mut consumer = sandbox.start_consumer(&["--lang", "en"]);
    let put = sandbox.run(&["producer", "--lang", "en", "--delay", "1ms", "a", "b"]);
    put.assert_prints("producer: added a\nproducer: added b\n");
    assert_eq!(consumer.line(), "consumer: got a");
    consumer.end().assert_prints("consumer: got b\n");
    sandbox.assert_nothing_left();
});

both!(a_producer_takes_items_from_arguments_a_count_or_standard_input, |backend| {
    let sandbox = Sandbox::on(backend);
    let raw = ["consumer", "--format", "raw"];
    sandbox.run(&["producer", "--quiet", "first", "second one"]);
    sandbox.run(&raw).assert_prints("first\nsecond one\n");
    sandbox.run(&["producer", "--quiet", "--items", "2", "--item-name", "part"]);
    sandbox.run(&raw).assert_prints("part0\npart1\n");
    sandbox.run_with_input(&["producer", "--quiet", "-"], "一\n\n three \\ \"x\"\nlast".as_bytes());
    sandbox.run(&raw).assert_prints("一\n\n three \\ \"x\"\nlast\n");
    sandbox.run_with_input(&["producer", "--quiet", "-"], b"");
    sandbox.run(&raw).assert_prints("");
});

both!(a_producer_puts_each_line_of_standard_input_at_once, |backend| {
    let sandbox = Sandbox::on(backend);
    let mut producer = sandbox.start(&["producer", "-"]);
    let mut consumer = sandbox.start(&["consumer"]);
    for item in ["one", "two", "three"] {
        producer.feed(&format!("{item}\n"));
        assert_eq!(producer.line(), format!("生産者: {item} を追加しました"));
        assert_eq!(consumer.line(), format!("消費者: {item} を取得しました"));
    }
    producer.end().assert_prints("");
    consumer.end().assert_prints("");
    sandbox.assert_nothing_left();
});

both!(json_events_of_producers_and_consumers_have_ids_and_attempts, |backend| {
    let sandbox = Sandbox::on(backend);
    let put = sandbox.run(&["producer", "--format", "json", "a\tb"]);
    let event: serde_json::Value = serde_json::from_str(&put.text()).unwrap();
    assert_eq!(event["event"], "put");
    assert_eq!(event["role"], "producer");
    assert_eq!(event["id"], 1);
    assert_eq!(event["item"], "a\tb");
    let get = sandbox.run(&["consumer", "--format", "json"]);
    let event: serde_json::Value = serde_json::from_str(&get.text()).unwrap();
    assert_eq!((&event["event"], &event["id"]), (&"get".into(), &1.into()));
    assert_eq!((&event["item"], &event["attempt"]), (&"a\tb".into(), &1.into()));
});

both!(option_or_environment_names_the_queue_and_queues_are_separate, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["producer", "--quiet", "-q", "a", "for a"]);
    sandbox.run(&["producer", "--quiet", "--queue", "キュー", "for キュー"]);
    let mut command = sandbox.qdemo(&["consumer", "--format", "raw"]);
    command.env("QDEMO_QUEUE", "a");
    crate::harness::Running::start(command).end().assert_prints("for a\n");
    sandbox.run(&["consumer", "--format", "raw", "-q", "キュー"]).assert_prints("for キュー\n");
    sandbox.assert_nothing_left();
});

// Local: a server has no folder.
#[test]
fn queues_are_in_the_state_folder_by_default() {
    let sandbox = Sandbox::new();
    for (variable, place) in [("XDG_STATE_HOME", "state/qdemo"), ("", "home/.local/state/qdemo")] {
        let mut command = sandbox.qdemo(&["producer", "--quiet", "x"]);
        command.env_remove("QDEMO_DIR");
        if !variable.is_empty() {
            command.env(variable, sandbox.path("state"));
        }
        assert_eq!(crate::harness::Running::start(command).end().code(), Some(0));
        let journal = sandbox.path(place).join("default/journal");
        assert!(journal.exists(), "{}", journal.display());
    }
    sandbox.assert_nothing_left();
}

both!(a_consumer_with_max_leaves_the_remaining_items_in_the_queue, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["producer", "--quiet", "a", "b", "c"]);
    let raw = ["consumer", "--format", "raw"];
    sandbox.run(&[&raw[..], &["--max", "2"]].concat()).assert_prints("a\nb\n");
    sandbox.run(&[&raw[..], &["--max", "0"]].concat()).assert_prints("");
    sandbox.run(&raw).assert_prints("c\n");
    sandbox.assert_nothing_left();
});

both!(a_consumer_with_follow_stays_when_the_queue_ends, |backend| {
    let sandbox = Sandbox::on(backend);
    let mut follower = sandbox.start_consumer(&["--follow", "--format", "raw"]);
    for item in ["first", "second"] {
        sandbox.run(&["producer", "--quiet", item]).assert_done();
        assert_eq!(follower.line(), item);
    }
    follower.signal(Signal::TERM);
    assert_eq!(follower.end().signal(), Some(15));
    sandbox.assert_nothing_left();
});

both!(a_producer_with_keep_open_does_not_end_the_queue, |backend| {
    let sandbox = Sandbox::on(backend);
    let mut consumer = sandbox.start_consumer(&["--format", "raw"]);
    sandbox.run(&["producer", "--quiet", "--keep-open", "a"]).assert_done();
    assert_eq!(consumer.line(), "a");
    sandbox.run(&["producer", "--quiet", "b"]).assert_done();
    consumer.end().assert_prints("b\n");
});

both!(a_queue_without_a_put_leaves_no_files, |backend| {
    let sandbox = Sandbox::on(backend);
    let consumer = sandbox.start(&["consumer", "--format", "raw"]);
    sandbox.run(&["producer", "--items", "0", "--keep-open"]).assert_done();
    consumer.signal(Signal::INT);
    assert_eq!(consumer.end().signal(), Some(2));
    sandbox.assert_nothing_left();
    sandbox.assert_no_queue();
});

both!(the_capacity_blocks_a_producer_and_cannot_be_changed, |backend| {
    let sandbox = Sandbox::on(backend);
    let args = ["producer", "--capacity", "2", "a", "b", "c", "d"];
    let mut producer = sandbox.start(&args);
    assert_eq!(producer.line(), "生産者: a を追加しました");
    assert_eq!(producer.line(), "生産者: b を追加しました");
    let other = sandbox.run(&["producer", "--capacity", "3", "x"]);
    other.assert_refused(1, &["capacity 2, not 3"]);
    // The delivery of `a` unblocks the put of `c`.
    let raw = ["consumer", "--format", "raw"];
    sandbox.run(&[&raw[..], &["--max", "1"]].concat()).assert_prints("a\n");
    assert_eq!(producer.line(), "生産者: c を追加しました");
    sandbox.run(&raw).assert_prints("b\nc\nd\n");
    producer.end().assert_prints("生産者: d を追加しました\n");
    sandbox.assert_nothing_left();
});

both!(items_of_a_killed_consumer_are_delivered_again_with_the_next_attempt, |backend| {
    let sandbox = Sandbox::on(backend);
    let mut first = sandbox.start(&["consumer", "--delay", "1h", "--format", "raw"]);
    sandbox.run(&["producer", "--quiet", "a", "b"]);
    assert_eq!(first.line(), "a");
    first.signal(Signal::KILL);
    sandbox.wait_for_notice_of_death(first.pid());
    assert_eq!(first.end().signal(), Some(9));
    let got = sandbox.run(&["consumer", "--format", "json"]);
    let got: Vec<serde_json::Value> =
        got.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&got[0]["item"], &got[0]["attempt"]), (&"a".into(), &2.into()));
    assert_eq!((&got[1]["item"], &got[1]["attempt"]), (&"b".into(), &1.into()));
    sandbox.assert_nothing_left();
});

both!(the_death_of_the_last_producer_ends_the_queue, |backend| {
    let sandbox = Sandbox::on(backend);
    let consumer = sandbox.start(&["consumer", "--format", "raw"]);
    let mut producer = sandbox.start(&["producer", "--delay", "1h", "a", "b"]);
    assert_eq!(producer.line(), "生産者: a を追加しました");
    producer.signal(Signal::KILL);
    consumer.end().assert_prints("a\n");
    sandbox.assert_nothing_left();
});

// Local: a server has no keepers.
#[test]
fn twenty_concurrent_commands_on_a_new_queue_share_one_keeper() {
    let sandbox = Sandbox::new();
    for round in 0..10 {
        let name = format!("many{round}");
        let args = |n: usize| {
            let item = format!("item {n}");
            ["producer", "--quiet", "--keep-open", "-q", &name, &item].map(str::to_owned)
        };
        let all: Vec<_> = (0..20).map(|n| sandbox.start(&args(n))).collect();
        // This producer stays connected, and so the keeper stays too.
        let mut stays = sandbox.start(&["producer", "-q", &name, "--format", "json", "-"]);
        stays.feed("stays\n");
        stays.line();
        for one in all {
            assert_eq!(one.end().code(), Some(0));
        }
        let keepers = sandbox.processes_of(&format!("qdemo keeper --queue {name}"));
        assert_eq!(keepers.len(), 1, "{keepers:#?}");
        stays.end();
        let got = sandbox.run(&["consumer", "-q", &name, "--format", "raw"]).lines();
        // The order of the items is arbitrary; each item is there once.
        assert_eq!(got.len(), 21, "{got:?}");
        for n in 0..20 {
            assert!(got.contains(&format!("item {n}")), "{n} in {got:?}");
        }
    }
    sandbox.assert_nothing_left();
}

/// In each round, three consumers and a producer end, and each item is delivered once and in order.
fn repeat_rounds(backend: Backend, rounds: usize) {
    let sandbox = Sandbox::on(backend);
    let script = r#"
        for round in 1 2 3 4 5; do
            qdemo consumer --format raw > one &
            qdemo consumer --format raw > two &
            qdemo consumer --format raw > three &
            qdemo producer --quiet 1 2 3 4 5 6 7 2> /dev/null
            wait
            for item in 1 2 3 4 5 6 7; do
                times=$(cat one two three | grep -cx $item)
                [ "$times" = 1 ] || { echo "round $round: $item came $times times"; exit 1; }
            done
            for one in one two three; do
                sort -nC $one || { echo "round $round: out of order"; cat $one; exit 1; }
            done
        done
    "#;
    // Each script has a time limit of its own.
    for _ in 0..rounds / 5 {
        sandbox.script(script).assert_prints("");
    }
    sandbox.assert_nothing_left();
}

both!(three_consumers_and_a_producer_end_in_every_round, |backend| {
    repeat_rounds(backend, 15);
});

both!(slow, three_consumers_and_a_producer_end_in_200_rounds, |backend| {
    repeat_rounds(backend, 200);
});

both!(a_consumer_born_before_the_end_learns_of_the_end_when_it_connects, |backend| {
    let sandbox = Sandbox::on(backend);
    // This process is born before the queue begins, and becomes a consumer after the queue's end.
    let mut late = sandbox.command("sh");
    late.args(["-c", "echo born; read go; exec qdemo consumer --format raw"]);
    let mut late = crate::harness::Running::start(late);
    assert_eq!(late.line(), "born");
    let consumer = sandbox.start(&["consumer", "--format", "raw"]);
    sandbox.run(&["producer", "--quiet", "a"]);
    consumer.end().assert_prints("a\n");
    sandbox.wait_for_keeper_to_go("default");
    // A consumer that is born after the end waits for new items; the late consumer does not.
    let new = sandbox.start(&["consumer", "--format", "raw"]);
    late.feed("go\n");
    late.end().assert_prints("");
    sandbox.run(&["producer", "--quiet", "b"]);
    new.end().assert_prints("b\n");
    sandbox.assert_nothing_left();
});

both!(a_sentinel_without_a_consumer_waits_without_a_keeper, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["producer", "--quiet", "a"]);
    let raw = ["consumer", "--format", "raw"];
    sandbox.run(&[&raw[..], &["--max", "1"]].concat()).assert_prints("a\n");
    sandbox.assert_nothing_left();
    sandbox.run(&raw).assert_prints("");
    // A producer that connects after a sentinel begins the queue anew.
    sandbox.run(&["producer", "--items", "0"]).assert_done();
    sandbox.assert_nothing_left();
    sandbox.run(&["producer", "--quiet", "--keep-open", "b"]);
    let mut waiting = sandbox.start(&raw);
    assert_eq!(waiting.line(), "b");
    sandbox.run(&["producer", "--quiet", "c"]).assert_done();
    waiting.end().assert_prints("c\n");
});

// Local: a server has no keepers.
#[test]
fn a_keeper_holds_no_descriptor_of_the_script_that_started_it() {
    let sandbox = Sandbox::new();
    let script = r#"
        exec 9> lock
        flock 9
        got=$(qdemo producer a 2> /dev/null)  # ends although the keeper lives on
        echo "$got"
        exec 9>&-
        flock --nonblock lock true && echo free
        qdemo consumer --quiet
    "#;
    sandbox.script(script).assert_prints("生産者: a を追加しました\nfree\n");
    sandbox.assert_nothing_left();
}

// Local: a server has no keepers.
#[test]
fn a_second_keeper_that_is_started_by_hand_changes_nothing() {
    let sandbox = Sandbox::new();
    let mut producer = sandbox.start(&["producer", "--format", "json", "-"]);
    producer.feed("a\n");
    producer.line();
    sandbox.run(&["keeper", "--queue", "default"]).assert_prints("ready\n");
    producer.end();
    sandbox.run(&["consumer", "--format", "raw"]).assert_prints("a\n");
    sandbox.assert_nothing_left();
}

// Local: a server has no keepers.
#[test]
fn a_keeper_exits_when_its_directory_is_removed() {
    let sandbox = Sandbox::new();
    let consumer = sandbox.start_consumer(&["--format", "raw"]);
    let keeper = sandbox.processes_of("qdemo keeper").remove(0);
    fs::remove_dir_all(sandbox.queue("default")).unwrap();
    wait_for_end(keeper.pid);
    consumer.end().assert_refused(1, &["the queue has been removed"]);
    sandbox.assert_nothing_left();
    assert!(!sandbox.queue("default").exists());
}

both!(the_command_in_a_producers_hint_can_be_pasted, |backend| {
    let sandbox = Sandbox::on(backend);
    for (name, quoted) in [("a b;c", "'a b;c'"), ("it's", r"'it'\''s'"), ("jobs.1", "jobs.1")] {
        let put = sandbox.run(&["producer", "--lang", "en", "-q", name, "x"]);
        let hint = format!("`qdemo consumer -q {quoted}` gets it\n");
        assert!(put.stderr.ends_with(&hint), "{}", put.stderr);
        let pasted = format!("qdemo consumer --format raw -q {quoted}");
        sandbox.script(&pasted).assert_prints("x\n");
    }
});

// Local: a server has no keepers.
#[test]
fn clients_carry_on_when_the_keeper_is_killed() {
    let sandbox = Sandbox::new();
    let mut consumer = sandbox.start(&["consumer"]);
    let mut producer = sandbox.start(&["producer", "-"]);
    for item in ["a", "b", "c"] {
        producer.feed(&format!("{item}\n"));
        assert_eq!(producer.line(), format!("生産者: {item} を追加しました"));
        assert_eq!(consumer.line(), format!("消費者: {item} を取得しました"));
        let keeper = sandbox.processes_of("qdemo keeper").remove(0);
        crate::harness::signal_to(keeper.pid, Signal::KILL);
        wait_for_end(keeper.pid);
    }
    producer.end().assert_done();
    consumer.end().assert_done();
    sandbox.assert_nothing_left();
}
