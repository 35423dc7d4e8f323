//! Items whose lease runs out, and items that kill their consumers.

use rustix::process::Signal;

use crate::harness::Sandbox;

both!(an_item_of_a_stuck_consumer_goes_to_another_and_the_late_done_is_reported, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "x"]).assert_prints("");
    // The command works for longer than its lease, until the script writes to `go`.
    let script = r#"
        mkfifo got go
        qdemo consumer --max 1 --lease 100ms -- sh -c 'echo first $QDEMO_ATTEMPT; echo > got; cat go' &
        read -r < got
        qdemo get --timeout 30s --format json    # waits until the lease has run out
        echo > go
        wait $!
        echo "code $?"
    "#;
    let outcome = sandbox.script(script);
    assert_eq!(
        outcome.lines(),
        ["{\"id\":1,\"item\":\"x\",\"attempt\":2}", "first 1", "", "code 0"]
    );
    assert_eq!(
        outcome.stderr,
        "qdemo: item 1 came too late: its lease had run out, and it went back into the queue\n"
    );
    sandbox.assert_nothing_left();
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
    let script = r#"
        mkfifo second
        qdemo consumer --lease 1s --max 2 -j 2 -- bash -c '
            if [ $QDEMO_ATTEMPT = 1 ]; then read -r < second; exit 9; fi
            echo > second'
        echo "code $?"
        qdemo failed
        qdemo status
    "#;
    let outcome = sandbox.script(script);
    let lines = outcome.lines();
    assert_eq!(lines[0], "code 0", "{outcome:?}");
    assert_eq!(lines[lines.len() - 1], "default: 0 ready, 0 in flight, 1 done, 0 failed");
    let errors: Vec<_> = outcome.stderr.lines().collect();
    let late = "qdemo: item 1 came too late: its lease had run out";
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert_eq!(errors[0], "qdemo: item 1 \"x\" failed: exit code 9");
    assert!(errors[1].starts_with(late), "{errors:?}");
    sandbox.assert_nothing_left();
});
