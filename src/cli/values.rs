//! The values that options take.

use std::time::Duration;

use fundu::{CustomDurationParser, CustomTimeUnit, ParseError, TimeUnit};

use crate::clock::{Delay, nanos};
use crate::keeper::Speed;

/// `1s`, `500ms`, `1.5s`, `0`, `0.2` (seconds, as `sleep` takes them).
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    const UNITS: [CustomTimeUnit<'_>; 7] = [
        CustomTimeUnit::with_default(TimeUnit::NanoSecond, &["ns"]),
        CustomTimeUnit::with_default(TimeUnit::MicroSecond, &["us", "µs"]),
        CustomTimeUnit::with_default(TimeUnit::MilliSecond, &["ms"]),
        CustomTimeUnit::with_default(TimeUnit::Second, &["s"]),
        CustomTimeUnit::with_default(TimeUnit::Minute, &["m"]),
        CustomTimeUnit::with_default(TimeUnit::Hour, &["h"]),
        CustomTimeUnit::with_default(TimeUnit::Day, &["d"]),
    ];
    let parser = CustomDurationParser::builder()
        .time_units(&UNITS)
        .disable_infinity()
        .disable_exponent()
        .build();
    let remedy = "write 1s, 500ms, 1.5s, or 0.2 for seconds";
    let too_long = || "that is longer than 584 years: shorten it".to_owned();
    let parsed = parser.parse(text).map_err(|error| match error {
        ParseError::NegativeNumber => format!("a delay cannot be negative: {remedy}"),
        ParseError::Overflow | ParseError::PositiveExponentOverflow => too_long(),
        _ => format!("that is not a delay: {remedy}"),
    })?;
    let duration =
        Duration::try_from(parsed).map_err(|_| format!("a delay cannot be negative: {remedy}"))?;
    match u64::try_from(duration.as_nanos()) {
        Ok(_) => Ok(duration),
        Err(_) => Err(too_long()),
    }
}

/// `1s`; `exp:1s`, with that mean; `uniform:500ms..1.5s`.
pub(super) fn parse_delay(text: &str) -> Result<Delay, String> {
    let of = |text: &str| parse_duration(text).map(nanos);
    let zero = "a mean of nothing is no pause: write 0, or exp:1s";
    let no_range = "a range has two ends: write uniform:500ms..1.5s";
    match text.split_once(':') {
        Some(("exp", mean)) => match of(mean)? {
            0 => Err(zero.to_owned()),
            mean => Ok(Delay::Exponential { mean }),
        },
        Some(("uniform", range)) => {
            let (low, high) = range.split_once("..").ok_or(no_range)?;
            let (low, high) = (of(low)?, of(high)?);
            match low <= high {
                true => Ok(Delay::Uniform { low, high }),
                false => Err("the range ends before it begins: write the smaller one first".into()),
            }
        }
        Some(_) => Err("that is not a delay: write 1s, exp:1s, or uniform:500ms..1.5s".to_owned()),
        None => of(text).map(Delay::Constant),
    }
}

/// A time that is more than nothing.
pub(super) fn parse_nonzero_duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("that is no time at all: write 1s, for example".to_owned()),
        period => Ok(period),
    }
}

/// How many times as fast as the wall clock, or `max`.
pub(super) fn parse_speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    match text.parse::<f64>() {
        // Slower than a millionth is standing still, faster than a million times is `max`.
        Ok(times) if (1e-6..=1e6).contains(&times) => Ok(Speed::Times(times)),
        _ => Err("a speed is a number from 0.000001 to 1000000, or max: write 1, 10 or max".into()),
    }
}

/// How many items.
pub(super) fn parse_count(text: &str) -> Result<u64, String> {
    use std::num::IntErrorKind::PosOverflow;
    text.parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        PosOverflow => format!("that is too large: write {} at the most", u64::MAX),
        _ => "that is not a whole number from 0 on: write 5, for example".to_owned(),
    })
}

