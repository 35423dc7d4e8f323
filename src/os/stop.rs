//! Being stopped.

use nix::sys::signal::{Signal, raise};

use crate::proc;

/// What the kernel tells of a process: its parent, group and session; 0 for one that is not seen here.
struct ProcessIds {
    parent_pid: i32,
    process_group: i32,
    session: i32,
}

/// Stops this process until SIGCONT comes.
pub(crate) fn stop_self() {
    // Nothing is wrong where the system does not let it stop.
    let _ = raise(Signal::SIGSTOP);
}

/// Whether there may be a shell that would let this process go on when it has stopped: a process of the
/// same session started its process group, and is not in it. Without one the kernel does not let a
/// terminal stop a process ("orphaned process group").
pub(crate) fn has_job_control() -> bool {
    let Some(own) = read_process_ids("self") else {
        return true;
    };
    let mut parent = own.parent_pid;
    while parent > 0 {
        let Some(above) = read_process_ids(&parent.to_string()) else {
            return false;
        };
        if above.process_group != own.process_group {
            return above.session == own.session;
        }
        parent = above.parent_pid;
    }
    // Whatever is above is not seen here. If the session is not either, a shell may lead it.
    own.session == 0
}

fn read_process_ids(pid: &str) -> Option<ProcessIds> {
    let stat = proc::read(&format!("/proc/{pid}/stat")).ok()?;
    // The second field, a name in brackets, may contain anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(1).map(str::parse);
    let mut next = || fields.next()?.ok();
    Some(ProcessIds { parent_pid: next()?, process_group: next()?, session: next()? })
}
