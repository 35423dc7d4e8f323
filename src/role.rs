//! The roles of clients, and the workers of a run.

use serde::{Deserialize, Serialize};

/// What a client is for the queue: its role decides when the queue ends. Every client may put and get,
/// whatever its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Puts items. When the last producer leaves, the queue ends after the items that it has.
    Producer,
    /// Gets items, and learns when the queue has ended.
    Consumer,
    /// Does anything, and may connect and leave at any time without ending the queue. After the last
    /// producer has left, a visitor still can put items until the queue ends.
    Visitor,
}

/// A worker of a run. When several workers could go next, they go in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WorkerId {
    /// Producers come before consumers.
    pub(crate) role: Role,
    /// Counted from 1 within the role.
    pub(crate) index: u32,
}
