//! Named pipes and the directories that they live in: create, open, one atomic write, wait, and
//! "is the other end still there?". What a message means is not known here.

mod dir;
mod fifo;
mod owner;

pub(crate) use dir::{
    DirError, QueueDir, StartLock, Unsafe, is_pipe, remove_if_there, sync_entries,
};
pub(crate) use fifo::{Door, Inbox, Mailbox, Slot, WIDE, make as make_fifo};
pub(crate) use owner::{keeper_of, starter_of};
pub(crate) use rustix::pipe::PIPE_BUF;
