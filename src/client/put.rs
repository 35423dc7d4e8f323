//! Putting: as many items underway as the keeper grants, and what becomes of each.

use super::{Client, Error, Patience};
use crate::wire::Reply;

/// So many bytes of items may be underway: more would be no faster, and must be kept until they are
/// answered.
const MOST_UNDERWAY: usize = 4 << 20;

/// Items that were accepted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// How many; they are the next ones of those that were put.
    pub(crate) count: u64,
    /// The queue's number of the first of them; the others follow it.
    pub(crate) first_id: u64,
}

/// Whether this can be an item.
fn is_line(item: &[u8]) -> bool {
    !item.is_empty() && memchr::memchr(b'\n', item).is_none()
}

impl Client {
    /// Puts one item: JSON text without a line break. It is in the queue when this returns; waits
    /// while the queue is full.
    ///
    /// # Errors
    /// [`Error::Closed`] when the queue has been closed; [`Error::NotALine`] and [`Error::TooLarge`] for what is no item.
    pub fn put(&mut self, item: &[u8]) -> Result<(), Error> {
        self.put_all([item])
    }

    /// The same, but waits for room only that long.
    pub(crate) fn put_within(&mut self, item: &[u8], patience: Patience) -> Result<(), Error> {
        if !is_line(item) {
            return Err(Error::NotALine);
        }
        self.within(patience, |client, deadline| {
            client.add(item)?;
            while client.wait_for_news(deadline.rest())?.is_some() {}
            Ok(())
        })
    }

    /// Puts many items, which is faster than one after another. They are in the queue when this
    /// returns.
    ///
    /// # Errors
    /// As [`Client::put`]. The items before the one that it is about may be in the queue.
    pub fn put_all<T: AsRef<[u8]>>(
        &mut self,
        items: impl IntoIterator<Item = T>,
    ) -> Result<(), Error> {
        for item in items {
            if !is_line(item.as_ref()) {
                return Err(Error::NotALine);
            }
            while !self.has_room() {
                self.wait_for_news(Patience::Endless)?;
            }
            self.add(item.as_ref())?;
        }
        self.settle(Patience::Endless)
    }

    /// Waits until everything added is in the queue.
    pub(super) fn settle(&mut self, patience: Patience) -> Result<(), Error> {
        while self.wait_for_news(patience)?.is_some() {}
        Ok(())
    }

    /// Whether one more item may be on its way.
    pub(crate) fn has_room(&self) -> bool {
        let items = (self.session.sent() + self.unsent).saturating_sub(self.answered);
        let bytes = self.session.underway() + self.lines.len();
        // Nothing is sent behind what was not taken before that has been told.
        !self.full && items < self.window.max(1) && (items == 0 || bytes < MOST_UNDERWAY)
    }

    /// Adds an item, for which there is room, to those that are on their way: a line without its end.
    pub(crate) fn add(&mut self, item: &[u8]) -> Result<(), Error> {
        debug_assert!(is_line(item));
        let size = item.len() as u64;
        if size > self.largest {
            return Err(Error::TooLarge { size, most: self.largest });
        }
        let room = self.session.room();
        if self.lines.len() + item.len() >= room {
            self.send()?;
        }
        if item.len() >= room {
            self.send()?;
            self.session.put(1, [item, b"\n"].concat());
            return self.send_write();
        }
        self.lines.extend_from_slice(item);
        self.lines.push(b'\n');
        self.unsent += 1;
        Ok(())
    }

    /// Sends what has been added, and waits until more of it has been accepted; none when there is
    /// nothing left to be accepted. [`Error::Full`] when nothing of it was for that long: none of it
    /// will be any more.
    pub(crate) fn wait_for_news(&mut self, patience: Patience) -> Result<Option<Accepted>, Error> {
        if let Some(told) = self.told_before() {
            return told.map(Some);
        }
        self.within(patience, |client, deadline| {
            client.send()?;
            while client.answered < client.session.sent() {
                let left = deadline.left();
                if left == Some(0) {
                    client.cancel_puts()?;
                    return client.told_before().transpose();
                }
                if let Some(reply) = client.reply(left)?
                    && let Some(news) = client.note(reply)?
                {
                    return Ok(Some(news));
                }
            }
            Ok(None)
        })
    }

    /// What is known of puts already.
    fn told_before(&mut self) -> Option<Result<Accepted, Error>> {
        if let Some(news) = self.heard.pop_front() {
            return Some(Ok(news));
        }
        std::mem::take(&mut self.full).then_some(Err(Error::Full))
    }

    /// Takes back the puts that have no room, and waits until the keeper has told of all that were
    /// underway.
    fn cancel_puts(&mut self) -> Result<(), Error> {
        self.cancel()?;
        let mut ended = Ok(());
        loop {
            match self.reply(None)? {
                Some(Reply::Cancelled) => return ended,
                Some(Reply::Full { seq }) => {
                    self.answered = self.answered.max(seq);
                    self.full = true;
                }
                Some(reply) => match self.note(reply) {
                    Ok(news) => self.heard.extend(news),
                    Err(error) => ended = Err(error),
                },
                None => {}
            }
        }
    }

    /// What has been accepted since; none when there is nothing new.
    pub(crate) fn news(&mut self) -> Result<Option<Accepted>, Error> {
        if let Some(told) = self.told_before() {
            return told.map(Some);
        }
        match self.answered < self.session.sent() {
            true => match self.reply(Some(0))? {
                Some(reply) => self.note(reply),
                None => Ok(None),
            },
            false => Ok(None),
        }
    }

    /// Sends the items that have been added.
    pub(super) fn send(&mut self) -> Result<(), Error> {
        if self.unsent == 0 {
            return Ok(());
        }
        self.put_unsent();
        self.send_write()
    }

    pub(super) fn put_unsent(&mut self) {
        let count = std::mem::take(&mut self.unsent);
        if count > 0 {
            // As many as these will follow, perhaps.
            let room = Vec::with_capacity(self.lines.len());
            self.session.put(count, std::mem::replace(&mut self.lines, room));
        }
    }
}
