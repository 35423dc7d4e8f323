//! Orders process starts against moments that another process remembers.
//!
//! A queue remembers the moment of its end. The keeper tells the end to each consumer that started before
//! that moment, even to a consumer that connects late. A consumer's own clock at the top of `main` is no
//! measure: a whole queue may live and die between the shell's `&` and `main`. The kernel records the start
//! of each process in ticks of 10 ms. Two facts make such a time comparable on one machine:
//!
//! * The tick counts from the machine's start, not from the start of a time namespace: the kernel reports
//!   the offset of the namespace in `/proc/self/timens_offsets`.
//! * Within a tick the process numbers decide, if both numbers are of the same PID namespace: the kernel
//!   assigns process numbers in order. If the namespaces differ, the process counts as started before the
//!   moment: a user can restart a consumer that ended too early, but a consumer that misses the end hangs.
//!
//! A process reads only `/proc/self` about itself: the visible `/proc` may belong to another PID
//! namespace, where the process's own number names a different process.
//!
//! Without `/proc` (macOS) the time of the process's first question stands for its start.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::unistd::{SysconfVar, sysconf};
use rustix::process::{Pid, getppid};
use serde::{Deserialize, Serialize};

use super::boot::{boot_id, time_namespace_offset, time_since_boot};
use super::nanos::Nanos;
use crate::proc::{self, ProcessStat};

/// The numbers have wrapped around between two processes of one tick if their distance is larger than this.
const PID_WRAP_DISTANCE: i64 = 16_384;

/// A process looks up at most this many of its ancestors.
const MAX_ANCESTORS: usize = 8;

/// A place in the order in which processes start on this machine, comparable across processes: the start of a
/// process, or a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessBirth {
    /// Clock ticks since the machine started.
    tick: u64,
    /// The number of the process. For a moment, the last process number that the kernel assigned.
    pid: u32,
    /// The PID namespace of the number, by the inode of `/proc/self/ns/pid`; 0 if unknown.
    #[serde(default, skip_serializing_if = "is_zero")]
    ns: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A [`ProcessBirth`] with the uptime in which it is valid, for storage. An alias is a key of version 1 of the
/// journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BootQualifiedBirth {
    #[serde(alias = "stamp")]
    pub(crate) birth: ProcessBirth,
    /// Names the uptime; empty where the system has no name for the uptime.
    #[serde(alias = "boot")]
    pub(crate) boot_id: String,
}

impl ProcessBirth {
    /// The start of this process. A process with an unknown start counts as very old.
    ///
    /// As process 1 qdemo runs its command in a child with the same arguments: the start of process 1
    /// counts then.
    pub(crate) fn of_this_process() -> Self {
        let pid = std::process::id();
        let Some(own) = ProcessStat::read("self") else {
            return Self { tick: current_tick(), pid, ns: 0 };
        };
        let (process, pid) = match init_parent(&own) {
            Some(process_1) => (process_1, 1),
            None => (own, pid),
        };
        match machine_start_tick(&process) {
            Some(tick) => Self { tick, pid, ns: pid_namespace() },
            None => Self::default(),
        }
    }

    /// The starts of this process's ancestors, nearest first, up to and including the session leader. A
    /// session leader with a terminal is a person's shell. Such a shell does not count, unless this process
    /// is in the shell's own process group (a command substitution, as opposed to a job).
    pub(crate) fn of_ancestors() -> Vec<Self> {
        let Some(own) = ProcessStat::read("self") else {
            return Vec::new();
        };
        // Numbers in `/proc` are of this process's namespace only if the `/proc` is of that namespace.
        let is_own_proc = own.pid == std::process::id();
        let ns = if is_own_proc { pid_namespace() } else { 0 };
        let mut births = Vec::new();
        for ancestor in own.ancestors().take(MAX_ANCESTORS) {
            let leads = ancestor.pid == ancestor.session;
            if leads && ancestor.has_terminal && own.group != ancestor.pid {
                break;
            }
            let tick = machine_start_tick(&ancestor);
            births.extend(tick.map(|tick| Self { tick, pid: ancestor.pid, ns }));
            if leads {
                break;
            }
        }
        births
    }

    /// The present moment: [`ProcessBirth::is_at_or_before`] holds for every process that has started, and
    /// for no later one.
    pub(crate) fn now() -> Self {
        // Read the number first: a process that starts before the tick is read then counts as later.
        let (pid, ns) = last_pid().map_or((u32::MAX, 0), |pid| (pid, pid_namespace()));
        Self { tick: current_tick(), pid, ns }
    }

    /// Just later than the present moment, as the start of the next process.
    pub(crate) fn after_now() -> Self {
        let now = Self::now();
        Self { pid: now.pid.saturating_add(1), ..now }
    }

    /// How long ago this was, in milliseconds, to a tick.
    pub(crate) fn age_ms(self) -> u64 {
        current_tick().saturating_sub(self.tick).saturating_mul(nanos_per_tick() / 1_000_000)
    }

