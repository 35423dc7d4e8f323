//! Items whose lease runs out, and items that kill their consumers.

use rustix::process::Signal;

use crate::harness::{Running, Sandbox, signal_to, wait_for_end};

/// A command that reports its attempt, and works until a test says so.
const HELD: &str = "qdemo put -q started $QDEMO_ATTEMPT; qdemo get -q go 2>/dev/null";

/// A consumer of one item with this lease, whose command has started.
fn start_holder(sandbox: &Sandbox, lease: &str) -> Running {
    sandbox.run(&["put", "x"]).assert_prints("");
    let args = ["consumer", "--max", "1", "--lease", lease, "--", "sh", "-c", HELD];
    let holder = sandbox.start(&args);
    sandbox.run(&["get", "-q", "started"]).assert_prints("1\n");
    holder
}

both!(a_lease_is_renewed_while_its_command_lives, |backend| {
    let sandbox = Sandbox::on(backend);
    let holder = start_holder(&sandbox, "1s");
    // Three leases.
    sandbox.run(&["get", "--timeout", "3s"]).assert_refused(3, &["empty"]);
    sandbox.run(&["put", "-q", "go", "on"]).assert_prints("");
    holder.end().assert_prints("on\n");
    assert_eq!(sandbox.status()["done"], 1);
    sandbox.assert_nothing_left();
});

both!(an_item_of_a_frozen_consumer_goes_to_another_and_the_late_one_is_told, |backend| {
    let sandbox = Sandbox::on(backend);
    let holder = start_holder(&sandbox, "100ms");
    holder.signal(Signal::STOP);
    let got = sandbox.run(&["get", "--timeout", "30s", "--format", "json"]);
    got.assert_prints("{\"id\":1,\"item\":\"x\",\"attempt\":2}\n");
    holder.signal(Signal::CONT);
    sandbox.run(&["put", "-q", "go", "on"]).assert_prints("");
    let outcome = holder.end();
    assert_eq!((outcome.text().as_str(), outcome.code()), ("on\n", Some(0)));
    assert_eq!(
        outcome.stderr,
        "qdemo: item 1 came too late: its lease had run out, and it went back into the queue\n"
    );
    sandbox.assert_nothing_left();
});

both!(a_lease_is_renewed_between_two_tries, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "x"]).assert_prints("");
    let args = ["consumer", "--max", "1", "--lease", "600ms", "--retries", "1"];
    let command = [
        "--backoff",
        "2s,jitter=0%",
        "--",
        "sh",
        "-c",
        "echo $QDEMO_ATTEMPT; exit $((QDEMO_ATTEMPT < 2))",
    ];
    sandbox.run(&[&args[..], &command].concat()).assert_prints("1\n2\n");
    assert_eq!(sandbox.status()["done"], 1);
    sandbox.assert_nothing_left();
});

both!(a_command_that_is_stopped_keeps_its_lease, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "x"]).assert_prints("");
    let command = "qdemo put -q started $$; kill -STOP $$; echo $QDEMO_ATTEMPT";
    let args = ["consumer", "--max", "1", "--lease", "900ms", "--", "sh", "-c", command];
    let holder = sandbox.start(&args);
    let pid = sandbox.run(&["get", "-q", "started"]).text().trim().parse().unwrap();
    sandbox.run(&["get", "--timeout", "2500ms"]).assert_refused(3, &["empty"]);
    signal_to(pid, Signal::CONT);
    let outcome = holder.end();
    assert_eq!((outcome.text().as_str(), outcome.code()), ("1\n", Some(0)));
    sandbox.assert_nothing_left();
});

#[test]
fn a_renewed_lease_survives_its_keeper_and_goes_on() {
    let sandbox = Sandbox::new();
    let kill_keeper = || {
        for keeper in sandbox.processes_of("qdemo keeper --queue default") {
            signal_to(keeper.pid, Signal::KILL);
            wait_for_end(keeper.pid);
        }
    };
    let holder = start_holder(&sandbox, "2s");
    kill_keeper();
    sandbox.run(&["get", "--timeout", "2500ms"]).assert_refused(3, &["empty"]);
    holder.signal(Signal::STOP);
    kill_keeper();
    // The lease of the delivery would be over by now. The last renewal was less than a second ago.
    sandbox.run(&["get", "--no-wait"]).assert_refused(3, &["empty"]);
    let got = sandbox.run(&["get", "--timeout", "30s", "--format", "json"]);
    got.assert_prints("{\"id\":1,\"item\":\"x\",\"attempt\":2}\n");
    holder.signal(Signal::CONT);
    sandbox.run(&["put", "-q", "go", "on"]).assert_prints("");
    assert!(holder.end().stderr.contains("item 1 came too late"));
    sandbox.assert_nothing_left();
}

