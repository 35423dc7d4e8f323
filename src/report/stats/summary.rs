//! The summary of the statistics at the end of a run.

use serde::Serialize;

use super::batch_means::Estimator;
use super::theory::SteadyState;
use super::{StatsCollector, TimeDistribution};
use crate::clock::Nanos;
use crate::report::to_seconds;

/// The statistics of a run, as `--stats json` prints them. Times are in seconds, and averages over time are
/// weighted with it. A value that the run does not determine is null.
#[derive(Debug, Serialize)]
pub(crate) struct StatsSummary {
    /// Items that are done, without the warm-up.
    pub(super) items: u64,
    pub(super) elapsed_s: f64,
    pub(super) throughput_per_s: Option<f64>,
    pub(super) depth: DepthSummary,
    pub(super) wait_s: TimeSummary,
    pub(super) sojourn_s: TimeSummary,
    pub(super) in_system: MeanSummary,
    /// The time that each producer waited for room.
    pub(super) blocked_s: Vec<f64>,
    pub(super) consumers: Vec<ConsumerSummary>,
    pub(super) utilization: Option<f64>,
    pub(super) wait_probability: Option<f64>,
    pub(super) little: LittlesLaw,
    pub(super) seed: Option<u64>,
    /// The number of items at the beginning that do not count.
    pub(super) warmup: u64,
    pub(super) theory: Option<TheoryComparison>,
}

/// The number of ready items.
#[derive(Debug, Serialize)]
pub(super) struct DepthSummary {
    pub(super) mean: Option<f64>,
    pub(super) max: u64,
    #[serde(rename = "final")]
    pub(super) last: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct MeanSummary {
    pub(super) mean: Option<f64>,
}

/// The distribution of times.
#[derive(Debug, Serialize)]
pub(super) struct TimeSummary {
    pub(super) mean: Option<f64>,
    pub(super) p50: Option<f64>,
    pub(super) p90: Option<f64>,
    pub(super) p99: Option<f64>,
    pub(super) max: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(super) struct ConsumerSummary {
    pub(super) items: u64,
    pub(super) busy_s: f64,
    pub(super) utilization: Option<f64>,
}

/// Little's law, L = λ W (Operations Research 9, 1961).
#[derive(Debug, Serialize)]
pub(super) struct LittlesLaw {
    /// Items per second.
    pub(super) arrival_rate: Option<f64>,
    pub(super) mean_in_system: Option<f64>,
    /// Seconds.
    pub(super) mean_sojourn: Option<f64>,
    /// The time integral of the number of items in the system, minus the sum of the sojourn times, in
    /// nanoseconds. The integral is summed by time, the sojourn times by item. The two are equal over a
    /// whole run.
    pub(super) difference: i128,
}

/// The values of a formula beside the measured values.
#[derive(Debug, Serialize)]
pub(super) struct TheoryComparison {
    pub(super) model: String,
    /// The offered load of each consumer.
    pub(super) rho: f64,
    /// The queue would grow without limit: the formula has no average.
    #[serde(rename = "unstable")]
    pub(super) is_unstable: bool,
    pub(super) throughput_per_s: Option<MetricComparison>,
    pub(super) depth: Option<MetricComparison>,
    pub(super) in_system: Option<MetricComparison>,
    pub(super) wait_s: Option<MetricComparison>,
    pub(super) sojourn_s: Option<MetricComparison>,
    pub(super) utilization: Option<MetricComparison>,
    pub(super) wait_probability: Option<MetricComparison>,
    /// The fraction of its time that a producer waits for room.
    pub(super) blocked: Option<MetricComparison>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct MetricComparison {
    pub(super) formula: f64,
    pub(super) measured: Option<f64>,
    /// The 95 % confidence interval of the measured value; null if the run is too short.
    pub(super) interval: Option<[f64; 2]>,
}

/// `None` if the denominator is not positive.
fn checked_ratio(a: f64, b: f64) -> Option<f64> {
    Some(a / b).filter(|_| b > 0.0)
}

impl TimeDistribution {
    fn summarize(&self) -> TimeSummary {
        let quantile = |part| self.quantile(part).map(to_seconds);
        TimeSummary {
            mean: checked_ratio(to_seconds(self.sum), self.count as f64),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            max: (self.count > 0).then(|| to_seconds(self.max)),
        }
    }
}

impl StatsCollector {
    /// The summary of a run that ended at `end`.
    pub(crate) fn into_summary(mut self, end: Nanos) -> StatsSummary {
        self.advance_to(end);
        let sums = &self.sums;
        let elapsed = to_seconds(sums.elapsed);
        let over_time = |sum: u128| checked_ratio(to_seconds(sum), elapsed);
        let sojourns = self.sojourn_times.summarize();
        let in_system = over_time(sums.in_system_integral);
        let rate = checked_ratio(sums.items_done as f64, elapsed);
        let consumers = self.consumer_stats.iter().map(|consumer| ConsumerSummary {
            items: consumer.items_done,
            busy_s: to_seconds(consumer.busy_time),
            utilization: checked_ratio(to_seconds(consumer.busy_time), elapsed),
        });
        let consumer_count = self.consumer_stats.len() as f64;
        StatsSummary {
            items: sums.items_done,
            elapsed_s: elapsed,
            throughput_per_s: rate,
            depth: DepthSummary {
                mean: over_time(sums.depth_integral),
                max: self.max_depth,
                last: self.depth,
            },
            wait_s: self.waiting_times.summarize(),
            in_system: MeanSummary { mean: in_system },
            blocked_s: self.blocked_times.iter().map(|&nanos| to_seconds(nanos)).collect(),
            consumers: consumers.collect(),
            utilization: over_time(sums.busy_time).map(|busy| busy / consumer_count),
            wait_probability: checked_ratio(sums.items_delayed as f64, sums.items_done as f64),
            little: LittlesLaw {
                arrival_rate: rate,
                mean_in_system: in_system,
                mean_sojourn: sojourns.mean,
                difference: sums.in_system_integral.cast_signed()
                    - sums.total_sojourn_time.cast_signed(),
            },
            sojourn_s: sojourns,
            seed: self.model_input.seed,
            warmup: self.warmup,
            theory: self.compare_with_theory(),
        }
    }

