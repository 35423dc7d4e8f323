//! The parsers of option values. Each error text contains its remedy, in the language of this process.

use std::ffi::OsString;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clap::builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser};
use fundu::{CustomDurationParser, CustomTimeUnit, ParseError, TimeUnit};

use crate::catalogue::message;
use crate::client::Timeout;
use crate::clock::nanos;
use crate::keeper::Speed;
use crate::queue_name::{QueueName, QueueNameError};
use crate::report::{OutputFormat, PictureFormat, PicturePath};

/// The output formats of one option. `text` and `log` are the format for people, `off` is no output.
pub(super) fn output_format(
    names: &'static [&'static str],
) -> impl TypedValueParser<Value = OutputFormat> {
    PossibleValuesParser::new(names).map(|name| match name.as_str() {
        "json" => OutputFormat::Json,
        "raw" => OutputFormat::Raw,
        "trace" => OutputFormat::Trace,
        "off" => OutputFormat::Silent,
        _ => OutputFormat::Log,
    })
}

/// A path whose ending names one of `formats`.
pub(super) fn picture_path(
    formats: &'static [PictureFormat],
) -> impl TypedValueParser<Value = PicturePath> {
    OsStringValueParser::new().try_map(|text: OsString| {
        let path = PathBuf::from(text);
        let format = PictureFormat::from_path(&path).filter(|format| formats.contains(format));
        let path = format.map(|format| PicturePath { path, format });
        path.ok_or_else(|| {
            let endings = formats.iter().map(|format| format.extension().to_owned());
            let either = |first, second| message!("value-or", first = first, second = second);
            let endings = endings.reduce(either).unwrap_or_default();
            message!("value-file-type", endings = endings)
        })
    })
}

/// `1s`, `500ms`, `1.5s`, `0`, or `0.2` (seconds, as in `sleep 0.2`).
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
    let too_long = || message!("value-long-time");
    let parsed = parser.parse(text).map_err(|error| match error {
        ParseError::NegativeNumber => message!("value-negative-time"),
        ParseError::Overflow | ParseError::PositiveExponentOverflow => too_long(),
        _ => message!("value-not-time"),
    })?;
    let duration = Duration::try_from(parsed).map_err(|_| message!("value-negative-time"))?;
    u64::try_from(duration.as_nanos()).map(|_| duration).map_err(|_| too_long())
}

/// A time after which a client counts as dead. The server hears of a client every second.
pub(super) fn parse_dead_after(text: &str) -> Result<Duration, String> {
    const LEAST: Duration = Duration::from_secs(3);
    let limit = parse_duration(text)?;
    let is_long = limit >= LEAST;
    is_long.then_some(limit).ok_or_else(|| message!("value-short-dead-after"))
}

/// A time for an answer; 0 is not to wait.
pub(super) fn parse_timeout(text: &str) -> Result<Timeout, String> {
    parse_duration(text).map(|limit| Timeout::After(nanos(limit)))
}

pub(super) fn parse_nonzero_duration(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err(message!("value-zero-time")),
        duration => Ok(duration),
    }
}

/// A multiple of wall time, or `max`.
pub(super) fn parse_speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    match text.parse::<f64>() {
        // A speed below a millionth stands still. A speed above a million is `max`.
        Ok(times) if (1e-6..=1e6).contains(&times) => Ok(Speed::Times(times)),
        _ => Err(message!("value-not-speed")),
    }
}

pub(super) fn parse_count(text: &str) -> Result<u64, String> {
    use std::num::IntErrorKind::PosOverflow;
    text.parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        PosOverflow => message!("value-large-number", max = u64::MAX),
        _ => message!("value-not-number"),
    })
}

pub(super) fn parse_nonzero_count(text: &str) -> Result<u64, String> {
    match parse_count(text)? {
        0 => Err(message!("value-zero-count")),
        count => Ok(count),
    }
}

pub(super) fn parse_u32(text: &str) -> Result<u32, String> {
    limit_to_u32(parse_count(text)?, u32::MAX)
}

pub(super) fn parse_nonzero_u32(text: &str) -> Result<u32, String> {
    limit_to_u32(parse_nonzero_count(text)?, u32::MAX)
}

/// The largest number of workers of one role, and of commands at a time.
const MAX_WORKERS: u32 = 1000;

pub(super) fn parse_worker_count(text: &str) -> Result<u32, String> {
    limit_to_u32(parse_nonzero_count(text)?, MAX_WORKERS)
}

/// The number of commands at a time: `4`, `50%` of the cores that this process may use, or `auto` for all of them.
pub(super) fn parse_jobs(text: &str) -> Result<u32, String> {
    // The number respects the affinity of this process, and the quota of its control group.
    let cores = thread::available_parallelism().map_or(1, usize::from);
    parse_jobs_on(cores as u64, text)
}

