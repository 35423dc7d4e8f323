//! One command that runs for one item: what it gets, what it prints, how it ends.

use std::io::{self, PipeReader, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ExitStatus, Stdio};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tempfile::{SpooledTempFile, spooled_tempfile};

use super::command::Template;
use super::terminal::Terminal;
use crate::clock::Nanos;
use crate::item::bare;
use crate::os;
use crate::pipe::PIPE_BUF;
use crate::queue::Run;

/// How much of what a command prints is kept in memory; the rest goes to a file without a name.
const IN_MEMORY: usize = 1 << 20;
/// How long a command has to end by itself when it has been asked to.
const GRACE: Nanos = 5_000_000_000;

/// An item, and how often it has been tried here.
#[derive(Debug)]
pub(crate) struct Task {
    /// A run of one.
    pub(crate) run: Run,
    /// How many tries have failed here.
    pub(super) failures: u32,
}

impl Task {
    /// The queue's number of the item.
    pub(crate) fn id(&self) -> u64 {
        self.run.first
    }

    /// The how-manieth attempt this is, those of other consumers included.
    pub(crate) fn attempt(&self) -> u32 {
        self.run.attempt
    }
}

/// A command that runs.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) task: Task,
    /// When it was started.
    pub(super) start: Nanos,
    child: Child,
    group: Option<Pid>,
    stdout: Printed,
    stderr: Printed,
    /// When it is to be asked to end, or killed if it has been asked.
    limit: Option<Nanos>,
    /// It has been asked to end, because its time was over or because this consumer leaves.
    asked: bool,
    /// It has been told that it is stopped.
    pub(super) told_stopped: bool,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) task: Task,
    pub(crate) start: Nanos,
    pub(crate) end: Nanos,
    pub(crate) status: ExitStatus,
    /// It had its time, and was ended.
    pub(crate) timed_out: bool,
    pub(crate) stdout: SpooledTempFile,
    pub(crate) stderr: SpooledTempFile,
}

/// What comes out of one of a command's ends.
#[derive(Debug)]
struct Printed {
    pipe: Option<PipeReader>,
    text: SpooledTempFile,
}

impl Job {
    /// Starts the command for this item; the item comes back with the error. `limit` is how long it may
    /// take. With a terminal it prints to what this process prints to, and may read from the terminal.
    pub(super) fn start(
        template: &Template,
        env: &[(&str, &str)],
        task: Task,
        now: Nanos,
        limit: Option<Nanos>,
        terminal: Option<&Terminal>,
    ) -> Result<Self, (Task, io::Error)> {
        match Self::spawn(template, env, &task, terminal) {
            Ok((child, stdout, stderr)) => Ok(Self {
                task,
                start: now,
                group: i32::try_from(child.id()).ok().and_then(Pid::from_raw),
                child,
                stdout,
                stderr,
                limit: limit.map(|limit| now.saturating_add(limit)),
                asked: false,
                told_stopped: false,
            }),
            Err(error) => Err((task, error)),
        }
    }

    fn spawn(
        template: &Template,
        env: &[(&str, &str)],
        task: &Task,
        terminal: Option<&Terminal>,
    ) -> io::Result<(Child, Printed, Printed)> {
        let text = task.run.lines.iter().next().map(bare).unwrap_or_default();
        let (stdout, out) = Printed::new(terminal)?;
        let (stderr, err) = Printed::new(terminal)?;
        let stdin = match (template.has_item, terminal) {
            (false, _) => stdin(&text)?,
            (true, Some(terminal)) => terminal.stdin()?,
            (true, None) => Stdio::null(),
        };
        let mut command = template.for_item(&text);
        command
            .env("QDEMO_ID", task.id().to_string())
            .env("QDEMO_ATTEMPT", task.attempt().to_string())
            .envs(env.iter().copied())
            .stdin(stdin)
            .stdout(out)
            .stderr(err)
            // So that it can be ended with all that it starts.
            .process_group(0);
        let child = os::with_first_mask(|| command.spawn())??;
        Ok((child, stdout, stderr))
    }

    /// Its process group.
    pub(super) fn group(&self) -> Option<Pid> {
        self.group
    }

    /// The pipes that it prints to.
    pub(super) fn pipes(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [&self.stdout, &self.stderr].into_iter().filter_map(|end| Some(end.pipe.as_ref()?.as_fd()))
    }

