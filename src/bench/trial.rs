//! One measurement: processes that begin together, and what they tell.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, PipeReader, PipeWriter, Read, pipe};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow, bail};
use tempfile::{Builder, TempDir};

use super::task::{ProcessReport, ProcessRole, TrialTask};
use super::{BenchCase, Implementation, Metric, PUT_DURATION, PYTHON_PUT_DURATION};
use crate::clock::{Clock, Nanos, ProcessBirth};
use crate::event::Event;
use crate::journal::Record;
use crate::keeper::{Keeper, KeeperConfig, Observer, PipeHost, Pipes};
use crate::os::spawn_self;
use crate::os::{Interest, PrivateDir, Waker, wait_ready};
use crate::pipe::{QueueDir, make_fifo};
use crate::queue::{Queue, QueueState};
use crate::role::{Role, WorkerId};
use crate::run::Workers;
use crate::run::private_dir::{self, BENCH_QUEUE, RELAY_PIPES, TOKENS, TRIAL_DIR_PREFIX};

/// How long a measurement may take at the most.
const TRIAL_TIMEOUT: Nanos = 30_000_000_000;
const PYTHON_SCRIPT: &str = include_str!("mp_queue.py");

/// Where measurements are made.
pub(super) struct Trial<'a> {
    pub(super) workers: &'a Workers,
    /// The directory for all of them.
    pub(super) base: &'a PrivateDir,
    /// Ends everything.
    pub(super) interrupt: &'a Waker,
}

/// The signal to leave has come.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

/// What the processes of a measurement have told.
#[derive(Debug, Default)]
pub(super) struct TrialSample {
    first_put: Option<Nanos>,
    last_get: Nanos,
    items: u64,
    /// In no order.
    pub(super) latencies: Vec<Nanos>,
}

impl TrialSample {
    /// From the first put to the last get; none if nothing came through.
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
    /// Measures this once. None of its processes and pipes is left.
    pub(super) fn measure(&self, case: BenchCase, kind: Metric) -> anyhow::Result<TrialSample> {
        let (place, measured) = self.measure_once(case, kind)?;
        match measured {
            // A cleaner of the temporary folder has removed it meanwhile.
            Err(error) if !error.is::<Interrupted>() && !place.path().exists() => {
                self.measure_once(case, kind)?.1
            }
            other => other,
        }
    }

    /// Measures it in a directory of its own.
    fn measure_once(
        &self,
        case: BenchCase,
        kind: Metric,
    ) -> anyhow::Result<(TempDir, anyhow::Result<TrialSample>)> {
        let place = self.create_trial_dir().context("cannot make a directory")?;
        let measured = self.run_in(case, kind, place.path());
        self.workers.kill_all();
        Ok((place, measured))
    }

    /// A directory for one measurement. The one for all of them may have been cleaned away.
    fn create_trial_dir(&self) -> io::Result<TempDir> {
        self.base.recreate_if_gone()?;
        Builder::new().prefix(TRIAL_DIR_PREFIX).tempdir_in(self.base.path())
    }

    fn run_in(&self, case: BenchCase, kind: Metric, place: &Path) -> anyhow::Result<TrialSample> {
        for name in RELAY_PIPES.into_iter().chain([TOKENS]) {
            make_fifo(&place.join(name)).context("cannot make a named pipe")?;
        }
        let (start, go) = pipe()?;
        let mut processes = TrialProcesses {
            start_gate: Some(go),
            processes: Vec::new(),
            sample: TrialSample::default(),
        };
        let roles: &[(ProcessRole, u32)] = match case.implementation {
            Implementation::Qdemo => {
                &[(ProcessRole::Consumer, case.consumers), (ProcessRole::Producer, case.producers)]
            }
            Implementation::Relay => {
                &[(ProcessRole::Reader, 1), (ProcessRole::Relay, 1), (ProcessRole::Writer, 1)]
            }
            Implementation::Python => &[(ProcessRole::Producer, 1)],
        };
        let mut post = None;
        if case.implementation == Implementation::Qdemo {
            let dir = QueueDir::open_or_create(place, BENCH_QUEUE)?;
            post = Some(Pipes::open(dir).context("cannot make a named pipe")?);
        }
        let origin = Clock::origin();
        for &(part, count) in roles {
            for number in 1..=count {
                let one_by_one = kind == Metric::Latency;
                let (place, size) = (place.to_owned(), case.size);
                let task = TrialTask {
                    role: part,
                    index: number,
                    dir: place,
                    size,
                    put_duration: PUT_DURATION,
                    has_permits: one_by_one,
                    origin,
                };
                processes.processes.push(self.spawn_process(case, &task, &start)?);
            }
        }
        drop(start);
        match post {
            Some(post) => self.run_keeper(post, case, &mut processes)?,
            None => self.wait_for_exit(&mut processes)?,
        }
        Ok(processes.sample)
    }

    /// Starts a process whose end is that of the pipe that is returned.
    fn spawn_process(
        &self,
        case: BenchCase,
        task: &TrialTask,
        start: &PipeReader,
    ) -> anyhow::Result<TrialProcess> {
        let (reader, writer) = pipe()?;
        let role = match task.role {
            ProcessRole::Producer | ProcessRole::Writer => Role::Producer,
            _ => Role::Consumer,
        };
        let take_on = |command: &mut Command| {
            command.stdin(start.try_clone()?).stdout(writer.try_clone()?);
            self.workers.spawn(WorkerId { role, index: task.index }, command)
        };
        if case.implementation == Implementation::Python {
            take_on(&mut python_command(case, task)?).context("cannot start python3")?;
        } else {
            let words = serde_json::to_string(task)?;
            spawn_self(|command| take_on(command.arg("bench-task").arg(&words)))
                .context("cannot start this program")?;
        }
        Ok(TrialProcess {
            reader,
            buffer: Vec::new(),
            is_ready: false,
            has_reported: false,
            has_exited: false,
        })
    }

