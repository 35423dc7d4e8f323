//! The crew of a run: its producers and consumers, child processes of this program.

use std::env;
use std::io::{self, ErrorKind};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::os::{is_program, places_of};
use crate::queue::Worker;

/// The children of a run. Clones share them; whoever drops the last clone has ended them all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crew {
    hands: Arc<Mutex<Hands>>,
}

#[derive(Debug, Default)]
struct Hands {
    all: Vec<Hand>,
    /// They have all been ended, and nobody starts any more.
    over: bool,
}

#[derive(Debug)]
struct Hand {
    worker: Worker,
    child: Child,
    /// We have killed it.
    struck: bool,
}

/// A worker's process that is no more.
#[derive(Debug)]
pub(crate) struct Departed {
    pub(crate) worker: Worker,
    /// How it died, if it did not leave of its own will.
    pub(crate) death: Option<Death>,
    /// By [`Crew::strike`].
    pub(crate) struck: bool,
}

/// How a process ended that was not to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// By this signal.
    Signal(i32),
    /// With this exit code.
    Exit(i32),
}

impl Hands {
    fn dismiss(&mut self) {
        for hand in &self.all {
            // One that is dead already is what is wanted; not reaped yet, its number is still its own.
            if let Some(group) = Pid::from_raw(hand.child.id().cast_signed()) {
                let _ = kill_process_group(group, Signal::KILL);
            }
        }
        for mut hand in self.all.drain(..) {
            let _ = hand.child.wait();
        }
    }
}

impl Death {
    fn of(status: ExitStatus) -> Option<Self> {
        match (status.code(), status.signal()) {
            (Some(0), _) => None,
            (Some(code), _) => Some(Self::Exit(code)),
            // One or the other is known of whatever has ended.
            (None, signal) => Some(Self::Signal(signal.unwrap_or_default())),
        }
    }
}

impl Crew {
    /// Starts a worker: this program with these arguments, on queues that lie in `base`.
    pub(crate) fn start(&self, worker: Worker, args: &[String], base: &Path) -> io::Result<()> {
        start_own(|command| {
            command.args(args).env("QDEMO_DIR", base).stdin(Stdio::null()).stdout(Stdio::null());
            self.take_on(worker, command)
        })
    }

    /// Starts a worker by this command. After [`Crew::kill`] nobody starts: that may come from a
    /// signal's thread at any time, and what it has cleared away is not to be there again.
    pub(crate) fn take_on(&self, worker: Worker, command: &mut Command) -> io::Result<()> {
        let mut hands = self.lock();
        if hands.over {
            return Ok(());
        }
        // A terminal's Ctrl-C is for the parent: it tells the workers.
        let child = command.process_group(0).spawn()?;
        hands.all.push(Hand { worker, child, struck: false });
        Ok(())
    }

    /// Kills this worker's process, which is to be reaped as any other.
    pub(crate) fn strike(&self, worker: Worker) {
        for hand in self.lock().all.iter_mut().filter(|hand| hand.worker == worker) {
            hand.struck = true;
            // One that is dead already is what is wanted.
            let _ = hand.child.kill();
        }
    }

    /// Those who have died since the last time; no zombie stays of them.
    pub(crate) fn reap(&self) -> io::Result<Vec<Departed>> {
        let mut departed = Vec::new();
        let mut failed = None;
        self.lock().all.retain_mut(|hand| match hand.child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                let &mut Hand { worker, struck, .. } = hand;
                departed.push(Departed { worker, death: Death::of(status), struck });
                false
            }
            Err(error) => {
                failed = Some(error);
                true
            }
        });
        failed.map_or(Ok(departed), Err)
    }

    /// Whether nobody is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().all.is_empty()
    }

    /// Kills those who are left, waits for their end, and lets nobody start any more.
    pub(crate) fn kill(&self) {
        let mut hands = self.lock();
        hands.over = true;
        hands.dismiss();
    }

    /// Kills those who are left, and all that they have started, and waits for their end.
    pub(crate) fn dismiss(&self) {
        self.lock().dismiss();
    }

    fn lock(&self) -> MutexGuard<'_, Hands> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// This program, as a command that is listed under its name. Without `/proc` its path stands there: by
/// that its own children find it.
fn own_command() -> io::Result<Command> {
    let mut command = Command::new(own_program()?);
    if env::current_exe().is_ok() {
        command.arg0("qdemo");
    }
    Ok(command)
}

/// Starts this program by a command that `start` completes. Its file may go at this very moment, as it may
/// at any time before: then the link leads to it.
pub(crate) fn start_own<T>(start: impl Fn(&mut Command) -> io::Result<T>) -> io::Result<T> {
    match start(&mut own_command()?) {
        Err(error) if error.kind() == ErrorKind::NotFound && Path::new(LINK).exists() => {
            start(Command::new(LINK).arg0("qdemo"))
        }
        other => other,
    }
}

/// This program. If its file has been replaced or removed meanwhile, the one that runs, by a link
/// that Linux has to it; but then the system lists the child under the link's name. Without `/proc`, the one
/// that a shell would find by the name that this process was started under.
pub(crate) fn own_program() -> io::Result<PathBuf> {
    match env::current_exe() {
        Ok(path) if !path.exists() => Ok(PathBuf::from(LINK)),
        Err(error) => by_its_name().ok_or(error),
        found => found,
    }
}

fn by_its_name() -> Option<PathBuf> {
    let places = places_of(&env::args_os().next()?);
    std::path::absolute(places.into_iter().find(|place| is_program(place))?).ok()
}

/// Linux has a link there to the file that runs, even if that has been removed.
const LINK: &str = "/proc/self/exe";

/// Keeps this process, and those that it starts from now on, on the core where it is. When only one of
/// them runs at a time, passing on the turn costs a fraction of what waking another core does.
pub(crate) fn stay_on_one_core() {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};
        let mut here = CpuSet::new();
        here.set(sched_getcpu());
        // Where it may not be done, it is only slower.
        let _ = sched_setaffinity(None, &here);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Role;

    #[test]
    fn nobody_starts_after_the_end() {
        let crew = Crew::default();
        crew.kill();
        let worker = Worker { role: Role::Consumer, number: 1 };
        // If it did start, it would be this test, to list what there is to test.
        crew.start(worker, &["--list".to_owned()], Path::new("/nowhere")).unwrap();
        assert!(crew.is_empty());
    }
}
