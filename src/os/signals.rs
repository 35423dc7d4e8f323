//! Ctrl-C, SIGTERM and SIGHUP: the first signal asks the process to leave, the second one ends it at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use anyhow::Context;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH, SIGXFSZ};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level::pipe};

use super::poll::Waker;
use crate::os;

/// The number of the last signal that told this process to leave; 0 before the first one.
static LEAVE_SIGNAL: AtomicUsize = AtomicUsize::new(0);
/// The second signal has come, in a process with a cleanup.
static HAS_SECOND_SIGNAL: AtomicBool = AtomicBool::new(false);

/// The signal that told this process to leave.
pub(crate) fn exit_signal() -> Option<i32> {
    i32::try_from(LEAVE_SIGNAL.load(Ordering::SeqCst)).ok().filter(|&signal| signal != 0)
}

/// Whether a second signal has come: the process prints nothing more then.
pub(crate) fn has_second_signal() -> bool {
    HAS_SECOND_SIGNAL.load(Ordering::SeqCst)
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
    fn iter(self) -> impl Iterator<Item = i32> {
        [SIGINT, SIGTERM, SIGHUP].into_iter().filter(move |&signal| match (self, signal) {
            (Self::AllButHangup, signal) => signal != SIGHUP,
            // The interruption of a script also ends the script's background consumers. A shell without job
            // control starts these with SIGINT and SIGQUIT ignored; `trap '' INT` ignores SIGINT alone.
            (Self::NotIgnored, SIGINT) if os::was_ignored(SIGQUIT) => true,
            (Self::NotIgnored, signal) => !os::was_ignored(signal),
        })
    }
}

/// Installs signal handlers. The first signal wakes the returned waker; the second one ends the process. The
/// handlers need no thread, which the system might refuse.
pub(crate) fn install_handlers(leave: LeaveSignals) -> anyhow::Result<Arc<Waker>> {
    let waker = Arc::new(Waker::new()?);
    let is_pending = Arc::new(AtomicBool::new(false));
    for signal in leave.iter() {
        install_handler(signal, &waker, &is_pending).context("cannot catch signals")?;
    }
    if leave == LeaveSignals::AllButHangup {
        flag::register(SIGHUP, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(waker)
}

/// Registers the actions of one signal. A signal runs the actions in this order, so `is_pending`, which all
/// signals share, comes last: the first signal sets it, and the next one ends the process.
fn install_handler(signal: i32, waker: &Waker, is_pending: &Arc<AtomicBool>) -> io::Result<()> {
    if std::process::id() == 1 {
        // Process 1 cannot die by its own signal.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(is_pending))?;
    } else {
        flag::register_conditional_default(signal, Arc::clone(is_pending))?;
    }
    flag::register_usize(signal, &LEAVE_SIGNAL, signal.unsigned_abs() as usize)?;
    pipe::register(signal, waker.writer()?)?;
    flag::register(signal, Arc::clone(is_pending))?;
    Ok(())
}

/// Does the same as [`install_handlers`], and the second signal runs `cleanup` before the process dies by that
/// signal. A thread waits for the signals, since a signal handler may do very little.
///
/// # Errors
/// If the system refuses a thread, for example.
pub(crate) fn install_handlers_with_cleanup(
    leave: LeaveSignals,
    mut cleanup: impl FnMut() + Send + 'static,
) -> anyhow::Result<Arc<Waker>> {
    let waker = Arc::new(Waker::new()?);
    let thread_waker = Arc::clone(&waker);
    let mut arrivals = Signals::new(leave.iter()).context("cannot catch signals")?;
    let handle = move |signal: i32| {
        if LEAVE_SIGNAL.swap(signal.unsigned_abs() as usize, Ordering::SeqCst) == 0 {
            thread_waker.wake();
        } else {
            HAS_SECOND_SIGNAL.store(true, Ordering::SeqCst);
            cleanup();
            std::process::exit(os::die_by_signal(signal).into());
        }
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || arrivals.forever().for_each(handle))
        .context("cannot catch signals")?;
    Ok(waker)
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

/// Wakes the waker at each change of the terminal's size.
pub(crate) fn wake_on_resize(waker: &Waker) -> io::Result<()> {
    if !os::was_ignored(SIGWINCH) {
        pipe::register(SIGWINCH, waker.writer()?)?;
    }
    Ok(())
}
