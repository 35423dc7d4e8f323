//! The events of a queue. The log, JSON lines, statistics, pictures and the live view are observers of
//! the same [`Event`]; an event never changes the queue.

use crate::clock::Nanos;
use crate::os::ExitCause;
use crate::queue::{Batch, WaitReason};
use crate::role::{Role, WorkerId};

/// Something that happened at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<'a> {
    /// Nanoseconds since the start: paced time in a paced run, else wall time.
    pub(crate) at: Nanos,
    /// The worker that caused the event. `None` outside a run, and for events of the whole run.
    pub(crate) worker: Option<WorkerId>,
    /// How long the worker had waited: for room, for an item, or in vain. `None` if nothing measured
    /// the wait.
    pub(crate) waited: Option<Nanos>,
    pub(crate) kind: EventKind<'a>,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EventKind<'a> {
    /// The queue accepted items.
    Put(&'a Batch),
    /// A consumer got items.
    Delivered(&'a Batch),
    /// Items are done.
    Done(&'a Batch),
    /// Items are ready again.
    Requeued(&'a Batch),
    /// The worker begins to wait: it has asked, and no answer is possible at this time. A recording does not
    /// have this event.
    Waiting(WaitReason),
    /// The run has put the sentinel. A recording does not have this event.
    SentinelPut,
    /// The worker died of this cause. `None`: read from a recording.
    Died(Option<ExitCause>),
    /// The run respawns the dead worker.
    Restarted,
    /// The worker disconnected.
    Left,
    /// The run dropped all ready items.
    Cleared,
    /// All processes of the run have finished.
    Finished,
}

impl<'a> Event<'a> {
    /// An event without a worker and without a wait.
    pub(crate) fn new(at: Nanos, kind: EventKind<'a>) -> Self {
        Self { at, worker: None, waited: None, kind }
    }

    /// The items of the event.
    pub(crate) fn batch(&self) -> Option<&'a Batch> {
        match self.kind {
            EventKind::Put(batch)
            | EventKind::Delivered(batch)
            | EventKind::Done(batch)
            | EventKind::Requeued(batch) => Some(batch),
            EventKind::Waiting(_)
            | EventKind::SentinelPut
            | EventKind::Died(_)
            | EventKind::Restarted
            | EventKind::Left
            | EventKind::Cleared
            | EventKind::Finished => None,
        }
    }

    /// Whether only the trace tells of the event. The event changes no number of items, and no time of a worker: what
    /// counts and what is recorded has the wait with the event that ends the wait.
    pub(crate) fn is_trace_only(&self) -> bool {
        matches!(self.kind, EventKind::Waiting(_) | EventKind::SentinelPut)
    }

    /// The role of the worker, or of the client outside a run that deals with the items.
    pub(crate) fn role(&self) -> Option<Role> {
        let of_items = self.batch().map(|_| match self.kind {
            EventKind::Put(_) => Role::Producer,
            _ => Role::Consumer,
        });
        self.worker.map(|worker| worker.role).or(of_items)
    }
}
