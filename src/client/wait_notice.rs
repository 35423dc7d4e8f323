//! The notice on a long wait: its text, and whether a person has it.

use std::fmt;
use std::sync::Arc;

use crate::queue::WaitReason;
use crate::wire::Status;

type TextOf = dyn Fn(WaitReason, &Status) -> Option<String> + Send + Sync;

/// The text for a wait. None if the wait is as it should be.
#[derive(Clone)]
pub(crate) struct WaitText(pub(super) Arc<TextOf>);

impl WaitText {
    pub(crate) fn new(
        text: impl Fn(WaitReason, &Status) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(text))
    }
}

impl fmt::Debug for WaitText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WaitText")
    }
}

/// The state of the notice.
#[derive(Debug, Default)]
pub(super) enum WaitNotice {
    /// Nobody wants a notice, or the client has told it.
    #[default]
    Off,
    /// The next wait of more than a second has a notice.
    Armed(WaitText),
    /// The client has asked for the status, and waits for this. None if the wait has ended since.
    Asked(WaitText, Option<WaitReason>),
}

impl WaitNotice {
    pub(super) fn new(text: Option<WaitText>) -> Self {
        text.map_or(Self::Off, Self::Armed)
    }
}
