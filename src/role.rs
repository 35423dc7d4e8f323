//! The roles of clients, and the ids of a run's workers.

use serde::{Deserialize, Serialize};

/// The role of a client in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Puts items. The queue ends after the last producer has left.
    Producer,
    /// Gets items, until the queue ends.
    Consumer,
    /// A client whose leaving ends nothing: a one-shot command, or a [`Queue`](crate::Queue) handle. Its
    /// puts go before the sentinel of the last producer.
    Visitor,
}

/// A worker of a run. The order of the ids is the order of workers that are due at the same paced time:
/// producers before consumers, then by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WorkerId {
    pub(crate) role: Role,
    /// 1-based, within the role.
    pub(crate) index: u32,
}
