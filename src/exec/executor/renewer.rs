//! Renews leases while the output of a command waits for its reader.

use crate::client::Client;
use crate::clock::{Clock, Nanos};
use crate::exec::renewal::RenewalTimer;
use crate::queue::BatchRef;

/// The leases of the items that this consumer holds.
pub(super) struct Renewer<'a> {
    client: &'a mut Client,
    timer: &'a mut RenewalTimer,
    clock: Clock,
    held: Vec<BatchRef>,
}

impl<'a> Renewer<'a> {
    pub(super) fn new(
        client: &'a mut Client,
        timer: &'a mut RenewalTimer,
        clock: Clock,
        held: Vec<BatchRef>,
    ) -> Self {
        Self { client, timer, clock, held }
    }

    /// Renews the leases if that is due. Returns the time until the next renewal; none without a lease.
    pub(super) fn renew_if_due(&mut self) -> Option<Nanos> {
        let now = self.clock.now();
        if self.timer.is_due(now) {
            self.timer.restart(now);
            // What prevents a renewal prevents the next request too, which returns the error.
            let _ = self.client.renew_all(self.held.iter().copied());
        }
        self.timer.deadline().map(|at| at.saturating_sub(now))
    }
}
