//! What one worker is about, from moment to moment.

use super::bins::{Bins, StateTimes};
use crate::clock::Nanos;
use crate::role::Role;

/// What a worker can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LaneState {
    /// A producer makes its next item; a consumer has one.
    Working,
    /// Waiting for an item.
    Waiting,
    /// Waiting for room.
    Blocked,
    /// It has died, and nobody has taken its place yet.
    Dead,
}

impl LaneState {
    /// In the order of [`Shares`].
    pub(super) const ALL: [Self; 4] = [Self::Working, Self::Waiting, Self::Blocked, Self::Dead];
}

/// For how long a worker was about one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StateInterval {
    pub(super) state: LaneState,
    pub(super) start: Nanos,
    pub(super) end: Nanos,
    /// The item that this began with.
    pub(super) item_id: Option<u64>,
}

/// How it all is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resolution {
    /// How long the parts of time are.
    pub(super) bin_width: Nanos,
    /// Whether every stretch is kept as well.
    pub(super) is_exact: bool,
}

/// A worker.
#[derive(Debug)]
pub(super) struct Lane {
    role: Role,
    /// What it is about, since when, and with which item; none when it has left.
    state: Option<(LaneState, Nanos, Option<u64>)>,
    /// How many items it has out.
    in_flight: u64,
    pub(super) time_bins: Bins<StateTimes>,
    pub(super) intervals: Vec<StateInterval>,
    /// When it put something, and the first number of that.
    pub(super) puts: Vec<(Nanos, u64)>,
    pub(super) deaths: Vec<Nanos>,
}

impl Lane {
    /// Of a worker that is there from the beginning on.
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

    /// It has put `count` items from number `id` on, after it had `waited` for room.
    pub(super) fn record_put(
        &mut self,
        at: Nanos,
        waited: Nanos,
        id: u64,
        count: u64,
        scale: Resolution,
    ) {
        self.record_blocked(at, waited, scale);
        self.set_state(Some(LaneState::Working), at, Some(id), scale);
        self.time_bins.bin_mut(scale.bin_width, at).items += count;
        if scale.is_exact {
            self.puts.push((at, id));
        }
    }

    /// It has been handed `count` items from number `id` on.
    pub(super) fn record_delivery(&mut self, at: Nanos, id: u64, count: u64, scale: Resolution) {
        self.set_state(Some(LaneState::Working), at, Some(id), scale);
        self.time_bins.bin_mut(scale.bin_width, at).items += count;
        self.in_flight += count;
    }

    /// It has `count` items less: they are done, or back in line.
    pub(super) fn release_items(&mut self, at: Nanos, count: u64, scale: Resolution) {
        self.in_flight = self.in_flight.saturating_sub(count);
        if self.in_flight == 0 && self.state.is_some_and(|(doing, ..)| doing == LaneState::Working)
        {
            self.set_state(Some(LaneState::Waiting), at, None, scale);
        }
    }

    /// It has died, after it had `waited` for room in vain.
    pub(super) fn record_death(&mut self, at: Nanos, waited: Nanos, scale: Resolution) {
        self.record_blocked(at, waited, scale);
        self.set_state(Some(LaneState::Dead), at, None, scale);
        self.deaths.push(at);
    }

    /// Another has taken its place.
    pub(super) fn record_restart(&mut self, at: Nanos, scale: Resolution) {
        self.in_flight = 0;
        self.set_state(Some(idle_state(self.role)), at, None, scale);
    }

    /// It has left, after it had `waited` for room in vain; or everything is over.
    pub(super) fn record_exit(&mut self, at: Nanos, waited: Nanos, scale: Resolution) {
        self.record_blocked(at, waited, scale);
        self.set_state(None, at, None, scale);
    }

    /// They are too many to be drawn one by one.
    pub(super) fn drop_intervals(&mut self) {
        self.intervals = Vec::new();
        self.puts = Vec::new();
    }

    /// That a producer waits for room is told when it has got it. That a consumer has nothing is known
    /// at once.
    fn record_blocked(&mut self, at: Nanos, waited: Nanos, scale: Resolution) {
        let Some((_, since, _)) = self.state else { return };
        if self.role == Role::Producer && waited > 0 {
            let begin = at.saturating_sub(waited).max(since);
            self.set_state(Some(LaneState::Blocked), begin, None, scale);
        }
    }

    fn set_state(
        &mut self,
        next: Option<LaneState>,
        at: Nanos,
        item: Option<u64>,
        scale: Resolution,
    ) {
        if let Some((doing, from, item)) = self.state
            && from < at
        {
            let share = doing as usize;
            self.time_bins.for_each_bin(scale.bin_width, from, at, |shares, time| {
                shares.times[share] += time
            });
            if scale.is_exact {
                self.intervals.push(StateInterval {
                    state: doing,
                    start: from,
                    end: at,
                    item_id: item,
                });
            }
        }
        self.state = next.map(|next| (next, at, item));
    }
}

/// What a worker is about that has nothing.
fn idle_state(role: Role) -> LaneState {
    match role {
        Role::Producer => LaneState::Working,
        Role::Consumer | Role::Visitor => LaneState::Waiting,
    }
}
