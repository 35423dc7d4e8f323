//! The standard streams, as the program was started with them.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::Errno;
use rustix::stdio;

use super::Stop;
use crate::exit::ExitCode;

/// A stream that is usable, closed, or open in the other direction only.
const USABLE: u8 = 0;
const CLOSED: u8 = 1;
const WRONG_WAY: u8 = 2;

static INPUT: AtomicU8 = AtomicU8::new(USABLE);
static OUTPUT: AtomicU8 = AtomicU8::new(USABLE);

/// Notes whether standard input and output are open. It has to run before `main`: Rust's runtime opens
/// `/dev/null` in the place of a closed stream before it calls `main`, and after that nobody can tell. Where
/// it has not run, as in a program that uses the library, both count as open.
pub fn note_standard_streams() {
    INPUT.store(state(stdio::stdin(), OFlags::RDONLY), Ordering::Relaxed);
    OUTPUT.store(state(stdio::stdout(), OFlags::WRONLY), Ordering::Relaxed);
}

fn state(stream: impl AsFd, direction: OFlags) -> u8 {
    match fcntl_getfl(stream).map(|flags| flags & OFlags::ACCMODE) {
        Err(Errno::BADF) => CLOSED,
        Ok(mode) if mode != direction && mode != OFlags::RDWR => WRONG_WAY,
        _ => USABLE,
    }
}

/// A command that reads standard input calls this before it does anything.
pub(super) fn need_input() -> Result<(), Stop> {
    let how = match INPUT.load(Ordering::Relaxed) {
        CLOSED => "is closed",
        WRONG_WAY => "is not open for reading",
        _ => return Ok(()),
    };
    let remedy = "give it a file or a pipe to read, or </dev/null for nothing";
    Err(Stop { code: ExitCode::Failed, text: format!("standard input {how}: {remedy}") })
}

/// A command that prints to standard output calls this before it does anything.
pub(super) fn need_output() -> Result<(), Stop> {
    let how = match OUTPUT.load(Ordering::Relaxed) {
        CLOSED => "is closed",
        WRONG_WAY => "is not open for writing",
        _ => return Ok(()),
    };
    let remedy = "send it to a file or a pipe, or to >/dev/null if nobody is to read it";
    Err(Stop { code: ExitCode::Failed, text: format!("standard output {how}: {remedy}") })
}
