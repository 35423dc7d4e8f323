//! Describes the machine and the program of a benchmark.

use serde::Serialize;

use system::{cpu, system};

/// A machine, for people who compare figures.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Machine {
    /// The processor's name, if known.
    pub(super) cpu: Option<String>,
    /// The number of cores that this process may use.
    pub(super) cores: usize,
    /// The operating system and its version.
    pub(super) system: String,
}

impl Machine {
    /// This machine.
    pub(super) fn current() -> Self {
        Self {
            cpu: cpu().filter(|name| !name.is_empty()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            system: system(),
        }
    }
}

/// The free memory in bytes. None if the system does not report the number.
pub(super) fn free_memory() -> Option<u64> {
    system::free_memory()
}

#[cfg(not(target_vendor = "apple"))]
mod system {
    use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

    pub(super) fn cpu() -> Option<String> {
        let kind = RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing());
        let all = System::new_with_specifics(kind);
        all.cpus().first().map(|cpu| cpu.brand().trim().to_owned())
    }

    pub(super) fn system() -> String {
        let parts = [System::name(), System::kernel_version()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    pub(super) fn free_memory() -> Option<u64> {
        let kind = RefreshKind::nothing().with_memory(MemoryRefreshKind::everything());
        let system = System::new_with_specifics(kind);
        // Without `/proc` nothing is known, and the calls below would panic.
        if system.total_memory() == 0 {
            return None;
        }
        // A container may have less than the machine.
        let container_free = system.cgroup_limits().map_or(u64::MAX, |limits| limits.free_memory);
        Some(system.available_memory().min(container_free)).filter(|&free| free > 0)
    }
}

/// Apple's systems tell more only through frameworks.
#[cfg(target_vendor = "apple")]
mod system {
    pub(super) fn cpu() -> Option<String> {
        None
    }

    pub(super) fn system() -> String {
        let names = rustix::system::uname();
        let name = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
        format!("{}, {}", name(names.sysname()), name(names.release()))
    }

    pub(super) fn free_memory() -> Option<u64> {
        None
    }
}

/// The commit of this program, if the program was built in its repository.
pub(super) fn build_commit() -> Option<&'static str> {
    env!("QDEMO_COMMIT").split_whitespace().next()
}