    /// Keeps the queue until all have left: as the parent of a run does, without telling anybody.
    fn run_keeper(
        &self,
        post: Pipes,
        case: BenchCase,
        processes: &mut TrialProcesses,
    ) -> anyhow::Result<()> {
        let all = |role, count| (1..=count).map(move |number| WorkerId { role, index: number });
        let producers = all(Role::Producer, case.producers);
        let workers: BTreeSet<_> = producers.chain(all(Role::Consumer, case.consumers)).collect();
        let mut keeper = Keeper::new(KeeperConfig {
            queue: Queue::new(QueueState::default(), false),
            workers: Some(workers),
            pacer: None,
        });
        let mut host = PipeHost { pipes: post, observer: NullObserver };
        let clock = Clock::start_now();
        loop {
            keeper.process_pending(clock.now(), &mut host)?;
            host.pipes.flush();
            if processes.have_all_exited() {
                return Ok(());
            }
            check_deadline(clock)?;
            let arrivals =
                host.pipes.wait(clock, Some(TRIAL_TIMEOUT), &processes.poll_fds(self.interrupt))?;
            host.process_arrivals(&mut keeper, clock, &arrivals)?;
            processes.read_reports(&arrivals.others_ready)?;
        }
    }

    /// Waits until all have left.
    fn wait_for_exit(&self, processes: &mut TrialProcesses) -> anyhow::Result<()> {
        let clock = Clock::start_now();
        while !processes.have_all_exited() {
            check_deadline(clock)?;
            let left = TRIAL_TIMEOUT.saturating_sub(clock.now());
            let states = wait_ready(&processes.poll_fds(self.interrupt), Some(left))?;
            let ready: Vec<_> =
                states.iter().map(|state| state.is_ready || state.is_hung_up).collect();
            processes.read_reports(&ready)?;
        }
        Ok(())
    }
}

/// Fails when a measurement takes far longer than it may: one of its processes has been stopped, perhaps.
fn check_deadline(clock: Clock) -> anyhow::Result<()> {
    match clock.now() < TRIAL_TIMEOUT {
        true => Ok(()),
        false => bail!("a process does not answer for {} s", TRIAL_TIMEOUT / 1_000_000_000),
    }
}

/// One process that starts those of `multiprocessing`.
fn python_command(case: BenchCase, task: &TrialTask) -> anyhow::Result<Command> {
    let script = task.dir.join(private_dir::PYTHON_SCRIPT_NAME);
    fs::write(&script, PYTHON_SCRIPT).context("cannot write a script")?;
    let mut command = Command::new("python3");
    let window = if task.has_permits { task.put_duration } else { PYTHON_PUT_DURATION };
    let seconds = window as f64 / 1e9;
    let numbers = [case.size, case.producers.into(), case.consumers.into()];
    command.arg(script).args(numbers.map(|number| number.to_string()));
    command.arg(seconds.to_string()).arg(if task.has_permits { "latency" } else { "throughput" });
    command.stderr(Stdio::null());
    Ok(command)
}

/// The processes of a measurement.
struct TrialProcesses {
    /// When this is closed, they begin.
    start_gate: Option<PipeWriter>,
    processes: Vec<TrialProcess>,
    sample: TrialSample,
}

/// One of them.
struct TrialProcess {
    reader: PipeReader,
    buffer: Vec<u8>,
    is_ready: bool,
    /// It has told what it saw.
    has_reported: bool,
    /// It has ended.
    has_exited: bool,
}

impl TrialProcesses {
    fn have_all_exited(&self) -> bool {
        self.processes.iter().all(|process| process.has_exited)
    }

    /// What is to be waited for; [`Cast::hear`] wants to know of it in this order.
    fn poll_fds<'a>(&'a self, interrupt: &'a Waker) -> Vec<(BorrowedFd<'a>, Interest)> {
        let speaking = self.processes.iter().filter(|process| !process.has_exited);
        let pipes = speaking.map(|process| (process.reader.as_fd(), Interest::Read));
        [(interrupt.as_fd(), Interest::Read)].into_iter().chain(pipes).collect()
    }

    /// Takes in what they say, and lets them begin when all are ready.
    fn read_reports(&mut self, ready: &[bool]) -> anyhow::Result<()> {
        if ready.first() == Some(&true) {
            return Err(Interrupted.into());
        }
        let speaking = self.processes.iter_mut().filter(|process| !process.has_exited);
        for (process, _) in speaking.zip(&ready[1..]).filter(|(_, ready)| **ready) {
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
            return match self.has_reported && self.buffer.is_empty() {
                true => Ok(()),
                false => Err(anyhow!("a process has died")),
            };
        }
        while let Some(end) = memchr::memchr(b'\n', &self.buffer) {
            let line: Vec<_> = self.buffer.drain(..=end).collect();
            let report =
                serde_json::from_slice(&line).context("a process has said what is unheard of")?;
            self.is_ready |= report == ProcessReport::Ready;
            self.has_reported |= matches!(
                report,
                ProcessReport::Put { .. } | ProcessReport::Got { .. } | ProcessReport::Passed
            );
            sample.add_report(report)?;
        }
        Ok(())
    }
}

/// Nobody watches, and there is nothing to be remembered.
struct NullObserver;

impl Observer for NullObserver {
    fn record_end(&mut self) -> std::io::Result<ProcessBirth> {
        Ok(ProcessBirth::now())
    }

    fn on_event(&mut self, _: Event<'_>) {}

    fn append_record(&mut self, _: &Record<'_>) {}
}
