//! `qdemo run --simulate`, and simulated runs for those who want the statistics alone.

use super::config::{Config, Outputs};
use super::observer::RunObserver;
use super::simulator::Simulator;
use crate::event::Event;
use crate::exit::ExitCode;
use crate::keeper::Observer;
use crate::os::signals::{self, LeaveSignals};
use crate::report::{Output, Progress, StatsCollector, StatsSummary};

/// After this many turns a simulated run writes its lines, and looks whether it has to stop.
const TURNS_PER_CHECK: u64 = 1_000;

/// Computes the run in this process, and prints its lines and its result.
pub(super) fn run(
    config: &Config,
    outputs: impl FnOnce() -> anyhow::Result<Outputs>,
) -> anyhow::Result<ExitCode> {
    let mut outputs = outputs()?;
    let interrupt = signals::install_handlers(LeaveSignals::NotIgnored)?;
    let output = Output::new(Progress::default(), Some(interrupt));
    let (mut observer, seed) = RunObserver::open(config, &outputs, output)?;
    let mut simulator = Simulator::new(config, seed, &mut observer);
    while simulator.advance(TURNS_PER_CHECK) && signals::exit_signal().is_none() {
        simulator.observer().flush_output()?;
    }
    let end = simulator.run_end();
    if end.is_out_of_time || signals::exit_signal().is_some() {
        observer.invalidate_model();
    }
    let ended = observer.print_result(config, &mut outputs, end);
    signals::exit_signal().map_or(ended, |signal| Ok(ExitCode::Signal(signal)))
}

/// Why a simulated run has no statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoStatistics {
    /// The caller did not want to wait any longer.
    Cancelled,
    /// The run would have gone on after the latest paced time.
    OutOfTime,
}

/// The averages of a simulated run, without the first `warmup` items and without percentiles. `is_cancelled` is asked every few hundred
/// microseconds.
pub(crate) fn simulate(
    config: &Config,
    seed: u64,
    warmup: u64,
    is_cancelled: impl Fn() -> bool,
) -> Result<StatsSummary, NoStatistics> {
    let collector = StatsCollector::new(config.model_input(Some(seed)), warmup);
    let mut collector = collector.without_percentiles();
    let mut observer = StatsObserver(&mut collector);
    let mut simulator = Simulator::new(config, seed, &mut observer);
    while simulator.advance(TURNS_PER_CHECK) {
        if is_cancelled() {
            return Err(NoStatistics::Cancelled);
        }
    }
    let end = simulator.run_end();
    if end.is_out_of_time {
        return Err(NoStatistics::OutOfTime);
    }
    Ok(collector.into_summary(end.at))
}

/// Collects statistics, and nothing else.
struct StatsObserver<'a>(&'a mut StatsCollector);

impl Observer for StatsObserver<'_> {
    fn on_event(&mut self, event: Event<'_>) {
        if !event.is_trace_only() {
            self.0.on_event(event);
        }
    }
}
