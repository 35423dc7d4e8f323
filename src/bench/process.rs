//! A process of a trial: runs its task, and reports the result.

use super::task::{ProcessReport, ProcessRole, TrialTask, send_report};
use super::{relay, workload};

impl TrialTask {
    /// Runs the task, and reports the result or the failure.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let report = match self.role {
            ProcessRole::Producer => workload::run_producer(self),
            ProcessRole::Consumer => workload::run_consumer(self),
            ProcessRole::Writer => relay::run_writer(self),
            ProcessRole::Relay => relay::run_relay(self),
            ProcessRole::Reader => relay::run_reader(self),
        };
        send_report(&report.unwrap_or_else(|error| ProcessReport::Failed(format!("{error:#}"))))
    }
}
