//! Commands that end early, and commands whose consumer ends. No item is lost, and no process stays.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Backend, Sandbox, assert_same, children_of, wait_for_end, wait_while};

both!(a_command_beyond_its_time_limit_is_ended_with_its_children, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "x"]).assert_prints("");
    let args =
        ["--max", "1", "--timeout-each", "200ms", "--", "sh", "-c", "sleep 1000 & sleep 1000"];
    let outcome = sandbox.run(&[&["consumer"][..], &args].concat());
    assert_eq!(outcome.code(), Some(1));
    let named = "item 1 \"x\" failed: took longer than --timeout-each (killed by signal 15)\n";
    assert!(outcome.stderr.contains(named), "{}", outcome.stderr);
    let failed = "1\t1\ttook longer than --timeout-each (killed by signal 15)\tx\n";
    sandbox.run(&["failed"]).assert_prints(failed);
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
});

// Local: what ends is the command, wherever its item came from.
#[test]
fn a_command_that_ignores_sigterm_at_its_time_limit_is_killed() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "x"]).assert_prints("");
    let stubborn = "trap 'echo no' TERM; while :; do sleep 0.05; done";
    let args = ["--max", "1", "--timeout-each", "100ms", "--", "bash", "-c", stubborn];
    let outcome = sandbox.run(&[&["consumer"][..], &args].concat());
    assert_eq!(outcome.text(), "no\n");
    // The shell itself prints `Terminated` for its child.
    assert!(outcome.stderr.contains("qdemo: 0 done, 1 failed: "), "{}", outcome.stderr);
    let failed = sandbox.run(&["failed"]).text();
    assert!(failed.contains("took longer than --timeout-each (killed by signal 9)"), "{failed}");
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
}

both!(halt_stops_at_the_first_failure_and_requeues_items_in_flight, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "slow", "bad", "never"]).assert_prints("");
    let command = "case {} in slow) sleep 1000;; bad) exit 1;; *) echo {};; esac";
    let outcome = sandbox.run(&["consumer", "-j", "2", "--halt", "--", "sh", "-c", command]);
    assert_eq!(outcome.code(), Some(1));
    let failed = sandbox.run(&["failed"]);
    failed.assert_prints("2\t1\texit code 1\tbad\n");
    let left = sandbox.run(&["peek", "--count", "9", "--format", "json"]).text();
    assert_same(
        "{\"id\":1,\"item\":\"slow\",\"attempt\":2}\n{\"id\":3,\"item\":\"never\",\"attempt\":1}\n",
        &left,
    );
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
});

both!(a_consumer_does_not_wait_for_background_children_of_a_command, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "x"]).assert_prints("");
    let command = "sleep 1000 & echo $!";
    let outcome = sandbox.run(&["consumer", "--max", "1", "--", "sh", "-c", command]);
    assert_eq!(outcome.code(), Some(0));
    let pid = outcome.lines()[0].parse().unwrap();
    crate::harness::signal_to(pid, Signal::KILL);
    wait_for_end(pid);
    sandbox.assert_nothing_left();
});

both!(ctrl_c_ends_the_commands_and_requeues_their_items, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "a", "b", "c"]).assert_prints("");
    let command = "echo started > started-{}; sleep 1000";
    let consumer = sandbox.start(&["consumer", "-j", "2", "--", "sh", "-c", command]);
    wait_for_commands(&sandbox, 2);
    consumer.signal(Signal::INT);
    let outcome = consumer.end();
    assert_eq!(outcome.signal(), Some(2));
    assert_same(
        "qdemo: interrupted: 2 items in progress go back into `default`, where 1 more waits; run the \
         same command again to go on\n",
        &outcome.stderr,
    );
    let lines = sandbox.run(&["peek", "--count", "9", "--format", "json"]).lines();
    let expected: Vec<_> = [("a", 2), ("b", 2), ("c", 1)]
        .iter()
        .zip(1..)
        .map(|((item, attempt), id)| {
            format!("{{\"id\":{id},\"item\":\"{item}\",\"attempt\":{attempt}}}")
        })
        .collect();
    assert_eq!(lines, expected);
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
});

/// Waits until `count` processes `sleep 1000` run. Only the list of processes shows their start.
fn wait_for_commands(sandbox: &Sandbox, count: usize) {
    while sandbox.processes_of("sleep 1000").len() < count {
        std::thread::yield_now();
    }
}

