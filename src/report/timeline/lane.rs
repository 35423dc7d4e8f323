//! The states of one worker over time.

use super::bins::{Bins, StateTimes};
use crate::clock::Nanos;
use crate::event::{Event, EventKind};
use crate::queue::Batch;
use crate::role::Role;

/// The state of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LaneState {
    /// A producer makes its next item, or a consumer has an item.
    Working,
    /// A consumer waits for an item.
    Waiting,
    /// A producer waits for room.
    Blocked,
    /// The worker died and has no respawn yet.
    Dead,
}

impl LaneState {
    /// In the order of [`super::bins::StateTimes::times`].
    pub(super) const ALL: [Self; 4] = [Self::Working, Self::Waiting, Self::Blocked, Self::Dead];
}

/// An interval of one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StateInterval {
    pub(super) state: LaneState,
    pub(super) start: Nanos,
    pub(super) end: Nanos,
    /// The first and the last item of the interval.
    pub(super) items: Option<ItemRange>,
}

/// Consecutive items, from the first id to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ItemRange {
    pub(super) first: u64,
    pub(super) last: u64,
}

/// The resolution of a timeline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resolution {
    /// The width of a time bin.
    pub(super) bin_width: Nanos,
    /// Whether the timeline keeps every interval too.
    pub(super) is_exact: bool,
}

#[derive(Debug)]
pub(super) struct Lane {
    role: Role,
    /// The present state, its start and its items; `None` after the worker has left.
    state: Option<(LaneState, Nanos, Option<ItemRange>)>,
    in_flight: u64,
    pub(super) time_bins: Bins<StateTimes>,
    pub(super) intervals: Vec<StateInterval>,
    /// The time of each put, and the first id.
    pub(super) puts: Vec<(Nanos, u64)>,
    pub(super) deaths: Vec<Nanos>,
}

impl Lane {
    /// The lane of a worker that exists from the start.
    pub(super) fn new(role: Role) -> Self {
        Self {
            role,
            state: Some((idle_state(role), 0, None)),
            in_flight: 0,
            time_bins: Bins::default(),
            intervals: Vec::new(),
            puts: Vec::new(),
            deaths: Vec::new(),
        }
    }

    /// Follows an event of the worker.
    pub(super) fn on_event(&mut self, event: &Event<'_>, resolution: Resolution) {
        let at = event.at;
        match event.kind {
            EventKind::Put(batch) => {
                self.record_blocked(event, resolution);
                self.record_batch(batch, at, resolution);
                // One mark is enough for all items of one moment.
                let is_new = self.puts.last().is_none_or(|last| last.0 != at);
                if resolution.is_exact && is_new {
                    self.puts.push((at, batch.first_id));
                }
            }
            EventKind::Delivered(batch) => {
                self.record_batch(batch, at, resolution);
                self.in_flight += batch.count();
            }
            EventKind::Done(batch) | EventKind::Requeued(batch) => {
                self.in_flight = self.in_flight.saturating_sub(batch.count());
                let is_working = self.state.is_some_and(|(state, ..)| state == LaneState::Working);
                if self.in_flight == 0 && is_working {
                    self.set_state(Some(LaneState::Waiting), at, None, resolution);
                }
            }
            EventKind::Died(_) => {
                self.record_blocked(event, resolution);
                self.set_state(Some(LaneState::Dead), at, None, resolution);
                self.deaths.push(at);
            }
            EventKind::Restarted => {
                self.in_flight = 0;
                self.set_state(Some(idle_state(self.role)), at, None, resolution);
            }
            EventKind::Left => {
                self.record_blocked(event, resolution);
                self.finish(at, resolution);
            }
            EventKind::Waiting(_)
            | EventKind::SentinelPut
            | EventKind::Cleared
            | EventKind::Finished => {}
        }
    }

    /// The worker left, or the run ended.
    pub(super) fn finish(&mut self, at: Nanos, resolution: Resolution) {
        self.set_state(None, at, None, resolution);
    }

    /// The worker put or got these items.
    fn record_batch(&mut self, batch: &Batch, at: Nanos, resolution: Resolution) {
        let mut items = ItemRange { first: batch.first_id, last: batch.end_id().saturating_sub(1) };
        // A recording has a line for each item of a batch.
        if let Some((LaneState::Working, since, Some(before))) = self.state
            && since == at
            && before.last.checked_add(1) == Some(items.first)
        {
            items.first = before.first;
        }
        self.set_state(Some(LaneState::Working), at, Some(items), resolution);
        self.time_bins.bin_mut(resolution.bin_width, at).items += batch.count();
    }

    /// Drops the intervals: a picture would show too many.
    pub(super) fn drop_intervals(&mut self) {
        self.intervals = Vec::new();
        self.puts = Vec::new();
    }

    /// Adds a producer's wait for room, which is known only after the wait. A consumer's wait for an item is
    /// known when the wait begins.
    fn record_blocked(&mut self, event: &Event<'_>, resolution: Resolution) {
        let Some((_, since, _)) = self.state else { return };
        let waited = event.waited.unwrap_or_default();
        if self.role == Role::Producer && waited > 0 {
            let begin = event.at.saturating_sub(waited).max(since);
            self.set_state(Some(LaneState::Blocked), begin, None, resolution);
        }
    }

    fn set_state(
        &mut self,
        next: Option<LaneState>,
        at: Nanos,
        items: Option<ItemRange>,
        resolution: Resolution,
    ) {
        if let Some((state, from, items)) = self.state
            && from < at
        {
            self.time_bins.for_each_bin(resolution.bin_width, from, at, |bin, time| {
                bin.times[state as usize] += time
            });
            if resolution.is_exact {
                self.intervals.push(StateInterval { state, start: from, end: at, items });
            }
        }
        self.state = next.map(|next| (next, at, items));
    }
}

/// The state of a worker without items.
fn idle_state(role: Role) -> LaneState {
    match role {
        Role::Producer => LaneState::Working,
        Role::Consumer | Role::Visitor => LaneState::Waiting,
    }
}
