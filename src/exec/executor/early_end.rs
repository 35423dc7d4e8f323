//! The end before the end of the queue, with `--halt`.

use super::Executor;
use crate::client::Error;
use crate::exec::ExecObserver;

impl<W: ExecObserver> Executor<'_, W> {
    /// Stops the consumer if `--halt` says so.
    pub(super) fn halt_if_due(&mut self) -> Result<(), Error> {
        let totals = self.tally.totals();
        if let Some(notice) = self.halt.begin_at_count(totals) {
            self.begin_halt(&notice)?;
        } else if self.halt.needs_counts(totals) {
            self.client.request_counts()?;
        }
        Ok(())
    }

    /// Gives everything back that no command works at.
    pub(super) fn begin_halt(&mut self, notice: &str) -> Result<(), Error> {
        self.observer.notice(notice);
        for waiting in self.retry_queue.take_all() {
            self.client.requeue_ref(waiting)?;
        }
        if self.gets.is_cancellable() {
            self.client.cancel()?;
            self.gets.cancel_sent();
        }
        self.client.flush()
    }
}
