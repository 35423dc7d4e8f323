//! The machine's boot clock, and the name of the present uptime.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::nanos::{Nanos, nanos};
use crate::proc;

/// Names this uptime of the machine. Empty where the system has no name for the uptime.
pub(super) fn boot_id() -> String {
    proc::read("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// The inode of the machine's first time namespace, which is part of the kernel's interface
/// (`TIME_NS_INIT_INO`). The boot clock of this namespace is the machine's.
const FIRST_TIME_NAMESPACE: u64 = 0xEFFF_FFFA;

/// Nanoseconds by which the boot clock of this time namespace is ahead of the machine's. None if the
/// process is in one time namespace and its future children are in another: the kernel reports only the
/// children's offset then.
pub(super) fn time_namespace_offset() -> Option<i128> {
    let namespace =
        |name| fs::metadata(format!("/proc/self/ns/{name}")).map(|metadata| metadata.ino()).ok();
    let own = namespace("time");
    if own == Some(FIRST_TIME_NAMESPACE) {
        return Some(0);
    }
    // A kernel without time namespaces has no such file, and no offset.
    let Ok(offsets) = proc::read("/proc/self/timens_offsets") else {
        return Some(0);
    };
    if own != namespace("time_for_children") {
        return None;
    }
    let boot = offsets.lines().find_map(|line| line.trim().strip_prefix("boottime"));
    let mut parts = boot.unwrap_or_default().split_whitespace();
    let mut part = || parts.next().and_then(|part| part.parse::<i128>().ok()).unwrap_or(0);
    Some(part() * 1_000_000_000 + part())
}

/// Nanoseconds since the machine started, by a boot clock that is `namespace_offset` nanoseconds ahead.
/// Setting the wall clock does not change this time.
pub(super) fn time_since_boot(namespace_offset: i128) -> Nanos {
    #[cfg(target_os = "linux")]
    let clock = ClockId::CLOCK_BOOTTIME;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::CLOCK_MONOTONIC;
    let now = clock_gettime(clock).map_or(Duration::ZERO, Duration::from);
    let since_boot = i128::from(nanos(now)) - namespace_offset;
    u64::try_from(since_boot.max(0)).unwrap_or(u64::MAX)
}
