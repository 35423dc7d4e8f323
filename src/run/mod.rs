//! A run: the parent keeps the queue, and the workers are its child processes.

mod chaos;
mod children;
mod config;
#[cfg(test)]
mod coverage_tests;
mod observer;
mod parent;
pub(crate) mod private_dir;
mod result;
mod simulated;
mod simulator;
mod view;

use std::panic;
use std::sync::Arc;

use anyhow::Context;

use crate::catalogue::message;
use crate::clock::{Clock, Nanos, nanos};
use crate::exit::ExitCode;
use crate::keeper::{Keeper, PipeHost, Pipes, Speed};
use crate::os::{Waker, pin_to_current_core, raise_open_file_limit, signals};
use crate::pipe::QueueDir;
use crate::queue::Queue;
use crate::report::{Output, Progress};
use chaos::KillSchedule;
pub(crate) use children::Workers;
pub(crate) use config::{Config, Outputs};
use observer::RunObserver;
use parent::Parent;
use private_dir::RUN_QUEUE;
pub(crate) use private_dir::Workplace;
pub(crate) use simulated::{NoStatistics, simulate};
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
    if config.is_simulated {
        return simulated::run(config, outputs);
    }
    let workers = config.worker_ids().len() as u64;
    let needed = workers * FILES_PER_WORKER + PARENT_OPEN_FILES;
    if let Some(limit) = raise_open_file_limit()
        && limit < needed
    {
        anyhow::bail!(message!(
            "command-run-open-files",
            workers = workers,
            needed = needed,
            limit = limit
        ));
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
    let (observer, seed) = RunObserver::open(config, outputs, output)?;
    let clock = Clock::start_now();
    let speed = config.is_paced().then_some(config.speed);
    let ids = config.worker_ids();
    config
        .copy_recorded_delays(&workplace.dir.path())
        .with_context(|| message!("command-no-delay-file"))?;
    let mut parent = Parent {
        keeper: Keeper::new(Queue::new(config.queue_state(), false), Some(ids.clone()), speed),
        host: PipeHost {
            pipes: Pipes::open(QueueDir::open_or_create(&workplace.dir.path(), RUN_QUEUE)?)
                .with_context(|| message!("command-no-pipe"))?,
            observer,
        },
        workplace,
        clock,
        config,
        seed,
        kill_schedule: kill_schedule(config, clock.now(), seed)?,
        redraw_timer: RedrawTimer::default(),
        is_stopping: false,
    };
    if config.is_paced() && config.speed == Speed::Max {
        pin_to_current_core();
    }
    for worker in ids {
        parent.start_worker(worker)?;
    }
    parent.run_loop(wake_events)?;
    let end = parent.run_end();
    parent.host.observer.print_result(config, outputs, end)
}

/// The kill schedule: in paced time by `seed`, or in the wall time of a run without delays.
fn kill_schedule(config: &Config, wall: Nanos, seed: u64) -> anyhow::Result<Option<KillSchedule>> {
    let Some(mean_interval) = config.chaos else {
        return Ok(None);
    };
    let (now, seed) = if config.is_paced() {
        (0, seed)
    } else {
        (wall, getrandom::u64().with_context(|| message!("command-no-random"))?)
    };
    Ok(Some(KillSchedule::new(nanos(mean_interval), now, seed)))
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
