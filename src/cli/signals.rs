//! Ctrl-C, SIGTERM and SIGHUP: the first asks to leave, the second doesn't ask.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::Context;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::emulate_default_handler;

use crate::pipe::Waker;

/// The signal that this process was told to leave by, 0 before.
static CAUGHT: AtomicUsize = AtomicUsize::new(0);

/// The signal that this process was told to leave by.
pub(super) fn caught() -> Option<i32> {
    number(CAUGHT.load(Ordering::SeqCst))
}

fn number(signal: usize) -> Option<i32> {
    i32::try_from(signal).ok().filter(|&signal| signal != 0)
}

/// Wakes the returned waker at the first signal. At the second one, `at_once` is called and the
/// process dies by that signal.
pub(super) fn catch(mut at_once: impl FnMut() + Send + 'static) -> anyhow::Result<Arc<Waker>> {
    let waker = Arc::new(Waker::new()?);
    let woken = Arc::clone(&waker);
    let nohup = ignores_hangup();
    let mut times = 0;
    let arrived = Arc::new(AtomicUsize::new(0));
    let last = Arc::clone(&arrived);
    let handle = move || {
        // ctrlc doesn't say which signal it was. Our own handler, which does, may be a moment
        // behind the first time.
        let signal = loop {
            match number(last.load(Ordering::SeqCst)) {
                None => thread::yield_now(),
                Some(signal) => break signal,
            }
        };
        if signal == SIGHUP && nohup {
            return;
        }
        times += 1;
        CAUGHT.store(usize::try_from(signal).unwrap_or(0), Ordering::SeqCst);
        if times == 1 {
            woken.wake();
        } else {
            at_once();
            let _ = emulate_default_handler(signal);
        }
    };
    ctrlc::set_handler(handle).context("cannot catch Ctrl-C")?;
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let number = usize::try_from(signal)?;
        // Chained to that of ctrlc, which is called first.
        signal_hook::flag::register_usize(signal, Arc::clone(&arrived), number)?;
    }
    Ok(waker)
}

/// Wakes the waker whenever a child has died.
pub(super) fn catch_deaths(waker: &Waker) -> io::Result<()> {
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGCHLD, waker.writer()?)?;
    Ok(())
}

/// Whether this was started under `nohup`: SIGHUP, number 1, is in the mask of ignored signals.
fn ignores_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 != 0)
}
