//! The events of a run one by one, for a page that steps through them.

use crate::clock::Nanos;
use crate::event::{Event, EventKind};
use crate::role::WorkerId;

/// One event of a worker, or of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) at: Nanos,
    pub(super) worker: Option<WorkerId>,
    pub(super) kind: StepKind,
    pub(super) waited: Option<Nanos>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepKind {
    Put(StepItem),
    Delivered(StepItem),
    Done(StepItem),
    Requeued(StepItem),
    Died,
    Restarted,
    Left,
    Cleared,
    Finished,
}

/// The item of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StepItem {
    pub(super) id: u64,
    pub(super) attempt: u32,
}

impl Step {
    /// The steps of an event: one for each of its items.
    pub(super) fn all_of<'a>(at: Nanos, event: &Event<'a>) -> impl Iterator<Item = Self> + use<'a> {
        let Event { worker, waited, kind, .. } = *event;
        let ids = event.batch().map_or(0..1, |batch| batch.first_id..batch.end_id());
        let attempt = event.batch().map_or(1, |batch| batch.attempt);
        ids.filter_map(move |id| {
            let kind = StepKind::new(kind, StepItem { id, attempt })?;
            Some(Self { at, worker, kind, waited })
        })
    }
}

impl StepKind {
    /// `None` for an event that only a trace shows.
    fn new(kind: EventKind<'_>, item: StepItem) -> Option<Self> {
        Some(match kind {
            EventKind::Put(_) => Self::Put(item),
            EventKind::Delivered(_) => Self::Delivered(item),
            EventKind::Done(_) => Self::Done(item),
            EventKind::Requeued(_) => Self::Requeued(item),
            EventKind::Died(_) => Self::Died,
            EventKind::Restarted => Self::Restarted,
            EventKind::Left => Self::Left,
            EventKind::Cleared => Self::Cleared,
            EventKind::Finished => Self::Finished,
            EventKind::Waiting(_) | EventKind::SentinelPut => return None,
        })
    }

    pub(super) fn item(self) -> Option<StepItem> {
        match self {
            Self::Put(item) | Self::Delivered(item) | Self::Done(item) | Self::Requeued(item) => {
                Some(item)
            }
            Self::Died | Self::Restarted | Self::Left | Self::Cleared | Self::Finished => None,
        }
    }

    /// The name in the page's script.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Put(_) => "put",
            Self::Delivered(_) => "get",
            Self::Done(_) => "done",
            Self::Requeued(_) => "back",
            Self::Died => "died",
            Self::Restarted => "restart",
            Self::Left => "left",
            Self::Cleared => "clear",
            Self::Finished => "end",
        }
    }
}
