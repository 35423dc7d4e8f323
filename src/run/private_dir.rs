//! The private directory of a run, or of a measurement.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use rustix::fs::FileType;

use crate::os::PrivateDir;
use crate::pipe::is_queue_pipe_name;

/// It is called this, and something random.
const DIR_PREFIX: &str = "qdemo-run.";
/// The name of a run's queue.
pub(crate) const RUN_QUEUE: &str = "run";
/// The name of the queue that is measured.
pub(crate) const BENCH_QUEUE: &str = "bench";
/// The directory of one measurement is called this, and something random.
pub(crate) const TRIAL_DIR_PREFIX: &str = "measurement.";
/// The pipe of a measurement in which each byte is leave to put one more item.
pub(crate) const TOKENS: &str = "tokens";
/// The two hops of the bare relay.
pub(crate) const RELAY_PIPES: [&str; 2] = ["first-hop", "second-hop"];
/// The script that measures `multiprocessing.Queue`.
pub(crate) const PYTHON_SCRIPT_NAME: &str = "mp_queue.py";

/// A private directory, which goes with this.
pub(crate) struct TempRunDir {
    dir: Arc<PrivateDir>,
}

impl TempRunDir {
    /// Makes one. Nobody else can look into it; those of killed runs are cleared away.
    pub(crate) fn create() -> anyhow::Result<Self> {
        let place = std::env::temp_dir();
        let dir = PrivateDir::create(&place, DIR_PREFIX, is_run_file)
            .with_context(|| format!("cannot make a directory in {}", place.display()))?;
        Ok(Self { dir: Arc::new(dir) })
    }

    /// For whoever may have to remove it as well.
    pub(crate) fn shared_dir(&self) -> Arc<PrivateDir> {
        Arc::clone(&self.dir)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path()
    }

    /// Removes it. That it is gone already is what is wanted: a cleaner of the temporary folder may have
    /// removed it.
    pub(crate) fn remove(self) -> anyhow::Result<()> {
        self.dir.remove().context("cannot remove the private directory")
    }
}

impl Drop for TempRunDir {
    fn drop(&mut self) {
        let _ = self.dir.remove();
    }
}

/// Whether a run or a measurement makes files of this name and kind, so that a killed one may have left it.
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
