//! How a child process ended.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// How a process ended that was not to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCause {
    /// By this signal.
    Signal(i32),
    /// With this exit code.
    Exit(i32),
}

impl ExitCause {
    /// None if it left of its own will, with code 0.
    pub(crate) fn from_status(status: ExitStatus) -> Option<Self> {
        match (status.code(), status.signal()) {
            (Some(0), _) => None,
            (Some(code), _) => Some(Self::Exit(code)),
            // One or the other is known of whatever has ended.
            (None, signal) => Some(Self::Signal(signal.unwrap_or_default())),
        }
    }
}
