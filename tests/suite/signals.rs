//! Signals to commands that start as process 1, or with signals blocked or ignored.
//!
//! The tests that are not of `both!` are of runs, commands and keepers.

use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::harness::{
    CLASSIC, Limit, QDEMO, Running, Sandbox, assert_same, children_of, signal_to, wait_for_end,
    wait_while,
};

/// Whether this process may create a process namespace, in which a command is process 1.
pub fn can_be_process_1() -> bool {
    let mut command = Command::new("unshare");
    command.args(["-pf", "--mount-proc", "true"]);
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    let can = quiet.status().is_ok_and(|status| status.success());
    if !can {
        eprintln!("skipped: `unshare -pf --mount-proc` is not permitted here");
    }
    can
}

impl Sandbox {
    fn as_process_1(&self, args: &[&str]) -> Command {
        let mut command = self.command("unshare");
        command.args(["-pf", "--mount-proc", QDEMO]).args(args);
        command
    }

    /// Starts a command as process 1 of a new namespace. Returns the command's parent, which ends as the
    /// command does, and the command's process id in the outer namespace.
    fn start_as_process_1(&self, args: &[&str]) -> (Running, i32) {
        let mut running = Running::start(self.as_process_1(args));
        loop {
            let children = children_of(running.pid());
            if let Some(child) = children.iter().find(|child| child.args.starts_with(QDEMO)) {
                return (running, child.pid);
            }
            assert!(!running.has_ended());
        }
    }

    /// Starts a command that ignores these signals from the start.
    fn start_ignoring(&self, signals: &str, args: &[&str]) -> Running {
        let mut command = self.command("sh");
        let script = format!("trap '' {signals}; exec \"$@\"");
        command.args(["-c", &script, "sh", QDEMO]).args(args);
        Running::start(command)
    }

    /// Starts a command below `env` with this option.
    fn start_with_env(&self, option: &str, args: &[&str]) -> Running {
        let mut command = self.command("env");
        command.args([option, QDEMO]).args(args);
        Running::start(command)
    }

    fn wait_for_command(&self, args: &str) -> i32 {
        let limit = Limit::start();
        loop {
            assert!(!limit.is_over(), "no process runs {args}");
            if let Some(process) = self.processes_of(args).first() {
                return process.pid;
            }
        }
    }
}

both!(process_1_exits_with_128_plus_the_number_of_the_signal, |backend| {
    if !can_be_process_1() {
        return;
    }
    for signal in [Signal::TERM, Signal::INT] {
        let sandbox = Sandbox::on(backend);
        let code = Some(128 + signal.as_raw());
        let end = |running: Running, process_1| {
            signal_to(process_1, signal);
            let outcome = running.end();
            assert_eq!((outcome.code(), outcome.signal()), (code, None), "{}", outcome.stderr);
            outcome
        };
        let (get, process_1) = sandbox.start_as_process_1(&["get"]);
        sandbox.wait_for_consumer();
        assert_same("", &end(get, process_1).stderr);

        let (mut put, process_1) = sandbox.start_as_process_1(&["put", "-"]);
        put.feed("a\n");
        sandbox.wait_for_status(|status| status["ready"] == 1);
        // `put` waits for more input, and the queue has its first item.
        signal_to(process_1, signal);
        wait_for_end(process_1);
        assert_eq!(put.end().code(), code);

        let args = ["consumer", "--", "sleep", "1000"];
        let (consumer, process_1) = sandbox.start_as_process_1(&args);
        let command = sandbox.wait_for_command("sleep 1000");
        let said = end(consumer, process_1).stderr;
        // SIGTERM comes from a program, which needs no words.
        assert_eq!(said.contains("interrupted: 1 item in progress goes"), signal == Signal::INT);
        assert_eq!(said.lines().count(), usize::from(signal == Signal::INT), "{said}");
        wait_for_end(command);
        sandbox.run(&["get"]).assert_prints("a\n");

        let (mut run, process_1) = sandbox.start_as_process_1(&["run", "--speed", "20"]);
        assert_eq!(run.line(), "生産者: アイテム0 を追加しました");
        let outcome = end(run, process_1);
        assert_eq!(outcome.lines().last().unwrap(), "すべてのプロセスが終了しました");
        sandbox.assert_nothing_left();
    }
});

#[test]
fn a_second_signal_ends_process_1_at_once() {
    if !can_be_process_1() {
        return;
    }
    let sandbox = Sandbox::new();
    let args = ["run", "--consumer-delay", "1h", "--lang", "en"];
    let (mut run, process_1) = sandbox.start_as_process_1(&args);
    assert_eq!(run.line(), "producer: added item0");
    assert_eq!(run.line(), "consumer: got item0");
    let producer = sandbox.processes_of("qdemo producer").remove(0);
    signal_to(process_1, Signal::INT);
    wait_for_end(producer.pid);
    signal_to(process_1, Signal::TERM);
    assert_eq!(run.end().code(), Some(143));
    sandbox.assert_nothing_left();
}

