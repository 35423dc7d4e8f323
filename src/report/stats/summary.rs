//! The summary of the statistics at the end of a run.

use serde::{Serialize, Serializer};

use super::batch_means::{BATCH_COUNT, BatchMeans};
use super::theory::{Averages, ModelName};
use super::{StatsCollector, TimeDistribution};
use crate::catalogue::{Lang, message};
use crate::clock::Nanos;
use crate::clock::to_seconds;
use crate::report::figures::{format_number, format_percent, format_seconds};

/// The statistics of a run, as `--stats json` prints them. Times are in seconds, and averages over time are
/// weighted with it. A value that the run does not determine is null.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(title = "The statistics of a run"))]
pub(crate) struct StatsSummary {
    /// Items that are done, without the warm-up.
    pub(super) items: u64,
    /// The time of the run, in seconds.
    pub(super) elapsed_s: f64,
    /// Items that are done, per second.
    pub(super) throughput_per_s: Option<f64>,
    /// The number of ready items.
    pub(super) depth: DepthSummary,
    /// The time that an item is ready, in seconds.
    pub(super) wait_s: TimeSummary,
    /// The time of an item from put to done, in seconds.
    pub(super) sojourn_s: TimeSummary,
    /// The number of items that are ready or in flight.
    pub(super) in_system: MeanSummary,
    /// The time that each producer waited for room, in seconds.
    pub(super) blocked_s: Vec<f64>,
    /// Each consumer, in the order of their numbers.
    pub(super) consumers: Vec<ConsumerSummary>,
    /// The share of the time that a consumer is busy, on average.
    pub(super) utilization: Option<f64>,
    /// The share of the items that had to wait.
    pub(super) wait_probability: Option<f64>,
    /// Little's law: the mean number in the system is the arrival rate times the mean sojourn time.
    pub(super) little: LittlesLaw,
    /// The seed of random delays. Null if no delay is random.
    pub(super) seed: Option<u64>,
    /// The number of items at the beginning that do not count.
    pub(super) warmup: u64,
    /// The run was computed: no processes were started.
    pub(crate) simulated: bool,
    /// The formula for the run. Null without a formula, and after a death or an interruption.
    pub(super) theory: Option<TheoryComparison>,
    #[serde(skip)]
    averages: Averages,
    #[serde(skip)]
    half_widths: Option<Averages>,
    #[serde(skip)]
    has_correlated_batches: bool,
}

impl StatsSummary {
    /// The averages of the run, per worker as in the formulas. A value that the run does not determine is
    /// NaN.
    pub(crate) fn averages(&self) -> Averages {
        self.averages
    }

    /// The number of batches behind [`Self::half_widths`].
    pub(crate) const BATCHES: usize = BATCH_COUNT;

    /// Whether the batches of some average depend on each other: its interval may be too narrow.
    pub(crate) fn has_correlated_batches(&self) -> bool {
        self.has_correlated_batches
    }

    /// Half the width of the 95 % confidence interval of each average, by batch means. `None` if the run is too
    /// short.
    pub(crate) fn half_widths(&self) -> Option<Averages> {
        self.half_widths
    }
}

/// The number of ready items.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct DepthSummary {
    /// The average over the time of the run.
    pub(super) mean: Option<f64>,
    /// The largest number.
    pub(super) max: u64,
    /// The number at the end of the run.
    #[serde(rename = "final")]
    pub(super) last: u64,
}

/// An average.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct MeanSummary {
    /// The average over the time of the run.
    pub(super) mean: Option<f64>,
}

/// The distribution of times, in seconds.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct TimeSummary {
    /// The average.
    pub(super) mean: Option<f64>,
    /// The median.
    pub(super) p50: Option<f64>,
    /// The 90th percentile.
    pub(super) p90: Option<f64>,
    /// The 99th percentile.
    pub(super) p99: Option<f64>,
    /// The longest time.
    pub(super) max: Option<f64>,
}

/// The work of a consumer.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct ConsumerSummary {
    /// Items that the consumer has done.
    pub(super) items: u64,
    /// The time that the consumer was busy, in seconds.
    pub(super) busy_s: f64,
    /// The share of the time that the consumer was busy.
    pub(super) utilization: Option<f64>,
}

/// Little's law, L = λ W (Operations Research 9, 1961).
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct LittlesLaw {
    /// λ: items per second.
    pub(super) arrival_rate: Option<f64>,
    /// L: the average number of items that are ready or in flight.
    pub(super) mean_in_system: Option<f64>,
    /// W: the average time of an item from put to done, in seconds.
    pub(super) mean_sojourn: Option<f64>,
    /// The time integral of the number of items in the system, minus the sum of the sojourn times, in
    /// nanoseconds. The integral is summed by time, the sojourn times by item. The two are equal over a
    /// whole run.
    pub(super) difference: i128,
    /// Every item was done. Otherwise the law says nothing of the run.
    #[serde(skip)]
    pub(super) is_applicable: bool,
}

