//! `qdemo run`: the demonstration. This process is the parent and the keeper; its workers are
//! child processes.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;

use super::signals::{self, Hangup};
use super::{LangArg, StdoutFailed, values};
use crate::clock::{Clock, Pacer, Speed, Stamp};
use crate::crew::{Crew, Departed};
use crate::exit::ExitCode;
use crate::journal::Fact;
use crate::keeper::{Event, Keeper, Office, Plan, Post, Watch, What};
use crate::pipe::{QueueDir, Ready, Waker, raise_open_files, sweep_runs};
use crate::queue::{Queue, Remains, Role, Worker};
use crate::report::{self, Kind, Lang, Output, Progress, Reporter, Style};

/// The private directory of a run is called this, its process number, and something random.
const PREFIX: &str = "qdemo-run.";
/// Files that the parent has open beside one for each worker, and some to spare.
const OWN_FILES: u64 = 24;
/// The queue's name in that directory.
const QUEUE: &str = "run";

/// Watch producer and consumer processes share a queue
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  qdemo run
  qdemo run --items 5 --producer-delay 1s --consumer-delay 2s --speed max
  qdemo run --items 1000 --producers 2 --consumers 3 --capacity 4 --producer-delay 10ms \\
      --consumer-delay 30ms --format json")]
pub(super) struct Args {
    /// How many items, shared out evenly over the producers
    #[arg(long, value_name = "N", default_value = "5")]
    #[arg(value_parser = values::items, allow_hyphen_values = true)]
    items: u64,

    /// Pause of a producer after each item
    #[arg(long, value_name = "TIME", default_value = "1s")]
    #[arg(value_parser = values::delay, allow_hyphen_values = true)]
    producer_delay: Duration,

    /// Pause of a consumer after each item
    #[arg(long, value_name = "TIME", default_value = "2s")]
    #[arg(value_parser = values::delay, allow_hyphen_values = true)]
    consumer_delay: Duration,

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

    /// Print no lines
    #[arg(long)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    Log,
    Json,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let lang = self.lang.lang()?;
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
        let crew = Crew::default();
        let place = std::env::temp_dir();
        sweep_runs(&place, PREFIX);
        let private = make_private_dir(&place)?;
        let hands = crew.clone();
        let path = private.path().to_owned();
        let progress = match self.quiet {
            true => Progress::default(),
            false => Progress::up_to(self.items, lang),
        };
        let line = progress.clone();
        let waker = signals::catch(Hangup::Leave, move || {
            hands.kill();
            let _ = std::fs::remove_dir_all(&path);
            line.clear_if_possible();
        })?;
        let deaths = Waker::new()?;
        signals::catch_deaths(&deaths)?;
        let reporter = self.reporter(lang, progress, &waker);
        let wakers = [&deaths, &*waker];
        let ended = self.conduct(lang, workers, reporter, &crew, private.path(), wakers);
        crew.kill();
        let removed = private.close().context("cannot remove the private directory");
        if let Some(signal) = signals::caught() {
            // At the second one, its thread clears away at the same time: what then fails here was
            // in its way, and is no error.
            return Ok(ExitCode::Signal(signal));
        }
        removed.and(ended)
    }

    /// Starts everybody, keeps the queue until all have left, and tells how it went.
    fn conduct(
        &self,
        lang: Lang,
        workers: BTreeSet<Worker>,
        reporter: Reporter,
        crew: &Crew,
        base: &Path,
        wakers: [&Waker; 2],
    ) -> anyhow::Result<ExitCode> {
        let _lock = QueueDir::open(base.to_owned())?.try_lock().context("cannot lock the queue")?;
        let paced = !(self.producer_delay.is_zero() && self.consumer_delay.is_zero());
        let remains = Remains {
            capacity: Some(std::num::NonZeroU64::new(self.capacity)),
            ..Remains::default()
        };
        let mut parent = Parent {
            keeper: Keeper::new(Plan {
                queue: Queue::new(remains, false),
                pacer: paced.then(|| Pacer::new(self.speed, workers.iter().copied())),
                workers: Some(workers.clone()),
            }),
            host: Office {
                post: Post::open(QueueDir::open_or_create(base, QUEUE)?)
                    .context("cannot make a named pipe")?,
                watch: Show { reporter, done: 0 },
            },
            crew: crew.clone(),
            clock: Clock::start(),
            lang,
            interrupted: false,
        };
        for worker in workers {
            let args = self.worker_args(worker, lang);
            crew.start(worker, &args, base).context("cannot start a worker process")?;
        }
        parent.keep(wakers)?;
        parent.finish(self)
    }

    fn workers(&self) -> BTreeSet<Worker> {
        let all = |role, count| (1..=count).map(move |number| Worker { role, number });
        all(Role::Producer, self.producers).chain(all(Role::Consumer, self.consumers)).collect()
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

    /// What a worker is started with, in the words of the command that it is.
    fn worker_args(&self, worker: Worker, lang: Lang) -> Vec<String> {
        let number = worker.number;
        let delay = |delay: Duration| format!("--delay={}ns", delay.as_nanos());
        let (mut args, of) = match worker.role {
            Role::Producer => {
                let name = self.item_name.as_deref();
                let name = name.unwrap_or_else(|| lang.item_name());
                let args = vec![
                    "producer".to_owned(),
                    format!("--items={}", self.items),
                    format!("--item-name={name}"),
                    delay(self.producer_delay),
                ];
                (args, self.producers)
            }
            Role::Consumer | Role::Visitor => {
                let args = vec!["consumer".to_owned(), delay(self.consumer_delay)];
                (args, self.consumers)
            }
        };
        args.push(format!("--queue={QUEUE}"));
        args.push(format!("--worker={number}/{of}"));
        args.push("--quiet".to_owned());
        args
    }
}

