//! Moments of the wall clock, for people and for other programs.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::nanos::{Nanos, nanos};

const NANOS_PER_SECOND: Nanos = 1_000_000_000;

/// A moment of the wall clock, in whole seconds since 1970 began (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct WallTime(u64);

impl WallTime {
    pub(crate) fn now() -> Self {
        Self::from_nanos(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, nanos))
    }

    /// The moment this many nanoseconds after 1970 began.
    pub(crate) fn from_nanos(nanos: Nanos) -> Self {
        Self(nanos / NANOS_PER_SECOND)
    }

    /// The moment in UTC, as RFC 3339 has it. None after the year 9999.
    pub(crate) fn to_rfc3339(self) -> Option<String> {
        Some(self.timestamp()?.to_string())
    }

    /// Date and time in the time zone of this process (`TZ`). None after the year 9999.
    pub(crate) fn to_local(self) -> Option<String> {
        let local = self.timestamp()?.to_zoned_datetime(TimeZone::system());
        Some(local.strftime("%Y-%m-%d %H:%M:%S").to_string())
    }

    fn timestamp(self) -> Option<Timestamp> {
        Timestamp::from_second(i64::try_from(self.0).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_in_utc_has_no_fraction() {
        let at = |nanos| WallTime::from_nanos(nanos).to_rfc3339();
        assert_eq!(at(0).as_deref(), Some("1970-01-01T00:00:00Z"));
        assert_eq!(at(1_767_323_045_999_999_999).as_deref(), Some("2026-01-02T03:04:05Z"));
    }

    #[test]
    fn a_moment_beyond_the_calendar_has_no_text() {
        for seconds in [253_402_300_800, u64::MAX] {
            assert_eq!(WallTime(seconds).to_rfc3339(), None);
            assert_eq!(WallTime(seconds).to_local(), None);
        }
    }
}
