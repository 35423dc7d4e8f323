//! What the end of a command means for its item, and when the queue and people are told of it.

use super::Executor;
use crate::catalogue::{Lang, message};
use crate::clock::nanos;
use crate::exec::job::{CommandOutcome, ItemTask};
use crate::exec::order::{ItemOrder, Told, Verdict};
use crate::exec::tally::ItemOutcome;
use crate::exec::{ExecObserver, StopReason};

impl<W: ExecObserver> Executor<'_, W> {
    /// Decides what the end of a command means for its item, and tells of it when it is the item's turn.
    pub(super) fn finish_item(&mut self, outcome: CommandOutcome) -> Result<(), StopReason> {
        if self.config.delays.is_zero() {
            self.slots.free(outcome.slot);
        } else {
            let delay = nanos(self.config.delays.sample());
            self.slots.free_at(outcome.slot, outcome.ended_at.saturating_add(delay));
        }
        let mut verdict = self.judge(&outcome);
        if self.order.is_some() && matches!(verdict, Verdict::Retry) {
            // The next try does not wait for the output of this one.
            self.schedule_retry(outcome.task.clone(), outcome.ended_at)?;
            verdict = Verdict::Retried;
        }
        self.tell_in_order(Told::Ended(Box::new(outcome), verdict))
    }

    fn judge(&self, outcome: &CommandOutcome) -> Verdict {
        let tries = outcome.task.command_failures + 1;
        match outcome.failure_reason() {
            None => Verdict::Done,
            Some(_) if tries <= self.config.retries => Verdict::Retry,
            Some(reason) if tries == 1 => Verdict::Failed(reason),
            Some(reason) => Verdict::Failed(message!(
                Lang::En,
                "reason-last-try",
                reason = reason,
                tries = tries
            )),
        }
    }

    /// Tells at once, or after everything before it.
    pub(super) fn tell_in_order(&mut self, told: Told) -> Result<(), StopReason> {
        match &mut self.order {
            None => self.tell(told),
            Some(order) => {
                order.hold(told);
                self.tell_next()
            }
        }
    }

    /// Tells everything whose turn it is.
    pub(super) fn tell_next(&mut self) -> Result<(), StopReason> {
        while let Some(told) = self.order.as_mut().and_then(ItemOrder::next) {
            self.tell(told)?;
        }
        Ok(())
    }

    /// At the end: tells of all commands that have ended. The items of the others go back.
    pub(super) fn tell_rest(&mut self) -> Result<(), StopReason> {
        if let Some(order) = &mut self.order {
            order.close();
        }
        self.tell_next()
    }

    /// Prints the output of an ended command, and then reports its item as done or failed, or schedules a retry.
    fn tell(&mut self, told: Told) -> Result<(), StopReason> {
        let (mut outcome, verdict) = match told {
            Told::Ended(outcome, verdict) => (outcome, verdict),
            Told::NoArgument(task) => {
                let reason = message!("reason-no-argument");
                self.observer.notice(&message!(
                    "exec-item-failed",
                    id = task.id(),
                    reason = reason
                ));
                return self.fail_item(&task, &message!(Lang::En, "reason-no-argument"));
            }
        };
        // The output comes first: an item is done only after its output is printed.
        self.observer.command_ended(&mut outcome).map_err(StopReason::Observer)?;
        if let Some(signal) = outcome.terminal_signal().filter(|_| self.groups.has_terminal()) {
            return Err(StopReason::Interrupted(signal.as_raw()));
        }
        match verdict {
            Verdict::Done => {
                self.tally.record(outcome.task.batch.batch_ref(), ItemOutcome::Done);
                self.client.done_batch(&outcome.task.batch)?;
                self.client.flush()?;
            }
            Verdict::Retry => self.schedule_retry(outcome.task, outcome.ended_at)?,
            Verdict::Retried => {}
            Verdict::Failed(reason) => {
                let tries = outcome.task.command_failures + 1;
                self.observer.item_failed(&mut outcome, tries);
                self.fail_item(&outcome.task, &reason)?;
            }
        }
        self.observer.totals_changed(self.tally.totals());
        Ok(())
    }

    fn fail_item(&mut self, task: &ItemTask, reason: &str) -> Result<(), StopReason> {
        self.tally.record(task.batch.batch_ref(), ItemOutcome::Failed);
        // The keeper has counted the earlier attempts.
        Ok(self.client.fail(task.item_ref(), reason)?)
    }
}
