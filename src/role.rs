//! Roles, and the workers of a run.

use serde::{Deserialize, Serialize};

/// What a client does with the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Puts items. The queue ends when the last of them has left.
    Producer,
    /// Gets items, and is told when the queue has ended.
    Consumer,
    /// Does whatever it likes, and may come and go: that it leaves ends nothing. What it puts while
    /// the sentinel of the last producer stands goes in before the sentinel.
    Visitor,
}

/// One of the workers of a run. They go in this order when several could.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WorkerId {
    /// Producers go before consumers.
    pub(crate) role: Role,
    /// From 1, within the role.
    pub(crate) index: u32,
}
