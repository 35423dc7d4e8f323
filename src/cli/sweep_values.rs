//! The parsers of the values of `qdemo sweep`.

use super::values;
use crate::catalogue::message;
use crate::clock::nanos;
use crate::sweep::{Parameter, spread_evenly};

/// More points would take long, and no table or picture shows them.
const MAX_POINTS: u64 = 1000;
const MAX_REPLICATIONS: u64 = 1000;
/// A name with more differences is no typing error.
const MOST_DIFFERENCES: usize = 3;

/// What a sweep varies, and the values, which increase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Vary {
    pub(super) parameter: Parameter,
    pub(super) values: Vec<u64>,
}

pub(super) fn parse_replications(text: &str) -> Result<u32, String> {
    match values::parse_nonzero_count(text)? {
        count if count > MAX_REPLICATIONS => {
            Err(message!("value-too-many", max = MAX_REPLICATIONS))
        }
        // The number is in range.
        count => Ok(count as u32),
    }
}

/// `consumers=1..10`, `consumers=1..9:3`, `consumers=1,2,4` or `consumer-delay=100ms..1s:10`.
pub(super) fn parse_vary(text: &str) -> Result<Vary, String> {
    let (name, range) = text.split_once('=').ok_or_else(|| message!("sweep-not-vary"))?;
    let parameter = Parameter::ALL.into_iter().find(|parameter| parameter.name() == name);
    let parameter = parameter.ok_or_else(|| unknown_parameter(name))?;
    let value = |text: &str| parse_value(parameter, text);
    let values = if let Some((first, rest)) = range.split_once("..") {
        let (last, count) = match rest.split_once(':') {
            Some((last, count)) => (last, Some(values::parse_count(count)?)),
            None => (rest, None),
        };
        spread(parameter, [value(first)?, value(last)?], count)?
    } else {
        let values = range.split(',').map(value).collect::<Result<Vec<_>, _>>()?;
        if values.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(message!("sweep-not-increasing"));
        }
        limit_points(values.len() as u64)?;
        values
    };
    Ok(Vary { parameter, values })
}

fn unknown_parameter(name: &str) -> String {
    let names = Parameter::ALL.map(Parameter::name);
    let near = names.iter().map(|known| (strsim::damerau_levenshtein(name, known), known));
    let near = near.filter(|(distance, known)| {
        *distance <= MOST_DIFFERENCES && 2 * distance < known.chars().count()
    });
    match near.min_by_key(|(distance, _)| *distance) {
        Some((_, near)) => message!("sweep-similar-parameter", name = name, known = *near),
        None => message!("sweep-unknown-parameter", name = name, names = names.join(", ")),
    }
}

fn parse_value(parameter: Parameter, text: &str) -> Result<u64, String> {
    match parameter {
        Parameter::ProducerDelay | Parameter::ConsumerDelay => {
            values::parse_duration(text).map(nanos)
        }
        Parameter::Producers | Parameter::Consumers => {
            values::parse_worker_count(text).map(u64::from)
        }
        Parameter::Capacity => match values::parse_count(text)? {
            0 => Err(message!("sweep-no-capacity")),
            capacity => Ok(capacity),
        },
    }
}

/// `count` values from `first` to `last`; without a count, each.
fn spread(
    parameter: Parameter,
    [first, last]: [u64; 2],
    count: Option<u64>,
) -> Result<Vec<u64>, String> {
    if first > last {
        return Err(message!("sweep-backwards"));
    }
    let all = (last - first).saturating_add(1);
    let count = match count {
        Some(0) => return Err(message!("sweep-no-points")),
        Some(1) if first < last => return Err(message!("sweep-one-point")),
        Some(count) => count,
        None if parameter.is_delay() => return Err(message!("sweep-open-count")),
        None => all,
    };
    limit_points(count)?;
    if count > all {
        return Err(message!("sweep-few-values", count = all));
    }
    Ok(spread_evenly(first, last, count))
}

fn limit_points(count: u64) -> Result<(), String> {
    let is_few = count <= MAX_POINTS;
    is_few.then_some(()).ok_or_else(|| message!("sweep-many-points", max = MAX_POINTS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_range_is_points_at_equal_distances_or_each_number_or_a_list() {
        for (text, parameter, values) in [
            ("consumers=1..4", Parameter::Consumers, vec![1, 2, 3, 4]),
            ("producers=1..10:4", Parameter::Producers, vec![1, 4, 7, 10]),
            ("capacity=1,4,16", Parameter::Capacity, vec![1, 4, 16]),
            ("capacity=7", Parameter::Capacity, vec![7]),
            ("consumers=3..3", Parameter::Consumers, vec![3]),
            (
                "consumer-delay=100ms..0.3s:3",
                Parameter::ConsumerDelay,
                vec![100 * MS, 200 * MS, 300 * MS],
            ),
            ("producer-delay=0,1ms", Parameter::ProducerDelay, vec![0, MS]),
            ("producer-delay=1ms..1ms:1", Parameter::ProducerDelay, vec![MS]),
        ] {
            assert_eq!(parse_vary(text), Ok(Vary { parameter, values }), "{text}");
        }
        assert_eq!(parse_vary("consumers=1..1000").map(|vary| vary.values.len()), Ok(1000));
        assert_eq!((parse_replications("1"), parse_replications("1000")), (Ok(1), Ok(1000)));
    }

    #[test]
    fn an_invalid_range_is_refused_with_a_remedy() {
        for (text, remedy) in [
            ("", "write NAME=RANGE"),
            ("consumers", "write NAME=RANGE"),
            ("consumer=1..3", "write consumers"),
            ("Consumer-Delay=1s", "write consumer-delay"),
            ("speed=1..3", "write producer-delay, consumer-delay, producers, consumers, capacity"),
            ("consumers=", "whole number"),
            ("consumers=1..", "whole number"),
            ("consumers=1.5..3", "whole number"),
            ("consumers=0..3", "write 1 or more"),
            ("consumers=1..1001", "write 1000 or less"),
            ("capacity=0..3", "write 1 or more"),
            ("capacity=1..1000000", "write 1000 points or fewer"),
            ("capacity=1..1000000:1000000", "write 1000 points or fewer"),
            ("consumer-delay=banana..1s:3", "not a time"),
            ("consumer-delay=exp:1s", "not a time"),
            ("consumer-delay=-1s..1s:3", "negative"),
            ("consumer-delay=100ms..1s", "write 100ms..1s:10"),
            ("consumer-delay=950ms..100ms:10", "smaller end first"),
            ("consumers=3..1", "smaller end first"),
            ("consumers=3,1", "from the smallest to the largest"),
            ("consumers=1,1", "from the smallest to the largest"),
            ("consumers=10..10:0", "write 2 or more"),
            ("consumers=1..3:x", "whole number"),
            ("consumers=1..3:1", "write 2 or more"),
            ("consumers=1..3:4", "at most 3"),
            ("consumer-delay=1ms..1ms:2", "at most 1"),
        ] {
            let error = parse_vary(text).expect_err(text);
            assert!(error.contains(remedy), "{text}: {error}");
        }
        assert!(parse_replications("0").is_err() && parse_replications("1001").is_err());
    }
}
