//! Ctrl-C, SIGTERM and SIGHUP: the first asks to leave, the second doesn't ask.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Context;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGWINCH, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::os;
use crate::pipe::Waker;

/// The signal that this process was told to leave by, 0 before.
static CAUGHT: AtomicI32 = AtomicI32::new(0);
/// It was told so again.
static TWICE: AtomicBool = AtomicBool::new(false);

/// The signal that this process was told to leave by.
pub(super) fn caught() -> Option<i32> {
    Some(CAUGHT.load(Ordering::SeqCst)).filter(|&signal| signal != 0)
}

/// Whether it was told so twice: then there is nothing more to be said.
pub(super) fn caught_twice() -> bool {
    TWICE.load(Ordering::SeqCst)
}

/// Which signals a process leaves by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
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

/// What is done when a signal comes.
struct Leaving<F> {
    waker: Arc<Waker>,
    at_once: F,
    times: u32,
}

impl<F: FnMut()> Leaving<F> {
    fn told(&mut self, signal: i32) {
        self.times += 1;
        CAUGHT.store(signal, Ordering::SeqCst);
        if self.times == 1 {
            self.waker.wake();
        } else {
            TWICE.store(true, Ordering::SeqCst);
            (self.at_once)();
            std::process::exit(os::die_by(signal).into());
        }
    }
}

/// Wakes the returned waker at the first signal. At the second one, `at_once` is called and the
/// process dies by that signal.
pub(super) fn catch(
    leave: Leave,
    at_once: impl FnMut() + Send + 'static,
) -> anyhow::Result<Arc<Waker>> {
    let waker = Arc::new(Waker::new()?);
    let leaving = Leaving { waker: Arc::clone(&waker), at_once, times: 0 };
    let leaving = Arc::new(Mutex::new(leaving));
    let others = Arc::clone(&leaving);
    let told = move |signal| others.lock().unwrap_or_else(PoisonError::into_inner).told(signal);
    if leave.by(SIGINT) {
        let told = told.clone();
        ctrlc::set_handler(move || told(SIGINT)).context("cannot catch Ctrl-C")?;
    }
    let others: Vec<_> = [SIGTERM, SIGHUP].into_iter().filter(|&signal| leave.by(signal)).collect();
    if !others.is_empty() {
        let mut arrivals = Signals::new(others).context("cannot catch signals")?;
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || arrivals.forever().for_each(told))
            .context("cannot catch signals")?;
    }
    if leave == Leave::Keeper {
        signal_hook::flag::register(SIGHUP, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(waker)
}

/// A write beyond the limit of a file's size is an error from now on, and not the end.
pub(super) fn do_not_die_of_large_files() -> io::Result<()> {
    let told = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGXFSZ, told)?;
    Ok(())
}

/// Wakes the waker whenever a child has died, or was stopped.
pub(super) fn catch_deaths(waker: &Waker) -> io::Result<()> {
    signal_hook::low_level::pipe::register(SIGCHLD, waker.writer()?)?;
    Ok(())
}

/// Wakes the waker whenever the terminal has another size.
pub(super) fn catch_resizes(waker: &Waker) -> io::Result<()> {
    if !os::was_ignored(SIGWINCH) {
        signal_hook::low_level::pipe::register(SIGWINCH, waker.writer()?)?;
    }
    Ok(())
}
