//! What the queue is asked, and what it answers.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use super::{Batch, Items};
use crate::clock::{Nanos, ProcessBirth};
use crate::role::Role;

/// A client, as long as it is there.
pub(crate) type ClientId = usize;

/// What a client says of itself when it comes.
#[derive(Clone, Debug)]
pub(crate) struct ClientSettings {
    /// Producer or consumer.
    pub(crate) role: Role,
    /// A producer that doesn't end the queue when it is the last to leave.
    pub(crate) keep_open: bool,
    /// A consumer that stays when the queue ends.
    pub(crate) follow: bool,
    /// When its process started.
    pub(crate) birth: ProcessBirth,
    /// The processes that started it. A visitor is told of an end too if one of them was there before.
    pub(crate) ancestors: Vec<ProcessBirth>,
    /// How long it may hold an item.
    pub(crate) lease: Option<Nanos>,
    /// An item that was held by so many who died, or whose lease ran out, is put aside when this
    /// client is the next one of them. 0 for never.
    pub(crate) max_attempts: u32,
    /// The capacity that it wants the queue to have; `Some(None)` is "unbounded".
    pub(crate) capacity: Option<Option<NonZeroU64>>,
    /// It wants what is accepted to be on the disk.
    pub(crate) sync: bool,
}

/// What is asked of the queue.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    /// A client comes.
    Connect(ClientSettings),
    /// Put these items; `seq` is the client's own number of the last of them.
    Put {
        /// Counts the client's items from 1.
        seq: u64,
        /// The items.
        items: Items,
    },
    /// Get up to `max` items.
    Get {
        /// At least 1.
        max: u64,
    },
    /// The client has dealt with what it has out.
    Done(BatchRef),
    /// The client gives back what it has out.
    Requeue(BatchRef),
    /// The client has failed with these items, which it has out: they are put aside.
    Fail {
        /// The items.
        batch: BatchRef,
        /// How often they were tried in this attempt.
        try_count: u32,
        /// Why, for people.
        reason: String,
    },
    /// The client begins another attempt at an item, which it has out.
    Attempt {
        /// The item.
        id: u64,
        /// One more than that in which it has the item; or this one, if it has said so before.
        attempt: u32,
    },
    /// The client has never seen the run that begins with this number: it is as if it had not been
    /// handed out.
    NotReceived {
        /// The number.
        first_id: u64,
    },
    /// The client waits no longer: for room, for items, for everything to be done.
    Cancel,
    /// Wait until everything is done.
    Join,
    /// Put the sentinel.
    Close {
        /// Drop what is in line.
        now: bool,
    },
    /// Put items that failed back in line.
    Retry {
        /// Which one; none for all.
        id: Option<u64>,
    },
    /// Forget items that failed.
    Drop {
        /// Which one; none for all.
        id: Option<u64>,
    },
    /// A client goes.
    Disconnect,
    /// A client has died.
    ClientDied,
}

/// Items that a client has out, as a part of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchRef {
    /// The number of the first one.
    pub(crate) first_id: u64,
    /// How many.
    pub(crate) count: u64,
    /// In which attempt they came: a client can lose an item, and be handed it again.
    pub(crate) attempt: Option<u32>,
}