    /// An artificial birth. All artificial births are in the same PID namespace.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn new(tick: u64, pid: u32) -> Self {
        Self { tick, pid, ns: 1 }
    }

    /// Moves the birth to another PID namespace.
    #[cfg(test)]
    pub(crate) fn in_namespace(self, ns: u64) -> Self {
        Self { ns, ..self }
    }

    /// Whether the process that started at `self` existed at `moment`.
    pub(crate) fn is_at_or_before(self, moment: Self) -> bool {
        if self.tick != moment.tick {
            return self.tick < moment.tick;
        }
        if self.ns != moment.ns || self.ns == 0 {
            return true;
        }
        let later_by = i64::from(self.pid) - i64::from(moment.pid);
        if later_by.abs() > PID_WRAP_DISTANCE {
            return later_by > 0;
        }
        later_by <= 0
    }
}

impl BootQualifiedBirth {
    /// The present moment in this uptime.
    pub(crate) fn now() -> Self {
        Self { birth: ProcessBirth::now(), boot_id: boot_id() }
    }

    /// The birth, or none if it is of an earlier uptime: all present processes started later then.
    pub(crate) fn in_this_boot(&self) -> Option<ProcessBirth> {
        let is_current = self.boot_id == boot_id() && self.birth.tick <= current_tick();
        is_current.then_some(self.birth)
    }
}

/// Process 1, if process 1 runs its command in this process.
fn init_parent(own: &ProcessStat) -> Option<ProcessStat> {
    if getppid() != Some(Pid::INIT) {
        return None;
    }
    let arguments = |process: &str| proc::read(&format!("/proc/{process}/cmdline")).ok();
    let parent = own.parent.to_string();
    let same = arguments("self").is_some_and(|own| arguments(&parent) == Some(own));
    ProcessStat::read(&parent).filter(|_| same)
}

/// The start of a process, in clock ticks since the machine started; none if unknown. An offset that is
/// no whole number of ticks makes the result at most one tick too early, and never too late.
fn machine_start_tick(process: &ProcessStat) -> Option<u64> {
    let tick = i128::from(nanos_per_tick());
    let start = i128::from(process.start_ticks) * tick - time_namespace_offset()?;
    u64::try_from(start.max(0) / tick).ok()
}

/// The PID namespace of this process; 0 if unknown.
fn pid_namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map_or(0, |namespace| namespace.ino())
}

/// Reads the fifth field of `/proc/loadavg`, which is a number of this process's own PID namespace.
fn last_pid() -> Option<u32> {
    let load = proc::read("/proc/loadavg").ok()?;
    load.split_whitespace().nth(4)?.parse().ok()
}

/// Clock ticks since the machine started.
fn current_tick() -> u64 {
    time_since_boot(time_namespace_offset().unwrap_or(0)) / nanos_per_tick()
}

fn nanos_per_tick() -> Nanos {
    let ticks_per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten();
    let ticks_per_second = ticks_per_second.and_then(|ticks| u64::try_from(ticks).ok());
    // Every known system has 100 ticks a second; a system may not report the number.
    (1_000_000_000 / ticks_per_second.unwrap_or(100).max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_tick_decides_first_and_then_the_process_number() {
        let moment = ProcessBirth::new(100, 500);
        assert!(ProcessBirth::new(99, 900).is_at_or_before(moment));
        assert!(!ProcessBirth::new(101, 1).is_at_or_before(moment));
        assert!(ProcessBirth::new(100, 500).is_at_or_before(moment));
        assert!(!ProcessBirth::new(100, 501).is_at_or_before(moment));
    }

    #[test]
    fn process_numbers_that_wrap_within_a_tick_keep_their_order() {
        let just_wrapped = ProcessBirth::new(100, 3);
        assert!(ProcessBirth::new(100, 32_700).is_at_or_before(just_wrapped));
        let about_to_wrap = ProcessBirth::new(100, 32_767);
        assert!(!ProcessBirth::new(100, 3).is_at_or_before(about_to_wrap));
    }

    #[test]
    fn within_a_tick_a_process_of_another_pid_namespace_counts_as_earlier() {
        let moment = ProcessBirth::new(100, 500);
        for other in [2, 0] {
            let born = |tick, pid| ProcessBirth::new(tick, pid).in_namespace(other);
            assert!(born(100, 501).is_at_or_before(moment));
            assert!(born(99, 501).is_at_or_before(moment));
            assert!(!born(101, 1).is_at_or_before(moment));
        }
        let unknown = |pid| ProcessBirth::new(100, pid).in_namespace(0);
        assert!(unknown(501).is_at_or_before(unknown(500)));
    }

    #[test]
    fn now_separates_this_process_from_a_later_one() {
        let now = ProcessBirth::now();
        assert!(ProcessBirth::of_this_process().is_at_or_before(now));
        let stat = Command::new("cat").arg("/proc/self/stat").output().unwrap();
        let stat = String::from_utf8(stat.stdout).unwrap();
        let pid = stat.split_whitespace().next().unwrap().parse().unwrap();
        let (_, rest) = stat.rsplit_once(')').unwrap();
        let tick = rest.split_whitespace().nth(19).unwrap().parse().unwrap();
        let later = ProcessBirth { tick, pid, ns: pid_namespace() };
        assert!(!later.is_at_or_before(now));
        assert!(later.is_at_or_before(ProcessBirth::now()));
    }

    #[test]
    fn a_moment_of_another_uptime_does_not_count() {
        let mut moment = BootQualifiedBirth::now();
        assert_eq!(moment.in_this_boot(), Some(moment.birth));
        moment.boot_id = "another".to_owned();
        assert_eq!(moment.in_this_boot(), None);
    }
}
