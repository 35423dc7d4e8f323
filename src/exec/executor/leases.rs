//! The leases of the items: renewed while this consumer holds the items, or expired.

use super::Executor;
use crate::client::Error;
use crate::clock::Nanos;
use crate::exec::job::{ItemTask, Job};
use crate::exec::order::ItemOrder;
use crate::exec::{ExecObserver, StopReason};
use crate::queue::BatchRef;

impl<W: ExecObserver> Executor<'_, W> {
    /// Renews the leases of all items that this consumer holds. A consumer that is stopped, or hangs, renews nothing.
    pub(super) fn renew_leases(&mut self) -> Result<(), Error> {
        if self.renewals.deadline().is_none() {
            return Ok(());
        }
        // A dead keeper may not have read the last renewals.
        self.renewals.hasten_after_reconnection(self.client.reconnections());
        let now = self.clock.now();
        let held = self.held_items(None);
        if held.is_empty() {
            self.renewals.restart(now);
        } else if self.renewals.is_due(now) {
            self.renewals.restart(now);
            self.client.renew_all(held)?;
        }
        Ok(())
    }

    /// The items whose leases are renewed: running, waiting for another try, or waiting to be printed; and `current`. None
    /// without a lease.
    pub(super) fn held_items(&self, current: Option<&ItemTask>) -> Vec<BatchRef> {
        if self.renewals.deadline().is_none() {
            return Vec::new();
        }
        let running = self.running.iter().map(|job| &job.task);
        let ended = self.order.iter().flat_map(ItemOrder::held);
        let held = running.chain(ended).chain(current).filter(|task| !task.is_lease_expired);
        held.chain(self.retry_queue.recorded()).map(|task| task.batch.batch_ref()).collect()
    }

    /// When the next renewal is due. None while this consumer holds nothing.
    pub(super) fn renewal_deadline(&self) -> Option<Nanos> {
        self.renewals.deadline().filter(|_| !self.held_items(None).is_empty())
    }

    /// Takes back the outcomes that came after the lease, and gives up the items whose renewal came after it. The keeper may
    /// refuse a renewal and the outcome of the same item.
    pub(super) fn retract_expired_outcomes(&mut self) -> Result<(), StopReason> {
        for batch_ref in self.client.take_lease_expired() {
            let is_this = |job: &&mut Job| job.task.batch.batch_ref() == batch_ref;
            let is_news = if let Some(job) = self.running.iter_mut().find(is_this) {
                !std::mem::replace(&mut job.task.is_lease_expired, true)
            } else if self.order.as_mut().is_some_and(|order| order.expire_lease(batch_ref)) {
                true
            } else if let Some(task) = self.retry_queue.remove(batch_ref) {
                self.give_up_position(&task)?;
                true
            } else {
                self.tally.retract(batch_ref)
            };
            if is_news {
                self.observer.came_too_late(batch_ref.first_id, self.client.has_lease());
            }
        }
        Ok(())
    }
}
