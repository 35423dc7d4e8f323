//! Numbers and times as text for people.

/// A number with four significant digits.
pub(crate) fn format_number(value: Option<f64>) -> String {
    let Some(value) = value else {
        return "–".to_owned();
    };
    if value == 0.0 {
        return "0".to_owned();
    }
    // The logarithm is in range: a float has at most 308 digits.
    let digits = 3 - value.abs().log10().floor() as i64;
    let text = format!("{value:.*}", usize::try_from(digits.clamp(0, 12)).unwrap_or(0));
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A part of 1 as a percentage.
pub(crate) fn format_percent(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{:.1} %", value * 100.0))
}

/// A time in the largest unit that makes its number at least 1.
pub(crate) fn format_seconds(value: Option<f64>) -> String {
    let (value, unit) = match value {
        None => return "–".to_owned(),
        Some(s) if s == 0.0 || s.abs() >= 1.0 => (s, "s"),
        Some(s) if s.abs() >= 1e-3 => (s * 1e3, "ms"),
        Some(s) if s.abs() >= 1e-6 => (s * 1e6, "µs"),
        Some(s) => (s * 1e9, "ns"),
    };
    format!("{} {unit}", format_number(Some(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_significant_digits() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (1.23456, "1.235"),
            (1234.5678, "1235"),
            (200000.0, "200000"),
            (0.0012345678, "0.001235"),
            (-2.5, "-2.5"),
        ] {
            assert_eq!(format_number(Some(value)), text);
        }
        assert_eq!(format_number(None), "–");
    }

    #[test]
    fn times_have_a_suitable_unit() {
        for (value, text) in
            [(0.0, "0 s"), (90.0, "90 s"), (0.25, "250 ms"), (4.2e-5, "42 µs"), (3e-9, "3 ns")]
        {
            assert_eq!(format_seconds(Some(value)), text);
        }
    }
}