/// `16MiB`, `64K`, `1000`: bytes. A `K` is 1024 of them, with or without an `iB`.
pub(super) fn parse_bytes(text: &str) -> Result<u64, String> {
    let parsed = parse_size::Config::new().with_binary().parse_size(text);
    parsed.map_err(|error| format!("{error}: write 16MiB, 64K, or a number of bytes"))
}

/// The number of an item.
pub(super) fn parse_item_id(text: &str) -> Result<u64, String> {
    match parse_count(text) {
        Ok(id) if id > 0 => Ok(id),
        _ => Err("that is not an item's id: `qdemo failed` lists them".to_owned()),
    }
}

/// How many times.
pub(super) fn parse_u32(text: &str) -> Result<u32, String> {
    u32::try_from(parse_count(text)?)
        .map_err(|_| format!("that is too many: write {} or less", u32::MAX))
}

/// How many workers of a role.
pub(super) fn parse_worker_count(text: &str) -> Result<u32, String> {
    const MOST: u32 = 1000;
    match parse_count(text)? {
        0 => Err("at least one is needed: write 1 or more".to_owned()),
        count => u32::try_from(count)
            .ok()
            .filter(|count| *count <= MOST)
            .ok_or_else(|| format!("that is too many: write {MOST} or less")),
    }
}

/// Which of how many workers: `2/3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WorkerShare {
    pub(super) index: u32,
    pub(super) total: u32,
}

/// `2/3`.
pub(super) fn parse_worker_share(text: &str) -> Result<WorkerShare, String> {
    let parsed = text.split_once('/').and_then(|(number, of)| {
        let number = number.parse().ok()?;
        let of = of.parse().ok()?;
        (1 <= number && number <= of).then_some(WorkerShare { index: number, total: of })
    });
    parsed.ok_or_else(|| "a worker is the how-manieth of how many: write 1/2".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_what_sleep_takes_and_exact() {
        for (text, nanos) in [
            ("1s", 1_000_000_000),
            ("500ms", 500_000_000),
            ("1.5s", 1_500_000_000),
            ("0", 0),
            ("0.2", 200_000_000),
            ("0.000000001", 1),
            ("2m", 120_000_000_000),
            ("3us", 3_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_delay_is_told_with_a_remedy() {
        for (text, reason) in [
            ("banana", "not a delay"),
            ("", "not a delay"),
            ("1 s", "not a delay"),
            ("inf", "not a delay"),
            ("1e3", "not a delay"),
            ("-1s", "negative"),
            ("-0.5", "negative"),
            ("99999999999999999999d", "584 years"),
            ("99999999999", "584 years"),
        ] {
            let error = parse_duration(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn counts_are_whole_numbers_in_range() {
        assert_eq!(parse_count("0"), Ok(0));
        assert_eq!(parse_count("18446744073709551615"), Ok(u64::MAX));
        assert!(parse_count("18446744073709551616").expect_err("").contains("too large"));
        for text in ["-1", "1.5", "", "x"] {
            assert!(parse_count(text).expect_err(text).contains("whole number"));
        }
        assert_eq!(parse_worker_count("1000"), Ok(1000));
        for text in ["0", "1001", "99999999999", "-1"] {
            assert!(parse_worker_count(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_bytes_or_multiples_of_1024() {
        for (text, bytes) in [("0", 0), ("1000", 1000), ("64K", 65536), ("16MiB", 16 << 20)] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "-1", "big", "1X", "99999999999999999999"] {
            assert!(parse_bytes(text).expect_err(text).contains("write 16MiB"), "{text}");
        }
    }

    #[test]
    fn speeds_are_positive_numbers_or_max() {
        assert_eq!(parse_speed("max"), Ok(Speed::Max));
        assert_eq!(parse_speed("0.5"), Ok(Speed::Times(0.5)));
        for text in ["0", "-1", "nan", "inf", "fast", ""] {
            assert!(parse_speed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_is_one_of_so_many() {
        assert_eq!(parse_worker_share("2/3"), Ok(WorkerShare { index: 2, total: 3 }));
        for text in ["0/1", "4/3", "1", "a/b", "1/-1"] {
            assert!(parse_worker_share(text).is_err(), "{text}");
        }
    }
}
