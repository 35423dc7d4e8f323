//! `qdemo run`: the demonstration. This process is the parent and the keeper; its workers are
//! child processes.

mod chaos;
mod parent;
mod stats;
mod view;

use std::collections::BTreeSet;
use std::panic;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::client::draw_seed;
use super::picture::{PictureFile, PicturePath};
use super::private::Private;
use super::progress::ProgressArg;
use super::signals::{self, Leave};
use super::{LangArg, StdoutFailed, need_output, values};
use crate::clock::{Clock, Delay, Nanos, Pacer, Speed, nanos};
use crate::crew::{Crew, stay_on_one_core};
use crate::exit::ExitCode;
use crate::keeper::{Keeper, Office, Plan, Post};
use crate::pipe::{QueueDir, Waker, raise_open_files};
use crate::queue::{Queue, Remains, Role, Worker};
use crate::report::{Form, Lang, Output, Plant, Progress, Reporter, Statistics, Style, Timeline};
use chaos::Chaos;
use parent::{Parent, Show};
use stats::StatsArgs;
use view::View;

/// Files that the parent has open beside one for each worker, and some to spare.
pub(super) const OWN_FILES: u64 = 24;
/// The queue's name in that directory.
pub(super) const QUEUE: &str = "run";

/// Watch producer and consumer processes share a queue
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qdemo run
  qdemo run --items 5 --producer-delay 1s --consumer-delay 2s --speed max
  qdemo run --items 1000 --producers 2 --consumers 3 --capacity 4 --producer-delay 10ms \\
      --consumer-delay 30ms --format json
  qdemo run --producers 2 --consumers 3 --items 20 --chaos 1s
  qdemo run --items 1000 --producer-delay exp:1s --consumer-delay exp:800ms --seed 7 --speed max \\
      --stats text")]
pub(super) struct Args {
    /// How many items, shared out evenly over the producers
    #[arg(long, value_name = "N", default_value = "5")]
    #[arg(value_parser = values::items, allow_hyphen_values = true)]
    items: u64,

    /// Pause of a producer after each item: 1s, exp:1s (random, this mean), uniform:500ms..1.5s
    #[arg(long, value_name = "TIME", default_value = "1s")]
    #[arg(value_parser = values::pause, allow_hyphen_values = true)]
    producer_delay: Delay,

    /// Pause of a consumer after each item, in the same words
    #[arg(long, value_name = "TIME", default_value = "2s")]
    #[arg(value_parser = values::pause, allow_hyphen_values = true)]
    consumer_delay: Delay,

    /// Draw random pauses from this number: the same ones each time [default: drawn, and told]
    #[arg(long, value_name = "N")]
    #[arg(value_parser = values::items, allow_hyphen_values = true)]
    seed: Option<u64>,

    /// How many producers
    #[arg(long, value_name = "P", default_value = "1")]
    #[arg(value_parser = values::workers, allow_hyphen_values = true)]
    producers: u32,

    /// How many consumers
    #[arg(long, value_name = "C", default_value = "1")]
    #[arg(value_parser = values::workers, allow_hyphen_values = true)]
    consumers: u32,

    /// How many items may wait in the queue; 0 for any number
    #[arg(long, value_name = "N", default_value = "0")]
    #[arg(value_parser = values::items, allow_hyphen_values = true)]
    capacity: u64,

    /// What the items are called [default: アイテム, or item with --lang en]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    item_name: Option<String>,

    #[command(flatten)]
    lang: LangArg,

    /// What a line looks like
    #[arg(long, value_enum, default_value = "log")]
    format: Format,

    /// How many times as fast as the clock on the wall; max for no waiting at all
    #[arg(long, value_name = "X|max", default_value = "1")]
    #[arg(value_parser = values::speed, allow_hyphen_values = true)]
    speed: Speed,

    /// How often each worker that has died is replaced; 0 for never
    #[arg(long, value_name = "N", default_value = "3")]
    #[arg(value_parser = values::times, allow_hyphen_values = true)]
    respawn: u32,

