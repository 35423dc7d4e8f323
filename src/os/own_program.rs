//! Where this program is, and how it starts itself again.

use std::env;
use std::io::{self, ErrorKind};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::program::{candidate_paths, is_executable};

/// This program, as a command that is listed under its name. Without `/proc` its path stands there: by
/// that its own children find it.
fn self_command() -> io::Result<Command> {
    let mut command = Command::new(self_executable()?);
    if env::current_exe().is_ok() {
        command.arg0("qdemo");
    }
    Ok(command)
}

/// Starts this program by a command that `start` completes. Its file may go at this very moment, as it may
/// at any time before: then the link leads to it.
pub(crate) fn spawn_self<T>(start: impl Fn(&mut Command) -> io::Result<T>) -> io::Result<T> {
    match start(&mut self_command()?) {
        Err(error) if error.kind() == ErrorKind::NotFound && Path::new(PROC_SELF_EXE).exists() => {
            start(Command::new(PROC_SELF_EXE).arg0("qdemo"))
        }
        other => other,
    }
}

/// This program. If its file has been replaced or removed meanwhile, the one that runs, by a link
/// that Linux has to it; but then the system lists the child under the link's name. Without `/proc`, the one
/// that a shell would find by the name that this process was started under.
pub(crate) fn self_executable() -> io::Result<PathBuf> {
    match env::current_exe() {
        Ok(path) if !path.exists() => Ok(PathBuf::from(PROC_SELF_EXE)),
        Err(error) => executable_from_arg0().ok_or(error),
        found => found,
    }
}

fn executable_from_arg0() -> Option<PathBuf> {
    let places = candidate_paths(&env::args_os().next()?);
    std::path::absolute(places.into_iter().find(|place| is_executable(place))?).ok()
}

/// Linux has a link there to the file that runs, even if that has been removed.
const PROC_SELF_EXE: &str = "/proc/self/exe";

/// Keeps this process, and those that it starts from now on, on the core where it is. When only one of
/// them runs at a time, passing on the turn costs a fraction of what waking another core does.
pub(crate) fn pin_to_current_core() {
    #[cfg(target_os = "linux")]
    {
        use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};
        let mut here = CpuSet::new();
        here.set(sched_getcpu());
        // Where it may not be done, it is only slower.
        let _ = sched_setaffinity(None, &here);
    }
}
