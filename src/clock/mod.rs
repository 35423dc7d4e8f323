//! Time. Nobody else reads a clock.
//!
//! * [`Clock`]: nanoseconds of wall time since a start, never going back.
//! * [`Pacer`]: the time of a paced run, which decides who goes next.
//! * [`Delay`]: pauses, constant or random.
//! * [`Stamp`]: "did this process start before that moment?", across processes.

mod delay;
mod pace;
mod stamp;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

pub use delay::Delay;
pub(crate) use delay::{Pauses, Stream};
pub use pace::Speed;
pub(crate) use pace::{Next, Pacer};
pub(crate) use stamp::{Moment, Stamp};

/// Nanoseconds. As a point in time: since the start of the run or the command.
pub(crate) type Nanos = u64;

/// A duration in [`Nanos`]; the longest that fits (584 years) stands for anything longer.
pub(crate) fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

/// Wall time since a start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// By the machine's clock.
    start: Nanos,
    /// What it showed then.
    shown: Nanos,
}

impl Clock {
    /// A clock that shows 0 now.
    pub(crate) fn start() -> Self {
        Self::since(Self::origin())
    }

    /// A clock that shows the time since 1970 began, as the system knows it now; from then on it
    /// doesn't go back either.
    pub(crate) fn of_the_wall() -> Self {
        let shown = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanos);
        Self { start: Self::origin(), shown }
    }

    /// A clock that shows the nanoseconds since `origin`, as in every process whose clock has the same.
    pub(crate) fn since(origin: Nanos) -> Self {
        Self { start: origin, shown: 0 }
    }

    /// Now, for [`Clock::since`] in any process of this machine. On Linux that is what std's `Instant` is
    /// made of, but can be told to others.
    pub(crate) fn origin() -> Nanos {
        clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |now| nanos(now.into()))
    }

    /// Nanoseconds since the start.
    pub(crate) fn now(&self) -> Nanos {
        self.shown.saturating_add(Self::origin().saturating_sub(self.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_of_one_origin_show_the_same_whenever_they_were_made() {
        let origin = Clock::origin();
        let first = Clock::since(origin);
        let second = Clock::since(origin);
        let times = [first.now(), second.now(), first.now()];
        assert!(times.is_sorted(), "{times:?}");
    }
}
