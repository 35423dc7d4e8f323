//! The leases of the items: renewed while a command lives, or lost.

use super::Executor;
use crate::client::Error;
use crate::exec::ExecObserver;
use crate::exec::job::{ItemTask, Job};
use crate::exec::order::ItemOrder;
use crate::queue::BatchRef;

impl<W: ExecObserver> Executor<'_, W> {
    /// Renews the leases of the items whose command lives, and of those that wait for another try, or for
    /// their turn to be told. A consumer that is
    /// stopped, or hangs, renews nothing.
    pub(super) fn renew_leases(&mut self) -> Result<(), Error> {
        let now = self.clock.now();
        let held: Vec<_> = self.held_items(None).collect();
        if held.is_empty() {
            self.renewals.restart(now);
        } else if self.renewals.is_due(now) {
            self.renewals.restart(now);
            self.client.renew_all(held)?;
        }
        Ok(())
    }

    /// The items whose leases are renewed: those that the executor holds, and `current`. None without a lease.
    pub(super) fn held_items<'a>(
        &'a self,
        current: Option<&'a ItemTask>,
    ) -> impl Iterator<Item = BatchRef> + 'a {
        let running = self.running.iter().map(|job| &job.task);
        let untold = self.order.iter().flat_map(ItemOrder::held);
        let held = running.chain(untold).chain(current).filter(|task| !task.is_lost);
        let held = held.chain(self.retry_queue.recorded());
        let has_lease = self.renewals.deadline().is_some();
        held.filter(move |_| has_lease).map(|task| task.batch.batch_ref())
    }

    /// Takes back the outcomes that came after the lease, and gives up the items whose renewal came after it. The keeper may
    /// refuse a renewal and the outcome of the same item.
    pub(super) fn retract_late_outcomes(&mut self) {
        for batch_ref in self.client.take_lease_expired() {
            let is_this = |job: &&mut Job| job.task.batch.batch_ref() == batch_ref;
            let running = self.running.iter_mut().find(is_this).map(|job| &mut job.task);
            let untold = self.order.as_mut().and_then(|order| order.held_mut(batch_ref));
            let is_news = if let Some(task) = running.or(untold) {
                !std::mem::replace(&mut task.is_lost, true)
            } else if let Some(task) = self.retry_queue.remove(batch_ref) {
                self.give_up_place(&task);
                true
            } else {
                self.tally.retract(batch_ref)
            };
            if is_news {
                self.observer.came_too_late(batch_ref.first_id, self.client.has_lease());
            }
        }
    }
}
