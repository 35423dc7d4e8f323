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
static CAUGHT: AtomicUsize = AtomicUsize::new(0);
/// A first signal has come: the next one ends the process.
static ASKED: AtomicBool = AtomicBool::new(false);
/// It was told so again.
static TWICE: AtomicBool = AtomicBool::new(false);

/// The signal that this process was told to leave by.
pub(crate) fn caught() -> Option<i32> {
    i32::try_from(CAUGHT.load(Ordering::SeqCst)).ok().filter(|&signal| signal != 0)
}

/// Whether it was told so twice: then there is nothing more to be said.
pub(crate) fn caught_twice() -> bool {
    TWICE.load(Ordering::SeqCst)
}

/// Which signals a process leaves by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// Those that were not ignored when it was started.
    Unignored,
    /// All but SIGHUP: a keeper has nothing to do with the terminal and the script that it was started
    /// from.
    Keeper,
}

impl Leave {
    fn by(self, signal: i32) -> bool {
        match (self, signal) {
            (Self::Keeper, signal) => signal != SIGHUP,
            // When a script is interrupted, the consumers that it has in the background come home too.
            (Self::Unignored, SIGINT) if os::was_started_in_background() => true,
            (Self::Unignored, signal) => !os::was_ignored(signal),
        }
    }
}

/// Wakes the returned waker at the first signal. The second signal ends the process. All of this happens
/// in the signal handler: it needs no thread, which the system might refuse.
pub(crate) fn catch(leave: Leave) -> anyhow::Result<Arc<Waker>> {
    let waker = Arc::new(Waker::new()?);
    for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|&signal| leave.by(signal)) {
        catch_one(signal, &waker).context("cannot catch signals")?;
    }
    if leave == Leave::Keeper {
        flag::register(SIGHUP, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(waker)
}

/// The handler does these things in this order.
fn catch_one(signal: i32, waker: &Waker) -> io::Result<()> {
    if std::process::id() == 1 {
        // Process 1 cannot die by a signal of its own.
        flag::register_conditional_shutdown(signal, 128 + signal, &ASKED)?;
    } else {
        flag::register_conditional_default(signal, &ASKED)?;
    }
    flag::register_usize(signal, &CAUGHT, signal.unsigned_abs() as usize)?;
    pipe::register(signal, waker.writer()?)?;
    flag::register(signal, &ASKED)?;
    Ok(())
}

/// What is done when a signal comes to a process that has something to clear away.
struct Leaving<F> {
    waker: Arc<Waker>,
    at_once: F,
}

impl<F: FnMut()> Leaving<F> {
    fn told(&mut self, signal: i32) {
        CAUGHT.store(signal.unsigned_abs() as usize, Ordering::SeqCst);
        if !ASKED.swap(true, Ordering::SeqCst) {
            self.waker.wake();
        } else {
            TWICE.store(true, Ordering::SeqCst);
            (self.at_once)();
            std::process::exit(os::die_by(signal).into());
        }
    }
}

/// As [`catch`], but the second signal calls `at_once` before the process dies by that signal. Threads wait for
/// the signals, as a signal handler may do very little.
///
/// # Errors
/// When the system refuses a thread, for example.
pub(crate) fn catch_and_clear(
    leave: Leave,
    at_once: impl FnMut() + Send + 'static,
) -> anyhow::Result<Arc<Waker>> {
    let waker = Arc::new(Waker::new()?);
    let leaving = Arc::new(Mutex::new(Leaving { waker: Arc::clone(&waker), at_once }));
    let told = move |signal| leaving.lock().unwrap_or_else(PoisonError::into_inner).told(signal);
    let others: Vec<_> = [SIGTERM, SIGHUP].into_iter().filter(|&signal| leave.by(signal)).collect();
    if !others.is_empty() {
        let mut arrivals = Signals::new(others).context("cannot catch signals")?;
        let told = told.clone();
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || arrivals.forever().for_each(told))
            .context("cannot catch signals")?;
    }
    if leave.by(SIGINT) {
        ctrlc::set_handler(move || told(SIGINT)).map_err(system).context("cannot catch Ctrl-C")?;
    }
    Ok(waker)
}

/// What the system said, which ctrlc's own error doesn't tell.
fn system(error: ctrlc::Error) -> anyhow::Error {
    match error {
        ctrlc::Error::System(error) => error.into(),
        error => error.into(),
    }
}

/// A write beyond the limit of a file's size is an error from now on, and not the end.
pub(crate) fn do_not_die_of_large_files() -> io::Result<()> {
    let told = Arc::new(AtomicBool::new(false));
    flag::register(SIGXFSZ, told)?;
    Ok(())
}

/// Wakes the waker whenever a child has died, or was stopped.
pub(crate) fn catch_deaths(waker: &Waker) -> io::Result<()> {
    pipe::register(SIGCHLD, waker.writer()?)?;
    Ok(())
}

/// Wakes the waker whenever the terminal has another size.
pub(crate) fn catch_resizes(waker: &Waker) -> io::Result<()> {
    if !os::was_ignored(SIGWINCH) {
        pipe::register(SIGWINCH, waker.writer()?)?;
    }
    Ok(())
}
