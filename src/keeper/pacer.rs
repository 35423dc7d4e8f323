//! The time of a paced run.
//!
//! One worker runs at a time. A worker is *at rest* while it is owed an answer; when all rest, the
//! one whose turn is next is answered, in the order (due time, producers before consumers, number),
//! and when nobody can be answered, time moves to the next due time. So the order of all that
//! happens, and the time of each, depends on the delays alone.

use std::collections::BTreeMap;

use crate::clock::Nanos;
use crate::role::{Role, Worker};

/// How long a worker may stay away from rest before time goes on without it, at a finite speed.
const PATIENCE: Nanos = 50_000_000;

/// How a paced run's time relates to the wall's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many times as fast as the wall clock.
    Times(f64),
    /// Never waiting for the wall clock at all.
    Max,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Answer this worker's put or get.
    Serve(Worker),
    /// Tell this worker that its sleep is over.
    Wake(Worker),
    /// Nothing until something arrives, or until this wall time.
    Wait(Option<Nanos>),
    /// Nothing any more: the next event is later than [`LATEST`].
    OutOfTime,
}

/// The latest paced time that can be counted, 584 years. A sum of times that does not fit becomes
/// [`Nanos::MAX`], one nanosecond more, which is no time at which anything happens.
const LATEST: Nanos = Nanos::MAX - 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not there yet, or to come again.
    Absent,
    /// It has been answered at this wall time, and has not asked again.
    Running(Nanos),
    /// Running for so long that nobody waits for it any more.
    Straggling,
    /// Waits for its put or get; sleeps so long from its answer on, if it said so.
    Asking(Option<Nanos>),
    /// Asleep until this paced time.
    Sleeping(Nanos),
}

/// Paced time, and what each worker waits for. Takes wall times as arguments, reads no clock.
#[derive(Debug)]
pub(crate) struct Pacer {
    speed: Speed,
    /// Paced time.
    now: Nanos,
    /// The wall time at paced time 0, once everybody is there.
    origin: Option<Nanos>,
    workers: BTreeMap<Worker, State>,
    /// Those who don't get to sleep any more.
    hurried: Option<Role>,
    /// The next event is later than [`LATEST`], and will not be counted.
    is_out_of_time: bool,
}

impl Pacer {
    /// Time stands at 0 until all of these `workers` have come and are at rest.
    pub(crate) fn new(speed: Speed, workers: impl IntoIterator<Item = Worker>) -> Self {
        Self {
            speed,
            now: 0,
            origin: None,
            workers: workers.into_iter().map(|w| (w, State::Absent)).collect(),
            hurried: None,
            is_out_of_time: false,
        }
    }

    /// Whether [`Pacer::next`] has said [`Next::OutOfTime`].
    pub(crate) fn is_out_of_time(&self) -> bool {
        self.is_out_of_time
    }

    /// Paced time, since the start of the run.
    pub(crate) fn now(&self) -> Nanos {
        self.now
    }

    /// `worker` has come, and runs.
    pub(crate) fn came(&mut self, worker: Worker, wall: Nanos) {
        self.workers.insert(worker, State::Running(wall));
    }

    /// `worker` has left, or will never come.
    pub(crate) fn left(&mut self, worker: Worker) {
        self.workers.remove(&worker);
    }

    /// `worker` is dead, at the current wall time. Time stands still until it has come again, or
    /// [`Pacer::left`].
    pub(crate) fn lost(&mut self, worker: Worker, wall: Nanos) {
        // What it was at holds up nobody any more.
        self.workers.insert(worker, State::Straggling);
        self.move_to_wall(wall);
        self.workers.insert(worker, State::Absent);
    }

    /// `worker` asks for something that the queue will answer.
    pub(crate) fn asks(&mut self, worker: Worker, wall: Nanos) {
        self.catch_up(worker, wall);
        self.workers.insert(worker, State::Asking(None));
    }

    /// `worker` wants to sleep for `delay`: from now, or from the answer that it is owed.
    pub(crate) fn sleeps(&mut self, worker: Worker, delay: Nanos, wall: Nanos) {
        self.catch_up(worker, wall);
        let delay = if self.hurried == Some(worker.role) { 0 } else { delay };
        let state = match self.workers.get(&worker) {
            Some(State::Asking(_)) => State::Asking(Some(delay)),
            _ => State::Sleeping(self.end_of(delay)),
        };
        self.workers.insert(worker, state);
    }

    /// When a sleep that begins now is over: later than [`LATEST`] if that does not fit.
    fn end_of(&self, delay: Nanos) -> Nanos {
        self.now.saturating_add(delay)
    }

    /// `worker` has been told that it will not get what it asked for: it doesn't sleep after that.
    pub(crate) fn refused(&mut self, worker: Worker, wall: Nanos) {
        self.workers.insert(worker, State::Running(wall));
    }

