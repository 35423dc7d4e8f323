//! Items that are held for too long, or that kill whoever has them.

use rustix::process::Signal;

use crate::harness::Sandbox;

#[test]
fn an_item_of_a_stuck_consumer_goes_to_another_and_its_done_comes_too_late() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "x"]).assert_prints("");
    // It works until it is told to go on, for longer than its lease.
    let script = r#"
        mkfifo go
        qdemo consumer --max 1 --lease 100ms -- sh -c 'echo first $QDEMO_ATTEMPT; cat go' &
        until qdemo status -q default --format json | grep -q '"out":1'; do :; done
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
        "qdemo: item 1 came too late: its lease had run out, and it went back in line\n"
    );
    sandbox.assert_nothing_left();
}

#[test]
fn without_a_lease_an_item_stays_with_whoever_lives() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "x"]).assert_prints("");
    let mut slow = sandbox.start(&["consumer", "--delay", "1h", "--format", "raw"]);
    assert_eq!(slow.line(), "x");
    sandbox.run(&["get", "--timeout", "300ms"]).assert_refused(3, &["empty"]);
    slow.signal(Signal::KILL);
    slow.end();
    sandbox.run(&["get"]).assert_prints("x\n");
    sandbox.assert_nothing_left();
}

#[test]
fn an_item_that_killed_so_many_is_put_aside_and_the_others_go_on() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "poison", "good"]).assert_prints("");
    for attempt in 1..=3 {
        let args = ["consumer", "--max-attempts", "3", "--delay", "1h", "--format", "json"];
        let mut victim = sandbox.start(&args);
        assert!(victim.line().contains(&format!(r#""item":"poison","attempt":{attempt}"#)));
        victim.signal(Signal::KILL);
        victim.end();
    }
    sandbox.run(&["get"]).assert_prints("good\n");
    let failed = "1\t3\t3 consumers died of it, or held it for longer than their lease\tpoison\n";
    sandbox.run(&["failed"]).assert_prints(failed);
    sandbox.run(&["failed", "--format", "json", "--drop"]).assert_refused(2, &["cannot be used"]);
    sandbox.run(&["failed", "--drop", "1"]).assert_prints("dropped 1 item\n");
    sandbox.assert_nothing_left();
}

#[test]
fn five_deaths_are_enough_when_nothing_is_said_and_going_is_no_death() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "x"]).assert_prints("");
    let end_with = |signal| {
        let mut consumer = sandbox.start(&["consumer", "--delay", "1h", "--format", "raw"]);
        assert_eq!(consumer.line(), "x");
        consumer.signal(signal);
        consumer.end();
    };
    (0..6).for_each(|_| end_with(Signal::TERM));
    (0..5).for_each(|_| end_with(Signal::KILL));
    sandbox.run(&["get", "--no-wait"]).assert_refused(3, &["empty"]);
    let failed = sandbox.run(&["failed"]).text();
    assert!(failed.starts_with("1\t11\t5 consumers"), "{failed}");
    sandbox.run(&["failed", "--retry"]).assert_prints("1 item back in line\n");
    sandbox.run(&["get"]).assert_prints("x\n");
    sandbox.assert_nothing_left();
}

#[test]
fn what_comes_too_late_is_not_taken_for_the_next_attempt_of_the_same_consumer() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "x"]).assert_prints("");
    // The first attempt ends after its lease, and while the second one of the same consumer runs.
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
    assert_eq!(lines[1], "default: 0 in line, 0 out, 1 done, 0 failed");
    outcome.assert_one_line_of_error(&["item 1 came too late: its lease had run out"]);
    sandbox.assert_nothing_left();
}
