//! What there is to say in the end.

use serde::Serialize;

use super::batch_means::Average;
use super::theory::Steady;
use super::{Spread, Statistics};
use crate::clock::Nanos;
use crate::report::seconds;

/// Statistics of a run, as `--stats json` prints them. Times are seconds; averages over time are
/// weighted with it; null is what cannot be said.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    /// Items that are done.
    pub(super) items: u64,
    pub(super) elapsed_s: f64,
    pub(super) throughput_per_s: Option<f64>,
    pub(super) depth: Depth,
    pub(super) wait_s: Times,
    pub(super) sojourn_s: Times,
    pub(super) in_system: Mean,
    /// Of each producer.
    pub(super) blocked_s: Vec<f64>,
    pub(super) consumers: Vec<Consumer>,
    pub(super) utilization: Option<f64>,
    pub(super) wait_probability: Option<f64>,
    pub(super) little: Little,
    pub(super) seed: Option<u64>,
    /// How many items were left out at the beginning.
    pub(super) warmup: u64,
    pub(super) theory: Option<Theory>,
}

/// Items in line.
#[derive(Debug, Serialize)]
pub(super) struct Depth {
    pub(super) mean: Option<f64>,
    pub(super) max: u64,
    #[serde(rename = "final")]
    pub(super) last: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Mean {
    pub(super) mean: Option<f64>,
}

/// How times are spread.
#[derive(Debug, Serialize)]
pub(super) struct Times {
    pub(super) mean: Option<f64>,
    pub(super) p50: Option<f64>,
    pub(super) p90: Option<f64>,
    pub(super) p99: Option<f64>,
    pub(super) max: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Consumer {
    pub(super) items: u64,
    pub(super) busy_s: f64,
    pub(super) utilization: Option<f64>,
}

/// Little's law, L = λ W (Operations Research 9, 1961).
#[derive(Debug, Serialize)]
pub(super) struct Little {
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
pub(super) struct Theory {
    pub(super) model: String,
    /// The offered load of each consumer.
    pub(super) rho: f64,
    /// What waits would grow for ever: there is no average to compare with.
    pub(super) unstable: bool,
    pub(super) throughput_per_s: Option<Compared>,
    pub(super) depth: Option<Compared>,
    pub(super) in_system: Option<Compared>,
    pub(super) wait_s: Option<Compared>,
    pub(super) sojourn_s: Option<Compared>,
    pub(super) utilization: Option<Compared>,
    pub(super) wait_probability: Option<Compared>,
    /// The part of its time that a producer waits for room.
    pub(super) blocked: Option<Compared>,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Compared {
    pub(super) formula: f64,
    pub(super) measured: Option<f64>,
    /// The 95 % confidence interval of what was measured; null when the run is too short for one.
    pub(super) interval: Option<[f64; 2]>,
}

/// Nothing by nothing is nothing that can be said.
fn ratio(a: f64, b: f64) -> Option<f64> {
    Some(a / b).filter(|_| b > 0.0)
}

fn precise(nanos: u128) -> f64 {
    nanos as f64 / 1e9
}

impl Spread {
    fn times(&self) -> Times {
        let quantile = |part| self.quantile(part).map(seconds);
        Times {
            mean: ratio(precise(self.sum), self.count as f64),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            max: (self.count > 0).then(|| seconds(self.most)),
        }
    }
}

impl Statistics {
    /// The run has ended at this time.
    pub(crate) fn summary(mut self, end: Nanos) -> Summary {
        self.pass(end);
        let sums = &self.sums;
        let elapsed = seconds(sums.time);
        let over_time = |sum: u128| ratio(precise(sum), elapsed);
        let sojourns = self.sojourns.times();
        let in_system = over_time(sums.in_system);
        let rate = ratio(sums.items as f64, elapsed);
        let consumers = self.consumers.iter().map(|hands| Consumer {
            items: hands.done,
            busy_s: seconds(hands.busy),
            utilization: ratio(seconds(hands.busy), elapsed),
        });
        let at_work = self.consumers.len() as f64;
        Summary {
            items: sums.items,
            elapsed_s: elapsed,
            throughput_per_s: rate,
            depth: Depth { mean: over_time(sums.depth), max: self.max_depth, last: self.depth },
            wait_s: self.waits.times(),
            in_system: Mean { mean: in_system },
            blocked_s: self.producers.iter().map(|&nanos| seconds(nanos)).collect(),
            consumers: consumers.collect(),
            utilization: over_time(sums.busy).map(|busy| busy / at_work),
            wait_probability: ratio(sums.waited as f64, sums.items as f64),
            little: Little {
                arrival_rate: rate,
                mean_in_system: in_system,
                mean_sojourn: sojourns.mean,
                difference: sums.in_system.cast_signed() - sums.sojourn.cast_signed(),
            },
            sojourn_s: sojourns,
            seed: self.plant.seed,
            warmup: self.warmup,
            theory: self.theory(),
        }
    }

    fn theory(&self) -> Option<Theory> {
        let model = self.plant.model().filter(|_| !self.disturbed && self.sums.items > 0)?;
        let [producers, consumers] = self.plant.workers.map(f64::from);
        let compared = |formula: fn(&Steady) -> f64, average: Average, parts: f64| {
            let formula = formula(model.steady.as_ref()?);
            let measured = Some(average(&self.sums) / parts).filter(|value| value.is_finite());
            let width = self.batches.half_width(average).map(|width| width / parts);
            let interval = measured.zip(width).map(|(mean, width)| [mean - width, mean + width]);
            Some(Compared { formula, measured, interval })
        };
        Some(Theory {
            unstable: model.steady.is_none(),
            throughput_per_s: compared(|s| s.throughput, |s| s.items as f64 / seconds(s.time), 1.0),
            depth: compared(|s| s.depth, |s| precise(s.depth) / seconds(s.time), 1.0),
            in_system: compared(|s| s.in_system, |s| precise(s.in_system) / seconds(s.time), 1.0),
            wait_s: compared(|s| s.wait, |s| precise(s.wait) / s.items as f64, 1.0),
            sojourn_s: compared(|s| s.sojourn, |s| precise(s.sojourn) / s.items as f64, 1.0),
            utilization: compared(
                |s| s.utilization,
                |s| precise(s.busy) / seconds(s.time),
                consumers,
            ),
            wait_probability: compared(
                |s| s.wait_probability,
                |s| s.waited as f64 / s.items as f64,
                1.0,
            ),
            blocked: compared(|s| s.blocked, |s| precise(s.blocked) / seconds(s.time), producers),
            rho: model.rho,
            model: model.name,
        })
    }
}
