//! The output of commands: what of it is kept, and where, and what is passed on line by line.

mod capture;
mod store;

pub(crate) use capture::CaptureError;
pub(super) use capture::{OutputCapture, PassOn};
pub(crate) use store::KeptOutput;
pub(super) use store::OutputStore;

/// When the output of commands is printed, and in which order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OutputConfig {
    /// Each line is passed on as it comes.
    pub(crate) is_live: bool,
    /// The observer needs the whole output after the end of a command. Without `is_live` it always does.
    pub(crate) is_kept: bool,
    /// The output comes in the order of the items. Never with `is_live`.
    pub(crate) is_ordered: bool,
}

/// One of the two output streams of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputStream {
    Stdout,
    Stderr,
}
