//! The standard streams in the state in which the program was started.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::OnceLock;

use anyhow::bail;
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::Errno;
use rustix::stdio;

use crate::catalogue::message;
use crate::os::Blocking;
use crate::report::StdoutError;

#[derive(Clone, Copy, Debug)]
enum StreamState {
    Usable,
    Closed,
    /// The stream is open in the other direction only.
    WrongMode,
}

static STDIN_STATE: OnceLock<StreamState> = OnceLock::new();
static STDOUT_STATE: OnceLock<StreamState> = OnceLock::new();

/// Records whether standard input and standard output are open.
///
/// Call this function before `main`: the Rust runtime opens `/dev/null` in place of a closed stream before
/// `main` runs. Without a call, as in a program that uses the library, both streams count as open.
pub fn record_standard_streams() {
    let _ = STDIN_STATE.set(stream_state(stdio::stdin(), OFlags::RDONLY));
    let _ = STDOUT_STATE.set(stream_state(stdio::stdout(), OFlags::WRONLY));
}

fn stream_state(stream: impl AsFd, direction: OFlags) -> StreamState {
    match fcntl_getfl(stream).map(|flags| flags & OFlags::ACCMODE) {
        Err(Errno::BADF) => StreamState::Closed,
        Ok(mode) if mode != direction && mode != OFlags::RDWR => StreamState::WrongMode,
        _ => StreamState::Usable,
    }
}

/// A command that reads standard input calls this function before anything else.
pub(super) fn require_stdin() -> anyhow::Result<()> {
    match STDIN_STATE.get() {
        Some(StreamState::Closed) => bail!(message!("input-closed")),
        Some(StreamState::WrongMode) => bail!(message!("input-wrong-direction")),
        Some(StreamState::Usable) | None => Ok(()),
    }
}

/// A command that prints to standard output calls this function before anything else.
pub(super) fn require_stdout() -> anyhow::Result<()> {
    match STDOUT_STATE.get() {
        Some(StreamState::Closed) => bail!(message!("output-closed")),
        Some(StreamState::WrongMode) => bail!(message!("output-wrong-direction")),
        Some(StreamState::Usable) | None => Ok(()),
    }
}

pub(super) fn print_stdout(text: &[u8]) -> anyhow::Result<()> {
    require_stdout()?;
    let mut stdout = Blocking(io::stdout());
    Ok(stdout.write_all(text).and_then(|()| stdout.flush()).map_err(StdoutError)?)
}
