//! The time of a paced run.
//!
//! One worker runs at a time. A worker is *at rest* while it is owed an answer; when all rest, the
//! one whose turn is next is answered, in the order (due time, producers before consumers, number),
//! and when nobody can be answered, time moves to the next due time. So the order of all that
//! happens, and the time of each, depends on the delays alone.

use std::collections::BTreeMap;

use crate::clock::Nanos;
use crate::role::{Role, WorkerId};

/// How long a worker may stay away from rest before time goes on without it, at a finite speed.
const STRAGGLER_TIMEOUT: Nanos = 50_000_000;

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
pub(crate) enum PacerStep {
    /// Answer this worker's put or get.
    Serve(WorkerId),
    /// Tell this worker that its sleep is over.
    Wake(WorkerId),
    /// Nothing until something arrives, or until this wall time.
    Wait(Option<Nanos>),
    /// Nothing any more: the next event is later than [`LATEST`].
    OutOfTime,
}

/// The latest paced time that can be counted, 584 years. A sum of times that does not fit becomes
/// [`Nanos::MAX`], one nanosecond more, which is no time at which anything happens.
const LATEST_TIME: Nanos = Nanos::MAX - 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WorkerState {
    /// Not there yet, or to come again.
    Absent,
    /// It has been answered at this wall time, and has not asked again.
    Running(Nanos),
    /// Running for so long that nobody waits for it any more.
    Straggling,
    /// Waits for its put or get; sleeps so long from its answer on, if it said so.
    Waiting(Option<Nanos>),
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
    wall_origin: Option<Nanos>,
    workers: BTreeMap<WorkerId, WorkerState>,
    /// Those who don't get to sleep any more.
    no_sleep_role: Option<Role>,
    /// The next event is later than [`LATEST`], and will not be counted.
    is_out_of_time: bool,
}

