//! How fast the queue is on this machine: real processes, measured in turns with what they are
//! compared to.
//!
//! [`Plan::measure`] measures each [`Case`] once a round, so that whatever else the machine does hits all
//! of them, and gives medians and spreads. One measurement is a [`Stage`](stage::Stage): processes of
//! this program ([`Task`]) that get ready, begin together, and tell what they saw.

mod chart;
mod figures;
mod item;
mod keeper_loop;
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
use crate::run::Crew;
pub(crate) use figures::Spread;
pub(crate) use item::SMALLEST;
use machine::Machine;
pub(crate) use task::Task;
pub(crate) use trial::Interrupted;
use trial::{Sample, Stage};

/// For how long items are put in one measurement.
const WINDOW: Nanos = 60_000_000;
/// `multiprocessing.Queue` takes items much faster than it passes them on: it is given less to take.
const PYTHON_WINDOW: Nanos = WINDOW / 6;
/// Rounds, if nobody asks for another number: so many, but no more than are over by this time.
const ROUNDS: u32 = 5;
const ENOUGH: Nanos = 17_000_000_000;

/// What passes the items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Subject {
    /// A queue as `qdemo run` has it.
    Qdemo,
    /// The machine's own limit: a writer, a relay and a reader on two named pipes.
    Relay,
    /// Python's `multiprocessing.Queue`.
    Python,
}

/// What is measured of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Items a second.
    Throughput,
    /// Nanoseconds from one process to the other, an item at a time.
    Latency,
}

/// Items of one size, between so many processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Case {
    pub(crate) subject: Subject,
    /// Bytes of an item as JSON.
    pub(crate) size: u64,
    pub(crate) producers: u32,
    pub(crate) consumers: u32,
}

/// What is to be measured.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) sizes: Vec<u64>,
    /// `[producers, consumers]`
    pub(crate) workers: Vec<[u32; 2]>,
    /// None for as many as there is time for.
    pub(crate) rounds: Option<u32>,
    /// Beside `multiprocessing.Queue`.
    pub(crate) python: bool,
}

/// What came of a case.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Outcome {
    #[serde(flatten)]
    pub(crate) case: Case,
    pub(crate) items_per_s: Spread,
    /// Of items alone, without what is around them.
    pub(crate) bytes_per_s: f64,
    /// From before the put until after the get, in seconds: by how many of a hundred it was not exceeded.
    pub(crate) p50_s: Spread,
    pub(crate) p99_s: Spread,
}

/// What could not be measured, or not as it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LeftOut {
    pub(crate) what: String,
    pub(crate) why: String,
}

/// What has been measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    machine: Machine,
    version: &'static str,
    commit: Option<&'static str>,
    pub(crate) rounds: u32,
    /// Seconds for which items were put in each of them; into Python's queue, which takes them faster than
    /// it passes them on, a sixth of that.
    window_s: f64,
    pub(crate) cases: Vec<Outcome>,
    pub(crate) left_out: Vec<LeftOut>,
}

/// Samples of a case, a round each.
struct Samples {
    case: Case,
    rates: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Plan {
    fn cases(&self) -> Vec<Case> {
        let case = |subject, size, [producers, consumers]: [u32; 2]| Case {
            subject,
            size,
            producers,
            consumers,
        };
        let mut cases = Vec::new();
        for &size in &self.sizes {
            cases.push(case(Subject::Relay, size, [1, 1]));
            for &workers in &self.workers {
                cases.push(case(Subject::Qdemo, size, workers));
                if self.python {
                    cases.push(case(Subject::Python, size, workers));
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
        crew: &Crew,
        base: &PrivateDir,
        interrupt: &Waker,
        mut progress: impl FnMut(u64, u64, &Case),
    ) -> anyhow::Result<Report> {
        let stage = Stage { crew, base, interrupt };
        let clock = Clock::start();
        let (cases, mut left_out) = preflight::possible(self.cases())?;
        let measurements = 2 * cases.len() as u64;
        let mut all: Vec<_> = cases.into_iter().map(Samples::of).collect();
        let most = self.rounds.unwrap_or(ROUNDS);
        let (mut over, mut rounds) = (0, 0);
        let mut round_began = 0;
        while rounds < most && !all.is_empty() {
            let mut failed = Vec::new();
            for samples in &mut all {
                progress(over, u64::from(most) * measurements, &samples.case);
                match samples.add_round(&stage) {
                    Ok(()) => {}
                    Err(error) if error.is::<Interrupted>() => return Err(error),
                    Err(error) => failed.push((samples.case, preflight::why(&error))),
                }
                over += 2;
            }
            all.retain(|samples| failed.iter().all(|(case, _)| *case != samples.case));
            left_out.extend(preflight::told(failed));
            rounds += 1;
            let now = clock.now();
            let next_ends = now + (now - round_began);
            round_began = now;
            if self.rounds.is_none() && next_ends > ENOUGH {
                break;
            }
        }
        Ok(Report {
            machine: Machine::this(),
            version: env!("CARGO_PKG_VERSION"),
            commit: machine::commit(),
            rounds,
            window_s: WINDOW as f64 / 1e9,
            cases: all.into_iter().filter_map(Samples::outcome).collect(),
            left_out,
        })
    }
}

impl Case {
    /// As people read it.
    pub(crate) fn name(&self) -> String {
        let Self { subject, size, producers, consumers } = self;
        let size = figures::bytes(*size);
        match subject {
            Subject::Qdemo => format!("{size}, {producers} × {consumers}"),
            Subject::Relay => format!("{size}, the bare relay"),
            Subject::Python => format!("{size}, {producers} × {consumers} of Python"),
        }
    }
}

impl Samples {
    fn of(case: Case) -> Self {
        Self { case, rates: Vec::new(), p50: Vec::new(), p99: Vec::new() }
    }

    fn add_round(&mut self, stage: &Stage<'_>) -> anyhow::Result<()> {
        let rate = stage.measure(self.case, Kind::Throughput)?.items_per_second();
        let Sample { mut latencies, .. } = stage.measure(self.case, Kind::Latency)?;
        latencies.sort_unstable();
        let quantile = |part| figures::quantile(&latencies, part).map(|nanos| nanos as f64 / 1e9);
        let (Some(rate), Some(p50), Some(p99)) = (rate, quantile(0.5), quantile(0.99)) else {
            anyhow::bail!("no item came through within {} ms", WINDOW / 1_000_000);
        };
        self.rates.push(rate);
        self.p50.push(p50);
        self.p99.push(p99);
        Ok(())
    }

    fn outcome(self) -> Option<Outcome> {
        let items_per_s = Spread::of(self.rates)?;
        Some(Outcome {
            case: self.case,
            bytes_per_s: items_per_s.median * self.case.size as f64,
            items_per_s,
            p50_s: Spread::of(self.p50)?,
            p99_s: Spread::of(self.p99)?,
        })
    }
}

impl Report {
    /// What was measured of this case.
    fn find(&self, case: Case) -> Option<&Outcome> {
        self.cases.iter().find(|outcome| outcome.case == case)
    }

    /// The limit for items of this size.
    fn limit(&self, size: u64) -> Option<&Outcome> {
        self.find(Case { subject: Subject::Relay, size, producers: 1, consumers: 1 })
    }
}
