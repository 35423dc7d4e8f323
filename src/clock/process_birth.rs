//! When did a process start, compared with a moment that another process remembers?
//!
//! A queue remembers when it ended, and a consumer that started before that moment is told of the end,
//! however late it arrives. The consumer's own clock at the top of `main` would not do: between the
//! shell's `&` and `main` a whole queue may live and die. The kernel knows when it made a process, and
//! tells it in ticks of 10 ms. Two facts make such a time comparable on one machine:
//!
//! * The tick is counted from the machine's start, not from that of a time namespace: the kernel tells
//!   the offset of the namespace in `/proc/self/timens_offsets`.
//! * Within a tick the process numbers decide, which the kernel gives out in order, if both are numbers
//!   of the same PID namespace. If they are not, the process counts as there before the moment: a
//!   consumer that is told of an end too early can be started again, and one that is never told hangs.
//!
//! A process reads about itself in `/proc/self` only: the `/proc` that it sees may be that of another PID
//! namespace, in which its own number is somebody else's.
//!
//! Where there is no `/proc` (macOS), the time at which the process first asked is used instead.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};
use rustix::process::{Pid, getppid};
use serde::{Deserialize, Serialize};

use super::{Nanos, nanos};
use crate::proc;

/// Two processes of one tick whose numbers are further apart than this have seen the numbers wrap
/// around.
const PID_WRAP_DISTANCE: i64 = 16_384;

/// How many of its callers a process looks up.
const MAX_ANCESTORS: usize = 8;

/// A point in the order in which this machine makes its processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessBirth {
    /// Clock ticks since the machine started.
    tick: u64,
    /// The number of the process, or for a moment, the last process number that was given out.
    pid: u32,
    /// The PID namespace in which that number counts, by the inode of `/proc/self/ns/pid`; 0 if unknown.
    #[serde(default, skip_serializing_if = "is_zero")]
    ns: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A [`Stamp`] that can be written down: it says in which uptime of the machine it was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BootQualifiedBirth {
    /// The moment itself.
    #[serde(rename = "stamp")]
    pub(crate) birth: ProcessBirth,
    /// Names the uptime; empty where the system has no name for it.
    #[serde(rename = "boot")]
    pub(crate) boot_id: String,
}

impl ProcessBirth {
    /// When this process was made. If nothing can be known of that, it counts as very old.
    ///
    /// Where qdemo is process 1, it runs its command in a child with the same arguments: what counts then
    /// is when process 1 was made.
    pub(crate) fn of_this_process() -> Self {
        let pid = std::process::id();
        let Some(own) = ProcStat::read("self") else {
            return Self { tick: current_tick(), pid, ns: 0 };
        };
        let (process, pid) = match own.init_parent() {
            Some(process_1) => (process_1, 1),
            None => (own, pid),
        };
        match process.machine_start_tick() {
            Some(tick) => Self { tick, pid, ns: pid_namespace() },
            None => Self::default(),
        }
    }

    /// When the processes were made that started this one, the nearest first, up to the leader of a
    /// session. Not that leader, if it has a terminal and is thus a person's shell, unless this process is
    /// a part of what the shell does itself (a command substitution, as opposed to a job).
    pub(crate) fn of_ancestors() -> Vec<Self> {
        let Some(own) = ProcStat::read("self") else {
            return Vec::new();
        };
        // Numbers that `/proc` tells are of our namespace if it is our `/proc`.
        let ours = own.pid == std::process::id();
        let ns = if ours { pid_namespace() } else { 0 };
        let mut callers = Vec::new();
        let mut next = Some(own.parent);
        while let Some(number) = next.filter(|&number| number > 0)
            && callers.len() < MAX_ANCESTORS
            && let Some(caller) = ProcStat::read(&number.to_string())
        {
            let leads = caller.pid == caller.session;
            if leads && caller.has_terminal && own.group != caller.pid {
                break;
            }
            callers.extend(caller.machine_start_tick().map(|tick| Self {
                tick,
                pid: caller.pid,
                ns,
            }));
            next = Some(caller.parent).filter(|_| !leads);
        }
        callers
    }

