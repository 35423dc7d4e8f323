//! The output of commands: line by line, with tags, in order, and however much there is.

use std::fs;

use rustix::process::Signal;

use crate::harness::{Running, Sandbox, assert_same};
use crate::terminal::Stdout;

/// Puts items, and closes the queue.
fn put(sandbox: &Sandbox, items: &[&str]) {
    sandbox.run(&[&["put"][..], items].concat()).assert_prints("");
    sandbox.run(&["close"]).assert_prints("");
}

/// The consumer with these options and this shell script as its command.
fn consume<'a>(options: &[&'a str], script: &'a str) -> Vec<&'a str> {
    [&["consumer"][..], options, &["--", "sh", "-c", script]].concat()
}

fn make_gates(sandbox: &Sandbox, names: &str) {
    sandbox.script(&format!("mkfifo {names}")).assert_prints("");
}

// Local: most of these tests are about what happens between a command and standard output.

#[test]
fn a_live_line_is_printed_while_its_command_runs() {
    let sandbox = Sandbox::new();
    put(&sandbox, &["a"]);
    make_gates(&sandbox, "gate");
    let mut consumer =
        sandbox.start(&consume(&["--live"], "echo {} 1; echo {} 2 >&2; read x < gate; echo {} 3"));
    assert_eq!(consumer.line(), "a 1");
    consumer.wait_until_told("a 2\n");
    fs::write(sandbox.path("gate"), "\n").unwrap();
    assert_eq!(consumer.line(), "a 3");
    let outcome = consumer.end();
    assert_eq!((outcome.code(), outcome.stderr.as_str()), (Some(0), "a 2\n"));
    sandbox.assert_nothing_left();
}

#[test]
fn a_live_line_that_has_not_ended_waits_and_no_other_line_comes_into_it() {
    let sandbox = Sandbox::new();
    put(&sandbox, &["a", "b"]);
    make_gates(&sandbox, "gate");
    // The second command begins when the first one has printed the half of a line, and ends before the other half.
    let script = "if [ {} = a ]; then printf half; echo > gate; read x < gate; echo -line; \
                  else read x < gate; echo b; fi";
    let mut consumer = sandbox.start(&consume(&["--live", "-j", "2"], script));
    assert_eq!(consumer.line(), "b");
    fs::write(sandbox.path("gate"), "\n").unwrap();
    assert_eq!(consumer.line(), "half-line");
    assert_eq!(consumer.end().code(), Some(0));
    sandbox.assert_nothing_left();
}

#[test]
fn a_last_line_without_its_end_gets_one_where_lines_could_mix() {
    let sandbox = Sandbox::new();
    for (options, stdout, stderr) in [
        (&["--live"][..], "a 1\na\nb 1\nb\n", "ea\neb\n"),
        (&["--tag"], "a\ta 1\na\ta\nb\tb 1\nb\tb\n", "a\tea\nb\teb\n"),
        (&["--live", "--tag"], "a\ta 1\na\ta\nb\tb 1\nb\tb\n", "a\tea\nb\teb\n"),
        (&["--keep-order", "--tag"], "a\ta 1\na\ta\nb\tb 1\nb\tb\n", "a\tea\nb\teb\n"),
        (&["--keep-order"], "a 1\nab 1\nb", "eaeb"),
        (&[], "a 1\nab 1\nb", "eaeb"),
    ] {
        put(&sandbox, &["a", "b"]);
        let outcome = sandbox.run(&consume(options, "printf '%s 1\\n%s' {} {}; printf e{} >&2"));
        assert_eq!(outcome.code(), Some(0));
        assert_same(stdout, &outcome.text());
        assert_same(stderr, &outcome.stderr);
    }
    sandbox.assert_nothing_left();
}

#[test]
fn a_live_log_line_comes_when_the_command_starts() {
    let sandbox = Sandbox::new();
    put(&sandbox, &["a", "b"]);
    let outcome = sandbox.run(&consume(&["--live", "--format", "log"], "printf {}"));
    let log = ["a", "b"].map(|item| format!("消費者: {item} を取得しました\n{item}"));
    outcome.assert_prints(&(log.join("\n") + "\n"));
    sandbox.assert_nothing_left();
}

