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

use crate::os::start_own;

/// The variable that marks a consumer's commands. Whoever starts what is to live on takes it away.
pub(crate) const MARK: &str = "QDEMO_GUARD";
/// What the consumer says when it ends as it should.
const DISMISSED: &str = "dismissed";

/// The consumer's end of it. To drop it is to let the guard do its work, and go.
#[derive(Debug)]
pub(super) struct Guard {
    process: Child,
    stdin: Option<ChildStdin>,
    mark: String,
}

impl Guard {
    /// Starts one.
    pub(super) fn start() -> io::Result<Self> {
        let random = getrandom::u64().map_err(io::Error::other)?;
        let mark = format!("{}.{random:016x}", std::process::id());
        let mut process = start_own(|command| {
            command
                .args(["guard", &mark])
                // It may itself be of another consumer's command.
                .env_remove(MARK)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                // What ends the consumer at a terminal must not end its guard.
                .process_group(0)
                .spawn()
        })?;
        let stdin = process.stdin.take();
        Ok(Self { process, stdin, mark })
    }

    /// What the environment of each command is to have in it.
    pub(super) fn mark(&self) -> (&'static str, &str) {
        (MARK, &self.mark)
    }

    /// This group is there now.
    pub(super) fn watch(&mut self, group: Pid) {
        self.tell(&format!("+{}", group.as_raw_nonzero()));
    }

    /// It is over.
    pub(super) fn forget(&mut self, group: Pid) {
        self.tell(&format!("-{}", group.as_raw_nonzero()));
    }

    /// All is over: what commands have left behind on purpose may stay.
    pub(super) fn dismiss(&mut self) {
        self.tell(DISMISSED);
    }

    fn tell(&mut self, what: &str) {
        if let Some(stdin) = &mut self.stdin {
            // If somebody has killed the guard, the commands run all the same.
            let _ = stdin.write_all(format!("{what}\n").as_bytes());
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.process.wait();
    }
}

/// The guard's own work: listens until the end, and kills what is left.
pub(crate) fn stand(mark: &str) -> io::Result<()> {
    let mut groups = BTreeSet::new();
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if line == DISMISSED {
            return Ok(());
        }
        let Some((what, group)) = line.split_at_checked(1) else { continue };
        let Ok(group) = group.parse::<i32>() else { continue };
        match what {
            "+" => groups.insert(group),
            _ => groups.remove(&group),
        };
    }
    groups.extend(marked(&format!("{MARK}={mark}")));
    for group in groups.into_iter().filter(|&group| group > 1).filter_map(Pid::from_raw) {
        // One that is gone is what is wanted.
        let _ = kill_process_group(group, Signal::KILL);
    }
    Ok(())
}

/// The processes that lead a group and bear this mark.
fn marked(mark: &str) -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|&pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|variable| variable == mark.as_bytes())
            && getpgid(Pid::from_raw(pid)).is_ok_and(|group| Pid::from_raw(pid) == Some(group))
    })
    .collect()
}
