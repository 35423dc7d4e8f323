//! Removes files from a queue's directory: those of killed processes, or all of them.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::dir::{QueueDir, StartLock};
use super::mailbox::MailboxWriter;
use super::names::{MAILBOX_PREFIX, QUEUE_FILES, REQUESTS_PREFIX, client_part, is_decimal};
use crate::catalogue::message;
use crate::os::private_file::{is_errno, remove_file_if_exists, with_action};
use crate::proc::ProcessStat;

impl QueueDir {
    /// Removes the files of killed processes: the pipes of clients whose mailbox has no reader, and temporary files.
    ///
    /// A client creates its mailbox before it opens the mailbox, so this may remove the mailbox of a live
    /// client. Such a client has met a keeper that has ended since; the client notices that its mailbox is
    /// gone, and connects again. Temporary files belong to a keeper: under the lock there is no other keeper.
    pub(crate) fn remove_stale_files(&self, lock: Option<&StartLock>) -> io::Result<()> {
        self.remove_files(|name| self.is_stale(name, lock.is_some()))
    }

    /// Removes all files and pipes of a queue. The caller holds the lock.
    pub(crate) fn remove_queue_files(&self) -> io::Result<()> {
        self.remove_files(|name| {
            QUEUE_FILES.contains(&name) || client_part(name).is_some() || name.starts_with('.')
        })
    }

    fn remove_files(&self, is_removed: impl Fn(&str) -> bool) -> io::Result<()> {
        for entry in fs::read_dir(self.path())? {
            let entry = entry?;
            if is_removed(&entry.file_name().to_string_lossy()) {
                let path = entry.path();
                remove_file_if_exists(&path)
                    .map_err(|error| with_action(not_removed, &path, error))?;
            }
        }
        Ok(())
    }

    fn is_stale(&self, name: &str, is_locked: bool) -> bool {
        if let Some((file, pid)) = name.strip_prefix('.').and_then(|name| name.rsplit_once('.')) {
            return (QUEUE_FILES.contains(&file) && is_decimal(pid) && is_locked)
                || is_process_dead(pid);
        }
        let Some(client) = client_part(name) else {
            return false;
        };
        // A reader of the mailbox counts more than the process number: a container has process numbers of its
        // own. The client makes its mailbox before its pipe for requests, and removes it after that pipe.
        let Err(error) = MailboxWriter::open(self, &format!("{MAILBOX_PREFIX}{client}")) else {
            return false;
        };
        let has_no_mailbox = name.starts_with(REQUESTS_PREFIX) && is_errno(&error, Errno::NOENT);
        // The open of a socket fails with the same error as the open of a mailbox without a reader.
        let is_fifo = |metadata: Metadata| metadata.file_type().is_fifo();
        ((is_errno(&error, Errno::NXIO) || has_no_mailbox)
            && fs::symlink_metadata(self.join(name)).is_ok_and(is_fifo))
            || client.split('.').next().is_some_and(is_process_dead)
    }
}

/// Whether no process has this number. A process that has died, but is not reaped (a container's process 1 may
/// never reap), is dead too, where `/proc` reports the state.
fn is_process_dead(pid: &str) -> bool {
    // Any user may choose the name. A negative number would address a process group.
    let pid = pid.parse().ok().filter(|&pid| pid > 0).and_then(Pid::from_raw);
    let Some(pid) = pid else {
        return false;
    };
    let stat = ProcessStat::read(&pid.as_raw_nonzero().to_string());
    stat.is_some_and(|stat| matches!(stat.state, 'Z' | 'X'))
        || test_kill_process(pid).is_err_and(|error| error == Errno::SRCH)
}

fn not_removed(path: &Path, error: String) -> String {
    message!("folder-not-removed", path = &path.display(), error = error)
}
