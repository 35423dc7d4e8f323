//! What the end of a command means for its item, and when it is reported to the queue and to people.

use super::Executor;
use super::renewer::Renewer;
use crate::catalogue::{Lang, message};
use crate::clock::{WallTime, nanos};
use crate::exec::job::{CommandOutcome, ItemTask};
use crate::exec::order::{EndedTry, ItemOrder, NextStep};
use crate::exec::tally::ItemOutcome;
use crate::exec::{ExecObserver, StopReason};
use crate::failure::Failure;

impl<W: ExecObserver> Executor<'_, W> {
    /// Decides what the end of a command means for its item, and reports it when it is the item's turn.
    pub(super) fn finish_item(&mut self, mut outcome: CommandOutcome) -> Result<(), StopReason> {
        if self.config.delays.is_zero() {
            self.slots.free(outcome.slot);
        } else {
            let delay = nanos(self.config.delays.sample());
            self.slots.free_at(outcome.slot, outcome.ended_at.saturating_add(delay));
        }
        let mut next_step = self.next_step(&mut outcome);
        if self.order.is_some() && matches!(next_step, NextStep::Retry) {
            // The next try does not wait for the output of this one.
            self.schedule_retry(outcome.task.clone(), outcome.ended_at)?;
            next_step = NextStep::Retried;
        }
        self.report_in_order(EndedTry::Ended(Box::new(outcome), next_step))
    }

    fn next_step(&self, outcome: &mut CommandOutcome) -> NextStep {
        let tries = outcome.task.tries();
        if !outcome.has_failed() {
            NextStep::Done
        } else if tries > self.config.retries {
            NextStep::Failed(Box::new(outcome.failure(tries)))
        } else if outcome.task.is_lease_expired || self.halt.mode().is_some() {
            NextStep::Requeue
        } else {
            NextStep::Retry
        }
    }

    /// No end of a command comes for this item any more: what has waited for it is reported.
    pub(super) fn give_up_position(&mut self, task: &ItemTask) -> Result<(), StopReason> {
        if let Some(order) = &mut self.order {
            order.give_up(task.position);
        }
        self.report_next()
    }

    /// Reports at once, or after everything before it.
    pub(super) fn report_in_order(&mut self, ended: EndedTry) -> Result<(), StopReason> {
        match &mut self.order {
            None => self.report(ended),
            Some(order) => {
                order.hold(ended);
                self.report_next()
            }
        }
    }

    /// Reports everything whose turn it is.
    pub(super) fn report_next(&mut self) -> Result<(), StopReason> {
        while let Some(ended) = self.order.as_mut().and_then(ItemOrder::next) {
            self.report(ended)?;
        }
        Ok(())
    }

    /// At the end: reports all commands that have ended. The items of the others go back.
    pub(super) fn report_rest(&mut self) -> Result<(), StopReason> {
        if let Some(order) = &mut self.order {
            order.close();
        }
        self.report_next()
    }

    fn report(&mut self, ended: EndedTry) -> Result<(), StopReason> {
        match ended {
            EndedTry::Ended(outcome, next_step) => self.report_ended(*outcome, next_step)?,
            // Another consumer reports an item whose lease has expired.
            EndedTry::NoArgument(task) if task.is_lease_expired => {}
            EndedTry::NoArgument(task) => self.report_no_argument(&task)?,
        }
        self.observer.totals_changed(self.tally.totals());
        Ok(())
    }

    fn report_no_argument(&mut self, task: &ItemTask) -> Result<(), StopReason> {
        let reason = message!("reason-no-argument");
        self.observer.notice(&message!("exec-item-failed", id = task.id(), reason = reason));
        let reason = message!(Lang::En, "reason-no-argument");
        self.fail_item(task, &Failure::of_message(&reason, WallTime::now()))
    }

    /// Prints the output of an ended command, and then reports its item as done or failed, or schedules a retry.
    fn report_ended(
        &mut self,
        mut outcome: CommandOutcome,
        next_step: NextStep,
    ) -> Result<(), StopReason> {
        // Printing may wait for a reader, and the reports of earlier items must not wait too.
        self.client.flush()?;
        // The output comes first: an item is done only after its output is printed.
        let held = self.held_items(Some(&outcome.task));
        let mut renewer = Renewer::new(self.client, &mut self.renewals, self.clock, held);
        let printed = self.observer.command_ended(&mut outcome, &mut || renewer.renew_if_due());
        printed.map_err(StopReason::Observer)?;
        if let Some(signal) = outcome.terminal_signal().filter(|_| self.groups.has_terminal()) {
            return Err(StopReason::Interrupted(signal.as_raw()));
        }
        if outcome.task.is_lease_expired {
            // Another consumer reports this item.
            return Ok(());
        }
        match next_step {
            NextStep::Done => {
                self.tally.record(outcome.task.batch.batch_ref(), ItemOutcome::Done);
                self.client.done_batch(&outcome.task.batch)?;
            }
            NextStep::Retry => self.schedule_retry(outcome.task, outcome.ended_at)?,
            NextStep::Retried => {}
            NextStep::Requeue => self.client.requeue_ref(outcome.task.batch.batch_ref())?,
            NextStep::Failed(failure) => {
                let tries = outcome.task.tries();
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
