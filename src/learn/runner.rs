//! Runs the commands and programs of a lesson: in a directory of their own, with queues of their own, and in a process group
//! that ends with them.

use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::Context;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, Signal};

use super::lesson::Python;
use crate::catalogue::{lang, message};
use crate::clock::{Clock, Nanos};
use crate::exit::ExitCode;
use crate::os::signals::{self, LeaveSignals, exit_signal};
use crate::os::{
    Interest, PrivateDir, Waker, candidate_paths, is_executable, is_transient, self_executable,
    signal_group, wait_ready,
};

/// The name of a directory begins with this. The rest is random.
const DIR_PREFIX: &str = "qdemo-learn.";
/// The directory of the queues, in the directory of a lesson.
const QUEUES: &str = "queues";
/// The directory of the link to this program, in the directory of a lesson.
const BIN: &str = "bin";
const PYTHON: &str = "python3";
/// How long interrupted commands may take to clear up.
const GRACE: Nanos = 2_000_000_000;
/// The time between two signals to interrupted commands.
const PATIENCE: Nanos = 100_000_000;

/// Takes the output of commands as it comes.
pub(super) type Sink<'a> = &'a mut dyn FnMut(&[u8]) -> anyhow::Result<()>;

/// How commands have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By themselves.
    Exit,
    /// By themselves, with an error.
    Failure,
    /// Their time was over.
    Limit,
    /// This process got the signal.
    Signal(i32),
}

impl End {
    /// The exit code, if a signal ends the lesson too.
    pub(super) fn code(self) -> Option<ExitCode> {
        match self {
            Self::Signal(signal) => Some(ExitCode::Signal(signal)),
            Self::Exit | Self::Failure | Self::Limit => None,
        }
    }
}

/// Starts the commands of lessons.
pub(super) struct Runner {
    /// A signal to leave and each end of a child wake this waker.
    pub(super) waker: Arc<Waker>,
}

/// A command, its process group and what it prints.
struct Group {
    child: Child,
    output: PipeReader,
    /// Ends the group when this process is gone, even after SIGKILL.
    watcher: Option<Watcher>,
}

/// A process that waits for the end of its standard input, whose other end only this process holds. Then it kills a group.
struct Watcher {
    child: Child,
    input: Option<PipeWriter>,
}

impl Watcher {
    fn start(group: Pid) -> io::Result<Self> {
        let (output, input) = io::pipe()?;
        let group = format!("-{}", group.as_raw_nonzero());
        let child = Command::new("sh")
            .args(["-c", include_str!("watcher.sh"), "sh", &group])
            .stdin(output)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { child, input: Some(input) })
    }
}

impl Drop for Watcher {
    /// The group has ended: the watcher reads a line, and kills nothing.
    fn drop(&mut self) {
        if let Some(mut input) = self.input.take() {
            let _ = input.write_all(b"\n");
        }
        let _ = self.child.wait();
    }
}

/// Whether the programs in Python can run.
pub(crate) fn has_python() -> bool {
    candidate_paths(PYTHON.as_ref()).iter().any(|path| is_executable(path))
}

impl Runner {
    pub(super) fn new() -> anyhow::Result<Self> {
        let waker = signals::install_handlers(LeaveSignals::NotIgnored)?;
        signals::wake_on_child_exit(&waker)?;
        // What would stop the lesson in its middle is told before its first line.
        in_own_dir(|dir| path_with(dir.join(BIN)).map(drop))?;
        Ok(Self { waker })
    }

    /// Runs commands of a shell, with queues that nothing else uses.
    pub(super) fn run_script(&self, script: &str, sink: Sink<'_>) -> anyhow::Result<End> {
        in_own_dir(|dir| {
            let mut command = shell(dir, script)?;
            command.current_dir(dir);
            self.run(command, Signal::INT, None, sink)
        })
    }

    /// Runs a command in the present directory: it may write a file there.
    pub(super) fn run_here(&self, script: &str, sink: Sink<'_>) -> anyhow::Result<End> {
        in_own_dir(|dir| self.run(shell(dir, script)?, Signal::INT, None, sink))
    }

    /// Runs a program in Python, up to its limit.
    pub(super) fn run_python(&self, python: &Python, sink: Sink<'_>) -> anyhow::Result<End> {
        in_own_dir(|dir| {
            // Where multiprocessing starts its processes anew, they import this file.
            let path = dir.join("lesson.py");
            fs::write(&path, python.code)?;
            let mut command = Command::new(PYTHON);
            // Without a buffer the processes would mix their lines.
            command.arg("-B").arg(&path).env_remove("PYTHONUNBUFFERED");
            let limit = Nanos::try_from(python.limit.as_nanos()).unwrap_or(Nanos::MAX);
            self.run(command, Signal::KILL, Some(limit), sink)
        })
    }

