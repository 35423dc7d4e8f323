//! What the keeper hands to a client: items, answers and counts, as plain values.

use crate::queue::{Batch, BatchRef, Counts};

/// Items that a [`Client`](crate::Client) has got and that are in flight with it.
///
/// All of them have consecutive ids and the same attempt. Report a whole delivery with
/// [`Client::done`](crate::Client::done) or [`Client::requeue`](crate::Client::requeue), and a single
/// item of it, by its [`ItemRef`], with [`Client::done_item`](crate::Client::done_item),
/// [`Client::requeue_item`](crate::Client::requeue_item) or [`Client::fail`](crate::Client::fail).
/// Dropping a `Delivery` does nothing: the items stay in flight until the client reports them or leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub(super) batch: Batch,
}

impl Delivery {
    pub(crate) fn batch(&self) -> &Batch {
        &self.batch
    }

    pub(crate) fn into_batch(self) -> Batch {
        self.batch
    }

    /// The number of items, at least 1.
    pub fn count(&self) -> u64 {
        self.batch.count()
    }

    /// The attempt that this delivery is: 1 when the items are delivered for the first time, and one
    /// more for each time that they went back to the queue.
    pub fn attempt(&self) -> u32 {
        self.batch.attempt
    }

    /// The items in the order of their ids, each as a reference and its JSON text.
    pub fn items(&self) -> impl Iterator<Item = (ItemRef, &[u8])> {
        let attempt = self.attempt();
        self.batch.iter_with_ids().map(move |(id, json)| (ItemRef { id, attempt }, json))
    }
}

/// Names one item of a [`Delivery`]: its id and its attempt.
///
/// The attempt makes the reference safe to keep. Once an item has gone back to the queue, a report
/// about the old attempt has no effect on the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ItemRef {
    pub(crate) id: u64,
    pub(crate) attempt: u32,
}

impl ItemRef {
    /// The id of the item, unique in its queue. Ids start from 1 and follow the order in which the
    /// queue accepted the items.
    pub fn id(self) -> u64 {
        self.id
    }

    /// The attempt, counted from 1.
    pub fn attempt(self) -> u32 {
        self.attempt
    }
}

impl From<ItemRef> for BatchRef {
    fn from(item: ItemRef) -> Self {
        Self { first_id: item.id, count: 1, attempt: Some(item.attempt) }
    }
}

/// The answer to a get.
#[derive(Debug)]
pub(super) enum GetReply {
    Items(Delivery),
    /// The queue has ended.
    Ended,
}

impl From<GetReply> for Option<Delivery> {
    fn from(reply: GetReply) -> Self {
        match reply {
            GetReply::Items(delivery) => Some(delivery),
            GetReply::Ended => None,
        }
    }
}

/// A reply that the client does not wait for.
#[derive(Debug)]
pub(crate) enum Notification {
    /// These items are in flight with this client now.
    Delivered(Delivery),
    /// The queue has ended.
    Ended,
    Counts(Counts),
    /// Whether the requested attempt has begun. If not, the item is no longer in flight with this client.
    AttemptReply(bool),
}

/// Items that the queue accepted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// How many of the client's puts, in their order.
    pub(crate) count: u64,
    /// The id of the first item; the others follow.
    pub(crate) first_id: u64,
}

/// What a client leaves behind, from [`Client::leave`](crate::Client::leave).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaveSummary {
    /// The number of items that are ready.
    pub ready: u64,
    /// The number of consumers that are connected.
    pub consumers: u64,
}