#[test]
fn a_tag_is_short_safe_and_coloured_by_its_slot() {
    let sandbox = Sandbox::new();
    put(&sandbox, &[&"long ".repeat(100), "\x1b[31mred\x07\ttab"]);
    let args = consume(&["--tag", "--color", "always"], "echo x; echo y >&2");
    let outcome = sandbox.run(&args);
    let long = format!("{}…", &"long ".repeat(8)[..39]);
    let green = |tag: &str| format!("\x1b[32m{tag}\x1b[0m\t");
    let tags = [green(&long), green("red\\u{7}\\ttab")];
    assert_same(&format!("{}x\n{}x\n", tags[0], tags[1]), &outcome.text());
    assert_same(&format!("{}y\n{}y\n", tags[0], tags[1]), &outcome.stderr);
    // The second of two commands at a time has the second slot.
    put(&sandbox, &["a", "b"]);
    make_gates(&sandbox, "gate");
    let script = "if [ {} = a ]; then read x < gate; else echo > gate; fi; echo x";
    let args = consume(&["--tag", "-j", "2", "--keep-order", "--color", "always"], script);
    sandbox.run(&args).assert_prints("\x1b[32ma\x1b[0m\tx\n\x1b[33mb\x1b[0m\tx\n");
    sandbox.assert_nothing_left();
}

#[test]
fn beside_the_progress_a_last_line_without_its_end_stays_on_the_terminal() {
    let sandbox = Sandbox::new();
    for (options, expected) in [
        (&[][..], "a 1\na\nb 1\nb"),
        (&["--live"], "a 1\na\nb 1\nb"),
        (&["--tag"], "a       a 1\na       a\nb       b 1\nb       b"),
    ] {
        put(&sandbox, &["a", "b"]);
        let args = consume(options, "printf '%s 1\\n%s' {} {}");
        let mut consumer = sandbox.on_terminal(&args, Stdout::Terminal);
        assert_eq!(consumer.end().0, Some(0));
        assert_same(&format!("{expected}\nqdemo: 2 items are done"), consumer.screen().trim_end());
    }
    sandbox.assert_nothing_left();
}

both!(kept_order_is_the_order_of_the_items_for_every_output_and_notice, |backend| {
    let sandbox = Sandbox::on(backend);
    put(&sandbox, &["a", "b", "c"]);
    make_gates(&sandbox, "gate");
    // The first command ends last.
    let script = "echo {}; echo e{} >&2
        case {} in a) read x < gate;; b) exit 7;; c) echo > gate;; esac";
    let outcome = sandbox.run(&consume(&["--keep-order", "-j", "3"], script));
    assert_eq!(outcome.code(), Some(1));
    assert_same("a\nb\nc\n", &outcome.text());
    assert_same(
        "ea\neb\nqdemo: item 2 \"b\" failed: exit code 7: eb\nec\n\
         qdemo: 2 done, 1 failed: `qdemo failed -q default` lists failed items\n",
        &outcome.stderr,
    );
    sandbox.run(&["failed", "--drop"]).assert_prints("dropped 1 item\n");
    sandbox.assert_nothing_left();
});

both!(a_retried_item_keeps_its_place_until_its_last_try, |backend| {
    let sandbox = Sandbox::on(backend);
    put(&sandbox, &["a", "b", "c"]);
    let script = "echo {} $QDEMO_ATTEMPT; [ {} = c ] || [ $QDEMO_ATTEMPT = 3 ]";
    let options = ["--keep-order", "-j", "2", "--retries", "2", "--backoff", "1ms"];
    let expected = "a 1\na 2\na 3\nb 1\nb 2\nb 3\nc 1\n";
    sandbox.run(&consume(&options, script)).assert_prints(expected);
    sandbox.assert_nothing_left();
});

/// A consumer of three items, two at a time: the command of `a` runs on, that of `b` has ended, and that of `c` has
/// started after it.
fn start_with_a_held_item(sandbox: &Sandbox) -> Running {
    put(sandbox, &["a", "b", "c"]);
    make_gates(sandbox, "gate");
    let script = "echo {}; case {} in a) sleep 1000;; c) echo > gate; sleep 1000;; esac";
    let consumer = sandbox.start(&consume(&["--keep-order", "-j", "2"], script));
    assert_eq!(fs::read_to_string(sandbox.path("gate")).unwrap(), "\n");
    consumer
}

both!(an_item_whose_output_is_held_is_not_done_when_its_consumer_is_killed, |backend| {
    let sandbox = Sandbox::on(backend);
    let consumer = start_with_a_held_item(&sandbox);
    consumer.signal(Signal::KILL);
    sandbox.wait_for_notice_of_death(consumer.pid());
    consumer.end();
    let status = sandbox.status_text(&[]);
    assert!(
        status.starts_with("default (closed): 3 ready, 0 in flight, 0 done, 0 failed"),
        "{status}"
    );
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
});

both!(an_item_whose_output_is_held_keeps_its_lease, |backend| {
    let sandbox = Sandbox::on(backend);
    put(&sandbox, &["a", "b"]);
    make_gates(&sandbox, "gate");
    // The second command has ended long before the first one, which takes three times the lease.
    let script = "if [ {} = a ]; then read x < gate; sleep 0.9; else echo > gate; fi; echo {} $QDEMO_ATTEMPT";
    let options = ["--keep-order", "-j", "2", "--lease", "300ms"];
    sandbox.run(&consume(&options, script)).assert_prints("a 1\nb 1\n");
    sandbox.assert_nothing_left();
});

