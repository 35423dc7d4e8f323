//! Pipes of other programs: nonblocking standard streams, and pipes, devices and sockets in place of files.
//!
//! Local: these are pipes of the commands, and a run has its queue on this machine.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;

use nix::sys::stat::Mode;
use roxmltree::Document;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{CLASSIC, Running, Sandbox, assert_same};

/// The reading end and the writing end. Both ends are nonblocking.
type Ends = (File, File);

/// A pipe that holds one page.
fn narrow_pipe() -> Ends {
    let (reader, writer) = std::io::pipe().unwrap();
    #[cfg(target_os = "linux")]
    rustix::pipe::fcntl_setpipe_size(&writer, 4096).unwrap();
    nonblocking(reader.into(), writer.into())
}

fn sockets() -> Ends {
    let (reader, writer) = UnixStream::pair().unwrap();
    nonblocking(reader.into(), writer.into())
}

fn nonblocking(reader: OwnedFd, writer: OwnedFd) -> Ends {
    fcntl_setfl(&reader, OFlags::NONBLOCK).unwrap();
    fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    (reader.into(), writer.into())
}

/// Reads the reading end in small pieces until its end. The reading begins when the returned sender sends.
fn read_slowly(reader: File) -> (mpsc::Sender<()>, thread::JoinHandle<Vec<u8>>) {
    let (start, started) = mpsc::channel::<()>();
    let reading = thread::spawn(move || {
        started.recv().unwrap();
        let (mut reader, mut all, mut piece) = (reader, Vec::new(), [0; 512]);
        loop {
            match reader.read(&mut piece) {
                Ok(0) => return all,
                Ok(read) => all.extend_from_slice(&piece[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    let mut fds =
                        [rustix::event::PollFd::new(&reader, rustix::event::PollFlags::IN)];
                    rustix::event::poll(&mut fds, None).unwrap();
                }
                Err(error) => panic!("{error}"),
            }
        }
    });
    (start, reading)
}

#[derive(Clone, Copy, Debug)]
enum Stream {
    Stdout,
    Stderr,
}

/// Runs a command with `ends` as the standard stream `stream`. Returns the text of this stream and the exit
/// status.
fn with_output(
    sandbox: &Sandbox,
    args: &[&str],
    ends: Ends,
    stream: Stream,
) -> (String, ExitStatus) {
    let (reader, writer) = ends;
    let mut command = sandbox.qdemo(args);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match stream {
        Stream::Stdout => command.stdout(writer),
        Stream::Stderr => command.stderr(writer),
    };
    let mut child = command.spawn().unwrap();
    // Now only the child process has the writing end.
    drop(command);
    let (start, reading) = read_slowly(reader);
    start.send(()).unwrap();
    let text = reading.join().unwrap();
    (String::from_utf8(text).unwrap(), child.wait().unwrap())
}

#[test]
fn every_command_writes_all_output_to_a_nonblocking_standard_output() {
    let sandbox = Sandbox::new();
    let events = sandbox.run(&["run", "--speed=max", "--format=json", "--items=200"]);
    fs::write(sandbox.path("events"), &events.stdout).unwrap();
    let lines: String = (0..3000).map(|n| format!("item number {n}\n")).collect();
    sandbox.run_with_input(&["put", "-"], lines.as_bytes()).assert_done();
    for args in [
        &["run", "--speed=max", "--items=500"][..],
        &["run", "--speed=max", "--format=json", "--items=200"],
        &["timeline", "events"],
        &["completions", "zsh"],
        &["man", "run"],
        &["run", "--help"],
        &["--version"],
        &["peek", "--count=3000"],
        &["status", "--format=json"],
        &["get", "--count=3000"],
    ] {
        let get = args[0] == "get";
        let expected = if get { lines.clone() } else { sandbox.run(args).text() };
        for ends in [narrow_pipe(), sockets()] {
            if get {
                sandbox.run(&["rm", "--force", "default"]);
                sandbox.run_with_input(&["put", "-"], lines.as_bytes()).assert_done();
            }
            let (text, status) = with_output(&sandbox, args, ends, Stream::Stdout);
            assert_eq!(status.code(), Some(0), "{args:?}");
            let without_age = |text: &str| text.split("\"oldest_s\"").next().unwrap().to_owned();
            assert_same(&without_age(&expected), &without_age(&text));
        }
    }
}

#[test]
fn errors_and_statistics_are_whole_on_a_nonblocking_standard_error() {
    let sandbox = Sandbox::new();
    let long = "x".repeat(100_000);
    let run = ["run", "--quiet", "--speed=max", "--stats=json", "--consumers=40", "--items=1"];
    for (args, code) in [(&["put", "--timeout", &long][..], 2), (&[], 2), (&run, 0)] {
        let expected = sandbox.run(args).stderr;
        for ends in [narrow_pipe(), sockets()] {
            let (text, status) = with_output(&sandbox, args, ends, Stream::Stderr);
            assert_eq!(status.code(), Some(code));
            assert_same(&expected, &text);
        }
    }
}

#[test]
fn the_output_of_item_commands_is_whole_on_nonblocking_streams() {
    let sandbox = Sandbox::new();
    let script = "seq 20000; seq 20000 >&2";
    let expected: String = (1..=20_000).map(|n| format!("{n}\n")).collect();
    for stream in [Stream::Stdout, Stream::Stderr] {
        for ends in [narrow_pipe(), sockets()] {
            sandbox.run(&["put", "one"]).assert_done();
            let args = ["consumer", "--max=1", "--", "sh", "-c", script];
            let (text, status) = with_output(&sandbox, &args, ends, stream);
            assert_eq!(status.code(), Some(0));
            assert_same(&expected, &text);
        }
    }
}

#[test]
fn every_command_reads_all_of_a_nonblocking_standard_input() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(&["run", "--speed=max", "--format=json", "--items=300"]);
    fs::write(sandbox.path("events"), &run.stdout).unwrap();
    let picture = sandbox.run(&["timeline", "events"]).text();
    let lines: String = (0..3000).map(|n| format!("item number {n}\n")).collect();
    for (args, input, expected) in [
        (&["timeline", "-"][..], &run.stdout[..], &picture[..]),
        (&["put", "-"], lines.as_bytes(), ""),
        (&["producer", "--quiet", "--keep-open", "-"], lines.as_bytes(), ""),
    ] {
        for (reader, mut writer) in [narrow_pipe(), sockets()] {
            let mut command = sandbox.qdemo(args);
            let mut child = command.stdin(reader).stdout(Stdio::piped()).spawn().unwrap();
            drop(command);
            // The command first finds no input, and later one piece at a time.
            fcntl_setfl(&writer, OFlags::empty()).unwrap();
            wait_until_asleep(&mut child);
            let mut stdout = child.stdout.take().unwrap();
            let reading = thread::spawn(move || {
                let mut text = String::new();
                stdout.read_to_string(&mut text).unwrap();
                text
            });
            for piece in input.chunks(1000) {
                writer.write_all(piece).unwrap();
            }
            drop(writer);
            assert_eq!(child.wait().unwrap().code(), Some(0), "{args:?}");
            assert_same(expected, &reading.join().unwrap());
        }
    }
    assert_eq!(sandbox.status()["ready"], 4 * 3000);
}

