//! What can go wrong for a client.

use std::io;

use crate::pipe::{DirError, UnsafeDir};
use crate::wire::ErrorCode;

/// Why a queue's operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The queue's directory cannot be used as it is; the text says what to do.
    #[error("{0}")]
    Unsafe(String),
    /// The queue's directory or pipes could not be opened.
    #[error("{what}")]
    Open {
        /// What was being done.
        what: String,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// The system said no to a read or a write.
    #[error("the queue's pipe failed")]
    Pipe(#[source] io::Error),
    /// The keeper could not be started.
    #[error("cannot start a keeper for the queue: {0}")]
    Start(String),
    /// The keeper died, and there is to be no other one.
    #[error("the queue's keeper has died")]
    KeeperGone,
    /// The keeper did not answer in time: it has been stopped, perhaps. What was asked for may still
    /// be done when it continues: a put may be in the queue or not, and what it hands out goes back in
    /// line.
    #[error("{}", no_answer_message(queue, *process, *starting))]
    #[non_exhaustive]
    NoAnswer {
        /// The name of the queue.
        queue: String,
        /// The process that is to answer, where that is known.
        process: Option<u32>,
        /// There is no keeper yet: this process is starting one.
        starting: bool,
    },
    /// The queue takes no more items.
    #[error("the queue is closed: it takes no more items")]
    Closed,
    /// The queue has no room, and was not waited for any longer.
    #[error("the queue is full")]
    Full,
    /// The queue has no item, and was not waited for any longer.
    #[error("the queue is empty")]
    Empty,
    /// So many items are not done yet, and were not waited for any longer.
    #[error("{0} items are not done yet")]
    Unfinished(u64),
    /// The item of this number was done after its lease had run out.
    #[error("item {0} came too late: its lease had run out, and it went back in line")]
    LeaseExpired(u64),
    /// A value cannot be written as JSON.
    #[error("the item cannot be written as JSON")]
    Encode(#[source] serde_json::Error),
    /// An item is not of the type that was expected. It is among the failed ones now.
    #[error("item {id} is not of the type that was expected, and is among the failed ones now")]
    Decode {
        /// The queue's number of the item.
        id: u64,
        /// What is the matter with it.
        #[source]
        source: serde_json::Error,
    },
    /// An item is JSON text without a line break in it.
    #[error("an item is JSON text on a single line: write its line breaks as \\n")]
    NotALine,
    /// The item has this many bytes, which is too many.
    #[error("the item has {size} bytes as JSON, and at most {max} are taken: split it")]
    TooLarge {
        /// In bytes.
        size: u64,
        /// How many are taken.
        max: u64,
    },
    /// The keeper refused what was asked.
    #[error("{text}")]
    Refused {
        /// From the list in the protocol's description.
        code: String,
        /// For people.
        text: String,
    },
    /// The keeper said something that this version doesn't understand.
    #[error("{0}")]
    Protocol(String),
    /// Nobody reads what this process would print.
    #[error("nobody reads standard output any more")]
    StdoutClosed,
    /// A signal told this process to stop.
    #[error("interrupted")]
    Interrupted,
}

/// A keeper does not answer: what to do.
fn no_answer_message(queue: &str, process: Option<u32>, starting: bool) -> String {
    let end = match process {
        Some(pid) => format!("continue it with `kill -CONT {pid}`, or end it with `kill -9 {pid}`"),
        None => "continue it, or end it".to_owned(),
    };
    let process = process.map_or(String::new(), |pid| format!(" (process {pid})"));
    let next = "the next command starts another, and nothing accepted is lost";
    match starting {
        false => {
            format!("the keeper of the queue `{queue}`{process} does not answer: {end}: {next}")
        }
        true => format!(
            "a keeper of the queue `{queue}` is being started{process}, and is not ready: give it \
             more time, or if it has been stopped, {end}: {next}"
        ),
    }
}

impl Error {
    /// The queue's directory is no more.
    pub(crate) fn removed() -> Self {
        let text = "the queue has been removed".to_owned();
        Self::Refused { code: ErrorCode::Removed.to_string(), text }
    }

    /// A write to the inbox failed.
    pub(crate) fn from_inbox_write(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::KeeperGone,
            _ => Self::Pipe(error),
        }
    }
}

impl From<UnsafeDir> for Error {
    fn from(unsafe_dir: UnsafeDir) -> Self {
        Self::Unsafe(unsafe_dir.to_string())
    }
}

impl From<DirError> for Error {
    fn from(error: DirError) -> Self {
        match error {
            DirError::Unsafe(unsafe_dir) => unsafe_dir.into(),
            DirError::Io { path, error } => {
                let what = format!("cannot use the directory {}", path.display());
                Self::Open { what, error }
            }
        }
    }
}

impl From<crate::wire::MalformedReply> for Error {
    fn from(error: crate::wire::MalformedReply) -> Self {
        Self::Protocol(error.to_string())
    }
}
