//! The results as JSON and CSV. Times are in seconds. The keys and the names of columns are the same.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::estimate::{Estimate, IntervalMethod};
use super::metric::METRICS;
use super::parameter::format_delay;
use super::{Parameter, PointReport, SweepReport};
use crate::report::{StatsSummary, to_seconds};

impl Serialize for IntervalMethod {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.name().serialize(serializer)
    }
}

impl IntervalMethod {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Replications => Some("replications"),
            Self::BatchMeans => Some("batch-means"),
            Self::Missing => None,
        }
    }
}

#[derive(Serialize)]
struct JsonReport<'a> {
    vary: &'static str,
    items: u64,
    warmup: u64,
    replications: u32,
    seed: u64,
    interval: IntervalMethod,
    /// The number of batches, for intervals by batch means.
    batches: Option<usize>,
    /// `None` for the parameter that varies.
    producers: Option<u32>,
    consumers: Option<u32>,
    capacity: Option<u64>,
    /// A delay that varies has the mean of its option here.
    producer_delay: String,
    consumer_delay: String,
    points: Vec<JsonPoint<'a>>,
}

/// The value of the parameter, and the averages.
struct JsonPoint<'a> {
    parameter: Parameter,
    point: &'a PointReport,
}

impl Serialize for JsonPoint<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { parameter, point } = self;
        let mut map = serializer.serialize_map(None)?;
        if parameter.is_delay() {
            map.serialize_entry(parameter.key(), &to_seconds(point.value))?;
        } else {
            map.serialize_entry(parameter.key(), &point.value)?;
        }
        map.serialize_entry("overloaded", &point.is_overloaded)?;
        for (metric, estimate) in point.metrics() {
            map.serialize_entry(metric.key, &JsonEstimate::new(estimate))?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct JsonEstimate {
    mean: Option<f64>,
    interval: Option<[f64; 2]>,
    theory: Option<f64>,
    theory_is_bound: bool,
}

impl JsonEstimate {
    fn new(estimate: &Estimate) -> Self {
        Self {
            mean: estimate.mean,
            interval: estimate.interval(),
            theory: estimate.theory.map(|theory| theory.value),
            theory_is_bound: estimate.theory.is_some_and(|theory| theory.is_bound),
        }
    }
}

impl SweepReport {
    /// One JSON object, in lines.
    pub(crate) fn to_json(&self) -> serde_json::Result<String> {
        let Self { base, parameter, settings, .. } = self;
        let fixed = |varied: Parameter| *parameter != varied;
        let point = |point| JsonPoint { parameter: *parameter, point };
        let report = JsonReport {
            vary: parameter.name(),
            items: base.items,
            warmup: settings.warmup,
            replications: settings.replications,
            seed: settings.seed,
            interval: self.interval_method,
            batches: (self.interval_method == IntervalMethod::BatchMeans)
                .then_some(StatsSummary::BATCHES),
            producers: fixed(Parameter::Producers).then_some(base.producers),
            consumers: fixed(Parameter::Consumers).then_some(base.consumers),
            capacity: fixed(Parameter::Capacity).then_some(base.capacity),
            producer_delay: format_delay(&base.producer_delay),
            consumer_delay: format_delay(&base.consumer_delay),
            points: self.points.iter().map(point).collect(),
        };
        Ok(serde_json::to_string_pretty(&report)? + "\n")
    }

    /// A line of column names, and a line for each point. No field needs quotes; an unknown value is an empty field.
    pub(crate) fn to_csv(&self) -> String {
        let mut names = vec![self.parameter.key().to_owned()];
        for metric in &METRICS {
            let key = metric.key;
            names.extend(["", "_low", "_high", "_theory"].map(|part| format!("{key}{part}")));
        }
        names.extend(
            [
                "theory_is_bound",
                "overloaded",
                "items",
                "warmup",
                "replications",
                "seed",
                "interval",
            ]
            .map(str::to_owned),
        );
        let lines = self.points.iter().map(|point| self.csv_fields(point));
        let lines = std::iter::once(names).chain(lines);
        lines.map(|fields| fields.join(",") + "\n").collect()
    }

    fn csv_fields(&self, point: &PointReport) -> Vec<String> {
        let settings = self.settings;
        let mut fields = vec![if self.parameter.is_delay() {
            to_seconds(point.value).to_string()
        } else {
            point.value.to_string()
        }];
        for estimate in &point.estimates {
            let [low, high] = estimate.interval().map_or([None; 2], |ends| ends.map(Some));
            let values = [estimate.mean, low, high, estimate.theory.map(|theory| theory.value)];
            fields.extend(values.map(|value| value.map(|v| v.to_string()).unwrap_or_default()));
        }
        let is_bound = point.estimates.iter().any(|e| e.theory.is_some_and(|t| t.is_bound));
        fields.extend([
            is_bound.to_string(),
            point.is_overloaded.to_string(),
            self.base.items.to_string(),
            settings.warmup.to_string(),
            settings.replications.to_string(),
            settings.seed.to_string(),
            self.interval_method.name().unwrap_or_default().to_owned(),
        ]);
        fields
    }
}
