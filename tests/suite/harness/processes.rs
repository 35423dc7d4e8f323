//! Finds processes in `/proc`, sends signals to processes and waits for their ends.

use std::fs;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Once};

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::*;

use super::limit::Limit;

/// A process in `/proc`.
#[derive(Debug)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    pub args: String,
}

/// Lets this thread's children start with the default action of every signal. `nohup cargo test` and a
/// script's `cargo test &` start the tests with some signals ignored.
pub(super) fn restore_signals() {
    static ONCE: Once = Once::new();
    nix::sys::signal::SigSet::empty().thread_set_mask().unwrap();
    ONCE.call_once(|| {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t")).unwrap();
        let ignored = u64::from_str_radix(ignored, 16).unwrap();
        // `exec` replaces a handler with the default action. Rust ignores SIGPIPE, but its children do not.
        for signal in
            [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGCHLD, SIGTSTP, SIGTTIN, SIGTTOU, SIGXFSZ]
        {
            if ignored >> (signal - 1) & 1 == 1 {
                signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false))).unwrap();
            }
        }
    });
}

pub fn signal_to(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// Waits until a process has ended. The process need not be a child.
#[track_caller]
pub fn wait_for_end(pid: i32) {
    let limit = Limit::of_seconds(10);
    while !ends_within(pid, 2) {
        assert!(!limit.is_over(), "this process does not end: {:?}", process(pid));
    }
}

#[cfg(target_os = "linux")]
fn ends_within(pid: i32, seconds: i64) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{PidfdFlags, pidfd_open};
    let Ok(handle) = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()) else {
        return true;
    };
    let mut fds = [PollFd::new(&handle, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec { tv_sec: seconds, tv_nsec: 0 })).unwrap();
    !fds[0].revents().is_empty()
}

#[cfg(not(target_os = "linux"))]
fn ends_within(pid: i32, seconds: i64) -> bool {
    use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};
    let ident = usize::try_from(pid).unwrap();
    let exit = FilterFlag::NOTE_EXIT;
    let event =
        KEvent::new(ident, EventFilter::EVFILT_PROC, EvFlags::EV_ADD, exit, 0, Default::default());
    let mut ended = [event];
    let most = nix::libc::timespec { tv_sec: seconds, tv_nsec: 0 };
    match Kqueue::new().unwrap().kevent(&[event], &mut ended, Some(most)) {
        Ok(events) => events > 0,
        Err(error) => error == nix::errno::Errno::ESRCH,
    }
}

/// The entry of a process in `/proc`. None if there is no such process.
pub(super) fn process(pid: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let args = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let args = String::from_utf8_lossy(&args).trim_end_matches('\0').replace('\0', " ");
    Some(Process { pid, parent, args })
}

/// The children of a process, with zombies.
pub fn children_of(parent: i32) -> Vec<Process> {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    pids.filter_map(process).filter(|process| process.parent == parent).collect()
}
