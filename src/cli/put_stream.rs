//! The loop that puts items: as many at a time as the put window allows.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;

use super::input::ItemSource;
use crate::client::{Accepted, Client, Error, Timeout};
use crate::clock::{Clock, DelaySampler};
use crate::wire::ErrorCode;

/// With this many unconfirmed items, each further put reads the replies of the keeper.
const MAX_UNCONFIRMED: usize = 1024;

/// Puts items. `on_accepted` receives accepted items and the id of the first of them.
pub(super) struct PutStream<R> {
    pub(super) client: Client,
    pub(super) timeout: Timeout,
    /// When the timeout started. `None`: the timeout starts anew for each item.
    pub(super) timeout_start: Option<Clock>,
    /// The delay after each item.
    pub(super) delays: DelaySampler,
    /// The items that the keeper has not accepted yet. `None`: the command does not need the items.
    pub(super) unconfirmed: Option<VecDeque<Vec<u8>>>,
    pub(super) on_accepted: R,
}

impl<R: FnMut(u64, Vec<Vec<u8>>) -> anyhow::Result<()>> PutStream<R> {
    /// Puts all items of `source`. After an error, the items before it are in the queue.
    pub(super) fn put_all(&mut self, source: &mut ItemSource) -> anyhow::Result<()> {
        let mut item = Vec::new();
        let mut has_item = false;
        loop {
            let put = match source.next_item(&mut item, || self.wait_for_input()) {
                Ok(false) => {
                    self.wait_until_accepted()?;
                    // Without an item this client has made no request.
                    self.client.complete_connect()?;
                    if !has_item {
                        self.client.wait_for_turn()?;
                    }
                    return Ok(());
                }
                Ok(true) => {
                    has_item = true;
                    self.put(&item)
                }
                Err(error) => Err(error),
            };
            if let Err(error) = put {
                // The queue answers nothing more, or the caller wants to know at once.
                let is_limit = match error.downcast_ref() {
                    Some(Error::Full | Error::NoAnswer { .. } | Error::Server(_)) => true,
                    Some(error) => error.is_refusal(ErrorCode::Removed),
                    None => false,
                };
                let is_refused = matches!(error.downcast_ref(), Some(Error::Refused { .. }));
                if !is_limit && (self.client.was_welcomed() || !is_refused) {
                    // The items before an invalid item are to be in the queue.
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
        if let Some(unconfirmed) = &mut self.unconfirmed {
            unconfirmed.push_back(item.to_vec());
        }
        while !self.client.can_add() {
            let accepted = self.client.wait_for_accepted(self.remaining_timeout())?;
            self.report_accepted(accepted)?;
        }
        self.client.add_item(item)?;
        if !self.delays.is_zero() {
            let delay = self.delays.sample();
            self.client.send_puts_with_sleep(delay)?;
            self.wait_until_accepted()?;
            self.client.finish_announced_sleep(delay)?;
        } else if self.unconfirmed.as_ref().is_some_and(|items| items.len() >= MAX_UNCONFIRMED) {
            let accepted = self.client.poll_accepted()?;
            self.report_accepted(accepted)?;
        }
        Ok(())
    }

    /// Sends all items before the wait for standard input: an item must not wait for later input.
    fn wait_for_input(&mut self) -> anyhow::Result<()> {
        self.wait_until_accepted()?;
        Ok(self.client.wait_for_input(io::stdin().as_fd())?)
    }

    /// Waits until the keeper has accepted all items, and reports them. An error if the server has lost others.
    fn wait_until_accepted(&mut self) -> anyhow::Result<()> {
        while let Some(accepted) = self.client.wait_for_accepted(self.remaining_timeout())? {
            self.report_accepted(Some(accepted))?;
        }
        Ok(self.client.check_loss()?)
    }

    fn report_accepted(&mut self, accepted: Option<Accepted>) -> anyhow::Result<()> {
        let (Some(Accepted { count, first_id }), Some(items)) = (accepted, &mut self.unconfirmed)
        else {
            return Ok(());
        };
        let count = usize::try_from(count).unwrap_or(usize::MAX).min(items.len());
        (self.on_accepted)(first_id, items.drain(..count).collect())
    }
}
