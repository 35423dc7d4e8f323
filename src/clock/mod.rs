//! Time. No other module reads a clock.
//!
//! * [`Clock`]: nanoseconds since a start; a clock never goes back.
//! * [`Epoch`]: the time that all keepers of one queue share.
//! * [`WallTime`]: moments of the wall clock, for people.
//! * [`Delay`]: delays, constant or random.
//! * [`ProcessBirth`]: the order of process starts and moments across processes.

mod boot;
mod delay;
mod nanos;
mod process_birth;
mod random;
mod wall_time;

use std::time::{SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use boot::{boot_id, time_namespace_offset, time_since_boot};
pub use delay::{Delay, RecordedDelays};
pub(crate) use delay::{DelaySampler, JitterSampler, random_seed};
pub(crate) use nanos::{Nanos, nanos, to_seconds};
pub(crate) use process_birth::{BootQualifiedBirth, ProcessBirth};
pub(crate) use random::random_u64;
pub(crate) use wall_time::WallTime;

/// Measures the time since a start.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clock {
    /// The machine's monotonic clock since `origin`. This clock stands still while the machine is suspended.
    Monotonic { origin: Nanos },
    /// The machine's boot clock, and `offset` more. The clock of the time namespace is ahead of the machine's
    /// by `namespace_offset` nanoseconds.
    Boot { namespace_offset: i128, offset: Nanos },
}

/// The time that successive keepers of a queue count: nanoseconds since 1970 began, as the wall clock
/// showed them to the first keeper in this uptime of the machine. The boot clock counts from then on, so
/// setting the wall clock does not change a lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Epoch {
    /// Names the uptime.
    #[serde(alias = "boot")]
    boot_id: String,
    /// Nanoseconds by which this time is ahead of the machine's boot clock.
    #[serde(alias = "ahead")]
    pub(crate) offset: Nanos,
}

impl Epoch {
    /// Continues the time of an earlier keeper of this uptime, or starts a new one.
    pub(crate) fn resume(before: Option<&Self>) -> Self {
        let since_boot = time_since_boot(time_namespace_offset().unwrap_or(0));
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanos);
        Self::resume_with(before, boot_id(), since_boot, wall)
    }

    /// Does the same as [`Epoch::resume`], with given clock readings.
    pub(crate) fn resume_with(
        before: Option<&Self>,
        boot_id: String,
        since_boot: Nanos,
        wall: Nanos,
    ) -> Self {
        match before.filter(|before| before.boot_id == boot_id && !boot_id.is_empty()) {
            Some(before) => before.clone(),
            None => Self { boot_id, offset: wall.saturating_sub(since_boot) },
        }
    }

    /// A clock that shows this time.
    pub(crate) fn clock(&self) -> Clock {
        let namespace_offset = time_namespace_offset().unwrap_or(0);
        Clock::Boot { namespace_offset, offset: self.offset }
    }
}

impl Clock {
    /// A clock that shows 0 now.
    pub(crate) fn start_now() -> Self {
        Self::since(Self::origin())
    }

    /// A clock that shows 0 now, and goes on while the machine is suspended.
    pub(crate) fn start_boot() -> Self {
        Self::Boot { namespace_offset: i128::from(time_since_boot(0)), offset: 0 }
    }

    /// A clock that shows the nanoseconds since `origin`. Clocks with the same origin agree in all
    /// processes of this machine.
    pub(crate) fn since(origin: Nanos) -> Self {
        Self::Monotonic { origin }
    }

    /// The present moment, for [`Clock::since`] in any process of this machine. On Linux std's `Instant`
    /// has the same source, but an `Instant` cannot be sent to another process.
    pub(crate) fn origin() -> Nanos {
        clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |now| nanos(now.into()))
    }

    /// Nanoseconds since the start.
    pub(crate) fn now(&self) -> Nanos {
        match *self {
            Self::Monotonic { origin } => Self::origin().saturating_sub(origin),
            Self::Boot { namespace_offset, offset } => {
                time_since_boot(namespace_offset).saturating_add(offset)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keepers_of_one_uptime_share_one_time_despite_the_wall_clock() {
        let epoch = |before, boot: &str, since_boot, wall| {
            Epoch::resume_with(before, boot.to_owned(), since_boot, wall)
        };
        let first = epoch(None, "a", 100, 5_000);
        assert_eq!(first.offset + 100, 5_000);
        for wall in [0, 4_000, 5_100, 9_999_999] {
            let second = epoch(Some(&first), "a", 200, wall);
            assert_eq!(second.offset + 200, 5_100, "the wall clock shows {wall}");
        }
        let rebooted = epoch(Some(&first), "b", 7, 6_000);
        assert_eq!(rebooted.offset + 7, 6_000);
        let unnamed = epoch(Some(&epoch(None, "", 100, 5_000)), "", 1, 6_000);
        assert_eq!(unnamed.offset + 1, 6_000, "an unnamed uptime may be another one");
    }

    #[test]
    fn clocks_of_one_origin_agree() {
        let origin = Clock::origin();
        let first = Clock::since(origin);
        let second = Clock::since(origin);
        let times = [first.now(), second.now(), first.now()];
        assert!(times.is_sorted(), "{times:?}");
    }
}
