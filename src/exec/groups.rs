//! The process groups of the running commands. Ctrl-Z stops only the consumer's own group. So the consumer stops
//! the commands' groups before itself, and continues the groups after itself.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use rustix::process::{Pid, Signal, kill_current_process_group};
use signal_hook::consts::{SIGCONT, SIGTSTP};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use super::job::Job;
use super::terminal::Terminal;
use crate::catalogue::message;
use crate::clock::{Clock, Nanos};
use crate::os::{self, lock, signal_group};

/// The process groups, shared with the thread that waits for SIGTSTP. A thread that starts a command, or looks at
/// the state of a command, holds the lock: so a stop reaches every command.
#[derive(Debug)]
pub(super) struct ProcessGroups {
    shared: Arc<Mutex<GroupTable>>,
}

#[derive(Debug)]
pub(super) struct GroupTable {
    groups: Vec<Pid>,
    /// The terminal, if commands get it.
    terminal: Option<Terminal>,
    /// The time that all commands stood still since the last [`ProcessGroups::lock_and_extend`].
    suspended_time: Nanos,
    /// A thread waits for SIGTSTP. False if this process inherited SIGTSTP as ignored.
    can_suspend: bool,
    /// The last of SIGTSTP and SIGCONT; 0 after the consumer has begun to stop. Only the order shows whether a
    /// SIGTSTP came before SIGCONT, or after SIGCONT to stop the consumer again.
    last_signal: Arc<AtomicUsize>,
}

impl ProcessGroups {
    pub(super) fn new(terminal: Option<Terminal>) -> io::Result<Self> {
        let can_suspend = !os::was_ignored(Signal::TSTP.as_raw());
        let has_terminal = terminal.is_some();
        let last_signal = Arc::new(AtomicUsize::new(0));
        let table = GroupTable {
            groups: Vec::new(),
            terminal,
            suspended_time: 0,
            can_suspend,
            last_signal: Arc::clone(&last_signal),
        };
        let shared = Arc::new(Mutex::new(table));
        if can_suspend {
            for signal in [SIGTSTP, SIGCONT] {
                let value = signal.unsigned_abs() as usize;
                flag::register_usize(signal, Arc::clone(&last_signal), value)?;
            }
            // Registered after the flags, so the flags are set when the thread wakes.
            let mut arrivals = Signals::new([SIGTSTP])?;
            let table = Arc::clone(&shared);
            thread::Builder::new().name("stops".to_owned()).spawn(move || {
                if has_terminal {
                    // If the call fails, the terminal stays with the command.
                    let _ = Terminal::block_sigttou();
                }
                // A refusal only costs time.
                let _ = os::signals::block_child_signal();
                for _ in arrivals.forever() {
                    lock(&table).suspend();
                }
            })?;
        }
        Ok(Self { shared })
    }

    /// Locks the groups, and extends the deadlines of the jobs by the time that all commands stood still together
    /// with this process.
    pub(super) fn lock_and_extend(&self, running: &mut [Job]) -> MutexGuard<'_, GroupTable> {
        let mut table = lock(&self.shared);
        let suspended = std::mem::take(&mut table.suspended_time);
        running.iter_mut().for_each(|job| job.extend_deadline(suspended));
        table
    }

    pub(super) fn has_terminal(&self) -> bool {
        lock(&self.shared).terminal.is_some()
    }
}

impl GroupTable {
    pub(super) fn terminal(&self) -> Option<&Terminal> {
        self.terminal.as_ref()
    }

    /// Adds the group of a new command, and gives it the terminal.
    pub(super) fn add(&mut self, group: Pid) {
        self.groups.push(group);
        if let Some(terminal) = &self.terminal {
            terminal.set_foreground(group);
        }
    }

    /// Removes the group of an ended command, and reclaims the terminal.
    pub(super) fn remove(&mut self, group: Pid, is_voluntary: bool) {
        self.groups.retain(|other| *other != group);
        if let Some(terminal) = &self.terminal {
            terminal.reclaim_from(group);
            if !is_voluntary {
                terminal.restore_modes();
            }
        }
    }

    /// Checks whether a command is stopped. Returns a notice, once, if nothing here will continue the command.
    pub(super) fn check_stopped(&self, job: &mut Job) -> Option<String> {
        let (signal, group) = (job.stop_signal()?, job.process_group()?);
        if self.resume_or_suspend(group, signal)
            || std::mem::replace(&mut job.is_stop_reported, true)
        {
            return None;
        }
        let id = job.task.id();
        Some(if is_tty_stop(signal) {
            message!("exec-wants-terminal", id = id)
        } else {
            let (signal, group) = (signal.as_raw(), group.as_raw_nonzero());
            message!("exec-stopped", id = id, signal = signal, group = &group)
        })
    }

    /// Reacts to the stop of a command. If Ctrl-Z stopped a command with the terminal, the whole consumer stops.
    /// Returns whether the command will continue.
    fn resume_or_suspend(&self, group: Pid, signal: Signal) -> bool {
        let Some(terminal) = &self.terminal else {
            return false;
        };
        // The command may have used the terminal just before it got the terminal.
        if is_tty_stop(signal) && terminal.is_foreground(group) {
            signal_group(group, Signal::CONT);
        } else if self.can_suspend && os::has_job_control() {
            // The process group is all that a shell calls the job.
            let _ = kill_current_process_group(Signal::TSTP);
        } else if is_tty_stop(signal) {
            return false;
        } else {
            signal_group(group, Signal::CONT);
        }
        true
    }

    /// Stops the commands and this process. Returns after SIGCONT.
    fn suspend(&mut self) {
        let stop = SIGTSTP.unsigned_abs() as usize;
        if self.last_signal.compare_exchange(stop, 0, Ordering::SeqCst, Ordering::SeqCst).is_err()
            || !os::has_job_control()
        {
            return;
        }
        let clock = Clock::start_now();
        self.signal_all(Signal::STOP);
        self.transfer_terminal(Terminal::reclaim_from);
        // A SIGCONT that has come already would not come again.
        if self.last_signal.load(Ordering::SeqCst) != SIGCONT.unsigned_abs() as usize {
            os::stop_self();
        }
        self.transfer_terminal(Terminal::set_foreground);
        self.signal_all(Signal::CONT);
        self.suspended_time = self.suspended_time.saturating_add(clock.now());
    }

    fn transfer_terminal(&self, transfer: impl Fn(&Terminal, Pid)) {
        if let Some(terminal) = &self.terminal {
            // With a terminal at most one command runs.
            self.groups.iter().for_each(|&group| transfer(terminal, group));
        }
    }

    fn signal_all(&self, signal: Signal) {
        self.groups.iter().for_each(|&group| signal_group(group, signal));
    }
}

/// Whether the kernel sends this signal to a background process that uses the terminal.
fn is_tty_stop(signal: Signal) -> bool {
    signal == Signal::TTIN || signal == Signal::TTOU
}
