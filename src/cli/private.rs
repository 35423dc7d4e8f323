//! The private directory of a run, or of a measurement.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use anyhow::Context;
use tempfile::TempDir;

use crate::pipe::sweep_runs;

/// It is called this, its process number, and something random.
const PREFIX: &str = "qdemo-run.";

/// Makes one. Nobody else can look into it, and the next one can tell whether its owner still lives,
/// who is to hold its lock; those of dead ones are cleared away.
pub(super) fn make_dir() -> anyhow::Result<TempDir> {
    let place = std::env::temp_dir();
    sweep_runs(&place, PREFIX);
    tempfile::Builder::new()
        .prefix(&format!("{PREFIX}{}.", std::process::id()))
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(&place)
        .with_context(|| format!("cannot make a directory in {}", place.display()))
}

/// Removes it. That it is gone already is what is wanted: a cleaner of the temporary folder may have
/// removed it.
pub(super) fn remove(dir: TempDir) -> anyhow::Result<()> {
    let path = dir.path().to_owned();
    match dir.close() {
        Err(error) if fs::symlink_metadata(&path).is_ok() => {
            Err(error).context("cannot remove the private directory")
        }
        _ => Ok(()),
    }
}
