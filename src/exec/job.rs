//! One command that runs for one item: what it gets, what it prints, how it ends.

use std::io::{self, PipeReader, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ExitStatus, Stdio};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tempfile::{SpooledTempFile, spooled_tempfile};

use super::command::CommandTemplate;
use super::terminal::Terminal;
use crate::clock::Nanos;
use crate::item::display_text;
use crate::os;
use crate::pipe::PIPE_BUF;
use crate::queue::Batch;

/// How much of what a command prints is kept in memory; the rest goes to a file without a name.
const MAX_OUTPUT_IN_MEMORY: usize = 1 << 20;
/// How long a command has to end by itself when it has been asked to.
const TERM_GRACE_PERIOD: Nanos = 5_000_000_000;

/// An item, and how often it has been tried here.
#[derive(Debug)]
pub(crate) struct ItemTask {
    /// A run of one.
    pub(crate) batch: Batch,
    /// How many tries have failed here.
    pub(super) command_failures: u32,
}

impl ItemTask {
    /// The queue's number of the item.
    pub(crate) fn id(&self) -> u64 {
        self.batch.first_id
    }

    /// The how-manieth attempt this is, those of other consumers included.
    pub(crate) fn attempt(&self) -> u32 {
        self.batch.attempt
    }
}

/// A command that runs.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) task: ItemTask,
    /// When it was started.
    pub(super) started_at: Nanos,
    child: Child,
    process_group: Option<Pid>,
    stdout_capture: OutputCapture,
    stderr_capture: OutputCapture,
    /// When it is to be asked to end, or killed if it has been asked.
    deadline: Option<Nanos>,
    /// It has been asked to end, because its time was over or because this consumer leaves.
    is_terminating: bool,
    /// It has been told that it is stopped.
    pub(super) is_stop_reported: bool,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct CommandOutcome {
    pub(crate) task: ItemTask,
    pub(crate) started_at: Nanos,
    pub(crate) ended_at: Nanos,
    pub(crate) status: ExitStatus,
    /// It had its time, and was ended.
    pub(crate) has_timed_out: bool,
    pub(crate) stdout: SpooledTempFile,
    pub(crate) stderr: SpooledTempFile,
}

/// What comes out of one of a command's ends.
#[derive(Debug)]
struct OutputCapture {
    pipe: Option<PipeReader>,
    captured: SpooledTempFile,
}

impl Job {
    /// Starts the command for this item; the item comes back with the error. `limit` is how long it may
    /// take. With a terminal it prints to what this process prints to, and may read from the terminal.
    pub(super) fn start(
        template: &CommandTemplate,
        env: &[(&str, &str)],
        task: ItemTask,
        now: Nanos,
        limit: Option<Nanos>,
        terminal: Option<&Terminal>,
    ) -> Result<Self, (ItemTask, io::Error)> {
        match Self::spawn(template, env, &task, terminal) {
            Ok((child, stdout, stderr)) => Ok(Self {
                task,
                started_at: now,
                process_group: i32::try_from(child.id()).ok().and_then(Pid::from_raw),
                child,
                stdout_capture: stdout,
                stderr_capture: stderr,
                deadline: limit.map(|limit| now.saturating_add(limit)),
                is_terminating: false,
                is_stop_reported: false,
            }),
            Err(error) => Err((task, error)),
        }
    }

    fn spawn(
        template: &CommandTemplate,
        env: &[(&str, &str)],
        task: &ItemTask,
        terminal: Option<&Terminal>,
    ) -> io::Result<(Child, OutputCapture, OutputCapture)> {
        let text = task.batch.items.iter().next().map(display_text).unwrap_or_default();
        let (stdout, out) = OutputCapture::new(terminal)?;
        let (stderr, err) = OutputCapture::new(terminal)?;
        let stdin = match (template.has_placeholder, terminal) {
            (false, _) => item_stdin(&text)?,
            (true, Some(terminal)) => terminal.stdin()?,
            (true, None) => Stdio::null(),
        };
        let mut command = template.build_command(&text);
        command
            .env("QDEMO_ID", task.id().to_string())
            .env("QDEMO_ATTEMPT", task.attempt().to_string())
            .envs(env.iter().copied())
            .stdin(stdin)
            .stdout(out)
            .stderr(err)
            // So that it can be ended with all that it starts.
            .process_group(0);
        let child = os::with_inherited_mask(|| command.spawn())??;
        Ok((child, stdout, stderr))
    }

    /// Its process group.
    pub(super) fn process_group(&self) -> Option<Pid> {
        self.process_group
    }

