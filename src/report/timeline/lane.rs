//! What one worker is about, from moment to moment.

use super::bins::{Bins, Shares};
use crate::clock::Nanos;
use crate::role::Role;

/// What a worker can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// A producer makes its next item; a consumer has one.
    Working,
    /// Waiting for an item.
    Waiting,
    /// Waiting for room.
    Blocked,
    /// It has died, and nobody has taken its place yet.
    Dead,
}

impl Doing {
    /// In the order of [`Shares`].
    pub(super) const ALL: [Self; 4] = [Self::Working, Self::Waiting, Self::Blocked, Self::Dead];
}

/// For how long a worker was about one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) doing: Doing,
    pub(super) from: Nanos,
    pub(super) to: Nanos,
    /// The item that this began with.
    pub(super) item: Option<u64>,
}

/// How it all is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// How long the parts of time are.
    pub(super) width: Nanos,
    /// Whether every stretch is kept as well.
    pub(super) exact: bool,
}

/// A worker.
#[derive(Debug)]
pub(super) struct Lane {
    role: Role,
    /// What it is about, since when, and with which item; none when it has left.
    doing: Option<(Doing, Nanos, Option<u64>)>,
    /// How many items it has out.
    holds: u64,
    pub(super) shares: Bins<Shares>,
    pub(super) stretches: Vec<Stretch>,
    /// When it put something, and the first number of that.
    pub(super) puts: Vec<(Nanos, u64)>,
    pub(super) deaths: Vec<Nanos>,
}

impl Lane {
    /// Of a worker that is there from the beginning on.
    pub(super) fn new(role: Role) -> Self {
        Self {
            role,
            doing: Some((idle(role), 0, None)),
            holds: 0,
            shares: Bins::default(),
            stretches: Vec::new(),
            puts: Vec::new(),
            deaths: Vec::new(),
        }
    }

    /// It has put `count` items from number `id` on, after it had `waited` for room.
    pub(super) fn put(&mut self, at: Nanos, waited: Nanos, id: u64, count: u64, scale: Scale) {
        self.has_waited(at, waited, scale);
        self.turn_to(Some(Doing::Working), at, Some(id), scale);
        self.shares.at(scale.width, at).items += count;
        if scale.exact {
            self.puts.push((at, id));
        }
    }

    /// It has been handed `count` items from number `id` on.
    pub(super) fn get(&mut self, at: Nanos, id: u64, count: u64, scale: Scale) {
        self.turn_to(Some(Doing::Working), at, Some(id), scale);
        self.shares.at(scale.width, at).items += count;
        self.holds += count;
    }

    /// It has `count` items less: they are done, or back in line.
    pub(super) fn lose(&mut self, at: Nanos, count: u64, scale: Scale) {
        self.holds = self.holds.saturating_sub(count);
        if self.holds == 0 && self.doing.is_some_and(|(doing, ..)| doing == Doing::Working) {
            self.turn_to(Some(Doing::Waiting), at, None, scale);
        }
    }

    /// It has died, after it had `waited` for room in vain.
    pub(super) fn die(&mut self, at: Nanos, waited: Nanos, scale: Scale) {
        self.has_waited(at, waited, scale);
        self.turn_to(Some(Doing::Dead), at, None, scale);
        self.deaths.push(at);
    }

    /// Another has taken its place.
    pub(super) fn restart(&mut self, at: Nanos, scale: Scale) {
        self.holds = 0;
        self.turn_to(Some(idle(self.role)), at, None, scale);
    }

    /// It has left, after it had `waited` for room in vain; or everything is over.
    pub(super) fn leave(&mut self, at: Nanos, waited: Nanos, scale: Scale) {
        self.has_waited(at, waited, scale);
        self.turn_to(None, at, None, scale);
    }

    /// They are too many to be drawn one by one.
    pub(super) fn forget_stretches(&mut self) {
        self.stretches = Vec::new();
        self.puts = Vec::new();
    }

    /// That a producer waits for room is told when it has got it. That a consumer has nothing is known
    /// at once.
    fn has_waited(&mut self, at: Nanos, waited: Nanos, scale: Scale) {
        let Some((_, since, _)) = self.doing else { return };
        if self.role == Role::Producer && waited > 0 {
            let begin = at.saturating_sub(waited).max(since);
            self.turn_to(Some(Doing::Blocked), begin, None, scale);
        }
    }

    fn turn_to(&mut self, next: Option<Doing>, at: Nanos, item: Option<u64>, scale: Scale) {
        if let Some((doing, from, item)) = self.doing
            && from < at
        {
            let share = doing as usize;
            self.shares.spread(scale.width, from, at, |shares, time| shares.times[share] += time);
            if scale.exact {
                self.stretches.push(Stretch { doing, from, to: at, item });
            }
        }
        self.doing = next.map(|next| (next, at, item));
    }
}

/// What a worker is about that has nothing.
fn idle(role: Role) -> Doing {
    match role {
        Role::Producer => Doing::Working,
        Role::Consumer | Role::Visitor => Doing::Waiting,
    }
}
