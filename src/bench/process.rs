//! A process of a trial: runs its task, and reports the result.

use super::task::{ProcessReport, ProcessRole, TrialTask, send_report};
use super::{relay, workload};
use crate::os::chain_text;

impl TrialTask {
    /// Runs the task, and reports the result or the failure.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        #[cfg(target_os = "linux")]
        self.die_with_parent();
        let report = match self.role {
            ProcessRole::Producer => workload::run_producer(self),
            ProcessRole::Consumer => workload::run_consumer(self),
            ProcessRole::IdleClients => workload::run_idle_clients(self),
            ProcessRole::Writer => relay::run_writer(self),
            ProcessRole::Relay => relay::run_relay(self),
            ProcessRole::Reader => relay::run_reader(self),
        };
        send_report(
            &report.unwrap_or_else(|error| ProcessReport::Failed(chain_text(error.as_ref()))),
        )
    }

    /// A process that opens a pipe waits for the other end. If the parent dies before it starts the process of the
    /// other end, the wait never ends.
    #[cfg(target_os = "linux")]
    fn die_with_parent(&self) {
        use rustix::process::{Signal, getppid, set_parent_process_death_signal};
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
        // The signal does not come for a parent that is already dead.
        if getppid()
            .is_none_or(|parent| parent.as_raw_nonzero().get().unsigned_abs() != self.parent)
        {
            std::process::exit(1);
        }
    }
}