    /// Kill a worker, whichever, about every so often; such a one is always replaced
    #[arg(long, value_name = "TIME")]
    #[arg(value_parser = values::period, allow_hyphen_values = true)]
    chaos: Option<Duration>,

    #[command(flatten)]
    stats: StatsArgs,

    /// Draw who did what when into this file, which ends in .svg or .html
    #[arg(long, value_name = "FILE", value_parser = PicturePath::parser(&[Form::Svg, Form::Html]))]
    timeline: Option<PicturePath>,

    #[command(flatten)]
    progress: ProgressArg,

    /// Print no lines
    #[arg(long)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Log,
    Json,
}

/// What is written beside the lines: made before anything starts.
struct Files {
    stats: Option<std::fs::File>,
    picture: Option<PictureFile>,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let lang = self.lang.lang()?;
        if !self.quiet {
            need_output()?;
        }
        let workers = self.workers();
        if let Some(most) = raise_open_files()
            && most < workers.len() as u64 + OWN_FILES
        {
            let needed = workers.len() as u64 + OWN_FILES;
            anyhow::bail!(
                "{} workers need {needed} open files, and only {most} are allowed: \
                 raise `ulimit -n`, or take fewer workers",
                workers.len()
            );
        }
        let mut files = self.open_files()?;
        let crew = Crew::default();
        let private = Private::make()?;
        let (hands, dir) = (crew.clone(), private.share());
        let progress = self.view();
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
        let reporter = self.reporter(lang, progress.clone(), &waker);
        let wakers = [&deaths, &*waker];
        let path = private.path();
        let place = (path.as_path(), &mut files);
        let ended = self.conduct(lang, workers, reporter, &crew, place, wakers);
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

    /// A signal that comes while the reader of a pipe is waited for must leave no empty picture behind.
    fn open_files(&self) -> anyhow::Result<Files> {
        let picture = || self.timeline.as_ref().map(PicturePath::create).transpose();
        let files = match self.stats.are_for_a_pipe() {
            true => Files { stats: self.stats.open()?, picture: picture()? },
            false => {
                let picture = picture()?;
                Files { stats: self.stats.open()?, picture }
            }
        };
        if let Files { stats: Some(stats), picture: Some(picture) } = &files {
            picture.must_not_be(stats, "--stats-file")?;
        }
        Ok(files)
    }

    /// Starts everybody, keeps the queue until all have left, and tells how it went.
    fn conduct(
        &self,
        lang: Lang,
        workers: BTreeSet<Worker>,
        reporter: Reporter,
        crew: &Crew,
        (base, files): (&Path, &mut Files),
        wakers: [&Waker; 2],
    ) -> anyhow::Result<ExitCode> {
        let random = self.producer_delay.is_random() || self.consumer_delay.is_random();
        let seed = match self.seed {
            None if random => draw_seed()?,
            seed => seed.unwrap_or_default(),
        };
        if random && self.seed.is_none() {
            reporter.notice(&lang.seed(seed));
        }
        let statistics = self.stats.are_wanted(self.quiet).then(|| {
            let plant = self.plant(random.then_some(seed));
            Statistics::new(plant, self.stats.warmup)
        });
        let timeline = files.picture.as_ref().map(|_| {
            let capacity = Some(self.capacity).filter(|&most| most > 0);
            Timeline::new(capacity, workers.iter().copied())
        });
        let clock = Clock::start();
        let remains = Remains {
            capacity: Some(std::num::NonZeroU64::new(self.capacity)),
            ..Remains::default()
        };
        let mut parent = Parent {
            keeper: Keeper::new(Plan {
                queue: Queue::new(remains, false),
                pacer: self.is_paced().then(|| Pacer::new(self.speed, workers.iter().copied())),
                workers: Some(workers.clone()),
            }),
            host: Office {
                post: Post::open(QueueDir::open_or_create(base, QUEUE)?)
                    .context("cannot make a named pipe")?,
                watch: Show::new(
                    reporter,
                    self.items,
                    self.respawn,
                    &workers,
                    statistics,
                    timeline,
                ),
            },
            crew,
            clock,
            base,
            args: self,
            lang,
            seed,
            chaos: self.chaos(clock.now())?,
            view: View::default(),
            files,
            stopped: false,
        };
        if self.is_paced() && self.speed == Speed::Max {
            stay_on_one_core();
        }
        for worker in workers {
            parent.start(worker)?;
        }
        parent.keep(wakers)?;
        parent.finish()
    }

