//! How a child process ended.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// The cause of an unexpected exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCause {
    /// The number of the signal that ended the process.
    Signal(i32),
    /// The exit code.
    Exit(i32),
}

impl ExitCause {
    /// None for exit code 0.
    pub(crate) fn from_status(status: ExitStatus) -> Option<Self> {
        match (status.code(), status.signal()) {
            (Some(0), _) => None,
            (Some(code), _) => Some(Self::Exit(code)),
            // The system reports either a code or a signal for every ended process.
            (None, signal) => Some(Self::Signal(signal.unwrap_or_default())),
        }
    }
}
