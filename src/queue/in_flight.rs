//! The records of items that have left the ready list: in flight with a client, or failed.

use super::Batch;
use crate::clock::Nanos;

/// A delivered batch that its client has not finished.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) delivered_at: Nanos,
    /// When the lease began: at the delivery, or at the last renewal.
    pub(crate) leased_at: Nanos,
    pub(crate) batch: Batch,
    /// The client began this attempt itself: the queue delivered the items in an earlier attempt.
    pub(crate) is_client_attempt: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailedItem {
    /// A batch of one item.
    pub(crate) batch: Batch,
    /// Why; see [`Failure`](crate::failure::Failure).
    pub(crate) reason: String,
}

impl FailedItem {
    /// The items of a failed batch, by their ids. Each item owns its bytes, since a failed item stays
    /// for long.
    pub(super) fn split(mut batch: Batch, reason: &str) -> impl Iterator<Item = (u64, Self)> {
        std::iter::from_fn(move || {
            let mut batch = (batch.count() > 0).then(|| batch.split_to(1))?;
            batch.items.detach();
            Some((batch.first_id, Self { batch, reason: reason.to_owned() }))
        })
    }
}
