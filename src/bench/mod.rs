//! Measures the speed of the queue on this machine with real processes, in turns with other implementations.
//!
//! [`BenchConfig::measure`] measures each [`BenchCase`] once a round, so that other load on the machine affects
//! all cases, and reports medians and ranges. One measurement is a [`Trial`]: processes of this program
//! ([`TrialTask`]) that get ready, start together, and report.

mod case;
mod chart;
mod figures;
mod item;
mod machine;
mod preflight;
mod process;
mod relay;
mod table;
mod task;
mod trial;
mod workload;

use serde::Serialize;

use crate::catalogue::message;
use crate::clock::{Clock, Nanos};
use crate::os::{PrivateDir, Waker};
use crate::run::Workers;
pub(crate) use case::{BenchCase, Implementation, SkippedMeasurement};
use case::{Metric, PUT_DURATION};
pub(crate) use figures::MedianRange;
pub(crate) use item::MIN_ITEM_SIZE;
use machine::Machine;
pub(crate) use task::TrialTask;
pub(crate) use trial::Interrupted;
use trial::{Trial, TrialSample};

/// The default number of rounds. Fewer rounds run if more would exceed the time budget.
const DEFAULT_ROUNDS: u32 = 5;
const TIME_BUDGET: Nanos = 17_000_000_000;

/// What to measure.
#[derive(Debug)]
pub(crate) struct BenchConfig {
    pub(crate) sizes: Vec<u64>,
    /// `[producers, consumers]`
    pub(crate) workers: Vec<[u32; 2]>,
    /// None for as many rounds as the time budget permits.
    pub(crate) rounds: Option<u32>,
    /// Measure `multiprocessing.Queue` too.
    pub(crate) has_python: bool,
    /// Measure the queue beside this many idle clients too. 0 for no such cases.
    pub(crate) idle_clients: u32,
}

/// The figures of a case.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct CaseResult {
    #[serde(flatten)]
    pub(crate) case: BenchCase,
    /// Items per second.
    pub(crate) items_per_s: MedianRange,
    /// Bytes of items per second, without the protocol around them.
    pub(crate) bytes_per_s: f64,
    /// The 50th percentile of the time from before the put until after the get, in seconds.
    pub(crate) p50_s: MedianRange,
    /// The 99th percentile of the same time, in seconds.
    pub(crate) p99_s: MedianRange,
}

/// The figures of all cases.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(title = "The report of bench"))]
pub(crate) struct BenchReport {
    /// The machine that was measured.
    machine: Machine,
    /// The version of qdemo.
    version: &'static str,
    /// The commit of qdemo. Null if qdemo was built outside its repository.
    commit: Option<&'static str>,
    /// How often each case was measured.
    pub(crate) rounds: u32,
    /// How long a trial puts items, in seconds.
    window_s: f64,
    /// The figures of each case.
    pub(crate) cases: Vec<CaseResult>,
    /// What was not measured, or not as intended.
    #[serde(rename = "left_out")]
    pub(crate) skipped: Vec<SkippedMeasurement>,
}

/// The samples of a case, one for each round.
struct CaseSamples {
    case: BenchCase,
    /// Items per second, and the 50th and the 99th percentile of the latency in seconds.
    rounds: Vec<[f64; 3]>,
}

impl BenchConfig {
    fn cases(&self) -> Vec<BenchCase> {
        let case = |implementation, size, [producers, consumers]: [u32; 2]| BenchCase {
            implementation,
            size,
            producers,
            consumers,
            idle_clients: 0,
        };
        let mut cases = Vec::new();
        for &size in &self.sizes {
            cases.push(case(Implementation::Relay, size, [1, 1]));
            for &workers in &self.workers {
                cases.push(case(Implementation::Qdemo, size, workers));
                if let idle_clients @ 1.. = self.idle_clients {
                    let alone = case(Implementation::Qdemo, size, workers);
                    cases.push(BenchCase { idle_clients, ..alone });
                }
                if self.has_python {
                    cases.push(case(Implementation::Python, size, workers));
                }
            }
        }
        cases
    }

