//! The cases of a benchmark: which implementation passes which items between how many processes.

use serde::Serialize;

use super::figures::format_bytes;
use crate::catalogue::message;
use crate::clock::Nanos;

/// How long a trial puts items.
pub(super) const PUT_DURATION: Nanos = 60_000_000;
/// How many bytes of items a throughput trial puts at most. `multiprocessing.Queue` accepts large items without a
/// limit, and passes them on later.
const MAX_PUT_BYTES: u64 = 64 << 20;

/// What passes the items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum Implementation {
    /// A queue of `qdemo run`.
    Qdemo,
    /// The machine's own limit: a writer, a relay and a reader on two named pipes.
    Relay,
    /// Python's `multiprocessing.Queue`.
    Python,
}

/// What a trial measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metric {
    /// Items per second.
    Throughput,
    /// Nanoseconds from process to process, with one item at a time.
    Latency,
}

/// Items of one size, between given numbers of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct BenchCase {
    /// What passes the items.
    #[serde(rename = "subject")]
    pub(crate) implementation: Implementation,
    /// The size of an item as JSON, in bytes.
    pub(crate) size: u64,
    /// The number of processes that put.
    pub(crate) producers: u32,
    /// The number of processes that get.
    pub(crate) consumers: u32,
    /// How many clients are connected beside the workers and ask for nothing.
    #[serde(rename = "idle", skip_serializing_if = "is_zero")]
    pub(crate) idle_clients: u32,
}

// Serde passes a reference.
#[expect(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl BenchCase {
    /// The case as people read it.
    pub(crate) fn label(&self) -> String {
        let &Self { implementation, size, producers, consumers, idle_clients } = self;
        let size = format_bytes(size);
        match implementation {
            Implementation::Qdemo if idle_clients > 0 => message!(
                "bench-idle-case",
                size = size,
                producers = producers,
                consumers = consumers,
                idle = idle_clients
            ),
            Implementation::Qdemo => {
                message!("bench-case", size = size, producers = producers, consumers = consumers)
            }
            Implementation::Relay => message!("bench-relay-case", size = size),
            Implementation::Python => message!(
                "bench-python-case",
                size = size,
                producers = producers,
                consumers = consumers
            ),
        }
    }

    /// How many items one producer of a throughput trial puts at most.
    pub(super) fn max_puts(&self) -> u64 {
        let all = MAX_PUT_BYTES / self.size.max(1);
        (all / u64::from(self.producers.max(1))).max(1)
    }
}

/// What could not be measured, or not as intended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SkippedMeasurement {
    /// The cases, for people, in their language.
    pub(crate) what: String,
    /// The reason, for people, in their language.
    #[serde(rename = "why")]
    pub(crate) reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_producers_together_put_at_most_64_mib_and_each_puts_something() {
        let max_puts = |size, producers| {
            let implementation = Implementation::Qdemo;
            BenchCase { implementation, size, producers, consumers: 1, idle_clients: 0 }.max_puts()
        };
        assert_eq!(max_puts(16, 1), 4 << 20);
        assert_eq!(max_puts(1 << 20, 1), 64);
        assert_eq!(max_puts(1 << 20, 4), 16);
        assert_eq!(max_puts(16 << 20, 100), 1);
    }
}
