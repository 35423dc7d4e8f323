//! The unit of time.

use std::time::Duration;

/// Nanoseconds. A point in time counts from the origin of its clock.
pub(crate) type Nanos = u64;

/// Converts a duration. A duration beyond the range (584 years) becomes the longest one.
pub(crate) fn nanos(duration: Duration) -> Nanos {
    Nanos::try_from(duration.as_nanos()).unwrap_or(Nanos::MAX)
}

/// Nanoseconds, or a sum of them, as seconds. A double is exact for the first 104 days, and has 16 digits
/// beyond.
pub(crate) fn to_seconds(nanos: impl Into<u128>) -> f64 {
    nanos.into() as f64 / 1e9
}
