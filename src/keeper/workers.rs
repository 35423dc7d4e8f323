//! The workers of a run: connected, expected or gone, and the turn of each in a paced run.

use super::{Host, Keeper, Observer, Pacer, PacerStep, send_error, send_reply, worker_of};
use crate::catalogue::message;
use crate::clock::Nanos;
use crate::event::{Event, EventKind};
use crate::os::ExitCause;
use crate::queue::{Batch, ClientActivity, ClientId, EffectKind, Request, WaitReason};
use crate::role::{Role, WorkerId};
use crate::wire::{ErrorCode, Reply};

impl Keeper {
    /// The keeper no longer expects this worker, unless the worker is connected.
    pub(crate) fn give_up_worker(&mut self, worker: WorkerId, host: &mut impl Host) {
        if !self.connected_workers.contains_key(&worker) {
            self.remove_worker(worker, host);
        }
    }

    /// A worker exited without `bye`; everything that the worker wrote was received. Releases its items,
    /// drops its blocked puts, and expects a respawn, until [`Keeper::give_up_worker`]. `death` is
    /// the cause, unless the process exited of its own will.
    pub(crate) fn worker_exited(
        &mut self,
        wall: Nanos,
        worker: WorkerId,
        death: Option<ExitCause>,
        host: &mut impl Host,
    ) {
        self.last_wall_time = wall;
        // These steps precede the death.
        self.run_possible_steps(host);
        if let Some(pacer) = &mut self.pacer {
            pacer.on_death(worker, wall);
        }
        if let Some(death) = death {
            let waited = self
                .connected_workers
                .get(&worker)
                .and_then(|&client| self.ongoing_wait_time(client));
            let kind = EventKind::Died(Some(death));
            host.observer().on_event(Event { at: self.now(), worker: Some(worker), waited, kind });
        }
        if let Some(&client) = self.connected_workers.get(&worker) {
            let now = self.now();
            self.detach_from_queue(client, Request::ClientDied { now }, host);
            self.forget_client(client, host);
        }
    }

    /// Sets the paced time at which the caller kills a worker: [`Keeper::process_pending`] returns at that time. A run
    /// that is not paced has no such time.
    pub(crate) fn set_next_kill(&mut self, at: Option<Nanos>) {
        if let Some(pacer) = &mut self.pacer {
            pacer.set_next_kill(at);
        }
    }

    /// Whether the time of the kill has come.
    pub(crate) fn is_kill_due(&self) -> bool {
        self.pacer.as_ref().is_some_and(Pacer::is_kill_due)
    }

    /// Whether this worker has neither left nor been given up.
    pub(crate) fn is_worker_expected(&self, worker: WorkerId) -> bool {
        self.expected_workers.as_ref().is_some_and(|workers| workers.contains(&worker))
    }

    /// The activity of each connected worker, with the worker's first in-flight batch.
    pub(crate) fn worker_activities(
        &self,
    ) -> impl Iterator<Item = (WorkerId, ClientActivity, Option<&Batch>)> {
        self.queue.client_activities().filter_map(|activity| {
            let worker = worker_of(&self.clients, activity.client)?;
            let first = self.queue.in_flight_of(activity.client).next();
            Some((worker, activity, first))
        })
    }

    /// How many workers of this role have not left yet.
    pub(crate) fn expected_count(&self, role: Role) -> usize {
        let workers = self.expected_workers.iter().flatten();
        workers.filter(|worker| worker.role == role).count()
    }

    pub(super) fn next_paced_step(&mut self, host: &mut impl Host) -> Option<PacerStep> {
        let pacer = self.pacer.as_mut()?;
        let (workers, queue) = (&self.connected_workers, &self.queue);
        let client = |worker| workers.get(&worker).copied();
        let next = pacer.next_step(
            self.last_wall_time,
            |role| queue.can_serve_role(role),
            |worker| client(worker).is_some_and(|client| queue.can_serve(client)),
        );
        match next {
            PacerStep::Wake(worker) => {
                pacer.on_grant(worker, self.last_wall_time);
                if let Some(client) = client(worker) {
                    send_reply(host, client, &Reply::Wake);
                }
            }
            PacerStep::BeginWait(worker) => self.publish_wait(worker, host),
            _ => {}
        }
        Some(next)
    }

    /// The workers of a run without delays begin to wait, if they have asked and cannot be answered now.
    pub(super) fn begin_waits(&mut self, host: &mut impl Host) {
        while let Some(worker) = self.new_waiters.pop_first() {
            // The worker may have been answered since, or may have died.
            let client = self.connected_workers.get(&worker);
            if client.is_some_and(|&client| self.queue.is_waiting(client)) {
                self.publish_wait(worker, host);
            }
        }
    }

    fn publish_wait(&self, worker: WorkerId, host: &mut impl Host) {
        let reason = WaitReason::of_role(worker.role);
        let wait = Event::new(self.now(), EventKind::Waiting(reason));
        host.observer().on_event(Event { worker: Some(worker), ..wait });
    }

    /// The worker may have to wait from now on.
    fn note_waiter(&mut self, worker: WorkerId) {
        // In a paced run the pacer knows.
        if self.pacer.is_none() {
            self.new_waiters.insert(worker);
        }
    }

    /// Notes that a worker waits for an answer; a worker of a paced run is at rest now.
    pub(super) fn start_waiting(&mut self, client: ClientId) {
        let Some(worker) = worker_of(&self.clients, client) else {
            return;
        };
        if let Some(pacer) = &mut self.pacer {
            pacer.on_request(worker, self.last_wall_time);
        }
        let now = self.now();
        if let Some(c) = self.clients.get_mut(&client)
            && c.waiting_since.is_none()
        {
            c.waiting_since = Some(now);
            self.note_waiter(worker);
        }
    }