    /// Runs a command to its end. After a signal to this process, or if `sink` fails, `interruption` ends the command.
    fn run(
        &self,
        command: Command,
        interruption: Signal,
        limit: Option<Nanos>,
        sink: Sink<'_>,
    ) -> anyhow::Result<End> {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut group = Group::start(command)
            .with_context(|| message!("learn-cannot-start", program = &program))?;
        let end = self.follow(&mut group, limit, sink);
        match end {
            Ok(End::Exit) if !group.child.wait()?.success() => return Ok(End::Failure),
            Ok(End::Exit | End::Limit) => {}
            _ => drop(interrupt(&mut group, interruption)),
        }
        end
    }

    /// Passes the output on until the command ends, its time is over, or a signal comes.
    fn follow(
        &self,
        group: &mut Group,
        limit: Option<Nanos>,
        sink: Sink<'_>,
    ) -> anyhow::Result<End> {
        let clock = Clock::start_now();
        loop {
            if let Some(signal) = exit_signal() {
                return Ok(End::Signal(signal));
            }
            let rest = limit.map(|limit| limit.saturating_sub(clock.now()));
            let has_ended = group.child.try_wait()?.is_some();
            let is_at_end = group.read_output(sink)?;
            if has_ended || (is_at_end && rest.is_none()) {
                return Ok(End::Exit);
            }
            if rest == Some(0) {
                return Ok(End::Limit);
            }
            let output = (group.output.as_fd(), Interest::Read);
            let signals = (self.waker.as_fd(), Interest::Read);
            // After the end of the output only the end of the process is of interest.
            let pipes = if is_at_end { vec![signals] } else { vec![signals, output] };
            wait_ready(&pipes, rest)?;
            self.waker.drain();
        }
    }
}

/// Signals the processes until they have closed their output, or for the grace period. A run lets its consumers finish their
/// items after the first signal, and ends at once after the second one.
fn interrupt(group: &mut Group, signal: Signal) -> io::Result<()> {
    let clock = Clock::start_now();
    let mut next = 0;
    while !group.read_output(&mut |_| Ok(())).unwrap_or(true) && clock.now() < GRACE {
        if clock.now() >= next {
            signal_group(group.id(), signal);
            next = clock.now() + PATIENCE;
        }
        let rest = next.saturating_sub(clock.now());
        wait_ready(&[(group.output.as_fd(), Interest::Read)], Some(rest))?;
    }
    Ok(())
}

impl Group {
    fn start(mut command: Command) -> io::Result<Self> {
        let (output, writer) = io::pipe()?;
        fcntl_setfl(&output, OFlags::NONBLOCK)?;
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
        // The command holds the writing end: without a drop the output never ends.
        let child = command.spawn()?;
        drop(command);
        let watcher = Watcher::start(Pid::from_child(&child));
        let mut group = Self { child, output, watcher: None };
        group.watcher = Some(watcher?);
        Ok(group)
    }

    fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Reads what is there. Returns whether the output is at its end.
    fn read_output(&mut self, sink: Sink<'_>) -> anyhow::Result<bool> {
        let mut bytes = [0; 4096];
        loop {
            match self.output.read(&mut bytes) {
                Ok(0) => return Ok(true),
                Ok(length) => sink(&bytes[..length])?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if is_transient(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Drop for Group {
    /// Ends what is left of the group: commands in the background, and programs that wait forever. Waits until the last of
    /// them has closed the output.
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            signal_group(self.id(), Signal::KILL);
        }
        let _ = interrupt(self, Signal::KILL);
        let _ = self.child.wait();
        self.watcher = None;
    }
}

/// Makes a directory for `act`, and removes it.
fn in_own_dir<T>(act: impl FnOnce(&Path) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let parent = std::env::temp_dir();
    let dir = PrivateDir::create(&parent, DIR_PREFIX, |_, _| true)
        .with_context(|| message!("command-no-directory", parent = &parent.display()))?;
    let ended = act(&dir.path());
    let _ = dir.remove();
    ended
}

/// A shell that finds this program as `qdemo`, and whose queues are in `dir`.
fn shell(dir: &Path, script: &str) -> anyhow::Result<Command> {
    let (queues, bin) = (dir.join(QUEUES), dir.join(BIN));
    for dir in [&queues, &bin] {
        DirBuilder::new().mode(0o700).create(dir)?;
    }
    symlink(own_program()?, bin.join("qdemo"))?;
    let path = path_with(bin)?;
    let mut command = Command::new("sh");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("QDEMO_") {
            command.env_remove(name);
        }
    }
    command
        .args(["-c", script])
        .env("PATH", path)
        .env("QDEMO_DIR", queues)
        .env("QDEMO_LANG", lang().code())
        .env_remove("CLICOLOR_FORCE");
    Ok(command)
}

/// The value of `PATH` with this directory in front.
fn path_with(bin: PathBuf) -> anyhow::Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let paths = std::iter::once(bin).chain(std::env::split_paths(&path));
    // A colon separates the directories of `PATH`.
    std::env::join_paths(paths).map_err(|_| anyhow::anyhow!(message!("learn-colon")))
}

/// The path of this program for another process.
fn own_program() -> io::Result<PathBuf> {
    let path = self_executable()?;
    if path.starts_with("/proc/self") {
        return Ok(format!("/proc/{}/exe", std::process::id()).into());
    }
    Ok(path)
}
