//! Medians, percentiles, and their texts.

use serde::Serialize;

/// The maximum of [`MedianRange::relative_half_range`] in a reliable measurement.
const MAX_RELATIVE_SPREAD: f64 = 0.25;

/// The median and the range of several rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct MedianRange {
    /// The median of the rounds.
    pub(crate) median: f64,
    /// The least value of a round.
    #[serde(rename = "least")]
    pub(crate) min: f64,
    /// The largest value of a round.
    #[serde(rename = "most")]
    pub(crate) max: f64,
}

impl MedianRange {
    /// None without a value.
    pub(super) fn from_values(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let (&min, &max) = (values.first()?, values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Some(Self { median, min, max })
    }

    /// Half of the range, as a part of the median.
    pub(crate) fn relative_half_range(&self) -> f64 {
        (self.max - self.min) / 2.0 / self.median
    }

    /// Whether the rounds differ too much.
    pub(crate) fn is_too_wide(&self) -> bool {
        self.relative_half_range() > MAX_RELATIVE_SPREAD
    }
}

/// The percentile of sorted values by the nearest-rank method. `part` is between 0 and 1.
pub(super) fn nearest_rank(values: &[u64], part: f64) -> Option<u64> {
    let rank = (part * values.len() as f64).ceil().max(1.0);
    // The rank is at most the number of values, so the cast is exact.
    values.get(rank as usize - 1).copied()
}

/// Formats a value with three digits and an SI prefix: `12.3 M`, `45.6 µ`.
pub(super) fn format_si(value: f64) -> String {
    const PREFIXES: [(f64, &str); 7] =
        [(1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n")];
    // A value that rounds up to the next prefix gets the next prefix.
    let fits = |(unit, _): &&(f64, &str)| value >= unit * 0.9995;
    let &(unit, prefix) = PREFIXES.iter().find(fits).unwrap_or(&PREFIXES[6]);
    let scaled = value / unit;
    let digits = match scaled {
        99.95.. => 0,
        9.995.. => 1,
        _ => 2,
    };
    format!("{scaled:.digits$} {prefix}")
}

/// Formats a size in the largest exact unit: `16 B`, `4 KiB`.
pub(super) fn format_bytes(size: u64) -> String {
    match size {
        0 => "0 B".to_owned(),
        size if size % (1 << 20) == 0 => format!("{} MiB", size >> 20),
        size if size % (1 << 10) == 0 => format!("{} KiB", size >> 10),
        size => format!("{size} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_value_or_the_midpoint_of_two() {
        let range = MedianRange::from_values(vec![5.0, 1.0, 3.0]).unwrap();
        assert_eq!((range.median, range.min, range.max), (3.0, 1.0, 5.0));
        assert_eq!(MedianRange::from_values(vec![4.0, 1.0]).unwrap().median, 2.5);
        assert_eq!(MedianRange::from_values(Vec::new()), None);
    }

    #[test]
    fn a_range_is_too_wide_beyond_a_quarter_up_or_down() {
        let range = |min, max| MedianRange { median: 100.0, min, max };
        assert_eq!(range(80.0, 120.0).relative_half_range(), 0.2);
        assert!(!range(75.0, 125.0).is_too_wide());
        assert!(range(75.0, 126.0).is_too_wide());
    }

    #[test]
    fn a_percentile_is_the_value_of_the_nearest_rank() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!(nearest_rank(&hundred, 0.5), Some(50));
        assert_eq!(nearest_rank(&hundred, 0.99), Some(99));
        assert_eq!(nearest_rank(&[7, 8, 9], 0.5), Some(8));
        assert_eq!(nearest_rank(&[7], 0.99), Some(7));
        assert_eq!(nearest_rank(&[], 0.5), None);
    }

    #[test]
    fn figures_have_three_digits() {
        for (value, text) in [
            (18_234_567.0, "18.2 M"),
            (999_900.0, "1.00 M"),
            (99.96, "100 "),
            (1.5, "1.50 "),
            (0.0000213, "21.3 µ"),
            (9.5e-7, "950 n"),
        ] {
            assert_eq!(format_si(value), text);
        }
    }

    #[test]
    fn sizes_have_the_largest_exact_unit() {
        for (size, text) in [(16, "16 B"), (4096, "4 KiB"), (5000, "5000 B"), (1 << 24, "16 MiB")] {
            assert_eq!(format_bytes(size), text);
        }
    }
}
