//! What a process does that has the number 1, as that of a container does. The kernel gives it two duties:
//! it inherits every process whose parent has died, and no signal ends it that it does not catch. So it
//! does nothing else: the command itself runs in its only child.

use std::io;
use std::os::fd::AsFd;
use std::process::Command;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use rustix::io::Errno;
use rustix::process::{self as unix, Pid, WaitOptions, WaitStatus, kill_process};

use super::with_inherited_mask;
use super::{Interest, wait_ready};
use crate::clock::{Clock, Nanos};

/// Signals that tell of a fault of this process itself.
const FAULT_SIGNALS: [Signal; 7] = [
    Signal::SIGABRT,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGSEGV,
    Signal::SIGSYS,
    Signal::SIGTRAP,
];
/// How long others have to end when the command has.
const TERMINATION_TIMEOUT: Nanos = 2_000_000_000;

/// Runs the command as a child, passes signals on to it, and reaps whatever child has ended. Returns the
/// child's exit code, or 128 and the number of the signal that it died by. Fails if no child can be started.
pub(crate) fn run_as_init(command: &mut Command) -> io::Result<u8> {
    let mut signals = SigSet::all();
    FAULT_SIGNALS.into_iter().for_each(|fault| signals.remove(fault));
    // A signal that is blocked waits to be read, even where its default is to do nothing.
    signals.thread_block()?;
    let started = spawn_child(command, &signals);
    if started.is_err() {
        // This process runs the command itself.
        signals.thread_unblock()?;
    }
    let (arrivals, child) = started?;
    // No error is known that could come now. Without a word process 1 must not end as if all was well.
    Ok(supervise(&arrivals, child).unwrap_or(1))
}

fn spawn_child(command: &mut Command, signals: &SigSet) -> io::Result<(SignalFd, Pid)> {
    let arrivals = SignalFd::with_flags(signals, SfdFlags::SFD_CLOEXEC)?;
    let child = with_inherited_mask(|| command.spawn())??;
    Ok((arrivals, Pid::from_child(&child)))
}

fn supervise(arrivals: &SignalFd, child: Pid) -> io::Result<u8> {
    loop {
        while let Some((ended, status)) = reap_child()? {
            if ended == child {
                // The command has ended, and so has process 1: an error is nothing to tell of any more.
                let _ = terminate_others(arrivals);
                return Ok(exit_code(status));
            }
        }
        if let Some(signal) = read_signal(arrivals)? {
            forward_signal(&signal, child);
        }
    }
}

/// The kernel kills all others when process 1 has ended. A keeper that is asked to end before that leaves
/// no pipe behind.
fn terminate_others(arrivals: &SignalFd) -> io::Result<()> {
    // To all that process 1 can see, but for itself.
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(-1), Signal::SIGTERM)?;
    let clock = Clock::start_now();
    loop {
        // It fails when there is no child any more.
        while reap_child()?.is_some() {}
        let left = TERMINATION_TIMEOUT.saturating_sub(clock.now());
        if left == 0 || !wait_ready(&[(arrivals.as_fd(), Interest::Read)], Some(left))?[0].is_ready
        {
            return Ok(());
        }
        read_signal(arrivals)?;
    }
}

fn read_signal(arrivals: &SignalFd) -> io::Result<Option<siginfo>> {
    match arrivals.read_signal() {
        Err(nix::errno::Errno::EINTR) => Ok(None),
        other => Ok(other?),
    }
}

/// Reaps a child that has ended.
fn reap_child() -> io::Result<Option<(Pid, WaitStatus)>> {
    loop {
        match unix::wait(WaitOptions::NOHANG) {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

fn exit_code(status: WaitStatus) -> u8 {
    let signal = status.terminating_signal().map(|signal| 128 + signal);
    let code = status.exit_status().or(signal).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// Passes a signal on, unless the child has it already: a terminal sends its signals to the whole process
/// group, and the child is in it too. SIGHUP alone goes to the leader of the session.
fn forward_signal(arrived: &siginfo, child: Pid) {
    const SI_KERNEL: i32 = 0x80;
    let Ok(signal) = i32::try_from(arrived.ssi_signo) else { return };
    let is_from_kernel = arrived.ssi_code == SI_KERNEL && signal != Signal::SIGHUP as i32;
    if signal == Signal::SIGCHLD as i32 || is_from_kernel {
        return;
    }
    if let Some(signal) = unix::Signal::from_named_raw(signal) {
        // It may have ended at this very moment.
        let _ = kill_process(child, signal);
    }
}