both!(a_lease_is_renewed_while_nobody_reads_the_output, |backend| {
    for options in [&[][..], &["--live"], &["--keep-order", "--tag"], &["--format", "json"]] {
        let sandbox = Sandbox::on(backend);
        sandbox.run(&["put", "x", "y"]).assert_prints("");
        let command = "qdemo put -q started {}; head -c 300000 /dev/zero | tr '\\0' '\\n'";
        let args = ["consumer", "-j", "2", "--max", "2", "--lease", "900ms"];
        let command = ["--", "sh", "-c", command];
        let consumer = sandbox.start(&[&args[..], options, &command].concat());
        sandbox.run(&["get", "-q", "started", "--count", "2"]).assert_done();
        // Three leases.
        sandbox.run(&["get", "--timeout", "2700ms"]).assert_refused(3, &["empty"]);
        consumer.end().assert_done();
        assert_eq!(sandbox.status()["done"], 2);
        sandbox.assert_nothing_left();
    }
});

both!(an_item_without_a_lease_stays_with_its_live_consumer, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "x"]).assert_prints("");
    let mut slow = sandbox.start(&["consumer", "--delay", "1h", "--format", "raw"]);
    assert_eq!(slow.line(), "x");
    sandbox.run(&["get", "--timeout", "300ms"]).assert_refused(3, &["empty"]);
    slow.signal(Signal::KILL);
    slow.end();
    sandbox.run(&["get"]).assert_prints("x\n");
    sandbox.assert_nothing_left();
});

both!(an_item_that_killed_three_consumers_fails_and_other_items_go_on, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "poison", "good"]).assert_prints("");
    for attempt in 1..=3 {
        let args = ["consumer", "--max-attempts", "3", "--delay", "1h", "--format", "json"];
        let mut victim = sandbox.start(&args);
        assert!(victim.line().contains(&format!(r#""item":"poison","attempt":{attempt}"#)));
        victim.signal(Signal::KILL);
        sandbox.wait_for_notice_of_death(victim.pid());
        victim.end();
    }
    sandbox.run(&["get"]).assert_prints("good\n");
    let failed = "1\t3\t3 consumers died of it, or held it for longer than their lease\tpoison\n";
    sandbox.run(&["failed"]).assert_prints(failed);
    sandbox.run(&["failed", "--format", "json", "--drop"]).assert_refused(2, &["cannot be used"]);
    sandbox.run(&["failed", "--drop", "1"]).assert_prints("dropped 1 item\n");
    sandbox.assert_nothing_left();
});

both!(five_deaths_fail_an_item_by_default_and_leaving_is_no_death, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "x"]).assert_prints("");
    let end_with = |signal| {
        let mut consumer = sandbox.start(&["consumer", "--delay", "1h", "--format", "raw"]);
        assert_eq!(consumer.line(), "x");
        consumer.signal(signal);
        let pid = consumer.pid();
        consumer.end();
        sandbox.wait_for_notice_of_death(pid);
    };
    (0..6).for_each(|_| end_with(Signal::TERM));
    (0..5).for_each(|_| end_with(Signal::KILL));
    sandbox.run(&["get", "--no-wait"]).assert_refused(3, &["empty"]);
    let failed = sandbox.run(&["failed"]).text();
    assert!(failed.starts_with("1\t11\t5 consumers"), "{failed}");
    sandbox.run(&["failed", "--retry"]).assert_prints("1 item is ready again\n");
    sandbox.run(&["get"]).assert_prints("x\n");
    sandbox.assert_nothing_left();
});

both!(a_late_result_does_not_count_for_the_next_attempt_of_its_consumer, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "x"]).assert_prints("");
    // The first attempt ends after its lease, while the second attempt of the same consumer runs.
    let command = "qdemo put -q started $QDEMO_ATTEMPT; qdemo get -q go-$QDEMO_ATTEMPT 2>/dev/null; exit $((9 * (QDEMO_ATTEMPT < 2)))";
    let args = ["consumer", "--lease", "2s", "--max", "2", "-j", "2", "--", "sh", "-c", command];
    let consumer = sandbox.start(&args);
    sandbox.run(&["get", "-q", "started"]).assert_prints("1\n");
    let waits_for = |reason: &'static str| {
        sandbox.wait_for_status(|status| {
            status["consumers"][0]["waits_for"].as_str().unwrap_or("") == reason
        });
    };
    waits_for("item");
    consumer.signal(Signal::STOP);
    waits_for("");
    consumer.signal(Signal::CONT);
    sandbox.run(&["get", "-q", "started"]).assert_prints("2\n");
    sandbox.run(&["put", "-q", "go-1", "first"]).assert_prints("");
    sandbox.run(&["put", "-q", "go-2", "second"]).assert_prints("");
    let outcome = consumer.end();
    assert_eq!(outcome.code(), Some(0), "{outcome:?}");
    let late = |line: &&str| line.contains("item 1 came too late: its lease had run out");
    assert_eq!(outcome.stderr.lines().filter(late).count(), 1, "{outcome:?}");
    sandbox.run(&["failed"]).assert_prints("");
    assert_eq!(sandbox.status()["done"], 1);
    sandbox.assert_nothing_left();
});

