//! The results as a table for people: a row of measured averages for each point, and below it
//! a row of half intervals and a row of theory.

use super::estimate::{Estimate, IntervalMethod, TheoryValue};
use super::metric::{METRICS, Metric, TABLE_METRICS, Unit};
use super::parameter::format_settings;
use super::{PointReport, Settings, SweepReport};
use crate::catalogue::message;
use crate::report::figures::{format_number, format_percent, format_seconds};
use crate::report::{StatsSummary, Table};

/// The columns: the value of the parameter, and the metrics.
const COLUMNS: usize = TABLE_METRICS + 1;
/// The significant digits of half an interval. The mean has as many decimals.
const INTERVAL_DIGITS: i32 = 2;
const MAX_DECIMALS: i32 = 9;

impl SweepReport {
    /// The table and its notes.
    pub(crate) fn to_text(&self) -> String {
        let mut labels = [const { String::new() }; COLUMNS];
        labels[0] = self.parameter.name().to_owned();
        for (label, metric) in labels[1..].iter_mut().zip(&METRICS) {
            *label = (metric.name)();
        }
        let mut table = Table::new([0; COLUMNS], "  ", labels);
        for point in &self.points {
            let [mut means, mut widths] = [const { [const { String::new() }; COLUMNS] }; 2];
            (means[0], widths[0]) = (self.parameter.format_value(point.value), "±".to_owned());
            for (at, (metric, estimate)) in (1..COLUMNS).zip(point.metrics()) {
                [means[at], widths[at]] = metric.unit.format_estimate(estimate);
            }
            table.push(means);
            if self.interval_method != IntervalMethod::Missing {
                table.push(widths);
            }
            if let Some(row) = point.theory_row() {
                table.push(row);
            }
        }
        let notes: String = self.notes().into_iter().map(|note| note + "\n").collect();
        format!("{}\n{notes}", table.to_text())
    }

    /// The options that all points have.
    pub(super) fn settings_text(&self) -> String {
        format_settings(self.parameter, &self.base)
    }

    /// How the sweep was made.
    pub(super) fn runs_text(&self) -> String {
        let Settings { replications, warmup, seed } = self.settings;
        let items = self.base.items;
        message!(
            "sweep-runs",
            replications = replications,
            items = items,
            warmup = warmup,
            seed = seed
        )
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            self.settings_text(),
            self.runs_text(),
            match self.interval_method {
                IntervalMethod::Replications => message!("sweep-student"),
                IntervalMethod::BatchMeans => {
                    message!("sweep-batch-means", batches = StatsSummary::BATCHES)
                }
                IntervalMethod::Missing => message!("sweep-no-interval"),
            },
        ];
        let correlated = self.points.iter().filter(|point| point.has_correlated_batches).count();
        if correlated > 0 {
            notes.push(message!("sweep-correlated", points = correlated));
        }
        let has_bound = |point: &PointReport| {
            let theory = point.metrics().take(TABLE_METRICS).filter_map(|(_, e)| e.theory);
            theory.into_iter().any(|theory| theory.is_bound)
        };
        if self.points.iter().any(has_bound) {
            notes.push(message!("stats-bound"));
        }
        if self.points.iter().any(|point| point.assumes_independence) {
            notes.push(message!("stats-file-order"));
        }
        if self.points.iter().all(|point| point.theory_row().is_none()) {
            notes.push(message!("sweep-no-theory"));
        }
        if self.points.iter().any(|point| point.is_overloaded) {
            notes.push(message!("sweep-overload"));
        }
        notes
    }
}

impl PointReport {
    /// Each metric, and its estimate.
    pub(super) fn metrics(&self) -> impl Iterator<Item = (&'static Metric, &Estimate)> {
        const { &METRICS }.iter().zip(&self.estimates)
    }

    /// What theory says of the point, if it says anything.
    fn theory_row(&self) -> Option<[String; COLUMNS]> {
        if !self.is_overloaded && self.estimates.iter().all(|estimate| estimate.theory.is_none()) {
            return None;
        }
        let mut row = [const { String::new() }; COLUMNS];
        row[0] = message!("sweep-theory");
        for (cell, (metric, estimate)) in row[1..].iter_mut().zip(self.metrics()) {
            *cell = match &estimate.theory {
                Some(theory) => metric.unit.format_theory(theory, estimate.mean),
                None if self.is_overloaded && metric.grows_in_overload => "∞".to_owned(),
                None => format_number(None),
            };
        }
        Some(row)
    }
}