    fn compare_with_theory(&self) -> Option<TheoryComparison> {
        let model = self
            .model_input
            .model()
            .filter(|_| !self.is_model_invalid && self.sums.items_done > 0)?;
        let [producers, consumers] = self.model_input.workers.map(f64::from);
        let compared = |formula: fn(&SteadyState) -> f64, average: Estimator, parts: f64| {
            let formula = formula(model.steady_state.as_ref()?);
            let measured = Some(average(&self.sums) / parts).filter(|value| value.is_finite());
            let width = self.batches.half_width(average).map(|width| width / parts);
            let interval = measured.zip(width).map(|(mean, width)| [mean - width, mean + width]);
            Some(MetricComparison { formula, measured, interval })
        };
        Some(TheoryComparison {
            is_unstable: model.steady_state.is_none(),
            throughput_per_s: compared(
                |s| s.throughput,
                |s| s.items_done as f64 / to_seconds(s.elapsed),
                1.0,
            ),
            depth: compared(
                |s| s.mean_depth,
                |s| to_seconds(s.depth_integral) / to_seconds(s.elapsed),
                1.0,
            ),
            in_system: compared(
                |s| s.mean_in_system,
                |s| to_seconds(s.in_system_integral) / to_seconds(s.elapsed),
                1.0,
            ),
            wait_s: compared(
                |s| s.mean_waiting_time,
                |s| to_seconds(s.total_waiting_time) / s.items_done as f64,
                1.0,
            ),
            sojourn_s: compared(
                |s| s.mean_sojourn_time,
                |s| to_seconds(s.total_sojourn_time) / s.items_done as f64,
                1.0,
            ),
            utilization: compared(
                |s| s.utilization,
                |s| to_seconds(s.busy_time) / to_seconds(s.elapsed),
                consumers,
            ),
            wait_probability: compared(
                |s| s.wait_probability,
                |s| s.items_delayed as f64 / s.items_done as f64,
                1.0,
            ),
            blocked: compared(
                |s| s.blocked_share,
                |s| to_seconds(s.blocked_time) / to_seconds(s.elapsed),
                producers,
            ),
            rho: model.rho,
            model: model.name,
        })
    }
}