/// The values of a formula beside the measured values.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct TheoryComparison {
    /// The model in Kendall's notation.
    #[cfg_attr(test, schemars(with = "String"))]
    pub(super) model: ModelName,
    /// The offered load of each consumer.
    pub(super) rho: f64,
    /// The queue would grow without limit: the formula has no average.
    #[serde(rename = "unstable")]
    pub(super) is_unstable: bool,
    /// The formula takes the delays of a file as independent of each other.
    pub(super) assumes_independence: bool,
    /// How the confidence intervals come about. Null if the run is too short.
    pub(super) intervals: Option<IntervalMethod>,
    /// In the order of [`METRICS`].
    #[serde(flatten, serialize_with = "serialize_with_keys")]
    #[cfg_attr(test, schemars(schema_with = "schema_with_keys"))]
    pub(super) metrics: [Option<MetricComparison>; METRICS.len()],
}

/// How the confidence intervals of a run come about.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct IntervalMethod {
    /// The name of the method.
    #[cfg_attr(test, schemars(extend("enum" = ["batch means"])))]
    method: &'static str,
    /// The probability that an interval contains the value of an endless run.
    confidence: f64,
    /// The number of batches.
    pub(super) batches: usize,
    /// A larger correlation of successive batches is significant.
    correlation_limit: f64,
}

/// An average that a formula and a run have in common.
#[derive(Clone, Copy)]
pub(super) struct Metric {
    /// The key in JSON.
    key: &'static str,
    pub(super) name: fn(Lang) -> String,
    average: fn(&Averages) -> f64,
    pub(super) format: fn(Option<f64>) -> String,
}

pub(super) const METRICS: [Metric; 8] = [
    metric(
        "throughput_per_s",
        |lang| message!(lang, "stats-throughput"),
        |a| a.throughput,
        format_number,
    ),
    metric("depth", |lang| message!(lang, "stats-depth"), |a| a.depth, format_number),
    metric("in_system", |lang| message!(lang, "stats-in-system"), |a| a.in_system, format_number),
    metric("wait_s", |lang| message!(lang, "stats-wait"), |a| a.waiting_time, format_seconds),
    metric("sojourn_s", |lang| message!(lang, "stats-sojourn"), |a| a.sojourn_time, format_seconds),
    metric(
        "utilization",
        |lang| message!(lang, "stats-utilization"),
        |a| a.utilization,
        format_percent,
    ),
    metric(
        "wait_probability",
        |lang| message!(lang, "stats-wait-probability"),
        |a| a.wait_probability,
        format_percent,
    ),
    metric("blocked", |lang| message!(lang, "stats-blocked"), |a| a.blocked_share, format_percent),
];

const fn metric(
    key: &'static str,
    name: fn(Lang) -> String,
    average: fn(&Averages) -> f64,
    format: fn(Option<f64>) -> String,
) -> Metric {
    Metric { key, name, average, format }
}

fn serialize_with_keys<S: Serializer>(
    metrics: &[Option<MetricComparison>; METRICS.len()],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(METRICS.map(|metric| metric.key).iter().zip(metrics))
}

/// The keys that [`serialize_with_keys`] writes.
#[cfg(test)]
fn schema_with_keys(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let comparison = generator.subschema_for::<MetricComparison>();
    let properties = METRICS.iter().map(|metric| {
        let mut property = comparison.clone();
        property.insert("description".to_owned(), (metric.name)(Lang::En).into());
        (metric.key.to_owned(), property.to_value())
    });
    schemars::json_schema!({
        "type": "object",
        "properties": properties.collect::<serde_json::Map<_, _>>(),
        "required": METRICS.map(|metric| metric.key),
    })
}

/// An average in the steady state and in the run. Times are in seconds.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct MetricComparison {
    /// The value of the formula.
    pub(super) formula: Option<f64>,
    /// An upper bound of the average, where theory has no formula.
    pub(super) bound: Option<f64>,
    /// The average of the run.
    pub(super) measured: Option<f64>,
    /// The 95 % confidence interval of the measured value; null if the run is too short.
    pub(super) interval: Option<[f64; 2]>,
    /// The correlation of the means of successive batches. Where it is significant, the interval may be too
    /// narrow.
    pub(super) correlation: Option<f64>,
}

impl MetricComparison {
    pub(super) fn is_correlated(&self) -> bool {
        self.correlation.is_some_and(|correlation| correlation > BatchMeans::correlation_limit())
    }
}

