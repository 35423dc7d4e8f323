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

/// The result of a sweep. Times are in seconds.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(title = "The result of sweep"))]
struct JsonReport<'a> {
    /// The parameter that varies.
    #[cfg_attr(test, schemars(extend("enum" = Parameter::ALL.map(Parameter::name))))]
    vary: &'static str,
    /// The number of items of a run.
    items: u64,
    /// The number of items at the beginning of a run that do not count.
    warmup: u64,
    /// The number of runs of each point.
    replications: u32,
    /// The seed of the first run of each point.
    seed: u64,
    /// How the intervals come about. Null without intervals.
    #[cfg_attr(test, schemars(schema_with = "schema::interval_method"))]
    interval: IntervalMethod,
    /// The number of batches, for intervals by batch means.
    batches: Option<usize>,
    /// The number of producers. Null if it varies.
    producers: Option<u32>,
    /// The number of consumers. Null if it varies.
    consumers: Option<u32>,
    /// How many items may be ready, 0 for no limit. Null if it varies.
    capacity: Option<u64>,
    /// The delay as the command line takes it. A delay that varies has the mean of its option here.
    producer_delay: String,
    /// As for the producer.
    consumer_delay: String,
    /// A point for each value of the parameter.
    #[cfg_attr(test, schemars(schema_with = "schema::points"))]
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

/// An average of the runs of a point.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct JsonEstimate {
    /// The average. Null if the runs do not determine it.
    mean: Option<f64>,
    /// The 95 % confidence interval. Null if there are too few runs or items.
    interval: Option<[f64; 2]>,
    /// The value of the formula. Null without a formula.
    theory: Option<f64>,
    /// The value of the formula is an upper bound.
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

/// The schemas of what this file writes without a derived form.
#[cfg(test)]
mod schema {
    use schemars::{Schema, SchemaGenerator, json_schema};
    use serde_json::{Map, json};

    use super::super::metric::Unit;
    use super::{IntervalMethod, JsonEstimate, METRICS, Parameter};

    pub(super) fn interval_method(_: &mut SchemaGenerator) -> Schema {
        let methods =
            [IntervalMethod::Replications, IntervalMethod::BatchMeans, IntervalMethod::Missing];
        json_schema!({ "type": ["string", "null"], "enum": methods.map(IntervalMethod::name) })
    }

    pub(super) fn points(generator: &mut SchemaGenerator) -> Schema {
        let mut properties = Map::new();
        for parameter in Parameter::ALL {
            let description = "The value, if this parameter varies.";
            let kind = if parameter.is_delay() { "number" } else { "integer" };
            let value = json!({ "description": description, "type": kind, "minimum": 0 });
            properties.insert(parameter.key().to_owned(), value);
        }
        let description = "The queue of this point has no steady state.";
        let overloaded = json!({ "description": description, "type": "boolean" });
        properties.insert("overloaded".to_owned(), overloaded);
        for metric in &METRICS {
            let unit = match metric.unit {
                Unit::Number => "a number",
                Unit::Seconds => "in seconds",
                Unit::Share => "a part of 1",
            };
            let mut estimate = generator.subschema_for::<JsonEstimate>();
            let description = format!("{}: {unit}.", (metric.name)());
            estimate.insert("description".to_owned(), description.into());
            properties.insert(metric.key.to_owned(), estimate.to_value());
        }
        let keys = METRICS.iter().map(|metric| metric.key);
        let required: Vec<_> = ["overloaded"].into_iter().chain(keys).collect();
        let point = json!({ "type": "object", "properties": properties, "required": required });
        json_schema!({ "type": "array", "items": point })
    }

    #[test]
    fn the_schema_of_a_sweep_is_that_of_its_type() {
        crate::testing::schemas::compare::<super::JsonReport<'static>>("sweep");
    }
}