both!(no_command_outlives_its_killed_consumer, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "a", "b", "c"]).assert_prints("");
    let consumer = sandbox.start(&["consumer", "-j", "3", "--", "sh", "-c", "sleep 1000 & wait"]);
    wait_for_commands(&sandbox, 3);
    consumer.signal(Signal::KILL);
    for command in sandbox.processes_of("sleep 1000") {
        wait_for_end(command.pid);
    }
    sandbox.wait_for_notice_of_death(consumer.pid());
    consumer.end();
    let status = sandbox.status_text(&[]);
    assert!(status.starts_with("default: 3 ready, 0 in flight, 0 done, 0 failed"), "{status}");
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
});

both!(an_item_is_done_only_after_its_output_is_written, |backend| {
    let sandbox = Sandbox::on(backend);
    let script = "seq 100 | qdemo put -; qdemo consumer -- seq {} | head -1; echo ${PIPESTATUS[0]}";
    let outcome = sandbox.script(script);
    // 128 + SIGPIPE.
    assert_eq!(outcome.lines(), ["1", "141"]);
    let status = sandbox.run(&["status", "-q", "default", "--format", "json"]).text();
    let status: Value = serde_json::from_str(&status).unwrap();
    let (in_line, done) = (status["ready"].as_u64().unwrap(), status["done"].as_u64().unwrap());
    assert!(in_line > 0 && in_line + done == 100, "{status}");
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
});

both!(an_item_is_done_while_another_command_runs_and_no_item_is_wanted, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "quick", "slow"]).assert_prints("");
    let script = "[ {} = quick ] || exec sleep 1000";
    let consumer = sandbox.start(&["consumer", "-j", "2", "--max", "2", "--", "sh", "-c", script]);
    sandbox.wait_for_status(|status| status["in_flight"] == 1 && status["done"] == 1);
    consumer.signal(Signal::TERM);
    assert_eq!(consumer.end().signal(), Some(15));
    sandbox.run(&["rm", "--force"]).assert_prints("removed 1 item\n");
    sandbox.assert_nothing_left();
});

both!(the_item_of_a_killed_consumer_goes_to_another_with_attempt_two, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "x"]).assert_prints("");
    let first = sandbox.start(&["consumer", "--", "sleep", "1000"]);
    wait_for_commands(&sandbox, 1);
    let second =
        sandbox.start(&["consumer", "--max", "1", "--", "sh", "-c", "echo $QDEMO_ATTEMPT"]);
    first.signal(Signal::KILL);
    first.end();
    second.end().assert_prints("2\n");
    sandbox.assert_nothing_left();
});

/// Kills consumers at random moments. Every item is done.
fn kill_consumers(backend: Backend, rounds: usize) {
    let sandbox = Sandbox::on(backend);
    let items = rounds * 5;
    let input: String = (1..=items).map(|n| format!("{n}\n")).collect();
    sandbox.run_with_input(&["put", "-"], input.as_bytes()).assert_prints("");
    let args = ["consumer", "--quiet", "--max-attempts", "0", "--"];
    let command = ["sh", "-c", "echo {} $QDEMO_ATTEMPT >> done; echo"];
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..rounds {
        let mut consumer = sandbox.start(&[&args[..], &command].concat());
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // The kill comes after a few items and in the middle of the next item.
        for _ in 0..random % 4 {
            consumer.line();
        }
        for _ in 0..random % 3 {
            children_of(consumer.pid());
        }
        consumer.signal(Signal::KILL);
        consumer.end();
    }
    sandbox.run(&["close"]).assert_prints("");
    let last = sandbox.run(&[&args[..], &command].concat());
    assert_eq!(last.code(), Some(0), "{}", last.stderr);
    let done = fs::read_to_string(sandbox.path("done")).unwrap();
    let done: Vec<(usize, u32)> = done
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(item, attempt)| (item.parse().unwrap(), attempt.parse().unwrap()))
        .collect();
    for item in 1..=items {
        assert!(done.iter().any(|(done, _)| *done == item), "item {item} is lost");
    }
    assert!(done.len() <= items + rounds, "an item of a live consumer was done again");
    assert!(done.iter().any(|(_, attempt)| *attempt > 1), "no consumer held an item at its death");
    let status = sandbox.status_text(&[]);
    assert!(status.contains(&format!("0 ready, 0 in flight, {items} done, 0 failed")), "{status}");
    sandbox.assert_nothing_left();
}

both!(every_item_is_done_although_consumers_are_killed_at_random, |backend| {
    kill_consumers(backend, 15);
});

both!(slow, every_item_is_done_in_200_rounds_of_killed_consumers, |backend| {
    kill_consumers(backend, 200);
});

