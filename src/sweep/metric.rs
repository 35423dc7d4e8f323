//! The averages that a sweep reports.

use crate::catalogue::message;
use crate::report::Averages;

/// An average of a run.
#[derive(Debug)]
pub(crate) struct Metric {
    /// The value of `--metric`.
    pub(crate) option: &'static str,
    /// The key in JSON, and the beginning of the names of its columns in CSV.
    pub(super) key: &'static str,
    pub(super) name: fn() -> String,
    pub(super) value: fn(&Averages) -> f64,
    pub(super) unit: Unit,
    /// Where theory has only a bound, the bound is that of this average.
    pub(super) has_bound: bool,
    /// The average grows with the number of items if the queue is overloaded.
    pub(super) grows_in_overload: bool,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Items, or items per second.
    Number,
    Seconds,
    /// A part of 1.
    Share,
}

/// The number of averages, from the first one on, that the table shows.
pub(super) const TABLE_METRICS: usize = 5;

pub(super) const METRICS: [Metric; 8] = [
    Metric {
        option: "throughput",
        key: "throughput_per_s",
        name: || message!("stats-throughput"),
        value: |averages| averages.throughput,
        unit: Unit::Number,
        has_bound: false,
        grows_in_overload: false,
    },
    Metric {
        option: "wait",
        key: "wait_s",
        name: || message!("stats-wait"),
        value: |averages| averages.waiting_time,
        unit: Unit::Seconds,
        has_bound: true,
        grows_in_overload: true,
    },
    Metric {
        option: "sojourn",
        key: "sojourn_s",
        name: || message!("stats-sojourn"),
        value: |averages| averages.sojourn_time,
        unit: Unit::Seconds,
        has_bound: true,
        grows_in_overload: true,
    },
    Metric {
        option: "utilization",
        key: "utilization",
        name: || message!("stats-utilization"),
        value: |averages| averages.utilization,
        unit: Unit::Share,
        has_bound: false,
        grows_in_overload: false,
    },
    Metric {
        option: "blocked",
        key: "blocked",
        name: || message!("stats-blocked"),
        value: |averages| averages.blocked_share,
        unit: Unit::Share,
        has_bound: false,
        grows_in_overload: false,
    },
    Metric {
        option: "depth",
        key: "depth",
        name: || message!("stats-depth"),
        value: |averages| averages.depth,
        unit: Unit::Number,
        has_bound: true,
        grows_in_overload: true,
    },
    Metric {
        option: "in-system",
        key: "in_system",
        name: || message!("stats-in-system"),
        value: |averages| averages.in_system,
        unit: Unit::Number,
        has_bound: true,
        grows_in_overload: true,
    },
    Metric {
        option: "wait-probability",
        key: "wait_probability",
        name: || message!("stats-wait-probability"),
        value: |averages| averages.wait_probability,
        unit: Unit::Share,
        has_bound: false,
        grows_in_overload: false,
    },
];

impl Metric {
    /// The values of `--metric`.
    pub(crate) const OPTIONS: [&'static str; METRICS.len()] = {
        let mut options = [""; METRICS.len()];
        let mut at = 0;
        while at < METRICS.len() {
            options[at] = METRICS[at].option;
            at += 1;
        }
        options
    };
}
