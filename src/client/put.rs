//! Puts of a client: the client sends as many items ahead as the put window allows, and learns which of
//! them the queue accepts.

use std::time::Duration;

use super::{Accepted, Client, Error, Timeout};
use crate::clock::nanos;
use crate::pipe::{share_buffer, take_buffer};
use crate::queue::{Items, WaitReason};
use crate::wire::{MAX_PUT_BYTES, Reply};

/// The client sends no further item while this many bytes of items are unanswered. The session keeps the
/// unanswered items, and more of them would not make puts faster.
const MAX_UNANSWERED_BYTES: usize = 4 << 20;

/// Whether the bytes can be an item: no empty line, and no line break.
fn is_single_line(item: &[u8]) -> bool {
    !item.is_empty() && memchr::memchr(b'\n', item).is_none()
}

impl Client {
    /// Puts one item: JSON text without a line break. The item is in the queue when this returns.
    ///
    /// Blocks while the queue is full. The client does not check that the text is JSON.
    ///
    /// # Errors
    /// [`Error::Closed`] when the queue is closed; [`Error::NotALine`] and [`Error::TooLarge`] when the
    /// text cannot be an item; [`Error::ItemsLost`] when the server has forgotten items of earlier puts, and
    /// nothing is put. Otherwise as for [`get`](Self::get).
    pub fn put(&mut self, item: &[u8]) -> Result<(), Error> {
        self.put_all([item])
    }

    /// Puts one item as [`put`](Self::put) does, but blocks no longer than `timeout`; zero does not wait
    /// for room at all.
    ///
    /// # Errors
    /// [`Error::Full`] when the queue has no room in time. [`Error::NoAnswer`] when the keeper stays
    /// silent for a second beyond `timeout`. Otherwise as for [`put`](Self::put).
    pub fn put_timeout(&mut self, item: &[u8], timeout: Duration) -> Result<(), Error> {
        self.put_with_timeout(item, Timeout::After(nanos(timeout)))
    }

    /// Like [`put_timeout`](Self::put_timeout), with a [`Timeout`].
    pub(crate) fn put_with_timeout(&mut self, item: &[u8], timeout: Timeout) -> Result<(), Error> {
        if !is_single_line(item) {
            return Err(Error::NotALine);
        }
        self.check_loss()?;
        self.with_deadline(timeout, |client, deadline| {
            client.add_item(item)?;
            while client.wait_for_accepted(deadline.remaining_timeout())?.is_some() {}
            Ok(())
        })
    }

    /// Puts many items, faster than one after another. They are in the queue when this returns.
    ///
    /// Blocks while the queue is full. Takes the items from the iterator as the queue accepts them, and not
    /// all at once.
    ///
    /// # Errors
    /// As for [`put`](Self::put). The items before the one that caused the error may be in the queue.
    pub fn put_all<T: AsRef<[u8]>>(
        &mut self,
        items: impl IntoIterator<Item = T>,
    ) -> Result<(), Error> {
        self.check_loss()?;
        for item in items {
            if !is_single_line(item.as_ref()) {
                return Err(Error::NotALine);
            }
            while !self.can_add() {
                self.wait_for_accepted(Timeout::Infinite)?;
            }
            self.add_item(item.as_ref())?;
        }
        self.wait_for_all_puts(Timeout::Infinite)
    }

    /// The number of items that were added, and neither accepted nor refused.
    pub(crate) fn unanswered_items(&self) -> u64 {
        (self.session.last_put_seq() + self.unsent_items).saturating_sub(self.last_answered_seq)
    }

    /// Waits until the queue has accepted all added items.
    pub(super) fn wait_for_all_puts(&mut self, timeout: Timeout) -> Result<(), Error> {
        while self.wait_for_accepted(timeout)?.is_some() {}
        Ok(())
    }

    /// Whether [`Client::add_item`] may take one more item.
    pub(crate) fn can_add(&self) -> bool {
        let items = self.unanswered_items();
        let bytes = self.session.unanswered_put_bytes() + self.unsent_lines.len();
        // The caller learns that the queue refused items before the client sends further items.
        !self.has_unreported_full
            && items < self.window.max(1)
            && (items == 0 || bytes < MAX_UNANSWERED_BYTES)
    }

