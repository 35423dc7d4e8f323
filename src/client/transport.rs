//! What joins a client to its queue: named pipes to a keeper, or a server. Both have a pipe for requests and a
//! mailbox; the transport has what differs.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ChildStdout;

use crate::pipe::InboxWriter;
use crate::server::ServerLink;

/// The way to the queue, besides the client's two pipes.
#[derive(Debug)]
pub(super) enum Transport {
    /// A keeper on this machine.
    Local {
        queue_dir: PathBuf,
        /// None after the keeper's welcome: then the client needs only its own two pipes.
        inbox: Option<InboxWriter>,
        /// Keeps a keeper that this client has started alive until its welcome.
        starting_keeper: Option<ChildStdout>,
    },
    Server {
        link: ServerLink,
        /// The far ends of the requests and of the mailbox, until the client announces itself.
        far_ends: Option<(OwnedFd, OwnedFd)>,
        /// Names the queue among all that this process uses.
        place: PathBuf,
        /// Only a queue that exists.
        only_existing: bool,
    },
}

impl Transport {
    /// Names the queue among all that this process uses.
    pub(super) fn place(&self) -> &Path {
        match self {
            Self::Local { queue_dir, .. } => queue_dir,
            Self::Server { place, .. } => place,
        }
    }

    /// The keeper has welcomed the client.
    pub(super) fn is_welcomed(&mut self) {
        if let Self::Local { inbox, starting_keeper, .. } = self {
            (*inbox, *starting_keeper) = (None, None);
        }
    }
}
