//! One measurement: processes that begin together, and what they tell.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, PipeReader, PipeWriter, Read, pipe};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow, bail};
use tempfile::{Builder, TempDir};

use super::task::{Part, Task, Told};
use super::{Case, Kind, PYTHON_WINDOW, Subject, WINDOW};
use crate::clock::{Clock, Nanos, Stamp};
use crate::journal::Fact;
use crate::keeper::{Event, Keeper, Office, Plan, Post, Watch};
use crate::os::start_own;
use crate::os::{PrivateDir, Ready, Waker, wait};
use crate::pipe::{QueueDir, make_fifo};
use crate::queue::{Queue, Remains};
use crate::role::{Role, Worker};
use crate::run::Crew;
use crate::run::private_dir::{self, BENCH, HOPS, MEASUREMENT, TOKENS};

/// How long a measurement may take at the most.
const PATIENCE: Nanos = 30_000_000_000;
const SCRIPT: &str = include_str!("mp_queue.py");

/// Where measurements are made.
pub(super) struct Stage<'a> {
    pub(super) crew: &'a Crew,
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
pub(super) struct Sample {
    begin: Option<Nanos>,
    end: Nanos,
    items: u64,
    /// In no order.
    pub(super) latencies: Vec<Nanos>,
}

impl Sample {
    /// From the first put to the last get; none if nothing came through.
    pub(super) fn items_per_second(&self) -> Option<f64> {
        let time = self.end.checked_sub(self.begin?).filter(|&time| time > 0)?;
        (self.items > 0).then(|| self.items as f64 / (time as f64 / 1e9))
    }

    fn take(&mut self, told: Told) -> anyhow::Result<()> {
        match told {
            Told::Put { begin } => {
                self.begin = Some(self.begin.map_or(begin, |first| first.min(begin)));
            }
            Told::Got { end, items, latencies } => {
                self.end = self.end.max(end);
                self.items += items;
                self.latencies.extend(latencies);
            }
            Told::Ready | Told::Passed => {}
            Told::Failed(why) => bail!(why),
        }
        Ok(())
    }
}

impl Stage<'_> {
    /// Measures this once. None of its processes and pipes is left.
    pub(super) fn measure(&self, case: Case, kind: Kind) -> anyhow::Result<Sample> {
        let (place, measured) = self.try_to_measure(case, kind)?;
        match measured {
            // A cleaner of the temporary folder has removed it meanwhile.
            Err(error) if !error.is::<Interrupted>() && !place.path().exists() => {
                self.try_to_measure(case, kind)?.1
            }
            other => other,
        }
    }

    /// Measures it in a directory of its own.
    fn try_to_measure(
        &self,
        case: Case,
        kind: Kind,
    ) -> anyhow::Result<(TempDir, anyhow::Result<Sample>)> {
        let place = self.place().context("cannot make a directory")?;
        let measured = self.perform(case, kind, place.path());
        self.crew.dismiss();
        Ok((place, measured))
    }

    /// A directory for one measurement. The one for all of them may have been cleaned away.
    fn place(&self) -> io::Result<TempDir> {
        self.base.renew()?;
        Builder::new().prefix(MEASUREMENT).tempdir_in(self.base.path())
    }

    fn perform(&self, case: Case, kind: Kind, place: &Path) -> anyhow::Result<Sample> {
        for name in HOPS.into_iter().chain([TOKENS]) {
            make_fifo(&place.join(name)).context("cannot make a named pipe")?;
        }
        let (start, go) = pipe()?;
        let mut cast = Cast { go: Some(go), players: Vec::new(), sample: Sample::default() };
        let roles: &[(Part, u32)] = match case.subject {
            Subject::Qdemo => &[(Part::Consumer, case.consumers), (Part::Producer, case.producers)],
            Subject::Relay => &[(Part::Reader, 1), (Part::Relay, 1), (Part::Writer, 1)],
            Subject::Python => &[(Part::Producer, 1)],
        };
        let mut post = None;
        if case.subject == Subject::Qdemo {
            let dir = QueueDir::open_or_create(place, BENCH)?;
            post = Some(Post::open(dir).context("cannot make a named pipe")?);
        }
        let origin = Clock::origin();
        for &(part, count) in roles {
            for number in 1..=count {
                let one_by_one = kind == Kind::Latency;
                let (place, size) = (place.to_owned(), case.size);
                let task = Task { part, number, place, size, window: WINDOW, one_by_one, origin };
                cast.players.push(self.engage(case, &task, &start)?);
            }
        }
        drop(start);
        match post {
            Some(post) => self.keep(post, case, &mut cast)?,
            None => self.watch(&mut cast)?,
        }
        Ok(cast.sample)
    }

    /// Starts a process whose end is that of the pipe that is returned.
    fn engage(&self, case: Case, task: &Task, start: &PipeReader) -> anyhow::Result<Player> {
        let (reader, writer) = pipe()?;
        let role = match task.part {
            Part::Producer | Part::Writer => Role::Producer,
            _ => Role::Consumer,
        };
        let take_on = |command: &mut Command| {
            command.stdin(start.try_clone()?).stdout(writer.try_clone()?);
            self.crew.take_on(Worker { role, number: task.number }, command)
        };
        if case.subject == Subject::Python {
            take_on(&mut python(case, task)?).context("cannot start python3")?;
        } else {
            let words = serde_json::to_string(task)?;
            start_own(|command| take_on(command.arg("bench-task").arg(&words)))
                .context("cannot start this program")?;
        }
        Ok(Player { reader, text: Vec::new(), ready: false, done: false, over: false })
    }

    /// Keeps the queue until all have left: as the parent of a run does, without telling anybody.
    fn keep(&self, post: Post, case: Case, cast: &mut Cast) -> anyhow::Result<()> {
        let all = |role, count| (1..=count).map(move |number| Worker { role, number });
        let producers = all(Role::Producer, case.producers);
        let workers: BTreeSet<_> = producers.chain(all(Role::Consumer, case.consumers)).collect();
        let mut keeper = Keeper::new(Plan {
            queue: Queue::new(Remains::default(), false),
            workers: Some(workers),
            pacer: None,
        });
        let mut host = Office { post, watch: Nobody };
        let clock = Clock::start();
        loop {
            keeper.turn(clock.now(), &mut host)?;
            host.post.flush();
            if cast.is_over() {
                return Ok(());
            }
            must_go_on(clock)?;
            let arrivals = host.post.wait(clock, Some(PATIENCE), &cast.pipes(self.interrupt))?;
            host.take_in(&mut keeper, clock, &arrivals)?;
            cast.hear(&arrivals.others)?;
        }
    }

    /// Waits until all have left.
    fn watch(&self, cast: &mut Cast) -> anyhow::Result<()> {
        let clock = Clock::start();
        while !cast.is_over() {
            must_go_on(clock)?;
            let left = PATIENCE.saturating_sub(clock.now());
            let states = wait(&cast.pipes(self.interrupt), Some(left))?;
            let ready: Vec<_> = states.iter().map(|state| state.ready || state.dead).collect();
            cast.hear(&ready)?;
        }
        Ok(())
    }
}