both!(process_1_exits_with_the_usual_codes, |backend| {
    if !can_be_process_1() {
        return;
    }
    let sandbox = Sandbox::on(backend);
    let run = |args: &[&str]| Running::start(sandbox.as_process_1(args)).end();
    run(&["put", "a"]).assert_prints("");
    run(&["get"]).assert_prints("a\n");
    run(&["get", "--no-wait"]).assert_refused(3, &["is empty"]);
    run(&["get", "--count", "x"]).assert_refused(2, &["--count"]);
    assert_eq!(run(&["--version"]).code(), Some(0));
    // SIGPIPE kills a command whose reader has gone.
    let script = "unshare -pf --mount-proc qdemo run --speed 20 | head -1; echo ${PIPESTATUS[0]}";
    sandbox.script(script).assert_prints("生産者: アイテム0 を追加しました\n141\n");
    sandbox.assert_nothing_left();
});

#[test]
fn process_1_reaps_the_orphans_that_it_inherits() {
    if !can_be_process_1() {
        return;
    }
    let sandbox = Sandbox::new();
    let command = ["--", "sh", "-c", "sleep 1000 & sleep 2000 & echo started"];
    let args = [&["consumer", "--follow"][..], &command].concat();
    let (mut consumer, process_1) = sandbox.start_as_process_1(&args);
    sandbox.run(&["put", "a"]).assert_prints("");
    assert_eq!(consumer.line(), "started");
    let orphans = ["sleep 1000", "sleep 2000"].map(|args| sandbox.wait_for_command(args));
    let inherits = || children_of(process_1).into_iter().map(|child| child.pid);
    for orphan in orphans {
        wait_while(|| !inherits().any(|child| child == orphan));
        signal_to(orphan, Signal::KILL);
        while inherits().any(|child| child == orphan) {
            assert!(!consumer.has_ended());
        }
    }
    signal_to(process_1, Signal::TERM);
    assert_eq!(consumer.end().code(), Some(143));
    sandbox.assert_nothing_left();
}

both!(no_command_hangs_when_sigchld_is_blocked_or_ignored, |backend| {
    for option in ["--block-signal=CHLD", "--ignore-signal=CHLD", "--block-signal"] {
        let sandbox = Sandbox::on(backend);
        let run = |args: &[&str]| sandbox.start_with_env(option, args).end();
        run(&["run", "--items", "3", "--speed", "max", "--quiet"]).assert_done();
        let more = ["--chaos", "20ms", "--producers", "2", "--consumers", "2", "--quiet"];
        let delays = ["--items", "20", "--producer-delay", "0", "--consumer-delay", "10ms"];
        assert_eq!(run(&[&["run"][..], &delays, &more].concat()).code(), Some(0));
        run(&["put", "a", "b"]).assert_prints("");
        run(&["consumer", "--max", "1", "--", "echo"]).assert_prints("\n");
        let slow = ["--timeout-each", "200ms", "--", "sh", "-c", "sleep 1000 & sleep 1000"];
        let outcome = run(&[&["consumer", "--max", "1"][..], &slow].concat());
        assert_eq!(outcome.code(), Some(1));
        assert!(outcome.stderr.contains("1 failed: "), "{}", outcome.stderr);
        // SIGTERM ends the command, and not the SIGKILL that follows seconds later.
        let failed = "2\t1\ttook longer than --timeout-each (killed by signal 15)\tb\n";
        sandbox.run(&["failed"]).assert_prints(failed);
        run(&["rm", "--force"]);
        sandbox.assert_nothing_left();
    }
});

#[test]
fn a_run_that_starts_with_all_signals_blocked_can_be_interrupted() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.start_with_env("--block-signal", &["run", "--speed", "20"]);
    assert_eq!(run.line(), "生産者: アイテム0 を追加しました");
    run.signal(Signal::TERM);
    let outcome = run.end();
    assert_eq!(outcome.signal(), Some(15));
    assert_eq!(outcome.lines().last().unwrap(), "すべてのプロセスが終了しました");
    sandbox.assert_nothing_left();
}

/// The signals in a line of `/proc/self/status`: the lowest bit stands for signal 1. Signals above 31, which
/// the C library uses, are left out.
fn mask(line: &str) -> u64 {
    let (_, mask) = line.split_once(":\t").unwrap();
    u64::from_str_radix(mask, 16).unwrap() & 0x7fff_ffff
}

