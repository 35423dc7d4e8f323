//! A command for each item: up to so many at a time, tried again when they fail, ended when they take
//! too long, or when the consumer is.

mod command;
mod groups;
mod guard;
mod job;
mod retries;
mod terminal;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::ExitStatus;
use std::time::Duration;

use crate::client::{Client, Error, News, Patience};
use crate::clock::{Clock, Nanos, Pauses, nanos};
use crate::os::{Ready, Waker, wait};
use crate::queue::{Census, Which};
pub(crate) use command::{Template, Unusable};
use groups::Groups;
use guard::Guard;
pub(crate) use guard::{MARK, stand};
use job::Job;
pub(crate) use job::{Ended, Task};
use retries::Waiting;
pub(crate) use terminal::Terminal;

/// So many items may wait for another try, beyond those that run.
const MOST_WAITING: usize = 64;
/// So many of the last items are remembered, until the keeper had the time to object.
const MOST_SAID: usize = 4096;
/// How often the number of items in line is looked up, for the progress bar.
const LOOK: Nanos = 500_000_000;

/// How the commands are to be run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// How many at a time.
    pub(crate) jobs: usize,
    /// The queue's name, for the command.
    pub(crate) queue: String,
    /// How many more tries there are.
    pub(crate) retries: u32,
    /// The pause before the second try; it doubles with each.
    pub(crate) backoff: Duration,
    /// How long a command may take.
    pub(crate) timeout_each: Option<Duration>,
    /// The pause after a command.
    pub(crate) pauses: Pauses,
    /// Stop at the first failure.
    pub(crate) halt: bool,
    /// How many items to take in all.
    pub(crate) max: u64,
    /// How long to wait for an item when there is nothing else to do.
    pub(crate) patience: Patience,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Items that are done.
    pub(crate) done: u64,
    /// Items that have failed.
    pub(crate) failed: u64,
}

/// Why the commands were stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stopped {
    /// Something is the matter with the queue, or a signal came.
    #[error(transparent)]
    Queue(#[from] Error),
    /// The command cannot be run.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// The command had the terminal, and was ended there by this signal.
    #[error("interrupted")]
    Interrupted(i32),
    /// The system said no.
    #[error(
        "cannot run a command: take fewer --jobs, or raise the limit (`ulimit -n`, `ulimit -u`)"
    )]
    Io(#[from] io::Error),
    /// Whoever watches takes no more.
    #[error(transparent)]
    Watch(anyhow::Error),
}

/// Whoever is told.
pub(crate) trait Watch {
    /// A command has ended, well or not: this shows what it printed.
    fn ended(&mut self, ended: &mut Ended) -> anyhow::Result<()>;
    /// So many items are done, and have failed.
    fn tally(&mut self, tally: Tally);
    /// Whether it wants to know how many items there are.
    fn wants_census(&self) -> bool;
    /// There are so many items.
    fn census(&mut self, census: Census, tally: Tally);
    /// An item was done, or had failed, when it was not this consumer's any more.
    fn late(&mut self, id: u64);
    /// Something that people should know.
    fn notice(&mut self, what: &str);
}

/// Runs the commands.
pub(crate) struct Exec<'a, W> {
    client: &'a mut Client,
    template: &'a Template,
    plan: Plan,
    watch: &'a mut W,
    clock: Clock,
    guard: Guard,
    groups: Groups,
    /// Woken when a child has died.
    deaths: Waker,
    running: Vec<Job>,
    /// Those that wait for another try.
    waiting: Waiting,
    /// Places that are free again then.
    resting: Vec<Nanos>,
    /// An answer to a get is owed.
    asked: bool,
    /// Since when there has been nothing to do but wait for that.
    idle: Option<Nanos>,
    /// The keeper has been told that it is not waited for any longer.
    cancelled: bool,
    ended: bool,
    taken: u64,
    tally: Tally,
    /// The last items that were said to be done, or else to have failed: the keeper may know better.
    said: VecDeque<(Which, bool)>,
    /// When the number of items is to be looked up.
    look: Option<Nanos>,
    /// What is to be said of commands that have been stopped.
    stopped: Vec<String>,
}