/// Fails when a measurement takes far longer than it may: one of its processes has been stopped, perhaps.
fn must_go_on(clock: Clock) -> anyhow::Result<()> {
    match clock.now() < PATIENCE {
        true => Ok(()),
        false => bail!("a process does not answer for {} s", PATIENCE / 1_000_000_000),
    }
}

/// One process that starts those of `multiprocessing`.
fn python(case: Case, task: &Task) -> anyhow::Result<Command> {
    let script = task.place.join(private_dir::SCRIPT);
    fs::write(&script, SCRIPT).context("cannot write a script")?;
    let mut command = Command::new("python3");
    let window = if task.one_by_one { task.window } else { PYTHON_WINDOW };
    let seconds = window as f64 / 1e9;
    let numbers = [case.size, case.producers.into(), case.consumers.into()];
    command.arg(script).args(numbers.map(|number| number.to_string()));
    command.arg(seconds.to_string()).arg(if task.one_by_one { "latency" } else { "throughput" });
    command.stderr(Stdio::null());
    Ok(command)
}

/// The processes of a measurement.
struct Cast {
    /// When this is closed, they begin.
    go: Option<PipeWriter>,
    players: Vec<Player>,
    sample: Sample,
}

/// One of them.
struct Player {
    reader: PipeReader,
    text: Vec<u8>,
    ready: bool,
    /// It has told what it saw.
    done: bool,
    /// It has ended.
    over: bool,
}

impl Cast {
    fn is_over(&self) -> bool {
        self.players.iter().all(|player| player.over)
    }

    /// What is to be waited for; [`Cast::hear`] wants to know of it in this order.
    fn pipes<'a>(&'a self, interrupt: &'a Waker) -> Vec<(BorrowedFd<'a>, Ready)> {
        let speaking = self.players.iter().filter(|player| !player.over);
        let pipes = speaking.map(|player| (player.reader.as_fd(), Ready::Read));
        [(interrupt.as_fd(), Ready::Read)].into_iter().chain(pipes).collect()
    }

    /// Takes in what they say, and lets them begin when all are ready.
    fn hear(&mut self, ready: &[bool]) -> anyhow::Result<()> {
        if ready.first() == Some(&true) {
            return Err(Interrupted.into());
        }
        let speaking = self.players.iter_mut().filter(|player| !player.over);
        for (player, _) in speaking.zip(&ready[1..]).filter(|(_, ready)| **ready) {
            player.hear(&mut self.sample)?;
        }
        if self.players.iter().all(|player| player.ready) {
            self.go = None;
        }
        Ok(())
    }
}

impl Player {
    fn hear(&mut self, sample: &mut Sample) -> anyhow::Result<()> {
        let mut buffer = [0; 16 * 1024];
        let read = self.reader.read(&mut buffer)?;
        self.text.extend_from_slice(&buffer[..read]);
        if read == 0 {
            self.over = true;
            return match self.done && self.text.is_empty() {
                true => Ok(()),
                false => Err(anyhow!("a process has died")),
            };
        }
        while let Some(end) = memchr::memchr(b'\n', &self.text) {
            let line: Vec<_> = self.text.drain(..=end).collect();
            let told =
                serde_json::from_slice(&line).context("a process has said what is unheard of")?;
            self.ready |= told == Told::Ready;
            self.done |= matches!(told, Told::Put { .. } | Told::Got { .. } | Told::Passed);
            sample.take(told)?;
        }
        Ok(())
    }
}

/// Nobody watches, and there is nothing to be remembered.
struct Nobody;

impl Watch for Nobody {
    fn end(&mut self) -> std::io::Result<Stamp> {
        Ok(Stamp::now())
    }

    fn event(&mut self, _: Event<'_>) {}

    fn record(&mut self, _: &Fact<'_>) {}
}
