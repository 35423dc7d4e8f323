//! The names of the files in a queue's directory.

/// The keeper's pipe.
pub(super) const INBOX: &str = "inbox";
pub(crate) const JOURNAL: &str = "journal";
/// A file of earlier versions, with the contents of today's `queue` record of the journal.
pub(crate) const LEGACY_STATE: &str = "memory.json";
/// The beginning of the name of a pipe that a client writes requests to.
pub(super) const REQUESTS_PREFIX: &str = "requests.";
/// The beginning of the name of a pipe that a client reads replies from.
pub(super) const MAILBOX_PREFIX: &str = "mailbox.";

/// A directory that contains one of these files is a queue.
pub(super) const QUEUE_FILES: [&str; 3] = [INBOX, JOURNAL, LEGACY_STATE];

/// The part that the names of a client's two pipes share: its process id and its key, with a dot between
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PipePairName(pub(crate) String);

impl PipePairName {
    /// The name of the pipe for requests.
    pub(crate) fn requests(&self) -> String {
        format!("{REQUESTS_PREFIX}{}", self.0)
    }

    /// The name of the pipe for replies.
    pub(crate) fn mailbox(&self) -> String {
        format!("{MAILBOX_PREFIX}{}", self.0)
    }
}

/// Whether a named pipe of a queue may have this name.
pub(crate) fn is_queue_pipe_name(name: &str) -> bool {
    let temporary = name.strip_prefix(".inbox.");
    name == INBOX || client_part(name).is_some() || temporary.is_some_and(is_decimal)
}

/// What follows the prefix in the name of a client's pipe.
pub(super) fn client_part(name: &str) -> Option<&str> {
    name.strip_prefix(MAILBOX_PREFIX).or_else(|| name.strip_prefix(REQUESTS_PREFIX))
}

pub(super) fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
