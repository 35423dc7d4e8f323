//! The parameter that a sweep varies.

use crate::clock::{Delay, Nanos};
use crate::report::figures::format_seconds;
use crate::report::to_seconds;
use crate::run::Config;

/// A parameter of a run. The value of a delay is its mean in nanoseconds, the value of another parameter is a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parameter {
    ProducerDelay,
    ConsumerDelay,
    Producers,
    Consumers,
    Capacity,
}

impl Parameter {
    pub(crate) const ALL: [Self; 5] = [
        Self::ProducerDelay,
        Self::ConsumerDelay,
        Self::Producers,
        Self::Consumers,
        Self::Capacity,
    ];

    /// The name of the option of the same meaning.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ProducerDelay => "producer-delay",
            Self::ConsumerDelay => "consumer-delay",
            Self::Producers => "producers",
            Self::Consumers => "consumers",
            Self::Capacity => "capacity",
        }
    }

    pub(crate) fn is_delay(self) -> bool {
        matches!(self, Self::ProducerDelay | Self::ConsumerDelay)
    }

    /// The delay of `config` that this parameter scales.
    pub(super) fn delay(self, config: &Config) -> Option<&Delay> {
        match self {
            Self::ProducerDelay => Some(&config.producer_delay),
            Self::ConsumerDelay => Some(&config.consumer_delay),
            _ => None,
        }
    }

    /// `config` with this value of the parameter. `None` if the delay cannot have this mean.
    pub(super) fn apply(self, config: &Config, value: u64) -> Option<Config> {
        let mut config = config.clone();
        match self {
            Self::ProducerDelay => config.producer_delay = config.producer_delay.with_mean(value)?,
            Self::ConsumerDelay => config.consumer_delay = config.consumer_delay.with_mean(value)?,
            // The command line takes fewer workers.
            Self::Producers => config.producers = u32::try_from(value).ok()?,
            Self::Consumers => config.consumers = u32::try_from(value).ok()?,
            Self::Capacity => config.capacity = value,
        }
        Some(config)
    }

    /// A value as text for people.
    pub(super) fn format_value(self, value: u64) -> String {
        if self.is_delay() {
            format_seconds(Some(to_seconds(value)))
        } else {
            value.to_string()
        }
    }

    /// The parameter with a value: `consumers=3`.
    pub(super) fn format_setting(self, value: u64) -> String {
        format!("{}={}", self.name(), self.format_value(value).replace(' ', ""))
    }

    /// The name of the column in CSV, and of the key in JSON.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::ProducerDelay => "producer_delay_s",
            Self::ConsumerDelay => "consumer_delay_s",
            Self::Producers => "producers",
            Self::Consumers => "consumers",
            Self::Capacity => "capacity",
        }
    }
}

/// Values at equal distances from `first` to `last`, rounded to whole numbers.
pub(crate) fn spread_evenly(first: u64, last: u64, count: u64) -> Vec<u64> {
    let span = u128::from(last - first);
    let steps = u128::from(count.saturating_sub(1).max(1));
    let value = |step: u64| {
        let above = (span * u128::from(step) * 2 + steps) / (steps * 2);
        // The value is not beyond `last`.
        first + above as Nanos
    };
    (0..count).map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_spread_evenly_and_include_both_ends() {
        assert_eq!(spread_evenly(1, 10, 4), [1, 4, 7, 10]);
        assert_eq!(spread_evenly(1, 10, 3), [1, 6, 10]);
        assert_eq!(spread_evenly(0, u64::MAX, 3), [0, 1 << 63, u64::MAX]);
        assert_eq!(spread_evenly(5, 5, 1), [5]);
        assert_eq!(spread_evenly(5, 7, 0), [0; 0]);
    }
}