/// Nobody else can look into it, and the next run can tell whether its owner still lives.
fn make_private_dir(place: &Path) -> anyhow::Result<TempDir> {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new()
        .prefix(&format!("{PREFIX}{}.", std::process::id()))
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir_in(place)
        .with_context(|| format!("cannot make a directory in {}", place.display()))
}

/// The parent of a run.
struct Parent {
    keeper: Keeper,
    host: Office<Show>,
    crew: Crew,
    clock: Clock,
    lang: Lang,
    interrupted: bool,
}

impl Parent {
    /// Keeps the queue until all workers have left.
    fn keep(&mut self, [deaths, signal]: [&Waker; 2]) -> anyhow::Result<()> {
        loop {
            let until = self.keeper.turn(self.clock.now(), &mut self.host)?;
            self.host.post.flush();
            self.print()?;
            if self.crew.is_empty() && self.host.post.is_quiet() {
                return Ok(());
            }
            // The first signal stays to be seen, by whoever waits for a reader too; here it is known.
            let news = if self.interrupted { Ready::Death } else { Ready::Read };
            let others = [(deaths.as_fd(), Ready::Read), (signal.as_fd(), news)];
            let arrivals = self.host.post.wait(self.clock, until, &others)?;
            self.host.take_in(&mut self.keeper, self.clock, &arrivals)?;
            if arrivals.others[0] {
                deaths.clear();
                self.look_after_crew()?;
            }
            if signals::caught().is_some() && !self.interrupted {
                self.interrupted = true;
                self.stop();
                if self.keeper.census().out > 0 {
                    self.host.watch.reporter.notice(self.lang.finishing());
                }
            }
        }
    }

    fn print(&mut self) -> anyhow::Result<()> {
        match self.host.watch.reporter.flush() {
            // Nobody reads on, but leaving must not wait for that.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            other => other.map_err(|error| StdoutFailed(error).into()),
        }
    }

    fn look_after_crew(&mut self) -> io::Result<()> {
        for departed in self.crew.reap()? {
            self.keeper.will_not_come(departed.worker);
            self.tell_of(&departed);
        }
        // Nobody is there to get anything any more: producers must not wait for ever.
        if self.keeper.expected(Role::Consumer) == 0 && self.keeper.expected(Role::Producer) > 0 {
            self.stop();
        }
        Ok(())
    }

    fn tell_of(&self, departed: &Departed) {
        if let Some(cause) = departed.cause() {
            let who = report::name(departed.worker);
            let pid = departed.pid;
            let then = match departed.worker.role {
                Role::Producer => "",
                Role::Consumer | Role::Visitor => ": what it held is back in line",
            };
            let text = format!("qdemo: {who} (process {pid}) {cause}{then}");
            self.host.watch.reporter.notice(&text);
        }
    }

    /// Producers stop, consumers finish what they hold.
    fn stop(&mut self) {
        self.keeper.close_now(self.clock.now(), &mut self.host);
    }

    fn finish(&mut self, args: &Args) -> anyhow::Result<ExitCode> {
        self.host.watch.reporter.end(self.keeper.now());
        self.print()?;
        self.host.watch.reporter.progress().clear();
        let not_done = args.items.saturating_sub(self.host.watch.done);
        if signals::caught().is_some() {
            if not_done > 0 {
                self.host.watch.reporter.notice(&self.lang.interrupted(not_done));
            }
            return Ok(ExitCode::Done);
        }
        if not_done > 0 {
            let of = args.items;
            anyhow::bail!("{not_done} of {of} items were not done, since workers have died");
        }
        Ok(ExitCode::Done)
    }
}

/// Shows every event.
struct Show {
    reporter: Reporter,
    done: u64,
}

impl Watch for Show {
    fn end(&mut self) -> io::Result<Stamp> {
        Ok(Stamp::now())
    }

    /// A run is not remembered.
    fn record(&mut self, _: &Fact<'_>) {}

    fn event(&mut self, event: Event<'_>) {
        let (kind, run) = match event.what {
            What::Put(run) => (Kind::Put, run),
            What::Get(run) => (Kind::Get, run),
            What::Done(run) => {
                self.done += run.count();
                self.reporter.progress().add(run.count());
                (Kind::Done, run)
            }
        };
        if let Some(worker) = event.worker {
            let Worker { role, number } = worker;
            self.reporter.items(event.at, kind, role, Some(number), run);
        }
    }
}
