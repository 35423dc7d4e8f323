//! What a command says of a long wait. On a terminal a person should know what the command waits for. A script may
//! start its consumers before its producers on purpose, and it reads what a command prints: elsewhere only a wait
//! that may be a mistake has a notice.

use std::io::{self, IsTerminal};

use crate::catalogue::message;
use crate::client::{QueueBuilder, Timeout, WaitText};
use crate::queue::{Counts, WaitReason};
use crate::queue_name::QueueName;
use crate::wire::Status;

/// How a command waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// The user wants no notice.
    pub(super) is_quiet: bool,
    /// The limit of the wait.
    pub(super) timeout: Timeout,
    /// The command waits for the next round on purpose.
    pub(super) follows: bool,
}

impl Waiting {
    /// Adds the notice to the options of a client.
    pub(super) fn apply_to(self, options: QueueBuilder, queue: &QueueName) -> QueueBuilder {
        // A limited wait is no mistake: the command says at its end what it has waited for.
        let is_limited = self.timeout != Timeout::Infinite;
        if self.is_quiet || is_limited && !io::stderr().is_terminal() {
            return options;
        }
        let queue = queue.clone();
        options.wait_text(WaitText::new(move |reason, status| {
            // Only a command that waits for long asks for the terminal.
            if io::stderr().is_terminal() {
                let text = wait_text(&queue, reason, status)?;
                Some(message!("notice-stop", text = text))
            } else if self.may_be_mistake(reason, status) {
                wait_text(&queue, reason, status)
            } else {
                None
            }
        }))
    }

    /// Whether nothing may ever come: nobody has used the queue before, or the queue has ended.
    fn may_be_mistake(self, reason: WaitReason, status: &Status) -> bool {
        let is_unused = status.counts == Counts::default() && status.producers.is_empty();
        let is_over = if has_ended(status) { !self.follows } else { is_unused };
        reason == WaitReason::Item && is_over
    }
}

fn has_ended(status: &Status) -> bool {
    status.state == "ended"
}

/// The text for a wait for this reason. None if the reason has gone in the meantime.
fn wait_text(queue: &QueueName, reason: WaitReason, status: &Status) -> Option<String> {
    let Counts { ready, in_flight, done, failed } = status.counts;
    let consumers = status.consumers.len();
    match reason {
        WaitReason::Item if ready > 0 => None,
        WaitReason::Item if has_ended(status) => Some(message!("notice-next-round", queue = queue)),
        WaitReason::Item if in_flight > 0 => {
            Some(message!("notice-items-in-progress", queue = queue, items = in_flight))
        }
        WaitReason::Item if done + failed > 0 => {
            Some(message!("notice-item", queue = queue, done = done, failed = failed))
        }
        WaitReason::Item => Some(message!("notice-first-item", queue = queue)),
        WaitReason::Room => {
            let capacity = status.capacity.filter(|&capacity| ready >= capacity)?;
            Some(message!(
                "notice-room",
                queue = queue,
                ready = ready,
                capacity = capacity,
                consumers = consumers
            ))
        }
        WaitReason::Done if ready + in_flight == 0 => None,
        WaitReason::Done => Some(message!(
            "notice-join",
            queue = queue,
            items = ready + in_flight,
            in_progress = in_flight,
            ready = ready,
            consumers = consumers
        )),
    }
}
