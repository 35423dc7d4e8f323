//! The process groups of the commands that run. They are not in the consumer's own group, so Ctrl-Z does
//! not reach them: the consumer stops them, itself, and lets them go on when it does.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::process::{Pid, Signal, kill_current_process_group, kill_process_group};
use signal_hook::consts::{SIGCONT, SIGTSTP};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use super::job::Job;
use super::terminal::Terminal;
use crate::clock::{Clock, Nanos};
use crate::os;

/// The process groups, shared with the thread that waits for SIGTSTP. Whoever starts a command, or looks
/// at the state of one, has them locked: so no command is missed, and none is seen in between.
#[derive(Debug)]
pub(super) struct ProcessGroups {
    shared: Arc<Mutex<GroupTable>>,
}

#[derive(Debug)]
pub(super) struct GroupTable {
    groups: Vec<Pid>,
    /// The terminal, if commands are to have it.
    terminal: Option<Terminal>,
    /// For how long all stood still, as far as [`State::postpone`] has not been told.
    suspended_time: Nanos,
    /// SIGTSTP is waited for. It is not where it was ignored from the start.
    can_suspend: bool,
    /// The last one of SIGTSTP and SIGCONT that came; 0 when the consumer has begun to stop. Only the order
    /// tells a SIGTSTP after SIGCONT, which is to stop the consumer again, from one before it.
    last_signal: Arc<AtomicUsize>,
}

impl ProcessGroups {
    /// None so far.
    pub(super) fn new(terminal: Option<Terminal>) -> io::Result<Self> {
        let stops = !os::was_ignored(Signal::TSTP.as_raw());
        let has_terminal = terminal.is_some();
        let last = Arc::new(AtomicUsize::new(0));
        let state = GroupTable {
            groups: Vec::new(),
            terminal,
            suspended_time: 0,
            can_suspend: stops,
            last_signal: Arc::clone(&last),
        };
        let shared = Arc::new(Mutex::new(state));
        if stops {
            for signal in [SIGTSTP, SIGCONT] {
                flag::register_usize(signal, Arc::clone(&last), signal.unsigned_abs() as usize)?;
            }
            // Registered behind the flags: when the thread wakes, they are set.
            let mut arrivals = Signals::new([SIGTSTP])?;
            let state = Arc::clone(&shared);
            thread::Builder::new().name("stops".to_owned()).spawn(move || {
                if has_terminal {
                    // Without it the terminal stays with the command.
                    let _ = Terminal::block_sigttou();
                }
                for _ in arrivals.forever() {
                    lock(&state).suspend();
                }
            })?;
        }
        Ok(Self { shared })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, GroupTable> {
        lock(&self.shared)
    }
}

fn lock(state: &Mutex<GroupTable>) -> MutexGuard<'_, GroupTable> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl GroupTable {
    /// The terminal, if commands are to have it.
    pub(super) fn terminal(&self) -> Option<&Terminal> {
        self.terminal.as_ref()
    }

    /// This one has been started.
    pub(super) fn add(&mut self, group: Pid) {
        self.groups.push(group);
        if let Some(terminal) = &self.terminal {
            terminal.set_foreground(group);
        }
    }

    /// The command of this one has ended, by itself or not.
    pub(super) fn remove(&mut self, group: Pid, by_itself: bool) {
        self.groups.retain(|other| *other != group);
        if let Some(terminal) = &self.terminal {
            terminal.reclaim_from(group);
            if !by_itself {
                terminal.restore_modes();
            }
        }
    }

    /// Gives commands that stood still together with this process as much more time.
    pub(super) fn extend_deadlines(&mut self, running: &mut [Job]) {
        let pause = std::mem::take(&mut self.suspended_time);
        running.iter_mut().for_each(|job| job.extend_deadline(pause));
    }

    /// Whether a command has been stopped. Returns what is to be said of it, once, if nothing here will
    /// let it go on.
    pub(super) fn check_stopped(&self, job: &mut Job) -> Option<String> {
        let (signal, group) = (job.stop_signal()?, job.process_group()?);
        if self.resume_or_suspend(group, signal)
            || std::mem::replace(&mut job.is_stop_reported, true)
        {
            return None;
        }
        let stopped = format!("the command for item {} is stopped", job.task.id());
        Some(if is_tty_stop(signal) {
            format!("{stopped}, since it wants the terminal: start the consumer with --tty")
        } else {
            let (signal, group) = (signal.as_raw(), group.as_raw_nonzero());
            format!("{stopped} by signal {signal}: `kill -CONT -- -{group}` lets it go on")
        })
    }

    /// A command that has the terminal is stopped by Ctrl-Z: then the whole consumer stops. Returns
    /// whether something lets the command go on.
    fn resume_or_suspend(&self, group: Pid, signal: Signal) -> bool {
        let Some(terminal) = &self.terminal else {
            return false;
        };
        // It may have wanted the terminal just before it had it.
        if is_tty_stop(signal) && terminal.is_foreground(group) {
            signal_group(group, Signal::CONT);
        } else if self.can_suspend && os::has_job_control() {
            // All that a shell calls the job.
            let _ = kill_current_process_group(Signal::TSTP);
        } else if is_tty_stop(signal) {
            return false;
        } else {
            signal_group(group, Signal::CONT);
        }
        true
    }

    /// Stops the commands and this process, and returns when this process has been continued.
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
        // A SIGCONT that is here already would not come again.
        if self.last_signal.load(Ordering::SeqCst) != SIGCONT.unsigned_abs() as usize {
            os::stop_self();
        }
        self.transfer_terminal(Terminal::set_foreground);
        self.signal_all(Signal::CONT);
        self.suspended_time = self.suspended_time.saturating_add(clock.now());
    }

    fn transfer_terminal(&self, pass: impl Fn(&Terminal, Pid)) {
        if let Some(terminal) = &self.terminal {
            // With a terminal there is one at most.
            self.groups.iter().for_each(|&group| pass(terminal, group));
        }
    }

    fn signal_all(&self, signal: Signal) {
        self.groups.iter().for_each(|&group| signal_group(group, signal));
    }
}

/// Whether this is how the kernel stops a process that uses a terminal from the background.
fn is_tty_stop(signal: Signal) -> bool {
    signal == Signal::TTIN || signal == Signal::TTOU
}

fn signal_group(group: Pid, signal: Signal) {
    // It may have ended at this very moment.
    let _ = kill_process_group(group, signal);
}
