//! The standard streams, as the program was started with them.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::Errno;
use rustix::stdio;

use super::ExitError;
use crate::exit::ExitCode;

/// A stream that is usable, closed, or open in the other direction only.
const USABLE: u8 = 0;
const CLOSED: u8 = 1;
const WRONG_MODE: u8 = 2;

static STDIN_STATE: AtomicU8 = AtomicU8::new(USABLE);
static STDOUT_STATE: AtomicU8 = AtomicU8::new(USABLE);

/// Notes whether standard input and output are open. It has to run before `main`: Rust's runtime opens
/// `/dev/null` in the place of a closed stream before it calls `main`, and after that nobody can tell. Where
/// it has not run, as in a program that uses the library, both count as open.
pub fn record_standard_streams() {
    STDIN_STATE.store(stream_state(stdio::stdin(), OFlags::RDONLY), Ordering::Relaxed);
    STDOUT_STATE.store(stream_state(stdio::stdout(), OFlags::WRONLY), Ordering::Relaxed);
}

fn stream_state(stream: impl AsFd, direction: OFlags) -> u8 {
    match fcntl_getfl(stream).map(|flags| flags & OFlags::ACCMODE) {
        Err(Errno::BADF) => CLOSED,
        Ok(mode) if mode != direction && mode != OFlags::RDWR => WRONG_MODE,
        _ => USABLE,
    }
}

/// A command that reads standard input calls this before it does anything.
pub(super) fn require_stdin() -> Result<(), ExitError> {
    let how = match STDIN_STATE.load(Ordering::Relaxed) {
        CLOSED => "is closed",
        WRONG_MODE => "is not open for reading",
        _ => return Ok(()),
    };
    let remedy = "give it a file or a pipe to read, or </dev/null for nothing";
    Err(ExitError { code: ExitCode::Failed, message: format!("standard input {how}: {remedy}") })
}

/// A command that prints to standard output calls this before it does anything.
pub(super) fn require_stdout() -> Result<(), ExitError> {
    let how = match STDOUT_STATE.load(Ordering::Relaxed) {
        CLOSED => "is closed",
        WRONG_MODE => "is not open for writing",
        _ => return Ok(()),
    };
    let remedy = "send it to a file or a pipe, or to >/dev/null if nobody is to read it";
    Err(ExitError { code: ExitCode::Failed, message: format!("standard output {how}: {remedy}") })
}
