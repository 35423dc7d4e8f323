//! Where this program is, and how it starts itself again.

use std::env;
use std::io::{self, ErrorKind};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::program::{candidate_paths, is_executable};

/// The environment variable with the token of a consumer's guard. A process that outlives its consumer, as a
/// keeper does, must not inherit the variable.
pub(crate) const GUARD_ENV: &str = "QDEMO_GUARD";

/// Linux links this path to the running program, even after the removal of the program's file.
const PROC_SELF_EXE: &str = "/proc/self/exe";

/// Starts this program by a command that `start` completes. The system lists the process as `qdemo`. Without
/// `/proc` the system lists the program's path instead, since the children find the program by that path.
///
/// The program's file may vanish at this very moment; the link of `/proc` still leads to the program then.
pub(crate) fn spawn_self<T>(start: impl Fn(&mut Command) -> io::Result<T>) -> io::Result<T> {
    let mut command = Command::new(self_executable()?);
    if env::current_exe().is_ok() {
        command.arg0("qdemo");
    }
    match start(&mut command) {
        Err(error) if is_being_replaced(&error) && Path::new(PROC_SELF_EXE).exists() => {
            start(Command::new(PROC_SELF_EXE).arg0("qdemo"))
        }
        other => other,
    }
}

/// Whether the error may come from a program's file that vanishes, or that an upgrade is writing.
fn is_being_replaced(error: &io::Error) -> bool {
    use ErrorKind::{ExecutableFileBusy, NotFound, PermissionDenied};
    matches!(error.kind(), NotFound | PermissionDenied | ExecutableFileBusy)
}

/// The path of this program. If the program's file is gone or replaced, the path is Linux's link to the
/// running program; the system would list a child under the link's name. Without `/proc` the path is the
/// one that a shell would find by the name that started this process.
pub(crate) fn self_executable() -> io::Result<PathBuf> {
    match env::current_exe() {
        Ok(path) if !path.exists() => Ok(PathBuf::from(PROC_SELF_EXE)),
        Err(error) => executable_from_arg0().ok_or(error),
        found => found,
    }
}

fn executable_from_arg0() -> Option<PathBuf> {
    let paths = candidate_paths(&env::args_os().next()?);
    std::path::absolute(paths.into_iter().find(|path| is_executable(path))?).ok()
}

/// Pins this process, and the children that it starts later, to the present core. If only one of the
/// processes runs at a time, a switch on one core costs a fraction of waking another core.
pub(crate) fn pin_to_current_core() {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};
        let mut cores = CpuSet::new();
        cores.set(sched_getcpu());
        // A refusal only costs time.
        let _ = sched_setaffinity(None, &cores);
    }
}
