//! The worker processes of a run or of a trial: child processes that run this program.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::catalogue::lang;
use crate::os::{ExitCause, lock, spawn_self};
use crate::role::WorkerId;

/// The worker processes. Clones share the processes. The owner calls [`Workers::shut_down`]: a drop ends no
/// process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Workers {
    state: Arc<Mutex<WorkersState>>,
}

#[derive(Debug, Default)]
struct WorkersState {
    processes: Vec<WorkerProcess>,
    /// All processes were killed, and no process starts any more.
    is_shut_down: bool,
}

#[derive(Debug)]
struct WorkerProcess {
    worker: WorkerId,
    child: Child,
}

/// A worker whose process has exited.
#[derive(Debug)]
pub(crate) struct ExitedWorker {
    pub(crate) worker: WorkerId,
    /// The cause of death; `None` after exit code 0.
    pub(crate) cause: Option<ExitCause>,
    /// The parent killed the process by [`Workers::kill_one`].
    pub(crate) was_killed_by_us: bool,
}

impl WorkersState {
    fn kill_all(&mut self) {
        for process in &self.processes {
            // A dead process is fine. The process is not reaped yet, so no other one has its PID.
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
    /// Starts a worker: this program with these arguments, and with the queues in `base`.
    pub(crate) fn start(
        &self,
        worker: WorkerId,
        args: &[impl AsRef<OsStr>],
        base: &Path,
    ) -> io::Result<()> {
        spawn_self(|command| {
            command.args(args).env("QDEMO_DIR", base).stdin(Stdio::null()).stdout(Stdio::null());
            self.spawn(worker, command)
        })
    }

    /// Starts a worker with this command. Starts nothing after [`Workers::shut_down`]: the thread of a
    /// signal may shut down at any time, and a later process would use files that no longer exist.
    pub(crate) fn spawn(&self, worker: WorkerId, command: &mut Command) -> io::Result<()> {
        let mut workers = lock(&self.state);
        if workers.is_shut_down {
            return Ok(());
        }
        // The language of the parent may come from an option.
        command.env("QDEMO_LANG", lang().code());
        // A terminal's Ctrl-C goes to the parent only, and the parent ends the workers.
        let child = command.process_group(0).spawn()?;
        workers.processes.push(WorkerProcess { worker, child });
        Ok(())
    }

    /// Kills the process of a worker, and waits for its end: nothing happens in the run between the kill and the death.
    /// None if the worker has no process.
    pub(crate) fn kill_one(&self, worker: WorkerId) -> io::Result<Option<ExitedWorker>> {
        let mut workers = lock(&self.state);
        let at = workers.processes.iter().position(|process| process.worker == worker);
        let Some(at) = at else { return Ok(None) };
        let child = &mut workers.processes[at].child;
        // A dead process is fine.
        let _ = child.kill();
        let cause = ExitCause::from_status(child.wait()?);
        workers.processes.remove(at);
        Ok(Some(ExitedWorker { worker, cause, was_killed_by_us: true }))
    }

    /// Reaps the processes that have exited since the last call.
    pub(crate) fn reap(&self) -> io::Result<Vec<ExitedWorker>> {
        let mut exited = Vec::new();
        let mut failed = None;
        lock(&self.state).processes.retain_mut(|process| match process.child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                let (worker, cause) = (process.worker, ExitCause::from_status(status));
                exited.push(ExitedWorker { worker, cause, was_killed_by_us: false });
                false
            }
            Err(error) => {
                failed = Some(error);
                true
            }
        });
        failed.map_or(Ok(exited), Err)
    }

    /// Whether all processes are reaped.
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.state).processes.is_empty()
    }

    /// Kills all processes, waits for their end, and prevents further starts.
    pub(crate) fn shut_down(&self) {
        let mut workers = lock(&self.state);
        workers.is_shut_down = true;
        workers.kill_all();
    }

    /// Kills all processes with their process groups, and waits for their end.
    pub(crate) fn kill_all(&self) {
        lock(&self.state).kill_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::Role;

    #[test]
    fn no_worker_starts_after_the_shutdown() {
        let workers = Workers::default();
        workers.shut_down();
        let worker = WorkerId { role: Role::Consumer, index: 1 };
        // If a process started, it would be this test program, which would list its tests.
        workers.start(worker, &["--list".to_owned()], Path::new("/nowhere")).unwrap();
        assert!(workers.is_empty());
    }
}
