//! Named pipes and the directories that they live in: create, open, one atomic write, wait, and
//! "is the other end still there?". What a message means is not known here.

mod dir;
mod fifo;
mod owner;

pub(crate) use dir::{
    DirError, QueueDir, StartLock, UnsafeDir, is_queue_pipe_name, remove_file_if_exists,
    sync_dir_entries,
};
pub(crate) use fifo::{Inbox, InboxWriter, Mailbox, MailboxWriter, WIDE_PIPE_BYTES, make_fifo};
pub(crate) use owner::{keeper_pid, starter_pid};
pub(crate) use rustix::pipe::PIPE_BUF;
