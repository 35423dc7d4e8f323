//! Stopped commands for items: stopped together with their consumer, by a signal, or by the kernel because
//! the command wants the terminal.
//!
//! Local: signals and the terminal stop commands, and a server takes a stopped consumer for dead.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::time::Duration;

use rustix::process::Signal;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use rustix_openpty::openpty;

use crate::harness::{
    Limit, Running, Sandbox, assert_same, signal_to, wait_for_end, wait_for_input, wait_while,
};
use crate::signals::can_be_process_1;

const CTRL_C: &str = "\u{3}";
const CTRL_Z: &str = "\u{1a}";

/// A session with its own terminal. A script leads the session.
struct Session {
    controller: File,
    text: String,
    child: Child,
}

impl Session {
    fn start(sandbox: &Sandbox, script: &str) -> Self {
        let mut command = sandbox.command("setsid");
        command.args(["--ctty", "bash", "-c", script]);
        Self::start_command(command)
    }

    fn start_command(mut command: Command) -> Self {
        let pty = openpty(None, None).unwrap();
        // By default the kernel drops the output that a signal from the keyboard finds in the terminal. It does so after
        // it has sent the signal, so it may drop what a process writes in answer to the signal.
        let mut modes = tcgetattr(&pty.user).unwrap();
        modes.local_modes |= LocalModes::NOFLSH;
        tcsetattr(&pty.user, OptionalActions::Now, &modes).unwrap();
        let end = || pty.user.try_clone().unwrap();
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        // `command` holds copies of the terminal's user end, which would keep the terminal open.
        drop(command);
        Self { controller: pty.controller.into(), text: String::new(), child }
    }

    fn type_in(&mut self, keys: &str) {
        self.controller.write_all(keys.as_bytes()).unwrap();
    }

    /// Reads what the terminal shows. Returns false at the terminal's end.
    fn read(&mut self) -> bool {
        assert!(
            wait_for_input(&self.controller),
            "the terminal shows nothing more: {:?}",
            self.text
        );
        let mut bytes = [0; 4096];
        // A read at the terminal's end returns an error.
        let Ok(read @ 1..) = self.controller.read(&mut bytes) else { return false };
        self.text.push_str(&String::from_utf8_lossy(&bytes[..read]));
        true
    }

    /// Waits until the terminal has shown `text`. Returns everything up to the end of `text`, and keeps the rest
    /// for the next wait.
    fn wait_for(&mut self, text: &str) -> String {
        let limit = Limit::start();
        loop {
            if let Some(at) = self.text.find(text) {
                let rest = self.text.split_off(at + text.len());
                return std::mem::replace(&mut self.text, rest);
            }
            assert!(!limit.is_over() && self.read(), "no {text:?} in {:?}", self.text);
        }
    }

    /// Waits for the end of the session. Returns what the terminal has shown since the last wait.
    fn end(mut self) -> String {
        wait_while(|| self.read());
        self.child.wait().unwrap();
        self.text
    }

    /// Like `end`, for a script whose command SIGINT has ended, and for process 1: exit code 130.
    fn end_by_sigint(mut self) -> String {
        wait_while(|| self.read());
        assert_eq!(self.child.wait().unwrap().code(), Some(130), "{:?}", self.text);
        self.text
    }
}

/// The state of a process according to the kernel: `S` is sleeping, `T` is stopped.
fn state(pid: i32) -> char {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
}

/// Waits until all these processes are stopped, or until none is.
fn wait_until_stopped(pids: &[i32], stopped: bool) {
    let limit = Limit::start();
    while !pids.iter().all(|&pid| (state(pid) == 'T') == stopped) {
        let states: Vec<_> = pids.iter().map(|&pid| state(pid)).collect();
        assert!(!limit.is_over(), "{pids:?} are {states:?}");
    }
}

impl Sandbox {
    /// Waits until `count` processes have these arguments. Returns their process ids.
    fn wait_for_processes(&self, args: &str, count: usize) -> Vec<i32> {
        let limit = Limit::start();
        loop {
            let processes = self.processes_of(args);
            if processes.len() == count {
                return processes.iter().map(|process| process.pid).collect();
            }
            assert!(!limit.is_over(), "{processes:?}");
        }
    }
}

