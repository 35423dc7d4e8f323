//! Named pipes and the directories that contain them: create, open, write atomically, and check the other
//! end. This module knows no message.

mod dir;
mod fifo;
mod leftovers;
mod names;
mod owner;

pub(crate) use dir::{DirError, QueueDir, StartLock, sync_dir_entries};
pub(crate) use fifo::{InboxWriter, MailboxWriter, ReadEnd, make_fifo};
pub(crate) use names::{JOURNAL, LEGACY_STATE, is_queue_pipe_name};
pub(crate) use owner::{keeper_pid, starter_pid};
pub(crate) use rustix::pipe::PIPE_BUF;
