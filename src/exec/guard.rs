//! Sees to it that no command outlives the consumer that started it, even if that is killed.
//!
//! The guard is a process of its own. The consumer writes to its standard input which process groups
//! there are; when that ends without a word, the consumer is no more, and neither shall they be.
//!
//! A consumer may die just as a command starts, before it could tell. But until a new process has
//! become its command, it has the consumer's end of that pipe too: when the pipe ends, all of them
//! are commands, and bear the mark of this guard in their environment. (That is read from `/proc`;
//! where there is none, such a command is missed.)

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Stdio};

use rustix::process::{Pid, Signal, getpgid, kill_process_group};

use crate::client::GUARD_ENV;
use crate::os::spawn_self;

/// What the consumer says when it ends as it should.
const RELEASE_MESSAGE: &str = "dismissed";

/// The consumer's end of it. To drop it is to let the guard do its work, and go.
#[derive(Debug)]
pub(super) struct GuardProcess {
    child: Child,
    stdin: Option<ChildStdin>,
    token: String,
}

impl GuardProcess {
    /// Starts one.
    pub(super) fn start() -> io::Result<Self> {
        let random = getrandom::u64().map_err(io::Error::other)?;
        let mark = format!("{}.{random:016x}", std::process::id());
        let mut process = spawn_self(|command| {
            command
                .args(["guard", &mark])
                // It may itself be of another consumer's command.
                .env_remove(GUARD_ENV)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                // What ends the consumer at a terminal must not end its guard.
                .process_group(0)
                .spawn()
        })?;
        let stdin = process.stdin.take();
        Ok(Self { child: process, stdin, token: mark })
    }

    /// What the environment of each command is to have in it.
    pub(super) fn env_entry(&self) -> (&'static str, &str) {
        (GUARD_ENV, &self.token)
    }

    /// This group is there now.
    pub(super) fn add_group(&mut self, group: Pid) {
        self.send(&format!("+{}", group.as_raw_nonzero()));
    }

    /// It is over.
    pub(super) fn remove_group(&mut self, group: Pid) {
        self.send(&format!("-{}", group.as_raw_nonzero()));
    }

    /// All is over: what commands have left behind on purpose may stay.
    pub(super) fn release(&mut self) {
        self.send(RELEASE_MESSAGE);
    }

    fn send(&mut self, what: &str) {
        if let Some(stdin) = &mut self.stdin {
            // If somebody has killed the guard, the commands run all the same.
            let _ = stdin.write_all(format!("{what}\n").as_bytes());
        }
    }
}

impl Drop for GuardProcess {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// The guard's own work: listens until the end, and kills what is left.
pub(crate) fn run_guard(mark: &str) -> io::Result<()> {
    let mut groups = BTreeSet::new();
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if line == RELEASE_MESSAGE {
            return Ok(());
        }
        let Some((what, group)) = line.split_at_checked(1) else { continue };
        let Ok(group) = group.parse::<i32>() else { continue };
        match what {
            "+" => groups.insert(group),
            _ => groups.remove(&group),
        };
    }
    groups.extend(group_leaders_with_env(&format!("{GUARD_ENV}={mark}")));
    for group in groups.into_iter().filter(|&group| group > 1).filter_map(Pid::from_raw) {
        // One that is gone is what is wanted.
        let _ = kill_process_group(group, Signal::KILL);
    }
    Ok(())
}

/// The processes that lead a group and bear this mark.
fn group_leaders_with_env(mark: &str) -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|&pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes())
            && getpgid(Pid::from_raw(pid)).is_ok_and(|group| Pid::from_raw(pid) == Some(group))
    })
    .collect()
}
