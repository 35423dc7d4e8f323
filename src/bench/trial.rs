//! One measurement: starts processes together, and collects their reports.

use std::collections::BTreeSet;
use std::fs;
use std::io::{PipeReader, PipeWriter, Read, pipe};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use tempfile::{Builder, TempDir};

use super::case::{BenchCase, Implementation, Metric, PUT_DURATION};
use super::task::{ProcessReport, ProcessRole, TrialTask};
use crate::catalogue::message;
use crate::clock::{Clock, Nanos};
use crate::keeper::{Keeper, Other, PipeHost, Pipes};
use crate::os::spawn_self;
use crate::os::{Interest, PrivateDir, Waker, wait_ready};
use crate::pipe::{QueueDir, make_fifo};
use crate::queue::{Queue, QueueState};
use crate::role::{Role, WorkerId};
use crate::run::Workers;
use crate::run::private_dir::{self, BENCH_QUEUE, RELAY_PIPES, TOKENS, TRIAL_DIR_PREFIX};

/// The time limit of a trial.
const TRIAL_TIMEOUT: Nanos = 30_000_000_000;
const PYTHON_SCRIPT: &str = include_str!("mp_queue.py");

/// Runs trials.
pub(super) struct Trial<'a> {
    pub(super) workers: &'a Workers,
    /// The directory for all trials.
    pub(super) base: &'a PrivateDir,
    /// A wake ends the trial.
    pub(super) interrupt: &'a Waker,
}

/// A signal told this process to leave.
#[derive(Debug, thiserror::Error)]
#[error("{}", message!("bench-interrupted"))]
pub(crate) struct Interrupted;

/// The reports of all processes of a trial.
#[derive(Debug, Default)]
pub(super) struct TrialSample {
    first_put: Option<Nanos>,
    last_get: Nanos,
    items: u64,
    /// Unsorted.
    pub(super) latencies: Vec<Nanos>,
}

impl TrialSample {
    /// The rate between the first put and the last get. None if no item came through.
    pub(super) fn items_per_second(&self) -> Option<f64> {
        let time = self.last_get.checked_sub(self.first_put?).filter(|&time| time > 0)?;
        (self.items > 0).then(|| self.items as f64 / (time as f64 / 1e9))
    }

    fn add_report(&mut self, report: ProcessReport) -> anyhow::Result<()> {
        match report {
            ProcessReport::Put { begin } => {
                self.first_put = Some(self.first_put.map_or(begin, |first| first.min(begin)));
            }
            ProcessReport::Got { end, items, latencies } => {
                self.last_get = self.last_get.max(end);
                self.items += items;
                self.latencies.extend(latencies);
            }
            ProcessReport::Ready | ProcessReport::Passed => {}
            ProcessReport::Failed(reason) => bail!(reason),
        }
        Ok(())
    }
}

