//! Being stopped.

use nix::sys::signal::{Signal, raise};

use crate::proc;

/// What the kernel tells of a process: its parent, group and session; 0 for one that is not seen here.
struct Process {
    parent: i32,
    group: i32,
    session: i32,
}

/// Stops this process until SIGCONT comes.
pub(crate) fn stop() {
    // Nothing is wrong where the system does not let it stop.
    let _ = raise(Signal::SIGSTOP);
}

/// Whether there may be a shell that would let this process go on when it has stopped: a process of the
/// same session started its process group, and is not in it. Without one the kernel does not let a
/// terminal stop a process ("orphaned process group").
pub(crate) fn may_stop() -> bool {
    let Some(own) = process("self") else {
        return true;
    };
    let mut parent = own.parent;
    while parent > 0 {
        let Some(above) = process(&parent.to_string()) else {
            return false;
        };
        if above.group != own.group {
            return above.session == own.session;
        }
        parent = above.parent;
    }
    // Whatever is above is not seen here. If the session is not either, a shell may lead it.
    own.session == 0
}

fn process(pid: &str) -> Option<Process> {
    let stat = proc::read(&format!("/proc/{pid}/stat")).ok()?;
    // The second field, a name in brackets, may contain anything.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(1).map(str::parse);
    let mut next = || fields.next()?.ok();
    Some(Process { parent: next()?, group: next()?, session: next()? })
}
