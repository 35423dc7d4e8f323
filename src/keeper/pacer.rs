//! Paced time: the time of a run whose events depend on the delays alone.
//!
//! One worker runs at a time. A worker that waits for an answer is *at rest*. When all workers rest, the
//! pacer lets the keeper answer the next one, in the order (due time, producers before consumers, index).
//! When no worker can be answered, time moves to the next due time.

use std::collections::BTreeMap;

use crate::clock::Nanos;
use crate::role::{Role, WorkerId};

/// At a finite speed, time goes on without a worker that runs for longer than this.
const STRAGGLER_TIMEOUT: Nanos = 50_000_000;

/// The speed of paced time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// This many times as fast as the wall clock.
    Times(f64),
    /// Paced time never waits for the wall clock.
    Max,
}

/// The keeper's next step in a paced run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PacerStep {
    /// Answer this worker's put or get.
    Serve(WorkerId),
    /// Tell this worker that its sleep is over.
    Wake(WorkerId),
    /// Nothing before the next request, or before this wall time.
    Wait(Option<Nanos>),
    /// The time of the next kill has come. The caller kills a worker, or sets another time.
    Kill,
    /// Nothing any more: the next due time is later than [`LATEST_TIME`].
    OutOfTime,
}

/// The latest paced time, 584 years. A sum of times that does not fit becomes [`Nanos::MAX`], one
/// nanosecond more, at which nothing happens.
const LATEST_TIME: Nanos = Nanos::MAX - 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WorkerState {
    /// The worker is expected, for the first time or as a respawn.
    Absent,
    /// The worker received an answer at this wall time, and has made no request since.
    Running(Nanos),
    /// The worker runs for longer than [`STRAGGLER_TIMEOUT`].
    Straggling,
    /// The worker waits for an answer to its put or get; a sleep of this length follows, if requested.
    Waiting(Option<Nanos>),
    /// The worker sleeps until this paced time.
    Sleeping(Nanos),
}

/// Paced time and the state of each worker. Takes wall times as arguments; reads no clock.
#[derive(Debug)]
pub(crate) struct Pacer {
    speed: Speed,
    now: Nanos,
    /// The wall time at paced time 0, when all workers are connected and at rest.
    wall_origin: Option<Nanos>,
    workers: BTreeMap<WorkerId, WorkerState>,
    /// The workers of this role no longer sleep.
    no_sleep_role: Option<Role>,
    /// The next due time is later than [`LATEST_TIME`].
    is_out_of_time: bool,
    /// The time of the next kill. Time stops there once.
    next_kill: Option<Nanos>,
    /// Time has stopped for a kill.
    is_kill_due: bool,
}

impl Pacer {
    /// Time stands at 0 until all `workers` are connected and at rest.
    pub(crate) fn new(speed: Speed, workers: impl IntoIterator<Item = WorkerId>) -> Self {
        Self {
            speed,
            now: 0,
            wall_origin: None,
            workers: workers.into_iter().map(|w| (w, WorkerState::Absent)).collect(),
            no_sleep_role: None,
            is_out_of_time: false,
            next_kill: None,
            is_kill_due: false,
        }
    }

    /// Sets the paced time of the next kill, if there will be one.
    pub(crate) fn set_next_kill(&mut self, at: Option<Nanos>) {
        (self.next_kill, self.is_kill_due) = (at, false);
    }

    /// Whether time has stopped for a kill: all workers are at rest.
    pub(crate) fn is_kill_due(&self) -> bool {
        self.is_kill_due
    }

    /// Whether [`Pacer::next_step`] has returned [`PacerStep::OutOfTime`].
    pub(crate) fn is_out_of_time(&self) -> bool {
        self.is_out_of_time
    }

    /// Paced time, since the start of the run.
    pub(crate) fn now(&self) -> Nanos {
        self.now
    }

    /// `worker` runs: it has connected, or the queue has refused its request. The sleep requested after that
    /// request is cancelled.
    pub(crate) fn on_run(&mut self, worker: WorkerId, wall: Nanos) {
        self.workers.insert(worker, WorkerState::Running(wall));
    }

    /// `worker` has left or was given up.
    pub(crate) fn on_disconnect(&mut self, worker: WorkerId) {
        self.workers.remove(&worker);
    }

    /// `worker` has died at this wall time. Time stands still until [`Pacer::on_run`] or
    /// [`Pacer::on_disconnect`].
    pub(crate) fn on_death(&mut self, worker: WorkerId, wall: Nanos) {
        // A dead worker does not delay the others.
        self.workers.insert(worker, WorkerState::Straggling);
        self.advance_to_wall(wall);
        self.workers.insert(worker, WorkerState::Absent);
    }

    /// `worker` has made a request that the queue will answer.
    pub(crate) fn on_request(&mut self, worker: WorkerId, wall: Nanos) {
        self.catch_up_straggler(worker, wall);
        self.workers.insert(worker, WorkerState::Waiting(None));
    }

    /// `worker` sleeps for `delay`: from now, or from the answer to its put or get.
    pub(crate) fn on_sleep(&mut self, worker: WorkerId, delay: Nanos, wall: Nanos) {
        self.catch_up_straggler(worker, wall);
        let delay = if self.no_sleep_role == Some(worker.role) { 0 } else { delay };
        let state = match self.workers.get(&worker) {
            Some(WorkerState::Waiting(_)) => WorkerState::Waiting(Some(delay)),
            _ => WorkerState::Sleeping(self.now.saturating_add(delay)),
        };
        self.workers.insert(worker, state);
    }

