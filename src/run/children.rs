//! The crew of a run: its producers and consumers, child processes of this program.

use std::io::{self};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::os::{ExitCause, spawn_self};
use crate::role::WorkerId;

/// The children of a run. Clones share them; whoever drops the last clone has ended them all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Workers {
    state: Arc<Mutex<WorkersState>>,
}

#[derive(Debug, Default)]
struct WorkersState {
    processes: Vec<WorkerProcess>,
    /// They have all been ended, and nobody starts any more.
    is_shut_down: bool,
}

#[derive(Debug)]
struct WorkerProcess {
    worker: WorkerId,
    child: Child,
    /// We have killed it.
    was_killed_by_us: bool,
}

/// A worker's process that is no more.
#[derive(Debug)]
pub(crate) struct ExitedWorker {
    pub(crate) worker: WorkerId,
    /// How it died, if it did not leave of its own will.
    pub(crate) cause: Option<ExitCause>,
    /// By [`Crew::strike`].
    pub(crate) was_killed_by_us: bool,
}

impl WorkersState {
    fn kill_all(&mut self) {
        for process in &self.processes {
            // One that is dead already is what is wanted; not reaped yet, its number is still its own.
            if let Some(group) = Pid::from_raw(process.child.id().cast_signed()) {
                let _ = kill_process_group(group, Signal::KILL);
            }
        }
        for mut process in self.processes.drain(..) {
            let _ = process.child.wait();
        }
    }
}

impl Workers {
    /// Starts a worker: this program with these arguments, on queues that lie in `base`.
    pub(crate) fn start(&self, worker: WorkerId, args: &[String], base: &Path) -> io::Result<()> {
        spawn_self(|command| {
            command.args(args).env("QDEMO_DIR", base).stdin(Stdio::null()).stdout(Stdio::null());
            self.spawn(worker, command)
        })
    }

    /// Starts a worker by this command. After [`Crew::kill`] nobody starts: that may come from a
    /// signal's thread at any time, and what it has cleared away is not to be there again.
    pub(crate) fn spawn(&self, worker: WorkerId, command: &mut Command) -> io::Result<()> {
        let mut workers = self.lock();
        if workers.is_shut_down {
            return Ok(());
        }
        // A terminal's Ctrl-C is for the parent: it tells the workers.
        let child = command.process_group(0).spawn()?;
        workers.processes.push(WorkerProcess { worker, child, was_killed_by_us: false });
        Ok(())
    }

    /// Kills this worker's process, which is to be reaped as any other.
    pub(crate) fn kill_one(&self, worker: WorkerId) {
        for process in self.lock().processes.iter_mut().filter(|process| process.worker == worker) {
            process.was_killed_by_us = true;
            // One that is dead already is what is wanted.
            let _ = process.child.kill();
        }
    }

    /// Those who have died since the last time; no zombie stays of them.
    pub(crate) fn reap(&self) -> io::Result<Vec<ExitedWorker>> {
        let mut exited = Vec::new();
        let mut failed = None;
        self.lock().processes.retain_mut(|process| match process.child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                let &mut WorkerProcess { worker, was_killed_by_us: struck, .. } = process;
                exited.push(ExitedWorker {
                    worker,
                    cause: ExitCause::from_status(status),
                    was_killed_by_us: struck,
                });
                false
            }
            Err(error) => {
                failed = Some(error);
                true
            }
        });
        failed.map_or(Ok(exited), Err)
    }

    /// Whether nobody is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().processes.is_empty()
    }

    /// Kills those who are left, waits for their end, and lets nobody start any more.
    pub(crate) fn shut_down(&self) {
        let mut workers = self.lock();
        workers.is_shut_down = true;
        workers.kill_all();
    }

    /// Kills those who are left, and all that they have started, and waits for their end.
    pub(crate) fn kill_all(&self) {
        self.lock().kill_all();
    }

    fn lock(&self) -> MutexGuard<'_, WorkersState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::Role;

    #[test]
    fn nobody_starts_after_the_end() {
        let workers = Workers::default();
        workers.shut_down();
        let worker = WorkerId { role: Role::Consumer, index: 1 };
        // If it did start, it would be this test, to list what there is to test.
        workers.start(worker, &["--list".to_owned()], Path::new("/nowhere")).unwrap();
        assert!(workers.is_empty());
    }
}
