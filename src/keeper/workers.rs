//! The workers of a run: who is still to come, who is gone, and whose turn it is.

use std::collections::BTreeMap;

use super::PacerStep;
use super::{ConnectedClient, Host, Keeper, send_error, send_reply};
use crate::clock::Nanos;
use crate::event::{Event, EventKind};
use crate::os::ExitCause;
use crate::queue::{Batch, ClientActivity, ClientId, Effect, Request};
use crate::role::{Role, WorkerId};
use crate::wire::{ErrorCode, Reply};

impl Keeper {
    /// A worker that has not come yet never will.
    pub(crate) fn give_up_worker(&mut self, worker: WorkerId) {
        if !self.connected_workers.contains_key(&worker) {
            self.remove_worker(worker);
        }
    }

    /// The process of a worker is no more, and all that it wrote has been taken in. Whether by a
    /// `death` or not, it did not say goodbye: what it had is back in line, what it could not put yet
    /// is forgotten, and it is awaited as at the beginning. It comes again, or
    /// [`Keeper::will_not_come`].
    pub(crate) fn worker_exited(
        &mut self,
        wall: Nanos,
        worker: WorkerId,
        death: Option<ExitCause>,
        host: &mut impl Host,
    ) {
        self.last_wall_time = wall;
        // It did so before it died.
        self.run_ready_steps(host);
        if let Some(pacer) = &mut self.pacer {
            pacer.on_death(worker, wall);
        }
        if let Some(death) = death {
            let waited = self
                .connected_workers
                .get(&worker)
                .and_then(|&client| self.ongoing_wait_time(client));
            let kind = EventKind::Died(Some(death));
            host.on_event(Event { at: self.now(), worker: Some(worker), waited, kind });
        }
        if let Some(&client) = self.connected_workers.get(&worker) {
            self.detach_from_queue(client, Request::ClientDied, host);
            self.forget_client(client, host);
        }
    }

    /// Whether this worker has neither left nor been given up.
    pub(crate) fn is_worker_expected(&self, worker: WorkerId) -> bool {
        self.expected_workers.as_ref().is_some_and(|workers| workers.contains(&worker))
    }

    /// What each of the workers that are here is about, and what it has out first.
    pub(crate) fn worker_activities(
        &self,
    ) -> impl Iterator<Item = (WorkerId, ClientActivity, Option<&Batch>)> {
        self.queue.client_activities().filter_map(|doing| {
            let worker = worker_of(&self.clients, doing.client)?;
            let first = self.queue.in_flight_of(doing.client).next();
            Some((worker, doing, first))
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
        let next =
            pacer.next_step(self.last_wall_time, |w| client(w).is_some_and(|c| queue.can_serve(c)));
        if let PacerStep::Wake(worker) = next {
            pacer.on_answer(worker, self.last_wall_time);
            if let Some(client) = client(worker) {
                send_reply(host, client, &Reply::Wake);
            }
        }
        Some(next)
    }

    pub(super) fn serve_worker(&mut self, worker: WorkerId) -> Option<Effect> {
        let &client = self.connected_workers.get(&worker)?;
        self.queue.serve(self.now(), client)
    }

    /// The keeper owes this client an answer; if it is a worker of a paced run, that is at rest now.
    pub(super) fn start_waiting(&mut self, client: ClientId) {
        let Some(worker) = worker_of(&self.clients, client) else {
            return;
        };
        if let Some(pacer) = &mut self.pacer {
            pacer.on_request(worker, self.last_wall_time);
        }
        let now = self.now();
        if let Some(peer) = self.clients.get_mut(&client) {
            peer.waiting_since.get_or_insert(now);
        }
    }

    /// For how long a worker has waited for this.
    pub(super) fn take_wait_time(
        &mut self,
        client: ClientId,
        effect: &Effect,
        at: Nanos,
    ) -> Option<Nanos> {
        if !matches!(effect, Effect::Accepted { .. } | Effect::Delivered { .. }) {
            return None;
        }
        let more = self.queue.is_waiting(client);
        self.clients.get_mut(&client).map(|peer| peer.take_wait_time(at, more))
    }

    /// For how long it has been waiting for something by now.
    pub(super) fn ongoing_wait_time(&self, client: ClientId) -> Option<Nanos> {
        let asked = self.clients.get(&client)?.waiting_since?;
        Some(self.now().saturating_sub(asked))
    }

    pub(super) fn handle_sleep(&mut self, client: ClientId, delay: Nanos, host: &mut impl Host) {
        match (&mut self.pacer, worker_of(&self.clients, client)) {
            (Some(pacer), Some(worker)) => pacer.on_sleep(worker, delay, self.last_wall_time),
            _ => {
                let text = "time is not paced here: wait by your own clock";
                send_error(host, client, ErrorCode::NotPaced, text);
            }
        }
    }

    /// As in the classic example: the parent joins the producers, and then puts the sentinel.
    pub(super) fn remove_worker(&mut self, worker: WorkerId) {
        if let Some(pacer) = &mut self.pacer {
            pacer.on_disconnect(worker);
        }
        if let Some(workers) = &mut self.expected_workers {
            workers.remove(&worker);
            if self.expected_count(Role::Producer) == 0 {
                let _nothing_dropped = self.queue.close();
            }
        }
    }

    /// In a paced run one thing happens at a time.
    pub(super) fn put_window(&self) -> u64 {
        if self.pacer.is_some() { 0 } else { self.queue.put_window() }
    }
}

pub(super) fn worker_of(
    peers: &BTreeMap<ClientId, ConnectedClient>,
    client: ClientId,
) -> Option<WorkerId> {
    peers.get(&client)?.worker
}
