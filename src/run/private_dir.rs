//! The private directory of a run or a benchmark, and what else must be cleaned up.

use std::sync::Arc;

use anyhow::Context;
use rustix::fs::FileType;

use super::children::Workers;
use crate::catalogue::message;
use crate::os::signals::{self, LeaveSignals};
use crate::os::{PrivateDir, Waker};
use crate::pipe::is_queue_pipe_name;
use crate::report::Progress;

/// The name of the directory starts with this; the rest is random.
const DIR_PREFIX: &str = "qdemo-run.";
/// The name of a run's queue.
pub(crate) const RUN_QUEUE: &str = "run";
/// The name of the measured queue.
pub(crate) const BENCH_QUEUE: &str = "bench";
/// The name of a trial's directory starts with this; the rest is random.
pub(crate) const TRIAL_DIR_PREFIX: &str = "measurement.";
/// The pipe of a trial in which each byte permits one put.
pub(crate) const TOKENS: &str = "tokens";
/// The two pipes of the bare relay.
pub(crate) const RELAY_PIPES: [&str; 2] = ["first-hop", "second-hop"];
/// The delays of a file, for the producers and for the consumers of a run.
pub(super) const DELAY_FILES: [&str; 2] = ["producer-delays", "consumer-delays"];
/// The script that measures `multiprocessing.Queue`.
pub(crate) const PYTHON_SCRIPT_NAME: &str = "mp_queue.py";

/// What a run or a benchmark cleans up: its processes, its private directory and its live view. A drop
/// removes the directory.
pub(crate) struct Workplace {
    pub(crate) workers: Workers,
    pub(crate) dir: Arc<PrivateDir>,
    pub(crate) progress: Progress,
    /// A signal to leave wakes this waker.
    pub(crate) interrupt: Arc<Waker>,
}

impl Workplace {
    /// Creates the directory, which no other user can read, and removes the directories of killed runs.
    /// Installs the signal handlers: at the second signal the thread of the signal cleans up.
    pub(crate) fn open(progress: Progress) -> anyhow::Result<Self> {
        let parent = std::env::temp_dir();
        let dir = PrivateDir::create(&parent, DIR_PREFIX, is_run_file)
            .with_context(|| message!("command-no-directory", parent = &parent.display()))?;
        let (dir, workers) = (Arc::new(dir), Workers::default());
        let (children, shared_dir, view) = (workers.clone(), Arc::clone(&dir), progress.clone());
        let clean_up = move || {
            children.shut_down();
            let _ = shared_dir.remove();
            view.clear_with_timeout();
        };
        let interrupt = signals::install_handlers_with_cleanup(LeaveSignals::NotIgnored, clean_up)
            .inspect_err(|_| drop(dir.remove()))?;
        Ok(Self { workers, dir, progress, interrupt })
    }

    /// Ends the processes and the live view, and removes the directory. A missing directory is fine: a
    /// cleaner of the temporary folder may have removed it.
    pub(crate) fn close(&self) -> anyhow::Result<()> {
        self.progress.clear();
        self.workers.shut_down();
        self.dir.remove().with_context(|| message!("command-directory-left"))
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        let _ = self.dir.remove();
    }
}

/// Whether a run or a benchmark creates files of this name and type, and may have left the file when killed.
fn is_run_file(name: &str, kind: FileType) -> bool {
    match kind {
        FileType::Directory => {
            [RUN_QUEUE, BENCH_QUEUE].contains(&name) || name.starts_with(TRIAL_DIR_PREFIX)
        }
        FileType::Fifo => is_queue_pipe_name(name) || name == TOKENS || RELAY_PIPES.contains(&name),
        FileType::RegularFile => name == PYTHON_SCRIPT_NAME || DELAY_FILES.contains(&name),
        _ => false,
    }
}
