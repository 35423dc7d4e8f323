//! The words of the queue's rules: requests, effects, refusals, settings and state.

use std::fmt;
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use super::{Batch, BatchRef, Items};
use crate::catalogue::message;
use crate::clock::{Nanos, ProcessBirth};
use crate::role::Role;

/// Names a client while the client is connected.
pub(crate) type ClientId = usize;

/// What a client declares when it connects.
#[derive(Clone, Debug)]
pub(crate) struct ClientSettings {
    pub(crate) role: Role,
    /// This producer puts no sentinel when it disconnects as the last producer.
    pub(crate) keep_open: bool,
    /// This consumer stays when the queue ends.
    pub(crate) follow: bool,
    pub(crate) birth: ProcessBirth,
    /// The processes that started the client. A visitor also sees an end that one of these processes
    /// was born before.
    pub(crate) ancestors: Vec<ProcessBirth>,
    /// How long the client may have an item in flight.
    pub(crate) lease: Option<Nanos>,
    /// An item fails when this client causes a delivery failure and the item then has at least this
    /// number of delivery failures; 0: never.
    pub(crate) max_delivery_failures: u32,
    /// None: the client accepts any capacity.
    pub(crate) capacity: Option<Capacity>,
    /// The client wants accepted items on the disk.
    pub(crate) sync: bool,
}

/// How many items may be ready at once; `None` for any number, which is 0 outside the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub(crate) struct Capacity(pub(crate) Option<NonZeroU64>);

impl From<u64> for Capacity {
    fn from(limit: u64) -> Self {
        Self(NonZeroU64::new(limit))
    }
}

impl From<Capacity> for u64 {
    fn from(capacity: Capacity) -> Self {
        capacity.0.map_or(0, NonZeroU64::get)
    }
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str(&message!("refusal-unbounded")),
            Some(limit) => limit.fmt(f),
        }
    }
}

/// A client's request to the queue.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Connect(ClientSettings),
    Put {
        /// The client's own number of the last item; the client counts its items from 1.
        seq: u64,
        items: Items,
    },
    Get {
        /// How many items at most, at least 1.
        max: u64,
    },
    /// The client has finished these items, which it has in flight.
    Done(BatchRef),
    /// The client returns these items, which it has in flight.
    Requeue(BatchRef),
    /// The client has failed with these items, which it has in flight.
    Fail {
        batch: BatchRef,
        /// How many attempts the client made since the delivery of the batch, or since the last
        /// [`Request::Attempt`], including that one. The failed items have the last attempt.
        try_count: u32,
        /// Why, as the client says it: the rules do not interpret the reason.
        reason: String,
    },
    /// The client begins another attempt at an item, which it has in flight.
    Attempt {
        id: u64,
        /// The current attempt plus 1, or the current attempt if the client repeats the request.
        attempt: u32,
    },
    /// The lease of these items, which the client has in flight, begins anew. They are a batch of their own then.
    Renew {
        batch: BatchRef,
        now: Nanos,
    },
    /// The client never read the batch that begins with this item: the delivery is undone.
    NotReceived {
        first_id: u64,
    },
    /// The client stops waiting: for room, for items, and in its join.
    Cancel,
    /// The client waits until every item is done or failed.
    Join,
    /// Puts the sentinel.
    Close {
        /// Drops the ready items and the blocked puts too.
        now: bool,
    },
    /// Makes a failed item ready again. None: all failed items.
    Retry(Option<NonZeroU64>),
    /// Drops a failed item. None: all failed items.
    Drop(Option<NonZeroU64>),
    Disconnect,
    /// The time counts as the failure of items that fail by it.
    ClientDied {
        now: Nanos,
    },
}