    /// When [`Job::enforce`] is to be called again.
    pub(super) fn limit(&self) -> Option<Nanos> {
        self.limit
    }

    /// Takes in what it has printed.
    pub(super) fn read(&mut self) -> io::Result<()> {
        self.stdout.read()?;
        self.stderr.read()
    }

    /// When its time is over, it is asked to end, and killed if it hasn't a while later.
    pub(super) fn enforce(&mut self, now: Nanos) {
        if self.limit.is_some_and(|limit| limit <= now) {
            match self.asked {
                false => self.ask_to_end(now),
                true => {
                    self.signal(Signal::KILL);
                    self.limit = None;
                }
            }
        }
    }

    /// It has stood still for so long, and has that much more time.
    pub(super) fn postpone(&mut self, pause: Nanos) {
        self.limit = self.limit.map(|limit| limit.saturating_add(pause));
    }

    /// Asks it to end. A stopped command goes on, so that it can.
    pub(super) fn ask_to_end(&mut self, now: Nanos) {
        if !self.asked {
            self.signal(Signal::TERM);
            self.signal(Signal::CONT);
            self.asked = true;
            self.limit = Some(now.saturating_add(GRACE));
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // It may have ended at this very moment.
            let _ = kill_process_group(group, signal);
        }
    }

    /// How it ended, if it has. Whatever else of it is still there was not to be waited for; if its
    /// time was over, it goes too.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() {
            if self.asked {
                self.signal(Signal::KILL);
            }
            self.read()?;
        }
        Ok(status)
    }

    /// The signal that it has been stopped by since the last time; none if it goes on.
    pub(super) fn stopped(&self) -> Option<Signal> {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
        let status = waitid(WaitId::Pid(self.group?), options).ok()??;
        Signal::from_named_raw(status.stopping_signal()?)
    }

    /// Whether it has ended of its own will, if it ended like this.
    pub(super) fn ended_by_itself(&self, status: ExitStatus) -> bool {
        !self.asked && status.signal().is_none()
    }

    /// What is left when it has ended.
    pub(super) fn finish(self, status: ExitStatus, end: Nanos) -> Ended {
        let (stdout, stderr) = (self.stdout.text, self.stderr.text);
        let Self { task, start, asked: timed_out, .. } = self;
        Ended { task, start, end, status, timed_out, stdout, stderr }
    }
}

impl Ended {
    /// The signal by which a person at the terminal has ended it. 130 is what a shell exits with when
    /// SIGINT has ended its command.
    pub(super) fn interrupted(&self) -> Option<Signal> {
        match (self.status.code(), self.status.signal().and_then(Signal::from_named_raw)) {
            _ if self.timed_out => None,
            (Some(130), _) => Some(Signal::INT),
            (_, signal) => signal.filter(|&signal| [Signal::INT, Signal::QUIT].contains(&signal)),
        }
    }

    /// Why this is a failure; none if it is none.
    pub(super) fn failure(&self) -> Option<String> {
        let how = match (self.status.code(), self.status.signal()) {
            (Some(0), _) if !self.timed_out => return None,
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("killed by signal {signal}"),
            (None, None) => "ended in an unknown way".to_owned(),
        };
        Some(match self.timed_out {
            true => format!("took longer than --timeout-each ({how})"),
            false => how,
        })
    }
}

impl Printed {
    /// One, and the end that the command gets; with a terminal, nothing is taken in.
    fn new(terminal: Option<&Terminal>) -> io::Result<(Self, Stdio)> {
        let text = spooled_tempfile(IN_MEMORY);
        if terminal.is_some() {
            return Ok((Self { pipe: None, text }, Stdio::inherit()));
        }
        let (reader, writer) = io::pipe()?;
        fcntl_setfl(&reader, OFlags::NONBLOCK)?;
        Ok((Self { pipe: Some(reader), text }, writer.into()))
    }

    /// Takes in what is there.
    fn read(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(read) => self.text.write_all(&buffer[..read])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The item on a line, for standard input: in a pipe if that is sure to hold it, else in a file.
fn stdin(item: &str) -> io::Result<Stdio> {
    let line = [item.as_bytes(), b"\n"].concat();
    if line.len() <= PIPE_BUF {
        let (reader, mut writer) = io::pipe()?;
        writer.write_all(&line)?;
        return Ok(reader.into());
    }
    let mut file = tempfile::tempfile()?;
    file.write_all(&line)?;
    file.rewind()?;
    Ok(file.into())
}