fn parse_jobs_on(cores: u64, text: &str) -> Result<u32, String> {
    if text == "auto" {
        return limit_to_u32(cores.min(MAX_WORKERS.into()), MAX_WORKERS);
    }
    let (number, is_percentage) = match text.strip_suffix('%') {
        Some(number) => (number, true),
        None => (text, false),
    };
    // In GNU parallel `+2` stands for two more than there are cores.
    if !number.bytes().all(|byte| byte.is_ascii_digit()) || number.is_empty() {
        return Err(message!("value-not-jobs"));
    }
    // Digits alone are a number that is at most too large.
    let jobs = match number.parse().unwrap_or(u64::MAX) {
        0 => return Err(message!("value-zero-count")),
        percent if is_percentage => cores.saturating_mul(percent).div_ceil(100),
        jobs => jobs,
    };
    limit_to_u32(jobs, MAX_WORKERS)
}

fn limit_to_u32(count: u64, max: u32) -> Result<u32, String> {
    let count = u32::try_from(count).ok().filter(|&count| count <= max);
    count.ok_or_else(|| message!("value-too-many", max = max))
}

/// A number of bytes: `16MiB`, `64K`, `1000`. `K` and `KiB` are 1024 bytes.
pub(super) fn parse_bytes(text: &str) -> Result<u64, String> {
    let parsed = parse_size::Config::new().with_binary().parse_size(text);
    parsed.map_err(|error| match error {
        parse_size::Error::PosOverflow => message!("value-large-size"),
        _ => message!("value-not-size"),
    })
}

pub(super) fn parse_item_id(text: &str) -> Result<u64, String> {
    let id = parse_count(text).ok().filter(|&id| id > 0);
    id.ok_or_else(|| message!("value-not-id"))
}

pub(super) fn parse_queue_name(text: &str) -> Result<QueueName, String> {
    text.parse().map_err(|error: QueueNameError| error.to_string())
}

/// One worker of a run: worker `index` of `total` workers of its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WorkerShare {
    /// From 1 on.
    pub(super) index: u32,
    pub(super) total: u32,
}

/// `2/3`.
pub(super) fn parse_worker_share(text: &str) -> Result<WorkerShare, String> {
    let parsed = text.split_once('/').and_then(|(index, total)| {
        let share = WorkerShare { index: index.parse().ok()?, total: total.parse().ok()? };
        (1..=share.total).contains(&share.index).then_some(share)
    });
    parsed.ok_or_else(|| message!("value-not-share"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_exact_and_a_bare_number_is_in_seconds() {
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
    fn an_invalid_delay_is_refused_with_a_remedy() {
        for (text, reason) in [
            ("banana", "not a time"),
            ("", "not a time"),
            ("1 s", "not a time"),
            ("inf", "not a time"),
            ("1e3", "not a time"),
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
    fn the_number_of_jobs_is_a_number_or_a_share_of_the_usable_cores() {
        for (cores, text, jobs) in [
            (8, "1", 1),
            (8, "1000", 1000),
            (8, "auto", 8),
            (1, "auto", 1),
            (2000, "auto", 1000),
            (8, "100%", 8),
            (8, "50%", 4),
            (8, "51%", 5),
            (8, "1%", 1),
            (1, "50%", 1),
            (2, "300%", 6),
        ] {
            assert_eq!(parse_jobs_on(cores, text), Ok(jobs), "{text} of {cores}");
        }
        for (text, reason) in [
            ("0", "write 1 or more"),
            ("0%", "write 1 or more"),
            ("1001", "write 1000 or less"),
            ("100000%", "write 1000 or less"),
            ("18446744073709551615%", "write 1000 or less"),
            ("18446744073709551616", "write 1000 or less"),
            ("-1", "write 4, 50%"),
            ("-1%", "write 4, 50%"),
            ("+2", "write 4, 50%"),
            ("12.5%", "write 4, 50%"),
            ("%", "write 4, 50%"),
            ("", "write 4, 50%"),
            ("Auto", "write 4, 50%"),
            ("4 ", "write 4, 50%"),
        ] {
            let error = parse_jobs_on(8, text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
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
    fn a_worker_share_has_an_index_from_1_to_the_total() {
        assert_eq!(parse_worker_share("2/3"), Ok(WorkerShare { index: 2, total: 3 }));
        for text in ["0/1", "4/3", "1", "a/b", "1/-1"] {
            assert!(parse_worker_share(text).is_err(), "{text}");
        }
    }
}