/// A change of the queue, or an answer to a request of `client`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) client: ClientId,
    pub(crate) kind: EffectKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EffectKind {
    /// Items of the client are ready now.
    Accepted {
        /// The client's own number of the last item.
        seq: u64,
        /// The items with the ids that the queue gave to them.
        batch: Batch,
    },
    /// The sentinel is in the queue, so the queue will not accept the client's items up to `seq`.
    Closed {
        seq: u64,
    },
    /// The queue has no room, and the client does not wait: the queue will not accept the client's items
    /// up to `seq`.
    Full {
        seq: u64,
    },
    /// The items are in flight with the client now.
    Delivered(Batch),
    Done(Batch),
    /// The items are ready again. Their attempt is higher, unless no client read the delivery.
    Requeued(Batch),
    Failed {
        batch: Batch,
        /// Why; see [`Failure`](crate::failure::Failure).
        reason: String,
    },
    /// The item is still in flight with the client, in a new attempt.
    AttemptBegun(Batch),
    /// The items are still in flight with the client, and their lease begins anew.
    Renewed(Batch),
    /// Answers a get: the queue has ended.
    Ended,
    /// Answers a cancelled get.
    Empty,
    /// Answers a join.
    Joined {
        /// How many items have failed.
        failed: u64,
    },
    /// Answers a cancelled join.
    Unfinished {
        /// How many items are ready or in flight.
        items: u64,
    },
    /// Follows the answers to all that the client cancelled.
    Cancelled,
    /// Answers a request that changes this many items.
    Affected {
        items: u64,
    },
}

impl EffectKind {
    pub(super) fn for_client(self, client: ClientId) -> Effect {
        Effect { client, kind: self }
    }

    /// Whether this answers a put or a get with what the client asked for.
    pub(crate) fn is_grant(&self) -> bool {
        matches!(self, Self::Accepted { .. } | Self::Delivered(_))
    }
}

/// Why the queue refuses a request. A refused request changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{}", message!("refusal-capacity", have = .have, asked = .asked))]
    Capacity { have: Capacity, asked: Capacity },
    #[error("{}", message!("refusal-too-far", seq = *.seq))]
    TooManyBlocked { seq: u64 },
    #[error("{}", message!("refusal-get-twice"))]
    GetPending,
    #[error("{}", message!("refusal-not-in-flight", first = .0.first_id, count = .0.count))]
    NotInFlight(BatchRef),
    #[error("{}", message!("refusal-not-failed", id = *.id))]
    NotFailed { id: u64 },
}

/// The number of items in each state. Each accepted item that is not dropped has exactly one state.
/// The serde attributes name the keys of a status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Counts {
    /// The number of items that are accepted and not delivered.
    pub(crate) ready: u64,
    /// The number of items that are delivered and not done.
    pub(crate) in_flight: u64,
    /// The number of items that are done, counted from the beginning of the queue.
    pub(crate) done: u64,
    /// The number of items that are set aside until a person retries or drops them.
    pub(crate) failed: u64,
}

impl Counts {
    /// How many items the queue stores: all but the done items.
    pub(crate) fn stored(&self) -> u64 {
        self.ready + self.in_flight + self.failed
    }
}

/// What one client does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientActivity {
    pub(crate) client: ClientId,
    pub(crate) role: Role,
    pub(crate) wait_reason: Option<WaitReason>,
    /// How many items the client has in flight.
    pub(crate) in_flight: u64,
    /// When the client received the item that it has had for the longest time.
    pub(crate) oldest_delivered_at: Option<Nanos>,
}

/// What a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum WaitReason {
    /// Room for blocked puts.
    Room,
    /// The next item.
    Item,
    /// The end of a join.
    Done,
}

impl WaitReason {
    /// What a worker of this role waits for.
    pub(crate) fn of_role(role: Role) -> Self {
        match role {
            Role::Producer => Self::Room,
            Role::Consumer | Role::Visitor => Self::Item,
        }
    }
}

/// What the journal keeps of a queue besides its items, its clients and the moment of its last end.
/// The names of the fields are keys of the journal's JSON. An alias is a key of version 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct QueueState {
    /// Some: the queue accepts no more items, and no consumer has taken the sentinel yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sentinel: Option<Sentinel>,
    /// None: no client has chosen a capacity or put an item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) capacity: Option<Capacity>,
    /// Accepted items go to the disk before the answer. The rules do not use this field.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) sync: bool,
    /// A producer, a put, a close or a retry has come since the last end.
    #[serde(alias = "begun")]
    pub(crate) has_begun: bool,
    /// The id of the last accepted item; 0 before the first one.
    #[serde(alias = "last_number")]
    pub(crate) last_id: u64,
    /// How many items are done since the queue began.
    #[serde(alias = "done")]
    pub(crate) done_count: u64,
}

/// The mark behind the last item. Its cause decides whether a producer may take the mark back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Sentinel {
    /// The next producer that connects takes this sentinel back.
    LastProducerLeft,
    /// A `close` put this sentinel, and no producer takes it back.
    Closed,
}
