//! How long to wait for an answer, and for a keeper that stays silent.

use crate::clock::{Clock, Nanos};

/// How long a keeper may stay silent beyond the caller's own limit. A living keeper needs a fraction of
/// that for its last reply.
pub(super) const GRACE_PERIOD: Nanos = 1_000_000_000;

/// How long to wait for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timeout {
    /// Until the answer comes.
    Infinite,
    /// This number of nanoseconds; 0 does not wait at all.
    After(Nanos),
}

impl Timeout {
    /// The rest of a timeout that began when `clock` started.
    pub(crate) fn remaining_since(self, clock: Clock) -> Self {
        match self {
            Self::Infinite => Self::Infinite,
            Self::After(limit) => Self::After(limit.saturating_sub(clock.now())),
        }
    }

    fn at_least(self, least: Nanos) -> Self {
        match self {
            Self::Infinite => Self::Infinite,
            Self::After(limit) => Self::After(limit.max(least)),
        }
    }
}

/// A timeout that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    clock: Clock,
    timeout: Timeout,
}

impl Deadline {
    /// The timeout begins now.
    pub(super) fn new(timeout: Timeout) -> Self {
        Self { clock: Clock::start_now(), timeout }
    }

    pub(super) fn remaining_timeout(&self) -> Timeout {
        self.timeout.remaining_since(self.clock)
    }

    /// The nanoseconds since the timeout began.
    pub(super) fn elapsed(&self) -> Nanos {
        self.clock.now()
    }

    /// The nanoseconds that are left; none if there is no limit.
    pub(super) fn remaining(&self) -> Option<Nanos> {
        match self.remaining_timeout() {
            Timeout::After(left) => Some(left),
            Timeout::Infinite => None,
        }
    }
}

/// How long a keeper may stay silent.
#[derive(Clone, Copy, Debug)]
pub(super) enum SilenceLimit {
    /// Each wait has its own limit. Every reply, and every byte that the keeper reads, starts the limit anew.
    PerWait(Timeout),
    /// All waits together have this limit.
    Until(Deadline),
}

impl SilenceLimit {
    /// The deadline of a wait that begins now, at least [`GRACE_PERIOD`] away.
    pub(super) fn wait_deadline(&self) -> Deadline {
        let timeout = match self {
            Self::PerWait(timeout) => *timeout,
            Self::Until(deadline) => deadline.remaining_timeout(),
        };
        Deadline::new(timeout.at_least(GRACE_PERIOD))
    }

    /// The grace period alone, unless there is no limit.
    pub(super) fn without_waiting(self) -> Self {
        match self {
            Self::PerWait(Timeout::Infinite) => self,
            _ => Self::PerWait(Timeout::After(0)),
        }
    }
}
