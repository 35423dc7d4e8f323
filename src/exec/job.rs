//! One command for one item: its input, output, deadline and exit.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

use super::command::CommandTemplate;
use super::output::{
    CaptureError, KeptOutput, OutputCapture, OutputConfig, OutputStore, OutputStream, PassOn,
};
use super::replacement::Replacements;
use super::terminal::Terminal;
use super::{ExecObserver, OutputSource};
use crate::catalogue::{Lang, message};
use crate::client::ItemRef;
use crate::clock::{Nanos, WallTime};
use crate::failure::{Cause, Failure, last_lines};
use crate::item::display_text;
use crate::os::{self, Meanwhile};
use crate::pipe::PIPE_BUF;
use crate::queue::Batch;

/// At most this many bytes of standard error are searched for its last line.
const MAX_LAST_LINE: u64 = 1024;
/// At most this many bytes of standard error are searched for the lines that a failed item keeps.
const MAX_LAST_LINES: u64 = 64 * 1024;
/// The time between SIGTERM and SIGKILL.
const TERM_GRACE_PERIOD: Nanos = 5_000_000_000;

/// An item, with the number of failures here.
#[derive(Clone, Debug)]
pub(crate) struct ItemTask {
    /// A batch of one item.
    pub(crate) batch: Batch,
    /// How often the command has failed here.
    pub(super) command_failures: u32,
    /// The lease of this attempt has run out: the item is in the queue again, or with another consumer.
    pub(super) is_lease_expired: bool,
    /// The position among the items of this consumer.
    pub(super) position: u64,
}

impl ItemTask {
    pub(super) fn new(batch: Batch, position: u64) -> Self {
        Self { batch, command_failures: 0, is_lease_expired: false, position }
    }

    pub(crate) fn id(&self) -> u64 {
        self.batch.first_id
    }

    /// The 1-based number of the attempt. Attempts of other consumers count too.
    pub(crate) fn attempt(&self) -> u32 {
        self.batch.attempt
    }

    /// The number of tries here, once the present command has ended.
    pub(super) fn tries(&self) -> u32 {
        self.command_failures + 1
    }

    pub(super) fn item_ref(&self) -> ItemRef {
        ItemRef { id: self.id(), attempt: self.attempt() }
    }
}

/// A running command.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) task: ItemTask,
    slot: u32,
    pub(super) started_at: Nanos,
    child: Child,
    process_group: Option<Pid>,
    stdout_capture: OutputCapture,
    stderr_capture: OutputCapture,
    /// The time of SIGTERM, or of SIGKILL after SIGTERM.
    deadline: Option<Nanos>,
    /// The command got SIGTERM, since its time was over, or since this consumer leaves.
    is_terminating: bool,
    /// The user has seen a notice about the stopped command.
    pub(super) is_stop_reported: bool,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct CommandOutcome {
    pub(crate) task: ItemTask,
    /// The slot of the command, from 1 to the maximum number of concurrent commands.
    pub(crate) slot: u32,
    pub(crate) started_at: Nanos,
    pub(crate) ended_at: Nanos,
    pub(crate) status: ExitStatus,
    /// The command got SIGTERM. Relevant only for a timeout: the executor drops outcomes after its own end.
    pub(crate) has_timed_out: bool,
    /// The whole output, or only its end if the observer got each line before.
    pub(crate) stdout: KeptOutput,
    pub(crate) stderr: KeptOutput,
}

/// How commands start: what is the same for all of them.
pub(super) struct JobContext<'a> {
    pub(super) template: &'a CommandTemplate,
    pub(super) env: &'a [(&'a str, &'a str)],
    /// The time limit.
    pub(super) limit: Option<Nanos>,
    /// With a terminal the command shares this process's output, and may read from the terminal.
    pub(super) terminal: Option<&'a Terminal>,
    pub(super) store: &'a OutputStore,
    pub(super) output: OutputConfig,
}

