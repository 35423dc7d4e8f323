//! The guard ends the commands of a dead consumer, even of a killed one.
//!
//! The guard is a process of its own. It shares two things with the consumer: a table of the process groups of the
//! running commands, and a pipe. Only the end of the pipe wakes the guard, so a command costs the guard nothing. If
//! the pipe ends without a release, the consumer is dead, and the guard kills the groups in the table.
//!
//! A consumer may die at the start of a command, before the consumer has written the group. But a new process
//! holds the consumer's end of the pipe until it executes its command. So when the pipe ends, all new processes
//! are commands, and have the guard's token in their environment. (The guard reads environments from
//! `/proc`; without `/proc` the guard misses such a command.)

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Stdio};

use rustix::process::{Pid, Signal, getpgid};

use crate::os::{GUARD_ENV, signal_group, signals, spawn_self};

/// The consumer writes this to the pipe before a regular end.
const RELEASE_MESSAGE: &[u8] = b"dismissed";
/// The bytes of a place in the table: a process group, or 0 for none.
const PLACE_LEN: usize = size_of::<i32>();

/// The consumer's end of the guard. Dropping the value closes the pipe, and waits for the guard's end.
#[derive(Debug)]
pub(super) struct GuardProcess {
    child: Child,
    stdin: Option<ChildStdin>,
    table: GroupFile,
    token: String,
}

/// The table of process groups, in a file without a name.
#[derive(Debug)]
struct GroupFile {
    file: File,
    /// What the file holds.
    places: Vec<Option<Pid>>,
}

impl GuardProcess {
    pub(super) fn start() -> io::Result<Self> {
        let random = getrandom::u64().map_err(io::Error::other)?;
        let token = format!("{}.{random:016x}", std::process::id());
        let table = GroupFile::create()?;
        let mut child = spawn_self(|command| {
            command
                .args(["guard", &token])
                // This consumer may itself belong to another consumer's command.
                .env_remove(GUARD_ENV)
                .stdin(Stdio::piped())
                .stdout(table.file.try_clone()?)
                .stderr(Stdio::null())
                // A signal from the terminal must not end the guard together with the consumer.
                .process_group(0)
                .spawn()
        })?;
        let stdin = child.stdin.take();
        Ok(Self { child, stdin, table, token })
    }

    /// The variable for the environment of each command.
    pub(super) fn env_entry(&self) -> (&'static str, &str) {
        (GUARD_ENV, &self.token)
    }

    pub(super) fn add_group(&mut self, group: Pid) {
        self.table.replace(None, Some(group));
    }

    pub(super) fn remove_group(&mut self, group: Pid) {
        self.table.replace(Some(group), None);
    }

    /// Releases the guard: processes that commands have left behind on purpose survive.
    pub(super) fn release(&mut self) {
        if let Some(stdin) = &mut self.stdin {
            // The guard may have been killed.
            let _ = stdin.write_all(RELEASE_MESSAGE);
        }
    }
}

impl GroupFile {
    fn create() -> io::Result<Self> {
        // A limit of the size of files must not end this process: the commands then run without a guard.
        signals::ignore_file_size_signal()?;
        Ok(Self { file: unnamed_file()?, places: Vec::new() })
    }

    /// Writes `new` over the first place that holds `old`, or to the end.
    fn replace(&mut self, old: Option<Pid>, new: Option<Pid>) {
        let at = self.places.iter().position(|&place| place == old);
        let at = at.unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.places[at] = new;
        let group = new.map_or(0, |group| group.as_raw_nonzero().get());
        // The commands run without a guard if the file takes nothing.
        let _ = self.file.write_all_at(&group.to_ne_bytes(), (at * PLACE_LEN) as u64);
    }

    /// The groups in the file that the consumer has written.
    fn read(mut file: File) -> io::Result<impl Iterator<Item = i32>> {
        let mut bytes = Vec::new();
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        let (places, _) = bytes.as_chunks::<PLACE_LEN>();
        let groups: Vec<_> = places.iter().map(|&place| i32::from_ne_bytes(place)).collect();
        Ok(groups.into_iter())
    }
}

/// A file in memory, where the system has such files and permits them.
fn unnamed_file() -> io::Result<File> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{MemfdFlags, memfd_create};
        if let Ok(file) = memfd_create("qdemo-groups", MemfdFlags::CLOEXEC) {
            return Ok(file.into());
        }
    }
    tempfile::tempfile()
}

impl Drop for GuardProcess {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// The guard process: waits for the end of its input, and kills the groups in the table, which is its standard output.
pub(crate) fn run_guard(token: &str) -> io::Result<()> {
    let mut message = Vec::new();
    // An unreadable pipe has ended too.
    let _ = io::stdin().lock().read_to_end(&mut message);
    if message == RELEASE_MESSAGE {
        return Ok(());
    }
    let table = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    // Without a readable table the environments still tell most of the groups.
    let mut groups: BTreeSet<_> = GroupFile::read(table).into_iter().flatten().collect();
    groups.extend(group_leaders_with_env(&format!("{GUARD_ENV}={token}")));
    for group in groups.into_iter().filter(|&group| group > 1).filter_map(Pid::from_raw) {
        signal_group(group, Signal::KILL);
    }
    Ok(())
}

/// The group leaders with this entry in their environment.
fn group_leaders_with_env(entry: &str) -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|&pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|variable| variable == entry.as_bytes())
            && getpgid(Pid::from_raw(pid)).is_ok_and(|group| Pid::from_raw(pid) == Some(group))
    })
    .collect()
}
