//! The values of `--halt` and `--backoff`.

use std::time::Duration;

use super::values::parse_duration;
use crate::catalogue::message;
use crate::exec::{
    Backoff, DEFAULT_CEILING, DEFAULT_JITTER, HaltLimit, HaltMode, HaltOutcome, HaltRule,
};

/// Parses `WHEN,WHY=N` or `WHEN,WHY=N%`.
pub(super) fn parse_halt(text: &str) -> Result<HaltRule, String> {
    let form = || message!("value-not-halt");
    let (mode, rest) = text.split_once(',').ok_or_else(form)?;
    let (outcome, limit) = rest.split_once('=').ok_or_else(form)?;
    let mode = match mode {
        "now" => HaltMode::Now,
        "soon" => HaltMode::Soon,
        _ => return Err(form()),
    };
    let outcome = match outcome {
        "fail" => HaltOutcome::Failed,
        "success" => HaltOutcome::Succeeded,
        "done" => HaltOutcome::Either,
        _ => return Err(form()),
    };
    let limit = match limit.strip_suffix('%') {
        Some(percent) => HaltLimit::Percent(
            parse_percent(percent)
                .filter(|&percent| percent > 0.0)
                .ok_or_else(|| message!("value-halt-percent"))?,
        ),
        None => {
            let items = limit.parse().ok().filter(|_| is_digits(limit)).ok_or_else(form)?;
            if items == 0 {
                return Err(message!("value-halt-zero"));
            }
            HaltLimit::Items(items)
        }
    };
    Ok(HaltRule { mode, outcome, limit })
}

/// Parses `FIRST`, `FIRST..MAX`, both perhaps with `,jitter=P%`.
pub(super) fn parse_backoff(text: &str) -> Result<Backoff, String> {
    let (times, jitter) = match text.split_once(',') {
        Some((times, jitter)) => (times, Some(jitter)),
        None => (text, None),
    };
    let jitter = match jitter {
        None => DEFAULT_JITTER,
        Some(jitter) => {
            let percent = jitter.strip_prefix("jitter=").and_then(|text| text.strip_suffix('%'));
            percent.and_then(parse_percent).ok_or_else(|| message!("value-not-jitter"))? / 100.0
        }
    };
    let (first, ceiling) = match times.split_once("..") {
        Some((_, "") | ("", _)) => {
            return Err(message!("value-open-range", example = "100ms..30s"));
        }
        Some((first, ceiling)) => (parse_duration(first)?, Some(parse_duration(ceiling)?)),
        None => (parse_duration(times)?, None),
    };
    let ceiling: Duration = ceiling.unwrap_or(DEFAULT_CEILING.max(first));
    if ceiling < first {
        return Err(message!("value-reversed-range"));
    }
    Ok(Backoff { first, ceiling, jitter })
}

/// A number from 0 to 100, without a sign or an exponent.
fn parse_percent(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let percent: f64 = text.parse().ok().filter(|_| is_digits(whole) && is_digits(fraction))?;
    (percent <= 100.0).then_some(percent)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_for_halting_is_read_as_it_is_shown() {
        for text in [
            "now,fail=1",
            "soon,fail=3",
            "now,fail=10%",
            "soon,fail=2.5%",
            "soon,success=18446744073709551615",
            "now,done=100%",
        ] {
            assert_eq!(parse_halt(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_wrong_rule_for_halting_is_refused_with_a_remedy() {
        for (text, word) in [
            ("", "soon,fail=10%"),
            ("now", "soon,fail=10%"),
            ("later,fail=1", "soon,fail=10%"),
            ("now,failed=1", "soon,fail=10%"),
            ("now,fail", "soon,fail=10%"),
            ("now,fail=", "soon,fail=10%"),
            ("now,fail=+1", "soon,fail=10%"),
            ("now,fail=1.5", "soon,fail=10%"),
            ("now,fail=1,fail=2", "soon,fail=10%"),
            ("now,fail=18446744073709551616", "soon,fail=10%"),
            ("200%", "soon,fail=10%"),
            ("now,fail=0", "1 or more"),
            ("now,fail=0%", "100%"),
            ("now,fail=200%", "100%"),
            ("now,fail=100.1%", "100%"),
            ("now,fail=-1%", "100%"),
            ("now,fail=1e1%", "100%"),
            ("now,fail=nan%", "100%"),
            ("now,fail=%", "100%"),
        ] {
            let error = parse_halt(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn a_backoff_has_a_first_delay_a_ceiling_and_jitter() {
        let seconds = Duration::from_secs;
        for (text, first, ceiling, jitter) in [
            ("1s", seconds(1), seconds(300), 0.5),
            ("0", seconds(0), seconds(300), 0.5),
            ("10m", seconds(600), seconds(600), 0.5),
            ("1s..1m", seconds(1), seconds(60), 0.5),
            ("2s..2s,jitter=0%", seconds(2), seconds(2), 0.0),
            ("1s,jitter=100%", seconds(1), seconds(300), 1.0),
            ("1s,jitter=12.5%", seconds(1), seconds(300), 0.125),
        ] {
            assert_eq!(parse_backoff(text), Ok(Backoff { first, ceiling, jitter }), "{text}");
        }
    }

    #[test]
    fn a_wrong_backoff_is_refused_with_a_remedy() {
        for (text, word) in [
            ("soon", "write 1s"),
            ("-1s", "negative"),
            ("1s..", "100ms..30s"),
            ("..1s", "100ms..30s"),
            ("2s..1s", "smaller end first"),
            ("1s..2s..3s", "write 1s"),
            ("1s,", "jitter=50%"),
            ("1s,50%", "jitter=50%"),
            ("1s,jitter=50", "jitter=50%"),
            ("1s,jitter=101%", "jitter=50%"),
            ("1s,jitter=-1%", "jitter=50%"),
        ] {
            let error = parse_backoff(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