    /// Adds an item without its newline to the unsent items. [`Client::can_add`] was true before.
    pub(crate) fn add_item(&mut self, item: &[u8]) -> Result<(), Error> {
        debug_assert!(is_single_line(item));
        let size = item.len() as u64;
        if size > self.max_item_bytes {
            return Err(Error::TooLarge { size, max: self.max_item_bytes });
        }
        if self.unsent_lines.len() + item.len() >= MAX_PUT_BYTES {
            self.flush_puts()?;
        }
        if self.unsent_lines.capacity() == 0 {
            // The next put is often as large as the one before.
            self.unsent_lines = take_buffer(self.last_put_bytes.max(item.len() + 1));
        }
        self.unsent_lines.extend_from_slice(item);
        self.unsent_lines.push(b'\n');
        self.unsent_items += 1;
        Ok(())
    }

    /// Sends the added items and waits until the queue accepts some of the unanswered items. Returns
    /// `None` when no item is unanswered.
    ///
    /// # Errors
    /// [`Error::Full`] when the queue accepted no item within the timeout: the queue refuses all
    /// unanswered items then.
    pub(crate) fn wait_for_accepted(
        &mut self,
        timeout: Timeout,
    ) -> Result<Option<Accepted>, Error> {
        if let Some(outcome) = self.take_unreported() {
            return outcome.map(Some);
        }
        let accepted = self.with_deadline(timeout, |client, deadline| {
            client.flush_puts()?;
            while client.last_answered_seq < client.session.last_put_seq() {
                if deadline.remaining() == Some(0) {
                    client.cancel_puts()?;
                    return client.take_unreported().transpose();
                }
                let left = client.remaining_wait(WaitReason::Room, deadline)?;
                if let Some(reply) = client.next_reply(left)?
                    && let Some(accepted) = client.handle_other_reply(reply)?
                {
                    return Ok(Some(accepted));
                }
            }
            Ok(None)
        });
        self.end_wait();
        accepted
    }

    /// Returns an error if the server has forgotten items of this client, once. So a put that finds the loss has its own
    /// result, and the next operation tells of the loss.
    pub(crate) fn check_loss(&mut self) -> Result<(), Error> {
        match std::mem::take(&mut self.lost_items) {
            0 => Ok(()),
            items => Err(Error::ItemsLost(items)),
        }
    }

    /// Takes an outcome of puts that the caller does not know yet.
    fn take_unreported(&mut self) -> Option<Result<Accepted, Error>> {
        if let Some(accepted) = self.unreported_accepted.pop_front() {
            return Some(Ok(accepted));
        }
        std::mem::take(&mut self.has_unreported_full).then_some(Err(Error::Full))
    }

    /// Cancels the blocked puts and waits until the keeper has answered all puts.
    fn cancel_puts(&mut self) -> Result<(), Error> {
        self.cancel()?;
        let mut outcome = Ok(());
        loop {
            match self.next_reply(None)? {
                Some(Reply::Cancelled) => return outcome,
                Some(Reply::Full { seq }) => {
                    self.last_answered_seq = self.last_answered_seq.max(seq);
                    self.has_unreported_full = true;
                }
                Some(reply) => match self.handle_other_reply(reply) {
                    Ok(accepted) => self.unreported_accepted.extend(accepted),
                    Err(error) => outcome = Err(error),
                },
                None => {}
            }
        }
    }

    /// Returns items that the queue has accepted since, without waiting.
    pub(crate) fn poll_accepted(&mut self) -> Result<Option<Accepted>, Error> {
        if let Some(outcome) = self.take_unreported() {
            return outcome.map(Some);
        }
        if self.last_answered_seq < self.session.last_put_seq()
            && let Some(reply) = self.next_reply(Some(0))?
        {
            return self.handle_other_reply(reply);
        }
        Ok(None)
    }

    /// Sends the added items.
    pub(super) fn flush_puts(&mut self) -> Result<(), Error> {
        if self.unsent_items == 0 {
            return Ok(());
        }
        self.stage_puts();
        self.flush_requests()
    }

    /// Gives the added items to the session, which sends them with its next write.
    pub(super) fn stage_puts(&mut self) {
        let count = std::mem::take(&mut self.unsent_items);
        if count > 0 {
            self.last_put_bytes = self.unsent_lines.len();
            let bytes = share_buffer(std::mem::take(&mut self.unsent_lines));
            self.session.put(Items { count, bytes });
        }
    }
}
