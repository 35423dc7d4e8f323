//! A run: the parent keeps the queue, and the workers are its child processes.

mod chaos;
mod children;
mod config;
mod observer;
mod parent;
mod simulator;
pub(crate) mod private_dir;
mod view;

use std::panic;
use std::sync::Arc;

use anyhow::Context;

use crate::catalogue::{log_lang, message};
use crate::clock::{Clock, Nanos, nanos, random_seed};
use crate::exit::ExitCode;
use crate::event::{Event, EventKind};
use crate::keeper::{Observer as _, Keeper, PipeHost, Pipes, Speed};
use crate::os::{Waker, pin_to_current_core, raise_open_file_limit, signals};
use crate::pipe::QueueDir;
use crate::queue::{Queue, QueueState};
use crate::report::{Output, Progress, Reporter, StatsCollector, Timeline};
use chaos::KillSchedule;
pub(crate) use children::Workers;
pub(crate) use config::{Config, Outputs};
use observer::{RunCounts, RunObserver};
use parent::Parent;
use private_dir::RUN_QUEUE;
use simulator::Simulator;
pub(crate) use private_dir::Workplace;
use view::RedrawTimer;

/// The parent opens at most this many files, and [`FILES_PER_WORKER`] for each worker.
pub(crate) const PARENT_OPEN_FILES: u64 = 24;
/// The pipe for the worker's requests, and its mailbox.
pub(crate) const FILES_PER_WORKER: u64 = 2;

/// Does the run. `outputs` opens the files after all checks that can refuse the run.
pub(crate) fn run(
    config: &Config,
    outputs: impl FnOnce() -> anyhow::Result<Outputs>,
) -> anyhow::Result<ExitCode> {
    let workers = config.worker_ids().len() as u64;
    let needed = workers * FILES_PER_WORKER + PARENT_OPEN_FILES;
    if let Some(limit) = raise_open_file_limit()
        && limit < needed
    {
        anyhow::bail!(
            "{workers} workers need {needed} open files, and only {limit} are allowed: \
             raise `ulimit -n`, or take fewer workers"
        );
    }
    let mut outputs = outputs()?;
    let workplace = Workplace::open(open_progress(config))?;
    let wake_events = Waker::new()?;
    signals::wake_on_child_exit(&wake_events)?;
    if workplace.progress.is_enabled() {
        signals::wake_on_resize(&wake_events)?;
    }
    let ended = run_parent(config, &mut outputs, &workplace, &wake_events);
    let removed = workplace.close();
    if let Some(signal) = signals::exit_signal() {
        // The signal thread may have removed the files at the second signal, so a failure here is expected.
        return Ok(ExitCode::Signal(signal));
    }
    removed.and(ended)
}

/// Starts all workers, keeps the queue until they have left, and prints the result.
fn run_parent(
    config: &Config,
    outputs: &mut Outputs,
    workplace: &Workplace,
    wake_events: &Waker,
) -> anyhow::Result<ExitCode> {
    let output = Output::new(workplace.progress.clone(), Some(Arc::clone(&workplace.interrupt)));
    let reporter =
        Reporter::new(config.style, log_lang(), [config.producers, config.consumers], output);
    let random = config.producer_delay.is_random() || config.consumer_delay.is_random();
    let seed = match config.seed {
        None if random => random_seed()?,
        seed => seed.unwrap_or_default(),
    };
    if random && config.seed.is_none() {
        reporter.print_notice(&message!("run-seed", seed = seed));
    }
    let statistics = config
        .warmup
        .map(|warmup| StatsCollector::new(config.model_input(random.then_some(seed)), warmup));
    let ids = config.worker_ids();
    let timeline = outputs.picture.as_ref().map(|_| {
        let capacity = Some(config.capacity).filter(|&capacity| capacity > 0);
        Timeline::new(capacity, ids.iter().copied())
    });
    if config.is_simulated {
        let counts = RunCounts::new(config.items, config.respawn, &ids);
        let mut observer = RunObserver { reporter, counts, statistics, timeline };
        let mut simulator = Simulator::new(config, seed, &mut observer);
        let end = simulator.run()?;
        observer.on_event(Event::new(end, EventKind::Finished));
        observer.reporter.flush()?;
        if let Some(statistics) = observer.statistics.take() {
            let text = statistics.into_summary(end).render(crate::catalogue::lang());
            text.lines().for_each(|line| observer.reporter.print_notice(line));
        }
        return Ok(ExitCode::Done);
    }
    let clock = Clock::start_now();
    let state = QueueState { capacity: Some(config.capacity.into()), ..QueueState::default() };
    let speed = config.is_paced().then_some(config.speed);
    let counts = RunCounts::new(config.items, config.respawn, &ids);
    let mut parent = Parent {
        keeper: Keeper::new(Queue::new(state, false), Some(ids.clone()), speed),
        host: PipeHost {
            pipes: Pipes::open(QueueDir::open_or_create(&workplace.dir.path(), RUN_QUEUE)?)
                .context("cannot make a named pipe")?,
            observer: RunObserver { reporter, counts, statistics, timeline },
        },
        workplace,
        clock,
        config,
        seed,
        kill_schedule: kill_schedule(config, clock.now())?,
        redraw_timer: RedrawTimer::default(),
        outputs,
        is_stopping: false,
    };
    if config.is_paced() && config.speed == Speed::Max {
        pin_to_current_core();
    }
    for worker in ids {
        parent.start_worker(worker)?;
    }
    parent.run_loop(wake_events)?;
    parent.print_result()
}

/// The kill schedule, in wall time. `--speed X` shortens the intervals of a paced run too.
fn kill_schedule(config: &Config, now: Nanos) -> anyhow::Result<Option<KillSchedule>> {
    let Some(mean_interval) = config.chaos else {
        return Ok(None);
    };
    let speed = match config.speed {
        Speed::Times(speed) if config.is_paced() => speed,
        _ => 1.0,
    };
    // A float out of range saturates.
    let mean_interval = (nanos(mean_interval) as f64 / speed) as Nanos;
    let seed = getrandom::u64().context("no random numbers")?;
    Ok(Some(KillSchedule::new(mean_interval, now, seed)))
}

/// The live view, if it is wanted. A panic removes the view from the terminal.
fn open_progress(config: &Config) -> Progress {
    if !config.is_viewed {
        return Progress::default();
    }
    let progress = Progress::for_run();
    let (view, before) = (progress.clone(), panic::take_hook());
    panic::set_hook(Box::new(move |info| {
        view.clear_with_timeout();
        before(info);
    }));
    progress
}
