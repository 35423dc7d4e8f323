//! The private directory of a run or a benchmark.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use rustix::fs::FileType;

use crate::os::PrivateDir;
use crate::pipe::is_queue_pipe_name;

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
/// The script that measures `multiprocessing.Queue`.
pub(crate) const PYTHON_SCRIPT_NAME: &str = "mp_queue.py";

/// A private directory. A drop removes the directory.
pub(crate) struct TempRunDir {
    dir: Arc<PrivateDir>,
}

impl TempRunDir {
    /// Creates the directory, which no other user can read, and removes the directories of killed runs.
    pub(crate) fn create() -> anyhow::Result<Self> {
        let parent = std::env::temp_dir();
        let dir = PrivateDir::create(&parent, DIR_PREFIX, is_run_file)
            .with_context(|| format!("cannot make a directory in {}", parent.display()))?;
        Ok(Self { dir: Arc::new(dir) })
    }

    /// The directory, for a second owner that may remove it too.
    pub(crate) fn shared_dir(&self) -> Arc<PrivateDir> {
        Arc::clone(&self.dir)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path()
    }

    /// Removes the directory. A missing directory is fine: a cleaner of the temporary folder may have removed
    /// it.
    pub(crate) fn remove(self) -> anyhow::Result<()> {
        self.dir.remove().context("cannot remove the private directory")
    }
}

impl Drop for TempRunDir {
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
        FileType::RegularFile => name == PYTHON_SCRIPT_NAME,
        _ => false,
    }
}
