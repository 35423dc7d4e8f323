//! The errors of a client.

use std::io;
use std::path::PathBuf;

use crate::catalogue::{Lang, in_language, message, recompose};
use crate::pipe::DirError;
use crate::queue_name::QueueNameError;
use crate::server::{ServerError, SettingsError};
use crate::wire::ErrorCode;
use crate::wire::MalformedReply;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why an operation on a queue failed.
///
/// [`source`](std::error::Error::source) has the cause where there is one. Unless the variant says
/// otherwise, the operation had no effect on the queue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A queue cannot have this name.
    #[error(transparent)]
    Name(#[from] QueueNameError),
    /// The environment names no directory for queues, and the user has no home directory.
    #[error("{}", message!("error-no-home"))]
    NoHome,
    /// The directory is not safe for a queue: it is a link, or other users have access. The text
    /// contains the remedy.
    #[error(transparent)]
    Unsafe(Cause),
    /// The URL of a server, or a file that the environment names for the server, cannot be used. The text
    /// contains the remedy, and no password.
    #[error(transparent)]
    ServerSettings(Cause),
    /// A directory, a pipe or a program for the queue cannot be used.
    #[error("{what}")]
    #[non_exhaustive]
    Open {
        /// What failed, such as "cannot make a mailbox".
        what: String,
        /// The answer of the system.
        source: io::Error,
    },
    /// A pipe of the queue cannot be read or written. The operation may have taken effect.
    #[error("{}", message!("error-pipe"))]
    Pipe(#[source] io::Error),
    /// No keeper can be started for the queue.
    #[error("{}", message!("error-start"))]
    Start(#[source] Cause),
    /// The keeper has died, and this client may not start another.
    #[doc(hidden)]
    #[error("{}", message!("error-keeper-gone"))]
    KeeperGone,
    /// The keeper did not answer in time, because it is stopped for example. It may still do what was
    /// asked when it continues: a put may be in the queue or not, and items that it delivers too late go
    /// back to their place.
    #[error("{}", no_answer_text(.queue, *.process, *.starting, .server.as_deref()))]
    #[non_exhaustive]
    NoAnswer {
        /// The name of the queue.
        queue: String,
        /// The id of the process that does not answer, if it is known.
        process: Option<u32>,
        /// Whether `process` is only starting the keeper.
        starting: bool,
        /// If the queue is on a server: why the server does not answer.
        server: Option<String>,
    },
    /// The queue is closed, and takes no more items.
    #[error("{}", message!("error-closed-for-puts"))]
    Closed,
    /// The queue had no room in time.
    #[error("{}", message!("error-full"))]
    Full,
    /// The queue had no item in time.
    #[error("{}", message!("error-empty"))]
    Empty,
    /// This number of items was neither done nor failed in time.
    #[error("{}", message!("error-unfinished", items = *.0))]
    Unfinished(u64),
    /// The lease of the item with this id ran out before the item was reported done. The item is in the
    /// queue again, or with another client.
    #[error("{}", message!("error-lease-expired", id = *.0))]
    LeaseExpired(u64),
    /// The value cannot be written as JSON.
    #[error("{}", message!("error-encode"))]
    Encode(#[source] serde_json::Error),
    /// The item has another type than the handle expects. The queue counts the item as failed now.
    #[error("{}", message!("error-decode", id = *.id))]
    #[non_exhaustive]
    Decode {
        /// The id of the item.
        id: u64,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// The text is empty or has a line break, and so is no item.
    #[error("{}", message!("error-not-a-line"))]
    NotALine,
    /// The item is larger than
    /// [`QueueBuilder::max_item_size`](crate::QueueBuilder::max_item_size) allows.
    #[error("{}", message!("error-too-large", size = *.size, max = *.max))]
    #[non_exhaustive]
    TooLarge {
        /// The size of the item, in bytes of JSON.
        size: u64,
        /// The size of the largest item, in bytes of JSON.
        max: u64,
    },
    /// The server that keeps the queue cannot be reached, or does not take what this client asks. The text contains
    /// the remedy.
    #[error(transparent)]
    Server(Cause),
    /// The server has forgotten this number of items that it had accepted from this client: it restarted without its
    /// last writes, or a replica without them has taken its place. The items are the last ones of this client before the
    /// server was away. The next put, `join` or `leave` after the loss returns this error, once. That put has put
    /// nothing. A put during which the loss is found has its own result.
    #[error("{}", message!("error-items-lost", items = *.0))]
    ItemsLost(u64),
    /// The keeper refused the request.
    #[error("{}", recompose(.text).unwrap_or_else(|| .text.clone()))]
    #[non_exhaustive]
    Refused {
        /// A word for programs, such as `capacity` (the queue has another one) or `removed` (the queue
        /// is gone).
        code: String,
        /// The reason in a sentence, in English.
        text: String,
    },
    /// The keeper and this library do not understand each other: their versions differ.
    #[error(transparent)]
    Protocol(Cause),
    /// The reader of standard output is gone.
    #[doc(hidden)]
    #[error("{}", message!("error-stdout-closed"))]
    StdoutClosed,
    /// A signal told this process to stop.
    #[doc(hidden)]
    #[error("{}", message!("error-interrupted"))]
    Interrupted,
}

/// Why no keeper runs after an attempt to start one.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartFailure {
    #[error("{}", message!("error-keepers-died", keepers = *.0))]
    Died(usize),
    #[error("{}", message!("error-no-program", program = &.program.display()))]
    NoProgram { program: PathBuf, source: io::Error },
    /// The keeper's own words.
    #[error("{0}")]
    Reported(String),
}

/// Says which keeper does not answer, and what to do.
fn no_answer_text(
    queue: &str,
    process: Option<u32>,
    starting: bool,
    server: Option<&str>,
) -> String {
    if let Some(server) = server {
        return server.to_owned();
    }
    match (process, starting) {
        (Some(pid), true) => message!("error-not-ready", queue = queue, process = pid),
        (None, true) => message!("error-not-ready-unknown", queue = queue),
        (Some(pid), false) => message!("error-no-answer", queue = queue, process = pid),
        (None, false) => message!("error-no-answer-unknown", queue = queue),
    }
}

impl Error {
    /// The queue's directory is gone.
    pub(crate) fn removed() -> Self {
        let text = message!(Lang::En, "refusal-removed");
        Self::Refused { code: ErrorCode::Removed.to_string(), text }
    }

    /// Whether the keeper or the server has refused a request with this code.
    pub(crate) fn is_refusal(&self, expected: ErrorCode) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == expected.to_string())
    }

    pub(crate) fn from_pipe_write(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::KeeperGone,
            _ => Self::Pipe(error),
        }
    }
}

/// An [`Error::Open`] for `map_err`.
pub(super) fn open_error(what: String) -> impl FnOnce(io::Error) -> Error {
    |source| Error::Open { what, source }
}

impl From<StartFailure> for Error {
    fn from(failure: StartFailure) -> Self {
        Self::Start(failure.into())
    }
}

impl From<DirError> for Error {
    fn from(error: DirError) -> Self {
        match error {
            DirError::Io { path, error } => {
                open_error(message!("folder-io", path = &path.display()))(error)
            }
            unsafe_dir => Self::Unsafe(unsafe_dir.into()),
        }
    }
}

impl From<ServerError> for Error {
    fn from(error: ServerError) -> Self {
        match error {
            ServerError::Removed => {
                let text = in_language(Lang::En, || error.to_string());
                Self::Refused { code: ErrorCode::Removed.to_string(), text }
            }
            error => Self::Server(error.into()),
        }
    }
}

impl From<SettingsError> for Error {
    fn from(error: SettingsError) -> Self {
        Self::ServerSettings(error.into())
    }
}

impl From<MalformedReply> for Error {
    fn from(error: MalformedReply) -> Self {
        Self::Protocol(error.into())
    }
}

#[cfg(test)]
mod tests;