    /// The pipes that it prints to.
    pub(super) fn output_fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [&self.stdout_capture, &self.stderr_capture]
            .into_iter()
            .filter_map(|end| Some(end.pipe.as_ref()?.as_fd()))
    }

    /// When [`Job::enforce`] is to be called again.
    pub(super) fn deadline(&self) -> Option<Nanos> {
        self.deadline
    }

    /// Takes in what it has printed.
    pub(super) fn read_output(&mut self) -> io::Result<()> {
        self.stdout_capture.read_available()?;
        self.stderr_capture.read_available()
    }

    /// When its time is over, it is asked to end, and killed if it hasn't a while later.
    pub(super) fn enforce_deadline(&mut self, now: Nanos) {
        if self.deadline.is_some_and(|limit| limit <= now) {
            match self.is_terminating {
                false => self.terminate(now),
                true => {
                    self.signal_group(Signal::KILL);
                    self.deadline = None;
                }
            }
        }
    }

    /// It has stood still for so long, and has that much more time.
    pub(super) fn extend_deadline(&mut self, pause: Nanos) {
        self.deadline = self.deadline.map(|limit| limit.saturating_add(pause));
    }

    /// Asks it to end. A stopped command goes on, so that it can.
    pub(super) fn terminate(&mut self, now: Nanos) {
        if !self.is_terminating {
            self.signal_group(Signal::TERM);
            self.signal_group(Signal::CONT);
            self.is_terminating = true;
            self.deadline = Some(now.saturating_add(TERM_GRACE_PERIOD));
        }
    }

    fn signal_group(&self, signal: Signal) {
        if let Some(group) = self.process_group {
            // It may have ended at this very moment.
            let _ = kill_process_group(group, signal);
        }
    }

    /// How it ended, if it has. Whatever else of it is still there was not to be waited for; if its
    /// time was over, it goes too.
    pub(super) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() {
            if self.is_terminating {
                self.signal_group(Signal::KILL);
            }
            self.read_output()?;
        }
        Ok(status)
    }

    /// The signal that it has been stopped by since the last time; none if it goes on.
    pub(super) fn stop_signal(&self) -> Option<Signal> {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
        let status = waitid(WaitId::Pid(self.process_group?), options).ok()??;
        Signal::from_named_raw(status.stopping_signal()?)
    }

    /// Whether it has ended of its own will, if it ended like this.
    pub(super) fn is_voluntary_exit(&self, status: ExitStatus) -> bool {
        !self.is_terminating && status.signal().is_none()
    }

    /// What is left when it has ended.
    pub(super) fn into_outcome(self, status: ExitStatus, end: Nanos) -> CommandOutcome {
        let (stdout, stderr) = (self.stdout_capture.captured, self.stderr_capture.captured);
        let Self { task, started_at: start, is_terminating: timed_out, .. } = self;
        CommandOutcome {
            task,
            started_at: start,
            ended_at: end,
            status,
            has_timed_out: timed_out,
            stdout,
            stderr,
        }
    }
}

impl CommandOutcome {
    /// The signal by which a person at the terminal has ended it. 130 is what a shell exits with when
    /// SIGINT has ended its command.
    pub(super) fn terminal_signal(&self) -> Option<Signal> {
        match (self.status.code(), self.status.signal().and_then(Signal::from_named_raw)) {
            _ if self.has_timed_out => None,
            (Some(130), _) => Some(Signal::INT),
            (_, signal) => signal.filter(|&signal| [Signal::INT, Signal::QUIT].contains(&signal)),
        }
    }

    /// Why this is a failure; none if it is none.
    pub(super) fn failure_reason(&self) -> Option<String> {
        let how = match (self.status.code(), self.status.signal()) {
            (Some(0), _) if !self.has_timed_out => return None,
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("killed by signal {signal}"),
            (None, None) => "ended in an unknown way".to_owned(),
        };
        Some(match self.has_timed_out {
            true => format!("took longer than --timeout-each ({how})"),
            false => how,
        })
    }
}

impl OutputCapture {
    /// One, and the end that the command gets; with a terminal, nothing is taken in.
    fn new(terminal: Option<&Terminal>) -> io::Result<(Self, Stdio)> {
        let text = spooled_tempfile(MAX_OUTPUT_IN_MEMORY);
        if terminal.is_some() {
            return Ok((Self { pipe: None, captured: text }, Stdio::inherit()));
        }
        let (reader, writer) = io::pipe()?;
        fcntl_setfl(&reader, OFlags::NONBLOCK)?;
        Ok((Self { pipe: Some(reader), captured: text }, writer.into()))
    }

    /// Takes in what is there.
    fn read_available(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        while let Some(pipe) = &mut self.pipe {
            match pipe.read(&mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(read) => self.captured.write_all(&buffer[..read])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The item on a line, for standard input: in a pipe if that is sure to hold it, else in a file.
fn item_stdin(item: &str) -> io::Result<Stdio> {
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
