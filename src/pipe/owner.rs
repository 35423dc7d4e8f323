//! Which process has a queue's inbox or its directory's lock: a process that does not answer cannot say
//! so itself. Known where there is a `/proc`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::fifo::INBOX;
use crate::proc;

/// The process that reads the inbox of the queue in this directory: its keeper.
pub(crate) fn keeper_pid(dir: &Path) -> Option<u32> {
    holder_pid(&dir.join(INBOX), is_read_only)
}

/// The process that holds the lock of this directory, in order to start a keeper.
pub(crate) fn starter_pid(dir: &Path) -> Option<u32> {
    holder_pid(dir, |info| info.contains("FLOCK"))
}

/// Another process that has this file open in such a way, by what `/proc` tells of its descriptor.
fn holder_pid(path: &Path, has: impl Fn(&str) -> bool) -> Option<u32> {
    let (wanted, name) = (fs::symlink_metadata(path).ok()?, path.file_name()?);
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|&pid| pid != std::process::id()).find(|pid| {
        // The processes of others don't show what they have open.
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        descriptors.into_iter().any(|entry| {
            let descriptor = entry.path();
            // Other files are not looked at: they may lie on a file system that does not answer.
            fs::read_link(&descriptor).is_ok_and(|target| target.file_name() == Some(name))
                && fs::metadata(&descriptor)
                    .is_ok_and(|is| is.ino() == wanted.ino() && is.dev() == wanted.dev())
                && entry.file_name().to_str().is_some_and(|number| {
                    proc::read(&format!("/proc/{pid}/fdinfo/{number}")).is_ok_and(|info| has(&info))
                })
        })
    })
}

/// Whether the flags of this descriptor, an octal number, are those of a reader.
fn is_read_only(info: &str) -> bool {
    const ACCESS: u32 = 0o3;
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & ACCESS == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_of_a_descriptor_tell_whether_it_reads() {
        assert!(is_read_only("pos:\t0\nflags:\t02104000\nmnt_id:\t1\n"));
        assert!(!is_read_only("pos:\t0\nflags:\t02104001\nmnt_id:\t1\n"));
        assert!(!is_read_only("pos:\t0\n"));
    }
}