both!(commands_inherit_the_blocked_and_ignored_signals_of_their_consumer, |backend| {
    let sandbox = Sandbox::on(backend);
    // No shell runs the command, because a shell may set its own signal mask.
    let show = ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"];
    let args = [&["consumer", "--max", "1", "--"][..], &show].concat();
    let expected = [
        ("--block-signal=CHLD", [1 << 16, 0]),
        ("--block-signal=INT,USR1", [1 << 1 | 1 << 9, 0]),
        ("--ignore-signal=TERM,USR2", [0, 1 << 14 | 1 << 11]),
        ("--ignore-signal=TSTP", [0, 1 << 19]),
        // Rust gives its children the default of SIGPIPE, and a process that waits for children cannot
        // ignore SIGCHLD.
        ("--ignore-signal=PIPE,CHLD", [0, 0]),
        ("--default-signal", [0, 0]),
    ];
    for (option, expected) in expected {
        sandbox.run(&["put", "a"]).assert_prints("");
        let outcome = sandbox.start_with_env(option, &args).end();
        let masks: Vec<_> = outcome.lines().iter().map(|line| mask(line)).collect();
        assert_eq!(masks, expected, "{option}: {outcome:?}");
    }
    sandbox.assert_nothing_left();
});

#[test]
fn a_keeper_does_not_inherit_the_blocked_and_ignored_signals_of_its_client() {
    let sandbox = Sandbox::new();
    let args = ["consumer", "--delay", "1h", "--format", "raw"];
    let mut consumer = sandbox.start_with_env("--block-signal", &args);
    sandbox.run(&["put", "a"]).assert_prints("");
    assert_eq!(consumer.line(), "a");
    let keeper = sandbox.processes_of("qdemo keeper").remove(0);
    signal_to(keeper.pid, Signal::TERM);
    wait_for_end(keeper.pid);
    consumer.signal(Signal::TERM);
    assert_eq!(consumer.end().signal(), Some(15));
    let mut get = sandbox.start_ignoring("TERM INT", &["get"]);
    sandbox.wait_for_status(|status| status["ready"] == 0);
    assert_eq!(get.line(), "a");
    get.end();
    let get = sandbox.start_ignoring("TERM INT HUP", &["get"]);
    sandbox.wait_for_consumer();
    let keeper = sandbox.processes_of("qdemo keeper").remove(0);
    signal_to(keeper.pid, Signal::TERM);
    wait_for_end(keeper.pid);
    sandbox.run(&["put", "b"]).assert_prints("");
    get.end().assert_prints("b\n");
    sandbox.assert_nothing_left();
}

both!(a_signal_that_was_ignored_at_the_start_stays_ignored, |backend| {
    let sandbox = Sandbox::on(backend);
    for (name, signal) in [("TERM", Signal::TERM), ("HUP", Signal::HUP), ("INT", Signal::INT)] {
        let mut run = sandbox.start_ignoring(name, &["run", "--speed", "20"]);
        assert_eq!(run.line(), "生産者: アイテム0 を追加しました");
        run.signal(signal);
        run.end().assert_prints(&CLASSIC[second_line()..]);
    }
    for (name, signal) in [("TERM", Signal::TERM), ("HUP", Signal::HUP), ("INT", Signal::INT)] {
        let get = sandbox.start_ignoring(name, &["get"]);
        sandbox.wait_for_consumer();
        get.signal(signal);
        sandbox.run(&["put", name]).assert_prints("");
        get.end().assert_prints(&format!("{name}\n"));
    }
    // A signal that was not ignored has its usual effect.
    let get = sandbox.start_ignoring("TERM HUP", &["get"]);
    sandbox.wait_for_consumer();
    get.signal(Signal::TERM);
    get.signal(Signal::INT);
    assert_eq!(get.end().signal(), Some(2));
    sandbox.assert_nothing_left();
});

/// The offset of the transcript's second line.
fn second_line() -> usize {
    CLASSIC.find('\n').unwrap() + 1
}

both!(sigint_ends_a_consumer_in_the_background_of_a_script, |backend| {
    for shell in ["bash", "dash"] {
        let sandbox = Sandbox::on(backend);
        let script = "qdemo consumer --delay 1h --format raw & wait $!; echo $?";
        let mut command = sandbox.command(shell);
        command.args(["-c", script]);
        let mut consumer = Running::start(command);
        sandbox.run(&["put", "a"]).assert_prints("");
        assert_eq!(consumer.line(), "a");
        signal_to(sandbox.wait_for_command("qdemo consumer"), Signal::INT);
        assert_eq!(consumer.line(), "130");
        consumer.end();
        sandbox.run(&["get"]).assert_prints("a\n");
        sandbox.assert_nothing_left();
    }
});
