//! Ctrl-C, SIGTERM and SIGHUP: the first signal asks the process to leave, the second one ends it at once.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use anyhow::Context;
use nix::sys::signal::{SigSet, Signal};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH, SIGXFSZ};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level::pipe};

use super::lenient::lock;
use super::poll::Waker;
use crate::catalogue::message;
use crate::os;

/// The signals to leave that this process has received. Signal handlers write these fields, so each field
/// is an atomic of its own: signal_hook takes no larger state.
struct LeaveRequest {
    /// The number of the last signal; 0 before the first one.
    signal: AtomicUsize,
    /// The first signal has come: the next one ends the process.
    is_pending: AtomicBool,
    /// The second signal has come.
    is_repeated: AtomicBool,
}

static LEAVE_REQUEST: LeaveRequest = LeaveRequest {
    signal: AtomicUsize::new(0),
    is_pending: AtomicBool::new(false),
    is_repeated: AtomicBool::new(false),
};

/// The signal that told this process to leave.
pub(crate) fn exit_signal() -> Option<i32> {
    i32::try_from(LEAVE_REQUEST.signal.load(Ordering::SeqCst)).ok().filter(|&signal| signal != 0)
}

/// Whether a second signal has come: the process prints nothing more then.
pub(crate) fn has_second_signal() -> bool {
    LEAVE_REQUEST.is_repeated.load(Ordering::SeqCst)
}

/// The signals that make a process leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaveSignals {
    /// Those that the process did not inherit as ignored.
    NotIgnored,
    /// All but SIGHUP: a keeper outlives the terminal and the script that started it.
    AllButHangup,
}

impl LeaveSignals {
    fn includes(self, signal: i32) -> bool {
        match (self, signal) {
            (Self::AllButHangup, signal) => signal != SIGHUP,
            // The interruption of a script also ends the script's background consumers.
            (Self::NotIgnored, SIGINT) if os::was_ignored(SIGINT) && os::was_ignored(SIGQUIT) => {
                true
            }
            (Self::NotIgnored, signal) => !os::was_ignored(signal),
        }
    }
}

/// Installs signal handlers. The first signal wakes the returned waker; the second one ends the process. The
/// handlers need no thread, which the system might refuse.
pub(crate) fn install_handlers(leave: LeaveSignals) -> anyhow::Result<Arc<Waker>> {
    let waker = Arc::new(Waker::new()?);
    for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| leave.includes(signal)) {
        install_handler(signal, &waker).with_context(|| message!("os-cannot-catch-signals"))?;
    }
    if leave == LeaveSignals::AllButHangup {
        flag::register(SIGHUP, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(waker)
}

/// Registers the actions of one signal. A signal runs the actions in this order, so `is_pending` comes last.
fn install_handler(signal: i32, waker: &Waker) -> io::Result<()> {
    if std::process::id() == 1 {
        // Process 1 cannot die by its own signal.
        flag::register_conditional_shutdown(signal, 128 + signal, &LEAVE_REQUEST.is_pending)?;
    } else {
        flag::register_conditional_default(signal, &LEAVE_REQUEST.is_pending)?;
    }
    flag::register_usize(signal, &LEAVE_REQUEST.signal, signal.unsigned_abs() as usize)?;
    pipe::register(signal, waker.writer()?)?;
    flag::register(signal, &LEAVE_REQUEST.is_pending)?;
    Ok(())
}

/// The signals that a thread of `signal-hook` waits for. `ctrlc` has a thread for SIGINT, but needs frameworks on
/// Apple's systems.
#[cfg(not(target_vendor = "apple"))]
const THREAD_SIGNALS: [i32; 2] = [SIGTERM, SIGHUP];
#[cfg(target_vendor = "apple")]
const THREAD_SIGNALS: [i32; 3] = [SIGTERM, SIGHUP, SIGINT];

/// Handles a signal in a thread, for a process that has something to clear away.
struct SignalHandler<F> {
    waker: Arc<Waker>,
    cleanup: F,
}

impl<F: FnMut()> SignalHandler<F> {
    fn handle(&mut self, signal: i32) {
        LEAVE_REQUEST.signal.store(signal.unsigned_abs() as usize, Ordering::SeqCst);
        if !LEAVE_REQUEST.is_pending.swap(true, Ordering::SeqCst) {
            self.waker.wake();
        } else {
            LEAVE_REQUEST.is_repeated.store(true, Ordering::SeqCst);
            (self.cleanup)();
            std::process::exit(os::die_by_signal(signal).into());
        }
    }
}

/// Does the same as [`install_handlers`], and the second signal runs `cleanup` before the process dies by that
/// signal. Threads wait for the signals, since a signal handler may do very little.
///
/// # Errors
/// If the system refuses a thread, for example.
pub(crate) fn install_handlers_with_cleanup(
    leave: LeaveSignals,
    cleanup: impl FnMut() + Send + 'static,
) -> anyhow::Result<Arc<Waker>> {
    let waker = Arc::new(Waker::new()?);
    let handler = Arc::new(Mutex::new(SignalHandler { waker: Arc::clone(&waker), cleanup }));
    let handle = move |signal| lock(&handler).handle(signal);
    let others: Vec<_> =
        THREAD_SIGNALS.iter().copied().filter(|&signal| leave.includes(signal)).collect();
    if !others.is_empty() {
        let mut arrivals =
            Signals::new(others).with_context(|| message!("os-cannot-catch-signals"))?;
        let handle = handle.clone();
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || arrivals.forever().for_each(handle))
            .with_context(|| message!("os-cannot-catch-signals"))?;
    }
    #[cfg(not(target_vendor = "apple"))]
    if leave.includes(SIGINT) {
        ctrlc::set_handler(move || handle(SIGINT))
            .map_err(into_system_error)
            .with_context(|| message!("os-cannot-catch-interrupt"))?;
    }
    Ok(waker)
}

/// Unwraps the system's error, since ctrlc's own error omits the cause.
#[cfg(not(target_vendor = "apple"))]
fn into_system_error(error: ctrlc::Error) -> anyhow::Error {
    match error {
        ctrlc::Error::System(error) => error.into(),
        error => error.into(),
    }
}

/// Makes a write beyond the limit of a file's size an error. Without this call such a write ends the process.
pub(crate) fn ignore_file_size_signal() -> io::Result<()> {
    flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
    Ok(())
}

/// Wakes the waker at each death and each stop of a child.
pub(crate) fn wake_on_child_exit(waker: &Waker) -> io::Result<()> {
    pipe::register(SIGCHLD, waker.writer()?)?;
    Ok(())
}

/// Leaves SIGCHLD to the other threads. Otherwise the signal wakes this thread whenever the main thread is starting
/// a process.
pub(crate) fn block_child_signal() -> io::Result<()> {
    Ok(SigSet::from(Signal::SIGCHLD).thread_block()?)
}

/// Wakes the waker at each change of the terminal's size.
pub(crate) fn wake_on_resize(waker: &Waker) -> io::Result<()> {
    if !os::was_ignored(SIGWINCH) {
        pipe::register(SIGWINCH, waker.writer()?)?;
    }
    Ok(())
}