both!(ctrl_c_prints_what_has_ended_and_the_other_items_go_back, |backend| {
    let sandbox = Sandbox::on(backend);
    let consumer = start_with_a_held_item(&sandbox);
    consumer.signal(Signal::INT);
    let outcome = consumer.end();
    assert_eq!(outcome.signal(), Some(2));
    assert_same("b\n", &outcome.text());
    assert!(outcome.stderr.contains("2 items in progress go back"), "{}", outcome.stderr);
    let left = sandbox.run(&["peek", "--count", "9", "--format", "raw"]);
    left.assert_prints("a\nc\n");
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
});

both!(halt_with_kept_order_stops_at_once_and_prints_what_has_ended, |backend| {
    let sandbox = Sandbox::on(backend);
    put(&sandbox, &["slow", "bad", "never"]);
    let script = "echo {}; case {} in slow) sleep 1000;; bad) exit 1;; esac";
    let outcome = sandbox.run(&consume(&["--keep-order", "-j", "2", "--halt"], script));
    assert_eq!(outcome.code(), Some(1));
    assert_same("bad\n", &outcome.text());
    sandbox.run(&["failed"]).assert_prints("2\t1\texit code 1\tbad\n");
    sandbox.run(&["peek", "--count", "9", "--format", "raw"]).assert_prints("slow\nnever\n");
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
});

/// The shell waits until its consumer has noticed the end of the process `$pid`.
const UNTIL_REAPED: &str = "while kill -0 $pid 2>/dev/null; do sleep 0.01; done";

both!(a_halt_gives_back_an_item_that_waits_for_a_retry_behind_another, |backend| {
    let sandbox = Sandbox::on(backend);
    put(&sandbox, &["slow", "retry", "good"]);
    make_gates(&sandbox, "failed halted");
    // The first command runs for three leases after the halt.
    let script = format!(
        "echo {{}} $QDEMO_ATTEMPT; case {{}} in
            slow) read x < halted; sleep 1.8;;
            retry) echo $$ > failed; exit 1;;
            good) read pid < failed; {UNTIL_REAPED}; echo > halted;;
        esac"
    );
    let options = ["--keep-order", "-j", "3", "--lease", "600ms", "--retries", "1"];
    let options = [&options[..], &["--backoff", "1h", "--halt", "soon,success=1"]].concat();
    let outcome = sandbox.run(&consume(&options, &script));
    assert_same("slow 1\nretry 1\ngood 1\n", &outcome.text());
    assert_same(
        "qdemo: 1 item is done, and --halt soon,success=1 starts no other command: those that run may finish\n",
        &outcome.stderr,
    );
    sandbox.run(&["peek", "--count", "9", "--format", "raw"]).assert_prints("retry\n");
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
});

both!(a_halt_prints_at_once_what_has_waited_for_an_item_that_goes_back, |backend| {
    let sandbox = Sandbox::on(backend);
    put(&sandbox, &["retry", "good", "slow"]);
    make_gates(&sandbox, "failed started on");
    let script = format!(
        "echo {{}} $QDEMO_ATTEMPT; case {{}} in
            retry) echo $$ > failed; exit 1;;
            good) read pid < failed; read x < started; {UNTIL_REAPED};;
            slow) echo > started; read x < on;;
        esac"
    );
    let options = ["--keep-order", "-j", "3", "--retries", "1", "--backoff", "1h"];
    let options = [&options[..], &["--halt", "soon,success=1"]].concat();
    let mut consumer = sandbox.start(&consume(&options, &script));
    assert_eq!([consumer.line(), consumer.line()], ["retry 1", "good 1"]);
    fs::write(sandbox.path("on"), "\n").unwrap();
    assert_same("slow 1\n", &consumer.end().text());
    sandbox.run(&["peek", "--count", "9", "--format", "raw"]).assert_prints("retry\n");
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
});

#[test]
fn a_thousand_tries_behind_a_slow_item_are_the_last_until_it_has_ended() {
    let sandbox = Sandbox::new();
    put(&sandbox, &["slow", "bad"]);
    // The slow item fails at first: it alone may be tried again then.
    let script = "echo {}; case {} in
        slow)
            touch tries; until [ $(wc -l < tries) -ge 1000 ]; do sleep 0.01; done
            [ $QDEMO_ATTEMPT = 2 ] || { sleep 1; exit 1; }
            wc -l < tries > seen;;
        bad) echo >> tries; [ -e seen ];;
        esac";
    let options = ["--keep-order", "-j", "2", "--retries", "999999", "--backoff", "0"];
    let outcome = sandbox.run(&consume(&options, script));
    assert_same(&format!("slow\nslow\n{}", "bad\n".repeat(1001)), &outcome.text());
    assert_same("1000\n", &fs::read_to_string(sandbox.path("seen")).unwrap());
    sandbox.assert_nothing_left();
}

