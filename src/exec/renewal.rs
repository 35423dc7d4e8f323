//! When to renew the leases of the items that this consumer holds.

use crate::clock::Nanos;

/// Renewals per lease: one may be late, and one may be lost with a keeper.
const RENEWALS_PER_LEASE: Nanos = 3;

/// The times of the renewals.
#[derive(Clone, Copy, Debug)]
pub(super) struct RenewalTimer {
    /// The time between two renewals; none without a lease.
    interval: Option<Nanos>,
    next_at: Nanos,
    /// How often the client had reconnected at the last renewal.
    reconnections: u64,
}

impl RenewalTimer {
    pub(super) fn new(lease: Option<Nanos>) -> Self {
        let interval = lease.map(|lease| (lease / RENEWALS_PER_LEASE).max(1));
        Self { interval, next_at: 0, reconnections: 0 }
    }

    /// When the next renewal is due. None without a lease.
    pub(super) fn deadline(&self) -> Option<Nanos> {
        self.interval.map(|_| self.next_at)
    }

    pub(super) fn is_due(&self, now: Nanos) -> bool {
        self.deadline().is_some_and(|at| at <= now)
    }

    /// All leases have begun at `now`, or later.
    pub(super) fn restart(&mut self, now: Nanos) {
        self.next_at = now.saturating_add(self.interval.unwrap_or(0));
    }

    /// The next renewal is due at once if the client has reconnected: the last renewals may be lost with the keeper.
    pub(super) fn hasten_after_reconnection(&mut self, reconnections: u64) {
        if std::mem::replace(&mut self.reconnections, reconnections) != reconnections {
            self.next_at = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewal_is_due_at_each_third_of_the_lease() {
        let mut timer = RenewalTimer::new(Some(300));
        timer.restart(50);
        assert_eq!(timer.deadline(), Some(150));
        assert!(!timer.is_due(149));
        assert!(timer.is_due(150));
        timer.restart(160);
        assert_eq!(timer.deadline(), Some(260));
    }

    #[test]
    fn a_renewal_is_due_at_once_after_each_reconnection() {
        let mut timer = RenewalTimer::new(Some(300));
        timer.restart(50);
        timer.hasten_after_reconnection(0);
        assert!(!timer.is_due(51));
        timer.hasten_after_reconnection(1);
        assert!(timer.is_due(51));
        timer.restart(51);
        timer.hasten_after_reconnection(1);
        assert!(!timer.is_due(52));
    }

    #[test]
    fn the_shortest_lease_is_not_renewed_without_a_pause() {
        let mut timer = RenewalTimer::new(Some(1));
        timer.restart(7);
        assert_eq!(timer.deadline(), Some(8));
    }

    #[test]
    fn without_a_lease_no_renewal_is_due() {
        let mut timer = RenewalTimer::new(None);
        timer.restart(7);
        assert_eq!(timer.deadline(), None);
        assert!(!timer.is_due(Nanos::MAX));
    }
}
