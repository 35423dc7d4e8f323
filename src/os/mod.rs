//! What the operating system gives to a process: signals, limits, files, polls. This file keeps the signal
//! mask and the ignored signals that this process inherited.

mod blocking;
mod error_text;
mod exit_cause;
mod lenient;
mod limits;
mod own_program;
mod poll;
mod poller;
mod private_dir;
pub(crate) mod private_file;
#[cfg(target_os = "linux")]
mod process_1;
mod program;
pub(crate) mod signals;
mod stop;

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use nix::sys::signal::{SigSet, SigmaskHow};
use signal_hook::consts::SIGCHLD;
use signal_hook::low_level::emulate_default_handler;

use crate::proc;
pub(crate) use blocking::{Blocking, Meanwhile};
pub(crate) use error_text::{chain_text, os_text};
pub(crate) use exit_cause::ExitCause;
pub(crate) use lenient::{lock, signal_group};
pub(crate) use limits::{NarrowPipe, pipe_size_ratio, raise_open_file_limit, widen_pipe};
pub(crate) use own_program::{GUARD_ENV, pin_to_current_core, self_executable, spawn_self};
pub(crate) use poll::{Interest, Readiness, Waker, is_transient, wait_ready};
pub(crate) use poller::{PollEvent, Poller, Watched};
pub(crate) use private_dir::PrivateDir;
pub(crate) use private_file::{
    none_if_not_found, open_private_file, remove_file_if_exists, resource_remedy, with_remedy,
};
#[cfg(target_os = "linux")]
pub(crate) use process_1::run_as_init;
pub(crate) use program::{candidate_paths, is_executable};
pub(crate) use stop::{has_job_control, stop_self};

/// The signal state at the start of this process.
struct InheritedSignals {
    blocked: SigSet,
    /// The ignored signals; the lowest bit is signal 1.
    ignored: u64,
}

static INHERITED_SIGNALS: OnceLock<InheritedSignals> = OnceLock::new();

/// Records the inherited signal state, and sets a signal mask and a disposition of SIGCHLD that this process
/// can work with. `main` calls this first, since threads inherit the mask.
pub(crate) fn set_up_signals() -> io::Result<()> {
    let blocked = SigSet::empty().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let ignored = ignored_signals();
    // If SIGCHLD is ignored, the kernel discards the exit status of children.
    if ignored.is_none_or(|ignored| contains_signal(ignored, SIGCHLD)) {
        signal_hook::flag::register(SIGCHLD, Arc::new(AtomicBool::new(false)))?;
    }
    let ignored = ignored.unwrap_or_default();
    // The cell is empty: each process calls this once.
    let _ = INHERITED_SIGNALS.set(InheritedSignals { blocked, ignored });
    Ok(())
}

/// Whether this process inherited the signal as ignored. False where the system does not report ignored
/// signals.
pub(crate) fn was_ignored(signal: i32) -> bool {
    INHERITED_SIGNALS.get().is_some_and(|inherited| contains_signal(inherited.ignored, signal))
}

/// Runs `act`, for example the start of a command, with the inherited signal mask.
pub(crate) fn with_inherited_mask<T>(act: impl FnOnce() -> T) -> io::Result<T> {
    let Some(inherited) = INHERITED_SIGNALS.get() else {
        return Ok(act());
    };
    let own = inherited.blocked.thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let result = act();
    own.thread_set_mask()?;
    Ok(result)
}

/// Ends this process by a signal. Process 1 cannot die by its own signal: the function then returns the exit
/// code that stands for such a death.
pub(crate) fn die_by_signal(signal: i32) -> u8 {
    if std::process::id() != 1 {
        let _ = emulate_default_handler(signal);
    }
    u8::try_from(128 + signal).unwrap_or(1)
}

fn ignored_signals() -> Option<u64> {
    let status = proc::read("/proc/self/status").ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

fn contains_signal(signals: u64, signal: i32) -> bool {
    signals >> (signal - 1) & 1 == 1
}
