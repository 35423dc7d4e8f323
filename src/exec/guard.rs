//! Sees to it that no command outlives the consumer that started it, even if that is killed.
//!
//! The guard is a process of its own. The consumer writes to its standard input which process groups
//! there are; when that ends, the consumer is no more, and neither shall they be.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::crew::own_program;

/// The consumer's end of it. To drop it is to let the guard do its work, and go.
#[derive(Debug)]
pub(super) struct Guard {
    process: Child,
    stdin: Option<ChildStdin>,
}

impl Guard {
    /// Starts one.
    pub(super) fn start() -> io::Result<Self> {
        let mut process = Command::new(own_program()?)
            .arg0("qdemo")
            .arg("guard")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What ends the consumer at a terminal must not end its guard.
            .process_group(0)
            .spawn()?;
        let stdin = process.stdin.take();
        Ok(Self { process, stdin })
    }

    /// This group is there now.
    pub(super) fn watch(&mut self, group: Pid) {
        self.tell('+', group);
    }

    /// It is over.
    pub(super) fn forget(&mut self, group: Pid) {
        self.tell('-', group);
    }

    fn tell(&mut self, what: char, group: Pid) {
        if let Some(stdin) = &mut self.stdin {
            // If somebody has killed the guard, the commands run all the same.
            let _ = stdin.write_all(format!("{what}{}\n", group.as_raw_nonzero()).as_bytes());
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
pub(crate) fn stand() -> io::Result<()> {
    let mut groups = BTreeSet::new();
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let Some((what, group)) = line.split_at_checked(1) else { continue };
        let Ok(group) = group.parse::<i32>() else { continue };
        match what {
            "+" => groups.insert(group),
            _ => groups.remove(&group),
        };
    }
    for group in groups.into_iter().filter(|&group| group > 1).filter_map(Pid::from_raw) {
        // One that is gone is what is wanted.
        let _ = kill_process_group(group, Signal::KILL);
    }
    Ok(())
}
