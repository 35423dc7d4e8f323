//! Process 1 of a container: runs the command in a child.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;

use crate::os;

/// If this process is process 1, runs the command in a child and returns the child's exit code. If no child can
/// start, returns `None`: process 1 runs the command itself.
pub(super) fn run_as_init(args: &[OsString]) -> Option<u8> {
    if std::process::id() != 1 {
        return None;
    }
    let (name, args) = args.split_first()?;
    // Without `/proc`, only the name in the arguments says which program this process runs.
    let program = os::self_executable().unwrap_or_else(|_| name.into());
    os::run_as_init(std::process::Command::new(program).arg0(name).args(args)).ok()
}