impl<'a, W: Watch> Exec<'a, W> {
    /// Makes ready to. `deaths` is woken by SIGCHLD. One command at a time may have a terminal.
    pub(crate) fn new(
        client: &'a mut Client,
        template: &'a Template,
        plan: Plan,
        watch: &'a mut W,
        clock: Clock,
        deaths: Waker,
        terminal: Option<Terminal>,
    ) -> io::Result<Self> {
        Ok(Self {
            client,
            template,
            plan,
            watch,
            clock,
            guard: Guard::start()?,
            groups: Groups::new(terminal)?,
            deaths,
            running: Vec::new(),
            waiting: Waiting::default(),
            resting: Vec::new(),
            asked: false,
            idle: None,
            cancelled: false,
            ended: false,
            taken: 0,
            tally: Tally::default(),
            said: VecDeque::new(),
            look: Some(0),
            stopped: Vec::new(),
        })
    }

    /// Runs a command for each item until the queue has ended. When it is stopped before, no command
    /// runs any more, and what was out can go back in line.
    pub(crate) fn run(mut self) -> Result<Tally, Stopped> {
        let ran = self.run_all();
        // What has ended by itself has not to be done again.
        let last = self.look_after_running();
        // At the first failure others may still run, if that was to be the end.
        let ended = self.end_all();
        self.guard.dismiss();
        ran.and(last)?;
        ended?;
        // What the keeper has to say of the last ones comes before this answer.
        self.client.size()?;
        self.hear_of_late();
        Ok(self.tally)
    }

    fn run_all(&mut self) -> Result<(), Stopped> {
        loop {
            if self.plan.halt && self.tally.failed > 0 {
                return Ok(());
            }
            self.start_again()?;
            self.ask()?;
            let nothing_left = self.running.is_empty() && self.waiting.is_empty();
            let enough = self.ended || (self.taken >= self.plan.max && !self.asked);
            if nothing_left && enough {
                return Ok(());
            }
            self.be_patient(nothing_left)?;
            self.wait()?;
            self.hear()?;
            self.look_after_running()?;
        }
    }

    /// Starts those whose next try is due, as long as there is a place.
    fn start_again(&mut self) -> Result<(), Stopped> {
        let now = self.clock.now();
        self.resting.retain(|&until| until > now);
        while self.free() > 0
            && let Some(task) = self.waiting.take(now)
        {
            self.start(task)?;
        }
        Ok(())
    }

    fn free(&self) -> usize {
        self.plan.jobs.saturating_sub(self.running.len() + self.resting.len())
    }

    /// Asks for as many items as there are places for.
    fn ask(&mut self) -> Result<(), Error> {
        let left = self.plan.max.saturating_sub(self.taken);
        let places = (self.free() as u64).min(left);
        if places > 0 && !self.asked && !self.ended && self.waiting.len() < MOST_WAITING {
            self.client.ask_for(places)?;
            self.asked = true;
        }
        Ok(())
    }

    /// When there has been nothing to do for too long, the keeper is told that no item is waited for
    /// any longer. It has the last word: perhaps there is one.
    fn be_patient(&mut self, nothing_left: bool) -> Result<(), Error> {
        let now = self.clock.now();
        self.idle = if nothing_left { self.idle.or(Some(now)) } else { None };
        if self.leaves_at().is_some_and(|at| at <= now) {
            self.client.cancel()?;
            self.cancelled = true;
        }
        Ok(())
    }

    /// When it is not waited any longer; none if that is never, or has been said.
    fn leaves_at(&self) -> Option<Nanos> {
        match self.plan.patience {
            Patience::For(most) if !self.cancelled => Some(self.idle?.saturating_add(most)),
            _ => None,
        }
    }

