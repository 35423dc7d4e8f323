//! Named pipes and the directories that contain them: create, open, read, write, and check the other end.
//! This module knows no message.

mod buffer_pool;
mod dir;
mod fifo;
mod leftovers;
mod mailbox;
mod names;
mod owner;
mod write_buffer;

pub(crate) use buffer_pool::{return_buffer, share_buffer, take_buffer};
pub(crate) use dir::{DirError, QueueDir, StartLock, sync_dir_entries};
pub(crate) use fifo::{InboxWriter, ReadEnd, RequestSender, make_fifo};
pub(crate) use mailbox::MailboxWriter;
pub(crate) use names::{JOURNAL, LEGACY_STATE, PipePairName, is_queue_pipe_name};
pub(crate) use owner::{keeper_pid, starter_pid};
pub(crate) use rustix::pipe::PIPE_BUF;
pub(crate) use write_buffer::WriteBuffer;
