//! How a command ends: its exit code, and the error of a request that cannot be carried out.

use std::fmt::Display;
use std::io;

use crate::catalogue::message;
use crate::os;

/// The end of a command, as its caller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// 0: The command succeeded.
    Done,
    /// 1: Something failed.
    Failed,
    /// 2: The command is not valid. Nothing was started.
    Usage,
    /// 3: The command would wait longer than its timeout for room, an item or the last item to be done.
    WouldBlock,
    /// 4: The queue is closed or has ended.
    Closed,
    /// 126: The command for the items cannot be executed.
    NotExecutable,
    /// 127: The command for the items does not exist.
    NotFound,
    /// Death by this signal, so that a shell's loop stops too. Process 1 exits with 128 + the signal number.
    Signal(i32),
}

impl ExitCode {
    /// The exit code for `main` to return. [`ExitCode::Signal`] ends the process here instead.
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

/// An error that decides the exit code of the command.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ExitError {
    pub(crate) code: ExitCode,
    message: String,
    #[source]
    cause: Option<io::Error>,
    /// The advice to print after the cause.
    pub(crate) remedy: Option<String>,
}

impl ExitError {
    /// `message` contains its own remedy.
    pub(crate) fn new(code: ExitCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), cause: None, remedy: None }
    }

    /// A request that cannot be carried out. Nothing has been done.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Usage, message)
    }

    pub(crate) fn unreadable(
        file: impl Display,
        cause: io::Error,
        remedy: impl Into<String>,
    ) -> Self {
        let error = Self::usage(message!("error-cannot-read", file = &file));
        Self { cause: Some(cause), remedy: Some(remedy.into()), ..error }
    }

    pub(crate) fn unwritable(file: impl Display, cause: io::Error) -> Self {
        let error = Self::usage(message!("error-cannot-write", file = &file));
        Self { cause: Some(cause), remedy: Some(message!("error-name-a-file")), ..error }
    }
}