#[test]
fn a_thousand_items_behind_a_slow_one_come_in_order() {
    let sandbox = Sandbox::new();
    let script = r#"
        seq 1300 | qdemo put - && qdemo close
        qdemo consumer --keep-order -j 2 -- sh -c \
            'echo {}; [ {} != 1 ] || until [ -e 900 ]; do sleep 0.01; done; [ {} != 900 ] || : > 900' |
            diff - <(seq 1300) && echo "in order"
    "#;
    sandbox.script(script).assert_prints("in order\n");
    sandbox.assert_nothing_left();
}

#[test]
fn the_memory_for_output_is_bounded_however_much_a_command_prints() {
    let sandbox = Sandbox::new();
    let script = r#"
        qdemo put a b
        qdemo consumer --max 2 OPTIONS -- sh -c '
            if [ $QDEMO_ID = 2 ]; then grep VmHWM /proc/$PPID/status > peak
            else head -c 60000000 /dev/zero | tr "\0" x; head -c 60000000 /dev/zero | tr "\0" y >&2; fi
        ' 2> errors | tr -cd x | wc -c
        tr -cd y < errors | wc -c; cat peak; qdemo rm --force > /dev/null
    "#;
    for options in ["", "--live", "--tag", "--keep-order", "--results results", "--format json"] {
        let outcome = sandbox.script(&script.replace("OPTIONS", options));
        let lines = outcome.lines();
        // The keys of two records have an x each.
        let in_record = options == "--format json";
        let counts = if in_record { ["60000002", "0"] } else { ["60000000", "60000000"] };
        assert_eq!(lines[..2], counts, "{options}");
        let peak = lines[2].split_whitespace().nth(1).unwrap();
        assert!(peak.parse::<u64>().unwrap() < 50_000, "{options}: {peak} kB");
    }
    sandbox.assert_nothing_left();
}

#[test]
fn a_full_folder_for_output_is_told_and_the_item_goes_back() {
    let sandbox = Sandbox::new();
    for options in ["", "--live", "--keep-order", "--format json"] {
        // A limit of 1 MiB for each file stands in for the full folder. One line has no end.
        let outcome = sandbox.script(&format!(
            "qdemo put x; ulimit -f 1024
             qdemo consumer --max 1 {options} -- head -c 10000000 /dev/zero"
        ));
        outcome
            .assert_refused(1, &["cannot keep the output of the commands in", "/tmp: make room"]);
        sandbox.run(&["get"]).assert_prints("x\n");
    }
    sandbox.assert_nothing_left();
}

#[test]
fn standard_output_that_is_full_or_closed_leaves_the_item_in_the_queue() {
    let sandbox = Sandbox::new();
    for options in ["", "--live", "--tag", "--keep-order", "--format json"] {
        let script = format!(
            "qdemo put x; qdemo consumer --max 1 {options} -- echo hello > /dev/full; echo $?
             qdemo get"
        );
        let outcome = sandbox.script(&script);
        assert_eq!(outcome.text(), "1\nx\n", "{options}");
        outcome.assert_one_line_of_error(&["cannot write to standard output", "No space left"]);
    }
    sandbox.assert_nothing_left();
}

#[test]
fn options_of_the_output_that_do_not_fit_are_refused_before_any_item_is_taken() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "x"]).assert_prints("");
    for (options, words) in [
        (&["--live", "--keep-order"][..], &["--live", "--keep-order"][..]),
        (&["--live", "--format", "json"], &["--live", "--format json"]),
        (&["--tag", "--format", "json"], &["--tag", "--format json"]),
        (&["--live", "--tty"], &["--live", "--tty"]),
        (&["--tag", "--tty"], &["--tag", "--tty"]),
        (&["--keep-order", "--tty"], &["--keep-order", "--tty"]),
        (&["--results", "r", "--tty"], &["--results", "--tty"]),
    ] {
        sandbox.run(&consume(options, "echo {}")).assert_refused(2, words);
    }
    for option in ["--live", "--tag", "--keep-order", "--results=r"] {
        sandbox.run(&["consumer", option]).assert_refused(2, &["write the command behind --"]);
    }
    assert!(!sandbox.path("r").exists());
    sandbox.run(&["get"]).assert_prints("x\n");
    sandbox.assert_nothing_left();
}
