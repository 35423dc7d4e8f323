//! Ctrl-C, SIGTERM and SIGHUP: the first asks to leave, the second doesn't ask.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use anyhow::Context;
use nix::sys::signal::{SigSet, Signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::emulate_default_handler;

use crate::pipe::{Ready, Waker, wait};
use crate::proc;

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

/// What SIGHUP means. Under `nohup` it never means anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hangup {
    /// The same as the others.
    Leave,
    /// Nothing.
    Ignore,
}

/// Wakes the returned waker at the first signal. At the second one, `at_once` is called and the
/// process dies by that signal.
pub(super) fn catch(
    hangup: Hangup,
    mut at_once: impl FnMut() + Send + 'static,
) -> anyhow::Result<Arc<Waker>> {
    let waker = Arc::new(Waker::new()?);
    let woken = Arc::clone(&waker);
    let nohup = hangup == Hangup::Ignore || starts_with_nohup();
    let arrivals = Arrivals::new()?;
    let told = arrivals.writers()?;
    let mut times = 0;
    let handle = move || {
        let Ok(signal) = arrivals.next() else { return };
        if signal == SIGHUP && nohup {
            return;
        }
        times += 1;
        CAUGHT.store(signal, Ordering::SeqCst);
        if times == 1 {
            woken.wake();
        } else {
            TWICE.store(true, Ordering::SeqCst);
            at_once();
            let _ = emulate_default_handler(signal);
        }
    };
    // A signal between the two would be known to one of them only: it has to wait.
    let held = hold_back();
    held.thread_block()?;
    ctrlc::set_handler(handle).context("cannot catch Ctrl-C")?;
    for (signal, writer) in told {
        // Chained to the handler of ctrlc, which is called first.
        signal_hook::low_level::pipe::register(signal, writer)?;
    }
    held.thread_unblock()?;
    Ok(waker)
}

fn hold_back() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect()
}

/// Tells which signal it was, as ctrlc does not: a byte in a pipe for each.
struct Arrivals {
    pipes: Vec<(i32, Waker)>,
}

impl Arrivals {
    fn new() -> io::Result<Self> {
        let pipe = |signal| Ok((signal, Waker::new()?));
        let pipes = [SIGINT, SIGTERM, SIGHUP].into_iter().map(pipe).collect::<io::Result<_>>()?;
        Ok(Self { pipes })
    }

    fn writers(&self) -> io::Result<Vec<(i32, io::PipeWriter)>> {
        self.pipes.iter().map(|(signal, pipe)| Ok((*signal, pipe.writer()?))).collect()
    }

    /// The next one; it may be a moment behind ctrlc's call.
    fn next(&self) -> io::Result<i32> {
        loop {
            let pipes: Vec<_> = self.pipes.iter().map(|p| (p.1.as_fd(), Ready::Read)).collect();
            let states = wait(&pipes, None)?;
            let ready = self.pipes.iter().zip(states).find(|(_, state)| state.ready);
            if let Some(((signal, pipe), _)) = ready {
                pipe.take_one();
                return Ok(*signal);
            }
        }
    }
}

/// A write beyond the limit of a file's size is an error from now on, and not the end.
pub(super) fn do_not_die_of_large_files() -> io::Result<()> {
    let told = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, told)?;
    Ok(())
}

/// Wakes the waker whenever a child has died.
pub(super) fn catch_deaths(waker: &Waker) -> io::Result<()> {
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGCHLD, waker.writer()?)?;
    Ok(())
}

/// Wakes the waker whenever the terminal has another size.
pub(super) fn catch_resizes(waker: &Waker) -> io::Result<()> {
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGWINCH, waker.writer()?)?;
    Ok(())
}

/// Whether this was started under `nohup`: SIGHUP, number 1, is in the mask of ignored signals.
fn starts_with_nohup() -> bool {
    let status = proc::read("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 != 0)
}