impl Pacer {
    /// Time stands at 0 until all of these `workers` have come and are at rest.
    pub(crate) fn new(speed: Speed, workers: impl IntoIterator<Item = WorkerId>) -> Self {
        Self {
            speed,
            now: 0,
            wall_origin: None,
            workers: workers.into_iter().map(|w| (w, WorkerState::Absent)).collect(),
            no_sleep_role: None,
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
    pub(crate) fn on_connect(&mut self, worker: WorkerId, wall: Nanos) {
        self.workers.insert(worker, WorkerState::Running(wall));
    }

    /// `worker` has left, or will never come.
    pub(crate) fn on_disconnect(&mut self, worker: WorkerId) {
        self.workers.remove(&worker);
    }

    /// `worker` is dead, at the current wall time. Time stands still until it has come again, or
    /// [`Pacer::left`].
    pub(crate) fn on_death(&mut self, worker: WorkerId, wall: Nanos) {
        // What it was at holds up nobody any more.
        self.workers.insert(worker, WorkerState::Straggling);
        self.advance_to_wall(wall);
        self.workers.insert(worker, WorkerState::Absent);
    }

    /// `worker` asks for something that the queue will answer.
    pub(crate) fn on_request(&mut self, worker: WorkerId, wall: Nanos) {
        self.catch_up_straggler(worker, wall);
        self.workers.insert(worker, WorkerState::Waiting(None));
    }

    /// `worker` wants to sleep for `delay`: from now, or from the answer that it is owed.
    pub(crate) fn on_sleep(&mut self, worker: WorkerId, delay: Nanos, wall: Nanos) {
        self.catch_up_straggler(worker, wall);
        let delay = if self.no_sleep_role == Some(worker.role) { 0 } else { delay };
        let state = match self.workers.get(&worker) {
            Some(WorkerState::Waiting(_)) => WorkerState::Waiting(Some(delay)),
            _ => WorkerState::Sleeping(self.wake_time(delay)),
        };
        self.workers.insert(worker, state);
    }

    /// When a sleep that begins now is over: later than [`LATEST`] if that does not fit.
    fn wake_time(&self, delay: Nanos) -> Nanos {
        self.now.saturating_add(delay)
    }

    /// `worker` has been told that it will not get what it asked for: it doesn't sleep after that.
    pub(crate) fn on_refusal(&mut self, worker: WorkerId, wall: Nanos) {
        self.workers.insert(worker, WorkerState::Running(wall));
    }

    /// `worker` has been given what it asked for: it sleeps now, if it has said so before, or runs.
    pub(crate) fn on_answer(&mut self, worker: WorkerId, wall: Nanos) {
        let state = match self.workers.get(&worker) {
            Some(WorkerState::Waiting(Some(delay))) => {
                WorkerState::Sleeping(self.wake_time(*delay))
            }
            _ => WorkerState::Running(wall),
        };
        self.workers.insert(worker, state);
    }

    /// Ends the sleep of the workers of this role, at the current wall time; they don't get to sleep
    /// any more.
    pub(crate) fn skip_sleeps(&mut self, role: Role, wall: Nanos) {
        self.advance_to_wall(wall);
        self.no_sleep_role = Some(role);
        for (worker, state) in &mut self.workers {
            match state {
                WorkerState::Sleeping(due) if worker.role == role => *due = self.now,
                WorkerState::Waiting(then) if worker.role == role => *then = then.map(|_| 0),
                _ => {}
            }
        }
    }

    /// What to do at this wall time. `can_serve` tells whether the queue could answer a worker now.
    pub(crate) fn next_step(
        &mut self,
        wall: Nanos,
        can_serve: impl Fn(WorkerId) -> bool,
    ) -> PacerStep {
        if self.is_out_of_time {
            return PacerStep::OutOfTime;
        }
        if let Some(until) = self.running_wait(wall) {
            return PacerStep::Wait(until);
        }
        let origin = *self.wall_origin.get_or_insert(wall);
        if let Some(next) = self.next_turn(&can_serve) {
            return next;
        }
        let Some(due) = self.earliest_due() else {
            return PacerStep::Wait(None);
        };
        if due > LATEST_TIME {
            // A straggler may still come back before that.
            if self.workers.values().any(|s| *s == WorkerState::Straggling) {
                return PacerStep::Wait(None);
            }
            self.is_out_of_time = true;
            return PacerStep::OutOfTime;
        }
        let reached = match self.speed {
            Speed::Max => wall,
            Speed::Times(speed) => origin.saturating_add(scale(due, 1.0 / speed)),
        };
        if reached > wall {
            return PacerStep::Wait(Some(reached));
        }
        self.now = due;
        self.next_turn(&can_serve).unwrap_or(PacerStep::Wait(None))
    }

    /// Whether somebody is not at rest, and if so until when that holds up the others.
    fn running_wait(&mut self, wall: Nanos) -> Option<Option<Nanos>> {
        if self.workers.values().any(|s| *s == WorkerState::Absent) {
            return Some(None);
        }
        let patient = self.wall_origin.is_none() || self.speed == Speed::Max;
        let mut until = None;
        for state in self.workers.values_mut() {
            let WorkerState::Running(since) = *state else {
                continue;
            };
            let over = since.saturating_add(STRAGGLER_TIMEOUT);
            if patient {
                return Some(None);
            }
            if over <= wall {
                *state = WorkerState::Straggling;
            } else {
                until = Some(until.map_or(over, |u: Nanos| u.min(over)));
            }
        }
        until.map(Some)
    }

    /// The first of those who can be answered at the present paced time.
    fn next_turn(&self, can_serve: impl Fn(WorkerId) -> bool) -> Option<PacerStep> {
        let turns = self.workers.iter().filter_map(|(&worker, &state)| match state {
            WorkerState::Sleeping(due) if due <= self.now => {
                Some((due, worker, PacerStep::Wake(worker)))
            }
            WorkerState::Waiting(_) if can_serve(worker) => {
                Some((self.now, worker, PacerStep::Serve(worker)))
            }
            _ => None,
        });
        turns.min_by_key(|turn| (turn.0, turn.1)).map(|turn| turn.2)
    }

    fn earliest_due(&self) -> Option<Nanos> {
        let dues = self.workers.values().filter_map(|state| match state {
            WorkerState::Sleeping(due) => Some(*due),
            _ => None,
        });
        dues.min()
    }

    /// A straggler comes back at the time that the wall shows.
    fn catch_up_straggler(&mut self, worker: WorkerId, wall: Nanos) {
        if self.workers.get(&worker) == Some(&WorkerState::Straggling) {
            self.advance_to_wall(wall);
        }
    }

    /// Moves time to what the wall shows, but not past the next due time, and not while it is held
    /// up.
    fn advance_to_wall(&mut self, wall: Nanos) {
        if self.workers.values().any(|s| matches!(s, WorkerState::Running(_) | WorkerState::Absent))
        {
            return;
        }
        if let (Speed::Times(speed), Some(origin)) = (self.speed, self.wall_origin) {
            let shown = scale(wall.saturating_sub(origin), speed);
            let shown = shown.min(self.earliest_due().unwrap_or(Nanos::MAX));
            match shown <= LATEST_TIME {
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
