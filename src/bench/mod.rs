//! How fast the queue is on this machine: real processes, measured in turns with what they are
//! compared to.
//!
//! [`Plan::measure`] measures each [`Case`] once a round, so that whatever else the machine does hits all
//! of them, and gives medians and spreads. One measurement is a [`Stage`](stage::Stage): processes of
//! this program ([`Task`]) that get ready, begin together, and tell what they saw.

mod chart;
mod figures;
mod item;
mod machine;
mod preflight;
mod relay;
mod table;
mod task;
mod trial;
mod workload;

use serde::Serialize;

use crate::clock::{Clock, Nanos};
use crate::os::{PrivateDir, Waker};
use crate::run::Workers;
pub(crate) use figures::MedianRange;
pub(crate) use item::MIN_ITEM_SIZE;
use machine::Machine;
pub(crate) use task::TrialTask;
pub(crate) use trial::Interrupted;
use trial::{Trial, TrialSample};

/// For how long items are put in one measurement.
const PUT_DURATION: Nanos = 60_000_000;
/// `multiprocessing.Queue` takes items much faster than it passes them on: it is given less to take.
const PYTHON_PUT_DURATION: Nanos = PUT_DURATION / 6;
/// Rounds, if nobody asks for another number: so many, but no more than are over by this time.
const DEFAULT_ROUNDS: u32 = 5;
const TIME_BUDGET: Nanos = 17_000_000_000;

/// What passes the items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Implementation {
    /// A queue as `qdemo run` has it.
    Qdemo,
    /// The machine's own limit: a writer, a relay and a reader on two named pipes.
    Relay,
    /// Python's `multiprocessing.Queue`.
    Python,
}

/// What is measured of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Metric {
    /// Items a second.
    Throughput,
    /// Nanoseconds from one process to the other, an item at a time.
    Latency,
}

/// Items of one size, between so many processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct BenchCase {
    #[serde(rename = "subject")]
    pub(crate) implementation: Implementation,
    /// Bytes of an item as JSON.
    pub(crate) size: u64,
    pub(crate) producers: u32,
    pub(crate) consumers: u32,
}

/// What is to be measured.
#[derive(Debug)]
pub(crate) struct BenchConfig {
    pub(crate) sizes: Vec<u64>,
    /// `[producers, consumers]`
    pub(crate) workers: Vec<[u32; 2]>,
    /// None for as many as there is time for.
    pub(crate) rounds: Option<u32>,
    /// Beside `multiprocessing.Queue`.
    pub(crate) has_python: bool,
}

/// What came of a case.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CaseResult {
    #[serde(flatten)]
    pub(crate) case: BenchCase,
    pub(crate) items_per_s: MedianRange,
    /// Of items alone, without what is around them.
    pub(crate) bytes_per_s: f64,
    /// From before the put until after the get, in seconds: by how many of a hundred it was not exceeded.
    pub(crate) p50_s: MedianRange,
    pub(crate) p99_s: MedianRange,
}

/// What could not be measured, or not as it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SkippedMeasurement {
    pub(crate) what: String,
    #[serde(rename = "why")]
    pub(crate) reason: String,
}

/// What has been measured.
#[derive(Debug, Serialize)]
pub(crate) struct BenchReport {
    machine: Machine,
    version: &'static str,
    commit: Option<&'static str>,
    pub(crate) rounds: u32,
    /// Seconds for which items were put in each of them; into Python's queue, which takes them faster than
    /// it passes them on, a sixth of that.
    window_s: f64,
    pub(crate) cases: Vec<CaseResult>,
    #[serde(rename = "left_out")]
    pub(crate) skipped: Vec<SkippedMeasurement>,
}

