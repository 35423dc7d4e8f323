//! The crew of a run: its producers and consumers, child processes of this program.

use std::io::{self};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::os::{Death, start_own};
use crate::role::Worker;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::Role;

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
