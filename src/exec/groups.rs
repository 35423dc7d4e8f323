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
pub(super) struct Groups {
    shared: Arc<Mutex<State>>,
}

#[derive(Debug)]
pub(super) struct State {
    groups: Vec<Pid>,
    /// The terminal, if commands are to have it.
    terminal: Option<Terminal>,
    /// For how long all stood still, as far as [`State::postpone`] has not been told.
    pause: Nanos,
    /// SIGTSTP is waited for. It is not where it was ignored from the start.
    stops: bool,
    /// The last one of SIGTSTP and SIGCONT that came; 0 when the consumer has begun to stop. Only the order
    /// tells a SIGTSTP after SIGCONT, which is to stop the consumer again, from one before it.
    last: Arc<AtomicUsize>,
}

impl Groups {
    /// None so far.
    pub(super) fn new(terminal: Option<Terminal>) -> io::Result<Self> {
        let stops = !os::was_ignored(Signal::TSTP.as_raw());
        let has_terminal = terminal.is_some();
        let last = Arc::new(AtomicUsize::new(0));
        let state =
            State { groups: Vec::new(), terminal, pause: 0, stops, last: Arc::clone(&last) };
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
                    let _ = Terminal::block();
                }
                for _ in arrivals.forever() {
                    lock(&state).stand_still();
                }
            })?;
        }
        Ok(Self { shared })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.shared)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// The terminal, if commands are to have it.
    pub(super) fn terminal(&self) -> Option<&Terminal> {
        self.terminal.as_ref()
    }

    /// This one has been started.
    pub(super) fn add(&mut self, group: Pid) {
        self.groups.push(group);
        if let Some(terminal) = &self.terminal {
            terminal.give_to(group);
        }
    }

    /// The command of this one has ended, by itself or not.
    pub(super) fn remove(&mut self, group: Pid, by_itself: bool) {
        self.groups.retain(|other| *other != group);
        if let Some(terminal) = &self.terminal {
            terminal.take_back(group);
            if !by_itself {
                terminal.restore_modes();
            }
        }
    }

    /// Gives commands that stood still together with this process as much more time.
    pub(super) fn postpone(&mut self, running: &mut [Job]) {
        let pause = std::mem::take(&mut self.pause);
        running.iter_mut().for_each(|job| job.postpone(pause));
    }

    /// Whether a command has been stopped. Returns what is to be said of it, once, if nothing here will
    /// let it go on.
    pub(super) fn look_at(&self, job: &mut Job) -> Option<String> {
        let (signal, group) = (job.stopped()?, job.group()?);
        if self.sees_to(group, signal) || std::mem::replace(&mut job.told_stopped, true) {
            return None;
        }
        let stopped = format!("the command for item {} is stopped", job.task.id());
        Some(if wants_terminal(signal) {
            format!("{stopped}, since it wants the terminal: start the consumer with --tty")
        } else {
            let (signal, group) = (signal.as_raw(), group.as_raw_nonzero());
            format!("{stopped} by signal {signal}: `kill -CONT -- -{group}` lets it go on")
        })
    }

    /// A command that has the terminal is stopped by Ctrl-Z: then the whole consumer stops. Returns
    /// whether something lets the command go on.
    fn sees_to(&self, group: Pid, signal: Signal) -> bool {
        let Some(terminal) = &self.terminal else {
            return false;
        };
        // It may have wanted the terminal just before it had it.
        if wants_terminal(signal) && terminal.belongs_to(group) {
            send(group, Signal::CONT);
        } else if self.stops && os::may_stop() {
            // All that a shell calls the job.
            let _ = kill_current_process_group(Signal::TSTP);
        } else if wants_terminal(signal) {
            return false;
        } else {
            send(group, Signal::CONT);
        }
        true
    }

    /// Stops the commands and this process, and returns when this process has been continued.
    fn stand_still(&mut self) {
        let stop = SIGTSTP.unsigned_abs() as usize;
        if self.last.compare_exchange(stop, 0, Ordering::SeqCst, Ordering::SeqCst).is_err()
            || !os::may_stop()
        {
            return;
        }
        let clock = Clock::start();
        self.signal(Signal::STOP);
        self.pass_terminal(Terminal::take_back);
        // A SIGCONT that is here already would not come again.
        if self.last.load(Ordering::SeqCst) != SIGCONT.unsigned_abs() as usize {
            os::stop();
        }
        self.pass_terminal(Terminal::give_to);
        self.signal(Signal::CONT);
        self.pause = self.pause.saturating_add(clock.now());
    }

    fn pass_terminal(&self, pass: impl Fn(&Terminal, Pid)) {
        if let Some(terminal) = &self.terminal {
            // With a terminal there is one at most.
            self.groups.iter().for_each(|&group| pass(terminal, group));
        }
    }

    fn signal(&self, signal: Signal) {
        self.groups.iter().for_each(|&group| send(group, signal));
    }
}

/// Whether this is how the kernel stops a process that uses a terminal from the background.
fn wants_terminal(signal: Signal) -> bool {
    signal == Signal::TTIN || signal == Signal::TTOU
}

fn send(group: Pid, signal: Signal) {
    // It may have ended at this very moment.
    let _ = kill_process_group(group, signal);
}