/// Samples of a case, a round each.
struct CaseSamples {
    case: BenchCase,
    throughputs: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl BenchConfig {
    fn cases(&self) -> Vec<BenchCase> {
        let case = |subject, size, [producers, consumers]: [u32; 2]| BenchCase {
            implementation: subject,
            size,
            producers,
            consumers,
        };
        let mut cases = Vec::new();
        for &size in &self.sizes {
            cases.push(case(Implementation::Relay, size, [1, 1]));
            for &workers in &self.workers {
                cases.push(case(Implementation::Qdemo, size, workers));
                if self.has_python {
                    cases.push(case(Implementation::Python, size, workers));
                }
            }
        }
        cases
    }

    /// Measures everything, in directories in `base`; `progress` is told how many measurements are over,
    /// of how many, and which is next.
    ///
    /// # Errors
    /// [`Interrupted`] when `interrupt` was woken.
    pub(crate) fn measure(
        &self,
        workers: &Workers,
        base: &PrivateDir,
        interrupt: &Waker,
        mut progress: impl FnMut(u64, u64, &BenchCase),
    ) -> anyhow::Result<BenchReport> {
        let stage = Trial { workers, base, interrupt };
        let clock = Clock::start_now();
        let (cases, mut left_out) = preflight::filter_cases(self.cases())?;
        let measurements = 2 * cases.len() as u64;
        let mut all: Vec<_> = cases.into_iter().map(CaseSamples::new).collect();
        let most = self.rounds.unwrap_or(DEFAULT_ROUNDS);
        let (mut over, mut rounds) = (0, 0);
        let mut round_began = 0;
        while rounds < most && !all.is_empty() {
            let mut failed = Vec::new();
            for samples in &mut all {
                progress(over, u64::from(most) * measurements, &samples.case);
                match samples.add_round(&stage) {
                    Ok(()) => {}
                    Err(error) if error.is::<Interrupted>() => return Err(error),
                    Err(error) => failed.push((samples.case, preflight::explain_failure(&error))),
                }
                over += 2;
            }
            all.retain(|samples| failed.iter().all(|(case, _)| *case != samples.case));
            left_out.extend(preflight::group_failures(failed));
            rounds += 1;
            let now = clock.now();
            let next_ends = now + (now - round_began);
            round_began = now;
            if self.rounds.is_none() && next_ends > TIME_BUDGET {
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
            skipped: left_out,
        })
    }
}

impl BenchCase {
    /// As people read it.
    pub(crate) fn label(&self) -> String {
        let Self { implementation: subject, size, producers, consumers } = self;
        let size = figures::format_bytes(*size);
        match subject {
            Implementation::Qdemo => format!("{size}, {producers} × {consumers}"),
            Implementation::Relay => format!("{size}, the bare relay"),
            Implementation::Python => format!("{size}, {producers} × {consumers} of Python"),
        }
    }
}

impl CaseSamples {
    fn new(case: BenchCase) -> Self {
        Self { case, throughputs: Vec::new(), p50: Vec::new(), p99: Vec::new() }
    }

    fn add_round(&mut self, stage: &Trial<'_>) -> anyhow::Result<()> {
        let rate = stage.measure(self.case, Metric::Throughput)?.items_per_second();
        let TrialSample { mut latencies, .. } = stage.measure(self.case, Metric::Latency)?;
        latencies.sort_unstable();
        let quantile =
            |part| figures::nearest_rank(&latencies, part).map(|nanos| nanos as f64 / 1e9);
        let (Some(rate), Some(p50), Some(p99)) = (rate, quantile(0.5), quantile(0.99)) else {
            anyhow::bail!("no item came through within {} ms", PUT_DURATION / 1_000_000);
        };
        self.throughputs.push(rate);
        self.p50.push(p50);
        self.p99.push(p99);
        Ok(())
    }

    fn into_result(self) -> Option<CaseResult> {
        let items_per_s = MedianRange::from_values(self.throughputs)?;
        Some(CaseResult {
            case: self.case,
            bytes_per_s: items_per_s.median * self.case.size as f64,
            items_per_s,
            p50_s: MedianRange::from_values(self.p50)?,
            p99_s: MedianRange::from_values(self.p99)?,
        })
    }
}

impl BenchReport {
    /// What was measured of this case.
    fn find_result(&self, case: BenchCase) -> Option<&CaseResult> {
        self.cases.iter().find(|outcome| outcome.case == case)
    }

    /// The limit for items of this size.
    fn relay_limit(&self, size: u64) -> Option<&CaseResult> {
        self.find_result(BenchCase {
            implementation: Implementation::Relay,
            size,
            producers: 1,
            consumers: 1,
        })
    }
}
