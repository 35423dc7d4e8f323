//! The end before the end of the queue, with `--halt`.

use super::Executor;
use crate::exec::order::ItemOrder;
use crate::exec::{ExecObserver, ExecTotals, StopReason};
use crate::queue::Counts;

impl<W: ExecObserver> Executor<'_, W> {
    /// Stops the consumer if `--halt` says so.
    pub(super) fn halt_if_due(&mut self) -> Result<(), StopReason> {
        let totals = self.outcomes();
        if let Some(notice) = self.halt.begin_at_count(totals) {
            self.begin_halt(&notice)?;
        } else if self.halt.needs_counts(totals) {
            self.client.request_counts()?;
        }
        Ok(())
    }

    /// The same for a rule with a share, whose limit depends on the counts of the queue.
    pub(super) fn halt_if_share_is_reached(&mut self, counts: Counts) -> Result<(), StopReason> {
        let unreported = self.unreported();
        // For the queue, an item is in flight until its outcome has been reported.
        let in_flight = counts.in_flight.saturating_sub(unreported.done + unreported.failed);
        let counts = Counts { in_flight, ..counts };
        match self.halt.begin_at_share(self.outcomes(), counts) {
            Some(notice) => self.begin_halt(&notice),
            None => Ok(()),
        }
    }

    /// The outcomes of the items, those included that wait for their turn to be reported.
    fn outcomes(&self) -> ExecTotals {
        let (reported, unreported) = (self.tally.totals(), self.unreported());
        ExecTotals {
            done: reported.done + unreported.done,
            failed: reported.failed + unreported.failed,
        }
    }

    fn unreported(&self) -> ExecTotals {
        self.order.as_ref().map(ItemOrder::unreported).unwrap_or_default()
    }

    /// Requeues the items that wait for a retry, and cancels the pending get.
    fn begin_halt(&mut self, notice: &str) -> Result<(), StopReason> {
        self.observer.notice(notice);
        for (task, batch_ref) in self.retry_queue.take_all() {
            self.client.requeue_ref(batch_ref)?;
            if let Some(order) = &mut self.order {
                order.give_up(task.position);
            }
        }
        self.report_next()?;
        if self.gets.is_cancellable() {
            self.client.cancel()?;
            self.gets.cancel_sent();
        }
        Ok(self.client.flush()?)
    }
}