impl Trial<'_> {
    /// Measures a case once. The trial leaves no process and no pipe behind.
    pub(super) fn measure(&self, case: BenchCase, kind: Metric) -> anyhow::Result<TrialSample> {
        let (dir, measured) = self.measure_once(case, kind)?;
        match measured {
            // A cleaner of temporary files has removed the directory meanwhile.
            Err(error) if !error.is::<Interrupted>() && !dir.path().exists() => {
                self.measure_once(case, kind)?.1
            }
            other => other,
        }
    }

    /// Measures a case in a new directory. The caller needs the directory even after a failure.
    fn measure_once(
        &self,
        case: BenchCase,
        kind: Metric,
    ) -> anyhow::Result<(TempDir, anyhow::Result<TrialSample>)> {
        // A cleaner may have removed the directory for all trials.
        let dir = self
            .base
            .recreate_if_gone()
            .and_then(|()| Builder::new().prefix(TRIAL_DIR_PREFIX).tempdir_in(self.base.path()))
            .with_context(|| message!("bench-no-directory"))?;
        let measured = self.run_in(case, kind, dir.path());
        self.workers.kill_all();
        Ok((dir, measured))
    }

    fn run_in(&self, case: BenchCase, kind: Metric, dir: &Path) -> anyhow::Result<TrialSample> {
        for name in RELAY_PIPES.into_iter().chain([TOKENS]) {
            make_fifo(&dir.join(name)).with_context(|| message!("bench-no-pipe"))?;
        }
        let (start_signal, start_gate) = pipe()?;
        let mut processes = TrialProcesses {
            start_gate: Some(start_gate),
            processes: Vec::new(),
            sample: TrialSample::default(),
        };
        let roles: &[(ProcessRole, u32)] = match case.implementation {
            Implementation::Qdemo => &[
                (ProcessRole::IdleClients, case.idle_clients.min(1)),
                (ProcessRole::Consumer, case.consumers),
                (ProcessRole::Producer, case.producers),
            ],
            Implementation::Relay => {
                &[(ProcessRole::Reader, 1), (ProcessRole::Relay, 1), (ProcessRole::Writer, 1)]
            }
            Implementation::Python => &[(ProcessRole::Producer, 1)],
        };
        let mut pipes = None;
        if case.implementation == Implementation::Qdemo {
            let queue_dir = QueueDir::open_or_create(dir, BENCH_QUEUE)?;
            pipes = Some(Pipes::open(queue_dir).with_context(|| message!("bench-no-pipe"))?);
        }
        let origin = Clock::origin();
        for &(role, count) in roles {
            for index in 1..=count {
                let task = TrialTask {
                    parent: std::process::id(),
                    role,
                    index,
                    dir: dir.to_owned(),
                    size: case.size,
                    max_puts: case.max_puts(),
                    idle_clients: case.idle_clients,
                    uses_tokens: kind == Metric::Latency,
                    origin,
                };
                processes.processes.push(self.spawn_process(case, &task, &start_signal)?);
            }
        }
        drop(start_signal);
        match pipes {
            Some(pipes) => self.run_keeper(pipes, case, &mut processes)?,
            None => self.wait_for_exit(&mut processes)?,
        }
        Ok(processes.sample)
    }

    /// Starts a process. The end of the process closes its report pipe.
    fn spawn_process(
        &self,
        case: BenchCase,
        task: &TrialTask,
        start_signal: &PipeReader,
    ) -> anyhow::Result<TrialProcess> {
        let (reader, writer) = pipe()?;
        let role = match task.role {
            ProcessRole::Producer | ProcessRole::Writer => Role::Producer,
            ProcessRole::IdleClients => Role::Visitor,
            _ => Role::Consumer,
        };
        let spawn = |command: &mut Command| {
            command.stdin(start_signal.try_clone()?).stdout(writer.try_clone()?);
            self.workers.spawn(WorkerId { role, index: task.index }, command)
        };
        if case.implementation == Implementation::Python {
            spawn(&mut python_command(case, task)?).with_context(|| message!("bench-no-python"))?;
        } else {
            let json = serde_json::to_string(task)?;
            spawn_self(|command| spawn(command.arg("bench-task").arg(&json)))
                .with_context(|| message!("bench-no-program"))?;
        }
        Ok(TrialProcess {
            reader,
            buffer: Vec::new(),
            is_idle: task.role == ProcessRole::IdleClients,
            is_ready: false,
            has_reported: false,
            has_exited: false,
        })
    }

    /// Keeps the queue until all busy processes have exited, as the parent of a run does, but without an observer.
    fn run_keeper(
        &self,
        pipes: Pipes,
        case: BenchCase,
        processes: &mut TrialProcesses,
    ) -> anyhow::Result<()> {
        let all = |role, count| (1..=count).map(move |index| WorkerId { role, index });
        let workers: BTreeSet<_> = all(Role::Producer, case.producers)
            .chain(all(Role::Consumer, case.consumers))
            .chain(all(Role::Visitor, case.idle_clients))
            .collect();
        let queue = Queue::new(QueueState::default(), false);
        let mut keeper = Keeper::new(queue, Some(workers), None);
        let mut host = PipeHost { pipes, observer: () };
        let clock = Clock::start_now();
        loop {
            keeper.process_pending(clock.now(), &mut host)?;
            host.pipes.flush();
            if processes.have_busy_exited() {
                return Ok(());
            }
            check_deadline(clock)?;
            let others = processes.pipes(self.interrupt);
            let arrivals = host.pipes.wait(clock, Some(TRIAL_TIMEOUT), &others)?;
            host.process_arrivals(&mut keeper, clock, &arrivals)?;
            processes.read_reports(&arrivals.others_ready)?;
        }
    }

    /// Waits until all processes have exited.
    fn wait_for_exit(&self, processes: &mut TrialProcesses) -> anyhow::Result<()> {
        let clock = Clock::start_now();
        while !processes.have_busy_exited() {
            check_deadline(clock)?;
            let left = TRIAL_TIMEOUT.saturating_sub(clock.now());
            let pipes = processes.pipes(self.interrupt);
            let live: Vec<_> =
                pipes.iter().filter_map(|&(pipe, interest)| Some((pipe, interest?))).collect();
            let mut states = wait_ready(&live, Some(left))?.into_iter();
            let mut is_ready = || states.next().is_some_and(|s| s.is_ready || s.is_hung_up);
            let ready: Vec<_> =
                pipes.iter().map(|(_, interest)| interest.is_some() && is_ready()).collect();
            processes.read_reports(&ready)?;
        }
        Ok(())
    }
}