impl Job {
    /// Starts the command for this item. An error returns the item.
    pub(super) fn start(
        context: &JobContext<'_>,
        task: ItemTask,
        slot: u32,
        now: Nanos,
    ) -> Result<Self, (ItemTask, io::Error)> {
        match Self::spawn(context, &task, slot) {
            Ok((child, stdout, stderr)) => Ok(Self {
                task,
                slot,
                started_at: now,
                process_group: i32::try_from(child.id()).ok().and_then(Pid::from_raw),
                child,
                stdout_capture: stdout,
                stderr_capture: stderr,
                deadline: context.limit.map(|limit| now.saturating_add(limit)),
                is_terminating: false,
                is_stop_reported: false,
            }),
            Err(error) => Err((task, error)),
        }
    }

    fn spawn(
        context: &JobContext<'_>,
        task: &ItemTask,
        slot: u32,
    ) -> io::Result<(Child, OutputCapture, OutputCapture)> {
        let JobContext { template, env, terminal, .. } = *context;
        let text = task.batch.items.iter().next().map(display_text).unwrap_or_default();
        let capture = || match terminal {
            Some(_) => Ok((OutputCapture::nothing(), Stdio::inherit())),
            None => OutputCapture::new(context.store, context.output),
        };
        let ((stdout, out), (stderr, err)) = (capture()?, capture()?);
        let stdin = match (template.has_item_argument, terminal) {
            (false, _) => item_stdin(&text)?,
            (true, Some(terminal)) => terminal.stdin()?,
            (true, None) => Stdio::null(),
        };
        let values = Replacements { item: &text, id: task.id(), slot };
        let mut command = template.build_command(values);
        command
            .env("QDEMO_ID", task.id().to_string())
            .env("QDEMO_ATTEMPT", task.attempt().to_string())
            .env("QDEMO_SLOT", slot.to_string())
            .envs(env.iter().copied())
            .stdin(stdin)
            .stdout(out)
            .stderr(err)
            // A group of its own lets one signal reach the command and its children.
            .process_group(0);
        let child = os::with_inherited_mask(|| command.spawn())??;
        Ok((child, stdout, stderr))
    }

    pub(super) fn process_group(&self) -> Option<Pid> {
        self.process_group
    }

    /// The pipes with the output.
    pub(super) fn output_fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [&self.stdout_capture, &self.stderr_capture].into_iter().filter_map(OutputCapture::fd)
    }

    /// The time of the next [`Job::enforce_deadline`].
    pub(super) fn deadline(&self) -> Option<Nanos> {
        self.deadline
    }

    /// Captures the available output. `observer` gets the lines that are passed on.
    pub(super) fn read_output(
        &mut self,
        observer: &mut impl ExecObserver,
        meanwhile: &mut Meanwhile<'_>,
    ) -> Result<(), CaptureError> {
        self.for_each_stream(observer, meanwhile, OutputCapture::read_available)
    }

    /// Captures the last output of an ended command.
    pub(super) fn read_rest(
        &mut self,
        observer: &mut impl ExecObserver,
        meanwhile: &mut Meanwhile<'_>,
    ) -> Result<(), CaptureError> {
        self.for_each_stream(observer, meanwhile, OutputCapture::read_rest)
    }

    fn for_each_stream(
        &mut self,
        observer: &mut impl ExecObserver,
        meanwhile: &mut Meanwhile<'_>,
        read: impl Fn(&mut OutputCapture, &mut PassOn<'_>) -> Result<(), CaptureError>,
    ) -> Result<(), CaptureError> {
        let source = OutputSource { task: &self.task, slot: self.slot };
        for (stream, capture) in [
            (OutputStream::Stdout, &mut self.stdout_capture),
            (OutputStream::Stderr, &mut self.stderr_capture),
        ] {
            read(capture, &mut |lines| observer.output_came(source, stream, lines, meanwhile))?;
        }
        Ok(())
    }

    /// Forgets the available output, so that the command can go on to its end.
    pub(super) fn discard_output(&mut self) {
        self.stdout_capture.discard();
        self.stderr_capture.discard();
    }

    /// Terminates a command after its deadline, and kills a terminating command after the grace period.
    pub(super) fn enforce_deadline(&mut self, now: Nanos) {
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        if self.is_terminating {
            self.signal_group(Signal::KILL);
            self.deadline = None;
        } else {
            self.terminate(now);
        }
    }

    /// Moves the deadline by the time that the command stood still.
    pub(super) fn extend_deadline(&mut self, suspended: Nanos) {
        self.deadline = self.deadline.map(|deadline| deadline.saturating_add(suspended));
    }

    /// Sends SIGTERM, and SIGCONT so that a stopped command can end.
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
            os::signal_group(group, signal);
        }
    }

    /// The exit status of an ended command. Children of the command may live on; after SIGTERM they get SIGKILL.
    pub(super) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() && self.is_terminating {
            self.signal_group(Signal::KILL);
        }
        Ok(status)
    }

    /// The signal that has stopped the command since the last call. None if the command runs.
    pub(super) fn stop_signal(&self) -> Option<Signal> {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
        let status = waitid(WaitId::Pid(self.process_group?), options).ok()??;
        Signal::from_named_raw(status.stopping_signal()?)
    }

    /// Whether an exit with this status is the command's own decision.
    pub(super) fn is_voluntary_exit(&self, status: ExitStatus) -> bool {
        !self.is_terminating && status.signal().is_none()
    }

    pub(super) fn into_outcome(
        self,
        status: ExitStatus,
        ended_at: Nanos,
        store: &OutputStore,
    ) -> io::Result<CommandOutcome> {
        Ok(CommandOutcome {
            task: self.task,
            slot: self.slot,
            started_at: self.started_at,
            ended_at,
            status,
            has_timed_out: self.is_terminating,
            stdout: self.stdout_capture.into_output(store)?,
            stderr: self.stderr_capture.into_output(store)?,
        })
    }
}

