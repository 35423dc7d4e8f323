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
            Self::ProducerDelay => {
                config.producer_delay = config.producer_delay.with_mean(value)?
            }
            Self::ConsumerDelay => {
                config.consumer_delay = config.consumer_delay.with_mean(value)?
            }
            // The command line takes fewer workers.
            Self::Producers => config.producers = u32::try_from(value).ok()?,
            Self::Consumers => config.consumers = u32::try_from(value).ok()?,
            Self::Capacity => config.capacity = value,
        }
        Some(config)
    }

    /// A value as text for people.
    pub(super) fn format_value(self, value: u64) -> String {
        if self.is_delay() { format_seconds(Some(to_seconds(value))) } else { value.to_string() }
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

/// The options that all points have, as the command line takes them. `…` stands for the mean that varies.
pub(super) fn format_settings(varied: Parameter, config: &Config) -> String {
    let text = |parameter: Parameter| match parameter {
        Parameter::ProducerDelay | Parameter::ConsumerDelay => {
            let delay = parameter.delay(config).map(format_delay).unwrap_or_default();
            if parameter != varied || delay.starts_with("file:") {
                return Some(delay);
            }
            let distribution = delay.split_once(':').map(|(name, _)| format!("{name}:"));
            Some(distribution.unwrap_or_default() + "…")
        }
        _ if parameter == varied => None,
        Parameter::Producers => Some(config.producers.to_string()),
        Parameter::Consumers => Some(config.consumers.to_string()),
        Parameter::Capacity => Some(config.capacity.to_string()),
    };
    let options = Parameter::ALL
        .into_iter()
        .filter_map(|parameter| Some(format!("--{} {}", parameter.name(), text(parameter)?)));
    options.collect::<Vec<_>>().join(" ")
}

/// The delay as the command line takes it, with each time in the largest unit that needs no decimals.
pub(super) fn format_delay(delay: &Delay) -> String {
    let text = delay.to_string();
    // The name of a file stays as it is.
    if text.starts_with("file:") {
        return text;
    }
    let times = text.split_inclusive("ns").map(|part| {
        let before = part.strip_suffix("ns").unwrap_or(part);
        let name = before.trim_end_matches(|c: char| c.is_ascii_digit());
        match before[name.len()..].parse() {
            Ok(nanos) if before.len() < part.len() => format!("{name}{}", format_exactly(nanos)),
            _ => part.to_owned(),
        }
    });
    times.collect()
}

fn format_exactly(nanos: Nanos) -> String {
    const UNITS: [(Nanos, &str); 4] =
        [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns")];
    let unit = UNITS.iter().find(|(size, _)| nanos.is_multiple_of(*size));
    let (size, name) = unit.unwrap_or(&(1, "ns"));
    format!("{}{name}", nanos / size)
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

    #[test]
    fn a_delay_is_written_with_the_largest_units_without_decimals() {
        const MS: Nanos = 1_000_000;
        for (delay, text) in [
            (Delay::Constant(1500 * MS), "1500ms"),
            (Delay::Constant(0), "0s"),
            (Delay::Exponential { mean: 1000 * MS }, "exp:1s"),
            (Delay::Uniform { low: 7, high: 5000 }, "uniform:7ns..5us"),
        ] {
            assert_eq!(format_delay(&delay), text);
        }
    }
}
