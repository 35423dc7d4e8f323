//! What the end of a command means for its item, and when the queue and people are told of it.

use super::Executor;
use super::renewer::Renewer;
use crate::catalogue::{Lang, message};
use crate::clock::{WallTime, nanos};
use crate::exec::job::{CommandOutcome, ItemTask};
use crate::exec::order::{ItemOrder, Told, Verdict};
use crate::exec::tally::ItemOutcome;
use crate::exec::{ExecObserver, StopReason};
use crate::failure::Failure;

impl<W: ExecObserver> Executor<'_, W> {
    /// Decides what the end of a command means for its item, and tells of it when it is the item's turn.
    pub(super) fn finish_item(&mut self, mut outcome: CommandOutcome) -> Result<(), StopReason> {
        if self.config.delays.is_zero() {
            self.slots.free(outcome.slot);
        } else {
            let delay = nanos(self.config.delays.sample());
            self.slots.free_at(outcome.slot, outcome.ended_at.saturating_add(delay));
        }
        let mut verdict = self.judge(&mut outcome);
        if self.order.is_some() && matches!(verdict, Verdict::Retry) {
            // The next try does not wait for the output of this one.
            self.schedule_retry(outcome.task.clone(), outcome.ended_at)?;
            verdict = Verdict::Retried;
        }
        self.tell_in_order(Told::Ended(Box::new(outcome), verdict))
    }

    fn judge(&self, outcome: &mut CommandOutcome) -> Verdict {
        let tries = outcome.task.command_failures + 1;
        if !outcome.has_failed() {
            Verdict::Done
        } else if tries > self.config.retries {
            Verdict::Failed(Box::new(outcome.failure(tries)))
        } else if outcome.task.is_lost || self.halt.mode().is_some() {
            Verdict::Requeue
        } else {
            Verdict::Retry
        }
    }

    /// No end of a command comes for this item any more: what has waited for it is told.
    pub(super) fn give_up_place(&mut self, task: &ItemTask) -> Result<(), StopReason> {
        if let Some(order) = &mut self.order {
            order.give_up(task.place);
        }
        self.tell_next()
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

    fn tell(&mut self, told: Told) -> Result<(), StopReason> {
        match told {
            Told::Ended(outcome, verdict) => self.tell_end(*outcome, verdict)?,
            // Another consumer reports a lost item.
            Told::NoArgument(task) if task.is_lost => {}
            Told::NoArgument(task) => self.tell_no_argument(&task)?,
        }
        self.observer.totals_changed(self.tally.totals());
        Ok(())
    }

    fn tell_no_argument(&mut self, task: &ItemTask) -> Result<(), StopReason> {
        let reason = message!("reason-no-argument");
        self.observer.notice(&message!("exec-item-failed", id = task.id(), reason = reason));
        let reason = message!(Lang::En, "reason-no-argument");
        self.fail_item(task, &Failure::of_message(&reason, WallTime::now()))
    }

    /// Prints the output of an ended command, and then reports its item as done or failed, or schedules a retry.
    fn tell_end(
        &mut self,
        mut outcome: CommandOutcome,
        verdict: Verdict,
    ) -> Result<(), StopReason> {
        // Printing may wait for a reader, and the reports of earlier items must not wait too.
        self.client.flush()?;
        // The output comes first: an item is done only after its output is printed.
        let held = self.held_items(Some(&outcome.task)).collect();
        let mut renewer = Renewer::new(self.client, &mut self.renewals, self.clock, held);
        let printed = self.observer.command_ended(&mut outcome, &mut || renewer.renew_if_due());
        printed.map_err(StopReason::Observer)?;
        if let Some(signal) = outcome.terminal_signal().filter(|_| self.groups.has_terminal()) {
            return Err(StopReason::Interrupted(signal.as_raw()));
        }
        if outcome.task.is_lost {
            // Another consumer reports this item.
            return Ok(());
        }
        match verdict {
            Verdict::Done => {
                self.tally.record(outcome.task.batch.batch_ref(), ItemOutcome::Done);
                self.client.done_batch(&outcome.task.batch)?;
            }
            Verdict::Retry => self.schedule_retry(outcome.task, outcome.ended_at)?,
            Verdict::Retried => {}
            Verdict::Requeue => self.client.requeue_ref(outcome.task.batch.batch_ref())?,
            Verdict::Failed(failure) => {
                let tries = outcome.task.command_failures + 1;
                self.observer.item_failed(&mut outcome, tries);
                self.fail_item(&outcome.task, &failure)?;
            }
        }
        Ok(())
    }

    fn fail_item(&mut self, task: &ItemTask, failure: &Failure) -> Result<(), StopReason> {
        self.tally.record(task.batch.batch_ref(), ItemOutcome::Failed);
        // The keeper has counted the earlier attempts.
        Ok(self.client.fail_with(task.item_ref(), failure)?)
    }
}
