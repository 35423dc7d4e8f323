//! When did a process start, compared with a moment that another process remembers?
//!
//! A queue remembers when it ended, and a consumer that started before that is told so, however
//! late it arrives. Its own clock at the top of `main` would not do: between the shell's `&` and
//! `main` a whole queue may live and die. The kernel knows when a process was made, but tells it
//! in ticks of 10 ms. Within a tick the process number decides: numbers are given out in order,
//! and the kernel tells the last one that it gave (`/proc/loadavg`).
//!
//! Where there is no `/proc` (macOS), the time at which the process first asked is used instead.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};
use rustix::process::{Pid, getpgrp, getpid, getppid};
use serde::{Deserialize, Serialize};

use crate::proc;

/// Two processes of one tick whose numbers are further apart than this have seen the numbers wrap
/// around.
const WRAPPED: i64 = 16_384;

/// How many of its callers a process looks up.
const MOST_CALLERS: usize = 8;

/// A point in the order in which this machine's processes are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// Clock ticks since the machine started.
    tick: u64,
    /// The last process number given out.
    pid: u32,
}

/// A [`Stamp`] that can be written down: it says in which uptime of the machine it was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moment {
    /// The moment itself.
    pub(crate) stamp: Stamp,
    /// Names the uptime; empty where the system has no name for it.
    pub(crate) boot: String,
}

impl Stamp {
    /// When this process was made.
    pub(crate) fn birth() -> Self {
        let pid = std::process::id();
        Self { tick: Process::of(getpid()).map_or_else(current_tick, |p| p.start), pid }
    }

    /// When the processes were made that started this one, the nearest first. Not the leader of the
    /// session, which is a person's shell, unless this process is a part of what that does itself
    /// (a command substitution, as opposed to a job).
    pub(crate) fn callers() -> Vec<Self> {
        let mut callers = Vec::new();
        let mut next = getppid();
        while let Some((pid, caller)) = next.and_then(|pid| Some((pid, Process::of(pid)?)))
            && callers.len() < MOST_CALLERS
        {
            let number = pid.as_raw_nonzero().get();
            let leads = number == caller.session;
            if leads && getpgrp() != pid {
                break;
            }
            callers.push(Self { tick: caller.start, pid: number.unsigned_abs() });
            next = Pid::from_raw(caller.parent).filter(|_| !leads);
        }
        callers
    }

    /// Now: every process made so far is [`Stamp::before_or_at`] it, and none made later is.
    pub(crate) fn now() -> Self {
        // The number first: a process made in between then counts as later by its number or tick.
        let pid = last_pid();
        let tick = current_tick();
        Self { tick, pid: pid.unwrap_or(u32::MAX) }
    }

    /// Later than everything up to now: as a process that is made next.
    pub(crate) fn next() -> Self {
        let Self { tick, pid } = Self::now();
        Self { tick, pid: pid.saturating_add(1) }
    }

    /// A made-up one.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn new(tick: u64, pid: u32) -> Self {
        Self { tick, pid }
    }

    /// Whether the process that started at `self` was there at `moment`.
    pub(crate) fn before_or_at(self, moment: Self) -> bool {
        if self.tick != moment.tick {
            return self.tick < moment.tick;
        }
        let later_by = i64::from(self.pid) - i64::from(moment.pid);
        if moment.pid != u32::MAX && later_by.abs() > WRAPPED {
            return later_by > 0;
        }
        later_by <= 0
    }
}

impl Moment {
    /// Now, in this uptime.
    pub(crate) fn now() -> Self {
        Self { stamp: Stamp::now(), boot: boot() }
    }

    /// A made-up one, in this uptime.
    #[cfg(test)]
    pub(crate) fn made_up(stamp: Stamp) -> Self {
        Self { stamp, boot: boot() }
    }

    /// The stamp, unless it is of an earlier uptime, before which no process of today started.
    pub(crate) fn of_this_uptime(&self) -> Option<Stamp> {
        let known = self.boot == boot() && self.stamp.tick <= current_tick();
        known.then_some(self.stamp)
    }
}

fn boot() -> String {
    proc::read("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// What the kernel tells of a process.
struct Process {
    parent: i32,
    session: i32,
    /// In clock ticks since the machine started.
    start: u64,
}

impl Process {
    fn of(pid: Pid) -> Option<Self> {
        Self::from_stat(&proc::read(&format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?)
    }

    /// Fields 4, 6 and 22; the second one, a name in brackets, may contain anything.
    fn from_stat(stat: &str) -> Option<Self> {
        let (_, after_name) = stat.rsplit_once(')')?;
        let field = |number: usize| after_name.split_whitespace().nth(number - 3);
        Some(Self {
            parent: field(4)?.parse().ok()?,
            session: field(6)?.parse().ok()?,
            start: field(22)?.parse().ok()?,
        })
    }
}

/// The fifth field of `/proc/loadavg`.
fn last_pid() -> Option<u32> {
    let load = proc::read("/proc/loadavg").ok()?;
    load.split_whitespace().nth(4)?.parse().ok()
}

/// Ticks since the machine started, by the clock that `start_tick` uses.
fn current_tick() -> u64 {
    #[cfg(target_os = "linux")]
    let clock = ClockId::CLOCK_BOOTTIME;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::CLOCK_MONOTONIC;
    let ticks_per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten();
    let ticks_per_second = ticks_per_second.and_then(|ticks| u64::try_from(ticks).ok());
    // What every system has that there is, should it not tell.
    let ticks_per_second = ticks_per_second.unwrap_or(100).max(1);
    let nanos_per_tick = 1_000_000_000 / ticks_per_second;
    let now = clock_gettime(clock).map_or(Duration::ZERO, Duration::from);
    now.as_secs() * ticks_per_second + u64::from(now.subsec_nanos()) / nanos_per_tick.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn the_tick_decides_first_and_the_number_within_a_tick() {
        let moment = Stamp::new(100, 500);
        assert!(Stamp::new(99, 900).before_or_at(moment));
        assert!(!Stamp::new(101, 1).before_or_at(moment));
        assert!(Stamp::new(100, 500).before_or_at(moment));
        assert!(!Stamp::new(100, 501).before_or_at(moment));
    }

    #[test]
    fn numbers_that_wrapped_around_within_a_tick_are_put_in_order() {
        let just_wrapped = Stamp::new(100, 3);
        assert!(Stamp::new(100, 32_700).before_or_at(just_wrapped));
        let about_to_wrap = Stamp::new(100, 32_767);
        assert!(!Stamp::new(100, 3).before_or_at(about_to_wrap));
    }

    #[test]
    fn this_process_was_here_and_one_made_later_was_not() {
        let now = Stamp::now();
        assert!(Stamp::birth().before_or_at(now));
        let stat = Command::new("cat").arg("/proc/self/stat").output().unwrap();
        let stat = String::from_utf8(stat.stdout).unwrap();
        let pid = stat.split_whitespace().next().unwrap().parse().unwrap();
        let (_, rest) = stat.rsplit_once(')').unwrap();
        let tick = rest.split_whitespace().nth(19).unwrap().parse().unwrap();
        assert!(!Stamp::new(tick, pid).before_or_at(now));
        assert!(Stamp::new(tick, pid).before_or_at(Stamp::now()));
    }

    #[test]
    fn a_moment_of_another_uptime_is_older_than_everybody() {
        let mut moment = Moment::now();
        assert_eq!(moment.of_this_uptime(), Some(moment.stamp));
        moment.boot = "another".to_owned();
        assert_eq!(moment.of_this_uptime(), None);
    }
}