#[test]
fn ctrl_z_stops_a_consumer_with_its_commands_and_fg_continues_all_of_them() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a", "b"]).assert_prints("");
    let script = "set -m; qdemo consumer -j 2 --quiet -- sh -c 'sleep 1000; exit 1'
        echo code $?; read; fg; echo not reached";
    let mut session = Session::start(&sandbox, script);
    let mut pids = sandbox.wait_for_processes("sleep 1000", 2);
    pids.extend(sandbox.wait_for_processes("sh -c sleep 1000", 2));
    pids.extend(sandbox.wait_for_processes("qdemo consumer", 1));
    session.type_in(CTRL_Z);
    // 128 + SIGSTOP.
    session.wait_for("code 147");
    wait_until_stopped(&pids, true);
    session.type_in("\n");
    wait_until_stopped(&pids, false);
    session.type_in(CTRL_C);
    let shown = session.end_by_sigint();
    assert!(!shown.contains("is stopped") && !shown.contains("not reached"), "{shown:?}");
    sandbox.run(&["get", "--count", "2"]).assert_prints("a\nb\n");
    sandbox.assert_nothing_left();
}

/// Starts a command that is process 1 and leads the session of a terminal, as in `docker run -it`.
fn start_as_process_1(sandbox: &Sandbox, args: &[&str]) -> Session {
    let mut command = sandbox.command("unshare");
    command.args(["-pf", "--mount-proc", "setsid", "--ctty", "qdemo"]).args(args);
    Session::start_command(command)
}

#[test]
fn process_1_gets_ctrl_c_once_and_ctrl_z_does_not_stop_its_commands_for_ever() {
    if !can_be_process_1() {
        return;
    }
    let sandbox = Sandbox::new();
    let mut run = start_as_process_1(&sandbox, &["run", "--speed", "20", "--progress", "never"]);
    run.wait_for("アイテム0 を取得しました");
    run.type_in(CTRL_C);
    // A second SIGINT would have ended the run without this line.
    assert!(run.end_by_sigint().contains("すべてのプロセスが終了しました"));

    sandbox.run(&["put", "a", "b"]).assert_prints("");
    let command = ["--", "sh", "-c", "read a; echo \"got $a\" {}"];
    let args = [&["consumer", "--max", "2", "--tty"][..], &command].concat();
    let mut consumer = start_as_process_1(&sandbox, &args);
    sandbox.wait_for_processes("sh -c read", 1);
    // No shell could continue a stopped consumer here.
    consumer.type_in(CTRL_Z);
    consumer.type_in("1\n");
    consumer.wait_for("got 1 a\r\n");
    consumer.type_in("2\n");
    consumer.wait_for("got 2 b\r\n");
    consumer.end();
    sandbox.assert_nothing_left();
}

#[test]
fn sigtstp_and_sigcont_stop_and_continue_a_consumer_with_its_commands() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a", "b"]).assert_prints("");
    let consumer = sandbox.start(&["consumer", "-j", "2", "--", "sleep", "1000"]);
    let mut pids = sandbox.wait_for_processes("sleep 1000", 2);
    pids.push(consumer.pid());
    // Repeat: a consumer may mistake a stop soon after a continuation for the previous stop.
    for _ in 0..300 {
        consumer.signal(Signal::TSTP);
        wait_until_stopped(&pids, true);
        consumer.signal(Signal::CONT);
        wait_until_stopped(&pids, false);
    }
    consumer.signal(Signal::TERM);
    let outcome = consumer.end();
    assert_eq!((outcome.signal(), outcome.stderr.as_str()), (Some(15), ""));
    sandbox.run(&["get", "--count", "2"]).assert_prints("a\nb\n");
    sandbox.assert_nothing_left();
}

#[test]
fn a_consumer_that_starts_with_sigtstp_ignored_does_not_stop() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a"]).assert_prints("");
    let script =
        "trap '' TSTP; exec qdemo consumer --max 1 -- sh -c 'echo > ready; read go < gate'";
    let mut command = sandbox.command("bash");
    command.args(["-c", &format!("mkfifo gate; {script}")]);
    let consumer = Running::start(command);
    wait_while(|| !sandbox.path("ready").exists());
    consumer.signal(Signal::TSTP);
    fs::write(sandbox.path("gate"), "go\n").unwrap();
    consumer.end().assert_prints("");
    sandbox.assert_nothing_left();
}