    fn plant(&self, seed: Option<u64>) -> Plant {
        Plant {
            items: self.items,
            workers: [self.producers, self.consumers],
            delays: [self.producer_delay, self.consumer_delay],
            capacity: self.capacity,
            seed,
        }
    }

    /// Whether the keeper has the time in its hands.
    fn is_paced(&self) -> bool {
        !(self.producer_delay.is_zero() && self.consumer_delay.is_zero())
    }

    /// It keeps to the time of the run, as far as that has to do with the wall's.
    fn chaos(&self, now: Nanos) -> anyhow::Result<Option<Chaos>> {
        let Some(every) = self.chaos else {
            return Ok(None);
        };
        let speed = match self.speed {
            Speed::Times(speed) if self.is_paced() => speed,
            _ => 1.0,
        };
        // A float out of range becomes the nearest integer, which is what is wanted.
        let every = (nanos(every) as f64 / speed) as Nanos;
        let seed = getrandom::u64().context("no random numbers")?;
        Ok(Some(Chaos::new(every, now, seed)))
    }

    /// How many of the items this producer is to put.
    fn share(&self, producer: Worker) -> u64 {
        let before = u64::from(producer.number - 1);
        self.items.saturating_sub(before).div_ceil(u64::from(self.producers))
    }

    fn workers(&self) -> BTreeSet<Worker> {
        let all = |role, count| (1..=count).map(move |number| Worker { role, number });
        all(Role::Producer, self.producers).chain(all(Role::Consumer, self.consumers)).collect()
    }

    /// What everybody does, if somebody is to see it; nothing of it is left behind by a panic.
    fn view(&self) -> Progress {
        if !self.progress.is_wanted(Progress::is_seen() && !self.quiet) {
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

    fn reporter(&self, lang: Lang, progress: Progress, waker: &Arc<Waker>) -> Reporter {
        let style = match (self.quiet, self.format) {
            (true, _) => Style::Silent,
            (false, Format::Log) => Style::Log,
            (false, Format::Json) => Style::Json,
        };
        let workers = [self.producers, self.consumers];
        let output = Output::new(progress, Some(Arc::clone(waker)));
        Reporter::new(style, lang, workers, output)
    }

    /// What a worker is started with, in the words of the command that it is; `skip` items of a
    /// producer are in the queue already.
    fn worker_args(&self, worker: Worker, lang: Lang, seed: u64, skip: u64) -> Vec<String> {
        let number = worker.number;
        let (mut args, of) = match worker.role {
            Role::Producer => {
                let name = self.item_name.as_deref();
                let name = name.unwrap_or_else(|| lang.item_name());
                let args = vec![
                    "producer".to_owned(),
                    format!("--items={}", self.items),
                    format!("--item-name={name}"),
                    format!("--delay={}", self.producer_delay),
                ];
                (args, self.producers)
            }
            Role::Consumer | Role::Visitor => {
                // An item is not to blame for the death of whoever has it.
                let attempts = "--max-attempts=0".to_owned();
                let delay = format!("--delay={}", self.consumer_delay);
                let args = vec!["consumer".to_owned(), delay, attempts];
                (args, self.consumers)
            }
        };
        args.push(format!("--seed={seed}"));
        args.push(format!("--skip={skip}"));
        args.push(format!("--queue={QUEUE}"));
        args.push(format!("--worker={number}/{of}"));
        args.push("--quiet".to_owned());
        args
    }
}
