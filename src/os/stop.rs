//! Stopping this process, and finding out whether a shell would continue it.

use nix::sys::signal::{Signal, raise};

use crate::proc::ProcessStat;

/// Stops this process until SIGCONT comes.
pub(crate) fn stop_self() {
    // A refusal by the system needs no reaction.
    let _ = raise(Signal::SIGSTOP);
}

/// Whether a shell may continue this process after a stop: a process of the same session has started this
/// process group, and is not in the group. Without such a process the kernel does not let a terminal
/// stop the group ("orphaned process group").
pub(crate) fn has_job_control() -> bool {
    let Some(own) = ProcessStat::read("self") else {
        return true;
    };
    let mut parent = own.parent;
    while parent > 0 {
        let Some(ancestor) = ProcessStat::read(&parent.to_string()) else {
            return false;
        };
        if ancestor.group != own.group {
            return ancestor.session == own.session;
        }
        parent = ancestor.parent;
    }
    // The ancestors above are invisible here. If the session is invisible too, a shell may lead it.
    own.session == 0
}
