//! The keeper's ends of the two pipes of a client.

use std::io;
use std::os::fd::AsFd;

use crate::os::{Interest, Poller};
use crate::pipe::{MailboxWriter, ReadEnd};

/// The two pipes of a client.
#[derive(Debug)]
pub(super) struct ClientPipes {
    /// None for a client of an earlier keeper that has not resumed yet.
    pub(super) requests: Option<ReadEnd>,
    /// The client has left: nobody reads its requests any more, and they must not end a wait.
    are_requests_ignored: bool,
    pub(super) mailbox: MailboxWriter,
    /// What the poller watches the mailbox for. Most mailboxes always have room, and are never watched.
    pub(super) mailbox_interest: Option<Interest>,
    /// The mailbox has replies since the last flush.
    pub(super) is_unflushed: bool,
}

impl ClientPipes {
    pub(super) fn new(requests: Option<ReadEnd>, mailbox: MailboxWriter) -> Self {
        Self {
            requests,
            are_requests_ignored: false,
            mailbox,
            mailbox_interest: None,
            is_unflushed: false,
        }
    }

    /// Watches the mailbox for room, or only for its reader's death. The end of the requests shows the death too, so
    /// a mailbox that never was full is not watched.
    pub(super) fn watch_mailbox(
        &mut self,
        poller: &Poller,
        token: u64,
        interest: Interest,
    ) -> io::Result<()> {
        let is_needed = interest == Interest::Write || self.requests.is_none();
        if self.mailbox_interest.is_some() || is_needed {
            let interests = (self.mailbox_interest, Some(interest));
            poller.change(token, self.mailbox.as_fd(), interests)?;
            self.mailbox_interest = Some(interest);
        }
        Ok(())
    }

    /// The pipe for requests, as long as the poller watches the pipe.
    pub(super) fn watched_requests(&self) -> Option<&ReadEnd> {
        self.requests.as_ref().filter(|_| !self.are_requests_ignored)
    }

    /// Stops watching the requests. The pipe stays open: its end would tell the client that the keeper is dead,
    /// before the last reply is in the mailbox.
    pub(super) fn ignore_requests(&mut self, poller: &Poller) {
        if let Some(requests) = self.watched_requests() {
            poller.forget(requests.as_fd());
        }
        self.are_requests_ignored = true;
    }

    /// Closes the pipes of a client that is gone, and removes the mailbox's name.
    pub(super) fn remove(mut self, poller: &Poller) {
        self.ignore_requests(poller);
        if self.mailbox_interest.is_some() {
            poller.forget(self.mailbox.as_fd());
        }
        self.mailbox.unlink();
    }
}
