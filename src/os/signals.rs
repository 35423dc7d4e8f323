//! Ctrl-C, SIGTERM and SIGHUP: the first signal asks the process to leave, the second one ends it at once.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Context;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGWINCH, SIGXFSZ};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level::pipe};

use super::Waker;
use crate::os;

/// The signal that this process was told to leave by, 0 before.
static EXIT_SIGNAL: AtomicUsize = AtomicUsize::new(0);
/// A first signal has come: the next one ends the process.
static IS_EXIT_REQUESTED: AtomicBool = AtomicBool::new(false);
/// It was told so again.
static HAS_SECOND_SIGNAL: AtomicBool = AtomicBool::new(false);

/// The signal that this process was told to leave by.
pub(crate) fn exit_signal() -> Option<i32> {
    i32::try_from(EXIT_SIGNAL.load(Ordering::SeqCst)).ok().filter(|&signal| signal != 0)
}

/// Whether it was told so twice: then there is nothing more to be said.
pub(crate) fn has_second_signal() -> bool {
    HAS_SECOND_SIGNAL.load(Ordering::SeqCst)
}

/// Which signals a process leaves by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeaveSignals {
    /// Those that were not ignored when it was started.
    NotIgnored,
    /// All but SIGHUP: a keeper has nothing to do with the terminal and the script that it was started
    /// from.
    AllButHangup,
}

impl LeaveSignals {
    fn includes(self, signal: i32) -> bool {
        match (self, signal) {
            (Self::AllButHangup, signal) => signal != SIGHUP,
            // When a script is interrupted, the consumers that it has in the background come home too.
            (Self::NotIgnored, SIGINT) if os::was_started_in_background() => true,
            (Self::NotIgnored, signal) => !os::was_ignored(signal),
        }
    }
}

/// Wakes the returned waker at the first signal. The second signal ends the process. All of this happens
/// in the signal handler: it needs no thread, which the system might refuse.
pub(crate) fn install_handlers(leave: LeaveSignals) -> anyhow::Result<Arc<Waker>> {
    let waker = Arc::new(Waker::new()?);
    for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| leave.includes(signal)) {
        install_handler(signal, &waker).context("cannot catch signals")?;
    }
    if leave == LeaveSignals::AllButHangup {
        flag::register(SIGHUP, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(waker)
}

/// The handler does these things in this order.
fn install_handler(signal: i32, waker: &Waker) -> io::Result<()> {
    if std::process::id() == 1 {
        // Process 1 cannot die by a signal of its own.
        flag::register_conditional_shutdown(signal, 128 + signal, &IS_EXIT_REQUESTED)?;
    } else {
        flag::register_conditional_default(signal, &IS_EXIT_REQUESTED)?;
    }
    flag::register_usize(signal, &EXIT_SIGNAL, signal.unsigned_abs() as usize)?;
    pipe::register(signal, waker.writer()?)?;
    flag::register(signal, &IS_EXIT_REQUESTED)?;
    Ok(())
}

/// What is done when a signal comes to a process that has something to clear away.
struct SignalHandler<F> {
    waker: Arc<Waker>,
    cleanup: F,
}

impl<F: FnMut()> SignalHandler<F> {
    fn handle(&mut self, signal: i32) {
        EXIT_SIGNAL.store(signal.unsigned_abs() as usize, Ordering::SeqCst);
        if !IS_EXIT_REQUESTED.swap(true, Ordering::SeqCst) {
            self.waker.wake();
        } else {
            HAS_SECOND_SIGNAL.store(true, Ordering::SeqCst);
            (self.cleanup)();
            std::process::exit(os::die_by_signal(signal).into());
        }
    }
}

/// As [`catch`], but the second signal calls `at_once` before the process dies by that signal. Threads wait for
/// the signals, as a signal handler may do very little.
///
/// # Errors
/// When the system refuses a thread, for example.
pub(crate) fn install_handlers_with_cleanup(
    leave: LeaveSignals,
    at_once: impl FnMut() + Send + 'static,
) -> anyhow::Result<Arc<Waker>> {
    let waker = Arc::new(Waker::new()?);
    let leaving =
        Arc::new(Mutex::new(SignalHandler { waker: Arc::clone(&waker), cleanup: at_once }));
    let told = move |signal| leaving.lock().unwrap_or_else(PoisonError::into_inner).handle(signal);
    let others: Vec<_> =
        [SIGTERM, SIGHUP].into_iter().filter(|&signal| leave.includes(signal)).collect();
    if !others.is_empty() {
        let mut arrivals = Signals::new(others).context("cannot catch signals")?;
        let told = told.clone();
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || arrivals.forever().for_each(told))
            .context("cannot catch signals")?;
    }
    if leave.includes(SIGINT) {
        ctrlc::set_handler(move || told(SIGINT))
            .map_err(into_system_error)
            .context("cannot catch Ctrl-C")?;
    }
    Ok(waker)
}

/// What the system said, which ctrlc's own error doesn't tell.
fn into_system_error(error: ctrlc::Error) -> anyhow::Error {
    match error {
        ctrlc::Error::System(error) => error.into(),
        error => error.into(),
    }
}

/// A write beyond the limit of a file's size is an error from now on, and not the end.
pub(crate) fn ignore_file_size_signal() -> io::Result<()> {
    let told = Arc::new(AtomicBool::new(false));
    flag::register(SIGXFSZ, told)?;
    Ok(())
}

/// Wakes the waker whenever a child has died, or was stopped.
pub(crate) fn wake_on_child_exit(waker: &Waker) -> io::Result<()> {
    pipe::register(SIGCHLD, waker.writer()?)?;
    Ok(())
}

/// Wakes the waker whenever the terminal has another size.
pub(crate) fn wake_on_resize(waker: &Waker) -> io::Result<()> {
    if !os::was_ignored(SIGWINCH) {
        pipe::register(SIGWINCH, waker.writer()?)?;
    }
    Ok(())
}