/// Waits until the process sleeps or has ended.
fn wait_until_asleep(child: &mut Child) {
    let stat = format!("/proc/{}/stat", child.id());
    let sleeps = || fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") S "));
    while !sleeps() && child.try_wait().unwrap().is_none() {
        thread::yield_now();
    }
}

fn make_pipe(path: &Path) {
    nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
}

#[test]
fn a_named_pipe_can_receive_a_picture_or_statistics() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(&["run", "--speed=max", "--format=json"]);
    fs::write(sandbox.path("events"), &run.stdout).unwrap();
    let pipe = sandbox.path("pipe.svg");
    make_pipe(&pipe);
    for args in [
        &["run", "--speed=max", "--timeline=pipe.svg"][..],
        &["timeline", "events", "-o", "pipe.svg"],
        &["bench", "--size=16", "--workers=1x1", "--rounds=1", "--plot=pipe.svg"],
        &["run", "--speed=max", "--stats-file=pipe.svg", "--timeline=other.svg"],
    ] {
        let running = sandbox.start(args);
        // The text ends when the command has closed the pipe.
        let text = fs::read_to_string(&pipe).unwrap();
        let outcome = running.end();
        assert_eq!(outcome.code(), Some(0), "{args:?}: {}", outcome.stderr);
        if args[2].contains("stats") {
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["items"], 5)
        } else {
            drop(Document::parse(&text).unwrap())
        }
        assert!(fs::metadata(&pipe).is_ok(), "the command has removed the pipe");
    }
    sandbox.assert_nothing_left();
}