    /// Now: every process made so far is [`Stamp::before_or_at`] it, and none made later is.
    pub(crate) fn now() -> Self {
        // The number first: a process made in between then counts as later by its number or tick.
        let (pid, ns) = match last_pid() {
            Some(pid) => (pid, pid_namespace()),
            None => (u32::MAX, 0),
        };
        Self { tick: current_tick(), pid, ns }
    }

    /// Later than everything up to now: as a process that is made next.
    pub(crate) fn after_now() -> Self {
        let now = Self::now();
        Self { pid: now.pid.saturating_add(1), ..now }
    }

    /// A made-up one, of a PID namespace that is the same for all of these.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn new(tick: u64, pid: u32) -> Self {
        Self { tick, pid, ns: 1 }
    }

    /// The same in another PID namespace.
    #[cfg(test)]
    pub(crate) fn in_namespace(self, ns: u64) -> Self {
        Self { ns, ..self }
    }

    /// Whether the process that started at `self` was there at `moment`.
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
    /// Now, in this uptime.
    pub(crate) fn now() -> Self {
        Self { birth: ProcessBirth::now(), boot_id: boot_id() }
    }

    /// A made-up one, in this uptime.
    #[cfg(test)]
    pub(crate) fn for_test(stamp: ProcessBirth) -> Self {
        Self { birth: stamp, boot_id: boot_id() }
    }

    /// The stamp, unless it is of an earlier uptime, before which no process of today started.
    pub(crate) fn in_this_boot(&self) -> Option<ProcessBirth> {
        let known = self.boot_id == boot_id() && self.birth.tick <= current_tick();
        known.then_some(self.birth)
    }
}

