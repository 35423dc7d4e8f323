//! What there is to say in the end.

use serde::Serialize;

use super::batch_means::Estimator;
use super::theory::SteadyState;
use super::{StatsCollector, TimeDistribution};
use crate::clock::Nanos;
use crate::report::to_seconds;

/// Statistics of a run, as `--stats json` prints them. Times are seconds; averages over time are
/// weighted with it; null is what cannot be said.
#[derive(Debug, Serialize)]
pub(crate) struct StatsSummary {
    /// Items that are done.
    pub(super) items: u64,
    pub(super) elapsed_s: f64,
    pub(super) throughput_per_s: Option<f64>,
    pub(super) depth: DepthSummary,
    pub(super) wait_s: TimeSummary,
    pub(super) sojourn_s: TimeSummary,
    pub(super) in_system: MeanSummary,
    /// Of each producer.
    pub(super) blocked_s: Vec<f64>,
    pub(super) consumers: Vec<ConsumerSummary>,
    pub(super) utilization: Option<f64>,
    pub(super) wait_probability: Option<f64>,
    pub(super) little: LittlesLaw,
    pub(super) seed: Option<u64>,
    /// How many items were left out at the beginning.
    pub(super) warmup: u64,
    pub(super) theory: Option<TheoryComparison>,
}

/// Items in line.
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

/// How times are spread.
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
    /// Items a second.
    pub(super) arrival_rate: Option<f64>,
    pub(super) mean_in_system: Option<f64>,
    /// Seconds.
    pub(super) mean_sojourn: Option<f64>,
    /// Nanoseconds: the time integral of the number in the system, less the sum of the sojourns. The one is
    /// gathered by time, the other by item; over a whole run they are the same.
    pub(super) difference: i128,
}

/// What a formula says, beside what was measured.
#[derive(Debug, Serialize)]
pub(super) struct TheoryComparison {
    pub(super) model: String,
    /// The offered load of each consumer.
    pub(super) rho: f64,
    /// What waits would grow for ever: there is no average to compare with.
    #[serde(rename = "unstable")]
    pub(super) is_unstable: bool,
    pub(super) throughput_per_s: Option<MetricComparison>,
    pub(super) depth: Option<MetricComparison>,
    pub(super) in_system: Option<MetricComparison>,
    pub(super) wait_s: Option<MetricComparison>,
    pub(super) sojourn_s: Option<MetricComparison>,
    pub(super) utilization: Option<MetricComparison>,
    pub(super) wait_probability: Option<MetricComparison>,
    /// The part of its time that a producer waits for room.
    pub(super) blocked: Option<MetricComparison>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct MetricComparison {
    pub(super) formula: f64,
    pub(super) measured: Option<f64>,
    /// The 95 % confidence interval of what was measured; null when the run is too short for one.
    pub(super) interval: Option<[f64; 2]>,
}

/// Nothing by nothing is nothing that can be said.
fn checked_ratio(a: f64, b: f64) -> Option<f64> {
    Some(a / b).filter(|_| b > 0.0)
}

fn sum_to_seconds(nanos: u128) -> f64 {
    nanos as f64 / 1e9
}

impl TimeDistribution {
    fn summarize(&self) -> TimeSummary {
        let quantile = |part| self.quantile(part).map(to_seconds);
        TimeSummary {
            mean: checked_ratio(sum_to_seconds(self.sum), self.count as f64),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            max: (self.count > 0).then(|| to_seconds(self.max)),
        }
    }
}

impl StatsCollector {
    /// The run has ended at this time.
    pub(crate) fn into_summary(mut self, end: Nanos) -> StatsSummary {
        self.advance_to(end);
        let sums = &self.sums;
        let elapsed = to_seconds(sums.elapsed);
        let over_time = |sum: u128| checked_ratio(sum_to_seconds(sum), elapsed);
        let sojourns = self.sojourn_times.summarize();
        let in_system = over_time(sums.in_system_integral);
        let rate = checked_ratio(sums.items_done as f64, elapsed);
        let consumers = self.consumer_stats.iter().map(|hands| ConsumerSummary {
            items: hands.items_done,
            busy_s: to_seconds(hands.busy_time),
            utilization: checked_ratio(to_seconds(hands.busy_time), elapsed),
        });
        let at_work = self.consumer_stats.len() as f64;
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
            utilization: over_time(sums.busy_time).map(|busy| busy / at_work),
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
                |s| sum_to_seconds(s.depth_integral) / to_seconds(s.elapsed),
                1.0,
            ),
            in_system: compared(
                |s| s.mean_in_system,
                |s| sum_to_seconds(s.in_system_integral) / to_seconds(s.elapsed),
                1.0,
            ),
            wait_s: compared(
                |s| s.mean_waiting_time,
                |s| sum_to_seconds(s.total_waiting_time) / s.items_done as f64,
                1.0,
            ),
            sojourn_s: compared(
                |s| s.mean_sojourn_time,
                |s| sum_to_seconds(s.total_sojourn_time) / s.items_done as f64,
                1.0,
            ),
            utilization: compared(
                |s| s.utilization,
                |s| sum_to_seconds(s.busy_time) / to_seconds(s.elapsed),
                consumers,
            ),
            wait_probability: compared(
                |s| s.wait_probability,
                |s| s.items_delayed as f64 / s.items_done as f64,
                1.0,
            ),
            blocked: compared(
                |s| s.blocked_share,
                |s| sum_to_seconds(s.blocked_time) / to_seconds(s.elapsed),
                producers,
            ),
            rho: model.rho,
            model: model.name,
        })
    }
}