#[test]
fn a_run_waits_for_the_reader_of_a_named_pipe_until_a_signal() {
    let sandbox = Sandbox::new();
    make_pipe(&sandbox.path("pipe.svg"));
    for args in ["--timeline=pipe.svg", "--stats-file=pipe.svg --timeline=new.svg"] {
        let mut command = sandbox.command("bash");
        command.args(["-c", &format!("exec qdemo run --speed=max {args} 2>&1")]);
        let mut running = Running::start(command);
        assert_eq!(running.line(), "qdemo: waiting for a reader of the pipe pipe.svg");
        running.signal(Signal::INT);
        let outcome = running.end();
        assert_eq!(outcome.signal(), Some(2));
        assert_same("", &outcome.text());
        assert!(!sandbox.path("new.svg").exists());
        sandbox.assert_nothing_left();
    }
}

#[test]
fn a_run_fails_when_the_reader_of_its_named_pipe_leaves() {
    let sandbox = Sandbox::new();
    let pipe = sandbox.path("pipe.svg");
    make_pipe(&pipe);
    let mut running =
        sandbox.start(&["run", "--lang=en", "--items=1", "--speed=20", "--timeline=pipe.svg"]);
    drop(File::open(&pipe).unwrap());
    assert_eq!(running.line(), "producer: added item0");
    let outcome = running.end();
    // A notice that the command waits for a reader may come first.
    let error = outcome.stderr.lines().last().unwrap_or_default();
    assert!(error.contains("cannot write the picture pipe.svg"), "{error}");
    assert!(error.contains("Broken pipe"), "{error}");
    assert_eq!(outcome.code(), Some(1));
}

#[test]
fn devices_can_stand_in_for_output_files() {
    let sandbox = Sandbox::new();
    std::os::unix::fs::symlink("/dev/null", sandbox.path("null.svg")).unwrap();
    sandbox
        .run(&["run", "--speed=max", "--timeline=null.svg", "--stats-file=/dev/null"])
        .assert_prints(CLASSIC);
    // Statistics follow the lines, in a file too.
    let stats = "qdemo run --speed=max --lang=en --items=1 --stats-file=/dev/stdout";
    let outcome = sandbox.script(&format!("{stats} > both; cat both; {stats} | cat"));
    let lines = outcome.lines();
    assert_eq!(lines.len(), 8);
    for lines in lines.chunks(4) {
        assert_eq!(lines[2], "all processes have finished");
        let stats: Value = serde_json::from_str(&lines[3]).unwrap();
        assert_eq!(stats["items"], 1);
    }
    let args = ["run", "--speed=max", "--quiet", "--stats-file=/dev/stdout"];
    let (text, status) = with_output(&sandbox, &args, sockets(), Stream::Stdout);
    assert_eq!(status, ExitStatus::from_raw(0));
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["items"], 5);
}
