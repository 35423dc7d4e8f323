//! What a client says of a long wait: after a second it asks its queue for the status, once, and tells a person
//! what it waits for. A shorter wait costs nothing.

use super::timeout::Deadline;
use super::wait_notice::WaitNotice;
use super::{Client, Error};
use crate::clock::Nanos;
use crate::queue::WaitReason;
use crate::wire::{Reply, Request};

/// A shorter wait is not worth a line.
const NOTICE_DELAY: Nanos = 1_000_000_000;

impl Client {
    /// The client has waited for this time. Asks for the status if the notice is due; otherwise returns the time
    /// until it is due, if there will be one.
    pub(crate) fn watch_wait(
        &mut self,
        reason: WaitReason,
        waited: Nanos,
    ) -> Result<Option<Nanos>, Error> {
        let WaitNotice::Armed(text) = &self.wait_notice else {
            return Ok(None);
        };
        if waited < NOTICE_DELAY {
            return Ok(Some(NOTICE_DELAY - waited));
        }
        self.wait_notice = WaitNotice::Asked(text.clone(), Some(reason));
        self.send_query(Request::Status)?;
        Ok(None)
    }

    /// The time until the deadline or the notice of this wait.
    pub(super) fn remaining_wait(
        &mut self,
        reason: WaitReason,
        deadline: &Deadline,
    ) -> Result<Option<Nanos>, Error> {
        let notice = self.watch_wait(reason, deadline.elapsed())?;
        Ok(deadline.remaining().into_iter().chain(notice).min())
    }

    /// The wait is over: an answer to the question for the status comes too late.
    pub(crate) fn end_wait(&mut self) {
        if let WaitNotice::Asked(_, reason) = &mut self.wait_notice {
            *reason = None;
        }
    }

    /// Takes the status that the client has asked for because of a wait, and tells what it waits for. Returns every
    /// other reply.
    pub(super) fn take_wait_status(&mut self, reply: Reply) -> Option<Reply> {
        let (Reply::Status(status), WaitNotice::Asked(text, reason)) = (&reply, &self.wait_notice)
        else {
            return Some(reply);
        };
        let next = match reason {
            None => WaitNotice::Armed(text.clone()),
            Some(reason) => {
                if let Some(text) = (text.0)(*reason, status) {
                    self.notify(&text);
                }
                WaitNotice::Off
            }
        };
        self.wait_notice = next;
        None
    }
}