    /// The queue has granted `worker`'s request: `worker` begins the sleep requested after that request, or runs.
    pub(crate) fn on_grant(&mut self, worker: WorkerId, wall: Nanos) {
        let state = match self.workers.get(&worker) {
            Some(WorkerState::Waiting(Some(delay))) => {
                WorkerState::Sleeping(self.now.saturating_add(*delay))
            }
            _ => WorkerState::Running(wall),
        };
        self.workers.insert(worker, state);
    }

    /// Ends the sleeps of the workers of this role at this wall time. These workers sleep no more.
    pub(crate) fn skip_sleeps(&mut self, role: Role, wall: Nanos) {
        self.advance_to_wall(wall);
        self.no_sleep_role = Some(role);
        for (worker, state) in &mut self.workers {
            match state {
                WorkerState::Sleeping(due) if worker.role == role => *due = self.now,
                WorkerState::Waiting(delay) if worker.role == role => *delay = delay.map(|_| 0),
                _ => {}
            }
        }
    }

    /// The step at this wall time. `can_serve` tells whether the queue could answer a worker now.
    pub(crate) fn next_step(
        &mut self,
        wall: Nanos,
        can_serve: impl Fn(WorkerId) -> bool,
    ) -> PacerStep {
        if self.is_out_of_time {
            return PacerStep::OutOfTime;
        }
        if let Some(wait) = self.running_wait_step(wall) {
            return wait;
        }
        let origin = *self.wall_origin.get_or_insert(wall);
        if let Some(step) = self.next_turn(&can_serve) {
            return step;
        }
        let Some(due) = self.earliest_due() else {
            return PacerStep::Wait(None);
        };
        // A kill comes before what is due at the same time.
        let kill = self.next_kill.filter(|&at| at > self.now && at <= due);
        let due = kill.unwrap_or(due);
        if due > LATEST_TIME {
            // A straggler may still come back in range.
            if self.has_worker(|state| state == WorkerState::Straggling) {
                return PacerStep::Wait(None);
            }
            self.is_out_of_time = true;
            return PacerStep::OutOfTime;
        }
        let due_wall = match self.speed {
            Speed::Max => wall,
            Speed::Times(speed) => origin.saturating_add(scale(due, 1.0 / speed)),
        };
        if due_wall > wall {
            return PacerStep::Wait(Some(due_wall));
        }
        self.now = due;
        if kill.is_some() {
            self.is_kill_due = true;
            return PacerStep::Kill;
        }
        self.next_turn(&can_serve).unwrap_or(PacerStep::Wait(None))
    }

    /// The step that waits for the workers that are not at rest, if there are any. A worker that runs for too long
    /// becomes a straggler.
    fn running_wait_step(&mut self, wall: Nanos) -> Option<PacerStep> {
        let forbids_stragglers = self.wall_origin.is_none() || self.speed == Speed::Max;
        let is_running = |state| matches!(state, WorkerState::Running(_));
        if self.has_worker(|state| state == WorkerState::Absent)
            || forbids_stragglers && self.has_worker(is_running)
        {
            return Some(PacerStep::Wait(None));
        }
        let mut until: Option<Nanos> = None;
        for state in self.workers.values_mut() {
            let WorkerState::Running(since) = *state else {
                continue;
            };
            let timeout = since.saturating_add(STRAGGLER_TIMEOUT);
            if timeout <= wall {
                *state = WorkerState::Straggling;
            } else {
                until = Some(until.map_or(timeout, |until| until.min(timeout)));
            }
        }
        until.map(|until| PacerStep::Wait(Some(until)))
    }

    fn has_worker(&self, predicate: impl Fn(WorkerState) -> bool) -> bool {
        self.workers.values().any(|&state| predicate(state))
    }

    /// The first worker that can be answered at the present paced time.
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

    /// Moves time to the wall time when a straggler comes back.
    fn catch_up_straggler(&mut self, worker: WorkerId, wall: Nanos) {
        if self.workers.get(&worker) == Some(&WorkerState::Straggling) {
            self.advance_to_wall(wall);
        }
    }

    /// Moves time to the wall time, but not past the next due time, and not while a worker runs or is
    /// absent.
    fn advance_to_wall(&mut self, wall: Nanos) {
        if self.has_worker(|state| matches!(state, WorkerState::Running(_) | WorkerState::Absent)) {
            return;
        }
        if let (Speed::Times(speed), Some(origin)) = (self.speed, self.wall_origin) {
            let paced = scale(wall.saturating_sub(origin), speed);
            let paced = paced.min(self.earliest_due().unwrap_or(Nanos::MAX));
            if paced <= LATEST_TIME {
                self.now = self.now.max(paced);
            } else {
                self.is_out_of_time = true;
            }
        }
    }
}

/// `time` × `factor`, rounded up, since too short a wait would make the loop spin. A product that does not
/// fit becomes [`Nanos::MAX`]: a wall time that never comes, or a paced time later than [`LATEST_TIME`].
fn scale(time: Nanos, factor: f64) -> Nanos {
    if factor == 1.0 {
        return time;
    }
    // The cast turns a float out of range into the nearest integer.
    (time as f64 * factor).ceil() as Nanos
}

#[cfg(test)]
mod tests;