/// Fails after the time limit, for example if a process of the trial is stopped.
fn check_deadline(clock: Clock) -> anyhow::Result<()> {
    if clock.now() >= TRIAL_TIMEOUT {
        bail!(message!("bench-no-answer", time = TRIAL_TIMEOUT / 1_000_000_000));
    }
    Ok(())
}

/// A Python process that starts the processes of `multiprocessing`.
fn python_command(case: BenchCase, task: &TrialTask) -> anyhow::Result<Command> {
    let script = task.dir.join(private_dir::PYTHON_SCRIPT_NAME);
    fs::write(&script, PYTHON_SCRIPT).with_context(|| message!("bench-no-script"))?;
    let mut command = Command::new("python3");
    let seconds = PUT_DURATION as f64 / 1e9;
    let numbers = [case.size, case.producers.into(), case.consumers.into(), case.max_puts()];
    command.arg(script).args(numbers.map(|number| number.to_string()));
    command.arg(seconds.to_string()).arg(if task.uses_tokens { "latency" } else { "throughput" });
    command.stderr(Stdio::null());
    Ok(command)
}

/// The processes of a trial.
struct TrialProcesses {
    /// Closing this pipe starts the work.
    start_gate: Option<PipeWriter>,
    processes: Vec<TrialProcess>,
    sample: TrialSample,
}

struct TrialProcess {
    reader: PipeReader,
    buffer: Vec<u8>,
    /// The process only ends when it is killed.
    is_idle: bool,
    is_ready: bool,
    has_reported: bool,
    has_exited: bool,
}

impl TrialProcesses {
    fn have_busy_exited(&self) -> bool {
        self.processes.iter().all(|process| process.has_exited || process.is_idle)
    }

    /// The pipes to poll. [`TrialProcesses::read_reports`] takes the results in this order.
    fn pipes<'a>(&'a self, interrupt: &'a Waker) -> Vec<Other<'a>> {
        let interest = |process: &TrialProcess| (!process.has_exited).then_some(Interest::Read);
        let processes = self.processes.iter();
        let pipes = processes.map(|process| (process.reader.as_fd(), interest(process)));
        [(interrupt.as_fd(), Some(Interest::Read))].into_iter().chain(pipes).collect()
    }

    /// Reads the reports, and starts the work when all processes are ready.
    fn read_reports(&mut self, ready: &[bool]) -> anyhow::Result<()> {
        if ready.first() == Some(&true) {
            return Err(Interrupted.into());
        }
        let processes = self.processes.iter_mut().zip(&ready[1..]);
        for (process, _) in processes.filter(|(_, ready)| **ready) {
            process.read_reports(&mut self.sample)?;
        }
        if self.processes.iter().all(|process| process.is_ready) {
            self.start_gate = None;
        }
        Ok(())
    }
}

impl TrialProcess {
    fn read_reports(&mut self, sample: &mut TrialSample) -> anyhow::Result<()> {
        let mut buffer = [0; 16 * 1024];
        let read = self.reader.read(&mut buffer)?;
        self.buffer.extend_from_slice(&buffer[..read]);
        if read == 0 {
            self.has_exited = true;
            ensure!(self.has_reported && self.buffer.is_empty(), message!("bench-died"));
            return Ok(());
        }
        while let Some(end) = memchr::memchr(b'\n', &self.buffer) {
            let line: Vec<_> = self.buffer.drain(..=end).collect();
            let report =
                serde_json::from_slice(&line).with_context(|| message!("bench-invalid-report"))?;
            match report {
                ProcessReport::Ready => self.is_ready = true,
                _ => self.has_reported = true,
            }
            sample.add_report(report)?;
        }
        Ok(())
    }
}