    /// For how long a worker has waited for this effect; None if the effect is no grant. The worker begins another
    /// wait if the queue owes it more.
    pub(super) fn take_wait_time(
        &mut self,
        client: ClientId,
        kind: &EffectKind,
        at: Nanos,
    ) -> Option<Nanos> {
        if !kind.is_grant() {
            return None;
        }
        let waits_for_more = self.queue.is_waiting(client);
        let waiting_since = &mut self.clients.get_mut(&client)?.waiting_since;
        let since = std::mem::replace(waiting_since, waits_for_more.then_some(at));
        if waits_for_more && let Some(worker) = worker_of(&self.clients, client) {
            self.note_waiter(worker);
        }
        Some(since.map_or(0, |since| at.saturating_sub(since)))
    }

    /// For how long a worker has been waiting now; None if the worker does not wait.
    pub(super) fn ongoing_wait_time(&self, client: ClientId) -> Option<Nanos> {
        let since = self.clients.get(&client)?.waiting_since?;
        Some(self.now().saturating_sub(since))
    }

    pub(super) fn handle_sleep(&mut self, client: ClientId, delay: Nanos, host: &mut impl Host) {
        match (&mut self.pacer, worker_of(&self.clients, client)) {
            (Some(pacer), Some(worker)) => pacer.on_sleep(worker, delay, self.last_wall_time),
            _ => {
                let text = || message!("refusal-not-paced");
                send_error(host, client, ErrorCode::NotPaced, text);
            }
        }
    }

    /// Stops expecting a worker. The last producer's removal closes the queue, as a parent does that joins
    /// its producers and then puts the sentinel.
    pub(super) fn remove_worker(&mut self, worker: WorkerId, host: &mut impl Host) {
        if let Some(pacer) = &mut self.pacer {
            pacer.on_disconnect(worker);
        }
        if let Some(workers) = &mut self.expected_workers {
            workers.remove(&worker);
            if self.expected_count(Role::Producer) == 0 {
                self.put_sentinel(host);
            }
        }
    }

    /// Closes the queue of a run.
    fn put_sentinel(&mut self, host: &mut impl Host) {
        if self.queue.state().sentinel.is_none() {
            self.queue.close();
            host.observer().on_event(Event::new(self.now(), EventKind::SentinelPut));
        }
    }

    /// Closes the queue, and drops its ready items. The end follows when nothing is in flight.
    pub(crate) fn close_now(&mut self, wall: Nanos, host: &mut impl Host) {
        self.last_wall_time = wall;
        if let Some(pacer) = &mut self.pacer {
            // Time moves to the present moment first: all that follows happens now.
            pacer.skip_sleeps(Role::Producer, wall);
        }
        self.put_sentinel(host);
        self.queue.close_now();
        self.publish_effects(host);
    }

    /// The put window; 0 in a paced run, where only one worker runs at a time.
    pub(super) fn put_window(&self) -> u64 {
        if self.pacer.is_some() { 0 } else { self.queue.put_window() }
    }
}

#[cfg(test)]
mod tests {
    use crate::keeper::tests::{CONSUMER, PRODUCER, TestKeeper};

    #[test]
    fn without_delays_a_worker_begins_to_wait_when_the_keeper_cannot_answer_it() {
        let mut test = TestKeeper::for_run(1, None);
        test.connect_worker(PRODUCER);
        test.connect_worker(CONSUMER);
        let traced = |test: &mut TestKeeper| -> Vec<_> {
            test.host.observer.trace.drain(..).map(|(_, kind, worker)| (kind, worker)).collect()
        };
        let (room, item) = (("room", Some(PRODUCER)), ("item", Some(CONSUMER)));
        test.send_and_process(1, "get 1\n");
        assert_eq!(traced(&mut test), [item]);
        // The consumer gets the first item, and the third one has no room.
        test.send_and_process(0, "put 3 3 6\n1\n2\n3\n");
        assert_eq!(traced(&mut test), [room]);
        test.keeper.process_pending(0, &mut test.host).unwrap();
        assert_eq!(traced(&mut test), [], "each wait begins once");
        test.send_and_process(1, "done 1 1\nget 1\n");
        assert_eq!(
            traced(&mut test),
            [],
            "the consumer had no wait, and the producer has one no more"
        );
        test.send_and_process(0, "put 5 2 4\n4\n5\n");
        test.send_and_process(1, "done 2 1\nget 1\n");
        assert_eq!(
            traced(&mut test),
            [room, room],
            "item 4 was accepted, and item 5 waits in turn"
        );
        test.kill_worker(0, PRODUCER);
        test.send_and_process(1, "done 3 1\nget 1\n");
        test.send_and_process(1, "done 4 1\nget 1\n");
        assert_eq!(traced(&mut test), [item], "the dead producer does not wait");
    }

    #[test]
    fn a_run_has_one_sentinel_after_its_last_producer() {
        let mut test = TestKeeper::for_run(0, None);
        test.connect_worker(PRODUCER);
        test.connect_worker(CONSUMER);
        test.send_and_process(0, "put 1 1 2\n1\n");
        assert_eq!(test.host.observer.trace, []);
        test.send_and_process(0, "bye\n");
        assert_eq!(test.host.observer.trace, [(0, "sentinel", None)]);
        test.send_and_process(1, "get 1\n");
        test.keeper.close_now(0, &mut test.host);
        test.send_and_process(1, "done 1 1\nbye\n");
        assert_eq!(test.host.observer.trace, [(0, "sentinel", None)]);
    }
}
