//! Putting: as many items underway as the keeper grants, and what becomes of each.

use std::time::Duration;

use super::{Accepted, Client, Error, Timeout};
use crate::clock::nanos;
use crate::wire::Reply;

/// So many bytes of items may be underway: more would be no faster, and must be kept until they are
/// answered.
const MAX_UNANSWERED_BYTES: usize = 4 << 20;

/// Whether this can be an item.
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
    /// text cannot be an item. Otherwise as for [`get`](Self::get).
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

    /// The same, but waits for room only that long.
    pub(crate) fn put_with_timeout(&mut self, item: &[u8], timeout: Timeout) -> Result<(), Error> {
        if !is_single_line(item) {
            return Err(Error::NotALine);
        }
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

    /// Waits until everything added is in the queue.
    pub(super) fn wait_for_all_puts(&mut self, timeout: Timeout) -> Result<(), Error> {
        while self.wait_for_accepted(timeout)?.is_some() {}
        Ok(())
    }

    /// Whether one more item may be on its way.
    pub(crate) fn can_add(&self) -> bool {
        let items = (self.session.last_put_seq() + self.unsent_items)
            .saturating_sub(self.last_answered_seq);
        let bytes = self.session.unanswered_put_bytes() + self.unsent_lines.len();
        // Nothing is sent behind what was not taken before that has been told.
        !self.has_unreported_full
            && items < self.window.max(1)
            && (items == 0 || bytes < MAX_UNANSWERED_BYTES)
    }

    /// Adds an item, for which there is room, to those that are on their way: a line without its end.
    pub(crate) fn add_item(&mut self, item: &[u8]) -> Result<(), Error> {
        debug_assert!(is_single_line(item));
        let size = item.len() as u64;
        if size > self.max_item_bytes {
            return Err(Error::TooLarge { size, max: self.max_item_bytes });
        }
        let room = self.session.max_put_bytes();
        if self.unsent_lines.len() + item.len() >= room {
            self.flush_puts()?;
        }
        if item.len() >= room {
            self.flush_puts()?;
            self.session.put(1, [item, b"\n"].concat());
            return self.flush_requests();
        }
        self.unsent_lines.extend_from_slice(item);
        self.unsent_lines.push(b'\n');
        self.unsent_items += 1;
        Ok(())
    }

    /// Sends what has been added, and waits until more of it has been accepted; none when there is
    /// nothing left to be accepted. [`Error::Full`] when nothing of it was for that long: none of it
    /// will be any more.
    pub(crate) fn wait_for_accepted(
        &mut self,
        timeout: Timeout,
    ) -> Result<Option<Accepted>, Error> {
        if let Some(told) = self.take_unreported() {
            return told.map(Some);
        }
        self.with_deadline(timeout, |client, deadline| {
            client.flush_puts()?;
            while client.last_answered_seq < client.session.last_put_seq() {
                let left = deadline.remaining();
                if left == Some(0) {
                    client.cancel_puts()?;
                    return client.take_unreported().transpose();
                }
                if let Some(reply) = client.next_reply(left)?
                    && let Some(news) = client.handle_other_reply(reply)?
                {
                    return Ok(Some(news));
                }
            }
            Ok(None)
        })
    }

    /// What is known of puts already.
    fn take_unreported(&mut self) -> Option<Result<Accepted, Error>> {
        if let Some(news) = self.unreported_accepted.pop_front() {
            return Some(Ok(news));
        }
        std::mem::take(&mut self.has_unreported_full).then_some(Err(Error::Full))
    }

    /// Takes back the puts that have no room, and waits until the keeper has told of all that were
    /// underway.
    fn cancel_puts(&mut self) -> Result<(), Error> {
        self.cancel()?;
        let mut ended = Ok(());
        loop {
            match self.next_reply(None)? {
                Some(Reply::Cancelled) => return ended,
                Some(Reply::Full { seq }) => {
                    self.last_answered_seq = self.last_answered_seq.max(seq);
                    self.has_unreported_full = true;
                }
                Some(reply) => match self.handle_other_reply(reply) {
                    Ok(news) => self.unreported_accepted.extend(news),
                    Err(error) => ended = Err(error),
                },
                None => {}
            }
        }
    }

    /// What has been accepted since; none when there is nothing new.
    pub(crate) fn poll_accepted(&mut self) -> Result<Option<Accepted>, Error> {
        if let Some(told) = self.take_unreported() {
            return told.map(Some);
        }
        match self.last_answered_seq < self.session.last_put_seq() {
            true => match self.next_reply(Some(0))? {
                Some(reply) => self.handle_other_reply(reply),
                None => Ok(None),
            },
            false => Ok(None),
        }
    }

    /// Sends the items that have been added.
    pub(super) fn flush_puts(&mut self) -> Result<(), Error> {
        if self.unsent_items == 0 {
            return Ok(());
        }
        self.stage_puts();
        self.flush_requests()
    }

    pub(super) fn stage_puts(&mut self) {
        let count = std::mem::take(&mut self.unsent_items);
        if count > 0 {
            // As many as these will follow, perhaps.
            let room = Vec::with_capacity(self.unsent_lines.len());
            self.session.put(count, std::mem::replace(&mut self.unsent_lines, room));
        }
    }
}
