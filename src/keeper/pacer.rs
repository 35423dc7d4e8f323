//! Paced time: the time of a run whose events depend on the delays alone.
//!
//! One worker runs at a time. A worker that waits for an answer is *at rest*. When all workers rest, the
//! pacer lets the keeper answer the next one, in the order (due time, producers before consumers, index).
//! When no worker can be answered, time moves to the next due time. Before that, the workers that have asked since time
//! moved last begin to wait.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::clock::Nanos;
use crate::role::{Role, WorkerId, WorkerMap, WorkerSet};

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
    /// This worker begins to wait: nothing that happens at the present time answers its put or get. Once for each
    /// request.
    BeginWait(WorkerId),
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
    workers: WorkerMap<WorkerState>,
    /// The workers that sleep, by the end of the sleep. An entry is void if its worker no longer sleeps until then; the first
    /// entry is never void.
    sleeping: BinaryHeap<Reverse<(Nanos, WorkerId)>>,
    /// The workers that wait for an answer.
    waiting: WorkerSet,
    /// Those of them that no [`PacerStep::BeginWait`] has named yet.
    unannounced_waits: WorkerSet,
    /// The numbers of workers that are absent, running and straggling.
    absent_count: usize,
    running_count: usize,
    straggling_count: usize,
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
        let workers = WorkerMap::new(workers, WorkerState::Absent);
        Self {
            speed,
            now: 0,
            wall_origin: None,
            absent_count: workers.iter().count(),
            workers,
            sleeping: BinaryHeap::new(),
            waiting: WorkerSet::default(),
            unannounced_waits: WorkerSet::default(),
            running_count: 0,
            straggling_count: 0,
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
        self.set_state(worker, WorkerState::Running(wall));
    }

    /// Whether `worker` sleeps.
    pub(crate) fn is_asleep(&self, worker: WorkerId) -> bool {
        matches!(self.workers.get(worker), Some(WorkerState::Sleeping(_)))
    }

    /// `worker` has left or was given up.
    pub(crate) fn on_disconnect(&mut self, worker: WorkerId) {
        if let Some(old) = self.workers.remove(worker) {
            self.forget_state(worker, old);
        }
    }

    /// The state of a worker that the run does not have stays unknown.
    fn set_state(&mut self, worker: WorkerId, state: WorkerState) {
        let Some(entry) = self.workers.entry(worker) else { return };
        // The old state is forgotten first: the new one may be the same.
        if let Some(old) = entry.replace(state) {
            self.forget_state(worker, old);
        }
        match state {
            WorkerState::Absent => self.absent_count += 1,
            WorkerState::Running(_) => self.running_count += 1,
            WorkerState::Straggling => self.straggling_count += 1,
            WorkerState::Waiting(_) => {
                self.waiting.insert(worker);
                self.unannounced_waits.insert(worker);
            }
            WorkerState::Sleeping(due) => self.sleeping.push(Reverse((due, worker))),
        }
    }

    /// Takes a worker that was in this state out of the counts and sets.
    fn forget_state(&mut self, worker: WorkerId, state: WorkerState) {
        match state {
            WorkerState::Absent => self.absent_count -= 1,
            WorkerState::Running(_) => self.running_count -= 1,
            WorkerState::Straggling => self.straggling_count -= 1,
            WorkerState::Waiting(_) => {
                self.waiting.remove(worker);
                self.unannounced_waits.remove(worker);
            }
            WorkerState::Sleeping(_) => self.drop_void_sleeps(),
        }
    }

    /// Drops entries of `sleeping` until the first one is not void.
    fn drop_void_sleeps(&mut self) {
        while let Some(&Reverse((due, worker))) = self.sleeping.peek()
            && self.workers.get(worker) != Some(&WorkerState::Sleeping(due))
        {
            self.sleeping.pop();
        }
    }

    /// `worker` has died at this wall time. Time stands still until [`Pacer::on_run`] or
    /// [`Pacer::on_disconnect`].
    pub(crate) fn on_death(&mut self, worker: WorkerId, wall: Nanos) {
        // A dead worker does not delay the others.
        self.set_state(worker, WorkerState::Straggling);
        self.advance_to_wall(wall);
        self.set_state(worker, WorkerState::Absent);
    }

    /// `worker` has made a request that the queue will answer.
    pub(crate) fn on_request(&mut self, worker: WorkerId, wall: Nanos) {
        self.catch_up_straggler(worker, wall);
        self.set_state(worker, WorkerState::Waiting(None));
    }

    /// `worker` sleeps for `delay`: from now, or from the answer to its put or get.
    pub(crate) fn on_sleep(&mut self, worker: WorkerId, delay: Nanos, wall: Nanos) {
        self.catch_up_straggler(worker, wall);
        let delay = if self.no_sleep_role == Some(worker.role) { 0 } else { delay };
        if let Some(WorkerState::Waiting(then)) = self.workers.get_mut(worker) {
            // The worker still waits: its state does not change.
            *then = Some(delay);
        } else {
            self.set_state(worker, WorkerState::Sleeping(self.now.saturating_add(delay)));
        }
    }

    /// The queue has granted `worker`'s request: `worker` begins the sleep requested after that request, or runs.
    pub(crate) fn on_grant(&mut self, worker: WorkerId, wall: Nanos) {
        let state = match self.workers.get(worker) {
            Some(WorkerState::Waiting(Some(delay))) => {
                WorkerState::Sleeping(self.now.saturating_add(*delay))
            }
            _ => WorkerState::Running(wall),
        };
        self.set_state(worker, state);
    }

    /// Ends the sleeps of the workers of this role at this wall time. These workers sleep no more.
    pub(crate) fn skip_sleeps(&mut self, role: Role, wall: Nanos) {
        self.advance_to_wall(wall);
        self.no_sleep_role = Some(role);
        let of_role: Vec<_> = self.workers.iter().map(|(worker, &state)| (worker, state)).collect();
        for (worker, state) in of_role.into_iter().filter(|(worker, _)| worker.role == role) {
            match state {
                WorkerState::Sleeping(_) => self.set_state(worker, WorkerState::Sleeping(self.now)),
                // The worker still waits: its state does not change.
                WorkerState::Waiting(Some(_)) => self.on_sleep(worker, 0, wall),
                _ => {}
            }
        }
    }

    /// The step at this wall time. `can_serve` tells whether the queue could answer a worker now; the queue answers no
    /// worker of a role for which `can_serve_role` is false.
    pub(crate) fn next_step(
        &mut self,
        wall: Nanos,
        can_serve_role: impl Fn(Role) -> bool,
        can_serve: impl Fn(WorkerId) -> bool,
    ) -> PacerStep {
        if self.is_out_of_time {
            return PacerStep::OutOfTime;
        }
        if let Some(wait) = self.running_wait_step(wall) {
            return wait;
        }
        let origin = *self.wall_origin.get_or_insert(wall);
        if let Some(step) = self.next_turn(&can_serve_role, &can_serve) {
            return step;
        }
        if let Some(worker) = self.begin_next_wait() {
            return PacerStep::BeginWait(worker);
        }
        let Some(due) = self.earliest_due() else {
            return PacerStep::Wait(None);
        };
        // A kill comes before what is due at the same time.
        let kill = self.next_kill.filter(|&at| at > self.now && at <= due);
        let due = kill.unwrap_or(due);
        if due > LATEST_TIME {
            // A straggler may still come back in range.
            if self.straggling_count > 0 {
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
        // That a worker can be answered does not depend on the time: the first sleep is over.
        self.sleeping.peek().map_or(PacerStep::Wait(None), |first| PacerStep::Wake(first.0.1))
    }

    /// The step that waits for the workers that are not at rest, if there are any. A worker that runs for too long
    /// becomes a straggler.
    fn running_wait_step(&mut self, wall: Nanos) -> Option<PacerStep> {
        let forbids_stragglers = self.wall_origin.is_none() || self.speed == Speed::Max;
        if self.absent_count > 0 || forbids_stragglers && self.running_count > 0 {
            return Some(PacerStep::Wait(None));
        }
        if self.running_count == 0 {
            return None;
        }
        let mut until: Option<Nanos> = None;
        let mut stragglers = Vec::new();
        for (worker, &state) in self.workers.iter() {
            let WorkerState::Running(since) = state else {
                continue;
            };
            let timeout = since.saturating_add(STRAGGLER_TIMEOUT);
            if timeout <= wall {
                stragglers.push(worker);
            } else {
                until = Some(until.map_or(timeout, |until| until.min(timeout)));
            }
        }
        for worker in stragglers {
            self.set_state(worker, WorkerState::Straggling);
        }
        until.map(|until| PacerStep::Wait(Some(until)))
    }

    /// The first worker that can be answered at the present paced time.
    fn next_turn(
        &self,
        can_serve_role: impl Fn(Role) -> bool,
        can_serve: impl Fn(WorkerId) -> bool,
    ) -> Option<PacerStep> {
        let awake = self.sleeping.peek().map(|first| first.0).filter(|first| first.0 <= self.now);
        let first_of = |role| {
            let is_possible = can_serve_role(role);
            is_possible.then(|| self.waiting.of_role(role).find(|&worker| can_serve(worker)))?
        };
        let served = first_of(Role::Producer).or_else(|| first_of(Role::Consumer));
        match (awake, served) {
            (Some(awake), Some(served)) if (self.now, served) < awake => {
                Some(PacerStep::Serve(served))
            }
            (Some((_, worker)), _) => Some(PacerStep::Wake(worker)),
            (None, served) => served.map(PacerStep::Serve),
        }
    }

    /// The first worker that has asked since time moved last, and still waits.
    fn begin_next_wait(&mut self) -> Option<WorkerId> {
        let of_role = |role| self.unannounced_waits.of_role(role).next();
        let worker = of_role(Role::Producer).or_else(|| of_role(Role::Consumer))?;
        self.unannounced_waits.remove(worker);
        Some(worker)
    }

    fn earliest_due(&self) -> Option<Nanos> {
        self.sleeping.peek().map(|first| first.0.0)
    }

    /// Moves time to the wall time when a straggler comes back.
    fn catch_up_straggler(&mut self, worker: WorkerId, wall: Nanos) {
        if self.workers.get(worker) == Some(&WorkerState::Straggling) {
            self.advance_to_wall(wall);
        }
    }

    /// Moves time to the wall time, but not past the next due time, and not while a worker runs or is
    /// absent.
    fn advance_to_wall(&mut self, wall: Nanos) {
        if self.running_count + self.absent_count > 0 {
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
