//! Putting many items: as many underway as the keeper grants, and a report of what was accepted.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;

use super::input::Source;
use crate::client::{Accepted, Client, Error, Patience};
use crate::clock::{Clock, Pauses};

/// So many items may be on their way before their fate is looked into.
const MANY: usize = 1024;

/// Puts items, and tells `report` of those that have been accepted: their numbers, from the given
/// one on, and what they are.
pub(super) struct Feed<R> {
    pub(super) client: Client,
    pub(super) patience: Patience,
    /// When the patience began; none if it begins anew with each item.
    pub(super) since: Option<Clock>,
    /// The pause after each item.
    pub(super) pauses: Pauses,
    /// Items on their way, if somebody wants to know.
    pub(super) underway: Option<VecDeque<Vec<u8>>>,
    pub(super) report: R,
}

impl<R: FnMut(u64, Vec<Vec<u8>>) -> anyhow::Result<()>> Feed<R> {
    /// Puts all that there is. What came before an error is in the queue.
    pub(super) fn put_all(&mut self, source: &mut Source) -> anyhow::Result<()> {
        let mut item = Vec::new();
        loop {
            let put = match source.next(&mut item, || self.wait_for_input()) {
                Ok(false) => return self.settle(),
                Ok(true) => self.put(&item),
                Err(error) => Err(error),
            };
            if let Err(error) = put {
                if !matches!(error.downcast_ref(), Some(Error::Full | Error::NoAnswer { .. })) {
                    // What came before it is in the queue all the same.
                    let _ = self.settle();
                }
                return Err(error);
            }
        }
    }

    fn patience(&self) -> Patience {
        self.since.map_or(self.patience, |since| self.patience.since(since))
    }

    fn put(&mut self, item: &[u8]) -> anyhow::Result<()> {
        if let Some(underway) = &mut self.underway {
            underway.push_back(item.to_vec());
        }
        while !self.client.has_room() {
            let news = self.client.wait_for_news(self.patience())?;
            self.tell(news)?;
        }
        self.client.add(item)?;
        if !self.pauses.are_none() {
            let pause = self.pauses.draw();
            self.client.announce_sleep(pause)?;
            self.settle()?;
            self.client.sleep_as_announced(pause)?;
        } else if self.underway.as_ref().is_some_and(|underway| underway.len() >= MANY) {
            let news = self.client.news()?;
            self.tell(news)?;
        }
        Ok(())
    }

    /// Nothing more to put for now: what there is must not wait for it.
    fn wait_for_input(&mut self) -> anyhow::Result<()> {
        self.settle()?;
        Ok(self.client.wait_for(io::stdin().as_fd())?)
    }

    /// Waits until everything is in the queue, and says so.
    fn settle(&mut self) -> anyhow::Result<()> {
        while let Some(news) = self.client.wait_for_news(self.patience())? {
            self.tell(Some(news))?;
        }
        Ok(())
    }

    fn tell(&mut self, news: Option<Accepted>) -> anyhow::Result<()> {
        let (Some(Accepted { count, first_id }), Some(underway)) = (news, &mut self.underway)
        else {
            return Ok(());
        };
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(underway.len());
        (self.report)(first_id, underway.drain(..count).collect())
    }
}