    /// Measures all cases, in directories in `base`. `progress` gets the number of finished measurements, the
    /// number of all measurements, and the next case.
    ///
    /// # Errors
    /// [`Interrupted`] after `interrupt` was woken.
    pub(crate) fn measure(
        &self,
        workers: &Workers,
        base: &PrivateDir,
        interrupt: &Waker,
        mut progress: impl FnMut(u64, u64, &BenchCase),
    ) -> anyhow::Result<BenchReport> {
        let trial = Trial { workers, base, interrupt };
        let clock = Clock::start_now();
        let (cases, mut skipped) = preflight::filter_cases(self.cases())?;
        let measurements = 2 * cases.len() as u64;
        let mut all: Vec<_> =
            cases.into_iter().map(|case| CaseSamples { case, rounds: Vec::new() }).collect();
        let max_rounds = self.rounds.unwrap_or(DEFAULT_ROUNDS);
        let (mut finished, mut rounds) = (0, 0);
        let mut round_start = 0;
        while rounds < max_rounds && !all.is_empty() {
            let mut failed = Vec::new();
            for samples in &mut all {
                progress(finished, u64::from(max_rounds) * measurements, &samples.case);
                match samples.add_round(&trial) {
                    Ok(()) => {}
                    Err(error) if error.is::<Interrupted>() => return Err(error),
                    Err(error) => failed.push((samples.case, preflight::explain_failure(&error))),
                }
                finished += 2;
            }
            all.retain(|samples| failed.iter().all(|(case, _)| *case != samples.case));
            skipped.extend(preflight::group_failures(failed));
            rounds += 1;
            let now = clock.now();
            let next_round_end = now + (now - round_start);
            round_start = now;
            if self.rounds.is_none() && next_round_end > TIME_BUDGET {
                break;
            }
        }
        Ok(BenchReport {
            machine: Machine::current(),
            version: env!("CARGO_PKG_VERSION"),
            commit: machine::build_commit(),
            rounds,
            window_s: PUT_DURATION as f64 / 1e9,
            cases: all.into_iter().filter_map(CaseSamples::into_result).collect(),
            skipped,
        })
    }
}

impl CaseSamples {
    fn add_round(&mut self, trial: &Trial<'_>) -> anyhow::Result<()> {
        let rate = trial.measure(self.case, Metric::Throughput)?.items_per_second();
        let TrialSample { mut latencies, .. } = trial.measure(self.case, Metric::Latency)?;
        latencies.sort_unstable();
        let quantile =
            |part| figures::nearest_rank(&latencies, part).map(|nanos| nanos as f64 / 1e9);
        let (Some(rate), Some(p50), Some(p99)) = (rate, quantile(0.5), quantile(0.99)) else {
            anyhow::bail!(message!("bench-no-item", time = PUT_DURATION / 1_000_000));
        };
        self.rounds.push([rate, p50, p99]);
        Ok(())
    }

    fn into_result(self) -> Option<CaseResult> {
        let range =
            |at| MedianRange::from_values(self.rounds.iter().map(|round| round[at]).collect());
        let [items_per_s, p50_s, p99_s] = [range(0)?, range(1)?, range(2)?];
        Some(CaseResult {
            case: self.case,
            bytes_per_s: items_per_s.median * self.case.size as f64,
            items_per_s,
            p50_s,
            p99_s,
        })
    }
}

impl BenchReport {
    /// The figures of this case.
    fn find_result(&self, case: BenchCase) -> Option<&CaseResult> {
        self.cases.iter().find(|result| result.case == case)
    }

    /// The machine's limit for items of this size.
    fn relay_limit(&self, size: u64) -> Option<&CaseResult> {
        self.find_result(BenchCase {
            implementation: Implementation::Relay,
            size,
            producers: 1,
            consumers: 1,
            idle_clients: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_of_a_benchmark_is_that_of_its_type() {
        crate::testing::schemas::compare::<super::BenchReport>("bench");
    }
}
