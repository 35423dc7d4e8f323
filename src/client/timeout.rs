//! How long an answer is waited for, and how long a keeper that says nothing.

use crate::clock::{Clock, Nanos};

/// How long a keeper may say nothing when the caller's own limit is over. A keeper that lives needs a
/// fraction of that for its last word.
pub(super) const GRACE: Nanos = 1_000_000_000;

/// How long an answer is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Until it comes.
    Endless,
    /// So many nanoseconds; 0 is not to wait at all.
    For(Nanos),
}

impl Patience {
    /// What is left of it, if it began when this clock did.
    pub(crate) fn since(self, clock: Clock) -> Self {
        match self {
            Self::Endless => Self::Endless,
            Self::For(most) => Self::For(most.saturating_sub(clock.now())),
        }
    }

    /// The same, but at least so long.
    fn at_least(self, least: Nanos) -> Self {
        match self {
            Self::Endless => Self::Endless,
            Self::For(most) => Self::For(most.max(least)),
        }
    }
}

/// When a patience ends that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    clock: Clock,
    patience: Patience,
}

impl Deadline {
    pub(super) fn new(patience: Patience) -> Self {
        Self { clock: Clock::start(), patience }
    }

    /// What is left of the patience.
    pub(super) fn rest(&self) -> Patience {
        self.patience.since(self.clock)
    }

    /// How many nanoseconds more may be waited; none for any number.
    pub(super) fn left(&self) -> Option<Nanos> {
        match self.rest() {
            Patience::For(left) => Some(left),
            Patience::Endless => None,
        }
    }
}

/// How long a keeper may say nothing. Every word of it, and every byte that it takes, begins that anew.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    /// Each wait by itself.
    Each(Patience),
    /// Until then, all waits together.
    Until(Deadline),
}

impl Limit {
    /// Of a wait that begins now: what is left of the patience, and the grace at least.
    pub(super) fn of_a_wait(&self) -> Deadline {
        let patience = match self {
            Self::Each(patience) => *patience,
            Self::Until(deadline) => deadline.rest(),
        };
        Deadline::new(patience.at_least(GRACE))
    }

    /// Without any patience, if there is an end to it.
    pub(super) fn no_longer(self) -> Self {
        match self {
            Self::Each(Patience::Endless) => self,
            _ => Self::Each(Patience::For(0)),
        }
    }
}