/// Names this uptime of the machine; empty where the system has no name for it.
pub(super) fn boot_id() -> String {
    proc::read("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// What the kernel tells of a process. Numbers are those of the PID namespace of the `/proc` that we see.
struct ProcStat {
    pid: u32,
    parent: u32,
    group: u32,
    session: u32,
    /// Its session has a controlling terminal.
    has_terminal: bool,
    /// In clock ticks since the machine started, by the clock of our time namespace.
    start_ticks: u64,
}

impl ProcStat {
    /// `which` is a process number, or `self`.
    fn read(which: &str) -> Option<Self> {
        Self::from_stat(&proc::read(&format!("/proc/{which}/stat")).ok()?)
    }

    /// Fields 1, 4, 5, 6, 7 and 22; the second one, a name in brackets, may contain anything.
    fn from_stat(stat: &str) -> Option<Self> {
        let (pid, _) = stat.split_once(' ')?;
        let (_, after_name) = stat.rsplit_once(')')?;
        let field = |number: usize| after_name.split_whitespace().nth(number - 3);
        // A negative number means that there is none.
        let number = |text: &str| text.parse::<i64>().ok().map(|n| u32::try_from(n).unwrap_or(0));
        Some(Self {
            pid: number(pid)?,
            parent: number(field(4)?)?,
            group: number(field(5)?)?,
            session: number(field(6)?)?,
            has_terminal: field(7)? != "0",
            start_ticks: field(22)?.parse().ok()?,
        })
    }

    /// The process 1 that runs its command in this process, if that is so.
    fn init_parent(&self) -> Option<Self> {
        if getppid() != Some(Pid::INIT) {
            return None;
        }
        let arguments = |which: &str| proc::read(&format!("/proc/{which}/cmdline")).ok();
        let parent = self.parent.to_string();
        let same = arguments("self").is_some_and(|own| arguments(&parent) == Some(own));
        Self::read(&parent).filter(|_| same)
    }

    /// When it started, in clock ticks since the machine did; none if that cannot be known. An offset
    /// that is no whole number of ticks makes this a tick too early at most, and never too late.
    fn machine_start_tick(&self) -> Option<u64> {
        let tick = nanos_per_tick();
        let start = i128::from(self.start_ticks) * i128::from(tick) - time_namespace_offset()?;
        u64::try_from(start.max(0) / i128::from(tick)).ok()
    }
}

/// The PID namespace of this process, 0 if that is unknown.
fn pid_namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map_or(0, |namespace| namespace.ino())
}

/// By how many nanoseconds the boot clock of our time namespace is ahead of the machine's. None where
/// the process is still in one time namespace and its children are to be in another: then the kernel
/// tells only the offset of the latter.
pub(super) fn time_namespace_offset() -> Option<i128> {
    let namespace = |name| fs::metadata(format!("/proc/self/ns/{name}")).map(|is| is.ino()).ok();
    // A kernel without time namespaces has no such files, and no offset.
    let Ok(offsets) = proc::read("/proc/self/timens_offsets") else {
        return Some(0);
    };
    if namespace("time") != namespace("time_for_children") {
        return None;
    }
    let boot = offsets.lines().find_map(|line| line.trim().strip_prefix("boottime"));
    let mut parts = boot.unwrap_or_default().split_whitespace();
    let mut part = || parts.next().and_then(|part| part.parse::<i128>().ok()).unwrap_or(0);
    Some(part() * 1_000_000_000 + part())
}

/// The fifth field of `/proc/loadavg`, of our own PID namespace.
fn last_pid() -> Option<u32> {
    let load = proc::read("/proc/loadavg").ok()?;
    load.split_whitespace().nth(4)?.parse().ok()
}

/// Clock ticks since the machine started.
fn current_tick() -> u64 {
    time_since_boot(time_namespace_offset().unwrap_or(0)) / nanos_per_tick()
}

/// Nanoseconds since the machine started, by a boot clock that is ahead by so many. No setting of the
/// wall's clock changes it.
pub(super) fn time_since_boot(ahead: i128) -> Nanos {
    #[cfg(target_os = "linux")]
    let clock = ClockId::CLOCK_BOOTTIME;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::CLOCK_MONOTONIC;
    let now = clock_gettime(clock).map_or(Duration::ZERO, Duration::from);
    let since_boot = i128::from(nanos(now)) - ahead;
    u64::try_from(since_boot.max(0)).unwrap_or(u64::MAX)
}

fn nanos_per_tick() -> Nanos {
    let ticks_per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten();
    let ticks_per_second = ticks_per_second.and_then(|ticks| u64::try_from(ticks).ok());
    // Every system that we know has 100 of them; this one may not tell.
    (1_000_000_000 / ticks_per_second.unwrap_or(100).max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_tick_decides_first_and_the_number_within_a_tick() {
        let moment = ProcessBirth::new(100, 500);
        assert!(ProcessBirth::new(99, 900).is_at_or_before(moment));
        assert!(!ProcessBirth::new(101, 1).is_at_or_before(moment));
        assert!(ProcessBirth::new(100, 500).is_at_or_before(moment));
        assert!(!ProcessBirth::new(100, 501).is_at_or_before(moment));
    }

    #[test]
    fn numbers_that_wrapped_around_within_a_tick_are_put_in_order() {
        let just_wrapped = ProcessBirth::new(100, 3);
        assert!(ProcessBirth::new(100, 32_700).is_at_or_before(just_wrapped));
        let about_to_wrap = ProcessBirth::new(100, 32_767);
        assert!(!ProcessBirth::new(100, 3).is_at_or_before(about_to_wrap));
    }

    #[test]
    fn within_a_tick_a_process_of_another_pid_namespace_counts_as_there_before() {
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
    fn this_process_was_here_and_one_made_later_was_not() {
        let now = ProcessBirth::now();
        assert!(ProcessBirth::of_this_process().is_at_or_before(now));
        let stat = Command::new("cat").arg("/proc/self/stat").output().unwrap();
        let stat = String::from_utf8(stat.stdout).unwrap();
        let pid = stat.split_whitespace().next().unwrap().parse().unwrap();
        let (_, rest) = stat.rsplit_once(')').unwrap();
        let tick = rest.split_whitespace().nth(19).unwrap().parse().unwrap();
        let made_later = ProcessBirth { tick, pid, ns: pid_namespace() };
        assert!(!made_later.is_at_or_before(now));
        assert!(made_later.is_at_or_before(ProcessBirth::now()));
    }

    #[test]
    fn a_moment_of_another_uptime_is_older_than_everybody() {
        let mut moment = BootQualifiedBirth::now();
        assert_eq!(moment.in_this_boot(), Some(moment.birth));
        moment.boot_id = "another".to_owned();
        assert_eq!(moment.in_this_boot(), None);
    }
}
