//! Named pipes and the directories that they live in: create, open, one atomic write, wait, and
//! "is the other end still there?". What a message means is not known here.

mod blocking;
mod dir;
mod fifo;
mod holder;
mod limit;
mod own;
mod private;
mod wait;

pub(crate) use blocking::Blocking;
pub(crate) use dir::{
    DirError, QueueDir, StartLock, Unsafe, is_pipe, remove_if_there, sync_entries,
};
pub(crate) use fifo::{Door, Inbox, Mailbox, Slot, WIDE, is_passing, make as make_fifo};
pub(crate) use holder::{keeper_of, starter_of};
pub(crate) use limit::{Narrow, raise_open_files, widen, width};
pub(crate) use own::{explain, lack, open_own};
pub(crate) use private::PrivateDir;
pub(crate) use rustix::pipe::PIPE_BUF;
pub(crate) use wait::{Ready, State, Waker, wait};
