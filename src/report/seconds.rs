//! Times as numbers of seconds.

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::catalogue::message;
use crate::clock::Nanos;

const NANOS_PER_SECOND: Nanos = 1_000_000_000;

/// A time that JSON holds as a number of seconds, exact to the nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(with = "f64", extend("minimum" = 0)))]
pub(super) struct Seconds(pub(super) Nanos);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = self.to_decimal();
        RawValue::from_string(text).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        Self::parse(text)
            .ok_or_else(|| D::Error::custom(message!("output-not-seconds", value = text)))
    }
}

impl Seconds {
    fn to_decimal(self) -> String {
        let (whole, rest) = (self.0 / NANOS_PER_SECOND, self.0 % NANOS_PER_SECOND);
        let rest = format!("{rest:09}");
        match rest.trim_end_matches('0') {
            "" => format!("{whole}.0"),
            digits => format!("{whole}.{digits}"),
        }
    }

    /// Reads a number of JSON. Digits after the nanoseconds are ignored.
    fn parse(text: &str) -> Option<Self> {
        let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
        if rest.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(whole) = whole.parse::<Nanos>()
        {
            let digits = &rest[..rest.len().min(9)];
            let rest = format!("{digits:0<9}").parse::<Nanos>().ok()?;
            return whole.checked_mul(NANOS_PER_SECOND)?.checked_add(rest).map(Self);
        }
        // The number has an exponent.
        let nanos = (text.parse::<f64>().ok()? * 1e9).round();
        (0.0..Nanos::MAX as f64).contains(&nanos).then_some(Self(nanos as Nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_survives_json() {
        for (nanos, text) in [
            (0, "0.0"),
            (1, "0.000000001"),
            (NANOS_PER_SECOND, "1.0"),
            (1_500_000_000, "1.5"),
            (Nanos::MAX, "18446744073.709551615"),
        ] {
            assert_eq!(serde_json::to_string(&Seconds(nanos)).unwrap(), text);
            assert_eq!(serde_json::from_str::<Seconds>(text).unwrap(), Seconds(nanos));
        }
    }

    #[test]
    fn other_forms_of_a_number_are_read_and_other_text_is_refused() {
        for (text, nanos) in [
            ("2", 2 * NANOS_PER_SECOND),
            ("1e-9", 1),
            ("1.5E1", 15 * NANOS_PER_SECOND),
            ("0.12345678987", 123_456_789),
        ] {
            assert_eq!(serde_json::from_str::<Seconds>(text).unwrap(), Seconds(nanos), "{text}");
        }
        for text in
            ["-1.0", "18446744073.709551616", "18446744074", "1e30", "1e999", "null", "\"1\""]
        {
            assert!(serde_json::from_str::<Seconds>(text).is_err(), "{text}");
        }
    }
}