impl CommandOutcome {
    /// The last line that the command has printed on standard error, without what a carriage return has replaced.
    /// Empty without any text, and as far as the line is too long.
    pub(crate) fn last_error_line(&mut self) -> String {
        let mut end = Vec::new();
        let length = self.stderr.seek(SeekFrom::End(0)).unwrap_or(0);
        let from = SeekFrom::Start(length.saturating_sub(MAX_LAST_LINE));
        // An unreadable file has no last line.
        let _ = self.stderr.seek(from).and_then(|_| self.stderr.read_to_end(&mut end));
        let text = String::from_utf8_lossy(&end);
        let lines = text.split(['\n', '\r']).map(str::trim);
        lines.rev().find(|line| !line.is_empty()).unwrap_or_default().to_owned()
    }

    /// The signal by which a person at the terminal has ended the command. A shell exits with 130 after SIGINT has
    /// ended the shell's command.
    pub(super) fn terminal_signal(&self) -> Option<Signal> {
        match (self.status.code(), self.status.signal().and_then(Signal::from_named_raw)) {
            _ if self.has_timed_out => None,
            (Some(130), _) => Some(Signal::INT),
            (_, signal) => signal.filter(|&signal| [Signal::INT, Signal::QUIT].contains(&signal)),
        }
    }

    /// Whether the lease of the item has run out, as far as this consumer knows. The result is that of another consumer then.
    pub(crate) fn has_lease_expired(&self) -> bool {
        self.task.is_lease_expired
    }

    pub(super) fn has_failed(&self) -> bool {
        self.has_timed_out || !self.status.success()
    }

    /// The failure of the item, if this was the last try.
    pub(super) fn failure(&mut self, tries: u32) -> Failure {
        let cause = match (self.status.code(), self.status.signal()) {
            (Some(code), _) => Cause::Exit(code),
            (None, Some(signal)) => Cause::Signal(signal),
            (None, None) => Cause::Message(message!(Lang::En, "reason-unknown")),
        };
        Failure {
            timed_out: self.has_timed_out,
            tries: Some(tries),
            stderr: self.last_error_lines(),
            ..Failure::new(cause, WallTime::now())
        }
    }

    /// The end of what the command has printed on standard error. Empty if the file cannot be read.
    fn last_error_lines(&mut self) -> String {
        let mut end = Vec::new();
        let length = self.stderr.seek(SeekFrom::End(0)).unwrap_or(0);
        let start = length.saturating_sub(MAX_LAST_LINES);
        let _ = self
            .stderr
            .seek(SeekFrom::Start(start))
            .and_then(|_| (&mut self.stderr).take(MAX_LAST_LINES).read_to_end(&mut end));
        last_lines(&end, start > 0)
    }
}

/// A standard input with the item on a line: a pipe if a pipe surely holds the line, else a file.
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
