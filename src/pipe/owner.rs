//! Finds the process that reads a queue's inbox or holds a directory's lock: an unresponsive process cannot
//! identify itself. Works only with `/proc`.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::names::INBOX;
use crate::proc;

/// The keeper of the queue in this directory: the process that reads the inbox.
pub(crate) fn keeper_pid(dir: &Path) -> Option<u32> {
    holder_pid(&dir.join(INBOX), is_read_only)
}

/// The process that holds the lock of this directory, to start a keeper.
pub(crate) fn starter_pid(dir: &Path) -> Option<u32> {
    holder_pid(dir, |info| info.contains("FLOCK"))
}

/// Another process with a descriptor of this file whose `fdinfo` matches.
fn holder_pid(path: &Path, matches: impl Fn(&str) -> bool) -> Option<u32> {
    let (wanted, name) = (fs::symlink_metadata(path).ok()?, path.file_name()?);
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|&pid| pid != std::process::id()).find(|pid| {
        // The processes of other users hide their descriptors.
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        descriptors.into_iter().any(|entry| {
            let descriptor = entry.path();
            // Compare the name first: another file may be on a file system that does not answer.
            fs::read_link(&descriptor).is_ok_and(|target| target.file_name() == Some(name))
                && fs::metadata(&descriptor)
                    .is_ok_and(|file| file.ino() == wanted.ino() && file.dev() == wanted.dev())
                && entry.file_name().to_str().is_some_and(|number| {
                    proc::read(&format!("/proc/{pid}/fdinfo/{number}"))
                        .is_ok_and(|info| matches(&info))
                })
        })
    })
}

/// Whether the octal flags of this descriptor are those of a reader.
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
    fn the_flags_of_a_descriptor_show_a_reader() {
        assert!(is_read_only("pos:\t0\nflags:\t02104000\nmnt_id:\t1\n"));
        assert!(!is_read_only("pos:\t0\nflags:\t02104001\nmnt_id:\t1\n"));
        assert!(!is_read_only("pos:\t0\n"));
    }
}
