//! The private directory of a run, or of a measurement.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use rustix::fs::FileType;

use crate::os::PrivateDir;
use crate::pipe::is_pipe;

/// It is called this, and something random.
const PREFIX: &str = "qdemo-run.";
/// The name of a run's queue.
pub(crate) const RUN: &str = "run";
/// The name of the queue that is measured.
pub(crate) const BENCH: &str = "bench";
/// The directory of one measurement is called this, and something random.
pub(crate) const MEASUREMENT: &str = "measurement.";
/// The pipe of a measurement in which each byte is leave to put one more item.
pub(crate) const TOKENS: &str = "tokens";
/// The two hops of the bare relay.
pub(crate) const HOPS: [&str; 2] = ["first-hop", "second-hop"];
/// The script that measures `multiprocessing.Queue`.
pub(crate) const SCRIPT: &str = "mp_queue.py";

/// A private directory, which goes with this.
pub(crate) struct Private {
    dir: Arc<PrivateDir>,
}

impl Private {
    /// Makes one. Nobody else can look into it; those of killed runs are cleared away.
    pub(crate) fn make() -> anyhow::Result<Self> {
        let place = std::env::temp_dir();
        let dir = PrivateDir::make(&place, PREFIX, is_of_a_run)
            .with_context(|| format!("cannot make a directory in {}", place.display()))?;
        Ok(Self { dir: Arc::new(dir) })
    }

    /// For whoever may have to remove it as well.
    pub(crate) fn share(&self) -> Arc<PrivateDir> {
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

impl Drop for Private {
    fn drop(&mut self) {
        let _ = self.dir.remove();
    }
}

/// Whether a run or a measurement makes files of this name and kind, so that a killed one may have left it.
fn is_of_a_run(name: &str, kind: FileType) -> bool {
    match kind {
        FileType::Directory => [RUN, BENCH].contains(&name) || name.starts_with(MEASUREMENT),
        FileType::Fifo => is_pipe(name) || name == TOKENS || HOPS.contains(&name),
        FileType::RegularFile => name == SCRIPT,
        _ => false,
    }
}
