//! What the queue is asked, and what it answers.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use super::{Lines, Run};
use crate::clock::Stamp;

/// A client, as long as it is there.
pub(crate) type ClientId = usize;

/// What a client does with the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Puts items. The queue ends when the last of them has left.
    Producer,
    /// Gets items, and is told when the queue has ended.
    Consumer,
}

/// One of the workers of a run. They go in this order when several could.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Worker {
    /// Producers go before consumers.
    pub(crate) role: Role,
    /// From 1, within the role.
    pub(crate) number: u32,
}

/// What a client says of itself when it comes.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    /// Producer or consumer.
    pub(crate) role: Role,
    /// A producer that doesn't end the queue when it is the last to leave.
    pub(crate) keep_open: bool,
    /// A consumer that stays when the queue ends.
    pub(crate) follow: bool,
    /// When its process started.
    pub(crate) born: Stamp,
    /// The capacity that it wants the queue to have; `Some(None)` is "unbounded".
    pub(crate) capacity: Option<Option<NonZeroU64>>,
}

/// What is asked of the queue.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    /// A client comes.
    Join(Member),
    /// Put these items; `seq` is the client's own number of the last of them.
    Put {
        /// Counts the client's items from 1.
        seq: u64,
        /// The items.
        lines: Lines,
    },
    /// Get up to `max` items.
    Get {
        /// At least 1.
        max: u64,
    },
    /// The client has dealt with `count` items that it has out, from number `first` on.
    Done {
        /// Number of the first item.
        first: u64,
        /// How many.
        count: u64,
    },
    /// A client goes, or has died.
    Leave,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Items of this client are in line now; `seq` is its own number of the last of them.
    Accepted {
        /// Whose they are.
        client: ClientId,
        /// The client's number of the last of them.
        seq: u64,
        /// The items, as they were numbered.
        run: Run,
    },
    /// This client's items up to `seq` will not be accepted: the queue is closed.
    Refused {
        /// Whose they are.
        client: ClientId,
        /// The client's number of the last of them.
        seq: u64,
    },
    /// These items are out now, with this client.
    Handed {
        /// Who has them.
        client: ClientId,
        /// The items.
        run: Run,
    },
    /// These items are done.
    Done {
        /// Who had them.
        client: ClientId,
        /// The items.
        run: Run,
    },
    /// These items are back in line, one attempt higher, since their consumer left.
    Returned {
        /// Who had them.
        client: ClientId,
        /// The items.
        run: Run,
    },
    /// This client is to be told that the queue has ended.
    Ended {
        /// Whom to tell.
        client: ClientId,
    },
}

/// Why a request was not taken. The queue is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(
        "the queue has capacity {have}, not {asked}: leave --capacity out, or give the same one"
    )]
    Capacity { have: u64, asked: u64 },
    #[error("too many items wait for room: those up to {seq} are not taken")]
    TooFar { seq: u64 },
    #[error("a get is waiting already: one at a time")]
    GetTwice,
    #[error("items {first} to {last} are not out with this client")]
    NotOut { first: u64, last: u64 },
}

/// The number of items in each place. Each accepted item is in exactly one of them, or done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// Accepted and not handed out.
    pub(crate) in_line: u64,
    /// Handed out and not done.
    pub(crate) out: u64,
    /// Producers there.
    pub(crate) producers: usize,
    /// Consumers there.
    pub(crate) consumers: usize,
}

/// What of a queue outlives the process that keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remains {
    /// The sentinel stands: nobody has been told yet that the queue ended.
    pub(crate) sentinel: bool,
    /// The capacity of the queue, if one was asked for.
    pub(crate) capacity: Option<Option<NonZeroU64>>,
    /// When the last queue of this name ended.
    pub(crate) end: Option<Stamp>,
}