#[test]
fn timeout_each_does_not_count_the_time_in_which_the_consumer_is_stopped() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a"]).assert_prints("");
    let command = "mkfifo gate; echo > ready; read go < gate; echo done";
    let args = ["consumer", "--max", "1", "--timeout-each", "2s", "--", "sh", "-c", command];
    let consumer = sandbox.start(&args);
    wait_while(|| !sandbox.path("ready").exists());
    let pids = [consumer.pid(), sandbox.wait_for_processes("sh -c mkfifo", 1)[0]];
    consumer.signal(Signal::TSTP);
    wait_until_stopped(&pids, true);
    // Longer than --timeout-each.
    std::thread::sleep(Duration::from_millis(2500));
    consumer.signal(Signal::CONT);
    wait_until_stopped(&pids, false);
    fs::write(sandbox.path("gate"), "go\n").unwrap();
    consumer.end().assert_prints("done\n");
    sandbox.assert_nothing_left();
}

#[test]
fn a_stopped_command_is_reported_once_and_ends_by_its_trap() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a"]).assert_prints("");
    let command = "trap 'echo trapped; exit 1' TERM; echo $$ > pid; kill -STOP $$; kill -STOP $$";
    let args = ["consumer", "--max", "1", "--timeout-each", "1s", "--", "bash", "-c", command];
    let consumer = sandbox.start(&args);
    let pid = loop {
        let pid = fs::read_to_string(sandbox.path("pid")).unwrap_or_default();
        if let Ok(pid) = pid.trim().parse::<i32>() {
            break pid;
        }
    };
    wait_until_stopped(&[pid], true);
    signal_to(pid, Signal::CONT);
    let outcome = consumer.end();
    assert_eq!((outcome.code(), outcome.text().as_str()), (Some(1), "trapped\n"));
    let lines: Vec<_> = outcome.stderr.lines().collect();
    let report = format!(
        "qdemo: the command for item 1 is stopped by signal 19: \
         `kill -CONT -- -{pid}` lets it go on"
    );
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_same(&report, lines[0]);
    let failed = "1\t1\ttook longer than --timeout-each (exit code 1)\ta\n";
    sandbox.run(&["failed"]).assert_prints(failed);
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
}

#[test]
fn a_command_that_wants_the_terminal_is_reported_and_its_consumer_can_leave() {
    for wants in ["read a < /dev/tty", "stty -echo < /dev/tty"] {
        let sandbox = Sandbox::new();
        sandbox.run(&["put", "a", "b"]).assert_prints("");
        let script = format!(
            "qdemo consumer --quiet -- sh -c 'trap \"echo bye > bye; exit\" TERM; {wants}'; echo code $?"
        );
        let mut session = Session::start(&sandbox, &script);
        session.wait_for(
            "qdemo: the command for item 1 is stopped, since it wants the terminal: \
             start the consumer with --tty\r\n",
        );
        session.type_in(CTRL_C);
        // Ctrl-C interrupts the script too: wait for the consumer itself.
        let consumer = sandbox.processes_of("qdemo consumer");
        consumer.iter().for_each(|consumer| wait_for_end(consumer.pid));
        assert_eq!(fs::read_to_string(sandbox.path("bye")).unwrap(), "bye\n");
        assert!(!session.end().contains("is stopped"));
        sandbox.run(&["get", "--count", "2"]).assert_prints("a\nb\n");
        sandbox.assert_nothing_left();
    }
}

#[test]
fn with_tty_each_command_has_the_terminal() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "first", "second"]).assert_prints("");
    // The command reads the terminal as standard input and as /dev/tty.
    let command = "read a; read b < /dev/tty; echo \"{}: $a and $b\"; test -t 1";
    let script =
        format!("qdemo consumer --max 2 --tty -- sh -c '{command}'; echo code $?; stty -a");
    let mut session = Session::start(&sandbox, &script);
    session.type_in("1\n2\n");
    session.wait_for("first: 1 and 2\r\n");
    session.type_in("3\n4\n");
    session.wait_for("second: 3 and 4\r\n");
    // The script, which is in the consumer's process group, has the terminal again.
    session.wait_for("code 0");
    assert!(session.end().contains(" echo "));
    sandbox.assert_nothing_left();
}

#[test]
fn with_tty_an_item_that_is_in_no_argument_is_on_standard_input() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a"]).assert_prints("");
    let command = "read item; stty -echo < /dev/tty; read answer < /dev/tty; echo $item: $answer";
    let script = format!("qdemo consumer --max 1 --tty -- sh -c '{command}' > out; echo code $?");
    let mut session = Session::start(&sandbox, &script);
    session.type_in("yes\n");
    session.wait_for("code 0");
    session.end();
    // The redirection also applies to the command.
    assert_eq!(fs::read_to_string(sandbox.path("out")).unwrap(), "a: yes\n");
    sandbox.assert_nothing_left();
}