// Local: what waits is the command, wherever its item came from.
#[test]
fn a_slow_reader_of_one_command_does_not_time_out_another() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "quick", "large"]).assert_prints("");
    // No process reads the output of `large` until well after the time limit of `quick`.
    let script = r#"
        mkfifo gate
        qdemo consumer -j 2 --max 2 --timeout-each 2s -- bash -c \
            'if [ {} = large ]; then head -c 300000 /dev/zero; echo > gate; else read < gate; sleep 0.2; fi' |
            { head -c 1 > /dev/null; sleep 2.5; wc -c > size; }
        echo "${PIPESTATUS[0]}"
        qdemo failed
    "#;
    let outcome = sandbox.script(script);
    assert_eq!(outcome.text(), "0\n", "{outcome:?}");
    sandbox.assert_nothing_left();
}

// Local: what ends is the command, wherever its item came from.
#[test]
fn a_command_without_its_environment_ends_with_its_killed_consumer() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "first", "stays", "last"]).assert_prints("");
    let script = "case {} in stays) exec env -u QDEMO_GUARD sleep 1000;; *) echo {};; esac";
    let mut consumer = sandbox.start(&["consumer", "-j", "2", "--", "sh", "-c", script]);
    // The guard knows `stays` before `last` begins in the place of `first`.
    assert_eq!((consumer.line(), consumer.line()), ("first".to_owned(), "last".to_owned()));
    wait_for_commands(&sandbox, 1);
    let left = sandbox.processes_of("sleep 1000");
    sandbox.wait_for_status(|status| status["done"] == 2);
    consumer.signal(Signal::KILL);
    wait_for_end(left[0].pid);
    consumer.end();
    sandbox.run(&["rm", "--force"]).assert_prints("removed 1 item\n");
    sandbox.assert_nothing_left();
}

// Local: what ends is the command, wherever its item came from.
#[test]
fn a_command_that_starts_as_its_consumer_is_killed_ends_too() {
    let sandbox = Sandbox::new();
    let items: String = (1..=30).map(|n| format!("{n}\n")).collect();
    sandbox.run_with_input(&["put", "-"], items.as_bytes()).assert_prints("");
    for round in 0..20 {
        let args = ["consumer", "-j", "10", "--max-attempts", "0", "--", "sleep", "1000"];
        let consumer = sandbox.start(&args);
        // The kill comes when zero to three of the ten commands run.
        wait_while(|| sandbox.processes_of("sleep 1000").len() < round % 4);
        consumer.signal(Signal::KILL);
        consumer.end();
        for left in sandbox.processes() {
            if !left.args.starts_with("qdemo keeper") {
                wait_for_end(left.pid);
            }
        }
    }
    sandbox.run(&["rm", "--force"]).assert_prints("removed 30 items\n");
    sandbox.assert_nothing_left();
}

both!(a_queue_that_a_command_has_created_outlives_its_consumer, |backend| {
    let sandbox = Sandbox::on(backend);
    sandbox.run(&["put", "x"]).assert_prints("");
    let command = "qdemo put -q other y; echo put; sleep 1000";
    let mut consumer = sandbox.start(&["consumer", "--format", "json", "--", "sh", "-c", command]);
    wait_for_commands(&sandbox, 1);
    consumer.signal(Signal::KILL);
    consumer.stop_reading();
    consumer.end();
    sandbox.run(&["get", "-q", "other"]).assert_prints("y\n");
    sandbox.run(&["rm", "--force"]).assert_prints("removed 1 item\n");
    sandbox.assert_nothing_left();
});

both!(an_item_whose_command_ends_slowly_goes_back_without_a_delivery_failure, |backend| {
    let command =
        "trap 'sleep 2; exit 1' TERM; qdemo put -q started x; while :; do sleep 0.01; done";
    let command = format!("if [ {{}} = bad ]; then qdemo get -q go; exit 1; fi; {command}");
    for is_halt in [true, false] {
        let sandbox = Sandbox::on(backend);
        sandbox.run(&["put", "slow", "bad"]).assert_prints("");
        let args = ["consumer", "-j", "2", "--lease", "600ms", "--max-attempts", "1", "--halt"];
        let consumer = sandbox.start(&[&args[..], &["--", "sh", "-c", &command]].concat());
        sandbox.run(&["get", "-q", "started"]).assert_prints("x\n");
        if is_halt {
            sandbox.run(&["put", "-q", "go", "fail"]).assert_prints("");
        } else {
            consumer.signal(Signal::TERM);
        }
        let outcome = consumer.end();
        assert!(!outcome.stderr.contains("too late"), "{}", outcome.stderr);
        let status = sandbox.status();
        assert_eq!(status["failed"], u64::from(is_halt), "{status}");
        let items = if is_halt { "slow\n" } else { "slow\nbad\n" };
        assert_eq!(sandbox.run(&["get", "--count", "9", "--timeout", "0"]).text(), items);
        sandbox.assert_nothing_left();
    }
});
