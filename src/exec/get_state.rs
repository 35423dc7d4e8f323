//! The state of the executor's get requests.

use crate::client::Timeout;
use crate::clock::Nanos;

/// What the executor has requested and received. At most one get is pending.
#[derive(Debug, Default)]
pub(super) struct GetState {
    /// The keeper has not answered the last get.
    is_pending: bool,
    /// The keeper knows that the pending get is cancelled.
    is_cancelled: bool,
    has_ended: bool,
    received: u64,
    /// The time since which the executor only waits for an item.
    idle_since: Option<Nanos>,
    /// The same, while a get is pending.
    waiting_since: Option<Nanos>,
}

impl GetState {
    /// The number of items to request now, for `free_jobs`.
    pub(super) fn requestable(&self, free_jobs: usize, max_items: u64) -> u64 {
        if self.is_pending || self.has_ended {
            return 0;
        }
        (free_jobs as u64).min(max_items.saturating_sub(self.received))
    }

    pub(super) fn request_sent(&mut self) {
        self.is_pending = true;
    }

    pub(super) fn cancel_sent(&mut self) {
        self.is_cancelled = true;
    }

    /// Whether a get waits that the keeper may still answer with items.
    pub(super) fn is_cancellable(&self) -> bool {
        self.is_pending && !self.is_cancelled
    }

    pub(super) fn is_pending(&self) -> bool {
        self.is_pending
    }

    pub(super) fn items_received(&mut self, count: u64) {
        self.is_pending = false;
        self.is_cancelled = false;
        self.received += count;
    }

    pub(super) fn ended(&mut self) {
        self.is_pending = false;
        self.has_ended = true;
    }

    /// Whether no further item can come.
    pub(super) fn is_complete(&self, max_items: u64) -> bool {
        self.has_ended || (self.received >= max_items && !self.is_pending)
    }

    /// Starts, continues or ends the idle time.
    pub(super) fn set_idle(&mut self, is_idle: bool, now: Nanos) {
        self.idle_since = if is_idle { self.idle_since.or(Some(now)) } else { None };
        let is_waiting = is_idle && self.is_pending;
        self.waiting_since = if is_waiting { self.waiting_since.or(Some(now)) } else { None };
    }

    /// For how long the executor has only waited for an item. None if it does anything else.
    pub(super) fn waiting_time(&self, now: Nanos) -> Option<Nanos> {
        self.waiting_since.map(|since| now.saturating_sub(since))
    }

    /// The end of the idle time. None without a limit, and after the cancel.
    pub(super) fn idle_deadline(&self, timeout: Timeout) -> Option<Nanos> {
        match timeout {
            Timeout::After(limit) if !self.is_cancelled => {
                Some(self.idle_since?.saturating_add(limit))
            }
            _ => None,
        }
    }
}
