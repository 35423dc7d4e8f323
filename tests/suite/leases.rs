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
