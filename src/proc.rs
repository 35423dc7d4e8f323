//! Files of `/proc`, where the system has one.

use std::fs::File;
use std::io::{self, Read};

/// Bytes that hold most files of `/proc`.
const INITIAL_CAPACITY: usize = 4096;

/// Reads a file of `/proc`. Such a file reports no size, so nothing asks for the size (`take` does not), and
/// growing a buffer step by step takes many reads.
pub(crate) fn read(path: &str) -> io::Result<String> {
    let mut text = Vec::with_capacity(INITIAL_CAPACITY);
    File::open(path)?.take(u64::MAX).read_to_end(&mut text)?;
    // A process name may be invalid UTF-8.
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Fields of `/proc/PID/stat`. Process numbers are those of the PID namespace of the visible `/proc`; 0 stands
/// for a process that this namespace cannot see.
pub(crate) struct ProcessStat {
    pub(crate) pid: u32,
    /// The state letter: `Z` and `X` are dead processes.
    pub(crate) state: char,
    pub(crate) parent: u32,
    pub(crate) group: u32,
    pub(crate) session: u32,
    /// The session has a controlling terminal.
    pub(crate) has_terminal: bool,
    /// In clock ticks since the machine started, by the boot clock of the reader's time namespace.
    pub(crate) start_ticks: u64,
}

impl ProcessStat {
    /// `process` is a process number, or `self`. None if the process or `/proc` is missing.
    pub(crate) fn read(process: &str) -> Option<Self> {
        Self::parse(&read(&format!("/proc/{process}/stat")).ok()?)
    }

    /// The process's visible ancestors, nearest first.
    pub(crate) fn ancestors(&self) -> impl Iterator<Item = Self> {
        let parent = |process: &Self| {
            if process.parent == 0 { None } else { Self::read(&process.parent.to_string()) }
        };
        std::iter::successors(parent(self), parent)
    }

    /// Parses fields 1, 3 to 7, and 22. Field 2, a name in brackets, may contain any character.
    fn parse(stat: &str) -> Option<Self> {
        let (pid, _) = stat.split_once(' ')?;
        let (_, after_name) = stat.rsplit_once(')')?;
        let field = |number: usize| after_name.split_whitespace().nth(number - 3);
        // A negative number stands for "none".
        let number = |text: &str| text.parse::<i64>().ok().map(|n| u32::try_from(n).unwrap_or(0));
        Some(Self {
            pid: number(pid)?,
            state: field(3)?.chars().next()?,
            parent: number(field(4)?)?,
            group: number(field(5)?)?,
            session: number(field(6)?)?,
            has_terminal: field(7)? != "0",
            start_ticks: field(22)?.parse().ok()?,
        })
    }
}
