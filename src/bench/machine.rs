//! What the figures were measured on, and of what.

use serde::Serialize;
use sysinfo::{CpuRefreshKind, RefreshKind, System};

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
    pub(super) fn this() -> Self {
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

/// Which commit this program was built from, if it was built in its repository.
pub(super) fn commit() -> Option<&'static str> {
    const COMMIT: &str =
        git_version::git_version!(args = ["--always", "--dirty=+", "--abbrev=10"], fallback = "");
    Some(COMMIT).filter(|commit| !commit.is_empty())
}