#[test]
fn with_tty_ctrl_c_ends_command_and_consumer_and_the_item_is_requeued() {
    // The second command is a shell that reports by its exit code that SIGINT ended its own command.
    for command in ["sleep 1000", "sh -c 'trap \"exit 130\" INT; sleep 1000'"] {
        let sandbox = Sandbox::new();
        sandbox.run(&["put", "a", "b"]).assert_prints("");
        let script = format!("set -m; qdemo consumer --tty -- {command}; echo not reached");
        let mut session = Session::start(&sandbox, &script);
        sandbox.wait_for_processes("sleep 1000", 1);
        // If the command does not have the terminal yet, Ctrl-C ends the consumer, with the same result.
        session.type_in(CTRL_C);
        let said = "^Cqdemo: interrupted: 1 item in progress goes back into `default`, where 1 more waits; \
                    run the same command again to go on\r\n";
        assert_same(said, &session.end_by_sigint());
        let left = sandbox.run(&["peek", "--count", "9", "--format", "json"]).lines();
        assert_eq!(left.len(), 2);
        assert_eq!(left[0], r#"{"id":1,"item":"a","attempt":2}"#);
        sandbox.run(&["failed"]).assert_prints("");
        sandbox.run(&["rm", "--force"]);
        sandbox.assert_nothing_left();
    }
}

#[test]
fn with_tty_ctrl_z_stops_the_consumer_and_fg_returns_the_terminal_to_the_command() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a"]).assert_prints("");
    // A command that reads before it has the terminal is stopped for a moment, and Ctrl-Z has no effect in this moment. A
    // command that has read something has the terminal.
    let command = "read first; echo \"$first is read\"; read a; echo \"got $a\"";
    let script = format!(
        "set -m; qdemo consumer --max 1 --tty -- bash -c '{command} {{}}'
         echo code $?; read go; echo $go; fg; echo code $?; read last; echo $last"
    );
    let mut session = Session::start(&sandbox, &script);
    session.type_in("first\n");
    session.wait_for("first is read\r\n");
    session.type_in(CTRL_Z);
    session.wait_for("code 147");
    // The shell has the terminal meanwhile.
    session.type_in("go\n");
    session.wait_for("go\r\ngo\r\n");
    session.type_in("answer\n");
    session.wait_for("got answer a\r\n");
    session.wait_for("code 0");
    session.type_in("over\n");
    session.wait_for("over\r\nover\r\n");
    session.end();
    sandbox.assert_nothing_left();
}

#[test]
fn with_tty_a_command_that_times_out_leaves_the_terminal_as_it_was() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a"]).assert_prints("");
    let command = "stty -echo; sleep 1000";
    let script = format!(
        "qdemo consumer --max 1 --timeout-each 300ms --tty -- sh -c '{command} # {{}}'
         echo code $?; stty -a"
    );
    let mut session = Session::start(&sandbox, &script);
    session.wait_for("code 1");
    assert!(session.end().contains(" echo "));
    sandbox.run(&["rm", "--force"]);
    sandbox.assert_nothing_left();
}

#[test]
fn tty_is_refused_when_no_command_could_have_the_terminal() {
    let sandbox = Sandbox::new();
    sandbox.run(&["put", "a"]).assert_prints("");
    let consumer = ["consumer", "--max", "1", "--tty"];
    let refused = |more: &[&str], words: &[&str]| {
        let mut command = sandbox.command("setsid");
        command.args(["--wait", "qdemo"]).args(consumer).args(more);
        Running::start(command).end().assert_refused(2, words);
    };
    refused(&["--", "cat"], &["--tty needs a terminal", "there is none"]);
    refused(&["-j", "2", "--", "cat"], &["--tty", "--jobs"]);
    refused(&[], &["COMMAND"]);
    let script = "set -m; qdemo consumer --max 1 --tty -- cat & wait $!; echo code $?";
    let mut session = Session::start(&sandbox, script);
    session.wait_for("in the background");
    session.wait_for("code 2");
    session.end();
    sandbox.run(&["get"]).assert_prints("a\n");
    sandbox.assert_nothing_left();
}
