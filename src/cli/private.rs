//! The private directory of a run, or of a measurement.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use rustix::fs::FileType;

use super::run;
use crate::bench;
use crate::pipe::{PrivateDir, is_pipe};

/// It is called this, and something random.
const PREFIX: &str = "qdemo-run.";

/// A private directory, which goes with this.
pub(super) struct Private {
    dir: Arc<PrivateDir>,
}

impl Private {
    /// Makes one. Nobody else can look into it; those of killed runs are cleared away.
    pub(super) fn make() -> anyhow::Result<Self> {
        let place = std::env::temp_dir();
        let dir = PrivateDir::make(&place, PREFIX, is_of_a_run)
            .with_context(|| format!("cannot make a directory in {}", place.display()))?;
        Ok(Self { dir: Arc::new(dir) })
    }

    /// For whoever may have to remove it as well.
    pub(super) fn share(&self) -> Arc<PrivateDir> {
        Arc::clone(&self.dir)
    }

    /// Where it is.
    pub(super) fn path(&self) -> PathBuf {
        self.dir.path()
    }

    /// Removes it. That it is gone already is what is wanted: a cleaner of the temporary folder may have
    /// removed it.
    pub(super) fn remove(self) -> anyhow::Result<()> {
        self.dir.remove().context("cannot remove the private directory")
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ = self.dir.remove();
    }
}

/// What a run or a measurement makes in its directory, and a killed one leaves there.
fn is_of_a_run(name: &str, kind: FileType) -> bool {
    let of_a_run = match kind {
        FileType::Directory => name == run::QUEUE,
        FileType::Fifo => is_pipe(name),
        _ => false,
    };
    of_a_run || bench::makes(name, kind)
}
