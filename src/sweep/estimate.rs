//! Averages over replications, with their confidence intervals, beside the values of theory.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::metric::{METRICS, Metric};
use crate::report::{Averages, SteadyState};

/// The part of all intervals that contain the true average.
const CONFIDENCE: f64 = 0.95;

/// Where the confidence intervals come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum IntervalMethod {
    /// One run that is too short for batch means.
    Missing,
    /// The means of successive batches of one run.
    BatchMeans,
    /// The means of independent runs.
    Replications,
}

/// What a sweep keeps of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replication {
    pub(super) averages: Averages,
    /// By batch means.
    pub(super) half_widths: Option<Averages>,
    /// The batches depend on each other.
    pub(super) has_correlated_batches: bool,
}

/// An average of a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    /// `None` if the runs do not determine the average.
    pub(super) mean: Option<f64>,
    /// Half the width of the 95 % confidence interval around the mean.
    pub(super) half_width: Option<f64>,
    pub(super) theory: Option<TheoryValue>,
}

/// What theory says of an average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TheoryValue {
    pub(super) value: f64,
    /// The value is an upper bound.
    pub(super) is_bound: bool,
}

impl TheoryValue {
    pub(super) fn of(metric: &Metric, steady: &SteadyState) -> Option<Self> {
        let value = finite((metric.value)(&steady.averages))?;
        Some(Self { value, is_bound: steady.is_bound && metric.has_bound })
    }
}

impl Estimate {
    /// The ends of the confidence interval.
    pub(super) fn interval(&self) -> Option<[f64; 2]> {
        let (mean, half_width) = (self.mean?, self.half_width?);
        Some([mean - half_width, mean + half_width])
    }
}

/// The estimates of all metrics from the replications of a point, and what their intervals come from.
pub(super) fn estimate_all(
    runs: &[Replication],
    steady: Option<SteadyState>,
) -> ([Estimate; METRICS.len()], IntervalMethod) {
    let lone_widths = match runs {
        [run] => run.half_widths,
        _ => None,
    };
    let method = match (runs, lone_widths) {
        ([_, _, ..], _) => IntervalMethod::Replications,
        (_, Some(_)) => IntervalMethod::BatchMeans,
        _ => IntervalMethod::Missing,
    };
    let estimates = METRICS.each_ref().map(|metric| {
        let values: Vec<f64> = runs.iter().map(|run| (metric.value)(&run.averages)).collect();
        let batch_width = |widths: Averages| (metric.value)(&widths);
        Estimate {
            mean: finite(mean(&values)),
            half_width: lone_widths.map_or_else(|| half_width(&values), |w| finite(batch_width(w))),
            theory: steady.and_then(|steady| TheoryValue::of(metric, &steady)),
        }
    });
    (estimates, method)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Half the width of the confidence interval of the mean of independent values, by Student's t. `None` for one value.
fn half_width(values: &[f64]) -> Option<f64> {
    let freedom = values.len().checked_sub(2)? as f64 + 1.0;
    let mean = mean(values);
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    let quantile =
        StudentsT::new(0.0, 1.0, freedom).ok()?.inverse_cdf(f64::midpoint(CONFIDENCE, 1.0));
    finite(quantile * (squares / freedom / values.len() as f64).sqrt())
}

/// `None` for the quotient of a division by zero.
fn finite(value: f64) -> Option<f64> {
    Some(value).filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The quantiles are those of the tables.
    #[test]
    fn the_interval_follows_students_t() {
        for (count, quantile) in [(2, 12.706), (5, 2.776), (10, 2.262), (20, 2.093), (1000, 1.962)]
        {
            // The deviation of values that are 0 and 2 in equal parts is √(n / (n - 1)), for an even number.
            let values: Vec<f64> = (0..count).map(|n| f64::from(n % 2 * 2)).collect();
            let squares: f64 = values.iter().map(|value| (value - mean(&values)).powi(2)).sum();
            let error = (squares / f64::from(count - 1) / f64::from(count)).sqrt();
            let width = half_width(&values).unwrap();
            assert!((width / error - quantile).abs() < 5e-4, "{count}: {width}");
        }
        assert_eq!(half_width(&[3.0]), None);
        assert_eq!(half_width(&[]), None);
        assert_eq!(half_width(&[3.0; 4]), Some(0.0));
        assert_eq!(half_width(&[3.0, f64::NAN]), None);
    }
}