    /// `worker` has been given what it asked for: it sleeps now, if it has said so before, or runs.
    pub(crate) fn answered(&mut self, worker: Worker, wall: Nanos) {
        let state = match self.workers.get(&worker) {
            Some(State::Asking(Some(delay))) => State::Sleeping(self.end_of(*delay)),
            _ => State::Running(wall),
        };
        self.workers.insert(worker, state);
    }

    /// Ends the sleep of the workers of this role, at the current wall time; they don't get to sleep
    /// any more.
    pub(crate) fn hurry(&mut self, role: Role, wall: Nanos) {
        self.move_to_wall(wall);
        self.hurried = Some(role);
        for (worker, state) in &mut self.workers {
            match state {
                State::Sleeping(due) if worker.role == role => *due = self.now,
                State::Asking(then) if worker.role == role => *then = then.map(|_| 0),
                _ => {}
            }
        }
    }

    /// What to do at this wall time. `can_serve` tells whether the queue could answer a worker now.
    pub(crate) fn next(&mut self, wall: Nanos, can_serve: impl Fn(Worker) -> bool) -> Next {
        if self.is_out_of_time {
            return Next::OutOfTime;
        }
        if let Some(until) = self.someone_runs(wall) {
            return Next::Wait(until);
        }
        let origin = *self.origin.get_or_insert(wall);
        if let Some(next) = self.whose_turn(&can_serve) {
            return next;
        }
        let Some(due) = self.earliest_due() else {
            return Next::Wait(None);
        };
        if due > LATEST {
            // A straggler may still come back before that.
            if self.workers.values().any(|s| *s == State::Straggling) {
                return Next::Wait(None);
            }
            self.is_out_of_time = true;
            return Next::OutOfTime;
        }
        let reached = match self.speed {
            Speed::Max => wall,
            Speed::Times(speed) => origin.saturating_add(scale(due, 1.0 / speed)),
        };
        if reached > wall {
            return Next::Wait(Some(reached));
        }
        self.now = due;
        self.whose_turn(&can_serve).unwrap_or(Next::Wait(None))
    }

    /// Whether somebody is not at rest, and if so until when that holds up the others.
    fn someone_runs(&mut self, wall: Nanos) -> Option<Option<Nanos>> {
        if self.workers.values().any(|s| *s == State::Absent) {
            return Some(None);
        }
        let patient = self.origin.is_none() || self.speed == Speed::Max;
        let mut until = None;
        for state in self.workers.values_mut() {
            let State::Running(since) = *state else {
                continue;
            };
            let over = since.saturating_add(PATIENCE);
            if patient {
                return Some(None);
            }
            if over <= wall {
                *state = State::Straggling;
            } else {
                until = Some(until.map_or(over, |u: Nanos| u.min(over)));
            }
        }
        until.map(Some)
    }

    /// The first of those who can be answered at the present paced time.
    fn whose_turn(&self, can_serve: impl Fn(Worker) -> bool) -> Option<Next> {
        let turns = self.workers.iter().filter_map(|(&worker, &state)| match state {
            State::Sleeping(due) if due <= self.now => Some((due, worker, Next::Wake(worker))),
            State::Asking(_) if can_serve(worker) => Some((self.now, worker, Next::Serve(worker))),
            _ => None,
        });
        turns.min_by_key(|turn| (turn.0, turn.1)).map(|turn| turn.2)
    }

    fn earliest_due(&self) -> Option<Nanos> {
        let dues = self.workers.values().filter_map(|state| match state {
            State::Sleeping(due) => Some(*due),
            _ => None,
        });
        dues.min()
    }

    /// A straggler comes back at the time that the wall shows.
    fn catch_up(&mut self, worker: Worker, wall: Nanos) {
        if self.workers.get(&worker) == Some(&State::Straggling) {
            self.move_to_wall(wall);
        }
    }

    /// Moves time to what the wall shows, but not past the next due time, and not while it is held
    /// up.
    fn move_to_wall(&mut self, wall: Nanos) {
        if self.workers.values().any(|s| matches!(s, State::Running(_) | State::Absent)) {
            return;
        }
        if let (Speed::Times(speed), Some(origin)) = (self.speed, self.origin) {
            let shown = scale(wall.saturating_sub(origin), speed);
            let shown = shown.min(self.earliest_due().unwrap_or(Nanos::MAX));
            match shown <= LATEST {
                true => self.now = self.now.max(shown),
                false => self.is_out_of_time = true,
            }
        }
    }
}

/// `time` × `factor`, rounded up, as waiting too little would make the loop spin. The longest time that
/// there is stands for anything longer: as a wall time, it never comes; as a paced time, it is later than
/// [`LATEST`].
fn scale(time: Nanos, factor: f64) -> Nanos {
    if factor == 1.0 {
        return time;
    }
    // A float out of range becomes the nearest integer.
    (time as f64 * factor).ceil() as Nanos
}

#[cfg(test)]
mod tests;
