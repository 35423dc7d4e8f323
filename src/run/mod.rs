//! A run: the parent, which keeps the queue, and its workers, which are child processes.

mod chaos;
mod children;
mod config;
mod observer;
mod outputs;
mod parent;
pub(crate) mod private_dir;
mod view;

use std::panic;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use crate::clock::{Clock, Nanos, draw_seed, nanos};
use crate::exit::ExitCode;
use crate::keeper::{Keeper, Office, Pacer, Plan, Post, Speed};
use crate::os::signals::{self, Leave};
use crate::os::{Waker, raise_open_files, stay_on_one_core};
use crate::pipe::QueueDir;
use crate::queue::{Queue, Remains};
use crate::report::{Output, Progress, Reporter, Statistics, Timeline};
use chaos::Chaos;
pub(crate) use children::Crew;
pub(crate) use config::Config;
use observer::Show;
pub(crate) use outputs::{Outputs, StatisticsOutput};
use parent::Parent;
use private_dir::{Private, RUN};
use view::View;

/// Files that the parent has open beside one for each worker, and some to spare.
pub(crate) const OWN_FILES: u64 = 24;

/// Does the run. `outputs` are opened when nothing can keep the run from starting any more.
pub(crate) fn run(
    config: &Config,
    outputs: impl FnOnce() -> anyhow::Result<Outputs>,
) -> anyhow::Result<ExitCode> {
    check_open_files(config)?;
    let mut outputs = outputs()?;
    let crew = Crew::default();
    let private = Private::make()?;
    let (hands, dir) = (crew.clone(), private.share());
    let progress = view(config);
    let view = progress.clone();
    let waker = signals::catch_and_clear(Leave::Unignored, move || {
        hands.kill();
        let _ = dir.remove();
        view.clear_if_possible();
    })?;
    let deaths = Waker::new()?;
    signals::catch_deaths(&deaths)?;
    if progress.is_shown() {
        signals::catch_resizes(&deaths)?;
    }
    let workers = [config.producers, config.consumers];
    let output = Output::new(progress.clone(), Some(Arc::clone(&waker)));
    let reporter = Reporter::new(config.style, config.lang, workers, output);
    let wakers = [&deaths, &*waker];
    let ended = conduct(config, &private.path(), &mut outputs, reporter, &crew, wakers);
    progress.clear();
    crew.kill();
    let removed = private.remove();
    if let Some(signal) = signals::caught() {
        // At the second one, its thread clears away at the same time: what then fails here was
        // in its way, and is no error.
        return Ok(ExitCode::Signal(signal));
    }
    removed.and(ended)
}

fn check_open_files(config: &Config) -> anyhow::Result<()> {
    let workers = config.workers().len() as u64;
    let needed = workers + OWN_FILES;
    if let Some(most) = raise_open_files()
        && most < needed
    {
        anyhow::bail!(
            "{workers} workers need {needed} open files, and only {most} are allowed: \
             raise `ulimit -n`, or take fewer workers"
        );
    }
    Ok(())
}

/// Starts everybody, keeps the queue until all have left, and tells how it went.
fn conduct(
    config: &Config,
    base: &Path,
    outputs: &mut Outputs,
    reporter: Reporter,
    crew: &Crew,
    wakers: [&Waker; 2],
) -> anyhow::Result<ExitCode> {
    let random = config.is_random();
    let seed = match config.seed {
        None if random => draw_seed()?,
        seed => seed.unwrap_or_default(),
    };
    if random && config.seed.is_none() {
        reporter.notice(&config.lang.seed(seed));
    }
    let statistics =
        config.warmup.map(|warmup| Statistics::new(config.plant(random.then_some(seed)), warmup));
    let workers = config.workers();
    let timeline = outputs.picture.as_ref().map(|_| {
        let capacity = Some(config.capacity).filter(|&most| most > 0);
        Timeline::new(capacity, workers.iter().copied())
    });
    let clock = Clock::start();
    let remains = Remains {
        capacity: Some(std::num::NonZeroU64::new(config.capacity)),
        ..Remains::default()
    };
    let (items, respawn) = (config.items, config.respawn);
    let mut parent = Parent {
        keeper: Keeper::new(Plan {
            queue: Queue::new(remains, false),
            pacer: config.is_paced().then(|| Pacer::new(config.speed, workers.iter().copied())),
            workers: Some(workers.clone()),
        }),
        host: Office {
            post: Post::open(QueueDir::open_or_create(base, RUN)?)
                .context("cannot make a named pipe")?,
            watch: Show::new(reporter, items, respawn, &workers, statistics, timeline),
        },
        crew,
        clock,
        base,
        config,
        seed,
        chaos: chaos(config, clock.now())?,
        view: View::default(),
        outputs,
        stopped: false,
    };
    if config.is_paced() && config.speed == Speed::Max {
        stay_on_one_core();
    }
    for worker in workers {
        parent.start(worker)?;
    }
    parent.keep(wakers)?;
    parent.finish()
}

/// It keeps to the time of the run, as far as that has to do with the wall's.
fn chaos(config: &Config, now: Nanos) -> anyhow::Result<Option<Chaos>> {
    let Some(every) = config.chaos else {
        return Ok(None);
    };
    let speed = match config.speed {
        Speed::Times(speed) if config.is_paced() => speed,
        _ => 1.0,
    };
    // A float out of range becomes the nearest integer, which is what is wanted.
    let every = (nanos(every) as f64 / speed) as Nanos;
    let seed = getrandom::u64().context("no random numbers")?;
    Ok(Some(Chaos::new(every, now, seed)))
}

/// What everybody does, if somebody is to see it; nothing of it is left behind by a panic.
fn view(config: &Config) -> Progress {
    if !config.is_viewed {
        return Progress::default();
    }
    let progress = Progress::of_run();
    let (view, before) = (progress.clone(), panic::take_hook());
    panic::set_hook(Box::new(move |info| {
        view.clear_if_possible();
        before(info);
    }));
    progress
}
