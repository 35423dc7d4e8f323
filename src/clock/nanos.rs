//! The unit of time.

use std::time::Duration;

/// Nanoseconds. A point in time counts from the origin of its clock.
pub(crate) type Nanos = u64;

/// Converts a duration. A duration beyond the range (584 years) becomes the longest one.
pub(crate) fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}