/// Stops a consumer until its items, so many, have gone to other consumers.
fn take_items(sandbox: &Sandbox, consumer: &Running, count: usize) {
    consumer.signal(Signal::STOP);
    for _ in 0..count {
        assert_eq!(sandbox.run(&["get", "--timeout", "30s"]).code(), Some(0));
    }
    consumer.signal(Signal::CONT);
}

fn late(id: u64) -> String {
    format!("item {id} came too late: its lease had run out, and it went back into the queue\n")
}

both!(a_late_item_that_no_command_can_get_does_not_fail_in_kept_order, |backend| {
    let sandbox = Sandbox::on(backend);
    let items = "(echo slow; head -c 200000 /dev/zero | tr '\\0' x; echo) | qdemo put -";
    sandbox.script(items).assert_prints("");
    let args = ["consumer", "--keep-order", "-j", "2", "--max", "2", "--lease", "1s"];
    let consumer = sandbox.start(&[&args[..], &["--", "sh", "-c", HELD, "sh", "{}"]].concat());
    sandbox.run(&["get", "-q", "started"]).assert_prints("1\n");
    take_items(&sandbox, &consumer, 2);
    consumer.wait_until_told(&late(2));
    sandbox.run(&["put", "-q", "go", "on"]).assert_prints("");
    let outcome = consumer.end();
    assert_eq!((outcome.text().as_str(), outcome.code()), ("on\n", Some(0)));
    assert_eq!(outcome.stderr, format!("qdemo: {}qdemo: {}", late(1), late(2)));
    sandbox.assert_nothing_left();
});

both!(what_has_waited_in_order_for_a_late_retry_is_printed_at_once, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "retry", "held", "slow"]).assert_prints("");
    let command = "echo {}; case {} in
        retry) exit 1;;
        slow) qdemo put -q started 1; qdemo get -q go > got;;
        esac";
    let args = ["consumer", "--keep-order", "--max", "3", "--lease", "1s", "--retries", "1"];
    let more = ["--backoff", "1h", "--", "sh", "-c", command];
    let mut consumer = sandbox.start(&[&args[..], &more].concat());
    assert_eq!(consumer.line(), "retry");
    sandbox.run(&["get", "-q", "started"]).assert_prints("1\n");
    take_items(&sandbox, &consumer, 3);
    assert_eq!(consumer.line(), "held");
    sandbox.run(&["put", "-q", "go", "on"]).assert_prints("");
    let outcome = consumer.end();
    assert_eq!((outcome.text().as_str(), outcome.code()), ("slow\n", Some(0)));
    assert!((1..=3).all(|id| outcome.stderr.matches(&late(id)).count() == 1), "{outcome:?}");
    sandbox.assert_nothing_left();
});

both!(a_late_failure_that_waits_in_order_does_not_count_for_a_halt, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "slow", "bad", "mark"]).assert_prints("");
    let command = "case {} in
        bad*) exit 1;;
        mark*) qdemo put -q started {}; qdemo get -q go-{} > got;;
        slow) qdemo get -q go-slow > got;;
        esac";
    let args = ["consumer", "--keep-order", "-j", "2", "--max", "5", "--lease", "1s"];
    let more = ["--halt", "now,fail=2", "--", "sh", "-c", command];
    let consumer = sandbox.start(&[&args[..], &more].concat());
    sandbox.run(&["get", "-q", "started"]).assert_prints("mark\n");
    take_items(&sandbox, &consumer, 3);
    (1..=3).for_each(|id| consumer.wait_until_told(&late(id)));
    sandbox.run(&["put", "bad2", "mark2"]).assert_prints("");
    sandbox.run(&["put", "-q", "go-mark", "on"]).assert_prints("");
    sandbox.run(&["get", "-q", "started", "--timeout", "20s"]).assert_prints("mark2\n");
    sandbox.run(&["put", "-q", "go-mark2", "on"]).assert_prints("");
    sandbox.run(&["put", "-q", "go-slow", "on"]).assert_prints("");
    let outcome = consumer.end();
    assert_eq!(outcome.code(), Some(1), "{outcome:?}");
    assert!(!outcome.stderr.contains("--halt"), "{outcome:?}");
    sandbox.run(&["failed", "--drop"]).assert_prints("dropped 1 item\n");
    sandbox.assert_nothing_left();
});
