//! What the figures were measured on, and of what.

use serde::Serialize;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

/// A machine, for people who compare figures.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    /// The processor's name, where it is known.
    pub(super) cpu: Option<String>,
    /// On how many cores this process may run.
    pub(super) cores: usize,
    /// The system and its version.
    pub(super) system: String,
}

impl Machine {
    /// The one that we are on.
    pub(super) fn current() -> Self {
        let kind = RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing());
        let all = System::new_with_specifics(kind);
        let cpu = all.cpus().first().map(|cpu| cpu.brand().trim().to_owned());
        let parts = [System::name(), System::kernel_version()];
        Self {
            cpu: cpu.filter(|name| !name.is_empty()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            system: parts.into_iter().flatten().collect::<Vec<_>>().join(", "),
        }
    }
}

/// How many bytes of memory are free for us; none where the system doesn't tell.
pub(super) fn free_memory() -> Option<u64> {
    let kind = RefreshKind::nothing().with_memory(MemoryRefreshKind::everything());
    let system = System::new_with_specifics(kind);
    // Without `/proc` nothing is known, and to ask for more would be a panic.
    if system.total_memory() == 0 {
        return None;
    }
    // A container may have less than the machine.
    let here = system.cgroup_limits().map_or(u64::MAX, |limits| limits.free_memory);
    Some(system.available_memory().min(here)).filter(|&free| free > 0)
}

/// Which commit this program was built from, if it was built in its repository.
pub(super) fn build_commit() -> Option<&'static str> {
    const COMMIT: &str =
        git_version::git_version!(args = ["--always", "--dirty=+", "--abbrev=10"], fallback = "");
    Some(COMMIT).filter(|commit| !commit.is_empty())
}