/// A factor, and the name of the unit that has it.
type Scale = (f64, &'static str);

impl Unit {
    /// The scale in which the larger of two values has at least one digit before the decimal point.
    fn scale(self, largest: f64) -> Scale {
        match self {
            Self::Number => (1.0, ""),
            Self::Share => (100.0, " %"),
            Self::Seconds => match largest {
                s if s == 0.0 || s >= 1.0 => (1.0, " s"),
                s if s >= 1e-3 => (1e3, " ms"),
                s if s >= 1e-6 => (1e6, " µs"),
                _ => (1e9, " ns"),
            },
        }
    }

    /// A value without an interval.
    pub(super) fn format(self, value: Option<f64>) -> String {
        match self {
            Self::Number => format_number(value),
            Self::Seconds => format_seconds(value),
            Self::Share => format_percent(value),
        }
    }

    /// The label of a tick on an axis up to `largest`.
    pub(super) fn label(self, value: f64, largest: f64) -> String {
        let (factor, unit) = self.scale(largest);
        format!("{}{unit}", format_number(Some(value * factor)))
    }

    /// The mean, and half of its interval, with as many decimals as the interval determines.
    fn format_estimate(self, estimate: &Estimate) -> [String; 2] {
        let (Some(mean), Some(half_width)) = (estimate.mean, estimate.half_width) else {
            return [self.format(estimate.mean), format_number(None)];
        };
        let theory = estimate.theory.map_or(0.0, |theory| theory.value);
        let (factor, unit) = self.scale(mean.max(theory));
        let (mean, half_width) = (mean * factor, half_width * factor);
        if half_width == 0.0 {
            return [format!("{}{unit}", format_number(Some(mean))), format!("0{unit}")];
        }
        // The logarithm is in range: a float has at most 309 digits.
        let first_digit = half_width.log10().floor() as i32;
        let decimals = (INTERVAL_DIGITS - 1 - first_digit).clamp(0, MAX_DECIMALS) as usize;
        [mean, half_width].map(|value| format!("{value:.decimals$}{unit}"))
    }

    /// A value of theory in the scale of the measured `mean` above it.
    fn format_theory(self, theory: &TheoryValue, mean: Option<f64>) -> String {
        let (factor, unit) = self.scale(mean.unwrap_or_default().max(theory.value));
        let sign = if theory.is_bound { "≤ " } else { "" };
        format!("{sign}{}{unit}", format_number(Some(theory.value * factor)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_has_the_decimals_that_its_interval_determines() {
        let text = |unit: Unit, mean, half_width| {
            unit.format_estimate(&Estimate { mean, half_width, theory: None })
        };
        for (unit, mean, half_width, expected) in [
            (Unit::Number, 0.99957, 0.00123, ["0.9996", "0.0012"]),
            (Unit::Seconds, 0.11132, 0.00091, ["111.32 ms", "0.91 ms"]),
            (Unit::Seconds, 12.3456, 1.2, ["12.3 s", "1.2 s"]),
            (Unit::Seconds, 50_000.0, 123.0, ["50000 s", "123 s"]),
            (Unit::Share, 0.5, 0.001, ["50.00 %", "0.10 %"]),
            (Unit::Share, 0.0, 0.0, ["0 %", "0 %"]),
            (Unit::Number, 2.0, 1e-12, ["2.000000000", "0.000000000"]),
        ] {
            assert_eq!(text(unit, Some(mean), Some(half_width)), expected);
        }
        assert_eq!(text(Unit::Seconds, Some(0.25), None), ["250 ms", "–"]);
        assert_eq!(text(Unit::Seconds, None, Some(1.0)), ["–", "–"]);
    }

    #[test]
    fn a_value_of_theory_has_the_unit_of_the_measured_value() {
        let theory = TheoryValue { value: 1.0, is_bound: false };
        let estimate = Estimate { mean: Some(0.998), half_width: Some(0.01), theory: Some(theory) };
        assert_eq!(Unit::Seconds.format_estimate(&estimate), ["0.998 s", "0.010 s"]);
        assert_eq!(Unit::Seconds.format_theory(&theory, estimate.mean), "1 s");
        let bound = TheoryValue { value: 0.5, is_bound: true };
        assert_eq!(Unit::Seconds.format_theory(&bound, Some(0.25)), "≤ 500 ms");
    }
}