    fn start(&mut self, task: Task) -> Result<(), Stopped> {
        let mut groups = self.groups.lock();
        groups.postpone(&mut self.running);
        let now = self.clock.now();
        let limit = self.plan.timeout_each.map(nanos);
        let env = [("QDEMO_QUEUE", self.plan.queue.as_str()), self.guard.mark()];
        match Job::start(self.template, &env, task, now, limit, groups.terminal()) {
            Ok(job) => {
                if let Some(group) = job.group() {
                    groups.add(group);
                    self.guard.watch(group);
                }
                drop(groups);
                self.running.push(job);
                Ok(())
            }
            Err((task, error)) => {
                drop(groups);
                if let Some(unusable) = self.template.unusable(&error) {
                    return Err(unusable.into());
                }
                // An item that no argument can hold has failed.
                let too_large = error.kind() == io::ErrorKind::ArgumentListTooLong;
                if too_large || error.kind() == io::ErrorKind::InvalidInput {
                    let why =
                        "no argument can hold it: leave {} out, and it comes on standard input";
                    self.watch.notice(&format!("item {} has failed: {why}", task.id()));
                    return self.fail(&task, why);
                }
                if !is_shortage(&error) || self.running.is_empty() {
                    return Err(error.into());
                }
                // No more at a time than there are now, then.
                self.plan.jobs = self.running.len();
                self.waiting.put_off(now, task);
                Ok(())
            }
        }
    }

    fn fail(&mut self, task: &Task, why: &str) -> Result<(), Stopped> {
        self.tally.failed += 1;
        self.say(task.run.which(), false);
        // The keeper knows of the tries before this one.
        Ok(self.client.fail(task.id(), task.run.attempt, 1, why)?)
    }

    fn say(&mut self, which: Which, done: bool) {
        if self.said.len() >= MOST_SAID {
            self.said.pop_front();
        }
        self.said.push_back((which, done));
    }

    /// Leases had run out before it was said what became of their items.
    fn hear_of_late(&mut self) {
        for which in self.client.take_late() {
            let at = self.said.iter().rposition(|&(said, _)| said == which);
            match at.and_then(|at| self.said.remove(at)) {
                Some((_, true)) => self.tally.done -= 1,
                Some((_, false)) => self.tally.failed -= 1,
                None => {}
            }
            self.watch.late(which.first);
        }
    }

    fn wait(&mut self) -> Result<(), Error> {
        let due = self.waiting.due().filter(|_| self.free() > 0);
        let limits = self.running.iter().filter_map(Job::limit);
        let other = self.resting.iter().copied().chain(self.look).chain(self.leaves_at());
        let next = due.into_iter().chain(limits).chain(other).min();
        let most = next.map(|next| next.saturating_sub(self.clock.now()));
        if self.client.wait_for_answer_or(&self.pipes(), most)? {
            self.client.resume()?;
        }
        Ok(())
    }

    /// Where a command's death, or what it prints, can be seen.
    fn pipes(&self) -> Vec<(BorrowedFd<'_>, Ready)> {
        let printed = self.running.iter().flat_map(Job::pipes);
        [self.deaths.as_fd()].into_iter().chain(printed).map(|pipe| (pipe, Ready::Read)).collect()
    }

    /// What the keeper has said.
    fn hear(&mut self) -> Result<(), Stopped> {
        loop {
            let news = match self.client.heard() {
                Err(Error::Empty) => News::Ended,
                other => match other? {
                    Some(news) => news,
                    None => break,
                },
            };
            match news {
                News::Items(batch) => {
                    self.asked = false;
                    self.cancelled = false;
                    let mut run = batch.into_run();
                    self.taken += run.count();
                    while run.count() > 0 {
                        self.start(Task { run: run.split_to(1), failures: 0 })?;
                    }
                }
                News::Ended => {
                    self.asked = false;
                    self.ended = true;
                }
                News::Attempt(begun) => {
                    if let Some(task) = self.waiting.hear(begun) {
                        self.watch.late(task.id());
                    }
                }
                News::Size(census) => {
                    self.watch.census(census, self.tally);
                    self.look = Some(self.clock.now() + LOOK);
                }
            }
        }
        self.hear_of_late();
        if self.look.is_some_and(|look| look <= self.clock.now()) {
            self.look = None;
            if self.watch.wants_census() {
                self.client.ask_size()?;
            }
        }
        Ok(())
    }

