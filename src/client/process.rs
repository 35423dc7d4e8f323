//! What this process remembers beyond the life of any handle.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::ProcessBirth;

/// These facts need a static, because they belong to the process and not to a handle: a keeper is a
/// child of the process and outlives the handle that started it; a consumer names the birth of its
/// process, so a keeper would report the same end again through each new handle; and only the program
/// itself knows that its `main` starts keepers.
static PROCESS: ProcessState = ProcessState {
    is_self_hosted: AtomicBool::new(false),
    keepers: Mutex::new(Vec::new()),
    ends_seen: Mutex::new(BTreeMap::new()),
};

struct ProcessState {
    is_self_hosted: AtomicBool,
    /// The keepers that this process has started and not reaped yet.
    keepers: Mutex<Vec<Child>>,
    /// The directories of the queues whose end this process has seen as a consumer, and when.
    ends_seen: Mutex<BTreeMap<PathBuf, ProcessBirth>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keepers are this program from now on, and not `qdemo` in the `PATH`.
pub(super) fn set_self_hosted() {
    PROCESS.is_self_hosted.store(true, Ordering::Relaxed);
}

pub(super) fn is_self_hosted() -> bool {
    PROCESS.is_self_hosted.load(Ordering::Relaxed)
}

/// Takes charge of a keeper until [`reap_keepers`] finds that the keeper has ended.
pub(super) fn adopt_keeper(keeper: Child) {
    locked(&PROCESS.keepers).push(keeper);
}

/// Reaps the keepers that have ended. Each client calls this when it looks for a keeper and when it is
/// dropped, so that a program that opens many queues gathers no zombies.
pub(super) fn reap_keepers() {
    // A child that cannot be waited for has been reaped by the program itself.
    locked(&PROCESS.keepers).retain_mut(|keeper| matches!(keeper.try_wait(), Ok(None)));
}

/// A consumer of this process has seen the end of the queue in `dir`. From now on this process counts
/// as one that started after the end, and its consumers get the items of the next round.
pub(super) fn record_end_seen(dir: &Path) {
    locked(&PROCESS.ends_seen).insert(dir.to_owned(), ProcessBirth::after_now());
}

/// The birth that a consumer of the queue in `dir` names.
pub(super) fn consumer_birth(dir: &Path) -> ProcessBirth {
    let seen = locked(&PROCESS.ends_seen).get(dir).copied();
    seen.unwrap_or_else(ProcessBirth::of_this_process)
}
