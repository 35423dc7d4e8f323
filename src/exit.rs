//! How a command ends.

use crate::os;

/// A command's end, as its caller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// 0: all is done.
    Done,
    /// 1: something failed.
    Failed,
    /// 2: the command was not understood, and nothing was started.
    Usage,
    /// 3: it would have had to wait, for room or for an item, longer than it was to.
    WouldBlock,
    /// 4: the queue is closed, or has ended.
    Closed,
    /// 126: the command for the items cannot be executed.
    NotExecutable,
    /// 127: there is no such command for the items.
    NotFound,
    /// Death by this signal, so that a shell's loop stops too; process 1 exits with 128 + its number.
    Signal(i32),
}

impl ExitCode {
    /// Ends the process this way.
    pub fn into_process_exit(self) -> std::process::ExitCode {
        match self {
            Self::Done => 0.into(),
            Self::Failed => 1.into(),
            Self::Usage => 2.into(),
            Self::WouldBlock => 3.into(),
            Self::Closed => 4.into(),
            Self::NotExecutable => 126.into(),
            Self::NotFound => 127.into(),
            Self::Signal(signal) => os::die_by_signal(signal).into(),
        }
    }
}

/// What was asked for cannot be: nothing has been done, and the command ends with [`ExitCode::Usage`].
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);
