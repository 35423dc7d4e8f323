//! A sweep: simulates the same run for several values of one parameter, and sets the averages beside those of
//! theory.
//!
//! [`Sweep::run`] simulates each point several times: the replications. Replication `n` has the seed of the sweep
//! plus `n - 1` at every point. So the replications of a point are independent, and the points have common random
//! numbers: the differences between two points vary less than the points themselves (Law and Kelton, *Simulation
//! Modeling and Analysis*, section 11.2).

mod axis;
mod estimate;
mod export;
mod jobs;
mod metric;
mod parameter;
mod plot;
mod table;

use crate::catalogue::message;
use crate::clock::Delay;
use crate::exit::ExitError;
use crate::run::{Config, NoStatistics, simulate};
use estimate::{Estimate, IntervalMethod, Replication, estimate_all};
use metric::METRICS;
pub(crate) use metric::Metric;
use parameter::format_delay;
pub(crate) use parameter::{Parameter, spread_evenly};

/// A sweep that can run.
#[derive(Debug)]
pub(crate) struct Sweep {
    /// The configuration of the runs, up to the parameter.
    base: Config,
    parameter: Parameter,
    /// They increase.
    values: Vec<u64>,
    settings: Settings,
}

/// What the runs of all points have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// At least 1.
    pub(crate) replications: u32,
    /// The number of first items that the averages omit.
    pub(crate) warmup: u64,
    /// The seed of the first replication.
    pub(crate) seed: u64,
}

/// The results of a sweep.
#[derive(Debug)]
pub(crate) struct SweepReport {
    base: Config,
    parameter: Parameter,
    settings: Settings,
    interval_method: IntervalMethod,
    /// By value.
    points: Vec<PointReport>,
}

/// The results of one point.
#[derive(Debug)]
struct PointReport {
    value: u64,
    /// More items come than the consumers can handle, and no capacity stops the producers: the queue grows as long
    /// as the run lasts.
    is_overloaded: bool,
    /// The interval comes from batches that depend on each other: it may be too narrow.
    has_correlated_batches: bool,
    /// Theory takes the delays of a file as independent of each other. The runs replay them in order.
    assumes_independence: bool,
    /// In the order of [`METRICS`].
    estimates: [Estimate; METRICS.len()],
}

impl Sweep {
    /// A sweep over `values`, which increase.
    ///
    /// # Errors
    /// If a delay cannot have the mean that a value asks for.
    pub(crate) fn new(
        base: Config,
        parameter: Parameter,
        values: &[u64],
        settings: Settings,
    ) -> Result<Self, ExitError> {
        for &value in values {
            parameter.apply(&base, value).ok_or_else(|| {
                let (name, delay) = (parameter.name(), parameter.delay(&base));
                ExitError::usage(match delay {
                    Some(delay) if delay.is_zero() => {
                        message!("sweep-only-zeros", name = name, delay = format_delay(delay))
                    }
                    _ => message!("sweep-zero-mean", name = name),
                })
            })?;
        }
        let values = values.to_vec();
        Ok(Self { base, parameter, values, settings })
    }

    /// The configuration of the runs with this value of the parameter.
    fn config(&self, value: u64) -> Config {
        // `new` has checked that each value can be applied.
        self.parameter.apply(&self.base, value).unwrap_or_else(|| self.base.clone())
    }

    /// Simulates all replications of all points in up to `threads` threads, whose number does not change the results.
    /// Calls `on_progress` with the numbers of done and of all runs.
    ///
    /// # Errors
    /// If `is_cancelled` says so, or if a run exceeds the range of times.
    pub(crate) fn run(
        self,
        threads: usize,
        is_cancelled: impl Fn() -> bool + Sync,
        on_progress: impl Fn(u64, u64) + Sync,
    ) -> Result<SweepReport, SweepFailure> {
        let Settings { replications, warmup, seed } = self.settings;
        let per_point = replications as usize;
        let runs_total = self.values.len() * per_point;
        let simulate_run = |index: usize| {
            if is_cancelled() {
                return Err(NoStatistics::Cancelled);
            }
            // A configuration may hold a file's delays, and there may be many points: each run makes its own.
            let config = self.config(self.values[index / per_point]);
            let seed = seed.wrapping_add((index % per_point) as u64);
            let summary = simulate(&config, seed, warmup, &is_cancelled)?;
            Ok(Replication {
                averages: summary.averages(),
                half_widths: summary.half_widths(),
                has_correlated_batches: summary.has_correlated_batches(),
            })
        };
        let runs = jobs::run_all(runs_total, threads, simulate_run, |runs_done| {
            on_progress(runs_done as u64, runs_total as u64);
        });
        let mut points = Vec::new();
        let mut interval_method = IntervalMethod::Missing;
        for (&value, runs) in self.values.iter().zip(runs.chunks(per_point)) {
            let runs: Result<Vec<_>, _> = runs.iter().copied().collect();
            let runs = runs.map_err(|reason| match reason {
                NoStatistics::Cancelled => SweepFailure::Cancelled,
                NoStatistics::OutOfTime => {
                    SweepFailure::OutOfTime(self.parameter.format_setting(value))
                }
            })?;
            let config = self.config(value);
            let steady = config.model_input(Some(seed)).steady_state();
            let (estimates, method) = estimate_all(&runs, steady);
            interval_method = interval_method.max(method);
            points.push(PointReport {
                value,
                is_overloaded: is_overloaded(&config),
                has_correlated_batches: method == IntervalMethod::BatchMeans
                    && runs.iter().any(|run| run.has_correlated_batches),
                assumes_independence: steady.is_some_and(|steady| steady.assumes_independence),
                estimates,
            });
        }
        let Self { base, parameter, settings, .. } = self;
        Ok(SweepReport { base, parameter, settings, interval_method, points })
    }
}

/// Why a sweep has no results.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SweepFailure {
    Cancelled,
    /// The run at this point would go on after the latest paced time.
    OutOfTime(String),
}

/// Whether the queue has no steady state.
fn is_overloaded(config: &Config) -> bool {
    let (between, service) = (config.producer_delay.mean(), config.consumer_delay.mean());
    let [producers, consumers] = [config.producers, config.consumers].map(f64::from);
    let arriving = producers * service;
    let served = consumers * between;
    let varies = |delay: &Delay| delay.is_random() || delay.recorded().is_some();
    let is_random = [&config.producer_delay, &config.consumer_delay].into_iter().any(varies);
    config.capacity == 0 && (arriving > served || is_random && arriving >= served)
}

#[cfg(test)]
mod tests;