/// Why items are not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PutRefusal {
    /// The queue takes no more.
    Closed,
    /// There is no room, and the client doesn't wait for it.
    Full,
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
        batch: Batch,
    },
    /// This client's items up to `seq` will not be accepted.
    Refused {
        /// Whose they are.
        client: ClientId,
        /// The client's number of the last of them.
        seq: u64,
        /// Why not.
        reason: PutRefusal,
    },
    /// These items are out now, with this client.
    Delivered {
        /// Who has them.
        client: ClientId,
        /// The items.
        batch: Batch,
    },
    /// These items are done.
    Done {
        /// Who had them.
        client: ClientId,
        /// The items.
        batch: Batch,
    },
    /// These items are back in line, one attempt higher if anybody has seen them.
    Requeued {
        /// Who had them.
        client: ClientId,
        /// The items.
        batch: Batch,
    },
    /// These items are put aside.
    Failed {
        /// Who had them.
        client: ClientId,
        /// The items.
        batch: Batch,
        /// Why, for people.
        reason: String,
    },
    /// This client is to be told that the queue has ended.
    Ended {
        /// Whom to tell.
        client: ClientId,
    },
    /// This client no longer waits for items.
    Empty {
        /// Whom to tell.
        client: ClientId,
    },
    /// Everything is done, for which this client has waited.
    Joined {
        /// Whom to tell.
        client: ClientId,
        /// How many items are put aside.
        failed: u64,
    },
    /// This client no longer waits for everything to be done.
    Unfinished {
        /// Whom to tell.
        client: ClientId,
        /// How many items are not done.
        items: u64,
    },
    /// What this client waited for has been told.
    Cancelled {
        /// Whom to tell.
        client: ClientId,
    },
    /// This item is out with the client in another attempt now.
    AttemptBegun {
        /// With whom.
        client: ClientId,
        /// The item.
        batch: Batch,
    },
    /// What this client asked for has been done to so many items.
    Affected {
        /// Whom to tell.
        client: ClientId,
        /// How many.
        items: u64,
    },
}

impl Effect {
    /// Whom it is about.
    pub(crate) fn client(&self) -> ClientId {
        match self {
            Self::Accepted { client, .. }
            | Self::Refused { client, .. }
            | Self::Delivered { client, .. }
            | Self::Done { client, .. }
            | Self::Requeued { client, .. }
            | Self::Failed { client, .. }
            | Self::AttemptBegun { client, .. }
            | Self::Ended { client }
            | Self::Empty { client }
            | Self::Joined { client, .. }
            | Self::Unfinished { client, .. }
            | Self::Cancelled { client }
            | Self::Affected { client, .. } => *client,
        }
    }
}

/// Why a request was not taken. The queue is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(
        "the queue has capacity {have}, not {asked}: leave --capacity out, or give the same one; `qdemo rm` begins anew"
    )]
    Capacity { have: String, asked: String },
    #[error("too much waits for room: the items up to {seq} are not taken")]
    TooManyBlocked { seq: u64 },
    #[error("a get is waiting already: one at a time")]
    GetPending,
    #[error("{} items from {} on are not out with this client, or not any more", .0.count, .0.first_id)]
    NotInFlight(BatchRef),
    #[error("no item {id} has failed: `qdemo failed` lists those that have")]
    NotFailed { id: u64 },
}

/// The number of items in each place. Each accepted item is in exactly one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Accepted and not handed out.
    pub(crate) ready: u64,
    /// Handed out and not done.
    pub(crate) in_flight: u64,
    /// Done, since the queue began.
    pub(crate) done: u64,
    /// Put aside.
    pub(crate) failed: u64,
}

/// What a client is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientActivity {
    /// Which client.
    pub(crate) client: ClientId,
    /// As what it came.
    pub(crate) role: Role,
    /// What it waits for.
    pub(crate) wait_reason: Option<WaitReason>,
    /// How many items it has out.
    pub(crate) in_flight: u64,
    /// Since when it has had the one that it has had for the longest.
    pub(crate) oldest_delivered_at: Option<Nanos>,
}

/// What a client can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WaitReason {
    /// Room for what it puts.
    Room,
    /// Items.
    Item,
    /// Everything to be done.
    Done,
}

/// What of a queue outlives the process that keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueState {
    /// The sentinel stands: nobody has been told yet that the queue ended.
    pub(crate) sentinel: Option<Sentinel>,
    /// The capacity of the queue, if one was asked for.
    pub(crate) capacity: Option<Option<NonZeroU64>>,
    /// What is accepted is to be on the disk.
    pub(crate) sync: bool,
    /// When the last queue of this name ended.
    pub(crate) ended_at: Option<ProcessBirth>,
    /// Whether a new queue has begun since.
    pub(crate) has_begun: bool,
    /// The number of the last item that was accepted, 0 before.
    pub(crate) last_id: u64,
    /// How many items are done, since the queue began.
    pub(crate) done_count: u64,
}

/// The sentinel: why it is there decides who may take it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Sentinel {
    /// The last producer left; one that comes takes the sentinel back.
    LastProducerLeft,
    /// Somebody closed the queue.
    Closed,
}
