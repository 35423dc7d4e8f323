//! The guard ends the commands of a dead consumer, even of a killed one.
//!
//! The guard is a process of its own. The consumer writes the process groups of its commands to the guard's
//! standard input. If the input ends without a release, the consumer is dead, and the guard kills the groups.
//!
//! A consumer may die at the start of a command, before the consumer has written the group. But a new process
//! holds the consumer's end of the pipe until it executes its command. So when the pipe ends, all new processes
//! are commands, and have the guard's token in their environment. (The guard reads environments from
//! `/proc`; without `/proc` the guard misses such a command.)

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Stdio};

use rustix::process::{Pid, Signal, getpgid};

use crate::os::{GUARD_ENV, signal_group, spawn_self};

/// The consumer writes this line before a regular end.
const RELEASE_MESSAGE: &str = "dismissed";

/// The consumer's end of the guard. Dropping the value closes the pipe, and waits for the guard's end.
#[derive(Debug)]
pub(super) struct GuardProcess {
    child: Child,
    stdin: Option<ChildStdin>,
    token: String,
}

impl GuardProcess {
    pub(super) fn start() -> io::Result<Self> {
        let random = getrandom::u64().map_err(io::Error::other)?;
        let token = format!("{}.{random:016x}", std::process::id());
        let mut child = spawn_self(|command| {
            command
                .args(["guard", &token])
                // This consumer may itself belong to another consumer's command.
                .env_remove(GUARD_ENV)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                // A signal from the terminal must not end the guard together with the consumer.
                .process_group(0)
                .spawn()
        })?;
        let stdin = child.stdin.take();
        Ok(Self { child, stdin, token })
    }

    /// The variable for the environment of each command.
    pub(super) fn env_entry(&self) -> (&'static str, &str) {
        (GUARD_ENV, &self.token)
    }

    pub(super) fn add_group(&mut self, group: Pid) {
        self.send(&format!("+{}", group.as_raw_nonzero()));
    }

    pub(super) fn remove_group(&mut self, group: Pid) {
        self.send(&format!("-{}", group.as_raw_nonzero()));
    }

    /// Releases the guard: processes that commands have left behind on purpose survive.
    pub(super) fn release(&mut self) {
        self.send(RELEASE_MESSAGE);
    }

    fn send(&mut self, message: &str) {
        if let Some(stdin) = &mut self.stdin {
            // The commands run without a guard if the guard was killed.
            let _ = stdin.write_all(format!("{message}\n").as_bytes());
        }
    }
}

impl Drop for GuardProcess {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// The guard process: reads its input to the end, and kills the remaining groups.
pub(crate) fn run_guard(token: &str) -> io::Result<()> {
    let mut groups = BTreeSet::new();
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if line == RELEASE_MESSAGE {
            return Ok(());
        }
        let Some((action, group)) = line.split_at_checked(1) else { continue };
        let Ok(group) = group.parse::<i32>() else { continue };
        match action {
            "+" => groups.insert(group),
            _ => groups.remove(&group),
        };
    }
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
