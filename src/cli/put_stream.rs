//! Putting many items: as many underway as the keeper grants, and a report of what was accepted.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;

use super::input::ItemSource;
use crate::client::{Accepted, Client, Error, Timeout};
use crate::clock::{Clock, DelaySampler};

/// So many items may be on their way before their fate is looked into.
const MAX_UNCONFIRMED: usize = 1024;

/// Puts items, and tells `report` of those that have been accepted: their numbers, from the given
/// one on, and what they are.
pub(super) struct PutStream<R> {
    pub(super) client: Client,
    pub(super) timeout: Timeout,
    /// When the patience began; none if it begins anew with each item.
    pub(super) timeout_start: Option<Clock>,
    /// The pause after each item.
    pub(super) delays: DelaySampler,
    /// Items on their way, if somebody wants to know.
    pub(super) unconfirmed: Option<VecDeque<Vec<u8>>>,
    pub(super) on_accepted: R,
}

impl<R: FnMut(u64, Vec<Vec<u8>>) -> anyhow::Result<()>> PutStream<R> {
    /// Puts all that there is. What came before an error is in the queue.
    pub(super) fn put_all(&mut self, source: &mut ItemSource) -> anyhow::Result<()> {
        let mut item = Vec::new();
        loop {
            let put = match source.next_item(&mut item, || self.wait_for_input()) {
                Ok(false) => return self.wait_until_accepted(),
                Ok(true) => self.put(&item),
                Err(error) => Err(error),
            };
            if let Err(error) = put {
                if !matches!(error.downcast_ref(), Some(Error::Full | Error::NoAnswer { .. })) {
                    // What came before it is in the queue all the same.
                    let _ = self.wait_until_accepted();
                }
                return Err(error);
            }
        }
    }

    fn remaining_timeout(&self) -> Timeout {
        self.timeout_start.map_or(self.timeout, |since| self.timeout.remaining_since(since))
    }

    fn put(&mut self, item: &[u8]) -> anyhow::Result<()> {
        if let Some(underway) = &mut self.unconfirmed {
            underway.push_back(item.to_vec());
        }
        while !self.client.can_add() {
            let news = self.client.wait_for_accepted(self.remaining_timeout())?;
            self.report_accepted(news)?;
        }
        self.client.add_item(item)?;
        if !self.delays.is_zero() {
            let pause = self.delays.sample();
            self.client.send_puts_with_sleep(pause)?;
            self.wait_until_accepted()?;
            self.client.finish_announced_sleep(pause)?;
        } else if self
            .unconfirmed
            .as_ref()
            .is_some_and(|underway| underway.len() >= MAX_UNCONFIRMED)
        {
            let news = self.client.poll_accepted()?;
            self.report_accepted(news)?;
        }
        Ok(())
    }

    /// Nothing more to put for now: what there is must not wait for it.
    fn wait_for_input(&mut self) -> anyhow::Result<()> {
        self.wait_until_accepted()?;
        Ok(self.client.wait_for_input(io::stdin().as_fd())?)
    }

    /// Waits until everything is in the queue, and says so.
    fn wait_until_accepted(&mut self) -> anyhow::Result<()> {
        while let Some(news) = self.client.wait_for_accepted(self.remaining_timeout())? {
            self.report_accepted(Some(news))?;
        }
        Ok(())
    }

    fn report_accepted(&mut self, news: Option<Accepted>) -> anyhow::Result<()> {
        let (Some(Accepted { count, first_id }), Some(underway)) = (news, &mut self.unconfirmed)
        else {
            return Ok(());
        };
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(underway.len());
        (self.on_accepted)(first_id, underway.drain(..count).collect())
    }
}
