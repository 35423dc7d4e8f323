//! The work of process 1, for example in a container. The kernel gives process 1 two duties: process 1 inherits
//! every process whose parent has died, and only a caught signal can end process 1. So process 1 does
//! nothing else: the command itself runs in its only child.

use std::io;
use std::os::fd::AsFd;
use std::process::Command;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use rustix::process::{self as unix, Pid, WaitOptions, WaitStatus, kill_process};

use super::poll::{Interest, wait_ready};
use super::with_inherited_mask;
use crate::clock::{Clock, Nanos};

/// The kernel raises these signals for a fault of this process itself.
const FAULT_SIGNALS: [Signal; 7] = [
    Signal::SIGABRT,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGSEGV,
    Signal::SIGSYS,
    Signal::SIGTRAP,
];
/// How long other processes have to end after the command.
const TERMINATION_TIMEOUT: Nanos = 2_000_000_000;

/// Runs the command as a child, forwards signals to the child, and reaps every ended process. Returns the
/// child's exit code, or 128 plus the number of the signal that ended the child. Fails if no child starts.
pub(crate) fn run_as_init(command: &mut Command) -> io::Result<u8> {
    let mut signals = SigSet::all();
    FAULT_SIGNALS.into_iter().for_each(|fault| signals.remove(fault));
    // A blocked signal waits until it is read, even if its default is to do nothing.
    signals.thread_block()?;
    let started = spawn_child(command, &signals);
    if started.is_err() {
        // This process runs the command itself.
        signals.thread_unblock()?;
    }
    let (arrivals, child) = started?;
    // No error is known to occur here. On an error process 1 must not report success.
    Ok(supervise(&arrivals, child).unwrap_or(1))
}

fn spawn_child(command: &mut Command, signals: &SigSet) -> io::Result<(SignalFd, Pid)> {
    let arrivals = SignalFd::with_flags(signals, SfdFlags::SFD_CLOEXEC)?;
    let child = with_inherited_mask(|| command.spawn())??;
    Ok((arrivals, Pid::from_child(&child)))
}

fn supervise(arrivals: &SignalFd, child: Pid) -> io::Result<u8> {
    loop {
        while let Some((ended, status)) = unix::wait(WaitOptions::NOHANG)? {
            if ended == child {
                // Process 1 ends now in any case, so an error changes nothing.
                let _ = terminate_others(arrivals);
                return Ok(exit_code(status));
            }
        }
        if let Some(signal) = read_signal(arrivals)? {
            forward_signal(&signal, child);
        }
    }
}

/// Asks all other processes to end. The kernel kills them when process 1 ends; a keeper that is asked before
/// leaves no pipe behind.
fn terminate_others(arrivals: &SignalFd) -> io::Result<()> {
    // -1 stands for every visible process except process 1.
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(-1), Signal::SIGTERM)?;
    let clock = Clock::start_now();
    loop {
        // The call fails when no child is left.
        while unix::wait(WaitOptions::NOHANG)?.is_some() {}
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

fn exit_code(status: WaitStatus) -> u8 {
    let signal = status.terminating_signal().map(|signal| 128 + signal);
    let code = status.exit_status().or(signal).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// Forwards a signal, unless the child has received the signal itself: a terminal signals the whole process
/// group, which includes the child. Only the session leader receives a terminal's SIGHUP.
fn forward_signal(arrived: &siginfo, child: Pid) {
    const SI_KERNEL: i32 = 0x80;
    let Ok(signal) = i32::try_from(arrived.ssi_signo) else { return };
    let is_from_kernel = arrived.ssi_code == SI_KERNEL && signal != Signal::SIGHUP as i32;
    if signal == Signal::SIGCHLD as i32 || is_from_kernel {
        return;
    }
    if let Some(signal) = unix::Signal::from_named_raw(signal) {
        // The child may have ended at this very moment.
        let _ = kill_process(child, signal);
    }
}