    fn look_after_running(&mut self) -> Result<(), Stopped> {
        self.deaths.clear();
        let mut at = 0;
        while let Some((job, status)) = self.next_ended(&mut at)? {
            self.settle(job.finish(status, self.clock.now()))?;
        }
        for notice in self.stopped.drain(..) {
            self.watch.notice(&notice);
        }
        Ok(())
    }

    /// The next command that has ended, from the one at `at` on. The time of those before it is kept an
    /// eye on.
    fn next_ended(&mut self, at: &mut usize) -> io::Result<Option<(Job, ExitStatus)>> {
        let mut groups = self.groups.lock();
        groups.postpone(&mut self.running);
        while let Some(job) = self.running.get_mut(*at) {
            job.read()?;
            if let Some(status) = job.ended()? {
                // The others keep their order.
                let job = self.running.remove(*at);
                if let Some(group) = job.group() {
                    groups.remove(group, job.ended_by_itself(status));
                    self.guard.forget(group);
                }
                return Ok(Some((job, status)));
            }
            self.stopped.extend(groups.look_at(job));
            job.enforce(self.clock.now());
            *at += 1;
        }
        Ok(None)
    }

    /// A command has ended: its item is done, tried again, or has failed.
    fn settle(&mut self, mut ended: Ended) -> Result<(), Stopped> {
        let failure = ended.failure();
        let again = failure.is_some() && ended.task.failures < self.plan.retries;
        // What it printed comes first: an item is not done before that.
        self.watch.ended(&mut ended).map_err(Stopped::Watch)?;
        let has_terminal = self.groups.lock().terminal().is_some();
        if let Some(signal) = ended.interrupted().filter(|_| has_terminal) {
            return Err(Stopped::Interrupted(signal.as_raw()));
        }
        if !self.plan.pauses.are_none() {
            let pause = nanos(self.plan.pauses.draw());
            self.resting.push(ended.end.saturating_add(pause));
        }
        let mut task = ended.task;
        match failure {
            None => {
                self.tally.done += 1;
                self.say(task.run.which(), true);
                self.client.done_with(&task.run)?;
                self.client.flush()?;
            }
            Some(_) if again => {
                // One that doesn't fit is never over, as it is longer than 584 years.
                let doubled = 2u64.saturating_pow(task.failures);
                let pause = nanos(self.plan.backoff).saturating_mul(doubled);
                task.failures += 1;
                let due = ended.end.saturating_add(pause);
                let attempt = task.run.attempt.saturating_add(1);
                self.client.begin_attempt(task.id(), attempt)?;
                self.waiting.ask(due, task);
            }
            Some(why) => {
                let why = match task.failures {
                    0 => why,
                    n => format!("{why}, at the last of {} tries", n + 1),
                };
                self.fail(&task, &why)?;
            }
        }
        self.watch.tally(self.tally);
        Ok(())
    }

    /// Ends what still runs, and waits for that.
    fn end_all(&mut self) -> io::Result<()> {
        for job in &mut self.running {
            job.ask_to_end(self.clock.now());
        }
        while !self.running.is_empty() {
            let limit = self.running.iter().filter_map(Job::limit).min();
            let most = limit.map(|limit| limit.saturating_sub(self.clock.now()));
            wait(&self.pipes(), most)?;
            self.deaths.clear();
            let mut at = 0;
            while self.next_ended(&mut at)?.is_some() {}
        }
        Ok(())
    }
}

/// Whether the system has no more of something that it may have again.
fn is_shortage(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::MFILE | Errno::NFILE | Errno::AGAIN | Errno::NOMEM))
}