impl Metric {
    /// Whether a bound of the waiting time bounds this average too.
    fn depends_on_waits(&self) -> bool {
        matches!(self.key, "depth" | "in_system" | "wait_s" | "sojourn_s")
    }
}

/// `None` for the quotient of a division by zero.
fn finite(value: f64) -> Option<f64> {
    Some(value).filter(|value| value.is_finite())
}

impl TimeDistribution {
    fn summarize(&self, mean: f64) -> TimeSummary {
        let quantile = |part| self.quantile(part).map(to_seconds);
        TimeSummary {
            mean: finite(mean),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            max: quantile(1.0),
        }
    }
}

impl StatsCollector {
    /// The summary of a run that ended at `end`.
    pub(crate) fn into_summary(mut self, end: Nanos) -> StatsSummary {
        self.advance_to(end);
        let sums = &self.sums;
        let averages = sums.averages();
        let elapsed = to_seconds(sums.elapsed);
        let consumers = self.consumer_stats.iter().map(|consumer| ConsumerSummary {
            items: consumer.items_done,
            busy_s: to_seconds(consumer.busy_time_until(end)),
            utilization: finite(to_seconds(consumer.busy_time_until(end)) / elapsed),
        });
        StatsSummary {
            items: sums.items_done,
            elapsed_s: elapsed,
            throughput_per_s: finite(averages.throughput),
            depth: DepthSummary {
                mean: finite(averages.depth),
                max: self.max_depth,
                last: self.depth,
            },
            wait_s: self.waiting_times.summarize(averages.waiting_time),
            sojourn_s: self.sojourn_times.summarize(averages.sojourn_time),
            in_system: MeanSummary { mean: finite(averages.in_system) },
            blocked_s: self.blocked_times.iter().map(|&nanos| to_seconds(nanos)).collect(),
            consumers: consumers.collect(),
            utilization: finite(averages.utilization / self.consumer_stats.len() as f64),
            wait_probability: finite(averages.wait_probability),
            little: LittlesLaw {
                arrival_rate: finite(averages.throughput),
                mean_in_system: finite(averages.in_system),
                mean_sojourn: finite(averages.sojourn_time),
                difference: sums.in_system_integral.cast_signed()
                    - sums.total_sojourn_time.cast_signed(),
                is_applicable: self.in_system == 0 && !self.has_dropped_items,
            },
            seed: self.model_input.seed,
            warmup: self.warmup,
            simulated: false,
            theory: self.compare_with_theory(),
            averages: averages.per_worker(self.model_input.workers),
            has_correlated_batches: METRICS.iter().any(|metric| {
                let correlation = self.batches.correlation(metric.average);
                correlation.is_some_and(|correlation| correlation > BatchMeans::correlation_limit())
            }),
            half_widths: self
                .batches
                .half_widths()
                .map(|widths| widths.per_worker(self.model_input.workers)),
        }
    }

    fn compare_with_theory(&self) -> Option<TheoryComparison> {
        let model = self
            .model_input
            .model()
            .filter(|_| !self.is_model_invalid && self.sums.items_done > 0)?;
        let [producers, consumers] = self.model_input.workers.map(f64::from);
        let measured = self.sums.averages().per_worker(self.model_input.workers);
        let compare = |metric: Metric| {
            let theory = finite((metric.average)(model.steady_state.as_ref()?));
            let is_bound = model.is_bound && metric.depends_on_waits();
            // The averages of the batches are those of all workers.
            let workers = match metric.key {
                "utilization" => consumers,
                "blocked" => producers,
                _ => 1.0,
            };
            let measured = finite((metric.average)(&measured));
            let width = self.batches.half_width(metric.average).map(|width| width / workers);
            let interval = measured.zip(width).map(|(mean, width)| [mean - width, mean + width]);
            Some(MetricComparison {
                formula: theory.filter(|_| !is_bound),
                bound: theory.filter(|_| is_bound),
                measured,
                interval,
                correlation: self.batches.correlation(metric.average),
            })
        };
        let is_complete = self.batches.is_complete() && model.steady_state.is_some();
        Some(TheoryComparison {
            is_unstable: model.steady_state.is_none(),
            assumes_independence: model.assumes_independence,
            intervals: is_complete.then(|| IntervalMethod {
                method: "batch means",
                confidence: 0.95,
                batches: BATCH_COUNT,
                correlation_limit: BatchMeans::correlation_limit(),
            }),
            metrics: METRICS.map(compare),
            rho: model.rho,
            model: model.name,
        })
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_of_the_statistics_is_that_of_its_type() {
        crate::testing::schemas::compare::<super::StatsSummary>("statistics");
    }
}
