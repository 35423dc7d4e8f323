//! How long an answer is waited for, and how long a keeper that says nothing.

use crate::clock::{Clock, Nanos};

/// How long a keeper may say nothing when the caller's own limit is over. A keeper that lives needs a
/// fraction of that for its last word.
pub(super) const GRACE_PERIOD: Nanos = 1_000_000_000;

/// How long an answer is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timeout {
    /// Until it comes.
    Infinite,
    /// So many nanoseconds; 0 is not to wait at all.
    After(Nanos),
}

impl Timeout {
    /// What is left of it, if it began when this clock did.
    pub(crate) fn remaining_since(self, clock: Clock) -> Self {
        match self {
            Self::Infinite => Self::Infinite,
            Self::After(most) => Self::After(most.saturating_sub(clock.now())),
        }
    }

    /// The same, but at least so long.
    fn at_least(self, least: Nanos) -> Self {
        match self {
            Self::Infinite => Self::Infinite,
            Self::After(most) => Self::After(most.max(least)),
        }
    }
}

/// When a patience ends that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    clock: Clock,
    timeout: Timeout,
}

impl Deadline {
    pub(super) fn new(timeout: Timeout) -> Self {
        Self { clock: Clock::start_now(), timeout }
    }

    /// What is left of the patience.
    pub(super) fn remaining_timeout(&self) -> Timeout {
        self.timeout.remaining_since(self.clock)
    }

    /// How many nanoseconds more may be waited; none for any number.
    pub(super) fn remaining(&self) -> Option<Nanos> {
        match self.remaining_timeout() {
            Timeout::After(left) => Some(left),
            Timeout::Infinite => None,
        }
    }
}

/// How long a keeper may say nothing. Every word of it, and every byte that it takes, begins that anew.
#[derive(Clone, Copy, Debug)]
pub(super) enum SilenceLimit {
    /// Each wait by itself.
    PerWait(Timeout),
    /// Until then, all waits together.
    Until(Deadline),
}

impl SilenceLimit {
    /// Of a wait that begins now: what is left of the patience, and the grace at least.
    pub(super) fn wait_deadline(&self) -> Deadline {
        let timeout = match self {
            Self::PerWait(timeout) => *timeout,
            Self::Until(deadline) => deadline.remaining_timeout(),
        };
        Deadline::new(timeout.at_least(GRACE_PERIOD))
    }

    /// Without any patience, if there is an end to it.
    pub(super) fn without_waiting(self) -> Self {
        match self {
            Self::PerWait(Timeout::Infinite) => self,
            _ => Self::PerWait(Timeout::After(0)),
        }
    }
}
