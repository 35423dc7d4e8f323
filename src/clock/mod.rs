//! Time. Nobody else reads a clock.
//!
//! * [`Clock`]: nanoseconds since a start, never going back.
//! * [`Epoch`]: the time that the keepers of a queue have in common.
//! * [`Delay`]: pauses, constant or random.
//! * [`Stamp`]: "did this process start before that moment?", across processes.

mod delay;
mod process_birth;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

pub use delay::Delay;
pub(crate) use delay::{DelaySampler, RandomStream, random_seed};
pub(crate) use process_birth::{BootQualifiedBirth, ProcessBirth};

/// Nanoseconds. As a point in time: since the start of the run or the command.
pub(crate) type Nanos = u64;

/// A duration in [`Nanos`]; the longest that fits (584 years) stands for anything longer.
pub(crate) fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

/// Time since a start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    source: ClockSource,
    /// What the source showed at the start.
    source_start: Nanos,
    /// What this clock showed at the start.
    offset: Nanos,
}

/// What a clock is made of.
#[derive(Clone, Copy, Debug)]
enum ClockSource {
    /// The machine's monotonic clock, which stands still while the machine is suspended.
    Monotonic,
    /// The machine's boot clock, whose time namespace is ahead by so many nanoseconds.
    Boot { namespace_offset: i128 },
}

/// The time that the keepers of a queue count, one after another: nanoseconds since 1970 began, as the
/// wall's clock showed them to the first of them in this uptime of the machine. From then on the boot
/// clock counts, so a lease doesn't depend on a wall clock that somebody sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Epoch {
    /// Names the uptime.
    #[serde(rename = "boot")]
    boot_id: String,
    /// How far this time is ahead of the machine's boot clock.
    #[serde(rename = "ahead")]
    offset: Nanos,
}

impl Epoch {
    /// Goes on with the time that an earlier keeper of this uptime counted, or begins anew.
    pub(crate) fn resume(before: Option<&Self>) -> Self {
        let (boot, since_boot) = (process_birth::boot_id(), Self::source().now());
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanos);
        Self::resume_with(before, boot, since_boot, wall)
    }

    /// The same with these clocks.
    pub(crate) fn resume_with(
        before: Option<&Self>,
        boot: String,
        since_boot: Nanos,
        wall: Nanos,
    ) -> Self {
        match before.filter(|before| before.boot_id == boot && !boot.is_empty()) {
            Some(before) => before.clone(),
            None => Self { boot_id: boot, offset: wall.saturating_sub(since_boot) },
        }
    }

    /// The time when the boot clock shows that.
    #[cfg(test)]
    pub(crate) fn at_boot_time(&self, since_boot: Nanos) -> Nanos {
        since_boot.saturating_add(self.offset)
    }

    /// A clock that shows this time.
    pub(crate) fn clock(&self) -> Clock {
        Clock { source: Self::source(), source_start: 0, offset: self.offset }
    }

    fn source() -> ClockSource {
        ClockSource::Boot { namespace_offset: process_birth::time_namespace_offset().unwrap_or(0) }
    }
}

impl ClockSource {
    fn now(self) -> Nanos {
        match self {
            Self::Monotonic => {
                clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |now| nanos(now.into()))
            }
            Self::Boot { namespace_offset: ahead } => process_birth::time_since_boot(ahead),
        }
    }
}

impl Clock {
    /// A clock that shows 0 now.
    pub(crate) fn start_now() -> Self {
        Self::since(Self::origin())
    }

    /// A clock that shows the nanoseconds since `origin`, as in every process whose clock has the same.
    pub(crate) fn since(origin: Nanos) -> Self {
        Self { source: ClockSource::Monotonic, source_start: origin, offset: 0 }
    }

    /// Now, for [`Clock::since`] in any process of this machine. On Linux that is what std's `Instant` is
    /// made of, but can be told to others.
    pub(crate) fn origin() -> Nanos {
        ClockSource::Monotonic.now()
    }

    /// Nanoseconds since the start.
    pub(crate) fn now(&self) -> Nanos {
        self.offset.saturating_add(self.source.now().saturating_sub(self.source_start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keepers_of_one_uptime_count_one_time_whatever_the_wall_shows() {
        let epoch = |before, boot: &str, since_boot, wall| {
            Epoch::resume_with(before, boot.to_owned(), since_boot, wall)
        };
        let first = epoch(None, "a", 100, 5_000);
        assert_eq!(first.at_boot_time(100), 5_000);
        for wall in [0, 4_000, 5_100, 9_999_999] {
            let second = epoch(Some(&first), "a", 200, wall);
            assert_eq!(second.at_boot_time(200), 5_100, "the wall shows {wall}");
        }
        let rebooted = epoch(Some(&first), "b", 7, 6_000);
        assert_eq!(rebooted.at_boot_time(7), 6_000);
        let unnamed = epoch(Some(&epoch(None, "", 100, 5_000)), "", 1, 6_000);
        assert_eq!(unnamed.at_boot_time(1), 6_000, "without a name it may be another uptime");
    }

    #[test]
    fn clocks_of_one_origin_show_the_same_whenever_they_were_made() {
        let origin = Clock::origin();
        let first = Clock::since(origin);
        let second = Clock::since(origin);
        let times = [first.now(), second.now(), first.now()];
        assert!(times.is_sorted(), "{times:?}");
    }
}
