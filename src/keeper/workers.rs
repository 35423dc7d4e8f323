//! The workers of a run: who is still to come, who is gone, and whose turn it is.

use std::collections::BTreeMap;

use super::Next;
use super::{Event, Host, Keeper, Peer, What, send, send_error};
use crate::clock::Nanos;
use crate::os::Death;
use crate::queue::{ClientId, Doing, Effect, Request, Run};
use crate::role::{Role, Worker};
use crate::wire::Reply;

impl Keeper {
    /// A worker that has not come yet never will.
    pub(crate) fn will_not_come(&mut self, worker: Worker) {
        if !self.crew.contains_key(&worker) {
            self.worker_left(worker);
        }
    }

    /// The process of a worker is no more, and all that it wrote has been taken in. Whether by a
    /// `death` or not, it did not say goodbye: what it had is back in line, what it could not put yet
    /// is forgotten, and it is awaited as at the beginning. It comes again, or
    /// [`Keeper::will_not_come`].
    pub(crate) fn worker_gone(
        &mut self,
        wall: Nanos,
        worker: Worker,
        death: Option<Death>,
        host: &mut impl Host,
    ) {
        self.wall = wall;
        // It did so before it died.
        self.settle(host);
        if let Some(pacer) = &mut self.pacer {
            pacer.lost(worker, wall);
        }
        if let Some(death) = death {
            let waited = self.crew.get(&worker).and_then(|&client| self.has_been_waiting(client));
            let what = What::Died(death, waited);
            host.event(Event { at: self.now(), worker: Some(worker), what });
        }
        if let Some(&client) = self.crew.get(&worker) {
            self.leave_queue(client, Request::Die, host);
            self.forget(client, host);
        }
    }

    /// Whether this worker has neither left nor been given up.
    pub(crate) fn expects(&self, worker: Worker) -> bool {
        self.workers.as_ref().is_some_and(|workers| workers.contains(&worker))
    }

    /// What each of the workers that are here is about, and what it has out first.
    pub(crate) fn doing(&self) -> impl Iterator<Item = (Worker, Doing, Option<&Run>)> {
        self.queue.doing().filter_map(|doing| {
            let worker = worker_of(&self.peers, doing.client)?;
            let first = self.queue.held_by(doing.client).next();
            Some((worker, doing, first))
        })
    }

    /// How many workers of this role have not left yet.
    pub(crate) fn expected(&self, role: Role) -> usize {
        let workers = self.workers.iter().flatten();
        workers.filter(|worker| worker.role == role).count()
    }

    pub(super) fn next_in_pace(&mut self, host: &mut impl Host) -> Option<Next> {
        let pacer = self.pacer.as_mut()?;
        let (crew, queue) = (&self.crew, &self.queue);
        let client = |worker| crew.get(&worker).copied();
        let next = pacer.next(self.wall, |w| client(w).is_some_and(|c| queue.can_serve(c)));
        if let Next::Wake(worker) = next {
            pacer.answered(worker, self.wall);
            if let Some(client) = client(worker) {
                send(host, client, &Reply::Wake);
            }
        }
        Some(next)
    }

    pub(super) fn serve(&mut self, worker: Worker) -> Option<Effect> {
        let &client = self.crew.get(&worker)?;
        self.queue.serve(self.now(), client)
    }

    /// The keeper owes this client an answer; if it is a worker of a paced run, that is at rest now.
    pub(super) fn begins_to_wait(&mut self, client: ClientId) {
        let Some(worker) = worker_of(&self.peers, client) else {
            return;
        };
        if let Some(pacer) = &mut self.pacer {
            pacer.asks(worker, self.wall);
        }
        let now = self.now();
        if let Some(peer) = self.peers.get_mut(&client) {
            peer.asked.get_or_insert(now);
        }
    }

    /// For how long a worker has waited for this.
    pub(super) fn has_waited(&mut self, client: ClientId, effect: &Effect, at: Nanos) -> Nanos {
        if !matches!(effect, Effect::Accepted { .. } | Effect::Handed { .. }) {
            return 0;
        }
        let more = self.queue.is_owed(client);
        self.peers.get_mut(&client).map_or(0, |peer| peer.is_given(at, more))
    }

    /// For how long it has been waiting for something by now.
    pub(super) fn has_been_waiting(&self, client: ClientId) -> Option<Nanos> {
        let asked = self.peers.get(&client)?.asked?;
        Some(self.now().saturating_sub(asked))
    }

    pub(super) fn sleep(&mut self, client: ClientId, delay: Nanos, host: &mut impl Host) {
        match (&mut self.pacer, worker_of(&self.peers, client)) {
            (Some(pacer), Some(worker)) => pacer.sleeps(worker, delay, self.wall),
            _ => {
                let text = "time is not paced here: wait by your own clock";
                send_error(host, client, "not-paced", text);
            }
        }
    }

    /// As in the classic example: the parent joins the producers, and then puts the sentinel.
    pub(super) fn worker_left(&mut self, worker: Worker) {
        if let Some(pacer) = &mut self.pacer {
            pacer.left(worker);
        }
        if let Some(workers) = &mut self.workers {
            workers.remove(&worker);
            if self.expected(Role::Producer) == 0 {
                let _nothing_dropped = self.queue.close();
            }
        }
    }

    /// In a paced run one thing happens at a time.
    pub(super) fn window(&self) -> u64 {
        if self.pacer.is_some() { 0 } else { self.queue.grant() }
    }
}

pub(super) fn worker_of(peers: &BTreeMap<ClientId, Peer>, client: ClientId) -> Option<Worker> {
    peers.get(&client)?.worker
}
