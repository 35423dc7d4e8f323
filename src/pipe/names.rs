//! The names of the files in a queue's directory.

/// The keeper's pipe.
pub(super) const INBOX: &str = "inbox";
pub(crate) const JOURNAL: &str = "journal";
/// A file of earlier versions, with the contents of today's `queue` record of the journal.
pub(crate) const LEGACY_STATE: &str = "memory.json";
/// The names of client pipes begin like this.
pub(super) const MAILBOX_PREFIX: &str = "mailbox.";

/// A directory that contains one of these files is a queue.
pub(super) const QUEUE_FILES: [&str; 3] = [INBOX, JOURNAL, LEGACY_STATE];

/// Whether a named pipe of a queue may have this name.
pub(crate) fn is_queue_pipe_name(name: &str) -> bool {
    let temporary = name.strip_prefix(".inbox.");
    name == INBOX || name.starts_with(MAILBOX_PREFIX) || temporary.is_some_and(is_decimal)
}

pub(super) fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
